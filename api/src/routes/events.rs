//! The history as the chain told it: every event of escrow and registry, by page and filter.

use axum::response::Response;
use contracts::event::Event;
use contracts::registry::RegistryEvent;
use contracts::revert::snake_case;
use serde::{Deserialize, Serialize};
use store::{Contract, HistoryEvent, HistoryFilter, HistoryRow};
use utoipa::{IntoParams, ToSchema};

use super::event_documents::EventDocument;
use crate::edge::body::{JobPath, Params};
use crate::edge::cursor::{Cursor, LAST_LOG, page_rows};
use crate::edge::reply::Answer;
use crate::edge::view::View;
use crate::error::Problem;
use crate::wire::{Account, Hash, Time};

/// In which order rows come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sort {
    #[default]
    Oldest,
    Newest,
}

/// Names of the events of escrow and registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    Deposited,
    Withdrawn,
    FeeCredited,
    BurnCredited,
    Burned,
    CreditIssued,
    DelegateSet,
    DelegateRevoked,
    CreditSettlerNamed,
    Paused,
    Opened,
    DelegateSpent,
    ToppedUp,
    Released,
    Committed,
    Approved,
    Rejected,
    Settled,
    Lapsed,
    Redeemed,
    CloseRequested,
    Closed,
    Returned,
    CreditReturned,
    Registered,
    Updated,
    Bonded,
    UnbondRequested,
    BondWithdrawn,
    Slashed,
}

/// Which contract wrote an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    Escrow,
    Registry,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EventParams {
    /// Only events of this name.
    #[serde(default)]
    #[param(inline)]
    kind: Option<EventKind>,
    /// Only events of this contract.
    #[serde(default)]
    #[param(inline)]
    contract: Option<Source>,
    /// Only events about this job.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    job: Option<Hash>,
    /// Only events that this account counts: they moved its money or told of its delegates. Of the
    /// registry those that name it as owner, giver, receiver or reporter.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    account: Option<Account>,
    /// Only events that pay this node or commit its lots, and all of its bond.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    node: Option<Account>,
    /// Only events of blocks above this one.
    #[serde(default)]
    after: Option<u64>,
    /// Only events of blocks below this one. With `tag=finalized` and below that head the answer
    /// is the state below this block, and may be kept for ever.
    #[serde(default)]
    before: Option<u64>,
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

/// The same for the events of one job.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct JobEventParams {
    /// Only events of this name.
    #[serde(default)]
    #[param(inline)]
    kind: Option<EventKind>,
    /// Only events of blocks above this one.
    #[serde(default)]
    after: Option<u64>,
    /// Only events of blocks below this one.
    #[serde(default)]
    before: Option<u64>,
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
pub struct EventPage {
    /// CAIP-19 name of the token that all amounts are of.
    pub asset: String,
    pub decimals: u8,
    pub events: Vec<EventView>,
    pub has_more: bool,
    /// The place after the last event: for the next page, or later for what came since.
    pub next_cursor: Option<String>,
}

/// An event at its place in the chain.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventView {
    pub contract: Source,
    pub kind: String,
    pub block: u64,
    pub block_hash: Hash,
    pub log_index: u64,
    pub tx_hash: Hash,
    /// Time of the block.
    pub at: Time,
    #[schema(value_type = EventDocument)]
    pub data: EventData,
}

/// The event's own fields, under the contract's names.
#[derive(Debug, Serialize)]
#[serde(untagged)]
#[allow(clippy::large_enum_variant, reason = "most events of a page are the large ones")]
pub enum EventData {
    Escrow(Event),
    Registry(RegistryEvent),
}

impl EventView {
    fn of(HistoryRow { place, mined_at, event }: HistoryRow) -> Self {
        let (contract, kind, tx_hash, data) = match event {
            HistoryEvent::Escrow(row) => {
                (Source::Escrow, row.kind(), row.tx_hash, EventData::Escrow(row.event))
            }
            HistoryEvent::Registry(row) => {
                (Source::Registry, row.kind(), row.tx_hash, EventData::Registry(row.event))
            }
        };
        Self {
            contract,
            kind: kind.into(),
            block: place.block,
            block_hash: Hash(place.block_hash),
            log_index: place.log_index,
            tx_hash: Hash(tx_hash),
            at: Time::at(mined_at),
            data,
        }
    }
}

/// A page of the history, and where the next one begins.
pub struct HistoryPage {
    pub rows: Vec<HistoryRow>,
    pub has_more: bool,
    pub next_cursor: Option<String>,
}

impl HistoryPage {
    /// `filter` without a place; the cursor names it.
    pub async fn read(
        view: &View,
        mut filter: HistoryFilter,
        cursor: Option<&str>,
    ) -> Result<Self, Problem> {
        let given = match cursor {
            Some(text) => Some(Cursor::read(view, text, LAST_LOG).await?),
            None => None,
        };
        filter.place = match &given {
            Some(cursor) => Some((cursor.block, cursor.number()?)),
            None => None,
        };
        let page = view.reader.history(&filter).await?;
        // What a walk from the newest down has shown first lies highest.
        let shown = [given.map(|cursor| cursor.top), page.rows.first().map(|row| row.place.block)];
        let top = shown.into_iter().flatten().max().filter(|_| filter.newest_first);
        let place = page.next.or(page.rows.last().map(|row| row.place));
        let place = place.map(|place| {
            let log = Cursor::log(place.log_index);
            Cursor::after(view, place.block, place.block_hash, log).below(top.unwrap_or_default())
        });
        let next_cursor = place.or(given).map(|cursor| cursor.text());
        Ok(Self { rows: page.rows, has_more: page.next.is_some(), next_cursor })
    }

