//! pure: unit numbers, words and masks of 256 units, and the amount of a lot.

use alloy::primitives::U256;

use crate::amount::{Amount, AmountError};
use crate::order::Lot;

/// Units per word: the bits of one storage slot.
pub const WORD_UNITS: u32 = 256;

/// The word that holds a unit.
pub const fn word_of(unit: u32) -> u32 {
    unit / WORD_UNITS
}

/// The mask with only this unit's bit, in its word.
pub fn bit_of(unit: u32) -> U256 {
    U256::ONE << (unit % WORD_UNITS)
}

/// The word and mask of some units; None when they are none, or cross a word, which no lot may.
pub fn word_and_mask(units: &[u32]) -> Option<(u32, U256)> {
    let word = word_of(*units.first()?);
    let same_word = units.iter().all(|unit| word_of(*unit) == word);
    same_word.then(|| (word, mask_of(word, units)))
}

/// The bits, in `word`, of those units that lie in it; the others are left out.
pub fn mask_of(word: u32, units: &[u32]) -> U256 {
    let inside = units.iter().filter(|unit| word_of(**unit) == word);
    inside.fold(U256::ZERO, |mask, unit| mask | bit_of(*unit))
}

/// The units of a mask, ascending. Bits beyond unit 2^32 - 1 name no unit and are left out.
pub fn units_in(word: u32, mask: U256) -> Vec<u32> {
    let first = u64::from(word) * u64::from(WORD_UNITS);
    let set = (0..WORD_UNITS).filter(|bit| mask.bit(*bit as usize));
    set.filter_map(|bit| u32::try_from(first + u64::from(bit)).ok()).collect()
}

/// How many units a mask picks: at most 256.
pub fn count(mask: U256) -> u32 {
    // A 256-bit number has at most 256 ones.
    u32::try_from(mask.count_ones()).unwrap_or(WORD_UNITS)
}

/// The bits of `word` that a job of `units` units has: the last word may be in part only.
pub fn word_bits(word: u32, units: u32) -> U256 {
    let first = u64::from(word) * u64::from(WORD_UNITS);
    let inside = u64::from(units).saturating_sub(first).min(u64::from(WORD_UNITS));
    if inside == u64::from(WORD_UNITS) { U256::MAX } else { (U256::ONE << inside) - U256::ONE }
}

/// popcount(mask) * unit price: what the escrow reserves and pays for the whole lot.
pub fn lot_amount(lot: &Lot) -> Result<Amount, AmountError> {
    mask_amount(lot.mask, lot.unit_price)
}

pub fn mask_amount(mask: U256, unit_price: Amount) -> Result<Amount, AmountError> {
    unit_price.checked_mul_u64(u64::from(count(mask)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy::primitives::{Address, B256};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn masks_and_units_are_two_views_of_one_set(
            word in 0u32..(1 << 16),
            bits in proptest::collection::btree_set(0u32..256, 0..256),
        ) {
            let units: Vec<u32> = bits.iter().map(|bit| word * 256 + bit).collect();
            let mask = mask_of(word, &units);
            prop_assert_eq!(units_in(word, mask), units.clone());
            prop_assert_eq!(count(mask) as usize, units.len());
            prop_assert!(units.iter().all(|unit| word_of(*unit) == word));
            let expected = (!units.is_empty()).then_some((word, mask));
            prop_assert_eq!(word_and_mask(&units), expected);
        }

        #[test]
        fn units_of_other_words_leave_the_mask_alone(
            word in 0u32..(1 << 16),
            units in proptest::collection::vec(0u32..(1 << 24), 0..300),
        ) {
            let inside: BTreeSet<u32> =
                units.iter().copied().filter(|unit| unit / 256 == word).collect();
            let back: BTreeSet<u32> =
                units_in(word, mask_of(word, &units)).into_iter().collect();
            prop_assert_eq!(back, inside);
        }

        #[test]
        fn word_bits_cover_exactly_the_units_of_the_job(word in 0u32..5, units in 0u32..1400) {
            let expected: Vec<u32> = (0..units).filter(|unit| unit / 256 == word).collect();
            prop_assert_eq!(units_in(word, word_bits(word, units)), expected);
        }
    }

    #[test]
    fn units_that_cross_a_word_are_no_lot() {
        assert_eq!(word_and_mask(&[255, 256]), None);
        assert_eq!(word_and_mask(&[]), None);
        assert_eq!(word_and_mask(&[256, 258]), Some((1, U256::from(0b101))));
        assert_eq!(units_in(u32::MAX, U256::MAX), Vec::<u32>::new());
    }

    #[test]
    fn lot_amount_is_count_times_price() {
        let mut lot = Lot {
            node: Address::ZERO,
            word: 0,
            mask: U256::from(0b1011),
            unit_price: Amount::from(7u64),
            receipts_root: B256::ZERO,
            key_commit: B256::ZERO,
        };
        assert_eq!(lot_amount(&lot), Ok(Amount::from(21u64)));
        lot.unit_price = Amount::MAX;
        assert_eq!(lot_amount(&lot), Err(AmountError::TooLarge));
        lot.mask = U256::ONE;
        assert_eq!(lot_amount(&lot), Ok(Amount::MAX));
    }
}
