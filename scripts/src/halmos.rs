//! Proves the symbolic properties of the escrow with halmos, and that each can fail: every mutant
//! of the sources must break the property that is named beside it.

mod mutants;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::{foundry, python, steps};
use mutants::{MUTANTS, Mutant};

const FOLDER: &str = "contracts/test/symbolic";
const OUT: &str = "out-symbolic";
/// For one assertion: a hundred times what the longest takes on two calm cores, since a busy
/// machine is no reason to call a property unproved.
const SOLVER: &str = "1200s";
/// For one branch. Its default of a millisecond follows impossible paths on a busy machine.
const BRANCHING: &str = "10ms";
/// What halmos calls these two ends, in its report.
const COUNTEREXAMPLE: u64 = 1;
const OUT_OF_TIME: u64 = 2;

const LIMIT: Duration = Duration::from_secs(60 * 60);

/// How many mutants are run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mutants {
    /// One for each file of properties, which shows that halmos can be red at all.
    Few,
    All,
}

/// Both halves: the properties hold, and can fail.
pub fn run(root: &Path, which: Mutants) -> Result<()> {
    properties(root)?;
    mutants(root, which)
}

/// Fails unless every property holds.
pub fn properties(root: &Path) -> Result<()> {
    let wanted = names(root)?;
    let proved = prove(root, &root.join("contracts"), &[])?;
    for (name, code) in &proved {
        match *code {
            0 => {}
            COUNTEREXAMPLE => bail!("{name} does not hold; its counterexample is above"),
            OUT_OF_TIME => bail!("{name} is not proved: the solver ran out of time"),
            other => bail!("{name} is not proved: halmos ended it with {other}"),
        }
    }
    let proved: BTreeSet<String> = proved.into_iter().map(|(name, _)| name).collect();
    ensure!(proved == wanted, "halmos ran {} of {} properties", proved.len(), wanted.len());
    println!("halmos: {} properties proved", proved.len());
    Ok(())
}

/// Fails unless each mutant is caught by its property.
pub fn mutants(root: &Path, which: Mutants) -> Result<()> {
    let wanted = names(root)?;
    let aimed: BTreeSet<String> = MUTANTS.iter().map(|one| one.property.to_owned()).collect();
    ensure!(aimed == wanted, "without a mutant or a property: {:?}", &aimed ^ &wanted);
    let mut missed = Vec::new();
    let chosen = MUTANTS.iter().filter(|one| which == Mutants::All || one.is_first);
    for mutant in chosen {
        let start = Instant::now();
        let is_caught = is_caught(root, mutant)
            .with_context(|| format!("mutant of {} for {}", mutant.file, mutant.property))?;
        let word = if is_caught { "caught" } else { "MISSED" };
        let took = start.elapsed().as_secs_f64();
        println!("{word} {took:6.1} s  {}: `{}` -> `{}`", mutant.property, mutant.old, mutant.new);
        if !is_caught {
            missed.push(mutant.property);
        }
    }
    ensure!(missed.is_empty(), "these properties missed a mutant: {}", missed.join(", "));
    Ok(())
}

/// Every function of the folder that halmos takes for a property.
fn names(root: &Path) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(root.join(FOLDER)).context("cannot list the symbolic properties")? {
        let text = fs::read_to_string(entry?.path())?;
        let functions = text.split("function ").skip(1);
        let named = functions.filter_map(|rest| rest.split('(').next());
        names.extend(named.filter(|name| name.starts_with("check_")).map(str::to_owned));
    }
    Ok(names)
}

/// Whether halmos finds a counterexample in a copy of the project with the mutant in it.
fn is_caught(root: &Path, mutant: &Mutant) -> Result<bool> {
    let scratch = tempfile::tempdir().context("cannot make a scratch folder")?;
    let place = scratch.path();
    copy(root, place, mutant)?;
    let source = place.join("src").join(mutant.file);
    let text = fs::read_to_string(&source)?;
    let found = text.matches(mutant.old).count();
    ensure!(found == 1, "`{}` stands {found} times in {}, not once", mutant.old, mutant.file);
    fs::write(&source, text.replace(mutant.old, mutant.new))?;
    let pattern = format!(r"^{}\(", mutant.property);
    let results = prove(root, place, &["--early-exit", "--match-test", &pattern])?;
    match results.as_slice() {
        [(_, 0)] => Ok(false),
        [(_, COUNTEREXAMPLE)] => Ok(true),
        other => bail!("halmos came to no end: {other:?}"),
    }
}

/// The sources and the one file of properties that the mutant needs.
fn copy(root: &Path, place: &Path, mutant: &Mutant) -> Result<()> {
    let contracts = root.join("contracts");
    for folder in ["src", "test/doubles", "test/symbolic"] {
        fs::create_dir_all(place.join(folder))?;
    }
    for entry in fs::read_dir(contracts.join("src"))? {
        let entry = entry?;
        fs::copy(entry.path(), place.join("src").join(entry.file_name()))?;
    }
    let properties = format!("test/symbolic/{}.sol", mutant.properties);
    let others = ["foundry.toml", "test/Vm.sol", "test/doubles/LegacyRndr.sol"];
    for file in others.into_iter().chain(["test/symbolic/Ground.sol", &properties]) {
        fs::copy(contracts.join(file), place.join(file)).with_context(|| file.to_owned())?;
    }
    for name in ["node_modules", "solc.mjs"] {
        std::os::unix::fs::symlink(contracts.join(name), place.join(name))?;
    }
    Ok(())
}

/// Name and outcome of each property that halmos ran.
fn prove(root: &Path, project: &Path, more: &[&str]) -> Result<Vec<(String, u64)>> {
    let scratch = tempfile::tempdir().context("cannot make a scratch folder")?;
    let report = scratch.path().join("report.json");
    let mut halmos = Command::new(python::program(root, "halmos")?);
    halmos.args(["--forge-build-out", OUT, "--no-status", "--solver-timeout-assertion", SOLVER]);
    halmos.args(["--solver-timeout-branching", BRANCHING]);
    halmos.arg("--json-output").arg(&report).args(more).current_dir(project);
    halmos.env("FOUNDRY_PROFILE", "symbolic");
    foundry::on_path(root, &mut halmos)?;
    let ended = steps::run(&mut halmos, LIMIT);
    // A counterexample makes it exit with 1; the report says more, if there is one.
    let text = match fs::read(&report) {
        Ok(text) => text,
        Err(_) => {
            ended?;
            bail!("halmos left no report");
        }
    };
    let report: Value = serde_json::from_slice(&text).context("halmos' report is no JSON")?;
    let tests = report["test_results"].as_object().context("halmos' report lacks test_results")?;
    let mut results = Vec::new();
    for test in tests.values().filter_map(Value::as_array).flatten() {
        let name = test["name"].as_str().context("a result without a name")?;
        let code = test["exitcode"].as_u64().context("a result without an exit code")?;
        let name = name.split('(').next().unwrap_or(name);
        results.push((name.to_owned(), code));
    }
    Ok(results)
}
