//! Golden vectors: every digest, root and amount that Solidity and Rust must both produce.

use alloy::primitives::{Address, B256, Bytes, U256, keccak256};
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::{Eip712Domain, SolStruct};
use serde::Deserialize;
use serde_json::Value;

use crate::amount::Amount;
use crate::order::{
    Lot, Order, Payout, domain, job_id, lot_hash, lots_hash, lots_hash_of, payouts_hash,
};
use crate::receipt::{Receipt, output_hash, receipt_leaves, receipts_root};
use crate::revert::snake_case;
use crate::seal::LotKey;
use crate::signing::{self, Close, CloseRequest, Rejection, signing_hash};
use crate::{RenderEscrow, merkle, registry, units};

const FILE: &str = include_str!("../test/golden.json");

fn golden() -> Value {
    serde_json::from_str(FILE).unwrap()
}

fn read<T: for<'a> Deserialize<'a>>(value: &Value) -> T {
    T::deserialize(value).unwrap_or_else(|e| panic!("{e}: {value}"))
}

/// The file's keys are the contract's names; ours are the same in snake_case.
fn read_struct<T: for<'a> Deserialize<'a>>(value: &Value) -> T {
    let fields = value.as_object().unwrap();
    let renamed = fields.iter().map(|(name, value)| (snake_case(name), value.clone()));
    read(&Value::Object(renamed.collect()))
}

fn hash(value: &Value) -> B256 {
    read(value)
}

fn domain_of(job: &Value) -> Eip712Domain {
    domain(read(&job["chainId"]), read(&job["verifyingContract"]))
}

fn lots_of(job: &Value) -> Vec<Lot> {
    let lots = job["lots"].as_array().unwrap();
    lots.iter().map(|entry| read_struct(&entry["lot"])).collect()
}

#[test]
fn type_hashes_match() {
    let types = &golden()["typeHashes"];
    let hash_of = |text: &str| keccak256(text);
    let ours = [
        ("order", hash_of(&RenderEscrow::Order::eip712_encode_type())),
        ("lot", hash_of(&signing::Lot::eip712_encode_type())),
        ("acceptance", hash_of(&signing::Acceptance::eip712_encode_type())),
        ("approval", hash_of(&signing::Approval::eip712_encode_type())),
        ("rejection", hash_of(&Rejection::eip712_encode_type())),
        ("closeRequest", hash_of(&CloseRequest::eip712_encode_type())),
        ("close", hash_of(&Close::eip712_encode_type())),
        ("voucher", hash_of(&signing::Voucher::eip712_encode_type())),
        ("redemption", hash_of(&signing::Redemption::eip712_encode_type())),
        ("payout", hash_of(&signing::Payout::eip712_encode_type())),
        ("receipt", hash_of(&signing::Receipt::eip712_encode_type())),
        ("registration", hash_of(&registry::Registration::eip712_encode_type())),
    ];
    assert_eq!(types.as_object().unwrap().len(), ours.len());
    for (name, ours) in ours {
        assert_eq!(hash(&types[name]), ours, "{name}");
    }
}

#[test]
fn digests_of_every_job_match() {
    let golden = golden();
    let jobs = golden["jobs"].as_array().unwrap();
    assert!(jobs.len() >= 3);
    for job in jobs {
        let name = &job["name"];
        let domain = domain_of(job);
        assert_eq!(domain.separator(), hash(&job["domainSeparator"]), "{name}");
        let order: Order = read_struct(&job["order"]);
        assert_eq!(order.to_sol().eip712_hash_struct(), hash(&job["structHash"]), "{name}");
        let id = job_id(&order, &domain);
        assert_eq!(id, hash(&job["jobId"]), "{name}");

        let lots = lots_of(job);
        let hashes: Vec<B256> = lots.iter().map(|lot| lot_hash(id, lot)).collect();
        assert_eq!(lots_hash(&hashes), hash(&job["lotsHash"]), "{name}");
        assert_eq!(lots_hash_of(id, &lots), hash(&job["lotsHash"]), "{name}");
        let digests = [
            ("acceptanceDigest", signing_hash(&signing::acceptance(id, &lots), &domain)),
            ("approvalDigest", signing_hash(&signing::approval(id, &lots), &domain)),
            ("closeRequestDigest", signing_hash(&CloseRequest { jobId: id }, &domain)),
            ("closeDigest", signing_hash(&Close { jobId: id }, &domain)),
        ];
        for (key, digest) in digests {
            assert_eq!(digest, hash(&job[key]), "{name}: {key}");
        }
        let entry = &job["rejection"];
        let rejection = Rejection {
            jobId: id,
            lotHash: hashes[read::<usize>(&entry["lotIndex"])],
            mask: read::<U256>(&entry["mask"]),
            reasonHash: hash(&entry["reasonHash"]),
        };
        assert_eq!(signing_hash(&rejection, &domain), hash(&entry["digest"]), "{name}");
    }
}

#[test]
fn vouchers_and_redemptions_match() {
    let golden = golden();
    for job in golden["jobs"].as_array().unwrap() {
        let (domain, id) = (domain_of(job), hash(&job["jobId"]));
        let entry = &job["redemption"];
        let cumulative: Amount = read(&entry["cumulative"]);
        let voucher = signing_hash(&signing::voucher(id, cumulative), &domain);
        assert_eq!(voucher, hash(&entry["voucherDigest"]));
        let payouts: Vec<Payout> = read(&entry["payouts"]);
        assert!(!payouts.is_empty());
        assert_eq!(payouts_hash(&payouts), hash(&entry["payoutsHash"]));
        let redemption = signing::redemption(id, cumulative, &payouts);
        assert_eq!(signing_hash(&redemption, &domain), hash(&entry["digest"]));
    }
}

