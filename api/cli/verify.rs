//! `rndr verify`: bundles and receipts' files checked offline, with nothing but a block's hash.
use std::path::PathBuf;

use alloy::primitives::B256;
use clap::Args;
use contracts::Amount;
use indexer::proof::bundle::{self, Holdings};
use indexer::proof::receipt;
use serde::Deserialize;

use crate::config::Settings;
use crate::exit::{Exit, Failure, Outcome, local};
use crate::talk::{Talk, table};

const TRUST: &str =
    "take the block's hash from a source that you trust, not from who gave the file";

#[derive(Args, Debug)]
pub struct Verify {
    /// A bundle of `rndr audit solvency --bundle`, or a file of `rndr receipt --out`
    file: PathBuf,
    /// Hash of the block that is trusted; a bundle is nothing without it
    #[arg(long, value_name = "HASH")]
    block_hash: Option<B256>,
    /// The frame as a file: its bytes must be those that the node signed
    #[arg(long, value_name = "FILE")]
    frame: Option<PathBuf>,
}

/// All that is read before it is known which kind of file it is.
#[derive(Deserialize)]
struct Kind {
    format: String,
}

pub fn verify(command: Verify, settings: &Settings, talk: &Talk) -> Outcome {
    let read =
        |path: &PathBuf| std::fs::read(path).map_err(local(format!("reading {}", path.display())));
    let text = read(&command.file)?;
    let kind: Kind = serde_json::from_slice(&text).map_err(|error| {
        let message =
            format!("file: {} is neither bundle nor receipt: {error}", command.file.display());
        Failure::new(Exit::Mismatch, message, "get the file again from who made it")
    })?;
    if kind.format == bundle::FORMAT {
        if command.frame.is_some() {
            let hint = "give the file of `rndr receipt --out` with the frame";
            return Err(Failure::usage("a bundle says nothing of frames", hint));
        }
        let trusted = command.block_hash.ok_or_else(|| {
            Failure::usage("a bundle needs the hash of a trusted block", "name it: --block-hash")
        })?;
        return checked_bundle(&text, trusted, settings, talk);
    }
    let frame = command.frame.as_ref().map(read).transpose()?;
    checked_receipt(&text, command.block_hash, frame.as_deref(), settings, talk)
}

fn checked_bundle(text: &[u8], trusted: B256, settings: &Settings, talk: &Talk) -> Outcome {
    let checked = bundle::check(text, trusted).map_err(|error| {
        Failure::new(Exit::Mismatch, format!("the bundle fails: {error}"), TRUST)
    })?;
    // Where the settings name contracts, the bundle must be about them.
    let named = [
        ("escrow", settings.chain.escrow, Some(checked.escrow.address)),
        ("registry", settings.chain.registry, checked.registry.as_ref().map(|r| r.address)),
    ];
    for (what, ours, theirs) in named {
        same(what, ours, theirs)?;
    }
    talk.data(&checked, || {
        let mut rows = vec![
            ("block", format!("{} {}", checked.block, checked.block_hash)),
            ("token", checked.token.to_string()),
        ];
        holdings(&mut rows, "escrow", &checked.escrow);
        if let Some(registry) = &checked.registry {
            holdings(&mut rows, "node registry", registry);
        }
        table(&rows)
    });
    let all = std::iter::once(&checked.escrow).chain(&checked.registry);
    let lack = all.filter_map(|of| of.deficit().map(|lack| (of.address, lack))).next();
    match lack {
        None => Ok(()),
        Some((address, lack)) => {
            let message = format!("{address} holds {lack} base units less than it owes");
            Err(Failure::new(Exit::Mismatch, message, "the proofs are good: the money is missing"))
        }
    }
}

fn same<T: PartialEq + std::fmt::Display>(
    what: &str,
    ours: Option<T>,
    theirs: Option<T>,
) -> Outcome {
    match (ours, theirs) {
        (Some(ours), Some(theirs)) if ours != theirs => {
            let message = format!("the file is about the {what} {theirs}, not {ours}");
            Err(Failure::new(Exit::Mismatch, message, "check --deployment and --escrow"))
        }
        _ => Ok(()),
    }
}

fn holdings(rows: &mut Vec<(&'static str, String)>, name: &'static str, of: &Holdings) {
    let base = |amount: Amount| format!("{amount} base units");
    let owed = &of.liabilities;
    let all = if of.whole { "all that it owes" } else { "only what is listed" };
    rows.push((name, format!("{} ({all})", of.address)));
    rows.push(("  token balance", base(of.token_balance)));
    let kinds = [
        ("  free", owed.free),
        ("  credit", owed.credit),
        ("  in jobs", owed.locked),
        ("    of it pending", owed.pending),
        ("  bonds", owed.bonds),
    ];
    let kinds = kinds.into_iter().filter(|(_, amount)| !amount.is_zero());
    rows.extend(kinds.map(|(kind, amount)| (kind, base(amount))));
    if let Some(surplus) = of.surplus() {
        rows.push(("  surplus", base(surplus)));
    }
}

fn checked_receipt(
    text: &[u8],
    trusted: Option<B256>,
    frame: Option<&[u8]>,
    settings: &Settings,
    talk: &Talk,
) -> Outcome {
    let checked = receipt::check(text, trusted, frame).map_err(|error| {
        let message = format!("the receipt fails at its {} ({error})", error.link());
        Failure::new(Exit::Mismatch, message, TRUST)
    })?;
    same("escrow", settings.chain.escrow, Some(checked.escrow))?;
    talk.data(&checked, || {
        let mut rows = vec![
            ("job", checked.job_id.to_string()),
            ("unit", format!("{}, attempt {}", checked.unit, checked.attempt)),
            ("signed by and paid to", checked.node.to_string()),
            ("output hash", checked.output_hash.to_string()),
            ("lot", format!("{} ({})", checked.lot_hash, checked.event)),
            ("escrow", format!("{} on chain {}", checked.escrow, checked.chain_id)),
            ("block", format!("{} {}", checked.block, checked.block_hash)),
        ];
        if let Some(key) = checked.lot_key {
            rows.push(("key shown", key.to_string()));
        }
        table(&rows)
    });
    if trusted.is_none() {
        talk.say(&format!("not trusted yet: compare the hash of block {}; {TRUST}", checked.block));
    }
    Ok(())
}
