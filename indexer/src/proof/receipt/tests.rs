//! Receipts' files made up whole: honest ones pass, one flipped bit is refused, links are named.

use alloy::consensus::{Header, Receipt as TxReceipt, ReceiptEnvelope, ReceiptWithBloom};
use alloy::eips::eip2718::Encodable2718;
use alloy::primitives::U256;
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use contracts::Amount;
use contracts::event::{Approved, Released, Settled};
use contracts::receipt::receipts_root;

use super::*;

const FRAME: &[u8] = b"the pixels of a frame";
const ESCROW: Address = Address::repeat_byte(0xe1);
const UNITS: [u32; 4] = [256, 257, 259, 300];
const JOB: B256 = B256::repeat_byte(7);

/// How the lot was paid.
#[derive(Clone, Copy, PartialEq)]
enum Paid {
    Released,
    Settled,
    /// All but the first unit.
    InPart,
    /// Only approved.
    Not,
}

fn key() -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&B256::repeat_byte(5)).unwrap()
}

fn receipt_of(unit: u32, sealed: bool) -> (Receipt, Files) {
    let files = Files {
        pixel_root: B256::repeat_byte(1),
        opened_hash: keccak256(FRAME),
        sealed_hash: if sealed { B256::repeat_byte(2) } else { B256::ZERO },
    };
    let file_root = file_root(JOB, unit, &[(files.opened_hash, files.sealed_hash)]);
    let receipt = Receipt {
        job_id: JOB,
        unit,
        attempt: 1,
        output_hash: output_hash(files.pixel_root, file_root),
        preview_hash: B256::repeat_byte(3),
        key_commit: if sealed { B256::repeat_byte(4) } else { B256::ZERO },
        started_at: 10,
        finished_at: 20,
    };
    (receipt, files)
}

fn event_of(paid: Paid, lot: &Lot) -> Event {
    let (job_id, node, lot_hash) = (JOB, lot.node, order::lot_hash(JOB, lot));
    let some = Amount::from(9u64);
    match paid {
        Paid::Not => Event::Approved(Approved { job_id, by: node, lot_hash, job_seq: 2 }),
        Paid::Released => Event::Released(Released {
            job_id,
            node,
            lot_hash,
            lot: lot.clone(),
            amount: some,
            fee: Amount::ZERO,
            burn: Amount::ZERO,
            released: some,
            job_seq: 2,
            free: some,
            seq: 1,
        }),
        Paid::Settled | Paid::InPart => Event::Settled(Settled {
            job_id,
            node,
            lot_hash,
            key: B256::repeat_byte(6),
            mask: if paid == Paid::InPart { lot.mask & !U256::from(1) } else { lot.mask },
            amount: some,
            fee: Amount::ZERO,
            burn: Amount::ZERO,
            released: some,
            pending: Amount::ZERO,
            job_seq: 3,
            free: some,
            seq: 1,
        }),
    }
}

fn made(paid: Paid, unit: usize) -> (Proven, B256) {
    let sealed = paid != Paid::Released;
    let domain = order::domain(31_337, ESCROW);
    let all = UNITS.map(|unit| receipt_of(unit, sealed));
    let digests = all.clone().map(|(receipt, _)| receipt.digest(&domain));
    let (word, mask) = units::word_and_mask(&UNITS).unwrap();
    let (receipt, files) = all[unit].clone();
    let lot = Lot {
        node: key().address(),
        word,
        mask,
        unit_price: Amount::from(3u64),
        receipts_root: receipts_root(&digests),
        key_commit: receipt.key_commit,
    };
    let foreign = Log { address: Address::ZERO, data: event_of(paid, &lot).encode() };
    let log = Log { address: ESCROW, data: event_of(paid, &lot).encode() };
    let encoded = |logs: Vec<Log>| -> Bytes {
        let receipt = TxReceipt { status: true.into(), cumulative_gas_used: 21_000, logs };
        let receipt: ReceiptWithBloom<TxReceipt> = receipt.into();
        ReceiptEnvelope::Eip1559(receipt).encoded_2718().into()
    };
    let mut block: Vec<Bytes> = (0..20).map(|_| encoded(vec![foreign.clone()])).collect();
    block[11] = encoded(vec![foreign, log]);
    let (receipts_root, proof) = proof::prove_receipt(&block, 11);
    let header = Header { number: 5, timestamp: 1_700_000_000, receipts_root, ..Header::default() };
    let header: Bytes = alloy::rlp::encode(&header).into();
    let trusted = keccak256(&header);
    let file = Proven {
        format: FORMAT.into(),
        chain_id: 31_337,
        escrow: ESCROW,
        signature: key().sign_hash_sync(&digests[unit]).unwrap().as_bytes().into(),
        files,
        path: merkle::path(&receipt_leaves(&digests), unit).unwrap(),
        receipt,
        lot,
        log: 1,
        transaction_receipt: block[11].clone(),
        transaction: 11,
        proof,
        header,
    };
    (file, trusted)
}