    /// The cursor for `rel=next`.
    pub fn link(&self) -> Option<&str> {
        self.next_cursor.as_deref().filter(|_| self.has_more)
    }
}

/// List events of the chain
///
/// Every event of escrow and node registry as it was indexed, each with the block it stands in. A
/// reorg takes events back: a cursor that it overtakes answers 410 with the fork to go on from.
/// With two filters at once a page may be short though more follow: one request looks at 2,000
/// events at most; go on with `next_cursor`.
#[utoipa::path(
    get, path = "/v1/events", tag = "chain", params(EventParams),
    responses(
        (status = 200, body = Answer<EventPage>, example = json!({
            "as_of": {
                "chain_id": 1, "block_number": 19_000_009, "tag": "safe", "verified": "receipts",
                "block_hash":
                    "0x8c1f1a25f4cd6a1f0f4b3b0fd31d1a1df7a3a35e3a34f3b1dd5f4a05f0a3b7c9",
                "lag_seconds": 2
            },
            "asset": "eip155:1/erc20:0x6De037ef9aD2725EB40118Bb1702EBb27e4Aeb24", "decimals": 18,
            "events": [{
                "contract": "escrow", "kind": "deposited", "block": 19_000_000,
                "block_hash":
                    "0x2f1c5c1a8a4b6d2f7e9f0c3b5a7d9e1f3b5c7d9e0f1a2b3c4d5e6f708192a3b4",
                "log_index": 12,
                "tx_hash": "0x5d0f7e1c3b5a79d8e6f4a2b0c1d3e5f708192a3b4c5d6e7f8091a2b3c4d5e6f7",
                "at": { "utc": "2024-01-13T14:31:11Z", "unix": 1_705_156_271 },
                "data": {
                    "event": "deposited",
                    "account": "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
                    "from": "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
                    "amount": "25000000000000000000", "free": "25000000000000000000", "seq": 1
                }
            }],
            "has_more": false, "next_cursor": null
        })),
        (status = 304, description = "The final facts that If-None-Match names are the same")
    )
)]
pub async fn list(view: View, Params(params): Params<EventParams>) -> Result<Response, Problem> {
    let filter = HistoryFilter {
        contract: params.contract.map(|source| match source {
            Source::Escrow => Contract::Escrow,
            Source::Registry => Contract::Registry,
        }),
        kind: params.kind.map(EventKind::text),
        job: params.job.map(|job| job.0),
        account: params.account.map(|account| account.0),
        node: params.node.map(|node| node.0),
        after: params.after,
        before: params.before,
        newest_first: params.sort == Sort::Newest,
        limit: page_rows(params.limit)?,
        place: None,
    };
    page(view, filter, params.cursor.as_deref()).await
}

/// List the events of a job
///
/// Its whole life on the chain: opening, lots, payments, returns; and slashes for work on it.
#[utoipa::path(
    get, path = "/v1/jobs/{job_id}/events", tag = "jobs",
    params(("job_id" = Hash, Path), JobEventParams),
    responses(
        (status = 200, body = Answer<EventPage>),
        (status = 304, description = "The final facts that If-None-Match names are the same")
    )
)]
pub async fn of_job(
    JobPath(job_id): JobPath,
    view: View,
    Params(params): Params<JobEventParams>,
) -> Result<Response, Problem> {
    let filter = HistoryFilter {
        kind: params.kind.map(EventKind::text),
        job: Some(job_id),
        after: params.after,
        before: params.before,
        newest_first: params.sort == Sort::Newest,
        limit: page_rows(params.limit)?,
        ..HistoryFilter::default()
    };
    page(view, filter, params.cursor.as_deref()).await
}

async fn page(
    view: View,
    filter: HistoryFilter,
    cursor: Option<&str>,
) -> Result<Response, Problem> {
    let view = view.pinned_below(filter.before).await?;
    if let Some(same) = view.unchanged() {
        return Ok(same);
    }
    let HistoryPage { rows, has_more, next_cursor } =
        HistoryPage::read(&view, filter, cursor).await?;
    let asset = &view.asset;
    let link = next_cursor.clone().filter(|_| has_more);
    let events = rows.into_iter().map(EventView::of).collect();
    let (asset, decimals) = (asset.name.clone(), asset.decimals);
    Ok(view.facts(EventPage { asset, decimals, events, has_more, next_cursor }, link.as_deref()))
}

impl EventKind {
    /// As it stands in the tables and in answers.
    pub fn text(self) -> String {
        snake_case(&format!("{self:?}"))
    }
}
