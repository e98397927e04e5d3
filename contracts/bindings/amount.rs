//! pure: Amount, base units of the token in 96 bits; decimal text, SQL text, checked arithmetic.

use std::fmt;
use std::str::FromStr;

use alloy::primitives::U256;
use alloy::primitives::aliases::U96;
use bigdecimal::num_bigint::BigInt;
use bigdecimal::{BigDecimal, ToPrimitive, Zero};
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// Digits of the largest amount, 2^96 - 1; SQL text is padded to this width so that it sorts.
pub const SQL_DIGITS: usize = 29;
/// Longest decimal text read: 29 digits, a point and as many decimals as any token has (77 for
/// a full word); longer text cannot be an amount and is refused before it is parsed.
const MAX_TEXT: usize = 128;

/// A number of base units, below 2^96 as the contract stores it.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(u128);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    #[error("amount is above 2^96 - 1 base units, the most the escrow can hold")]
    TooLarge,
    #[error("{left} - {right} would be negative")]
    Negative { left: Amount, right: Amount },
    #[error("`{0}` is not a plain number of base units; write digits only, such as \"1500000\"")]
    NotDigits(String),
    #[error("`{0}` is not a decimal number; write it like \"1.5\"")]
    NotDecimal(String),
    #[error("`{text}` has more than {decimals} decimals, the token's smallest unit")]
    TooManyDecimals { text: String, decimals: u8 },
    #[error("stored amount `{0}` is not {SQL_DIGITS} digits; the database row was altered")]
    NotSql(String),
}

impl Amount {
    pub const ZERO: Self = Self(0);
    pub const MAX: Self = Self((1 << 96) - 1);

    pub fn from_base(base: u128) -> Result<Self, AmountError> {
        if base > Self::MAX.0 { Err(AmountError::TooLarge) } else { Ok(Self(base)) }
    }

    /// The number of base units.
    pub const fn base(self) -> u128 {
        self.0
    }

    /// For calldata. (`U96::from` of the number crate shadows the conversion trait.)
    pub fn to_u96(self) -> U96 {
        self.into()
    }

    pub fn to_u256(self) -> U256 {
        self.into()
    }

    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    pub fn checked_add(self, other: Self) -> Result<Self, AmountError> {
        // Two numbers below 2^96 cannot overflow 128 bits.
        Self::from_base(self.0 + other.0)
    }

    pub fn checked_sub(self, other: Self) -> Result<Self, AmountError> {
        let difference = self.0.checked_sub(other.0);
        difference.map(Self).ok_or(AmountError::Negative { left: self, right: other })
    }

    pub fn checked_mul_u64(self, factor: u64) -> Result<Self, AmountError> {
        let product = self.0.checked_mul(u128::from(factor));
        product.ok_or(AmountError::TooLarge).and_then(Self::from_base)
    }

    /// floor(self * bps / 10000): how the contract takes fee and burn of a lot.
    pub fn share(self, bps: u16) -> Result<Self, AmountError> {
        let product = self.0.checked_mul(u128::from(bps)).ok_or(AmountError::TooLarge)?;
        Self::from_base(product / 10_000)
    }

    /// 29 digits, zero padded, so that text order is number order in both databases.
    pub fn to_sql(self) -> String {
        self.sql_digits().map(char::from).iter().collect()
    }

    /// The same as bytes. In parts that fit a machine word: an index writes millions of them, and
    /// divisions of 128 bits are slow.
    pub fn sql_digits(self) -> [u8; SQL_DIGITS] {
        const PART_DIGITS: usize = 10;
        const PART: u128 = 10_000_000_000;
        let mut digits = [b'0'; SQL_DIGITS];
        let mut rest = self.0;
        for part in digits.rchunks_mut(PART_DIGITS) {
            let mut low = u64::try_from(rest % PART).unwrap_or_default();
            rest /= PART;
            for digit in part.iter_mut().rev() {
                *digit += u8::try_from(low % 10).unwrap_or_default();
                low /= 10;
            }
        }
        digits
    }

