//! pure: a node's transaction pool by geth's rules: what is kept, replaced, queued or refused.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display};

use alloy::consensus::transaction::SignerRecoverable;
use alloy::consensus::{Transaction, TxEnvelope};
use alloy::eips::eip2718::Decodable2718;
use alloy::primitives::{Address, B256, Bytes};

/// A replacement pays at least this much more, in percent, by its fee cap and by its tip.
const PRICE_BUMP: u128 = 10;
/// A tip below this is not worth the place, in wei.
const LEAST_TIP: u128 = 1;

/// A signed transaction, and what the pool looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pooled {
    pub hash: B256,
    pub sender: Address,
    pub nonce: u64,
    pub max_fee: u128,
    pub tip: u128,
    pub raw: Bytes,
}

impl Pooled {
    /// None: the bytes are no signed transaction.
    pub fn read(raw: &Bytes) -> Option<Self> {
        let signed = TxEnvelope::decode_2718_exact(raw).ok()?;
        let max_fee = signed.max_fee_per_gas();
        Some(Self {
            hash: *signed.hash(),
            sender: signed.recover_signer().ok()?,
            nonce: signed.nonce(),
            max_fee,
            tip: signed.max_priority_fee_per_gas().unwrap_or(max_fee),
            raw: raw.clone(),
        })
    }

    /// Whether this one may take the place of `old`: dearer by a tenth, both ways.
    fn outbids(&self, old: &Self) -> bool {
        let enough = |new: u128, old: u128| new > old && new * 100 >= old * (100 + PRICE_BUMP);
        enough(self.max_fee, old.max_fee) && enough(self.tip, old.tip)
    }
}

/// Why a transaction is not taken, in geth's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    AlreadyKnown,
    NonceTooLow { next: u64, nonce: u64 },
    ReplacementUnderpriced,
    Underpriced { tip: u128 },
}

impl Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyKnown => write!(f, "already known"),
            Self::NonceTooLow { next, nonce } => {
                write!(f, "nonce too low: next nonce {next}, tx nonce {nonce}")
            }
            Self::ReplacementUnderpriced => write!(f, "replacement transaction underpriced"),
            Self::Underpriced { tip } => {
                let need = LEAST_TIP;
                write!(f, "transaction underpriced: gas tip cap {tip}, minimum needed {need}")
            }
        }
    }
}

/// What the chain says now of the pool's transactions and their senders.
#[derive(Debug, Clone, Default)]
pub struct Sight {
    /// Next nonce of each sender.
    pub next: BTreeMap<Address, u64>,
    /// Those of the pool's transactions that are in blocks of the chain.
    pub mined: BTreeSet<B256>,
    /// What the next block asks for each unit of gas.
    pub base_fee: u128,
}

#[derive(Debug, Default)]
pub struct Pool {
    /// By sender and nonce, whether they can be mined now or wait for a nonce or a lower fee.
    waiting: BTreeMap<Address, BTreeMap<u64, Pooled>>,
    /// Seen in a block; they wait again when that block is replaced.
    mined: BTreeMap<B256, Pooled>,
}

impl Pool {
    /// Takes a transaction whose sender's next nonce on the chain is `next`.
    pub fn add(&mut self, tx: Pooled, next: u64) -> Result<(), Refusal> {
        if self.find(tx.hash).is_some() {
            return Err(Refusal::AlreadyKnown);
        }
        if tx.nonce < next {
            return Err(Refusal::NonceTooLow { next, nonce: tx.nonce });
        }
        if tx.tip < LEAST_TIP {
            return Err(Refusal::Underpriced { tip: tx.tip });
        }
        let of_sender = self.waiting.entry(tx.sender).or_default();
        if of_sender.get(&tx.nonce).is_some_and(|old| !tx.outbids(old)) {
            return Err(Refusal::ReplacementUnderpriced);
        }
        of_sender.insert(tx.nonce, tx);
        Ok(())
    }

    /// A waiting transaction.
    pub fn find(&self, hash: B256) -> Option<&Pooled> {
        self.waiting.values().flat_map(BTreeMap::values).find(|tx| tx.hash == hash)
    }

