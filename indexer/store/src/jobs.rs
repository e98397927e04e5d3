//! Jobs and lots as the chain has them: orders, preimages, snapshots; lists by page.

use alloy::primitives::{Address, B256, U256};
use contracts::{Amount, JobId, Lot, Order};
use serde::Serialize;

use crate::Reader;
use crate::bulk::{Table, table};
use crate::error::Result;
use crate::reads::EVER;
use crate::terms::{lot_columns, lot_from, lot_values, order_columns, order_from, order_values};
use crate::values::{Row, Value, values, words};

/// The order of an opened job; `block` is that of its opening.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct JobOrder {
    pub job_id: JobId,
    pub block: u64,
    pub order: Order,
}

/// A job as an event left it. `work_deadline` is the order's, or the earlier one that a close
/// request put in its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct JobState {
    pub job_id: JobId,
    pub block: u64,
    pub log_index: u64,
    pub funded: Amount,
    pub released: Amount,
    pub pending: Amount,
    pub units_paid: u32,
    pub job_seq: u32,
    pub closed: bool,
    pub work_deadline: i64,
    pub close_requested: bool,
    /// How much of `funded` came as credit, which is spent first.
    pub credit_share: Amount,
}

impl JobState {
    /// Money of the job that no lot has been paid or holds: zero for a closed one.
    pub fn remaining(&self) -> Amount {
        let left = self.funded.checked_sub(self.released).and_then(|m| m.checked_sub(self.pending));
        // The contract keeps released + pending <= funded, and the fold asserts it.
        left.unwrap_or(Amount::ZERO)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LotStatus {
    Committed,
    Approved,
    Settled,
    Lapsed,
    Released,
}
words!(LotStatus {
    Committed = "committed",
    Approved = "approved",
    Settled = "settled",
    Lapsed = "lapsed",
    Released = "released",
});

/// A lot as an event left it. `window_end` is 0 for a released one; `lot_key` is what settle
/// revealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LotState {
    pub lot_hash: B256,
    pub block: u64,
    pub log_index: u64,
    pub status: LotStatus,
    pub window_end: i64,
    pub rejected: U256,
    pub paid: U256,
    pub lot_key: Option<B256>,
}

/// A lot's preimage; `block` is that of the event that first named it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LotRow {
    pub lot_hash: B256,
    pub job_id: JobId,
    pub block: u64,
    pub lot: Lot,
}

/// A page of jobs, newest first. `before` is the (block, job id) of the last one had.
#[derive(Clone, Debug, Default)]
pub struct JobFilter {
    pub payer: Option<Address>,
    /// Jobs in which this node has a lot.
    pub node: Option<Address>,
    pub before: Option<(u64, JobId)>,
    pub limit: u32,
}

/// Where the newest snapshot of job `o` is. Block and log index are asked for one by one, as
/// Postgres finds a row by its key with two values, but not with a pair of them: it would look at
/// every snapshot of the job.
macro_rules! newest_of_job {
    ($column:literal) => {
        concat!(
            "(SELECT ",
            $column,
            " FROM job_states n WHERE n.job_id = o.job_id AND n.block <= $1 \
             ORDER BY n.block DESC, n.log_index DESC LIMIT 1) "
        )
    };
}

/// Every query for jobs: the order and its newest snapshot up to block $1. `orders` picks and
/// limits the orders before anything is joined to them.
macro_rules! select_jobs {
    ($rest:literal) => {
        select_jobs!("job_orders", $rest)
    };
    ($orders:expr, $rest:literal) => {
        concat!(
            "SELECT o.job_id, o.block AS opened_block, ",
            order_columns!(),
            ", s.block, s.log_index, s.funded, s.released, s.pending, s.units_paid, s.job_seq, \
             s.closed, s.work_deadline AS deadline_now, s.close_requested, s.credit_share \
             FROM ",
            $orders,
            " o JOIN job_states s ON s.block = ",
            newest_of_job!("n.block"),
            " AND s.log_index = ",
            newest_of_job!("n.log_index"),
            $rest
        )
    };
}

/// One page of jobs, newest first, of those orders that `which` allows.
macro_rules! page_of_jobs {
    ($which:literal) => {
        select_jobs!(
            concat!(
                "(SELECT o.* FROM job_orders o WHERE (o.block, o.job_id) < ($2, $3) ",
                $which,
                " ORDER BY o.block DESC, o.job_id DESC LIMIT $4)"
            ),
            "ORDER BY o.block DESC, o.job_id DESC"
        )
    };
}

