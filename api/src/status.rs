//! pure: the state of a job and of its units, computed from chain facts, work rows and time.

use std::collections::BTreeMap;

use contracts::{Amount, units};
use serde::{Deserialize, Serialize};
use store::{Attempt, LeaseState, LotStatus, MAX_TRIES};
use utoipa::ToSchema;

use crate::record::{KnownLot, Record};

/// Where a unit stands.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum UnitState {
    /// Nobody has it.
    Queued,
    /// A node has it and has not reported progress.
    Leased,
    /// A node renders it.
    Running,
    /// The last attempt failed or ran out of time; it is offered again.
    SoftFailed,
    /// The settler accepted it; the chain has not seen its lot.
    Rendered,
    /// Its lot is on chain, inside its review window.
    Committed,
    /// Its lot's review has ended with an approval, or its window has passed.
    Approved,
    /// Paid.
    Released,
    /// The payer's side refused it; it is offered again under the next attempt.
    Rejected,
    /// Its lot's key was never shown; it is offered again.
    Lapsed,
    /// Its attempts are used up; its money returns when the job closes.
    Dead,
}

impl UnitState {
    pub const ALL: [Self; 11] = [
        Self::Queued,
        Self::Leased,
        Self::Running,
        Self::SoftFailed,
        Self::Rendered,
        Self::Committed,
        Self::Approved,
        Self::Released,
        Self::Rejected,
        Self::Lapsed,
        Self::Dead,
    ];

