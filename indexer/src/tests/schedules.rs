//! Random reorg schedules, seeded: whatever the chain does while it is read, the index is right.

use std::collections::BTreeMap;

use alloy::primitives::B256;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use store::{Reader, Reorg, Store, Tag};
use tempfile::TempDir;

use super::escrow::Call;
use super::memory::Memory;
use super::seeds::seeds;
use super::{config, replay, settle, store};
use crate::audit::{self, AuditError};
use crate::chain::Chain;
use crate::{Follower, known};

const DEEPEST: u64 = 256;
const LONGEST_PAST: u64 = 400;
/// Schedules of the checks, and of a full run.
const SCHEDULES: (u64, u64) = (30, 300);

/// What was met in all schedules together.
#[derive(Debug, Default)]
struct Met {
    schedules: u64,
    deepest: u64,
    rewinds: usize,
    /// Reorgs in the middle of a look: of a backfill, of a rewind, or at the head.
    struck: u64,
    restarts: u32,
    /// Followers that had a past to read first.
    backfills: u32,
    events: u64,
}

/// Up to `most`, as often small as large.
fn spread(rng: &mut StdRng, most: u64) -> u64 {
    let bits = rng.random_range(0..=most.ilog2());
    rng.random_range(1 << bits..=most.min((2 << bits) - 1))
}

fn mine(chain: &Memory, rng: &mut StdRng, blocks: u64) {
    for _ in 0..blocks {
        // Half of the blocks are empty.
        let count = rng.random_range(0..8u32).saturating_sub(4);
        let calls =
            (0..count).map(|_| (rng.random(), rng.random(), rng.random_range(1..1_000_000)));
        chain.mine(&calls.collect::<Vec<Call>>());
    }
}

/// A reorg in the middle of what is read next.
fn arm(chain: &Memory, rng: &mut StdRng, questions: u64) {
    let depth = spread(rng, DEEPEST);
    chain.remine_after(questions, depth, StdRng::seed_from_u64(rng.random()));
}

/// One thing that happens to the chain.
fn happen(chain: &Memory, rng: &mut StdRng, what: u32) {
    match what {
        0..=2 => {
            let blocks = rng.random_range(1..5);
            mine(chain, rng, blocks);
        }
        3 => chain.remine(spread(rng, DEEPEST), rng),
        4..=6 => {
            let questions = spread(rng, 64);
            arm(chain, rng, questions);
        }
        7 => {
            // A second reorg while the first one is gone back over.
            chain.remine(spread(rng, DEEPEST), rng);
            let questions = rng.random_range(4..12);
            arm(chain, rng, questions);
        }
        8 if rng.random() => chain.finalize(spread(rng, DEEPEST)),
        _ => chain.hide(rng.random_range(0..5)),
    }
}

/// Blocks that were called final, with their hashes.
type Finals = BTreeMap<u64, B256>;

async fn note_final(reader: &Reader, finals: &mut Finals) {
    let heads = reader.heads().await.unwrap();
    if let Some(head) = heads.iter().find(|head| head.tag == Tag::Finalized) {
        finals.entry(head.block).or_insert(head.hash);
    }
}