#[test]
fn lots_and_their_amounts_match() {
    let golden = golden();
    for job in golden["jobs"].as_array().unwrap() {
        let order: Order = read_struct(&job["order"]);
        let id = hash(&job["jobId"]);
        for (lot, entry) in lots_of(job).iter().zip(job["lots"].as_array().unwrap()) {
            assert_eq!(lot_hash(id, lot), hash(&entry["lotHash"]));
            assert_eq!(units::count(lot.mask), read::<u32>(&entry["unitCount"]));
            let amount = units::lot_amount(lot).unwrap();
            let (fee, burn) = (amount.share(order.fee_bps), amount.share(order.burn_bps));
            let (fee, burn) = (fee.unwrap(), burn.unwrap());
            let net = amount.checked_sub(fee).unwrap().checked_sub(burn).unwrap();
            for (key, ours) in [("amount", amount), ("fee", fee), ("burn", burn), ("net", net)] {
                assert_eq!(read::<Amount>(&entry[key]), ours, "{key}");
            }
        }
    }
}

#[test]
fn receipts_roots_and_proofs_match() {
    let golden = golden();
    for job in golden["jobs"].as_array().unwrap() {
        let domain = domain_of(job);
        let mut digests = Vec::new();
        for entry in job["receipts"].as_array().unwrap() {
            let mut fields = entry["receipt"].clone();
            fields["jobId"] = job["jobId"].clone();
            let receipt: Receipt = read_struct(&fields);
            assert_eq!(receipt.digest(&domain), hash(&entry["digest"]));
            digests.push(receipt.digest(&domain));
        }
        let root = hash(&job["receiptsRoot"]);
        assert_eq!(receipts_root(&digests), root);
        let leaves = receipt_leaves(&digests);
        let proofs: Vec<Vec<B256>> = read(&job["receiptProofs"]);
        assert_eq!(proofs.len(), leaves.len());
        for (i, proof) in proofs.iter().enumerate() {
            assert_eq!(merkle::path(&leaves, i).as_ref(), Some(proof));
            assert!(merkle::verify(root, leaves[i], proof));
        }
    }
}

#[test]
fn registrations_and_slashing_pairs_match() {
    let golden = golden();
    let cases = golden["registry"].as_array().unwrap();
    assert_eq!(cases.len(), 2);
    for case in cases {
        let job = &golden["jobs"][read::<usize>(&case["job"])];
        let key = PrivateKeySigner::from_bytes(&hash(&case["key"])).unwrap();
        let act = &case["registration"];
        let consent = registry::Registration {
            owner: read(&act["owner"]),
            signer: read(&act["signer"]),
            payout: read(&act["payout"]),
            capabilitiesHash: hash(&act["capabilitiesHash"]),
        };
        assert_eq!(consent.signer, key.address());
        let domain = registry::domain(read(&job["chainId"]), read(&case["registry"]));
        assert_eq!(domain.separator(), hash(&case["domainSeparator"]));
        assert_eq!(consent.eip712_hash_struct(), hash(&case["structHash"]));
        assert_eq!(consent.digest(&domain), hash(&case["digest"]));
        let sign = |digest: B256| key.sign_hash_sync(&digest).unwrap().as_bytes().to_vec();
        assert_eq!(sign(hash(&case["digest"])), read::<Bytes>(&case["signature"]));

        let escrow = domain_of(job);
        let pair: Vec<(Receipt, Bytes)> = case["receipts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| {
                let mut fields = entry["receipt"].clone();
                fields["jobId"] = job["jobId"].clone();
                let receipt: Receipt = read_struct(&fields);
                assert_eq!(receipt.digest(&escrow), hash(&entry["digest"]));
                let word: Bytes = read(&entry["signature"]);
                assert_eq!(sign(receipt.digest(&escrow)), word);
                (receipt, word)
            })
            .collect();
        let [(first, one), (second, two)] = &pair[..] else { panic!("{} receipts", pair.len()) };
        let proof = registry::check_proof(key.address(), (first, one), (second, two), &escrow);
        assert_eq!(proof, Ok(()));
    }
}

#[test]
fn trees_match() {
    let golden = golden();
    let trees = golden["trees"].as_array().unwrap();
    assert!(trees.len() >= 6);
    for tree in trees {
        let values: Vec<B256> = read(&tree["leaves"]);
        let leaves: Vec<B256> = read(&tree["hashedLeaves"]);
        let ours: Vec<B256> = values.iter().map(|v| merkle::leaf(keccak256(v))).collect();
        assert_eq!(ours, leaves);
        assert_eq!(merkle::root(&leaves), hash(&tree["root"]));
        let proofs: Vec<Vec<B256>> = read(&tree["proofs"]);
        assert_eq!(proofs.len(), leaves.len());
        for (i, proof) in proofs.into_iter().enumerate() {
            assert_eq!(merkle::path(&leaves, i), Some(proof));
        }
    }
}

#[test]
fn key_and_output_match() {
    let golden = golden();
    let key = LotKey::from(hash(&golden["key"]["key"]));
    assert_eq!(key.commit(), hash(&golden["key"]["keyCommit"]));
    let output = &golden["output"];
    let ours = output_hash(hash(&output["pixelRoot"]), hash(&output["fileRoot"]));
    assert_eq!(ours, hash(&output["outputHash"]));
}

#[test]
fn addresses_read_from_the_file_are_whole() {
    let golden = golden();
    let job = &golden["jobs"][0];
    let text = job["order"]["payer"].as_str().unwrap();
    let order: Order = read_struct(&job["order"]);
    assert_eq!(order.payer, text.parse::<Address>().unwrap());
}
