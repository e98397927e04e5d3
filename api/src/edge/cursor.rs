//! Places in lists: how a page goes on after the one before, across a reorg too.

use alloy::primitives::{B256, hex};
use store::Reorg;

use super::body::clip;
use super::view::View;
use crate::error::{Code, Problem, Resume};
use crate::wire::Hash;

/// Rows of a page when the caller names no number, and the most it gets.
pub const PAGE_ROWS: u32 = 50;
pub const MAX_PAGE_ROWS: u32 = 500;

/// How many rows a page has.
pub fn page_rows(limit: Option<u32>) -> Result<u32, Problem> {
    let rows = limit.unwrap_or(PAGE_ROWS);
    if !(1..=MAX_PAGE_ROWS).contains(&rows) {
        let detail = format!("limit is {rows}; pages have 1 to {MAX_PAGE_ROWS} rows");
        return Err(Code::BadQuery.because(detail).at("limit"));
    }
    Ok(rows)
}

/// A place in a list: block, its hash, and what orders rows inside the block. It is not signed:
/// it names public rows, and its block's hash tells whether they are still there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    pub block: u64,
    pub hash: B256,
    pub place: B256,
    /// The highest block of which the walk so far has shown rows.
    pub top: u64,
    /// The journal's newest reorg when this cursor was handed out; `NO_REORG` in a final view.
    pub journal: u64,
}

/// Bytes of a cursor: block, hash, place, top, journal.
const CURSOR_BYTES: usize = 8 + 32 + 32 + 8 + 8;
/// After every reorg to come.
const NO_REORG: u64 = i64::MAX.unsigned_abs();
/// A place after every row of its block, for rows that log indexes order.
pub const LAST_LOG: B256 = {
    let mut bytes = [0; 32];
    let mut at = 24;
    while at < 32 {
        bytes[at] = 0xff;
        at += 1;
    }
    bytes[24] = 0x7f;
    B256::new(bytes)
};
/// The same for rows that hashes order.
pub const LAST_HASH: B256 = B256::repeat_byte(0xff);

impl Cursor {
    /// After a row of a list that runs oldest first.
    pub fn after(view: &View, block: u64, hash: B256, place: B256) -> Self {
        let newest = u64::try_from(view.marks.newest_reorg).unwrap_or_default();
        // No reorg reaches final rows, and their pages are the same whatever came in between.
        let journal = if view.asked.is_final() { NO_REORG } else { newest };
        Self { block, hash, place, top: block, journal }
    }

    /// The same in a list that runs newest first and has shown rows up to block `top`.
    #[must_use]
    pub fn below(self, top: u64) -> Self {
        Self { top: self.top.max(top), ..self }
    }

    /// A place named by a number, such as a log's index.
    pub fn log(number: u64) -> B256 {
        B256::left_padding_from(&number.to_be_bytes())
    }

    /// The number that names the place; refused when it is one of another list.
    pub fn number(&self) -> Result<u64, Problem> {
        let number = self.place.0.split_last_chunk::<8>().and_then(|(zeros, tail)| {
            let number = u64::from_be_bytes(*tail);
            let fits = zeros.iter().all(|byte| *byte == 0) && number <= i64::MAX.unsigned_abs();
            fits.then_some(number)
        });
        let other = || Code::BadCursor.because("this cursor is of another list").at("cursor");
        number.ok_or_else(other)
    }

    pub fn text(&self) -> String {
        let numbers = [self.top.to_be_bytes(), self.journal.to_be_bytes()].concat();
        let block = self.block.to_be_bytes();
        hex::encode([&block[..], self.hash.as_slice(), self.place.as_slice(), &numbers].concat())
    }

