//! What the index has seen: heads, reorgs, the escrow it follows; and the two probes.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Json, http::StatusCode};
use serde::{Deserialize, Serialize};
use store::{Block, Head, Reorg, Tag, Verified};
use utoipa::{IntoParams, ToSchema};

use crate::App;
use crate::edge::body::{NoParams, Params};
use crate::edge::cursor::page_rows;
use crate::edge::reply::{Answer, Asked};
use crate::edge::view::{View, lag_seconds};
use crate::error::{Code, Problem};
use crate::wire::{Account, Hash, Time};

/// Blocks whose proofs are counted for one answer: enough for a day, few enough to be read.
const PROVEN_BLOCKS: u32 = 10_000;

#[derive(Debug, Serialize, ToSchema)]
pub struct ChainView {
    pub chain_id: u64,
    /// The newest block in the index, whatever `tag` asks for.
    pub indexed: BlockView,
    /// The chain's own heads as last seen: latest, safe, finalized.
    pub heads: Vec<HeadView>,
    /// Seconds since the index was known to be level with the chain.
    pub lag_seconds: u64,
    /// The first block whose logs nothing proves: from it on nothing is called final. Null: none.
    pub first_unproven: Option<u64>,
    pub proven: ProvenShare,
}

/// How the logs of the newest stored blocks were proven. Blocks without an event of ours are
/// stored above the finalized head only.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProvenShare {
    /// How many were looked at: 10,000 at most.
    pub blocks: u64,
    /// The header's bloom excludes every log of ours.
    pub bloom: u64,
    /// All receipts were read, and hash to the header's root.
    pub receipts: u64,
    /// By nothing: taken as the chain node said.
    pub logs_only: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct BlockView {
    pub number: u64,
    pub hash: Hash,
    pub mined_at: Time,
    /// How its logs were proven: bloom, receipts or logs_only.
    pub verified: String,
    /// Running digest of every log of the escrow up to here; equal digests mean equal histories.
    pub digest: Hash,
}

