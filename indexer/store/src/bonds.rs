//! Bond snapshots: a node's owner, terms and money in the registry after each event of its own.

use alloy::primitives::{Address, B256};
use contracts::Amount;
use serde::Serialize;

use crate::Reader;
use crate::bulk::{Table, table};
use crate::error::Result;
use crate::values::{Row, Value, values};

/// A node as an event left it. Amounts in base units, times in unix seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BondState {
    pub signer: Address,
    pub block: u64,
    pub log_index: u64,
    pub owner: Address,
    pub payout: Address,
    pub capabilities_hash: B256,
    pub bonded: Amount,
    pub unbonding: Amount,
    /// From when `unbonding` can be withdrawn, of the last request; 0 before the first.
    pub unbond_at: i64,
    pub slashed: bool,
    pub seq: u64,
}

impl Reader {
    /// The node's bond now; None when its signer never registered.
    pub async fn bond(&self, signer: Address) -> Result<Option<BondState>> {
        let sql = "SELECT signer, block, log_index, owner, payout, capabilities_hash, bonded, \
                   unbonding, unbond_at, slashed, seq FROM bond_states WHERE signer = $1 \
                   AND block <= $2 ORDER BY block DESC, log_index DESC LIMIT 1";
        let values = values![signer, self.until];
        self.pool.one(sql, values).await?.as_ref().map(bond_from).transpose()
    }

    /// Every bond now, slashed ones too, by signer.
    pub async fn bonds(&self) -> Result<Vec<BondState>> {
        let sql = "SELECT signer, block, log_index, owner, payout, capabilities_hash, bonded, \
                   unbonding, unbond_at, slashed, seq FROM bond_states s \
                   WHERE (s.block, s.log_index) = (SELECT n.block, n.log_index \
                   FROM bond_states n WHERE n.signer = s.signer AND n.block <= $1 \
                   ORDER BY n.block DESC, n.log_index DESC LIMIT 1) ORDER BY signer";
        self.pool.all(sql, values![self.until]).await?.iter().map(bond_from).collect()
    }
}

pub(crate) const BONDS: Table = table!(
    "bond_states",
    "signer, block, log_index, owner, payout, capabilities_hash, bonded, unbonding, \
     unbond_at, slashed, seq"
);

pub(crate) fn bond_values(state: &BondState) -> Vec<Value> {
    values![
        state.signer,
        state.block,
        state.log_index,
        state.owner,
        state.payout,
        state.capabilities_hash,
        state.bonded,
        state.unbonding,
        state.unbond_at,
        state.slashed,
        state.seq,
    ]
}

pub(crate) fn bond_from(row: &Row) -> Result<BondState> {
    Ok(BondState {
        signer: row.get("signer")?,
        block: row.get("block")?,
        log_index: row.get("log_index")?,
        owner: row.get("owner")?,
        payout: row.get("payout")?,
        capabilities_hash: row.get("capabilities_hash")?,
        bonded: row.get("bonded")?,
        unbonding: row.get("unbonding")?,
        unbond_at: row.get("unbond_at")?,
        slashed: row.get("slashed")?,
        seq: row.get("seq")?,
    })
}
