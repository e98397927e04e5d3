//! Plants a red forge test, a red cargo test and a flaw that slither knows in a scratch project and
//! sends each through the runner of CI: a runner that lost an exit code would show them green.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::steps::{self, Step, Work};
use crate::{foundry, slither};

const LIMIT: Duration = Duration::from_secs(300); // each compiles one file of a few lines

const CARGO_TOML: &str = "\
[package]
name = \"planted\"
version = \"0.0.0\"
edition = \"2024\"

[workspace]
";

const SOURCE: &str = "\
// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;
contract Planted {
    function pay() external payable { payable(msg.sender).transfer(PAID); }
}
";

/// Fails unless each red plant turns the run red and its green twin keeps it green.
pub fn check(root: &Path) -> Result<()> {
    let folder = tempfile::tempdir().context("cannot make a scratch folder")?;
    for (name, sum, must_be_green) in [("green", 2, true), ("red", 3, false)] {
        println!("planting tests that must be {name}");
        let place = folder.path().join(name);
        plant(root, &place, sum).with_context(|| format!("cannot plant the {name} project"))?;
        for step in [forge_test(root, &place), cargo_test(&place), slither(root, &place)?] {
            let what = step.name;
            let outcomes = steps::run_all(vec![step]);
            if steps::is_green(&outcomes) != must_be_green {
                bail!("the {name} {what} was not {name}: this runner cannot be trusted");
            }
            let why = outcomes.iter().find_map(|outcome| outcome.failure.as_deref());
            let by_exit_code = why.is_none_or(|why| why.contains("exited with"));
            ensure!(by_exit_code, "the {name} {what} did not run to its end: {why:?}");
        }
    }
    println!("planted: each red one turned the run red, each green one kept it green");
    Ok(())
}

/// Two tests, in Solidity and in Rust, that one and one make `sum`, and a contract that pays anyone
/// its balance, or back what the caller brought.
fn plant(root: &Path, place: &Path, sum: u32) -> Result<()> {
    fs::create_dir_all(place.join("src"))?;
    fs::create_dir_all(place.join("test"))?;
    fs::write(place.join("Cargo.toml"), CARGO_TOML)?;
    let rust = format!("#[test]\nfn planted() {{\n    assert_eq!(1 + 1, {sum});\n}}\n");
    fs::write(place.join("src/lib.rs"), rust)?;
    let solidity = format!(
        "// SPDX-License-Identifier: MIT\npragma solidity ^0.8.0;\ncontract PlantedTest {{\n    \
         function test_planted() external pure {{ require(1 + 1 == {sum}, \"planted\"); }}\n}}\n"
    );
    fs::write(place.join("test/Planted.t.sol"), solidity)?;
    let paid = if sum == 2 { "msg.value" } else { "address(this).balance" };
    fs::write(place.join("src/Planted.sol"), SOURCE.replace("PAID", paid))?;
    let solc = root.join("contracts/solc.mjs");
    let settings = format!("[profile.default]\nsolc = {:?}\noffline = true\n", solc.display());
    fs::write(place.join("foundry.toml"), settings)?;
    Ok(())
}

fn forge_test(root: &Path, place: &Path) -> Step<'static> {
    let mut command = Command::new(foundry::program(root, "forge"));
    command.arg("test").current_dir(place);
    quiet("forge test", command)
}

fn cargo_test(place: &Path) -> Step<'static> {
    let mut command = Command::new("cargo");
    command.args(["test", "--quiet", "--offline"]).current_dir(place);
    command.env("CARGO_TARGET_DIR", place.join("target"));
    quiet("cargo test", command)
}

fn slither(root: &Path, place: &Path) -> Result<Step<'static>> {
    Ok(quiet("slither", slither::command(root, place, "default")?))
}

/// What a planted test prints would only confuse the reader of a green run.
fn quiet(name: &'static str, mut command: Command) -> Step<'static> {
    command.stdout(Stdio::null()).stderr(Stdio::null());
    Step { name, work: Work::Program(command, LIMIT) }
}
