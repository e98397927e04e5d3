//! pure: one source file as tidy sees it: strings and comments blanked, tests and functions marked.

use super::mask::mask;

/// How a file writes comments and strings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    Rust,
    Solidity,
    Script,
    Sql,
    Hash,
    Plain,
}

impl Language {
    pub fn of(path: &str) -> Self {
        let name = path.rsplit('/').next().unwrap_or(path);
        match name.rsplit_once('.').map_or("", |(_, extension)| extension) {
            "rs" => Self::Rust,
            "sol" => Self::Solidity,
            "mjs" | "js" | "ts" | "tsx" | "pov" | "inc" => Self::Script,
            "sql" => Self::Sql,
            "toml" | "sh" | "py" | "yaml" | "yml" | "gitignore" | "npmrc" => Self::Hash,
            "" if path.starts_with("scripts/") || path.starts_with(".ci/") => Self::Hash,
            _ => Self::Plain,
        }
    }

    /// The mark of a comment that runs to the end of the line.
    pub fn line_comment(self) -> Option<&'static str> {
        match self {
            Self::Rust | Self::Solidity | Self::Script => Some("//"),
            Self::Sql => Some("--"),
            Self::Hash => Some("#"),
            Self::Plain => None,
        }
    }

    pub fn quotes(self) -> &'static [char] {
        match self {
            Self::Rust => &['"'],
            Self::Solidity => &['"', '\''],
            Self::Script => &['"', '\'', '`'],
            Self::Sql => &['\''],
            Self::Hash | Self::Plain => &[],
        }
    }
}

/// A function's name, first line (1-based) and number of lines.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    pub name: String,
    pub line: usize,
    pub lines: usize,
}

pub struct Source {
    pub path: String,
    pub language: Language,
    pub lines: Vec<String>,
    /// The same lines with comments and the insides of strings replaced by spaces.
    pub code: Vec<String>,
    in_test: Vec<bool>,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Self {
        let language = Language::of(path);
        let masked = mask(text, language);
        let code: Vec<String> = masked.lines().map(str::to_owned).collect();
        let in_test = mark_tests(path, &code, language);
        let lines = text.lines().map(str::to_owned).collect();
        Self { path: path.to_owned(), language, lines, code, in_test }
    }

    /// Whether a line (1-based) belongs to a test.
    pub fn is_test(&self, line: usize) -> bool {
        self.in_test.get(line.wrapping_sub(1)).copied().unwrap_or(false)
    }

    /// Whether the whole file is a test.
    pub fn is_test_file(&self) -> bool {
        is_test_path(&self.path)
    }

    /// Lines of code outside tests, numbered from 1.
    pub fn product_code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code
            .iter()
            .enumerate()
            .map(|(index, line)| (index + 1, line.as_str()))
            .filter(|(line, _)| !self.is_test(*line))
    }

    /// Every function that has a body.
    pub fn functions(&self) -> Vec<Function> {
        let keywords: &[&str] = match self.language {
            Language::Rust => &["fn"],
            Language::Solidity => &["function", "constructor", "modifier"],
            Language::Script => &["function"],
            Language::Sql | Language::Hash | Language::Plain => return Vec::new(),
        };
        let text = self.code.join("\n");
        let mut found = Vec::new();
        for keyword in keywords {
            for start in words(&text, keyword) {
                let rest = &text[start + keyword.len()..];
                let name = first_word(rest.trim_start());
                if name.is_empty() && *keyword != "constructor" {
                    continue;
                }
                let Some(end) = body_end(&text[start..]) else {
                    continue;
                };
                found.push(Function {
                    name: if name.is_empty() { (*keyword).to_owned() } else { name },
                    line: 1 + text[..start].matches('\n').count(),
                    lines: 1 + text[start..start + end].matches('\n').count(),
                });
            }
        }
        found
    }

    /// The opening sentence: the first comment after `#!` and SPDX lines.
    pub fn opening(&self) -> Option<String> {
        let mark = self.language.line_comment()?;
        let mut sentence = String::new();
        for line in self.lines.iter().map(|line| line.trim()) {
            if sentence.is_empty() && (line.starts_with("#!/") || line.contains("SPDX-License")) {
                continue;
            }
            let Some(comment) = line.strip_prefix(mark) else {
                break;
            };
            let comment = comment.trim_start_matches(['/', '!', '#', '-']).trim();
            let comment = comment.strip_prefix("@title").map_or(comment, str::trim);
            if comment.is_empty() {
                break;
            }
            if !sentence.is_empty() {
                sentence.push(' ');
            }
            sentence.push_str(comment);
            if sentence.ends_with('.') {
                break;
            }
        }
        (!sentence.is_empty()).then_some(sentence)
    }
}

