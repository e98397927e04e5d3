//! A backup of an hour ago put in the place of the database: it catches up, or stops with an alarm.

use std::process::Command;

use crate::world::anvil::Options;
use crate::world::beside::Beside;
use crate::world::database::Database;
use crate::world::process::Launch;
use crate::world::{RNDR, World};

/// As the README says it: with the database's own tools, while the services run.
async fn back_up(world: &World, name: &str) -> Database {
    let copy = Database::fresh(world.folder.path()).await;
    let url = &world.database.url;
    if let Some(path) = copy.url.strip_prefix("sqlite:") {
        world.database.tamper(format!("VACUUM INTO '{path}'")).await;
        return copy;
    }
    let file = world.folder.path().join(name).display().to_string();
    let tools = world.database.texts("SELECT setting FROM pg_config WHERE name = 'BINDIR'".into());
    let tools = tools.await.pop().unwrap();
    for words in [
        ["pg_dump", "--format=custom", "--file", &file, url],
        ["pg_restore", "--no-owner", "--dbname", &copy.url, &file],
    ] {
        let output = Command::new(format!("{tools}/{}", words[0])).args(&words[1..]).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    copy
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_backup_catches_up_over_reorgs_and_equals_a_fresh_index() {
    let world = World::new().await;
    let payer = world.funded("payer", 100 * RNDR).await;
    let store = world.store().await;
    let running = Launch::on(&world, &world.database.url).start("indexer");
    for _ in 0..5 {
        world.deposit(&payer, RNDR).await;
    }
    world.caught_up(&store).await;
    let backup = back_up(&world, "backup").await;
    // An hour goes by; the newest blocks of the backup are replaced among others.
    world.anvil.reorg(6, &[]).await;
    for _ in 0..5 {
        world.anvil.pass(720).await;
        world.deposit(&payer, RNDR / 2).await;
    }
    world.anvil.mine(100).await;
    world.caught_up(&store).await;
    running.kill();

    let restored = Launch::on(&world, &backup.url).start("indexer");
    let store = world.store_at(&backup.url).await;
    world.audited(&store).await;
    restored.kill();
    Beside::follow(&world).await.holds(&world, &backup.url).await.unwrap();
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_with_a_final_block_that_the_chain_replaced_stops_and_is_left_as_it_was() {
    // Finalized is the head but two.
    let world = World::on(Options { slots_in_an_epoch: 1, ..Options::default() }).await;
    let payer = world.funded("payer", 100 * RNDR).await;
    let store = world.store().await;
    let running = Launch::on(&world, &world.database.url).start("indexer");
    for _ in 0..5 {
        world.deposit(&payer, RNDR).await;
    }
    world.caught_up(&store).await;
    running.kill();
    let backup = back_up(&world, "backup").await;
    world.anvil.reorg(8, &[]).await;
    world.anvil.mine(20).await;
    let copy = world.store_at(&backup.url).await;
    let rows = || async { format!("{:?}", copy.reader().rows_between(0, 1_000).await.unwrap()) };
    let before = (rows().await, copy.reader().heads().await.unwrap());
    let said = Launch::on(&world, &backup.url).refused("indexer").await;
    assert!(said.contains("the chain replaced block"), "{said}");
    assert!(said.contains("which is final"), "{said}");
    assert!(said.contains("Compare the node with another one"), "{said}");
    assert_eq!(before, (rows().await, copy.reader().heads().await.unwrap()));
    copy.close().await;
}
