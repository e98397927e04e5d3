//! Golden vectors of funding, payloads both ways, and what wallets get to sign.

use alloy::dyn_abi::TypedData;
use proptest::prelude::*;
use serde::Deserialize;

use super::*;
use crate::samples;

const FILE: &str = include_str!("../../test/golden.json");

fn golden() -> Value {
    serde_json::from_str(FILE).unwrap()
}

fn read<T: for<'a> Deserialize<'a>>(value: &Value) -> T {
    T::deserialize(value).unwrap_or_else(|e| panic!("{e}: {value}"))
}

/// One vector: its own fields, and what it takes from its job.
struct Case {
    fields: Value,
    purpose: Purpose,
    chain_id: u64,
}

fn cases() -> Vec<Case> {
    let golden = golden();
    let cases = golden["funding"].as_array().unwrap();
    assert_eq!(cases.len(), 2);
    let of = |fields: &Value| {
        let job = &golden["jobs"][read::<usize>(&fields["job"])];
        Case {
            fields: fields.clone(),
            purpose: Purpose {
                funding: read(&fields["funding"]),
                account: read(&job["order"]["payer"]),
                job_id: read(&job["jobId"]),
                amount: read(&job["order"]["cap"]),
            },
            chain_id: read(&job["chainId"]),
        }
    };
    cases.iter().map(of).collect()
}

fn token_domain(case: &Case) -> Eip712Domain {
    Eip712Domain::new(
        Some(read::<String>(&case.fields["tokenName"]).into()),
        Some(read::<String>(&case.fields["tokenVersion"]).into()),
        Some(U256::from(case.chain_id)),
        Some(read(&case.fields["token"])),
        None,
    )
}

fn authorization(case: &Case) -> ReceiveWithAuthorization {
    let of = &case.fields["authorization"];
    let (after, before) = (read(&of["validAfter"]), read(&of["validBefore"]));
    let salt = read(&case.fields["salt"]);
    case.purpose.authorization(case.purpose.account, after, before, salt)
}

fn permit2(case: &Case) -> PermitWitnessTransferFrom {
    let of = &case.fields["permit2"];
    let token = read(&case.fields["token"]);
    case.purpose.permit2(token, decimal(&of["nonce"]), read(&of["deadline"]))
}

fn decimal(value: &Value) -> U256 {
    value.as_str().unwrap().parse().unwrap()
}

#[test]
fn vaults_match() {
    for Case { fields, purpose, .. } in cases() {
        let implementation: Address = read(&fields["vaultImplementation"]);
        assert_eq!(vault_implementation(purpose.funding), implementation);
        assert_eq!(
            vault_address(purpose.funding, purpose.job_id),
            read::<Address>(&fields["vault"])
        );
    }
}

#[test]
fn nonces_and_witnesses_match() {
    for Case { fields, purpose: Purpose { account, job_id, .. }, .. } in cases() {
        let salt: B256 = read(&fields["salt"]);
        let witness = |job_id| Witness { account, jobId: job_id }.eip712_hash_struct();
        for (ours, key) in [
            (authorization_nonce(account, job_id, salt), "nonce"),
            (authorization_nonce(account, NO_JOB, salt), "depositNonce"),
            (witness(job_id), "witness"),
            (witness(NO_JOB), "depositWitness"),
        ] {
            assert_eq!(ours, read::<B256>(&fields[key]), "{key}");
        }
    }
}

#[test]
fn authorizations_match_and_wallets_hash_the_same() {
    for case in cases() {
        let of = &case.fields["authorization"];
        let (act, domain) = (authorization(&case), token_domain(&case));
        assert_eq!(domain.separator(), read::<B256>(&of["domainSeparator"]));
        assert_eq!(act.eip712_hash_struct(), read::<B256>(&of["structHash"]));
        assert_eq!(act.eip712_signing_hash(&domain), read::<B256>(&of["digest"]));
        let typed: TypedData = read(&authorization_typed_data(&act, &domain));
        assert_eq!(typed.eip712_signing_hash().unwrap(), read::<B256>(&of["digest"]));
    }
}

#[test]
fn permits_match_and_wallets_hash_the_same() {
    for case in cases() {
        let of = &case.fields["permit2"];
        assert_eq!(read::<Address>(&of["address"]), PERMIT2);
        let (act, domain) = (permit2(&case), permit2_domain(case.chain_id, PERMIT2));
        assert_eq!(domain.separator(), read::<B256>(&of["domainSeparator"]));
        assert_eq!(act.eip712_hash_struct(), read::<B256>(&of["structHash"]));
        assert_eq!(act.eip712_signing_hash(&domain), read::<B256>(&of["digest"]));
        let typed: TypedData = read(&permit2_typed_data(&act, &domain));
        assert_eq!(typed.eip712_signing_hash().unwrap(), read::<B256>(&of["digest"]));
    }
}

