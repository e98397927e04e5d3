//! A fresh database: a SQLite file, or one on the PostgreSQL server named by RNDR_TEST_POSTGRES.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row, SqliteConnection};

/// Names a PostgreSQL server as its superuser: postgres://postgres@127.0.0.1:5432/postgres
const POSTGRES: &str = "RNDR_TEST_POSTGRES";

/// Dropped with everything in it when the test ends.
pub struct Database {
    pub url: String,
    /// Server and name, when it is on one.
    on_server: Option<(String, String)>,
}

impl Database {
    pub async fn fresh(folder: &Path) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        match std::env::var(POSTGRES) {
            Ok(server) => {
                let name = format!("rndr_story_{}_{count}", std::process::id());
                on_postgres(&server, format!("CREATE DATABASE {name}")).await;
                let url = format!("{}/{name}", server.rsplit_once('/').unwrap().0);
                Self { url, on_server: Some((server, name)) }
            }
            Err(_) => Self::file(&folder.join(format!("store-{count}.db"))),
        }
    }

    /// Always a SQLite file.
    pub fn file(path: &Path) -> Self {
        Self { url: format!("sqlite:{}", path.display()), on_server: None }
    }

    /// Runs SQL that the store itself never would; how many rows it touched.
    pub async fn tamper(&self, sql: String) -> u64 {
        if self.on_server.is_some() {
            let mut connection = PgConnection::connect(&self.url).await.unwrap();
            return connection.execute(AssertSqlSafe(sql)).await.unwrap().rows_affected();
        }
        let mut connection = SqliteConnection::connect(&self.url).await.unwrap();
        connection.execute(AssertSqlSafe(sql)).await.unwrap().rows_affected()
    }

    /// The first column of the rows, which holds text.
    pub async fn texts(&self, sql: String) -> Vec<String> {
        if self.on_server.is_some() {
            let mut connection = PgConnection::connect(&self.url).await.unwrap();
            let rows = connection.fetch_all(AssertSqlSafe(sql)).await.unwrap();
            return rows.iter().map(|row| row.get(0)).collect();
        }
        let mut connection = SqliteConnection::connect(&self.url).await.unwrap();
        let rows = connection.fetch_all(AssertSqlSafe(sql)).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let Some((server, name)) = self.on_server.take() else { return };
        // Drop is not async, and the test's own runtime may be ending: one of its own.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            let sql = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
            runtime.block_on(on_postgres(&server, sql));
        });
        let _ = dropped.join();
    }
}

async fn on_postgres(server: &str, sql: String) {
    let mut connection = PgConnection::connect(server).await.unwrap();
    connection.execute(AssertSqlSafe(sql)).await.unwrap();
    connection.close().await.unwrap();
}
