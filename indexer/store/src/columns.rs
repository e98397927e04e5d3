//! pure: an event as the columns of its row and back, without loss.

use alloy::primitives::{Address, B256, U256};
use contracts::event::{
    Approved, BurnCredited, Burned, CloseRequested, Closed, Committed, Deposited, Event,
    FeeCredited, Lapsed, Opened, Rejected, Released, Returned, Settled, ToppedUp, Withdrawn,
};
use contracts::{Amount, Lot, Order};

/// The columns of `events` that depend on the kind. `account`, `free` and `seq` are always those
/// of the one account whose balance the event moves; `counterparty` is the other one it names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Columns {
    pub kind: String,
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
}

pub(crate) fn columns_of(event: &Event) -> Columns {
    let after = event.account_after();
    let all = Columns {
        kind: kind_of(event).to_owned(),
        job_id: event.job_id(),
        account: after.map(|a| a.account),
        free: after.map(|a| a.free),
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
        Event::Opened(e) => Columns { counterparty: Some(e.payer), amount: Some(e.pulled), ..all },
        Event::ToppedUp(e) => Columns { amount: Some(e.amount), funded: Some(e.funded), ..all },
        Event::Released(e) => Columns {
            lot_hash: Some(e.lot_hash),
            amount: Some(e.amount),
            fee: Some(e.fee),
            burn: Some(e.burn),
            released: Some(e.released),
            ..all
        },
        Event::Committed(e) => Columns {
            counterparty: Some(e.node),
            lot_hash: Some(e.lot_hash),
            amount: Some(e.amount),
            at: Some(e.window_end),
            approved: Some(e.approved),
            pending: Some(e.pending),
            ..all
        },
        Event::Approved(e) => Columns { lot_hash: Some(e.lot_hash), ..all },
        Event::Rejected(e) => Columns {
            lot_hash: Some(e.lot_hash),
            mask: Some(e.mask),
            hash: Some(e.reason_hash),
            amount: Some(e.amount),
            pending: Some(e.pending),
            ..all
        },
        Event::Settled(e) => Columns {
            lot_hash: Some(e.lot_hash),
            hash: Some(e.key),
            mask: Some(e.mask),
            amount: Some(e.amount),
            fee: Some(e.fee),
            burn: Some(e.burn),
            released: Some(e.released),
            pending: Some(e.pending),
            ..all
        },
        Event::Lapsed(e) => Columns {
            lot_hash: Some(e.lot_hash),
            mask: Some(e.mask),
            amount: Some(e.amount),
            pending: Some(e.pending),
            ..all
        },
        Event::CloseRequested(e) => Columns { at: Some(e.work_deadline), ..all },
        Event::Closed(_) => all,
        Event::Returned(e) => Columns { amount: Some(e.amount), funded: Some(e.funded), ..all },
    }
}

fn kind_of(event: &Event) -> &'static str {
    match event {
        Event::Deposited(_) => "deposited",
        Event::Withdrawn(_) => "withdrawn",
        Event::FeeCredited(_) => "fee_credited",
        Event::BurnCredited(_) => "burn_credited",
        Event::Burned(_) => "burned",
        Event::Opened(_) => "opened",
        Event::ToppedUp(_) => "topped_up",
        Event::Released(_) => "released",
        Event::Committed(_) => "committed",
        Event::Approved(_) => "approved",
        Event::Rejected(_) => "rejected",
        Event::Settled(_) => "settled",
        Event::Lapsed(_) => "lapsed",
        Event::CloseRequested(_) => "close_requested",
        Event::Closed(_) => "closed",
        Event::Returned(_) => "returned",
    }
}

/// A column that the event's kind must have, or which one is missing.
fn need<T>(value: Option<T>, column: &'static str) -> Result<T, String> {
    value.ok_or_else(|| format!("no {column}"))
}

/// The event of a row. `order` is that of the job, needed by an opened event; `lot` that of the
/// lot hash, needed by released and committed. Also refuses columns the kind does not have.
pub(crate) fn event_of(
    columns: &Columns,
    order: Option<Order>,
    lot: Option<Lot>,
) -> Result<Event, String> {
    let event = match columns.kind.as_str() {
        "opened" => opened(columns, need(order, "order in job_orders")?)?,
        "released" => released(columns, need(lot, "lot in lots")?)?,
        "committed" => committed(columns, need(lot, "lot in lots")?)?,
        "deposited" | "withdrawn" | "fee_credited" | "burn_credited" | "burned" => {
            account_event(columns)?
        }
        _ => job_event(columns)?,
    };
    let again = columns_of(&event);
    if again != *columns {
        return Err(format!("a {} event in other columns than its own", columns.kind));
    }
    Ok(event)
}

