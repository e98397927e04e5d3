//! Calls read back from their bytes, and effects seen in the index.

use contracts::order::lots_hash;
use store::{CloseRequest, IntentState};

use super::*;
use crate::tests::{approval, draft, job_order, job_state, on_chain, order, rejection};

fn intent(action: Action, job: &JobOrder, calldata: Bytes) -> Intent {
    Intent {
        intent_id: 1,
        action,
        job_id: job.job_id,
        subject: B256::ZERO,
        calldata,
        state: IntentState::Unknown,
        problem: None,
        created_at: 0,
    }
}

#[test]
fn the_lots_of_a_proposal_are_read_back_in_order() {
    let job = job_order(1, 5, order(4));
    let (a, b) = (draft(&job, &[0], 1, 0), draft(&job, &[1], 2, 0));
    let given = approval(&[&b, &a]);
    let lots = vec![b.lot.clone(), a.lot.clone()];
    let call = Call::Commit { lots: lots.clone(), approval: Some(given.clone()) };
    let data = encode(&job.order, &call, &Bytes::from_static(&[9]), B256::ZERO);
    let hashes = proposed_lots(&intent(Action::Commit, &job, data.clone()));
    assert_eq!(hashes, [b.lot_hash, a.lot_hash]);
    assert_eq!(lots_hash(&hashes), given.lots_hash);
    let decoded = RenderEscrow::commitCall::abi_decode(&data).unwrap();
    assert_eq!(Order::from(decoded.order), job.order);
    assert_eq!((decoded.acceptance, decoded.approval), (vec![9].into(), given.signature.clone()));
    let data =
        encode(&job.order, &Call::Release { lots, approval: given }, &Bytes::new(), B256::ZERO);
    assert_eq!(proposed_lots(&intent(Action::Release, &job, data)), hashes);
    let settle = Call::Settle { lot: a.lot.clone() };
    let data = encode(&job.order, &settle, &Bytes::new(), B256::repeat_byte(3));
    let decoded = RenderEscrow::settleCall::abi_decode(&data).unwrap();
    assert_eq!(decoded.keys, [B256::repeat_byte(3)]);
    assert!(proposed_lots(&intent(Action::Settle, &job, data)).is_empty());
    assert!(proposed_lots(&intent(Action::Commit, &job, Bytes::new())).is_empty());
}

#[test]
fn an_effect_is_there_when_every_lot_shows_it() {
    let job = job_order(1, 5, order(4));
    let (a, b) = (draft(&job, &[0, 1], 1, 0), draft(&job, &[2], 2, 0));
    let both = vec![a.lot.clone(), b.lot.clone()];
    let given = approval(&[&a, &b]);
    let make = |action, call: &Call| {
        intent(action, &job, encode(&job.order, call, &Bytes::new(), B256::ZERO))
    };
    let commit = make(Action::Commit, &Call::Commit { lots: both.clone(), approval: None });
    let approve =
        make(Action::Approve, &Call::Approve { lots: both.clone(), approval: given.clone() });
    let release = make(Action::Release, &Call::Release { lots: both, approval: given });
    let no = rejection(&a, &[1]);
    let mask = no.mask;
    let reject = make(Action::Reject, &Call::Reject { lot: a.lot.clone(), rejection: no });
    let settle = make(Action::Settle, &Call::Settle { lot: a.lot.clone() });
    let lapse = make(Action::Lapse, &Call::Lapse { lot: a.lot.clone() });
    let row = (job.clone(), job_state(&job));
    let see = |intent: &Intent, lots: &[(LotRow, LotState)]| effect(intent, Some(&row), lots);

    let mut lots = vec![on_chain(&a, 7, 900)];
    assert_eq!(see(&commit, &lots), None);
    lots.push(on_chain(&b, 9, 900));
    assert_eq!(see(&commit, &lots), Some(9));
    assert_eq!(effect(&commit, None, &lots), None, "a job that a rewind took away");
    for unseen in [&approve, &release, &reject, &settle, &lapse] {
        assert_eq!(see(unseen, &lots), None, "{:?}", unseen.action);
    }
    (lots[0].1.rejected, lots[0].1.block) = (mask, 11);
    assert_eq!(see(&reject, &lots), Some(11));
    lots[0].1.status = LotStatus::Approved;
    assert_eq!(see(&approve, &lots), None);
    (lots[1].1.rejected, lots[1].1.block) = (b.lot.mask, 12);
    assert_eq!(see(&approve, &lots), Some(12), "a lot rejected whole needs no approval");
    (lots[0].1.status, lots[0].1.block) = (LotStatus::Settled, 14);
    assert_eq!(see(&settle, &lots), Some(14));
    assert_eq!(see(&lapse, &lots), Some(14));
    assert_eq!(see(&release, &lots), None);
    lots.iter_mut().for_each(|(_, s)| s.status = LotStatus::Released);
    assert_eq!(see(&release, &lots), Some(14));
}

#[test]
fn openings_and_closings_are_seen_on_the_job() {
    let job = job_order(1, 5, order(4));
    let request = CloseRequest {
        job_id: job.job_id,
        signer: job.order.payer,
        signature: Bytes::new(),
        created_at: 0,
    };
    let make = |action, call: &Call| {
        intent(action, &job, encode(&job.order, call, &Bytes::new(), B256::ZERO))
    };
    let ask = make(Action::RequestClose, &Call::RequestClose { request });
    let close = make(Action::Close, &Call::Close);
    let opening = intent(Action::Open, &job, open(&job.order, job.order.payer, &Bytes::new()));
    let decoded = RenderEscrow::openForCall::abi_decode(&opening.calldata).unwrap();
    assert_eq!(decoded.signer, job.order.payer);
    let mut row = (job.clone(), job_state(&job));
    assert_eq!(effect(&opening, None, &[]), None);
    assert_eq!(effect(&opening, Some(&row), &[]), Some(5));
    assert_eq!(effect(&ask, Some(&row), &[]), None);
    row.1.close_requested = true;
    assert_eq!(effect(&ask, Some(&row), &[]), Some(5));
    assert_eq!(effect(&close, Some(&row), &[]), None);
    row.1.closed = true;
    assert_eq!(effect(&close, Some(&row), &[]), Some(5));
}
