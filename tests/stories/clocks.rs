//! A machine's clock that jumps by a day, both ways, while services run: dates follow the blocks.

use std::path::Path;

use reqwest::Method;
use serde_json::Value;

use crate::world::beside::Beside;
use crate::world::deals::Deal;
use crate::world::process::Launch;
use crate::world::{RNDR, World, eventually, free_port};

/// Debian's libfaketime, wherever its machine's kind puts it.
fn faketime() -> String {
    let rooms = std::fs::read_dir("/usr/lib").unwrap().flatten().map(|room| room.path());
    let libraries = rooms.map(|room| room.join("faketime/libfaketimeMT.so.1"));
    let found = libraries.into_iter().find(|library| library.exists());
    found.expect("faketime is installed: run `cargo xtask setup --test`").display().to_string()
}

/// Everything that is started has this clock, which can be moved while it runs.
fn with_clock(launch: Launch, file: &Path) -> Launch {
    std::fs::write(file, "+0\n").unwrap();
    let launch = launch.variable("LD_PRELOAD", faketime());
    let launch = launch.variable("FAKETIME_TIMESTAMP_FILE", file.display());
    // Waits are of the monotonic clock, which no operator moves.
    launch.variable("FAKETIME_DONT_FAKE_MONOTONIC", 1).variable("FAKETIME_NO_CACHE", 1)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_by_a_day_changes_no_row_and_no_state_of_a_job() {
    let world = World::new().await;
    let payer = world.funded("payer", 100 * RNDR).await;
    let beside = Beside::follow(&world).await;
    world.deposit(&payer, 60 * RNDR).await;
    let deal = Deal::new(&world, &payer, 1).await;
    deal.open(&world).await;
    let work = deal.work(&[0, 1, 2], 1, true);
    deal.commit(&world, std::slice::from_ref(&work), false).await;

    let (store, file) = (world.store().await, world.folder.path().join("clock"));
    let launch = with_clock(Launch::on(&world, &world.database.url), &file);
    let port = free_port();
    let url = format!("http://127.0.0.1:{port}/v1/jobs/{}", deal.job_id);
    let mut services = ["indexer", "api"]
        .map(|role| launch.clone().with("API__LISTEN", format!("127.0.0.1:{port}")).start(role));
    world.caught_up(&store).await;
    let job = || async {
        let asked = reqwest::Client::new().request(Method::GET, &url).send().await.ok()?;
        let mut answer: Value = asked.json().await.ok()?;
        answer.as_object_mut()?.remove("as_of")?;
        Some(answer)
    };
    let before = eventually("the job by the api", job).await;
    for clock in ["+1d\n", "-1d\n", "+0\n"] {
        std::fs::write(&file, clock).unwrap();
        world.deposit(&payer, RNDR).await;
        world.anvil.mine(2).await;
        world.caught_up(&store).await;
        assert_eq!(eventually("the job by the api", job).await, before, "clock {clock}");
    }
    // The clock did move: the index says when it saw the chain's heads.
    std::fs::write(&file, "+1d\n").unwrap();
    let later = store.reader().heads().await.unwrap()[0].seen_at + 80_000;
    let moved = || async {
        world.anvil.mine(1).await;
        let heads = store.reader().heads().await.unwrap();
        heads.iter().any(|head| head.seen_at > later).then_some(())
    };
    eventually("a head seen a day later", moved).await;
    assert!(services.iter_mut().all(|service| service.running()));
    world.caught_up(&store).await;
    services.into_iter().for_each(|service| service.kill());
    beside.holds(&world, &world.database.url).await;
    world.audited(&store).await;
}
