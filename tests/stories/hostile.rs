//! Chain nodes that lie, lag, refuse and break: no wrong row, and on again once they are healed.

use std::time::{Duration, Instant};

use alloy::primitives::{Bytes, U256};
use alloy::providers::Provider;
use alloy::providers::ext::AnvilApi;
use contracts::{Amount, LegacyRndr, RenderEscrow};
use indexer::audit::Difference;
use store::{Store, Verified};

use crate::world::anvil::Options;
use crate::world::database::Database;
use crate::world::deals::Deal;
use crate::world::lies::Lie;
use crate::world::proxy::{Fault, Proxy};
use crate::world::seeds::seeds;
use crate::world::truth::{Finals, no_wrong_row};
use crate::world::{RNDR, Running, World, eventually, wallet};

/// Longest time from healing to the head of the chain.
const RECOVERY: Duration = Duration::from_secs(10);
/// Bad answers after which a node counts as hostile: two indexers ask it.
const ENOUGH: u64 = 2;

/// An indexer that reads through proxies, with a database of its own.
struct Reading {
    _database: Database,
    store: Store,
    finals: Finals,
    indexer: Running<indexer::Error>,
}

impl Reading {
    async fn through(world: &World, nodes: &[&Proxy], prove: bool) -> Self {
        let database = Database::fresh(world.folder.path()).await;
        let store = Store::open(&database.url, &world.folder.path().join("objects")).await.unwrap();
        let rpc_urls = nodes.iter().map(|node| node.rpc_url()).collect();
        let poll = Duration::from_millis(50);
        let config =
            indexer::Config { rpc_urls, prove, ws_url: None, poll, ..world.indexer_config() };
        let indexer = world.indexer_as(config, &store);
        Self { finals: Finals::watch(&store), _database: database, store, indexer }
    }

    /// At the head, equal to a fresh index, nothing taken back, and it never stopped.
    async fn end(mut self, world: &World) {
        self.indexer.until(world.audited(&self.store)).await;
        self.finish(world).await;
    }

    /// The same of an index that believed what it was told.
    async fn finish(self, world: &World) {
        assert!(no_wrong_row(world, &self.store).await > 20);
        self.finals.none_taken_back(world).await;
        self.indexer.stop().await;
        self.store.close().await;
    }
}

/// Final blocks come soon, so that both ways of reading are met: ranges below, single blocks above.
async fn eventful() -> World {
    let world = World::on(Options { slots_in_an_epoch: 4, ..Options::default() }).await;
    for name in ["payer", "second payer", "third payer"] {
        let payer = world.funded(name, 500 * RNDR).await;
        let (spender, value) = (world.escrow, U256::MAX);
        world.send(&payer, world.token, LegacyRndr::approveCall { spender, value }).await;
    }
    world.deposit(&wallet("payer"), 60 * RNDR).await;
    go_on(&world, 1).await;
    world
}

/// A job with lots, and a block of several transactions, one of which reverts; then quiet.
async fn go_on(world: &World, salt: u64) {
    let payer = wallet("payer");
    let deal = Deal::new(world, &payer, salt).await;
    deal.open(world).await;
    deal.release(world, &[deal.work(&[0, 1], 1, false), deal.work(&[2], 2, false)]).await;
    deal.commit(world, &[deal.work(&[3, 4], 3, true), deal.work(&[5], 4, true)], false).await;
    let deposit = |rndr: u128| {
        let amount = Amount::from_base(rndr * RNDR).unwrap().into();
        RenderEscrow::depositCall { amount }
    };
    let mut block = Vec::new();
    for (name, rndr) in [("payer", 21), ("second payer", 1_000), ("third payer", 3)] {
        block.push(world.sign(&wallet(name), world.escrow, deposit(rndr)).await);
    }
    let more = deal.release_call(&[deal.work(&[6], 5, false)]);
    block.push(world.sign(&deal.settler, world.escrow, more).await);
    in_one_block(world, &block).await;
    world.anvil.mine(12).await;
}

async fn in_one_block(world: &World, transactions: &[Bytes]) {
    let provider = &world.anvil.provider;
    provider.anvil_set_auto_mine(false).await.unwrap();
    for raw in transactions {
        let _ = provider.send_raw_transaction(raw).await.unwrap();
    }
    world.anvil.mine(1).await;
    provider.anvil_set_auto_mine(true).await.unwrap();
}

/// A hostile node alone, and beside an honest one. Nothing false is stored; the second pair of
/// eyes is enough to reach the head; alone, the head is reached once the node is healed.
async fn besieged(faults: &[Fault], seed: u64) {
    let world = eventful().await;
    let bad = Proxy::before(&world.anvil, seed).await;
    let good = Proxy::before(&world.anvil, seed).await;
    bad.turn(faults, [100, 70, 40][usize::try_from(seed % 3).unwrap()]);
    let mut alone = Reading::through(&world, &[&bad], true).await;
    let mut beside = Reading::through(&world, &[&bad, &good], true).await;
    let met = || async { (bad.told() >= ENOUGH).then_some(()) };
    eventually("bad answers", met).await;
    go_on(&world, 2).await;
    beside.indexer.until(world.caught_up(&beside.store)).await;
    for reading in [&alone, &beside] {
        no_wrong_row(&world, &reading.store).await;
    }
    bad.heal();
    recovered(&world, &mut alone, faults).await;
    alone.end(&world).await;
    beside.end(&world).await;
}

