//! pure: rules about single lines of code.

use super::rules::by_source;
use super::source::{self, Language, Source};
use super::{Finding, House};

/// The traits of the house: each a boundary with two implementations in the tree.
const TRAITS: &[(&str, &str)] = &[
    ("Chain", "an RPC node, and a scripted chain in tests"),
    ("Backend", "one per renderer"),
    ("Plugin", "one per relayed API"),
];

/// Findings for each line of product code in which `bad` sees something.
fn by_line(house: &House, bad: impl Fn(&Source, &str) -> Option<String>) -> Vec<Finding> {
    by_source(house, |s| {
        s.product_code()
            .filter(|_| s.language == Language::Rust)
            .filter_map(|(line, code)| Some(Finding::new(&s.path, line, bad(s, code)?)))
            .collect()
    })
}

pub fn unwrap(house: &House) -> Vec<Finding> {
    by_line(house, |_, code| {
        let calls = [".unwrap()", ".unwrap_err()"];
        let call = calls.iter().find(|call| code.contains(**call))?;
        Some(format!("`{call}` outside tests"))
    })
}

pub fn narrowing_as(house: &House) -> Vec<Finding> {
    const NARROW: &[&str] = &["u8", "u16", "u32", "i8", "i16", "i32", "f32"];
    by_line(house, |_, code| {
        let narrow = source::words(code, "as")
            .map(|at| source::first_word(code[at + 2..].trim_start()))
            .find(|kind| NARROW.contains(&kind.as_str()))?;
        Some(format!("`as {narrow}` may lose bits"))
    })
}

/// What the chain said is never skipped: an indexer that skips lies.
pub fn dropped_decode(house: &House) -> Vec<Finding> {
    by_line(house, |s, code| {
        let reads_chain = s.path == "contracts/bindings/event.rs" || s.path.starts_with("indexer/");
        (reads_chain && code.contains(".ok()?")).then(|| "`.ok()?` swallows an error".to_owned())
    })
}

/// Queues without a bound, and clients without a time limit.
pub fn limitless(house: &House) -> Vec<Finding> {
    let marks = ["unbounded_channel", "mpsc::unbounded", "Client::new", "reqwest::get"];
    by_line(house, |_, code| {
        let mark = marks.iter().find(|mark| source::has_word(code, mark))?;
        Some(format!("`{mark}` has no limit"))
    })
}

pub fn reasonless_allow(house: &House) -> Vec<Finding> {
    by_source(house, |s| {
        let mut found = Vec::new();
        for (at, code) in s.code.iter().enumerate().filter(|_| s.language == Language::Rust) {
            let attribute = ["#[allow(", "#![allow(", "#[expect(", "#![expect("];
            if !attribute.iter().any(|open| code.trim_start().starts_with(open)) {
                continue;
            }
            let rest = s.code[at..].join("\n");
            let attribute = &rest[..rest.find(")]").unwrap_or(rest.len())];
            if !source::has_word(attribute, "reason") {
                found.push(Finding::new(&s.path, at + 1, "an allowance without its reason"));
            }
        }
        found
    })
}

/// Unfinished or switched-off code, in tests as well.
pub fn left_over(house: &House) -> Vec<Finding> {
    let in_code = ["todo!", "unimplemented!", "dbg!", "#[ignore"];
    let in_text = ["TODO", "FIXME", "XXX", "HACK"];
    by_source(house, |s| {
        if s.language == Language::Plain || s.path.starts_with("scripts/src/tidy/") {
            return Vec::new(); // this table itself holds the words
        }
        let mut found = Vec::new();
        for (at, (code, line)) in s.code.iter().zip(&s.lines).enumerate() {
            let code_mark = in_code.iter().find(|mark| code.contains(**mark));
            let text_mark = in_text.iter().find(|mark| source::has_word(line, mark));
            if let Some(mark) = code_mark.or(text_mark) {
                found.push(Finding::new(&s.path, at + 1, format!("`{mark}` was left behind")));
            }
        }
        found
    })
}

pub fn unlisted_trait(house: &House) -> Vec<Finding> {
    by_line(house, |_, code| {
        let code = code.trim_start();
        let code = code.strip_prefix("pub(crate) ").or(code.strip_prefix("pub ")).unwrap_or(code);
        let name = source::first_word(code.strip_prefix("trait ")?);
        let listed = TRAITS.iter().any(|(known, _)| *known == name);
        (!listed).then(|| format!("trait `{name}` is not in the list of boundaries"))
    })
}

pub fn machine_path(house: &House) -> Vec<Finding> {
    let homes = ["/home/", "/root/", "/Users/"];
    by_source(house, |s| {
        if s.path.starts_with("scripts/src/tidy/") {
            return Vec::new(); // this rule itself
        }
        let own = house.machine_paths.iter().map(String::as_str);
        let needles: Vec<&str> = own.chain(homes).collect();
        let mut found = Vec::new();
        for (at, line) in s.lines.iter().enumerate() {
            if let Some(path) = needles.iter().find(|path| holds_absolute(line, path)) {
                found.push(Finding::new(&s.path, at + 1, format!("holds `{path}`")));
            }
        }
        found
    })
}

/// Whether `path` starts in `line` where no relative path could have led up to it.
fn holds_absolute(line: &str, path: &str) -> bool {
    source::words(line, path).any(|at| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || "._-*}>)/".contains(c))
    })
}

pub fn lock_host(house: &House) -> Vec<Finding> {
    let mut found = Vec::new();
    for s in &house.sources {
        for (at, line) in s.lines.iter().enumerate() {
            let npm = s.path.ends_with("package-lock.json") && line.contains("\"resolved\":");
            let crates_io = line.contains("registry+https://github.com/rust-lang/crates.io-index");
            let cargo = s.path == "Cargo.lock" && line.starts_with("source = ") && !crates_io;
            if npm || cargo {
                found.push(Finding::new(&s.path, at + 1, "names the host it was loaded from"));
            }
        }
    }
    found
}

pub fn unexplained_table(house: &House) -> Vec<Finding> {
    by_source(house, |s| {
        let mut found = Vec::new();
        for (at, code) in s.code.iter().enumerate().filter(|_| s.language == Language::Sql) {
            let explained = at > 0 && s.lines[at - 1].trim_start().starts_with("--");
            if code.trim_start().starts_with("CREATE TABLE") && !explained {
                found.push(Finding::new(&s.path, at + 1, "a table that nothing explains"));
            }
        }
        found
    })
}
