//! pure: one delivered file -> its pixels, hashes and preview, or why it is refused.

use alloy::primitives::{Address, B256, keccak256};
use contracts::picture::{self, PictureError};
use contracts::receipt;
use contracts::seal::{self, FileId, LotKey, SealError};
use contracts::spec::ExpandedSpec;

use crate::node::{DeliveredUnit, file_name};
use crate::pixels::{self, DecodeError};
use crate::preview;

/// What the job says a file must be.
#[derive(Debug)]
pub struct Terms<'a> {
    pub spec: &'a ExpandedSpec,
    pub payer: Address,
    /// None: the lease is not sealed.
    pub key: Option<&'a LotKey>,
}

/// A file that is what its receipt says and what the job asks for.
#[derive(Debug)]
pub struct Opened {
    pub pixel_root: B256,
    pub file_root: B256,
    /// The watermarked preview, made here: it cannot show better work than the final.
    pub preview: Vec<u8>,
}

#[derive(Debug, thiserror::Error)]
pub enum OpeningProblem {
    #[error("file is called `{found}`; this unit's is `{expected}`")]
    Name { found: String, expected: String },
    #[error("unit is not one of the job's")]
    NoFrame,
    #[error("stored bytes hash to {found}, the delivery says {said}")]
    StoredHash { found: B256, said: B256 },
    #[error("sealed file: {0}")]
    Seal(#[from] SealError),
    #[error("opened bytes hash to {found}, the delivery says {said}")]
    OpenedHash { found: B256, said: B256 },
    #[error("{0}")]
    Decode(#[from] DecodeError),
    #[error("picture is {found_w}x{found_h}; the job asks for {w}x{h}")]
    Size { found_w: u32, found_h: u32, w: u32, h: u32 },
    #[error("picture has {found} bits a channel; the job's format has {expected}")]
    Bits { found: u8, expected: u8 },
    #[error("{0}")]
    Picture(#[from] PictureError),
    #[error("pixels and files hash to {found}, the receipt's output_hash is {said}")]
    OutputHash { found: B256, said: B256 },
    #[error("the reduced picture hashes to {found}, the receipt's preview_hash is {said}")]
    PreviewHash { found: B256, said: B256 },
    #[error("the preview could not be written: {0}")]
    Preview(image::ImageError),
}

/// Opens and checks one file. `stored` are the bytes as uploaded.
pub fn open(
    delivered: &DeliveredUnit,
    stored: &[u8],
    terms: &Terms<'_>,
) -> Result<Opened, OpeningProblem> {
    let said = &delivered.receipt;
    let frame = terms.spec.unit_frame(said.unit).ok_or(OpeningProblem::NoFrame)?;
    let expected = file_name(terms.spec, frame);
    if delivered.file_name != expected {
        return Err(OpeningProblem::Name { found: delivered.file_name.clone(), expected });
    }
    let found = keccak256(stored);
    if found != delivered.stored_hash {
        return Err(OpeningProblem::StoredHash { found, said: delivered.stored_hash });
    }
    let id =
        FileId { job_id: said.job_id, unit: said.unit, attempt: said.attempt, name: &expected };
    let opened = terms.key.map(|key| seal::open(key, &id, stored)).transpose()?;
    let plain = opened.as_deref().unwrap_or(stored);
    let found = keccak256(plain);
    if found != delivered.opened_hash {
        return Err(OpeningProblem::OpenedHash { found, said: delivered.opened_hash });
    }
    check_picture(delivered, plain, terms, frame)
}

fn check_picture(
    delivered: &DeliveredUnit,
    plain: &[u8],
    terms: &Terms<'_>,
    frame: i64,
) -> Result<Opened, OpeningProblem> {
    let said = &delivered.receipt;
    let format = terms.spec.output.format;
    let (w, h) = (terms.spec.resolution.width, terms.spec.resolution.height);
    let (found_w, found_h) = pixels::size(plain, format)?;
    if (found_w, found_h) != (w, h) {
        return Err(OpeningProblem::Size { found_w, found_h, w, h });
    }
    let pixels = pixels::decode(plain, format)?;
    if pixels.bits != format.bits() {
        return Err(OpeningProblem::Bits { found: pixels.bits, expected: format.bits() });
    }
    let pixel_root = receipt::pixel_root(said.job_id, said.unit, &pixels)?;
    let sealed_hash = if terms.key.is_some() { delivered.stored_hash } else { B256::ZERO };
    let files = [(delivered.opened_hash, sealed_hash)];
    let file_root = receipt::file_root(said.job_id, said.unit, &files);
    let found = receipt::output_hash(pixel_root, file_root);
    if found != said.output_hash {
        return Err(OpeningProblem::OutputHash { found, said: said.output_hash });
    }
    let reduced = picture::reduce(&pixels)?;
    let found = receipt::preview_hash(said.job_id, said.unit, &reduced);
    if found != said.preview_hash {
        return Err(OpeningProblem::PreviewHash { found, said: said.preview_hash });
    }
    let payer = terms.payer.to_checksum(None);
    let text = preview::mark_text(&said.job_id.to_string(), frame, &payer);
    let preview = preview::watermarked(&reduced, &text).map_err(OpeningProblem::Preview)?;
    Ok(Opened { pixel_root, file_root, preview })
}
