//! The house rules as one table; prints each violation as `path:line: rule: how to fix it`.

mod arrows;
mod branches;
mod lines;
mod mask;
mod matches;
mod packages;
mod rules;
mod source;
#[cfg(test)]
mod tests;
mod threats;
mod tree;

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use source::Source;

/// One violation. Line 0 means the file as a whole.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    pub path: String,
    pub line: usize,
    pub what: String,
}

impl Finding {
    pub fn new(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, what: what.into() }
    }
}

/// Everything tidy looks at.
pub struct House {
    pub sources: Vec<Source>,
    /// Paths of this machine that must not stand in any file.
    pub machine_paths: Vec<String>,
}

pub struct Rule {
    pub name: &'static str,
    pub fix: &'static str,
    pub check: fn(&House) -> Vec<Finding>,
}

/// Every rule that reads files. Rules about packages are in `packages.rs`.
pub const RULES: &[Rule] = &[
    rule("line-length", "break the line", rules::line_length),
    rule("file-length", "split the file by noun", rules::file_length),
    rule("function-length", "split the function", rules::function_length),
    rule("unit-tests", "move them to a sibling x/tests.rs", rules::unit_tests),
    rule("opening", "open with one sentence on its use", rules::opening),
    rule("drawer-name", "name it by its noun", rules::drawer_name),
    rule("top-entry", "keep it in one of the rooms", rules::top_entry),
    rule("listing-mod", "put code there or remove the folder", rules::listing_mod),
    rule("unwrap", "return an error that names cause and next step", lines::unwrap),
    rule("narrowing-as", "use From, or TryFrom with an error", lines::narrowing_as),
    rule("dropped-decode", "return the decode error", lines::dropped_decode),
    rule("limitless", "give it a named limit with its reason", lines::limitless),
    rule("reasonless-allow", "add reason = \"...\"", lines::reasonless_allow),
    rule("left-over", "finish it or take it out", lines::left_over),
    rule("trait", "use a function or an enum", lines::unlisted_trait),
    rule("wildcard", "name every variant", matches::wildcard),
    rule("impure", "take it as an argument", arrows::impure),
    rule("arrow", "move the code behind the arrow", arrows::arrow),
    rule("machine-path", "use a path relative to the project", lines::machine_path),
    rule("lock-host", "keep registry hosts out of lock files", lines::lock_host),
    rule("unexplained-table", "put a -- comment above it", lines::unexplained_table),
    rule("branch-tree", "keep x.tree and x.t.sol alike", branches::branch_tree),
    rule("threat-tests", "name tests that exist, and each attack", threats::threat_tests),
    rule("architecture", "run `cargo xtask tidy --write`", tree::stale),
];

const fn rule(name: &'static str, fix: &'static str, check: fn(&House) -> Vec<Finding>) -> Rule {
    Rule { name, fix, check }
}

/// Checks the whole project; with `write` first prints the tree into ARCHITECTURE.md.
pub fn run(root: &Path, write: bool) -> Result<()> {
    let mut house = read(root)?;
    if write && tree::write(root, &house)? {
        println!("wrote the tree into ARCHITECTURE.md");
        house = read(root)?;
    }
    let mut lines = Vec::new();
    for rule in RULES {
        for finding in (rule.check)(&house) {
            lines.push(show(&finding, rule.name, rule.fix));
        }
    }
    for (finding, rule, fix) in packages::check(&packages::metadata(root)?, &packages::built(root)?)
    {
        lines.push(show(&finding, rule, fix));
    }
    lines.sort();
    for line in &lines {
        println!("{line}");
    }
    if !lines.is_empty() {
        bail!("{} violations of the house rules; each line above says how to fix it", lines.len());
    }
    println!("tidy: {} files follow {} rules", house.sources.len(), RULES.len());
    Ok(())
}

fn show(finding: &Finding, rule: &str, fix: &str) -> String {
    let Finding { path, line, what } = finding;
    format!("{path}:{line}: {rule}: {what}; {fix}")
}

/// Reads every text file that git tracks or would track.
fn read(root: &Path) -> Result<House> {
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .context("tidy needs git to list the project's files; install it with your package tool")?;
    if !listed.status.success() {
        bail!("git ls-files failed: {}", String::from_utf8_lossy(&listed.stderr).trim());
    }
    let mut sources = Vec::new();
    for path in String::from_utf8(listed.stdout)?.split('\0').filter(|path| !path.is_empty()) {
        let file = root.join(path);
        if !file.is_file() {
            continue; // deleted but not yet committed, or a link to a folder
        }
        let bytes = std::fs::read(&file).with_context(|| format!("cannot read {path}"))?;
        match String::from_utf8(bytes) {
            Ok(text) => sources.push(Source::new(path, &text)),
            Err(_) => sources.push(Source::new(path, "")), // a picture: only its name counts
        }
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    sources.dedup_by(|a, b| a.path == b.path);
    let machine_paths = [Some(root.display().to_string()), std::env::var("HOME").ok()]
        .into_iter()
        .flatten()
        .filter(|path| path.len() > 1)
        .collect();
    Ok(House { sources, machine_paths })
}
