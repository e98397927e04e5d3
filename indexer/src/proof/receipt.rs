//! pure: one unit's receipt with all that proves its payment to a trusted block hash, link by link.

use alloy::primitives::{Address, B256, Bytes, Log, keccak256};
use contracts::event::{self, DecodeError};
use contracts::receipt::{file_root, output_hash, receipt_leaves};
use contracts::signing::{self, SignatureProblem};
use contracts::text::checksummed;
use contracts::{Event, Lot, Receipt, merkle, order, units};
use serde::{Deserialize, Serialize};

use crate::proof::{self, ProofError};

/// What the first field of a receipt's file says.
pub const FORMAT: &str = "rndr-receipt-1";

/// A receipt and its way to a block. Nothing in it is believed: every field is bound to the
/// block's hash, or to the signature of the node that was paid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proven {
    pub format: String,
    pub chain_id: u64,
    #[serde(with = "checksummed")]
    pub escrow: Address,
    /// What the node signed.
    pub receipt: Receipt,
    pub signature: Bytes,
    pub files: Files,
    /// From the receipt up to the lot's `receipts_root`.
    pub path: Vec<B256>,
    pub lot: Lot,
    /// Place of the log of the payment in its transaction.
    pub log: u64,
    /// The transaction's receipt as the chain encodes it, and its place in the block.
    pub transaction_receipt: Bytes,
    pub transaction: u64,
    /// From the header's receipts root to that.
    pub proof: Vec<Bytes>,
    /// The header's RLP bytes: their keccak256 is the block's hash.
    pub header: Bytes,
}

/// What `output_hash` was made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Files {
    pub pixel_root: B256,
    /// keccak256 of the final as its payer opens it.
    pub opened_hash: B256,
    /// keccak256 of the sealed file; zero when the lot is not sealed.
    pub sealed_hash: B256,
}

/// What a good file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Checked {
    pub chain_id: u64,
    pub escrow: Address,
    pub job_id: B256,
    pub unit: u32,
    pub attempt: u32,
    /// Signed the receipt, and was paid for the lot.
    pub node: Address,
    pub output_hash: B256,
    pub opened_hash: B256,
    pub lot_hash: B256,
    /// Released or Settled.
    pub event: &'static str,
    /// The key that opens the lot's files, when the payment showed it.
    pub lot_key: Option<B256>,
    pub block: u64,
    pub block_hash: B256,
    pub mined_at: u64,
}

/// The first link that does not hold, from the node's word to the block.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    #[error("file: it is no receipt's file: {0}")]
    Syntax(String),
    #[error("file: it says it is `{0}`, not `{FORMAT}`; use the release of rndr that wrote it")]
    Format(String),
    #[error("file: its text is not as rndr writes it: something was changed")]
    Text,
    #[error("signature: {0}")]
    Signature(#[from] SignatureProblem),
    #[error("signature: it is {signer}'s, but the lot is paid to {node}")]
    OtherNode { signer: Address, node: Address },
    #[error("output: pixels and files do not give the receipt's output_hash")]
    Output,
    #[error("frame: the given file hashes to {found}; the node signed {signed}")]
    Frame { found: B256, signed: B256 },
    #[error("Merkle path: it does not lead from the receipt to the lot's receipts_root")]
    Path,
    #[error("lot: {0}")]
    Lot(&'static str),
    #[error("payment: {0}")]
    Payment(String),
    #[error("receipts root: {0}")]
    Receipts(ProofError),
    #[error("header: {0}")]
    Header(ProofError),
    #[error("header: its hash is {found}, the trusted block's is {trusted}")]
    OtherBlock { found: B256, trusted: B256 },
}

impl Broken {
    /// The link's name: the words before the colon.
    pub fn link(&self) -> &'static str {
        match self {
            Self::Syntax(_) | Self::Format(_) | Self::Text => "file",
            Self::Signature(_) | Self::OtherNode { .. } => "signature",
            Self::Output => "output",
            Self::Frame { .. } => "frame",
            Self::Path => "Merkle path",
            Self::Lot(_) => "lot",
            Self::Payment(_) => "payment",
            Self::Receipts(_) => "receipts root",
            Self::Header(_) | Self::OtherBlock { .. } => "header",
        }
    }
}

