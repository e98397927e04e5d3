//! pure: the receipts of a delivery -> the lot that is proposed for payment.

use std::collections::BTreeMap;

use alloy::primitives::{Address, B256};
use contracts::receipt::receipts_root;
use contracts::{Amount, Lot, units};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LotProblem {
    #[error("a delivery without receipts is no lot")]
    Empty,
    #[error(
        "units of two words of {} are in one delivery; a lot never crosses a word",
        units::WORD_UNITS
    )]
    CrossesWord,
}

/// One lot of one node: receipts by unit, each by its digest. The map keeps units ascending, as
/// the root's leaves stand, and each unit once.
pub fn lot_of(
    node: Address,
    unit_price: Amount,
    key_commit: B256,
    digests: &BTreeMap<u32, B256>,
) -> Result<Lot, LotProblem> {
    let all: Vec<u32> = digests.keys().copied().collect();
    if all.is_empty() {
        return Err(LotProblem::Empty);
    }
    let (word, mask) = units::word_and_mask(&all).ok_or(LotProblem::CrossesWord)?;
    let leaves: Vec<B256> = digests.values().copied().collect();
    let receipts_root = receipts_root(&leaves);
    Ok(Lot { node, word, mask, unit_price, receipts_root, key_commit })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy::primitives::U256;
    use contracts::merkle;
    use contracts::receipt::receipt_leaves;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_lot_holds_exactly_its_units_and_proves_each_receipt(
            word in 0u32..100,
            bits in proptest::collection::btree_set(0u32..256, 1..40),
        ) {
            let digests: BTreeMap<u32, B256> =
                bits.iter().map(|bit| (word * 256 + bit, B256::from(U256::from(*bit)))).collect();
            let price = Amount::from(7u64);
            let lot = lot_of(Address::ZERO, price, B256::ZERO, &digests).unwrap();
            let named: Vec<u32> = digests.keys().copied().collect();
            prop_assert_eq!(units::units_in(lot.word, lot.mask), named);
            let amount = units::lot_amount(&lot).unwrap();
            prop_assert_eq!(amount, Amount::from(7 * digests.len() as u64));
            let leaves = receipt_leaves(&digests.values().copied().collect::<Vec<_>>());
            for (i, leaf) in leaves.iter().enumerate() {
                let path = merkle::path(&leaves, i).unwrap();
                prop_assert!(merkle::verify(lot.receipts_root, *leaf, &path));
            }
        }
    }

    #[test]
    fn nothing_and_two_words_are_refused() {
        let lot = |units: &[u32]| {
            let digests = units.iter().map(|unit| (*unit, B256::ZERO)).collect();
            lot_of(Address::ZERO, Amount::ZERO, B256::ZERO, &digests)
        };
        assert_eq!(lot(&[]), Err(LotProblem::Empty));
        assert_eq!(lot(&[255, 256]), Err(LotProblem::CrossesWord));
        assert!(lot(&[256, 511]).is_ok());
    }
}
