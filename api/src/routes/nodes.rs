//! Tiers: what each costs, and the nodes that can be booked in it now; and a node with its bond.

use std::collections::BTreeMap;

use alloy::primitives::Address;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use contracts::spec::{ExpandedSpec, Tier};
use serde::{Deserialize, Serialize};
use store::{BondState, HistoryEvent, HistoryFilter, JobFilter, Node, Reader};
use utoipa::{IntoParams, ToSchema};

use super::events::{EventKind, HistoryPage};
use super::job_pages::{JobPage, PageParams, list_jobs};
use super::quotes::unpriceable;
use crate::App;
use crate::edge::body::{AddressPath, NoParams, Params};
use crate::edge::cursor::page_rows;
use crate::edge::reply::Answer;
use crate::edge::view::View;
use crate::error::{Code, Problem};
use crate::record::read_spec;
use crate::wire::{Account, Hash, Money, Time};

/// A node that has not asked for work for this long is not bookable: it asks at least every 30 s.
const SEEN_WITHIN_SECONDS: i64 = 90;
/// Thousandths in one work unit.
const MILLI_WORK: u64 = 1_000;

#[derive(Debug, Serialize, ToSchema)]
pub struct TierList {
    pub price_list_version: u32,
    pub tiers: Vec<TierView>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct TierView {
    /// trusted, priority or economy: Render's tiers 1, 2 and 3.
    pub tier: String,
    /// Work for the price of one unit of work in the trusted tier, in percent.
    pub work_percent: u32,
    /// For a frame of one work unit, a million camera samples; never below `min_price`.
    pub work_unit_price: Money,
    /// The least a frame costs.
    pub min_price: Money,
    /// Nodes that asked for work moments ago.
    pub bookable_nodes: u32,
    /// Those of them that hold no lease.
    pub free_nodes: u32,
    pub backends: Vec<BackendView>,
    /// Open jobs of this tier, and their units that are not paid yet.
    pub open_jobs: u32,
    pub unpaid_units: u64,
    /// When a bookable node was last seen.
    pub seen_at: Option<Time>,
}

/// A renderer that bookable nodes offer.
#[derive(Debug, Serialize, ToSchema)]
pub struct BackendView {
    pub backend: String,
    pub version: String,
    pub nodes: u32,
}

/// Show what can be booked in each tier
#[utoipa::path(
    get, path = "/v1/tiers", tag = "chain",
    responses((status = 200, body = Answer<TierList>))
)]
pub async fn tiers(
    State(app): State<App>,
    view: View,
    Params(NoParams {}): Params<NoParams>,
) -> Result<impl IntoResponse, Problem> {
    let reader = &view.reader;
    let since = app.now().saturating_sub(SEEN_WITHIN_SECONDS);
    let mut nodes = reader.nodes().await?;
    nodes.retain(|node| node.seen_at >= since);
    let leases = reader.active_leases().await?;
    let is_free = |node: &&Node| !leases.iter().any(|lease| lease.node == node.node);
    let free_nodes = number(nodes.iter().filter(is_free).count());
    let queue = queue(&app, reader).await?;
    let prices = &app.settings.prices;
    let asset = &view.asset;
    let mut tiers = Vec::new();
    for tier in Tier::ALL {
        let work_percent = prices.tier_percent(tier);
        let work_unit_price = prices.unit_price(MILLI_WORK, work_percent);
        let work_unit_price = work_unit_price.map_err(unpriceable)?;
        let (open_jobs, unpaid_units) = queue.get(tier.name()).copied().unwrap_or_default();
        // Every node serves every tier until bonds and reputation tell them apart.
        tiers.push(TierView {
            tier: tier.name().into(),
            work_percent,
            work_unit_price: asset.money(work_unit_price),
            min_price: asset.money(prices.min_price),
            bookable_nodes: number(nodes.len()),
            free_nodes,
            backends: backends(&nodes),
            open_jobs,
            unpaid_units,
            seen_at: nodes.iter().map(|node| node.seen_at).max().map(Time::at),
        });
    }
    Ok(view.answer(TierList { price_list_version: prices.version, tiers }))
}

/// Open jobs and their unpaid units by tier.
async fn queue(app: &App, reader: &Reader) -> Result<BTreeMap<&'static str, (u32, u64)>, Problem> {
    let mut queue: BTreeMap<&'static str, (u32, u64)> = BTreeMap::new();
    for (opened, state) in reader.open_jobs(app.settings.settler).await? {
        if state.closed {
            continue;
        }
        let Some(spec) = reader.spec(opened.order.spec_hash).await? else { continue };
        let spec: ExpandedSpec = read_spec(&spec.canonical)?;
        let (jobs, units) = queue.entry(spec.tier.name()).or_default();
        *jobs += 1;
        *units += u64::from(opened.order.units.saturating_sub(state.units_paid));
    }
    Ok(queue)
}

fn backends(nodes: &[Node]) -> Vec<BackendView> {
    let mut counts: BTreeMap<(&str, &str), u32> = BTreeMap::new();
    for backend in nodes.iter().flat_map(|node| &node.backends) {
        *counts.entry((&backend.backend, &backend.version)).or_default() += 1;
    }
    let view = |((backend, version), nodes): ((&str, &str), u32)| BackendView {
        backend: backend.into(),
        version: version.into(),
        nodes,
    };
    counts.into_iter().map(view).collect()
}