/// Every query for lots: the preimage and its newest snapshot up to block $1.
macro_rules! select_lots {
    ($rest:literal) => {
        concat!(
            "SELECT l.lot_hash, l.job_id, l.block AS first_block, ",
            lot_columns!(),
            ", s.block, s.log_index, s.status, s.window_end, s.rejected, s.paid, s.lot_key \
             FROM lots l JOIN lot_states s ON s.lot_hash = l.lot_hash \
             AND (s.block, s.log_index) = (SELECT n.block, n.log_index FROM lot_states n \
             WHERE n.lot_hash = l.lot_hash AND n.block <= $1 \
             ORDER BY n.block DESC, n.log_index DESC LIMIT 1) ",
            $rest
        )
    };
}

impl Reader {
    pub async fn job(&self, job_id: JobId) -> Result<Option<(JobOrder, JobState)>> {
        let sql = select_jobs!("WHERE o.job_id = $2");
        Ok(self.select_jobs(sql, values![self.until, job_id]).await?.pop())
    }

    /// One page of jobs, newest first.
    pub async fn jobs(&self, filter: &JobFilter) -> Result<Vec<(JobOrder, JobState)>> {
        let top = (self.until.saturating_add(1).min(EVER), B256::ZERO);
        let (block, job_id) = filter.before.map_or(top, |before| before.min(top));
        let page = values![self.until, block, job_id, filter.limit];
        let (sql, who) = match (filter.payer, filter.node) {
            (None, None) => (page_of_jobs!(""), vec![]),
            (Some(payer), None) => (page_of_jobs!("AND o.payer = $5"), values![payer]),
            (None, Some(node)) => (
                page_of_jobs!("AND o.job_id IN (SELECT job_id FROM lots WHERE node = $5)"),
                values![node],
            ),
            (Some(payer), Some(node)) => (
                page_of_jobs!(
                    "AND o.payer = $5 AND o.job_id IN (SELECT job_id FROM lots WHERE node = $6)"
                ),
                values![payer, node],
            ),
        };
        self.select_jobs(sql, page.into_iter().chain(who).collect()).await
    }

    /// Jobs of a settler that still need it: not closed, or with a lot neither settled nor
    /// lapsed; oldest first.
    pub async fn open_jobs(&self, settler: Address) -> Result<Vec<(JobOrder, JobState)>> {
        let sql = select_jobs!(
            "WHERE o.settler = $2 AND (s.closed = 0 OR EXISTS (SELECT 1 FROM lots l \
             JOIN lot_states t ON t.lot_hash = l.lot_hash WHERE l.job_id = o.job_id \
             AND t.status IN ('committed', 'approved') AND t.rejected <> l.mask \
             AND t.block <= $1 AND NOT EXISTS (SELECT 1 FROM lot_states n \
             WHERE n.lot_hash = t.lot_hash AND n.block <= $1 \
             AND (n.block, n.log_index) > (t.block, t.log_index)))) \
             ORDER BY o.block, o.job_id"
        );
        self.select_jobs(sql, values![self.until, settler]).await
    }

    /// Jobs of a payer that still hold money: open ones, and closed ones with lots under review.
    pub async fn jobs_with_money(&self, payer: Address) -> Result<Vec<(JobOrder, JobState)>> {
        let sql = select_jobs!(
            "WHERE o.payer = $2 AND (s.closed = 0 OR s.pending <> $3) ORDER BY o.block, o.job_id"
        );
        self.select_jobs(sql, values![self.until, payer, Amount::ZERO]).await
    }

    /// Every job, oldest first; for audits.
    pub async fn all_jobs(&self) -> Result<Vec<(JobOrder, JobState)>> {
        self.select_jobs(select_jobs!("ORDER BY o.block, o.job_id"), values![self.until]).await
    }

    pub async fn lot(&self, lot_hash: B256) -> Result<Option<(LotRow, LotState)>> {
        let sql = select_lots!("WHERE l.lot_hash = $2");
        Ok(self.select_lots(sql, values![self.until, lot_hash]).await?.pop())
    }

    /// The lots of a job, oldest first.
    pub async fn job_lots(&self, job_id: JobId) -> Result<Vec<(LotRow, LotState)>> {
        let sql = select_lots!("WHERE l.job_id = $2 ORDER BY l.block, l.lot_hash");
        self.select_lots(sql, values![self.until, job_id]).await
    }

