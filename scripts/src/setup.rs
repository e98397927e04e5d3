//! One table of what a fresh Debian or Ubuntu lacks, and how to get it.

use std::ffi::OsStr;
use std::fs;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::{postgres, python, steps};

/// What people set this machine up for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    Demo,
    Tests,
    Bench,
}

/// Debian packages that bring one thing.
struct Need {
    what: &'static str,
    is_there: fn() -> bool,
    packages: &'static [&'static str],
    purposes: &'static [Purpose],
}

const ALL: &[Purpose] = &[Purpose::Demo, Purpose::Tests, Purpose::Bench];

const NEEDS: &[Need] = &[
    Need {
        what: "C compiler, for SQLite and TLS",
        is_there: || on_path("gcc") && Path::new("/usr/include/stdlib.h").exists(),
        packages: &["gcc", "libc6-dev"],
        purposes: ALL,
    },
    Need {
        what: "POV-Ray, the renderer of the demo",
        is_there: || on_path("povray") && Path::new("/usr/share/povray-3.7/include").exists(),
        packages: &["povray", "povray-includes"],
        purposes: &[Purpose::Demo, Purpose::Tests],
    },
    Need {
        what: "bubblewrap, the renderers' sandbox",
        is_there: || on_path("bwrap"),
        packages: &["bubblewrap"],
        purposes: &[Purpose::Demo, Purpose::Tests],
    },
    Need {
        what: "git, by which tidy lists the files",
        is_there: || on_path("git"),
        packages: &["git"],
        purposes: &[Purpose::Tests],
    },
    Need {
        what: "PostgreSQL, the second database",
        is_there: postgres::is_installed,
        packages: &["postgresql"],
        purposes: &[Purpose::Tests, Purpose::Bench],
    },
    Need {
        what: "strace, which kills the indexer at a sync and refuses it the disk",
        is_there: || on_path("strace"),
        packages: &["strace"],
        purposes: &[Purpose::Tests],
    },
    Need {
        what: "faketime, which moves the clock of a running service",
        is_there: || on_path("faketime"),
        packages: &["faketime"],
        purposes: &[Purpose::Tests],
    },
    Need {
        what: "Python with venv, for checkers of contracts and exports",
        is_there: python::makes_environments,
        packages: &["python3", "python3-venv"],
        purposes: &[Purpose::Tests],
    },
    Need {
        what: "wrk, by which reads of the API are measured",
        is_there: || on_path("wrk"),
        packages: &["wrk"],
        purposes: &[Purpose::Bench],
    },
    Need {
        what: "hledger, which checks exported books",
        is_there: || on_path("hledger"),
        packages: &["hledger"],
        purposes: &[Purpose::Tests],
    },
];

/// Parts of the Rust toolchain that a minimal installation leaves out.
const COMPONENTS: &[(&str, &str)] = &[("rustfmt", "cargo-fmt"), ("clippy", "cargo-clippy")];

const DOWNLOAD_LIMIT: Duration = Duration::from_secs(15 * 60); // 150 MB on a slow line

/// Installs what is missing. Does nothing, and quickly, when all is there.
pub fn run(root: &Path, purpose: Purpose) -> Result<()> {
    debian_packages(purpose)?;
    npm_packages(root)?;
    if purpose == Purpose::Tests {
        for (component, program) in COMPONENTS.iter().filter(|(_, program)| !on_path(program)) {
            println!("setup: {program} is missing");
            let mut rustup = Command::new("rustup");
            rustup.args(["component", "add", component]);
            steps::run(&mut rustup, DOWNLOAD_LIMIT)?;
        }
        python::install(root, &python::CONTRACTS)?;
        python::install(root, &python::BOOKS)?;
    }
    match purpose {
        Purpose::Demo | Purpose::Tests => sandbox_starts(),
        Purpose::Bench => Ok(()), // nothing is rendered
    }
}

