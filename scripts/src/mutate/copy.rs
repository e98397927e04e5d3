//! A copy of the contracts in which mutants are compiled and tested, one after the other.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::compiler::{Compiler, Targets};
use super::{Mutant, texts};
use crate::{foundry, slither};

/// Forge's own folder for the artifacts of the fast profile.
const OUT: &str = "out-fast";
const TEST_LIMIT: Duration = Duration::from_secs(120); // three seconds on two calm cores
const PAUSE: Duration = Duration::from_millis(20); // far below the time of any run

/// What became of a mutant.
#[derive(Clone, Deserialize, Serialize)]
pub enum Verdict {
    Uncompilable,
    /// Its bytecode is that of the sources as they stand: no mutant at all.
    Same,
    Killed {
        suite: String,
        test: String,
    },
    TimedOut,
    Survived,
}

impl Verdict {
    /// Path of the test file that killed it.
    pub fn killer(&self) -> Option<&str> {
        match self {
            Self::Killed { suite, .. } => Some(suite),
            Self::Uncompilable | Self::Same | Self::TimedOut | Self::Survived => None,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uncompilable => write!(f, "does not compile"),
            Self::Same => write!(f, "compiles to the same"),
            Self::Killed { test, .. } => write!(f, "killed by {test}"),
            Self::TimedOut => write!(f, "killed by the time limit"),
            Self::Survived => write!(f, "SURVIVED"),
        }
    }
}

pub struct Copy {
    folder: PathBuf,
    forge: PathBuf,
    sources: BTreeMap<String, String>,
    tests: BTreeMap<String, String>,
    compiler: Compiler,
    contracts: Targets,
}

