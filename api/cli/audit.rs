//! `rndr audit`: everything rebuilt from the logs and compared; what is held and owed; exports.
use std::path::{Path, PathBuf};
use std::str::FromStr;

use alloy::primitives::Address;
use chrono::Utc;
use clap::{Args, Subcommand};
use contracts::{Amount, JobId};
use indexer::audit::{Report, Until, Wanted, bundle, replay};
use store::{AuditKind, AuditRun, Store};

use crate::config::Settings;
use crate::exit::{Exit, Failure, Outcome, local, stopped};
use crate::export;
use crate::serve::indexer_config;
use crate::talk::{Talk, table};

mod legacy;

#[derive(Subcommand, Debug)]
pub enum AuditCommand {
    /// Replay the escrow's logs into a fresh database and compare with the store and the chain
    ///
    /// --rpc-url may be another chain node than the indexer's; ends with 7 at a difference, and
    /// names table, row and log of the first one.
    Replay(Replay),
    /// Rebuild what the escrow owes and compare it with the tokens that it holds
    ///
    /// Needs no store. Ends with 7 at a deficit, or where the contract's storage differs.
    Solvency(Solvency),
    /// Rebuild the balances of the escrow that legacy RNDR had, and name what its logs contradict
    Legacy(legacy::Legacy),
    Export(export::Export),
}

#[derive(Args, Debug)]
pub struct Replay {
    /// Compare with the chain alone, not with the store of --store
    #[arg(long)]
    chain_only: bool,
    #[command(flatten)]
    at: At,
}

#[derive(Args, Debug)]
pub struct Solvency {
    #[command(flatten)]
    at: At,
    /// Write the proofs of it to this file, for `rndr verify`
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
    /// Only these accounts in the bundle, each with a proof of its own
    #[arg(long = "account", value_name = "ADDRESS", requires = "bundle")]
    accounts: Vec<Address>,
    /// Only these jobs in the bundle
    #[arg(long = "job", value_name = "JOB", requires = "bundle")]
    jobs: Vec<JobId>,
}

#[derive(Args, Debug)]
struct At {
    /// Up to this block: a number, or `finalized`; the newest one when left out
    #[arg(long, value_name = "BLOCK")]
    block: Option<Last>,
    /// The database for the replay, empty; a file of its own, gone afterwards, when left out
    #[arg(long, value_name = "URL")]
    fresh: Option<String>,
    /// Keep what was found in the store of --store, for GET /v1/audit/runs and /v1/solvency
    #[arg(long)]
    record: bool,
}

/// A block as it is written on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Last(Until);

impl FromStr for Last {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "finalized" => Ok(Self(Until::Finalized)),
            number => number
                .parse()
                .map(|block| Self(Until::Block(block)))
                .map_err(|_| "write a block number, or finalized".into()),
        }
    }
}

impl At {
    fn until(&self) -> Until {
        self.block.map_or(Until::Tip, |Last(until)| until)
    }
}

pub async fn audit(command: AuditCommand, settings: &Settings, talk: &Talk) -> Outcome {
    match command {
        AuditCommand::Replay(command) => replayed(command, settings, talk).await,
        AuditCommand::Solvency(command) => solvency(command, settings, talk).await,
        AuditCommand::Legacy(command) => legacy::legacy(command, settings, talk).await,
        AuditCommand::Export(command) => export::export(command, settings, talk).await,
    }
}

async fn replayed(command: Replay, settings: &Settings, talk: &Talk) -> Outcome {
    let against = if command.chain_only { None } else { Some(audited(settings).await?) };
    let fresh = Fresh::open(command.at.fresh.as_deref()).await?;
    let report = compared(settings, &fresh, against, command.at.until()).await;
    fresh.close().await;
    let report = report?;
    record(&command.at, AuditKind::Replay, &report, settings).await?;
    talk.data(&report, || text(&report));
    verdict(&report)
}

async fn solvency(command: Solvency, settings: &Settings, talk: &Talk) -> Outcome {
    let fresh = Fresh::open(command.at.fresh.as_deref()).await?;
    let outcome = solvent(&command, settings, &fresh).await;
    fresh.close().await;
    let report = outcome?;
    record(&command.at, AuditKind::Solvency, &report, settings).await?;
    talk.data(&report, || text(&report));
    verdict(&report)
}

async fn record(at: &At, kind: AuditKind, report: &Report, settings: &Settings) -> Outcome {
    if !at.record {
        return Ok(());
    }
    let store = audited(settings).await?;
    let registry = report.registry.as_ref();
    let run = AuditRun {
        kind,
        at: Utc::now().timestamp(),
        block: report.block,
        hash: report.block_hash,
        digest: report.digest,
        stored_digest: report.stored_digest,
        token_balance: report.token_balance,
        liabilities: report.liabilities,
        surplus: report.surplus,
        registry_balance: registry.map(|held| held.token_balance),
        bonds: registry.map(|held| held.bonds),
        differences: u64::try_from(report.differences.len()).unwrap_or(u64::MAX),
        first: report.first().map(ToString::to_string),
    };
    let written = store.audit().put_run(&run).await.map_err(stopped);
    store.close().await;
    written
}

