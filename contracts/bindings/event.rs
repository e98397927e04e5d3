//! pure: log -> Event and back; an unknown log of the escrow is an error.

mod decoded;
mod encoded;

use alloy::primitives::{Address, B256, Log, LogData, U256};
use alloy::sol_types::SolEventInterface;
use serde::{Deserialize, Serialize};

use crate::amount::Amount;
use crate::order::{BURN_ACCOUNT, Lot, Order};
use crate::text::checksummed;
use crate::{JobId, RenderEscrow};

use RenderEscrow::RenderEscrowEvents as Raw;

/// Everything the escrow says. Each variant's fields are those of the contract's event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    Deposited(Deposited),
    Withdrawn(Withdrawn),
    FeeCredited(FeeCredited),
    BurnCredited(BurnCredited),
    Burned(Burned),
    Opened(Box<Opened>),
    ToppedUp(ToppedUp),
    Released(Released),
    Committed(Committed),
    Approved(Approved),
    Rejected(Rejected),
    Settled(Settled),
    Lapsed(Lapsed),
    CloseRequested(CloseRequested),
    Closed(Closed),
    Returned(Returned),
}

/// An account as an event leaves it: its free balance and its sequence number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountAfter {
    pub account: Address,
    pub free: Amount,
    pub seq: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("log is of {found}, not of the escrow {escrow}")]
    OtherContract { escrow: Address, found: Address },
    #[error(
        "log with topic {topic} is none of the escrow's known events; this program is older than \
         the contract, or the address is not the escrow"
    )]
    Unknown { topic: B256 },
    #[error("log without topics; the escrow writes none")]
    NoTopic,
    #[error("log with topic {topic} does not fit its event: {reason}")]
    Malformed { topic: B256, reason: String },
}

/// A log of the escrow, by its address, as an event.
pub fn decode(escrow: Address, log: &Log) -> Result<Event, DecodeError> {
    if log.address != escrow {
        return Err(DecodeError::OtherContract { escrow, found: log.address });
    }
    decode_parts(log.topics(), &log.data.data)
}

/// The topics and data of a log that is known to be the escrow's.
pub fn decode_parts(topics: &[B256], data: &[u8]) -> Result<Event, DecodeError> {
    let topic = *topics.first().ok_or(DecodeError::NoTopic)?;
    if !Raw::SELECTORS.contains(&topic.0) {
        return Err(DecodeError::Unknown { topic });
    }
    let malformed = |reason: String| DecodeError::Malformed { topic, reason };
    let raw = Raw::decode_raw_log(topics, data).map_err(|e| malformed(e.to_string()))?;
    let event = decoded::event(raw).ok_or(DecodeError::Unknown { topic })?;
    // The contract's encoding is canonical, so anything that does not come back the same is not
    // from the contract: spare bytes, dirty padding, a number too wide for its field.
    let again = event.encode();
    if again.topics() != topics || again.data.as_ref() != data {
        return Err(malformed("encoded again it gives other bytes".into()));
    }
    Ok(event)
}

