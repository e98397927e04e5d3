//! pure: blanks comments and the insides of strings, so that rules see code alone.

use super::source::Language;

/// Replaces comments and the insides of strings by spaces; line breaks stay where they are.
pub fn mask(text: &str, language: Language) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut masked = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = skipped_end(&chars, at, language);
        if end == at {
            masked.push(chars[at]);
            at += 1;
            continue;
        }
        for c in &chars[at..end] {
            masked.push(if *c == '\n' { '\n' } else { ' ' });
        }
        at = end;
    }
    masked
}

/// Where the comment or string that starts at `at` ends; `at` itself when none starts there.
fn skipped_end(chars: &[char], at: usize, language: Language) -> usize {
    let starts = |mark: &str| mark.chars().enumerate().all(|(i, c)| chars.get(at + i) == Some(&c));
    if language.line_comment().is_some_and(starts) {
        let hash_inside = language == Language::Hash && at > 0 && !chars[at - 1].is_whitespace();
        if !hash_inside {
            return line_end(chars, at);
        }
    }
    let braces = matches!(language, Language::Rust | Language::Solidity | Language::Script);
    if braces && starts("/*") {
        return block_comment_end(chars, at);
    }
    if language == Language::Rust {
        if let Some(end) = raw_string_end(chars, at) {
            return end;
        }
        if chars[at] == '\'' {
            return character_end(chars, at);
        }
    }
    if language.quotes().contains(&chars[at]) {
        return string_end(chars, at);
    }
    at
}

fn line_end(chars: &[char], at: usize) -> usize {
    chars[at..].iter().position(|c| *c == '\n').map_or(chars.len(), |length| at + length)
}

fn block_comment_end(chars: &[char], at: usize) -> usize {
    let mut depth = 0;
    let mut i = at;
    while i < chars.len() {
        match (chars[i], chars.get(i + 1)) {
            ('/', Some('*')) => (depth, i) = (depth + 1, i + 2),
            ('*', Some('/')) => (depth, i) = (depth - 1, i + 2),
            _ => i += 1,
        }
        if depth == 0 {
            break;
        }
    }
    i.min(chars.len())
}

fn raw_string_end(chars: &[char], at: usize) -> Option<usize> {
    let alone = at == 0 || !(chars[at - 1].is_alphanumeric() || chars[at - 1] == '_');
    let prefixed = chars[at] == 'b' && chars.get(at + 1) == Some(&'r');
    if !alone || !(chars[at] == 'r' || prefixed) {
        return None;
    }
    let open = at + if prefixed { 2 } else { 1 };
    let hashes = chars[open..].iter().take_while(|c| **c == '#').count();
    if chars.get(open + hashes) != Some(&'"') {
        return None;
    }
    let mut i = open + hashes + 1;
    while i < chars.len() {
        let closes = chars[i] == '"'
            && chars[i + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes;
        i += 1;
        if closes {
            return Some(i + hashes);
        }
    }
    Some(chars.len())
}

/// A character literal ends at its second quote; a lifetime is not skipped.
fn character_end(chars: &[char], at: usize) -> usize {
    match (chars.get(at + 1), chars.get(at + 2)) {
        (Some('\\'), _) => string_end(chars, at),
        (Some(_), Some('\'')) => at + 3,
        _ => at,
    }
}

fn string_end(chars: &[char], at: usize) -> usize {
    let mut i = at + 1;
    while i < chars.len() {
        if chars[i] == '\\' {
            i += 2;
            continue;
        }
        i += 1;
        if chars[i - 1] == chars[at] {
            break;
        }
    }
    i.min(chars.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_comments_and_characters_are_blanked_but_lines_stay() {
        let text =
            "let a = \"x.unwrap()\"; // b.unwrap()\n/* c\n/* d */ */ let e = '\"'; f::<'g>(h)";
        let masked = mask(text, Language::Rust);
        assert_eq!(masked.lines().count(), text.lines().count());
        assert!(!masked.contains("unwrap"));
        assert!(masked.contains("let e ="));
        assert!(masked.contains("f::<'g>(h)"));
    }

    #[test]
    fn raw_strings_end_at_their_own_hashes() {
        let masked = mask("r#\"a \" b\"# + br\"c\" + for_r", Language::Rust);
        assert_eq!(masked.trim(), "+       + for_r");
    }
}