async fn play(seed: u64, met: &mut Met) {
    let folder = TempDir::new().unwrap();
    let rng = &mut StdRng::seed_from_u64(seed);
    let chain = Memory::new();
    let past = spread(rng, LONGEST_PAST);
    mine(&chain, rng, past);
    if rng.random::<bool>() {
        chain.finalize(spread(rng, LONGEST_PAST));
    }
    if rng.random::<bool>() {
        chain.limit_ranges(spread(rng, 40));
    }
    let live = store(&folder, "live.db").await;
    let mut follower = Follower::start(&chain, &config(), &live).await.unwrap();
    // How much it knows between steps: next to nothing, or all.
    let most_bytes = [3_000, known::MOST_BYTES][rng.random_range(0..2)];
    follower.most_bytes = most_bytes;
    met.backfills += u32::from(past > 32);
    let mut finals = Finals::new();
    for _ in 0..rng.random_range(8..30) {
        match rng.random_range(0..16) {
            what @ 0..=9 => happen(&chain, rng, what),
            10 => {
                follower = Follower::start(&chain, &config(), &live).await.unwrap();
                follower.most_bytes = most_bytes;
                met.restarts += 1;
            }
            _ => {
                // A few looks, or so many that it is at the head for a moment.
                let looks = [1, 2, 5, 40][rng.random_range(0..4)];
                for _ in 0..looks {
                    if let Err(error) = follower.look().await {
                        assert!(error.is_transient(), "{error}");
                    }
                    note_final(&live.reader(), &mut finals).await;
                }
            }
        }
    }
    // The chain grows beyond what was ever stored, and stays.
    chain.disarm();
    chain.hide(0);
    let stored = live.reader().tip().await.unwrap().map_or(0, |tip| tip.number);
    let missing = (stored + 1).saturating_sub(chain.head());
    mine(&chain, rng, missing.max(1));
    settle(&mut follower).await.unwrap();
    // The audit waits after each refusal, which would only cost time here.
    chain.limit_ranges(u64::MAX);
    met.struck += chain.struck();
    compare(&chain, &folder, &live, &finals, met).await;
    live.close().await;
}

/// The index is at the head, equals a replay, and nothing final was taken back.
async fn compare(chain: &Memory, folder: &TempDir, live: &Store, finals: &Finals, met: &mut Met) {
    let reader = live.reader();
    assert_eq!(reader.tip().await.unwrap().unwrap().number, chain.head());
    let report = replay(chain, folder, live).await;
    assert!(report.is_clean(), "{}", report.first().unwrap());
    assert_eq!(report.stored_digest, Some(report.digest));
    for (number, hash) in finals {
        let there = chain.header(*number).await.unwrap().unwrap();
        assert_eq!(there.hash, *hash, "block {number} was called final");
        let stored = reader.block(*number).await.unwrap();
        assert!(stored.is_none_or(|stored| stored.hash == *hash), "block {number} was final");
    }
    let reorgs = reader.reorgs(1_000).await.unwrap();
    let depth = |reorg: &Reorg| reorg.old_block.saturating_sub(reorg.fork_block);
    met.rewinds += reorgs.len();
    met.deepest = reorgs.iter().map(depth).fold(met.deepest, u64::max);
    met.events += report.events;
    met.schedules += 1;
}

#[tokio::test]
async fn an_index_after_any_reorgs_equals_a_fresh_replay() {
    let mut met = Met::default();
    for seed in seeds(SCHEDULES.0, SCHEDULES.1) {
        play(seed, &mut met).await;
    }
    println!("{met:?}");
    // One schedule alone, played again, need not meet everything.
    if met.schedules >= SCHEDULES.0 {
        assert!(met.deepest > 128 && met.rewinds > 30 && met.struck > 20, "{met:?}");
        assert!(met.restarts > 10 && met.backfills > 10 && met.events > 1_000, "{met:?}");
    }
}

/// The index did nothing wrong: the chain left it while it was compared.
#[tokio::test]
async fn a_reorg_in_the_middle_of_an_audit_is_no_finding() {
    let folder = TempDir::new().unwrap();
    let rng = &mut StdRng::seed_from_u64(1);
    let chain = Memory::new();
    mine(&chain, rng, 40);
    // Every branch will be long enough to reach the audited block.
    chain.hide(4);
    let live = store(&folder, "live.db").await;
    let mut follower = Follower::start(&chain, &config(), &live).await.unwrap();
    settle(&mut follower).await.unwrap();
    chain.hide(0);
    chain.remine_after(8, 20, StdRng::seed_from_u64(2));
    let (fresh, tip) = (store(&folder, "during.db").await, audit::Until::Tip);
    let compared = audit::replay_on(&chain, &config(), &fresh, Some(&live), tip).await;
    let error = compared.unwrap_err();
    assert!(matches!(error, AuditError::Moved { .. }), "{error}");
    assert_eq!(chain.struck(), 1);
    // An index that was left behind before the audit is a finding.
    let report = replay(&chain, &folder, &live).await;
    assert!(!report.is_clean());
}
