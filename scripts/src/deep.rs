//! Everything about the contracts that takes too long for every run of the checks.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Result, bail};

use crate::halmos::{self, Mutants};
use crate::steps::{self, Step, Work};
use crate::{coverage, foundry, mutate};

/// One part: what `cargo xtask contracts deep NAME` runs, and how deep it goes.
struct Part {
    name: &'static str,
    figures: &'static str,
    work: for<'a> fn(&'a Path) -> Work<'a>,
}

const PARTS: &[Part] = &[
    Part { name: "coverage", figures: "the trees and attacks", work: covered },
    Part { name: "fuzz", figures: "200,000 runs of each test", work: fuzz },
    Part { name: "invariants", figures: "500 runs of 500 calls", work: invariants },
    Part { name: "halmos", figures: "all properties and mutants", work: symbolic },
    Part { name: "model", figures: "1,000,000 random calls", work: model },
    Part { name: "mutate", figures: "a sample against the trees", work: mutated },
    Part { name: "events", figures: "every mutant of an event", work: of_events },
];

const LIMIT: Duration = Duration::from_secs(12 * 60 * 60); // a night

/// Runs the named parts, or all, and prints a table at the end; a part that was stopped or red can
/// be run again by its name.
pub fn run(root: &Path, names: &[&str]) -> Result<ExitCode> {
    if let Some(unknown) = names.iter().find(|name| PARTS.iter().all(|part| part.name != **name)) {
        let known: Vec<&str> = PARTS.iter().map(|part| part.name).collect();
        bail!("no such part: `{unknown}`; there are: {}", known.join(", "));
    }
    let chosen = || PARTS.iter().filter(|part| names.is_empty() || names.contains(&part.name));
    let steps = chosen().map(|part| Step { name: part.name, work: (part.work)(root) }).collect();
    let outcomes = steps::run_all(steps);
    println!("{:<12} {:<28} {:>10}  result", "part", "figures", "time");
    for (part, outcome) in chosen().zip(&outcomes) {
        let result = if outcome.failure.is_none() { "green" } else { "RED" };
        let took = outcome.took.as_secs();
        println!("{:<12} {:<28} {took:>8} s  {result}", part.name, part.figures);
    }
    Ok(steps::conclude(&outcomes))
}

fn fuzz(root: &Path) -> Work<'_> {
    let mut command = forge(root, &["--no-match-contract", "InvariantsTest"]);
    command.env("FOUNDRY_FUZZ_RUNS", "200000");
    Work::Program(command, LIMIT)
}

fn invariants(root: &Path) -> Work<'_> {
    let mut command = forge(root, &["--match-contract", "InvariantsTest"]);
    command.env("FOUNDRY_INVARIANT_RUNS", "500").env("FOUNDRY_INVARIANT_DEPTH", "500");
    Work::Program(command, LIMIT)
}

/// The reference model's campaign; its output names the seed, and what every call came to.
fn model(root: &Path) -> Work<'_> {
    let mut command = Command::new("cargo");
    command.args(["test", "--workspace", "--locked", "--test", "stories", "model::"]);
    command.args(["--", "--nocapture"]).current_dir(root).env("RNDR_MODEL_CALLS", "1000000");
    Work::Program(command, LIMIT)
}

fn covered(root: &Path) -> Work<'_> {
    Work::Inside(Box::new(|| coverage::run(root)))
}

fn symbolic(root: &Path) -> Work<'_> {
    Work::Inside(Box::new(|| halmos::run(root, Mutants::All)))
}

fn mutated(root: &Path) -> Work<'_> {
    Work::Inside(Box::new(|| mutate::run(root, &mutate::Plan::parse(&[])?)))
}

fn of_events(root: &Path) -> Work<'_> {
    Work::Inside(Box::new(|| mutate::run(root, &mutate::Plan::parse(&["--events"])?)))
}

fn forge(root: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(foundry::program(root, "forge"));
    command.arg("test").args(words).current_dir(root.join("contracts"));
    command
}
