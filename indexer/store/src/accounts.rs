//! Account snapshots: an account's free balance and credit after each event that it counts.

use alloy::primitives::Address;
use contracts::Amount;
use serde::Serialize;

use crate::Reader;
use crate::bulk::{Table, table};
use crate::error::Result;
use crate::values::{Row, Value, values};

/// An account as an event left it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AccountState {
    pub account: Address,
    pub block: u64,
    pub log_index: u64,
    pub free: Amount,
    pub credit: Amount,
    pub seq: u64,
}

impl Reader {
    /// The account now; None when no event has named it as its account.
    pub async fn account(&self, account: Address) -> Result<Option<AccountState>> {
        let sql = "SELECT account, block, log_index, free, credit, seq FROM account_states \
                   WHERE account = $1 AND block <= $2 ORDER BY block DESC, log_index DESC LIMIT 1";
        let values = values![account, self.until];
        self.pool.one(sql, values).await?.as_ref().map(account_from).transpose()
    }

    /// Every account now, by address.
    pub async fn accounts(&self) -> Result<Vec<AccountState>> {
        let sql = "SELECT account, block, log_index, free, credit, seq FROM account_states s \
                   WHERE (s.block, s.log_index) = (SELECT n.block, n.log_index \
                   FROM account_states n WHERE n.account = s.account AND n.block <= $1 \
                   ORDER BY n.block DESC, n.log_index DESC LIMIT 1) ORDER BY account";
        self.pool.all(sql, values![self.until]).await?.iter().map(account_from).collect()
    }
}

pub(crate) const ACCOUNTS: Table =
    table!("account_states", "account, block, log_index, free, credit, seq");

pub(crate) fn account_values(state: &AccountState) -> Vec<Value> {
    values![state.account, state.block, state.log_index, state.free, state.credit, state.seq]
}

pub(crate) fn account_from(row: &Row) -> Result<AccountState> {
    Ok(AccountState {
        account: row.get("account")?,
        block: row.get("block")?,
        log_index: row.get("log_index")?,
        free: row.get("free")?,
        credit: row.get("credit")?,
        seq: row.get("seq")?,
    })
}
