//! What may be handed out when, and that only what the node signed is.

use alloy::primitives::B256;
use async_zip::base::read1::ZipOptions;
use async_zip::base::read1::seek::ZipArchiveReader;
use axum::body::to_bytes;
use contracts::seal::seal;
use futures::AsyncReadExt;
use futures::io::Cursor;
use store::{LotStatus, Store};

use super::*;
use crate::record::testing::{JOB, NOW, WINDOW_END, opened};

fn code<T>(result: Result<T, Problem>) -> Code {
    match result {
        Ok(_) => panic!("was handed out"),
        Err(problem) => problem.code,
    }
}

fn sealed(record: &Record, unit: u32, at: i64) -> Result<(), Code> {
    sealed_receipt(record, unit, at).map(|_| ()).map_err(|problem| problem.code)
}

#[test]
fn finals_are_refused_until_the_chain_shows_the_settle() {
    let mut record = opened();
    assert_eq!(code(paid(&record, 0, NOW)), Code::NotPaid);
    let lot = record.deliver(&[0, 1]);
    assert_eq!(code(paid(&record, 0, NOW)), Code::NotPaid);
    for status in [LotStatus::Committed, LotStatus::Approved, LotStatus::Lapsed] {
        record.on_chain(lot, status, &[]);
        assert_eq!(code(paid(&record, 0, WINDOW_END)), Code::NotPaid, "{status:?}");
    }
    assert_eq!(code(paid(&record, 12, NOW)), Code::UnitNotFound);
}

#[test]
fn a_paid_unit_is_handed_out_and_its_rejected_neighbour_is_not() {
    let mut record = opened();
    let lot = record.deliver(&[0, 1]);
    record.on_chain(lot, LotStatus::Settled, &[1]);
    record.lots.get_mut(&lot).unwrap().chain.as_mut().unwrap().lot_key = Some(B256::ZERO);
    assert_eq!(paid(&record, 0, NOW).unwrap().attempt, 1);
    assert_eq!(code(paid(&record, 1, NOW)), Code::NotPaid);
    assert_eq!(sealed(&record, 1, WINDOW_END), Err(Code::UnitRejected));
}

#[test]
fn a_paid_sealed_lot_without_a_key_is_an_altered_index() {
    let mut record = opened();
    let lot = record.deliver(&[0]);
    record.on_chain(lot, LotStatus::Settled, &[]);
    assert_eq!(code(paid(&record, 0, NOW)), Code::FileDamaged);
}

#[test]
fn a_sealed_file_is_held_back_while_any_unit_under_its_key_can_be_rejected() {
    let mut record = opened();
    let (alone, both) = (record.deliver(&[0]), record.deliver(&[1, 2]));
    assert_eq!(sealed(&record, 0, NOW), Ok(()), "alone under its key");
    assert_eq!(sealed(&record, 1, NOW), Err(Code::StillSealed), "not on chain");
    record.on_chain(both, LotStatus::Committed, &[]);
    assert_eq!(sealed(&record, 1, WINDOW_END - 1), Err(Code::StillSealed));
    assert_eq!(sealed(&record, 1, WINDOW_END), Ok(()));
    record.on_chain(both, LotStatus::Approved, &[]);
    assert_eq!(sealed(&record, 1, NOW), Ok(()));
    record.on_chain(both, LotStatus::Lapsed, &[]);
    assert_eq!(sealed(&record, 1, WINDOW_END), Err(Code::StillSealed));
    record.refuse(alone, &[0]);
    assert_eq!(sealed(&record, 0, NOW), Err(Code::UnitRejected), "a signed word is enough");
    assert_eq!(sealed(&record, 5, NOW), Err(Code::StillSealed), "not rendered");
    assert_eq!(sealed(&record, 12, NOW), Err(Code::UnitNotFound));
}

#[test]
fn the_file_of_a_lot_that_is_not_sealed_is_the_final_and_waits_for_its_payment() {
    let mut record = opened();
    let lot = record.deliver_under(&[0], B256::ZERO);
    assert_eq!(sealed(&record, 0, NOW), Err(Code::NotPaid));
    assert_eq!(code(paid(&record, 0, NOW)), Code::NotPaid);
    record.on_chain(lot, LotStatus::Released, &[]);
    assert_eq!(sealed(&record, 0, NOW), Ok(()));
    assert!(paid(&record, 0, NOW).unwrap().key.is_none());
}