    /// Every transaction that the chain has to be asked about: those that wait, those mined.
    pub fn all(&self) -> impl Iterator<Item = &Pooled> {
        self.waiting.values().flat_map(BTreeMap::values).chain(self.mined.values())
    }

    /// The nonce after all that wait without a gap: the answer for the tag `pending`.
    pub fn pending_nonce(&self, sender: Address, next: u64) -> u64 {
        let of_sender = self.waiting.get(&sender);
        let waits = |nonce: &u64| of_sender.is_some_and(|of| of.contains_key(nonce));
        next + u64::try_from((next..).take_while(waits).count()).unwrap()
    }

    /// Takes in what the chain says: mined ones leave, orphaned ones come back, and those whose
    /// nonce was used by others go. What a block can take now, each sender's in its order.
    pub fn see(&mut self, sight: &Sight) -> Vec<Bytes> {
        let lost = self.mined.extract_if(.., |hash, _| !sight.mined.contains(hash));
        let lost: Vec<Pooled> = lost.map(|(_, tx)| tx).collect();
        for (sender, of_sender) in &mut self.waiting {
            let next = sight.next.get(sender).copied().unwrap_or_default();
            let gone = of_sender
                .extract_if(.., |nonce, tx| *nonce < next || sight.mined.contains(&tx.hash));
            let taken = gone.filter(|(_, tx)| sight.mined.contains(&tx.hash));
            self.mined.extend(taken.map(|(_, tx)| (tx.hash, tx)));
        }
        for tx in lost {
            let next = sight.next.get(&tx.sender).copied().unwrap_or_default();
            // As geth does it: what came back too late, or was outbid meanwhile, is dropped.
            let _ = self.add(tx, next);
        }
        self.executable(sight).map(|tx| tx.raw.clone()).collect()
    }

