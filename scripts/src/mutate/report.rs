//! The campaign's result as a table, and whether it is good enough.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use super::Mutant;
use super::copy::Verdict;

/// Least killed of a sample, in percent.
const GOAL: f64 = 98.0;
const NO_REASON: &str = "**no reason given**";
/// How the reason of a survivor begins that no test could kill: it does what the source does.
const EQUIVALENT: &str = "equivalent: ";

pub enum Title {
    Sample { seed: u64, pool: usize },
    Events,
}

impl Title {
    fn begin(&self) -> &'static str {
        match self {
            Self::Sample { .. } => "## Sample",
            Self::Events => "## Every mutant of an event",
        }
    }
}

#[derive(Default)]
struct Count {
    killed: usize,
    timed_out: usize,
    survived: usize,
}

/// Rewrites one section of the report; keeps the other, and the reasons given by hand.
pub fn write(
    path: &Path,
    folder: &Path,
    title: &Title,
    tested: &[(Mutant, Verdict, f64)],
) -> Result<()> {
    let old = fs::read_to_string(path).unwrap_or_default();
    let section = section(title, tested, folder, &old)?;
    let mut parts: BTreeMap<bool, String> = BTreeMap::new();
    for text in old.split("\n## ").skip(1) {
        let text = format!("## {}\n", text.trim_end());
        parts.insert(text.starts_with(Title::Events.begin()), text);
    }
    parts.insert(matches!(title, Title::Events), section.clone());
    let body: Vec<&str> = parts.values().map(|text| text.trim_end()).collect();
    fs::write(path, format!("{HEAD}\n{}\n", body.join("\n\n")))
        .with_context(|| format!("cannot write {}", path.display()))?;
    println!("{section}");
    judge(tested, &section)
}

const HEAD: &str = "\
Mutants of `src`, tested by the branch trees alone: what `cargo xtask contracts mutate` found.

One place of one source is changed, by an operator of slither-mutate (in capitals) or of ours, and
the tests that stand beside a `.tree` run on it. What does not compile, or to the same bytecode,
does not count; what the language makes the same (`tools/mutants.py` lists it) is not tried. The
sample is the first of all mutants in the order of its seed. The reason behind a survivor is
written by hand and kept when the command writes this file again; without one the command fails.
One that begins with `equivalent: ` shows that the mutant does what the source does in every case:
it is no kill, and counts on neither side of the score. Of a sample 98 % must be killed, of the
mutants of events all.

`cargo xtask contracts mutate` writes the first section, with `--events` the second.
";

fn judge(tested: &[(Mutant, Verdict, f64)], section: &str) -> Result<()> {
    let alive = tested.iter().filter(|(_, verdict, _)| matches!(verdict, Verdict::Survived));
    let of_events = alive.clone().filter(|(mutant, ..)| mutant.is_of_event()).count();
    ensure!(of_events == 0, "{of_events} mutants of events are alive: test these fields");
    let score = percent(tested.len() - alive.count(), tested.len() - equivalent(section));
    ensure!(score >= GOAL, "{score:.1} % killed is less than {GOAL} %: test the survivors");
    ensure!(!section.contains(NO_REASON), "a survivor has no reason: write it into the table");
    Ok(())
}

fn section(
    title: &Title,
    tested: &[(Mutant, Verdict, f64)],
    folder: &Path,
    old: &str,
) -> Result<String> {
    let mut counts: BTreeMap<&str, Count> = BTreeMap::new();
    let mut survivors = Vec::new();
    let mut seconds = 0.0;
    for (mutant, verdict, took) in tested {
        let count = counts.entry(&mutant.operator).or_default();
        seconds += took;
        match verdict {
            Verdict::Killed { .. } => count.killed += 1,
            Verdict::TimedOut => count.timed_out += 1,
            Verdict::Survived => {
                count.survived += 1;
                survivors.push(mutant);
            }
            Verdict::Uncompilable | Verdict::Same => {}
        }
    }
    let mut rows = String::new();
    for mutant in &survivors {
        let row = row(mutant, folder)?;
        rows += &format!("{row} {} |\n", reason(old, &row));
    }
    let (all, killed, same) = (tested.len(), tested.len() - survivors.len(), equivalent(&rows));
    let mut text = format!("{}\n", title.begin());
    if let Title::Sample { seed, pool } = title {
        text += &format!("Seed {seed}, from {pool} mutants, many of which do not compile. ");
    }
    text += &format!(
        "{}: {all} tested, {killed} killed ({:.1} %). Without the {same} that are equivalent: \
         **{killed} of {} killed, {:.1} %**. {:.1} s each.\n\n",
        today()?,
        percent(killed, all),
        all - same,
        percent(killed, all - same),
        per(seconds, all),
    );
    text += "| operator | killed | by the time limit | survived |\n|---|---|---|---|\n";
    for (operator, Count { killed, timed_out, survived }) in counts {
        text += &format!("| {operator} | {killed} | {timed_out} | {survived} |\n");
    }
    if !survivors.is_empty() {
        text += "\n| survivor | operator | line | mutant | why |\n|---|---|---|---|---|\n";
    }
    Ok(text + &rows)
}