struct Files {
    _folder: tempfile::TempDir,
    objects: Objects,
}

async fn files() -> Files {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("t.db").display());
    let store = Store::open(&url, &folder.path().join("objects")).await.unwrap();
    Files { _folder: folder, objects: store.objects() }
}

async fn sealed_final(objects: &Objects, unit: u32, plain: &[u8]) -> Final {
    let key = LotKey::new([3; 32]);
    let name = format!("demo_{unit:04}.png");
    let file = FileId { job_id: JOB, unit, attempt: 1, name: &name };
    let stored = seal(&key, &file, plain, [1; 7]).unwrap();
    let stored_hash = objects.put(stored.into()).await.unwrap();
    Final {
        job_id: JOB,
        unit,
        attempt: 1,
        finished_at: NOW,
        opened_hash: keccak256(plain),
        stored_hash,
        key: Some(key),
        file_name: name,
    }
}

#[tokio::test]
async fn a_final_opens_with_its_key_and_only_as_what_was_signed() {
    let files = files().await;
    let good = sealed_final(&files.objects, 4, b"picture").await;
    assert_eq!(good.clone().open(&files.objects).await.unwrap(), &b"picture"[..]);
    let other_key = Final { key: Some(LotKey::new([4; 32])), ..good.clone() };
    assert_eq!(code(other_key.open(&files.objects).await), Code::FileDamaged);
    let other_unit = Final { unit: 5, ..good.clone() };
    assert_eq!(code(other_unit.open(&files.objects).await), Code::FileDamaged);
    let other_picture = Final { opened_hash: keccak256(b"other"), ..good.clone() };
    assert_eq!(code(other_picture.open(&files.objects).await), Code::FileDamaged);
    files.objects.delete(good.stored_hash).await.unwrap();
    assert_eq!(code(good.open(&files.objects).await), Code::FileGone);
}

#[tokio::test]
async fn an_archive_holds_every_file_by_name_and_uncompressed() {
    let files = files().await;
    let large = vec![5; 3 * ZIP_BUFFER];
    let a = sealed_final(&files.objects, 1, b"first").await;
    let b = sealed_final(&files.objects, 2, &large).await;
    let body = zip(files.objects.clone(), Arc::from(vec![a, b]));
    let bytes = to_bytes(body, 16 * ZIP_BUFFER).await.unwrap();
    assert!(bytes.windows(5).any(|bytes| bytes == b"first"), "stored as it is");
    let reader = Cursor::new(&bytes[..]);
    let mut archive =
        ZipArchiveReader::open_with_options(reader, ZipOptions::untrusted()).await.unwrap();
    let mut found = Vec::new();
    for (index, record) in archive.cdrs().to_vec().iter().enumerate() {
        let name = record.insecure_file_name.as_str().unwrap().to_owned();
        let mut content = Vec::new();
        archive.file(index).await.unwrap().read_to_end(&mut content).await.unwrap();
        found.push((name, content));
    }
    let wanted = [("demo_0001.png".to_owned(), b"first".to_vec()), ("demo_0002.png".into(), large)];
    assert_eq!(found, wanted);
}

#[tokio::test]
async fn an_archive_with_a_file_that_does_not_open_breaks_off() {
    let files = files().await;
    let a = sealed_final(&files.objects, 1, b"first").await;
    let b = sealed_final(&files.objects, 2, b"second").await;
    files.objects.delete(b.stored_hash).await.unwrap();
    let body = zip(files.objects.clone(), Arc::from(vec![a, b]));
    assert!(to_bytes(body, 16 * ZIP_BUFFER).await.is_err());
}

#[test]
fn an_archive_has_a_limit() {
    assert!(check_count(ZIP_FILES).is_ok());
    assert_eq!(code(check_count(ZIP_FILES + 1)), Code::BadFrames);
}
