//! The reference model and the contract agree on random calls, and would not if a rule differed.

use std::time::Instant;

use alloy::json_abi::StateMutability;
use contracts::RenderEscrow;
use model::{Deviation, campaign};

/// Calls of the checks; a deep run sets RNDR_MODEL_CALLS.
const CALLS: u64 = 20_000;
const SEED: u64 = 2_026;
/// Each operation has to succeed so often, or the campaign says nothing of it.
const LEAST: u64 = 15;
/// A deviation has to be found within so many calls.
const FOUND_WITHIN: u64 = 8_000;

/// Calls that cannot succeed by themselves, and why.
const NEVER_ALONE: [(&str, &str); 1] = [("fundJob", "only the token calls it, in holdInEscrow")];
/// Errors of the escrow that no call here can meet, and why.
const OUT_OF_REACH: [(&str, &str); 3] = [
    ("RenderEscrow_TokenRefused", "said by the constructor"),
    ("RenderEscrow_SendFailed", "legacy RNDR sends whatever the escrow holds"),
    ("RenderEscrow_DepositInexact", "legacy RNDR moves exactly what it is asked to"),
];

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

#[test]
fn agrees_with_the_contract() {
    let calls = setting("RNDR_MODEL_CALLS", CALLS);
    let seed = setting("RNDR_MODEL_SEED", SEED);
    let began = Instant::now();
    let (met, difference) = campaign(calls, seed, None);
    let took = began.elapsed();
    let rate = u128::from(met.calls) * 1_000 / took.as_millis().max(1);
    println!("RNDR_MODEL_SEED={seed}: {} calls in {took:.1?}, {rate} a second", met.calls);
    println!("successes: {:?}", met.successes);
    if let Some(difference) = difference {
        panic!("RNDR_MODEL_SEED={seed}, call {}: {difference}", met.calls);
    }
    let mut rare = Vec::new();
    let operations = RenderEscrow::abi::functions().into_values().flatten();
    for act in operations.filter(|one| one.state_mutability == StateMutability::NonPayable) {
        let often = met.successes.get(act.name.as_str()).copied().unwrap_or_default();
        let exempt = NEVER_ALONE.iter().any(|(name, _)| *name == act.name);
        if often < LEAST && !exempt {
            rare.push(format!("{} succeeded {often} times", act.name));
        }
    }
    let errors = RenderEscrow::abi::errors().into_values().flatten();
    for error in errors.filter(|error| error.name.starts_with("RenderEscrow_")) {
        let often = met.refusals.get(&error.selector().0).copied().unwrap_or_default();
        let exempt = OUT_OF_REACH.iter().any(|(name, _)| *name == error.name);
        println!("{often:>8} {}", error.name);
        if often == 0 && !exempt {
            rare.push(format!("{} was never met", error.name));
        }
    }
    assert!(rare.is_empty(), "RNDR_MODEL_SEED={seed}: {rare:#?}");
}

#[test]
fn finds_planted_deviations() {
    let seed = setting("RNDR_MODEL_SEED", SEED);
    let mut missed = Vec::new();
    for deviation in Deviation::ALL {
        let (met, difference) = campaign(FOUND_WITHIN, seed, Some(deviation));
        let first = difference.as_deref().and_then(|text| text.lines().next());
        println!("{deviation:?} after {} calls: {}", met.calls, first.unwrap_or("MISSED"));
        if difference.is_none() {
            missed.push(deviation);
        }
    }
    assert!(missed.is_empty(), "RNDR_MODEL_SEED={seed}: {missed:?} were not found");
}
