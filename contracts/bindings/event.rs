//! pure: log -> Event and back; an unknown log of the escrow is an error.

mod accounts;
mod decoded;
mod encoded;
mod jobs;

pub use accounts::*;
pub use jobs::*;

use alloy::primitives::{Address, B256, Log, LogData};
use alloy::sol_types::SolEventInterface;
use serde::{Deserialize, Serialize};

use crate::amount::Amount;
use crate::order::{BURN_ACCOUNT, Order};
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
    CreditIssued(CreditIssued),
    DelegateSet(DelegateSet),
    DelegateRevoked(DelegateRevoked),
    CreditSettlerNamed(CreditSettlerNamed),
    Paused(Paused),
    Opened(Box<Opened>),
    DelegateSpent(DelegateSpent),
    ToppedUp(ToppedUp),
    Released(Released),
    Committed(Committed),
    Approved(Approved),
    Rejected(Rejected),
    Settled(Settled),
    Lapsed(Lapsed),
    Redeemed(Redeemed),
    CloseRequested(CloseRequested),
    Closed(Closed),
    Returned(Returned),
    CreditReturned(CreditReturned),
}

/// An account as an event leaves it: its sequence number, and each balance that the event tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountAfter {
    pub account: Address,
    pub free: Option<Amount>,
    pub credit: Option<Amount>,
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
            Self::CreditIssued(_) => "CreditIssued",
            Self::DelegateSet(_) => "DelegateSet",
            Self::DelegateRevoked(_) => "DelegateRevoked",
            Self::CreditSettlerNamed(_) => "CreditSettlerNamed",
            Self::Paused(_) => "Paused",
            Self::Opened(_) => "Opened",
            Self::DelegateSpent(_) => "DelegateSpent",
            Self::ToppedUp(_) => "ToppedUp",
            Self::Released(_) => "Released",
            Self::Committed(_) => "Committed",
            Self::Approved(_) => "Approved",
            Self::Rejected(_) => "Rejected",
            Self::Settled(_) => "Settled",
            Self::Lapsed(_) => "Lapsed",
            Self::Redeemed(_) => "Redeemed",
            Self::CloseRequested(_) => "CloseRequested",
            Self::Closed(_) => "Closed",
            Self::Returned(_) => "Returned",
            Self::CreditReturned(_) => "CreditReturned",
        }
    }

    pub fn job_id(&self) -> Option<JobId> {
        match self {
            Self::Deposited(_) | Self::Withdrawn(_) | Self::Burned(_) => None,
            Self::CreditIssued(_) | Self::DelegateSet(_) | Self::DelegateRevoked(_) => None,
            Self::CreditSettlerNamed(_) | Self::Paused(_) => None,
            Self::FeeCredited(e) => Some(e.job_id),
            Self::BurnCredited(e) => Some(e.job_id),
            Self::Opened(e) => Some(e.job_id),
            Self::DelegateSpent(e) => Some(e.job_id),
            Self::ToppedUp(e) => Some(e.job_id),
            Self::Released(e) => Some(e.job_id),
            Self::Committed(e) => Some(e.job_id),
            Self::Approved(e) => Some(e.job_id),
            Self::Rejected(e) => Some(e.job_id),
            Self::Settled(e) => Some(e.job_id),
            Self::Lapsed(e) => Some(e.job_id),
            Self::Redeemed(e) => Some(e.job_id),
            Self::CloseRequested(e) => Some(e.job_id),
            Self::Closed(e) => Some(e.job_id),
            Self::Returned(e) => Some(e.job_id),
            Self::CreditReturned(e) => Some(e.job_id),
        }
    }

    /// The job's sequence number after this event; None when the event does not count in the job.
    pub fn job_seq(&self) -> Option<u32> {
        match self {
            Self::Deposited(_) | Self::Withdrawn(_) | Self::Burned(_) => None,
            Self::CreditIssued(_) | Self::DelegateSet(_) | Self::DelegateRevoked(_) => None,
            Self::CreditSettlerNamed(_) | Self::Paused(_) => None,
            Self::FeeCredited(_) | Self::BurnCredited(_) => None,
            Self::Opened(_) => Some(1),
            Self::DelegateSpent(e) => Some(e.job_seq),
            Self::ToppedUp(e) => Some(e.job_seq),
            Self::Released(e) => Some(e.job_seq),
            Self::Committed(e) => Some(e.job_seq),
            Self::Approved(e) => Some(e.job_seq),
            Self::Rejected(e) => Some(e.job_seq),
            Self::Settled(e) => Some(e.job_seq),
            Self::Lapsed(e) => Some(e.job_seq),
            Self::Redeemed(e) => Some(e.job_seq),
            Self::CloseRequested(e) => Some(e.job_seq),
            Self::Closed(e) => Some(e.job_seq),
            Self::Returned(e) => Some(e.job_seq),
            Self::CreditReturned(e) => Some(e.job_seq),
        }
    }

    /// The one account that counts this event, as it is afterwards.
    pub fn account_after(&self) -> Option<AccountAfter> {
        let (account, free, credit, seq) = match self {
            Self::Deposited(e) => (e.account, Some(e.free), None, e.seq),
            Self::Withdrawn(e) => (e.account, Some(e.free), None, e.seq),
            Self::FeeCredited(e) => (e.account, Some(e.free), None, e.seq),
            Self::BurnCredited(e) => (BURN_ACCOUNT, Some(e.free), None, e.seq),
            Self::Burned(e) => (BURN_ACCOUNT, Some(e.free), None, e.seq),
            Self::CreditIssued(e) => (e.account, None, Some(e.credit), e.seq),
            Self::DelegateSet(e) => (e.payer, None, None, e.seq),
            Self::DelegateRevoked(e) => (e.payer, None, None, e.seq),
            Self::Opened(e) => (e.funder, Some(e.free), Some(e.credit), e.seq),
            Self::ToppedUp(e) => (e.from, Some(e.free), None, e.seq),
            Self::Released(e) => (e.node, Some(e.free), None, e.seq),
            Self::Settled(e) => (e.node, Some(e.free), None, e.seq),
            Self::Redeemed(e) => (e.node, Some(e.free), None, e.seq),
            Self::Returned(e) => (e.account, Some(e.free), None, e.seq),
            Self::CreditReturned(e) => (e.account, None, Some(e.credit), e.seq),
            Self::CreditSettlerNamed(_) | Self::Paused(_) | Self::DelegateSpent(_) => return None,
            Self::Committed(_) | Self::Approved(_) | Self::Rejected(_) => return None,
            Self::Lapsed(_) | Self::CloseRequested(_) | Self::Closed(_) => return None,
        };
        Some(AccountAfter { account, free, credit, seq })
    }

    /// Every account the event names, without repeats, those of an opened order included.
    pub fn accounts(&self) -> Vec<Address> {
        let mut accounts = match self {
            Self::Deposited(e) => vec![e.account, e.from],
            Self::Withdrawn(e) => vec![e.account, e.to],
            Self::FeeCredited(e) => vec![e.account],
            Self::BurnCredited(_) | Self::Burned(_) => vec![BURN_ACCOUNT],
            Self::CreditIssued(e) => vec![e.account],
            Self::DelegateSet(e) => vec![e.payer, e.agent, e.settler],
            Self::DelegateRevoked(e) => vec![e.payer, e.agent],
            Self::CreditSettlerNamed(e) => vec![e.settler],
            Self::DelegateSpent(e) => vec![e.payer, e.agent],
            Self::Opened(e) => {
                let Order { refund_to, approver, settler, fee_receiver, .. } = e.order;
                vec![e.payer, e.funder, refund_to, approver, settler, fee_receiver]
            }
            Self::ToppedUp(e) => vec![e.from],
            Self::Released(e) => vec![e.node],
            Self::Committed(e) => vec![e.node],
            Self::Settled(e) => vec![e.node],
            Self::Redeemed(e) => vec![e.node],
            Self::Returned(e) => vec![e.account],
            Self::CreditReturned(e) => vec![e.account],
            Self::Approved(e) => vec![e.by],
            Self::Rejected(e) => vec![e.by],
            Self::CloseRequested(e) => vec![e.by],
            Self::Lapsed(_) | Self::Closed(_) | Self::Paused(_) => vec![],
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

#[cfg(test)]
mod tests;
