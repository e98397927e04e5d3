//! Tests of what a node finds on disk after a crash.
use std::os::unix::fs::PermissionsExt;

use alloy::primitives::{Address, B256, Bytes, U256};
use contracts::spec::{Animation, Chunk, Engine, JobSpec, Output, Quality, Resolution, Tier};
use contracts::{Amount, Lot, Receipt};

use super::*;
use crate::node::UnitTask;
use contracts::scene::Manifest;

fn offer(lease_id: &str) -> LeaseOffer {
    let spec = JobSpec {
        version: 1,
        engine: Engine::Povray,
        engine_version: "3.7.0.10".into(),
        scene: B256::repeat_byte(1),
        entry: "demo.pov".into(),
        frames: "1-2".into(),
        resolution: Resolution { width: 4, height: 2 },
        quality: Quality::default(),
        output: Output::default(),
        animation: Some(Animation { fps: 24, first: 1, last: 2 }),
        tier: Tier::Economy,
        chunk: Chunk::default(),
        attempts: 3,
        timeout_seconds: 60,
    };
    let task = |unit: u32| UnitTask { unit, frame: i64::from(unit) + 1, attempt: 1 };
    LeaseOffer {
        lease_id: lease_id.into(),
        job_id: B256::repeat_byte(2),
        escrow: Address::repeat_byte(3),
        chain_id: 1337,
        units: vec![task(0), task(1)],
        spec: spec.validate().unwrap(),
        scene: Manifest { files: Vec::new() },
        unit_price: Amount::from(7u64),
        expires_at: 100,
        renew_seconds: 10,
        sealed: true,
    }
}

fn word(unit: u32) -> DeliveredUnit {
    let receipt = Receipt {
        job_id: B256::repeat_byte(2),
        unit,
        attempt: 1,
        output_hash: B256::repeat_byte(4),
        preview_hash: B256::repeat_byte(5),
        key_commit: B256::repeat_byte(6),
        started_at: 1,
        finished_at: 2,
    };
    DeliveredUnit {
        receipt,
        signature: Bytes::from(vec![7; 65]),
        file_name: "demo_0001.png".into(),
        opened_hash: B256::repeat_byte(8),
        stored_hash: B256::repeat_byte(9),
    }
}

fn accepted() -> Accepted {
    let lot = Lot {
        node: Address::repeat_byte(1),
        word: 0,
        mask: U256::from(3),
        unit_price: Amount::from(7u64),
        receipts_root: B256::ZERO,
        key_commit: B256::ZERO,
    };
    Accepted { lot, lot_hash: B256::ZERO, acceptance: Bytes::new() }
}

#[test]
fn what_was_said_is_read_back_word_for_word_after_a_crash() {
    let (root, archive) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let journal = Journal::begin(root.path(), offer("a1"), Some(b"key")).unwrap();
    journal.put_unit(&word(1), b"picture").unwrap();
    drop(journal);
    let found = Journal::unfinished(root.path(), archive.path()).unwrap();
    assert_eq!(found.len(), 1);
    let journal = &found[0];
    assert_eq!(journal.offer, offer("a1"));
    assert_eq!(journal.sealed_key().unwrap().as_deref(), Some(&b"key"[..]));
    assert_eq!(journal.unit(1).unwrap(), Some(word(1)));
    assert_eq!(journal.stored(1).unwrap().as_deref(), Some(&b"picture"[..]));
    assert_eq!(journal.unit(0).unwrap(), None, "unit 0 is rendered anew");
    let mode = std::fs::metadata(root.path().join("a1/unit-1.stored")).unwrap().permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
}

#[test]
fn a_file_without_its_signed_word_does_not_count() {
    let (root, archive) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let journal = Journal::begin(root.path(), offer("a1"), None).unwrap();
    journal.put_unit(&word(0), b"picture").unwrap();
    // As a crash between the two writes, or in the middle of one, leaves it.
    std::fs::rename(root.path().join("a1/unit-0.json"), root.path().join("a1/unit-0.json.new"))
        .unwrap();
    let found = Journal::unfinished(root.path(), archive.path()).unwrap();
    assert_eq!(found[0].unit(0).unwrap(), None);
}

#[test]
fn an_accepted_lease_keeps_words_and_consent_and_is_not_done_again() {
    let (root, archive) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let journal = Journal::begin(root.path(), offer("a1"), Some(b"key")).unwrap();
    journal.put_unit(&word(0), b"one").unwrap();
    journal.put_unit(&word(1), b"two").unwrap();
    journal.put_accepted(&accepted(), archive.path()).unwrap();
    assert!(Journal::unfinished(root.path(), archive.path()).unwrap().is_empty());
    assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 0, "nothing is looked through");
    let kept = archive.path().join("a1");
    let consent: Accepted = read_json(&kept.join("accepted.json")).unwrap().unwrap();
    assert_eq!(consent, accepted());
    let said: DeliveredUnit = read_json(&kept.join("unit-0.json")).unwrap().unwrap();
    assert_eq!(said, word(0));
    assert!(!kept.join("unit-0.stored").exists(), "the file is the settler's now");
}

#[test]
fn an_accepted_lease_that_a_crash_kept_from_the_archive_goes_there_next_time() {
    let (root, archive) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let journal = Journal::begin(root.path(), offer("a1"), None).unwrap();
    journal.write_json(ACCEPTED, &accepted()).unwrap();
    assert!(Journal::unfinished(root.path(), archive.path()).unwrap().is_empty());
    assert!(archive.path().join("a1/accepted.json").exists() && !root.path().join("a1").exists());
}

#[test]
fn leftovers_before_the_offer_are_cleared_and_bad_ids_refused() {
    let (root, archive) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::create_dir(root.path().join("a1")).unwrap();
    std::fs::write(root.path().join("a1/lot-key.sealed"), b"key").unwrap();
    assert!(Journal::unfinished(root.path(), archive.path()).unwrap().is_empty());
    assert!(!root.path().join("a1").exists());
    for bad in ["../a1", "a/b", "", ".", ".."] {
        let refused = Journal::begin(root.path(), offer(bad), None);
        assert!(matches!(refused, Err(JournalError::LeaseId(_))), "{bad}");
    }
    std::fs::create_dir(root.path().join("a2")).unwrap();
    std::fs::write(root.path().join("a2/offer.json"), b"{").unwrap();
    assert!(matches!(
        Journal::unfinished(root.path(), archive.path()),
        Err(JournalError::Garbled { .. })
    ));
}
