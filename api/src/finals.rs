//! Finals: which file may be handed out, opened with the key the chain revealed, and archived.

use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::{B256, keccak256};
use async_zip::base::write::ZipFileWriter;
use async_zip::{Compression, ZipDateTime, ZipDateTimeBuilder, ZipEntryBuilder};
use axum::body::{Body, Bytes};
use chrono::{DateTime, Datelike, Timelike};
use contracts::seal::{self, FileId, LotKey};
use contracts::{JobId, units};
use futures::{StreamExt, stream};
use store::{LotStatus, Objects, ReceiptRow};
use tokio::sync::Semaphore;
use tokio_util::compat::TokioAsyncWriteCompatExt;
use tokio_util::io::ReaderStream;

use crate::error::{Code, Problem};
use crate::record::{KnownLot, Record};
use crate::status::unit_state;

/// Files opened at once: each holds its stored and its opened bytes in memory.
static OPENING: Semaphore = Semaphore::const_new(4);
/// Most files of one archive; a larger job is fetched in parts.
const ZIP_FILES: usize = 4_096;
/// Bytes of an archive that wait for a slow reader.
const ZIP_BUFFER: usize = 256 * 1024;
/// Longest time to send an archive: 4,096 files of 2 MiB at 1 MiB/s, twice over.
const ZIP_TIME: Duration = Duration::from_secs(5 * 3_600);

/// A paid final: which stored file it is, and how it opens.
#[derive(Debug, Clone)]
pub struct Final {
    pub job_id: JobId,
    pub unit: u32,
    pub attempt: u32,
    pub finished_at: i64,
    pub file_name: String,
    pub opened_hash: B256,
    pub stored_hash: B256,
    /// The key that `settle` revealed; None: the lot is not sealed.
    pub key: Option<LotKey>,
}

pub fn check_unit(record: &Record, unit: u32) -> Result<(), Problem> {
    let total = record.order.units;
    if unit < total {
        return Ok(());
    }
    let detail = format!("job {} has units 0 to {}", record.job_id, total.saturating_sub(1));
    Err(Code::UnitNotFound.because(detail))
}

pub fn check_count(files: usize) -> Result<(), Problem> {
    if files <= ZIP_FILES {
        return Ok(());
    }
    let detail = format!("{files} frames; one archive holds at most {ZIP_FILES}");
    let hint = "Name fewer frames, and fetch the rest with another request.";
    Err(Code::BadFrames.because(detail).at("frames").hint(hint))
}

/// The final of a unit, when the chain shows that it was paid.
pub fn paid(record: &Record, unit: u32, chain_time: i64) -> Result<Final, Problem> {
    check_unit(record, unit)?;
    let Some(lot) = record.paid_lot(unit) else {
        let state = unit_state(record, unit, chain_time);
        let state = serde_json::to_value(state).unwrap_or_default();
        let state = state.as_str().unwrap_or("unknown").to_owned();
        return Err(Code::NotPaid.because(format!("unit {unit} is {state}; no settle paid it")));
    };
    let receipt = record.receipt_in(lot.lot_hash, unit).ok_or_else(|| gone(unit))?;
    let key = lot.chain.as_ref().and_then(|chain| chain.lot_key).map(LotKey::from);
    if lot.lot.is_sealed() && key.is_none() {
        // The contract pays no sealed lot without its key, so a row is missing or altered.
        tracing::error!(lot = %lot.lot_hash, "a paid sealed lot has no key in the index");
        return Err(damaged(unit, "its lot is paid and sealed, but its key is not in the index"));
    }
    Ok(Final {
        job_id: record.job_id,
        unit,
        attempt: receipt.attempt,
        finished_at: receipt.finished_at,
        file_name: receipt.file_name.clone(),
        opened_hash: receipt.opened_hash,
        stored_hash: receipt.stored_hash,
        key: key.filter(|_| lot.lot.is_sealed()),
    })
}

/// The receipt whose sealed file may be handed out. One key opens a whole lot, so the file of a
/// unit that shares its key is held back as long as a unit of its lot can still be rejected.
pub fn sealed_receipt(record: &Record, unit: u32, chain_time: i64) -> Result<&ReceiptRow, Problem> {
    check_unit(record, unit)?;
    let paid = record.paid_lot(unit).and_then(|lot| record.receipt_in(lot.lot_hash, unit));
    let Some(receipt) = paid.or_else(|| record.receipt_of(unit)) else {
        let detail = format!("unit {unit} is not rendered yet, so there is no sealed file");
        return Err(Code::StillSealed.because(detail));
    };
    let Some(lot) = record.lots.get(&receipt.lot_hash) else { return Err(gone(unit)) };
    if !(lot.refused & units::bit_of(unit)).is_zero() {
        return Err(Code::UnitRejected.because(format!("unit {unit} of its lot was rejected")));
    }
    if !lot.lot.is_sealed() {
        // The stored file is the final itself.
        return if record.paid_lot(unit).is_some() {
            Ok(receipt)
        } else {
            Err(Code::NotPaid.because(format!("unit {unit} is not sealed, and not paid yet")))
        };
    }
    if units::count(lot.lot.mask) == 1 || is_beyond_rejection(lot, chain_time) {
        return Ok(receipt);
    }
    let detail = format!(
        "unit {unit} shares its key with {} others, of which some can still be rejected",
        units::count(lot.lot.mask).saturating_sub(1)
    );
    Err(Code::StillSealed.because(detail))
}

