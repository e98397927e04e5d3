//! How jobs end: by both sides at once, by a request and its date, by lots that nobody reveals.

use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::SolStruct;
use contracts::{RenderEscrow as Escrow, order, signing};
use store::LotStatus;

use crate::world::deals::Deal;
use crate::world::watched::Watched;
use crate::world::{RNDR, wallet};

/// A payer with 40 RNDR free and a job of 20, and somebody who relays.
async fn begun() -> (Watched, Deal, PrivateKeySigner) {
    let watched = Watched::new().await;
    let payer = watched.funded("payer", 100 * RNDR).await;
    watched.deposit(&payer, 60 * RNDR).await;
    let deal = Deal::new(&watched, &payer, 1).await;
    let deal = deal.with(|order| order.approver = wallet("approver").address());
    deal.open(&watched).await;
    let relayer = watched.funded("relayer", 0).await;
    (watched, deal, relayer)
}

fn too_early(id: B256, from: u64) -> impl FnOnce(u64) -> Escrow::RenderEscrow_TooEarly {
    move |now| Escrow::RenderEscrow_TooEarly { id, from: U256::from(from), now_: U256::from(now) }
}

fn not_open(deal: &Deal, status: u8) -> impl FnOnce(u64) -> Escrow::RenderEscrow_JobNotOpen {
    let job_id = deal.job_id;
    move |_| Escrow::RenderEscrow_JobNotOpen { jobId: job_id, status }
}

