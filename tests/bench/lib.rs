//! What the index costs, measured on a chain whose every event is known beforehand.

#![allow(
    clippy::unwrap_used,
    reason = "as in the stories, whose chain and databases these are: a failed assumption stops it"
)]

#[path = "../world/anvil.rs"]
pub mod anvil;
pub mod backfill;
pub mod chain;
pub mod check;
#[path = "../world/database.rs"]
pub mod database;
pub mod expected;
pub mod live;
pub mod process;
pub mod reads;
pub mod report;
pub mod services;

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use backfill::{Backfill, backfill, fetch};
use chain::Chain;
use expected::{Plan, Totals};
use live::live;
use reads::{What, read, wrk_is_installed};
use report::Report;
use services::{Kind, Mode, Site};

/// How often a block is mined while reads go on.
const BUSY_PAUSE: Duration = Duration::from_millis(100);

/// What is measured, and how often.
#[derive(Debug, Clone)]
pub struct Order {
    pub events: u64,
    pub kinds: Vec<Kind>,
    /// Backfills of each kind, in turn.
    pub runs: u32,
    /// Blocks of each measurement of latency; 0 leaves it out.
    pub live: u32,
    /// Seconds of each measurement of reads; 0 leaves them out.
    pub read_seconds: u32,
    pub seed: u64,
}

/// Makes the chain, then measures one after the other; what it found is printed at once.
pub async fn index(program: &Path, order: &Order) -> Result<Vec<(Mode, Backfill)>> {
    let report = Report::start(order);
    let plan = Plan::of(order.events);
    let totals = Totals::of(&plan);
    let mut chain = Chain::make(plan).await?;
    chain.check().await?;
    report.chain(&chain, &totals).await?;
    for bound in fetch(&chain).await? {
        report.fetch(&bound, totals.count());
    }
    let mut found = Vec::new();
    for run in 1..=order.runs {
        for kind in &order.kinds {
            for verify in [true, false] {
                let mode = Mode { kind: *kind, socket: true, verify };
                let (mut site, figures) = backfill(&chain, program, mode, &totals).await?;
                report.backfill(mode, run, &figures);
                found.push((mode, figures));
                if verify && run == order.runs {
                    site.indexer = None;
                    reads(&chain, &site, order, &report).await?;
                }
            }
        }
    }
    for kind in &order.kinds {
        for socket in [true, false] {
            latency(
                &mut chain,
                program,
                Mode { kind: *kind, socket, verify: true },
                order,
                &report,
            )
            .await?;
        }
    }
    Ok(found)
}

/// Each kind of read for some seconds, while nothing or while a chain goes on.
async fn reads(chain: &Chain, site: &Site, order: &Order, report: &Report) -> Result<()> {
    if order.read_seconds == 0 {
        return Ok(());
    }
    if !wrk_is_installed() {
        report.say("no wrk here, so reads are left out; `cargo xtask setup --bench` installs it");
        return Ok(());
    }
    for what in What::ALL {
        let paths = what.paths(chain);
        let figures = read(site, &paths, order.read_seconds, order.seed).await?;
        report.reads(site.kind, what, "idle", &figures);
    }
    Ok(())
}

/// Latency on an index that is level with the chain, then reads while the chain goes on.
async fn latency(
    chain: &mut Chain,
    program: &Path,
    mode: Mode,
    order: &Order,
    report: &Report,
) -> Result<()> {
    if order.live == 0 {
        return Ok(());
    }
    let mut site = Site::new(chain, program, mode).await?;
    site.start_api().await?;
    site.start_indexer()?;
    let times = live(chain, &mut site, order.live, order.seed).await?;
    report.latency(mode, &times);
    if !mode.socket || order.read_seconds == 0 || !wrk_is_installed() {
        return Ok(());
    }
    for what in What::ALL {
        let paths = what.paths(chain);
        let figures = tokio::select! {
            figures = read(&site, &paths, order.read_seconds, order.seed) => figures?,
            Err(error) = go_on(chain) => return Err(error),
        };
        report.reads(mode.kind, what, "while indexing", &figures);
    }
    Ok(())
}

/// Mines without end.
async fn go_on(chain: &mut Chain) -> Result<std::convert::Infallible> {
    loop {
        tokio::time::sleep(BUSY_PAUSE).await;
        chain.one_more().await?;
    }
}
