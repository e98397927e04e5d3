//! Rules about packages, from `cargo metadata`: arrows, banned crates, sources, licences.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::Finding;

/// Which packages of ours a package may depend on.
const ARROWS: &[(&str, &[&str])] = &[
    ("contracts", &[]),
    ("store", &["contracts"]),
    ("indexer", &["contracts", "store"]),
    ("settler", &["contracts", "store"]),
    ("api", &["contracts", "store"]),
    ("model", &["contracts"]),
    ("bench", &["contracts", "store"]),
    ("rndr", &["contracts", "store", "indexer", "settler", "api", "model", "bench"]),
    ("xtask", &["contracts"]),
];

const BANNED: &[(&str, &str)] = &[
    ("ring", "a second TLS provider beside aws-lc-rs makes rustls panic"),
    ("openssl", "rustls is the one TLS stack"),
    ("openssl-sys", "rustls is the one TLS stack"),
    ("native-tls", "rustls is the one TLS stack"),
];

/// Crates whose types cross our packages: a second version would not fit the first.
const ONE_VERSION: &[&str] =
    &["alloy-primitives", "alloy-sol-types", "axum", "http", "hyper", "reqwest", "rustls", "sqlx"];

const LICENCES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Crates that name no licence in their manifest, and what their licence file says.
const LICENCE_FILES: &[(&str, &str)] = &[];

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

type Check = (Finding, &'static str, &'static str);

