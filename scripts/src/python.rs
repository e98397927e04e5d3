//! The contracts' checkers that are written in Python, in an environment of their own.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::steps;

const REQUIREMENTS: &str = "contracts/tools/requirements.txt";
/// Copy of the list, written last: an installation that broke off has none.
const INSTALLED: &str = "installed.txt";

const LIMIT: Duration = Duration::from_secs(15 * 60); // 100 MB on a slow line

/// The environment's folder, installed or not.
pub fn environment(root: &Path) -> PathBuf {
    root.join("target/contracts-tools")
}

/// Path of `slither` or `halmos` in the environment, which is made first if need be.
pub fn program(root: &Path, name: &str) -> Result<PathBuf> {
    install(root)?;
    Ok(environment(root).join("bin").join(name))
}

/// Whether Python can make environments: Debian leaves that part out.
pub fn makes_environments() -> bool {
    let mut probe = Command::new("python3");
    probe.args(["-c", "import venv, ensurepip"]).stdout(Stdio::null()).stderr(Stdio::null());
    probe.status().is_ok_and(|status| status.success())
}

/// Does nothing, and quickly, when the listed versions are there.
pub fn install(root: &Path) -> Result<()> {
    let list = root.join(REQUIREMENTS);
    let wanted = fs::read(&list).with_context(|| format!("cannot read {REQUIREMENTS}"))?;
    let place = environment(root);
    let stamp = place.join(INSTALLED);
    if fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    println!("setup: installing {REQUIREMENTS} in {}", place.display());
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
    steps::run(&mut check, LIMIT).with_context(|| format!("{REQUIREMENTS} does not fit itself"))?;
    fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))
}
