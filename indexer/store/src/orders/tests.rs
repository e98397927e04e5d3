//! Tests of orders.rs: what payers signed is kept as it was, once.

use super::*;
use crate::Error;
use crate::testing::{Draw, child, hash, on_both, step};
use contracts::event::{Event, Opened};

fn intake_order(draw: &mut Draw, open_by: u64) -> IntakeOrder {
    let order = Order { open_by, ..draw.order() };
    let signature = Some(Bytes::from_static(&[7; 65]));
    let name = "Kugel \u{1F534}".to_owned();
    IntakeOrder { job_id: draw.hash(), order, signature, delegate: None, name, created_at: 5 }
}

fn is_conflict<T>(result: Result<T>) -> bool {
    matches!(result, Err(Error::Conflict { .. }))
}

#[tokio::test]
async fn an_order_is_kept_once_and_may_only_gain_its_signature() {
    on_both(|world| async move {
        let (intake, reader) = (world.store.intake(), world.store.reader());
        let signed = intake_order(&mut Draw::new(1), 100);
        let bare = IntakeOrder { signature: None, name: String::new(), ..signed.clone() };
        assert_eq!(reader.order(signed.job_id).await.unwrap(), None);
        assert!(intake.put_order(&bare).await.unwrap());
        assert!(!intake.put_order(&bare).await.unwrap());
        assert_eq!(reader.order(signed.job_id).await.unwrap(), Some(bare.clone()));
        assert!(intake.put_order(&signed).await.unwrap());
        assert!(!intake.put_order(&IntakeOrder { created_at: 9, ..signed.clone() }).await.unwrap());
        let mut other = signed.clone();
        other.order.salt = hash(1);
        assert!(is_conflict(intake.put_order(&other).await));
        let other = IntakeOrder { signature: Some(Bytes::new()), ..signed.clone() };
        assert!(is_conflict(intake.put_order(&other).await));
        assert!(is_conflict(intake.put_order(&bare).await));
        assert_eq!(reader.order(signed.job_id).await.unwrap(), Some(signed));
    })
    .await;
}

#[tokio::test]
async fn unopened_are_signed_orders_in_time_that_the_index_does_not_show() {
    on_both(|world| async move {
        let (intake, reader) = (world.store.intake(), world.store.reader());
        let mut draw = Draw::new(2);
        let (late, bare) = (intake_order(&mut draw, 50), intake_order(&mut draw, 100));
        let (open, waiting) = (intake_order(&mut draw, 100), intake_order(&mut draw, 51));
        let bare = IntakeOrder { signature: None, ..bare };
        for order in [&late, &bare, &open, &waiting] {
            intake.put_order(order).await.unwrap();
        }
        let (block, job_id, order) = (child(None, 0), open.job_id, open.order.clone());
        let (payer, free) = (order.payer, contracts::Amount::ZERO);
        let opened = Opened {
            job_id,
            payer,
            funder: payer,
            order,
            credit_spent: free,
            pulled: free,
            free,
            credit: free,
            seq: 1,
        };
        let step = step(&block, vec![Event::Opened(Box::new(opened))]);
        world.store.chain_writer().extend(&step).await.unwrap();
        assert_eq!(reader.unopened_orders(50).await.unwrap(), std::slice::from_ref(&waiting));
        // A reorg that takes the opening away brings the order back.
        let top = child(Some(&block), 0);
        let writer = world.store.chain_writer();
        writer
            .extend(&crate::Step { blocks: vec![top.clone()], ..Default::default() })
            .await
            .unwrap();
        assert_eq!(reader.unopened_orders(50).await.unwrap().len(), 1);
        world.tamper("DELETE FROM blocks").await;
        let back = reader.unopened_orders(50).await.unwrap();
        assert_eq!(back.len(), 2);
        assert!(back.contains(&open) && back.contains(&waiting));
        assert!(reader.unopened_orders(100).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn approvals_keep_their_lots_in_the_order_signed() {
    on_both(|world| async move {
        let (intake, reader) = (world.store.intake(), world.store.reader());
        let mut draw = Draw::new(3);
        let job_id = draw.hash();
        let mut approval = |created_at: i64, lots: usize| Approval {
            lots_hash: draw.hash(),
            job_id,
            lot_hashes: (0..lots).map(|_| draw.hash()).collect(),
            signer: draw.address(),
            signature: Bytes::from_static(&[1, 2, 3]),
            created_at,
        };
        let approvals = [approval(1, 20), approval(2, 1), approval(2, 3)];
        for approval in &approvals {
            assert!(intake.put_approval(approval).await.unwrap());
            assert!(!intake.put_approval(approval).await.unwrap());
        }
        let mut swapped = approvals[0].clone();
        swapped.lot_hashes.swap(0, 1);
        assert!(is_conflict(intake.put_approval(&swapped).await));
        let other = Approval { signature: Bytes::new(), ..approvals[1].clone() };
        assert!(is_conflict(intake.put_approval(&other).await));
        let found = reader.approvals_of_job(job_id).await.unwrap();
        assert_eq!(found[0], approvals[0]);
        assert_eq!(found.len(), 3);
        assert!(approvals.iter().all(|approval| found.contains(approval)));
        assert!(reader.approvals_of_job(hash(1)).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn rejections_are_one_for_each_set_of_units() {
    on_both(|world| async move {
        let (intake, reader) = (world.store.intake(), world.store.reader());
        let mut draw = Draw::new(4);
        let first = Rejection {
            lot_hash: draw.hash(),
            mask: U256::from(5),
            job_id: draw.hash(),
            reason_hash: draw.hash(),
            reason: "too dark".into(),
            signer: draw.address(),
            signature: Bytes::from_static(&[9; 65]),
            created_at: 1,
        };
        let second = Rejection { mask: U256::MAX, created_at: 2, ..first.clone() };
        assert!(intake.put_rejection(&first).await.unwrap());
        assert!(intake.put_rejection(&second).await.unwrap());
        assert!(!intake.put_rejection(&first).await.unwrap());
        let other = Rejection { reason: "too bright".into(), ..first.clone() };
        assert!(is_conflict(intake.put_rejection(&other).await));
        let found = reader.rejections_of_job(first.job_id).await.unwrap();
        assert_eq!(found, [first, second]);
    })
    .await;
}

#[tokio::test]
async fn a_close_request_is_kept_once() {
    on_both(|world| async move {
        let (intake, reader) = (world.store.intake(), world.store.reader());
        let mut draw = Draw::new(5);
        let signature = Bytes::from_static(&[3; 65]);
        let (job_id, signer) = (draw.hash(), draw.address());
        let request = CloseRequest { job_id, signer, signature, created_at: 1 };
        assert_eq!(reader.close_request(job_id).await.unwrap(), None);
        assert!(intake.put_close_request(&request).await.unwrap());
        assert!(!intake.put_close_request(&request).await.unwrap());
        let other = CloseRequest { signer: draw.address(), ..request.clone() };
        assert!(is_conflict(intake.put_close_request(&other).await));
        assert_eq!(reader.close_request(job_id).await.unwrap(), Some(request));
    })
    .await;
}