/// A node, named by the key of its receipts: what it runs, and what it has at stake.
#[derive(Debug, Serialize, ToSchema)]
pub struct NodeView {
    pub node: Account,
    /// When it last asked the settler for work; null: never.
    pub seen_at: Option<Time>,
    /// What it said it can run; `nodes` is 1.
    pub backends: Vec<BackendView>,
    /// Its bond in the node registry; null: none is followed, or the node is not in it.
    pub bond: Option<BondView>,
}

/// A bond as the node registry has it.
#[derive(Debug, Serialize, ToSchema)]
pub struct BondView {
    pub registry: Account,
    pub owner: Account,
    /// Where the node wants to be paid.
    pub payout: Account,
    /// Names what the node says it can do; judged by nobody.
    pub capabilities_hash: Hash,
    pub bonded: Money,
    /// Asked back, no bond any more, and still lost by a slash.
    pub unbonding: Money,
    /// From when `unbonding` can be withdrawn, of the last request; null before the first.
    pub unbond_at: Option<Time>,
    /// It signed two receipts that contradict each other, lost its bond, and takes no new one.
    pub slashed: bool,
    /// Number of events of the node in the registry; rises by exactly 1 with each.
    pub seq: u64,
}

/// Show a node with its bond
#[utoipa::path(
    get, path = "/v1/nodes/{address}", tag = "chain",
    params(("address" = Account, Path)),
    responses((status = 200, body = Answer<NodeView>))
)]
pub async fn show(
    AddressPath(address): AddressPath,
    view: View,
    Params(NoParams {}): Params<NoParams>,
) -> Result<impl IntoResponse, Problem> {
    let reader = &view.reader;
    let node = reader.node(address).await?;
    let bond = reader.bond(address).await?;
    if node.is_none() && bond.is_none() {
        return Err(Code::NodeNotFound.because(format!("no node {address} is known here")));
    }
    let bond = bond.zip(view.escrow.registry);
    Ok(view.single(NodeView {
        node: Account(address),
        seen_at: node.as_ref().map(|node| Time::at(node.seen_at)),
        backends: backends(node.as_slice()),
        bond: bond.map(|(bond, registry)| bond_view(&view, registry, bond)),
    }))
}

#[derive(Debug, Serialize, ToSchema)]
pub struct NodePage {
    /// In the order in which they registered.
    pub nodes: Vec<RegisteredNode>,
    pub has_more: bool,
    /// The place after the last node: for the next page, or later for those that came since.
    pub next_cursor: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct RegisteredNode {
    pub node: Account,
    pub registered_block: u64,
    pub registered_at: Time,
    pub bond: BondView,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct NodeParams {
    /// Nodes of the page: 50 when left out, at most 500.
    #[serde(default)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[serde(default)]
    cursor: Option<String>,
}

/// List the nodes of the registry
///
/// With their bonds, oldest registration first. Nodes without a bond that came to the settler's
/// door are counted in `GET /v1/tiers`.
#[utoipa::path(
    get, path = "/v1/nodes", tag = "chain", params(NodeParams),
    responses(
        (status = 200, body = Answer<NodePage>),
        (status = 304, description = "The final facts that If-None-Match names are the same")
    )
)]
pub async fn list(view: View, Params(params): Params<NodeParams>) -> Result<Response, Problem> {
    let filter = HistoryFilter {
        kind: Some(EventKind::Registered.text()),
        limit: page_rows(params.limit)?,
        ..HistoryFilter::default()
    };
    if let Some(same) = view.unchanged() {
        return Ok(same);
    }
    let page = HistoryPage::read(&view, filter, params.cursor.as_deref()).await?;
    let mut nodes = Vec::new();
    for row in &page.rows {
        let HistoryEvent::Registry(registered) = &row.event else { continue };
        let signer = registered.event.signer();
        let bond = view.reader.bond(signer).await?.zip(view.escrow.registry);
        let (bond, registry) = bond.ok_or_else(|| {
            Code::Internal.because(format!("node {signer} is registered and has no bond"))
        })?;
        nodes.push(RegisteredNode {
            node: Account(signer),
            registered_block: row.place.block,
            registered_at: Time::at(row.mined_at),
            bond: bond_view(&view, registry, bond),
        });
    }
    let (has_more, next_cursor) = (page.has_more, page.next_cursor.clone());
    Ok(view.facts(NodePage { nodes, has_more, next_cursor }, page.link()))
}

/// List the jobs of a node
///
/// Those in which it has a lot, newest first; as `GET /v1/jobs` with `node`.
#[utoipa::path(
    get, path = "/v1/nodes/{address}/jobs", tag = "chain",
    params(("address" = Account, Path), PageParams),
    responses((status = 200, body = Answer<JobPage>))
)]
pub async fn jobs(
    AddressPath(address): AddressPath,
    view: View,
    Params(params): Params<PageParams>,
) -> Result<Response, Problem> {
    let filter = JobFilter { node: Some(address), ..JobFilter::default() };
    list_jobs(&view, filter, params).await
}

fn bond_view(view: &View, registry: Address, bond: BondState) -> BondView {
    let asset = &view.asset;
    BondView {
        registry: Account(registry),
        owner: Account(bond.owner),
        payout: Account(bond.payout),
        capabilities_hash: Hash(bond.capabilities_hash),
        bonded: asset.money(bond.bonded),
        unbonding: asset.money(bond.unbonding),
        unbond_at: (bond.unbond_at != 0).then(|| Time::at(bond.unbond_at)),
        slashed: bond.slashed,
        seq: bond.seq,
    }
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
