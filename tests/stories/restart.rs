//! Services stopped, or killed at random moments of a job, go on; nothing is paid twice.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use contracts::Amount;
use store::LeaseState;

use crate::world::studio::{Painter, Studio};
use crate::world::troupe::Troupe;
use crate::world::{RNDR, Running, World};

const FRAMES: u32 = 8;
/// Longer than a restart, so that a lease outlives it: then nothing rendered is lost. Not much
/// longer: the story waits for a lease that was stored and never told.
const LEASE_SECONDS: u64 = 8;

/// The seed of a run that failed, given again, repeats its moments.
fn seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let given = std::env::var("RNDR_STORY_SEED").ok();
    given.map_or(now.as_secs(), |text| text.parse().expect("RNDR_STORY_SEED is a number"))
}

/// The version of the renderer that a node will find.
fn installed_povray() -> &'static str {
    let output = std::process::Command::new("povray").arg("--version").output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    let version = said.split_whitespace().find(|word| word.starts_with("3.")).unwrap().to_owned();
    version.trim_end_matches(|c: char| !c.is_ascii_digit()).to_owned().leak()
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_three_times_at_random_a_job_still_ends_and_each_unit_is_paid_once() {
    let seed = seed();
    println!("moments drawn from RNDR_STORY_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut studio = Studio::without_services().await;
    studio.engine_version = installed_povray();
    let mut troupe = Troupe::start(&studio, LEASE_SECONDS);
    let job_id = studio.submit(&studio.payer, FRAMES, 2, seed).await;
    let story = async {
        let drafts = studio.accepted(job_id, FRAMES).await;
        studio.approve(&drafts).await;
        studio.paid_once(job_id, FRAMES).await;
    };
    let kills = async {
        for _ in 0..3 {
            let moment = Duration::from_millis(random.random_range(200..2_500));
            tokio::time::sleep(moment).await;
            println!("killed after another {moment:?}");
            troupe.kill_all();
            troupe.start_all();
        }
    };
    tokio::join!(story, kills);
    studio.outbox_done().await;
    let reader = studio.store.reader();
    // A node that comes back goes on with its lease. Only one whose offer never reached it, as
    // the settler died between storing and telling, is left to expire, at most one for a kill.
    let attempts = reader.attempts_of_job(job_id).await.unwrap();
    let lost = attempts.iter().filter(|attempt| attempt.lease_state != LeaseState::Accepted);
    let lost: BTreeSet<_> = lost.map(|attempt| &attempt.lease_id).collect();
    assert!(lost.len() <= 3, "leases were lost that nodes held: {attempts:?}");
    assert_eq!(reader.receipts_of_job(job_id).await.unwrap().len(), FRAMES as usize);
    let report = studio.world.audit(&studio.store).await;
    assert!(report.is_clean(), "{:?}", report.first());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_settler_or_indexer_on_one_database_is_refused_and_the_first_goes_on() {
    let studio = Studio::open().await;
    let settler = studio.settler();
    // The same database by another handle, as another process has it.
    let other = studio.world.store().await;
    let job_id = studio.submit(&studio.payer, 2, 2, 1).await;
    studio.opened(job_id).await;
    let config =
        settler::Config { door_listen: ([127, 0, 0, 1], 0).into(), ..studio.settler_config() };
    let (second, indexer) = (
        Running::start(|stop| settler::run(config, other.clone(), stop)),
        studio.world.indexer(&other),
    );
    let (second, indexer) = tokio::join!(second.fails(), indexer.fails());
    for refusal in [second.to_string(), indexer.to_string()] {
        assert!(refusal.contains("runs on this database; stop it first"), "{refusal}");
    }
    let node = studio.node("painter", Painter::default());
    let drafts = studio.accepted(job_id, 2).await;
    studio.approve(&drafts).await;
    studio.paid_once(job_id, 2).await;
    node.stop().await;
    settler.stop().await;
    // Free again at once.
    studio.settler_as(studio.settler_config()).stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_indexer_goes_on_from_its_cursor() {
    let world = World::new().await;
    let store = world.store().await;
    let payer = world.funded("payer", 100 * RNDR).await;
    for round in 1..=3 {
        let indexer = world.indexer(&store);
        world.deposit(&payer, RNDR).await;
        world.caught_up(&store).await;
        indexer.stop().await;
        // Mined while nobody looks.
        world.deposit(&payer, RNDR).await;
        let account = store.reader().account(payer.address()).await.unwrap().unwrap();
        assert_eq!(account.free, Amount::from_base((2 * round - 1) * RNDR).unwrap());
    }
    let indexer = world.indexer(&store);
    world.caught_up(&store).await;
    let report = world.audit(&store).await;
    assert!(report.is_clean(), "{}", report.first().unwrap());
    assert_eq!(report.liabilities, Amount::from_base(6 * RNDR).unwrap());
    indexer.stop().await;
}
