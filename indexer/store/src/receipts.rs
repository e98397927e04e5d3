//! Deliveries the settler accepted: receipts, lot drafts, sealed lot keys.

use std::collections::BTreeSet;

use alloy::primitives::{Address, B256, Bytes};
use contracts::{JobId, Lot, Receipt};
use serde::Serialize;

use crate::dialect::{Tx, Writer};
use crate::error::{Error, Result};
use crate::leases::{Lease, LeaseState, active_lease, end};
use crate::terms::{lot_columns, lot_from, lot_values};
use crate::values::{Row, Value, values};
use crate::{Reader, WorkWriter};

/// A node's receipt for one attempt, the hashes inside it, and where the files are: objects
/// `stored_hash` (sealed or not, of `stored_size` bytes) and `preview_object`. `opened_hash` is
/// the keccak256 of the file once opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReceiptRow {
    pub job_id: JobId,
    pub unit: u32,
    pub attempt: u32,
    pub node: Address,
    pub output_hash: B256,
    pub preview_hash: B256,
    pub key_commit: B256,
    pub started_at: i64,
    pub finished_at: i64,
    pub signature: Bytes,
    pub lot_hash: B256,
    pub pixel_root: B256,
    pub file_root: B256,
    pub file_name: String,
    pub opened_hash: B256,
    pub stored_hash: B256,
    pub stored_size: u64,
    pub preview_object: B256,
}

impl ReceiptRow {
    /// What the node signed.
    pub fn receipt(&self) -> Receipt {
        Receipt {
            job_id: self.job_id,
            unit: self.unit,
            attempt: self.attempt,
            output_hash: self.output_hash,
            preview_hash: self.preview_hash,
            key_commit: self.key_commit,
            // The store writes and reads no negative times here (see `receipt_from`).
            started_at: self.started_at.unsigned_abs(),
            finished_at: self.finished_at.unsigned_abs(),
        }
    }
}

/// A lot that the settler accepted, with its signed Acceptance. `lot_key` is sealed under the
/// settler's key; None for a lot that is not sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LotDraft {
    pub lot_hash: B256,
    pub job_id: JobId,
    pub lease_id: String,
    pub lot: Lot,
    pub acceptance: Bytes,
    pub lot_key: Option<Bytes>,
    pub accepted_at: i64,
}

macro_rules! select_receipts {
    ($rest:literal) => {
        concat!(
            "SELECT job_id, unit, attempt, node, output_hash, preview_hash, key_commit, \
             started_at, finished_at, signature, lot_hash, pixel_root, file_root, file_name, \
             opened_hash, stored_hash, stored_size, preview_object FROM receipts ",
            $rest
        )
    };
}

macro_rules! select_drafts {
    ($rest:literal) => {
        concat!(
            "SELECT l.lot_hash, l.job_id, l.lease_id, ",
            lot_columns!(),
            ", l.acceptance, l.lot_key, l.accepted_at FROM lot_drafts l ",
            $rest
        )
    };
}

impl WorkWriter {
    /// Writes an accepted delivery whole: the lot, its receipts, and its lease as accepted. The
    /// lease must be active and the receipts of its attempts.
    pub async fn accept_lot(&self, draft: &LotDraft, receipts: &[ReceiptRow]) -> Result<()> {
        let mut tx = self.pool.write(Writer::Work).await?;
        let lease = active_lease(&mut tx, &draft.lease_id).await?;
        check_delivery(&mut tx, &lease, draft, receipts).await?;
        end(&mut tx, &Lease { state: LeaseState::Accepted, ..lease }).await?;
        let sql = "INSERT INTO lot_drafts (lot_hash, job_id, lease_id, node, word, mask, \
                   unit_price, receipts_root, key_commit, acceptance, lot_key, accepted_at) VALUES";
        let key = values![draft.lot_hash, draft.job_id, draft.lease_id.as_str()];
        let rest = values![&draft.acceptance, draft.lot_key.clone(), draft.accepted_at];
        let row = key.into_iter().chain(lot_values(&draft.lot)).chain(rest).collect();
        tx.insert(sql, vec![row]).await?;
        let sql = "INSERT INTO receipts (job_id, unit, attempt, node, output_hash, preview_hash, \
                   key_commit, started_at, finished_at, signature, lot_hash, pixel_root, \
                   file_root, file_name, opened_hash, stored_hash, stored_size, preview_object) \
                   VALUES";
        tx.insert(sql, receipts.iter().map(receipt_values).collect()).await?;
        tx.commit().await
    }
}

