//! Brings a database to this program's schema, safe when several processes start at once.

use alloy::primitives::{B256, keccak256};

use crate::dialect::{Pool, Writer};
use crate::error::{Error, Result};
use crate::values::values;

/// Written for Postgres; `Tx::translate` puts them into SQLite's words. Only ever added to.
const MIGRATIONS: [(i64, &str); 9] = [
    (1, include_str!("../migrations/0001_chain.sql")),
    (2, include_str!("../migrations/0002_intake.sql")),
    (3, include_str!("../migrations/0003_work.sql")),
    (4, include_str!("../migrations/0004_credit.sql")),
    (5, include_str!("../migrations/0005_registry.sql")),
    (6, include_str!("../migrations/0006_delegates.sql")),
    (7, include_str!("../migrations/0007_places.sql")),
    (8, include_str!("../migrations/0008_proofs.sql")),
    (9, include_str!("../migrations/0009_reads.sql")),
];

/// Which migrations a database has had, each with the hash of its text.
const JOURNAL: &str = "CREATE TABLE IF NOT EXISTS migrations (
    version BIGINT NOT NULL PRIMARY KEY,
    hash BYTEA NOT NULL
);";

/// One transaction for all of it: whoever comes second waits, then finds nothing to do.
pub(crate) async fn migrate(pool: &Pool) -> Result<()> {
    migrate_by(pool, &MIGRATIONS).await
}

async fn migrate_by(pool: &Pool, migrations: &[(i64, &str)]) -> Result<()> {
    let mut tx = pool.write(Writer::Schema).await?;
    // A migration may write every row anew.
    tx.without_time_limit().await?;
    let journal = tx.translate(JOURNAL);
    tx.script(journal).await?;
    let rows = tx.all("SELECT version, hash FROM migrations ORDER BY version", vec![]).await?;
    for (place, row) in rows.iter().enumerate() {
        let (version, hash): (i64, B256) = (row.get("version")?, row.get("hash")?);
        let known = migrations.get(place).map(|(v, text)| (*v, keccak256(text)));
        if known != Some((version, hash)) {
            return Err(Error::Migration { version });
        }
    }
    for (version, text) in migrations.iter().skip(rows.len()) {
        let translated = tx.translate(text);
        tx.script(translated).await?;
        let row = values![*version, keccak256(text)];
        tx.execute("INSERT INTO migrations (version, hash) VALUES ($1, $2)", row).await?;
        tracing::info!(version, "migrated the database");
    }
    tx.commit().await
}

#[cfg(test)]
mod tests;