/// EIP-2612's own words, hashed by hand; a story has a token take such a signature.
#[test]
fn a_permit_is_what_the_standard_says_and_wallets_hash_the_same() {
    let kind = "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)";
    for case in cases() {
        let Purpose { funding, account, amount, .. } = case.purpose;
        let (nonce, domain) = (U256::from(7), token_domain(&case));
        let act = permit(funding, account, amount, nonce, 99);
        let fields = (keccak256(kind), account, funding, amount.to_u256(), nonce, U256::from(99));
        assert_eq!(act.eip712_hash_struct(), keccak256(fields.abi_encode()));
        let typed: TypedData = read(&permit_typed_data(&act, &domain));
        assert_eq!(typed.eip712_signing_hash().unwrap(), act.eip712_signing_hash(&domain));
    }
}

#[test]
fn payloads_match_both_ways() {
    for case in cases() {
        let of = &case.fields["authorization"];
        let authorization = Payload::Authorization {
            valid_after: U256::from(read::<u64>(&of["validAfter"])),
            valid_before: U256::from(read::<u64>(&of["validBefore"])),
            salt: read(&case.fields["salt"]),
            signature: read(&of["signature"]),
        };
        assert_eq!(authorization.encode(), read::<Bytes>(&of["payload"]));
        assert_eq!(Payload::decode(&read::<Bytes>(&of["payload"])), Ok(authorization));
        let of = &case.fields["permit2"];
        let permit2 = Payload::Permit2 {
            nonce: decimal(&of["nonce"]),
            deadline: U256::from(read::<u64>(&of["deadline"])),
            signature: read(&of["signature"]),
        };
        assert_eq!(permit2.encode(), read::<Bytes>(&of["payload"]));
        assert_eq!(Payload::decode(&read::<Bytes>(&of["payload"])), Ok(permit2));
    }
}

#[test]
fn payloads_that_name_no_way_or_lack_fields_are_refused() {
    assert_eq!(Payload::decode(&[]), Err(PayloadProblem::Empty));
    assert_eq!(Payload::decode(&[0]), Err(PayloadProblem::Kind(0)));
    assert_eq!(Payload::decode(&[3, 1]), Err(PayloadProblem::Kind(3)));
    for kind in [1, 2] {
        let decoded = Payload::decode(&[vec![kind], vec![0; 64]].concat());
        assert!(matches!(decoded, Err(PayloadProblem::Fields(_))), "{decoded:?}");
    }
}

proptest! {
    #[test]
    fn an_order_keeps_every_field_in_fundings_struct(order in samples::order()) {
        let ours = order_to_sol(&order);
        prop_assert_eq!(ours.eip712_hash_struct(), order.to_sol().eip712_hash_struct());
        let purpose = Purpose::of_order(PERMIT2, &order, B256::repeat_byte(7));
        prop_assert_eq!((purpose.account, purpose.amount), (order.payer, order.cap));
        prop_assert_eq!((purpose.funding, purpose.job_id), (PERMIT2, B256::repeat_byte(7)));
    }

    #[test]
    fn any_payload_survives_the_way_there_and_back(
        first in samples::word(),
        second in samples::word(),
        salt in samples::hash(),
        signature: Vec<u8>,
        by_permit2: bool,
    ) {
        let signature = Bytes::from(signature);
        let payload = if by_permit2 {
            Payload::Permit2 { nonce: first, deadline: second, signature }
        } else {
            let (valid_after, valid_before) = (first, second);
            Payload::Authorization { valid_after, valid_before, salt, signature }
        };
        prop_assert_eq!(Payload::decode(&payload.encode()), Ok(payload));
    }

    #[test]
    fn no_bytes_make_decoding_panic(bytes: Vec<u8>) {
        if let Ok(payload) = Payload::decode(&bytes) {
            prop_assert!(payload.encode().len() >= 97);
        }
    }
}

#[test]
fn refusals_of_funding_have_a_code_and_a_hint() {
    let errors = Funding::abi::errors();
    let own: Vec<_> =
        errors.values().flatten().filter(|e| e.name.starts_with("Funding_")).collect();
    assert_eq!(own.len(), HINTS.len());
    for error in own {
        // No error holds more than eight words; its bytes, if any, may be empty.
        let mut data = error.selector().to_vec();
        data.extend([0u8; 256]);
        let reason = crate::revert::explain_revert(&data);
        assert_eq!(reason.name, error.name);
        let hint = HINTS.iter().find(|(code, _)| *code == reason.code).map(|(_, hint)| *hint);
        assert_eq!(Some(reason.hint.as_str()), hint, "{}", error.name);
    }
}
