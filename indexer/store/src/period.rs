//! pure: the time of a statement: a month, a quarter, a year, or two dates, all in UTC.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, NaiveDate, NaiveTime};

/// Longest text read: two times with offsets and fractions.
const MAX_TEXT: usize = 80;

/// Seconds of unix time from `from`, which is in the period, to `to`, which is not: the closing
/// of one period is the opening of the one that begins where it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    pub from: i64,
    pub to: i64,
}

/// Why a text names no period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeriodProblem(String);

impl fmt::Display for PeriodProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Period {
    type Err = PeriodProblem;

    /// `2026-11`, `2026-Q4`, `2026`, or `FROM..TO` of dates such as `2026-11-01` or RFC 3339 times.
    fn from_str(text: &str) -> Result<Self, PeriodProblem> {
        let unknown = || {
            PeriodProblem(format!(
                "`{}` is no period; write 2026-11, 2026-Q4, 2026, or FROM..TO with dates like \
                 2026-11-01 or times like 2026-11-01T12:00:00Z (TO itself is not in it)",
                text.chars().take(MAX_TEXT).collect::<String>()
            ))
        };
        if text.len() > MAX_TEXT {
            return Err(unknown());
        }
        let ends = match text.split_once("..") {
            Some((from, to)) => time(from).zip(time(to)),
            None => calendar(text),
        };
        let (from, to) = ends.ok_or_else(unknown)?;
        if from >= to {
            let what = format!("the period `{text}` ends before it begins; write FROM..TO");
            return Err(PeriodProblem(what));
        }
        Ok(Self { from, to })
    }
}

/// A year, or a month or quarter of it.
fn calendar(text: &str) -> Option<(i64, i64)> {
    let (year, part) = match text.split_once('-') {
        Some((year, part)) => (year, Some(part)),
        None => (text, None),
    };
    let year: i32 = digits(year, 4)?;
    let (first, months) = match part {
        None => (1, 12),
        Some(part) => match part.strip_prefix(['Q', 'q']) {
            Some(quarter) => match digits::<u32>(quarter, 1)? {
                quarter @ 1..=4 => (quarter * 3 - 2, 3),
                _ => return None,
            },
            None => (digits(part, 2)?, 1),
        },
    };
    let after = first + months;
    let end = if after > 12 { (year + 1, after - 12) } else { (year, after) };
    Some((midnight(year, first)?, midnight(end.0, end.1)?))
}

fn midnight(year: i32, month: u32) -> Option<i64> {
    let date = NaiveDate::from_ymd_opt(year, month, 1)?;
    Some(date.and_time(NaiveTime::MIN).and_utc().timestamp())
}

fn time(text: &str) -> Option<i64> {
    if let Ok(date) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        // The parser also takes 2026-1-1 and +2026-01-01.
        let plain = text.len() == 10 && text.starts_with(|first: char| first.is_ascii_digit());
        return plain.then(|| date.and_time(NaiveTime::MIN).and_utc().timestamp());
    }
    let Ok(time) = DateTime::parse_from_rfc3339(text) else { return None };
    // Blocks have whole seconds; a fraction would be dropped in silence.
    (time.timestamp_subsec_nanos() == 0).then(|| time.timestamp())
}

fn digits<T: FromStr>(text: &str, count: usize) -> Option<T> {
    let plain = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> (i64, i64) {
        let period: Period = text.parse().unwrap();
        (period.from, period.to)
    }

    #[test]
    fn months_quarters_and_years_meet_without_gap() {
        assert_eq!(read("2026-11"), (1_793_491_200, 1_796_083_200));
        assert_eq!(read("2026-11-01..2026-12-01"), read("2026-11"));
        assert_eq!(read("2026-11-01T00:00:00Z..2026-12-01T01:00:00+01:00"), read("2026-11"));
        assert_eq!(read("2026-Q4").0, read("2026-10").0);
        assert_eq!(read("2026-Q4").1, read("2026-12").1);
        assert_eq!(read("2026").1, read("2027").0);
        assert_eq!(read("2026-q1").0, read("2026").0);
        assert_eq!(read("2024-02").1 - read("2024-02").0, 29 * 86_400);
    }

    #[test]
    fn everything_else_is_refused_with_a_way_to_write_it() {
        let bad = [
            "",
            "2026-13",
            "2026-0",
            "2026-Q5",
            "2026-Q0",
            "26-11",
            "november",
            "2026-11-01",
            "2026-11-01..",
            "..2026-11-01",
            "2026-11-31..2026-12-01",
            "2026-1-1..2026-2-1",
            "2026-11-01T00:00:00..2026-12-01",
            "2026-11-01T00:00:00.5Z..2026-12-01",
            "٢٠٢٦",
        ];
        for text in bad {
            let problem = text.parse::<Period>().unwrap_err().to_string();
            assert!(problem.contains("write 2026-11"), "{text}: {problem}");
        }
        for reversed in ["2026-12-01..2026-11-01", "2026-11-01..2026-11-01"] {
            let problem = reversed.parse::<Period>().unwrap_err().to_string();
            assert!(problem.contains("ends before it begins"), "{problem}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_answered_without_panic(text in "[0-9Qq.:TZ+-]{0,60}|\\PC{0,100}") {
            if let Ok(period) = text.parse::<Period>() {
                prop_assert!(period.from < period.to);
            }
        }
    }
}
