//! pure: what the escrow says of accounts, delegates and offices.

use alloy::primitives::Address;
use serde::{Deserialize, Serialize};

use crate::JobId;
use crate::amount::Amount;
use crate::text::checksummed;

/// Tokens came in for `account`, paid by `from`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deposited {
    #[serde(with = "checksummed")]
    pub account: Address,
    #[serde(with = "checksummed")]
    pub from: Address,
    pub amount: Amount,
    pub free: Amount,
    pub seq: u64,
}

/// Tokens left `account` to `to`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdrawn {
    #[serde(with = "checksummed")]
    pub account: Address,
    #[serde(with = "checksummed")]
    pub to: Address,
    pub amount: Amount,
    pub free: Amount,
    pub seq: u64,
}

/// The fee share of one release or settle, summed over its lots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeeCredited {
    pub job_id: JobId,
    #[serde(with = "checksummed")]
    pub account: Address,
    pub amount: Amount,
    pub free: Amount,
    pub seq: u64,
}

/// The burn share of one release or settle, credited to the dead address's account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BurnCredited {
    pub job_id: JobId,
    pub amount: Amount,
    pub free: Amount,
    pub seq: u64,
}

/// The dead address's account was sent to the dead address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Burned {
    pub amount: Amount,
    pub free: Amount,
    pub seq: u64,
}

/// The issuer paid in `amount` for credit of `account`: spend-only money.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditIssued {
    #[serde(with = "checksummed")]
    pub account: Address,
    pub amount: Amount,
    pub credit: Amount,
    pub seq: u64,
}

/// `agent` may open jobs on the payer's account within these bounds; `seq` is the payer's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DelegateSet {
    #[serde(with = "checksummed")]
    pub payer: Address,
    #[serde(with = "checksummed")]
    pub agent: Address,
    #[serde(with = "checksummed")]
    pub settler: Address,
    pub allowance: Amount,
    pub max_per_job: Amount,
    pub expiry: u64,
    pub seq: u64,
}

/// `agent` opens nothing on the payer's account any more; `seq` is the payer's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DelegateRevoked {
    #[serde(with = "checksummed")]
    pub payer: Address,
    #[serde(with = "checksummed")]
    pub agent: Address,
    pub seq: u64,
}

/// Credit is spent with this settler alone from now on; zero: with none. `seq` is the offices'.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditSettlerNamed {
    #[serde(with = "checksummed")]
    pub settler: Address,
    pub seq: u64,
}

/// The ways in wait until `until`, which is now when a pause was ended; `seq` is the offices'.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paused {
    pub until: u64,
    pub seq: u64,
}
