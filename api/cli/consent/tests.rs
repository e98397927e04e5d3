//! Tests that a review signs nothing but what was asked for.
use alloy::primitives::Address;
use contracts::Amount;
use contracts::order::{domain, lots_hash};
use contracts::signing::Approval;
use contracts::units::mask_of;

use super::*;
use crate::exit::Exit;

const JOB: B256 = B256::repeat_byte(1);

fn lot(units: &[u32]) -> KnownLot {
    let lot = Lot {
        node: Address::repeat_byte(2),
        word: 0,
        mask: mask_of(0, units),
        unit_price: Amount::from(7u64),
        receipts_root: B256::with_last_byte(u8::try_from(units[0]).unwrap()),
        key_commit: B256::repeat_byte(3),
    };
    let hash = lot_hash(JOB, &lot);
    KnownLot::new(JOB, lot, U256::ZERO, hash).unwrap()
}

fn sign(words: &[Word], lots: &[KnownLot], wanted: &[u32], wish: Wish<'_>) -> Outcome<Vec<B256>> {
    let wanted = wanted.iter().copied().collect();
    digests(words, lots, &wanted, wish, JOB, &domain(1_337, Address::repeat_byte(9)))
}

fn approve(lots: &[&KnownLot]) -> Word {
    Word::Approval { lot_hashes: lots.iter().map(|lot| lot.lot_hash).collect() }
}

fn reject(lot: &KnownLot, units: &[u32]) -> Word {
    Word::Rejection { lot_hash: lot.lot_hash, mask: mask_of(0, units) }
}

#[test]
fn whole_lots_are_one_approval_over_exactly_their_hashes() {
    let (a, b) = (lot(&[0, 1]), lot(&[2, 3]));
    let lots = [a.clone(), b.clone()];
    let wish = Wish::Approve { rest: false };
    let signed = sign(&[approve(&[&a, &b])], &lots, &[0, 1, 2, 3], wish).unwrap();
    let act = Approval { jobId: JOB, lotsHash: lots_hash(&[a.lot_hash, b.lot_hash]) };
    assert_eq!(signed, [signing_hash(&act, &domain(1_337, Address::repeat_byte(9)))]);
    let more = sign(&[approve(&[&a, &b])], &lots, &[0, 1, 2], wish).unwrap_err();
    assert_eq!(more.exit, Exit::Mismatch);
}

#[test]
fn a_part_of_a_lot_needs_the_word_for_its_rest() {
    let a = lot(&[0, 1, 2]);
    let words = [reject(&a, &[2]), approve(&[&a])];
    let lots = [a.clone()];
    let refused = sign(&words, &lots, &[0, 1], Wish::Approve { rest: false }).unwrap_err();
    assert_eq!(refused.exit, Exit::Usage);
    assert!(refused.hint.contains("--reject-rest"));
    assert_eq!(sign(&words, &lots, &[0, 1], Wish::Approve { rest: true }).unwrap().len(), 2);
    // Units rejected before need no word.
    let mut earlier = a.clone();
    earlier.rejected = mask_of(0, &[2]);
    let wish = Wish::Approve { rest: false };
    assert!(sign(&[approve(&[&earlier])], &[earlier.clone()], &[0, 1], wish).is_ok());
}

#[test]
fn a_server_cannot_slip_in_another_word() {
    let (a, b) = (lot(&[0, 1]), lot(&[2, 3]));
    let lots = [a.clone(), b.clone()];
    let approving = Wish::Approve { rest: true };
    let rejecting = Wish::Reject { reason: "dark" };
    for (words, wanted, wish) in [
        (vec![reject(&a, &[0])], vec![0, 1], approving),
        (vec![approve(&[&a])], vec![0, 1], rejecting),
        (vec![reject(&a, &[0, 1])], vec![0], rejecting),
        (vec![reject(&a, &[0]), approve(&[&b])], vec![0], rejecting),
        (vec![reject(&a, &[0, 2])], vec![0, 2], rejecting),
        (vec![], vec![0], rejecting),
        (vec![approve(&[&lot(&[5])])], vec![5], approving),
    ] {
        let refused = sign(&words, &lots, &wanted, wish).unwrap_err();
        assert_eq!(refused.exit, Exit::Mismatch, "{words:?}");
    }
    assert!(sign(&[reject(&a, &[0])], &lots, &[0], rejecting).is_ok());
    let mut forged = a.lot.clone();
    forged.unit_price = Amount::from(8u64);
    let refused = KnownLot::new(JOB, forged, U256::ZERO, a.lot_hash).unwrap_err();
    assert_eq!(refused.exit, Exit::Mismatch);
}
