//! `rndr audit export`: the final history as tables or plain-text books, in a folder of its own.
use std::path::{Path, PathBuf};

use alloy::primitives::{Address, B256};
use clap::{Args, ValueEnum};
use contracts::text::{checksummed, checksummed_option};
use serde::{Deserialize, Serialize};
use store::export::{Scope, Watch};
use store::{Block, Escrow, HistoryEvent, Reader, Store, Tag};

use crate::audit::audited;
use crate::config::Settings;
use crate::exit::{Exit, Failure, Outcome, local, stopped};
use crate::talk::{Talk, table};
use crate::wallet::address;

mod files;
use files::Sink;

/// The file in each export that says what the others are.
const MANIFEST: &str = "manifest.json";

/// Write the history of final blocks as tables or plain-text books, from the store
///
/// Every figure comes from the event rows. The folder appears whole or not at all; its
/// manifest.json names each file with its SHA-256. The same blocks give the same bytes again.
#[derive(Args, Debug)]
pub struct Export {
    /// Tables, one file for each kind of event and one of double entries, or plain-text books
    #[arg(long, value_enum)]
    format: Format,
    /// Folder to write; it must not exist, or be empty, or hold this same export
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    /// First block; the escrow's deployment when left out
    #[arg(long, value_name = "BLOCK")]
    from_block: Option<u64>,
    /// Last block, which must be final; the newest final one when left out
    #[arg(long, value_name = "BLOCK")]
    to_block: Option<u64>,
    /// Whose: escrow (all), or payer, node or operator and an address
    #[arg(long, num_args = 1..=2, value_names = ["WHO", "ADDRESS"], default_value = "escrow")]
    of: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[value(rename_all = "lower")]
pub enum Format {
    Csv,
    Jsonl,
    /// Only in builds with the feature `parquet`
    Parquet,
    Beancount,
    Hledger,
}

/// What was exported, without a word about when or by whom: the same export has the same manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Manifest {
    #[serde(flatten)]
    plan: Plan,
    /// Rows of tables, or transactions of books, come from this many events.
    events: u64,
    /// The newest event of the scope in these blocks or before them.
    last_event: Option<LastEvent>,
    files: Vec<FileOf>,
}

/// What is asked for; two exports of one plan must be equal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Plan {
    version: u32,
    format: Format,
    /// escrow, or payer, node or operator with its address.
    of: String,
    chain_id: u64,
    #[serde(with = "checksummed")]
    escrow: Address,
    #[serde(with = "checksummed_option")]
    registry: Option<Address>,
    #[serde(with = "checksummed")]
    token: Address,
    symbol: String,
    decimals: u8,
    from_block: u64,
    to_block: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct LastEvent {
    block: u64,
    block_hash: B256,
    /// The index's running digest after that block: over all logs from the deployment on.
    digest: B256,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct FileOf {
    name: String,
    rows: u64,
    bytes: u64,
    sha256: String,
}

pub async fn export(command: Export, settings: &Settings, talk: &Talk) -> Outcome {
    let scope = scope(&command.of)?;
    files::is_built(command.format)?;
    let store = audited(settings).await?;
    let exported = of_store(&store, &command, scope).await;
    store.close().await;
    let (manifest, known) = exported?;
    let out = command.out.display();
    if known {
        talk.say(&format!("{out} holds this export already, byte for byte"));
    }
    talk.data(&manifest, || {
        let mut text = table(&[
            ("export", format!("{:?} of {}", command.format, manifest.plan.of).to_lowercase()),
            ("blocks", format!("{} to {}", manifest.plan.from_block, manifest.plan.to_block)),
            ("events", manifest.events.to_string()),
            ("folder", out.to_string()),
        ]);
        for FileOf { name, rows, sha256, .. } in &manifest.files {
            text.push_str(&format!("\n  {sha256}  {name} ({rows} rows)"));
        }
        text
    });
    Ok(())
}

/// The manifest, and whether the folder held the same export before.
async fn of_store(store: &Store, command: &Export, scope: Scope) -> Outcome<(Manifest, bool)> {
    let reader = store.reader();
    let escrow = reader.escrow().await.map_err(stopped)?.ok_or_else(|| {
        let hint = "start `rndr indexer` on it, or name another with --store";
        Failure::new(Exit::Unavailable, "the store follows no escrow yet", hint)
    })?;
    let (from_block, to_block) = range(&reader, &escrow, command).await?;
    let plan = Plan {
        version: 1,
        format: command.format,
        of: scope.name(),
        chain_id: escrow.chain_id,
        escrow: escrow.address,
        registry: escrow.registry,
        token: escrow.token,
        symbol: escrow.symbol.clone(),
        decimals: escrow.decimals,
        from_block,
        to_block,
    };
    let before = before(&command.out, &plan)?;
    let parent = match command.out.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        Some(_) | None => PathBuf::from("."),
    };
    std::fs::create_dir_all(&parent).map_err(local("making the folder to export into"))?;
    // Beside its place, so that it gets there by one rename.
    let folder = tempfile::Builder::new().prefix(".rndr-export-").tempdir_in(&parent);
    let folder = folder.map_err(local("making a folder for the export"))?;
    let manifest = write(&reader, &escrow, plan, scope, folder.path()).await?;
    match before {
        Some(before) => {
            same(&command.out, &before, &manifest)?;
            Ok((manifest, true))
        }
        None => {
            let kept = folder.keep();
            files::open_to_readers(&kept)?;
            std::fs::rename(&kept, &command.out).map_err(local("putting the export in place"))?;
            Ok((manifest, false))
        }
    }
}

