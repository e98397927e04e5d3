//! What happened in the demo: addresses, transactions, gas, the balance sheet, the pictures.
use std::path::PathBuf;

use alloy::primitives::{Address, B256};
use alloy::providers::{DynProvider, Provider};
use contracts::text::checksummed;
use contracts::{Amount, JobId};
use indexer::audit;
use serde::Serialize;
use serde_json::Value;

use super::Play;
use super::doors::{PaidByDelegate, PaidByTransfer};
use crate::exit::{Exit, Failure, Outcome, chain};
use crate::talk::table;

/// One transaction of the play.
#[derive(Clone, Debug, Serialize)]
pub struct Sent {
    pub sender: String,
    pub action: String,
    pub tx_hash: B256,
    pub block: u64,
    pub gas_used: u64,
}

impl Sent {
    pub fn new(sender: &str, action: &str, tx_hash: B256) -> Sent {
        Sent { sender: sender.into(), action: action.into(), tx_hash, block: 0, gas_used: 0 }
    }
}

/// What the settler sent for the job, as the API lists it.
pub fn relayed(job: &Value) -> Vec<Sent> {
    let mut sent = Vec::new();
    for transaction in job["transactions"].as_array().into_iter().flatten() {
        let action = transaction["action"].as_str().unwrap_or("?");
        // Several hashes are fees raised for one nonce: one of them is mined.
        let hashes = transaction["tx_hashes"].as_array().into_iter().flatten();
        let hashes = hashes.filter_map(|hash| hash.as_str()?.parse().ok());
        sent.extend(hashes.map(|hash| Sent::new("settler", action, hash)));
    }
    sent
}

/// Adds block and gas of each; drops what was replaced and never mined. In the chain's order.
pub async fn fill_gas(provider: &DynProvider, sent: &mut Vec<Sent>) -> Outcome {
    for one in sent.iter_mut() {
        let receipt = provider.get_transaction_receipt(one.tx_hash).await;
        if let Some(receipt) = receipt.map_err(|error| chain("show a receipt", &error))? {
            one.block = receipt.block_number.unwrap_or_default();
            one.gas_used = receipt.gas_used;
        }
    }
    sent.retain(|one| one.gas_used > 0);
    sent.sort_by_key(|one| one.block);
    sent.dedup_by_key(|one| one.tx_hash);
    Ok(())
}

pub async fn block_of(provider: &DynProvider, tx_hash: Option<B256>) -> Outcome<u64> {
    let Some(tx_hash) = tx_hash else { return Ok(0) };
    let receipt = provider.get_transaction_receipt(tx_hash).await;
    let receipt = receipt.map_err(|error| chain("show a receipt", &error))?;
    receipt.and_then(|receipt| receipt.block_number).ok_or_else(|| {
        Failure::new(Exit::Failed, format!("transaction {tx_hash} is in no block"), "")
    })
}

#[derive(Debug, Serialize)]
pub struct Named {
    pub name: String,
    #[serde(with = "checksummed")]
    pub address: Address,
}

/// The whole result; `--json` prints it.
#[derive(Serialize)]
pub struct Report {
    pub seconds: f32,
    pub folder: PathBuf,
    pub chain_id: u64,
    pub addresses: Vec<Named>,
    pub job_id: JobId,
    pub by_transfer: PaidByTransfer,
    pub by_delegate: PaidByDelegate,
    pub transactions: Vec<Sent>,
    pub gas_used: u64,
    pub audit: audit::Report,
    pub finals: Vec<PathBuf>,
    pub contact_sheet: PathBuf,
    #[serde(skip)]
    decimals: u8,
    #[serde(skip)]
    symbol: String,
}

impl Report {
    pub(super) fn new(
        play: &Play<'_>,
        job_id: JobId,
        (by_transfer, by_delegate): (PaidByTransfer, PaidByDelegate),
        audit: audit::Report,
        finals: Vec<PathBuf>,
        contact_sheet: PathBuf,
    ) -> Report {
        let cast = &play.cast;
        let named = [
            ("token", *play.chain.token.address()),
            ("escrow", *play.chain.escrow.address()),
            ("creator", cast.creator.address()),
            ("operator (fees)", cast.operator.address()),
            ("settler", cast.settler.address()),
            ("gas purse", cast.gas.address()),
            ("node 1", cast.nodes[0].address()),
            ("node 2", cast.nodes[1].address()),
            ("agent", by_delegate.agent),
            ("exchange", cast.exchange.address()),
            ("vault", by_transfer.vault),
        ];
        let named = named.map(|(name, address)| Named { name: name.into(), address });
        Report {
            seconds: play.began.elapsed().as_secs_f32(),
            folder: play.stage.folder.clone(),
            chain_id: play.chain.chain_id,
            addresses: named.into(),
            job_id,
            by_transfer,
            by_delegate,
            gas_used: play.sent.iter().map(|sent| sent.gas_used).sum(),
            transactions: play.sent.clone(),
            audit,
            finals,
            contact_sheet,
            decimals: play.chain.decimals,
            symbol: play.chain.symbol.clone(),
        }
    }

