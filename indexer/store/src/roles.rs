//! Snapshots of delegates and offices: who may open for whom, who takes credit, until when paused.

use alloy::primitives::Address;
use contracts::Amount;
use serde::Serialize;

use crate::Reader;
use crate::bulk::{Table, table};
use crate::error::Result;
use crate::values::{Row, Value, values};

/// A delegate as an event left it; all zero once it was revoked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DelegateState {
    pub payer: Address,
    pub agent: Address,
    pub block: u64,
    pub log_index: u64,
    pub settler: Address,
    pub allowance: Amount,
    pub max_per_job: Amount,
    pub expiry: i64,
}

/// What issuer and guardian said last; `seq` counts their events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OfficeState {
    pub block: u64,
    pub log_index: u64,
    /// Zero: no settler takes credit.
    pub credit_settler: Address,
    pub paused_until: i64,
    pub seq: u64,
}

impl Reader {
    /// The delegate now; None when it was never set.
    pub async fn delegate(&self, payer: Address, agent: Address) -> Result<Option<DelegateState>> {
        let sql = "SELECT payer, agent, block, log_index, settler, allowance, max_per_job, \
                   expiry FROM delegate_states WHERE payer = $1 AND agent = $2 AND block <= $3 \
                   ORDER BY block DESC, log_index DESC LIMIT 1";
        let row = self.pool.one(sql, values![payer, agent, self.until]).await?;
        row.as_ref().map(delegate_from).transpose()
    }

    /// Every delegate now, revoked ones too, by payer and agent.
    pub async fn delegates(&self) -> Result<Vec<DelegateState>> {
        let sql = "SELECT payer, agent, block, log_index, settler, allowance, max_per_job, \
                   expiry FROM delegate_states s \
                   WHERE (s.block, s.log_index) = (SELECT n.block, n.log_index \
                   FROM delegate_states n WHERE n.payer = s.payer AND n.agent = s.agent \
                   AND n.block <= $1 \
                   ORDER BY n.block DESC, n.log_index DESC LIMIT 1) ORDER BY payer, agent";
        self.pool.all(sql, values![self.until]).await?.iter().map(delegate_from).collect()
    }

    /// The offices now; None before their first event.
    pub async fn offices(&self) -> Result<Option<OfficeState>> {
        let sql = "SELECT block, log_index, credit_settler, paused_until, seq FROM office_states \
                   WHERE block <= $1 ORDER BY block DESC, log_index DESC LIMIT 1";
        let values = values![self.until];
        self.pool.one(sql, values).await?.as_ref().map(office_from).transpose()
    }
}

pub(crate) const DELEGATES: Table = table!(
    "delegate_states",
    "payer, agent, block, log_index, settler, allowance, max_per_job, expiry"
);

pub(crate) fn delegate_values(state: &DelegateState) -> Vec<Value> {
    values![
        state.payer,
        state.agent,
        state.block,
        state.log_index,
        state.settler,
        state.allowance,
        state.max_per_job,
        state.expiry,
    ]
}

pub(crate) fn delegate_from(row: &Row) -> Result<DelegateState> {
    Ok(DelegateState {
        payer: row.get("payer")?,
        agent: row.get("agent")?,
        block: row.get("block")?,
        log_index: row.get("log_index")?,
        settler: row.get("settler")?,
        allowance: row.get("allowance")?,
        max_per_job: row.get("max_per_job")?,
        expiry: row.get("expiry")?,
    })
}

pub(crate) const OFFICES: Table =
    table!("office_states", "block, log_index, credit_settler, paused_until, seq");

pub(crate) fn office_values(state: &OfficeState) -> Vec<Value> {
    values![state.block, state.log_index, state.credit_settler, state.paused_until, state.seq]
}

pub(crate) fn office_from(row: &Row) -> Result<OfficeState> {
    Ok(OfficeState {
        block: row.get("block")?,
        log_index: row.get("log_index")?,
        credit_settler: row.get("credit_settler")?,
        paused_until: row.get("paused_until")?,
        seq: row.get("seq")?,
    })
}
