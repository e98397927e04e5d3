//! Event rows: one for each event of the escrow, read back as the event itself.

use alloy::primitives::{Address, B256};
use contracts::JobId;
use contracts::event::Event;

use crate::Reader;
use crate::bulk::{Table, table};
use crate::columns::{Columns, columns_of, event_of, kind_of};
use crate::entries::{Entry, all_entries, credit_book, wallet_book};
use crate::error::{Error, Result};
use crate::terms::{lot_columns, lot_from, order_columns, order_from};
use crate::values::{Row, Value, values};

/// One event at its place in the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRow {
    pub block: u64,
    pub log_index: u64,
    pub tx_hash: B256,
    pub event: Event,
}

impl EventRow {
    /// The event's name as it stands in the table: `deposited`.
    pub fn kind(&self) -> &'static str {
        kind_of(&self.event)
    }
}

/// The columns of an event `e`, and of the order or lot that its kind refers to.
macro_rules! event_columns {
    () => {
        concat!(
            "e.block, e.log_index, e.tx_hash, e.kind, e.job_id, e.account, \
             e.counterparty, e.lot_hash, e.amount, e.fee, e.burn, e.free, e.seq, e.funded, \
             e.released, e.pending, e.job_seq, e.mask, e.at, e.approved, e.hash, \
             e.credit, e.spent, e.allowance, e.max_per_job, e.party, ",
            order_columns!(),
            ", ",
            lot_columns!()
        )
    };
}
pub(crate) use event_columns;

/// What finds that order or lot.
macro_rules! event_joins {
    () => {
        "LEFT JOIN job_orders o ON e.kind = 'opened' AND o.job_id = e.job_id \
         LEFT JOIN lots l ON e.kind IN ('released', 'committed') AND l.lot_hash = e.lot_hash "
    };
}
pub(crate) use event_joins;

/// Every query for events: the row, and the order or lot that its kind refers to.
macro_rules! select_events {
    ($rest:literal) => {
        concat!("SELECT ", event_columns!(), " FROM events e ", event_joins!(), $rest)
    };
}

impl Reader {
    /// Every event of a job, oldest first.
    pub async fn events_of_job(&self, job_id: JobId) -> Result<Vec<EventRow>> {
        let sql =
            select_events!("WHERE e.job_id = $1 AND e.block <= $2 ORDER BY e.block, e.log_index");
        self.events(sql, values![job_id, self.until]).await
    }

    /// Every event of some jobs, job by job, oldest first in each.
    pub(crate) async fn events_of_jobs(&self, job_ids: Vec<Value>) -> Result<Vec<EventRow>> {
        let sql = select_events!("WHERE e.job_id IN {} ORDER BY e.job_id, e.block, e.log_index");
        self.pool.all_in(sql, job_ids).await?.iter().map(event_from).collect()
    }

    /// Events that the account counts, oldest first, after the place
    /// (block, log index) `after`; at most `limit`.
    pub async fn events_of_account(
        &self,
        account: Address,
        after: Option<(u64, u64)>,
        limit: u32,
    ) -> Result<Vec<EventRow>> {
        let sql = select_events!(
            "WHERE e.account = $1 AND (e.block, e.log_index) > ($2, $3) AND e.block <= $4 \
             ORDER BY e.block, e.log_index LIMIT $5"
        );
        let (block, log_index) = start(after);
        self.events(sql, vec![account.into(), block, log_index, self.until.into(), limit.into()])
            .await
    }

    /// Events of blocks `from` to `to`, both included, oldest first.
    pub async fn events_between(&self, from: u64, to: u64) -> Result<Vec<EventRow>> {
        let sql = select_events!("WHERE e.block BETWEEN $1 AND $2 ORDER BY e.block, e.log_index");
        self.events(sql, values![from, to.min(self.until)]).await
    }

    /// Events after the place (block, log index) `after`, oldest first, at most `limit`: for
    /// walking the whole history in bounded memory.
    pub async fn events_after(
        &self,
        after: Option<(u64, u64)>,
        limit: u32,
    ) -> Result<Vec<EventRow>> {
        let sql = select_events!(
            "WHERE (e.block, e.log_index) > ($1, $2) AND e.block <= $3 \
             ORDER BY e.block, e.log_index LIMIT $4"
        );
        let (block, log_index) = start(after);
        self.events(sql, vec![block, log_index, self.until.into(), limit.into()]).await
    }

