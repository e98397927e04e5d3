//! pure: the price list and the formula from work to unit price and cap; integers, rounded up.

use alloy::primitives::U256;
use contracts::Amount;
use contracts::spec::{Engine, ExpandedSpec, Preset, Tier};
use serde::{Deserialize, Serialize};

/// Percent in one: `tier_percent` 100 is the price of the trusted tier.
const PERCENT: u64 = 100;
const ALL_BPS: u64 = 10_000;
/// Thousandths of a work unit in a work unit; a work unit is a million camera samples.
const MILLI: u64 = 1_000;

/// A versioned price list. Figures are the operator's to set; a changed figure takes a new version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceList {
    pub version: u32,
    /// Base units for one work unit (a million camera samples) in the trusted tier.
    pub base_rate: Amount,
    /// Least base units for any unit: a lease and its checks have a cost of their own.
    pub min_price: Amount,
    pub tiers: TierPercents,
    /// Basis points of the service class; batch work is 10,000.
    pub class_bps: u32,
    pub povray_spp: PresetSamples,
    /// How long a quote binds, in seconds.
    pub quote_seconds: u32,
}

/// How many units of work a tier gives for the price of one in the trusted tier, in percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TierPercents {
    /// Always 100.
    pub trusted: u32,
    /// 200 to 400.
    pub priority: u32,
    /// 800 to 1,600.
    pub economy: u32,
}

/// Samples a pixel that stand for a preset: POV-Ray has no such knob.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PresetSamples {
    pub draft: u32,
    pub standard: u32,
    #[serde(rename = "final")]
    pub last: u32,
}

/// List 1: 0.001 token for a million samples, at least 0.00001 token a unit (18 decimals).
impl Default for PriceList {
    fn default() -> Self {
        Self {
            version: 1,
            base_rate: Amount::from(1_000_000_000_000_000),
            min_price: Amount::from(10_000_000_000_000),
            tiers: TierPercents { trusted: 100, priority: 300, economy: 800 },
            class_bps: 10_000,
            povray_spp: PresetSamples { draft: 1, standard: 4, last: 16 },
            quote_seconds: 3_600,
        }
    }
}

/// What is wrong with a price list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("price list {version}: {field} is {value}; it must be {bounds}")]
pub struct ListProblem {
    pub version: u32,
    pub field: &'static str,
    pub value: String,
    pub bounds: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PriceError {
    #[error("the price of {what} is above 2^96 - 1 base units, the most the escrow can hold")]
    TooLarge { what: &'static str },
    #[error("max_spend of {max_spend} base units is below the price of one unit, {unit_price}")]
    CapTooSmall { max_spend: Amount, unit_price: Amount },
}

/// The work of one unit and what it costs, with every figure of the formula.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Price {
    pub list_version: u32,
    pub units: u32,
    pub unit_pixels: u64,
    pub samples_per_pixel: u32,
    /// Thousandths of a work unit: ceil(pixels * samples / 1000).
    pub milli_work: u64,
    pub base_rate: Amount,
    pub min_price: Amount,
    pub class_bps: u32,
    pub tier_percent: u32,
    pub unit_price: Amount,
    pub cap: Amount,
}

impl PriceList {
    /// Refuses figures outside the bounds of their tier, and those that would divide by zero.
    pub fn check(&self) -> Result<(), ListProblem> {
        let TierPercents { trusted, priority, economy } = self.tiers;
        let PresetSamples { draft, standard, last } = self.povray_spp;
        let figures = [
            ("tiers.trusted", trusted, 100..=100, "100"),
            ("tiers.priority", priority, 200..=400, "200 to 400"),
            ("tiers.economy", economy, 800..=1_600, "800 to 1600"),
            ("class_bps", self.class_bps, 1..=1_000_000, "1 to 1000000"),
            ("povray_spp.draft", draft, 1..=65_536, "1 to 65536"),
            ("povray_spp.standard", standard, 1..=65_536, "1 to 65536"),
            ("povray_spp.final", last, 1..=65_536, "1 to 65536"),
            ("quote_seconds", self.quote_seconds, 60..=86_400, "60 to 86400"),
        ];
        let version = self.version;
        for (field, value, range, bounds) in figures {
            if !range.contains(&value) {
                return Err(ListProblem { version, field, value: value.to_string(), bounds });
            }
        }
        if self.min_price.is_zero() {
            let (field, bounds) = ("min_price", "1 base unit or more");
            return Err(ListProblem { version, field, value: "0".into(), bounds });
        }
        Ok(())
    }

