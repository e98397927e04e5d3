//! The indexer on a chain in memory: what it refuses, proves later, and never changes.

use std::collections::BTreeSet;
use std::time::Duration;

use store::{Block, Step, Store, Verified};
use tempfile::TempDir;

use crate::audit::{self, Report};
use crate::follow::Stop;
use crate::identity::Refusal;

use crate::{Config, Error, Follower, Looked, net};
use escrow::{Call, ESCROW};
use memory::{DEPLOY_BLOCK, Memory};
use registry::REGISTRY;

pub(crate) mod escrow;
pub(crate) mod memory;
pub(crate) mod registry;
mod schedules;
#[path = "../../tests/world/seeds.rs"]
mod seeds;
mod statements;

/// Looks after which a follower that still has work is taken to be stuck.
const MOST_LOOKS: u32 = 2_000;

fn config() -> Config {
    Config {
        rpc_urls: vec!["http://unused".into()],
        prove: true,
        ws_url: None,
        escrow: ESCROW,
        registry: Some(REGISTRY),
        deploy_block: None,
        poll: Duration::from_millis(1),
    }
}

async fn store(folder: &TempDir, name: &str) -> Store {
    let url = format!("sqlite:{}", folder.path().join(name).display());
    Store::open(&url, &folder.path().join("objects")).await.unwrap()
}

/// Looks until there is nothing to do. Chain errors are what a real loop would wait out.
async fn settle(follower: &mut Follower<'_, Memory>) -> Result<(), Error> {
    let mut idle = 0;
    for _ in 0..MOST_LOOKS {
        match follower.look().await {
            Ok(Looked::Moved) => idle = 0,
            Ok(Looked::Idle | Looked::Unclear) => idle += 1,
            Err(error) if error.is_transient() => idle = 0,
            Err(error) => return Err(error),
        }
        if idle > 1 {
            return Ok(());
        }
    }
    panic!("still moving after {MOST_LOOKS} looks");
}

async fn all_rows(store: &Store) -> Step {
    store.reader().rows_between(0, 10_000).await.unwrap()
}

async fn replay(chain: &Memory, folder: &TempDir, store_: &Store) -> Report {
    let fresh = store(folder, "fresh.db").await;
    let until = audit::Until::Tip;
    let report = audit::replay_on(chain, &config(), &fresh, Some(store_), until).await.unwrap();
    // The events summed by kind say the same as the fold.
    assert_eq!(fresh.reader().owed_at(report.block).await.unwrap(), report.owed);
    report
}

/// Twelve blocks with two calls each, the same in every run.
fn busy(chain: &Memory) {
    for number in 0..12u32 {
        chain.mine(&[(0, number, 900_000), (3, number, 5_000), (6, number, 77_777)]);
        chain.mine(&[(7, number, 123_456), (11, number, 1), (15, number, 3)]);
    }
}

#[tokio::test]
async fn a_reorg_of_final_blocks_stops_and_changes_nothing() {
    let folder = TempDir::new().unwrap();
    let chain = Memory::new();
    busy(&chain);
    chain.finalize(4);
    let live = store(&folder, "live.db").await;
    let mut follower = Follower::start(&chain, &config(), &live).await.unwrap();
    settle(&mut follower).await.unwrap();
    let before = all_rows(&live).await;

    chain.reorg(9, &vec![vec![(0, 1, 5)]; 12]);
    let error = settle(&mut follower).await.unwrap_err();
    let Error::Stop(Stop::FinalReplaced { block, mark }) = error else { panic!("{error}") };
    assert!(block <= mark && mark == chain.finalized());
    assert!(!error.is_transient());
    let after = all_rows(&live).await;
    assert_eq!(format!("{before:?}"), format!("{after:?}"));
    assert_eq!(live.reader().reorgs(9).await.unwrap(), vec![]);
}

#[tokio::test]
async fn backfill_by_refused_ranges_leaves_no_gap_and_gives_the_live_digest() {
    let folder = TempDir::new().unwrap();
    let chain = Memory::new();
    let live = store(&folder, "live.db").await;
    let mut follower = Follower::start(&chain, &config(), &live).await.unwrap();
    busy(&chain);
    settle(&mut follower).await.unwrap();

    chain.finalize(0);
    chain.limit_ranges(4);
    let late = store(&folder, "late.db").await;
    let mut follower = Follower::start(&chain, &config(), &late).await.unwrap();
    assert_eq!(follower.escrow().deploy_block, DEPLOY_BLOCK);
    settle(&mut follower).await.unwrap();
    assert!(chain.refused_ranges() >= 2, "the first range has 16 blocks");
    let (a, b) = (live.reader().tip().await.unwrap(), late.reader().tip().await.unwrap());
    assert_eq!(a, b);
    let (mut a, mut b) = (all_rows(&live).await, all_rows(&late).await);
    assert!(a.events.len() > 30 && b.jobs.len() < a.jobs.len());
    // The late one has fewer snapshots, and the same newest ones.
    net::keep_last(&mut a);
    net::keep_last(&mut b);
    // It also lacks blocks without events.
    (a.blocks, b.blocks, a.heads, b.heads) = Default::default();
    assert_eq!(format!("{a:?}"), format!("{b:?}"));
}

