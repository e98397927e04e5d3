//! What an answer is read from: one moment of the index, at the head that `tag` names.

use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::Serialize;
use store::{Block, Escrow, Head, Marks, Reader, Tag, Verified};
use tokio::time::Instant;
use utoipa::ToSchema;

use super::body::{MIN_BLOCK, TAG, clip, is_read, value_of};
use super::reply::Asked;
use crate::App;
use crate::error::{Code, Problem};
use crate::wire::{Asset, Hash};

/// Longest wait for `min_block`: some blocks of any chain in use.
const MIN_BLOCK_WAIT: Duration = Duration::from_secs(5);
/// How often the index is asked meanwhile.
const MIN_BLOCK_STEP: Duration = Duration::from_millis(100);

/// The block that an answer is read from: the chain's part of it is the state at that block.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AsOf {
    pub chain_id: u64,
    pub block_number: u64,
    pub block_hash: Hash,
    /// How settled that block is: latest, safe or finalized. Finalized is never taken back.
    pub tag: String,
    /// How the logs up to that block were proven: bloom, receipts, or logs_only as soon as one
    /// block's were by nothing.
    pub verified: String,
    /// Seconds since the index was known to be level with the chain; left out with
    /// `tag=finalized`, whose answers are the same whenever they are asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lag_seconds: Option<u64>,
}

/// The state of the index when a request came in.
#[derive(Clone)]
pub struct View {
    pub as_of: AsOf,
    pub escrow: Escrow,
    /// The block that the answer is read from.
    pub tip: Block,
    pub marks: Marks,
    pub asset: Asset,
    /// Sees the chain up to that block. For GET it sees one moment of the database: `as_of` and
    /// all that is read with it agree, whatever the indexer writes meanwhile.
    pub reader: Reader,
    pub asked: Asked,
}

impl FromRequestParts<App> for View {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let asked = Asked::of(parts)?;
        let query = parts.uri.query().unwrap_or_default();
        let min_block = number(query)?;
        // A body may come in for minutes, and a moment holds a connection meanwhile.
        let is_read = is_read(&parts.method);
        let until = Instant::now() + MIN_BLOCK_WAIT;
        loop {
            let reader = app.store.reader();
            let reader = if is_read { reader.moment().await? } else { reader };
            let view = Self::of(app, reader, asked.clone()).await;
            let Some(wanted) = min_block else { return view };
            let reached = view.as_ref().ok().map(|view| view.tip.number);
            if reached.is_some_and(|number| number >= wanted) {
                return view;
            }
            // The moment must be over before the next one.
            drop(view);
            if Instant::now() >= until {
                let at = reached.map_or("no block".into(), |number| format!("block {number}"));
                let detail = format!("the index is at {at}; min_block is {wanted}");
                return Err(Code::IndexBehind.because(detail).at(MIN_BLOCK));
            }
            tokio::time::sleep(MIN_BLOCK_STEP).await;
        }
    }
}

impl View {
    /// Fails while the indexer has stored no block yet, or none that the tag fits.
    pub async fn of(app: &App, reader: Reader, asked: Asked) -> Result<Self, Problem> {
        let marks = reader.marks().await?;
        let (Some(tip), Some(escrow)) = (marks.tip.clone(), app.escrow(&reader).await?) else {
            return Err(Code::NotReady.because("the indexer has stored no block yet"));
        };
        let tip = match asked.tag {
            Tag::Latest => tip,
            Tag::Safe | Tag::Finalized => at_head(&reader, &marks, tip, asked.tag).await?,
        };
        let lag_seconds = (asked.tag != Tag::Finalized)
            .then(|| lag_seconds(&marks.heads, marks.tip.as_ref().unwrap_or(&tip), app.now()));
        Ok(Self::at(escrow, marks, tip, reader, asked, lag_seconds))
    }

    fn at(
        escrow: Escrow,
        marks: Marks,
        tip: Block,
        reader: Reader,
        asked: Asked,
        lag_seconds: Option<u64>,
    ) -> Self {
        let unproven = marks.first_unproven.is_some_and(|first| first <= tip.number);
        let verified = if unproven { Verified::LogsOnly } else { tip.verified };
        let as_of = AsOf {
            chain_id: escrow.chain_id,
            block_number: tip.number,
            block_hash: Hash(tip.hash),
            tag: settled(&marks, tip.number).as_str().into(),
            verified: verified.as_str().into(),
            lag_seconds,
        };
        let (asset, reader) = (Asset::of(&escrow), reader.at(tip.number));
        Self { as_of, reader, asset, escrow, tip, marks, asked }
    }

    /// The same view below a block, when it is final: such an answer never changes again.
    pub async fn pinned_below(self, before: Option<u64>) -> Result<Self, Problem> {
        let last = before.and_then(|before| before.checked_sub(1));
        let Some(last) = last.filter(|last| self.asked.is_final() && *last < self.tip.number)
        else {
            return Ok(self);
        };
        let Some(tip) = self.reader.block_at_or_below(last).await? else { return Ok(self) };
        let asked = self.asked.pinned();
        Ok(Self::at(self.escrow, self.marks, tip, self.reader, asked, self.as_of.lag_seconds))
    }

    /// Ends the moment, whose connection others wait for, once all is read: files take their time.
    pub fn after_reading(self, app: &App) -> Self {
        Self { reader: app.store.reader().at(self.tip.number), ..self }
    }

