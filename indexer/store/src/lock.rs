//! One process of a kind for each database: a lock that ends with its process, however it ends.

use std::fs::{File, TryLockError};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, PgConnection};

use crate::Store;
use crate::dialect::Pool;
use crate::error::{Error, Result};
use crate::open::ACQUIRE_TIMEOUT;
use crate::writing::Writing;

/// How long a process waits for the one before it to be gone: a killed one's connection to
/// Postgres takes a moment to be noticed, and one told to stop finishes its round.
const ATTEMPTS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(250);

/// What there may be one of. The API is not here: several may serve one database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Indexer,
    Settler,
}

impl Role {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Indexer => "indexer",
            Self::Settler => "settler",
        }
    }

    /// Beside those of the writers in `dialect.rs`.
    fn advisory_lock(self) -> i64 {
        match self {
            Self::Indexer => 0x726e_6472_0011,
            Self::Settler => 0x726e_6472_0012,
        }
    }
}

/// Held until it is dropped, or its process ends.
pub struct Lock {
    role: Role,
    held: Held,
    writing: Writing,
}

enum Held {
    /// A lock on a file beside the database; the system frees it with the file.
    File { _file: File },
    /// A lock of one connection's session; the server frees it with the connection.
    Session { options: Arc<PgConnectOptions>, connection: PgConnection },
}

impl Store {
    /// Makes this process the only one of its role on this database, or says that another is.
    pub async fn lock(&self, role: Role) -> Result<Lock> {
        for _ in 1..ATTEMPTS {
            match self.try_lock(role).await {
                Err(Error::Taken { .. }) => tokio::time::sleep(PAUSE).await,
                done => return done,
            }
        }
        self.try_lock(role).await
    }

    async fn try_lock(&self, role: Role) -> Result<Lock> {
        let held = match self.writing.pool()? {
            Pool::Sqlite { writer, .. } => {
                let options = writer.connect_options();
                let mut path = options.get_filename().as_os_str().to_owned();
                path.push(format!(".{}.lock", role.as_str()));
                Held::File { _file: lock_file(PathBuf::from(path), role)? }
            }
            Pool::Postgres { writers, .. } => {
                let options = writers.connect_options();
                let connection = lock_session(&options, role).await?;
                Held::Session { options, connection }
            }
        };
        self.writing.take_over(role).await?;
        Ok(Lock { role, held, writing: self.writing.clone() })
    }
}

impl Lock {
    /// Call it before what only one may do: a lost connection has lost the lock too, and it is
    /// taken again, unless another process was faster. Writes are safe without it.
    pub async fn check(&mut self) -> Result<()> {
        let Held::Session { options, connection } = &mut self.held else { return Ok(()) };
        let alive = sqlx::query("SELECT 1").execute(&mut *connection);
        let alive = tokio::time::timeout(ACQUIRE_TIMEOUT, alive).await;
        if !matches!(alive, Ok(Ok(_))) {
            *connection = lock_session(options, self.role).await?;
            self.writing.still_holds(self.role).await?;
        }
        Ok(())
    }
}

fn lock_file(path: PathBuf, role: Role) -> Result<File> {
    let failed = |source| Error::LockFile { path: path.display().to_string(), source };
    let file = File::options().create(true).append(true).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Taken { role: role.as_str() }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

async fn lock_session(options: &PgConnectOptions, role: Role) -> Result<PgConnection> {
    let sql = "SELECT pg_try_advisory_lock($1)";
    let late = |_| Error::database(sql, sqlx::Error::PoolTimedOut);
    let connect = tokio::time::timeout(ACQUIRE_TIMEOUT, options.connect());
    let mut connection = connect.await.map_err(late)?.map_err(|e| Error::database("connect", e))?;
    let taken = sqlx::query_scalar::<_, bool>(sql).bind(role.advisory_lock());
    let taken = tokio::time::timeout(ACQUIRE_TIMEOUT, taken.fetch_one(&mut connection));
    let taken = taken.await.map_err(late)?.map_err(|e| Error::database(sql, e))?;
    if taken { Ok(connection) } else { Err(Error::Taken { role: role.as_str() }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{child, on_both, step};
    use crate::{Head, Tag};

    #[tokio::test]
    async fn a_second_process_of_a_role_is_refused_until_the_first_is_gone() {
        on_both(|world| async move {
            let again = world.again().await.unwrap();
            let mut first = world.store.lock(Role::Settler).await.unwrap();
            let refused = again.lock(Role::Settler).await.err().unwrap();
            assert!(matches!(refused, Error::Taken { role: "settler" }), "{refused}");
            assert!(!refused.is_transient());
            first.check().await.unwrap();
            let mut other = again.lock(Role::Indexer).await.unwrap();
            drop(first);
            again.lock(Role::Settler).await.unwrap().check().await.unwrap();
            other.check().await.unwrap();
            again.close().await;
        })
        .await;
    }

    #[tokio::test]
    async fn a_lost_connection_takes_the_lock_again_unless_another_process_has_it() {
        on_both(|world| async move {
            if world.is_sqlite() {
                return;
            }
            let mut first = world.store.lock(Role::Settler).await.unwrap();
            cut(&mut first).await;
            first.check().await.unwrap();
            cut(&mut first).await;
            let second = world.store.lock(Role::Settler).await.unwrap();
            assert!(matches!(first.check().await, Err(Error::Taken { .. })));
            drop(second);
        })
        .await;
    }

    #[tokio::test]
    async fn whose_lock_was_lost_unnoticed_writes_nothing_once_another_took_over() {
        on_both(|world| async move {
            let zero = child(None, 0);
            let one = child(Some(&zero), 0);
            let two = child(Some(&one), 0);
            let mut first = world.store.lock(Role::Indexer).await.unwrap();
            let slow = world.store.chain_writer();
            slow.extend(&step(&zero, vec![])).await.unwrap();
            match world.url.strip_prefix("sqlite:") {
                // Somebody thought it stale.
                Some(path) => std::fs::remove_file(format!("{path}.indexer.lock")).unwrap(),
                None => cut(&mut first).await,
            }
            // Nobody took over yet, so it may go on.
            slow.extend(&step(&one, vec![])).await.unwrap();
            let again = world.again().await.unwrap();
            let second = again.lock(Role::Indexer).await.unwrap();
            let head = [Head { tag: Tag::Latest, block: 2, hash: two.hash, seen_at: 1 }];
            for refused in [
                slow.extend(&step(&two, vec![])).await,
                slow.set_heads(&head).await,
                slow.rewind(&zero, &one, 1).await,
            ] {
                let refused = refused.unwrap_err();
                assert!(matches!(refused, Error::Superseded { role: "indexer" }), "{refused}");
                assert!(!refused.is_transient());
            }
            let reader = again.reader();
            assert_eq!(reader.tip().await.unwrap().unwrap().hash, one.hash);
            assert!(reader.heads().await.unwrap().is_empty());
            again.chain_writer().extend(&step(&two, vec![])).await.unwrap();
            // A handle that never took the database over is no way around it.
            let third = world.again().await.unwrap();
            let refused = third.chain_writer().set_heads(&head).await.unwrap_err();
            assert!(matches!(refused, Error::Superseded { .. }), "{refused}");
            drop(second);
        })
        .await;
    }

    async fn cut(lock: &mut Lock) {
        let Held::Session { connection, .. } = &mut lock.held else { panic!("no session") };
        let own = "SELECT pg_terminate_backend(pg_backend_pid())";
        sqlx::query(own).execute(connection).await.unwrap_err();
    }
}