    pub fn tier_percent(&self, tier: Tier) -> u32 {
        match tier {
            Tier::Trusted => self.tiers.trusted,
            Tier::Priority => self.tiers.priority,
            Tier::Economy => self.tiers.economy,
        }
    }

    pub fn samples_per_pixel(&self, engine: Engine, preset: Preset) -> u32 {
        match engine {
            Engine::Povray => match preset {
                Preset::Draft => self.povray_spp.draft,
                Preset::Standard => self.povray_spp.standard,
                Preset::Final => self.povray_spp.last,
            },
        }
    }

    /// The price of a spec. `max_spend`, when given, is the cap; it must cover one unit.
    pub fn price(
        &self,
        spec: &ExpandedSpec,
        max_spend: Option<Amount>,
    ) -> Result<Price, PriceError> {
        let unit_pixels = u64::from(spec.resolution.width) * u64::from(spec.resolution.height);
        let samples = self.samples_per_pixel(spec.engine, spec.quality.preset);
        let tier_percent = self.tier_percent(spec.tier);
        let milli_work = milli_work(unit_pixels, samples)?;
        let unit_price = self.unit_price(milli_work, tier_percent)?;
        let cap = cap(unit_price, spec.units(), max_spend)?;
        Ok(Price {
            list_version: self.version,
            units: spec.units(),
            unit_pixels,
            samples_per_pixel: samples,
            milli_work,
            base_rate: self.base_rate,
            min_price: self.min_price,
            class_bps: self.class_bps,
            tier_percent,
            unit_price,
            cap,
        })
    }

    /// max(minPrice, ceil(mwu * baseRate * 100 * classBps / (m * 1000 * 10^4))).
    pub fn unit_price(&self, milli_work: u64, tier_percent: u32) -> Result<Amount, PriceError> {
        // 64 + 96 + 7 + 32 bits: far from 256, so these products are exact.
        let above = U256::from(milli_work)
            * Into::<U256>::into(self.base_rate)
            * U256::from(PERCENT)
            * U256::from(self.class_bps);
        let below = U256::from(tier_percent) * U256::from(MILLI * ALL_BPS);
        let price = above.div_ceil(below);
        let price = Amount::try_from(price).map_err(|_| PriceError::TooLarge { what: "a unit" })?;
        Ok(price.max(self.min_price))
    }
}

/// ceil(pixels * samples / 1000).
pub fn milli_work(unit_pixels: u64, samples_per_pixel: u32) -> Result<u64, PriceError> {
    let samples = u128::from(unit_pixels) * u128::from(samples_per_pixel);
    let work = samples.div_ceil(u128::from(MILLI));
    u64::try_from(work).map_err(|_| PriceError::TooLarge { what: "a unit" })
}

/// The order's cap: the price of all units, or what the payer wants to spend at most.
pub fn cap(
    unit_price: Amount,
    units: u32,
    max_spend: Option<Amount>,
) -> Result<Amount, PriceError> {
    match max_spend {
        Some(max_spend) if max_spend < unit_price => {
            Err(PriceError::CapTooSmall { max_spend, unit_price })
        }
        Some(max_spend) => Ok(max_spend),
        None => unit_price
            .checked_mul_u64(u64::from(units))
            .map_err(|_| PriceError::TooLarge { what: "all units together" }),
    }
}

#[cfg(test)]
mod tests;