    /// How settled a block of the index is. Nothing unproven is called final, nor what follows it.
    pub fn settled(&self, block: u64) -> Tag {
        settled(&self.marks, block)
    }

    /// Time of the chain: contract deadlines follow blocks, not clocks.
    pub fn chain_time(&self) -> i64 {
        self.tip.mined_at
    }

    pub fn domain(&self) -> alloy::sol_types::Eip712Domain {
        contracts::order::domain(self.escrow.chain_id, self.escrow.address)
    }
}

/// The stored block at a head of the chain; the tip, when the index has not come that far.
async fn at_head(reader: &Reader, marks: &Marks, tip: Block, tag: Tag) -> Result<Block, Problem> {
    let none = |detail: String| Code::TagUnavailable.because(detail).at(TAG);
    let (name, head) = (tag.as_str(), marks.heads.iter().find(|head| head.tag == tag));
    let head = head.ok_or_else(|| none(format!("the chain has named no {name} block yet")))?;
    let block = match head.block < tip.number {
        true => reader.block_at_or_below(head.block).await?,
        false => Some(tip),
    };
    let Some(block) = block else {
        let detail = format!("block {} is {name}; nothing so low is indexed", head.block);
        return Err(none(detail));
    };
    if block.number == head.block && block.hash != head.hash {
        let detail = format!("block {} is another one on the chain than here", head.block);
        return Err(none(detail));
    }
    if let Some(first) = marks.first_unproven.filter(|first| *first <= block.number)
        && tag == Tag::Finalized
    {
        let detail = format!("no logs are proven from block {first} on, so nothing above is final");
        return Err(none(detail));
    }
    Ok(block)
}

fn settled(marks: &Marks, block: u64) -> Tag {
    match tag_of(&marks.heads, block) {
        Tag::Finalized if marks.first_unproven.is_some_and(|first| first <= block) => Tag::Safe,
        tag => tag,
    }
}

/// The most settled head at or above a block.
fn tag_of(heads: &[Head], block: u64) -> Tag {
    let reached = |tag| heads.iter().any(|head| head.tag == tag && head.block >= block);
    if reached(Tag::Finalized) {
        Tag::Finalized
    } else if reached(Tag::Safe) {
        Tag::Safe
    } else {
        Tag::Latest
    }
}

/// Since when the index has not been level with the chain's head. A chain that mines nothing has
/// an old tip and no lag, so what counts is when the head was last looked at.
pub fn lag_seconds(heads: &[Head], tip: &Block, now: i64) -> u64 {
    let latest = heads.iter().find(|head| head.tag == Tag::Latest);
    let level_at = match latest {
        Some(head) if head.block <= tip.number => head.seen_at,
        Some(_) | None => tip.mined_at,
    };
    u64::try_from(now.saturating_sub(level_at)).unwrap_or_default()
}

fn number(query: &str) -> Result<Option<u64>, Problem> {
    let Some(value) = value_of(query, MIN_BLOCK) else { return Ok(None) };
    let wrong = || {
        let detail = format!("min_block is `{}`; it takes a block number", clip(value));
        Code::BadQuery.because(detail).at(MIN_BLOCK)
    };
    value.parse().map(Some).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy::primitives::B256;
    use proptest::prelude::*;

    fn tip(number: u64, mined_at: i64) -> Block {
        let hash = B256::repeat_byte(7);
        let verified = Verified::Receipts;
        Block { number, hash, parent_hash: B256::ZERO, mined_at, verified, digest: B256::ZERO }
    }

    fn head(tag: Tag, block: u64, seen_at: i64) -> Head {
        Head { tag, block, hash: B256::ZERO, seen_at }
    }

    #[test]
    fn a_chain_that_mines_nothing_is_not_lag() {
        let level = [head(Tag::Latest, 5, 990)];
        assert_eq!(lag_seconds(&level, &tip(5, 100), 1_000), 10);
        let ahead = [head(Tag::Latest, 9, 999)];
        assert_eq!(lag_seconds(&ahead, &tip(5, 940), 1_000), 60);
        assert_eq!(lag_seconds(&[], &tip(5, 1_200), 1_000), 0);
    }

    #[test]
    fn the_tag_is_the_most_settled_head_that_reached_the_block_unless_it_is_unproven() {
        let heads =
            vec![head(Tag::Latest, 9, 0), head(Tag::Safe, 7, 0), head(Tag::Finalized, 5, 0)];
        let mut marks = Marks { heads, ..Marks::default() };
        assert_eq!(settled(&marks, 5), Tag::Finalized);
        assert_eq!(settled(&marks, 6), Tag::Safe);
        assert_eq!(settled(&marks, 8), Tag::Latest);
        marks.first_unproven = Some(4);
        assert_eq!((settled(&marks, 3), settled(&marks, 4)), (Tag::Finalized, Tag::Safe));
        assert_eq!((settled(&marks, 5), settled(&marks, 8)), (Tag::Safe, Tag::Latest));
    }

    #[test]
    fn min_block_is_a_number_or_is_refused() {
        assert_eq!(number("a=1&min_block=7").unwrap(), Some(7));
        assert_eq!(number("a=1").unwrap(), None);
        for bad in ["min_block=", "min_block=-1", "min_block=0x5", "min_block"] {
            assert_eq!(number(bad).unwrap_err().code, Code::BadQuery, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_answered_without_panic(text in "\\PC{0,200}") {
            let _ = number(&text);
        }
    }
}