fn digest<S: SolStruct>(watched: &Watched, act: &S) -> B256 {
    signing::signing_hash(act, &order::domain(watched.anvil.chain_id, watched.escrow))
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_end_a_job_at_once_and_what_is_under_review_is_still_paid() {
    let (watched, deal, relayer) = begun().await;
    deal.release(&watched, &[deal.work(&[0, 1], 1, false)]).await;
    let pending = [deal.work(&[2, 3, 4, 5], 2, true)];
    deal.commit(&watched, &pending, false).await;
    let end = deal.order.work_deadline + deal.order.claim_grace;
    watched.refuses(&relayer, deal.close_call(), too_early(deal.job_id, end)).await;
    // One side alone, a close request as the other's word, the two the wrong way round.
    let agreed = deal.agreed_close_call();
    let (payer, approver) = (deal.order.payer, deal.order.approver);
    let half = Escrow::closeCall { settlerSide: Bytes::new(), ..agreed.clone() };
    let error = |_| Escrow::RenderEscrow_CallerRefused {
        caller: relayer.address(),
        wanted: deal.order.settler,
        orWanted: Address::ZERO,
    };
    watched.refuses(&relayer, half, error).await;
    let refused = |digest| {
        move |_| Escrow::RenderEscrow_SignatureRefused { digest, wanted: payer, orWanted: approver }
    };
    let close = digest(&watched, &signing::Close { jobId: deal.job_id });
    let request = signing::CloseRequest { jobId: deal.job_id };
    let payer_side = deal.signed(&deal.payer, &request);
    let asked = Escrow::closeCall { payerSide: payer_side, ..agreed.clone() };
    watched.refuses(&relayer, asked, refused(close)).await;
    let swapped = Escrow::closeCall {
        payerSide: agreed.settlerSide.clone(),
        settlerSide: agreed.payerSide.clone(),
        ..agreed.clone()
    };
    watched.refuses(&relayer, swapped, refused(close)).await;

    // 1 was paid and 2 are under review; by the approver's word as well as by the payer's.
    let by_approver = deal.signed(&wallet("approver"), &signing::Close { jobId: deal.job_id });
    let agreed = Escrow::closeCall { payerSide: by_approver, ..agreed };
    watched.send(&relayer, watched.escrow, agreed.clone()).await;
    assert_eq!(watched.free(payer).await, 57 * RNDR);
    assert_eq!(watched.money(&deal).await, (3 * RNDR, RNDR, 2 * RNDR));
    assert!(watched.job(deal.job_id).await.closed);
    watched.refuses(&relayer, agreed, not_open(&deal, 2)).await;
    let more = deal.release_call(&[deal.work(&[9], 3, false)]);
    watched.refuses(&deal.settler, more, not_open(&deal, 2)).await;
    watched.refuses(&deal.payer, deal.top_up_call(RNDR), not_open(&deal, 2)).await;
    watched.anvil.pass(600).await;
    deal.settle(&watched, &pending).await;
    assert_eq!(watched.money(&deal).await, (3 * RNDR, 3 * RNDR, 0));
    assert_eq!(watched.free(deal.node).await, 3 * RNDR * 93 / 100);
    assert_eq!(watched.free(wallet("fee").address()).await, 3 * RNDR * 5 / 100);
    assert_eq!(watched.free(payer).await, 57 * RNDR);
    watched.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_of_the_two_calls_needs_no_signature_of_its_own() {
    let (watched, deal, _) = begun().await;
    let agreed = deal.agreed_close_call();
    let by_settler = Escrow::closeCall { settlerSide: Bytes::new(), ..agreed };
    watched.send(&deal.settler, watched.escrow, by_settler).await;
    let second = Deal::new(&watched, &deal.payer, 2).await;
    second.open(&watched).await;
    let by_payer = Escrow::closeCall { payerSide: Bytes::new(), ..second.agreed_close_call() };
    watched.send(&deal.payer, watched.escrow, by_payer).await;
    // A job whose units are all paid needs nobody's word and no date.
    let paid = Deal::new(&watched, &deal.payer, 3).await.with(|order| order.units = 2);
    paid.open(&watched).await;
    paid.release(&watched, &[paid.work(&[0, 1], 1, false)]).await;
    let anybody = watched.funded("anybody", 0).await;
    watched.send(&anybody, watched.escrow, paid.close_call()).await;
    assert_eq!(watched.free(deal.order.payer).await, 59 * RNDR);
    watched.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_close_request_puts_its_own_time_in_the_place_of_the_deadline() {
    let (watched, deal, relayer) = begun().await;
    let signature = deal.signed(&wallet("approver"), &signing::CloseRequest { jobId: deal.job_id });
    let call = Escrow::requestCloseCall { order: deal.order.to_sol(), signature };
    let receipt = watched.send(&relayer, watched.escrow, call.clone()).await;
    let asked = watched.time_of(&receipt).await;
    let job = watched.job(deal.job_id).await;
    assert!(job.close_requested);
    assert_eq!(job.work_deadline, i64::try_from(asked).unwrap());
    let again = |_| Escrow::RenderEscrow_CloseAlreadyRequested {
        jobId: deal.job_id,
        requestedAt: U256::from(asked),
    };
    watched.refuses(&relayer, call, again).await;

    // Work that was begun has the grace to be proposed, to the last second, and its whole window.
    let end = asked + deal.order.claim_grace;
    let last = [deal.work(&[0, 1, 2, 3], 1, true)];
    watched.anvil.next_at(end - 2).await;
    watched.refuses(&relayer, deal.close_call(), too_early(deal.job_id, end)).await;
    watched.anvil.next_at(end - 1).await;
    deal.commit(&watched, &last, false).await;
    watched.anvil.next_at(end).await;
    let late = |now: u64| Escrow::RenderEscrow_DeadlinePassed {
        jobId: deal.job_id,
        deadline: U256::from(end),
        now_: U256::from(now),
    };
    let more = deal.commit_call(&[deal.work(&[4], 2, true)], false);
    watched.refuses(&deal.settler, more, late).await;
    watched.send(&relayer, watched.escrow, deal.close_call()).await;
    assert_eq!(watched.free(deal.order.payer).await, 58 * RNDR);
    assert_eq!(watched.money(&deal).await, (2 * RNDR, 0, 2 * RNDR));
    let lot_hash = deal.lot_hash(&last[0].lot);
    let window = end - 1 + deal.order.review_seconds;
    watched.anvil.next_at(window - 1).await;
    let early = deal.settle_call(&last);
    watched.refuses(&relayer, early, too_early(lot_hash, window)).await;
    watched.anvil.next_at(window).await;
    watched.send(&relayer, watched.escrow, deal.settle_call(&last)).await;
    assert_eq!(watched.free(deal.node).await, 2 * RNDR * 93 / 100);
    assert_eq!(watched.money(&deal).await, (2 * RNDR, 2 * RNDR, 0));
    watched.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_lot_that_nobody_reveals_lapses_and_its_units_are_free_again() {
    let (watched, deal, relayer) = begun().await;
    let (silent, open) = (deal.work(&[0, 1, 2, 3], 1, true), deal.work(&[8], 2, false));
    deal.commit(&watched, &[silent.clone(), open.clone()], false).await;
    let window = watched.anvil.now().await + deal.order.review_seconds;
    // An early approval takes nothing of the time that the node has.
    deal.approve(&watched, std::slice::from_ref(&silent)).await;
    let lot_hash = deal.lot_hash(&silent.lot);
    let from = window + deal.order.claim_grace;
    let taken = |_| Escrow::RenderEscrow_UnitsTaken {
        jobId: deal.job_id,
        word: 0,
        mask: U256::from(0b1100),
    };
    let other = deal.commit_call(&[deal.work(&[2, 3, 4], 3, true)], false);
    watched.refuses(&deal.settler, other.clone(), taken).await;
    watched.anvil.next_at(from - 1).await;
    watched.refuses(&relayer, deal.lapse_call(&silent), too_early(lot_hash, from)).await;
    assert_eq!(watched.lot(&deal, &silent).await.status, LotStatus::Approved);
    watched.anvil.next_at(from).await;
    watched.send(&relayer, watched.escrow, deal.lapse_call(&silent)).await;
    let lot = watched.lot(&deal, &silent).await;
    assert_eq!((lot.status, lot.paid, lot.lot_key), (LotStatus::Lapsed, U256::ZERO, None));
    assert_eq!(watched.money(&deal).await, (20 * RNDR, 0, RNDR / 2));

    // Its key comes too late, and so does its acceptance; the units are anybody's again.
    let decided = |_| Escrow::RenderEscrow_LotDecided { lotHash: lot_hash, status: 4 };
    watched.refuses(&relayer, deal.settle_call(std::slice::from_ref(&silent)), decided).await;
    watched.refuses(&relayer, deal.lapse_call(&silent), decided).await;
    let known = |_| Escrow::RenderEscrow_LotKnown { lotHash: lot_hash, status: 4 };
    let again = deal.commit_call(std::slice::from_ref(&silent), false);
    watched.refuses(&deal.settler, again, known).await;
    watched.send(&deal.settler, watched.escrow, other).await;
    // A lot without a key never lapses: anybody can settle it.
    let hash = deal.lot_hash(&open.lot);
    let error = |_| Escrow::RenderEscrow_LotNotSealed { lotHash: hash };
    watched.refuses(&relayer, deal.lapse_call(&open), error).await;
    watched.send(&relayer, watched.escrow, deal.settle_call(&[open])).await;
    assert_eq!(watched.money(&deal).await, (20 * RNDR, RNDR / 2, 3 * RNDR / 2));
    // In a closed job the money of a lapsed lot goes home at once.
    watched.send(&relayer, watched.escrow, deal.agreed_close_call()).await;
    assert_eq!(watched.free(deal.order.payer).await, 58 * RNDR);
    watched.anvil.pass(600 + 3_600).await;
    let last = deal.work(&[2, 3, 4], 3, true);
    watched.send(&relayer, watched.escrow, deal.lapse_call(&last)).await;
    assert_eq!(watched.free(deal.order.payer).await, 60 * RNDR - RNDR / 2);
    assert_eq!(watched.money(&deal).await, (RNDR / 2, RNDR / 2, 0));
    watched.end().await;
}
