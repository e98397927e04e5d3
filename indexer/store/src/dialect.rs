//! The few words in which SQLite and Postgres differ; each query is written once for both pools.

use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Executor, PgPool, Postgres, SqlStr, Sqlite, SqlitePool, Transaction};

use crate::error::{Error, Result};
use crate::sqlite::StepWriter;
use crate::values::{Cell, Row, Value};

#[derive(Clone)]
pub(crate) enum Pool {
    /// SQLite takes one writer at a time, so this process has one connection for it.
    /// Steps of the chain have a connection of their own, which takes its turn with that one.
    Sqlite {
        writer: SqlitePool,
        readers: SqlitePool,
        steps: StepWriter,
    },
    Postgres {
        writers: PgPool,
        readers: PgPool,
    },
}

/// Who writes. Transactions of one kind follow one another on both databases, also across
/// processes, so that "look, then insert" is safe. Postgres does it by advisory locks.
#[derive(Clone, Copy)]
pub(crate) enum Writer {
    Schema,
    Chain,
    Intake,
    Work,
    Audit,
}

impl Writer {
    /// "rndr" in ASCII, then the writer: unlikely to meet another program's lock.
    fn advisory_lock(self) -> i64 {
        match self {
            Self::Schema => 0x726e_6472_0001,
            Self::Chain => 0x726e_6472_0002,
            Self::Intake => 0x726e_6472_0003,
            Self::Work => 0x726e_6472_0004,
            Self::Audit => 0x726e_6472_0005,
        }
    }
}

/// An open transaction; dropped without `commit` it leaves nothing behind.
pub(crate) enum Tx {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

macro_rules! bound {
    ($sql:expr, $values:expr) => {{
        let mut query = sqlx::query($sql);
        for value in $values {
            query = match value {
                Value::Int(v) => query.bind(v),
                Value::Text(v) => query.bind(v),
                Value::Word(v) => query.bind(v),
                Value::Amount(v) => query.bind(v.to_sql()),
                Value::Bytes(v) => query.bind(v),
                Value::Hash(v) => query.bind(v.to_vec()),
                Value::Address(v) => query.bind(v.to_vec()),
                Value::TooLarge(number) => return Err(Error::TooLarge(number)),
            };
        }
        query
    }};
}

macro_rules! fetch {
    ($on:expr, $sql:expr, $values:expr, $row:path) => {{
        let rows = bound!($sql, $values).fetch_all($on).await;
        let rows = rows.map_err(|e| Error::database($sql, e))?;
        Ok(rows.into_iter().map($row).collect())
    }};
}

macro_rules! fetch_made {
    ($on:expr, $text:expr, $values:expr, $row:path) => {{
        let rows = bound!(AssertSqlSafe($text.to_owned()), $values).fetch_all($on).await;
        let rows = rows.map_err(|e| Error::database($text, e))?;
        Ok(rows.into_iter().map($row).collect())
    }};
}

impl Pool {
    pub async fn close(&self) {
        match self {
            Self::Sqlite { writer, readers, steps } => {
                readers.close().await;
                steps.close();
                writer.close().await;
            }
            Self::Postgres { writers, readers } => {
                readers.close().await;
                writers.close().await;
            }
        }
    }

    pub async fn all(&self, sql: &'static str, values: Vec<Value>) -> Result<Vec<Row>> {
        match self {
            Self::Sqlite { readers, .. } => fetch!(readers, sql, values, Row::Sqlite),
            Self::Postgres { readers, .. } => fetch!(readers, sql, values, Row::Postgres),
        }
    }

    /// The first row, for queries that give one at most.
    pub async fn one(&self, sql: &'static str, values: Vec<Value>) -> Result<Option<Row>> {
        Ok(self.all(sql, values).await?.into_iter().next())
    }

    /// As `all`, for a text that is put together from our own words.
    pub async fn all_made(&self, text: &str, values: Vec<Value>) -> Result<Vec<Row>> {
        match self {
            Self::Sqlite { readers, .. } => fetch_made!(readers, text, values, Row::Sqlite),
            Self::Postgres { readers, .. } => fetch_made!(readers, text, values, Row::Postgres),
        }
    }

    /// A transaction that sees this moment of the database and nothing that comes later.
    pub async fn moment(&self) -> Result<Tx> {
        match self {
            Self::Sqlite { readers, .. } => {
                let begun = readers.begin().await;
                Ok(Tx::Sqlite(begun.map_err(|e| Error::database("BEGIN", e))?))
            }
            Self::Postgres { readers, .. } => {
                let words = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
                let begun = readers.begin_with(words).await;
                Ok(Tx::Postgres(begun.map_err(|e| Error::database(words, e))?))
            }
        }
    }

    /// Waits its turn, then begins. Keep it short: three processes write to one SQLite file.
    pub async fn write(&self, kind: Writer) -> Result<Tx> {
        match self {
            Self::Sqlite { writer, .. } => {
                let begun = writer.begin_with("BEGIN IMMEDIATE").await;
                Ok(Tx::Sqlite(begun.map_err(|e| Error::database("BEGIN IMMEDIATE", e))?))
            }
            Self::Postgres { writers, .. } => {
                let begun = writers.begin().await.map_err(|e| Error::database("BEGIN", e))?;
                let mut tx = Tx::Postgres(begun);
                let lock = vec![Value::from(kind.advisory_lock())];
                tx.execute("SELECT pg_advisory_xact_lock($1)", lock).await?;
                Ok(tx)
            }
        }
    }
}

impl Tx {
    pub async fn all(&mut self, sql: &'static str, values: Vec<Value>) -> Result<Vec<Row>> {
        match self {
            Self::Sqlite(tx) => fetch!(&mut **tx, sql, values, Row::Sqlite),
            Self::Postgres(tx) => fetch!(&mut **tx, sql, values, Row::Postgres),
        }
    }