pub fn is_test_path(path: &str) -> bool {
    path.starts_with("tests/")
        || path.starts_with("contracts/test/")
        || path.contains("/tests/")
        || path.ends_with("/tests.rs")
        || path.ends_with("/testing.rs")
        || path.contains("/testing/")
        || path.ends_with("_tests.rs")
        || path.ends_with(".t.sol")
}

/// Byte offsets at which `word` stands alone.
pub fn words<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).map(|(at, _)| at).filter(move |at| {
        let before = text[..*at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        let starts = word.chars().next().is_some_and(is_part);
        let ends = word.chars().next_back().is_some_and(is_part);
        !(starts && before.is_some_and(is_part) || ends && after.is_some_and(is_part))
    })
}

pub fn has_word(text: &str, word: &str) -> bool {
    words(text, word).next().is_some()
}

pub fn first_word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// Offset just behind the `}` of the first body in `text`, or None when a `;` comes first.
pub fn body_end(text: &str) -> Option<usize> {
    let mut braces = 0_i32;
    let mut parentheses = 0_i32;
    for (at, c) in text.char_indices() {
        match c {
            '(' | '[' => parentheses += 1,
            ')' | ']' => parentheses -= 1,
            '{' => braces += 1,
            '}' => {
                braces -= 1;
                if braces <= 0 {
                    return Some(at + 1);
                }
            }
            ';' if braces == 0 && parentheses == 0 => return None,
            _ => {}
        }
    }
    None
}

fn mark_tests(path: &str, code: &[String], language: Language) -> Vec<bool> {
    let mut marks = vec![is_test_path(path); code.len()];
    if language != Language::Rust {
        return marks;
    }
    for start in 0..code.len() {
        let line = code[start].trim_start();
        let opens = line.starts_with("#[cfg(test)]")
            || line.starts_with("#[test]")
            || line.starts_with("#[tokio::test");
        if !opens || marks[start] {
            continue;
        }
        let rest = code[start..].join("\n");
        let lines = match body_end(&rest) {
            Some(end) => 1 + rest[..end].matches('\n').count(),
            None => 1 + rest[..rest.find(';').unwrap_or(0)].matches('\n').count(),
        };
        marks[start..start + lines].fill(true);
    }
    marks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_measured_to_their_closing_brace() {
        let source =
            Source::new("a/src/lib.rs", "trait T { fn no_body(); }\nfn b() {\n  c();\n}\n");
        assert_eq!(source.functions(), vec![Function { name: "b".into(), line: 2, lines: 3 }],);
    }

    #[test]
    fn a_test_module_is_a_test_from_its_attribute_to_its_brace() {
        let source = Source::new(
            "a/src/lib.rs",
            "fn a() {}\n#[cfg(test)]\nmod tests {\n  fn b() {}\n}\nfn c() {}\n",
        );
        let marks: Vec<bool> = (1..=6).map(|line| source.is_test(line)).collect();
        assert_eq!(marks, [false, true, true, true, true, false]);
    }

    #[test]
    fn the_opening_sentence_skips_shebang_and_licence_and_joins_lines() {
        let script =
            Source::new("scripts/demo", "#!/usr/bin/env bash\n# Runs\n# it all.\n# More.\n");
        assert_eq!(script.opening().as_deref(), Some("Runs it all."));
        let contract = Source::new("a.sol", "// SPDX-License-Identifier: MIT\n// Pays.\npragma x;");
        assert_eq!(contract.opening().as_deref(), Some("Pays."));
        assert_eq!(Source::new("a.rs", "fn a() {}").opening(), None);
    }
}
