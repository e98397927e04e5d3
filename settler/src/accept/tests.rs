//! Deliveries, honest and not, against a store on disk: what is signed, and what never is.

use alloy::primitives::U256;
use contracts::order::lots_hash_of;
use contracts::units::units_in;

use super::*;
use crate::node::UnitTask;
use crate::pixels::DecodeError;
use crate::tests::office::{Office, png};

const UNITS: &[(u32, u32)] = &[(0, 1), (1, 1)];

fn key() -> LotKey {
    LotKey::new([7; 32])
}

async fn accept(
    office: &Office,
    id: &str,
    delivery: &Delivery,
    now: i64,
) -> Result<Accepted, Refusal> {
    let lease = office.store.reader().lease(id).await.unwrap().unwrap();
    office.notary.accept(&office.store, &office.specs, &lease, delivery.clone(), now).await
}

#[tokio::test]
async fn an_honest_delivery_is_stored_whole_and_signed() {
    let (office, now) = (Office::open(true).await, crate::now());
    office.lease("a", UNITS, now).await;
    let delivery = office.delivery(UNITS, Some(&key()), now).await;
    let accepted = accept(&office, "a", &delivery, now).await.unwrap();
    assert_eq!(units_in(accepted.lot.word, accepted.lot.mask), [0, 1]);
    assert_eq!(accepted.lot.key_commit, key().commit());
    let act = signing::acceptance(office.job_id(), std::slice::from_ref(&accepted.lot));
    assert_eq!(act.lotsHash, lots_hash_of(office.job_id(), std::slice::from_ref(&accepted.lot)));
    let digest = signing::signing_hash(&act, office.notary.domain());
    let signer = signing::recover(digest, &accepted.acceptance).unwrap();
    assert_eq!(signer, office.notary.settler());

    let reader = office.store.reader();
    let lease = reader.lease("a").await.unwrap().unwrap();
    assert_eq!(lease.state, LeaseState::Accepted);
    let draft = reader.lot_draft(accepted.lot_hash).await.unwrap().unwrap();
    let sealed = draft.lot_key.unwrap();
    assert!(!sealed.windows(32).any(|bytes| bytes == key().bytes()), "the key lies open at rest");
    assert_eq!(office.notary.open_key(accepted.lot_hash, &sealed), Some(key()));
    assert_eq!(office.notary.open_key(B256::ZERO, &sealed), None);
    let rows = reader.receipts_of_lot(accepted.lot_hash).await.unwrap();
    assert_eq!(rows.len(), 2);
    for (row, sent) in rows.iter().zip(&delivery.receipts) {
        assert_eq!(row.receipt(), sent.receipt);
        assert_eq!(contracts::receipt::output_hash(row.pixel_root, row.file_root), row.output_hash);
        let preview = office.store.objects().get(row.preview_object).await.unwrap().unwrap();
        let preview = image::load_from_memory(&preview).unwrap();
        assert_eq!((preview.width(), preview.height()), (20, 15));
    }
}