impl Event {
    /// The event's name in the contract.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Deposited(_) => "Deposited",
            Self::Withdrawn(_) => "Withdrawn",
            Self::FeeCredited(_) => "FeeCredited",
            Self::BurnCredited(_) => "BurnCredited",
            Self::Burned(_) => "Burned",
            Self::Opened(_) => "Opened",
            Self::ToppedUp(_) => "ToppedUp",
            Self::Released(_) => "Released",
            Self::Committed(_) => "Committed",
            Self::Approved(_) => "Approved",
            Self::Rejected(_) => "Rejected",
            Self::Settled(_) => "Settled",
            Self::Lapsed(_) => "Lapsed",
            Self::CloseRequested(_) => "CloseRequested",
            Self::Closed(_) => "Closed",
            Self::Returned(_) => "Returned",
        }
    }

    pub fn job_id(&self) -> Option<JobId> {
        match self {
            Self::Deposited(_) | Self::Withdrawn(_) | Self::Burned(_) => None,
            Self::FeeCredited(e) => Some(e.job_id),
            Self::BurnCredited(e) => Some(e.job_id),
            Self::Opened(e) => Some(e.job_id),
            Self::ToppedUp(e) => Some(e.job_id),
            Self::Released(e) => Some(e.job_id),
            Self::Committed(e) => Some(e.job_id),
            Self::Approved(e) => Some(e.job_id),
            Self::Rejected(e) => Some(e.job_id),
            Self::Settled(e) => Some(e.job_id),
            Self::Lapsed(e) => Some(e.job_id),
            Self::CloseRequested(e) => Some(e.job_id),
            Self::Closed(e) => Some(e.job_id),
            Self::Returned(e) => Some(e.job_id),
        }
    }

    /// The job's sequence number after this event; None when the event does not count in the job.
    pub fn job_seq(&self) -> Option<u32> {
        match self {
            Self::Deposited(_) | Self::Withdrawn(_) | Self::Burned(_) => None,
            Self::FeeCredited(_) | Self::BurnCredited(_) => None,
            Self::Opened(_) => Some(1),
            Self::ToppedUp(e) => Some(e.job_seq),
            Self::Released(e) => Some(e.job_seq),
            Self::Committed(e) => Some(e.job_seq),
            Self::Approved(e) => Some(e.job_seq),
            Self::Rejected(e) => Some(e.job_seq),
            Self::Settled(e) => Some(e.job_seq),
            Self::Lapsed(e) => Some(e.job_seq),
            Self::CloseRequested(e) => Some(e.job_seq),
            Self::Closed(e) => Some(e.job_seq),
            Self::Returned(e) => Some(e.job_seq),
        }
    }

    /// The one account whose balance this event moves, as it is afterwards.
    pub fn account_after(&self) -> Option<AccountAfter> {
        let (account, free, seq) = match self {
            Self::Deposited(e) => (e.account, e.free, e.seq),
            Self::Withdrawn(e) => (e.account, e.free, e.seq),
            Self::FeeCredited(e) => (e.account, e.free, e.seq),
            Self::BurnCredited(e) => (BURN_ACCOUNT, e.free, e.seq),
            Self::Burned(e) => (BURN_ACCOUNT, e.free, e.seq),
            Self::Opened(e) => (e.funder, e.free, e.seq),
            Self::ToppedUp(e) => (e.from, e.free, e.seq),
            Self::Released(e) => (e.node, e.free, e.seq),
            Self::Settled(e) => (e.node, e.free, e.seq),
            Self::Returned(e) => (e.account, e.free, e.seq),
            Self::Committed(_) | Self::Approved(_) | Self::Rejected(_) => return None,
            Self::Lapsed(_) | Self::CloseRequested(_) | Self::Closed(_) => return None,
        };
        Some(AccountAfter { account, free, seq })
    }

    /// Every account the event names, without repeats, those of an opened order included.
    pub fn accounts(&self) -> Vec<Address> {
        let mut accounts = match self {
            Self::Deposited(e) => vec![e.account, e.from],
            Self::Withdrawn(e) => vec![e.account, e.to],
            Self::FeeCredited(e) => vec![e.account],
            Self::BurnCredited(_) | Self::Burned(_) => vec![BURN_ACCOUNT],
            Self::Opened(e) => {
                let Order { refund_to, approver, settler, fee_receiver, .. } = e.order;
                vec![e.payer, e.funder, refund_to, approver, settler, fee_receiver]
            }
            Self::ToppedUp(e) => vec![e.from],
            Self::Released(e) => vec![e.node],
            Self::Committed(e) => vec![e.node],
            Self::Settled(e) => vec![e.node],
            Self::Returned(e) => vec![e.account],
            Self::Approved(_) | Self::Rejected(_) | Self::Lapsed(_) => vec![],
            Self::CloseRequested(_) | Self::Closed(_) => vec![],
        };
        accounts.retain(|account| !account.is_zero());
        accounts.sort();
        accounts.dedup();
        accounts
    }

    /// Topics and data as the contract writes them.
    pub fn encode(&self) -> LogData {
        encoded::log_data(self)
    }
}

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

/// An order became a job; `free` and `seq` are the funder's afterwards, the job's `seq` is 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    pub job_id: JobId,
    #[serde(with = "checksummed")]
    pub payer: Address,
    #[serde(with = "checksummed")]
    pub funder: Address,
    pub order: Order,
    pub pulled: Amount,
    pub free: Amount,
    pub seq: u64,
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

/// A committed lot's window was ended: nobody can reject it any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approved {
    pub job_id: JobId,
    pub lot_hash: B256,
    pub job_seq: u32,
}

/// Units of a committed lot were refused; their money is the job's again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejected {
    pub job_id: JobId,
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

/// The payer's side asked the job to end: this is its work deadline now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloseRequested {
    pub job_id: JobId,
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

#[cfg(test)]
mod tests;
