//! pure: what a review signs, recomputed from the lots, and whether it is what was asked for.
use std::collections::BTreeSet;

use alloy::primitives::{B256, U256, keccak256};
use alloy::sol_types::Eip712Domain;
use contracts::order::lot_hash;
use contracts::signing::{Rejection, approval, signing_hash};
use contracts::units::units_in;
use contracts::{JobId, Lot};

use crate::exit::{Failure, Outcome};

/// A lot as the API shows it, its hash made here from its fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownLot {
    pub lot_hash: B256,
    pub lot: Lot,
    /// Units of it that were rejected before.
    pub rejected: U256,
}

impl KnownLot {
    /// Refuses a lot that a server shows under another hash than its own.
    pub fn new(job_id: JobId, lot: Lot, rejected: U256, shown: B256) -> Outcome<KnownLot> {
        let lot_hash = lot_hash(job_id, &lot);
        if lot_hash != shown {
            let text = format!("the server shows lot {shown}, but its fields hash to {lot_hash}");
            return Err(Failure::mismatch(text));
        }
        Ok(KnownLot { lot_hash, lot, rejected })
    }
}

/// One thing the server wants signed, by the hashes of its lots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    Approval { lot_hashes: Vec<B256> },
    Rejection { lot_hash: B256, mask: U256 },
}

/// What the person wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish<'a> {
    /// These units are approved; others of the same lots are rejected only when `rest` says so.
    Approve {
        rest: bool,
    },
    Reject {
        reason: &'a str,
    },
}

/// The digests to sign, one for each word; none unless all of them together say exactly the wish.
pub fn digests(
    words: &[Word],
    lots: &[KnownLot],
    wanted: &BTreeSet<u32>,
    wish: Wish<'_>,
    job_id: JobId,
    domain: &Eip712Domain,
) -> Outcome<Vec<B256>> {
    let find = |hash: &B256| {
        let known = lots.iter().find(|lot| lot.lot_hash == *hash);
        known.ok_or_else(|| Failure::mismatch(format!("the server names an unknown lot {hash}")))
    };
    let mut rejected: BTreeSet<u32> = BTreeSet::new();
    for word in words {
        if let Word::Rejection { lot_hash, mask } = word {
            let known = find(lot_hash)?;
            if (*mask & !known.lot.mask) != U256::ZERO {
                return Err(Failure::mismatch(format!(
                    "a rejection reaches beyond lot {lot_hash}"
                )));
            }
            rejected.extend(units_in(known.lot.word, *mask));
        }
    }
    let mut approved: BTreeSet<u32> = BTreeSet::new();
    let mut found = Vec::new();
    for word in words {
        found.push(match word {
            Word::Approval { lot_hashes } => {
                let mut named = Vec::new();
                for hash in lot_hashes {
                    let known = find(hash)?;
                    let live = units_in(known.lot.word, known.lot.mask & !known.rejected);
                    approved.extend(live.into_iter().filter(|unit| !rejected.contains(unit)));
                    named.push(known.lot.clone());
                }
                signing_hash(&approval(job_id, &named), domain)
            }
            Word::Rejection { lot_hash, mask } => {
                let reason_hash = match wish {
                    Wish::Approve { .. } => reason_hash(REST_REASON),
                    Wish::Reject { reason } => reason_hash(reason),
                };
                let act = Rejection {
                    jobId: job_id,
                    lotHash: *lot_hash,
                    mask: *mask,
                    reasonHash: reason_hash,
                };
                signing_hash(&act, domain)
            }
        });
    }
    check(&approved, &rejected, wanted, wish)?;
    Ok(found)
}

/// The reason signed for units that fall because only a part of their lot is approved.
pub const REST_REASON: &str = "";

pub fn reason_hash(reason: &str) -> B256 {
    keccak256(reason)
}

fn check(
    approved: &BTreeSet<u32>,
    rejected: &BTreeSet<u32>,
    wanted: &BTreeSet<u32>,
    wish: Wish<'_>,
) -> Outcome {
    let list = |units: &BTreeSet<u32>| format!("{:?}", units.iter().collect::<Vec<_>>());
    match wish {
        Wish::Approve { rest } => {
            if !approved.is_subset(wanted) {
                let text = format!(
                    "the server wants units {} approved, asked were {}",
                    list(approved),
                    list(wanted)
                );
                return Err(Failure::mismatch(text));
            }
            if rejected.intersection(wanted).next().is_some() {
                let text = format!("the server wants units {} rejected", list(rejected));
                return Err(Failure::mismatch(text));
            }
            if !rejected.is_empty() && !rest {
                let text = format!(
                    "units {} were delivered in the same lots: approving a part of a lot rejects \
                     its rest, which is then rendered again",
                    list(rejected)
                );
                let hint = "approve them too, or add --reject-rest";
                return Err(Failure::usage(text, hint));
            }
            Ok(())
        }
        Wish::Reject { .. } => {
            if approved.is_empty() && rejected == wanted {
                return Ok(());
            }
            let text = format!(
                "the server wants units {} rejected and {} approved; asked was to reject {}",
                list(rejected),
                list(approved),
                list(wanted)
            );
            Err(Failure::mismatch(text))
        }
    }
}

#[cfg(test)]
mod tests;
