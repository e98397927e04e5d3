//! A chain in memory, for tests: it mines random calls, forks at will, lags and refuses ranges.

use std::sync::{Mutex, MutexGuard};

use alloy::primitives::{Address, B256, Bloom, Bytes, Log, U256, keccak256};
use rand::Rng;
use rand::rngs::StdRng;
use store::{Tag, Verified};

use super::escrow::{CHAIN_ID, Call, ESCROW, Escrow, TOKEN};
use super::registry::{REGISTRY, Registry};
use crate::chain::{BlockLogs, Chain, ChainError, ChainLog, Header};

/// The block that the escrow appears in.
pub const DEPLOY_BLOCK: u64 = 3;

/// A call, and the number that names its transaction in whichever block it is.
#[derive(Clone, Copy)]
struct Sent {
    number: u64,
    call: Call,
}

struct Mined {
    header: Header,
    calls: Vec<Sent>,
    logs: Vec<ChainLog>,
    after: Escrow,
    bonds: Registry,
}

#[derive(Default)]
struct State {
    blocks: Vec<Mined>,
    /// Makes the blocks of each branch different.
    branch: u64,
    finalized: u64,
    /// Blocks at the top that the node does not show.
    hidden: u64,
    largest_range: Option<u64>,
    surplus: u64,
    refused_ranges: u64,
    /// As a node asked without proofs.
    on_its_word: bool,
    /// Leaves the last log of the newest block out.
    hide_last: bool,
    sent: u64,
    /// A reorg to come: after so many more questions, so deep.
    armed: Option<(u64, u64, StdRng)>,
    struck: u64,
}

pub struct Memory(Mutex<State>);

impl State {
    fn mine(&mut self, calls: &[Call]) {
        let numbers = self.sent..;
        self.sent += u64::try_from(calls.len()).unwrap();
        let sent = numbers.zip(calls).map(|(number, call)| Sent { number, call: *call });
        self.push(sent.collect());
    }

    fn push(&mut self, calls: Vec<Sent>) {
        let number = u64::try_from(self.blocks.len()).unwrap();
        let parent_hash = self.blocks.last().map_or(B256::ZERO, |b| b.header.hash);
        let seed = [U256::from(number), U256::from(self.branch)].map(|n| n.to_be_bytes::<32>());
        let hash = keccak256([parent_hash.as_slice(), &seed.concat()].concat());
        // Every eighth block comes weeks later: what is due after long becomes due too.
        let blocks = i64::try_from(number).unwrap();
        let mined_at = 1_700_000_000 + 12 * blocks + blocks / 8 * 20 * 86_400;
        let mut after = self.blocks.last().map_or_else(Escrow::default, |b| b.after.clone());
        let mut bonds = self.blocks.last().map_or_else(Registry::default, |b| b.bonds.clone());
        let mut logs = vec![];
        for Sent { number: sent, call } in &calls {
            let tx_hash = keccak256(sent.to_be_bytes());
            let of_escrow = after.call(*call, mined_at).into_iter().map(|e| (ESCROW, e.encode()));
            let of_bonds = bonds.call(*call, mined_at).map(|e| (REGISTRY, e.encode()));
            for (address, data) in of_escrow.chain(of_bonds) {
                // Other contracts log in between.
                let log_index = 2 * u64::try_from(logs.len()).unwrap() + 1;
                let log = Log { address, data };
                logs.push(ChainLog { block: number, block_hash: hash, tx_hash, log_index, log });
            }
        }
        let mut logs_bloom = Bloom::ZERO;
        logs.iter().for_each(|found: &ChainLog| logs_bloom.accrue_log(&found.log));
        let (receipts_root, transactions_root) = (B256::ZERO, B256::ZERO);
        let header = Header {
            number,
            hash,
            parent_hash,
            mined_at,
            logs_bloom,
            receipts_root,
            transactions_root,
        };
        self.blocks.push(Mined { header, calls, logs, after, bonds });
    }

