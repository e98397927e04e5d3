//! pure: rules about whole files: sizes, openings, names, places.

use super::source::{self, Function, Language, Source};
use super::{Finding, House};

/// Generated or foreign files that no size or style rule applies to, and why.
const GENERATED: &[(&str, &str)] = &[
    ("contracts/artifacts/", "written by `cargo xtask contracts write`"),
    ("contracts/package-lock.json", "written by npm"),
    ("Cargo.lock", "written by cargo"),
    ("api/openapi.json", "written by `cargo xtask openapi write`"),
];

/// Top entries of the project; anything else belongs into one of the rooms.
const TOP_ENTRIES: &[&str] = &[
    ".cargo",
    ".ci",
    ".clippy.toml",
    ".gitignore",
    ".rustfmt.toml",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "DECISIONS.md",
    "LICENSE",
    "README.md",
    "api",
    "contracts",
    "indexer",
    "scripts",
    "settler",
    "tests",
];

const DRAWER_NAMES: &[&str] = &[
    "utils",
    "util",
    "helpers",
    "helper",
    "common",
    "shared",
    "misc",
    "base",
    "manager",
    "handler",
    "handlers",
    "processor",
    "service",
    "types",
    "v2",
];

fn is_generated(path: &str) -> bool {
    GENERATED.iter().any(|(prefix, _)| path.starts_with(prefix))
}

pub fn by_source(house: &House, check: impl Fn(&Source) -> Vec<Finding>) -> Vec<Finding> {
    house.sources.iter().filter(|s| !is_generated(&s.path)).flat_map(check).collect()
}

pub fn line_length(house: &House) -> Vec<Finding> {
    const LIMIT: usize = 100;
    by_source(house, |s| {
        if s.language == Language::Plain || s.path.ends_with(".toml") {
            return Vec::new(); // prose wraps by itself, and a manifest's feature lists do not
        }
        let length_of = |line: &str| match (s.language, line.strip_suffix(';')) {
            // forge fmt does not count the last `;` and would undo a break before it
            (Language::Solidity, Some(line)) => line.chars().count(),
            _ => line.chars().count(),
        };
        let long = s.lines.iter().enumerate().filter(|(_, line)| length_of(line) > LIMIT);
        long.map(|(at, line)| {
            let length = length_of(line);
            Finding::new(&s.path, at + 1, format!("{length} characters, the limit is {LIMIT}"))
        })
        .collect()
    })
}

pub fn file_length(house: &House) -> Vec<Finding> {
    by_source(house, |s| {
        // The escrow's reference text stays in one piece: an interface has promises and no code.
        let whole = s.is_test_file() || s.path == "contracts/src/IRenderEscrow.sol";
        let limit = if whole { 600 } else { 400 };
        let length = s.lines.len();
        if s.language == Language::Plain || length <= limit {
            return Vec::new();
        }
        vec![Finding::new(&s.path, limit + 1, format!("{length} lines, the limit is {limit}"))]
    })
}

pub fn function_length(house: &House) -> Vec<Finding> {
    by_source(house, |s| {
        let limit = if s.language == Language::Solidity { 30 } else { 70 };
        let long = s.functions().into_iter().filter(|function| function.lines > limit);
        long.map(|Function { name, line, lines }| {
            Finding::new(&s.path, line, format!("`{name}` has {lines} lines, the limit is {limit}"))
        })
        .collect()
    })
}

pub fn unit_tests(house: &House) -> Vec<Finding> {
    const LIMIT: usize = 150;
    by_source(house, |s| {
        let tests = (1..=s.lines.len()).filter(|line| s.is_test(*line)).count();
        if s.language != Language::Rust || s.is_test_file() || tests <= LIMIT {
            return Vec::new();
        }
        vec![Finding::new(&s.path, 0, format!("{tests} lines of tests, the limit is {LIMIT}"))]
    })
}

pub fn opening(house: &House) -> Vec<Finding> {
    const FEWEST_WORDS: usize = 3;
    by_source(house, |s| {
        if super::tree::spoken_for(&s.path).is_some() {
            return Vec::new();
        }
        if s.language == Language::Plain {
            let what = "cannot hold a comment and stands in no row of SPOKEN_FOR in tidy/tree.rs";
            return vec![Finding::new(&s.path, 1, what)];
        }
        let opening = s.opening().unwrap_or_default();
        let is_doc = s.language != Language::Rust
            || s.lines.iter().find(|line| !line.is_empty()).is_some_and(|l| l.starts_with("//!"));
        let words = opening.split_whitespace().count();
        if is_doc && words >= FEWEST_WORDS && opening.ends_with('.') {
            return Vec::new();
        }
        let what = "does not open with a comment of one sentence (`//!` in Rust) and its full stop";
        vec![Finding::new(&s.path, 1, what)]
    })
}

pub fn drawer_name(house: &House) -> Vec<Finding> {
    let mut found = Vec::new();
    for s in &house.sources {
        let stems = s.path.split('/').map(|part| part.split('.').next().unwrap_or(part));
        for word in stems.flat_map(words_of) {
            if DRAWER_NAMES.contains(&word.as_str()) {
                found.push(Finding::new(&s.path, 0, format!("the path holds the word `{word}`")));
            }
        }
        for (line, code) in s.code.iter().enumerate() {
            if let Some(name) = declared(code).filter(|name| ends_in_drawer(name)) {
                found.push(Finding::new(&s.path, line + 1, format!("`{name}` says nothing")));
            }
        }
    }
    found
}

/// The name that a line declares, when the declaration is one people navigate by.
fn declared(code: &str) -> Option<String> {
    let code = code.trim_start();
    let code = code.strip_prefix("pub(crate) ").or(code.strip_prefix("pub ")).unwrap_or(code);
    let code = code.strip_prefix("abstract ").unwrap_or(code);
    let (keyword, rest) = code.split_once(' ')?;
    let keywords = ["mod", "struct", "enum", "trait", "contract", "library", "interface"];
    keywords.contains(&keyword).then(|| source::first_word(rest.trim_start()))
}

fn ends_in_drawer(name: &str) -> bool {
    words_of(name).last().is_some_and(|word| DRAWER_NAMES.contains(&word.as_str()))
}

/// `FooBar-baz_qux` -> foo, bar, baz, qux.
fn words_of(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for c in name.chars() {
        if !c.is_alphanumeric() || c.is_uppercase() {
            words.push(String::new());
        }
        if c.is_alphanumeric() {
            words.last_mut().into_iter().for_each(|word| word.extend(c.to_lowercase()));
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

pub fn top_entry(house: &House) -> Vec<Finding> {
    let top = |s: &Source| s.path.split('/').next().unwrap_or_default().to_owned();
    let strange = house.sources.iter().filter(|s| !TOP_ENTRIES.contains(&top(s).as_str()));
    strange.map(|s| Finding::new(&s.path, 0, format!("`{}` is a new top entry", top(s)))).collect()
}

pub fn listing_mod(house: &House) -> Vec<Finding> {
    by_source(house, |s| {
        let only_lists = s.code.iter().map(|line| line.trim()).all(|line| {
            let line =
                line.strip_prefix("pub(crate) ").or(line.strip_prefix("pub ")).unwrap_or(line);
            line.is_empty() || line.starts_with("mod ") || line.starts_with("use ")
        });
        if !s.path.ends_with("/mod.rs") || !only_lists {
            return Vec::new();
        }
        vec![Finding::new(&s.path, 0, "only lists other files")]
    })
}
