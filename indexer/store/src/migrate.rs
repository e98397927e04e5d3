//! Brings a database to this program's schema, safe when several processes start at once.

use alloy::primitives::{B256, keccak256};

use crate::dialect::{Pool, Writer};
use crate::error::{Error, Result};
use crate::values::{Row, values};

/// Written for Postgres; `Tx::translate` puts them into SQLite's words. Only ever added to.
const MIGRATIONS: [(i64, &str); 11] = [
    (1, include_str!("../migrations/0001_chain.sql")),
    (2, include_str!("../migrations/0002_intake.sql")),
    (3, include_str!("../migrations/0003_work.sql")),
    (4, include_str!("../migrations/0004_credit.sql")),
    (5, include_str!("../migrations/0005_registry.sql")),
    (6, include_str!("../migrations/0006_delegates.sql")),
    (7, include_str!("../migrations/0007_places.sql")),
    (8, include_str!("../migrations/0008_proofs.sql")),
    (9, include_str!("../migrations/0009_reads.sql")),
    (10, include_str!("../migrations/0010_writers.sql")),
    (11, include_str!("../migrations/0011_audits.sql")),
];

/// Which migrations a database has had, each with the hash of its text.
const JOURNAL: &str = "CREATE TABLE IF NOT EXISTS migrations (
    version BIGINT NOT NULL PRIMARY KEY,
    hash BYTEA NOT NULL
);";

const SELECT_JOURNAL: &str = "SELECT version, hash FROM migrations ORDER BY version";

/// One transaction for all of it: killed half way, it leaves the old schema. Whoever comes second
/// waits, then finds nothing to do. Nobody waits for a turn when nothing is to be done.
pub(crate) async fn migrate(pool: &Pool) -> Result<()> {
    if stored(pool).await? == Some(MIGRATIONS.len()) {
        return Ok(());
    }
    migrate_by(pool, &MIGRATIONS).await
}

async fn migrate_by(pool: &Pool, migrations: &[(i64, &str)]) -> Result<()> {
    let mut tx = pool.write(Writer::Schema).await?;
    // A migration may write every row anew.
    tx.without_time_limit().await?;
    let journal = tx.translate(JOURNAL);
    tx.script(journal).await?;
    let rows = tx.all(SELECT_JOURNAL, vec![]).await?;
    for (version, text) in migrations.iter().skip(known(&rows)?) {
        let translated = tx.translate(text);
        tx.script(translated).await?;
        let row = values![*version, keccak256(text)];
        tx.execute("INSERT INTO migrations (version, hash) VALUES ($1, $2)", row).await?;
        tracing::info!(version, "migrated the database");
    }
    tx.commit().await
}

/// Whether this program can read the database as it is.
pub(crate) async fn check(pool: &Pool) -> Result<()> {
    match stored(pool).await? {
        None | Some(0) => Err(Error::NoSchema),
        Some(had) if had < MIGRATIONS.len() => {
            Err(Error::OlderSchema { version: number(had), known: number(MIGRATIONS.len()) })
        }
        Some(_) => Ok(()),
    }
}

/// How many of the migrations the database has had; None: it has no journal of them.
async fn stored(pool: &Pool) -> Result<Option<usize>> {
    match pool.all(SELECT_JOURNAL, vec![]).await {
        Ok(rows) => known(&rows).map(Some),
        Err(error) if error.is_missing_table() => Ok(None),
        Err(error) => Err(error),
    }
}

/// How many there are in the journal, when each is one of ours and none is left out.
fn known(journal: &[Row]) -> Result<usize> {
    for (place, row) in journal.iter().enumerate() {
        let (version, hash): (i64, B256) = (row.get("version")?, row.get("hash")?);
        match MIGRATIONS.get(place) {
            Some((expected, text)) if (*expected, keccak256(text)) == (version, hash) => {}
            Some(_) => return Err(Error::Migration { version }),
            None => return Err(Error::NewerSchema { version, known: number(MIGRATIONS.len()) }),
        }
    }
    Ok(journal.len())
}

/// Version of the last one of so many.
fn number(count: usize) -> i64 {
    count.checked_sub(1).and_then(|last| MIGRATIONS.get(last)).map_or(0, |(version, _)| *version)
}

#[cfg(test)]
mod tests;
