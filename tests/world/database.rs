//! A fresh database: a SQLite file, or one on the PostgreSQL server named by RNDR_TEST_POSTGRES.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use alloy::primitives::keccak256;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row, SqliteConnection};

/// Names a PostgreSQL server as its superuser: postgres://postgres@127.0.0.1:5432/postgres
pub const POSTGRES: &str = "RNDR_TEST_POSTGRES";

/// What a release made of an empty database, before blocks had their order as key.
const OLD_RELEASE: [&str; 6] = [
    include_str!("../../indexer/store/migrations/0001_chain.sql"),
    include_str!("../../indexer/store/migrations/0002_intake.sql"),
    include_str!("../../indexer/store/migrations/0003_work.sql"),
    include_str!("../../indexer/store/migrations/0004_credit.sql"),
    include_str!("../../indexer/store/migrations/0005_registry.sql"),
    include_str!("../../indexer/store/migrations/0006_delegates.sql"),
];

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
                // The benchmark has this file too, with a count of its own, in the same process.
                let user = env!("CARGO_CRATE_NAME");
                let name = format!("rndr_{user}_{}_{count}", std::process::id());
                on_postgres(&server, format!("CREATE DATABASE {name}")).await;
                let url = format!("{}/{name}", server.rsplit_once('/').unwrap().0);
                Self { url, on_server: Some((server, name)) }
            }
            Err(_) => Self::file(&folder.join(format!("store-{count}.db"))),
        }
    }

    /// As the release of six migrations left it, with one block and one account in it.
    pub async fn old(folder: &Path) -> Self {
        let database = Self::fresh(folder).await;
        let sqlite = database.on_server.is_none();
        if sqlite {
            let path = database.url.strip_prefix("sqlite:").unwrap();
            std::fs::File::create(path).unwrap();
        }
        let bytes = |hex: &str| if sqlite { format!("x'{hex}'") } else { format!("'\\x{hex}'") };
        let journal =
            "CREATE TABLE migrations (version BIGINT NOT NULL PRIMARY KEY, hash BYTEA NOT NULL\n);";
        let mut texts = vec![journal.to_owned()];
        for (text, version) in OLD_RELEASE.iter().zip(1..) {
            let hash = bytes(&alloy::hex::encode(keccak256(text)));
            texts.push((*text).to_owned());
            texts.push(format!("INSERT INTO migrations VALUES ({version}, {hash})"));
        }
        let (hash, account) = (bytes(&"11".repeat(32)), bytes(&"22".repeat(20)));
        texts.push(format!("INSERT INTO blocks VALUES (7, {hash}, {hash}, 9, 'bloom', {hash})"));
        let money = format!("'{:029}'", 5);
        texts.push(format!(
            "INSERT INTO account_states (account, block, log_index, free, seq, credit) \
             VALUES ({account}, 7, 0, {money}, 1, {money})"
        ));
        for text in texts {
            let words = text.replace("BIGINT", "INTEGER").replace("BYTEA", "BLOB");
            let strict = words.replace("\n);", "\n) STRICT, WITHOUT ROWID;");
            database.tamper(if sqlite { strict } else { text }).await;
        }
        if sqlite {
            database.texts("PRAGMA journal_mode = WAL".into()).await;
        }
        database
    }

    /// Every table and index as it was made, the journal of migrations, and the rows of `old`.
    pub async fn described(&self) -> String {
        let schema = match self.on_server {
            None => "SELECT name || COALESCE(sql, '') FROM sqlite_schema ORDER BY name",
            Some(_) => {
                "SELECT table_name || '.' || column_name || data_type FROM \
                 information_schema.columns WHERE table_schema = 'public' ORDER BY 1"
            }
        };
        let journal = "SELECT CAST(version AS TEXT) FROM migrations ORDER BY version";
        let rows = "SELECT CAST(block AS TEXT) || free || credit FROM account_states";
        let mut all = Vec::new();
        for sql in [schema, journal, rows] {
            all.extend(self.texts(sql.to_owned()).await);
        }
        all.join("\n")
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
