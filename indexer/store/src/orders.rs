//! What payers signed: orders, approvals, rejections, requests to close.

use alloy::primitives::{Address, B256, Bytes, U256};
use contracts::{JobId, Order};
use serde::Serialize;

use crate::dialect::Writer;
use crate::error::Result;
use crate::specs::known_or_conflict;
use crate::terms::{order_columns, order_from, order_values};
use crate::values::{Row, values};
use crate::{IntakeWriter, Reader};

/// An order handed in: with a signature to relay, or without one as already opened on chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct IntakeOrder {
    pub job_id: JobId,
    pub order: Order,
    pub signature: Option<Bytes>,
    /// The payer's delegate whose signature it is; None when it is the payer's own.
    pub delegate: Option<Address>,
    pub name: String,
    pub created_at: i64,
}

/// One signature of the payer's side over an array of lots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Approval {
    pub lots_hash: B256,
    pub job_id: JobId,
    pub lot_hashes: Vec<B256>,
    pub signer: Address,
    pub signature: Bytes,
    pub created_at: i64,
}

/// The payer's side refuses the units `mask` of a lot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rejection {
    pub lot_hash: B256,
    pub mask: U256,
    pub job_id: JobId,
    pub reason_hash: B256,
    pub reason: String,
    pub signer: Address,
    pub signature: Bytes,
    pub created_at: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CloseRequest {
    pub job_id: JobId,
    pub signer: Address,
    pub signature: Bytes,
    pub created_at: i64,
}

macro_rules! select_orders {
    ($rest:literal) => {
        concat!(
            "SELECT o.job_id, ",
            order_columns!(),
            ", o.signature, o.delegate, o.name, o.created_at FROM orders o ",
            $rest
        )
    };
}

/// Every query for approvals: one row for each lot.
macro_rules! select_approvals {
    ($rest:literal) => {
        concat!(
            "SELECT a.lots_hash, a.job_id, a.signer, a.signature, a.created_at, p.lot_hash \
             FROM approvals a JOIN approval_lots p ON p.lots_hash = a.lots_hash ",
            $rest
        )
    };
}
const SELECT_REJECTIONS: &str = "SELECT lot_hash, mask, job_id, reason_hash, reason, signer, \
     signature, created_at FROM rejections WHERE job_id = $1 ORDER BY created_at, lot_hash, mask";

const SELECT_CLOSE: &str =
    "SELECT job_id, signer, signature, created_at FROM close_requests WHERE job_id = $1";

impl IntakeWriter {
    /// False when it is there already. An order first handed in without a signature may be
    /// handed in again with one: that is a new fact, not a conflict.
    pub async fn put_order(&self, order: &IntakeOrder) -> Result<bool> {
        let mut tx = self.pool.write(Writer::Intake).await?;
        let row = tx.one(select_orders!("WHERE o.job_id = $1"), values![order.job_id]).await?;
        let stored = row.as_ref().map(intake_order_from).transpose()?;
        match stored {
            None => {
                let sql = "INSERT INTO orders (job_id, payer, refund_to, approver, settler, \
                           fee_receiver, cap, max_unit_price, units, open_by, work_deadline, \
                           review_seconds, claim_grace, fee_bps, burn_bps, spec_hash, quote_hash, \
                           salt, signature, delegate, name, created_at) VALUES";
                let rest = values![
                    order.signature.clone(),
                    order.delegate,
                    order.name.as_str(),
                    order.created_at
                ];
                let row = values![order.job_id].into_iter().chain(order_values(&order.order));
                tx.insert(sql, vec![row.chain(rest).collect()]).await?;
            }
            Some(stored)
                if stored.order == order.order
                    && stored.signature.is_none()
                    && order.signature.is_some() =>
            {
                let sql = "UPDATE orders SET signature = $2, delegate = $3, name = $4 \
                           WHERE job_id = $1";
                let row = values![
                    order.job_id,
                    order.signature.clone(),
                    order.delegate,
                    order.name.as_str()
                ];
                tx.execute(sql, row).await?;
            }
            Some(stored) => {
                let known = IntakeOrder { created_at: order.created_at, ..stored } == *order;
                return known_or_conflict(known, || format!("order of job {}", order.job_id));
            }
        }
        tx.commit().await?;
        Ok(true)
    }

