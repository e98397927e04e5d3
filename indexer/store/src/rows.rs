//! Every row of the chain's tables in a range of blocks, as they are: what an audit compares.

use crate::Reader;
use crate::accounts::account_from;
use crate::blocks::block_from;
use crate::bonds::bond_from;
use crate::error::Result;
use crate::extend::Step;
use crate::jobs::{job_order_from, job_state_from, lot_row_from, lot_state_from};
use crate::roles::{delegate_from, office_from};
use crate::terms::{lot_columns, order_columns};
use crate::values::values;

impl Reader {
    /// All rows that hang from blocks `from..=to`, snapshots that newer ones replaced among
    /// them, each table in order. Heads are of no block and stay empty.
    pub async fn rows_between(&self, from: u64, to: u64) -> Result<Step> {
        let range = || values![from, to.min(self.until)];
        let sql = "SELECT block, hash, parent_hash, mined_at, verified, digest FROM blocks \
                   WHERE block BETWEEN $1 AND $2 ORDER BY block";
        let blocks = self.pool.all(sql, range()).await?;
        let sql = concat!(
            "SELECT o.job_id, o.block AS opened_block, ",
            order_columns!(),
            " FROM job_orders o WHERE o.block BETWEEN $1 AND $2 ORDER BY o.block, o.job_id"
        );
        let orders = self.pool.all(sql, range()).await?;
        let sql = concat!(
            "SELECT l.lot_hash, l.job_id, l.block AS first_block, ",
            lot_columns!(),
            " FROM lots l WHERE l.block BETWEEN $1 AND $2 ORDER BY l.block, l.lot_hash"
        );
        let lots = self.pool.all(sql, range()).await?;
        let sql = "SELECT account, block, log_index, free, credit, seq FROM account_states \
                   WHERE block BETWEEN $1 AND $2 ORDER BY block, log_index, account";
        let accounts = self.pool.all(sql, range()).await?;
        let sql = "SELECT job_id, block, log_index, funded, released, pending, units_paid, \
                   job_seq, closed, work_deadline AS deadline_now, close_requested, \
                   credit_share \
                   FROM job_states WHERE block BETWEEN $1 AND $2 \
                   ORDER BY block, log_index, job_id";
        let jobs = self.pool.all(sql, range()).await?;
        let sql = "SELECT lot_hash, block, log_index, status, window_end, rejected, paid, lot_key \
                   FROM lot_states WHERE block BETWEEN $1 AND $2 \
                   ORDER BY block, log_index, lot_hash";
        let lot_states = self.pool.all(sql, range()).await?;
        let sql = "SELECT payer, agent, block, log_index, settler, allowance, max_per_job, \
                   expiry FROM delegate_states WHERE block BETWEEN $1 AND $2 \
                   ORDER BY block, log_index, payer, agent";
        let delegates = self.pool.all(sql, range()).await?;
        let sql = "SELECT block, log_index, credit_settler, paused_until, seq \
                   FROM office_states WHERE block BETWEEN $1 AND $2 ORDER BY block, log_index";
        let offices = self.pool.all(sql, range()).await?;
        let sql = "SELECT signer, block, log_index, owner, payout, capabilities_hash, bonded, \
                   unbonding, unbond_at, slashed, seq FROM bond_states \
                   WHERE block BETWEEN $1 AND $2 ORDER BY block, log_index, signer";
        let bonds = self.pool.all(sql, range()).await?;
        Ok(Step {
            blocks: blocks.iter().map(block_from).collect::<Result<_>>()?,
            events: self.events_between(from, to).await?,
            orders: orders.iter().map(job_order_from).collect::<Result<_>>()?,
            lots: lots.iter().map(lot_row_from).collect::<Result<_>>()?,
            accounts: accounts.iter().map(account_from).collect::<Result<_>>()?,
            jobs: jobs.iter().map(job_state_from).collect::<Result<_>>()?,
            lot_states: lot_states.iter().map(lot_state_from).collect::<Result<_>>()?,
            delegates: delegates.iter().map(delegate_from).collect::<Result<_>>()?,
            offices: offices.iter().map(office_from).collect::<Result<_>>()?,
            registry: self.registry_events_between(from, to).await?,
            bonds: bonds.iter().map(bond_from).collect::<Result<_>>()?,
            heads: vec![],
        })
    }
}

#[cfg(test)]
mod tests;
