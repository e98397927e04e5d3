//! pure: how addresses and times stand in JSON: EIP-55 out, any case in; seconds within 40 bits.

/// Largest unix time or length in seconds that the contract can hold (`uint40`).
pub const MAX_SECONDS: u64 = (1 << 40) - 1;

/// For `#[serde(with = "checksummed")]`: an address as EIP-55 text out, in any case in.
pub mod checksummed {
    use alloy::primitives::Address;
    use serde::de::{self, Deserialize, Deserializer};
    use serde::ser::Serializer;

    pub fn serialize<S: Serializer>(address: &Address, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&address.to_checksum(None))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Address, D::Error> {
        let text = String::deserialize(deserializer)?;
        super::parse_address(&text).map_err(de::Error::custom)
    }
}

/// The same for an optional address; leave the field out or write null for none.
pub mod checksummed_option {
    use alloy::primitives::Address;
    use serde::de::{self, Deserialize, Deserializer};
    use serde::ser::Serializer;

    pub fn serialize<S: Serializer>(
        address: &Option<Address>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match address {
            Some(address) => serializer.serialize_some(&address.to_checksum(None)),
            None => serializer.serialize_none(),
        }
    }

    pub fn deserialize<'de, D>(deserializer: D) -> Result<Option<Address>, D::Error>
    where
        D: Deserializer<'de>,
    {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| super::parse_address(&text)).transpose().map_err(de::Error::custom)
    }
}

/// For `#[serde(with = "seconds")]`: whole seconds that fit the contract's `uint40`.
pub mod seconds {
    use serde::de::{self, Deserialize, Deserializer};
    use serde::ser::Serializer;

    pub fn serialize<S: Serializer>(seconds: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(*seconds)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let value = u64::deserialize(deserializer)?;
        if value > super::MAX_SECONDS {
            let text = format!(
                "{value} seconds is above {}, the most the chain holds; \
                times are unix seconds, not milliseconds",
                super::MAX_SECONDS
            );
            return Err(de::Error::custom(text));
        }
        Ok(value)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an address; write 0x and 40 hex digits")]
pub struct AddressError(String);

/// 0x and 40 hex digits, in any case: a wrong checksum is not refused, as wallets differ.
pub fn parse_address(text: &str) -> Result<alloy::primitives::Address, AddressError> {
    let wrong = || AddressError(text.chars().take(50).collect());
    if !text.starts_with("0x") && !text.starts_with("0X") {
        return Err(wrong());
    }
    text[2..].parse().map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy::primitives::Address;
    use serde::{Deserialize, Serialize};

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Holder {
        #[serde(with = "checksummed")]
        address: Address,
        #[serde(with = "checksummed_option", default)]
        maybe: Option<Address>,
        #[serde(with = "seconds")]
        at: u64,
    }

    #[test]
    fn addresses_leave_in_eip55_and_enter_in_any_case() {
        let text = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
        for case in [text.to_string(), text.to_lowercase(), text.to_uppercase()] {
            let json = format!("{{\"address\":\"{case}\",\"maybe\":\"{case}\",\"at\":7}}");
            let holder: Holder = serde_json::from_str(&json).unwrap();
            let back = serde_json::to_value(&holder).unwrap();
            assert_eq!(back["address"], text);
            assert_eq!(back["maybe"], text);
        }
        for bad in ["", "0x", "5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "0x5aAeb6", "€€€"] {
            assert!(parse_address(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn milliseconds_are_refused_with_a_hint() {
        let json = format!("{{\"address\":\"{}\",\"at\":1764000000000}}", Address::ZERO);
        let err = serde_json::from_str::<Holder>(&json).unwrap_err();
        assert!(err.to_string().contains("not milliseconds"), "{err}");
    }
}
