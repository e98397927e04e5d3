//! Accounts: what is free, what stands in jobs, and every movement behind it as double entries.

use std::collections::{HashMap, hash_map};

use axum::extract::State;
use axum::response::IntoResponse;
use contracts::{Amount, AmountError};
use serde::{Deserialize, Serialize};
use store::entries::{Entry, entries_of};
use store::{Block, EventRow, JobState, Reader};
use utoipa::{IntoParams, ToSchema};

use crate::App;
use crate::edge::body::{AddressPath, NoParams, Params};
use crate::edge::view::{Answer, Cursor, View, page_rows};
use crate::error::{Code, Problem};
use crate::wire::{Account, Hash, Money, Time};

/// Balances of one account. `locked = pending + remaining` over its jobs that still hold money.
#[derive(Debug, Serialize, ToSchema)]
pub struct AccountView {
    pub account: Account,
    pub escrow: Account,
    /// Withdrawable at once.
    pub free: Money,
    /// Spendable in the payer's own jobs with the one settler that takes credit, never withdrawn.
    pub credit: Money,
    /// Number of events of the account; rises by exactly 1 with each.
    pub seq: u64,
    /// In jobs of this payer, neither paid nor returned.
    pub locked: Money,
    /// The part of `locked` that committed lots reserve.
    pub pending: Money,
    /// Jobs of this payer that are not closed, or are and have lots under review.
    pub open_jobs: u32,
}

/// Show an account
#[utoipa::path(
    get, path = "/v1/accounts/{address}", tag = "accounts",
    params(("address" = Account, Path)),
    responses((status = 200, body = Answer<AccountView>))
)]
pub async fn show(
    State(app): State<App>,
    AddressPath(address): AddressPath,
    view: View,
    Params(NoParams {}): Params<NoParams>,
) -> Result<impl IntoResponse, Problem> {
    let reader = app.store.reader();
    let state = reader.account(address).await?;
    let jobs = reader.jobs_with_money(address).await?;
    let jobs: Vec<JobState> = jobs.into_iter().map(|(_, state)| state).collect();
    let asset = view.asset();
    let pending = sum(jobs.iter().map(|job| job.pending))?;
    let remaining = sum(jobs.iter().map(JobState::remaining))?;
    let locked = sum([pending, remaining])?;
    let (free, credit) =
        state.as_ref().map_or((Amount::ZERO, Amount::ZERO), |state| (state.free, state.credit));
    Ok(view.answer(AccountView {
        account: Account(address),
        escrow: Account(view.escrow.address),
        free: asset.money(free),
        credit: asset.money(credit),
        seq: state.map_or(0, |state| state.seq),
        locked: asset.money(locked),
        pending: asset.money(pending),
        open_jobs: u32::try_from(jobs.len()).unwrap_or(u32::MAX),
    }))
}