    /// Offered to nodes, or about to be.
    pub fn is_waiting(self) -> bool {
        match self {
            Self::Queued | Self::SoftFailed | Self::Rejected | Self::Lapsed => true,
            Self::Leased
            | Self::Running
            | Self::Rendered
            | Self::Committed
            | Self::Approved
            | Self::Released
            | Self::Dead => false,
        }
    }
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobPhase {
    /// Said to be opened by its payer; the index does not show it.
    Draft,
    /// Signed and handed in; the chain has not locked its money.
    AwaitingFunds,
    /// Opened; no node works on it.
    Queued,
    /// At least one node works on it.
    Running,
    /// What remains does not cover the next unit: top up, or approve and close.
    PausedFunds,
    /// All that can be rendered is; the payer's side has the word.
    InReview,
    /// Reviews are over; payments are on their way.
    Settling,
    /// The payer's side asked to end it; work in hand is still paid.
    Closing,
    /// Every unit is paid.
    Completed,
    /// Closed at the wish of the payer's side, or with nothing paid.
    Cancelled,
    /// Its time passed before it was done (or before it was opened).
    Expired,
    /// Units were given up and nothing else is left to do.
    Failed,
}

/// How many units stand where. Its keys are the unit states.
pub type UnitCounts = BTreeMap<UnitState, u32>;

/// State of one unit.
pub fn unit_state(record: &Record, unit: u32, chain_time: i64) -> UnitState {
    if record.paid_lot(unit).is_some() {
        return UnitState::Released;
    }
    let attempts = record.attempts.get(&unit).map(Vec::as_slice).unwrap_or_default();
    let used_up = is_given_up(record, unit, attempts);
    let again = |state| if used_up { UnitState::Dead } else { state };
    let lot = record.lot_of(unit);
    let Some(newest) = attempts.last() else {
        return lot.map_or(UnitState::Queued, |lot| in_lot(lot, unit, chain_time));
    };
    match newest.lease_state {
        LeaseState::Active if newest.progress == 0 => UnitState::Leased,
        LeaseState::Active => UnitState::Running,
        LeaseState::Expired | LeaseState::Failed => again(UnitState::SoftFailed),
        LeaseState::Accepted => match lot.map(|lot| in_lot(lot, unit, chain_time)) {
            Some(state @ (UnitState::Rejected | UnitState::Lapsed)) => again(state),
            Some(state) => state,
            None => UnitState::Rendered,
        },
    }
}

/// The settler's own rule: failures and rejections use up the job's attempts, leases that merely
/// ran out only the limit for attempts of any kind.
fn is_given_up(record: &Record, unit: u32, attempts: &[Attempt]) -> bool {
    let bit = units::bit_of(unit);
    let refused = |lot: &&KnownLot| !(lot.lot.mask & lot.refused & bit).is_zero();
    let rejected = record.lots_around(unit).filter(refused).count();
    let failed = attempts.iter().filter(|attempt| attempt.is_blamed()).count();
    let reaches = |count: usize, limit: u32| u32::try_from(count).unwrap_or(u32::MAX) >= limit;
    reaches(rejected + failed, record.max_attempts()) || reaches(attempts.len(), MAX_TRIES)
}

/// State of a unit as its lot has it.
fn in_lot(lot: &KnownLot, unit: u32, chain_time: i64) -> UnitState {
    if !(lot.refused & units::bit_of(unit)).is_zero() {
        return UnitState::Rejected;
    }
    let Some(chain) = &lot.chain else { return UnitState::Rendered };
    match chain.status {
        LotStatus::Committed if chain_time >= chain.window_end => UnitState::Approved,
        LotStatus::Committed => UnitState::Committed,
        LotStatus::Approved => UnitState::Approved,
        LotStatus::Settled | LotStatus::Released => UnitState::Released,
        LotStatus::Lapsed => UnitState::Lapsed,
    }
}

/// Units that have an attempt or stand in a lot: all others are queued. A job may have 2^24.
pub fn touched(record: &Record) -> impl Iterator<Item = u32> {
    let mut units: Vec<u32> = record.attempts.keys().copied().collect();
    for lot in record.lots.values() {
        units.extend(units::units_in(lot.lot.word, lot.lot.mask));
    }
    units.sort_unstable();
    units.dedup();
    let total = record.order.units;
    units.into_iter().filter(move |unit| *unit < total)
}

pub fn count_units(record: &Record, chain_time: i64) -> UnitCounts {
    let mut counts: UnitCounts = UnitState::ALL.iter().map(|state| (*state, 0)).collect();
    let mut seen = 0;
    for unit in touched(record) {
        *counts.entry(unit_state(record, unit, chain_time)).or_default() += 1;
        seen += 1;
    }
    *counts.entry(UnitState::Queued).or_default() += record.order.units.saturating_sub(seen);
    counts
}

/// The job's state. `chain_time` is the time of the indexed block; deadlines follow blocks.
pub fn job_phase(record: &Record, counts: &UnitCounts, chain_time: i64) -> JobPhase {
    let order = &record.order;
    let Some((_, chain)) = &record.chain else {
        let signed = record.intake.as_ref().is_some_and(|intake| intake.signature.is_some());
        return if passed(order.open_by, chain_time) {
            JobPhase::Expired
        } else if signed {
            JobPhase::AwaitingFunds
        } else {
            JobPhase::Draft
        };
    };
    let all_paid = order.units > 0 && chain.units_paid >= order.units;
    if all_paid {
        return JobPhase::Completed;
    }
    let pending = !chain.pending.is_zero();
    let over = passed(end_of(record), chain_time);
    if chain.closed || over {
        return if pending {
            JobPhase::Settling
        } else if order.units == 0 && chain.closed && !chain.released.is_zero() {
            // A job of calls has no units to complete: what was called for was paid.
            JobPhase::Completed
        } else if chain.close_requested || (chain.closed && chain.units_paid == 0) {
            JobPhase::Cancelled
        } else {
            JobPhase::Expired
        };
    }
    if chain.close_requested || record.close_request.is_some() {
        return JobPhase::Closing;
    }
    open_phase(record, counts, chain.remaining())
}

fn open_phase(record: &Record, counts: &UnitCounts, remaining: Amount) -> JobPhase {
    let count = |state| counts.get(&state).copied().unwrap_or_default();
    let waiting = counts.iter().any(|(state, units)| state.is_waiting() && *units > 0);
    if count(UnitState::Leased) + count(UnitState::Running) > 0 {
        JobPhase::Running
    } else if waiting && uncommitted_left(record, remaining) < record.order.max_unit_price {
        JobPhase::PausedFunds
    } else if waiting {
        JobPhase::Queued
    } else if count(UnitState::Rendered) + count(UnitState::Committed) > 0 {
        JobPhase::InReview
    } else if count(UnitState::Approved) > 0 {
        JobPhase::Settling
    } else if count(UnitState::Dead) > 0 {
        JobPhase::Failed
    } else {
        JobPhase::Queued
    }
}

/// What remains once the chain has seen what is known here: lots that the settler accepted take
/// their money, rejections that are signed give theirs back.
pub fn uncommitted_left(record: &Record, remaining: Amount) -> Amount {
    let price =
        |lot: &KnownLot, mask| units::mask_amount(mask, lot.lot.unit_price).unwrap_or(Amount::MAX);
    let (seen, unseen): (Vec<&KnownLot>, Vec<&KnownLot>) =
        record.lots.values().partition(|lot| lot.chain.is_some());
    let in_review = seen.into_iter().filter(|lot| !lot.is_decided());
    let with_freed = in_review.fold(remaining, |left, lot| {
        left.checked_add(price(lot, lot.unseen_refusals())).unwrap_or(Amount::MAX)
    });
    unseen.into_iter().fold(with_freed, |left, lot| {
        left.checked_sub(price(lot, lot.live())).unwrap_or(Amount::ZERO)
    })
}

/// From this second on anyone may close the job.
pub fn end_of(record: &Record) -> u64 {
    let deadline = record.chain.as_ref().map(|(_, chain)| chain.work_deadline);
    let deadline = deadline.and_then(|at| u64::try_from(at).ok());
    deadline.unwrap_or(record.order.work_deadline).saturating_add(record.order.claim_grace)
}

fn passed(at: u64, now: i64) -> bool {
    u64::try_from(now).is_ok_and(|now| now >= at)
}

/// How far a unit's newest attempt is, in thousandths.
pub fn progress(attempt: Option<&Attempt>, state: UnitState) -> u16 {
    match state {
        UnitState::Leased | UnitState::Running => attempt.map_or(0, |attempt| attempt.progress),
        UnitState::Rendered | UnitState::Committed | UnitState::Approved | UnitState::Released => {
            1_000
        }
        UnitState::Queued
        | UnitState::SoftFailed
        | UnitState::Rejected
        | UnitState::Lapsed
        | UnitState::Dead => 0,
    }
}

#[cfg(test)]
mod tests;