    /// Every lot, oldest first; for audits.
    pub async fn all_lots(&self) -> Result<Vec<(LotRow, LotState)>> {
        self.select_lots(select_lots!("ORDER BY l.block, l.lot_hash"), values![self.until]).await
    }

    async fn select_jobs(
        &self,
        sql: &'static str,
        values: Vec<Value>,
    ) -> Result<Vec<(JobOrder, JobState)>> {
        self.pool.all(sql, values).await?.iter().map(job_from).collect()
    }

    async fn select_lots(
        &self,
        sql: &'static str,
        values: Vec<Value>,
    ) -> Result<Vec<(LotRow, LotState)>> {
        self.pool.all(sql, values).await?.iter().map(lot_and_state_from).collect()
    }
}

pub(crate) const ORDERS: Table = table!(
    "job_orders",
    "job_id, block, payer, refund_to, approver, settler, fee_receiver, cap, max_unit_price, \
     units, open_by, work_deadline, review_seconds, claim_grace, fee_bps, burn_bps, \
     spec_hash, quote_hash, salt"
);

pub(crate) fn job_order_values(row: &JobOrder) -> Vec<Value> {
    values![row.job_id, row.block].into_iter().chain(order_values(&row.order)).collect()
}

pub(crate) const LOTS: Table = table!(
    "lots",
    "lot_hash, job_id, block, node, word, mask, unit_price, receipts_root, key_commit"
);

pub(crate) fn lot_row_values(row: &LotRow) -> Vec<Value> {
    let place = values![row.lot_hash, row.job_id, row.block];
    place.into_iter().chain(lot_values(&row.lot)).collect()
}

pub(crate) const JOB_STATES: Table = table!(
    "job_states",
    "job_id, block, log_index, funded, released, pending, units_paid, job_seq, closed, \
     work_deadline, close_requested, credit_share"
);

pub(crate) fn job_state_values(state: &JobState) -> Vec<Value> {
    values![
        state.job_id,
        state.block,
        state.log_index,
        state.funded,
        state.released,
        state.pending,
        state.units_paid,
        state.job_seq,
        state.closed,
        state.work_deadline,
        state.close_requested,
        state.credit_share,
    ]
}

pub(crate) const LOT_STATES: Table =
    table!("lot_states", "lot_hash, block, log_index, status, window_end, rejected, paid, lot_key");

pub(crate) fn lot_state_values(state: &LotState) -> Vec<Value> {
    values![
        state.lot_hash,
        state.block,
        state.log_index,
        state.status,
        state.window_end,
        state.rejected,
        state.paid,
        state.lot_key,
    ]
}

fn job_from(row: &Row) -> Result<(JobOrder, JobState)> {
    Ok((job_order_from(row)?, job_state_from(row)?))
}

pub(crate) fn job_order_from(row: &Row) -> Result<JobOrder> {
    let (job_id, block) = (row.get("job_id")?, row.get("opened_block")?);
    Ok(JobOrder { job_id, block, order: order_from(row)? })
}

pub(crate) fn job_state_from(row: &Row) -> Result<JobState> {
    Ok(JobState {
        job_id: row.get("job_id")?,
        block: row.get("block")?,
        log_index: row.get("log_index")?,
        funded: row.get("funded")?,
        released: row.get("released")?,
        pending: row.get("pending")?,
        units_paid: row.get("units_paid")?,
        job_seq: row.get("job_seq")?,
        closed: row.get("closed")?,
        work_deadline: row.get("deadline_now")?,
        close_requested: row.get("close_requested")?,
        credit_share: row.get("credit_share")?,
    })
}

fn lot_and_state_from(row: &Row) -> Result<(LotRow, LotState)> {
    Ok((lot_row_from(row)?, lot_state_from(row)?))
}

pub(crate) fn lot_row_from(row: &Row) -> Result<LotRow> {
    let (lot_hash, job_id, block) =
        (row.get("lot_hash")?, row.get("job_id")?, row.get("first_block")?);
    Ok(LotRow { lot_hash, job_id, block, lot: lot_from(row)? })
}

pub(crate) fn lot_state_from(row: &Row) -> Result<LotState> {
    Ok(LotState {
        lot_hash: row.get("lot_hash")?,
        block: row.get("block")?,
        log_index: row.get("log_index")?,
        status: row.word("status")?,
        window_end: row.get("window_end")?,
        rejected: row.get("rejected")?,
        paid: row.get("paid")?,
        lot_key: row.opt("lot_key")?,
    })
}

#[cfg(test)]
mod tests;
