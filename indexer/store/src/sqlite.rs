//! Steps into SQLite by a connection of their own, which takes cells as they are: no copies.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use alloy::primitives::B256;
use rusqlite::ffi;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior};
use sqlx::error::ErrorKind;
use tokio::sync::oneshot;

use crate::bulk::Table;
use crate::error::{Error, Result};
use crate::extend::{Step, UPSERT_HEAD, check_links, head_values, tables};
use crate::lock::Role;
use crate::values::Value;

/// As of the other connections: how long another process's write is waited for.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Durable like the other connections; the pages of a large step stay in memory until it is whole.
const SETTINGS: &str =
    "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA cache_size = -16384;";
const SELECT_HOLDER: &str = "SELECT holder FROM writers WHERE role = $1";
const SELECT_TIP: &str = "SELECT block, hash FROM blocks ORDER BY block DESC LIMIT 1";

/// The connection with its thread, both opened by the first step. Cheap to clone.
#[derive(Clone)]
pub(crate) struct StepWriter {
    file: PathBuf,
    thread: Arc<Mutex<Option<Running>>>,
}

struct Running {
    work: mpsc::Sender<Work>,
    thread: JoinHandle<()>,
}

/// A step to write, and where it goes back to.
struct Work {
    step: Step,
    /// The name under which this process took over, to be compared in the transaction.
    holder: Option<B256>,
    done: oneshot::Sender<Result<Step>>,
}

impl StepWriter {
    pub fn new(file: PathBuf) -> Self {
        Self { file, thread: Arc::default() }
    }

    /// Writes a step whole or not at all, and hands it back. Once begun it runs to its end, also
    /// when nobody waits for it any more.
    pub async fn write(&self, step: Step, holder: Option<B256>) -> Result<Step> {
        let (done, written) = oneshot::channel();
        let crashed = || Error::database("a step", sqlx::Error::WorkerCrashed);
        self.work()?.send(Work { step, holder, done }).map_err(|_| crashed())?;
        written.await.map_err(|_| crashed())?
    }

    /// One thread for all steps, as SQLite's own locks and the system's accounts go by thread.
    fn work(&self) -> Result<mpsc::Sender<Work>> {
        let mut running = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = running.as_ref().filter(|running| !running.thread.is_finished()) {
            return Ok(running.work.clone());
        }
        let (work, queue) = mpsc::channel();
        let file = self.file.clone();
        let named = std::thread::Builder::new().name("steps".into());
        let thread = named.spawn(move || serve(&file, &queue));
        let thread = thread.map_err(|_| Error::database("a step", sqlx::Error::WorkerCrashed))?;
        *running = Some(Running { work: work.clone(), thread });
        Ok(work)
    }

    /// Waits for a step under way; the file is closed afterwards.
    pub fn close(&self) {
        let running = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Running { work, thread }) = running {
            drop(work);
            // A thread that panicked has said so, and has no connection left to close.
            let _ = thread.join();
        }
    }

    #[cfg(test)]
    pub fn open(&self) -> Result<Connection> {
        open(&self.file)
    }
}

/// Until nobody can ask any more. After an error the next step opens a fresh connection.
fn serve(file: &Path, queue: &mpsc::Receiver<Work>) {
    let mut kept = None;
    while let Ok(Work { step, holder, done }) = queue.recv() {
        let connection = kept.take().map_or_else(|| open(file), Ok);
        let written = connection.and_then(|mut connection| {
            write(&mut connection, &step, holder)?;
            kept = Some(connection);
            Ok(step)
        });
        // Whoever asked may be gone: what is written stays written.
        let _ = done.send(written);
    }
}

fn open(file: &Path) -> Result<Connection> {
    let failed = |e| failed("open", e);
    // No lock of its own: one thread uses it.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags).map_err(failed)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
    connection.execute_batch(SETTINGS).map_err(failed)?;
    Ok(connection)
}