#[tokio::test]
async fn a_first_load_ends_with_every_index_also_after_a_restart_on_the_way() {
    let folder = TempDir::new().unwrap();
    let chain = Memory::new();
    for round in 0..40u32 {
        chain.mine(&[(0, round, 900_000), (3, round, 5_000), (6, round, 2), (7, round, 2)]);
        chain.mine(&[(11, round, 1), (14, round, 1), (15, round, 1)]);
        (0..28).for_each(|_| chain.mine(&[]));
    }
    chain.finalize(20);
    // So small that one look is not enough.
    chain.limit_ranges(4);
    let (store_, late) = (store(&folder, "load.db").await, store(&folder, "late.db").await);
    let writer = store_.chain_writer();
    let mut follower = Follower::start(&chain, &config(), &store_).await.unwrap();
    // Ends: the range halves with each refusal.
    while writer.cursor().await.unwrap().tip.is_none() {
        let _ = follower.look().await;
    }
    let cursor = writer.cursor().await.unwrap();
    assert!(cursor.loading && cursor.tip.unwrap().number < chain.finalized());
    assert_eq!(store_.reader().tip().await.unwrap(), None);
    drop(follower);
    let mut again = Follower::start(&chain, &config(), &store_).await.unwrap();
    settle(&mut again).await.unwrap();
    assert!(!writer.cursor().await.unwrap().loading);
    assert_eq!(store_.reader().tip().await.unwrap().unwrap().number, chain.head());
    // Without a restart, and with so small a memory that the load cannot go on without indexes.
    let mut small = Follower::start(&chain, &config(), &late).await.unwrap();
    small.most_bytes = 2_000;
    settle(&mut small).await.unwrap();
    for (name, store_) in [("fresh.db", &store_), ("fresh2.db", &late)] {
        let fresh = store(&folder, name).await;
        let report = audit::replay_on(&chain, &config(), &fresh, Some(store_), audit::Until::Tip)
            .await
            .unwrap();
        assert!(report.is_clean() && report.jobs > 30, "{:?}", report.first());
        assert_eq!(report.stored_digest, Some(report.digest));
    }
}

#[tokio::test]
async fn what_was_taken_on_a_servers_word_is_proven_later_or_stops_the_indexer() {
    let folder = TempDir::new().unwrap();
    let chain = Memory::new();
    busy(&chain);
    chain.finalize(4);
    chain.on_its_word(true);
    let live = store(&folder, "live.db").await;
    let mut follower = Follower::start(&chain, &config(), &live).await.unwrap();
    settle(&mut follower).await.unwrap();
    let told = all_rows(&live).await;
    assert!(told.blocks.iter().all(|block| block.verified == Verified::LogsOnly));
    assert_eq!(live.reader().first_unproven().await.unwrap(), Some(told.blocks[0].number));

    chain.on_its_word(false);
    let mut follower = Follower::start(&chain, &config(), &live).await.unwrap();
    settle(&mut follower).await.unwrap();
    assert_eq!(live.reader().first_unproven().await.unwrap(), None);
    let proven = all_rows(&live).await;
    let with_events = |block: &&Block| told.events.iter().any(|row| row.block == block.number);
    assert!(proven.blocks.iter().filter(with_events).all(|b| b.verified == Verified::Receipts));
    let as_before = |block: &Block| Block { verified: Verified::LogsOnly, ..block.clone() };
    assert_eq!(proven.blocks.iter().map(as_before).collect::<Vec<_>>(), told.blocks);
    assert!(replay(&chain, &folder, &live).await.is_clean());

    // A server that leaves a deposit out, and later one that proves that it was there.
    chain.mine(&[(0, 1, 900_000)]);
    chain.on_its_word(true);
    chain.hide_last(true);
    let lied = store(&folder, "lied.db").await;
    let mut follower = Follower::start(&chain, &config(), &lied).await.unwrap();
    settle(&mut follower).await.unwrap();
    chain.on_its_word(false);
    chain.hide_last(false);
    let before = all_rows(&lied).await;
    let mut follower = Follower::start(&chain, &config(), &lied).await.unwrap();
    let error = settle(&mut follower).await.unwrap_err();
    assert!(matches!(error, Error::Stop(Stop::NotAsProven { .. })), "{error}");
    assert!(!error.is_transient() && error.to_string().contains("new store"));
    let after = all_rows(&lied).await;
    assert_eq!(after.events, before.events);
    assert_eq!(after.blocks.last().unwrap().verified, Verified::LogsOnly);
}

