//! How the vocabulary's own structs look in OpenAPI; only the document is made from these.

use serde::Serialize;
use utoipa::ToSchema;

use crate::wire::{Account, Hash};

/// Signed terms of one job. Amounts in base units as text, times in unix seconds, shares in basis
/// points. Its EIP-712 digest is the job's id.
#[derive(Serialize, ToSchema)]
#[schema(as = Order)]
#[allow(dead_code, reason = "read by the derived schema only")]
pub struct OrderDocument {
    pub payer: Account,
    pub refund_to: Account,
    /// The zero address: the payer approves.
    pub approver: Account,
    pub settler: Account,
    pub fee_receiver: Account,
    #[schema(pattern = "^[0-9]{1,29}$")]
    pub cap: String,
    #[schema(pattern = "^[0-9]{1,29}$")]
    pub max_unit_price: String,
    pub units: u32,
    pub open_by: u64,
    pub work_deadline: u64,
    pub review_seconds: u64,
    pub claim_grace: u64,
    pub fee_bps: u16,
    pub burn_bps: u16,
    pub spec_hash: Hash,
    pub quote_hash: Hash,
    pub salt: Hash,
}

/// A node's word about one attempt at one unit; times in unix seconds.
#[derive(Serialize, ToSchema)]
#[schema(as = Receipt)]
#[allow(dead_code, reason = "read by the derived schema only")]
pub struct ReceiptDocument {
    pub job_id: Hash,
    pub unit: u32,
    pub attempt: u32,
    /// keccak256 of the roots over the picture's pixels and over its files.
    pub output_hash: Hash,
    pub preview_hash: Hash,
    /// Zero: not sealed.
    pub key_commit: Hash,
    pub started_at: u64,
    pub finished_at: u64,
}

/// What to render. Unknown fields are refused.
#[derive(Serialize, ToSchema)]
#[schema(as = JobSpec)]
#[allow(dead_code, reason = "read by the derived schema only")]
pub struct SpecDocument {
    #[schema(minimum = 1, maximum = 1)]
    pub version: u32,
    pub engine: EngineDocument,
    #[schema(example = "3.7.0.10")]
    pub engine_version: String,
    /// Id that POST /v1/scenes answered.
    pub scene: Hash,
    /// File of the scene to start with.
    #[schema(example = "demo.pov")]
    pub entry: String,
    /// Frame list: 7, 1-10, 1-10x2 and mixes with commas.
    #[schema(example = "1-8,9-12")]
    pub frames: String,
    pub resolution: ResolutionDocument,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quality: Option<QualityDocument>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<OutputDocument>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub animation: Option<AnimationDocument>,
    pub tier: TierDocument,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chunk: Option<ChunkDocument>,
    /// Attempts a unit gets, 1 to 3; 3 when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// Longest time for one unit, 10 to 3600; 600 when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u32>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Engine)]
#[serde(rename_all = "snake_case")]
#[allow(dead_code, reason = "read by the derived schema only")]
pub enum EngineDocument {
    Povray,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Resolution)]
#[allow(dead_code, reason = "read by the derived schema only")]
pub struct ResolutionDocument {
    pub width: u32,
    pub height: u32,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Quality)]
#[allow(dead_code, reason = "read by the derived schema only")]
pub struct QualityDocument {
    pub preset: PresetDocument,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Preset)]
#[serde(rename_all = "snake_case")]
#[allow(dead_code, reason = "read by the derived schema only")]
pub enum PresetDocument {
    Draft,
    Standard,
    Final,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Output)]
#[allow(dead_code, reason = "read by the derived schema only")]
pub struct OutputDocument {
    pub format: FormatDocument,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Format)]
#[serde(rename_all = "snake_case")]
#[allow(dead_code, reason = "read by the derived schema only")]
pub enum FormatDocument {
    Png8,
    Png16,
    Jpg,
}

/// The clock of the scene runs from 0 at `first` to 1 at `last`.
#[derive(Serialize, ToSchema)]
#[schema(as = Animation)]
#[allow(dead_code, reason = "read by the derived schema only")]
pub struct AnimationDocument {
    pub fps: u32,
    pub first: i64,
    pub last: i64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Tier)]
#[serde(rename_all = "snake_case")]
#[allow(dead_code, reason = "read by the derived schema only")]
pub enum TierDocument {
    Trusted,
    Priority,
    Economy,
}

/// How many units a node is given at a time.
#[derive(Serialize, ToSchema)]
#[schema(as = Chunk)]
#[allow(dead_code, reason = "read by the derived schema only")]
pub struct ChunkDocument {
    pub size: u32,
}

/// A call to send to the chain, as wallets take it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Call {
    pub to: Account,
    pub data: crate::wire::Hex,
    /// Always 0: the escrow takes no ether.
    pub value: String,
}

impl Call {
    pub fn new(to: alloy::primitives::Address, data: Vec<u8>) -> Self {
        Self { to: Account(to), data: crate::wire::Hex(data.into()), value: "0".into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy::primitives::{Address, B256};
    use contracts::{Amount, Order};
    use utoipa::PartialSchema;

    /// Names of a schema's properties.
    fn properties<T: PartialSchema>() -> Vec<String> {
        let schema = serde_json::to_value(T::schema()).unwrap();
        let mut names: Vec<String> =
            schema["properties"].as_object().unwrap().keys().cloned().collect();
        names.sort();
        names
    }

    #[test]
    fn the_order_in_openapi_has_the_fields_of_the_real_one() {
        let order = Order {
            payer: Address::ZERO,
            refund_to: Address::ZERO,
            approver: Address::ZERO,
            settler: Address::ZERO,
            fee_receiver: Address::ZERO,
            cap: Amount::ZERO,
            max_unit_price: Amount::ZERO,
            units: 1,
            open_by: 1,
            work_deadline: 1,
            review_seconds: 1,
            claim_grace: 1,
            fee_bps: 1,
            burn_bps: 1,
            spec_hash: B256::ZERO,
            quote_hash: B256::ZERO,
            salt: B256::ZERO,
        };
        let value = serde_json::to_value(order).unwrap();
        let mut names: Vec<String> = value.as_object().unwrap().keys().cloned().collect();
        names.sort();
        assert_eq!(properties::<OrderDocument>(), names);
    }

    #[test]
    fn the_spec_in_openapi_has_the_fields_of_the_real_one() {
        let full = serde_json::json!({
            "version": 1, "engine": "povray", "engine_version": "3.7.0.10",
            "scene": B256::repeat_byte(1), "entry": "demo.pov", "frames": "1-8,9-12",
            "resolution": {"width": 320, "height": 180}, "quality": {"preset": "standard"},
            "output": {"format": "png8"}, "animation": {"fps": 24, "first": 1, "last": 12},
            "tier": "economy", "chunk": {"size": 4}, "attempts": 3, "timeout_seconds": 600
        });
        let mut names: Vec<String> = full.as_object().unwrap().keys().cloned().collect();
        names.sort();
        assert_eq!(properties::<SpecDocument>(), names);
        let spec: contracts::spec::JobSpec = serde_json::from_value(full).unwrap();
        assert!(spec.validate().is_ok());
    }
}
