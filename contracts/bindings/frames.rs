//! pure: frame-range grammar; parse(print(x)) == x.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, Deserialize, Deserializer};
use serde::{Serialize, Serializer};

/// Longest frame text, in and out: a job has one such text, and it is stored with the spec.
pub const MAX_TEXT: usize = 64 * 1024;
/// Most frames of one text: more would not fit a job's units with room to spare.
pub const MAX_FRAMES: u64 = 1 << 20;

/// A set of frame numbers. Its text is canonical: ascending, merged, `a-b` and `a-bxn`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Frames {
    /// Ascending, without repeats, never empty.
    numbers: Vec<i64>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FramesError {
    #[error("no frames given; write for example \"1-10\" or \"1-10x2,15\"")]
    Empty,
    #[error("frame text has {bytes} bytes; at most {MAX_TEXT} are read; use ranges like \"1-500\"")]
    TooLong { bytes: usize },
    #[error("nothing between two commas (item {position}); remove one comma")]
    EmptyItem { position: usize },
    #[error("`{item}`: {problem}; {hint}")]
    Item { item: String, problem: String, hint: &'static str },
    #[error(
        "`{item}` brings the list to {frames} frames; a job has at most {MAX_FRAMES} (counted \
         before repeats collapse); split it into several jobs"
    )]
    TooMany { item: String, frames: u128 },
    #[error(
        "the frames need more than {MAX_TEXT} bytes when written out plainly; use longer ranges, \
         or split them into several jobs"
    )]
    TooScattered,
    #[error("frame {frame} is named twice, and strict was asked for; name each frame once")]
    Overlap { frame: i64 },
}

/// One item of the list: from `first` in steps towards `last`; `inverted` (`y`) takes the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Item {
    first: i64,
    last: i64,
    step: i64,
    inverted: bool,
}

impl Item {
    /// How many frames it names; no item is expanded before this was added up.
    fn count(self) -> u128 {
        let span = u128::from(self.first.abs_diff(self.last)) + 1;
        let stepped = span.div_ceil(u128::from(self.step.unsigned_abs()));
        if self.inverted { span - stepped } else { stepped }
    }

    fn expand(self, into: &mut Vec<i64>) {
        let back = self.last < self.first;
        let span = self.first.abs_diff(self.last);
        let step = self.step.unsigned_abs();
        let wanted = (0..=span).filter(|offset| (offset % step == 0) != self.inverted);
        // The offset never leaves first..last, so this cannot overflow.
        into.extend(wanted.map(|offset| {
            if back {
                self.first.saturating_sub_unsigned(offset)
            } else {
                self.first.saturating_add_unsigned(offset)
            }
        }));
    }
}

impl Frames {
    /// Reads a list; frames that are named twice count once, reversed ranges name the same frames.
    pub fn parse(text: &str) -> Result<Self, FramesError> {
        Self::read(text, false)
    }

    /// The same, but a frame that is named twice is an error.
    pub fn parse_strict(text: &str) -> Result<Self, FramesError> {
        Self::read(text, true)
    }

    /// The set of some frame numbers.
    pub fn from_numbers(numbers: impl IntoIterator<Item = i64>) -> Result<Self, FramesError> {
        let mut numbers: Vec<i64> = numbers.into_iter().collect();
        numbers.sort_unstable();
        numbers.dedup();
        if numbers.len() as u64 > MAX_FRAMES {
            let frames = numbers.len() as u128;
            return Err(FramesError::TooMany { item: "the list".into(), frames });
        }
        if let Some(far) = numbers.iter().find(|number| i32::try_from(**number).is_err()) {
            return Err(FramesError::Item {
                item: far.to_string(),
                problem: "it is beyond what renderers count (2^31)".into(),
                hint: "number the frames lower",
            });
        }
        Self::checked(numbers)
    }

    fn read(text: &str, strict: bool) -> Result<Self, FramesError> {
        if text.len() > MAX_TEXT {
            return Err(FramesError::TooLong { bytes: text.len() });
        }
        let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        if text.is_empty() {
            return Err(FramesError::Empty);
        }
        let mut items = Vec::new();
        let mut frames = 0u128;
        for (index, part) in text.split(',').enumerate() {
            if part.is_empty() {
                return Err(FramesError::EmptyItem { position: index + 1 });
            }
            let item = item(part)?;
            frames += item.count();
            if frames > u128::from(MAX_FRAMES) {
                return Err(FramesError::TooMany { item: clip(part), frames });
            }
            items.push(item);
        }
        let mut numbers = Vec::with_capacity(usize::try_from(frames).unwrap_or_default());
        for item in items {
            item.expand(&mut numbers);
        }
        numbers.sort_unstable();
        let repeat = numbers.windows(2).find(|pair| pair[0] == pair[1]);
        if let (true, Some(pair)) = (strict, repeat) {
            return Err(FramesError::Overlap { frame: pair[0] });
        }
        numbers.dedup();
        Self::checked(numbers)
    }

    /// The canonical text must be readable again, so it must keep the limit too.
    fn checked(numbers: Vec<i64>) -> Result<Self, FramesError> {
        if numbers.is_empty() {
            return Err(FramesError::Empty);
        }
        let frames = Self { numbers };
        let mut room = Room(MAX_TEXT);
        fmt::write(&mut room, format_args!("{frames}")).map_err(|_| FramesError::TooScattered)?;
        Ok(frames)
    }

    /// Never 0: a list without frames does not parse.
    #[allow(clippy::len_without_is_empty, reason = "frames are never empty")]
    pub fn len(&self) -> u32 {
        // At most 2^20.
        u32::try_from(self.numbers.len()).unwrap_or(u32::MAX)
    }

