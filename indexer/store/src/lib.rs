//! The store: the only SQL in the house, and the files; hands out one reader and four writers.

#![cfg_attr(
    test,
    allow(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss,
        reason = "tests choose numbers that fit"
    )
)]

use std::path::Path;

pub mod accounts;
pub mod blocks;
pub mod bonds;
pub mod books;
mod bulk;
mod columns;
mod dialect;
pub mod entries;
mod error;
pub mod events;
pub mod export;
pub mod extend;
pub mod history;
pub mod jobs;
pub mod leases;
mod load;
pub mod lock;
mod migrate;
pub mod nodes;
pub mod objects;
mod open;
pub mod orders;
pub mod outbox;
pub mod period;
mod reads;
pub mod receipts;
pub mod registry;
pub mod roles;
mod rows;
pub mod runs;
pub mod scenes;
pub mod specs;
mod sqlite;
pub mod statement;
mod terms;
#[cfg(test)]
mod testing;
mod values;
mod walk;
mod writing;

pub use accounts::AccountState;
pub use blocks::{Block, Escrow, Head, Marks, Reorg, Tag, Verified};
pub use bonds::BondState;
pub use entries::{Entry, entries_of, entries_of_registry};
pub use error::{Error, Result};
pub use events::EventRow;
pub use extend::Step;
pub use history::{Contract, History, HistoryEvent, HistoryFilter, HistoryRow, Place};
pub use jobs::{JobFilter, JobOrder, JobState, LotRow, LotState, LotStatus};
pub use leases::{Attempt, Lease, LeaseState, MAX_TRIES};
pub use load::Cursor;
pub use lock::{Lock, Role};
pub use nodes::{Node, NodeBackend};
pub use objects::Objects;
pub use orders::{Approval, CloseRequest, IntakeOrder, Rejection};
pub use outbox::{Action, Intent, IntentState, SentTx};
pub use period::Period;
pub use receipts::{LotDraft, ReceiptRow};
pub use registry::RegistryRow;
pub use roles::{DelegateState, OfficeState};
pub use runs::{AuditKind, AuditRun, Owed};
pub use scenes::Scene;
pub use specs::{Quote, Spec};
pub use statement::{BookSum, Movement, Side, Statement, StatementBook};
use writing::Writing;

/// One database and one folder of objects. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    pool: dialect::Pool,
    writing: Writing,
    objects: Objects,
}

/// Reads everything, writes nothing.
#[derive(Clone)]
pub struct Reader {
    pool: reads::Reads,
    /// Rows of blocks above this one are not seen.
    until: u64,
}

/// Writes what the chain said; for the indexer alone.
#[derive(Clone)]
pub struct ChainWriter {
    pool: Writing,
}

/// Writes what payers and callers handed in; for the API alone.
#[derive(Clone)]
pub struct IntakeWriter {
    pool: Writing,
}

/// Writes work done off chain and the outbox; for the settler alone.
#[derive(Clone)]
pub struct WorkWriter {
    pool: Writing,
}

/// Writes what audits found; for `rndr audit --record` alone.
#[derive(Clone)]
pub struct AuditWriter {
    pool: Writing,
}

impl Store {
    /// Opens and migrates. `url` is `sqlite:/path/file.db` (made when missing) or
    /// `postgres://user@host/database` (must exist); `objects` is a folder, made when missing.
    /// Several processes may do so at once.
    pub async fn open(url: &str, objects: &Path) -> Result<Self> {
        let pool = dialect::Pool::open(url).await?;
        migrate::migrate(&pool).await?;
        let (writing, objects) = (Writing::to(pool.clone()), Objects::open(objects).await?);
        Ok(Self { pool, writing, objects })
    }

    /// Opens for reading: a replica, say, or by a user that may only read. Nothing is written
    /// there, not even a newer schema: a database of another release is refused. What payers hand
    /// in goes to `writes`, when it is given, and is refused otherwise.
    pub async fn open_reading(reads: &str, writes: Option<&str>, objects: &Path) -> Result<Self> {
        let pool = dialect::Pool::open_reading(reads).await?;
        let writing = match writes {
            None => Writing::nowhere(),
            Some(url) => {
                let writing = dialect::Pool::open(url).await?;
                migrate::migrate(&writing).await?;
                Writing::to(writing)
            }
        };
        // Only now: it may be the schema that was just brought up to date.
        migrate::check(&pool).await?;
        let objects = match writes {
            None => Objects::open_existing(objects)?,
            Some(_) => Objects::open(objects).await?,
        };
        Ok(Self { pool, writing, objects })
    }

    /// Says no before work is done that could not be stored.
    pub fn takes_writes(&self) -> Result<()> {
        self.writing.pool().map(|_| ())
    }

    pub fn reader(&self) -> Reader {
        Reader { pool: reads::Reads::Now(self.pool.clone()), until: reads::EVER }
    }

    pub fn chain_writer(&self) -> ChainWriter {
        ChainWriter { pool: self.writing.clone() }
    }

    pub fn intake(&self) -> IntakeWriter {
        IntakeWriter { pool: self.writing.clone() }
    }

    pub fn work(&self) -> WorkWriter {
        WorkWriter { pool: self.writing.clone() }
    }

    pub fn audit(&self) -> AuditWriter {
        AuditWriter { pool: self.writing.clone() }
    }

    pub fn objects(&self) -> Objects {
        self.objects.clone()
    }

    /// Closes every connection of this store and its handles; later calls fail.
    pub async fn close(&self) {
        self.pool.close().await;
        if let Ok(pool) = self.writing.pool() {
            pool.close().await;
        }
    }
}
