//! Tests of revert.rs: every error of the contract has a code and its figures.

use super::*;
use alloy::primitives::{Address, B256, U256};
use proptest::prelude::*;

#[test]
fn a_deadline_error_tells_its_figures() {
    let error = RenderEscrow::RenderEscrow_DeadlinePassed {
        jobId: B256::repeat_byte(1),
        deadline: U256::from(10),
        now_: U256::from(12),
    };
    let reason = explain_revert(&error.abi_encode());
    assert_eq!(reason.code, "deadline_passed");
    assert_eq!(reason.name, "RenderEscrow_DeadlinePassed");
    let expected = [
        ("job_id", format!("0x{}", "01".repeat(32))),
        ("deadline", "10".into()),
        ("now", "12".into()),
    ];
    let expected: Vec<_> = expected.into_iter().map(|(n, v)| (n.to_string(), v)).collect();
    assert_eq!(reason.fields, expected);
    assert!(reason.detail.contains("deadline passed"), "{}", reason.detail);
}

#[test]
fn a_refused_term_is_named_in_words() {
    let mut term = B256::ZERO;
    term[..9].copy_from_slice(b"claimGrac");
    let error = RenderEscrow::RenderEscrow_TermRefused {
        term,
        given: U256::from(1),
        least: U256::from(2),
        most: U256::from(3),
    };
    let reason = explain_revert(&error.abi_encode());
    assert_eq!(reason.code, "term_refused");
    assert_eq!(reason.fields[0], ("term".into(), "claimGrac".into()));
}

#[test]
fn every_error_of_the_contract_is_known() {
    let errors = RenderEscrow::abi::errors();
    let mut codes = std::collections::BTreeSet::new();
    for error in errors.values().flatten() {
        // No error holds more than eight words; strings may point anywhere inside.
        let mut data = error.selector().to_vec();
        data.extend([0u8; 256]);
        let reason = explain_revert(&data);
        assert_eq!(reason.name, error.name);
        assert_eq!(reason.fields.len(), error.inputs.len());
        // The libraries' own errors cannot reach a caller of a sound contract.
        let hinted = HINTS.iter().any(|(code, _)| *code == reason.code);
        assert_eq!(hinted, error.name.starts_with("RenderEscrow_"), "hint of {}", reason.code);
        assert!(codes.insert(reason.code.clone()), "{} names two errors", reason.code);
        assert!(reason.code.bytes().all(|b| b.is_ascii_lowercase() || b"_0123456789".contains(&b)));
    }
    for (code, _) in HINTS {
        assert!(codes.contains(code), "no error of the contract has the code {code}");
    }
}

#[test]
fn silence_is_the_tokens() {
    let reason = explain_revert(&[]);
    assert_eq!(reason.code, EMPTY);
    for word in ["balance", "allowance", "paused"] {
        assert!(reason.detail.contains(word), "{}", reason.detail);
    }
}

#[test]
fn plain_reverts_and_panics_are_read() {
    let text = Revert::from("not today").abi_encode();
    assert!(explain_revert(&text).detail.contains("not today"));
    let panic = Panic::from(alloy::sol_types::PanicKind::UnderOverflow).abi_encode();
    let reason = explain_revert(&panic);
    assert_eq!(reason.code, "panic");
    assert!(reason.detail.contains("overflow"), "{}", reason.detail);
    let unknown = explain_revert(&[0xde, 0xad, 0xbe, 0xef, 1]);
    assert_eq!(unknown.code, UNKNOWN);
    assert!(unknown.detail.contains("0xdeadbeef"));
}

proptest! {
    #[test]
    fn any_bytes_are_explained(data in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(!explain_revert(&data).detail.is_empty());
    }

    #[test]
    fn cut_errors_keep_their_name(cut in 4usize..60) {
        let error = RenderEscrow::RenderEscrow_AccountRefused { account: Address::ZERO };
        let data = error.abi_encode();
        let reason = explain_revert(&data[..cut.min(data.len() - 1)]);
        prop_assert_eq!(reason.code, "account_refused");
        prop_assert!(reason.fields.is_empty());
        prop_assert!(reason.detail.contains("cannot be read"), "{}", reason.detail);
    }
}

#[test]
fn names_become_snake_case() {
    for (name, code) in [
        ("DeadlinePassed", "deadline_passed"),
        ("jobId", "job_id"),
        ("ERC20Failed", "erc20_failed"),
        ("unitPrice", "unit_price"),
        ("now_", "now_"),
        ("", ""),
        ("reviewSeconds", "review_seconds"),
    ] {
        assert_eq!(snake_case(name), code);
    }
}
