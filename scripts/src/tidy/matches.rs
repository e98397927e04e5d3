//! pure: finds a `_` arm in a match on one of our own enums.

use std::collections::HashSet;

use super::source::{self, Language, Source};
use super::{Finding, House};

pub fn wildcard(house: &House) -> Vec<Finding> {
    let rust = || house.sources.iter().filter(|s| s.language == Language::Rust);
    let mut ours: HashSet<String> = rust().flat_map(declared_enums).collect();
    ours.insert("Self".to_owned());
    let mut found = Vec::new();
    for s in rust() {
        let text = s.code.join("\n");
        for start in source::words(&text, "match") {
            let line = 1 + text[..start].matches('\n').count();
            let Some(body) = body(&text[start..]) else {
                continue;
            };
            let patterns = arms(body);
            let matched = patterns.iter().find_map(|pattern| enum_of(pattern, &ours));
            let has_wildcard = patterns.iter().any(|pattern| pattern == "_");
            if let (Some(name), true, false) = (matched, has_wildcard, s.is_test(line)) {
                let what = format!("`_` in a match on our enum `{name}` hides new variants");
                found.push(Finding::new(&s.path, line, what));
            }
        }
    }
    found
}

fn declared_enums(s: &Source) -> Vec<String> {
    let text = s.code.join("\n");
    source::words(&text, "enum")
        .map(|at| source::first_word(text[at + 4..].trim_start()))
        .filter(|name| name.starts_with(char::is_uppercase))
        .collect()
}

/// The enum that a pattern such as `a::Shape::Round(x) | ..` starts with, when it is ours.
fn enum_of(pattern: &str, ours: &HashSet<String>) -> Option<String> {
    let pattern = pattern.trim_start_matches(['|', '&', ' ']);
    let path: String =
        pattern.chars().take_while(|c| c.is_alphanumeric() || *c == '_' || *c == ':').collect();
    let (before, variant) = path.rsplit_once("::")?;
    let name = before.rsplit("::").next()?;
    let is_variant =
        variant.starts_with(char::is_uppercase) && variant.chars().any(char::is_lowercase);
    (is_variant && ours.contains(name)).then(|| name.to_owned())
}

/// The inside of the braces of the match that `text` starts with.
fn body(text: &str) -> Option<&str> {
    let mut depth = 0_i32;
    let open = text.char_indices().find_map(|(at, c)| {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            '{' if depth == 0 => return Some(Some(at)),
            ';' if depth == 0 => return Some(None),
            _ => {}
        }
        None
    })??;
    let end = source::body_end(&text[open..])?;
    Some(&text[open + 1..open + end - 1])
}

/// The pattern of each arm, guards included.
fn arms(body: &str) -> Vec<String> {
    let mut patterns = Vec::new();
    let mut pattern = String::new();
    let mut in_pattern = true;
    let mut depth = 0_i32;
    for (at, c) in body.char_indices() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            _ => {}
        }
        if in_pattern && depth == 0 && body[at..].starts_with("=>") {
            let done = std::mem::take(&mut pattern);
            patterns.push(done.trim_start_matches([',', '\n', ' ']).trim_end().to_owned());
            in_pattern = false;
        } else if in_pattern {
            pattern.push(c);
        } else if depth == 0 && (c == ',' || (c == '}' && !goes_on(&body[at + 1..]))) {
            in_pattern = true;
        }
    }
    patterns
}

/// Whether an arm's expression goes on behind its closing brace.
fn goes_on(rest: &str) -> bool {
    let rest = rest.trim_start();
    rest.starts_with("else") || rest.starts_with(['.', '?'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arms_are_split_whatever_their_bodies_hold() {
        let body = "A::B { x } if x => { f(|y| match y { _ => 1 }) } A::C(_) => g(1, 2),\n \
            A::D => if x { 1 } else { 2 }, _ => {}";
        assert_eq!(arms(body), ["A::B { x } if x", "A::C(_)", "A::D", "_"]);
    }

    #[test]
    fn a_foreign_enum_or_a_tuple_is_left_alone() {
        let ours = HashSet::from(["Ours".to_owned()]);
        assert_eq!(enum_of("a::Ours::One(x)", &ours), Some("Ours".to_owned()));
        assert_eq!(enum_of("Theirs::One", &ours), None);
        assert_eq!(enum_of("(Ours::One, _)", &ours), None);
        assert_eq!(enum_of("Ours::LIMIT", &ours), None);
    }
}
