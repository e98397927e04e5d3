//! What an answer is read from: the indexed block (`as_of`), `min_block`, and page cursors.

use std::time::Duration;

use alloy::primitives::{B256, hex};
use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use store::{Block, Escrow, Head, Reader, Tag};
use utoipa::ToSchema;

use super::body::{MIN_BLOCK, clip};
use crate::App;
use crate::error::{Code, Problem};
use crate::wire::{Asset, Hash};

/// Longest wait for `min_block`: some blocks of any chain in use.
const MIN_BLOCK_WAIT: Duration = Duration::from_secs(5);
/// How often the index is asked meanwhile.
const MIN_BLOCK_STEP: Duration = Duration::from_millis(100);
/// Rows of a page when the caller names no number, and the most it gets.
pub const PAGE_ROWS: u32 = 50;
pub const MAX_PAGE_ROWS: u32 = 500;
/// Header of answers that are files: `as_of` as JSON.
pub const AS_OF_HEADER: &str = "render-as-of";

/// The block that an answer is read from: nothing in it is older, some may be newer.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AsOf {
    pub chain_id: u64,
    pub block_number: u64,
    pub block_hash: Hash,
    /// How settled that block is: latest, safe or finalized.
    pub tag: String,
    /// How its logs were proven: bloom, receipts or logs_only.
    pub verified: String,
    /// Seconds since the index was known to be level with the chain.
    pub lag_seconds: u64,
}

/// An answer with the block it is read from.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Answer<T> {
    pub as_of: AsOf,
    #[serde(flatten)]
    pub data: T,
}

/// The state of the index when a request came in.
#[derive(Debug, Clone)]
pub struct View {
    pub as_of: AsOf,
    pub escrow: Escrow,
    pub tip: Block,
    pub heads: Vec<Head>,
}

impl FromRequestParts<App> for View {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let reader = app.store.reader();
        let tip = match min_block(parts.uri.query().unwrap_or_default())? {
            Some(block) => wait_for(&reader, block).await?,
            None => reader.tip().await?,
        };
        Self::read(&reader, tip, app.now()).await
    }
}

impl View {
    /// Fails while the indexer has stored no block yet.
    pub async fn read(reader: &Reader, tip: Option<Block>, now: i64) -> Result<Self, Problem> {
        let (Some(tip), Some(escrow)) = (tip, reader.escrow().await?) else {
            return Err(Code::NotReady.because("the indexer has stored no block yet"));
        };
        let heads = reader.heads().await?;
        let as_of = AsOf {
            chain_id: escrow.chain_id,
            block_number: tip.number,
            block_hash: Hash(tip.hash),
            tag: tag_of(&heads, tip.number).as_str().into(),
            verified: tip.verified.as_str().into(),
            lag_seconds: lag_seconds(&heads, &tip, now),
        };
        Ok(Self { as_of, escrow, tip, heads })
    }

    /// Time of the chain: contract deadlines follow blocks, not clocks.
    pub fn chain_time(&self) -> i64 {
        self.tip.mined_at
    }

    pub fn asset(&self) -> Asset {
        Asset::of(&self.escrow)
    }

    pub fn domain(&self) -> alloy::sol_types::Eip712Domain {
        contracts::order::domain(self.escrow.chain_id, self.escrow.address)
    }

    pub fn answer<T>(&self, data: T) -> Json<Answer<T>> {
        Json(Answer { as_of: self.as_of.clone(), data })
    }

    /// A file with `as_of` in a header.
    pub fn file(&self, answer: impl IntoResponse) -> Response {
        let mut answer = answer.into_response();
        let headers = answer.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        let json = serde_json::to_string(&self.as_of).unwrap_or_default();
        if let Ok(value) = HeaderValue::try_from(json) {
            headers.insert(AS_OF_HEADER, value);
        }
        answer
    }
}

/// The most settled head at or above a block.
pub fn tag_of(heads: &[Head], block: u64) -> Tag {
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
fn lag_seconds(heads: &[Head], tip: &Block, now: i64) -> u64 {
    let latest = heads.iter().find(|head| head.tag == Tag::Latest);
    let level_at = match latest {
        Some(head) if head.block <= tip.number => head.seen_at,
        Some(_) | None => tip.mined_at,
    };
    u64::try_from(now.saturating_sub(level_at)).unwrap_or_default()
}

fn min_block(query: &str) -> Result<Option<u64>, Problem> {
    let mut named = query.split('&').filter_map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (name == MIN_BLOCK).then_some(value)
    });
    let Some(value) = named.next_back() else { return Ok(None) };
    let wrong = || {
        let detail = format!("min_block is `{}`; it takes a block number", clip(value));
        Code::BadQuery.because(detail).at(MIN_BLOCK)
    };
    value.parse().map(Some).map_err(|_| wrong())
}

