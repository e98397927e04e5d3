//! pure: life of the transactions of one intent: what is seen of them -> the next step.

use store::SentTx;

/// Same bytes are sent again this often while they are not mined: free, and heals lost sends.
const RESEND_SECONDS: i64 = 10;
/// A transaction that the market outbids is replaced after this; any other after `STALL_LONG`.
const STALL_SECONDS: i64 = 30;
const STALL_LONG: i64 = 180;
/// A mined effect that the index does not show this many blocks later is a contradiction.
const INDEX_SLACK: u64 = 64;

/// What one transaction offers for gas, in wei.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fees {
    pub max_fee: u128,
    pub tip: u128,
}

/// The first of an intent's transactions found in a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mined {
    pub block: u64,
    pub succeeded: bool,
}

/// Everything seen of one intent whose transactions are stored, and of our key, at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    pub txs: &'a [SentTx],
    /// The block from which on the index shows the effect.
    pub effect: Option<u64>,
    /// Newest block of the chain server, and of the index.
    pub head: u64,
    pub tip: u64,
    pub confirmations: u64,
    /// Transactions of our key in the newest block, and `confirmations` blocks below it.
    pub nonce: u64,
    pub nonce_deep: u64,
    pub mined: Option<Mined>,
    /// Offer of the newest transaction, what the market asks, and the base fee to come.
    pub offer: Option<Fees>,
    pub market: Fees,
    pub base_fee: u128,
    pub fee_cap: u128,
    pub now: i64,
    /// When this process last sent the newest bytes; None since its start.
    pub sent_at: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing to do but look again.
    Wait,
    /// Sign with a fresh nonce: nothing was signed yet, or its nonce went to something else.
    Sign,
    /// Send the newest stored bytes once more.
    Resend,
    /// Sign again with the same nonce and a better offer; both may be mined, one at most is.
    Replace { nonce: u64, fees: Fees },
    /// Mined and reverted, deep enough to believe it.
    Reverted,
    /// Mined without revert, yet the index, long past that block, shows no effect.
    Contradiction,
    /// The index shows the effect deep enough, and nothing of ours can still be mined.
    Done,
}

/// Unknown stays unknown until the index, a receipt at depth or a used nonce at depth says more.
pub fn next(seen: &Seen<'_>) -> Step {
    let Some(newest) = newest(seen.txs) else {
        return if seen.effect.is_some() { settled_or_wait(seen) } else { Step::Sign };
    };
    if newest.nonce >= seen.nonce {
        return push(seen, newest);
    }
    if seen.effect.is_some() {
        return settled_or_wait(seen);
    }
    match seen.mined {
        Some(Mined { block, succeeded: true }) => {
            let late = block.saturating_add(seen.confirmations).saturating_add(INDEX_SLACK);
            if seen.tip > late { Step::Contradiction } else { Step::Wait }
        }
        Some(Mined { block, succeeded: false }) => {
            if is_deep(block, seen.head, seen.confirmations) { Step::Reverted } else { Step::Wait }
        }
        // The nonce is used, and by none of our hashes: the key was used elsewhere, or a reorg
        // is under way; depth tells.
        None if seen.nonce_deep > newest.nonce => Step::Sign,
        None => Step::Wait,
    }
}

/// The transaction with the highest nonce; of one nonce the one signed last.
pub fn newest(txs: &[SentTx]) -> Option<&SentTx> {
    txs.iter().max_by_key(|tx| (tx.nonce, tx.max_fee, tx.signed_at))
}

fn settled_or_wait(seen: &Seen<'_>) -> Step {
    let deep = seen.effect.is_some_and(|block| is_deep(block, seen.tip, seen.confirmations));
    if deep { Step::Done } else { Step::Wait }
}

fn is_deep(block: u64, head: u64, confirmations: u64) -> bool {
    block.saturating_add(confirmations) <= head
}

/// Its nonce is free still: keep the bytes in the pool, and outbid the market when it moved on.
/// Also when the effect is there by another way: a nonce left open would block all later ones.
fn push(seen: &Seen<'_>, newest: &SentTx) -> Step {
    let age = seen.now.saturating_sub(newest.signed_at);
    let outbid = seen.offer.is_some_and(|offer| seen.base_fee > offer.max_fee);
    let stalled = age >= STALL_LONG || (outbid && age >= STALL_SECONDS);
    if let Some(fees) = seen.offer.filter(|_| stalled).and_then(|offer| better(seen, offer)) {
        return Step::Replace { nonce: newest.nonce, fees };
    }
    let due = seen.sent_at.is_none_or(|at| seen.now.saturating_sub(at) >= RESEND_SECONDS);
    if due { Step::Resend } else { Step::Wait }
}

/// +12.5 % on both figures (pools ask for 10 %), at least what the market asks now; None above
/// the cap: then the old bytes stay, and are mined when the market comes down.
fn better(seen: &Seen<'_>, offer: Fees) -> Option<Fees> {
    let raise = |fee: u128| fee.saturating_add(fee.div_ceil(8)).saturating_add(1);
    let max_fee = raise(offer.max_fee).max(seen.market.max_fee);
    let tip = raise(offer.tip).max(seen.market.tip);
    (max_fee <= seen.fee_cap).then_some(Fees { max_fee, tip: tip.min(max_fee) })
}

/// The lowest nonce that is neither mined nor taken by bytes of ours that may still be mined: so
/// the counter follows the chain, back too, and fills every gap.
pub fn free_nonce(mined: u64, taken: &std::collections::BTreeSet<u64>) -> u64 {
    let mut nonce = mined;
    while taken.contains(&nonce) {
        nonce += 1;
    }
    nonce
}

#[cfg(test)]
mod tests;