    pub fn from_sql(text: &str) -> Result<Self, AmountError> {
        if text.len() != SQL_DIGITS {
            return Err(AmountError::NotSql(clip(text)));
        }
        text.parse().map_err(|_| AmountError::NotSql(clip(text)))
    }

    /// "1.5" of a token with 18 decimals -> 1500000000000000000. More decimals than the token
    /// has are refused, never rounded.
    pub fn from_decimal(text: &str, decimals: u8) -> Result<Self, AmountError> {
        let not_decimal = || AmountError::NotDecimal(clip(text));
        // Exponents are refused: "1e9999999" is short text for a number that fills memory.
        let plain = |c: char| c.is_ascii_digit() || c == '.';
        let has_digit = text.chars().any(|c| c.is_ascii_digit());
        if text.len() > MAX_TEXT || !has_digit || !text.chars().all(plain) {
            return Err(not_decimal());
        }
        let value = BigDecimal::from_str(text).map_err(|_| not_decimal())?;
        let scaled = value * BigDecimal::new(BigInt::from(1), -i64::from(decimals));
        let whole = scaled.with_scale(0);
        if !(&scaled - &whole).is_zero() {
            return Err(AmountError::TooManyDecimals { text: clip(text), decimals });
        }
        Self::from_base(whole.to_u128().ok_or(AmountError::TooLarge)?)
    }

    /// Plain decimal text without trailing zeros: "1.5", "0.000001", "12".
    pub fn to_decimal(self, decimals: u8) -> String {
        let decimals = usize::from(decimals);
        let mut text = format!("{:0>width$}", self.0, width = decimals + 1);
        if decimals > 0 {
            text.insert(text.len() - decimals, '.');
            text.truncate(text.trim_end_matches('0').trim_end_matches('.').len());
        }
        text
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Amount({})", self.0)
    }
}

impl FromStr for Amount {
    type Err = AmountError;

    /// Plain digits of base units; no sign, no point, no exponent, no spaces.
    fn from_str(text: &str) -> Result<Self, AmountError> {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !digits || text.len() > MAX_TEXT {
            return Err(AmountError::NotDigits(clip(text)));
        }
        // Only the size can be wrong now.
        Self::from_base(text.parse().map_err(|_| AmountError::TooLarge)?)
    }
}

impl From<Amount> for U96 {
    fn from(amount: Amount) -> Self {
        // Every Amount is below 2^96.
        Self::saturating_from(amount.0)
    }
}

impl From<Amount> for U256 {
    fn from(amount: Amount) -> Self {
        Self::from(amount.0)
    }
}

impl From<U96> for Amount {
    fn from(value: U96) -> Self {
        // 96 bits always fit.
        Self(value.saturating_to())
    }
}

impl From<u64> for Amount {
    fn from(base: u64) -> Self {
        Self(u128::from(base))
    }
}

impl TryFrom<U256> for Amount {
    type Error = AmountError;