impl Proven {
    /// The one text of a receipt's file; any other is refused.
    pub fn text(&self) -> String {
        // Plain structs always have a JSON form.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}

/// Checks a receipt's file, and the frame's bytes where they are given, with nothing but the hash
/// of a block that is trusted. Without one, the header's own hash is told and must be compared.
pub fn check(text: &[u8], trusted: Option<B256>, frame: Option<&[u8]>) -> Result<Checked, Broken> {
    let file: Proven =
        serde_json::from_slice(text).map_err(|error| Broken::Syntax(error.to_string()))?;
    if file.format != FORMAT {
        return Err(Broken::Format(file.format));
    }
    if file.text().as_bytes() != text {
        return Err(Broken::Text);
    }
    signed(&file, frame)?;
    let (event, lot_key) = paid(&file)?;
    let block = proof::block(&file.header).map_err(Broken::Header)?;
    let root = block.receipts_root;
    proof::receipt(root, file.transaction, &file.transaction_receipt, &file.proof)
        .map_err(Broken::Receipts)?;
    if let Some(trusted) = trusted.filter(|trusted| *trusted != block.hash) {
        return Err(Broken::OtherBlock { found: block.hash, trusted });
    }
    let Receipt { job_id, unit, attempt, output_hash, .. } = file.receipt;
    Ok(Checked {
        chain_id: file.chain_id,
        escrow: file.escrow,
        job_id,
        unit,
        attempt,
        node: file.lot.node,
        output_hash,
        opened_hash: file.files.opened_hash,
        lot_hash: order::lot_hash(job_id, &file.lot),
        event,
        lot_key,
        block: block.number,
        block_hash: block.hash,
        mined_at: block.mined_at,
    })
}

/// The node's own word: its signature, what it says of the files, and its place in the lot.
fn signed(file: &Proven, frame: Option<&[u8]>) -> Result<(), Broken> {
    let Proven { receipt, lot, files, .. } = file;
    let digest = receipt.digest(&order::domain(file.chain_id, file.escrow));
    let signer = signing::recover(digest, &file.signature)?;
    if signer != lot.node {
        return Err(Broken::OtherNode { signer, node: lot.node });
    }
    let Files { pixel_root, opened_hash, sealed_hash } = *files;
    let files = file_root(receipt.job_id, receipt.unit, &[(opened_hash, sealed_hash)]);
    if output_hash(pixel_root, files) != receipt.output_hash {
        return Err(Broken::Output);
    }
    if let Some(found) = frame.map(keccak256).filter(|found| *found != opened_hash) {
        return Err(Broken::Frame { found, signed: opened_hash });
    }
    let leaf = receipt_leaves(&[digest]).pop().unwrap_or_default();
    if !merkle::verify(lot.receipts_root, leaf, &file.path) {
        return Err(Broken::Path);
    }
    if !units::units_in(lot.word, lot.mask).contains(&receipt.unit) {
        return Err(Broken::Lot("the receipt's unit is not in it"));
    }
    if receipt.key_commit != lot.key_commit {
        return Err(Broken::Lot("the receipt commits to another key"));
    }
    Ok(())
}

/// The log that paid for the lot, the unit among what it paid.
fn paid(file: &Proven) -> Result<(&'static str, Option<B256>), Broken> {
    let logs = proof::logs(&file.transaction_receipt).map_err(Broken::Receipts)?;
    let log: Option<&Log> = usize::try_from(file.log).ok().and_then(|at| logs.get(at));
    let log = log.ok_or_else(|| Broken::Payment(format!("there is no log {}", file.log)))?;
    let event = event::decode(file.escrow, log)
        .map_err(|error: DecodeError| Broken::Payment(error.to_string()))?;
    let (lot_hash, mask, key) = match &event {
        Event::Released(e) => (e.lot_hash, e.lot.mask, None),
        Event::Settled(e) => (e.lot_hash, e.mask, Some(e.key)),
        other => return Err(Broken::Payment(format!("{} pays for no lot", other.name()))),
    };
    if lot_hash != order::lot_hash(file.receipt.job_id, &file.lot) {
        return Err(Broken::Lot("the payment is for another one"));
    }
    if !units::units_in(file.lot.word, mask).contains(&file.receipt.unit) {
        return Err(Broken::Payment("the unit was rejected, so it was not paid".into()));
    }
    Ok((event.name(), key.filter(|key| !key.is_zero())))
}

#[cfg(test)]
mod tests;