#[tokio::test]
async fn a_chain_started_anew_is_refused_at_start_and_while_following() {
    let folder = TempDir::new().unwrap();
    let chain = Memory::new();
    busy(&chain);
    let live = store(&folder, "live.db").await;
    let mut follower = Follower::start(&chain, &config(), &live).await.unwrap();
    settle(&mut follower).await.unwrap();
    let before = all_rows(&live).await;

    chain.restart();
    (0..40).for_each(|_| chain.mine(&[(0, 2, 3)]));
    let error = settle(&mut follower).await.unwrap_err();
    assert!(matches!(error, Error::Identity(Refusal::OtherGenesis { .. })), "{error}");
    let error = Follower::start(&chain, &config(), &live).await.err().unwrap();
    assert!(error.to_string().contains("use a new --store"), "{error}");
    assert_eq!(format!("{before:?}"), format!("{:?}", all_rows(&live).await));
}

#[tokio::test]
async fn an_event_that_is_not_known_stops_the_indexer_before_anything_is_written() {
    for of in [ESCROW, REGISTRY] {
        let folder = TempDir::new().unwrap();
        let chain = Memory::new();
        busy(&chain);
        let live = store(&folder, "live.db").await;
        let mut follower = Follower::start(&chain, &config(), &live).await.unwrap();
        settle(&mut follower).await.unwrap();
        let before = all_rows(&live).await;

        chain.mine_unknown(of);
        chain.mine(&[(0, 1, 5)]);
        let error = settle(&mut follower).await.unwrap_err();
        assert!(!error.is_transient(), "{error}");
        assert!(error.to_string().contains("log 0 cannot be read"), "{error}");
        assert!(error.to_string().contains("older than the contract"), "{error}");
        let after = all_rows(&live).await;
        assert_eq!((after.events, after.blocks), (before.events, before.blocks));
    }
}

#[tokio::test]
async fn tokens_sent_without_a_deposit_are_surplus() {
    let folder = TempDir::new().unwrap();
    let chain = Memory::new();
    busy(&chain);
    chain.donate(41);
    let live = store(&folder, "live.db").await;
    let mut follower = Follower::start(&chain, &config(), &live).await.unwrap();
    settle(&mut follower).await.unwrap();
    let report = replay(&chain, &folder, &live).await;
    assert!(report.is_clean(), "{}", report.first().unwrap());
    assert_eq!(report.surplus, contracts::Amount::from(41u64));
    assert_eq!(report.token_balance, report.liabilities.checked_add(report.surplus).unwrap());
    assert!(report.jobs > 3 && report.lots > 3 && report.events > 30);
}

#[tokio::test]
async fn every_event_of_the_registry_is_indexed_folded_and_audited() {
    let folder = TempDir::new().unwrap();
    let chain = Memory::new();
    let all = |call: u8| -> Vec<Call> { (0..5).map(|pick| (call, pick, 1_001)).collect() };
    [0, 1, 4, 0].iter().for_each(|call| chain.mine(&all(*call)));
    // Until what was asked back is due.
    (0..24).for_each(|_| chain.mine(&[]));
    [6, 2, 4, 7].iter().for_each(|call| chain.mine(&all(*call)));
    let live = store(&folder, "live.db").await;
    let mut follower = Follower::start(&chain, &config(), &live).await.unwrap();
    settle(&mut follower).await.unwrap();
    let rows = all_rows(&live).await;
    let kinds: BTreeSet<_> = rows.registry.iter().map(|row| row.event.name()).collect();
    assert_eq!(kinds.len(), 6, "{kinds:?}");
    assert!(rows.bonds.len() > 30 && rows.bonds.iter().any(|bond| bond.slashed));
    let report = replay(&chain, &folder, &live).await;
    assert!(report.is_clean(), "{}", report.first().unwrap());
    let held = report.registry.unwrap();
    assert_eq!((held.nodes, held.token_balance), (5, held.bonds));
    assert_eq!(held.bonds, contracts::Amount::from(3 * 1_001u64));
}
