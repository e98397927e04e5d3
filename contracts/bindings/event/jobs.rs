//! pure: what the escrow says of jobs and lots.

use alloy::primitives::{Address, B256, U256};
use serde::{Deserialize, Serialize};

use crate::JobId;
use crate::amount::Amount;
use crate::order::{Lot, Order};
use crate::text::checksummed;

/// An order became a job; `free`, `credit` and `seq` are the funder's afterwards, the job's
/// `seq` is 1. `credit_spent` came from the funder's credit, `pulled` from outside, the rest from
/// its free balance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    pub job_id: JobId,
    #[serde(with = "checksummed")]
    pub payer: Address,
    #[serde(with = "checksummed")]
    pub funder: Address,
    pub order: Order,
    pub credit_spent: Amount,
    pub pulled: Amount,
    pub free: Amount,
    pub credit: Amount,
    pub seq: u64,
}

/// Follows `Opened` when a delegate consented; `allowance` is what it may still open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DelegateSpent {
    pub job_id: JobId,
    #[serde(with = "checksummed")]
    pub payer: Address,
    #[serde(with = "checksummed")]
    pub agent: Address,
    pub amount: Amount,
    pub allowance: Amount,
    pub job_seq: u32,
}

/// `from` added money to a job from its free balance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToppedUp {
    pub job_id: JobId,
    #[serde(with = "checksummed")]
    pub from: Address,
    pub amount: Amount,
    pub funded: Amount,
    pub job_seq: u32,
    pub free: Amount,
    pub seq: u64,
}

/// Units of an unsealed lot were paid at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Released {
    pub job_id: JobId,
    #[serde(with = "checksummed")]
    pub node: Address,
    pub lot_hash: B256,
    pub lot: Lot,
    pub amount: Amount,
    pub fee: Amount,
    pub burn: Amount,
    pub released: Amount,
    pub job_seq: u32,
    pub free: Amount,
    pub seq: u64,
}

/// A lot was proposed: units and money are reserved until its window is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Committed {
    pub job_id: JobId,
    #[serde(with = "checksummed")]
    pub node: Address,
    pub lot_hash: B256,
    pub lot: Lot,
    pub amount: Amount,
    pub window_end: u64,
    pub approved: bool,
    pub pending: Amount,
    pub job_seq: u32,
}

/// A committed lot's window was ended: nobody can reject it any more. `by`, here and below: the
/// payer or the approver, whichever said so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approved {
    pub job_id: JobId,
    #[serde(with = "checksummed")]
    pub by: Address,
    pub lot_hash: B256,
    pub job_seq: u32,
}

/// Units of a committed lot were refused; their money is the job's again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejected {
    pub job_id: JobId,
    #[serde(with = "checksummed")]
    pub by: Address,
    pub lot_hash: B256,
    pub mask: U256,
    pub reason_hash: B256,
    pub amount: Amount,
    pub pending: Amount,
    pub job_seq: u32,
}

/// A committed lot was paid, less its rejected units; `key` opens its files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    pub job_id: JobId,
    #[serde(with = "checksummed")]
    pub node: Address,
    pub lot_hash: B256,
    pub key: B256,
    pub mask: U256,
    pub amount: Amount,
    pub fee: Amount,
    pub burn: Amount,
    pub released: Amount,
    pub pending: Amount,
    pub job_seq: u32,
    pub free: Amount,
    pub seq: u64,
}

/// A lot's key was never revealed: its units are free and its money the job's again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lapsed {
    pub job_id: JobId,
    pub lot_hash: B256,
    pub mask: U256,
    pub amount: Amount,
    pub pending: Amount,
    pub job_seq: u32,
}

/// One payout of a redemption: a node was paid for calls of a job without units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redeemed {
    pub job_id: JobId,
    #[serde(with = "checksummed")]
    pub node: Address,
    pub amount: Amount,
    pub fee: Amount,
    pub burn: Amount,
    pub released: Amount,
    pub job_seq: u32,
    pub free: Amount,
    pub seq: u64,
}

/// The payer's side asked the job to end: this is its work deadline now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloseRequested {
    pub job_id: JobId,
    #[serde(with = "checksummed")]
    pub by: Address,
    pub work_deadline: u64,
    pub job_seq: u32,
}

/// The job ended; what was neither paid nor pending returns by `Returned`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    pub job_id: JobId,
    pub job_seq: u32,
}

/// Money left a job for its payer's side; `funded` fell by `amount`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Returned {
    pub job_id: JobId,
    #[serde(with = "checksummed")]
    pub account: Address,
    pub amount: Amount,
    pub funded: Amount,
    pub job_seq: u32,
    pub free: Amount,
    pub seq: u64,
}

/// As `Returned`, of money that was credit: it is the payer's credit again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditReturned {
    pub job_id: JobId,
    #[serde(with = "checksummed")]
    pub account: Address,
    pub amount: Amount,
    pub funded: Amount,
    pub job_seq: u32,
    pub credit: Amount,
    pub seq: u64,
}