fn scope(words: &[String]) -> Outcome<Scope> {
    let wrong = |message: String| {
        let hint = "write --of escrow, or --of payer, node or operator with an ADDRESS";
        Failure::usage(message, hint)
    };
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["escrow"] => Ok(Scope::Escrow),
        ["payer", of] => Ok(Scope::Payer(address(of)?)),
        ["node", of] => Ok(Scope::Node(address(of)?)),
        ["operator", of] => Ok(Scope::Operator(address(of)?)),
        ["payer" | "node" | "operator"] => Err(wrong(format!("--of {} of whom?", words[0]))),
        other => Err(wrong(format!("--of takes no `{}`", other.join(" ")))),
    }
}

/// The blocks to export: all final, indexed, and proven.
async fn range(reader: &Reader, escrow: &Escrow, command: &Export) -> Outcome<(u64, u64)> {
    let heads = reader.heads().await.map_err(stopped)?;
    let finalized = heads.iter().find(|head| head.tag == Tag::Finalized);
    let tip = reader.tip().await.map_err(stopped)?;
    let Some((finalized, tip)) = finalized.zip(tip) else {
        let hint = "wait until the indexer has followed the chain up to a final block";
        return Err(Failure::new(Exit::Unavailable, "no final block is indexed yet", hint));
    };
    let unproven = reader.first_unproven().await.map_err(stopped)?;
    let proven = unproven.map_or(u64::MAX, |block| block.saturating_sub(1));
    let last = finalized.block.min(tip.number).min(proven);
    let from = command.from_block.unwrap_or(escrow.deploy_block);
    let to = command.to_block.unwrap_or(last);
    if to > last {
        let (message, hint) = if to > finalized.block {
            let message = format!("block {to} is not final; the newest final one is {last}");
            (message, "leave --to-block out, lower it, or wait: a reorg could still change it")
        } else if to > proven {
            let message = format!("blocks above {last} were taken on a server's word, not proven");
            (message, "lower --to-block, or index into a new store with chain.verify")
        } else {
            let message = format!("block {to} is final, but the index is only at {last}");
            (message, "wait until the indexer has caught up, or lower --to-block")
        };
        return Err(Failure::new(Exit::Unavailable, message, hint));
    }
    if from > to {
        let message = format!("blocks {from} to {to} are no range: the first is above the last");
        let hint = if to < escrow.deploy_block {
            "nothing final is indexed since the escrow's deployment: wait for it"
        } else {
            "exchange or correct --from-block and --to-block"
        };
        return Err(Failure::usage(message, hint));
    }
    Ok((from, to))
}

