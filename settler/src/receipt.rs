//! pure: whether a receipt is good for its order, unit and lease.

use std::collections::BTreeMap;

use alloy::primitives::{Address, B256};
use alloy::sol_types::Eip712Domain;
use contracts::JobId;
use contracts::signing::{self, SignatureProblem};

use crate::node::{DeliveredUnit, MAX_NAME};

/// How far a node's clock may differ from ours before its times are refused.
pub const CLOCK_SLACK: u64 = 300;

/// What the lease says a receipt must be.
#[derive(Debug)]
pub struct Expected<'a> {
    pub domain: &'a Eip712Domain,
    pub job_id: JobId,
    pub node: Address,
    /// Units of the lease and the attempt each one is.
    pub attempts: &'a BTreeMap<u32, u32>,
    /// keccak256 of the delivered lot key; zero when the lease is not sealed.
    pub key_commit: B256,
    pub taken_at: u64,
    pub now: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptProblem {
    #[error("receipt names job {found}, the lease is for {expected}")]
    OtherJob { found: JobId, expected: JobId },
    #[error("unit {unit} is not in this lease")]
    NotLeased { unit: u32 },
    #[error("receipt names attempt {found} of the unit, the lease is attempt {expected}")]
    OtherAttempt { found: u32, expected: u32 },
    #[error("receipt commits to key {found}, the delivered lot key hashes to {expected}")]
    OtherKey { found: B256, expected: B256 },
    #[error("receipt ends at {finished_at}, before its start at {started_at}")]
    EndsBeforeStart { started_at: u64, finished_at: u64 },
    #[error("receipt says {at}, outside {from} to {until}, the time of the lease; set the clock")]
    OutsideLease { at: u64, from: u64, until: u64 },
    #[error("receipt is signed by {found}, the lease is {expected}'s")]
    OtherSigner { found: Address, expected: Address },
    #[error("receipt's signature: {0}")]
    Signature(#[from] SignatureProblem),
    #[error("file name has {0} bytes; 1 to {MAX_NAME} are allowed")]
    NameLength(usize),
}

/// Checks everything that needs no file. The first problem found is told.
pub fn check(delivered: &DeliveredUnit, expected: &Expected<'_>) -> Result<(), ReceiptProblem> {
    let receipt = &delivered.receipt;
    if receipt.job_id != expected.job_id {
        let (found, expected) = (receipt.job_id, expected.job_id);
        return Err(ReceiptProblem::OtherJob { found, expected });
    }
    let attempt = expected.attempts.get(&receipt.unit);
    let attempt = *attempt.ok_or(ReceiptProblem::NotLeased { unit: receipt.unit })?;
    if receipt.attempt != attempt {
        let found = receipt.attempt;
        return Err(ReceiptProblem::OtherAttempt { found, expected: attempt });
    }
    if receipt.key_commit != expected.key_commit {
        let (found, expected) = (receipt.key_commit, expected.key_commit);
        return Err(ReceiptProblem::OtherKey { found, expected });
    }
    check_times(receipt.started_at, receipt.finished_at, expected)?;
    let name = delivered.file_name.len();
    if !(1..=MAX_NAME).contains(&name) {
        return Err(ReceiptProblem::NameLength(name));
    }
    let found = signing::recover(receipt.digest(expected.domain), &delivered.signature)?;
    if found != expected.node {
        return Err(ReceiptProblem::OtherSigner { found, expected: expected.node });
    }
    Ok(())
}

fn check_times(
    started_at: u64,
    finished_at: u64,
    expected: &Expected<'_>,
) -> Result<(), ReceiptProblem> {
    if finished_at < started_at {
        return Err(ReceiptProblem::EndsBeforeStart { started_at, finished_at });
    }
    let from = expected.taken_at.saturating_sub(CLOCK_SLACK);
    let until = expected.now.saturating_add(CLOCK_SLACK);
    let outside = [started_at, finished_at].into_iter().find(|at| !(from..=until).contains(at));
    outside.map_or(Ok(()), |at| Err(ReceiptProblem::OutsideLease { at, from, until }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy::signers::SignerSync;
    use alloy::signers::local::PrivateKeySigner;
    use contracts::{Receipt, order};

    fn signed(receipt: Receipt, key: &PrivateKeySigner, domain: &Eip712Domain) -> DeliveredUnit {
        let signature = key.sign_hash_sync(&receipt.digest(domain)).unwrap();
        DeliveredUnit {
            receipt,
            signature: signature.as_bytes().into(),
            file_name: "demo_0001.png".into(),
            opened_hash: B256::ZERO,
            stored_hash: B256::ZERO,
        }
    }

    fn receipt() -> Receipt {
        Receipt {
            job_id: B256::repeat_byte(1),
            unit: 5,
            attempt: 2,
            output_hash: B256::repeat_byte(2),
            preview_hash: B256::repeat_byte(3),
            key_commit: B256::repeat_byte(4),
            started_at: 1_000,
            finished_at: 1_010,
        }
    }

    #[test]
    fn a_receipt_is_good_only_for_its_lease() {
        let key = PrivateKeySigner::random();
        let domain = order::domain(1337, Address::repeat_byte(9));
        let attempts = BTreeMap::from([(5, 2), (6, 1)]);
        let expected = Expected {
            domain: &domain,
            job_id: B256::repeat_byte(1),
            node: key.address(),
            attempts: &attempts,
            key_commit: B256::repeat_byte(4),
            taken_at: 990,
            now: 1_020,
        };
        assert_eq!(check(&signed(receipt(), &key, &domain), &expected), Ok(()));
        let refused = |change: &dyn Fn(&mut Receipt)| {
            let mut receipt = receipt();
            change(&mut receipt);
            check(&signed(receipt, &key, &domain), &expected).unwrap_err()
        };
        assert!(matches!(refused(&|r| r.job_id = B256::ZERO), ReceiptProblem::OtherJob { .. }));
        assert_eq!(refused(&|r| r.unit = 7), ReceiptProblem::NotLeased { unit: 7 });
        assert_eq!(
            refused(&|r| r.unit = 6),
            ReceiptProblem::OtherAttempt { found: 2, expected: 1 }
        );
        assert!(matches!(refused(&|r| r.key_commit = B256::ZERO), ReceiptProblem::OtherKey { .. }));
        assert!(matches!(
            refused(&|r| r.finished_at = 999),
            ReceiptProblem::EndsBeforeStart { .. }
        ));
        assert!(matches!(
            refused(&|r| r.started_at = 1),
            ReceiptProblem::OutsideLease { at: 1, .. }
        ));
        assert!(matches!(
            refused(&|r| r.finished_at = 5_000),
            ReceiptProblem::OutsideLease { at: 5_000, .. }
        ));
    }

    #[test]
    fn signatures_of_others_other_domains_and_altered_receipts_are_refused() {
        let (key, thief) = (PrivateKeySigner::random(), PrivateKeySigner::random());
        let domain = order::domain(1337, Address::repeat_byte(9));
        let other = order::domain(1, Address::repeat_byte(9));
        let attempts = BTreeMap::from([(5, 2)]);
        let expected = Expected {
            domain: &domain,
            job_id: B256::repeat_byte(1),
            node: key.address(),
            attempts: &attempts,
            key_commit: B256::repeat_byte(4),
            taken_at: 990,
            now: 1_020,
        };
        let mut altered = signed(receipt(), &key, &domain);
        altered.receipt.output_hash = B256::ZERO;
        let forged = [signed(receipt(), &thief, &domain), signed(receipt(), &key, &other), altered];
        for delivered in forged {
            let problem = check(&delivered, &expected).unwrap_err();
            assert!(matches!(problem, ReceiptProblem::OtherSigner { .. }), "{problem}");
        }
        let mut short = signed(receipt(), &key, &domain);
        short.signature = short.signature.slice(..64);
        let problem = check(&short, &expected).unwrap_err();
        assert_eq!(problem, ReceiptProblem::Signature(SignatureProblem::Length(64)));
    }
}