    /// Replaces up to `depth` blocks above the final ones by about as many: the calls that were
    /// in them are kept in their places, moved or dropped.
    fn remine(&mut self, depth: u64, rng: &mut StdRng) {
        let head = u64::try_from(self.blocks.len()).unwrap() - 1;
        let depth = depth.min(head - self.finalized.max(DEPLOY_BLOCK));
        if depth == 0 {
            return;
        }
        let keep = usize::try_from(head + 1 - depth).unwrap();
        let depth = usize::try_from(depth).unwrap();
        let replaced = self.blocks.split_off(keep);
        let count = rng.random_range(depth.saturating_sub(2).max(1)..=depth + 3);
        let mut blocks: Vec<Vec<Sent>> = vec![vec![]; count];
        for (at, block) in replaced.into_iter().enumerate() {
            for sent in block.calls {
                let place = match rng.random_range(0..4) {
                    0 => continue,
                    1 => rng.random_range(0..count),
                    _ => at.min(count - 1),
                };
                blocks[place].push(sent);
            }
        }
        self.branch += 1;
        self.hidden = 0;
        blocks.into_iter().for_each(|calls| self.push(calls));
    }

    fn shown(&self) -> u64 {
        u64::try_from(self.blocks.len()).unwrap() - 1 - self.hidden
    }

    fn at(&self, number: u64) -> Option<&Mined> {
        let index = usize::try_from(number).unwrap();
        self.blocks.get(index).filter(|_| number <= self.shown())
    }

    fn told(&self, block: &Mined) -> Vec<ChainLog> {
        let hidden = usize::from(self.hide_last && block.header.number == self.shown());
        block.logs[..block.logs.len().saturating_sub(hidden)].to_vec()
    }

    fn refuse_wide(&mut self, from: u64, to: u64) -> Result<(), ChainError> {
        if self.largest_range.is_some_and(|most| to - from >= most) {
            self.refused_ranges += 1;
            return Err(refused("query exceeds max block range"));
        }
        Ok(())
    }

    fn by_hash(&self, hash: B256) -> Option<&Mined> {
        self.blocks.iter().find(|b| b.header.hash == hash)
    }
}

impl Memory {
    /// A chain up to the escrow's deployment.
    pub fn new() -> Self {
        let mut state = State::default();
        (0..=DEPLOY_BLOCK).for_each(|_| state.mine(&[]));
        Self(Mutex::new(state))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// The same for whoever asks the chain something, which may be when it is reorganised.
    fn asked(&self) -> MutexGuard<'_, State> {
        let mut state = self.state();
        if let Some((questions, depth, mut rng)) = state.armed.take() {
            match questions.checked_sub(1) {
                Some(left) => state.armed = Some((left, depth, rng)),
                None => {
                    state.remine(depth, &mut rng);
                    state.struck += 1;
                }
            }
        }
        state
    }

    pub fn mine(&self, calls: &[Call]) {
        self.state().mine(calls);
    }

    /// A reorg above the final blocks, whose calls are kept, moved or dropped.
    pub fn remine(&self, depth: u64, rng: &mut StdRng) {
        self.state().remine(depth, rng);
    }

    /// The same in the middle of whatever is read next, after so many more questions.
    pub fn remine_after(&self, questions: u64, depth: u64, rng: StdRng) {
        self.state().armed = Some((questions, depth, rng));
    }

    /// A reorg that is still to come stays away.
    pub fn disarm(&self) {
        self.state().armed = None;
    }

    /// Reorgs so far in the middle of something.
    pub fn struck(&self) -> u64 {
        self.state().struck
    }

    /// A block in which the contract says what this version does not know.
    pub fn mine_unknown(&self, of: Address) {
        let mut state = self.state();
        state.mine(&[]);
        let Some(Mined { header, logs, .. }) = state.blocks.last_mut() else { return };
        let (block, block_hash) = (header.number, header.hash);
        let topic = keccak256("Upgraded(address)");
        let log = Log::new_unchecked(of, vec![topic], Bytes::new());
        header.logs_bloom.accrue_log(&log);
        logs.push(ChainLog { block, block_hash, tx_hash: topic, log_index: 0, log });
    }

    /// Replaces up to `depth` blocks above the deployment by others.
    pub fn reorg(&self, depth: usize, blocks: &[Vec<Call>]) {
        let mut state = self.state();
        let floor = usize::try_from(DEPLOY_BLOCK).unwrap() + 1;
        let keep = state.blocks.len().saturating_sub(depth).max(floor);
        state.blocks.truncate(keep);
        state.branch += 1;
        blocks.iter().for_each(|calls| state.mine(calls));
        state.hidden = 0;
    }

    /// Makes all but the top `distance` blocks final.
    pub fn finalize(&self, distance: u64) {
        let mut state = self.state();
        state.finalized = state.finalized.max(state.shown().saturating_sub(distance));
    }

