//! How a database is opened: its pools, what each connection is set to, folders that are missing.

use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use sqlx::Connection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

use crate::dialect::Pool;
use crate::error::{Error, Result};
use crate::sqlite::StepWriter;

/// How long a statement of SQLite waits for another process's write; ours take milliseconds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long to wait for a free connection before the caller hears of it.
pub(crate) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// Reads are short and indexed; more connections than this only queue inside the database.
const READERS: u32 = 8;
/// Postgres: one for each kind of writer, as `rndr all` is all three in one process.
const PG_WRITERS: u32 = 3;
/// Postgres gives up on a statement after this many milliseconds; the longest of ours is one
/// chunk of a backfill step.
const PG_STATEMENT_MS: &str = "30000";
/// Several processes may open one fresh file at once; the switch to WAL then fails at once
/// instead of waiting, so it is tried again for about as long as a lock would be waited for.
const OPEN_ATTEMPTS: u32 = 50;
const OPEN_PAUSE: Duration = Duration::from_millis(100);
/// Prepared statements kept of each connection to SQLite: every size of insert of every table.
const SQLITE_STATEMENTS: usize = 200;

impl Pool {
    pub async fn open(url: &str) -> Result<Self> {
        Self::open_for(url, false).await
    }

    /// For reading alone: its writers are never used, and would be refused.
    pub async fn open_reading(url: &str) -> Result<Self> {
        Self::open_for(url, true).await
    }

    async fn open_for(url: &str, reading: bool) -> Result<Self> {
        if url.starts_with("sqlite:") {
            for _ in 1..OPEN_ATTEMPTS {
                match Self::open_sqlite(url, reading).await {
                    Err(error) if error.is_transient() => tokio::time::sleep(OPEN_PAUSE).await,
                    done => return done,
                }
            }
            return Self::open_sqlite(url, reading).await;
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Self::open_postgres(url, reading).await;
        }
        // A wrong scheme may still hold a password, so only the scheme is repeated.
        Err(Error::Url(url.split(':').next().unwrap_or_default().to_owned()))
    }

    async fn open_sqlite(url: &str, reading: bool) -> Result<Self> {
        let failed = |e| Error::opening(url.to_owned(), e);
        let options = SqliteConnectOptions::from_str(url).map_err(failed)?;
        let file = options.get_filename().to_owned();
        // Readers and writer are separate connections: in memory each would see a database of
        // its own.
        if url.contains(":memory:") || url.contains("mode=memory") || file.as_os_str().is_empty() {
            return Err(Error::Url(url.to_owned()));
        }
        let options = options
            .busy_timeout(BUSY_TIMEOUT)
            .foreign_keys(true)
            .statement_cache_capacity(SQLITE_STATEMENTS);
        let options = if reading {
            options.read_only(true)
        } else {
            if let Some(folder) = file.parent().filter(|f| !f.as_os_str().is_empty()) {
                make_folder(folder).await?;
            }
            options
                .create_if_missing(true)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full)
        };
        let one = SqlitePoolOptions::new().max_connections(1).acquire_timeout(ACQUIRE_TIMEOUT);
        // SQLite ends a transaction by itself when the disk is full or fails. sqlx does not learn
        // of it and would refuse to begin another one: such a connection is not used again.
        let one = one.after_release(|connection, _| {
            Box::pin(async move {
                connection.ping().await?;
                Ok(!connection.is_in_transaction())
            })
        });
        let writer = one.connect_with(options.clone()).await.map_err(failed)?;
        let many = SqlitePoolOptions::new().max_connections(READERS);
        let many = many.acquire_timeout(ACQUIRE_TIMEOUT);
        let readers = many.connect_lazy_with(options.pragma("query_only", "ON"));
        Ok(Self::Sqlite { writer, readers, steps: StepWriter::new(file) })
    }

    async fn open_postgres(url: &str, reading: bool) -> Result<Self> {
        let failed = |e| Error::opening(shown(url), e);
        let options = PgConnectOptions::from_str(url).map_err(failed)?.options([
            ("statement_timeout", PG_STATEMENT_MS),
            ("idle_in_transaction_session_timeout", PG_STATEMENT_MS),
            ("default_transaction_read_only", if reading { "on" } else { "off" }),
        ]);
        let pool =
            |size| PgPoolOptions::new().max_connections(size).acquire_timeout(ACQUIRE_TIMEOUT);
        let writers = pool(PG_WRITERS).connect_with(options.clone()).await.map_err(failed)?;
        let readers = pool(READERS).connect_lazy_with(options);
        Ok(Self::Postgres { writers, readers })
    }
}

/// Where a Postgres URL leads, without the user, password and options in it.
fn shown(url: &str) -> String {
    let place = url.split('?').next().unwrap_or_default();
    let place = place.rsplit_once('@').or_else(|| place.split_once("://"));
    format!("postgres://{}", place.map_or("", |(_, place)| place))
}

pub(crate) async fn make_folder(path: &Path) -> Result<()> {
    let made = tokio::fs::create_dir_all(path).await;
    made.map_err(|source| Error::Folder { path: path.display().to_string(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shown_url_holds_no_secret() {
        let shown_as = "postgres://db.example:5432/rndr";
        for url in [
            "postgres://a:secret@db.example:5432/rndr",
            "postgresql://a:sec@ret@db.example:5432/rndr?password=secret",
            "postgres://db.example:5432/rndr?sslmode=require&password=secret",
        ] {
            assert_eq!(shown(url), shown_as);
        }
    }
}