pub fn metadata(root: &Path) -> Result<Value> {
    let output = Command::new("cargo")
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(root)
        .output()
        .context("cannot run cargo metadata")?;
    if !output.status.success() {
        bail!("cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Name and version of each crate that is really built: `cargo metadata` also lists crates that
/// only features we leave off would bring.
pub fn built(root: &Path) -> Result<BTreeSet<String>> {
    let output = Command::new("cargo")
        .args(["tree", "--workspace", "--locked", "--edges", "normal,build,dev"])
        .args(["--prefix", "none", "--format", "{p}"])
        .current_dir(root)
        .output()
        .context("cannot run cargo tree")?;
    if !output.status.success() {
        bail!("cargo tree failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let text = String::from_utf8(output.stdout)?;
    let name_and_version = |line: &str| line.split(' ').take(2).collect::<Vec<_>>().join(" ");
    Ok(text.lines().map(name_and_version).collect())
}

/// Findings with the rule's name and its fix.
pub fn check(metadata: &Value, built: &BTreeSet<String>) -> Vec<Check> {
    let packages = list(&metadata["packages"]);
    let mut found = arrows(packages);
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in packages {
        let (name, version) = (text(&package["name"]), text(&package["version"]));
        if !built.contains(&format!("{name} v{version}")) {
            continue;
        }
        versions.entry(name).or_default().insert(version);
        found.extend(package_findings(package, name));
    }
    for name in ONE_VERSION {
        let versions = versions.get(name).into_iter().flatten().copied().collect::<Vec<_>>();
        if versions.len() > 1 {
            let what = format!("`{name}` in versions {}", versions.join(" and "));
            let fix = "bring it to one version with `cargo update -p`";
            found.push((Finding::new("Cargo.lock", 0, what), "one-version", fix));
        }
    }
    found
}

fn package_findings(package: &Value, name: &str) -> Vec<Check> {
    let mut found = Vec::new();
    let mut report = |what: String, rule, fix| {
        found.push((Finding::new("Cargo.lock", 0, what), rule, fix));
    };
    if let Some((_, reason)) = BANNED.iter().find(|(banned, _)| *banned == name) {
        let fix = "find who brings it with `cargo tree -i` and turn that feature off";
        report(format!("`{name}` is banned: {reason}"), "banned-crate", fix);
    }
    let source = package["source"].as_str();
    if source.is_some_and(|source| source != CRATES_IO) {
        let what = format!("`{name}` comes from {}", source.unwrap_or_default());
        report(what, "crate-source", "take it from crates.io");
    }
    let licence = text(&package["license"]);
    let known = LICENCE_FILES.iter().any(|(known, _)| *known == name);
    if !known && !is_allowed(licence) {
        let what = format!("`{name}` is under `{licence}`");
        report(what, "licence", "take another crate, or allow the licence with its reason");
    }
    found
}

fn arrows(packages: &[Value]) -> Vec<Check> {
    const FIX: &str = "move the code to the side that may know both, or extend ARROWS";
    let mut found = Vec::new();
    for package in packages.iter().filter(|package| package["source"].is_null()) {
        let name = text(&package["name"]);
        let path = format!("package {name}");
        let Some((_, allowed)) = ARROWS.iter().find(|(known, _)| *known == name) else {
            let finding = Finding::new(&path, 0, "is not in the table of arrows");
            found.push((finding, "package-arrow", FIX));
            continue;
        };
        for dependency in list(&package["dependencies"]) {
            let other = text(&dependency["name"]);
            let ours = dependency["source"].is_null() && dependency["path"].is_string();
            if ours && !allowed.contains(&other) {
                let finding = Finding::new(&path, 0, format!("depends on `{other}`"));
                found.push((finding, "package-arrow", FIX));
            }
        }
    }
    found
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Whether an SPDX expression can be met with allowed licences alone.
fn is_allowed(expression: &str) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let tokens: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let allowed = either(&tokens, &mut at);
    allowed && at == tokens.len()
}

fn either(tokens: &[&str], at: &mut usize) -> bool {
    let mut allowed = both(tokens, at);
    while tokens.get(*at) == Some(&"OR") {
        *at += 1;
        allowed |= both(tokens, at);
    }
    allowed
}

fn both(tokens: &[&str], at: &mut usize) -> bool {
    let mut allowed = single(tokens, at);
    while tokens.get(*at) == Some(&"AND") {
        *at += 1;
        allowed &= single(tokens, at);
    }
    allowed
}

fn single(tokens: &[&str], at: &mut usize) -> bool {
    let Some(token) = tokens.get(*at) else {
        return false;
    };
    *at += 1;
    if *token == "(" {
        let allowed = either(tokens, at);
        let closed = tokens.get(*at) == Some(&")");
        *at += 1;
        return allowed && closed;
    }
    if tokens.get(*at) == Some(&"WITH") {
        *at += 2; // an exception only adds permissions
    }
    LICENCES.contains(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn licence_expressions_are_read_with_their_parentheses() {
        for good in [
            "MIT",
            "MIT/Apache-2.0",
            "GPL-3.0 OR MIT",
            "(MIT OR Apache-2.0) AND Unicode-3.0",
            "Apache-2.0 WITH LLVM-exception OR GPL-3.0",
            "ISC AND (Apache-2.0 OR ISC) AND MIT",
        ] {
            assert!(is_allowed(good), "{good}");
        }
        for bad in
            ["", "GPL-3.0", "MIT AND GPL-3.0", "(MIT", "MIT)", "(GPL-3.0 OR AGPL-3.0) AND MIT"]
        {
            assert!(!is_allowed(bad), "{bad}");
        }
    }

    #[test]
    fn each_package_rule_sees_its_violation() {
        let metadata = serde_json::json!({
            "packages": [
                { "name": "settler", "version": "0.1.0", "source": null,
                  "license": "MIT",
                  "dependencies": [{ "name": "indexer", "source": null, "path": "indexer" }] },
                { "name": "ring", "version": "1", "source": CRATES_IO,
                  "license": "MIT" },
                { "name": "http", "version": "1", "source": CRATES_IO,
                  "license": "AGPL-3.0" },
                { "name": "http", "version": "2", "source": CRATES_IO,
                  "license": "MIT" },
                { "name": "far", "version": "1", "source": "git+https://x",
                  "license": "MIT" },
                { "name": "openssl", "version": "1", "source": CRATES_IO,
                  "license": "MIT" },
            ],
        });
        let built = ["settler v0.1.0", "ring v1", "http v1", "http v2", "far v1"];
        let built = built.map(str::to_owned).into();
        let rules: Vec<&str> =
            check(&metadata, &built).into_iter().map(|(_, rule, _)| rule).collect();
        let wanted = ["package-arrow", "banned-crate", "licence", "crate-source", "one-version"];
        assert_eq!(rules, wanted);
    }
}
