//! Tests of the price formula: figures worked by hand, and properties over all inputs.

use alloy::primitives::B256;
use contracts::spec::{JobSpec, Output, Quality, Resolution};
use proptest::prelude::*;

use super::*;

fn spec(width: u32, height: u32, preset: Preset, tier: Tier, frames: &str) -> ExpandedSpec {
    let spec = JobSpec {
        version: 1,
        engine: Engine::Povray,
        engine_version: "3.7.0.10".into(),
        scene: B256::repeat_byte(1),
        entry: "demo.pov".into(),
        frames: frames.into(),
        resolution: Resolution { width, height },
        quality: Quality { preset },
        output: Output::default(),
        animation: None,
        tier,
        chunk: Default::default(),
        attempts: 3,
        timeout_seconds: 600,
    };
    spec.validate().unwrap()
}

/// With room for products beyond 96 bits.
fn wide(amount: Amount) -> U256 {
    amount.into()
}

fn list() -> PriceList {
    PriceList::default()
}

#[test]
fn a_demo_frame_costs_what_the_formula_says() {
    // 320 * 180 = 57,600 pixels; 4 samples: ceil(230,400 / 1000) = 231 mwu.
    // 231 * 10^15 * 100 * 10^4 / (800 * 1000 * 10^4) = 28,875 * 10^9.
    let spec = spec(320, 180, Preset::Standard, Tier::Economy, "1-8,9-12");
    let price = list().price(&spec, None).unwrap();
    assert_eq!(price.milli_work, 231);
    assert_eq!(price.unit_price, Amount::from(28_875_000_000_000));
    assert_eq!(price.cap, Amount::from(12 * 28_875_000_000_000));
    assert_eq!(price.units, 12);
}

#[test]
fn the_design_s_check_figures_hold() {
    assert_eq!(milli_work(512 * 512, 20), Ok(5_243));
    assert_eq!(milli_work(1_000, 1), Ok(1));
    assert_eq!(milli_work(1_001, 1), Ok(2));
    assert_eq!(milli_work(1, 1), Ok(1));
}

#[test]
fn tiny_work_costs_the_least_price() {
    let spec = spec(1, 1, Preset::Draft, Tier::Economy, "1");
    let price = list().price(&spec, None).unwrap();
    assert_eq!(price.unit_price, list().min_price);
}

#[test]
fn max_spend_is_the_cap_and_must_cover_one_unit() {
    let spec = spec(320, 180, Preset::Standard, Tier::Economy, "1-12");
    let unit = Amount::from(28_875_000_000_000);
    let price = list().price(&spec, Some(unit)).unwrap();
    assert_eq!(price.cap, unit);
    let less = Amount::from(28_874_999_999_999);
    let refused = list().price(&spec, Some(less)).unwrap_err();
    assert_eq!(refused, PriceError::CapTooSmall { max_spend: less, unit_price: unit });
}

#[test]
fn prices_beyond_96_bits_are_refused() {
    let dear = PriceList { base_rate: Amount::MAX, ..list() };
    let big = spec(8_000, 4_000, Preset::Final, Tier::Trusted, "1");
    assert_eq!(dear.price(&big, None), Err(PriceError::TooLarge { what: "a unit" }));
    let dear = PriceList { min_price: Amount::MAX, ..list() };
    let two = spec(1, 1, Preset::Draft, Tier::Trusted, "1-2");
    let refused = dear.price(&two, None).unwrap_err();
    assert_eq!(refused, PriceError::TooLarge { what: "all units together" });
    let one = spec(1, 1, Preset::Draft, Tier::Trusted, "1");
    assert_eq!(dear.price(&one, None).unwrap().cap, Amount::MAX);
}

#[test]
fn lists_outside_their_bounds_are_refused() {
    assert_eq!(list().check(), Ok(()));
    let mut bad = list();
    bad.tiers.economy = 700;
    let problem = bad.check().unwrap_err();
    assert_eq!(problem.field, "tiers.economy");
    assert!(problem.to_string().contains("800 to 1600"), "{problem}");
    let bad = PriceList { min_price: Amount::ZERO, ..list() };
    assert_eq!(bad.check().unwrap_err().field, "min_price");
    let bad = PriceList { class_bps: 0, ..list() };
    assert_eq!(bad.check().unwrap_err().field, "class_bps");
}

proptest! {
    #[test]
    fn the_unit_price_is_the_exact_quotient_rounded_up_once(
        work in 0u64..=u64::MAX,
        rate in 0u128..1 << 64,
        class_bps in 1u32..=1_000_000,
        percent in 100u32..=1_600,
    ) {
        let base_rate = Amount::from_base(rate).unwrap();
        let min_price = Amount::from(1u64);
        let list = PriceList { base_rate, class_bps, min_price, ..list() };
        let above = U256::from(work) * U256::from(rate) * U256::from(class_bps) * U256::from(100);
        let below = U256::from(percent) * U256::from(10_000_000u64);
        match list.unit_price(work, percent) {
            Ok(price) if price > min_price => {
                let price = wide(price);
                prop_assert!(price * below >= above);
                prop_assert!((price - U256::ONE) * below < above);
            }
            Ok(_) => prop_assert!(above <= below),
            Err(_) => prop_assert!(above.div_ceil(below) > wide(Amount::MAX)),
        }
    }

    #[test]
    fn more_work_never_costs_less_and_a_cheaper_tier_never_more(
        work in 0u64..1 << 40,
        more in 0u64..1 << 40,
        percent in 100u32..=1_600,
        cheaper in 0u32..500,
    ) {
        let price = list().unit_price(work, percent).unwrap();
        prop_assert!(list().unit_price(work + more, percent).unwrap() >= price);
        prop_assert!(list().unit_price(work, percent + cheaper).unwrap() <= price);
    }

    #[test]
    fn the_cap_covers_every_unit_or_is_what_the_payer_said(
        unit in 1u128..1 << 96,
        units in 1u32..1 << 20,
        spend in proptest::option::of(0u128..1 << 96),
    ) {
        let unit = Amount::from_base(unit).unwrap();
        let spend = spend.map(|base| Amount::from_base(base).unwrap());
        match (cap(unit, units, spend), spend) {
            (Ok(cap), Some(spend)) => prop_assert!(cap == spend && spend >= unit),
            (Err(_), Some(spend)) => prop_assert!(spend < unit),
            (Ok(cap), None) => {
                prop_assert_eq!(wide(cap), wide(unit) * U256::from(units));
            }
            (Err(_), None) => {
                prop_assert!(wide(unit) * U256::from(units) > wide(Amount::MAX));
            }
        }
    }
}