fn is_beyond_rejection(lot: &KnownLot, chain_time: i64) -> bool {
    lot.chain.as_ref().is_some_and(|chain| match chain.status {
        LotStatus::Committed => chain_time >= chain.window_end,
        LotStatus::Approved | LotStatus::Settled | LotStatus::Released => true,
        // Its units are offered again; nobody pays for this file.
        LotStatus::Lapsed => false,
    })
}

/// An object's bytes, checked against their hash.
pub async fn stored(objects: &Objects, hash: B256, unit: u32) -> Result<Bytes, Problem> {
    match objects.get(hash).await {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => Err(gone(unit)),
        Err(store::Error::DamagedObject(hash)) => {
            tracing::error!(%hash, "a stored file was altered");
            Err(damaged(unit, "its stored file no longer has its hash"))
        }
        Err(error) => Err(error.into()),
    }
}

pub fn gone(unit: u32) -> Problem {
    Code::FileGone.because(format!("the file of unit {unit} is not kept on this server"))
}

fn damaged(unit: u32, what: &str) -> Problem {
    Code::FileDamaged.because(format!("unit {unit}: {what}"))
}

impl Final {
    /// The opened bytes, exactly those that the node signed.
    pub async fn open(self, objects: &Objects) -> Result<Bytes, Problem> {
        let stopped = |_| Code::Internal.because("opening stopped");
        let _turn = OPENING.acquire().await.map_err(stopped)?;
        let bytes = stored(objects, self.stored_hash, self.unit).await?;
        // A large file takes seconds: not on a thread that answers others.
        let opened = tokio::task::spawn_blocking(move || self.opened(bytes));
        opened.await.map_err(|_| Code::Internal.because("opening stopped"))?
    }

    fn opened(&self, stored: Bytes) -> Result<Bytes, Problem> {
        let name = self.file_name.as_str();
        let Self { job_id, unit, attempt, .. } = *self;
        let bytes = match &self.key {
            Some(key) => {
                let file = FileId { job_id, unit, attempt, name };
                let opened = seal::open(key, &file, &stored);
                opened.map(Bytes::from).map_err(|error| damaged(unit, &error.to_string()))?
            }
            None => stored,
        };
        if keccak256(&bytes) == self.opened_hash {
            return Ok(bytes);
        }
        Err(damaged(unit, "the opened file does not have the hash its node signed"))
    }
}

/// An archive that is written while it is read. When a file fails the body fails too, so that the
/// connection breaks in place of ending as if all were there.
pub fn zip(objects: Objects, files: Arc<[Final]>) -> Body {
    let (reader, writer) = tokio::io::duplex(ZIP_BUFFER);
    let written = tokio::spawn(async move {
        let written = write_zip(objects, files, writer);
        match tokio::time::timeout(ZIP_TIME, written).await {
            Ok(result) => result,
            Err(_) => Err(format!("not read within {} s", ZIP_TIME.as_secs())),
        }
    });
    let end = stream::once(written).filter_map(|written| async move {
        let problem = match written {
            Ok(Ok(())) => return None,
            Ok(Err(problem)) => problem,
            Err(error) => error.to_string(),
        };
        tracing::warn!(problem, "an archive broke off");
        Some(Err(std::io::Error::other(problem)))
    });
    Body::from_stream(ReaderStream::new(reader).chain(end))
}

async fn write_zip(
    objects: Objects,
    files: Arc<[Final]>,
    writer: tokio::io::DuplexStream,
) -> Result<(), String> {
    let mut archive = ZipFileWriter::new(writer.compat_write());
    for file in files.iter() {
        let name = file.file_name.clone();
        let bytes = file.clone().open(&objects).await.map_err(|problem| problem.detail)?;
        // Pictures are compressed already.
        let entry = ZipEntryBuilder::new(name.into(), Compression::Stored);
        let entry = entry.last_modification_date(date(file.finished_at));
        let written = archive.write_entry_whole(entry, &bytes).await;
        written.map_err(|error| error.to_string())?;
    }
    archive.close().await.map(|_| ()).map_err(|error| error.to_string())
}

/// Archives know no years before 1980.
fn date(unix: i64) -> ZipDateTime {
    let at = DateTime::from_timestamp(unix, 0).unwrap_or_default();
    let date = ZipDateTimeBuilder::new().year(at.year().max(1980)).month(at.month()).day(at.day());
    date.hour(at.hour()).minute(at.minute()).second(at.second()).build()
}

#[cfg(test)]
mod tests;