async fn solvent(command: &Solvency, settings: &Settings, fresh: &Fresh) -> Outcome<Report> {
    let report = compared(settings, fresh, None, command.at.until()).await?;
    if let Some(path) = &command.bundle {
        let accounts = command.accounts.iter().copied().collect();
        let wanted = Wanted { accounts, jobs: command.jobs.iter().copied().collect() };
        let made = bundle(&indexer_config(settings)?, &fresh.store, &wanted).await;
        let made = made.map_err(|error| {
            let hint = "ask a node that has eth_getProof and the state of that block";
            Failure::new(Exit::Failed, error.to_string(), hint)
        })?;
        write(path, &made.text())?;
    }
    Ok(report)
}

/// Writes a file for auditors; their commands read it back byte for byte.
pub fn write(path: &Path, text: &str) -> Outcome {
    std::fs::write(path, text).map_err(local(format!("writing {}", path.display())))
}

fn verdict(report: &Report) -> Outcome {
    match report.first() {
        None => Ok(()),
        Some(first) => {
            let message = format!("{} differences; the first: {first}", report.differences.len());
            let hint = "the chain is right: find who wrote the row, then index into a new database";
            Err(Failure::new(Exit::Mismatch, message, hint))
        }
    }
}

pub async fn audited(settings: &Settings) -> Outcome<Store> {
    let opened = Store::open(&settings.store.url, &settings.store.objects).await;
    opened.map_err(|error| {
        let message = format!("the store to audit does not open: {error}");
        Failure::new(Exit::Unavailable, message, "check --store (RNDR__STORE__URL)")
    })
}

/// The database that a replay fills.
struct Fresh {
    store: Store,
    /// Removed when dropped.
    _folder: tempfile::TempDir,
}

impl Fresh {
    async fn open(url: Option<&str>) -> Outcome<Self> {
        let folder = tempfile::tempdir().map_err(local("making a folder for the replay"))?;
        let own = format!("sqlite:{}", folder.path().join("replay.db").display());
        let opened = Store::open(url.unwrap_or(&own), &folder.path().join("objects")).await;
        Ok(Self { store: opened.map_err(stopped)?, _folder: folder })
    }

    async fn close(&self) {
        self.store.close().await;
    }
}

/// One replay into a database of its own, which is gone afterwards.
pub async fn run(settings: &Settings, against: Option<Store>) -> Outcome<Report> {
    let fresh = Fresh::open(None).await?;
    let report = compared(settings, &fresh, against, Until::Tip).await;
    fresh.close().await;
    report
}

async fn compared(
    settings: &Settings,
    fresh: &Fresh,
    against: Option<Store>,
    until: Until,
) -> Outcome<Report> {
    let config = indexer_config(settings)?;
    let report = replay(&config, fresh.store.clone(), against.clone(), until).await;
    if let Some(against) = against {
        against.close().await;
    }
    report.map_err(|error| {
        let hint = "there was no comparison: remove the cause and run it again";
        Failure::new(Exit::Failed, format!("the audit stopped: {error}"), hint)
    })
}

pub fn text(report: &Report) -> String {
    let escrow = &report.escrow;
    let show = |amount: Amount| format!("{} {}", amount.to_decimal(escrow.decimals), escrow.symbol);
    let stored = match report.stored_digest {
        Some(digest) if digest == report.digest => "the same in the store".to_owned(),
        Some(digest) => format!("NOT the store's, which is {digest}"),
        None => "no store was compared".to_owned(),
    };
    let owed = &report.owed;
    let mut rows = vec![
        ("escrow", format!("{} on chain {}", escrow.address, escrow.chain_id)),
        ("up to block", format!("{} {}", report.block, report.block_hash)),
        ("replayed", format!("{} events", report.events)),
        ("rebuilt", counts(report)),
        ("running digest", format!("{} ({stored})", report.digest)),
        ("token balance", show(report.token_balance)),
        ("owed", show(report.liabilities)),
        ("  free", show(owed.free)),
        ("  credit", show(owed.credit)),
        ("  in jobs", show(owed.locked)),
        ("    of it pending", show(owed.pending)),
        ("surplus", show(report.surplus)),
    ];
    if let Some(registry) = &report.registry {
        rows.push(("node registry", format!("{} with {} nodes", registry.address, registry.nodes)));
        rows.push(("its token balance", show(registry.token_balance)));
        rows.push(("bonds", show(registry.bonds)));
        rows.push(("its surplus", show(registry.surplus)));
    }
    rows.push(("differences", report.differences.len().to_string()));
    let mut text = table(&rows);
    for difference in &report.differences {
        text.push_str(&format!("\n  {difference}"));
    }
    text
}

fn counts(report: &Report) -> String {
    format!("{} accounts, {} jobs, {} lots", report.accounts, report.jobs, report.lots)
}
