//! Tests of seal.rs: a fixed vector, and every way in which a sealed file must not open.

use super::*;
use alloy::primitives::hex;
use proptest::prelude::*;

const KEY: LotKey = LotKey::new([7; 32]);
const NONCE: [u8; NONCE_BYTES] = [1, 2, 3, 4, 5, 6, 7];

fn file(name: &str) -> FileId<'_> {
    FileId { job_id: B256::repeat_byte(0xaa), unit: 3, attempt: 1, name }
}

fn plain(len: usize) -> Vec<u8> {
    (0..len).map(|i| u8::try_from(i * 31 % 251).unwrap()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn sealed_files_open_whole(len in 0usize..(3 * SEGMENT_BYTES), key: [u8; 32], nonce: [u8; 7]) {
        let (key, text) = (LotKey::new(key), plain(len));
        let sealed = seal(&key, &file("a.png"), &text, nonce).unwrap();
        let segments = len.div_ceil(SEGMENT_BYTES).max(1);
        prop_assert_eq!(sealed.len(), 15 + len + segments * TAG_BYTES);
        prop_assert_eq!(open(&key, &file("a.png"), &sealed), Ok(text));
    }

    #[test]
    fn one_flipped_bit_is_refused(len in 0usize..200, place: usize, bit in 0u8..8) {
        let mut sealed = seal(&KEY, &file("a.png"), &plain(len), NONCE).unwrap();
        let place = place % sealed.len();
        sealed[place] ^= 1 << bit;
        prop_assert!(open(&KEY, &file("a.png"), &sealed).is_err());
    }

    #[test]
    fn a_cut_or_longer_file_is_refused(len in 0usize..(2 * SEGMENT_BYTES), cut in 1usize..70_000) {
        let sealed = seal(&KEY, &file("a.png"), &plain(len), NONCE).unwrap();
        let shorter = &sealed[..sealed.len().saturating_sub(cut)];
        prop_assert!(open(&KEY, &file("a.png"), shorter).is_err());
        let mut longer = sealed.clone();
        longer.extend(plain(cut));
        prop_assert!(open(&KEY, &file("a.png"), &longer).is_err());
    }
}

#[test]
fn lengths_at_segment_edges_open() {
    for len in [0, 1, SEGMENT_BYTES - 1, SEGMENT_BYTES, SEGMENT_BYTES + 1, 2 * SEGMENT_BYTES] {
        let sealed = seal(&KEY, &file("a"), &plain(len), NONCE).unwrap();
        assert_eq!(open(&KEY, &file("a"), &sealed), Ok(plain(len)), "{len}");
    }
}

#[test]
fn segments_cannot_be_dropped_swapped_or_doubled() {
    let sealed = seal(&KEY, &file("a"), &plain(3 * SEGMENT_BYTES), NONCE).unwrap();
    let (head, body) = sealed.split_at(15);
    let parts: Vec<&[u8]> = body.chunks(SEGMENT_BYTES + TAG_BYTES).collect();
    let join = |order: &[usize]| -> Vec<u8> {
        let picked: Vec<&[u8]> = order.iter().map(|i| parts[*i]).collect();
        [head, &picked.concat()].concat()
    };
    assert!(open(&KEY, &file("a"), &join(&[0, 1, 2])).is_ok());
    for order in [&[0, 2, 1][..], &[1, 0, 2], &[0, 1], &[0, 2], &[0, 1, 1, 2], &[2]] {
        let result = open(&KEY, &file("a"), &join(order));
        assert!(matches!(result, Err(SealError::Segment { .. })), "{order:?}");
    }
}

#[test]
fn a_file_opens_only_as_itself() {
    let id = file("a.png");
    let sealed = seal(&KEY, &id, b"final", NONCE).unwrap();
    let others = [
        FileId { job_id: B256::ZERO, ..id },
        FileId { unit: 4, ..id },
        FileId { attempt: 2, ..id },
        FileId { name: "b.png", ..id },
    ];
    for other in others {
        let refused = open(&KEY, &other, &sealed);
        assert_eq!(refused, Err(SealError::Segment { segment: 0 }), "{other:?}");
    }
    let wrong = LotKey::new([8; 32]);
    assert_eq!(open(&wrong, &id, &sealed), Err(SealError::Segment { segment: 0 }));
    assert_eq!(open(&KEY, &id, b"RNDRENC2"), Err(SealError::NotSealed));
    assert_eq!(open(&KEY, &id, b""), Err(SealError::NotSealed));
    assert_eq!(open(&KEY, &id, MAGIC), Err(SealError::Short { found: 8 }));
    assert_eq!(open(&KEY, &id, &sealed[..30]), Err(SealError::Short { found: 30 }));
}

#[test]
fn keys_never_print() {
    assert_eq!(format!("{KEY:?}"), "LotKey(hidden)");
    assert_eq!(key_commit(&KEY), keccak256([7u8; 32]));
}

/// Made by an independent program (Python `cryptography`: HKDF, AESGCM), for other readers of
/// the format: key 07 x 32, job aa x 32, unit 3, attempt 1, name "frame_0004.png".
#[test]
fn fixed_vector() {
    let sealed = seal(&KEY, &file("frame_0004.png"), b"RNDR sealed final", NONCE).unwrap();
    assert_eq!(hex::encode(&sealed), VECTOR);
    let long = seal(&KEY, &file("frame_0004.png"), &plain(SEGMENT_BYTES + 5), NONCE).unwrap();
    assert_eq!(hex::encode(keccak256(&long)), LONG_VECTOR_HASH);
}

const VECTOR: &str = "524e4452454e433101020304050607601e04398268e0d9f4bab53f525a40d7b2\
    7b4caac73125b2f2620fcde7338c7943";
const LONG_VECTOR_HASH: &str = "7f3af9af9563633de9c46614673ce7ef941bd4232d60f6112fc2bbd055010b4a";
