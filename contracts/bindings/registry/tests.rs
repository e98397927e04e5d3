//! Tests of the registry's vocabulary: logs both ways, consents, proofs of fraud, the fold.

use super::*;
use crate::samples::{address, amount, hash, time};
use alloy::primitives::{address as at, keccak256};
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use proptest::prelude::*;

const REGISTRY: Address = at!("1111111111111111111111111111111111111111");
const ESCROW: Address = at!("2222222222222222222222222222222222222222");
const OWNER: Address = at!("3333333333333333333333333333333333333333");

fn receipt() -> impl Strategy<Value = Receipt> {
    (hash(), any::<u32>(), any::<u32>(), hash(), hash(), hash(), time(), time()).prop_map(
        |(
            job_id,
            unit,
            attempt,
            output_hash,
            preview_hash,
            key_commit,
            started_at,
            finished_at,
        )| {
            Receipt {
                job_id,
                unit,
                attempt,
                output_hash,
                preview_hash,
                key_commit,
                started_at,
                finished_at,
            }
        },
    )
}

fn event() -> impl Strategy<Value = RegistryEvent> {
    let who = (address(), address(), address(), hash(), any::<u64>());
    let money = (amount(), amount(), amount(), time(), 0..6u8);
    let proof = (receipt(), any::<Vec<u8>>(), receipt(), any::<Vec<u8>>());
    (who, money, proof).prop_map(|(who, money, proof)| {
        let (signer, other, payout, word, seq) = who;
        let (amount, bonded, unbonding, unbond_at, pick) = money;
        let (owner, capabilities_hash) = (other, word);
        match pick {
            0 => RegistryEvent::Registered { signer, owner, payout, capabilities_hash, seq },
            1 => RegistryEvent::Updated { signer, payout, capabilities_hash, seq },
            2 => RegistryEvent::Bonded { signer, from: other, amount, bonded, seq },
            3 => {
                RegistryEvent::UnbondRequested { signer, amount, bonded, unbonding, unbond_at, seq }
            }
            4 => RegistryEvent::BondWithdrawn { signer, to: other, amount, seq },
            _ => RegistryEvent::Slashed(Box::new(Slashed {
                signer,
                reporter: other,
                job_id: word,
                first: proof.0,
                first_signature: proof.1.into(),
                second: proof.2,
                second_signature: proof.3.into(),
                burned: amount,
                rewarded: bonded,
                seq,
            })),
        }
    })
}

fn log(address: Address, data: LogData) -> Log {
    Log { address, data }
}

proptest! {
    #[test]
    fn every_event_survives_the_chains_encoding(event in event()) {
        prop_assert_eq!(decode(REGISTRY, &log(REGISTRY, event.encode())), Ok(event));
    }

    #[test]
    fn spare_bytes_and_missing_ones_are_refused(event in event(), cut in 1..32usize) {
        let data = event.encode();
        let mut longer = data.data.to_vec();
        longer.extend([0; 32]);
        let shorter = data.data[..data.data.len() - cut].to_vec();
        for bytes in [longer, shorter] {
            let changed = LogData::new_unchecked(data.topics().to_vec(), bytes.into());
            let found = decode(REGISTRY, &log(REGISTRY, changed));
            prop_assert!(matches!(found, Err(LogError::Malformed(_))), "{:?}", found);
        }
    }
}

#[test]
fn nothing_foreign_passes() {
    let data =
        RegistryEvent::BondWithdrawn { signer: OWNER, to: OWNER, amount: Amount::from(1), seq: 1 };
    let foreign = decode(REGISTRY, &log(ESCROW, data.encode()));
    assert_eq!(foreign, Err(LogError::OtherContract { registry: REGISTRY, found: ESCROW }));
    let transfer = vec![keccak256("Transfer(address,address,uint256)")];
    let unknown = LogData::new_unchecked(transfer, Bytes::new());
    assert_eq!(decode(REGISTRY, &log(REGISTRY, unknown)), Err(LogError::Unknown));
    let bare = LogData::new_unchecked(Vec::new(), Bytes::new());
    assert_eq!(decode(REGISTRY, &log(REGISTRY, bare)), Err(LogError::Unknown));
}

