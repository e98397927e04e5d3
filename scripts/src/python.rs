//! Checkers written in Python, of the contracts and of exports, in environments of their own.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::steps;

/// A list of packages in exact versions, and the folder in which they are installed.
pub struct Environment {
    requirements: &'static str,
    folder: &'static str,
}

/// What checks the contracts: slither, halmos.
pub const CONTRACTS: Environment =
    Environment { requirements: "contracts/tools/requirements.txt", folder: "contracts-tools" };
/// What checks exports in stories: beancount, DuckDB. They find it in this folder.
pub const BOOKS: Environment =
    Environment { requirements: "tests/tools/requirements.txt", folder: "books-tools" };

/// Copy of the list, written last: an installation that broke off has none.
const INSTALLED: &str = "installed.txt";

const LIMIT: Duration = Duration::from_secs(15 * 60); // 100 MB on a slow line

/// Path of `slither` or `halmos` in the contracts' environment, which is made first if need be.
pub fn program(root: &Path, name: &str) -> Result<PathBuf> {
    install(root, &CONTRACTS)?;
    Ok(folder(root, &CONTRACTS).join("bin").join(name))
}

fn folder(root: &Path, environment: &Environment) -> PathBuf {
    root.join("target").join(environment.folder)
}

/// Whether Python can make environments: Debian leaves that part out.
pub fn makes_environments() -> bool {
    let mut probe = Command::new("python3");
    probe.args(["-c", "import venv, ensurepip"]).stdout(Stdio::null()).stderr(Stdio::null());
    probe.status().is_ok_and(|status| status.success())
}

/// Does nothing, and quickly, when the listed versions are there.
pub fn install(root: &Path, environment: &Environment) -> Result<()> {
    let requirements = environment.requirements;
    let list = root.join(requirements);
    let wanted = fs::read(&list).with_context(|| format!("cannot read {requirements}"))?;
    let place = folder(root, environment);
    let stamp = place.join(INSTALLED);
    if fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    println!("setup: installing {requirements} in {}", place.display());
    match fs::remove_dir_all(&place) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot empty {}", place.display()));
        }
        _ => {}
    }
    let mut make = Command::new("python3");
    steps::run(make.args(["-m", "venv"]).arg(&place), LIMIT)
        .context("run `cargo xtask setup --test`, which installs Python and its venv")?;
    let mut pip = Command::new(place.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]);
    // The list is complete, and nothing of it is compiled here.
    pip.args(["--no-deps", "--only-binary", ":all:", "--requirement"]).arg(&list);
    steps::run(&mut pip, LIMIT).context("is the Python package registry reachable?")?;
    let mut check = Command::new(place.join("bin/python"));
    check.args(["-m", "pip", "--disable-pip-version-check", "check"]);
    steps::run(&mut check, LIMIT).with_context(|| format!("{requirements} does not fit itself"))?;
    fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))
}