/// Survivors whose reason says that no test could tell them from the source.
fn equivalent(rows: &str) -> usize {
    rows.lines().filter(|row| row.contains(&format!(" | {EQUIVALENT}"))).count()
}

/// All cells but the last.
pub fn row(mutant: &Mutant, folder: &Path) -> Result<String> {
    let Mutant { file, line, operator, start, end, new } = mutant;
    let source = fs::read_to_string(folder.join(file))?;
    let parts = (source.get(..*start), source.get(*start..*end), source.get(*end..));
    let (Some(before), Some(old), Some(after)) = parts else {
        bail!("a mutant beyond its file's end: {file}:{line}");
    };
    // The whole line: what differs is often but a sign.
    let before = before.rsplit('\n').next().unwrap_or_default();
    let after = after.split('\n').next().unwrap_or_default();
    let whole = |changed: &str| cell(&format!("{before}{changed}{after}"));
    Ok(format!("| {file}:{line} | {operator} | `{}` | `{}` |", whole(old), whole(new)))
}

/// One line without the sign that ends a cell.
fn cell(text: &str) -> String {
    const LONGEST: usize = 160; // a cut statement can still be found by its line
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ").replace('|', "\\|").replace('`', "'");
    line.chars().take(LONGEST).collect()
}

/// What stands behind this survivor in the old report, wherever its line has moved.
fn reason(old: &str, row: &str) -> String {
    let key = |row: &str| {
        let (place, rest) = row.split_once(" | ")?;
        Some((place.split(':').next()?.to_owned(), rest.to_owned()))
    };
    let found = old.lines().find_map(|line| {
        let (cells, why) = line.trim_end_matches('|').trim_end().rsplit_once(" | ")?;
        (key(&format!("{cells} |")) == key(row)).then_some(why)
    });
    found.unwrap_or(NO_REASON).to_owned()
}

fn today() -> Result<String> {
    let output = std::process::Command::new("date").args(["-u", "+%Y-%m-%d"]).output()?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

#[allow(clippy::cast_precision_loss, reason = "counts of a sample")]
fn percent(part: usize, all: usize) -> f64 {
    if all == 0 { 0.0 } else { part as f64 * 100.0 / all as f64 }
}

#[allow(clippy::cast_precision_loss, reason = "counts of a sample")]
fn per(seconds: f64, all: usize) -> f64 {
    if all == 0 { 0.0 } else { seconds / all as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_follows_its_survivor_to_another_line() {
        let row = "| src/A.sol:7 | ROR | `a < b` | `a <= b` |";
        let old = "| src/A.sol:5 | ROR | `a < b` | `a <= b` | never equal |";
        assert_eq!(reason(old, row), "never equal");
        assert_eq!(reason(&old.replace("src/A", "src/B"), row), NO_REASON);
        assert_eq!(reason(&old.replace("<= b", "> b"), row), NO_REASON);
    }

    #[test]
    fn a_survivor_of_an_event_fails_the_campaign_and_so_does_one_without_reason() {
        let mutant = |operator: &str| Mutant {
            file: "src/A.sol".to_owned(),
            operator: operator.to_owned(),
            line: 1,
            start: 0,
            end: 0,
            new: String::new(),
        };
        let killed = Verdict::Killed { suite: String::new(), test: String::new() };
        let mut tested = vec![(mutant("CR"), killed, 1.0); 99];
        assert!(judge(&tested, "").is_ok());
        tested.push((mutant("CR"), Verdict::Survived, 1.0));
        assert!(judge(&tested, "").is_ok());
        assert!(judge(&tested, NO_REASON).is_err());
        tested.push((mutant("CR"), Verdict::Survived, 1.0));
        tested.push((mutant("CR"), Verdict::Survived, 1.0));
        assert!(judge(&tested, "").is_err());
        let row = "| src/A.sol:1 | CR | `a` | `b` | equivalent: b is a |\n";
        assert!(judge(&tested, row).is_ok(), "99 of 101");
        assert!(judge(&tested, &row.replace("equivalent: ", "")).is_err(), "99 of 102");
        let events = [(mutant("event field"), Verdict::Survived, 1.0)];
        assert!(judge(&events, "").is_err());
    }
}
