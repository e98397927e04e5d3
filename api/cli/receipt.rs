//! `rndr receipt`: one unit's receipt with all that proves its payment, in a file to hand on.
use std::collections::BTreeMap;
use std::path::PathBuf;

use alloy::eips::BlockNumberOrTag;
use alloy::primitives::{Address, B256, Bytes};
use alloy::providers::Provider;
use alloy::rpc::types::{Filter, Log};
use alloy::sol_types::SolEvent;
use clap::Args;
use contracts::receipt::receipt_leaves;
use contracts::{Event, JobId, Lot, Receipt, RenderEscrow, event, merkle, order, units};
use indexer::chain::{ChainError, Rpc};
use indexer::proof::prove_receipt;
use indexer::proof::receipt::{FORMAT, Files, Proven, check};
use serde::{Deserialize, Serialize};

use crate::audit::write;
use crate::chain::Chain;
use crate::config::Settings;
use crate::exit::{Exit, Failure, Outcome, chain as chain_failure};
use crate::remote::Remote;
use crate::talk::{Talk, table};

#[derive(Args, Debug)]
pub struct ReceiptOf {
    /// The job's id
    job: JobId,
    /// The unit, as `rndr watch` and the API number them
    unit: u32,
    /// File to write, for `rndr verify`
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Debug, Deserialize)]
struct Page {
    receipts: Vec<SignedReceipt>,
    next_cursor: Option<u32>,
}

/// A node's word with the hashes of its files.
#[derive(Clone, Debug, Deserialize)]
pub struct SignedReceipt {
    pub receipt: Receipt,
    pub node: Address,
    pub signature: Bytes,
    pub lot_hash: B256,
    pub pixel_root: B256,
    pub file_name: String,
    pub opened_hash: B256,
    pub stored_hash: B256,
}

impl SignedReceipt {
    /// The hash that the receipt has of the stored file: none of one that is not sealed.
    pub fn sealed_hash(&self) -> B256 {
        if self.receipt.key_commit.is_zero() { B256::ZERO } else { self.stored_hash }
    }
}

/// All receipts of a job, page by page.
pub async fn receipts_of(remote: &Remote, job_id: JobId) -> Outcome<Vec<SignedReceipt>> {
    let mut found = Vec::new();
    let mut cursor = Some(0);
    // Fewer than 2^24 units with few attempts each, 500 a page.
    while let Some(first) = cursor {
        let path = format!("/v1/jobs/{job_id}/receipts?cursor={first}");
        let page: Page = remote.get(&path).await?;
        found.extend(page.receipts);
        cursor = page.next_cursor.filter(|next| *next > first);
    }
    Ok(found)
}

#[derive(Serialize)]
struct Written {
    file: PathBuf,
    block: u64,
    block_hash: B256,
    lot_hash: B256,
}

/// The log that paid for a unit, and the lot that it was paid in.
struct Payment {
    log: Log,
    lot_hash: B256,
    lot: Lot,
}

pub async fn receipt(command: ReceiptOf, settings: &Settings, talk: &Talk) -> Outcome {
    let ReceiptOf { job, unit, out } = command;
    let chain = Chain::of(settings, None).await?;
    let payment = payment(&chain, settings, job, unit).await?;
    let remote = Remote::new(&settings.client.api)?;
    let all = receipts_of(&remote, job).await?;
    let of_lot: BTreeMap<u32, SignedReceipt> = all
        .into_iter()
        .filter(|signed| signed.lot_hash == payment.lot_hash)
        .map(|signed| (signed.receipt.unit, signed))
        .collect();
    let domain = order::domain(chain.chain_id, *chain.escrow.address());
    let digests: Vec<B256> = of_lot.values().map(|s| s.receipt.digest(&domain)).collect();
    let place = of_lot.keys().position(|known| *known == unit);
    let path = place.and_then(|place| merkle::path(&receipt_leaves(&digests), place));
    let (Some(path), Some(signed)) = (path, of_lot.get(&unit)) else {
        let message = format!("the API has no receipt of unit {unit} in lot {}", payment.lot_hash);
        return Err(Failure::new(Exit::NotFound, message, "check --api: is it the settler's?"));
    };
    let file = proven(&chain, settings, payment, signed, path).await?;
    let text = file.text();
    let checked = check(text.as_bytes(), None, None)
        .map_err(|error| Failure::mismatch(format!("the receipt would fail: {error}")))?;
    write(&out, &text)?;
    let (block, block_hash) = (checked.block, checked.block_hash);
    let written = Written { file: out, block, block_hash, lot_hash: checked.lot_hash };
    talk.data(&written, || {
        table(&[
            ("receipt", written.file.display().to_string()),
            ("paid in block", format!("{block} {block_hash}")),
            ("lot", written.lot_hash.to_string()),
        ])
    });
    Ok(())
}

