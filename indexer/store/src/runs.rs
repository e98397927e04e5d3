//! Runs of audits as they were recorded, and what is owed at any block by the events up to it.

use std::collections::HashMap;

use alloy::primitives::B256;
use contracts::{Amount, AmountError};
use serde::Serialize;

use crate::dialect::Writer;
use crate::error::{Error, Result};
use crate::values::{Row, values, words};
use crate::{AuditWriter, Reader};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditKind {
    Replay,
    Solvency,
}
words!(AuditKind { Replay = "replay", Solvency = "solvency" });

/// What one audit found, at one block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditRun {
    pub kind: AuditKind,
    /// When, in unix seconds.
    pub at: i64,
    pub block: u64,
    pub hash: B256,
    pub digest: B256,
    pub stored_digest: Option<B256>,
    pub token_balance: Amount,
    pub liabilities: Amount,
    pub surplus: Amount,
    pub registry_balance: Option<Amount>,
    pub bonds: Option<Amount>,
    pub differences: u64,
    /// The first difference in words.
    pub first: Option<String>,
}

/// What escrow and registry owe at a block, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Owed {
    pub free: Amount,
    pub credit: Amount,
    /// In jobs, `pending` included.
    pub locked: Amount,
    pub pending: Amount,
    pub bonds: Amount,
}

impl Owed {
    pub fn plus(self, other: Self) -> Result<Self, AmountError> {
        Ok(Self {
            free: self.free.checked_add(other.free)?,
            credit: self.credit.checked_add(other.credit)?,
            locked: self.locked.checked_add(other.locked)?,
            pending: self.pending.checked_add(other.pending)?,
            bonds: self.bonds.checked_add(other.bonds)?,
        })
    }

    /// What the escrow owes; `pending` is a part of `locked`, and bonds are the registry's.
    pub fn by_escrow(&self) -> Result<Amount, AmountError> {
        self.free.checked_add(self.credit)?.checked_add(self.locked)
    }

    /// What both contracts owe.
    pub fn total(&self) -> Result<Amount, AmountError> {
        self.by_escrow()?.checked_add(self.bonds)
    }
}

macro_rules! select_runs {
    ($rest:literal) => {
        concat!(
            "SELECT run_id, kind, at, block, hash, digest, stored_digest, token_balance, \
             liabilities, surplus, registry_balance, bonds, differences, first FROM audit_runs ",
            $rest
        )
    };
}

impl AuditWriter {
    /// Adds a run.
    pub async fn put_run(&self, run: &AuditRun) -> Result<()> {
        let mut tx = self.pool.write(Writer::Audit).await?;
        let newest = tx.one(select_runs!("ORDER BY run_id DESC LIMIT 1"), vec![]).await?;
        let before: i64 = newest.map_or(Ok(0), |row| row.get("run_id"))?;
        let sql = "INSERT INTO audit_runs (run_id, kind, at, block, hash, digest, stored_digest, \
                   token_balance, liabilities, surplus, registry_balance, bonds, differences, \
                   first) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";
        let row = values![
            before + 1,
            run.kind.as_str(),
            run.at,
            run.block,
            run.hash,
            run.digest,
            run.stored_digest,
            run.token_balance,
            run.liabilities,
            run.surplus,
            run.registry_balance,
            run.bonds,
            run.differences,
            run.first.as_deref(),
        ];
        tx.execute(sql, row).await?;
        tx.commit().await
    }
}

impl Reader {
    /// The newest runs first.
    pub async fn audit_runs(&self, limit: u32) -> Result<Vec<AuditRun>> {
        let sql = select_runs!("ORDER BY run_id DESC LIMIT $1");
        self.pool.all(sql, values![limit]).await?.iter().map(run_from).collect()
    }

    /// The newest run that audited exactly this block.
    pub async fn audit_run_of(&self, block: u64) -> Result<Option<AuditRun>> {
        let sql = select_runs!("WHERE block = $1 ORDER BY run_id DESC LIMIT 1");
        self.pool.one(sql, values![block]).await?.as_ref().map(run_from).transpose()
    }

    /// All that is owed after block `block`, summed over the events up to it.
    pub async fn owed_at(&self, block: u64) -> Result<Owed> {
        let events = self.pool.all(SUM_EVENTS, values![block]).await?;
        let registry = self.pool.all(SUM_REGISTRY, values![block]).await?;
        let sums = |rows: &[Row], columns: &[&'static str]| {
            let mut sums = HashMap::new();
            for row in rows {
                let kind: String = row.get("kind")?;
                for column in columns {
                    sums.insert((kind.clone(), *column), sum_from(row, column)?);
                }
            }
            Ok::<_, Error>(Sums(sums))
        };
        let events = sums(&events, &["amount", "fee", "burn", "spent", "cap"])?;
        let registry = sums(&registry, &["amount", "burned", "rewarded"])?;
        owed(&events, &registry)
    }
}