async fn recovered(world: &World, reading: &mut Reading, faults: &[Fault]) {
    let healed = Instant::now();
    reading.indexer.until(world.caught_up(&reading.store)).await;
    let took = healed.elapsed();
    println!("at the head {took:.1?} after {faults:?}");
    assert!(took < RECOVERY, "{took:?} after {faults:?}");
}

/// Each group by itself: who is stopped by false headers never gets to false receipts.
async fn lied_to(groups: &[&[Lie]]) {
    for lies in groups {
        let faults: Vec<Fault> = lies.iter().copied().map(Fault::Lie).collect();
        troubled_by(&faults).await;
    }
}

async fn troubled_by(faults: &[Fault]) {
    for seed in seeds(1, 20) {
        besieged(faults, seed).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fl1_logs_that_are_kept_back_are_missed_by_nobody() {
    lied_to(&[&[Lie::NoLogs], &[Lie::BloomCut]]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fl2_one_log_of_several_cannot_be_left_out() {
    lied_to(&[&[Lie::LogMissing]]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fl3_logs_cannot_be_added_altered_or_given_to_another_contract() {
    let of_logs = [Lie::LogAdded, Lie::LogAltered, Lie::LogElsewhere, Lie::ReceiptAltered];
    lied_to(&[&of_logs, &[Lie::HeaderAltered]]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fl4_order_and_origin_of_logs_come_from_the_receipts_and_transactions() {
    let order = [Lie::LogsShuffled, Lie::LogDoubled, Lie::WrongIndex];
    lied_to(&[&order, &[Lie::OtherTransaction]]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fl5_receipts_of_another_fork_are_no_receipts_of_this_block() {
    lied_to(&[&[Lie::OtherFork]]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fl6_nothing_half_an_answer_and_a_page_for_people_are_no_answers() {
    lied_to(&[&[Lie::NoBlock], &[Lie::NoReceipts]]).await;
    troubled_by(&[Fault::Cut, Fault::Html]).await;
}

/// The cap stays: smaller questions are the only way through.
#[tokio::test(flavor = "multi_thread")]
async fn fl7_a_capped_range_is_asked_for_in_pieces_and_leaves_no_gap() {
    for seed in seeds(1, 20) {
        let world = eventful().await;
        let capped = Proxy::before(&world.anvil, seed).await;
        capped.turn(&[Fault::RangeCap(1 + seed % 5)], 100);
        let mut proven = Reading::through(&world, &[&capped], true).await;
        let mut believed = Reading::through(&world, &[&capped], false).await;
        go_on(&world, 2).await;
        for reading in [&mut proven, &mut believed] {
            reading.indexer.until(world.caught_up(&reading.store)).await;
        }
        assert!(capped.told() >= ENOUGH, "{} refusals", capped.told());
        let blocks = |rows: store::Step| rows.blocks.into_iter().map(|block| block.verified);
        let rows = believed.store.reader().rows_between(0, u64::from(u32::MAX)).await.unwrap();
        assert!(blocks(rows).all(|verified| verified == Verified::LogsOnly));
        // The audit proves each block, and so finds that this index did not.
        let report = world.audit(&believed.store).await;
        assert_eq!(report.stored_digest, Some(report.digest));
        let only = ("blocks", "verified");
        let unproven = |found: &Difference| (found.table, found.column.as_str()) == only;
        assert!(!report.is_clean() && report.differences.iter().all(unproven));
        believed.finish(&world).await;
        proven.end(&world).await;
    }
}

/// Each of two nodes is of one mind with itself, and its every answer can be proven. So neither
/// is believed where they differ: nothing there is called final before they agree.
#[tokio::test(flavor = "multi_thread")]
async fn fl8_two_nodes_that_disagree_for_a_hundred_blocks_make_nothing_final() {
    for seed in seeds(1, 20) {
        let world = eventful().await;
        let (first, second) =
            (Proxy::before(&world.anvil, seed).await, Proxy::before(&world.anvil, seed).await);
        let (fork, _) = world.anvil.head().await;
        first.turn(&[Fault::OtherBranch(fork)], 100);
        let order = if seed % 2 == 0 { [&first, &second] } else { [&second, &first] };
        let mut reading = Reading::through(&world, &order, true).await;
        let reader = reading.store.reader();
        let tip = || async { reader.tip().await.unwrap().filter(|tip| tip.number + 1 >= fork) };
        eventually("the index at the fork", tip).await;
        for _ in 0..10 {
            world.anvil.mine(10).await;
            let (head, _) = world.anvil.head().await;
            let there = || async { reader.tip().await.unwrap().filter(|tip| tip.number >= head) };
            eventually("the index on either branch", there).await;
        }
        assert!(first.told() >= ENOUGH);
        let heads = reader.heads().await.unwrap();
        let mark = heads.iter().find(|head| head.tag == store::Tag::Finalized).unwrap();
        assert!(mark.block < fork, "block {} is final from {fork} on", mark.block);
        go_on(&world, 2).await;
        first.heal();
        recovered(&world, &mut reading, &[Fault::OtherBranch(fork)]).await;
        reading.end(&world).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fl9_a_node_that_is_busy_broken_or_cut_off_is_asked_again() {
    troubled_by(&[Fault::Busy, Fault::Broken, Fault::Reset]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fl9_a_node_that_is_silent_for_half_a_minute_is_given_up_on_before() {
    for seed in seeds(1, 20) {
        // Every answer is late: what is asked before the healing never helps.
        besieged(&[Fault::Hold], 3 * seed).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fr5_a_head_that_goes_backwards_is_waited_for() {
    troubled_by(&[Fault::OldHead(12)]).await;
}
