//! Tiers: what each costs, and the nodes that can be booked in it now.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::IntoResponse;
use contracts::spec::{ExpandedSpec, Tier};
use serde::Serialize;
use store::{Node, Reader};
use utoipa::ToSchema;

use super::quotes::unpriceable;
use crate::App;
use crate::edge::body::{NoParams, Params};
use crate::edge::view::{Answer, View};
use crate::error::Problem;
use crate::record::read_spec;
use crate::wire::{Money, Time};

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
    let reader = app.store.reader();
    let since = app.now().saturating_sub(SEEN_WITHIN_SECONDS);
    let mut nodes = reader.nodes().await?;
    nodes.retain(|node| node.seen_at >= since);
    let leases = reader.active_leases().await?;
    let is_free = |node: &&Node| !leases.iter().any(|lease| lease.node == node.node);
    let free_nodes = number(nodes.iter().filter(is_free).count());
    let queue = queue(&app, &reader).await?;
    let prices = &app.settings.prices;
    let asset = view.asset();
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

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
