//! Where a reader reads: any connection, or one moment of the database; and up to which block.

use std::sync::Arc;

use tokio::sync::Mutex;

use crate::Reader;
use crate::dialect::{Pool, Tx, placeholders};
use crate::error::Result;
use crate::values::{Row, Value};

/// A bound above every block.
pub(crate) const EVER: u64 = i64::MAX.unsigned_abs();

#[derive(Clone)]
pub(crate) enum Reads {
    Now(Pool),
    /// One transaction for all readers of a moment; its connection is theirs until they are gone.
    Moment(Arc<Mutex<Tx>>),
}

impl Reads {
    pub async fn all(&self, sql: &'static str, values: Vec<Value>) -> Result<Vec<Row>> {
        match self {
            Self::Now(pool) => pool.all(sql, values).await,
            Self::Moment(tx) => tx.lock().await.all(sql, values).await,
        }
    }

    /// The first row, for queries that give one at most.
    pub async fn one(&self, sql: &'static str, values: Vec<Value>) -> Result<Option<Row>> {
        Ok(self.all(sql, values).await?.into_iter().next())
    }

    /// As `all`, for a text that is put together from our own words.
    pub async fn all_made(&self, text: &str, values: Vec<Value>) -> Result<Vec<Row>> {
        match self {
            Self::Now(pool) => pool.all_made(text, values).await,
            Self::Moment(tx) => tx.lock().await.all_made(text, values).await,
        }
    }

    /// As `all`, for a text that names `count` placeholders: `{}` becomes ($1, $2, ...).
    pub async fn all_in(&self, sql: &'static str, values: Vec<Value>) -> Result<Vec<Row>> {
        let text = sql.replace("{}", &placeholders(1, values.len()));
        self.all_made(&text, values).await
    }
}

impl Reader {
    /// A reader of this very moment: whatever is written meanwhile, all its answers fit together.
    /// It holds one of few connections, so let go of it soon.
    pub async fn moment(&self) -> Result<Self> {
        let reads = match &self.pool {
            Reads::Now(pool) => Reads::Moment(Arc::new(Mutex::new(pool.moment().await?))),
            moment @ Reads::Moment(_) => moment.clone(),
        };
        Ok(Self { pool: reads, until: self.until })
    }

    /// A reader of the chain up to this block, as if no later one were stored. What people handed
    /// in and work done hang from no block and are seen as they are. Below the finalized head
    /// snapshots may stand for a whole range of blocks, so accounts, jobs, lots and bonds are only
    /// right at heads; events are at any block.
    #[must_use]
    pub fn at(&self, block: u64) -> Self {
        Self { pool: self.pool.clone(), until: self.until.min(block) }
    }
}

#[cfg(test)]
mod tests;