impl BlockView {
    fn of(block: &Block) -> Self {
        Self {
            number: block.number,
            hash: Hash(block.hash),
            mined_at: Time::at(block.mined_at),
            verified: block.verified.as_str().into(),
            digest: Hash(block.digest),
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub struct HeadView {
    /// latest, safe or finalized.
    pub tag: String,
    pub number: u64,
    pub hash: Hash,
    pub seen_at: Time,
}

impl HeadView {
    fn of(head: &Head) -> Self {
        Self {
            tag: head.tag.as_str().into(),
            number: head.block,
            hash: Hash(head.hash),
            seen_at: Time::at(head.seen_at),
        }
    }
}

/// Show the chain's heads and the index's
#[utoipa::path(
    get, path = "/v1/chain", tag = "chain",
    responses((status = 200, body = Answer<ChainView>))
)]
pub async fn chain(
    State(app): State<App>,
    view: View,
    Params(NoParams {}): Params<NoParams>,
) -> Result<Response, Problem> {
    let indexed = view.marks.tip.as_ref().unwrap_or(&view.tip);
    let mut proven = ProvenShare { blocks: 0, bloom: 0, receipts: 0, logs_only: 0 };
    for (how, blocks) in view.reader.proven(PROVEN_BLOCKS).await? {
        proven.blocks += blocks;
        *match how {
            Verified::Bloom => &mut proven.bloom,
            Verified::Receipts => &mut proven.receipts,
            Verified::LogsOnly => &mut proven.logs_only,
        } = blocks;
    }
    Ok(view.answer(ChainView {
        chain_id: view.escrow.chain_id,
        indexed: BlockView::of(indexed),
        heads: view.marks.heads.iter().map(HeadView::of).collect(),
        lag_seconds: lag_seconds(&view.marks.heads, indexed, app.now()),
        first_unproven: view.marks.first_unproven,
        proven,
    }))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ReorgParams {
    /// Reorgs of the page: 50 when left out, at most 500.
    #[serde(default)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[serde(default)]
    #[param(minimum = 1)]
    cursor: Option<i64>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ReorgPage {
    /// Newest first.
    pub reorgs: Vec<ReorgView>,
    pub has_more: bool,
    /// The last reorg of this page, when there are older ones.
    pub next_cursor: Option<i64>,
}

/// The chain left `old` and went on from `fork`; rows above the fork were taken back.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReorgView {
    /// Place in the journal, from 1.
    pub number: i64,
    /// When the index went back.
    pub at: Time,
    pub fork_block: u64,
    pub fork_hash: Hash,
    pub old_block: u64,
    pub old_hash: Hash,
    pub depth: u64,
}

impl ReorgView {
    fn of(reorg: &Reorg) -> Self {
        Self {
            number: reorg.reorg_id,
            at: Time::at(reorg.at),
            fork_block: reorg.fork_block,
            fork_hash: Hash(reorg.fork_hash),
            old_block: reorg.old_block,
            old_hash: Hash(reorg.old_hash),
            depth: reorg.old_block.saturating_sub(reorg.fork_block),
        }
    }
}

/// List the reorgs that the index went through
///
/// The journal as it is: it is of no block, and `tag` picks nothing in it.
#[utoipa::path(
    get, path = "/v1/chain/reorgs", tag = "chain",
    params(ReorgParams),
    responses((status = 200, body = Answer<ReorgPage>))
)]
pub async fn reorgs(view: View, Params(params): Params<ReorgParams>) -> Result<Response, Problem> {
    let rows = page_rows(params.limit)?;
    let before = params.cursor.unwrap_or(i64::MAX);
    let mut reorgs = view.reader.reorgs_before(before, rows + 1).await?;
    let wanted = usize::try_from(rows).unwrap_or(usize::MAX);
    let has_more = reorgs.len() > wanted;
    reorgs.truncate(wanted);
    let next_cursor = reorgs.last().filter(|_| has_more).map(|last| last.reorg_id);
    let link = next_cursor.map(|next| next.to_string());
    let reorgs = reorgs.iter().map(ReorgView::of).collect();
    Ok(view.page(ReorgPage { reorgs, has_more, next_cursor }, link.as_deref()))
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ContractList {
    pub escrows: Vec<EscrowView>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct EscrowView {
    pub chain_id: u64,
    pub address: Account,
    pub token: Account,
    pub symbol: String,
    pub decimals: u8,
    /// CAIP-19 name of the token.
    pub asset: String,
    pub deploy_block: u64,
    /// The node registry that is followed beside it; null: none.
    pub registry: Option<Account>,
    /// The only settler whose orders are taken here.
    pub settler: Account,
    pub fee_receiver: Account,
    pub fee_bps: u16,
    pub burn_bps: u16,
    /// End of the guardian's pause, during which no job opens and no money comes in; null while
    /// there is none. Every way out stays open.
    pub paused_until: Option<Time>,
}

/// End of the pause that is on now, by the later of chain's and server's time: no block to come
/// is older than either.
pub async fn paused_until(app: &App, view: &View) -> Result<Option<i64>, Problem> {
    let offices = view.reader.offices().await?;
    let now = app.now().max(view.chain_time());
    Ok(offices.map(|offices| offices.paused_until).filter(|until| now < *until))
}

/// List the escrows served here
#[utoipa::path(
    get, path = "/v1/contracts", tag = "chain",
    responses((status = 200, body = Answer<ContractList>))
)]
pub async fn contracts(
    State(app): State<App>,
    view: View,
    Params(NoParams {}): Params<NoParams>,
) -> Result<impl IntoResponse, Problem> {
    let escrow = &view.escrow;
    let settings = &app.settings;
    let escrows = vec![EscrowView {
        chain_id: escrow.chain_id,
        address: Account(escrow.address),
        token: Account(escrow.token),
        symbol: escrow.symbol.clone(),
        decimals: escrow.decimals,
        asset: view.asset.name.clone(),
        deploy_block: escrow.deploy_block,
        registry: escrow.registry.map(Account),
        settler: Account(settings.settler),
        fee_receiver: Account(settings.fee_receiver),
        fee_bps: settings.fee_bps,
        burn_bps: settings.burn_bps,
        paused_until: paused_until(&app, &view).await?.map(Time::at),
    }];
    Ok(view.answer(ContractList { escrows }))
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Alive {
    pub alive: bool,
}

/// Is the process alive?
#[utoipa::path(get, path = "/livez", tag = "probes", responses((status = 200, body = Alive)))]
pub async fn livez() -> (StatusCode, Json<Alive>) {
    (StatusCode::OK, Json(Alive { alive: true }))
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Ready {
    pub ready: bool,
    pub lag_seconds: u64,
    pub latest: Option<u64>,
}

/// Can it answer truthfully: is the database there and the index level with the chain?
#[utoipa::path(
    get, path = "/readyz", tag = "probes",
    responses((status = 200, body = Answer<Ready>))
)]
pub async fn readyz(State(app): State<App>) -> Result<impl IntoResponse, Problem> {
    let view = View::of(&app, app.store.reader(), Asked::nothing()).await?;
    let lag_seconds = view.as_of.lag_seconds.unwrap_or_default();
    let most = app.settings.max_lag_seconds;
    if lag_seconds > most {
        let detail =
            format!("the index lags {lag_seconds} s behind the chain; {most} s are allowed");
        return Err(Code::NotReady.because(detail));
    }
    let latest =
        view.marks.heads.iter().find(|head| head.tag == Tag::Latest).map(|head| head.block);
    Ok(view.answer(Ready { ready: true, lag_seconds, latest }))
}
