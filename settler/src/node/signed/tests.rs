//! Tests that no second output of an attempt leaves a node, whatever happened before.
use alloy::primitives::Bytes;
use contracts::Receipt;

use super::*;

const JOB: B256 = B256::repeat_byte(2);

fn word(unit: u32, attempt: u32, output: u8) -> DeliveredUnit {
    let receipt = Receipt {
        job_id: JOB,
        unit,
        attempt,
        output_hash: B256::repeat_byte(output),
        preview_hash: B256::ZERO,
        key_commit: B256::ZERO,
        started_at: 1,
        finished_at: 2,
    };
    DeliveredUnit {
        receipt,
        signature: Bytes::new(),
        file_name: "demo_0001.png".into(),
        opened_hash: B256::ZERO,
        stored_hash: B256::ZERO,
    }
}

#[test]
fn one_output_for_each_attempt_is_kept_over_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let signed = || Signed::at(folder.path().to_path_buf());
    assert!(signed().outputs(JOB).unwrap().is_empty());
    signed().keep(JOB, &[word(0, 1, 5), word(1, 1, 6)]).unwrap();
    // The same words again, and other attempts, units and jobs, are no contradiction.
    signed().keep(JOB, &[word(1, 1, 6), word(1, 2, 7), word(2, 1, 7)]).unwrap();
    signed().keep(B256::ZERO, &[word(0, 1, 9)]).unwrap();
    let before = signed().outputs(JOB).unwrap();
    assert_eq!(before.len(), 4);
    assert_eq!(before[&(1, 2)], B256::repeat_byte(7));

    // Nothing of a refused delivery stays, or an honest one later would be refused for it.
    let refused = signed().keep(JOB, &[word(9, 1, 1), word(0, 1, 6)]).unwrap_err();
    assert!(matches!(refused, JournalError::SignedBefore { unit: 0, attempt: 1 }), "{refused}");
    assert_eq!(signed().outputs(JOB).unwrap(), before);
    let refused = signed().keep(JOB, &[word(3, 1, 1), word(3, 1, 2)]).unwrap_err();
    assert!(matches!(refused, JournalError::SignedBefore { unit: 3, attempt: 1 }), "{refused}");
    assert_eq!(signed().outputs(JOB).unwrap(), before);
}

#[test]
fn a_line_that_a_crash_cut_is_dropped_and_a_garbled_one_stops_the_node() {
    let folder = tempfile::tempdir().unwrap();
    let signed = Signed::at(folder.path().to_path_buf());
    signed.keep(JOB, &[word(0, 1, 5)]).unwrap();
    let path = signed.path(JOB);
    let whole = std::fs::read(&path).unwrap();
    signed.keep(JOB, &[word(1, 1, 6)]).unwrap();
    let both = std::fs::read(&path).unwrap();
    for cut in whole.len()..both.len() {
        std::fs::write(&path, &both[..cut]).unwrap();
        assert_eq!(signed.outputs(JOB).unwrap().len(), 1, "cut at {cut}");
        // Nobody saw that word: another one may take its place.
        signed.keep(JOB, &[word(1, 1, 7)]).unwrap();
        assert_eq!(signed.outputs(JOB).unwrap()[&(1, 1)], B256::repeat_byte(7));
        assert_eq!(std::fs::read(&path).unwrap().len(), both.len());
    }
    std::fs::write(&path, b"{}\n").unwrap();
    let garbled = signed.keep(JOB, &[word(0, 2, 1)]).unwrap_err();
    assert!(matches!(garbled, JournalError::Garbled { .. }), "{garbled}");
}