/// The digits of 29 in three numbers, each of which sums without overflow over 10^8 events.
macro_rules! digits {
    ($from:literal, $column:literal) => {
        concat!(
            "CAST(COALESCE(SUM(CAST(substr(",
            $from,
            $column,
            ", 1, 10) AS BIGINT)), 0) AS BIGINT) \
             AS ",
            $column,
            "_1, ",
            "CAST(COALESCE(SUM(CAST(substr(",
            $from,
            $column,
            ", 11, 10) AS BIGINT)), 0) AS BIGINT) \
             AS ",
            $column,
            "_2, ",
            "CAST(COALESCE(SUM(CAST(substr(",
            $from,
            $column,
            ", 21, 9) AS BIGINT)), 0) AS BIGINT) \
             AS ",
            $column,
            "_3"
        )
    };
}

const SUM_EVENTS: &str = concat!(
    "SELECT e.kind, ",
    digits!("e.", "amount"),
    ", ",
    digits!("e.", "fee"),
    ", ",
    digits!("e.", "burn"),
    ", ",
    digits!("e.", "spent"),
    ", ",
    digits!("o.", "cap"),
    " FROM events e LEFT JOIN job_orders o ON e.kind = 'opened' AND o.job_id = e.job_id \
     WHERE e.block <= $1 GROUP BY e.kind"
);

const SUM_REGISTRY: &str = concat!(
    "SELECT e.kind, ",
    digits!("e.", "amount"),
    ", ",
    digits!("e.", "burned"),
    ", ",
    digits!("e.", "rewarded"),
    " FROM registry_events e WHERE e.block <= $1 GROUP BY e.kind"
);

fn sum_from(row: &Row, column: &str) -> Result<i128> {
    let part = |number: u8| row.get::<i64>(&format!("{column}_{number}")).map(i128::from);
    Ok(part(1)? * 10_i128.pow(19) + part(2)? * 10_i128.pow(9) + part(3)?)
}

/// Sums by kind of event and column.
struct Sums(HashMap<(String, &'static str), i128>);

impl Sums {
    fn of(&self, kind: &str, column: &'static str) -> i128 {
        self.0.get(&(kind.to_owned(), column)).copied().unwrap_or_default()
    }

    fn amount(&self, kind: &str) -> i128 {
        self.of(kind, "amount")
    }
}

/// The postings of `entries.rs`, summed by kind of event; `committed` and what ends it post
/// nothing there, they move money inside a job.
fn owed(events: &Sums, registry: &Sums) -> Result<Owed> {
    let amount = |kind| events.amount(kind);
    let paid = ["released", "settled", "redeemed"];
    let all_paid: i128 = paid.iter().map(|kind| events.amount(kind)).sum();
    let shares: i128 =
        paid.iter().map(|kind| events.of(kind, "fee") + events.of(kind, "burn")).sum();
    let (cap, spent) = (events.of("opened", "cap"), events.of("opened", "spent"));
    let into = amount("deposited") + amount("fee_credited") + amount("burn_credited");
    let back = amount("returned");
    let out = amount("withdrawn") + amount("burned") + amount("topped_up");
    let free = into + all_paid - shares + back - out - (cap - amount("opened") - spent);
    let credit = amount("credit_issued") + amount("credit_returned") - spent;
    let locked = cap + amount("topped_up") - all_paid - back - amount("credit_returned");
    let ended = amount("settled") + amount("rejected") + amount("lapsed");
    let slashed = registry.of("slashed", "burned") + registry.of("slashed", "rewarded");
    let bonds = registry.amount("bonded") - registry.amount("bond_withdrawn") - slashed;
    Ok(Owed {
        free: sum("free", free)?,
        credit: sum("credit", credit)?,
        locked: sum("in jobs", locked)?,
        pending: sum("pending", amount("committed") - ended)?,
        bonds: sum("bonds", bonds)?,
    })
}

fn sum(what: &str, base: i128) -> Result<Amount> {
    let amount = u128::try_from(base).ok().map(Amount::from_base);
    amount.and_then(std::result::Result::ok).ok_or_else(|| Error::Altered {
        column: "events.amount".into(),
        problem: format!("{what} sums to {base}, which is no balance"),
    })
}

fn run_from(row: &Row) -> Result<AuditRun> {
    Ok(AuditRun {
        kind: row.word("kind")?,
        at: row.get("at")?,
        block: row.get("block")?,
        hash: row.get("hash")?,
        digest: row.get("digest")?,
        stored_digest: row.opt("stored_digest")?,
        token_balance: row.get("token_balance")?,
        liabilities: row.get("liabilities")?,
        surplus: row.get("surplus")?,
        registry_balance: row.opt("registry_balance")?,
        bonds: row.opt("bonds")?,
        differences: row.get("differences")?,
        first: row.opt("first")?,
    })
}

#[cfg(test)]
mod tests;
