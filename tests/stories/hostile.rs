//! Chain nodes that lie, lag, refuse and break: no wrong row, and on again once they are healed.

use std::time::{Duration, Instant};

use alloy::primitives::{Bytes, U256};
use alloy::providers::Provider;
use alloy::providers::ext::AnvilApi;
use contracts::{Amount, LegacyRndr, RenderEscrow};
use store::Store;

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
    async fn through(world: &World, node: &Proxy) -> Self {
        let database = Database::fresh(world.folder.path()).await;
        let store = Store::open(&database.url, &world.folder.path().join("objects")).await.unwrap();
        let (rpc_url, poll) = (node.rpc_url(), Duration::from_millis(50));
        let config = indexer::Config {
            rpc_urls: vec![rpc_url],
            ws_url: None,
            poll,
            ..world.indexer_config()
        };
        let indexer = world.indexer_as(config, &store);
        Self { finals: Finals::watch(&store), _database: database, store, indexer }
    }

    /// At the head, equal to a fresh index, nothing taken back, and it never stopped.
    async fn end(mut self, world: &World) {
        self.indexer.until(world.audited(&self.store)).await;
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

/// Nothing false is stored, and the head is reached once the node is healed.
async fn besieged(faults: &[Fault], seed: u64) {
    let world = eventful().await;
    let bad = Proxy::before(&world.anvil, seed).await;
    bad.turn(faults, [100, 70, 40][usize::try_from(seed % 3).unwrap()]);
    let mut reading = Reading::through(&world, &bad).await;
    let met = || async { (bad.told() >= ENOUGH).then_some(()) };
    eventually("bad answers", met).await;
    go_on(&world, 2).await;
    no_wrong_row(&world, &reading.store).await;
    bad.heal();
    recovered(&world, &mut reading, faults).await;
    reading.end(&world).await;
}

async fn recovered(world: &World, reading: &mut Reading, faults: &[Fault]) {
    let healed = Instant::now();
    reading.indexer.until(world.caught_up(&reading.store)).await;
    let took = healed.elapsed();
    println!("at the head {took:.1?} after {faults:?}");
    assert!(took < RECOVERY, "{took:?} after {faults:?}");
}

async fn troubled_by(faults: &[Fault]) {
    for seed in seeds(1, 20) {
        besieged(faults, seed).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fl6_nothing_half_an_answer_and_a_page_for_people_are_no_answers() {
    let lies = [Fault::Lie(Lie::NoBlock), Fault::Lie(Lie::NoReceipts)];
    troubled_by(&[&lies[..], &[Fault::Cut, Fault::Html]].concat()).await;
}

/// The cap stays: smaller questions are the only way through.
#[tokio::test(flavor = "multi_thread")]
async fn fl7_a_capped_range_is_asked_for_in_pieces_and_leaves_no_gap() {
    for seed in seeds(1, 20) {
        let world = eventful().await;
        let capped = Proxy::before(&world.anvil, seed).await;
        capped.turn(&[Fault::RangeCap(1 + seed % 5)], 100);
        let mut reading = Reading::through(&world, &capped).await;
        go_on(&world, 2).await;
        reading.indexer.until(world.caught_up(&reading.store)).await;
        assert!(capped.told() >= ENOUGH, "{} refusals", capped.told());
        reading.end(&world).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fl9_a_node_that_is_busy_broken_or_cut_off_is_asked_again() {
    troubled_by(&[Fault::Busy, Fault::Broken, Fault::Reset]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fr5_a_head_that_goes_backwards_is_waited_for() {
    troubled_by(&[Fault::OldHead(12)]).await;
}
