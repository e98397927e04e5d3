//! pure: finds in POV-Ray text what two runs would render differently, comments and strings apart.

/// Why a word is refused, for the problem text.
const REFUSED: [(&str, &str); 2] = [
    ("radiosity", "its result differs from run to run, so no second node could check a frame"),
    ("now", "it reads the wall clock, so no two runs are alike; use clock or frame_number"),
];

/// A refused word and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub line: usize,
    pub word: &'static str,
    pub reason: &'static str,
}

/// The first refused word of a scene or include, or None. Words stand alone: `nowhere` is fine.
pub fn refused_word(text: &[u8]) -> Option<Finding> {
    let mut line = 1;
    let mut at = 0;
    // Each turn moves `at` on by at least one byte, so the text's length is the limit.
    while at < text.len() {
        let rest = &text[at..];
        let length = if rest.starts_with(b"//") {
            line_comment(rest)
        } else if rest.starts_with(b"/*") {
            block_comment(rest)
        } else if rest[0] == b'"' {
            string(rest)
        } else if is_word(rest[0]) {
            let length = rest.iter().take_while(|byte| is_word(**byte)).count();
            let word = &rest[..length];
            let refused = REFUSED.iter().find(|(refused, _)| refused.as_bytes() == word);
            if let Some((word, reason)) = refused {
                return Some(Finding { line, word, reason });
            }
            length
        } else {
            1
        };
        line += rest[..length].iter().filter(|byte| **byte == b'\n').count();
        at += length;
    }
    None
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn line_comment(rest: &[u8]) -> usize {
    rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len())
}

/// POV-Ray nests block comments; one that never ends takes the rest of the file.
fn block_comment(rest: &[u8]) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        if rest[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

fn string(rest: &[u8]) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(text: &str) -> Option<(usize, &'static str)> {
        refused_word(text.as_bytes()).map(|finding| (finding.line, finding.word))
    }

    #[test]
    fn words_are_found_with_their_line() {
        assert_eq!(found("global_settings {\n radiosity { count 9 } }"), Some((2, "radiosity")));
        assert_eq!(found("#declare T = now;"), Some((1, "now")));
        assert_eq!(found("/* a\n b */ // c\n\"d\ne\" now"), Some((4, "now")));
    }

    #[test]
    fn comments_strings_and_longer_words_do_not_count() {
        for text in [
            "// now and radiosity",
            "/* now /* radiosity */ now */",
            "\"now \\\" radiosity\"",
            "nowhere known no_radiosity radiosity_off now2",
            "/* never ends: now",
            "\"never ends: now",
            "Radiosity NOW",
            "",
        ] {
            assert_eq!(found(text), None, "{text}");
        }
    }

    #[test]
    fn a_comment_mark_inside_a_string_hides_nothing() {
        assert_eq!(found("\"/*\" now \"*/\""), Some((1, "now")));
        assert_eq!(found("\"//\" radiosity"), Some((1, "radiosity")));
        assert_eq!(found("/* \" */ now"), Some((1, "now")));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_to_their_end(text in proptest::collection::vec(any::<u8>(), 0..400)) {
            refused_word(&text);
        }

        #[test]
        fn a_word_after_closed_text_is_always_found(
            parts in proptest::collection::vec(
                prop::sample::select(vec!["// x\n", "/* a */", "\"s\"", "box {} ", "\n"]),
                0..20,
            ),
        ) {
            let text = format!("{} now", parts.concat());
            let lines = text.matches('\n').count() + 1;
            prop_assert_eq!(found(&text), Some((lines, "now")));
        }
    }
}
