//! Accounts: what is free, what stands in jobs, and every movement behind it as double entries.

use axum::response::Response;
use contracts::{Amount, AmountError};
use serde::{Deserialize, Serialize};
use store::entries::{Entry, entries_of};
use store::{Contract, HistoryEvent, HistoryFilter, HistoryRow, JobFilter, JobState};
use utoipa::{IntoParams, ToSchema};

use super::events::{HistoryPage, Sort};
use super::job_pages::{JobPage, PageParams, list_jobs};
use crate::edge::body::{AddressPath, NoParams, Params};
use crate::edge::cursor::page_rows;
use crate::edge::reply::Answer;
use crate::edge::view::View;
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
    AddressPath(address): AddressPath,
    view: View,
    Params(NoParams {}): Params<NoParams>,
) -> Result<Response, Problem> {
    if let Some(same) = view.unchanged() {
        return Ok(same);
    }
    let reader = &view.reader;
    let state = reader.account(address).await?;
    let jobs = reader.jobs_with_money(address).await?;
    let jobs: Vec<JobState> = jobs.into_iter().map(|(_, state)| state).collect();
    let asset = &view.asset;
    let pending = sum(jobs.iter().map(|job| job.pending))?;
    let remaining = sum(jobs.iter().map(JobState::remaining))?;
    let locked = sum([pending, remaining])?;
    let (free, credit) =
        state.as_ref().map_or((Amount::ZERO, Amount::ZERO), |state| (state.free, state.credit));
    Ok(view.fact(AccountView {
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
    /// Oldest first when left out.
    #[serde(default)]
    #[param(inline)]
    sort: Sort,
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
    pub events: Vec<LedgerEvent>,
    pub has_more: bool,
    /// The place after the last event: for the next page, or later for what came since.
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

/// List the jobs of an account
///
/// Those that it pays, newest first; as `GET /v1/jobs` with `payer`.
#[utoipa::path(
    get, path = "/v1/accounts/{address}/jobs", tag = "accounts",
    params(("address" = Account, Path), PageParams),
    responses((status = 200, body = Answer<JobPage>))
)]
pub async fn jobs(
    AddressPath(address): AddressPath,
    view: View,
    Params(params): Params<PageParams>,
) -> Result<Response, Problem> {
    let filter = JobFilter { payer: Some(address), ..JobFilter::default() };
    list_jobs(&view, filter, params).await
}

/// List every movement of an account
#[utoipa::path(
    get, path = "/v1/accounts/{address}/ledger", tag = "accounts",
    params(("address" = Account, Path), LedgerParams),
    responses((status = 200, body = Answer<LedgerPage>))
)]
pub async fn ledger(
    AddressPath(address): AddressPath,
    view: View,
    Params(params): Params<LedgerParams>,
) -> Result<Response, Problem> {
    let filter = HistoryFilter {
        contract: Some(Contract::Escrow),
        account: Some(address),
        newest_first: params.sort == Sort::Newest,
        limit: page_rows(params.limit)?,
        ..HistoryFilter::default()
    };
    if let Some(same) = view.unchanged() {
        return Ok(same);
    }
    let page = HistoryPage::read(&view, filter, params.cursor.as_deref()).await?;
    let events = page.rows.iter().map(|row| event_view(&view, row)).collect::<Result<_, _>>()?;
    let ledger = LedgerPage {
        account: Account(address),
        events,
        has_more: page.has_more,
        next_cursor: page.next_cursor.clone(),
    };
    Ok(view.facts(ledger, page.link()))
}

fn event_view(view: &View, row: &HistoryRow) -> Result<LedgerEvent, Problem> {
    let HistoryRow { place, mined_at, event } = row;
    let HistoryEvent::Escrow(row) = event else {
        return Err(Code::Internal.because("an account's ledger holds an event of the registry"));
    };
    let asset = &view.asset;
    let after = row.event.account_after().ok_or_else(|| {
        Code::Internal.because("an event of this account moves no account; its row was altered")
    })?;
    let entries = entries_of(row)?;
    Ok(LedgerEvent {
        event: row.event.name().into(),
        block: row.block,
        block_hash: Hash(place.block_hash),
        log_index: row.log_index,
        tx_hash: Hash(row.tx_hash),
        at: Time::at(*mined_at),
        job_id: row.event.job_id().map(Hash),
        seq: after.seq,
        free: after.free.map(|free| asset.money(free)),
        credit: after.credit.map(|credit| asset.money(credit)),
        entries: entries.iter().map(|entry| entry_view(view, entry)).collect(),
    })
}

fn entry_view(view: &View, entry: &Entry) -> EntryView {
    let side = if entry.debit { EntrySide::Debit } else { EntrySide::Credit };
    EntryView { book: entry.book.clone(), side, amount: view.asset.money(entry.amount) }
}
