//! Everything that must be green before a change lands, as one list of steps.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::Result;

use crate::generated::{self, Mode};
use crate::halmos::{self, Mutants};
use crate::postgres::{Cluster, Keeping};
use crate::steps::{self, Step, Work};
use crate::{foundry, planted, slither, tidy};

/// The variable by which store tests and stories find the PostgreSQL that CI started.
const POSTGRES_VARIABLE: &str = "RNDR_TEST_POSTGRES";

// Limits are ten times what a step takes on two calm cores, so only a hang meets them.
const SHORT: Duration = Duration::from_secs(5 * 60);
const LONG: Duration = Duration::from_secs(40 * 60);

const NIGHT: Duration = Duration::from_secs(12 * 60 * 60); // with all seeds

/// Set to 1, random tests are played from all their seeds.
const FULL_VARIABLE: &str = "RNDR_FULL";

/// From how many seeds the random tests of chain faults are played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seeds {
    Few,
    All,
}

/// Runs every step; the exit code is 0 only when all were green.
pub fn run(root: &Path, seeds: Seeds) -> ExitCode {
    steps::conclude(&steps::run_all(all(root, seeds)))
}

fn all(root: &Path, seeds: Seeds) -> Vec<Step<'_>> {
    let mut steps = vec![
        inside("tidy", || tidy::run(root, false)),
        cargo(root, "rustfmt", SHORT, &["fmt", "--all", "--check"]),
        inside("planted red tests", || planted::check(root)),
        inside("contracts check", || generated::contracts(root, Mode::Check)),
        forge(root, "forge fmt", SHORT, &["fmt", "--check"]),
        forge(root, "forge lint", SHORT, &["lint", "--deny", "warnings", "src"]),
        inside("halmos", || halmos::run(root, Mutants::Few)),
        inside("slither", || slither::run(root)),
        // Two minutes of one core from an empty folder, so five would be too near.
        forge(root, "forge build", LONG, &["build", "--sizes"]),
        forge(root, "forge test", LONG, &["test"]),
        forge(root, "forge snapshot", LONG, SNAPSHOT),
        cargo(root, "clippy", LONG, CLIPPY),
        cargo(root, "build", LONG, &["build", "--workspace", "--all-targets", "--locked"]),
        inside("openapi check", || generated::openapi(root, Mode::Check)),
        inside("cargo test on SQLite", move || test(root, None, seeds)),
        inside("cargo test on PostgreSQL", move || {
            let cluster = Cluster::start(Keeping::Nothing)?;
            test(root, Some(&cluster), seeds)
        }),
    ];
    if seeds == Seeds::All {
        steps.push(cargo(root, "clippy with Parquet", LONG, PARQUET_CLIPPY));
        steps.push(cargo(root, "exports with Parquet", LONG, PARQUET));
    }
    steps
}

const SNAPSHOT: &[&str] =
    &["snapshot", "--isolate", "--check", "--tolerance", "2", "--match-path", "test/Gas.t.sol"];

const TEST: &[&str] = &["test", "--workspace", "--locked", "--no-fail-fast"];

/// Another feature set builds half of our packages again, so only the full run does.
const PARQUET: &[&str] = &[
    "test",
    "--workspace",
    "--locked",
    "--features",
    "rndr/parquet",
    "--test",
    "stories",
    "books",
];

const PARQUET_CLIPPY: &[&str] = &[
    "clippy",
    "--workspace",
    "--all-targets",
    "--locked",
    "--features",
    "rndr/parquet",
    "--",
    "-D",
    "warnings",
];

const CLIPPY: &[&str] =
    &["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];

fn inside<'a>(name: &'static str, work: impl FnOnce() -> Result<()> + 'a) -> Step<'a> {
    Step { name, work: Work::Inside(Box::new(work)) }
}

fn cargo(root: &Path, name: &'static str, limit: Duration, words: &[&str]) -> Step<'static> {
    let mut command = Command::new("cargo");
    command.args(words).current_dir(root).env_remove(POSTGRES_VARIABLE);
    Step { name, work: Work::Program(command, limit) }
}

fn forge(root: &Path, name: &'static str, limit: Duration, words: &[&str]) -> Step<'static> {
    let mut command = Command::new(foundry::program(root, "forge"));
    command.args(words).current_dir(root.join("contracts"));
    Step { name, work: Work::Program(command, limit) }
}

fn test(root: &Path, on: Option<&Cluster>, seeds: Seeds) -> Result<()> {
    let mut command = Command::new("cargo");
    command.args(TEST).current_dir(root).env_remove(POSTGRES_VARIABLE);
    if let Some(cluster) = on {
        command.env(POSTGRES_VARIABLE, cluster.url());
    }
    let limit = match seeds {
        Seeds::Few => LONG,
        Seeds::All => NIGHT,
    };
    let full = if seeds == Seeds::All { "1" } else { "0" };
    steps::run(command.env(FULL_VARIABLE, full), limit)
}