/// The manifest of the same plan in the folder; None when the folder is free to be made.
fn before(out: &Path, plan: &Plan) -> Outcome<Option<Manifest>> {
    let hint = "name another folder with --out";
    if !out.exists() {
        return Ok(None);
    }
    let mut inside = std::fs::read_dir(out).map_err(local(format!("reading {}", out.display())))?;
    if inside.next().is_none() {
        return Ok(None);
    }
    let other = |what: &str| {
        let message = format!("{} holds {what}; nothing was written", out.display());
        Failure::new(Exit::Rejected, message, hint)
    };
    let text = std::fs::read(out.join(MANIFEST)).map_err(|_| other("something else"))?;
    let found: Manifest = serde_json::from_slice(&text)
        .map_err(|_| other("something else: its manifest is no ours"))?;
    if found.plan != *plan {
        let Plan { format, of, from_block, to_block, .. } = &found.plan;
        let format = format!("{format:?}").to_lowercase();
        let what = format!("another export: {format} of {of}, blocks {from_block} to {to_block}");
        return Err(other(&what));
    }
    Ok(Some(found))
}

/// The export that stands there must be this one, and untouched.
fn same(out: &Path, before: &Manifest, now: &Manifest) -> Outcome {
    let differs = |message: String| {
        let hint = "nothing was written; run `rndr audit replay` on the store, and export into \
                    another folder to compare";
        Err(Failure::new(Exit::Mismatch, message, hint))
    };
    for file in &before.files {
        let path = out.join(&file.name);
        match files::sum_of(&path) {
            Ok(sum) if sum == file.sha256 => {}
            Ok(_) => return differs(format!("{} was changed since its export", path.display())),
            Err(error) => return differs(format!("{} is gone: {error}", path.display())),
        }
    }
    if before == now {
        return Ok(());
    }
    let changed = before.files.iter().find(|file| !now.files.contains(file));
    let name = changed.map_or(MANIFEST, |file| &file.name);
    differs(format!("the store gives another {name} now than {} holds", out.display()))
}

/// Walks the history and writes every file, the manifest last.
async fn write(
    reader: &Reader,
    escrow: &Escrow,
    plan: Plan,
    scope: Scope,
    folder: &Path,
) -> Outcome<Manifest> {
    let mut sink = Sink::new(plan.format, escrow, scope, (plan.from_block, plan.to_block), folder);
    let mut watch = Watch::new(scope);
    // Jobs, lots and balances of before are known only to who has seen them come about.
    let start = if scope == Scope::Escrow && !sink.needs_past() { plan.from_block } else { 0 };
    let mut history = reader.walk(start, plan.to_block);
    let (mut events, mut last): (u64, Option<(HistoryEvent, Block)>) = (0, None);
    while let Some((told, block)) = history.next().await.map_err(stopped)? {
        if !watch.takes(&told) {
            continue;
        }
        if block.number < plan.from_block {
            sink.skip(&told, &block, &watch)?;
        } else {
            sink.add(&told, &block, &watch)?;
            events += 1;
        }
        last = Some((told, block));
    }
    if last.is_none() && scope != Scope::Escrow {
        let message = format!("no event up to block {} is about {}", plan.to_block, plan.of);
        let hint = "check the address and the role: a payer is the wallet that orders, a node the \
                    key of its receipts, an operator the one that fees are credited to";
        return Err(Failure::new(Exit::NotFound, message, hint));
    }
    let files = sink.end()?;
    let last_event = last.map(|(_, block)| LastEvent {
        block: block.number,
        block_hash: block.hash,
        digest: block.digest,
    });
    let manifest = Manifest { plan, events, last_event, files };
    let mut text = serde_json::to_string_pretty(&manifest).map_err(stopped)?;
    text.push('\n');
    files::write_synced(&folder.join(MANIFEST), text.as_bytes())?;
    Ok(manifest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn whose_export_it_is_takes_a_role_and_an_address_or_is_refused() {
        let of = Address::repeat_byte(7);
        assert_eq!(scope(&words("escrow")).unwrap(), Scope::Escrow);
        assert_eq!(scope(&words(&format!("payer {of}"))).unwrap(), Scope::Payer(of));
        assert_eq!(scope(&words(&format!("node {of}"))).unwrap(), Scope::Node(of));
        assert_eq!(scope(&words(&format!("operator {of}"))).unwrap(), Scope::Operator(of));
        for bad in ["payer", "nobody", "payer 0x12", "escrow 0x12", "nobody 0x12"] {
            let failure = scope(&words(bad)).unwrap_err();
            assert_eq!(failure.exit, Exit::Usage, "{bad}");
            assert!(!failure.hint.is_empty());
        }
    }
}