    /// Entries in the account's two books, oldest first, of at most `limit` events after the place
    /// (block, log index) `after`.
    pub async fn entries_of_account(
        &self,
        account: Address,
        after: Option<(u64, u64)>,
        limit: u32,
    ) -> Result<Vec<Entry>> {
        let books = [wallet_book(account), credit_book(account)];
        let mut entries = all_entries(&self.events_of_account(account, after, limit).await?)?;
        entries.retain(|entry| books.contains(&entry.book));
        Ok(entries)
    }

    /// Every entry of the job's events, whatever its book, oldest first.
    pub async fn entries_of_job(&self, job_id: JobId) -> Result<Vec<Entry>> {
        all_entries(&self.events_of_job(job_id).await?)
    }

    async fn events(&self, sql: &'static str, values: Vec<Value>) -> Result<Vec<EventRow>> {
        self.pool.all(sql, values).await?.iter().map(event_from).collect()
    }
}

/// A place below every row when there is none to start after.
pub(crate) fn start(after: Option<(u64, u64)>) -> (Value, Value) {
    match after {
        Some((block, log_index)) => (block.into(), log_index.into()),
        None => ((-1_i64).into(), (-1_i64).into()),
    }
}

pub(crate) const EVENTS: Table = table!(
    "events",
    "block, log_index, tx_hash, kind, job_id, account, counterparty, lot_hash, amount, fee, burn, \
     free, seq, funded, released, pending, job_seq, mask, at, approved, hash, credit, spent, \
     allowance, max_per_job, party"
);

pub(crate) fn event_values(row: &EventRow) -> Vec<Value> {
    let c = columns_of(&row.event);
    values![
        row.block,
        row.log_index,
        row.tx_hash,
        c.kind,
        c.job_id,
        c.account,
        c.counterparty,
        c.lot_hash,
        c.amount,
        c.fee,
        c.burn,
        c.free,
        c.seq,
        c.funded,
        c.released,
        c.pending,
        c.job_seq,
        c.mask,
        c.at,
        c.approved,
        c.hash,
        c.credit,
        c.spent,
        c.allowance,
        c.max_per_job,
        c.party,
    ]
}

pub(crate) fn event_from(row: &Row) -> Result<EventRow> {
    let columns = Columns {
        kind: row.get::<String>("kind")?.into(),
        job_id: row.opt("job_id")?,
        account: row.opt("account")?,
        counterparty: row.opt("counterparty")?,
        lot_hash: row.opt("lot_hash")?,
        amount: row.opt("amount")?,
        fee: row.opt("fee")?,
        burn: row.opt("burn")?,
        free: row.opt("free")?,
        seq: row.opt("seq")?,
        funded: row.opt("funded")?,
        released: row.opt("released")?,
        pending: row.opt("pending")?,
        job_seq: row.opt("job_seq")?,
        mask: row.opt("mask")?,
        at: row.opt("at")?,
        approved: row.opt("approved")?,
        hash: row.opt("hash")?,
        credit: row.opt("credit")?,
        spent: row.opt("spent")?,
        allowance: row.opt("allowance")?,
        max_per_job: row.opt("max_per_job")?,
        party: row.opt("party")?,
    };
    let (block, log_index): (u64, u64) = (row.get("block")?, row.get("log_index")?);
    // The joins find nothing where the kind has neither.
    let order = row.opt::<B256>("salt")?.map(|_| order_from(row)).transpose()?;
    let lot = row.opt::<B256>("key_commit")?.map(|_| lot_from(row)).transpose()?;
    let event = event_of(&columns, order, lot).map_err(|problem| Error::Altered {
        column: format!("events at {block}/{log_index}"),
        problem,
    })?;
    Ok(EventRow { block, log_index, tx_hash: row.get("tx_hash")?, event })
}

#[cfg(test)]
mod tests;