/// Looks through the job's own logs: which payment took this unit.
async fn payment(chain: &Chain, settings: &Settings, job: JobId, unit: u32) -> Outcome<Payment> {
    let escrow = *chain.escrow.address();
    let first = settings.chain.deploy_block.map_or(BlockNumberOrTag::Earliest, Into::into);
    let kinds = vec![
        RenderEscrow::Released::SIGNATURE_HASH,
        RenderEscrow::Committed::SIGNATURE_HASH,
        RenderEscrow::Settled::SIGNATURE_HASH,
    ];
    let filter = Filter::new().address(escrow).event_signature(kinds).topic1(job).from_block(first);
    let logs = chain.provider.get_logs(&filter).await;
    let logs = logs.map_err(|error| chain_failure("show the job's logs", &error))?;
    let mut lots: BTreeMap<B256, Lot> = BTreeMap::new();
    let mut paid = None;
    for log in logs {
        let said = event::decode(escrow, &log.inner).map_err(|error| {
            Failure::mismatch(format!("a log of job {job} cannot be read: {error}"))
        })?;
        let (lot_hash, mask) = if let Event::Committed(e) = said {
            lots.insert(e.lot_hash, e.lot);
            continue;
        } else if let Event::Released(e) = said {
            let paid = (e.lot_hash, e.lot.mask);
            lots.insert(e.lot_hash, e.lot);
            paid
        } else if let Event::Settled(e) = said {
            (e.lot_hash, e.mask)
        } else {
            continue;
        };
        let lot = lots.get(&lot_hash).filter(|lot| units::units_in(lot.word, mask).contains(&unit));
        if let Some(lot) = lot {
            paid = Some(Payment { log, lot_hash, lot: lot.clone() });
        }
    }
    paid.ok_or_else(|| {
        let message = format!("unit {unit} of job {job} is not paid, so no block proves it");
        Failure::new(Exit::NotFound, message, "see its state with `rndr watch`")
    })
}

/// Adds the block to the node's word: its header, its receipts, and the way between them.
async fn proven(
    chain: &Chain,
    settings: &Settings,
    payment: Payment,
    signed: &SignedReceipt,
    path: Vec<B256>,
) -> Outcome<Proven> {
    let Payment { log, lot, .. } = payment;
    let place = (log.block_hash, log.transaction_index, log.log_index);
    let (Some(block), Some(transaction), Some(_)) = place else {
        return Err(Failure::mismatch("the chain node's log has no place in the chain"));
    };
    let away = |error: ChainError| {
        let hint = "ask a node that has eth_getBlockReceipts";
        Failure::new(Exit::Unavailable, error.to_string(), hint)
    };
    let gone = || {
        let hint = "the chain was reorganised meanwhile; run it again";
        Failure::new(Exit::Unavailable, format!("block {block} is not there any more"), hint)
    };
    let rpc = Rpc::new(&settings.chain.rpc_urls(), settings.chain.verify).map_err(away)?;
    let header = rpc.header_bytes(block).await.map_err(away)?;
    let receipts = rpc.receipt_bytes(block).await.map_err(away)?;
    let (_, proof) = prove_receipt(&receipts, transaction);
    let own = usize::try_from(transaction).ok().and_then(|at| receipts.get(at)).cloned();
    let transaction_receipt = own.ok_or_else(gone)?;
    let logs = indexer::proof::logs(&transaction_receipt)
        .map_err(|error| Failure::mismatch(error.to_string()))?;
    let at = logs.iter().position(|known| *known == log.inner);
    let at = at.and_then(|at| u64::try_from(at).ok()).ok_or_else(gone)?;
    Ok(Proven {
        format: FORMAT.into(),
        chain_id: chain.chain_id,
        escrow: *chain.escrow.address(),
        receipt: signed.receipt.clone(),
        signature: signed.signature.clone(),
        files: Files {
            pixel_root: signed.pixel_root,
            opened_hash: signed.opened_hash,
            sealed_hash: signed.sealed_hash(),
        },
        path,
        lot,
        log: at,
        transaction_receipt,
        transaction,
        proof,
        header,
    })
}
