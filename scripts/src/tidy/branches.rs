//! pure: each branch tree stands beside its Solidity test, and each leaf is a test by name.

use std::collections::BTreeSet;

use super::source::{self, Source};
use super::{Finding, House};

/// Tests in lower case that need no tree, and why.
const WITHOUT_TREE: &[(&str, &str)] = &[("attacks", "one test per attack, no branches")];

/// An operation's test is written in lower case and stands beside its branch tree.
pub fn branch_tree(house: &House) -> Vec<Finding> {
    let find = |path: String| house.sources.iter().find(|s| s.path == path);
    let mut found = Vec::new();
    for s in house.sources.iter().filter(|s| s.path.starts_with("contracts/test/")) {
        if let Some(stem) = s.path.strip_suffix(".tree") {
            match find(format!("{stem}.t.sol")) {
                Some(test) => found.extend(compare(s, test)),
                None => found.push(Finding::new(&s.path, 0, "a branch tree without its test")),
            }
        } else if let Some(stem) = s.path.strip_suffix(".t.sol") {
            let noun = stem.rsplit('/').next().unwrap_or_default();
            let exempt = WITHOUT_TREE.iter().any(|(known, _)| *known == noun);
            let operation = noun.starts_with(char::is_lowercase) && !exempt;
            if operation && find(format!("{stem}.tree")).is_none() {
                found.push(Finding::new(&s.path, 0, "an operation without its branch tree"));
            }
        }
    }
    found
}

/// Leaves without a test, and tests without a leaf.
fn compare(tree: &Source, test: &Source) -> Vec<Finding> {
    let leaves = leaves(&tree.lines);
    let names: BTreeSet<&String> = leaves.iter().map(|(_, name)| name).collect();
    let tests: Vec<_> = test.functions();
    let tests = || tests.iter().filter(|function| function.name.starts_with("test"));
    let mut found = Vec::new();
    for (line, name) in &leaves {
        if !tests().any(|function| function.name == *name) {
            found.push(Finding::new(&tree.path, *line, format!("the test `{name}` is missing")));
        }
    }
    for function in tests().filter(|function| !names.contains(&function.name)) {
        let what = format!("`{}` is no leaf of {}", function.name, tree.path);
        found.push(Finding::new(&test.path, function.line, what));
    }
    found
}

/// Line and test name of each leaf: `deposit` over `refuses a zero amount` is
/// `test_deposit_RefusesAZeroAmount`; a leaf that ends in `(fuzz)` is a `testFuzz_`.
fn leaves(lines: &[String]) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut section = String::new();
    for (at, line) in lines.iter().enumerate() {
        let Some(mark) = line.find("── ") else { continue };
        let text = line[mark + "── ".len()..].trim();
        if line.starts_with(['├', '└']) {
            section = source::first_word(text);
            continue;
        }
        let (text, kind) = match text.strip_suffix("(fuzz)") {
            Some(text) => (text, "testFuzz"),
            None => (text, "test"),
        };
        found.push((at + 1, format!("{kind}_{section}_{}", in_one_word(text))));
    }
    found
}

fn in_one_word(text: &str) -> String {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words
        .map(|word| {
            let (first, rest) = word.split_at(word.chars().next().map_or(0, char::len_utf8));
            first.to_uppercase() + rest
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: &str = "# What it is.\nopen\n├── open\n│   ├── refuses a zero cap\n\
                        │   └── pays exactly (fuzz)\n└── openFor\n    └── takes 96 bits\n";

    fn findings(tests: &[&str]) -> Vec<String> {
        let bodies = tests.iter().map(|name| format!("function {name}() public {{ x(); }}\n"));
        let sources = vec![
            Source::new("contracts/test/open.t.sol", &bodies.collect::<String>()),
            Source::new("contracts/test/open.tree", TREE),
        ];
        let house = House { sources, machine_paths: Vec::new() };
        branch_tree(&house).into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn leaves_and_tests_must_be_the_same() {
        let all =
            ["test_open_RefusesAZeroCap", "testFuzz_open_PaysExactly", "test_openFor_Takes96Bits"];
        assert_eq!(findings(&all), Vec::<String>::new());
        assert_eq!(findings(&all[1..]), ["the test `test_open_RefusesAZeroCap` is missing"]);
        let more = [&all[..], &["test_open_More"]].concat();
        assert_eq!(findings(&more), ["`test_open_More` is no leaf of contracts/test/open.tree"]);
    }
}
