//! Every process killed at random moments of a job and started again: nothing is paid twice.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::world::studio::Studio;
use crate::world::troupe::Troupe;

const FRAMES: u32 = 8;
/// Longer than a restart, so that a lease outlives it: then nothing rendered is lost.
const LEASE_SECONDS: u64 = 30;

/// The seed of a run that failed, given again, repeats its moments.
fn seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let given = std::env::var("RNDR_STORY_SEED").ok();
    given.map_or(now.as_secs(), |text| text.parse().expect("RNDR_STORY_SEED is a number"))
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_three_times_at_random_a_job_still_ends_and_each_unit_is_paid_once() {
    let seed = seed();
    println!("moments drawn from RNDR_STORY_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut studio = Studio::without_services().await;
    studio.engine_version = "3.7.0.10";
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
    let attempts = reader.attempts_of_job(job_id).await.unwrap();
    let numbers: Vec<(u32, u32)> = attempts.iter().map(|a| (a.unit, a.attempt)).collect();
    let once: Vec<(u32, u32)> = (0..FRAMES).map(|unit| (unit, 1)).collect();
    assert_eq!(numbers, once, "a lease was lost, though it outlived every restart");
    assert_eq!(reader.receipts_of_job(job_id).await.unwrap().len(), FRAMES as usize);
    let report = studio.world.audit(&studio.store).await;
    assert!(report.is_clean(), "{:?}", report.first());
}
