//! Starts the benchmark as a release build, beside a PostgreSQL server of its own.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use crate::postgres::{Cluster, Keeping};
use crate::steps;

/// A release build of everything, and runs of some minutes each: only a hang takes longer.
const LIMIT: Duration = Duration::from_secs(4 * 60 * 60);

/// `bench index`, with the options as they are given.
pub fn index(root: &Path, options: &[&str]) -> Result<()> {
    let mut build = Command::new("cargo");
    build.args(["build", "--release", "--locked", "--bin", "rndr", "--bin", "bench"]);
    steps::run(build.current_dir(root), LIMIT)?;
    println!("cargo xtask bench index {}", options.join(" "));
    println!("{}", revision(root));
    // As a server in use keeps it, else its figures would be those of nobody.
    let cluster = Cluster::start(Keeping::Durable)?;
    println!("{}", cluster.version()?);
    let mut run = Command::new("cargo");
    run.args(["run", "--quiet", "--release", "--locked", "--bin", "bench", "--", "index"]);
    run.args(options).current_dir(root).env("RNDR_TEST_POSTGRES", cluster.url());
    steps::run(&mut run, LIMIT)
}

/// The commit that is measured, and whether it is all of it.
fn revision(root: &Path) -> String {
    let git = Command::new("git")
        .args(["describe", "--always", "--dirty"])
        .current_dir(root)
        .output()
        .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
        .unwrap_or_default();
    format!("rndr at commit {git}")
}
