//! Orders from a file or from the chain's log, and opening one with the wallet's own money.
use std::path::{Path, PathBuf};

use clap::Args;
use contracts::order::{domain, job_id};
use contracts::{JobId, Order};
use serde::Serialize;

use crate::chain::{Chain, Mined};
use crate::config::Settings;
use crate::exit::{Failure, Outcome, local};
use crate::talk::{Talk, table};
use crate::wallet::{approve, chain};

#[derive(Args, Debug)]
pub struct Open {
    /// File with the order as JSON
    order: PathBuf,
}

#[derive(Serialize)]
struct Opened {
    job_id: JobId,
    transactions: Vec<Mined>,
}

/// The job's id, which only this chain and escrow give the order.
pub fn id_of(order: &Order, chain: &Chain) -> JobId {
    job_id(order, &domain(chain.chain_id, *chain.escrow.address()))
}

/// An order file, or the id of a job that was opened already.
pub async fn find(text: &str, chain: &Chain) -> Outcome<Order> {
    let is_id = text.len() == 66 && text.starts_with("0x");
    match text.parse::<JobId>() {
        Ok(job_id) if is_id => chain.order_of(job_id).await,
        Ok(_) | Err(_) => read(Path::new(text)),
    }
}

pub fn read(path: &Path) -> Outcome<Order> {
    let doing = format!("reading the order {}", path.display());
    let text = std::fs::read_to_string(path).map_err(local(&doing))?;
    serde_json::from_str(&text).map_err(|error| {
        let hint = "write every term, as `rndr submit --vault` and GET /v1/jobs/{job_id} do";
        Failure::usage(format!("{doing}: {error}"), hint)
    })
}

pub fn write(path: &Path, order: &Order) -> Outcome {
    let doing = format!("writing the order {}", path.display());
    let text = serde_json::to_string_pretty(order).unwrap_or_default();
    std::fs::write(path, text + "\n").map_err(local(doing))
}

/// Straight on chain: the wallet's free balance first, the lack from its tokens.
pub async fn open(command: Open, settings: &Settings, talk: &Talk) -> Outcome {
    let order = read(&command.order)?;
    let chain = chain(settings).await?;
    let (free, credit) = chain.balances(chain.sender).await?;
    let have = if chain.sender == order.payer { free.checked_add(credit) } else { Ok(free) };
    let lack = have.and_then(|have| order.cap.checked_sub(have)).unwrap_or_default();
    let mut transactions = Vec::new();
    if !lack.is_zero() {
        chain.check_pull(lack).await?;
        transactions = approve(&chain, lack).await?;
    }
    transactions.push(chain.send("open the job", chain.escrow.open(order.to_sol())).await?);
    let opened = Opened { job_id: id_of(&order, &chain), transactions };
    talk.data(&opened, || {
        let mut rows = vec![("job", opened.job_id.to_string())];
        let hashes = opened.transactions.iter().map(|mined| mined.tx_hash.to_string());
        rows.extend(hashes.map(|hash| ("transaction", hash)));
        table(&rows)
    });
    Ok(())
}
