//! Prints what was found as lines of a table, with the machine and the versions on top.

use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use crate::Order;
use crate::backfill::{Backfill, Fetch};
use crate::chain::Chain;
use crate::expected::Totals;
use crate::live::percentile;
use crate::process::load;
use crate::reads::{Reads, What};
use crate::services::{Kind, Mode};

const MEGABYTE: f64 = 1e6;

/// What is printed goes out at once: a benchmark takes minutes.
pub struct Report;

impl Report {
    pub fn start(order: &Order) -> Self {
        let kinds: Vec<_> = order.kinds.iter().map(|kind| kind.name()).collect();
        let kinds = kinds.join(" and ");
        println!("bench index: {} events, {kinds}, seed {}", order.events, order.seed);
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        println!("{}, {cores} cores, load {}", said("date", &["-u", "+%F %H:%M UTC"]), load());
        println!("{}, {}", said("uname", &["-srm"]), said("wrk", &["-v"]));
        Self
    }

    pub fn say(&self, text: &str) {
        println!("{text}");
    }

    pub async fn chain(&self, chain: &Chain, totals: &Totals) -> Result<()> {
        let node = chain.rpc().ask("web3_clientVersion", json!([])).await?;
        let (head, made) = (chain.head().await?, chain.made_in.as_secs_f64());
        let (events, steps) = (totals.count(), chain.plan.steps());
        println!("{node}: {events} events in {steps} steps, {head} blocks, made in {made:.1} s");
        Ok(())
    }

    pub fn fetch(&self, fetch: &Fetch, events: u64) {
        let Fetch { what, bytes, node, wall } = fetch;
        let (size, node, wall) = (count(*bytes) / MEGABYTE, node.as_secs_f64(), wall.as_secs_f64());
        println!(
            "fetch     {what:<20} {events} events: wall {wall:.2} s, node {node:.2} cpu s, \
             {size:.0} MB"
        );
    }

    pub fn backfill(&self, mode: Mode, run: u32, found: &Backfill) {
        let way = if mode.verify { "verified" } else { "not verified" };
        let Backfill { indexer, server, node, wall, indexer_peak, server_peak, size, .. } = found;
        let bytes = |bytes: &u64| count(usize::try_from(*bytes).unwrap_or(usize::MAX)) / MEGABYTE;
        println!(
            "backfill  {:<20} {way}, run {run}: {:.0} events / cpu s; cpu s {:.2} + {:.2} \
             database, {:.2} node; wall {:.1} s; peak MB {:.0} + {:.0}; {:.0} MB stored; load {}",
            mode.kind.name(),
            found.rate(),
            indexer.as_secs_f64(),
            server.as_secs_f64(),
            node.as_secs_f64(),
            wall.as_secs_f64(),
            bytes(indexer_peak),
            bytes(server_peak),
            bytes(size),
            load(),
        );
    }

    pub fn latency(&self, mode: Mode, sorted: &[Duration]) {
        let way = if mode.socket { "socket" } else { "polling" };
        let at = |part| millis(percentile(sorted, part));
        println!(
            "latency   {:<20} {way}: n {}, p50 {:.1} ms, p95 {:.1} ms, most {:.1} ms; load {}",
            mode.kind.name(),
            sorted.len(),
            at(0.5),
            at(0.95),
            at(1.0),
            load(),
        );
    }

    pub fn reads(&self, kind: Kind, what: What, meanwhile: &str, found: &Reads) {
        let Reads { requests, wall, api, server, p50, p99, bytes } = found;
        println!(
            "reads     {:<20} {}, {meanwhile}: {:.0} requests / cpu s; {requests} in {:.1} s, \
             cpu s {:.2} + {:.2} database; p50 {:.2} ms, p99 {:.2} ms; {} bytes each; load {}",
            kind.name(),
            what.name(),
            found.rate(),
            wall.as_secs_f64(),
            api.as_secs_f64(),
            server.as_secs_f64(),
            millis(*p50),
            millis(*p99),
            bytes / requests.max(&1),
            load(),
        );
    }
}

fn count(number: usize) -> f64 {
    // Sizes are far below 2^52, where a float is exact.
    u32::try_from(number / 1_000).map_or(f64::MAX, f64::from) * 1_000.0
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

/// First line of what a program says of itself.
fn said(program: &str, words: &[&str]) -> String {
    let Ok(output) = Command::new(program).args(words).output() else {
        return format!("no {program}");
    };
    String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned()
}