#[test]
fn every_unit_of_a_paid_lot_is_proven_to_the_block() {
    for paid in [Paid::Released, Paid::Settled] {
        for (at, unit) in UNITS.into_iter().enumerate() {
            let (file, trusted) = made(paid, at);
            let checked = check(file.text().as_bytes(), Some(trusted), Some(FRAME)).unwrap();
            assert_eq!((checked.unit, checked.node), (unit, key().address()));
            assert_eq!((checked.block, checked.block_hash), (5, trusted));
            let shown = (paid == Paid::Settled).then(|| B256::repeat_byte(6));
            assert_eq!(checked.lot_key, shown);
            assert_eq!(check(file.text().as_bytes(), None, None).unwrap(), checked);
        }
    }
}

#[test]
fn a_flipped_bit_in_any_byte_is_refused() {
    for paid in [Paid::Released, Paid::Settled] {
        let (file, trusted) = made(paid, 2);
        let text = file.text().into_bytes();
        let mut flipped = text.clone();
        for (at, byte) in text.iter().enumerate() {
            flipped[at] = byte ^ (1 << (at % 8));
            let refused = check(&flipped, Some(trusted), None).is_err();
            assert!(refused, "byte {at} of {}", file.text());
            flipped[at] = *byte;
        }
    }
}

/// The link that is named when a file was changed and written anew.
fn broken(paid: Paid, change: impl FnOnce(&mut Proven)) -> &'static str {
    let (mut file, trusted) = made(paid, 0);
    change(&mut file);
    check(file.text().as_bytes(), Some(trusted), None).unwrap_err().link()
}

#[test]
fn the_link_that_fails_is_named() {
    let settled = |change: fn(&mut Proven)| broken(Paid::Settled, change);
    assert_eq!(settled(|f| f.format.push('1')), "file");
    assert_eq!(settled(|f| f.chain_id += 1), "signature");
    assert_eq!(settled(|f| f.escrow = Address::ZERO), "signature");
    assert_eq!(settled(|f| f.receipt.output_hash = B256::ZERO), "signature");
    assert_eq!(settled(|f| f.lot.node = Address::ZERO), "signature");
    assert_eq!(settled(|f| f.files.pixel_root = B256::ZERO), "output");
    assert_eq!(settled(|f| f.path[0] = B256::ZERO), "Merkle path");
    assert_eq!(settled(|f| f.path.truncate(0)), "Merkle path");
    assert_eq!(settled(|f| f.lot.receipts_root = B256::ZERO), "Merkle path");
    assert_eq!(settled(|f| f.lot.mask = U256::from(2)), "lot");
    assert_eq!(settled(|f| f.lot.key_commit = B256::ZERO), "lot");
    assert_eq!(settled(|f| f.lot.unit_price = Amount::from(4u64)), "lot");
    assert_eq!(settled(|f| f.log = 0), "payment");
    assert_eq!(settled(|f| f.log = 9), "payment");
    assert_eq!(settled(|f| f.transaction += 1), "receipts root");
    assert_eq!(settled(|f| drop(f.proof.pop())), "receipts root");
    assert_eq!(settled(|f| f.header = Bytes::new()), "header");
    assert_eq!(broken(Paid::InPart, |_| ()), "payment");
    assert_eq!(broken(Paid::Not, |_| ()), "payment");
}

#[test]
fn another_block_and_another_frame_are_named() {
    let (file, trusted) = made(Paid::Settled, 0);
    let text = file.text().into_bytes();
    let error = check(&text, Some(B256::ZERO), None).unwrap_err();
    assert_eq!(error, Broken::OtherBlock { found: trusted, trusted: B256::ZERO });
    let error = check(&text, Some(trusted), Some(b"another picture")).unwrap_err();
    assert_eq!(error.link(), "frame");
    let spaced = file.text().replace("  ", " ");
    assert_eq!(check(spaced.as_bytes(), Some(trusted), None), Err(Broken::Text));
    let error = check(b"{}", None, None).unwrap_err();
    assert_eq!(error.link(), "file");
}
