//! One indexer a database: a second one is refused, and one that was overtaken never writes again.

use crate::world::beside::Beside;
use crate::world::process::Launch;
use crate::world::{RNDR, World, eventually};

/// The advisory lock by which a running indexer holds its database on PostgreSQL.
const LOCK: &str = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted \
     AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
     AND (classid::BIGINT << 32) + objid::BIGINT = x'726e64720011'::BIGINT";

/// What an operator does who takes a silent indexer for dead, or a network that cuts a connection.
async fn lose_lock(world: &World) {
    if let Some(path) = world.database.url.strip_prefix("sqlite:") {
        std::fs::remove_file(format!("{path}.indexer.lock")).unwrap();
        return;
    }
    let cut = format!("SELECT pg_terminate_backend(pid)::TEXT FROM ({LOCK}) AS held");
    assert_eq!(world.database.texts(cut).await, ["true"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_indexer_that_was_overtaken_writes_nothing_when_it_wakes() {
    let world = World::new().await;
    let payer = world.funded("payer", 100 * RNDR).await;
    let beside = Beside::follow(&world).await;
    let store = world.store().await;
    let launch = Launch::on(&world, &world.database.url);
    let mut first = launch.start("indexer");
    world.deposit(&payer, RNDR).await;
    world.caught_up(&store).await;

    let said = launch.refused("indexer").await;
    assert!(said.contains("another indexer runs on this database; stop it first"), "{said}");
    assert!(first.running());

    first.signal("-STOP");
    lose_lock(&world).await;
    let second = launch.start("indexer");
    world.deposit(&payer, RNDR).await;
    world.caught_up(&store).await;
    // Whatever it does on waking, it does it beside a living second one and new blocks.
    first.signal("-CONT");
    let mining = async {
        loop {
            world.deposit(&payer, RNDR / 100).await;
        }
    };
    let (status, said) = tokio::select! {
        ended = first.ends() => ended,
        () = mining => unreachable!("it mines without end"),
    };
    assert_eq!(status.code(), Some(1), "{said}");
    let overtaken = ["another indexer has taken this database over", "another indexer runs on"];
    assert!(overtaken.iter().any(|words| said.contains(words)), "{said}");

    world.caught_up(&store).await;
    second.kill();
    beside.holds(&world, &world.database.url).await;
    world.audited(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_was_lost_is_taken_again_before_anyone_else_comes() {
    let world = World::new().await;
    if world.database.url.starts_with("sqlite:") {
        return; // The lock of a file ends with its process alone.
    }
    let store = world.store().await;
    let mut first = Launch::on(&world, &world.database.url).start("indexer");
    world.caught_up(&store).await;
    lose_lock(&world).await;
    let held = || async { world.database.texts(LOCK.replace("pid", "pid::TEXT")).await.pop() };
    eventually("the lock taken again", held).await;
    let said = Launch::on(&world, &world.database.url).refused("indexer").await;
    assert!(said.contains("another indexer runs on this database"), "{said}");
    world.anvil.mine(2).await;
    world.caught_up(&store).await;
    assert!(first.running());
    first.kill();
}
