//! `rndr indexer` and `rndr api` as processes of their own, on a fresh database.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use alloy::primitives::Address;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use store::Store;
use tempfile::TempDir;

use crate::chain::Chain;
use crate::database::Database;
use crate::{expected, process};

/// Longest wait for anything: minutes above what it takes, so that only a hang meets it.
pub const LIMIT: Duration = Duration::from_secs(900);
const BETWEEN_LOOKS: Duration = Duration::from_millis(25);
/// How often a server's memory is looked at.
const BETWEEN_WEIGHINGS: Duration = Duration::from_millis(500);

/// Which database holds the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    Sqlite,
    /// The server that RNDR_TEST_POSTGRES names.
    Postgres,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        }
    }
}

/// How the indexer is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mode {
    pub kind: Kind,
    /// Whether a socket wakes it; else it polls.
    pub socket: bool,
    /// Whether it proves each block, as it does unless it is told not to.
    pub verify: bool,
}

/// A fresh database, and what runs on it.
pub struct Site {
    pub kind: Kind,
    program: PathBuf,
    settings: Vec<(&'static str, String)>,
    database: Database,
    server: Option<u32>,
    http: reqwest::Client,
    pub api: Option<Api>,
    pub indexer: Option<Process>,
    folder: TempDir,
}

/// The API and where it listens.
pub struct Api {
    pub service: Process,
    pub url: String,
}

/// A process of ours, killed when it is dropped.
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Fails with the end of its log when it has ended.
    fn check(&mut self) -> Result<()> {
        let Some(status) = self.child.try_wait()? else { return Ok(()) };
        bail!("a service ended with {status}; its log ends:\n{}", self.last_words())
    }

    fn last_words(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Site {
    pub async fn new(chain: &Chain, program: &Path, mode: Mode) -> Result<Self> {
        let folder = TempDir::new()?;
        let database = match mode.kind {
            Kind::Sqlite => Database::file(&folder.path().join("rndr.db")),
            Kind::Postgres => Database::fresh(folder.path()).await,
        };
        let server = match mode.kind {
            Kind::Sqlite => None,
            Kind::Postgres => Some(server_of(&database).await?),
        };
        let mut settings = vec![
            ("CHAIN__RPC_URL", chain.anvil.rpc_url()),
            ("CHAIN__ESCROW", chain.escrow.to_string()),
            ("CHAIN__DEPLOY_BLOCK", chain.deploy_block.to_string()),
            ("CHAIN__VERIFY", mode.verify.to_string()),
            ("STORE__URL", database.url.clone()),
            ("STORE__OBJECTS", folder.path().join("objects").display().to_string()),
            ("API__LISTEN", "127.0.0.1:0".into()),
            ("API__SETTLER", expected::who(expected::Part::Settler, 0).to_string()),
            ("API__FEE_RECEIVER", expected::who(expected::Part::Fees, 0).to_string()),
        ];
        if mode.socket {
            settings.push(("CHAIN__WS_URL", chain.anvil.ws_url()));
        }
        let (program, kind) = (program.to_owned(), mode.kind);
        let http = reqwest::Client::builder().timeout(LIMIT).build()?;
        let (api, indexer) = (None, None);
        Ok(Self { kind, program, settings, database, server, http, api, indexer, folder })
    }

    fn start(&self, role: &str) -> Result<Process> {
        let log = self.folder.path().join(format!("{role}.log"));
        let mut command = Command::new(&self.program);
        command.arg(role).env_clear().current_dir(self.folder.path());
        command.envs(self.settings.iter().map(|(key, value)| (format!("RNDR__{key}"), value)));
        let errors = File::create(&log)?;
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors).spawn();
        let child = child.with_context(|| format!("cannot start {}", self.program.display()))?;
        Ok(Process { child, log })
    }

    pub fn start_indexer(&mut self) -> Result<()> {
        self.indexer = Some(self.start("indexer")?);
        Ok(())
    }

    /// Waits until it listens.
    pub async fn start_api(&mut self) -> Result<()> {
        let mut service = self.start("api")?;
        let started = Instant::now();
        let address = loop {
            let text = fs::read_to_string(&service.log)?;
            let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let mut told = lines.filter(|line| line["message"] == "api listens");
            if let Some(line) = told.next() {
                break line["address"].as_str().context("no address in its log")?.to_owned();
            }
            service.check()?;
            anyhow::ensure!(started.elapsed() < LIMIT, "the api does not listen");
            tokio::time::sleep(BETWEEN_LOOKS).await;
        };
        self.api = Some(Api { service, url: format!("http://{address}") });
        Ok(())
    }

    /// What the API answers at a path; None while it is not there.
    pub async fn ask(&self, path: &str) -> Result<Option<Value>> {
        let api = self.api.as_ref().context("no api runs")?;
        let answer = self.http.get(format!("{}{path}", api.url)).send().await?;
        if !answer.status().is_success() {
            return Ok(None);
        }
        Ok(Some(serde_json::from_slice(&answer.bytes().await?)?))
    }

    /// Waits until the status route shows this block; the most memory that the server took.
    pub async fn reach(&mut self, block: u64) -> Result<u64> {
        let started = Instant::now();
        let mut weighed = Instant::now();
        let mut most = 0;
        loop {
            let status = self.ask("/v1/chain").await?;
            let at = status.as_ref().and_then(|status| status["indexed"]["number"].as_u64());
            if at.is_some_and(|at| at >= block) {
                return Ok(most.max(self.server.map_or(0, process::pss)));
            }
            if let Some(indexer) = &mut self.indexer {
                indexer.check()?;
            }
            anyhow::ensure!(started.elapsed() < LIMIT, "the index is at {at:?}, not at {block}");
            if weighed.elapsed() > BETWEEN_WEIGHINGS {
                most = most.max(self.server.map_or(0, process::pss));
                weighed = Instant::now();
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }

    /// Processor time of the database server, when there is one.
    pub fn server_cpu(&self) -> Duration {
        self.server.map_or(Duration::ZERO, process::cpu)
    }

    /// What the database takes on disk, in bytes.
    pub async fn size(&self) -> Result<u64> {
        match self.kind {
            Kind::Postgres => {
                let sql = "SELECT pg_database_size(current_database())::text";
                let texts = self.database.texts(sql.into()).await;
                Ok(texts.first().context("the server tells no size")?.parse()?)
            }
            Kind::Sqlite => {
                let files = ["rndr.db", "rndr.db-wal"].map(|name| self.folder.path().join(name));
                Ok(files.iter().filter_map(|path| fs::metadata(path).ok()).map(|m| m.len()).sum())
            }
        }
    }

    /// The database as the store reads it.
    pub async fn store(&self) -> Result<Store> {
        Ok(Store::open(&self.database.url, &self.folder.path().join("objects")).await?)
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// Process of the server that holds a database, as the server's own file names it.
async fn server_of(database: &Database) -> Result<u32> {
    let sql = "SELECT split_part(pg_read_file('postmaster.pid'), chr(10), 1)";
    let answers = database.texts(sql.into()).await;
    let server = answers.first().context("the server tells no process")?.trim().parse()?;
    process::parent(server).context("the PostgreSQL server is not on this machine")?;
    Ok(server)
}

/// An account as it stands in a path.
pub fn account_path(account: Address) -> String {
    format!("/v1/accounts/{account}")
}
