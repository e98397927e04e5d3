//! A fresh database, from the first block to the head; and what only fetching the chain costs.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::json;

use crate::chain::Chain;
use crate::check::check;
use crate::expected::Totals;
use crate::process;
use crate::services::{Mode, Site};

/// Blocks of one question for logs: about 2,000 logs, 1.2 MB.
const FETCH_SPAN: u64 = 10;

/// What one backfill took.
#[derive(Debug, Clone)]
pub struct Backfill {
    pub events: u64,
    pub indexer: Duration,
    pub server: Duration,
    pub node: Duration,
    pub wall: Duration,
    pub indexer_peak: u64,
    pub server_peak: u64,
    pub size: u64,
}

impl Backfill {
    /// Events a processor second of indexer and database together.
    pub fn rate(&self) -> f64 {
        let events = f64::from(u32::try_from(self.events).unwrap_or(u32::MAX));
        events / (self.indexer + self.server).as_secs_f64()
    }
}

/// Indexes the whole chain; the figures count only when the index holds what it should.
pub async fn backfill(
    chain: &Chain,
    program: &Path,
    mode: Mode,
    totals: &Totals,
) -> Result<(Site, Backfill)> {
    let head = chain.head().await?;
    let mut site = Site::new(chain, program, mode).await?;
    // It makes the tables, so that the indexer's time is that of indexing alone.
    site.start_api().await?;
    let (server, node) = (site.server_cpu(), process::cpu(chain.anvil.process()));
    let started = Instant::now();
    site.start_indexer()?;
    let server_peak = site.reach(head).await?;
    let wall = started.elapsed();
    let indexer = site.indexer.as_ref().context("the indexer runs")?.id();
    let figures = Backfill {
        events: totals.count(),
        indexer: process::cpu(indexer),
        server: site.server_cpu() - server,
        node: process::cpu(chain.anvil.process()) - node,
        wall,
        indexer_peak: process::peak_rss(indexer),
        server_peak,
        size: site.size().await?,
    };
    let store = site.store().await?;
    check(chain, &store, totals).await?;
    store.close().await;
    Ok((site, figures))
}

/// What fetching took, without a look at the answers.
#[derive(Debug, Clone)]
pub struct Fetch {
    pub what: &'static str,
    pub bytes: usize,
    pub node: Duration,
    pub wall: Duration,
}

/// All logs in spans, then all receipts block by block: no indexer can be faster than its node.
pub async fn fetch(chain: &Chain) -> Result<[Fetch; 2]> {
    let head = chain.head().await?;
    let rpc = chain.rpc();
    let tag = |number: u64| format!("{number:#x}");
    let logs = async || -> Result<usize> {
        let mut bytes = 0;
        for from in (0..=head).step_by(usize::try_from(FETCH_SPAN)?) {
            let to = head.min(from + FETCH_SPAN - 1);
            let asked =
                json!([{ "address": chain.escrow, "fromBlock": tag(from), "toBlock": tag(to) }]);
            bytes += rpc.raw(&[("eth_getLogs", asked)]).await?.len();
        }
        Ok(bytes)
    };
    let receipts = async || -> Result<usize> {
        let mut bytes = 0;
        for from in (0..=head).step_by(usize::try_from(FETCH_SPAN)?) {
            let blocks = from..=head.min(from + FETCH_SPAN - 1);
            let asked: Vec<_> =
                blocks.map(|block| ("eth_getBlockReceipts", json!([tag(block)]))).collect();
            bytes += rpc.raw(&asked).await?.len();
        }
        Ok(bytes)
    };
    Ok([
        timed(chain, "eth_getLogs", logs).await?,
        timed(chain, "eth_getBlockReceipts", receipts).await?,
    ])
}

async fn timed(
    chain: &Chain,
    what: &'static str,
    work: impl AsyncFn() -> Result<usize>,
) -> Result<Fetch> {
    let (node, started) = (process::cpu(chain.anvil.process()), Instant::now());
    let bytes = work().await?;
    let wall = started.elapsed();
    Ok(Fetch { what, bytes, node: process::cpu(chain.anvil.process()) - node, wall })
}
