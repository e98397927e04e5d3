//! Leases and the attempts in them: take, renew, expire, fail.

use std::collections::BTreeSet;

use alloy::primitives::Address;
use contracts::JobId;
use serde::Serialize;

use crate::dialect::{Tx, Writer};
use crate::error::{Error, Result};
use crate::values::{Row, values, words};
use crate::{Reader, WorkWriter};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LeaseState {
    Active,
    Accepted,
    Expired,
    Failed,
}
words!(LeaseState {
    Active = "active",
    Accepted = "accepted",
    Expired = "expired",
    Failed = "failed",
});

/// Some units of one word of a job, for one node, until `expires_at`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lease {
    pub lease_id: String,
    pub job_id: JobId,
    pub node: Address,
    pub state: LeaseState,
    pub taken_at: i64,
    pub expires_at: i64,
    pub problem: Option<String>,
}

/// One attempt at one unit, with what its lease says. `progress` is in thousandths.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Attempt {
    pub job_id: JobId,
    pub unit: u32,
    pub attempt: u32,
    pub lease_id: String,
    pub node: Address,
    pub lease_state: LeaseState,
    pub progress: u16,
    pub problem: Option<String>,
    pub expires_at: i64,
}

/// Attempts of any kind at one unit. Failures and rejections count towards the job's own, lower
/// limit; leases that merely run out count here, or a unit that kills nodes would go on for ever.
pub const MAX_TRIES: u32 = 12;

impl Attempt {
    /// Its renderer failed, or its file was no good: other units of a failed lease are not to
    /// blame, nor is a unit whose node vanished.
    pub fn is_blamed(&self) -> bool {
        self.lease_state == LeaseState::Failed && self.problem.is_some()
    }
}

macro_rules! select_leases {
    ($rest:literal) => {
        concat!(
            "SELECT lease_id, job_id, node, state, taken_at, expires_at, problem FROM leases ",
            $rest
        )
    };
}

