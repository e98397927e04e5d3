//! pure: a rendered picture -> its sealed file and the receipt about both.
use alloy::primitives::{B256, keccak256};
use contracts::picture::reduce;
use contracts::receipt::{file_root, output_hash, pixel_root, preview_hash};
use contracts::seal::{FileId, LotKey, NONCE_BYTES, SealError, seal};
use contracts::spec::ExpandedSpec;
use contracts::{JobId, Receipt};

use super::{UnitTask, file_name};
use crate::pixels::{self, DecodeError};

#[derive(Debug, thiserror::Error)]
pub enum FinishError {
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error("the picture is {found_w}x{found_h}, the job asks for {w}x{h}")]
    Size { found_w: u32, found_h: u32, w: u32, h: u32 },
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error(transparent)]
    Picture(#[from] contracts::picture::PictureError),
}

/// A picture just rendered, and everything its receipt will say that is not in the pixels.
pub struct Rendered<'a> {
    pub job_id: JobId,
    pub spec: &'a ExpandedSpec,
    pub task: UnitTask,
    pub bytes: &'a [u8],
    /// The lot key and a fresh nonce; None when the lease is not sealed.
    pub seal: Option<(&'a LotKey, [u8; NONCE_BYTES])>,
    pub started_at: u64,
    pub finished_at: u64,
}

/// What is stored and said about a unit; only the signature is missing.
pub struct Finished {
    pub receipt: Receipt,
    pub file_name: String,
    pub opened_hash: B256,
    pub stored_hash: B256,
    pub stored: Vec<u8>,
}

pub fn finish(rendered: &Rendered<'_>) -> Result<Finished, FinishError> {
    let Rendered { job_id, spec, task, bytes, .. } = *rendered;
    let pixels = pixels::decode(bytes, spec.output.format)?;
    let (w, h) = (spec.resolution.width, spec.resolution.height);
    if (pixels.w, pixels.h) != (w, h) {
        return Err(FinishError::Size { found_w: pixels.w, found_h: pixels.h, w, h });
    }
    let file_name = file_name(spec, task.frame);
    let opened_hash = keccak256(bytes);
    let UnitTask { unit, attempt, .. } = task;
    let (stored, sealed_hash, key_commit) = match rendered.seal {
        Some((key, nonce)) => {
            let file = FileId { job_id, unit, attempt, name: &file_name };
            let sealed = seal(key, &file, bytes, nonce)?;
            let hash = keccak256(&sealed);
            (sealed, hash, key.commit())
        }
        None => (bytes.to_vec(), B256::ZERO, B256::ZERO),
    };
    let pixel_root = pixel_root(job_id, unit, &pixels)?;
    let file_root = file_root(job_id, unit, &[(opened_hash, sealed_hash)]);
    let receipt = Receipt {
        job_id,
        unit,
        attempt,
        output_hash: output_hash(pixel_root, file_root),
        preview_hash: preview_hash(job_id, unit, &reduce(&pixels)?),
        key_commit,
        started_at: rendered.started_at,
        finished_at: rendered.finished_at,
    };
    let stored_hash = if rendered.seal.is_some() { sealed_hash } else { opened_hash };
    Ok(Finished { receipt, file_name, opened_hash, stored_hash, stored })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::DeliveredUnit;
    use crate::opening::{self, Terms};
    use alloy::primitives::{Address, Bytes};
    use contracts::seal::open;
    use contracts::spec::{
        Animation, Chunk, Engine, Format, JobSpec, Output, Preset, Quality, Resolution, Tier,
    };

    fn spec(entry: &str) -> ExpandedSpec {
        let spec = JobSpec {
            version: 1,
            engine: Engine::Povray,
            engine_version: "3.7.0.10".into(),
            scene: B256::repeat_byte(1),
            entry: entry.into(),
            frames: "1-12".into(),
            resolution: Resolution { width: 4, height: 2 },
            quality: Quality { preset: Preset::Draft },
            output: Output { format: Format::Png8 },
            animation: Some(Animation { fps: 24, first: 1, last: 12 }),
            tier: Tier::Economy,
            chunk: Chunk::default(),
            attempts: 3,
            timeout_seconds: 60,
        };
        spec.validate().unwrap()
    }

    fn picture(w: u32, h: u32) -> Vec<u8> {
        let mut bytes = std::io::Cursor::new(Vec::new());
        let picture = image::RgbImage::from_pixel(w, h, image::Rgb([9, 8, 7]));
        picture.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
        bytes.into_inner()
    }

    #[test]
    fn a_finished_unit_opens_under_its_key_and_its_hashes_hold() {
        let (spec, bytes, key) = (spec("demo.pov"), picture(4, 2), LotKey::new([5; 32]));
        let task = UnitTask { unit: 3, frame: 4, attempt: 2 };
        let job_id = B256::repeat_byte(9);
        let mut rendered = Rendered {
            job_id,
            spec: &spec,
            task,
            bytes: &bytes,
            seal: Some((&key, [1; NONCE_BYTES])),
            started_at: 10,
            finished_at: 12,
        };
        let sealed = finish(&rendered).unwrap();
        assert_eq!(sealed.file_name, "demo_0004.png");
        let file = FileId { job_id, unit: 3, attempt: 2, name: &sealed.file_name };
        assert_eq!(open(&key, &file, &sealed.stored).unwrap(), bytes);
        assert_eq!(sealed.stored_hash, keccak256(&sealed.stored));
        assert_eq!(sealed.opened_hash, keccak256(&bytes));
        assert_eq!(sealed.receipt.key_commit, key.commit());
        // The settler's own check takes it.
        let delivered = DeliveredUnit {
            receipt: sealed.receipt.clone(),
            signature: Bytes::new(),
            file_name: sealed.file_name.clone(),
            opened_hash: sealed.opened_hash,
            stored_hash: sealed.stored_hash,
        };
        let terms = Terms { spec: &spec, payer: Address::ZERO, key: Some(&key) };
        opening::open(&delivered, &sealed.stored, &terms).unwrap();
        rendered.seal = None;
        let plain = finish(&rendered).unwrap();
        assert_eq!((plain.stored, plain.receipt.key_commit), (bytes.clone(), B256::ZERO));
        assert_eq!(plain.stored_hash, plain.opened_hash);
        assert_ne!(plain.receipt.output_hash, sealed.receipt.output_hash);
    }

    #[test]
    fn a_picture_of_another_size_is_no_result() {
        let (spec, bytes) = (spec("demo.pov"), picture(2, 4));
        let rendered = Rendered {
            job_id: B256::ZERO,
            spec: &spec,
            task: UnitTask { unit: 0, frame: 1, attempt: 1 },
            bytes: &bytes,
            seal: None,
            started_at: 0,
            finished_at: 0,
        };
        assert!(matches!(finish(&rendered), Err(FinishError::Size { .. })));
    }

    #[test]
    fn names_of_long_entries_are_cut_and_still_open() {
        let name = file_name(&spec(&format!("a/{}.pov", "é".repeat(120))), 123_456);
        assert!(name.len() <= crate::node::MAX_NAME, "{name}");
        assert!(name.ends_with("é_123456.png"), "{name}");
        assert_eq!(file_name(&spec("shots/demo.v2.pov"), 7), "demo.v2_0007.png");
    }
}
