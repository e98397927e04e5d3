//! `rndr audit replay`: rebuilds everything from the logs, compares, ends with 7 on a difference.
use clap::Subcommand;
use contracts::Amount;
use indexer::audit::{Report, replay};
use store::Store;

use crate::config::Settings;
use crate::exit::{Exit, Failure, Outcome, local, stopped};
use crate::serve::indexer_config;
use crate::talk::{Talk, table};

#[derive(Subcommand, Debug)]
pub enum AuditCommand {
    /// Replay the escrow's logs into a fresh database and compare with the store and the chain
    Replay {
        /// Compare with the chain alone, not with the store of --store
        #[arg(long)]
        chain_only: bool,
    },
}

pub async fn audit(command: AuditCommand, settings: &Settings, talk: &Talk) -> Outcome {
    let AuditCommand::Replay { chain_only } = command;
    let against = if chain_only {
        None
    } else {
        let opened = Store::open(&settings.store.url, &settings.store.objects).await;
        Some(opened.map_err(|error| {
            let message = format!("the store to audit does not open: {error}");
            Failure::new(Exit::Unavailable, message, "check --store (RNDR__STORE__URL)")
        })?)
    };
    let report = run(settings, against).await?;
    talk.data(&report, || text(&report));
    match report.first() {
        None => Ok(()),
        Some(first) => {
            let message = format!("{} differences; the first: {first}", report.differences.len());
            let hint = "the chain is right: find who wrote the row, then index into a new database";
            Err(Failure::new(Exit::Mismatch, message, hint))
        }
    }
}

/// One replay into a database of its own, which is gone afterwards.
pub async fn run(settings: &Settings, against: Option<Store>) -> Outcome<Report> {
    let folder = tempfile::tempdir().map_err(local("making a folder for the fresh database"))?;
    let url = format!("sqlite:{}", folder.path().join("replay.db").display());
    let fresh = Store::open(&url, &folder.path().join("objects")).await.map_err(stopped)?;
    let config = indexer_config(settings)?;
    let report = replay(&config, fresh.clone(), against.clone()).await;
    fresh.close().await;
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
    let mut rows = vec![
        ("escrow", format!("{} on chain {}", escrow.address, escrow.chain_id)),
        ("up to block", format!("{} {}", report.block, report.block_hash)),
        ("replayed", format!("{} events", report.events)),
        ("rebuilt", counts(report)),
        ("running digest", format!("{} ({stored})", report.digest)),
        ("token balance", show(report.token_balance)),
        ("owed", show(report.liabilities)),
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
