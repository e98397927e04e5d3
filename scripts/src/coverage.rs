//! Runs the contracts' tests with coverage: what they do not reach, and nobody excused, is red.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::{foundry, steps};

const ASSEMBLY: &str = "the tool follows no inline assembly; golden vectors and wallets test it";
const INLINED: &str = "a call that is inlined away; the tests of `pause` assert what it reverts";
const CONSTANT: &str = "a constant that is folded away; each use of it is seen";

/// Lines of `contracts/src` that the tool cannot see although tests reach them, and why.
#[rustfmt::skip]
const UNSEEN: &[(&str, &str, &str)] = &[
    ("src/Accounts.sol", "_checkRunning();", INLINED),
    ("src/Jobs.sol", "_checkRunning();", INLINED),
    ("src/RenderEscrow.sol", "_checkRunning();", INLINED),
    ("src/Vault.sol", "_checkCaller();", "a modifier's call, inlined; `vault` asserts its error"),
    ("src/Units.sol", "uint256 ones = type(uint256).max;", CONSTANT),
    ("src/Funding.sol", "if (signature.length == VRS_LENGTH) {",
        "the tool loses its second way, whose lines it sees; `funding` tests both"),
    ("src/Consents.sol", "let size := mload(question)", ASSEMBLY),
    ("src/Consents.sol",
        "let done := staticcall(WALLET_GAS, wallet, add(question, 0x20), size, 0x00, 0x20)",
        ASSEMBLY),
    ("src/Consents.sol",
        "said := and(and(done, gt(returndatasize(), 0x1f)), eq(mload(0x00), yes))", ASSEMBLY),
    ("src/Order.sol", "let start := mload(0x40)", ASSEMBLY),
    ("src/Order.sol", "mstore(start, typeHash)", ASSEMBLY),
    ("src/Order.sol", "mstore(add(start, 0x20), jobId)", ASSEMBLY),
    ("src/Order.sol", "calldatacopy(add(start, 0x20), terms, 0x220) // 17 words", ASSEMBLY),
    ("src/Order.sol", "calldatacopy(add(start, 0x40), terms, 0xc0) // 6 words", ASSEMBLY),
    ("src/Order.sol", "hash := keccak256(start, 0x240)", ASSEMBLY),
    ("src/Order.sol", "hash := keccak256(start, 0x100)", ASSEMBLY),
    ("src/Order.sol", "hash := keccak256(add(hashes, 0x20), mul(mload(hashes), 0x20))", ASSEMBLY),
];

/// Too deep for the stack without the optimiser; they walk the paths that the others test.
const SKIPPED: &[&str] =
    &["test/campaign/**", "test/symbolic/**", "test/*nvariants.t.sol", "test/Gas.t.sol"];

const LIMIT: Duration = Duration::from_secs(40 * 60); // three minutes on two calm cores

pub fn run(root: &Path) -> Result<()> {
    let folder = root.join("contracts");
    let report = folder.join("cache-fast/lcov.info");
    fs::create_dir_all(folder.join("cache-fast")).context("cannot make contracts/cache-fast")?;
    let mut forge = Command::new(foundry::program(root, "forge"));
    forge.args(["coverage", "--ir-minimum", "--report", "lcov", "--report-file"]).arg(&report);
    for path in SKIPPED {
        forge.args(["--skip", path]);
    }
    forge.current_dir(&folder).env("FOUNDRY_PROFILE", "fast");
    steps::run(&mut forge, LIMIT)?;
    let lcov = fs::read_to_string(&report).context("forge coverage wrote no report")?;
    let sources = sources(&folder)?;
    let findings = findings(&lcov, &sources, UNSEEN);
    for finding in &findings {
        println!("{finding}");
    }
    if !findings.is_empty() {
        bail!("{} gaps: test each, or excuse it in scripts/src/coverage.rs", findings.len());
    }
    let (count, excused) = (sources.len(), UNSEEN.len());
    println!("coverage: all lines, branches and functions of {count} files, {excused} excused");
    Ok(())
}

