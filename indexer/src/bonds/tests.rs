//! The fold of bonds takes what the registry could write when, and refuses the rest by name.

use alloy::primitives::{Address, B256};
use alloy::signers::local::PrivateKeySigner;

use super::*;
use crate::tests::escrow::domain;
use crate::tests::registry::slashed;

const NOW: i64 = 1_700_000_000;

fn key() -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&B256::repeat_byte(7)).unwrap()
}

fn row(event: RegistryEvent) -> RegistryRow {
    RegistryRow { block: 7, log_index: 3, tx_hash: B256::ZERO, event }
}

/// A signer with 100 in its bond.
fn bonded() -> (Bonds, BondState) {
    let mut bonds = Bonds::new(domain());
    let (signer, owner) = (key().address(), Address::repeat_byte(1));
    let capabilities_hash = B256::repeat_byte(2);
    let event =
        RegistryEvent::Registered { signer, owner, payout: owner, capabilities_hash, seq: 1 };
    bonds.apply(&row(event), NOW).unwrap();
    let (amount, bonded) = (100u64.into(), 100u64.into());
    let event = RegistryEvent::Bonded { signer, from: owner, amount, bonded, seq: 2 };
    let state = bonds.apply(&row(event), NOW).unwrap();
    (bonds, state)
}

fn unbond(unbond_at: u64) -> RegistryEvent {
    let (amount, bonded, unbonding) = (40u64.into(), 60u64.into(), 40u64.into());
    let signer = key().address();
    RegistryEvent::UnbondRequested { signer, amount, bonded, unbonding, unbond_at, seq: 3 }
}

#[test]
fn a_bond_goes_back_from_its_time_on_and_not_before() {
    let due = NOW.unsigned_abs() + UNBOND_DELAY_SECONDS;
    let (mut bonds, state) = bonded();
    assert_eq!((state.seq, state.unbond_at, state.bonded), (2, 0, 100u64.into()));
    let error = bonds.apply(&row(unbond(due - 1)), NOW).unwrap_err();
    assert_eq!((error.block, error.log_index, error.event), (7, 3, "UnbondRequested"));
    assert!(error.to_string().contains(&due.to_string()), "{error}");
    let state = bonds.apply(&row(unbond(due)), NOW).unwrap();
    assert_eq!(state.unbond_at.unsigned_abs(), due);

    let (signer, to, amount) = (state.signer, Address::ZERO, 40u64.into());
    let event = row(RegistryEvent::BondWithdrawn { signer, to, amount, seq: 4 });
    let at = state.unbond_at;
    let error = bonds.apply(&event, at - 1).unwrap_err();
    assert!(matches!(error.reason, Reason::Time { .. }), "{error}");
    // Loaded from a store it goes on all the same.
    let mut bonds = Bonds::new(domain());
    bonds.load(state);
    let state = bonds.apply(&event, at).unwrap();
    assert_eq!((state.bonded, state.unbonding), (60u64.into(), 0u64.into()));
}

#[test]
fn a_slash_needs_a_proof_of_its_signer_and_job() {
    let RegistryEvent::Slashed(honest) = slashed(&key(), 100, 3) else { panic!("a slash") };
    let fails = |change: fn(&mut Slashed)| {
        let mut e = honest.clone();
        change(&mut e);
        bonded().0.apply(&row(RegistryEvent::Slashed(e)), NOW).unwrap_err().reason
    };
    let proof = |reason| matches!(reason, Reason::Proof(_));
    assert!(proof(fails(|e| e.second_signature = e.first_signature.clone())));
    assert!(proof(fails(|e| e.second.attempt += 1)));
    assert!(proof(fails(|e| e.second = e.first.clone())));
    assert_eq!(fails(|e| e.job_id = B256::ZERO), Reason::OtherJob);
    assert!(matches!(fails(|e| e.seq += 1), Reason::Fold(FoldError::Gap { .. })));
    let state = bonded().0.apply(&row(RegistryEvent::Slashed(honest)), NOW).unwrap();
    assert_eq!((state.bonded, state.slashed, state.seq), (0u64.into(), true, 3));
}