#[test]
fn wallet_json_of_a_registration_hashes_to_its_digest() {
    let act = Registration {
        owner: OWNER,
        signer: REGISTRY,
        payout: ESCROW,
        capabilitiesHash: B256::repeat_byte(4),
    };
    let domain = domain(31_337, REGISTRY);
    let typed = act.typed_data(&domain);
    let parsed: alloy::dyn_abi::TypedData = serde_json::from_value(typed).unwrap();
    assert_eq!(parsed.eip712_signing_hash().unwrap(), act.digest(&domain));
    assert_ne!(act.digest(&domain), act.digest(&super::domain(1, REGISTRY)), "another chain");
}

#[test]
fn refusals_of_the_registry_have_a_code_and_a_hint() {
    let errors = NodeRegistry::abi::errors();
    let own: Vec<_> =
        errors.values().flatten().filter(|e| e.name.starts_with("NodeRegistry_")).collect();
    assert_eq!(own.len(), HINTS.len());
    for error in own {
        // No error holds more than sixteen words, and none of them is dynamic.
        let mut data = error.selector().to_vec();
        data.extend([0u8; 512]);
        let reason = crate::revert::explain_revert(&data);
        assert_eq!(reason.name, error.name);
        assert_eq!(reason.fields.len(), error.inputs.len(), "{}", error.name);
        let hint = HINTS.iter().find(|(code, _)| *code == reason.code).map(|(_, hint)| *hint);
        assert_eq!(Some(reason.hint.as_str()), hint, "{}", error.name);
    }
}

// ---- proofs ----

fn work(output: u8) -> Receipt {
    Receipt {
        job_id: B256::repeat_byte(9),
        unit: 7,
        attempt: 2,
        output_hash: B256::repeat_byte(output),
        preview_hash: B256::ZERO,
        key_commit: B256::ZERO,
        started_at: 10,
        finished_at: 20,
    }
}

fn sign(key: &PrivateKeySigner, receipt: &Receipt, domain: &Eip712Domain) -> Vec<u8> {
    key.sign_hash_sync(&receipt.digest(domain)).unwrap().as_bytes().to_vec()
}

#[test]
fn two_outputs_of_one_work_prove_fraud_and_nothing_else_does() {
    let (key, other) = (PrivateKeySigner::random(), PrivateKeySigner::random());
    let escrow = crate::order::domain(1, ESCROW);
    let (one, two) = (work(1), work(2));
    let first = (&one, &sign(&key, &one, &escrow)[..]);
    let second = sign(&key, &two, &escrow);
    assert_eq!(check_proof(key.address(), first, (&two, &second), &escrow), Ok(()));

    let agreed = check_proof(key.address(), first, first, &escrow);
    assert_eq!(agreed, Err(ProofProblem::OutputsEqual(one.output_hash)));
    let again = Receipt { attempt: 3, ..two.clone() };
    let word = sign(&key, &again, &escrow);
    let works = check_proof(key.address(), first, (&again, &word), &escrow);
    assert_eq!(works, Err(ProofProblem::WorksDiffer));
    let word = sign(&other, &two, &escrow);
    let signers = check_proof(key.address(), first, (&two, &word), &escrow);
    let (signer, found) = (key.address(), other.address());
    assert_eq!(signers, Err(ProofProblem::OtherSigner { signer, found }));
    let short = check_proof(key.address(), first, (&two, &second[..64]), &escrow);
    assert_eq!(short, Err(ProofProblem::Signature(SignatureProblem::Length(64))));
    let there = crate::order::domain(2, ESCROW);
    let chain = check_proof(key.address(), first, (&two, &second), &there);
    assert!(matches!(chain, Err(ProofProblem::OtherSigner { .. })), "{chain:?}");
}

// ---- the fold ----

const SIGNER: Address = at!("4444444444444444444444444444444444444444");

fn registered(seq: u64) -> RegistryEvent {
    let capabilities_hash = B256::repeat_byte(1);
    let (signer, owner) = (SIGNER, OWNER);
    RegistryEvent::Registered { signer, owner, payout: OWNER, capabilities_hash, seq }
}

fn bonded(amount: u64, bonded: u64, seq: u64) -> RegistryEvent {
    let (amount, bonded) = (amount.into(), bonded.into());
    RegistryEvent::Bonded { signer: SIGNER, from: OWNER, amount, bonded, seq }
}

