//! pure: a Range header and a file's length -> the bytes that are asked for.

use std::ops::Range;

use crate::error::{Code, Problem};

/// None: the whole file, as for a header that is not understood (RFC 9110, 14.2), and for several
/// ranges at once, which no client of ours needs.
pub fn asked(header: Option<&str>, length: usize) -> Result<Option<Range<usize>>, Problem> {
    let spec = header.and_then(|text| text.trim().strip_prefix("bytes="));
    let Some((from, to)) = spec.and_then(|spec| spec.split_once('-')) else { return Ok(None) };
    let range = match (number(from), number(to)) {
        (Number::Some(from), Number::None) => from..length,
        (Number::Some(from), Number::Some(to)) if from <= to => {
            from..to.saturating_add(1).min(length)
        }
        (Number::None, Number::Some(last)) => length.saturating_sub(last)..length,
        _ => return Ok(None),
    };
    if range.start >= range.end {
        let detail = format!("{} lies outside {length} bytes", header.unwrap_or_default());
        return Err(Code::RangeNotSatisfiable.because(detail).at("Range").length(length));
    }
    Ok(Some(range))
}

enum Number {
    None,
    Some(usize),
    Wrong,
}

fn number(text: &str) -> Number {
    match text {
        "" => Number::None,
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            // Longer than any number of ours is still a number: beyond every file's end.
            Number::Some(digits.parse().unwrap_or(usize::MAX))
        }
        _ => Number::Wrong,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_range_inside_the_file_is_taken() {
        let cases = [
            ("bytes=0-0", 0..1),
            ("bytes=2-5", 2..6),
            ("bytes=2-", 2..10),
            ("bytes=-3", 7..10),
            ("bytes=-99", 0..10),
            ("bytes=5-99", 5..10),
            ("bytes=5-99999999999999999999999999", 5..10),
        ];
        for (header, range) in cases {
            assert_eq!(asked(Some(header), 10).unwrap(), Some(range), "{header}");
        }
    }

    #[test]
    fn what_is_no_range_is_the_whole_file() {
        for header in ["", "bytes", "bytes=", "bytes=-", "lines=1-2", "bytes=5-2", "bytes=1-2,4-5"]
        {
            assert_eq!(asked(Some(header), 10).unwrap(), None, "{header}");
        }
        assert_eq!(asked(None, 10).unwrap(), None);
    }

    #[test]
    fn a_range_outside_the_file_is_refused_with_its_length() {
        for header in ["bytes=10-", "bytes=99999999999999999999999999-", "bytes=-0"] {
            let problem = asked(Some(header), 10).unwrap_err();
            assert_eq!(problem.code, Code::RangeNotSatisfiable, "{header}");
            assert_eq!(problem.length, Some(10));
        }
        assert_eq!(asked(Some("bytes=0-"), 0).unwrap_err().code, Code::RangeNotSatisfiable);
    }

    proptest! {
        #[test]
        fn any_header_gives_a_range_inside_the_file(
            text in "bytes=[0-9,-]{0,12}",
            length in 0usize..50,
        ) {
            if let Ok(Some(range)) = asked(Some(&text), length) {
                prop_assert!(range.start < range.end && range.end <= length);
            }
        }
    }
}