impl Copy {
    /// Copies sources and branch trees, and compiles both once; forge keeps what it knows.
    pub fn make(root: &Path, place: &Path) -> Result<Self> {
        let folder = place.join("contracts");
        let contracts = root.join("contracts");
        let sources = texts(&contracts.join("src"), &|path| path.ends_with(".sol"))?;
        let tests = branch_trees(&contracts.join("test"))?;
        fill(&folder.join("src"), &sources)?;
        fill(&folder.join("test"), &tests)?;
        for file in ["foundry.toml", "solc.mjs", "package.json"] {
            fs::copy(contracts.join(file), folder.join(file)).with_context(|| file.to_owned())?;
        }
        if !folder.join("node_modules").exists() {
            let modules = contracts.join("node_modules").canonicalize()?;
            std::os::unix::fs::symlink(modules, folder.join("node_modules"))?;
        }
        build_for_slither(root, &folder, &sources)?;
        let forge = foundry::program(root, "forge");
        let mut build = Command::new(&forge);
        build.args(["build", "--quiet"]).current_dir(&folder).env("FOUNDRY_PROFILE", "fast");
        crate::steps::run(&mut build, Duration::from_secs(1800))?;
        let compiler = Compiler::start(root, &folder)?;
        let contracts = deployable(&sources);
        Ok(Self { folder, forge, sources, tests, compiler, contracts })
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Hash of the tests that a verdict rests on: all, or one file and what tests import.
    pub fn tests(&self, killer: Option<&str>) -> Result<u64> {
        let mut hasher = DefaultHasher::new();
        for (path, text) in &self.tests {
            if killer.is_none_or(|killer| !path.ends_with(".t.sol") || killer.ends_with(path)) {
                (path, text).hash(&mut hasher);
            }
        }
        Ok(hasher.finish())
    }

    /// The sources of every contract that holds `file`, with their paths.
    pub fn sources_beside(&self, file: &str) -> Vec<(&String, &String)> {
        let targets = self.targets(file);
        let needed: BTreeSet<String> =
            targets.keys().flat_map(|target| self.closure(target)).collect();
        self.sources.iter().filter(|(path, _)| needed.contains(&format!("src/{path}"))).collect()
    }

    /// Contracts to compile when `file` changes: those that import it, and itself.
    fn targets(&self, file: &str) -> Targets {
        let holds = |target: &str| self.closure(target).contains(file);
        let targets = self.contracts.iter().filter(|(target, _)| holds(target));
        targets.map(|(target, names)| (target.clone(), names.clone())).collect()
    }

    /// A source and all that it imports from beside it.
    fn closure(&self, file: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut open = vec![file.to_owned()];
        while let Some(path) = open.pop() {
            let name = path.trim_start_matches("src/").to_owned();
            if let Some(text) = self.sources.get(&name).filter(|_| found.insert(path)) {
                let imports = text.split("from \"./").skip(1);
                open.extend(
                    imports.filter_map(|rest| Some(format!("src/{}", rest.split_once('"')?.0))),
                );
            }
        }
        found
    }

    /// All tests pass on what the warm compiler makes of the sources as they stand: else every
    /// mutant would look killed. Heals what a run that was broken off left behind.
    pub fn check_unchanged(&mut self) -> Result<()> {
        for target in self.contracts.keys().cloned().collect::<Vec<_>>() {
            let source = fs::read_to_string(self.folder.join(&target))?;
            let targets = self.targets(&target);
            let made = self.compiler.compile(&targets, &target, &source)?;
            let made = made.with_context(|| format!("{target} does not compile"))?;
            self.install(&made, &targets)?;
        }
        match self.run_tests()? {
            Verdict::Survived => Ok(()),
            verdict => bail!("without any mutant the tests fail: {verdict}"),
        }
    }

    /// Compiles one mutant, runs the branch trees on it, and puts everything back.
    pub fn test(&mut self, mutant: &Mutant) -> Result<Verdict> {
        let source = fs::read(self.folder.join(&mutant.file))?;
        let (before, after) = (source.get(..mutant.start), source.get(mutant.end..));
        let (before, after) = before.zip(after).context("a mutant beyond its file's end")?;
        let source = String::from_utf8([before, mutant.new.as_bytes(), after].concat())?;
        let targets = self.targets(&mutant.file);
        ensure!(!targets.is_empty(), "no contract holds {}", mutant.file);
        let Some(made) = self.compiler.compile(&targets, &mutant.file, &source)? else {
            return Ok(Verdict::Uncompilable);
        };
        let before = self.artifacts(&targets)?;
        self.install(&made, &targets)?;
        if self.artifacts(&targets)? == before {
            return Ok(Verdict::Same);
        }
        let verdict = self.run_tests();
        for (path, text) in before {
            fs::write(path, text)?;
        }
        verdict
    }

    fn artifacts(&self, targets: &Targets) -> Result<Vec<(PathBuf, String)>> {
        let read = |(file, name): (&String, &String)| {
            let path = artifact(&self.folder, file, name);
            let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            Ok((path, text))
        };
        each(targets).map(read).collect()
    }

    /// Puts bytecode into forge's artifacts, from which tests deploy. Forge compares sources, not
    /// artifacts, so it compiles nothing.
    fn install(&self, made: &Value, targets: &Targets) -> Result<()> {
        for (file, name) in each(targets) {
            let path = artifact(&self.folder, file, name);
            let mut all: Value = serde_json::from_slice(&fs::read(&path)?)?;
            for kind in ["bytecode", "deployedBytecode"] {
                let code = made[file][name]["evm"][kind]["object"].as_str();
                let code = code.with_context(|| format!("{name} came without {kind}"))?;
                all[kind]["object"] = json!(format!("0x{code}"));
            }
            fs::write(&path, serde_json::to_string(&all)?)?;
        }
        Ok(())
    }

    fn run_tests(&self) -> Result<Verdict> {
        let mut forge = Command::new(&self.forge);
        forge.args(["test", "--fail-fast", "--color", "never"]).current_dir(&self.folder);
        forge.env("FOUNDRY_PROFILE", "fast").stdin(Stdio::null()).stderr(Stdio::null());
        let log = self.folder.join("test.log");
        let mut child = forge.stdout(fs::File::create(&log)?).spawn()?;
        let start = Instant::now();
        let status = loop {
            match child.try_wait()? {
                Some(status) => break status,
                None if start.elapsed() > TEST_LIMIT => {
                    child.kill()?;
                    child.wait()?;
                    return Ok(Verdict::TimedOut);
                }
                None => std::thread::sleep(PAUSE),
            }
        };
        let log = fs::read_to_string(&log)?;
        match (status.success(), killer(&log)) {
            (true, None) if log.contains("Ran ") => Ok(Verdict::Survived),
            (false, Some((suite, test))) => Ok(Verdict::Killed { suite, test }),
            _ => bail!("forge said nothing of a test:\n{log}"),
        }
    }
}

/// File and name of the first test that failed.
fn killer(log: &str) -> Option<(String, String)> {
    let mut suite = "";
    for line in log.lines() {
        if let Some(rest) = line.split(" for ").nth(1).filter(|_| line.starts_with("Ran ")) {
            suite = rest.split(':').next().unwrap_or_default();
        }
        if line.starts_with("[FAIL") {
            // Reason, name with its parameters, figures in parentheses.
            let words = line.split(' ').filter(|word| word.contains('(') && word.contains(')'));
            let named = |word: &&str| word.starts_with("test") || word.starts_with("setUp");
            let name = words.into_iter().find(named)?.split('(').next()?;
            return Some((suite.to_owned(), name.to_owned()));
        }
    }
    None
}

/// Tests that stand beside a branch tree, and what they import: no other test counts here.
fn branch_trees(folder: &Path) -> Result<BTreeMap<String, String>> {
    let mut all = texts(folder, &|path| path.ends_with(".sol") || path.ends_with(".json"))?;
    let has_tree = |path: &&String| {
        path.strip_suffix(".t.sol").is_some_and(|stem| folder.join(format!("{stem}.tree")).exists())
    };
    let mut open: Vec<String> = all.keys().filter(has_tree).cloned().collect();
    let mut found = BTreeMap::new();
    while let Some(path) = open.pop() {
        let Some(text) = all.remove(&path) else { continue };
        let beside = Path::new(&path).parent().unwrap_or(Path::new("")).to_owned();
        for name in text.split("from \"").skip(1).filter_map(|rest| rest.split('"').next()) {
            let inside = match name.strip_prefix("../") {
                Some(name) => beside.parent().map(|above| above.join(name)),
                None => name.strip_prefix("./").map(|name| beside.join(name)),
            };
            open.extend(inside.map(|path| path.to_string_lossy().into_owned()));
        }
        found.insert(path, text);
    }
    // Of the others only those that one of these reads, since a verdict rests on all that is here.
    let is_read = |path: &str| found.values().any(|text| text.contains(&format!("/{path}\"")));
    let read: Vec<String> =
        all.keys().filter(|path| path.ends_with(".json") && is_read(path)).cloned().collect();
    found.extend(read.into_iter().filter_map(|path| all.remove_entry(&path)));
    Ok(found)
}

fn each(targets: &Targets) -> impl Iterator<Item = (&String, &String)> {
    targets.iter().flat_map(|(file, names)| names.iter().map(move |name| (file, name)))
}

fn artifact(folder: &Path, file: &str, name: &str) -> PathBuf {
    folder.join(OUT).join(file.trim_start_matches("src/")).join(format!("{name}.json"))
}

/// Contracts that can be deployed, by file.
fn deployable(sources: &BTreeMap<String, String>) -> Targets {
    let mut found = Targets::new();
    for (file, text) in sources {
        let declared = text.lines().filter_map(|line| line.strip_prefix("contract "));
        let first = |rest: &str| rest.split(' ').next().map(str::to_owned);
        let names: Vec<String> = declared.filter_map(first).collect();
        if !names.is_empty() {
            found.insert(format!("src/{file}"), names);
        }
    }
    found
}

/// The syntax trees that mutants are made from, made once for each state of the sources.
fn build_for_slither(root: &Path, folder: &Path, sources: &BTreeMap<String, String>) -> Result<()> {
    let stamp = folder.join(slither::OUT).join("sources");
    let mut hasher = DefaultHasher::new();
    sources.hash(&mut hasher);
    let hash = hasher.finish().to_string();
    if fs::read_to_string(&stamp).is_ok_and(|made| made == hash) {
        return Ok(());
    }
    slither::build(root, folder, "fast")?;
    fs::write(stamp, hash).context("cannot write into slither's folder")
}

/// Makes `folder` hold these files and no other; a file that did not change keeps its date.
fn fill(folder: &Path, files: &BTreeMap<String, String>) -> Result<()> {
    if folder.exists() {
        for gone in texts(folder, &|path| !files.contains_key(path))?.keys() {
            fs::remove_file(folder.join(gone))?;
        }
    }
    for (path, text) in files {
        let path = folder.join(path);
        if fs::read_to_string(&path).is_ok_and(|is| is == *text) {
            continue;
        }
        fs::create_dir_all(path.parent().context("a file has a folder")?)?;
        fs::write(&path, text)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_killer_is_the_first_test_that_failed_with_its_file() {
        let log = "\
Ran 2 tests for test/open.t.sol:OpenTest
[PASS] test_open_Works() (gas: 1)
Suite result: ok. 1 passed
Ran 2 tests for test/close.t.sol:CloseTest
[FAIL: call to f() failed; counterexample: x] testFuzz_close_Ends(uint256) (runs: 1)
[FAIL: other] test_close_Other() (gas: 1)";
        let killer = killer(log).expect("one failed");
        assert_eq!(killer, ("test/close.t.sol".to_owned(), "testFuzz_close_Ends".to_owned()));
    }

    #[test]
    fn contracts_that_can_be_deployed_are_neither_abstract_nor_libraries() {
        let text = "abstract contract A {}\nlibrary B {}\ncontract C is A {}\n";
        let found = deployable(&BTreeMap::from([("C.sol".to_owned(), text.to_owned())]));
        assert_eq!(found, Targets::from([("src/C.sol".to_owned(), vec!["C".to_owned()])]));
    }
}