fn write(connection: &mut Connection, step: &Step, holder: Option<B256>) -> Result<()> {
    let begun = connection.transaction_with_behavior(TransactionBehavior::Immediate);
    let tx = begun.map_err(|e| failed("BEGIN IMMEDIATE", e))?;
    if held(&tx)? != holder {
        return Err(Error::Superseded { role: Role::Indexer.as_str() });
    }
    check_links(tip(&tx)?, &step.blocks)?;
    for (table, rows) in tables(step) {
        insert(&tx, table, rows)?;
    }
    for head in &step.heads {
        let failed = |e| failed(UPSERT_HEAD, e);
        run(&mut tx.prepare(UPSERT_HEAD).map_err(failed)?, &head_values(head), UPSERT_HEAD)?;
    }
    tx.commit().map_err(|e| failed("COMMIT", e))
}

/// Under whose name the indexer's writes are, as `writing.rs` asks it of every other one.
fn held(tx: &Transaction<'_>) -> Result<Option<B256>> {
    let read = |row: &rusqlite::Row<'_>| row.get::<_, [u8; 32]>(0);
    let held = tx.query_row(SELECT_HOLDER, [Role::Indexer.as_str()], read).optional();
    Ok(held.map_err(|e| failed(SELECT_HOLDER, e))?.map(B256::from))
}

/// Number and hash of the newest block.
fn tip(tx: &Transaction<'_>) -> Result<Option<(u64, B256)>> {
    let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, [u8; 32]>(1)?));
    let tip = tx.query_row(SELECT_TIP, [], read).optional();
    let tip = tip.map_err(|e| failed(SELECT_TIP, e))?;
    Ok(tip.map(|(number, hash)| (number.unsigned_abs(), hash.into())))
}

fn insert(
    tx: &Transaction<'_>,
    table: &'static Table,
    rows: impl Iterator<Item = Vec<Value>>,
) -> Result<()> {
    let mut rows = rows.peekable();
    let Some(first) = rows.peek() else { return Ok(()) };
    let sql = format!("{} ({})", table.insert, vec!["?"; first.len()].join(", "));
    let mut statement = tx.prepare(&sql).map_err(|e| failed(table.insert, e))?;
    for row in rows {
        run(&mut statement, &row, table.insert)?;
    }
    Ok(())
}

fn run(statement: &mut rusqlite::Statement<'_>, values: &[Value], sql: &str) -> Result<()> {
    let failed = |e| failed(sql, e);
    for (value, place) in values.iter().zip(1_usize..) {
        let bound = match value {
            Value::Int(number) => statement.raw_bind_parameter(place, number),
            Value::Text(text) => statement.raw_bind_parameter(place, text),
            Value::Word(word) => statement.raw_bind_parameter(place, word),
            Value::Amount(amount) => {
                let digits = amount.sql_digits();
                let text = std::str::from_utf8(&digits).unwrap_or_default();
                statement.raw_bind_parameter(place, text)
            }
            Value::Bytes(bytes) => statement.raw_bind_parameter(place, bytes),
            Value::Hash(hash) => statement.raw_bind_parameter(place, hash.as_slice()),
            Value::Address(address) => statement.raw_bind_parameter(place, address.as_slice()),
            Value::TooLarge(number) => return Err(Error::TooLarge(*number)),
        };
        bound.map_err(failed)?;
    }
    statement.raw_execute().map(|_| ()).map_err(failed)
}

/// As an error of the other connections: the same code means the same.
#[derive(Debug)]
struct Refused {
    error: rusqlite::Error,
    message: String,
}

fn failed(statement: &str, error: rusqlite::Error) -> Error {
    let message = error.to_string();
    Error::database(statement, sqlx::Error::Database(Box::new(Refused { error, message })))
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Refused {}

impl sqlx::error::DatabaseError for Refused {
    fn message(&self) -> &str {
        &self.message
    }

    fn code(&self) -> Option<Cow<'_, str>> {
        self.error.sqlite_error().map(|error| error.extended_code.to_string().into())
    }

    fn as_error(&self) -> &(dyn std::error::Error + Send + Sync + 'static) {
        self
    }

    fn as_error_mut(&mut self) -> &mut (dyn std::error::Error + Send + Sync + 'static) {
        self
    }

    fn into_error(self: Box<Self>) -> Box<dyn std::error::Error + Send + Sync + 'static> {
        self
    }

    fn kind(&self) -> ErrorKind {
        match self.error.sqlite_error().map(|error| error.extended_code) {
            Some(ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY) => {
                ErrorKind::UniqueViolation
            }
            Some(_) | None => ErrorKind::Other,
        }
    }
}
