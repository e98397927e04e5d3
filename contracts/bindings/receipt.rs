//! pure: Receipt, the hashes inside it, and the root over the receipts of a lot.

use alloy::primitives::aliases::U40;
use alloy::primitives::{B256, U256, keccak256};
use alloy::sol_types::{Eip712Domain, SolStruct, SolValue};
use serde::{Deserialize, Serialize};

use crate::JobId;
use crate::merkle;
use crate::picture::{PictureError, Pixels, Reduced};
use crate::signing;
use crate::text::seconds;

/// Side of a pixel tile.
pub const TILE_SIDE: u32 = 32;

/// A node's word about one attempt at one unit; signed by the node's key over `digest`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    pub job_id: JobId,
    pub unit: u32,
    pub attempt: u32,
    pub output_hash: B256,
    pub preview_hash: B256,
    pub key_commit: B256,
    #[serde(with = "seconds")]
    pub started_at: u64,
    #[serde(with = "seconds")]
    pub finished_at: u64,
}

impl Receipt {
    /// The EIP-712 digest that the node signs; also the value of its leaf in `receipts_root`.
    pub fn digest(&self, domain: &Eip712Domain) -> B256 {
        let signed = signing::Receipt {
            jobId: self.job_id,
            unit: self.unit,
            attempt: self.attempt,
            outputHash: self.output_hash,
            previewHash: self.preview_hash,
            keyCommit: self.key_commit,
            startedAt: U40::saturating_from(self.started_at),
            finishedAt: U40::saturating_from(self.finished_at),
        };
        signed.eip712_signing_hash(domain)
    }
}

/// A lot's `receipts_root`: leaves are the receipts' digests, in the order of their units.
pub fn receipts_root(digests: &[B256]) -> B256 {
    merkle::root(&receipt_leaves(digests))
}

/// The leaves under `receipts_root`, for paths: `merkle::path(&receipt_leaves(..), i)`. The same
/// as those of OpenZeppelin's `StandardMerkleTree` over one `bytes32` a leaf.
pub fn receipt_leaves(digests: &[B256]) -> Vec<B256> {
    digests.iter().map(|digest| merkle::leaf(keccak256(digest))).collect()
}

/// The root over the picture's tiles of 32 x 32 pixels, row by row from the top left, cut at the
/// edges, so that any tile can be proven alone.
pub fn pixel_root(job_id: JobId, unit: u32, pixels: &Pixels) -> Result<B256, PictureError> {
    Ok(merkle::root(&pixel_leaves(job_id, unit, pixels)?))
}

pub fn pixel_leaves(job_id: JobId, unit: u32, pixels: &Pixels) -> Result<Vec<B256>, PictureError> {
    pixels.check()?;
    let mut leaves = Vec::new();
    let mut tile = Vec::new();
    for y in (0..pixels.h).step_by(TILE_SIDE as usize) {
        for x in (0..pixels.w).step_by(TILE_SIDE as usize) {
            let (w, h) = (TILE_SIDE.min(pixels.w - x), TILE_SIDE.min(pixels.h - y));
            tile.clear();
            for row in y..y + h {
                tile.extend_from_slice(pixels.row(x, row, w));
            }
            let words = (
                job_id,
                U256::from(unit),
                U256::from(leaves.len()),
                U256::from(w),
                U256::from(h),
                U256::from(pixels.format()),
                keccak256(&tile),
            );
            leaves.push(merkle::leaf(keccak256(words.abi_encode())));
        }
    }
    Ok(leaves)
}

/// The root over a unit's stored files in the order of their names: keccak of the opened bytes
/// and of the sealed bytes, the latter zero when the file is not sealed.
pub fn file_root(job_id: JobId, unit: u32, files: &[(B256, B256)]) -> B256 {
    let leaves: Vec<B256> = files
        .iter()
        .enumerate()
        .map(|(index, (opened, sealed))| {
            let words = (job_id, U256::from(unit), U256::from(index), *opened, *sealed);
            merkle::leaf(keccak256(words.abi_encode()))
        })
        .collect();
    merkle::root(&leaves)
}

/// What a receipt says of the finals: pixels and files together.
pub fn output_hash(pixel_root: B256, file_root: B256) -> B256 {
    keccak256((pixel_root, file_root).abi_encode())
}

/// What a receipt says of the preview.
pub fn preview_hash(job_id: JobId, unit: u32, reduced: &Reduced) -> B256 {
    let words = (
        job_id,
        U256::from(unit),
        U256::from(reduced.w),
        U256::from(reduced.h),
        keccak256(&reduced.rgb8),
    );
    keccak256(words.abi_encode())
}

#[cfg(test)]
mod tests;
