//! Prints the tree of files from their opening sentences into ARCHITECTURE.md.

use std::path::Path;

use anyhow::{Context, Result};

use super::{Finding, House};

const FILE: &str = "ARCHITECTURE.md";
const BEGIN: &str = "<!-- tree: written by `cargo xtask tidy --write` -->";
const END: &str = "<!-- end of tree -->";

/// Speaks for files that cannot hold a comment. A path that ends in `/` stands for its folder,
/// one that starts with `*` for every file that ends so.
const SPOKEN_FOR: &[(&str, &str)] = &[
    ("ARCHITECTURE.md", "data flow, this tree, and the arrows between packages"),
    ("CHANGELOG.md", "what changed for users"),
    ("Cargo.lock", "exact versions of every crate"),
    ("DECISIONS.md", "dated decisions and their reasons"),
    ("LICENSE", "MIT OR Apache-2.0"),
    ("README.md", "what it is, and the two commands"),
    ("api/openapi.json", "generated from the routes: every path, field and error"),
    ("contracts/README.md", "promises, assumptions about tokens, threats and their tests"),
    ("contracts/.gas-snapshot", "gas of each path, compared with a tolerance of 2 %"),
    ("contracts/artifacts/", "generated: ABI and bytecode, so that `cargo build` needs no solc"),
    ("contracts/package-lock.json", "exact versions of the npm packages"),
    ("contracts/package.json", "the pinned compiler, forge, anvil and OpenZeppelin"),
    ("indexer/README.md", "what the index promises, and how its costs are measured"),
    ("contracts/test/golden.json", "digests, roots and amounts both languages must produce"),
    ("contracts/test/mutants.md", "mutants of the sources: how many the trees kill, which live"),
    ("contracts/tools/requirements.txt", "exact versions of slither, halmos and what they need"),
    ("indexer/store/README.md", "statements and exports: columns, units, accounts, guarantees"),
    ("tests/tools/requirements.txt", "exact versions of beancount, DuckDB and what they need"),
    ("*.tree", "the branches that the test beside it must reach"),
];

/// The sentence that stands for a file which holds no comment.
pub fn spoken_for(path: &str) -> Option<&'static str> {
    row(path).map(|(_, sentence)| *sentence)
}

fn row(path: &str) -> Option<&'static (&'static str, &'static str)> {
    SPOKEN_FOR.iter().find(|(pattern, _)| match pattern.strip_prefix('*') {
        Some(ending) => path.ends_with(ending),
        None => path == *pattern || (pattern.ends_with('/') && path.starts_with(pattern)),
    })
}

pub fn stale(house: &House) -> Vec<Finding> {
    let Some(file) = house.sources.iter().find(|s| s.path == FILE) else {
        return vec![Finding::new(FILE, 0, "is missing")];
    };
    let lines = || file.lines.iter().map(String::as_str);
    let begin = lines().position(|line| line == BEGIN);
    let end = lines().position(|line| line == END);
    let (Some(begin), Some(end)) = (begin, end) else {
        return vec![Finding::new(FILE, 0, format!("lacks the lines `{BEGIN}` and `{END}`"))];
    };
    let wanted = print(house);
    let is: Vec<&str> = lines().skip(begin + 1).take(end.saturating_sub(begin + 1)).collect();
    if is == wanted {
        return Vec::new();
    }
    let differs = is.iter().zip(&wanted).take_while(|(is, wanted)| *is == wanted).count();
    let what = match wanted.get(differs) {
        Some(line) => format!("the tree is old, it lacks `{line}`"),
        None => "the tree is old, it has lines too many".to_owned(),
    };
    vec![Finding::new(FILE, begin + 2 + differs, what)]
}

/// Writes the tree between its markers; returns whether the file changed.
pub fn write(root: &Path, house: &House) -> Result<bool> {
    let path = root.join(FILE);
    let old = std::fs::read_to_string(&path).with_context(|| format!("cannot read {FILE}"))?;
    let begin = old.find(BEGIN).map(|at| at + BEGIN.len());
    let (Some(begin), Some(end)) = (begin, old.find(END)) else {
        anyhow::bail!("{FILE} lacks the lines `{BEGIN}` and `{END}`; put them where the tree goes");
    };
    let new = format!("{}\n{}\n{}", &old[..begin], print(house).join("\n"), &old[end..]);
    if new != old {
        std::fs::write(&path, &new).with_context(|| format!("cannot write {FILE}"))?;
    }
    Ok(new != old)
}

/// One line a file, folders first met first, in a fenced block.
fn print(house: &House) -> Vec<String> {
    let mut lines = vec!["```text".to_owned()];
    let mut folder = "";
    let mut last_row = None;
    for s in &house.sources {
        let (entry, sentence) = match row(&s.path) {
            Some((pattern, sentence)) if pattern.ends_with('/') => {
                if last_row == Some(pattern) {
                    continue;
                }
                last_row = Some(pattern);
                (*pattern, (*sentence).to_owned())
            }
            Some((_, sentence)) => (s.path.as_str(), (*sentence).to_owned()),
            None => (s.path.as_str(), s.opening().unwrap_or_default()),
        };
        let bare = entry.strip_suffix('/').unwrap_or(entry);
        let (parent, _) = bare.rsplit_once('/').unwrap_or(("", bare));
        let name = entry.strip_prefix(parent).unwrap_or(entry).trim_start_matches('/');
        if parent != folder {
            folder = parent;
            lines.push(format!("{parent}/"));
        }
        let indent = if parent.is_empty() { "" } else { "  " };
        let sentence = sentence.strip_suffix('.').unwrap_or(&sentence);
        lines.push(format!("{indent}{name:<24} {sentence}").trim_end().to_owned());
    }
    lines.push("```".to_owned());
    lines
}
