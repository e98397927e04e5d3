//! `rndr audit legacy`: the escrow that legacy RNDR had, as its own logs tell it.
use std::path::{Path, PathBuf};

use alloy::primitives::Address;
use alloy::rpc::types::Log;
use clap::Args;
use contracts::Amount;
use indexer::audit::legacy::{Contracts, View, view};
use indexer::chain::{Chain, ChainError, ChainLog, Rpc};
use store::Tag;

use crate::config::Settings;
use crate::exit::{Exit, Failure, Outcome, local};
use crate::talk::{Talk, table};

/// Blocks asked for at a time; halved where the node refuses as many.
const BLOCKS_AT_ONCE: u64 = 10_000;
/// Legacy RNDR's.
const DECIMALS: u8 = 18;

#[derive(Args, Debug)]
pub struct Legacy {
    /// The legacy token, which tells of deposits and payments; --escrow names the legacy escrow
    #[arg(long, value_name = "ADDRESS")]
    token: Address,
    /// JSON array of logs as eth_getLogs answers them, instead of asking --rpc-url
    #[arg(long, value_name = "FILE")]
    logs: Option<PathBuf>,
    /// First block of the logs
    #[arg(long, value_name = "BLOCK", default_value_t = 0, conflicts_with = "logs")]
    from_block: u64,
}

pub async fn legacy(command: Legacy, settings: &Settings, talk: &Talk) -> Outcome {
    let of = Contracts { escrow: settings.escrow()?, token: command.token };
    let mut logs = match &command.logs {
        Some(path) => read(path)?,
        None => asked(settings, of, command.from_block).await.map_err(|error| {
            let hint = "check --rpc-url, or give the logs in a file";
            Failure::new(Exit::Unavailable, error.to_string(), hint)
        })?,
    };
    logs.sort_unstable_by_key(|log| (log.block, log.log_index));
    let view = view(&logs, of).map_err(|error| {
        let hint = "check that --escrow and --token are the legacy contracts";
        Failure::new(Exit::Failed, error.to_string(), hint)
    })?;
    talk.data(&view, || text(&view));
    match view.problems.first() {
        None => Ok(()),
        Some(first) => {
            let (count, block, log) = (view.problems.len(), first.block, first.log_index);
            let message = format!(
                "{count} unexplained balances; the first: {:?} in block {block} log {log}: {}",
                first.book, first.problem
            );
            let hint = "give all logs of both contracts, from their deployment on";
            Err(Failure::new(Exit::Mismatch, message, hint))
        }
    }
}

/// Logs from a file, as a chain node answered them.
fn read(path: &Path) -> Outcome<Vec<ChainLog>> {
    let doing = format!("reading {}", path.display());
    let refused = |what: String| {
        let hint = "write what eth_getLogs or `cast logs --json` answers";
        Failure::usage(format!("{doing}: {what}"), hint)
    };
    let text = std::fs::read_to_string(path).map_err(local(&doing))?;
    let logs: Vec<Log> = serde_json::from_str(&text).map_err(|error| refused(error.to_string()))?;
    let placed = logs.into_iter().map(|log| {
        let place = (log.block_number, log.block_hash, log.transaction_hash, log.log_index);
        let (Some(block), Some(block_hash), Some(tx_hash), Some(log_index)) = place else {
            return Err(refused("a log without block, transaction or index".into()));
        };
        Ok(ChainLog { block, block_hash, tx_hash, log_index, log: log.inner })
    });
    placed.collect()
}

/// All logs of both contracts, range by range.
async fn asked(
    settings: &Settings,
    of: Contracts,
    first: u64,
) -> Result<Vec<ChainLog>, ChainError> {
    let chain = Rpc::new(&settings.chain.rpc_urls(), settings.chain.verify)?;
    let head = chain.head(Tag::Latest).await?.map_or(0, |head| head.number);
    let both = [of.escrow, of.token];
    let (mut from, mut blocks, mut found) = (first, BLOCKS_AT_ONCE, Vec::new());
    // Ends at the head: a range is taken, or halved down to one block.
    while from <= head {
        let to = head.min(from.saturating_add(blocks - 1));
        match chain.range_logs(&both, from, to).await {
            Ok(logs) => {
                found.extend(logs);
                from = to.saturating_add(1);
            }
            Err(ChainError::Refused { .. }) if blocks > 1 => blocks /= 2,
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

fn text(view: &View) -> String {
    let show = |amount: &Amount| format!("{} RNDR", amount.to_decimal(DECIMALS));
    let mut rows = vec![
        ("logs".to_owned(), view.logs.to_string()),
        ("funded".to_owned(), show(&view.funded)),
        ("paid out".to_owned(), show(&view.paid)),
    ];
    // Ids are anybody's text: quoted, they cannot write over the terminal.
    let left = view.balances.iter().filter(|(_, balance)| !balance.is_zero());
    rows.extend(left.map(|(book, balance)| (format!("{book:?}"), show(balance))));
    rows.push(("unexplained".to_owned(), view.problems.len().to_string()));
    let rows: Vec<(&str, String)> = rows.iter().map(|(n, v)| (n.as_str(), v.clone())).collect();
    let mut text = table(&rows);
    for problem in &view.problems {
        let (block, log) = (problem.block, problem.log_index);
        let line = format!("{:?} in block {block} log {log}: {}", problem.book, problem.problem);
        text.push_str(&format!("\n  {line}"));
    }
    text
}
