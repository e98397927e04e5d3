//! Many rows into one table: inserts of several rows at once, and binary COPY on Postgres.

use sqlx::{AssertSqlSafe, PgConnection, SqlSafeStr};

use crate::dialect::Tx;
use crate::error::{Error, Result};
use crate::values::Value;

/// Rows of one INSERT, most first: any number is cut into these, so that each table needs one
/// prepared statement of each size and never another.
const CHUNKS: [usize; 4] = [128, 16, 4, 1];
/// Bytes of COPY sent at once.
const COPY_BYTES: usize = 256 * 1024;
/// The first bytes of binary COPY: its name, no flags, no extension.
const COPY_HEAD: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// Ends binary COPY: a row of -1 columns.
const COPY_END: [u8; 2] = (-1_i16).to_be_bytes();

/// A table that steps write to, and its columns in the order of the values.
pub(crate) struct Table {
    pub insert: &'static str,
    pub copy: &'static str,
}

macro_rules! table {
    ($name:literal, $columns:literal) => {
        $crate::bulk::Table {
            insert: concat!("INSERT INTO ", $name, " (", $columns, ") VALUES"),
            copy: concat!("COPY ", $name, " (", $columns, ") FROM STDIN (FORMAT binary)"),
        }
    };
}
pub(crate) use table;

impl Tx {
    /// Writes rows of a step; every row has one value for each column of the table.
    pub async fn load(
        &mut self,
        table: &Table,
        rows: impl Iterator<Item = Vec<Value>> + Send,
    ) -> Result<()> {
        let mut rows = rows.peekable();
        if rows.peek().is_none() {
            return Ok(());
        }
        match self {
            Self::Sqlite(_) => self.insert(table.insert, rows.collect()).await,
            Self::Postgres(tx) => copy(&mut *tx, table.copy, rows).await,
        }
    }

    /// Inserts many rows with few statements. `head` is `INSERT INTO table (columns) VALUES`;
    /// every row has one value for each column.
    pub async fn insert(&mut self, head: &'static str, rows: Vec<Vec<Value>>) -> Result<()> {
        let mut rows = rows.into_iter();
        // Ends: each round takes at least one row.
        while rows.len() > 0 {
            let chunk = CHUNKS.into_iter().find(|chunk| *chunk <= rows.len()).unwrap_or(1);
            let mut values = Vec::new();
            rows.by_ref().take(chunk).for_each(|row| values.extend(row));
            let width = values.len() / chunk;
            let lists: Vec<String> =
                (0..chunk).map(|row| self.value_list(row * width + 1, width)).collect();
            let text = format!("{head} {}", lists.join(", "));
            self.run(AssertSqlSafe(text).into_sql_str(), values, true).await?;
        }
        Ok(())
    }
}

async fn copy(
    connection: &mut PgConnection,
    statement: &'static str,
    rows: impl Iterator<Item = Vec<Value>> + Send,
) -> Result<()> {
    let failed = |e| Error::database(statement, e);
    let mut copy = connection.copy_in_raw(statement).await.map_err(failed)?;
    let mut bytes = COPY_HEAD.to_vec();
    for row in rows {
        if let Err(error) = encode(&row, &mut bytes) {
            copy.abort("a value that does not fit").await.map_err(failed)?;
            return Err(error);
        }
        if bytes.len() >= COPY_BYTES {
            copy.send(&bytes[..]).await.map_err(failed)?;
            bytes.clear();
        }
    }
    bytes.extend(COPY_END);
    copy.send(&bytes[..]).await.map_err(failed)?;
    copy.finish().await.map_err(failed)?;
    Ok(())
}

/// A row of binary COPY: the number of columns, then each with its length, -1 for a null.
fn encode(row: &[Value], bytes: &mut Vec<u8>) -> Result<()> {
    let columns = u16::try_from(row.len()).unwrap_or(u16::MAX);
    bytes.extend(columns.to_be_bytes());
    for value in row {
        match value {
            Value::Int(Some(number)) => put(bytes, &number.to_be_bytes()),
            Value::Text(Some(text)) => put(bytes, text.as_bytes()),
            Value::Word(word) => put(bytes, word.as_bytes()),
            Value::Amount(amount) => put(bytes, &amount.sql_digits()),
            Value::Bytes(Some(value)) => put(bytes, value),
            Value::Hash(hash) => put(bytes, hash.as_slice()),
            Value::Address(address) => put(bytes, address.as_slice()),
            Value::Int(None) | Value::Text(None) | Value::Bytes(None) => {
                bytes.extend((-1_i32).to_be_bytes());
            }
            Value::TooLarge(number) => return Err(Error::TooLarge(*number)),
        }
    }
    Ok(())
}

fn put(bytes: &mut Vec<u8>, value: &[u8]) {
    // Columns are a few hundred bytes; the server refuses a length that its bytes do not have.
    let length = u32::try_from(value.len()).unwrap_or(u32::MAX);
    bytes.extend(length.to_be_bytes());
    bytes.extend(value);
}
