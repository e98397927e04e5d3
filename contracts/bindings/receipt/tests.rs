//! Tests of receipt.rs: hashes against ABI encoding by hand, and what must change them.

use super::*;
use crate::picture::reduce;
use alloy::primitives::Address;
use proptest::prelude::*;

const JOB: JobId = B256::repeat_byte(0x11);

fn picture(w: u32, h: u32, channels: u8, bits: u8) -> Pixels {
    let len = w as usize * h as usize * usize::from(channels) * usize::from(bits / 8);
    let bytes = (0..len).map(|i| u8::try_from(i * 7 % 256).unwrap()).collect();
    Pixels::new(w, h, channels, bits, bytes).unwrap()
}

/// abi.encode of words, by hand.
fn words(parts: &[B256]) -> B256 {
    keccak256(parts.concat())
}

fn number(n: u64) -> B256 {
    B256::from(U256::from(n))
}

#[test]
fn one_tile_is_hashed_as_written_down() {
    let pixels = picture(20, 10, 3, 8);
    let inner = words(&[
        JOB,
        number(5),
        number(0),
        number(20),
        number(10),
        number(256 * 3 + 8),
        keccak256(&pixels.bytes),
    ]);
    assert_eq!(pixel_root(JOB, 5, &pixels), Ok(keccak256(inner)));
}

#[test]
fn tiles_are_cut_at_the_edges_and_numbered_by_rows() {
    let pixels = picture(70, 40, 4, 16);
    let leaves = pixel_leaves(JOB, 0, &pixels).unwrap();
    assert_eq!(leaves.len(), 6);
    // The last tile: columns 64 to 69, rows 32 to 39.
    let mut raw = Vec::new();
    for y in 32..40 {
        let start = (y * 70 + 64) * 8;
        raw.extend_from_slice(&pixels.bytes[start..start + 6 * 8]);
    }
    let format = number(256 * 4 + 16);
    let inner = words(&[JOB, number(0), number(5), number(6), number(8), format, keccak256(&raw)]);
    assert_eq!(leaves[5], keccak256(inner));
    assert_eq!(pixel_root(JOB, 0, &pixels), Ok(merkle::root(&leaves)));
}

#[test]
fn files_and_output_are_hashed_as_written_down() {
    let (a, b, sealed) = (B256::repeat_byte(1), B256::repeat_byte(2), B256::repeat_byte(3));
    let first = keccak256(words(&[JOB, number(9), number(0), a, sealed]));
    let second = keccak256(words(&[JOB, number(9), number(1), b, B256::ZERO]));
    assert_eq!(file_root(JOB, 9, &[(a, sealed)]), first);
    let both = file_root(JOB, 9, &[(a, sealed), (b, B256::ZERO)]);
    assert_eq!(both, merkle::root(&[first, second]));
    assert_eq!(output_hash(a, b), words(&[a, b]));
}

#[test]
fn preview_is_hashed_as_written_down() {
    let reduced = reduce(&picture(10, 6, 3, 8)).unwrap();
    let inner = [JOB, number(2), number(5), number(3), keccak256(&reduced.rgb8)];
    assert_eq!(preview_hash(JOB, 2, &reduced), words(&inner));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_changed_byte_changes_the_pixel_root(w in 1u32..80, h in 1u32..80, place: usize) {
        let mut pixels = picture(w, h, 3, 8);
        let before = pixel_root(JOB, 1, &pixels).unwrap();
        let place = place % pixels.bytes.len();
        pixels.bytes[place] ^= 1;
        prop_assert_ne!(pixel_root(JOB, 1, &pixels).unwrap(), before);
    }
}

#[test]
fn roots_bind_job_unit_and_shape() {
    let pixels = picture(32, 32, 3, 8);
    let root = pixel_root(JOB, 1, &pixels).unwrap();
    assert_ne!(pixel_root(JOB, 2, &pixels).unwrap(), root);
    assert_ne!(pixel_root(B256::ZERO, 1, &pixels).unwrap(), root);
    let turned = Pixels::new(64, 16, 3, 8, pixels.bytes.clone()).unwrap();
    assert_ne!(pixel_root(JOB, 1, &turned).unwrap(), root);
    let short = Pixels { w: 33, ..pixels };
    assert!(matches!(pixel_root(JOB, 1, &short), Err(PictureError::Length { .. })));
}

#[test]
fn receipt_json_is_snake_case_and_closed() {
    let receipt = Receipt {
        job_id: JOB,
        unit: 1,
        attempt: 2,
        output_hash: B256::repeat_byte(2),
        preview_hash: B256::repeat_byte(3),
        key_commit: B256::ZERO,
        started_at: 1_790_000_000,
        finished_at: 1_790_000_001,
    };
    let mut json = serde_json::to_value(&receipt).unwrap();
    assert_eq!(json["started_at"], 1_790_000_000u64);
    assert_eq!(serde_json::from_value::<Receipt>(json.clone()).unwrap(), receipt);
    json["price"] = 1.into();
    assert!(serde_json::from_value::<Receipt>(json).is_err());
    let domain = crate::order::domain(1, Address::ZERO);
    let later = Receipt { finished_at: 1_790_000_002, ..receipt.clone() };
    assert_ne!(receipt.digest(&domain), later.digest(&domain));
}
