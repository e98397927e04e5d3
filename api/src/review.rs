//! pure: frames the payer's side approves or rejects -> the signatures it takes, lot by lot.

use std::collections::BTreeMap;

use alloy::primitives::{B256, U256};
use contracts::order::MAX_APPROVAL_LOTS;
use contracts::{Lot, units};

use crate::error::{Code, Problem};
use crate::record::{KnownLot, Record};
use crate::status::{UnitState, unit_state};

/// One thing to sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// Consent to what was not rejected of these lots.
    Approval { lots: Vec<(B256, Lot)> },
    /// Refusal of some units of one lot.
    Rejection { lot_hash: B256, lot: Lot, mask: U256 },
}

impl Word {
    /// The units that the word decides, ascending.
    pub fn units(&self, record: &Record) -> Vec<u32> {
        let mut found = match self {
            Self::Rejection { lot, mask, .. } => units::units_in(lot.word, *mask),
            Self::Approval { lots } => {
                let live = |(hash, lot): &(B256, Lot)| {
                    let mask = record.lots.get(hash).map_or(lot.mask, KnownLot::live);
                    units::units_in(lot.word, mask)
                };
                lots.iter().flat_map(live).collect()
            }
        };
        found.sort_unstable();
        found
    }
}

/// What was asked for, sorted out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// In the order in which they have to be relayed.
    pub words: Vec<Word>,
    /// Units that were approved or paid before: nothing to sign for them.
    pub done: Vec<u32>,
}

/// Approving `wanted`. A lot whose live units are all wanted is approved whole: one approval for
/// all such lots that the chain has not seen, another for those it has. A lot wanted in part
/// takes two words: a rejection of its other live units, then an approval of its own.
pub fn approve(record: &Record, wanted: &[u32], chain_time: i64) -> Result<Plan, Problem> {
    let mut plan = Plan::default();
    let mut by_lot: BTreeMap<B256, U256> = BTreeMap::new();
    for unit in wanted {
        match reviewable(record, *unit, chain_time)? {
            Reviewable::Decided => plan.done.push(*unit),
            Reviewable::Open(lot) if lot.approval_signed => plan.done.push(*unit),
            Reviewable::Open(lot) => {
                *by_lot.entry(lot.lot_hash).or_default() |= units::bit_of(*unit);
            }
        }
    }
    let (mut unseen, mut seen, mut parts) = (vec![], vec![], vec![]);
    let lots = by_lot.into_iter().filter_map(|(hash, mask)| Some((record.lots.get(&hash)?, mask)));
    for (lot, mask) in ordered(lots.collect()) {
        let one = (lot.lot_hash, lot.lot.clone());
        let rest = lot.live() & !mask;
        if !rest.is_zero() {
            let (lot_hash, lot) = one.clone();
            parts.push(Word::Rejection { lot_hash, lot, mask: rest });
            parts.push(Word::Approval { lots: vec![one] });
        } else if !lot.unseen_refusals().is_zero() {
            // Its rejection has to be mined first, so it holds up no other lot.
            parts.push(Word::Approval { lots: vec![one] });
        } else if lot.chain.is_some() {
            seen.push(one);
        } else {
            unseen.push(one);
        }
    }
    let whole = [unseen, seen].into_iter().flat_map(|lots| {
        let approvals = lots.chunks(MAX_APPROVAL_LOTS);
        let approvals = approvals.map(|lots| Word::Approval { lots: lots.to_vec() });
        approvals.collect::<Vec<_>>()
    });
    plan.words = whole.chain(parts).collect();
    Ok(plan)
}

/// Rejecting `wanted`: one rejection for each lot that holds some of them.
pub fn reject(record: &Record, wanted: &[u32], chain_time: i64) -> Result<Plan, Problem> {
    let mut by_lot: BTreeMap<B256, U256> = BTreeMap::new();
    for unit in wanted {
        match reviewable(record, *unit, chain_time)? {
            Reviewable::Open(lot) if !lot.approval_signed => {
                *by_lot.entry(lot.lot_hash).or_default() |= units::bit_of(*unit);
            }
            Reviewable::Open(_) | Reviewable::Decided => {
                let detail = format!("{} is approved or paid", name(record, *unit));
                return Err(Code::AlreadyApproved.because(detail).at("frames"));
            }
        }
    }
    let lots = by_lot.into_iter().filter_map(|(hash, mask)| Some((record.lots.get(&hash)?, mask)));
    let words = ordered(lots.collect()).into_iter().map(|(known, mask)| Word::Rejection {
        lot_hash: known.lot_hash,
        lot: known.lot.clone(),
        mask,
    });
    Ok(Plan { words: words.collect(), done: vec![] })
}

/// By first unit, so that the same question has the same answer.
fn ordered(mut lots: Vec<(&KnownLot, U256)>) -> Vec<(&KnownLot, U256)> {
    lots.sort_by_key(|(known, _)| {
        (known.lot.word, known.lot.mask.trailing_zeros(), known.lot_hash)
    });
    lots
}

enum Reviewable<'a> {
    /// Its review can still go either way.
    Open(&'a KnownLot),
    /// Approved or paid.
    Decided,
}

fn reviewable(record: &Record, unit: u32, chain_time: i64) -> Result<Reviewable<'_>, Problem> {
    let refuse = |code: Code, what: &str| {
        Err(code.because(format!("{} is {what}", name(record, unit))).at("frames"))
    };
    match unit_state(record, unit, chain_time) {
        UnitState::Queued => refuse(Code::NotRendered, "not rendered: it waits for a node"),
        UnitState::Leased | UnitState::Running => {
            refuse(Code::NotRendered, "not rendered: a node works on it")
        }
        UnitState::SoftFailed | UnitState::Lapsed => {
            refuse(Code::NotRendered, "not rendered: its last attempt came to nothing")
        }
        UnitState::Dead => refuse(Code::NotRendered, "given up after its last attempt"),
        UnitState::Rejected => refuse(Code::AlreadyRejected, "rejected already"),
        UnitState::Released => Ok(Reviewable::Decided),
        UnitState::Rendered | UnitState::Committed => match record.lot_of(unit) {
            Some(lot) => Ok(Reviewable::Open(lot)),
            None => refuse(Code::NotRendered, "delivered, but its lot is not known yet"),
        },
        UnitState::Approved => match record.lot_of(unit) {
            Some(lot) if !lot.is_decided() => {
                refuse(Code::WindowOver, "past its review window; it will be paid")
            }
            Some(_) | None => Ok(Reviewable::Decided),
        },
    }
}

fn name(record: &Record, unit: u32) -> String {
    match record.frame_of(unit) {
        Some(frame) => format!("frame {frame}"),
        None => format!("unit {unit}"),
    }
}

#[cfg(test)]
mod tests;
