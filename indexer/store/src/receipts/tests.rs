//! Tests of receipts.rs: a delivery is accepted whole, once, and only for an active lease.

use alloy::primitives::U256;

use super::*;
use crate::testing::{Draw, World, amount, hash, on_both};

struct Delivery {
    lease: Lease,
    units: Vec<(u32, u32)>,
    draft: LotDraft,
    receipts: Vec<ReceiptRow>,
}

/// Units 260 and 511 of word 1.
fn delivery(seed: u64) -> Delivery {
    let mut draw = Draw::new(seed);
    let lease = draw.lease(hash(7));
    let units = vec![(260, 2), (511, 1)];
    let (lot_hash, node) = (draw.hash(), lease.node);
    let mask = (U256::from(1) << 4) | (U256::from(1) << 255);
    let lot = Lot { node, word: 1, mask, unit_price: amount(9), ..draw.lot() };
    let draft = LotDraft {
        lot_hash,
        job_id: lease.job_id,
        lease_id: lease.lease_id.clone(),
        lot,
        acceptance: Bytes::from_static(&[5; 65]),
        lot_key: Some(Bytes::from_static(&[6; 60])),
        accepted_at: 1_050,
    };
    let receipts = units.iter().map(|(unit, attempt)| ReceiptRow {
        job_id: lease.job_id,
        unit: *unit,
        attempt: *attempt,
        node,
        output_hash: draw.hash(),
        preview_hash: draw.hash(),
        key_commit: draft.lot.key_commit,
        started_at: 1_001,
        finished_at: 1_040,
        signature: Bytes::from_static(&[8; 65]),
        lot_hash,
        pixel_root: draw.hash(),
        file_root: draw.hash(),
        file_name: format!("frame_{unit:04}.png"),
        opened_hash: draw.hash(),
        stored_hash: draw.hash(),
        stored_size: draw.number(40),
        preview_object: draw.hash(),
    });
    let receipts = receipts.collect();
    Delivery { lease, units, draft, receipts }
}

async fn take(world: &World, delivery: &Delivery) {
    let taken = world.store.work().take_lease(&delivery.lease, &delivery.units).await;
    assert!(taken.unwrap());
}

#[tokio::test]
async fn an_accepted_delivery_is_read_back_whole() {
    on_both(|world| async move {
        let (work, reader) = (world.store.work(), world.store.reader());
        let d = delivery(1);
        take(&world, &d).await;
        work.accept_lot(&d.draft, &d.receipts).await.unwrap();
        let lease = reader.lease(&d.lease.lease_id).await.unwrap().unwrap();
        assert_eq!(lease, Lease { state: LeaseState::Accepted, ..d.lease.clone() });
        assert_eq!(reader.lot_draft(d.draft.lot_hash).await.unwrap(), Some(d.draft.clone()));
        assert_eq!(
            reader.lot_drafts_of_job(hash(7)).await.unwrap(),
            std::slice::from_ref(&d.draft)
        );
        assert_eq!(reader.receipts_of_job(hash(7)).await.unwrap(), d.receipts);
        assert_eq!(reader.receipts_of_lot(d.draft.lot_hash).await.unwrap(), d.receipts);
        let signed = d.receipts[0].receipt();
        assert_eq!((signed.unit, signed.attempt, signed.started_at), (260, 2, 1_001));
        assert_eq!(signed.output_hash, d.receipts[0].output_hash);
        // An unsealed one beside it.
        let mut bare = delivery(2);
        (bare.units[0].1, bare.units[1].1) = (3, 2);
        (bare.receipts[0].attempt, bare.receipts[1].attempt) = (3, 2);
        bare.draft.lot_key = None;
        take(&world, &bare).await;
        work.accept_lot(&bare.draft, &bare.receipts).await.unwrap();
        assert_eq!(reader.lot_draft(bare.draft.lot_hash).await.unwrap(), Some(bare.draft));
        assert_eq!(reader.lot_draft(hash(1)).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn a_lease_that_is_not_active_is_refused() {
    on_both(|world| async move {
        let (work, reader) = (world.store.work(), world.store.reader());
        let d = delivery(1);
        let error = work.accept_lot(&d.draft, &d.receipts).await.unwrap_err();
        assert!(matches!(error, Error::Missing { what: "lease", .. }), "{error}");
        take(&world, &d).await;
        work.expire_leases(9_999).await.unwrap();
        let error = work.accept_lot(&d.draft, &d.receipts).await.unwrap_err();
        assert!(error.to_string().contains("is expired, not active"), "{error}");
        assert!(reader.receipts_of_job(hash(7)).await.unwrap().is_empty());
        assert!(reader.lot_drafts_of_job(hash(7)).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_delivery_is_accepted_once_whoever_races() {
    on_both(|world| async move {
        let d = delivery(1);
        take(&world, &d).await;
        let racing = (0..6).map(|_| {
            let (work, draft, receipts) = (world.store.work(), d.draft.clone(), d.receipts.clone());
            tokio::spawn(async move { work.accept_lot(&draft, &receipts).await })
        });
        let mut accepted = 0;
        for done in futures::future::join_all(racing).await {
            match done.unwrap() {
                Ok(()) => accepted += 1,
                Err(error) => assert!(matches!(error, Error::LeaseNotActive { .. }), "{error}"),
            }
        }
        assert_eq!(accepted, 1);
        assert_eq!(world.store.reader().receipts_of_job(hash(7)).await.unwrap().len(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_delivery_that_does_not_fit_its_lease_changes_nothing() {
    on_both(|world| async move {
        let (work, reader) = (world.store.work(), world.store.reader());
        let d = delivery(1);
        take(&world, &d).await;
        let mut wrong: Vec<(LotDraft, Vec<ReceiptRow>)> = Vec::new();
        for change in 0..9 {
            let (mut draft, mut receipts) = (d.draft.clone(), d.receipts.clone());
            match change {
                0 => draft.job_id = hash(8),
                1 => draft.lot.node = Draw::new(9).address(),
                2 => draft.lot.mask |= U256::from(1),
                3 => draft.lot.word = 2,
                4 => receipts[0].attempt = 1,
                5 => receipts[0].lot_hash = hash(1),
                6 => receipts[0].job_id = hash(8),
                7 => receipts[1].finished_at = -1,
                _ => drop(receipts.pop()),
            }
            wrong.push((draft, receipts));
        }
        let twice = [d.receipts.clone(), d.receipts.clone()].concat();
        wrong.push((d.draft.clone(), twice));
        for (draft, receipts) in wrong {
            let error = work.accept_lot(&draft, &receipts).await.unwrap_err();
            assert!(matches!(error, Error::WrongDelivery(_)), "{error}");
        }
        assert_eq!(reader.active_leases().await.unwrap(), [d.lease]);
        assert!(reader.receipts_of_job(hash(7)).await.unwrap().is_empty());
        work.accept_lot(&d.draft, &d.receipts).await.unwrap();
    })
    .await;
}