async fn check_delivery(
    tx: &mut Tx,
    lease: &Lease,
    draft: &LotDraft,
    receipts: &[ReceiptRow],
) -> Result<()> {
    let wrong = |text: String| Err(Error::WrongDelivery(text));
    if (draft.job_id, draft.lot.node) != (lease.job_id, lease.node) {
        return wrong(format!("lot is of job {} and {}", draft.job_id, draft.lot.node));
    }
    let sql = "SELECT unit, attempt FROM attempts WHERE lease_id = $1";
    let mut attempts: BTreeSet<(u32, u32)> = BTreeSet::new();
    for row in tx.all(sql, values![lease.lease_id.as_str()]).await? {
        attempts.insert((row.get("unit")?, row.get("attempt")?));
    }
    let mut masked = alloy::primitives::U256::ZERO;
    for receipt in receipts {
        let (unit, attempt) = (receipt.unit, receipt.attempt);
        let of = (receipt.job_id, receipt.node, receipt.lot_hash);
        if of != (lease.job_id, lease.node, draft.lot_hash) {
            return wrong(format!("receipt of unit {unit} names another job, node or lot"));
        }
        if !attempts.remove(&(unit, attempt)) || unit / 256 != draft.lot.word {
            return wrong(format!("attempt {attempt} at unit {unit} is not the lease's"));
        }
        if receipt.started_at < 0 || receipt.finished_at < 0 {
            return wrong(format!("receipt of unit {unit} has a time before 1970"));
        }
        masked.set_bit((unit % 256).try_into().unwrap_or_default(), true);
    }
    if masked != draft.lot.mask {
        return wrong("receipts are not those of the lot's units".to_owned());
    }
    Ok(())
}

impl Reader {
    /// A page of all accepted lots, by hash; the first one comes after the zero hash.
    pub async fn lot_drafts_after(&self, after: B256, limit: u32) -> Result<Vec<LotDraft>> {
        let sql = select_drafts!("WHERE l.lot_hash > $1 ORDER BY l.lot_hash LIMIT $2");
        self.pool.all(sql, values![after, limit]).await?.iter().map(draft_from).collect()
    }

    /// The receipts of a job, by unit and attempt.
    pub async fn receipts_of_job(&self, job_id: JobId) -> Result<Vec<ReceiptRow>> {
        let sql = select_receipts!("WHERE job_id = $1 ORDER BY unit, attempt");
        self.pool.all(sql, values![job_id]).await?.iter().map(receipt_from).collect()
    }

    /// The receipts of a lot, by unit.
    pub async fn receipts_of_lot(&self, lot_hash: B256) -> Result<Vec<ReceiptRow>> {
        let sql = select_receipts!("WHERE lot_hash = $1 ORDER BY unit, attempt");
        self.pool.all(sql, values![lot_hash]).await?.iter().map(receipt_from).collect()
    }

    pub async fn lot_draft(&self, lot_hash: B256) -> Result<Option<LotDraft>> {
        let row = self.pool.one(select_drafts!("WHERE l.lot_hash = $1"), values![lot_hash]).await?;
        row.as_ref().map(draft_from).transpose()
    }

    /// The accepted lots of a job, oldest first.
    pub async fn lot_drafts_of_job(&self, job_id: JobId) -> Result<Vec<LotDraft>> {
        let sql = select_drafts!("WHERE l.job_id = $1 ORDER BY l.accepted_at, l.lot_hash");
        self.pool.all(sql, values![job_id]).await?.iter().map(draft_from).collect()
    }
}

fn receipt_values(row: &ReceiptRow) -> Vec<Value> {
    values![
        row.job_id,
        row.unit,
        row.attempt,
        row.node,
        row.output_hash,
        row.preview_hash,
        row.key_commit,
        row.started_at,
        row.finished_at,
        &row.signature,
        row.lot_hash,
        row.pixel_root,
        row.file_root,
        row.file_name.as_str(),
        row.opened_hash,
        row.stored_hash,
        row.stored_size,
        row.preview_object,
    ]
}

fn receipt_from(row: &Row) -> Result<ReceiptRow> {
    let time = |column: &str| {
        let seconds: u64 = row.get(column)?;
        i64::try_from(seconds).map_err(|_| Error::TooLarge(seconds))
    };
    Ok(ReceiptRow {
        job_id: row.get("job_id")?,
        unit: row.get("unit")?,
        attempt: row.get("attempt")?,
        node: row.get("node")?,
        output_hash: row.get("output_hash")?,
        preview_hash: row.get("preview_hash")?,
        key_commit: row.get("key_commit")?,
        started_at: time("started_at")?,
        finished_at: time("finished_at")?,
        signature: row.get("signature")?,
        lot_hash: row.get("lot_hash")?,
        pixel_root: row.get("pixel_root")?,
        file_root: row.get("file_root")?,
        file_name: row.get("file_name")?,
        opened_hash: row.get("opened_hash")?,
        stored_hash: row.get("stored_hash")?,
        stored_size: row.get("stored_size")?,
        preview_object: row.get("preview_object")?,
    })
}

fn draft_from(row: &Row) -> Result<LotDraft> {
    Ok(LotDraft {
        lot_hash: row.get("lot_hash")?,
        job_id: row.get("job_id")?,
        lease_id: row.get("lease_id")?,
        lot: lot_from(row)?,
        acceptance: row.get("acceptance")?,
        lot_key: row.opt("lot_key")?,
        accepted_at: row.get("accepted_at")?,
    })
}

#[cfg(test)]
mod tests;