async fn wait_for(reader: &Reader, block: u64) -> Result<Option<Block>, Problem> {
    let until = tokio::time::Instant::now() + MIN_BLOCK_WAIT;
    loop {
        let tip = reader.tip().await?;
        let reached = tip.as_ref().map(|tip| tip.number);
        if reached.is_some_and(|number| number >= block) {
            return Ok(tip);
        }
        if tokio::time::Instant::now() >= until {
            let at = reached.map_or("no block".into(), |number| format!("block {number}"));
            let detail = format!("the index is at {at}; min_block is {block}");
            return Err(Code::IndexBehind.because(detail).at(MIN_BLOCK));
        }
        tokio::time::sleep(MIN_BLOCK_STEP).await;
    }
}

/// How many rows a page has.
pub fn page_rows(limit: Option<u32>) -> Result<u32, Problem> {
    let rows = limit.unwrap_or(PAGE_ROWS);
    if !(1..=MAX_PAGE_ROWS).contains(&rows) {
        let detail = format!("limit is {rows}; pages have 1 to {MAX_PAGE_ROWS} rows");
        return Err(Code::BadQuery.because(detail).at("limit"));
    }
    Ok(rows)
}

/// A place in a list: block, its hash, and what orders rows inside the block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    pub block: u64,
    pub hash: B256,
    pub place: B256,
}

/// Bytes of a cursor: block number, block hash, place.
const CURSOR_BYTES: usize = 8 + 32 + 32;

impl Cursor {
    /// A place named by a number, such as a log's index.
    pub fn numbered(block: u64, hash: B256, number: u64) -> Self {
        Self { block, hash, place: B256::left_padding_from(&number.to_be_bytes()) }
    }

    pub fn number(&self) -> Option<u64> {
        let (zeros, tail) = self.place.0.split_last_chunk::<8>()?;
        zeros.iter().all(|byte| *byte == 0).then(|| u64::from_be_bytes(*tail))
    }

    pub fn text(&self) -> String {
        let bytes = [&self.block.to_be_bytes()[..], self.hash.as_slice(), self.place.as_slice()];
        hex::encode(bytes.concat())
    }

    pub fn parse(text: &str) -> Result<Self, Problem> {
        let wrong =
            || Code::BadCursor.because(format!("`{}` is no cursor", clip(text))).at("cursor");
        let bytes = hex::decode(text).map_err(|_| wrong())?;
        let bytes: [u8; CURSOR_BYTES] = bytes.try_into().map_err(|_| wrong())?;
        let (block, rest) = bytes.split_first_chunk::<8>().ok_or_else(wrong)?;
        let (hash, place) = rest.split_at(32);
        let block = u64::from_be_bytes(*block);
        Ok(Self { block, hash: B256::from_slice(hash), place: B256::from_slice(place) })
    }

    /// Refuses a cursor whose block left the chain.
    pub async fn check(&self, reader: &Reader) -> Result<(), Problem> {
        let stored = reader.block(self.block).await?;
        if stored.is_some_and(|block| block.hash == self.hash) {
            return Ok(());
        }
        let detail = format!("block {} with hash {} is not in the chain", self.block, self.hash);
        Err(Code::CursorGone.because(detail).at("cursor"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use store::Verified;

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
    fn the_tag_is_the_most_settled_head_that_reached_the_block() {
        let heads = [head(Tag::Latest, 9, 0), head(Tag::Safe, 7, 0), head(Tag::Finalized, 5, 0)];
        assert_eq!(tag_of(&heads, 5), Tag::Finalized);
        assert_eq!(tag_of(&heads, 6), Tag::Safe);
        assert_eq!(tag_of(&heads, 8), Tag::Latest);
    }

    #[test]
    fn min_block_is_a_number_or_is_refused() {
        assert_eq!(min_block("a=1&min_block=7").unwrap(), Some(7));
        assert_eq!(min_block("a=1").unwrap(), None);
        for bad in ["min_block=", "min_block=-1", "min_block=0x5", "min_block"] {
            assert_eq!(min_block(bad).unwrap_err().code, Code::BadQuery, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn cursors_read_back(block: u64, hash: [u8; 32], place: [u8; 32], number: u64) {
            let cursor = Cursor { block, hash: hash.into(), place: place.into() };
            prop_assert_eq!(Cursor::parse(&cursor.text()).unwrap(), cursor);
            let numbered = Cursor::numbered(block, hash.into(), number);
            prop_assert_eq!(numbered.number(), Some(number));
        }

        #[test]
        fn any_text_is_answered_without_panic(text in "\\PC{0,200}") {
            let _ = Cursor::parse(&text);
            let _ = min_block(&text);
        }
    }
}