fn debian_packages(purpose: Purpose) -> Result<()> {
    let wanted = NEEDS.iter().filter(|need| need.purposes.contains(&purpose));
    let missing: Vec<&Need> = wanted.filter(|need| !(need.is_there)()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    for need in &missing {
        println!("setup: missing: {} ({})", need.what, need.packages.join(", "));
    }
    let packages: Vec<&str> = missing.iter().flat_map(|need| need.packages).copied().collect();
    let update = "apt-get update";
    let install = format!("apt-get install -y --no-install-recommends {}", packages.join(" "));
    if !on_path("apt-get") {
        bail!("there is no apt-get here; install with your own package tool: {packages:?}");
    }
    let is_root = is_root()?;
    if !is_root {
        println!("setup: this needs root:\n  sudo {update}\n  sudo {install}");
        if !agrees()? {
            bail!("run the two lines above, then start this again");
        }
    }
    for line in [update, &install] {
        let mut command = Command::new(if is_root { "env" } else { "sudo" });
        if !is_root {
            command.arg("env"); // sudo forgets our environment, so it is set behind it
        }
        command.arg("DEBIAN_FRONTEND=noninteractive").args(line.split(' '));
        steps::run(&mut command, DOWNLOAD_LIMIT).context("is the Debian mirror reachable?")?;
    }
    let still: Vec<&str> =
        missing.iter().filter(|need| !(need.is_there)()).map(|need| need.what).collect();
    ensure!(still.is_empty(), "installed {packages:?}, but still missing: {}", still.join("; "));
    Ok(())
}

/// Asks on the terminal; without one the answer is no.
fn agrees() -> Result<bool> {
    if !std::io::stdin().is_terminal() {
        return Ok(false);
    }
    print!("Run them now? [y/N] ");
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn is_root() -> Result<bool> {
    let output =
        Command::new("id").arg("-u").output().context("cannot ask `id -u` who runs this")?;
    Ok(String::from_utf8_lossy(&output.stdout).trim() == "0")
}

fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(OsStr::new(program)).is_file())
}

fn npm_packages(root: &Path) -> Result<()> {
    let folder = root.join("contracts");
    let lock =
        fs::read(folder.join("package-lock.json")).context("no contracts/package-lock.json")?;
    let lock: Value =
        serde_json::from_slice(&lock).context("contracts/package-lock.json is no JSON")?;
    let Some(missing) = first_missing_package(&folder, &lock) else { return Ok(()) };
    println!("setup: missing: {missing}; running npm ci in contracts/");
    let mut npm = Command::new("npm");
    npm.args(["ci", "--no-audit", "--no-fund"]).current_dir(&folder);
    steps::run(&mut npm, DOWNLOAD_LIMIT).context("is the npm registry reachable?")?;
    if let Some(missing) = first_missing_package(&folder, &lock) {
        bail!("npm ci has run, but {missing} is still missing: is this machine's kind supported?");
    }
    Ok(())
}

/// A package of the lock file that is not installed in its exact version.
fn first_missing_package(folder: &Path, lock: &Value) -> Option<String> {
    let packages = lock["packages"].as_object()?;
    let needed = packages.iter().filter(|(path, package)| !path.is_empty() && fits(package));
    needed.into_iter().find_map(|(path, package)| {
        let version = package["version"].as_str()?;
        let manifest = fs::read(folder.join(path).join("package.json")).unwrap_or_default();
        let manifest: Value = serde_json::from_slice(&manifest).unwrap_or_default();
        (manifest["version"] != version).then(|| format!("{path} {version}"))
    })
}

/// Whether npm installs a package on this machine: some are for one system and processor only.
fn fits(package: &Value) -> bool {
    let processor = match std::env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => other,
    };
    let allows = |key: &str, value: &str| {
        package[key].as_array().is_none_or(|list| list.iter().any(|one| one == value))
    };
    allows("os", std::env::consts::OS) && allows("cpu", processor)
}

/// Some kernels and containers forbid what bubblewrap needs; better to hear it now than at the
/// first frame.
fn sandbox_starts() -> Result<()> {
    let mut probe = Command::new("bwrap");
    probe.args([
        "--unshare-all",
        "--ro-bind",
        "/",
        "/",
        "--proc",
        "/proc",
        "--dev",
        "/dev",
        "true",
    ]);
    steps::run(&mut probe, Duration::from_secs(10)).context(
        "bubblewrap cannot make a sandbox here; allow user namespaces \
         (sysctl kernel.unprivileged_userns_clone=1, or on Ubuntu \
         kernel.apparmor_restrict_unprivileged_userns=0); in a container start it with \
         --privileged, or use a virtual machine",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_in_another_version_is_missing_and_one_for_another_machine_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let lock = serde_json::json!({ "packages": {
            "": { "name": "root" },
            "node_modules/a": { "version": "1.0.0" },
            "node_modules/b": { "version": "2.0.0", "os": ["plan9"] },
        }});
        let missing = || first_missing_package(folder.path(), &lock);
        assert_eq!(missing().as_deref(), Some("node_modules/a 1.0.0"));
        let place = folder.path().join("node_modules/a");
        fs::create_dir_all(&place).expect("made");
        fs::write(place.join("package.json"), "{\"version\":\"1.0.1\"}").expect("written");
        assert_eq!(missing().as_deref(), Some("node_modules/a 1.0.0"));
        fs::write(place.join("package.json"), "{\"version\":\"1.0.0\"}").expect("written");
        assert_eq!(missing(), None);
    }

    #[test]
    fn programs_are_found_on_the_path_alone() {
        assert!(on_path("sh"));
        assert!(!on_path("no-such-program"));
    }
}
