//! Mutation testing: a seeded sample of mutants of contracts/src against the branch trees alone.

mod compiler;
mod copy;
mod report;

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::{foundry, python, slither};
use copy::{Copy, Verdict};

/// Where the result is checked in.
const REPORT: &str = "contracts/test/mutants.md";
const SEED: u64 = 1;
const SAMPLE: usize = 160;

/// What the command line asks for.
pub struct Plan {
    seed: u64,
    /// Compilable mutants to test.
    sample: usize,
    /// Stop when this share of the sample is known: the journal keeps it for the next part.
    part: (usize, usize),
    /// Every mutant of an event instead of the sample.
    events: bool,
}

/// A change of one place, as contracts/tools/mutants.py prints it; places count bytes.
#[derive(Clone, Deserialize, Hash)]
struct Mutant {
    file: String,
    operator: String,
    line: usize,
    start: usize,
    end: usize,
    new: String,
}

/// A line of the journal: what became of one mutant of one state of sources and tests.
#[derive(Deserialize, Serialize)]
struct Entry {
    mutant: u64,
    tests: u64,
    verdict: Verdict,
    seconds: f64,
}

impl Plan {
    pub fn parse(words: &[&str]) -> Result<Self> {
        let mut plan = Self { seed: SEED, sample: SAMPLE, part: (1, 1), events: false };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            if *word == "--events" {
                plan.events = true;
                continue;
            }
            let value = words.next().with_context(|| format!("{word} needs a value"))?;
            match *word {
                "--seed" => plan.seed = value.parse().context("--seed takes a number")?,
                "--sample" => plan.sample = value.parse().context("--sample takes a number")?,
                "--part" => plan.part = part(value)?,
                _ => bail!("mutate knows no {word}: --seed, --sample, --part i/n or --events"),
            }
        }
        Ok(plan)
    }
}

fn part(text: &str) -> Result<(usize, usize)> {
    let (part, of) = text.split_once('/').context("--part is written i/n, as 1/3")?;
    let (part, of) = (part.parse().context("--part i/n")?, of.parse().context("--part i/n")?);
    ensure!(0 < part && part <= of, "--part i/n goes from 1/n to n/n");
    Ok((part, of))
}

/// Tests what the journal does not know yet; with the whole sample known, writes the report.
pub fn run(root: &Path, plan: &Plan) -> Result<()> {
    let place = root.join("target/mutants");
    let mut copy = Copy::make(root, &place)?;
    let pool = ordered(pool(root, copy.folder())?, plan);
    let mut journal = Journal::open(&place)?;
    let (goal, mut known) = (plan.sample * plan.part.0 / plan.part.1, Vec::new());
    copy.check_unchanged()?;
    for mutant in &pool {
        if !plan.events && known.len() == goal {
            break;
        }
        let key = key(&copy, mutant)?;
        let (verdict, seconds) = match journal.find(&copy, key) {
            Some(known) => known,
            None => {
                let start = Instant::now();
                let verdict = copy.test(mutant)?;
                let seconds = start.elapsed().as_secs_f64();
                let tests = copy.tests(verdict.killer())?;
                println!("{}", line(mutant, &verdict, seconds));
                if matches!(verdict, Verdict::Survived) {
                    println!("{}", report::row(mutant, copy.folder())?);
                }
                journal.add(Entry { mutant: key, tests, verdict: verdict.clone(), seconds })?;
                (verdict, seconds)
            }
        };
        if !matches!(verdict, Verdict::Uncompilable | Verdict::Same) {
            known.push((mutant.clone(), verdict, seconds));
        }
    }
    match plan.events {
        true => println!("all {} mutants of events are known", known.len()),
        false => println!("{} of {} mutants of the sample are known", known.len(), plan.sample),
    }
    if plan.part.0 != plan.part.1 {
        return Ok(());
    }
    let title = if plan.events {
        report::Title::Events
    } else {
        report::Title::Sample { seed: plan.seed, pool: pool.len() }
    };
    report::write(&root.join(REPORT), copy.folder(), &title, &known)
}

