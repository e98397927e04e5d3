//! `cargo xtask`: what people and CI both run; lists the tasks and starts one.

mod bench;
mod ci;
mod coverage;
mod deep;
mod foundry;
mod generated;
mod halmos;
mod mutate;
mod planted;
mod postgres;
mod python;
mod setup;
mod slither;
mod steps;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use ci::Seeds;
use generated::Mode;
use halmos::Mutants;
use setup::Purpose;

const USAGE: &str = "\
usage: cargo xtask <task>
  setup [--test|--bench]    install what the demo, the tests or the benchmark need
  ci [--full]               every check and test, with the time of each; --full plays
                            the random tests of chain faults from all their seeds,
                            and builds and plays exports as Parquet
  tidy [--write]            the house rules; --write prints the tree into ARCHITECTURE.md
  contracts write|check     ABI and bytecode in contracts/artifacts
  contracts deep [PART ..]  what takes hours: fuzz, invariants, halmos, mutate
  contracts coverage        lines, branches and functions that no Solidity test reaches
  contracts slither         static analysis of contracts/src
  contracts mutate [--seed S] [--sample N] [--part i/n] [--events]
                            mutants of contracts/src against the branch trees
  contracts halmos [all]    symbolic properties, and a few or all of their mutants
  openapi write|check       api/openapi.json
  bench index [OPTION ..]   what the index costs, figures of a release build; --help says more
  planted                   shows that a red test turns CI red";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<ExitCode> {
    let root = root()?;
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["ci"] => return Ok(ci::run(&root, Seeds::Few)),
        ["ci", "--full"] => return Ok(ci::run(&root, Seeds::All)),
        ["setup"] => setup::run(&root, Purpose::Demo)?,
        ["setup", "--test"] => setup::run(&root, Purpose::Tests)?,
        ["setup", "--bench"] => setup::run(&root, Purpose::Bench)?,
        ["bench", "index", options @ ..] => bench::index(&root, options)?,
        ["tidy"] => tidy::run(&root, false)?,
        ["tidy", "--write"] => tidy::run(&root, true)?,
        ["contracts", "write"] => generated::contracts(&root, Mode::Write)?,
        ["contracts", "check"] => generated::contracts(&root, Mode::Check)?,
        ["contracts", "halmos"] => halmos::run(&root, Mutants::Few)?,
        ["contracts", "halmos", "all"] => halmos::run(&root, Mutants::All)?,
        ["contracts", "deep", parts @ ..] => return deep::run(&root, parts),
        ["contracts", "coverage"] => coverage::run(&root)?,
        ["contracts", "slither"] => slither::run(&root)?,
        ["contracts", "mutate", options @ ..] => {
            mutate::run(&root, &mutate::Plan::parse(options)?)?
        }
        ["openapi", "write"] => generated::openapi(&root, Mode::Write)?,
        ["openapi", "check"] => generated::openapi(&root, Mode::Check)?,
        ["planted"] => planted::check(&root)?,
        ["help" | "--help" | "-h"] => println!("{USAGE}"),
        _ => bail!("no such task: `{}`\n{USAGE}", words.join(" ")),
    }
    Ok(ExitCode::SUCCESS)
}

/// The project's folder, wherever the task is started from.
fn root() -> Result<PathBuf> {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR"));
    scripts.parent().map(Path::to_owned).context("the scripts package has no parent folder")
}