fn sum(amounts: impl IntoIterator<Item = Amount>) -> Result<Amount, Problem> {
    let add = |total: Amount, amount| total.checked_add(amount);
    let total: Result<Amount, AmountError> = amounts.into_iter().try_fold(Amount::ZERO, add);
    total.map_err(|error| {
        tracing::error!(%error, "amounts in the index exceed what the escrow can hold");
        Code::Internal.because("amounts in the index exceed what the escrow can hold")
    })
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct LedgerParams {
    /// Events of the page: 50 when left out, at most 500.
    #[serde(default)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[serde(default)]
    cursor: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct LedgerPage {
    pub account: Account,
    /// Oldest first.
    pub events: Vec<LedgerEvent>,
    pub has_more: bool,
    pub next_cursor: Option<String>,
}

/// One event that the account counts: it moved money of it, or told of its delegates.
#[derive(Debug, Serialize, ToSchema)]
pub struct LedgerEvent {
    /// Name of the contract's event, such as Deposited.
    pub event: String,
    pub block: u64,
    pub block_hash: Hash,
    pub log_index: u64,
    pub tx_hash: Hash,
    pub at: Time,
    pub job_id: Option<Hash>,
    /// The account's number of this event.
    pub seq: u64,
    /// The account's free balance afterwards, when the event tells it.
    pub free: Option<Money>,
    /// The account's credit afterwards, when the event tells it.
    pub credit: Option<Money>,
    /// Every leg of the event; credits and debits are equal.
    pub entries: Vec<EntryView>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct EntryView {
    /// `wallet:0x..`, `credit:0x..`, `job:0x..`, `fee:0x..` and `burn:0x..` (shares on their way),
    /// or `outside`.
    pub book: String,
    /// debit takes the amount out of the book, credit puts it in.
    pub side: EntrySide,
    pub amount: Money,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EntrySide {
    Debit,
    Credit,
}

/// List every movement of an account
#[utoipa::path(
    get, path = "/v1/accounts/{address}/ledger", tag = "accounts",
    params(("address" = Account, Path), LedgerParams),
    responses((status = 200, body = Answer<LedgerPage>))
)]
pub async fn ledger(
    State(app): State<App>,
    AddressPath(address): AddressPath,
    view: View,
    Params(params): Params<LedgerParams>,
) -> Result<impl IntoResponse, Problem> {
    let reader = app.store.reader();
    let rows = page_rows(params.limit)?;
    let after = match &params.cursor {
        Some(text) => Some(place_of(&reader, text).await?),
        None => None,
    };
    // One more than asked for tells whether there is another page.
    let mut events = reader.events_of_account(address, after, rows + 1).await?;
    let asked = usize::try_from(rows).unwrap_or(usize::MAX);
    let has_more = events.len() > asked;
    events.truncate(asked);
    let blocks = blocks_of(&reader, &events).await?;
    let next_cursor = events.last().filter(|_| has_more).and_then(|last| {
        let block = blocks.get(&last.block)?;
        Some(Cursor::numbered(block.number, block.hash, last.log_index).text())
    });
    let events = events.iter().map(|row| event_view(&view, &blocks, row));
    let events = events.collect::<Result<_, _>>()?;
    Ok(view.answer(LedgerPage { account: Account(address), events, has_more, next_cursor }))
}

async fn place_of(reader: &Reader, text: &str) -> Result<(u64, u64), Problem> {
    let cursor = Cursor::parse(text)?;
    cursor.check(reader).await?;
    let number = cursor
        .number()
        .ok_or_else(|| Code::BadCursor.because("this cursor is of another list").at("cursor"))?;
    Ok((cursor.block, number))
}

async fn blocks_of(reader: &Reader, rows: &[EventRow]) -> Result<HashMap<u64, Block>, Problem> {
    let mut blocks = HashMap::new();
    for row in rows {
        if let hash_map::Entry::Vacant(place) = blocks.entry(row.block) {
            place.insert(reader.block(row.block).await?.ok_or_else(left)?);
        }
    }
    Ok(blocks)
}

/// A rewind came between two reads of one answer.
fn left() -> Problem {
    Code::CursorGone.because("a block of this page left the chain while it was read")
}

fn event_view(
    view: &View,
    blocks: &HashMap<u64, Block>,
    row: &EventRow,
) -> Result<LedgerEvent, Problem> {
    let block = blocks.get(&row.block).ok_or_else(left)?;
    let asset = view.asset();
    let after = row.event.account_after().ok_or_else(|| {
        Code::Internal.because("an event of this account moves no account; its row was altered")
    })?;
    let entries = entries_of(row)?;
    Ok(LedgerEvent {
        event: row.event.name().into(),
        block: row.block,
        block_hash: Hash(block.hash),
        log_index: row.log_index,
        tx_hash: Hash(row.tx_hash),
        at: Time::at(block.mined_at),
        job_id: row.event.job_id().map(Hash),
        seq: after.seq,
        free: after.free.map(|free| asset.money(free)),
        credit: after.credit.map(|credit| asset.money(credit)),
        entries: entries.iter().map(|entry| entry_view(view, entry)).collect(),
    })
}

fn entry_view(view: &View, entry: &Entry) -> EntryView {
    let side = if entry.debit { EntrySide::Debit } else { EntrySide::Credit };
    EntryView { book: entry.book.clone(), side, amount: view.asset().money(entry.amount) }
}