/// All mutants, from slither's mutators and our own, of the sources in the copy.
fn pool(root: &Path, folder: &Path) -> Result<Vec<Mutant>> {
    let mut python = Command::new(python::program(root, "python")?);
    python.arg(root.join("contracts/tools/mutants.py")).arg(slither::OUT).current_dir(folder);
    foundry::on_path(root, &mut python)?;
    let output = python.env("FOUNDRY_PROFILE", "fast").output();
    let output = output.context("cannot start Python; run `cargo xtask setup --test`")?;
    if !output.status.success() {
        bail!("mutants.py failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    serde_json::from_slice(&output.stdout).context("mutants.py printed no list of mutants")
}

/// Only those of events, or all of them in the order of the seed.
fn ordered(mut pool: Vec<Mutant>, plan: &Plan) -> Vec<Mutant> {
    if plan.events {
        pool.retain(Mutant::is_of_event);
    }
    pool.sort_by_cached_key(|mutant| {
        let mut hasher = DefaultHasher::new();
        (plan.seed, mutant).hash(&mut hasher);
        hasher.finish()
    });
    pool
}

impl Mutant {
    fn is_of_event(&self) -> bool {
        self.operator.starts_with("event")
    }
}

/// The mutant and every source that is compiled with it.
fn key(copy: &Copy, mutant: &Mutant) -> Result<u64> {
    let mut hasher = DefaultHasher::new();
    (mutant, copy.sources_beside(&mutant.file)).hash(&mut hasher);
    Ok(hasher.finish())
}

fn line(mutant: &Mutant, verdict: &Verdict, seconds: f64) -> String {
    let Mutant { file, line, operator, .. } = mutant;
    format!("{seconds:6.1} s  {file}:{line} {operator}: {verdict}")
}

/// Append-only, so that a campaign that was broken off goes on where it was.
struct Journal {
    entries: BTreeMap<u64, Entry>,
    file: File,
    path: PathBuf,
}

impl Journal {
    fn open(place: &Path) -> Result<Self> {
        let path = place.join("journal.jsonl");
        let file = OpenOptions::new().append(true).create(true).open(&path);
        let file = file.with_context(|| format!("cannot open {}", path.display()))?;
        let mut entries = BTreeMap::new();
        for line in BufReader::new(File::open(&path)?).lines() {
            // The last line may have been broken off: its mutant is tested again.
            if let Ok(entry) = serde_json::from_str::<Entry>(&line?) {
                entries.insert(entry.mutant, entry);
            }
        }
        Ok(Self { entries, file, path })
    }

    /// A kill stands while the test that did it does, a survival while all tests do.
    fn find(&self, copy: &Copy, mutant: u64) -> Option<(Verdict, f64)> {
        let entry = self.entries.get(&mutant)?;
        let tests = copy.tests(entry.verdict.killer()).ok()?;
        let stands =
            matches!(entry.verdict, Verdict::Uncompilable | Verdict::Same) || tests == entry.tests;
        stands.then(|| (entry.verdict.clone(), entry.seconds))
    }

    fn add(&mut self, entry: Entry) -> Result<()> {
        let line = serde_json::to_string(&entry)?;
        writeln!(self.file, "{line}")
            .with_context(|| format!("cannot write {}", self.path.display()))
    }
}

/// Text of all files below `folder` whose path pleases, in order of their paths.
fn texts(folder: &Path, pleases: &dyn Fn(&str) -> bool) -> Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(inner) = folders.pop() {
        let here = folder.join(&inner);
        for item in fs::read_dir(&here).with_context(|| format!("no {}", here.display()))? {
            let item = item?;
            let path = inner.join(item.file_name());
            let name = path.to_string_lossy().into_owned();
            if item.file_type()?.is_dir() {
                folders.push(path);
            } else if pleases(&name) {
                found.insert(name, fs::read_to_string(item.path())?);
            }
        }
    }
    Ok(found)
}
