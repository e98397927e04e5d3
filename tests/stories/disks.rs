//! Disks that are full or fail, and databases that others lock: no half block, none skipped.

use std::process::Command;

use sqlx::{Connection, Executor, PgConnection, SqliteConnection};

use crate::world::beside::Beside;
use crate::world::disk::SmallDisk;
use crate::world::process::Launch;
use crate::world::{RNDR, World, eventually};

const FULL: &str = "the disk of the database is full";

fn in_folder(world: &World, name: &str) -> String {
    format!("sqlite:{}", world.folder.path().join(name).display())
}

/// Disks are the server's own matter on PostgreSQL: it answers, and the answers are the same.
fn on_postgres() -> bool {
    std::env::var(crate::world::database::POSTGRES).is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_waited_for_with_a_clear_word_and_no_block_is_half() {
    if on_postgres() {
        return;
    }
    let world = World::new().await;
    let payer = world.funded("payer", 100_000 * RNDR).await;
    let beside = Beside::follow(&world).await;
    let (url, trace) = (in_folder(&world, "full.db"), world.folder.path().join("writes"));
    // Its tables are there; then every write is refused for a while, wherever it falls.
    let store = world.store_at(&url).await;
    for first in [20, 23, 31] {
        let refused = format!("error=ENOSPC:when={first}..{}", first + 2);
        let launch = Launch::on(&world, &url).traced("pwrite64", Some(&refused), &trace);
        let mut service = launch.start("indexer");
        let told = async { service.says(FULL).await };
        let mining = async {
            loop {
                world.deposit(&payer, RNDR / 10).await;
                beside.holds(&world, &url).await;
            }
        };
        tokio::select! {
            () = told => {}
            () = mining => unreachable!("it mines without end"),
        }
        world.deposit(&payer, RNDR / 10).await;
        // Room again: it goes on by itself.
        world.caught_up(&store).await;
        assert!(service.running());
        service.kill();
        assert_eq!(beside.holds(&world, &url).await.unwrap().number, world.anvil.head().await.0);
    }
    world.audited(&store).await;
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_disk_that_is_really_full_it_waits_and_goes_on_once_there_is_room() {
    if on_postgres() {
        return;
    }
    let world = World::new().await;
    let payer = world.funded("payer", 100_000 * RNDR).await;
    let beside = Beside::follow(&world).await;
    let place = world.folder.path().join("disk");
    let Some(_disk) = SmallDisk::mount(&place, "4m") else { return };
    let url = in_folder(&world, "disk/small.db");
    let mut service = Launch::on(&world, &url).start("indexer");
    let store = world.store_at(&url).await;
    world.caught_up(&store).await;
    let filler = place.join("filler");
    let fill = format!("head -c 4M /dev/zero > {} 2>/dev/null || true", filler.display());
    assert!(Command::new("sh").args(["-c", &fill]).status().unwrap().success());
    let told = async { service.says(FULL).await };
    let mining = async {
        loop {
            world.deposit(&payer, RNDR / 10).await;
        }
    };
    tokio::select! {
        () = told => {}
        () = mining => unreachable!("it mines without end"),
    }
    beside.holds(&world, &url).await.expect("what was there is there");
    std::fs::remove_file(&filler).unwrap();
    world.caught_up(&store).await;
    assert!(service.running());
    service.kill();
    beside.holds(&world, &url).await;
    world.audited(&store).await;
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_fails_ends_the_indexer_and_the_next_start_goes_on() {
    if on_postgres() {
        return;
    }
    let world = World::new().await;
    let payer = world.funded("payer", 100_000 * RNDR).await;
    let beside = Beside::follow(&world).await;
    let (url, trace) = (in_folder(&world, "sick.db"), world.folder.path().join("syncs"));
    let store = world.store_at(&url).await;
    let mining = async {
        loop {
            world.deposit(&payer, RNDR / 10).await;
            world.anvil.mine(1).await;
        }
    };
    let story = async {
        // SQLite commits by a sync of its log; one of a folder may fail without harm.
        let log = world.folder.path().join("sick.db-wal");
        for sync in [1, 2, 3, 5, 9] {
            let fails = format!("error=EIO:when={sync}");
            let launch = Launch::on(&world, &url);
            let sick = launch.clone().traced("fsync,fdatasync", Some(&fails), &trace);
            let sick = sick.on_file(&log);
            let said = sick.refused("indexer").await;
            assert!(said.contains("the disk of the database fails"), "{said}");
            assert!(said.contains("move the database to a sound disk"), "{said}");
            let stopped = beside.holds(&world, &url).await.map_or(0, |tip| tip.number);
            let well = launch.start("indexer");
            let reader = store.reader();
            let further =
                || async { (reader.tip().await.unwrap()?.number > stopped).then_some(()) };
            eventually("blocks after the failure", further).await;
            well.kill();
        }
    };
    tokio::select! {
        () = story => {}
        () = mining => unreachable!("it mines without end"),
    }
    let last = Launch::on(&world, &url).start("indexer");
    world.audited(&store).await;
    last.kill();
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_locked_by_another_writer_is_waited_for_and_no_block_is_skipped() {
    let world = World::new().await;
    let payer = world.funded("payer", 100_000 * RNDR).await;
    let beside = Beside::follow(&world).await;
    let (store, url) = (world.store().await, world.database.url.clone());
    let mut service = Launch::on(&world, &url).start("indexer");
    world.caught_up(&store).await;
    let before = store.reader().tip().await.unwrap();
    if url.starts_with("sqlite:") {
        let mut other = SqliteConnection::connect(&url).await.unwrap();
        other.execute("BEGIN IMMEDIATE").await.unwrap();
        world.deposit(&payer, RNDR).await;
        world.anvil.mine(3).await;
        // Longer than a statement waits for the lock: that is no reason to end.
        service.says("database is locked").await;
        assert_eq!(store.reader().tip().await.unwrap(), before);
        other.execute("ROLLBACK").await.unwrap();
    } else {
        let mut other = PgConnection::connect(&url).await.unwrap();
        other.execute("BEGIN; LOCK TABLE blocks IN EXCLUSIVE MODE").await.unwrap();
        world.deposit(&payer, RNDR).await;
        world.anvil.mine(3).await;
        let waits = "SELECT query FROM pg_stat_activity WHERE datname = current_database() \
                     AND wait_event_type = 'Lock'";
        let waiting = || async { world.database.texts(waits.into()).await.pop() };
        eventually("a writer that waits for the lock", waiting).await;
        assert_eq!(store.reader().tip().await.unwrap(), before);
        other.execute("ROLLBACK").await.unwrap();
    }
    world.caught_up(&store).await;
    assert!(service.running());
    service.kill();
    beside.holds(&world, &url).await;
    world.audited(&store).await;
}
