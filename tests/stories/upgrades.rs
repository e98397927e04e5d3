//! Databases of older and newer releases, upgrades that are killed, and files that are no database.

use std::path::Path;

use sqlx::{Connection, Executor, PgConnection};

use crate::world::database::Database;
use crate::world::disk::SmallDisk;
use crate::world::process::{Launch, Started};
use crate::world::{World, counted, eventually};

const CALLS: &str = "pwrite64,fsync,fdatasync";

/// An API on any free port: it opens the database, brings it up to date, and writes nothing else.
fn api(world: &World, url: &str) -> Launch {
    Launch::on(world, url).with("API__LISTEN", "127.0.0.1:0")
}

async fn up(launch: &Launch) -> Started {
    let mut service = launch.start("api");
    service.says("api listens").await;
    service
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_that_is_killed_leaves_the_old_schema_or_the_new_one() {
    let world = World::new().await;
    let old = Database::old(world.folder.path()).await;
    let before = old.described().await;
    if old.url.starts_with("sqlite:") {
        killed_at_writes(&world, &before).await;
    } else {
        killed_in_mid_migration(&world, &old, &before).await;
    }
}

/// SQLite: at every write and sync of the upgrade.
async fn killed_at_writes(world: &World, before: &str) {
    let trace = world.folder.path().join("calls");
    let whole = Database::old(world.folder.path()).await;
    let traced = up(&api(world, &whole.url).traced(CALLS, None, &trace)).await;
    let calls = std::fs::read_to_string(&trace).unwrap();
    let calls = calls.lines().filter(|line| line.contains('=')).count();
    drop(traced);
    let after = whole.described().await;
    assert!(after != before && calls > 20, "{calls}");
    let points = counted(12, calls);
    println!("{calls} writes and syncs, {points} kill points");
    let (mut old, mut new) = (0, 0);
    for point in 0..points {
        let at = 1 + point * (calls - 1) / (points - 1);
        let database = Database::old(world.folder.path()).await;
        let kill = format!("signal=SIGKILL:when={at}");
        let mut killed = api(world, &database.url).traced(CALLS, Some(&kill), &trace).start("api");
        // Near its end a few of them are other threads' own; then it lives on.
        let over = || {
            let over = !killed.running() || killed.said().contains("api listens");
            std::future::ready(over.then_some(()))
        };
        eventually("the end of an upgrade", over).await;
        drop(killed);
        let found = database.described().await;
        assert!(found == before || found == after, "killed at {at}: {found}");
        if found == before {
            old += 1
        } else {
            new += 1
        }
        drop(up(&api(world, &database.url)).await);
        assert_eq!(database.described().await, after, "after the next start");
    }
    println!("{old} old, {new} new");
    assert!(old > points / 2, "most of the writes come before the last sync");
}

/// PostgreSQL: while it waits in the middle of its transaction, with half of the new schema made.
async fn killed_in_mid_migration(world: &World, old: &Database, before: &str) {
    let mut other = PgConnection::connect(&old.url).await.unwrap();
    other.execute("BEGIN; LOCK TABLE migrations IN EXCLUSIVE MODE").await.unwrap();
    let waiting = "SELECT CAST(pid AS TEXT) FROM pg_stat_activity WHERE wait_event_type = 'Lock' \
                   AND datname = current_database() AND query LIKE 'INSERT INTO migrations%'";
    let waits = || async { old.texts(waiting.into()).await.pop() };
    let gone = || async { old.texts(waiting.into()).await.is_empty().then_some(()) };
    let killed = api(world, &old.url).start("api");
    eventually("a migration half way", waits).await;
    killed.kill();
    // The server notices a dead client at its next word; an operator need not wait for that.
    let end = format!(
        "SELECT pg_terminate_backend(pid)::TEXT FROM pg_stat_activity \
                       WHERE CAST(pid AS TEXT) IN ({waiting})"
    );
    old.texts(end.clone()).await;
    eventually("the end of the killed one's session", gone).await;
    assert_eq!(old.described().await, before);

    let cut = api(world, &old.url).start("api");
    eventually("a migration half way", waits).await;
    old.texts(end).await;
    let (status, said) = cut.ends().await;
    assert_eq!(status.code(), Some(6), "{said}");
    assert!(said.contains("the store does not open"), "{said}");
    assert_eq!(old.described().await, before);

    other.execute("ROLLBACK").await.unwrap();
    drop(up(&api(world, &old.url)).await);
    assert!(old.described().await != before);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_processes_on_an_old_schema_one_upgrades_and_all_serve() {
    let world = World::new().await;
    let old = Database::old(world.folder.path()).await;
    let launch = api(&world, &old.url);
    let mut services: Vec<Started> = (0..4).map(|_| launch.start("api")).collect();
    for service in &mut services {
        service.says("api listens").await;
    }
    let migrated = |service: &Started| service.said().contains("migrated the database");
    assert_eq!(services.iter().filter(|service| migrated(service)).count(), 1);
    assert!(old.described().await.contains(&format!("7{:029}{:029}", 5, 5)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_a_newer_release_is_refused_and_left_as_it_is() {
    let world = World::new().await;
    drop(up(&api(&world, &world.database.url)).await);
    let zeros = "00".repeat(32);
    let hash = match world.database.url.starts_with("sqlite:") {
        true => format!("x'{zeros}'"),
        false => format!("'\\x{zeros}'"),
    };
    let newer = format!("INSERT INTO migrations (version, hash) VALUES (999, {hash})");
    world.database.tamper(newer).await;
    let before = world.database.described().await;
    for role in ["indexer", "api"] {
        let said = Launch::on(&world, &world.database.url).refused(role).await;
        assert!(said.contains("was made by a newer release: it has migration 999"), "{said}");
        assert!(said.contains("run that release or a later one"), "{said}");
    }
    assert_eq!(world.database.described().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_no_sound_database_are_refused_and_nothing_is_written_to_them() {
    let world = World::new().await;
    let good = Database::file(&world.folder.path().join("good.db"));
    let store = world.store_at(&good.url).await;
    let indexer = Launch::on(&world, &good.url).start("indexer");
    world.caught_up(&store).await;
    indexer.signal("-TERM");
    assert!(indexer.ends().await.0.success());
    store.close().await;
    let page = "SELECT CAST(rootpage AS TEXT) FROM sqlite_schema WHERE name = 'migrations'";
    let page: usize = good.texts(page.into()).await[0].parse().unwrap();
    let sound = std::fs::read(world.folder.path().join("good.db")).unwrap();
    let flipped = |at: usize| {
        let mut bytes = sound.clone();
        bytes[at] ^= 0xff;
        bytes
    };
    let no_database = "is no database of SQLite, nothing was written to it; check the path";
    let damaged = "restore a backup or index again into a fresh database";
    let cases = [
        ("words", b"This is a letter, not a database.".repeat(50), no_database),
        ("magic", flipped(0), no_database),
        ("page size", flipped(17), no_database),
        ("first page", flipped(100), damaged),
        ("journal's page", flipped((page - 1) * 4_096), damaged),
        ("half", sound[..sound.len() / 2].to_vec(), damaged),
    ];
    for (name, bytes, words) in cases {
        let path = world.folder.path().join(format!("{}.db", name.replace([' ', '\''], "-")));
        std::fs::write(&path, &bytes).unwrap();
        let said =
            Launch::on(&world, &format!("sqlite:{}", path.display())).refused("indexer").await;
        assert!(said.contains(words), "{name}: {said}");
        assert!(std::fs::read(&path).unwrap() == bytes, "{name} was written to");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_cannot_be_written_is_refused_with_what_to_check() {
    let world = World::new().await;
    let place = world.folder.path().join("locked");
    let disk = SmallDisk::mount(&place, "8m");
    let url = format!("sqlite:{}", place.join("there.db").display());
    let store = world.store_at(&url).await;
    store.close().await;
    close_to_writes(&place, disk.as_ref(), true);
    let files = || std::fs::read_dir(&place).unwrap().count();
    let before = files();
    for name in ["new.db", "there.db"] {
        let url = format!("sqlite:{}", place.join(name).display());
        let said = Launch::on(&world, &url).refused("indexer").await;
        assert!(
            said.contains("check that it runs, its rights and its disk")
                || said.contains("give its user the right"),
            "{name}: {said}"
        );
    }
    assert_eq!(files(), before);
    close_to_writes(&place, disk.as_ref(), false);
}

/// Root writes wherever it likes but on a file system that is read-only.
fn close_to_writes(place: &Path, disk: Option<&SmallDisk>, close: bool) {
    match disk {
        Some(disk) => disk.remount(if close { "ro" } else { "rw" }),
        None => {
            use std::os::unix::fs::PermissionsExt;
            let mode = if close { 0o555 } else { 0o755 };
            std::fs::set_permissions(place, std::fs::Permissions::from_mode(mode)).unwrap();
        }
    }
}
