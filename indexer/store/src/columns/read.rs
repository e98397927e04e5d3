//! pure: the columns of a row -> the event, or which of them does not belong to its kind.

use contracts::event::{
    Approved, BurnCredited, Burned, CloseRequested, Closed, Committed, CreditIssued,
    CreditReturned, CreditSettlerNamed, DelegateRevoked, DelegateSet, DelegateSpent, Deposited,
    Event, FeeCredited, Lapsed, Opened, Paused, Redeemed, Rejected, Released, Returned, Settled,
    ToppedUp, Withdrawn,
};

use super::*;

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
    let event = match columns.kind.as_ref() {
        "opened" => opened(columns, need(order, "order in job_orders")?)?,
        "released" => released(columns, need(lot, "lot in lots")?)?,
        "committed" => committed(columns, need(lot, "lot in lots")?)?,
        "deposited" | "withdrawn" | "fee_credited" | "burn_credited" | "burned" => {
            account_event(columns)?
        }
        "credit_issued"
        | "delegate_set"
        | "delegate_revoked"
        | "credit_settler_named"
        | "paused" => consent_event(columns)?,
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
    Ok(match c.kind.as_ref() {
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

fn consent_event(c: &Columns) -> Result<Event, String> {
    let seq = need(c.seq, "seq")?;
    Ok(match c.kind.as_ref() {
        "credit_issued" => Event::CreditIssued(CreditIssued {
            account: need(c.account, "account")?,
            amount: need(c.amount, "amount")?,
            credit: need(c.credit, "credit")?,
            seq,
        }),
        "delegate_set" => Event::DelegateSet(DelegateSet {
            payer: need(c.account, "account")?,
            agent: need(c.counterparty, "counterparty")?,
            settler: need(c.party, "party")?,
            allowance: need(c.allowance, "allowance")?,
            max_per_job: need(c.max_per_job, "max_per_job")?,
            expiry: need(c.at, "at")?,
            seq,
        }),
        "delegate_revoked" => {
            let payer = need(c.account, "account")?;
            let agent = need(c.counterparty, "counterparty")?;
            Event::DelegateRevoked(DelegateRevoked { payer, agent, seq })
        }
        "credit_settler_named" => {
            let settler = need(c.counterparty, "counterparty")?;
            Event::CreditSettlerNamed(CreditSettlerNamed { settler, seq })
        }
        "paused" => Event::Paused(Paused { until: need(c.at, "at")?, seq }),
        other => return Err(format!("`{other}` is no kind of event")),
    })
}

fn opened(c: &Columns, order: Order) -> Result<Event, String> {
    Ok(Event::Opened(Box::new(Opened {
        job_id: need(c.job_id, "job_id")?,
        payer: need(c.counterparty, "counterparty")?,
        funder: need(c.account, "account")?,
        order,
        credit_spent: need(c.spent, "spent")?,
        pulled: need(c.amount, "amount")?,
        free: need(c.free, "free")?,
        credit: need(c.credit, "credit")?,
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
    Ok(match c.kind.as_ref() {
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
            let by = need(c.counterparty, "counterparty")?;
            let lot_hash = need(c.lot_hash, "lot_hash")?;
            Event::Approved(Approved { job_id, by, lot_hash, job_seq })
        }
        "rejected" => Event::Rejected(Rejected {
            job_id,
            by: need(c.counterparty, "counterparty")?,
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
        _ => return ending_event(c, job_id, job_seq),
    })
}

fn ending_event(c: &Columns, job_id: B256, job_seq: u32) -> Result<Event, String> {
    Ok(match c.kind.as_ref() {
        "delegate_spent" => Event::DelegateSpent(DelegateSpent {
            job_id,
            payer: need(c.party, "party")?,
            agent: need(c.counterparty, "counterparty")?,
            amount: need(c.amount, "amount")?,
            allowance: need(c.allowance, "allowance")?,
            job_seq,
        }),
        "redeemed" => Event::Redeemed(Redeemed {
            job_id,
            node: need(c.account, "account")?,
            amount: need(c.amount, "amount")?,
            fee: need(c.fee, "fee")?,
            burn: need(c.burn, "burn")?,
            released: need(c.released, "released")?,
            job_seq,
            free: need(c.free, "free")?,
            seq: need(c.seq, "seq")?,
        }),
        "credit_returned" => Event::CreditReturned(CreditReturned {
            job_id,
            account: need(c.account, "account")?,
            amount: need(c.amount, "amount")?,
            funded: need(c.funded, "funded")?,
            job_seq,
            credit: need(c.credit, "credit")?,
            seq: need(c.seq, "seq")?,
        }),
        "close_requested" => {
            let by = need(c.counterparty, "counterparty")?;
            let work_deadline = need(c.at, "at")?;
            Event::CloseRequested(CloseRequested { job_id, by, work_deadline, job_seq })
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