    fn try_from(value: U256) -> Result<Self, AmountError> {
        let base = u128::try_from(value).map_err(|_| AmountError::TooLarge)?;
        Self::from_base(base)
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Amount;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an amount in base units as a string of digits, such as \"1500000\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Amount, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// Enough of a refused text to recognise it, so that errors stay short.
fn clip(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn amounts() -> impl Strategy<Value = Amount> {
        (0..=Amount::MAX.0).prop_map(Amount)
    }

    proptest! {
        #[test]
        fn every_text_form_reads_back(a in amounts(), decimals in 0u8..=30) {
            prop_assert_eq!(Amount::from_sql(&a.to_sql()), Ok(a));
            prop_assert_eq!(a.to_sql(), format!("{:0width$}", a.base(), width = SQL_DIGITS));
            prop_assert_eq!(a.to_string().parse(), Ok(a));
            prop_assert_eq!(Amount::from_decimal(&a.to_decimal(decimals), decimals), Ok(a));
            let json = serde_json::to_string(&a).unwrap();
            prop_assert_eq!(&json, &format!("\"{}\"", a.base()));
            prop_assert_eq!(serde_json::from_str::<Amount>(&json).unwrap(), a);
            prop_assert_eq!(Amount::from(a.to_u96()), a);
            prop_assert_eq!(Amount::try_from(a.to_u256()), Ok(a));
        }

        #[test]
        fn sql_text_sorts_as_numbers(a in amounts(), b in amounts()) {
            prop_assert_eq!(a.to_sql().cmp(&b.to_sql()), a.cmp(&b));
        }

        #[test]
        fn sums_and_differences_undo_each_other(a in amounts(), b in amounts()) {
            match a.checked_add(b) {
                Ok(sum) => prop_assert_eq!(sum.checked_sub(b), Ok(a)),
                Err(e) => {
                    prop_assert_eq!(e, AmountError::TooLarge);
                    prop_assert!(a.base() + b.base() > Amount::MAX.base());
                }
            }
            prop_assert_eq!(a.checked_sub(b).is_ok(), a >= b);
        }

        #[test]
        fn products_match_wide_arithmetic(a in amounts(), n: u64) {
            let wide = a.to_u256() * U256::from(n);
            prop_assert_eq!(a.checked_mul_u64(n).ok(), Amount::try_from(wide).ok());
        }

        #[test]
        fn shares_are_floored(a in amounts(), bps in 0u16..=10_000) {
            let share = a.share(bps).unwrap().base();
            let wide = a.to_u256() * U256::from(bps) / U256::from(10_000);
            prop_assert_eq!(U256::from(share), wide);
        }

        #[test]
        fn any_text_is_answered_without_panic(text in "\\PC{0,200}") {
            let _ = text.parse::<Amount>();
            let _ = Amount::from_decimal(&text, 18);
            let _ = Amount::from_sql(&text);
        }
    }

    #[test]
    fn decimal_text_is_read_exactly() {
        let read = |text: &str, d| Amount::from_decimal(text, d).map(Amount::base);
        assert_eq!(read("1.5", 18), Ok(1_500_000_000_000_000_000));
        assert_eq!(read("1.50", 1), Ok(15));
        assert_eq!(read("7", 0), Ok(7));
        assert_eq!(read(".5", 1), Ok(5));
        let err = Amount::from_decimal("0.0000001", 6).unwrap_err();
        assert!(err.to_string().contains("more than 6 decimals"), "{err}");
        for bad in ["", ".", "-1", "+1", "1e9", "1e999999999", "1,5", "1.2.3", " 1", "0x10", "NaN"]
        {
            let err = Amount::from_decimal(bad, 18).unwrap_err();
            assert_eq!(err, AmountError::NotDecimal(bad.into()));
        }
        let long = "9".repeat(100);
        assert_eq!(Amount::from_decimal(&long, 18), Err(AmountError::TooLarge));
    }

    #[test]
    fn printed_decimals_are_plain() {
        let print = |base, d| Amount::from_base(base).unwrap().to_decimal(d);
        assert_eq!(print(1_500_000_000_000_000_000, 18), "1.5");
        assert_eq!(print(1, 18), "0.000000000000000001");
        assert_eq!(print(100, 0), "100");
        assert_eq!(print(0, 18), "0");
    }

    #[test]
    fn numbers_signs_and_giants_are_refused() {
        for bad in ["", "-1", "+1", "1.0", "1e3", " 1", "0x1"] {
            assert_eq!(bad.parse::<Amount>(), Err(AmountError::NotDigits(bad.into())));
        }
        assert_eq!("79228162514264337593543950336".parse::<Amount>(), Err(AmountError::TooLarge));
        assert_eq!("79228162514264337593543950335".parse(), Ok(Amount::MAX));
        assert!(serde_json::from_str::<Amount>("5").is_err());
        assert_eq!(Amount::from_sql("5"), Err(AmountError::NotSql("5".into())));
    }
}
