//! The way to every writing transaction: refused without a database to write, or without the lease.

use std::sync::{Arc, Mutex, PoisonError};

use alloy::primitives::B256;

use crate::dialect::{Pool, Tx, Writer};
use crate::error::{Error, Result};
use crate::lock::Role;
use crate::values::{Row, Value, values};

/// Where a store writes, and as whom. Cheap to clone; clones share the lease.
#[derive(Clone)]
pub(crate) struct Writing {
    /// None: this process was given a database to read only.
    pool: Option<Pool>,
    indexer: Holder,
    settler: Holder,
}

/// The name under which this process took over, once it did.
type Holder = Arc<Mutex<Option<B256>>>;

impl Writing {
    pub fn to(pool: Pool) -> Self {
        Self { pool: Some(pool), ..Self::nowhere() }
    }

    pub fn nowhere() -> Self {
        Self { pool: None, indexer: Holder::default(), settler: Holder::default() }
    }

    pub fn pool(&self) -> Result<&Pool> {
        self.pool.as_ref().ok_or(Error::ReadOnly)
    }

    /// A row as the writer sees it; nothing is written.
    pub async fn one(&self, sql: &'static str, values: Vec<Value>) -> Result<Option<Row>> {
        self.pool()?.one(sql, values).await
    }

    /// Waits its turn, then begins. A lock can be lost without a word, with its connection or
    /// its file, and a process can be stopped for an hour between any two instructions: so the
    /// lease is looked at in the very transaction that writes. Who takes over takes the same turn.
    pub async fn write(&self, kind: Writer) -> Result<Tx> {
        let mut tx = self.pool()?.write(kind).await?;
        let Some(role) = role_of(kind) else { return Ok(tx) };
        let sql = "SELECT holder FROM writers WHERE role = $1";
        let row = tx.one(sql, values![role.as_str()]).await?;
        let stored = row.map(|row| row.get::<B256>("holder")).transpose()?;
        if stored != self.held_by(role) {
            return Err(Error::Superseded { role: role.as_str() });
        }
        Ok(tx)
    }

    /// From here on no process that took over before can write as this role.
    pub async fn take_over(&self, role: Role) -> Result<()> {
        let name = B256::random();
        let mut tx = self.pool()?.write(kind_of(role)).await?;
        let sql = "INSERT INTO writers (role, holder) VALUES ($1, $2) \
                   ON CONFLICT (role) DO UPDATE SET holder = excluded.holder";
        tx.execute(sql, values![role.as_str(), name]).await?;
        tx.commit().await?;
        *self.holder(role).lock().unwrap_or_else(PoisonError::into_inner) = Some(name);
        Ok(())
    }

    /// Whether nobody took over since this process did; nothing is written.
    pub async fn still_holds(&self, role: Role) -> Result<()> {
        self.write(kind_of(role)).await.map(|_| ())
    }

    /// The name under which this process writes as a role.
    pub fn held_by(&self, role: Role) -> Option<B256> {
        *self.holder(role).lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn holder(&self, role: Role) -> &Holder {
        match role {
            Role::Indexer => &self.indexer,
            Role::Settler => &self.settler,
        }
    }
}

fn role_of(kind: Writer) -> Option<Role> {
    match kind {
        Writer::Chain => Some(Role::Indexer),
        Writer::Work => Some(Role::Settler),
        Writer::Schema | Writer::Intake | Writer::Audit => None,
    }
}

fn kind_of(role: Role) -> Writer {
    match role {
        Role::Indexer => Writer::Chain,
        Role::Settler => Writer::Work,
    }
}