fn unbond(amount: u64, bonded: u64, unbonding: u64, seq: u64) -> RegistryEvent {
    RegistryEvent::UnbondRequested {
        signer: SIGNER,
        amount: amount.into(),
        bonded: bonded.into(),
        unbonding: unbonding.into(),
        unbond_at: 50,
        seq,
    }
}

fn withdrawn(amount: u64, seq: u64) -> RegistryEvent {
    RegistryEvent::BondWithdrawn { signer: SIGNER, to: OWNER, amount: amount.into(), seq }
}

fn slashed(burned: u64, rewarded: u64, seq: u64) -> RegistryEvent {
    RegistryEvent::Slashed(Box::new(Slashed {
        signer: SIGNER,
        reporter: OWNER,
        job_id: work(1).job_id,
        first: work(1),
        first_signature: Bytes::new(),
        second: work(2),
        second_signature: Bytes::new(),
        burned: burned.into(),
        rewarded: rewarded.into(),
        seq,
    }))
}

fn folded(events: &[RegistryEvent]) -> Result<Nodes, FoldError> {
    let mut nodes = Nodes::default();
    for event in events {
        let before = nodes.clone();
        if let Err(error) = nodes.apply(event) {
            assert_eq!(nodes, before, "an error changed the state");
            return Err(error);
        }
    }
    Ok(nodes)
}

#[test]
fn a_bond_is_folded_from_registration_to_slash() {
    let update = RegistryEvent::Updated {
        signer: SIGNER,
        payout: ESCROW,
        capabilities_hash: B256::repeat_byte(2),
        seq: 2,
    };
    let mut events = vec![registered(1), update, bonded(101, 101, 3), unbond(40, 61, 40, 4)];
    let mut expected = NodeState {
        owner: OWNER,
        payout: ESCROW,
        capabilities_hash: B256::repeat_byte(2),
        bonded: 61.into(),
        unbonding: 40.into(),
        unbond_at: 50,
        slashed: false,
        seq: 4,
    };
    assert_eq!(folded(&events).unwrap().get(SIGNER), Some(&expected));
    events.extend([withdrawn(40, 5), unbond(10, 51, 10, 6)]);
    (expected.bonded, expected.unbonding, expected.seq) = (51.into(), 10.into(), 6);
    assert_eq!(folded(&events).unwrap().get(SIGNER), Some(&expected));
    events.push(slashed(31, 30, 7));
    (expected.bonded, expected.unbonding) = (Amount::ZERO, Amount::ZERO);
    (expected.slashed, expected.seq) = (true, 7);
    let nodes = folded(&events).unwrap();
    assert_eq!(nodes.iter().collect::<Vec<_>>(), [(&SIGNER, &expected)]);
}

#[test]
fn events_that_do_not_add_up_are_refused() {
    let signer = SIGNER;
    let fails = |events: &[RegistryEvent]| folded(events).unwrap_err();
    assert_eq!(fails(&[bonded(1, 1, 1)]), FoldError::Unregistered { signer });
    assert_eq!(fails(&[registered(1), registered(2)]), FoldError::RegisteredTwice { signer });
    assert_eq!(fails(&[registered(2)]), FoldError::Gap { signer, last: 0, found: 2 });
    let gap = fails(&[registered(1), bonded(1, 1, 3)]);
    assert_eq!(gap, FoldError::Gap { signer, last: 1, found: 3 });
    let differs = |events: &[RegistryEvent]| matches!(fails(events), FoldError::Differs { .. });
    assert!(differs(&[registered(1), bonded(1, 2, 2)]));
    assert!(differs(&[registered(1), bonded(5, 5, 2), unbond(1, 5, 1, 3)]));
    assert!(differs(&[registered(1), bonded(5, 5, 2), unbond(1, 4, 2, 3)]));
    assert!(differs(&[registered(1), bonded(5, 5, 2), unbond(1, 4, 1, 3), withdrawn(2, 4)]));
    assert!(differs(&[registered(1), bonded(5, 5, 2), slashed(2, 2, 3)]));
    assert!(differs(&[registered(1), bonded(5, 5, 2), slashed(2, 3, 3)]));
    let too_much = fails(&[registered(1), bonded(5, 5, 2), unbond(6, 0, 6, 3)]);
    assert!(matches!(too_much, FoldError::Amount { .. }), "{too_much:?}");
    let late = fails(&[registered(1), slashed(0, 0, 2), bonded(1, 1, 3)]);
    assert_eq!(late, FoldError::Barred { signer });
}
