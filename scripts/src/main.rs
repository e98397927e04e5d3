//! `cargo xtask`: what people and CI both run; lists the tasks and starts one.

mod foundry;
mod generated;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use generated::Mode;

const USAGE: &str = "\
usage: cargo xtask <task>
  contracts write|check     ABI and bytecode in contracts/artifacts
  openapi write|check       api/openapi.json
  tidy [--write]            the house rules; --write prints the tree into ARCHITECTURE.md";

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
        ["contracts", "write"] => generated::contracts(&root, Mode::Write)?,
        ["contracts", "check"] => generated::contracts(&root, Mode::Check)?,
        ["openapi", "write"] => generated::openapi(&root, Mode::Write)?,
        ["openapi", "check"] => generated::openapi(&root, Mode::Check)?,
        ["tidy"] => tidy::run(&root, false)?,
        ["tidy", "--write"] => tidy::run(&root, true)?,
        _ => anyhow::bail!("no such task: `{}`\n{USAGE}", words.join(" ")),
    }
    Ok(ExitCode::SUCCESS)
}

/// The project's folder, wherever the task is started from.
fn root() -> Result<PathBuf> {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR"));
    scripts.parent().map(Path::to_owned).context("the scripts package has no parent folder")
}