impl WorkWriter {
    /// Takes `units`, pairs of (unit, attempt), for a new lease. False, and nothing is written,
    /// when an active lease holds one of them or one of the attempts was made already: read the
    /// job's attempts again and choose anew.
    pub async fn take_lease(&self, lease: &Lease, units: &[(u32, u32)]) -> Result<bool> {
        let mut tx = self.pool.write(Writer::Work).await?;
        let sql = "SELECT a.unit, a.attempt, l.state FROM leases l \
                   JOIN attempts a ON a.lease_id = l.lease_id WHERE l.job_id = $1";
        let mut held = BTreeSet::new();
        let mut made = BTreeSet::new();
        for row in tx.all(sql, values![lease.job_id]).await? {
            let unit: u32 = row.get("unit")?;
            made.insert((unit, row.get("attempt")?));
            if row.word::<LeaseState>("state")? == LeaseState::Active {
                held.insert(unit);
            }
        }
        if units.iter().any(|pair| held.contains(&pair.0) || made.contains(pair)) {
            return Ok(false);
        }
        let sql = "INSERT INTO leases (lease_id, job_id, node, state, taken_at, expires_at, \
                   problem) VALUES ($1, $2, $3, $4, $5, $6, $7)";
        let row = values![
            lease.lease_id.as_str(),
            lease.job_id,
            lease.node,
            lease.state,
            lease.taken_at,
            lease.expires_at,
            lease.problem.as_deref(),
        ];
        tx.execute(sql, row).await?;
        let sql =
            "INSERT INTO attempts (job_id, unit, attempt, lease_id, progress, problem) VALUES";
        let attempts = units.iter().map(|(unit, attempt)| {
            let lease_id = lease.lease_id.as_str();
            values![lease.job_id, *unit, *attempt, lease_id, 0_u32, None::<&str>]
        });
        tx.insert(sql, attempts.collect()).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Moves the end of an active lease of this node; false when it is no such lease any more.
    pub async fn renew_lease(
        &self,
        lease_id: &str,
        node: Address,
        expires_at: i64,
    ) -> Result<bool> {
        let mut tx = self.pool.write(Writer::Work).await?;
        let sql = "UPDATE leases SET expires_at = $3 \
                   WHERE lease_id = $1 AND node = $2 AND state = 'active'";
        let renewed = tx.execute(sql, values![lease_id, node, expires_at]).await?;
        tx.commit().await?;
        Ok(renewed == 1)
    }

    /// Notes how far a unit is; false when its lease is not active, the unit is not in it, or it
    /// was further already.
    pub async fn progress(&self, lease_id: &str, unit: u32, thousandths: u16) -> Result<bool> {
        let mut tx = self.pool.write(Writer::Work).await?;
        let sql = "UPDATE attempts SET progress = $3 \
                   WHERE lease_id = $1 AND unit = $2 AND progress < $3 AND EXISTS \
                   (SELECT 1 FROM leases WHERE lease_id = $1 AND state = 'active')";
        let moved = tx.execute(sql, values![lease_id, unit, thousandths]).await?;
        tx.commit().await?;
        Ok(moved == 1)
    }

    /// Ends every active lease whose time is over; those it ended.
    pub async fn expire_leases(&self, now: i64) -> Result<Vec<Lease>> {
        let mut tx = self.pool.write(Writer::Work).await?;
        let sql = select_leases!("WHERE state = 'active' AND expires_at <= $1 ORDER BY lease_id");
        let mut over = Vec::new();
        for row in tx.all(sql, values![now]).await? {
            let problem = "not renewed in time".to_owned();
            let lease =
                Lease { state: LeaseState::Expired, problem: Some(problem), ..lease_from(&row)? };
            end(&mut tx, &lease).await?;
            over.push(lease);
        }
        tx.commit().await?;
        Ok(over)
    }

    /// Ends an active lease with what went wrong, as a whole and for single units.
    pub async fn fail_lease(
        &self,
        lease_id: &str,
        problem: &str,
        unit_problems: &[(u32, String)],
    ) -> Result<()> {
        let mut tx = self.pool.write(Writer::Work).await?;
        let lease = active_lease(&mut tx, lease_id).await?;
        let problem = Some(problem.to_owned());
        end(&mut tx, &Lease { state: LeaseState::Failed, problem, ..lease }).await?;
        for (unit, problem) in unit_problems {
            let sql = "UPDATE attempts SET problem = $3 WHERE lease_id = $1 AND unit = $2";
            if tx.execute(sql, values![lease_id, *unit, problem.as_str()]).await? != 1 {
                let text = format!("unit {unit} is not in lease {lease_id}");
                return Err(Error::WrongDelivery(text));
            }
        }
        tx.commit().await
    }
}

/// The lease, which must be active.
pub(crate) async fn active_lease(tx: &mut Tx, lease_id: &str) -> Result<Lease> {
    let row = tx.one(select_leases!("WHERE lease_id = $1"), values![lease_id]).await?;
    let Some(row) = row else {
        return Err(Error::Missing { what: "lease", key: lease_id.to_owned() });
    };
    let lease = lease_from(&row)?;
    if lease.state != LeaseState::Active {
        let state = lease.state.to_string();
        return Err(Error::LeaseNotActive { lease_id: lease_id.to_owned(), state });
    }
    Ok(lease)
}

/// Writes the state and problem with which a lease ends.
pub(crate) async fn end(tx: &mut Tx, lease: &Lease) -> Result<()> {
    let sql = "UPDATE leases SET state = $2, problem = $3 WHERE lease_id = $1";
    let row = values![lease.lease_id.as_str(), lease.state, lease.problem.as_deref()];
    tx.execute(sql, row).await?;
    Ok(())
}

impl Reader {
    pub async fn lease(&self, lease_id: &str) -> Result<Option<Lease>> {
        let row = self.pool.one(select_leases!("WHERE lease_id = $1"), values![lease_id]).await?;
        row.as_ref().map(lease_from).transpose()
    }

    /// Active leases, the first to expire first; past their time until `expire_leases` runs.
    pub async fn active_leases(&self) -> Result<Vec<Lease>> {
        let sql = select_leases!("WHERE state = 'active' ORDER BY expires_at, lease_id");
        self.pool.all(sql, vec![]).await?.iter().map(lease_from).collect()
    }

    /// Every attempt at the job's units, by unit and attempt.
    pub async fn attempts_of_job(&self, job_id: JobId) -> Result<Vec<Attempt>> {
        let sql = "SELECT a.job_id, a.unit, a.attempt, a.lease_id, l.node, l.state, a.progress, \
                   a.problem, l.expires_at FROM attempts a \
                   JOIN leases l ON l.lease_id = a.lease_id WHERE a.job_id = $1 \
                   ORDER BY a.unit, a.attempt";
        self.pool.all(sql, values![job_id]).await?.iter().map(attempt_from).collect()
    }
}

fn lease_from(row: &Row) -> Result<Lease> {
    Ok(Lease {
        lease_id: row.get("lease_id")?,
        job_id: row.get("job_id")?,
        node: row.get("node")?,
        state: row.word("state")?,
        taken_at: row.get("taken_at")?,
        expires_at: row.get("expires_at")?,
        problem: row.opt("problem")?,
    })
}

fn attempt_from(row: &Row) -> Result<Attempt> {
    Ok(Attempt {
        job_id: row.get("job_id")?,
        unit: row.get("unit")?,
        attempt: row.get("attempt")?,
        lease_id: row.get("lease_id")?,
        node: row.get("node")?,
        lease_state: row.word("state")?,
        progress: row.get("progress")?,
        problem: row.opt("problem")?,
        expires_at: row.get("expires_at")?,
    })
}

#[cfg(test)]
mod tests;
