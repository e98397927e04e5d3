//! Runs slither on a Foundry project: any finding that nobody excused is red.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::{foundry, python, steps};

/// Detectors that are off, and why; a single place is excused beside it in the source.
const EXCLUDED: &[(&str, &str)] = &[
    ("timestamp", "every date is minutes to weeks long; what a validator can shift is seconds"),
    ("assembly", "it is marked memory-safe, short, and each piece has tests of its own"),
    ("pragma", "ours name one compiler; OpenZeppelin's name a range that holds it"),
    ("shadowing-local", "a parameter may share its name with the view of that name"),
];

/// A folder of its own: slither wants one fresh build, and must not clean anybody else's.
pub const OUT: &str = "out-slither";
const CACHE: &str = "cache-slither";

const LIMIT: Duration = Duration::from_secs(10 * 60); // twenty seconds on two calm cores

pub fn run(root: &Path) -> Result<()> {
    for (detector, reason) in EXCLUDED {
        println!("slither: without {detector}: {reason}");
    }
    steps::run(&mut command(root, &root.join("contracts"), "fast")?, LIMIT)
}

/// Compiles the sources of `project` and returns the command that analyses them.
pub fn command(root: &Path, project: &Path, profile: &str) -> Result<Command> {
    build(root, project, profile)?;
    let excluded: Vec<&str> = EXCLUDED.iter().map(|(detector, _)| *detector).collect();
    let mut slither = Command::new(python::program(root, "slither")?);
    slither.args([".", "--ignore-compile", "--foundry-out-directory", OUT, "--disable-color"]);
    // Unlike a filter of paths this keeps what concerns a dependency and our code together.
    slither.args(["--exclude-dependencies", "--fail-pedantic", "--exclude", &excluded.join(",")]);
    slither.current_dir(project).env("FOUNDRY_PROFILE", profile);
    foundry::on_path(root, &mut slither)?;
    Ok(slither)
}

pub fn build(root: &Path, project: &Path, profile: &str) -> Result<()> {
    match fs::remove_dir_all(project.join(OUT)) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot empty {OUT}"));
        }
        _ => {}
    }
    let mut forge = Command::new(foundry::program(root, "forge"));
    forge.args(["build", "--build-info", "--force", "--skip", "./test/**"]).current_dir(project);
    forge.env("FOUNDRY_PROFILE", profile).env("FOUNDRY_OUT", OUT);
    forge.env("FOUNDRY_CACHE_PATH", CACHE);
    let output = forge.output().context("cannot start forge; run `cargo xtask setup`")?;
    if !output.status.success() {
        bail!("forge build failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
