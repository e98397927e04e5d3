//! pure: an event as the columns of its row and back, without loss.

use std::borrow::Cow;

use alloy::primitives::{Address, B256, U256};
use contracts::event::{Committed, DelegateSet, DelegateSpent, Event};
use contracts::{Amount, Lot, Order};

mod read;
pub(crate) use read::event_of;

/// The columns of `events` that depend on the kind. `account`, `free`, `credit` and `seq` are those
/// of the one account that counts the event, but an office's event has its own `seq` there.
/// `counterparty` is the other one it names, `party` a third.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Columns {
    pub kind: Cow<'static, str>,
    pub job_id: Option<B256>,
    pub account: Option<Address>,
    pub counterparty: Option<Address>,
    pub lot_hash: Option<B256>,
    pub amount: Option<Amount>,
    pub fee: Option<Amount>,
    pub burn: Option<Amount>,
    pub free: Option<Amount>,
    pub seq: Option<u64>,
    pub funded: Option<Amount>,
    pub released: Option<Amount>,
    pub pending: Option<Amount>,
    pub job_seq: Option<u32>,
    pub mask: Option<U256>,
    pub at: Option<u64>,
    pub approved: Option<bool>,
    pub hash: Option<B256>,
    pub credit: Option<Amount>,
    pub spent: Option<Amount>,
    pub allowance: Option<Amount>,
    pub max_per_job: Option<Amount>,
    pub party: Option<Address>,
}

pub(crate) fn columns_of(event: &Event) -> Columns {
    let after = event.account_after();
    let all = Columns {
        kind: kind_of(event).into(),
        job_id: event.job_id(),
        account: after.map(|a| a.account),
        free: after.and_then(|a| a.free),
        credit: after.and_then(|a| a.credit),
        seq: after.map(|a| a.seq),
        job_seq: event.job_seq(),
        ..Columns::default()
    };
    match event {
        Event::Deposited(e) => {
            Columns { counterparty: Some(e.from), amount: Some(e.amount), ..all }
        }
        Event::Withdrawn(e) => Columns { counterparty: Some(e.to), amount: Some(e.amount), ..all },
        Event::FeeCredited(e) => Columns { amount: Some(e.amount), ..all },
        Event::BurnCredited(e) => Columns { amount: Some(e.amount), ..all },
        Event::Burned(e) => Columns { amount: Some(e.amount), ..all },
        Event::CreditIssued(e) => Columns { amount: Some(e.amount), ..all },
        Event::DelegateSet(e) => delegate_set(e, all),
        Event::DelegateRevoked(e) => Columns { counterparty: Some(e.agent), ..all },
        Event::CreditSettlerNamed(e) => {
            Columns { counterparty: Some(e.settler), seq: Some(e.seq), ..all }
        }
        Event::Paused(e) => Columns { at: Some(e.until), seq: Some(e.seq), ..all },
        Event::Opened(e) => Columns {
            counterparty: Some(e.payer),
            spent: Some(e.credit_spent),
            amount: Some(e.pulled),
            ..all
        },
        Event::DelegateSpent(e) => delegate_spent(e, all),
        Event::ToppedUp(e) => Columns { amount: Some(e.amount), funded: Some(e.funded), ..all },
        Event::Released(e) => {
            let all = Columns { lot_hash: Some(e.lot_hash), ..all };
            paid(e.amount, e.fee, e.burn, e.released, all)
        }
        Event::Committed(e) => committed(e, all),
        Event::Approved(e) => {
            Columns { counterparty: Some(e.by), lot_hash: Some(e.lot_hash), ..all }
        }
        Event::Rejected(e) => {
            let all = Columns { counterparty: Some(e.by), hash: Some(e.reason_hash), ..all };
            freed(e.lot_hash, e.mask, e.amount, e.pending, all)
        }
        Event::Settled(e) => {
            let all = freed(e.lot_hash, e.mask, e.amount, e.pending, all);
            paid(e.amount, e.fee, e.burn, e.released, Columns { hash: Some(e.key), ..all })
        }
        Event::Lapsed(e) => freed(e.lot_hash, e.mask, e.amount, e.pending, all),
        Event::Redeemed(e) => paid(e.amount, e.fee, e.burn, e.released, all),
        Event::CloseRequested(e) => {
            Columns { counterparty: Some(e.by), at: Some(e.work_deadline), ..all }
        }
        Event::Closed(_) => all,
        Event::Returned(e) => Columns { amount: Some(e.amount), funded: Some(e.funded), ..all },
        Event::CreditReturned(e) => {
            Columns { amount: Some(e.amount), funded: Some(e.funded), ..all }
        }
    }
}

fn delegate_set(e: &DelegateSet, all: Columns) -> Columns {
    Columns {
        counterparty: Some(e.agent),
        party: Some(e.settler),
        allowance: Some(e.allowance),
        max_per_job: Some(e.max_per_job),
        at: Some(e.expiry),
        ..all
    }
}

fn delegate_spent(e: &DelegateSpent, all: Columns) -> Columns {
    Columns {
        counterparty: Some(e.agent),
        party: Some(e.payer),
        amount: Some(e.amount),
        allowance: Some(e.allowance),
        ..all
    }
}

fn committed(e: &Committed, all: Columns) -> Columns {
    Columns {
        counterparty: Some(e.node),
        lot_hash: Some(e.lot_hash),
        amount: Some(e.amount),
        at: Some(e.window_end),
        approved: Some(e.approved),
        pending: Some(e.pending),
        ..all
    }
}

/// Money that left a job, with its shares.
fn paid(amount: Amount, fee: Amount, burn: Amount, released: Amount, all: Columns) -> Columns {
    let (amount, released) = (Some(amount), Some(released));
    Columns { amount, fee: Some(fee), burn: Some(burn), released, ..all }
}

/// Units of a lot that are pending no more.
fn freed(lot_hash: B256, mask: U256, amount: Amount, pending: Amount, all: Columns) -> Columns {
    let (lot_hash, mask) = (Some(lot_hash), Some(mask));
    Columns { lot_hash, mask, amount: Some(amount), pending: Some(pending), ..all }
}

/// The word that names an event's kind in its row.
pub(crate) fn kind_of(event: &Event) -> &'static str {
    match event {
        Event::Deposited(_) => "deposited",
        Event::Withdrawn(_) => "withdrawn",
        Event::FeeCredited(_) => "fee_credited",
        Event::BurnCredited(_) => "burn_credited",
        Event::Burned(_) => "burned",
        Event::CreditIssued(_) => "credit_issued",
        Event::DelegateSet(_) => "delegate_set",
        Event::DelegateRevoked(_) => "delegate_revoked",
        Event::CreditSettlerNamed(_) => "credit_settler_named",
        Event::Paused(_) => "paused",
        Event::Opened(_) => "opened",
        Event::DelegateSpent(_) => "delegate_spent",
        Event::ToppedUp(_) => "topped_up",
        Event::Released(_) => "released",
        Event::Committed(_) => "committed",
        Event::Approved(_) => "approved",
        Event::Rejected(_) => "rejected",
        Event::Settled(_) => "settled",
        Event::Lapsed(_) => "lapsed",
        Event::Redeemed(_) => "redeemed",
        Event::CloseRequested(_) => "close_requested",
        Event::Closed(_) => "closed",
        Event::Returned(_) => "returned",
        Event::CreditReturned(_) => "credit_returned",
    }
}

#[cfg(test)]
mod tests;
