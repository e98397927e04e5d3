//! Random reorgs on anvil, seeded: deep ones, one within another, with the indexer killed between.

use std::time::Duration;

use alloy::primitives::{Bytes, U256};
use alloy::signers::local::PrivateKeySigner;
use contracts::{Amount, LegacyRndr, RenderEscrow};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use store::Store;

use crate::world::anvil::Options;
use crate::world::deals::Deal;
use crate::world::seeds::seeds;
use crate::world::truth::{Finals, no_wrong_row};
use crate::world::{RNDR, Running, World, wallet};

/// Final is what is twice as many blocks below the head: deeper than any reorg here.
const EPOCH: u64 = 150;
const DEEPEST: u64 = 256;
/// Each makes one call, which depends on no other: any may be dropped or moved.
const WALLETS: u64 = 12;
const STEPS: u32 = 14;

struct Schedule {
    world: World,
    store: Store,
    finals: Finals,
    indexer: Option<Running<indexer::Error>>,
    rng: StdRng,
    /// No reorg goes down to this block: the payers' coins and approvals stay.
    floor: u64,
    sent: Vec<Sent>,
    /// Payers without a call on the chain.
    idle: Vec<u64>,
}

/// A signed call, the only one of its payer, and the block that it is in.
struct Sent {
    payer: u64,
    raw: Bytes,
    block: u64,
}

fn payer(number: u64) -> PrivateKeySigner {
    wallet(&format!("payer {number}"))
}

impl Schedule {
    async fn begin(seed: u64) -> Self {
        let world = World::on(Options { slots_in_an_epoch: EPOCH, ..Options::default() }).await;
        for number in 0..WALLETS {
            let one = world.funded(&format!("payer {number}"), 100 * RNDR).await;
            let (spender, value) = (world.escrow, U256::MAX);
            world.send(&one, world.token, LegacyRndr::approveCall { spender, value }).await;
        }
        let mut rng = StdRng::seed_from_u64(seed);
        let (floor, _) = world.anvil.head().await;
        // Some start with all of the past still to be read.
        world.anvil.mine(rng.random_range(1..300)).await;
        let store = world.store().await;
        let indexer = Some(world.indexer(&store));
        let finals = Finals::watch(&store);
        let (sent, idle) = (Vec::new(), (0..WALLETS).collect());
        Self { world, store, finals, indexer, rng, floor, sent, idle }
    }

    /// A deposit, or a job opened with what the wallet holds.
    async fn call(&mut self) {
        let Some(number) = self.idle.pop() else { return };
        let payer = payer(number);
        let raw = if self.rng.random::<bool>() {
            let owner = wallet(&format!("owner {}", self.rng.random_range(0..3))).address();
            let amount = Amount::from_base(self.rng.random_range(1..9 * RNDR)).unwrap().into();
            let call = RenderEscrow::depositForCall { owner, amount };
            self.world.sign(&payer, self.world.escrow, call).await
        } else {
            let deal = Deal::new(&self.world, &payer, number).await;
            self.world.sign(&payer, self.world.escrow, deal.open_call()).await
        };
        let receipt = self.world.send_raw(&raw).await;
        assert!(receipt.status());
        self.sent.push(Sent { payer: number, raw, block: receipt.block_number.unwrap() });
    }

    /// Replaces a number of blocks; what was called in them is kept, moved or dropped.
    async fn reorg(&mut self) {
        let (head, _) = self.world.anvil.head().await;
        let deepest = (head - self.floor).min(DEEPEST);
        // As many shallow ones as deep ones: first how many bits, then which number.
        let bits = self.rng.random_range(0..=deepest.ilog2());
        let depth = self.rng.random_range(1 << bits..=deepest.min((2 << bits) - 1));
        let first = head - depth + 1;
        let (kept, replaced): (Vec<_>, Vec<_>) =
            self.sent.drain(..).partition(|sent| sent.block < first);
        self.sent = kept;
        let mut again = Vec::new();
        for sent in replaced {
            let block = match self.rng.random_range(0..4) {
                0 => {
                    self.idle.push(sent.payer);
                    continue;
                }
                1 => self.rng.random_range(first..=head),
                _ => sent.block,
            };
            again.push((sent.raw.clone(), block - first));
            self.sent.push(Sent { block, ..sent });
        }
        self.world.anvil.reorg(depth, &again).await;
    }

    /// Killed at whatever it is doing, and started again.
    async fn restart(&mut self) {
        if let Some(indexer) = self.indexer.take() {
            indexer.kill().await;
        }
        self.indexer = Some(self.world.indexer(&self.store));
    }

    async fn step(&mut self) {
        match self.rng.random_range(0..10) {
            0 | 1 => self.world.anvil.mine(self.rng.random_range(1..6)).await,
            2..=4 => self.call().await,
            5 => self.reorg().await,
            6 => {
                // One within another: the index is still going back when the next one comes.
                self.reorg().await;
                self.pause(10).await;
                self.reorg().await;
            }
            7 => {
                self.reorg().await;
                self.pause(10).await;
                self.restart().await;
            }
            8 => self.restart().await,
            _ => self.pause(300).await,
        }
    }

    /// Some of the time that the indexer needs: what is met on its way differs from step to step.
    async fn pause(&mut self, most: u64) {
        tokio::time::sleep(Duration::from_millis(self.rng.random_range(0..most))).await;
    }

    async fn end(self) {
        self.world.anvil.mine(1).await;
        let mut indexer = self.indexer.expect("it runs");
        indexer.until(self.world.audited(&self.store)).await;
        no_wrong_row(&self.world, &self.store).await;
        self.finals.none_taken_back(&self.world).await;
        indexer.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fr1_fr2_fr3_after_any_reorgs_the_index_equals_a_fresh_one() {
    for seed in seeds(2, 30) {
        let mut schedule = Schedule::begin(seed).await;
        for _ in 0..STEPS {
            schedule.step().await;
        }
        schedule.end().await;
    }
}