    pub fn text(&self) -> String {
        let rows: Vec<(&str, String)> =
            self.addresses.iter().map(|n| (n.name.as_str(), n.address.to_string())).collect();
        let finals = match self.finals.as_slice() {
            [first, .., last] => format!("{} .. {}", first.display(), last.display()),
            several => several.iter().map(|path| path.display().to_string()).collect(),
        };
        [
            "\naddresses".to_owned(),
            table(&rows),
            "\njobs".into(),
            self.job_lines(),
            "\ntransactions".into(),
            self.transaction_lines(),
            "\nbalance sheet (in, out, left)".into(),
            self.sheet(),
            "\naudit".into(),
            crate::audit::text(&self.audit),
            "\npictures".into(),
            table(&[
                ("finals", finals),
                ("contact sheet", self.contact_sheet.display().to_string()),
                ("took", format!("{:.1} s", self.seconds)),
            ]),
        ]
        .join("\n")
    }

    fn job_lines(&self) -> String {
        let PaidByTransfer { job_id: transfer, paid, rescued, .. } = &self.by_transfer;
        let PaidByDelegate { job_id: delegate, allowance, refused, .. } = &self.by_delegate;
        let show =
            |amount: &Amount| format!("{} {}", amount.to_decimal(self.decimals), self.symbol);
        let (paid, rescued, allowance) = (show(paid), show(rescued), show(allowance));
        table(&[
            ("signed by the creator", self.job_id.to_string()),
            ("paid by a transfer", format!("{transfer}, {paid} sent, {rescued} came back")),
            ("signed by the agent", format!("{delegate}, its whole allowance of {allowance}")),
            ("refused to the agent", refused.clone()),
        ])
    }

    fn transaction_lines(&self) -> String {
        let mut lines: Vec<String> = Vec::new();
        for Sent { sender, action, tx_hash, block, gas_used } in &self.transactions {
            lines.push(format!(
                "{block:>4}  {gas_used:>9} gas  {sender:<8}  {action:<20}  {tx_hash}"
            ));
        }
        lines.push(format!("      {:>9} gas in all", self.gas_used));
        lines.join("\n")
    }

    /// A row for each book, named by whose it is; the last row sums to zero.
    fn sheet(&self) -> String {
        let mut lines = Vec::new();
        let (mut into, mut out) = (Amount::ZERO, Amount::ZERO);
        let add = |sum: Amount, amount| sum.checked_add(amount).unwrap_or(Amount::MAX);
        for book in &self.audit.books {
            into = add(into, book.credits);
            out = add(out, book.debits);
            lines.push(self.sheet_line(&self.owner(&book.book), book.credits, book.debits));
        }
        lines.push(self.sheet_line("sum", into, out));
        lines.join("\n")
    }

    fn sheet_line(&self, name: &str, into: Amount, out: Amount) -> String {
        let show = |amount: Amount| amount.to_decimal(self.decimals);
        let left = match into.checked_sub(out) {
            Ok(left) => show(left),
            Err(_) => format!("-{}", show(out.checked_sub(into).unwrap_or(Amount::ZERO))),
        };
        let symbol = &self.symbol;
        format!("{name:<24}  +{:<24}  -{:<24}  {left} {symbol}", show(into), show(out))
    }

    /// "wallet:0x.." -> "creator", "job:0x.." -> "job", others as they are.
    fn owner(&self, book: &str) -> String {
        let Some((kind, id)) = book.split_once(':') else { return book.to_owned() };
        let known = self.addresses.iter().find(|named| named.address.to_string() == id);
        match known {
            Some(named) => named.name.clone(),
            None => format!("{kind} {}", id.get(..10).unwrap_or(id)),
        }
    }
}