/// Path and text of each source that holds code; interfaces hold none.
fn sources(folder: &Path) -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder.join("src")).context("cannot list contracts/src")? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {name}"))?;
        let code = ["contract ", "abstract contract ", "library "];
        if text.lines().any(|line| code.iter().any(|start| line.starts_with(start))) {
            found.push((format!("src/{name}"), text));
        }
    }
    found.sort();
    Ok(found)
}

/// What an LCOV report leaves open: places that nobody reached, files it does not know, and
/// excuses that nothing needs any more.
fn findings(
    lcov: &str,
    sources: &[(String, String)],
    excused: &[(&str, &str, &str)],
) -> Vec<String> {
    let places = unreached(lcov);
    let text = |path: &str, line: usize| {
        let source = sources.iter().find(|(known, _)| known == path);
        source.and_then(|(_, text)| text.lines().nth(line - 1)).map_or("", str::trim)
    };
    let mut found = Vec::new();
    for (path, line, kind) in &places {
        let text = text(path, *line);
        if !excused.iter().any(|(at, known, _)| at == path && *known == text) {
            found.push(format!("contracts/{path}:{line}: no test reaches this {kind}: {text}"));
        }
    }
    for (path, known, _) in excused {
        if !places.iter().any(|(at, line, _)| at == path && text(at, *line) == *known) {
            found.push(format!("contracts/{path}: excused in vain, take it out: {known}"));
        }
    }
    for (path, _) in sources {
        if !lcov.lines().any(|line| line.strip_prefix("SF:") == Some(path)) {
            found.push(format!("contracts/{path}: the report does not know this file"));
        }
    }
    found
}

/// Path, line and kind of each place of `src` that the report counts zero times.
fn unreached(lcov: &str) -> Vec<(String, usize, &'static str)> {
    let mut found = Vec::new();
    let mut path = "";
    for record in lcov.lines() {
        let Some((kind, rest)) = record.split_once(':') else { continue };
        if kind == "SF" {
            path = rest;
        }
        let fields: Vec<&str> = rest.split(',').collect();
        let (kind, count) = match (kind, fields.as_slice()) {
            ("DA", [_, count, ..]) => ("line", *count),
            ("BRDA", [_, _, _, count]) => ("branch", *count),
            _ => continue,
        };
        // A function without a line that was reached needs no record of its own.
        let line = fields.first().and_then(|line| line.parse().ok());
        if let (true, "0" | "-", Some(line @ 1..)) = (path.starts_with("src/"), count, line) {
            found.push((path.to_owned(), line, kind));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const LCOV: &str = "TN:\nSF:src/A.sol\nDA:1,3\nDA:2,0\nBRDA:3,0,0,1\nBRDA:3,0,1,-\n\
                        end_of_record\nSF:test/B.sol\nDA:1,0\nend_of_record\n";

    fn open(excused: &[(&str, &str, &str)], known: &[&str]) -> Vec<String> {
        let sources: Vec<_> = known
            .iter()
            .map(|path| ((*path).to_owned(), "f() {\n  a;\n  if (b)\n".to_owned()))
            .collect();
        findings(LCOV, &sources, excused)
    }

    #[test]
    fn unreached_lines_and_branches_of_src_are_named() {
        let both = [
            "contracts/src/A.sol:2: no test reaches this line: a;",
            "contracts/src/A.sol:3: no test reaches this branch: if (b)",
        ];
        assert_eq!(open(&[], &["src/A.sol"]), both);
        assert_eq!(open(&[("src/A.sol", "a;", "why")], &["src/A.sol"]), both[1..]);
    }

    #[test]
    fn vain_excuses_and_unknown_files_are_named() {
        let excused =
            [("src/A.sol", "a;", ""), ("src/A.sol", "if (b)", ""), ("src/A.sol", "f() {", "")];
        let found = open(&excused, &["src/A.sol", "src/C.sol"]);
        assert_eq!(found.len(), 2);
        assert!(found[0].contains("excused in vain, take it out: f() {"), "{found:?}");
        assert!(found[1].contains("src/C.sol: the report does not know"), "{found:?}");
    }
}