    /// False when it is there already.
    pub async fn put_approval(&self, approval: &Approval) -> Result<bool> {
        let mut tx = self.pool.write(Writer::Intake).await?;
        let sql = select_approvals!("WHERE a.lots_hash = $1 ORDER BY p.place");
        let rows = tx.all(sql, values![approval.lots_hash]).await?;
        if let Some(stored) = approvals_from(&rows)?.pop() {
            let known = Approval { created_at: approval.created_at, ..stored } == *approval;
            return known_or_conflict(known, || format!("approval {}", approval.lots_hash));
        }
        let sql = "INSERT INTO approvals (lots_hash, job_id, signer, signature, created_at) \
                   VALUES ($1, $2, $3, $4, $5)";
        let row = values![
            approval.lots_hash,
            approval.job_id,
            approval.signer,
            &approval.signature,
            approval.created_at,
        ];
        tx.execute(sql, row).await?;
        let lots = approval.lot_hashes.iter().zip(0_u32..);
        let lots = lots.map(|(lot, place)| values![approval.lots_hash, place, lot]).collect();
        tx.insert("INSERT INTO approval_lots (lots_hash, place, lot_hash) VALUES", lots).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// False when it is there already.
    pub async fn put_rejection(&self, rejection: &Rejection) -> Result<bool> {
        let mut tx = self.pool.write(Writer::Intake).await?;
        let rows = tx.all(SELECT_REJECTIONS, values![rejection.job_id]).await?;
        for row in &rows {
            let stored = rejection_from(row)?;
            if (stored.lot_hash, stored.mask) == (rejection.lot_hash, rejection.mask) {
                let known = Rejection { created_at: rejection.created_at, ..stored } == *rejection;
                let what = || format!("rejection of lot {}", rejection.lot_hash);
                return known_or_conflict(known, what);
            }
        }
        let sql = "INSERT INTO rejections (lot_hash, mask, job_id, reason_hash, reason, signer, \
                   signature, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
        let row = values![
            rejection.lot_hash,
            rejection.mask,
            rejection.job_id,
            rejection.reason_hash,
            rejection.reason.as_str(),
            rejection.signer,
            &rejection.signature,
            rejection.created_at,
        ];
        tx.execute(sql, row).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// False when it is there already.
    pub async fn put_close_request(&self, request: &CloseRequest) -> Result<bool> {
        let mut tx = self.pool.write(Writer::Intake).await?;
        if let Some(row) = tx.one(SELECT_CLOSE, values![request.job_id]).await? {
            let stored = close_request_from(&row)?;
            let known = CloseRequest { created_at: request.created_at, ..stored } == *request;
            return known_or_conflict(known, || format!("close request of {}", request.job_id));
        }
        let sql = "INSERT INTO close_requests (job_id, signer, signature, created_at) \
                   VALUES ($1, $2, $3, $4)";
        let row = values![request.job_id, request.signer, &request.signature, request.created_at];
        tx.execute(sql, row).await?;
        tx.commit().await?;
        Ok(true)
    }
}

impl Reader {
    /// A page of all orders handed in, by job; the first one comes after the zero id.
    pub async fn orders_after(&self, after: JobId, limit: u32) -> Result<Vec<IntakeOrder>> {
        let sql = select_orders!("WHERE o.job_id > $1 ORDER BY o.job_id LIMIT $2");
        self.pool.all(sql, values![after, limit]).await?.iter().map(intake_order_from).collect()
    }

    pub async fn order(&self, job_id: JobId) -> Result<Option<IntakeOrder>> {
        let row = self.pool.one(select_orders!("WHERE o.job_id = $1"), values![job_id]).await?;
        row.as_ref().map(intake_order_from).transpose()
    }

    /// Signed orders that the index does not show opened and that may still be, oldest first.
    pub async fn unopened_orders(&self, now: i64) -> Result<Vec<IntakeOrder>> {
        let sql = select_orders!(
            "WHERE o.open_by > $1 AND o.signature IS NOT NULL AND NOT EXISTS \
             (SELECT 1 FROM job_orders j WHERE j.job_id = o.job_id) \
             ORDER BY o.created_at, o.job_id"
        );
        self.pool.all(sql, values![now]).await?.iter().map(intake_order_from).collect()
    }

    /// Approvals of a job, oldest first.
    pub async fn approvals_of_job(&self, job_id: JobId) -> Result<Vec<Approval>> {
        let sql =
            select_approvals!("WHERE a.job_id = $1 ORDER BY a.created_at, a.lots_hash, p.place");
        approvals_from(&self.pool.all(sql, values![job_id]).await?)
    }

    /// Rejections of a job, oldest first.
    pub async fn rejections_of_job(&self, job_id: JobId) -> Result<Vec<Rejection>> {
        let rows = self.pool.all(SELECT_REJECTIONS, values![job_id]).await?;
        rows.iter().map(rejection_from).collect()
    }

    pub async fn close_request(&self, job_id: JobId) -> Result<Option<CloseRequest>> {
        let row = self.pool.one(SELECT_CLOSE, values![job_id]).await?;
        row.as_ref().map(close_request_from).transpose()
    }
}

fn intake_order_from(row: &Row) -> Result<IntakeOrder> {
    Ok(IntakeOrder {
        job_id: row.get("job_id")?,
        order: order_from(row)?,
        signature: row.opt("signature")?,
        delegate: row.opt("delegate")?,
        name: row.get("name")?,
        created_at: row.get("created_at")?,
    })
}

/// Rows of one approval follow one another, in the order of their lots.
fn approvals_from(rows: &[Row]) -> Result<Vec<Approval>> {
    let mut approvals: Vec<Approval> = Vec::new();
    for row in rows {
        let lots_hash = row.get("lots_hash")?;
        let lot_hash = row.get("lot_hash")?;
        match approvals.last_mut() {
            Some(last) if last.lots_hash == lots_hash => last.lot_hashes.push(lot_hash),
            Some(_) | None => approvals.push(Approval {
                lots_hash,
                job_id: row.get("job_id")?,
                lot_hashes: vec![lot_hash],
                signer: row.get("signer")?,
                signature: row.get("signature")?,
                created_at: row.get("created_at")?,
            }),
        }
    }
    Ok(approvals)
}

fn rejection_from(row: &Row) -> Result<Rejection> {
    Ok(Rejection {
        lot_hash: row.get("lot_hash")?,
        mask: row.get("mask")?,
        job_id: row.get("job_id")?,
        reason_hash: row.get("reason_hash")?,
        reason: row.get("reason")?,
        signer: row.get("signer")?,
        signature: row.get("signature")?,
        created_at: row.get("created_at")?,
    })
}

fn close_request_from(row: &Row) -> Result<CloseRequest> {
    Ok(CloseRequest {
        job_id: row.get("job_id")?,
        signer: row.get("signer")?,
        signature: row.get("signature")?,
        created_at: row.get("created_at")?,
    })
}

#[cfg(test)]
mod tests;