#[tokio::test]
async fn the_same_delivery_again_gets_the_same_answer_and_another_one_none() {
    let (office, now) = (Office::open(true).await, crate::now());
    office.lease("a", UNITS, now).await;
    let delivery = office.delivery(UNITS, Some(&key()), now).await;
    let first = accept(&office, "a", &delivery, now).await.unwrap();
    // After a crash, long after the lease.
    let again = accept(&office, "a", &delivery, now + 5_000).await.unwrap();
    assert_eq!(first, again);
    let other = office.delivery(UNITS, Some(&LotKey::new([8; 32])), now).await;
    let refusal = accept(&office, "a", &other, now).await.unwrap_err();
    assert!(matches!(refusal, Refusal::OtherDelivery), "{refusal}");
    assert_eq!(office.store.reader().lot_drafts_of_job(office.job_id()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn two_deliveries_at_once_get_one_lot() {
    let (office, now) = (Office::open(true).await, crate::now());
    office.lease("a", UNITS, now).await;
    let delivery = office.delivery(UNITS, Some(&key()), now).await;
    let (one, two) =
        tokio::join!(accept(&office, "a", &delivery, now), accept(&office, "a", &delivery, now));
    assert_eq!(one.unwrap(), two.unwrap());
}

#[tokio::test]
async fn a_delivery_after_its_time_is_good_while_nobody_ended_the_lease() {
    let (office, now) = (Office::open(true).await, crate::now());
    office.lease("a", UNITS, now).await;
    let delivery = office.delivery(UNITS, Some(&key()), now).await;
    assert!(accept(&office, "a", &delivery, now + 60).await.is_ok());
}

#[tokio::test]
async fn an_expired_or_failed_lease_is_lost() {
    let (office, now) = (Office::open(true).await, crate::now());
    office.lease("a", UNITS, now).await;
    let delivery = office.delivery(UNITS, Some(&key()), now).await;
    office.store.work().expire_leases(now + 60).await.unwrap();
    let late = accept(&office, "a", &delivery, now).await.unwrap_err();
    assert!(matches!(late, Refusal::LeaseLost { .. }) && late.blamed(&[0, 1]).is_none(), "{late}");
    // The next attempt is another lease; receipts of the first are no good for it.
    office.lease("b", &[(0, 2), (1, 2)], now).await;
    let old = accept(&office, "b", &delivery, now).await.unwrap_err();
    let problem = ReceiptProblem::OtherAttempt { found: 1, expected: 2 };
    assert!(matches!(old, Refusal::Receipt { problem: p, .. } if p == problem));
}

/// One wrong delivery: what it is refused with, and who is to blame. Nothing may be stored.
async fn refused(change: impl AsyncFn(&Office, &mut Delivery, i64)) -> Refusal {
    let (office, now) = (Office::open(true).await, crate::now());
    office.lease("a", UNITS, now).await;
    let mut delivery = office.delivery(UNITS, Some(&key()), now).await;
    change(&office, &mut delivery, now).await;
    let refusal = accept(&office, "a", &delivery, now).await.unwrap_err();
    let reader = office.store.reader();
    assert!(reader.lot_drafts_of_job(office.job_id()).await.unwrap().is_empty());
    assert!(reader.receipts_of_job(office.job_id()).await.unwrap().is_empty());
    assert_eq!(reader.lease("a").await.unwrap().unwrap().state, LeaseState::Active);
    refusal
}

/// Replaces unit 1 by another file, finished and signed as if it were good.
async fn swap(office: &Office, delivery: &mut Delivery, finished: crate::node::finish::Finished) {
    delivery.receipts[1] = office.handed_in(finished, &office.node).await;
}

const SECOND: UnitTask = UnitTask { unit: 1, frame: 2, attempt: 1 };

#[tokio::test]
async fn incomplete_doubled_and_keyless_deliveries_are_refused() {
    let refusal = refused(async |_, d, _| drop(d.receipts.pop())).await;
    assert!(matches!(&refusal, Refusal::Incomplete { missing } if missing == &[1]));
    assert_eq!(refusal.blamed(&[0, 1]), Some(vec![1]));
    let refusal = refused(async |_, d, _| d.receipts.push(d.receipts[0].clone())).await;
    assert!(matches!(refusal, Refusal::Twice { unit: 0 }), "{refusal}");
    let refusal = refused(async |_, d, _| d.lot_key = None).await;
    assert!(matches!(refusal, Refusal::NoKey));
    assert_eq!(refusal.blamed(&[0, 1]), Some(vec![0, 1]));
    let refusal = refused(async |_, d, _| d.receipts.clear()).await;
    assert!(matches!(refusal, Refusal::Incomplete { missing } if missing == [0, 1]));
}

#[tokio::test]
async fn wrong_keys_and_forged_receipts_are_refused() {
    let refusal = refused(async |_, d, _| d.lot_key = Some(B256::repeat_byte(9))).await;
    assert!(matches!(
        refusal,
        Refusal::Receipt { unit: 0, problem: ReceiptProblem::OtherKey { .. } }
    ));
    let refusal = refused(async |office, d, now| {
        let thief = PrivateKeySigner::random();
        let finished = office.finished(SECOND, &office.picture(1), Some(&key()), now);
        d.receipts[1] = office.handed_in(finished, &thief).await;
    })
    .await;
    assert!(matches!(
        refusal,
        Refusal::Receipt { unit: 1, problem: ReceiptProblem::OtherSigner { .. } }
    ));
    // Receipts name the key's hash, but the file is sealed under another key.
    let refusal = refused(async |office, d, now| {
        let mut finished =
            office.finished(SECOND, &office.picture(1), Some(&LotKey::new([9; 32])), now);
        finished.receipt.key_commit = key().commit();
        swap(office, d, finished).await;
    })
    .await;
    assert!(matches!(refusal, Refusal::File { unit: 1, problem: OpeningProblem::Seal(_) }));
    assert_eq!(refusal.blamed(&[0, 1]), Some(vec![1]));
}

#[tokio::test]
async fn a_file_of_another_frame_does_not_open() {
    let refusal = refused(async |office, d, now| {
        let other = UnitTask { unit: 0, frame: 1, attempt: 1 };
        let zero = office.finished(other, &office.picture(0), Some(&key()), now);
        let mut one = office.finished(SECOND, &office.picture(0), Some(&key()), now);
        (one.stored_hash, one.stored) = (zero.stored_hash, zero.stored);
        swap(office, d, one).await;
    })
    .await;
    assert!(matches!(refusal, Refusal::File { unit: 1, problem: OpeningProblem::Seal(_) }));
    let refusal = refused(async |_, d, _| d.receipts[1].file_name = "demo_0001.png".into()).await;
    assert!(matches!(refusal, Refusal::File { unit: 1, problem: OpeningProblem::Name { .. } }));
}

#[tokio::test]
async fn missing_cut_and_altered_files_are_refused() {
    let refusal = refused(async |_, d, _| d.receipts[1].stored_hash = B256::ZERO).await;
    assert!(matches!(refusal, Refusal::FileMissing { unit: 1, .. }));
    assert_eq!(refusal.blamed(&[0, 1]), None, "it can be uploaded and delivered again");
    let refusal = refused(async |office, d, now| {
        let mut finished = office.finished(SECOND, &office.picture(1), Some(&key()), now);
        finished.stored.truncate(finished.stored.len() - 20);
        finished.stored_hash = alloy::primitives::keccak256(&finished.stored);
        swap(office, d, finished).await;
    })
    .await;
    assert!(matches!(refusal, Refusal::File { unit: 1, problem: OpeningProblem::Seal(_) }));
    let refusal = refused(async |_, d, _| d.receipts[1].opened_hash = B256::ZERO).await;
    assert!(matches!(
        refusal,
        Refusal::File { unit: 1, problem: OpeningProblem::OpenedHash { .. } }
    ));
}

/// Seals any bytes as unit 1 with a receipt that is true of the bytes, but not of a picture.
async fn forge(office: &Office, d: &mut Delivery, bytes: &[u8], now: i64) {
    let mut finished = office.finished(SECOND, &office.picture(1), Some(&key()), now);
    let (job_id, name) = (office.job_id(), finished.file_name.clone());
    let id = contracts::seal::FileId { job_id, unit: 1, attempt: 1, name: &name };
    finished.stored = contracts::seal::seal(&key(), &id, bytes, [3; 7]).unwrap();
    finished.stored_hash = alloy::primitives::keccak256(&finished.stored);
    finished.opened_hash = alloy::primitives::keccak256(bytes);
    swap(office, d, finished).await;
}

#[tokio::test]
async fn garbage_wrong_sizes_and_giants_are_refused() {
    let refusal = refused(async |office, d, now| forge(office, d, b"no picture", now).await).await;
    let Refusal::File { unit: 1, problem } = refusal else { panic!("{refusal}") };
    assert!(matches!(problem, OpeningProblem::Decode(DecodeError::Unreadable { .. })));
    let refusal =
        refused(async |office, d, now| forge(office, d, &png(41, 30, 1), now).await).await;
    let Refusal::File { unit: 1, problem } = refusal else { panic!("{refusal}") };
    assert!(matches!(problem, OpeningProblem::Size { found_w: 41, found_h: 30, w: 40, h: 30 }));
    let giant = refused(async |office, d, now| {
        forge(office, d, &png(60_000, 10, 1)[..2_000], now).await;
    });
    let Refusal::File { problem, .. } = giant.await else { panic!("a giant was taken") };
    assert!(matches!(problem, OpeningProblem::Size { found_w: 60_000, found_h: 10, .. }));
    let cut = refused(async |office, d, now| {
        let whole = office.picture(1);
        forge(office, d, &whole[..whole.len() / 2], now).await;
    });
    let Refusal::File { problem, .. } = cut.await else { panic!("half a picture was taken") };
    assert!(matches!(problem, OpeningProblem::Decode(_)), "{problem}");
}

#[tokio::test]
async fn other_pixels_than_the_receipt_says_are_refused() {
    let refusal = refused(async |office, d, now| {
        let other = office.picture(99);
        forge(office, d, &other, now).await;
    })
    .await;
    assert!(matches!(
        refusal,
        Refusal::File { unit: 1, problem: OpeningProblem::OutputHash { .. } }
    ));
    let refusal = refused(async |office, d, now| {
        let mut finished = office.finished(SECOND, &office.picture(1), Some(&key()), now);
        finished.receipt.preview_hash = B256::ZERO;
        swap(office, d, finished).await;
    })
    .await;
    assert!(matches!(
        refusal,
        Refusal::File { unit: 1, problem: OpeningProblem::PreviewHash { .. } }
    ));
}

#[tokio::test]
async fn unsealed_leases_take_plain_files_and_no_key() {
    let (office, now) = (Office::open(false).await, crate::now());
    office.lease("a", UNITS, now).await;
    let mut delivery = office.delivery(UNITS, None, now).await;
    delivery.lot_key = Some(B256::ZERO);
    let refusal = accept(&office, "a", &delivery, now).await.unwrap_err();
    assert!(matches!(refusal, Refusal::UnwantedKey));
    delivery.lot_key = None;
    let accepted = accept(&office, "a", &delivery, now).await.unwrap();
    assert!(!accepted.lot.is_sealed());
    assert_eq!(accepted.lot.mask, U256::from(3));
    let draft = office.store.reader().lot_draft(accepted.lot_hash).await.unwrap().unwrap();
    assert_eq!(draft.lot_key, None);
}
