//! Each rule of the table meets a sample that breaks it and one that keeps it.

use super::source::Source;
use super::{House, RULES};

/// Rule, path, a text that breaks the rule there, a text that keeps it.
#[rustfmt::skip]
const SAMPLES: &[(&str, &str, &str, &str)] = &[
    ("opening", "api/src/a.rs", "fn a() {}", "//! Says what it is for.\nfn a() {}"),
    ("opening", "api/src/a.rs", "// Not a doc comment.", "//! Says what it is for."),
    ("opening", "indexer/store/migrations/1.sql", "SELECT 1;", "-- What the chain said.\n"),
    ("opening", "scripts/data.json", "{}", ""),
    ("drawer-name", "api/src/http_utils.rs", "", ""),
    ("drawer-name", "api/src/a.rs", "pub struct JobManager;", "pub struct Jobs; // a manager"),
    ("top-entry", "docs/a.md", "", ""),
    ("listing-mod", "api/src/edge/mod.rs", "pub mod a;\nuse a::B;", "mod a;\nfn b() {}"),
    ("unwrap", "api/src/a.rs", "a.unwrap();", "#[test]\nfn t() { a.unwrap(); }\n// .unwrap()"),
    ("narrowing-as", "api/src/a.rs", "a as u32;", "a as u64; let as_u32 = \"x as u32\";"),
    ("dropped-decode", "indexer/src/a.rs", "f(log).ok()?;", "f(log)?;"),
    ("limitless", "api/src/a.rs", "mpsc::unbounded_channel();", "mpsc::channel(LIMIT);"),
    ("limitless", "api/src/a.rs", "reqwest::Client::new()", "Client::builder().timeout(LIMIT)"),
    ("reasonless-allow", "api/src/a.rs", "#[allow(dead_code)]",
        "#[allow(dead_code, reason = \"\")]"),
    ("left-over", "api/src/a.rs", "// TODO: more", "// To do nothing."),
    ("left-over", "tests/a.rs", "#[ignore]", "#[test]"),
    ("trait", "api/src/a.rs", "pub trait Layer {}", "pub trait Chain {} impl Trait for X {}"),
    ("wildcard", "api/src/a.rs", "enum E { One } match e { E::One => 1, _ => 2 }",
        "enum E { One } match e { E::One => 1 } match n { 1 => E::One, _ => E::Two }"),
    ("impure", "api/src/a.rs", "//! pure: adds.\nasync fn a() {}", "//! pure: adds.\nfn a() {}"),
    ("arrow", "api/src/a.rs", "use sqlx::Pool;", "use store::Reader; // not sqlx"),
    ("arrow", "settler/src/pay.rs", "let now = SystemTime::now();", "let now = input.now;"),
    ("arrow", "settler/src/pay.rs", "println!(\"\");", "tracing::info!(\"println!\");"),
    ("arrow", "api/src/routes/a.rs", "ProviderBuilder::new()", "fn provider() {}"),
    ("machine-path", "scripts/a.sh", "cd /home/me/rndr", "cd ./home"),
    ("machine-path", "scripts/a.sh", "cd /checkout/here", "cd ../checkout/here"),
    ("lock-host", "contracts/package-lock.json", "  \"resolved\": \"https://x\"", "{}"),
    ("lock-host", "Cargo.lock", "source = \"git+https://x\"", ""),
    ("unexplained-table", "indexer/store/migrations/1.sql", "CREATE TABLE a (b BIGINT);",
        "-- What a is.\nCREATE TABLE a (b BIGINT);"),
    ("branch-tree", "contracts/test/deposit.t.sol", "", ""),
    ("branch-tree", "contracts/test/deposit.tree", "", ""),
    ("threat-tests", "contracts/README.md", "## Threats\n| a | `attacks`: Gone |", "## Other"),
    ("architecture", "ARCHITECTURE.md", "# Architecture", ""),
];

fn breaks(rule: &str, path: &str, text: &str) -> bool {
    let house = House {
        sources: vec![Source::new(path, text)],
        machine_paths: vec!["/checkout/here".to_owned()],
    };
    let rule = RULES.iter().find(|known| known.name == rule).expect("a rule of the table");
    !(rule.check)(&house).is_empty()
}

#[test]
fn each_sample_breaks_its_rule_and_its_twin_keeps_it() {
    for (rule, path, bad, good) in SAMPLES {
        assert!(breaks(rule, path, bad), "{rule} does not see {bad:?} in {path}");
        if !good.is_empty() {
            assert!(!breaks(rule, path, good), "{rule} refuses {good:?} in {path}");
        }
    }
}

#[test]
fn every_rule_has_a_sample() {
    let sized = ["line-length", "file-length", "function-length", "unit-tests"];
    for rule in RULES.iter().filter(|rule| !sized.contains(&rule.name)) {
        assert!(SAMPLES.iter().any(|sample| sample.0 == rule.name), "{} has none", rule.name);
    }
}

#[test]
fn each_limit_is_exact() {
    let function = |lines: usize| format!("fn f() {{\n{}}}", "x();\n".repeat(lines - 2));
    let solidity = |lines: usize| format!("function f() {{\n{}}}", "x();\n".repeat(lines - 2));
    let tests = |lines: usize| format!("#[cfg(test)]\nmod t {{\n{}}}", "x();\n".repeat(lines - 3));
    for (rule, path, good, bad) in [
        ("line-length", "api/src/a.rs", "x".repeat(100), "x".repeat(101)),
        ("file-length", "api/src/a.rs", "x\n".repeat(400), "x\n".repeat(401)),
        ("file-length", "tests/a.rs", "x\n".repeat(600), "x\n".repeat(601)),
        ("function-length", "api/src/a.rs", function(70), function(71)),
        ("function-length", "contracts/src/A.sol", solidity(30), solidity(31)),
        ("unit-tests", "api/src/a.rs", tests(150), tests(151)),
    ] {
        assert!(!breaks(rule, path, &good), "{rule} refuses the limit itself in {path}");
        assert!(breaks(rule, path, &bad), "{rule} allows one more than the limit in {path}");
    }
}