    pub fn parse(text: &str) -> Result<Self, Problem> {
        let wrong =
            || Code::BadCursor.because(format!("`{}` is no cursor", clip(text))).at("cursor");
        let bytes = hex::decode(text).map_err(|_| wrong())?;
        let bytes: [u8; CURSOR_BYTES] = bytes.try_into().map_err(|_| wrong())?;
        let (block, rest) = bytes.split_first_chunk::<8>().ok_or_else(wrong)?;
        let (rest, journal) = rest.split_last_chunk::<8>().ok_or_else(wrong)?;
        let (rest, top) = rest.split_last_chunk::<8>().ok_or_else(wrong)?;
        let (hash, place) = rest.split_at(32);
        let [block, top, journal] = [block, top, journal].map(|bytes| u64::from_be_bytes(*bytes));
        let fits = |number: &u64| *number <= i64::MAX.unsigned_abs();
        if ![block, top, journal].iter().all(fits) {
            return Err(wrong());
        }
        let (hash, place) = (B256::from_slice(hash), B256::from_slice(place));
        Ok(Self { block, hash, place, top, journal })
    }

    /// The cursor that a caller hands in, once it is known to lie on the chain. Refused when rows
    /// that the walk has shown are gone: with the fork, and where to go on from there. `last` is
    /// the place after every row of a block.
    pub async fn read(view: &View, text: &str, last: B256) -> Result<Self, Problem> {
        let cursor = Self::parse(text)?;
        let stored = view.reader.block(cursor.block).await?;
        let is_there = stored.is_some_and(|block| block.hash == cursor.hash);
        // Whatever lies below a block of the chain lies on the chain.
        if is_there && cursor.top <= cursor.block {
            return Ok(cursor);
        }
        let since = i64::try_from(cursor.journal).unwrap_or(i64::MAX);
        let deepest = view.reader.deepest_reorg_since(since).await?;
        match deepest.filter(|reorg| reorg.fork_block < cursor.top.max(cursor.block)) {
            None if is_there => Ok(cursor),
            fork => Err(cursor.gone(view, is_there, fork.as_ref(), last)),
        }
    }

    fn gone(&self, view: &View, is_there: bool, fork: Option<&Reorg>, last: B256) -> Problem {
        let detail = match is_there {
            true => format!("blocks of this walk above block {} left the chain", self.block),
            false => format!("block {} with hash {} is not in the chain", self.block, self.hash),
        };
        let problem = Code::CursorGone.because(detail).at("cursor");
        let Some(fork) = fork else {
            return problem.hint("Start again from the first page: this place is not known here.");
        };
        let at_fork = Self::after(view, fork.fork_block, fork.fork_hash, last);
        let resume = match is_there && self.block <= fork.fork_block {
            true => Self { top: fork.fork_block, journal: at_fork.journal, ..*self },
            false => at_fork,
        };
        problem.resuming(Resume {
            fork_block: fork.fork_block,
            fork_hash: Hash(fork.fork_hash),
            cursor: resume.text(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cursor(block: u64, place: B256) -> Cursor {
        Cursor { block, hash: B256::repeat_byte(1), place, top: block, journal: 3 }
    }

    #[test]
    fn the_last_place_of_a_block_is_a_number_that_fits() {
        assert_eq!(cursor(1, LAST_LOG).number().unwrap(), i64::MAX.unsigned_abs());
        assert_eq!(cursor(1, LAST_HASH).number().unwrap_err().code, Code::BadCursor);
    }

    proptest! {
        #[test]
        fn cursors_read_back(
            numbers in prop::array::uniform4(0..=i64::MAX.unsigned_abs()),
            hash: [u8; 32],
            place: [u8; 32],
        ) {
            let [block, top, journal, number] = numbers;
            let (hash, place) = (hash.into(), place.into());
            let cursor = Cursor { block, hash, place, top, journal };
            prop_assert_eq!(Cursor::parse(&cursor.text()).unwrap(), cursor);
            let numbered = Cursor { place: Cursor::log(number), ..cursor };
            prop_assert_eq!(numbered.number().unwrap(), number);
            let large = Cursor { top: u64::MAX, ..cursor };
            prop_assert_eq!(Cursor::parse(&large.text()).unwrap_err().code, Code::BadCursor);
        }

        #[test]
        fn any_text_is_answered_without_panic(text in "\\PC{0,200}") {
            let _ = Cursor::parse(&text);
        }
    }
}
