//! Paid exactly once: whole jobs, lost and stolen transactions, refused ones, reorgs.

use std::time::Duration;

use alloy::primitives::{Address, Bytes};
use alloy::providers::Provider;
use alloy::providers::ext::AnvilApi;
use contracts::{RenderEscrow, units};
use store::{Action, IntentState};

use crate::world::studio::{Painter, Studio, newest_hash};
use crate::world::{RNDR, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn an_approved_job_takes_one_commit_and_one_settle_a_lot() {
    let studio = Studio::open().await;
    // Long enough for the approval to come first.
    let config = settler::Config { commit_after_seconds: 600, ..studio.settler_config() };
    let _settler = studio.settler_as(config);
    let painter = Painter::default();
    let _node = studio.node("node", painter.clone());
    let job_id = studio.submit(&studio.payer, 5, 3, 1).await;
    let drafts = studio.accepted(job_id, 5).await;
    assert_eq!(drafts.len(), 2);
    studio.approve(&drafts).await;
    studio.paid_once(job_id, 5).await;
    studio.outbox_done().await;
    let actions: Vec<Action> = studio.intents().await.iter().map(|i| i.action).collect();
    let expected = [Action::Open, Action::Commit, Action::Settle, Action::Settle, Action::Close];
    assert_eq!(actions, expected);
    let mut painted = painter.painted();
    painted.sort_unstable();
    assert_eq!(painted, [(0, 1), (1, 1), (2, 1), (3, 1), (4, 1)]);
    // 5 units less 5 % fee and 2 % burn.
    let earned = studio.store.reader().account(drafts[0].lot.node).await.unwrap().unwrap();
    assert_eq!(earned.free.base(), 5 * RNDR * 93 / 100);
    let report = studio.world.audit(&studio.store).await;
    assert!(report.is_clean(), "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lot_wanted_in_part_is_rejected_rendered_again_and_approved() {
    let studio = Studio::open().await;
    let config = settler::Config { commit_after_seconds: 600, ..studio.settler_config() };
    let _settler = studio.settler_as(config);
    let painter = Painter::default();
    let _node = studio.node("node", painter.clone());
    let job_id = studio.submit(&studio.payer, 4, 4, 1).await;
    let drafts = studio.accepted(job_id, 4).await;
    studio.reject(&drafts[0], &[1, 2]).await;
    studio.approve(&drafts).await;
    let mut both = studio.accepted(job_id, 6).await;
    both.retain(|draft| draft.lot_hash != drafts[0].lot_hash);
    assert_eq!(units::units_in(both[0].lot.word, both[0].lot.mask), [1, 2]);
    studio.approve(&both).await;
    studio.paid_once(job_id, 4).await;
    let mut painted = painter.painted();
    painted.sort_unstable();
    assert_eq!(painted, [(0, 1), (1, 1), (1, 2), (2, 1), (2, 2), (3, 1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_word_from_the_payer_the_window_passes_and_the_node_is_paid() {
    let studio = Studio::open().await;
    let _settler = studio.settler();
    let _node = studio.node("node", Painter::default());
    let job_id = studio.submit(&studio.payer, 2, 2, 1).await;
    let reader = studio.store.reader();
    let committed = || async {
        let lots = reader.job_lots(job_id).await.unwrap();
        (!lots.is_empty()).then_some(())
    };
    eventually("a committed lot", committed).await;
    let job = || async { reader.job(job_id).await.unwrap().unwrap().1 };
    assert_eq!(job().await.units_paid, 0);
    studio.world.anvil.pass(601).await;
    studio.paid_once(job_id, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_the_pool_lost_is_sent_again_unchanged() {
    let studio = Studio::open().await;
    let provider = studio.world.anvil.provider.clone();
    studio.pause_mining().await;
    let _settler = studio.settler();
    let job_id = studio.submit(&studio.payer, 1, 1, 1).await;
    let hash = studio.pooled(job_id).await;
    provider.anvil_drop_transaction(hash).await.unwrap();
    studio.resume_mining().await;
    studio.opened(job_id).await;
    let open = studio.store.reader().intent(Action::Open, job_id, job_id).await.unwrap().unwrap();
    let sent = studio.store.reader().transactions_of(open.intent_id).await.unwrap();
    assert_eq!(sent.len(), 1, "the same bytes, not a second transaction");
    assert_eq!(sent[0].tx_hash, hash);
    studio.outbox_done().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nonce_that_the_key_used_elsewhere_is_left_and_the_intent_signed_anew() {
    let studio = Studio::open().await;
    let provider = studio.world.anvil.provider.clone();
    studio.pause_mining().await;
    let settler = studio.settler();
    let job_id = studio.submit(&studio.payer, 1, 1, 1).await;
    let hash = studio.pooled(job_id).await;
    settler.stop().await;
    provider.anvil_drop_transaction(hash).await.unwrap();
    studio.resume_mining().await;
    let elsewhere = RenderEscrow::burnCall {};
    let used = provider.get_transaction_count(studio.gas_key.address()).await.unwrap();
    let raw = studio.world.sign(&studio.gas_key, Address::ZERO, elsewhere).await;
    studio.world.send_raw(&raw).await;
    let _settler = studio.settler();
    studio.opened(job_id).await;
    studio.outbox_done().await;
    let open = studio.store.reader().intent(Action::Open, job_id, job_id).await.unwrap().unwrap();
    let sent = studio.store.reader().transactions_of(open.intent_id).await.unwrap();
    let mut nonces: Vec<u64> = sent.iter().map(|tx| tx.nonce).collect();
    nonces.sort_unstable();
    assert_eq!(nonces, [used, used + 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_without_money_is_parked_with_its_reason_and_holds_up_nobody() {
    let studio = Studio::open().await;
    let _settler = studio.settler();
    let poor = studio.world.funded("poor", 10 * RNDR).await;
    let waits = studio.submit(&poor, 1, 1, 1).await;
    let goes = studio.submit(&studio.payer, 1, 1, 2).await;
    studio.opened(goes).await;
    let reader = studio.store.reader();
    let parked = || async {
        let intent = reader.intent(Action::Open, waits, waits).await.unwrap()?;
        (intent.state == IntentState::Parked).then_some(intent)
    };
    let intent = eventually("the order parked", parked).await;
    let problem = intent.problem.clone().unwrap();
    assert!(problem.contains("refused"), "{problem}");
    assert_eq!(newest_hash(&studio.store, &intent).await, None, "nothing was signed for it");
    // Money comes, and nobody has to ask again.
    studio.world.deposit(&poor, 5 * RNDR).await;
    studio.opened(waits).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_reorg_takes_away_is_sent_again_and_paid_once() {
    let studio = Studio::open().await;
    let config = settler::Config { commit_after_seconds: 600, ..studio.settler_config() };
    let _settler = studio.settler_as(config);
    let painter = Painter::default();
    let _node = studio.node("node", painter.clone());
    let job_id = studio.submit(&studio.payer, 2, 2, 1).await;
    let drafts = studio.accepted(job_id, 2).await;
    let before = studio.world.anvil.head().await.0;
    studio.approve(&drafts).await;
    studio.paid_once(job_id, 2).await;
    studio.outbox_done().await;
    // Commit, settle and close are gone, and the pool has none of them.
    let depth = studio.world.anvil.head().await.0 - before;
    studio.world.anvil.reorg(depth, &[] as &[(Bytes, u64)]).await;
    let reader = studio.store.reader();
    let rewound = || async { (!reader.reorgs(1).await.unwrap().is_empty()).then_some(()) };
    eventually("the rewind", rewound).await;
    studio.paid_once(job_id, 2).await;
    studio.outbox_done().await;
    assert_eq!(painter.painted().len(), 2, "an accepted lot is never rendered again");
    let report = studio.world.audit(&studio.store).await;
    assert!(report.is_clean(), "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_node_that_hangs_for_a_while_costs_time_and_nothing_else() {
    let studio = Studio::open().await;
    let config = settler::Config { commit_after_seconds: 600, ..studio.settler_config() };
    let _settler = studio.settler_as(config);
    let painter = Painter::default();
    let _node = studio.node("node", painter.clone());
    let job_id = studio.submit(&studio.payer, 2, 2, 1).await;
    let drafts = studio.accepted(job_id, 2).await;
    studio.world.anvil.signal("-STOP");
    studio.approve(&drafts).await;
    // Longer than one answer may take.
    tokio::time::sleep(Duration::from_secs(12)).await;
    studio.world.anvil.signal("-CONT");
    studio.paid_once(job_id, 2).await;
    studio.outbox_done().await;
    assert_eq!(painter.painted().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_close_request_ends_the_work_and_the_rest_of_the_money_goes_back() {
    let studio = Studio::open().await;
    let _settler = studio.settler();
    let node = studio.node("node", Painter { milliseconds: 600, ..Painter::default() });
    let job_id = studio.submit(&studio.payer, 6, 1, 1).await;
    let accepted = studio.accepted(job_id, 1).await.len();
    studio.request_close(job_id).await;
    let reader = studio.store.reader();
    let asked = || async {
        let (_, state) = reader.job(job_id).await.unwrap()?;
        state.close_requested.then_some(())
    };
    eventually("the request on chain", asked).await;
    let in_time = reader.attempts_of_job(job_id).await.unwrap().len();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let later = reader.attempts_of_job(job_id).await.unwrap().len();
    assert!(later <= in_time + 1 && later < 6, "{in_time}, then {later} leases of 6");
    node.stop().await;
    // The review ends and the lots are settled: a key shown later than its time to do so would
    // pay nobody. Then the time to commit ends.
    studio.world.anvil.pass(601).await;
    let settled = || async {
        let (_, state) = reader.job(job_id).await.unwrap()?;
        (state.pending.is_zero() && !state.released.is_zero()).then_some(())
    };
    eventually("what was rendered in time paid", settled).await;
    studio.world.anvil.pass(3_600).await;
    let closed = || async {
        let (_, state) = reader.job(job_id).await.unwrap()?;
        (state.closed && state.pending.is_zero()).then_some(state)
    };
    let state = eventually("the job closed and all of it paid", closed).await;
    let paid = u128::from(state.units_paid);
    assert!(paid >= accepted as u128 && paid < 6, "{paid} units paid");
    assert_eq!(state.released.base(), paid * RNDR);
    let account = reader.account(studio.payer.address()).await.unwrap().unwrap();
    assert_eq!(account.free.base(), (100 - paid) * RNDR);
}
