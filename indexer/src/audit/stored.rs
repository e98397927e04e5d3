//! pure: rows of a replay -> the words that escrow and registry must store after those events.

use std::collections::BTreeMap;

use alloy::primitives::{B256, U256};
use contracts::JobId;
use contracts::layout::{
    AccountWord, Item, JobWords, NodeWords, delegate_words, lot_word, offices_word,
};
use store::{
    AccountState, BondState, DelegateState, JobState, LotRow, LotState, LotStatus, OfficeState,
};

use crate::proof::bundle::Stored;

/// The newest row of everything that the escrow stores.
pub(super) struct Rows<'a> {
    pub accounts: &'a [AccountState],
    pub jobs: Vec<&'a JobState>,
    pub lots: &'a [(LotRow, LotState)],
    pub delegates: &'a [DelegateState],
    pub offices: Option<&'a OfficeState>,
}

/// Units taken, by job and word: what lots hold or were paid for.
pub(super) fn taken_units(lots: &[(LotRow, LotState)]) -> BTreeMap<(JobId, u32), U256> {
    let mut taken: BTreeMap<_, U256> = BTreeMap::new();
    for (row, state) in lots {
        *taken.entry((row.job_id, row.lot.word)).or_default() |= taken_by(row, state);
    }
    taken
}

/// The units that one lot takes.
pub(super) fn taken_by(row: &LotRow, state: &LotState) -> U256 {
    match state.status {
        LotStatus::Committed | LotStatus::Approved => row.lot.mask & !state.rejected,
        LotStatus::Settled | LotStatus::Released => state.paid,
        LotStatus::Lapsed => U256::ZERO,
    }
}

/// A released lot leaves no record of its own, only its paid units.
pub(super) fn lot_status(status: LotStatus) -> u8 {
    match status {
        LotStatus::Released => 0,
        LotStatus::Committed => 1,
        LotStatus::Approved => 2,
        LotStatus::Settled => 3,
        LotStatus::Lapsed => 4,
    }
}

fn seconds(at: i64) -> u64 {
    // Times of the chain are never below zero.
    u64::try_from(at).unwrap_or_default()
}

/// When the close was asked for; zero: never.
pub(super) fn close_requested_at(state: &JobState) -> u64 {
    if state.close_requested { seconds(state.work_deadline) } else { 0 }
}

pub(super) fn account(state: &AccountState) -> Stored {
    let AccountState { account, free, credit, seq, .. } = *state;
    stored(Item::Account { account }, [AccountWord { free, credit, seq }.word()])
}

pub(super) fn job(state: &JobState) -> Stored {
    let words = JobWords {
        funded: state.funded,
        released: state.released,
        units_paid: state.units_paid,
        seq: state.job_seq,
        status: if state.closed { 2 } else { 1 },
        pending: state.pending,
        credit_share: state.credit_share,
        close_requested_at: close_requested_at(state),
    };
    stored(Item::Job { job_id: state.job_id }, words.words())
}

/// All that the escrow stores, in ascending order, without what is zero.
pub(super) fn of_escrow(rows: &Rows<'_>) -> Vec<Stored> {
    let accounts = rows.accounts.iter().map(account);
    let jobs = rows.jobs.iter().map(|state| job(state));
    let units = taken_units(rows.lots)
        .into_iter()
        .map(|((job_id, word), taken)| stored(Item::Units { job_id, word }, [taken]));
    let lots = rows.lots.iter().filter(|(_, state)| state.status != LotStatus::Released);
    let lots = lots.flat_map(|(_, state)| {
        let LotState { lot_hash, window_end, rejected, status, .. } = *state;
        let word = lot_word(seconds(window_end), lot_status(status));
        [stored(Item::Lot { lot_hash }, [word]), stored(Item::Rejected { lot_hash }, [rejected])]
    });
    let delegates = rows.delegates.iter().map(|state| {
        let DelegateState { payer, agent, settler, allowance, max_per_job, .. } = *state;
        let words = delegate_words(settler, allowance, max_per_job, seconds(state.expiry));
        stored(Item::Delegate { payer, agent }, words)
    });
    let offices = rows.offices.map(|state| {
        let word = offices_word(state.credit_settler, seconds(state.paused_until), state.seq);
        stored(Item::Offices {}, [word])
    });
    let all = accounts.chain(jobs).chain(units).chain(lots).chain(delegates).chain(offices);
    sorted(all)
}

/// All that the registry stores, in ascending order.
pub(super) fn of_registry(bonds: &[BondState]) -> Vec<Stored> {
    sorted(bonds.iter().map(|state| {
        let words = NodeWords {
            owner: state.owner,
            bonded: state.bonded,
            unbonding: state.unbonding,
            unbond_at: seconds(state.unbond_at),
            slashed: state.slashed,
            seq: state.seq,
            payout: state.payout,
            capabilities_hash: state.capabilities_hash,
        };
        stored(Item::Node { signer: state.signer }, words.words())
    }))
}

fn stored<const N: usize>(item: Item, words: [U256; N]) -> Stored {
    Stored { item, words: words.to_vec(), proofs: vec![] }
}

fn sorted(all: impl Iterator<Item = Stored>) -> Vec<Stored> {
    let mut all: Vec<Stored> =
        all.filter(|stored| stored.words.iter().any(|word| !word.is_zero())).collect();
    all.sort_unstable_by_key(|stored| stored.item);
    all
}

/// The storage root that these words give.
pub(super) fn root_of(all: &[Stored]) -> B256 {
    let slots = all
        .iter()
        .flat_map(|stored| stored.item.slots().into_iter().zip(stored.words.iter().copied()));
    crate::proof::storage_root(slots)
}
