//! Tests of proof.rs against alloy's own headers, receipts and roots, and every flipped bit.

use alloy::consensus::proofs::calculate_receipt_root;
use alloy::consensus::{Header, Receipt, ReceiptEnvelope, ReceiptWithBloom};
use alloy::eips::eip2718::Encodable2718;
use alloy::primitives::{LogData, b256};
use proptest::prelude::*;

use super::*;

fn envelope(n: u64) -> ReceiptEnvelope {
    let address = Address::with_last_byte(u8::try_from(n % 200).unwrap());
    let data = LogData::new_unchecked(vec![B256::from(U256::from(n))], vec![7; 40].into());
    let logs = vec![Log { address, data }; usize::try_from(n % 3).unwrap()];
    let receipt = Receipt { status: true.into(), cumulative_gas_used: n, logs };
    let receipt: ReceiptWithBloom<Receipt> = receipt.into();
    match n % 3 {
        0 => ReceiptEnvelope::Legacy(receipt),
        1 => ReceiptEnvelope::Eip1559(receipt),
        _ => ReceiptEnvelope::Eip7702(receipt),
    }
}

proptest! {
    #[test]
    fn each_receipt_of_a_block_is_proven_and_no_other_one(count in 1u64..200, pick: u64) {
        let all: Vec<ReceiptEnvelope> = (0..count).map(envelope).collect();
        let encoded: Vec<Bytes> = all.iter().map(|one| one.encoded_2718().into()).collect();
        let index = pick % count;
        let (root, proof) = prove_receipt(&encoded, index);
        prop_assert_eq!(root, calculate_receipt_root(&all));
        let at = usize::try_from(index).unwrap();
        prop_assert_eq!(receipt(root, index, &encoded[at], &proof), Ok(()));
        prop_assert_eq!(&logs(&encoded[at]).unwrap(), all[at].logs());
        for other in [index + 1, index + 0x80, index ^ 1] {
            prop_assert!(receipt(root, other, &encoded[at], &proof).is_err());
        }
        for node in 0..proof.len() {
            let mut flipped = proof.clone();
            let mut bytes = flipped[node].to_vec();
            let byte = usize::try_from(pick).unwrap_or_default() % bytes.len();
            bytes[byte] ^= 1;
            flipped[node] = bytes.into();
            prop_assert!(receipt(root, index, &encoded[at], &flipped).is_err());
        }
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = (block(&bytes), logs(&bytes));
        let bytes = Bytes::from(bytes);
        let proof = [bytes.clone(), bytes.clone()];
        prop_assert!(receipt(keccak256("root"), 1, &bytes, &proof).is_err());
    }
}

#[test]
fn a_header_is_read_with_and_without_the_fields_of_later_forks() {
    let old = Header {
        number: 7,
        timestamp: 1_700_000_000,
        state_root: B256::repeat_byte(1),
        receipts_root: B256::repeat_byte(2),
        ..Header::default()
    };
    let new =
        Header { base_fee_per_gas: Some(9), withdrawals_root: Some(B256::ZERO), ..old.clone() };
    for header in [old, new] {
        let bytes = alloy::rlp::encode(&header);
        let found = block(&bytes).unwrap();
        assert_eq!((found.hash, found.number), (header.hash_slow(), 7));
        assert_eq!(found.mined_at, 1_700_000_000);
        assert_eq!(found.state_root, B256::repeat_byte(1));
        assert_eq!(found.receipts_root, B256::repeat_byte(2));
        assert!(block(&bytes[..bytes.len() - 1]).is_err());
        assert!(block(&[&bytes[..], &[0]].concat()).is_err());
    }
    assert!(block(&[]).is_err());
}

#[test]
fn an_empty_storage_has_the_known_root_and_zeros_are_not_stored() {
    let empty = b256!("56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421");
    assert_eq!(storage_root([]), empty);
    assert_eq!(storage_root([(B256::ZERO, U256::ZERO)]), empty);
    assert_eq!(slot(empty, B256::ZERO, U256::ZERO, &[]), Ok(()));
    assert!(slot(empty, B256::ZERO, U256::from(1), &[]).is_err());
    let one = storage_root([(B256::ZERO, U256::from(1))]);
    assert!(slot(one, B256::ZERO, U256::ZERO, &[]).is_err());
}