    pub async fn one(&mut self, sql: &'static str, values: Vec<Value>) -> Result<Option<Row>> {
        Ok(self.all(sql, values).await?.into_iter().next())
    }

    /// As `all`, for a text that is put together from our own words.
    pub async fn all_made(&mut self, text: &str, values: Vec<Value>) -> Result<Vec<Row>> {
        match self {
            Self::Sqlite(tx) => fetch_made!(&mut **tx, text, values, Row::Sqlite),
            Self::Postgres(tx) => fetch_made!(&mut **tx, text, values, Row::Postgres),
        }
    }

    /// Runs one statement; how many rows it touched.
    pub async fn execute(&mut self, sql: &'static str, values: Vec<Value>) -> Result<u64> {
        self.run(SqlStr::from_static(sql), values, true).await
    }

    pub async fn run(&mut self, sql: SqlStr, values: Vec<Value>, keep: bool) -> Result<u64> {
        let text = sql.clone();
        let failed = |e| Error::database(text.as_str(), e);
        match self {
            Self::Sqlite(tx) => {
                let done = bound!(sql, values).persistent(keep).execute(&mut **tx).await;
                Ok(done.map_err(failed)?.rows_affected())
            }
            Self::Postgres(tx) => {
                let done = bound!(sql, values).persistent(keep).execute(&mut **tx).await;
                Ok(done.map_err(failed)?.rows_affected())
            }
        }
    }

    /// Placeholders of one inserted row. SQLite searches numbered ones one by one, which takes
    /// longer than the insert when there are thousands; Postgres has no others.
    pub fn value_list(&self, first: usize, width: usize) -> String {
        match self {
            Self::Sqlite(_) => format!("({})", vec!["?"; width].join(", ")),
            Self::Postgres(_) => placeholders(first, width),
        }
    }

    /// Runs a text of several statements, a migration.
    pub async fn script(&mut self, text: String) -> Result<()> {
        let failed = |e| Error::database("migration", e);
        let sql = sqlx::raw_sql(AssertSqlSafe(text));
        match self {
            Self::Sqlite(tx) => tx.execute(sql).await.map(|_| ()).map_err(failed),
            Self::Postgres(tx) => tx.execute(sql).await.map(|_| ()).map_err(failed),
        }
    }

    /// For statements that take as long as the tables are large.
    pub async fn without_time_limit(&mut self) -> Result<()> {
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(_) => {
                self.execute("SET LOCAL statement_timeout = 0", vec![]).await.map(|_| ())
            }
        }
    }

    pub async fn commit(self) -> Result<()> {
        let failed = |e| Error::database("COMMIT", e);
        match self {
            Self::Sqlite(tx) => tx.commit().await.map_err(failed),
            Self::Postgres(tx) => tx.commit().await.map_err(failed),
        }
    }

    /// The text of a migration in this database's words. Migrations are written for Postgres;
    /// SQLite has other names for two types, and is held to types only by STRICT.
    pub fn translate(&self, migration: &str) -> String {
        match self {
            Self::Postgres(_) => migration.to_owned(),
            Self::Sqlite(_) => {
                let words = migration.replace("BIGINT", "INTEGER").replace("BYTEA", "BLOB");
                words.replace("\n);", "\n) STRICT, WITHOUT ROWID;")
            }
        }
    }
}

/// `($3, $4, $5)` for first 3 and count 3.
pub(crate) fn placeholders(first: usize, count: usize) -> String {
    let names: Vec<String> = (first..first + count).map(|n| format!("${n}")).collect();
    format!("({})", names.join(", "))
}

pub(crate) fn sqlite_cell(row: &SqliteRow, column: &str) -> Result<Cell, sqlx::Error> {
    use sqlx::{Row as _, TypeInfo as _, ValueRef as _};
    let raw = row.try_get_raw(column)?;
    if raw.is_null() {
        return Ok(Cell::Null);
    }
    let kind = raw.type_info().name().to_owned();
    match kind.as_str() {
        "INTEGER" => Ok(Cell::Int(row.try_get(column)?)),
        "TEXT" => Ok(Cell::Text(row.try_get(column)?)),
        "BLOB" => Ok(Cell::Bytes(row.try_get(column)?)),
        other => Ok(Cell::Other(other.to_owned())),
    }
}

pub(crate) fn postgres_cell(row: &PgRow, column: &str) -> Result<Cell, sqlx::Error> {
    use sqlx::{Row as _, TypeInfo as _, ValueRef as _};
    let raw = row.try_get_raw(column)?;
    if raw.is_null() {
        return Ok(Cell::Null);
    }
    let kind = raw.type_info().name().to_owned();
    match kind.as_str() {
        "INT8" => Ok(Cell::Int(row.try_get(column)?)),
        "TEXT" => Ok(Cell::Text(row.try_get(column)?)),
        "BYTEA" => Ok(Cell::Bytes(row.try_get(column)?)),
        other => Ok(Cell::Other(other.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_count_on() {
        assert_eq!(placeholders(3, 2), "($3, $4)");
        assert_eq!(placeholders(1, 1), "($1)");
    }
}
