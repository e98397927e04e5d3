//! The indexer killed at every sync and at random moments: nothing is lost, and it is back at once.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use alloy::signers::local::PrivateKeySigner;
use rand::Rng;

use crate::world::anvil::Options;
use crate::world::beside::Beside;
use crate::world::cluster::Cluster;
use crate::world::process::{Launch, Started, reading, starved};
use crate::world::{RNDR, World, counted, drawn, eventually};

const SYNCS: &str = "fsync,fdatasync";
/// A process that was killed is back and writing in this time.
const RECOVERY: Duration = Duration::from_secs(2);

/// Waits until the index at `url` has the block that is the chain's head now.
async fn at_head(world: &World, url: &str) {
    let (head, _) = world.anvil.head().await;
    reached(world, url, head).await;
}

/// Waits until it has this block; when that was.
async fn reached(world: &World, url: &str, block: u64) -> Instant {
    let store = eventually("a database to read", || reading(world, url)).await;
    let reader = store.reader();
    let there = || async { (reader.tip().await.ok()??.number >= block).then(Instant::now) };
    let when = eventually("the block in the index", there).await;
    store.close().await;
    when
}

/// Blocks with and without events, for longer than anyone waits.
async fn living(world: &World, payer: &PrivateKeySigner) {
    loop {
        world.deposit(payer, RNDR).await;
        world.anvil.mine(2).await;
    }
}

/// Prints how long it took from the start to the first block written, and holds it to the promise;
/// how long the way to the head is after that depends on the chain. What service, chain
/// node and database server spent waiting for a processor that others had is not theirs: on a
/// calm machine that is nothing.
async fn recovered(world: &World, service: &Started, when: Instant, after: &str) {
    let whole = when - service.started;
    let mut waited = service.starved();
    if !world.database.url.starts_with("sqlite:") {
        let sessions = "SELECT CAST(pid AS TEXT) FROM pg_stat_activity \
                        WHERE datname = current_database()";
        let sessions = world.database.texts(sessions.into()).await;
        waited += sessions.iter().map(|pid| starved(pid.parse().unwrap())).sum::<Duration>();
    }
    println!("{after}: back in {whole:?}, at most {waited:?} of it without a processor");
    assert!(whole.saturating_sub(waited) < RECOVERY, "{after}: recovery took {whole:?}");
}

/// Some 500 blocks, none of them final, with a deposit in every twentieth.
async fn long_chain() -> (World, PrivateKeySigner) {
    let world = World::on(Options { slots_in_an_epoch: 100_000, ..Options::default() }).await;
    let payer = world.funded("payer", 1_000 * RNDR).await;
    while world.anvil.head().await.0 < 500 {
        world.deposit(&payer, RNDR).await;
        world.anvil.mine(18).await;
    }
    (world, payer)
}

/// How many syncs the busiest thread did: strace counts each thread's by themselves.
fn syncs_in(trace: &Path) -> usize {
    let text = std::fs::read_to_string(trace).unwrap();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for line in text.lines().filter(|line| line.contains("sync(")) {
        *counts.entry(line.split_whitespace().next().unwrap()).or_default() += 1;
    }
    counts.into_values().max().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_sync_the_cursor_equals_the_rows_and_it_goes_on() {
    // A sync of PostgreSQL is done by its server, which no kill of ours reaches.
    if std::env::var(crate::world::database::POSTGRES).is_ok() {
        return;
    }
    let (world, _) = long_chain().await;
    let beside = Beside::follow(&world).await;
    let trace = world.folder.path().join("syncs");
    let fresh = |name: &str| format!("sqlite:{}", world.folder.path().join(name).display());
    let launch = |url: &str| Launch::on(&world, url);

    let url = fresh("whole.db");
    let mut whole = launch(&url).traced(SYNCS, None, &trace).start("indexer");
    at_head(&world, &url).await;
    assert!(whole.running());
    drop(whole);
    let syncs = syncs_in(&trace);
    assert!(syncs >= 500, "a sync for each block at least: {syncs}");
    let points = counted(20, syncs);
    println!("{syncs} syncs, {points} kill points");
    for point in 0..points {
        let at = 1 + point * (syncs - 1) / (points - 1);
        let url = fresh(&format!("killed-{at}.db"));
        let kill = format!("signal=SIGKILL:when={at}");
        let killed = launch(&url).traced(SYNCS, Some(&kill), &trace).start("indexer");
        // One that is not killed runs for ever, and ends by itself only with an error.
        let (status, said) = killed.ends().await;
        let signal = std::os::unix::process::ExitStatusExt::signal(&status);
        assert!(signal == Some(9) || status.code() == Some(137), "sync {at}: {status} {said}");
        let cursor = beside.holds(&world, &url).await.map_or(0, |tip| tip.number);
        let again = launch(&url).start("indexer");
        let (head, _) = world.anvil.head().await;
        let written = reached(&world, &url, head.min(cursor + 1)).await;
        let after = format!("killed at sync {at}, block {cursor}");
        recovered(&world, &again, written, &after).await;
        at_head(&world, &url).await;
        again.kill();
        let tip = beside.holds(&world, &url).await.unwrap();
        assert_eq!((tip.number, tip.hash), world.anvil.head().await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_random_it_is_back_at_the_head_of_a_living_chain_at_once() {
    let mut random = drawn();
    let world = World::new().await;
    let payer = world.funded("payer", 10_000 * RNDR).await;
    let beside = Beside::follow(&world).await;
    let launch = Launch::on(&world, &world.database.url);
    let mut cursor = 0;
    for kill in 0..counted(20, 200) {
        world.anvil.mine(1).await;
        let service = launch.start("indexer");
        let written = reached(&world, &world.database.url, cursor + 1).await;
        recovered(&world, &service, written, &format!("start {kill}, block {cursor}")).await;
        at_head(&world, &world.database.url).await;
        let moment = Duration::from_millis(random.random_range(0..400));
        tokio::select! {
            () = living(&world, &payer) => {}
            () = tokio::time::sleep(moment) => {}
        }
        service.kill();
        cursor = beside.holds(&world, &world.database.url).await.unwrap().number;
    }
    let last = launch.start("indexer");
    at_head(&world, &world.database.url).await;
    last.kill();
    let store = world.store().await;
    world.audited(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_cuts_or_dies_in_mid_transaction_is_waited_for_and_the_lock_kept() {
    let world = World::new().await;
    if world.database.url.starts_with("sqlite:") {
        return;
    }
    let mut random = drawn();
    let payer = world.funded("payer", 10_000 * RNDR).await;
    let mut server = Cluster::apart(&world.database).await;
    let url = server.url(&world.database);
    let beside = Beside::follow(&world).await;
    let mut service = Launch::on(&world, &url).start("indexer");
    for round in 0..counted(6, 60) {
        at_head(&world, &url).await;
        let moment = Duration::from_millis(random.random_range(0..400));
        tokio::select! {
            () = living(&world, &payer) => {}
            () = tokio::time::sleep(moment) => {}
        }
        if round % 2 == 0 {
            server.crash_and_start(&world.database).await;
        } else {
            server.cut_all(&world.database).await;
        }
        beside.holds(&world, &url).await;
        assert!(service.running());
    }
    at_head(&world, &url).await;
    let said = Launch::on(&world, &url).refused("indexer").await;
    assert!(said.contains("another indexer runs on this database"), "{said}");
    service.kill();
    let store = world.store_at(&url).await;
    world.audited(&store).await;
    store.close().await;
}
