//! The benchmark at a small size: its chain is indexed, and every count and sum is compared.

use std::path::Path;

use bench::Order;
use bench::backfill::backfill;
use bench::chain::Chain;
use bench::expected::{Plan, Totals};
use bench::services::{Kind, Mode};

fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_rndr"))
}

fn kind() -> Kind {
    match std::env::var_os("RNDR_TEST_POSTGRES") {
        Some(_) => Kind::Postgres,
        None => Kind::Sqlite,
    }
}

#[tokio::test]
async fn the_benchmark_runs_and_finds_what_its_chain_is_known_to_hold() {
    let kinds = vec![kind()];
    let order = Order { events: 5_000, kinds, runs: 1, live: 3, read_seconds: 1, seed: 1 };
    let found = bench::index(program(), &order).await.unwrap();
    assert_eq!(found.iter().map(|(mode, _)| mode.verify).collect::<Vec<_>>(), [true, false]);
    for (_, backfill) in &found {
        assert_eq!(backfill.events, 5_000);
        assert!(backfill.size > 0 && backfill.indexer_peak > 0 && backfill.rate() > 0.0);
    }
}

#[tokio::test]
async fn a_sum_or_an_account_that_differs_by_one_is_found() {
    let plan = Plan::of(300);
    let good = Totals::of(&plan);
    let chain = Chain::make(plan).await.unwrap();
    let mode = Mode { kind: kind(), socket: false, verify: true };
    let (_site, figures) = backfill(&chain, program(), mode, &good).await.unwrap();
    assert_eq!(figures.events, 300);
    let mut sum = good.clone();
    sum.events.get_mut("Settled").unwrap().1 += 1;
    let mut account = good.clone();
    account.accounts.values_mut().next().unwrap().0 += 1;
    for (wrong, named) in [(sum, "events"), (account, "account")] {
        let refused = backfill(&chain, program(), mode, &wrong).await.err().unwrap();
        assert!(refused.to_string().starts_with(named), "{refused}");
    }
}
