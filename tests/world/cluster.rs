//! Copies of the tests' PostgreSQL server: a streaming replica, or one that may be stopped at will.

use std::fs::File;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use sqlx::{Connection, Executor, PgConnection};
use tempfile::TempDir;

use super::database::Database;
use super::{eventually, free_port};

/// Stopped on drop, its folder with it.
pub struct Cluster {
    server: Child,
    port: u16,
    tools: PathBuf,
    /// PostgreSQL refuses to run as root: whoever runs the server runs its copy.
    owner: (u32, u32),
    folder: TempDir,
}

impl Cluster {
    /// Follows the server of this database, write by write, and is never written to.
    pub async fn replica(database: &Database) -> Self {
        Self::copied(database, &["--write-recovery-conf"]).await
    }

    /// Has everything that the server of this database has now, and goes on by itself.
    pub async fn apart(database: &Database) -> Self {
        Self::copied(database, &[]).await
    }

    async fn copied(database: &Database, more: &[&str]) -> Self {
        let one = |sql: &str| {
            let sql = sql.to_owned();
            async move { PathBuf::from(database.texts(sql).await.pop().unwrap()) }
        };
        let tools = one("SELECT setting FROM pg_config WHERE name = 'BINDIR'").await;
        let data = one("SELECT current_setting('data_directory')").await;
        let owner = std::fs::metadata(data).unwrap();
        let owner = (owner.uid(), owner.gid());
        let folder = tempfile::Builder::new().prefix("rndr-copy-").tempdir().unwrap();
        chown(folder.path(), Some(owner.0), Some(owner.1)).unwrap();
        let mut copy = Command::new(tools.join("pg_basebackup"));
        copy.args(["--checkpoint=fast", "--no-sync", "--dbname", &database.url, "--pgdata"]);
        copy.arg(folder.path().join("data")).args(more);
        lower(&mut copy, owner, &folder);
        let output = copy.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let port = free_port();
        let server = serve(&tools, port, owner, &folder);
        let cluster = Self { server, port, tools, owner, folder };
        cluster.answers(database).await;
        cluster
    }

    /// The same database on this server.
    pub fn url(&self, database: &Database) -> String {
        let (_, name) = database.url.rsplit_once('/').unwrap();
        format!("postgres://postgres@127.0.0.1:{}/{name}", self.port)
    }

    /// Stops it in the middle of whatever it does, as a crash would: it recovers when it starts.
    pub async fn crash_and_start(&mut self, database: &Database) {
        self.signal("-QUIT");
        self.server.wait().unwrap();
        self.server = serve(&self.tools, self.port, self.owner, &self.folder);
        self.answers(database).await;
    }

    /// Ends every connection to the database, whatever it is in.
    pub async fn cut_all(&self, database: &Database) {
        let mut connection = PgConnection::connect(&self.url(database)).await.unwrap();
        let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                   WHERE datname = current_database() AND pid <> pg_backend_pid()";
        connection.execute(cut).await.unwrap();
    }

    async fn answers(&self, database: &Database) {
        let url = self.url(database);
        let asked = || async { PgConnection::connect(&url).await.ok()?.close().await.ok() };
        eventually("the copied server", asked).await;
    }

    fn signal(&self, signal: &str) {
        let _ = Command::new("kill").args([signal, &self.server.id().to_string()]).status();
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.signal("-QUIT");
        let _ = self.server.wait();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.folder.path().join("log"));
            eprintln!("{}", log.unwrap_or_default());
        }
    }
}

fn serve(tools: &std::path::Path, port: u16, owner: (u32, u32), folder: &TempDir) -> Child {
    let mut postgres = Command::new(tools.join("postgres"));
    postgres.arg("-D").arg(folder.path().join("data")).args(["-p", &port.to_string()]);
    postgres.arg("-k").arg(folder.path());
    // As on the server that was copied: a replica must allow no fewer.
    for setting in ["listen_addresses=127.0.0.1", "max_connections=300", "fsync=off"] {
        postgres.args(["-c", setting]);
    }
    let log = File::options().create(true).append(true).open(folder.path().join("log")).unwrap();
    postgres.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    lower(&mut postgres, owner, folder);
    postgres.spawn().unwrap()
}

fn lower(command: &mut Command, owner: (u32, u32), folder: &TempDir) {
    command.current_dir(folder.path());
    // Changing to oneself needs no right, but to anyone it does.
    if std::fs::metadata("/proc/self").unwrap().uid() != owner.0 {
        command.uid(owner.0).gid(owner.1);
    }
}
