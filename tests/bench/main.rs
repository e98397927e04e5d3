//! `bench index`: started by `cargo xtask bench index`, which builds it and starts PostgreSQL.

use std::path::PathBuf;

use anyhow::{Context, Result};
use bench::Order;
use bench::services::Kind;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "bench")]
struct Words {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Backfill, latency and reads of the index
    Index {
        /// Events of the chain; rounded up to whole hundreds
        #[arg(long, default_value_t = 500_000)]
        events: u64,
        /// Which databases; both when left out
        #[arg(long)]
        store: Option<Kind>,
        /// Backfills on each, in turn
        #[arg(long, default_value_t = 2)]
        runs: u32,
        /// Blocks of each measurement of latency; 0 leaves it out
        #[arg(long, default_value_t = 100)]
        live: u32,
        /// Seconds of each measurement of reads; 0 leaves them out
        #[arg(long, default_value_t = 20)]
        read_seconds: u32,
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
}

#[tokio::main]
async fn main() -> Result<()> {
    let What::Index { events, store, runs, live, read_seconds, seed } = Words::parse().what;
    let kinds = store.map_or(vec![Kind::Sqlite, Kind::Postgres], |kind| vec![kind]);
    let order = Order { events, kinds, runs, live, read_seconds, seed };
    bench::index(&program()?, &order).await?;
    Ok(())
}

/// The `rndr` that was built beside this program.
fn program() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    Ok(own.parent().context("this program lies in no folder")?.join("rndr"))
}
