//! The first load of a fresh database: without what only readers and rewinds need, made at its end.

use crate::ChainWriter;
use crate::blocks::{Block, SELECT_NEWEST, block_from};
use crate::dialect::{Tx, Writer};
use crate::error::Result;
use crate::values::values;

/// Tables that a load fills. Indexes of others stay.
const TABLES: &str = "('blocks', 'events', 'job_orders', 'lots', 'account_states', 'job_states', \
     'lot_states', 'delegate_states', 'office_states', 'registry_events', 'registry_receipts', \
     'bond_states')";

/// Where a load stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The newest block written, also while readers see none.
    pub tip: Option<Block>,
    /// A load runs: there is no way to find a row but by its place.
    pub loading: bool,
}

/// A thing that was left out: how to take it away, and how to make it again.
struct Left {
    name: String,
    remove: String,
    make: String,
}

impl ChainWriter {
    /// The newest block written; the indexer goes on from here.
    pub async fn cursor(&self) -> Result<Cursor> {
        let tip = self.pool.one(SELECT_NEWEST, vec![]).await?;
        let left = self.pool.one("SELECT name FROM load_rest LIMIT 1", vec![]).await?;
        Ok(Cursor { tip: tip.as_ref().map(block_from).transpose()?, loading: left.is_some() })
    }

    /// Takes away the indexes, and on Postgres the foreign keys, of a store without blocks, until
    /// `end_load` makes them again: rows are then written several times as fast. Readers see no
    /// block meanwhile. False: there are blocks, and nothing was changed.
    pub async fn begin_load(&self) -> Result<bool> {
        let mut tx = self.pool.write(Writer::Chain).await?;
        if tx.one("SELECT block FROM blocks LIMIT 1", vec![]).await?.is_some() {
            return Ok(false);
        }
        for Left { name, remove, make } in left_out(&mut tx).await? {
            tx.script(remove).await?;
            let row = values![name.as_str(), make.as_str()];
            tx.execute("INSERT INTO load_rest (name, make) VALUES ($1, $2)", row).await?;
        }
        tx.commit().await?;
        Ok(true)
    }

    /// Makes what `begin_load` took away, one by one: a crash on the way loses one at most, and
    /// other writers come between. Nothing to do when no load runs. An error of a unique index
    /// says that the chain named a job or lot twice, which it never does.
    pub async fn end_load(&self) -> Result<()> {
        // Ends: each round makes one thing less.
        loop {
            let mut tx = self.pool.write(Writer::Chain).await?;
            // Indexes before foreign keys, so that readers wait for as little as possible.
            let sql = "SELECT name, make FROM load_rest ORDER BY make DESC LIMIT 1";
            let Some(row) = tx.one(sql, vec![]).await? else { return Ok(()) };
            let (name, make): (String, String) = (row.get("name")?, row.get("make")?);
            tx.without_time_limit().await?;
            tx.script(make).await?;
            tx.execute("DELETE FROM load_rest WHERE name = $1", values![name.as_str()]).await?;
            tx.commit().await?;
            tracing::info!(name, "made after the first load");
        }
    }
}

async fn left_out(tx: &mut Tx) -> Result<Vec<Left>> {
    let of_tables = match tx {
        Tx::Sqlite(_) => {
            "SELECT name, sql AS make, 'DROP INDEX ' || name AS remove FROM sqlite_schema \
             WHERE type = 'index' AND sql IS NOT NULL AND tbl_name IN "
        }
        Tx::Postgres(_) => {
            "SELECT r.conname::text AS name, 'ALTER TABLE ' || r.conrelid::regclass::text \
             || ' DROP CONSTRAINT ' || r.conname AS remove, 'ALTER TABLE ' \
             || r.conrelid::regclass::text || ' ADD CONSTRAINT ' || r.conname || ' ' \
             || pg_get_constraintdef(r.oid) AS make \
             FROM pg_constraint r WHERE r.contype = 'f' AND r.confrelid = 'blocks'::regclass \
             UNION ALL \
             SELECT i.indexname::text, 'DROP INDEX ' || i.indexname, i.indexdef FROM pg_indexes i \
             WHERE i.schemaname = current_schema() AND NOT EXISTS (SELECT 1 FROM pg_constraint c \
             WHERE c.conname = i.indexname) AND i.tablename IN "
        }
    };
    let text = format!("{of_tables} {TABLES} ORDER BY name");
    let rows = tx.all_made(&text, vec![]).await?;
    rows.iter()
        .map(|row| {
            Ok(Left { name: row.get("name")?, remove: row.get("remove")?, make: row.get("make")? })
        })
        .collect()
}

#[cfg(test)]
mod tests;