fn account_event(c: &Columns) -> Result<Event, String> {
    let amount = need(c.amount, "amount")?;
    let free = need(c.free, "free")?;
    let seq = need(c.seq, "seq")?;
    let account = need(c.account, "account")?;
    Ok(match c.kind.as_str() {
        "deposited" => {
            let from = need(c.counterparty, "counterparty")?;
            Event::Deposited(Deposited { account, from, amount, free, seq })
        }
        "withdrawn" => {
            let to = need(c.counterparty, "counterparty")?;
            Event::Withdrawn(Withdrawn { account, to, amount, free, seq })
        }
        "fee_credited" => {
            let job_id = need(c.job_id, "job_id")?;
            Event::FeeCredited(FeeCredited { job_id, account, amount, free, seq })
        }
        "burn_credited" => {
            let job_id = need(c.job_id, "job_id")?;
            Event::BurnCredited(BurnCredited { job_id, amount, free, seq })
        }
        "burned" => Event::Burned(Burned { amount, free, seq }),
        other => return Err(format!("`{other}` is no kind of event")),
    })
}

fn opened(c: &Columns, order: Order) -> Result<Event, String> {
    Ok(Event::Opened(Box::new(Opened {
        job_id: need(c.job_id, "job_id")?,
        payer: need(c.counterparty, "counterparty")?,
        funder: need(c.account, "account")?,
        order,
        pulled: need(c.amount, "amount")?,
        free: need(c.free, "free")?,
        seq: need(c.seq, "seq")?,
    })))
}

fn released(c: &Columns, lot: Lot) -> Result<Event, String> {
    Ok(Event::Released(Released {
        job_id: need(c.job_id, "job_id")?,
        node: need(c.account, "account")?,
        lot_hash: need(c.lot_hash, "lot_hash")?,
        lot,
        amount: need(c.amount, "amount")?,
        fee: need(c.fee, "fee")?,
        burn: need(c.burn, "burn")?,
        released: need(c.released, "released")?,
        job_seq: need(c.job_seq, "job_seq")?,
        free: need(c.free, "free")?,
        seq: need(c.seq, "seq")?,
    }))
}

fn committed(c: &Columns, lot: Lot) -> Result<Event, String> {
    Ok(Event::Committed(Committed {
        job_id: need(c.job_id, "job_id")?,
        node: need(c.counterparty, "counterparty")?,
        lot_hash: need(c.lot_hash, "lot_hash")?,
        lot,
        amount: need(c.amount, "amount")?,
        window_end: need(c.at, "at")?,
        approved: need(c.approved, "approved")?,
        pending: need(c.pending, "pending")?,
        job_seq: need(c.job_seq, "job_seq")?,
    }))
}

fn job_event(c: &Columns) -> Result<Event, String> {
    let job_id = need(c.job_id, "job_id")?;
    let job_seq = need(c.job_seq, "job_seq")?;
    Ok(match c.kind.as_str() {
        "topped_up" => Event::ToppedUp(ToppedUp {
            job_id,
            from: need(c.account, "account")?,
            amount: need(c.amount, "amount")?,
            funded: need(c.funded, "funded")?,
            job_seq,
            free: need(c.free, "free")?,
            seq: need(c.seq, "seq")?,
        }),
        "approved" => {
            let lot_hash = need(c.lot_hash, "lot_hash")?;
            Event::Approved(Approved { job_id, lot_hash, job_seq })
        }
        "rejected" => Event::Rejected(Rejected {
            job_id,
            lot_hash: need(c.lot_hash, "lot_hash")?,
            mask: need(c.mask, "mask")?,
            reason_hash: need(c.hash, "hash")?,
            amount: need(c.amount, "amount")?,
            pending: need(c.pending, "pending")?,
            job_seq,
        }),
        "settled" => Event::Settled(settled(c)?),
        "lapsed" => Event::Lapsed(Lapsed {
            job_id,
            lot_hash: need(c.lot_hash, "lot_hash")?,
            mask: need(c.mask, "mask")?,
            amount: need(c.amount, "amount")?,
            pending: need(c.pending, "pending")?,
            job_seq,
        }),
        "close_requested" => {
            let work_deadline = need(c.at, "at")?;
            Event::CloseRequested(CloseRequested { job_id, work_deadline, job_seq })
        }
        "closed" => Event::Closed(Closed { job_id, job_seq }),
        "returned" => Event::Returned(Returned {
            job_id,
            account: need(c.account, "account")?,
            amount: need(c.amount, "amount")?,
            funded: need(c.funded, "funded")?,
            job_seq,
            free: need(c.free, "free")?,
            seq: need(c.seq, "seq")?,
        }),
        other => return Err(format!("`{other}` is no kind of event")),
    })
}

fn settled(c: &Columns) -> Result<Settled, String> {
    Ok(Settled {
        job_id: need(c.job_id, "job_id")?,
        node: need(c.account, "account")?,
        lot_hash: need(c.lot_hash, "lot_hash")?,
        key: need(c.hash, "hash")?,
        mask: need(c.mask, "mask")?,
        amount: need(c.amount, "amount")?,
        fee: need(c.fee, "fee")?,
        burn: need(c.burn, "burn")?,
        released: need(c.released, "released")?,
        pending: need(c.pending, "pending")?,
        job_seq: need(c.job_seq, "job_seq")?,
        free: need(c.free, "free")?,
        seq: need(c.seq, "seq")?,
    })
}

#[cfg(test)]
mod tests;