    /// All frames, ascending.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = i64> + '_ {
        self.numbers.iter().copied()
    }

    pub fn first(&self) -> i64 {
        self.numbers.first().copied().unwrap_or_default()
    }

    pub fn last(&self) -> i64 {
        self.numbers.last().copied().unwrap_or_default()
    }

    /// The place of a frame among all, from 0: its unit number.
    pub fn index_of(&self, frame: i64) -> Option<u32> {
        self.numbers.binary_search(&frame).ok().and_then(|index| u32::try_from(index).ok())
    }

    pub fn frame_at(&self, index: u32) -> Option<i64> {
        self.numbers.get(index as usize).copied()
    }

    pub fn contains(&self, frame: i64) -> bool {
        self.index_of(frame).is_some()
    }

    /// The frames that both have; None when there are none.
    pub fn intersect(&self, other: &Self) -> Option<Self> {
        let both = self.iter().filter(|frame| other.contains(*frame)).collect();
        Self::checked(both).ok()
    }

    /// Frames of `self` that `other` lacks, ascending: for naming them in an error.
    pub fn missing_in<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = i64> + 'a {
        self.iter().filter(|frame| !other.contains(*frame))
    }
}

impl fmt::Display for Frames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = &self.numbers[..];
        while let [first, tail @ ..] = rest {
            if rest.len() < self.numbers.len() {
                f.write_str(",")?;
            }
            let step = tail.first().map_or(1, |next| next - first);
            let run =
                1 + tail.iter().zip(1i64..).take_while(|(n, i)| **n == first + i * step).count();
            let last = rest[run - 1];
            // Two frames that are not neighbours are shorter as two numbers.
            let taken = match (step, run) {
                (1, 2..) => {
                    write!(f, "{first}-{last}")?;
                    run
                }
                (_, 3..) => {
                    write!(f, "{first}-{last}x{step}")?;
                    run
                }
                _ => {
                    write!(f, "{first}")?;
                    1
                }
            };
            rest = &rest[taken..];
        }
        Ok(())
    }
}

impl FromStr for Frames {
    type Err = FramesError;

    fn from_str(text: &str) -> Result<Self, FramesError> {
        Self::parse(text)
    }
}

impl Serialize for Frames {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Frames {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}

/// Counts down the bytes written and fails when there is no room left.
struct Room(usize);

impl fmt::Write for Room {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 = self.0.checked_sub(text.len()).ok_or(fmt::Error)?;
        Ok(())
    }
}

const EXAMPLES: &str = "write a frame (7), a range (1-10), or a range with a step (1-10x2)";

fn item(text: &str) -> Result<Item, FramesError> {
    let wrong = |problem: String, hint| FramesError::Item { item: clip(text), problem, hint };
    let (first, rest) = number(text).map_err(|problem| wrong(problem, EXAMPLES))?;
    if rest.is_empty() {
        return Ok(Item { first, last: first, step: 1, inverted: false });
    }
    if rest.starts_with(':') {
        let hint = "`:` is a step after a range (1-100:2); for a range write 1-100";
        return Err(wrong("`:` follows a single frame".into(), hint));
    }
    let (tail, dotted) = match (rest.strip_prefix(".."), rest.strip_prefix('-')) {
        (Some(tail), _) => (tail, true),
        (None, Some(tail)) => (tail, false),
        (None, None) => {
            return Err(wrong(format!("`{}` is not understood", clip(rest)), EXAMPLES));
        }
    };
    let (last, rest) = number(tail).map_err(|problem| wrong(problem, EXAMPLES))?;
    if rest.is_empty() {
        return Ok(Item { first, last, step: 1, inverted: false });
    }
    if dotted {
        return Err(wrong("a..b takes no step".into(), "write a-bxn, such as 1-10x2"));
    }
    let steps = ["step", "every", "by", "x", ":"];
    let (tail, inverted) = match steps.iter().find_map(|word| rest.strip_prefix(word)) {
        Some(tail) => (tail, false),
        None => match rest.strip_prefix('y') {
            Some(tail) => (tail, true),
            None => {
                return Err(wrong(format!("`{}` is not understood", clip(rest)), EXAMPLES));
            }
        },
    };
    let hint = "write the step as a whole number from 1, such as 1-10x2";
    let (step, rest) = number(tail).map_err(|problem| wrong(problem, hint))?;
    if step < 1 {
        return Err(wrong(format!("step {step} leads nowhere"), hint));
    }
    if !rest.is_empty() {
        return Err(wrong(format!("`{}` follows the step", clip(rest)), EXAMPLES));
    }
    if inverted && step == 1 {
        let hint = "a-byn leaves out every n-th frame, so n is 2 or more";
        return Err(wrong("y1 leaves no frame".into(), hint));
    }
    Ok(Item { first, last, step, inverted })
}

/// A number, with a minus before it or not, and what follows. Renderers count frames in 32 bits.
fn number(text: &str) -> Result<(i64, &str), String> {
    let digits_at = usize::from(text.starts_with('-'));
    let digits = text[digits_at..].bytes().take_while(u8::is_ascii_digit).count();
    if digits == 0 {
        return Err(if text.is_empty() {
            "a number is missing at its end".into()
        } else {
            format!("`{}` does not begin with a number", clip(text))
        });
    }
    let (number, rest) = text.split_at(digits_at + digits);
    match number.parse::<i32>() {
        Ok(value) => Ok((i64::from(value), rest)),
        Err(_) => Err(format!("{} is beyond what renderers count (2^31)", clip(number))),
    }
}

fn clip(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests;