    pub fn finalized(&self) -> u64 {
        self.state().finalized
    }

    pub fn head(&self) -> u64 {
        self.state().shown()
    }

    /// Hides the top blocks, as a node that lags; never below finalized.
    pub fn hide(&self, blocks: u64) {
        let mut state = self.state();
        state.hidden = 0;
        state.hidden = blocks.min(state.shown() - state.finalized);
    }

    pub fn limit_ranges(&self, largest: u64) {
        self.state().largest_range = Some(largest);
    }

    pub fn on_its_word(&self, yes: bool) {
        self.state().on_its_word = yes;
    }

    pub fn hide_last(&self, yes: bool) {
        self.state().hide_last = yes;
    }

    pub fn refused_ranges(&self) -> u64 {
        self.state().refused_ranges
    }

    /// Tokens sent to the escrow without a deposit.
    pub fn donate(&self, base: u64) {
        self.state().surplus += base;
    }

    /// As a chain that was started anew: another genesis.
    pub fn restart(&self) {
        let mut state = self.state();
        let branch = state.branch + 1;
        *state = State { branch, ..State::default() };
        (0..=DEPLOY_BLOCK).for_each(|_| state.mine(&[]));
    }
}

fn refused(reason: &str) -> ChainError {
    ChainError::Refused { server: "memory".into(), call: "a test", reason: reason.into() }
}

impl Chain for Memory {
    async fn chain_id(&self) -> Result<u64, ChainError> {
        Ok(CHAIN_ID)
    }

    async fn head(&self, tag: Tag) -> Result<Option<Header>, ChainError> {
        let state = self.asked();
        let number = match tag {
            Tag::Latest => state.shown(),
            Tag::Safe | Tag::Finalized => state.finalized,
        };
        Ok(state.at(number).map(|b| b.header.clone()))
    }

    async fn header(&self, number: u64) -> Result<Option<Header>, ChainError> {
        Ok(self.asked().at(number).map(|b| b.header.clone()))
    }

    async fn headers(&self, from: u64, to: u64) -> Result<Option<Vec<Header>>, ChainError> {
        let mut state = self.asked();
        state.refuse_wide(from, to)?;
        Ok((from..=to).map(|n| state.at(n).map(|b| b.header.clone())).collect())
    }

    async fn block_logs(&self, of: &[Address], header: &Header) -> Result<BlockLogs, ChainError> {
        assert_eq!(of, [ESCROW, REGISTRY]);
        let state = self.asked();
        let block = state.by_hash(header.hash).ok_or_else(|| refused("unknown block"))?;
        let verified = match (state.on_its_word, block.logs.is_empty()) {
            (true, _) => Verified::LogsOnly,
            (false, true) => Verified::Bloom,
            (false, false) => Verified::Receipts,
        };
        Ok(BlockLogs { logs: state.told(block), verified })
    }

    fn proves(&self) -> bool {
        !self.state().on_its_word
    }

    async fn range_logs(
        &self,
        of: &[Address],
        from: u64,
        to: u64,
    ) -> Result<Vec<ChainLog>, ChainError> {
        assert_eq!(of, [ESCROW, REGISTRY]);
        let mut state = self.asked();
        state.refuse_wide(from, to)?;
        Ok((from..=to).filter_map(|n| state.at(n)).flat_map(|b| state.told(b)).collect())
    }

    async fn code(&self, of: Address, at: Option<u64>) -> Result<Bytes, ChainError> {
        let state = self.asked();
        let deployed = at.unwrap_or_else(|| state.shown()) >= DEPLOY_BLOCK;
        let ours = of == ESCROW || of == REGISTRY;
        Ok(if deployed && ours { Bytes::from_static(&[0xfe]) } else { Bytes::new() })
    }

    async fn call(&self, to: Address, data: Bytes, at: Option<B256>) -> Result<Bytes, ChainError> {
        let state = self.asked();
        assert!([ESCROW, TOKEN, REGISTRY].contains(&to));
        let block = match at {
            Some(hash) => state.by_hash(hash),
            None => state.at(state.shown()),
        };
        let block = block.ok_or_else(|| refused("unknown block"))?;
        if let Some(answer) = block.bonds.view(to, &data) {
            return Ok(answer);
        }
        Ok(block.after.view(to, &data, state.surplus))
    }
}
