//! Files of a job: previews before payment, finals after it, each checked against its receipt.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use alloy::primitives::{B256, keccak256};
use alloy::sol_types::Eip712Domain;
use clap::Args;
use contracts::order::domain;
use contracts::receipt::{file_root, output_hash, pixel_root};
use contracts::spec::Format;
use contracts::{JobId, signing};
use serde::Serialize;
use settler::pixels;

use crate::chain::Chain;
use crate::config::Settings;
use crate::exit::{Exit, Failure, Outcome, local};
use crate::receipt::{SignedReceipt, receipts_of};
use crate::remote::Remote;
use crate::review::{UnitView, units};
use crate::talk::{Talk, table};

#[derive(Args, Debug)]
pub struct Download {
    /// The job's id
    job_id: JobId,
    /// Frames, like 1-8
    #[arg(long)]
    frames: String,
    /// Folder for the files
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    out: PathBuf,
    /// The watermarked previews, which need no payment
    #[arg(long)]
    previews: bool,
}

/// One file that is on disk now.
#[derive(Clone, Debug, Serialize)]
pub struct Saved {
    pub unit: u32,
    pub frame: Option<i64>,
    pub path: PathBuf,
    pub hash: B256,
}

pub async fn download(command: Download, settings: &Settings, talk: &Talk) -> Outcome {
    let remote = Remote::new(&settings.client.api)?;
    let Download { job_id, frames, out, previews: only_previews } = command;
    std::fs::create_dir_all(&out).map_err(local(format!("making {}", out.display())))?;
    let saved = if only_previews {
        previews(&remote, job_id, &frames, &out).await?
    } else {
        let chain = Chain::of(settings, None).await?;
        finals(&remote, &chain, job_id, &frames, &out).await?
    };
    talk.data(&saved, || {
        let rows: Vec<(String, String)> = saved
            .iter()
            .map(|file| (format!("frame {}", file.frame.unwrap_or_default()), show(&file.path)))
            .collect();
        table(&rows.iter().map(|(name, path)| (name.as_str(), path.clone())).collect::<Vec<_>>())
    });
    Ok(())
}

fn show(path: &Path) -> String {
    path.display().to_string()
}

/// Saves previews as JPEG; frames without one yet are an error that names them.
pub async fn previews(
    remote: &Remote,
    job_id: JobId,
    frames: &str,
    out: &Path,
) -> Outcome<Vec<Saved>> {
    let mut saved = Vec::new();
    for unit in units(remote, job_id, frames).await? {
        let path = unit.preview.clone().ok_or_else(|| missing(&unit, "preview yet"))?;
        let bytes = remote.file(&path).await?;
        let name = format!("preview_{:04}.jpg", unit.frame.unwrap_or(i64::from(unit.unit)));
        saved.push(save(&unit, out.join(name), &bytes)?);
    }
    Ok(saved)
}

/// Saves paid finals. A file is kept only when it is what its node signed: bytes, pixels, and the
/// signature of the node that the chain paid.
pub async fn finals(
    remote: &Remote,
    chain: &Chain,
    job_id: JobId,
    frames: &str,
    out: &Path,
) -> Outcome<Vec<Saved>> {
    let domain = domain(chain.chain_id, *chain.escrow.address());
    let receipts = receipts(remote, job_id).await?;
    let mut saved = Vec::new();
    for unit in units(remote, job_id, frames).await? {
        let path = unit.output.clone().ok_or_else(|| missing(&unit, "final: it is not paid"))?;
        let named = unit.output_hash.and_then(|hash| receipts.get(&hash));
        let signed = named.ok_or_else(|| missing(&unit, "receipt"))?;
        let bytes = remote.file(&path).await?;
        check(signed, &bytes, job_id, unit.unit, &domain)?;
        saved.push(save(&unit, out.join(&signed.file_name), &bytes)?);
    }
    Ok(saved)
}

/// All receipts of a job by what they say of the final.
async fn receipts(remote: &Remote, job_id: JobId) -> Outcome<BTreeMap<B256, SignedReceipt>> {
    let signed = receipts_of(remote, job_id).await?.into_iter();
    Ok(signed.map(|signed| (signed.receipt.output_hash, signed)).collect())
}

/// What the node signed is exactly this file.
fn check(
    signed: &SignedReceipt,
    bytes: &[u8],
    job_id: JobId,
    unit: u32,
    domain: &Eip712Domain,
) -> Outcome {
    let wrong = |what: &str| Err(Failure::mismatch(format!("the final of unit {unit}: {what}")));
    let SignedReceipt { receipt, .. } = signed;
    if (receipt.job_id, receipt.unit) != (job_id, unit) {
        return wrong("its receipt is for another unit");
    }
    if signing::recover(receipt.digest(domain), &signed.signature) != Ok(signed.node) {
        return wrong("its receipt is not signed by its node");
    }
    if keccak256(bytes) != signed.opened_hash {
        return wrong("its bytes do not hash to the receipt's opened_hash");
    }
    let plain_name = Path::new(&signed.file_name).file_name();
    if plain_name.is_none_or(|name| name != signed.file_name.as_str()) {
        return wrong("its name leads to another folder");
    }
    let format = match signed.file_name.rsplit_once('.') {
        Some((_, "jpg")) => Format::Jpg,
        Some(_) | None => Format::Png8,
    };
    let Ok(pixels) = pixels::decode(bytes, format) else {
        return wrong("it is no readable picture");
    };
    let Ok(pixel_root) = pixel_root(job_id, unit, &pixels) else {
        return wrong("its pixels cannot be hashed");
    };
    let file_root = file_root(job_id, unit, &[(signed.opened_hash, signed.sealed_hash())]);
    if output_hash(pixel_root, file_root) != receipt.output_hash {
        return wrong("its pixels and bytes are not what the node signed (output_hash)");
    }
    Ok(())
}

fn save(unit: &UnitView, path: PathBuf, bytes: &[u8]) -> Outcome<Saved> {
    std::fs::write(&path, bytes).map_err(local(format!("writing {}", path.display())))?;
    Ok(Saved { unit: unit.unit, frame: unit.frame, path, hash: keccak256(bytes) })
}

fn missing(unit: &UnitView, what: &str) -> Failure {
    let frame = unit.frame.unwrap_or(i64::from(unit.unit));
    let message = format!("frame {frame} has no {what}");
    Failure::new(Exit::NotFound, message, "see its state with `rndr watch`, or leave it out")
}
