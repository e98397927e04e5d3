//! Reviews: approve and reject frames; each signature is made from terms recomputed here.
use std::collections::BTreeSet;

use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use clap::Args;
use contracts::order::domain;
use contracts::units::mask_of;
use contracts::{JobId, Lot};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::chain::Chain;
use crate::config::Settings;
pub use crate::consent::Wish;
use crate::consent::{KnownLot, Word, digests};
use crate::exit::{Exit, Failure, Outcome};
use crate::job::Money;
use crate::remote::Remote;
use crate::talk::{Talk, table};
use crate::wallet::{chain, open};

#[derive(Args, Debug)]
pub struct Approve {
    /// The job's id
    job_id: JobId,
    /// Frames to pay for, like 1-5,8
    #[arg(long)]
    frames: String,
    /// Reject the other frames of lots that are approved in part
    #[arg(long)]
    reject_rest: bool,
}

#[derive(Args, Debug)]
pub struct Reject {
    /// The job's id
    job_id: JobId,
    /// Frames to render again, like 6,7
    #[arg(long)]
    frames: String,
    /// Why; its hash goes on chain
    #[arg(long)]
    reason: String,
}

pub async fn approve(command: Approve, settings: &Settings, talk: &Talk) -> Outcome {
    let wish = Wish::Approve { rest: command.reject_rest };
    review(command.job_id, &command.frames, wish, settings, talk).await
}

pub async fn reject(command: Reject, settings: &Settings, talk: &Talk) -> Outcome {
    let wish = Wish::Reject { reason: &command.reason };
    review(command.job_id, &command.frames, wish, settings, talk).await
}

async fn review(
    job_id: JobId,
    frames: &str,
    wish: Wish<'_>,
    settings: &Settings,
    talk: &Talk,
) -> Outcome {
    let key = open(settings).await?;
    let chain = chain(settings).await?;
    let remote = Remote::new(&settings.client.api)?;
    let answer = word(&remote, &chain, &key, job_id, frames, wish).await?;
    talk.data(&answer, || {
        let done = match wish {
            Wish::Approve { .. } => "approved",
            Wish::Reject { .. } => "rejected",
        };
        let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
        table(&[(done, frames.to_owned()), ("job", job_id.to_string()), ("state", text("state"))])
    });
    Ok(())
}

#[derive(Debug, Deserialize)]
struct Lots {
    lots: Vec<LotView>,
}

#[derive(Debug, Deserialize)]
struct LotView {
    lot_hash: B256,
    node: Address,
    word: u32,
    mask: U256,
    rejected_units: Vec<u32>,
    unit_price: Money,
    receipts_root: B256,
    key_commit: B256,
}

impl LotView {
    fn known(self, job_id: JobId) -> Outcome<KnownLot> {
        let rejected = mask_of(self.word, &self.rejected_units);
        let lot = Lot {
            node: self.node,
            word: self.word,
            mask: self.mask,
            unit_price: self.unit_price.amount,
            receipts_root: self.receipts_root,
            key_commit: self.key_commit,
        };
        KnownLot::new(job_id, lot, rejected, self.lot_hash)
    }
}

#[derive(Debug, Deserialize)]
struct Units {
    units: Vec<UnitView>,
    next_cursor: Option<u32>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct UnitView {
    pub unit: u32,
    pub frame: Option<i64>,
    pub preview: Option<String>,
    pub output: Option<String>,
    pub output_hash: Option<B256>,
}

/// The units of a frame list, page by page.
pub async fn units(remote: &Remote, job_id: JobId, frames: &str) -> Outcome<Vec<UnitView>> {
    let frames: String = frames.chars().filter(|c| !c.is_whitespace()).collect();
    let mut found = Vec::new();
    let mut cursor = Some(0);
    // A job has fewer than 2^24 units, so this many pages of 500 at most.
    while let Some(first) = cursor {
        let path = format!("/v1/jobs/{job_id}/units?frames={frames}&limit=500&cursor={first}");
        let page: Units = remote.get(&path).await?;
        found.extend(page.units);
        cursor = page.next_cursor.filter(|next| *next > first);
    }
    Ok(found)
}

#[derive(Debug, Deserialize)]
struct Prepared {
    words: Vec<PreparedWord>,
}

#[derive(Debug, Deserialize)]
struct PreparedWord {
    lot_hashes: Vec<B256>,
    typed_data: Value,
}

impl PreparedWord {
    fn word(&self) -> Outcome<Word> {
        let message = &self.typed_data["message"];
        match self.typed_data["primaryType"].as_str() {
            Some("Approval") => Ok(Word::Approval { lot_hashes: self.lot_hashes.clone() }),
            Some("Rejection") => {
                let mask = message["mask"].as_str().and_then(|text| text.parse().ok());
                let lot_hash = message["lotHash"].as_str().and_then(|text| text.parse().ok());
                let word = lot_hash.zip(mask);
                let word = word.map(|(lot_hash, mask)| Word::Rejection { lot_hash, mask });
                word.ok_or_else(|| Failure::mismatch("the server's rejection cannot be read"))
            }
            Some(other) => Err(Failure::mismatch(format!("the server wants a {other} signed"))),
            None => Err(Failure::mismatch("the server's typed data has no type")),
        }
    }
}

/// Asks what to sign, checks it against the lots and the wish, signs, and hands it in.
pub async fn word(
    remote: &Remote,
    chain: &Chain,
    key: &PrivateKeySigner,
    job_id: JobId,
    frames: &str,
    wish: Wish<'_>,
) -> Outcome<Value> {
    let (path, reason) = match wish {
        Wish::Approve { .. } => ("approve", None),
        Wish::Reject { reason } => ("reject", Some(reason)),
    };
    let path = format!("/v1/jobs/{job_id}/{path}");
    let mut body = json!({ "frames": frames, "prepare": true });
    if let Some(reason) = reason {
        body["reason"] = json!(reason);
    }
    let prepared: Prepared = remote.post(&path, &body).await?;
    let lots: Lots = remote.get(&format!("/v1/jobs/{job_id}/lots")).await?;
    let lots = lots.lots.into_iter().map(|lot| lot.known(job_id)).collect::<Outcome<Vec<_>>>()?;
    let wanted: BTreeSet<u32> =
        units(remote, job_id, frames).await?.into_iter().map(|unit| unit.unit).collect();
    let words = prepared.words.iter().map(PreparedWord::word).collect::<Outcome<Vec<_>>>()?;
    let domain = domain(chain.chain_id, *chain.escrow.address());
    let mut signatures = Vec::new();
    for digest in digests(&words, &lots, &wanted, wish, job_id, &domain)? {
        let signature = key.sign_hash_sync(&digest).map_err(|error| {
            Failure::new(Exit::Failed, format!("signing failed: {error}"), "check the keystore")
        })?;
        signatures.push(Bytes::from(signature.as_bytes()));
    }
    if words.is_empty() {
        // All of it was said before.
        return remote.get(&format!("/v1/jobs/{job_id}")).await;
    }
    body["prepare"] = json!(false);
    body["signatures"] = json!(signatures);
    remote.post(&path, &body).await
}
