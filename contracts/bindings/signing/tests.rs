//! Tests of signing.rs: wallet JSON hashes to our digests; recovery is as strict as the contract.

use super::*;
use crate::order::{domain, job_id};
use crate::samples;
use alloy::dyn_abi::TypedData;
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use proptest::prelude::*;

/// A wallet's own reading of the JSON must give the digest that the contract checks.
fn wallet_digest(json: &Value) -> B256 {
    let text = serde_json::to_string(json).unwrap();
    serde_json::from_str::<TypedData>(&text).unwrap().eip712_signing_hash().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn typed_data_hashes_to_our_digests(
        order in samples::order(),
        lots in proptest::collection::vec(samples::lot(), 1..4),
        escrow in samples::address(),
        chain in 1u64..(1 << 50),
        mask in samples::word(),
        reason in samples::hash(),
        cumulative in samples::amount(),
        payouts in proptest::collection::vec(samples::payout(), 0..4),
    ) {
        let domain = domain(chain, escrow);
        let job = job_id(&order, &domain);
        prop_assert_eq!(wallet_digest(&order_typed_data(&order, &domain)), job);
        let act = acceptance(job, &lots);
        let json = acceptance_typed_data(&act, &domain);
        prop_assert_eq!(wallet_digest(&json), signing_hash(&act, &domain));
        let act = approval(job, &lots);
        let json = approval_typed_data(&act, &domain);
        prop_assert_eq!(wallet_digest(&json), signing_hash(&act, &domain));
        let act = Rejection { jobId: job, lotHash: act.lotsHash, mask, reasonHash: reason };
        let json = rejection_typed_data(&act, &domain);
        prop_assert_eq!(wallet_digest(&json), signing_hash(&act, &domain));
        let act = CloseRequest { jobId: job };
        let json = close_request_typed_data(&act, &domain);
        prop_assert_eq!(wallet_digest(&json), signing_hash(&act, &domain));
        let act = Close { jobId: job };
        let json = close_typed_data(&act, &domain);
        prop_assert_eq!(wallet_digest(&json), signing_hash(&act, &domain));
        let act = voucher(job, cumulative);
        let json = voucher_typed_data(&act, &domain);
        prop_assert_eq!(wallet_digest(&json), signing_hash(&act, &domain));
        let act = redemption(job, cumulative, &payouts);
        let json = redemption_typed_data(&act, &domain);
        prop_assert_eq!(wallet_digest(&json), signing_hash(&act, &domain));
    }

    #[test]
    fn only_the_plain_form_of_a_signature_recovers(digest in samples::hash(), key in 1u64..) {
        let key = B256::from(U256::from(key));
        let signer = PrivateKeySigner::from_bytes(&key).unwrap();
        let good = signer.sign_hash_sync(&digest).unwrap().as_bytes();
        prop_assert_eq!(recover(digest, &good), Ok(signer.address()));

        // The mirror image: the same signer by ecrecover, refused by the contract.
        let order_n = alloy::primitives::uint!(
            0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141_U256
        );
        let s = U256::from_be_slice(&good[32..64]);
        let mut mirror = good;
        mirror[32..64].copy_from_slice(&(order_n - s).to_be_bytes::<32>());
        mirror[64] = if good[64] == 27 { 28 } else { 27 };
        prop_assert_eq!(recover(digest, &mirror), Err(SignatureProblem::HighS));

        let mut bare = good;
        bare[64] -= 27;
        prop_assert_eq!(recover(digest, &bare), Err(SignatureProblem::Parity(bare[64])));
        prop_assert_eq!(recover(digest, &good[..64]), Err(SignatureProblem::Length(64)));
        prop_assert_eq!(recover(digest, &[]), Err(SignatureProblem::Length(0)));
        let other = B256::from(U256::from_be_bytes(digest.0).wrapping_add(U256::ONE));
        prop_assert_ne!(recover(other, &good), Ok(signer.address()));
    }
}

#[test]
fn acts_with_equal_fields_have_different_digests() {
    let domain = domain(1, Address::repeat_byte(1));
    let (job, lots) = (B256::repeat_byte(2), B256::repeat_byte(3));
    let acceptance = signing_hash(&Acceptance { jobId: job, lotsHash: lots }, &domain);
    let approval = signing_hash(&Approval { jobId: job, lotsHash: lots }, &domain);
    assert_ne!(acceptance, approval);
    let asked = signing_hash(&CloseRequest { jobId: job }, &domain);
    assert_ne!(asked, job);
    // Asking for the end is no consent to an end at once.
    let agreed = signing_hash(&Close { jobId: job }, &domain);
    assert!(agreed != asked && agreed != job);
}

#[test]
fn wallet_json_names_the_domain_and_the_contract_fields() {
    let domain = domain(31_337, Address::repeat_byte(0xab));
    let json = close_request_typed_data(&CloseRequest { jobId: B256::ZERO }, &domain);
    assert_eq!(json["domain"]["chainId"], 31_337);
    assert_eq!(json["domain"]["name"], "RenderEscrow");
    assert_eq!(json["primaryType"], "CloseRequest");
    let names = |types: &Value| -> Vec<String> {
        let fields = types.as_array().unwrap();
        fields.iter().map(|f| f["name"].as_str().unwrap().into()).collect()
    };
    let expected = ["name", "version", "chainId", "verifyingContract"];
    assert_eq!(names(&json["types"]["EIP712Domain"]), expected);
    assert_eq!(names(&json["types"]["CloseRequest"]), ["jobId"]);
}

#[test]
fn a_signature_of_nobody_is_refused() {
    let mut nobody = [0u8; 65];
    nobody[64] = 27;
    assert_eq!(recover(B256::ZERO, &nobody), Err(SignatureProblem::NoSigner));
}
