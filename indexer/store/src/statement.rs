//! Statements: opening, movements and closing of every book of an account, from event rows alone.

use std::collections::BTreeMap;

use alloy::primitives::{Address, B256};
use contracts::{Amount, JobId};
use serde::Serialize;

use crate::Reader;
use crate::blocks::Block;
use crate::error::{Error, Result};
use crate::period::Period;
use crate::values::{Value, values, words};

mod fold;
use fold::{OfJob, Own, Tally};

/// Events of an account read at once.
const EVENTS_CHUNK: u32 = 1_000;
/// Jobs whose events are read at once: some thousand rows in most chains.
const JOBS_CHUNK: usize = 50;

/// As whom an account is looked at: as a wallet that pays, or as a node that is paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Wallet,
    Node,
}

/// A wallet has `free`, `credit`, what stands `in_jobs` whose payer it is, and a `bond`. A node
/// has what it `earned` in all, net of fee and burn, what is `pending` in its committed lots
/// before fee and burn, and its `bond`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StatementBook {
    Free,
    Credit,
    InJobs,
    Earned,
    Pending,
    Bond,
}
words!(StatementBook {
    Free = "free",
    Credit = "credit",
    InJobs = "in_jobs",
    Earned = "earned",
    Pending = "pending",
    Bond = "bond",
});

impl StatementBook {
    /// The books of a side, in the order in which they are shown.
    pub fn of(side: Side) -> &'static [Self] {
        match side {
            Side::Wallet => &[Self::Free, Self::Credit, Self::InJobs, Self::Bond],
            Side::Node => &[Self::Earned, Self::Pending, Self::Bond],
        }
    }
}

/// One book over a period: `opening + credits - debits = closing`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BookSum {
    pub book: StatementBook,
    pub opening: Amount,
    pub credits: Amount,
    pub debits: Amount,
    pub closing: Amount,
}

/// What one event moved in one book. A debit takes `amount` out, else it comes in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Movement {
    pub block: u64,
    pub log_index: u64,
    pub tx_hash: B256,
    /// Name of the contract's event.
    pub event: &'static str,
    pub job_id: Option<JobId>,
    pub book: StatementBook,
    pub debit: bool,
    pub amount: Amount,
    /// The book's balance afterwards.
    pub balance: Amount,
}

/// An account's books over a period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The newest stored block before the period; None: none is.
    pub before: Option<Block>,
    /// The newest stored block of the period, or `before` when it has none; None: neither is.
    pub last: Option<Block>,
    pub books: Vec<BookSum>,
    /// In the chain's order.
    pub movements: Vec<Movement>,
    /// The blocks of the movements.
    pub blocks: BTreeMap<u64, Block>,
}

impl Reader {
    /// The books of an account over a period, up to the block `tip`. None: the period has more
    /// than `most` movements.
    ///
    /// Every balance is the sum of the entries of all events since the deployment; what events
    /// tell of balances, and their numbers, must agree with it. Movements belong to the period of
    /// their block's time.
    pub async fn statement(
        &self,
        of: Address,
        side: Side,
        period: Period,
        tip: u64,
        most: usize,
    ) -> Result<Option<Statement>> {
        let rewinds = self.newest_rewind().await?;
        let statement = self.summed(of, side, period, tip, most).await;
        // It is read in many steps, so a rewind in between could have mixed two chains.
        if self.newest_rewind().await? != rewinds {
            return Err(Error::Rewound);
        }
        statement
    }

    async fn summed(
        &self,
        of: Address,
        side: Side,
        period: Period,
        tip: u64,
        most: usize,
    ) -> Result<Option<Statement>> {
        let before = self.newest_before(period.from, tip).await?;
        let last = self.newest_before(period.to, tip).await?;
        let mut tally = Tally::new(before.as_ref().map(|block| block.number), side);
        if let Some(last) = last.as_ref().map(|block| block.number) {
            let walked = self.own_events(of, side, last, most, &mut tally).await?
                && self.job_events(of, side, last, most, &mut tally).await?;
            if !walked {
                return Ok(None);
            }
            let mut bond = self.registry_events_of(of).await?;
            bond.retain(|row| row.block <= last);
            fold::take_bond(of, &bond, &mut tally)?;
        }
        let (books, movements) = tally.close()?;
        if movements.len() > most {
            return Ok(None);
        }
        let blocks = self.blocks_of(movements.iter().map(|movement| movement.block)).await?;
        Ok(Some(Statement { before, last, books, movements, blocks }))
    }

    async fn newest_rewind(&self) -> Result<Option<i64>> {
        Ok(self.reorgs(1).await?.first().map(|reorg| reorg.reorg_id))
    }

    /// False: more than `most` movements.
    async fn own_events(
        &self,
        of: Address,
        side: Side,
        last: u64,
        most: usize,
        tally: &mut Tally,
    ) -> Result<bool> {
        let mut own = Own::new(of, side);
        let mut after = None;
        loop {
            let rows = self.events_of_account(of, after, EVENTS_CHUNK).await?;
            for row in rows.iter().filter(|row| row.block <= last) {
                own.take(row, tally)?;
            }
            if tally.movements() > most {
                return Ok(false);
            }
            match rows.last() {
                Some(row) if row.block <= last => after = Some((row.block, row.log_index)),
                Some(_) | None => return Ok(true),
            }
        }
    }

    async fn job_events(
        &self,
        of: Address,
        side: Side,
        last: u64,
        most: usize,
        tally: &mut Tally,
    ) -> Result<bool> {
        let sql = match side {
            Side::Wallet => "SELECT job_id FROM job_orders WHERE payer = $1 AND block <= $2",
            Side::Node => "SELECT DISTINCT job_id FROM lots WHERE node = $1 AND block <= $2",
        };
        let rows = self.pool.all(sql, values![of, last]).await?;
        let jobs = rows.iter().map(|row| row.get("job_id")).collect::<Result<Vec<JobId>>>()?;
        for chunk in jobs.chunks(JOBS_CHUNK) {
            let ids = chunk.iter().map(Value::from).collect();
            let mut job: Option<OfJob> = None;
            for row in self.events_of_jobs(ids).await?.iter().filter(|row| row.block <= last) {
                let Some(job_id) = row.event.job_id() else { continue };
                if job.as_ref().is_none_or(|job| job.job_id() != job_id) {
                    job = Some(OfJob::new(job_id));
                }
                if let Some(job) = &mut job {
                    job.take(row, of, side, tally)?;
                }
            }
            if tally.movements() > most {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests;
