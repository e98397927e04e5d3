//! How hashes, addresses, bytes, amounts and times stand in answers, and in OpenAPI.

use alloy::primitives::{Address, B256, Bytes, U256};
use chrono::{DateTime, SecondsFormat};
use contracts::Amount;
use contracts::text::checksummed;
use serde::{Deserialize, Serialize};
use store::Escrow;
use utoipa::ToSchema;

/// 32 bytes as 0x and 64 lower-case hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, pattern = "^0x[0-9a-f]{64}$")]
pub struct Hash(pub B256);

/// An account: EIP-55 out, any case in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, pattern = "^0x[0-9a-fA-F]{40}$")]
pub struct Account(#[serde(with = "checksummed")] pub Address);

/// Bytes as 0x and hex digits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, pattern = "^0x([0-9a-f]{2})*$")]
pub struct Hex(pub Bytes);

/// Units of one 256-unit word as bits, lowest first: 0x and hex digits without leading zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, pattern = "^0x[0-9a-f]{1,64}$")]
pub struct Mask(pub U256);

/// An amount of the escrow's token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Money {
    /// Base units, as decimal text: exact, and never a JSON number.
    pub amount: String,
    pub decimals: u8,
    /// CAIP-19 name of the token.
    pub asset: String,
    /// For people only.
    pub formatted: String,
}

/// A second in time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Time {
    /// RFC 3339, UTC.
    pub utc: String,
    /// Unix seconds.
    pub unix: i64,
}

/// The token that amounts of this escrow are in.
#[derive(Debug, Clone)]
pub struct Asset {
    pub name: String,
    pub symbol: String,
    pub decimals: u8,
}

impl Asset {
    pub fn of(escrow: &Escrow) -> Self {
        let token = escrow.token.to_checksum(None);
        let name = format!("eip155:{}/erc20:{token}", escrow.chain_id);
        Self { name, symbol: escrow.symbol.clone(), decimals: escrow.decimals }
    }

    pub fn money(&self, amount: Amount) -> Money {
        Money {
            amount: amount.to_string(),
            decimals: self.decimals,
            asset: self.name.clone(),
            formatted: self.formatted(amount),
        }
    }

    /// "1.5 RNDR".
    pub fn formatted(&self, amount: Amount) -> String {
        format!("{} {}", amount.to_decimal(self.decimals), self.symbol)
    }
}

impl Time {
    pub fn at(unix: i64) -> Self {
        // Only times beyond the year 262,000 have no text; the contract's 40 bits end before.
        let utc = DateTime::from_timestamp(unix, 0)
            .map(|at| at.to_rfc3339_opts(SecondsFormat::Secs, true))
            .unwrap_or_default();
        Self { utc, unix }
    }

    /// A time of an order, which is at most 40 bits long.
    pub fn of(unix: u64) -> Self {
        Self::at(i64::try_from(unix).unwrap_or(i64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_stand_in_both_forms() {
        let time = Time::at(1_764_055_800);
        assert_eq!(time.utc, "2025-11-25T07:30:00Z");
        assert_eq!(time.unix, 1_764_055_800);
        assert_eq!(Time::of((1 << 40) - 1).utc, "+36812-02-20T00:36:15Z");
    }

    #[test]
    fn money_is_exact_text_beside_its_decimals_and_asset() {
        let asset =
            Asset { name: "eip155:1/erc20:0xA".into(), symbol: "RNDR".into(), decimals: 18 };
        let money = asset.money(Amount::from(1_500_000_000_000_000_000u64));
        assert_eq!(money.amount, "1500000000000000000");
        assert_eq!(money.formatted, "1.5 RNDR");
        assert_eq!(money.decimals, 18);
    }

    #[test]
    fn addresses_leave_in_eip55() {
        let any_case = "\"0x5AAEB6053F3E94C9B9A09F33669435E7EF1BEAED\"";
        let account: Account = serde_json::from_str(any_case).unwrap();
        let text = serde_json::to_string(&account).unwrap();
        assert_eq!(text, "\"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed\"");
    }
}