    /// From each sender's next nonce on, up to the first gap and the first that pays too little:
    /// that one is kept, and so is all behind it.
    fn executable<'a>(&'a self, sight: &'a Sight) -> impl Iterator<Item = &'a Pooled> {
        self.waiting.iter().flat_map(|(sender, of_sender)| {
            let next = sight.next.get(sender).copied().unwrap_or_default();
            let in_order = (next..).map_while(|nonce| of_sender.get(&nonce));
            in_order.take_while(|tx| tx.max_fee >= sight.base_fee)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENDER: Address = Address::repeat_byte(7);

    fn tx(nonce: u64, max_fee: u128, tip: u128) -> Pooled {
        let text = format!("{nonce} {max_fee} {tip}");
        let hash = alloy::primitives::keccak256(&text);
        Pooled { hash, sender: SENDER, nonce, max_fee, tip, raw: text.into_bytes().into() }
    }

    fn sight(next: u64, base_fee: u128, mined: &[&Pooled]) -> Sight {
        let mined = mined.iter().map(|tx| tx.hash).collect();
        Sight { next: [(SENDER, next)].into(), mined, base_fee }
    }

    fn raws(of: &[&Pooled]) -> Vec<Bytes> {
        of.iter().map(|tx| tx.raw.clone()).collect()
    }

    #[test]
    fn a_replacement_is_a_tenth_dearer_in_cap_and_in_tip() {
        let mut pool = Pool::default();
        pool.add(tx(5, 1_000, 100), 5).unwrap();
        for (max_fee, tip) in [(1_099, 110), (1_100, 109), (2_000, 100), (1_000, 200)] {
            let refused = pool.add(tx(5, max_fee, tip), 5);
            assert_eq!(refused, Err(Refusal::ReplacementUnderpriced), "{max_fee} {tip}");
        }
        let better = tx(5, 1_100, 110);
        pool.add(better.clone(), 5).unwrap();
        assert_eq!(pool.see(&sight(5, 1, &[])), raws(&[&better]));
        assert_eq!(pool.add(better, 5).unwrap_err().to_string(), "already known");
    }

    #[test]
    fn refusals_are_in_the_words_of_geth() {
        let mut pool = Pool::default();
        let error = pool.add(tx(4, 9, 9), 5).unwrap_err().to_string();
        assert_eq!(error, "nonce too low: next nonce 5, tx nonce 4");
        let error = pool.add(tx(5, 9, 0), 5).unwrap_err().to_string();
        assert_eq!(error, "transaction underpriced: gas tip cap 0, minimum needed 1");
        pool.add(tx(5, 9, 1), 5).unwrap();
        let error = pool.add(tx(5, 9, 2), 5).unwrap_err().to_string();
        assert_eq!(error, "replacement transaction underpriced");
    }

    #[test]
    fn a_spike_of_the_base_fee_keeps_what_pays_less_and_all_behind_it() {
        let mut pool = Pool::default();
        let (first, cheap, last) = (tx(0, 900, 1), tx(1, 50, 1), tx(2, 900, 1));
        for one in [&first, &cheap, &last] {
            pool.add(one.clone(), 0).unwrap();
        }
        assert_eq!(pool.see(&sight(0, 500, &[])), raws(&[&first]));
        assert_eq!(pool.see(&sight(1, 500, &[&first])), raws(&[]));
        assert_eq!(pool.see(&sight(1, 50, &[&first])), raws(&[&cheap, &last]));
    }

    #[test]
    fn a_gap_holds_up_what_is_behind_it_and_the_pending_nonce_says_so() {
        let mut pool = Pool::default();
        let (first, third) = (tx(3, 10, 1), tx(5, 10, 1));
        pool.add(third.clone(), 3).unwrap();
        assert_eq!(pool.see(&sight(3, 1, &[])), raws(&[]));
        assert_eq!(pool.pending_nonce(SENDER, 3), 3);
        pool.add(first.clone(), 3).unwrap();
        assert_eq!(pool.see(&sight(3, 1, &[])), raws(&[&first]));
        assert_eq!(pool.pending_nonce(SENDER, 3), 4);
        let second = tx(4, 10, 1);
        pool.add(second.clone(), 3).unwrap();
        assert_eq!(pool.see(&sight(3, 1, &[])), raws(&[&first, &second, &third]));
        assert_eq!(pool.pending_nonce(SENDER, 3), 6);
    }

    #[test]
    fn orphans_come_back_and_are_mined_again() {
        let mut pool = Pool::default();
        let (first, second) = (tx(0, 10, 1), tx(1, 10, 1));
        pool.add(first.clone(), 0).unwrap();
        pool.add(second.clone(), 0).unwrap();
        assert_eq!(pool.see(&sight(2, 1, &[&first, &second])), raws(&[]));
        // Mined, it is no longer known: only its nonce is too low.
        let low = Refusal::NonceTooLow { next: 2, nonce: 1 };
        assert_eq!(pool.add(second.clone(), 2), Err(low));
        assert_eq!(pool.see(&sight(1, 1, &[&first])), raws(&[&second]));
        assert_eq!(pool.see(&sight(0, 1, &[])), raws(&[&first, &second]));
        assert_eq!(pool.add(first, 0), Err(Refusal::AlreadyKnown));
    }

    #[test]
    fn what_loses_its_nonce_to_another_is_gone() {
        let mut pool = Pool::default();
        let (ours, behind) = (tx(0, 10, 1), tx(1, 10, 1));
        pool.add(ours.clone(), 0).unwrap();
        pool.add(behind.clone(), 0).unwrap();
        assert_eq!(pool.see(&sight(1, 1, &[])), raws(&[&behind]));
        assert_eq!((pool.find(ours.hash), pool.find(behind.hash)), (None, Some(&behind)));
        // An orphan that was outbid while it was mined does not push the better one out.
        assert_eq!(pool.see(&sight(2, 1, &[&behind])), raws(&[]));
        let better = tx(1, 20, 2);
        pool.add(better.clone(), 1).unwrap();
        assert_eq!(pool.see(&sight(1, 1, &[])), raws(&[&better]));
    }
}
