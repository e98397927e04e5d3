//! pure: each test that the auditors' page names exists, and each attack's test is named there.

use std::collections::BTreeSet;

use super::{Finding, House};

const PAGE: &str = "contracts/README.md";
const SECTION: &str = "## Threats";

/// Rows of the threat table end in a cell like "`attacks`: One, Two; `close`: close_Three".
pub fn threat_tests(house: &House) -> Vec<Finding> {
    let Some(page) = house.sources.iter().find(|s| s.path == PAGE) else { return Vec::new() };
    let named = named(&page.lines);
    let mut found = Vec::new();
    for (line, file, name) in &named {
        let path = format!("contracts/test/{file}.t.sol");
        let is = |test: &str| ["test_", "testFuzz_", "invariant_"].contains(&test);
        let known = house.sources.iter().filter(|s| s.path == path).any(|s| {
            s.functions().iter().any(|f| f.name.strip_suffix(name.as_str()).is_some_and(is))
        });
        if !known {
            found.push(Finding::new(PAGE, *line, format!("{path} has no test `{name}`")));
        }
    }
    let names: BTreeSet<String> =
        named.iter().map(|(_, file, name)| format!("{file}:test_{name}")).collect();
    for s in &house.sources {
        let Some(stem) =
            s.path.strip_prefix("contracts/test/").and_then(|p| p.strip_suffix(".t.sol"))
        else {
            continue;
        };
        if !stem.to_lowercase().ends_with("attacks") {
            continue;
        }
        for test in s.functions().iter().filter(|f| f.name.starts_with("test_")) {
            if !names.contains(&format!("{stem}:{}", test.name)) {
                let what = format!("the threat table does not name `{}`", test.name);
                found.push(Finding::new(&s.path, test.line, what));
            }
        }
    }
    found
}

/// Line, test file and test name of every test that the table names.
fn named(lines: &[String]) -> Vec<(usize, String, String)> {
    let mut found = Vec::new();
    let mut inside = false;
    for (at, line) in lines.iter().enumerate() {
        if line.starts_with("## ") {
            inside = line.starts_with(SECTION);
        }
        if !inside || !line.starts_with("| ") {
            continue;
        }
        let cell = line.trim_end().trim_end_matches('|').rsplit('|').next().unwrap_or_default();
        for part in cell.split(';') {
            let Some((file, tests)) = part.split_once("`: ") else { continue };
            let file = file.trim().trim_start_matches('`').to_owned();
            for name in tests.split(',').map(str::trim) {
                found.push((at + 1, file.clone(), name.to_owned()));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::source::Source;
    use super::*;

    fn findings(page: &str, tests: &str) -> Vec<String> {
        let sources = vec![
            Source::new(PAGE, &format!("{SECTION}\n{page}\n## Other\n| a | `x`: Y |\n")),
            Source::new("contracts/test/attacks.t.sol", tests),
        ];
        let house = House { sources, machine_paths: Vec::new() };
        threat_tests(&house).into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn the_table_and_the_attacks_name_each_other() {
        let both = "function test_One() public { x(); }\nfunction test_Two() public { x(); }\n";
        assert_eq!(findings("| a | `attacks`: One, Two |", both), Vec::<String>::new());
        assert_eq!(
            findings("| a | `attacks`: One; `attacks`: Three |", both),
            [
                "contracts/test/attacks.t.sol has no test `Three`",
                "the threat table does not name `test_Two`"
            ]
        );
    }
}
