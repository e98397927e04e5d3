//! What is sent and when; and whole jobs played through against a model of the escrow.

use alloy::primitives::{Address, Bytes};
use contracts::units::{self, count, mask_amount};
use proptest::prelude::*;

use super::*;
use crate::calls;
use crate::tests::{
    DEADLINE, GRACE, PRICE, approval, draft, job_order, job_state, on_chain, order, rejection,
};

const RULES: Rules = Rules { commit_after_seconds: 60 };

struct Desk {
    order: JobOrder,
    state: JobState,
    lots: Vec<(LotRow, LotState)>,
    drafts: Vec<LotDraft>,
    approvals: Vec<Approval>,
    rejections: Vec<Rejection>,
    close_request: Option<CloseRequest>,
    intents: Vec<Intent>,
}

impl Desk {
    fn new(units: u32) -> Self {
        let order = job_order(1, 10, order(units));
        let state = job_state(&order);
        let (lots, drafts, intents) = (vec![], vec![], vec![]);
        let (approvals, rejections, close_request) = (vec![], vec![], None);
        Self { order, state, lots, drafts, approvals, rejections, close_request, intents }
    }

    fn books(&self) -> Books<'_> {
        Books {
            order: &self.order,
            state: &self.state,
            lots: &self.lots,
            drafts: &self.drafts,
            approvals: &self.approvals,
            rejections: &self.rejections,
            close_request: self.close_request.as_ref(),
            intents: &self.intents,
        }
    }

    fn plan(&self, now: i64) -> Vec<Plan> {
        let clock = Clock { now, wall: now, deep: Some((u64::MAX / 2, now)) };
        plan(&self.books(), &clock, &RULES)
    }

    fn actions(&self, now: i64) -> Vec<Action> {
        self.plan(now).iter().map(Plan::action).collect()
    }

    fn intent(&self, plan: &Plan, state: IntentState) -> Intent {
        Intent {
            intent_id: 1,
            action: plan.action(),
            job_id: plan.job_id,
            subject: plan.subject,
            calldata: calls::encode(&self.order.order, &plan.call, &Bytes::new(), B256::ZERO),
            state,
            problem: None,
            created_at: 0,
        }
    }
}

#[test]
fn an_accepted_lot_waits_a_little_for_its_approval_and_then_goes_alone() {
    let mut desk = Desk::new(4);
    desk.drafts.push(draft(&desk.order, &[0, 1], 1, 1_000));
    assert_eq!(desk.plan(1_059), []);
    let alone = desk.plan(1_060);
    assert_eq!(alone.len(), 1);
    assert_eq!(alone[0].subject, desk.drafts[0].lot_hash);
    assert!(matches!(&alone[0].call, Call::Commit { approval: None, lots } if lots.len() == 1));
    // The job's end is near: no time to wait.
    desk.drafts[0].accepted_at = DEADLINE + GRACE;
    assert_eq!(desk.actions(DEADLINE + GRACE - END_MARGIN), [Action::Commit]);
    // Over: nothing can be committed, but the job can be closed.
    assert_eq!(desk.actions(DEADLINE + GRACE), [Action::Close]);
}

#[test]
fn whole_lots_under_an_approval_go_in_one_commit_at_once() {
    let mut desk = Desk::new(4);
    desk.drafts.push(draft(&desk.order, &[0, 1], 1, 1_000));
    desk.drafts.push(draft(&desk.order, &[2], 2, 1_000));
    let both = approval(&[&desk.drafts[1], &desk.drafts[0]]);
    desk.approvals.push(both.clone());
    let plans = desk.plan(1_000);
    let lots = vec![desk.drafts[1].lot.clone(), desk.drafts[0].lot.clone()];
    let call = Call::Commit { lots, approval: Some(both.clone()) };
    let expected = Plan { job_id: desk.order.job_id, subject: both.lots_hash, call };
    assert_eq!(plans, [expected]);
}

#[test]
fn unsealed_approved_lots_are_released() {
    let mut desk = Desk::new(4);
    desk.drafts.push(draft(&desk.order, &[0, 1], 0, 1_000));
    desk.approvals.push(approval(&[&desk.drafts[0]]));
    assert_eq!(desk.actions(1_000), [Action::Release]);
    // Without approval they are committed, and settled by anyone after the window.
    desk.approvals.clear();
    assert_eq!(desk.actions(2_000), [Action::Commit]);
}

#[test]
fn a_lot_wanted_in_part_is_committed_rejected_approved_settled() {
    let mut desk = Desk::new(4);
    let lot = draft(&desk.order, &[0, 1, 2], 1, 1_000);
    desk.approvals.push(approval(&[&lot]));
    desk.rejections.push(rejection(&lot, &[1]));
    desk.drafts.push(lot.clone());
    assert!(matches!(
        &desk.plan(1_000)[..],
        [Plan { call: Call::Commit { approval: None, .. }, .. }]
    ));
    desk.lots.push(on_chain(&lot, 20, 2_000));
    assert_eq!(desk.actions(1_100), [Action::Reject]);
    desk.lots[0].1.rejected = desk.rejections[0].mask;
    assert_eq!(desk.actions(1_100), [Action::Approve]);
    desk.lots[0].1.status = LotStatus::Approved;
    assert_eq!(desk.actions(1_100), [Action::Settle]);
    desk.lots[0].1.status = LotStatus::Settled;
    assert_eq!(desk.actions(1_100), []);
}

#[test]
fn an_approval_of_lots_of_which_some_are_committed_follows_the_commit_of_the_rest() {
    let mut desk = Desk::new(4);
    let (a, b) = (draft(&desk.order, &[0], 1, 1_000), draft(&desk.order, &[1], 2, 1_000));
    desk.approvals.push(approval(&[&a, &b]));
    desk.lots.push(on_chain(&a, 20, 2_000));
    desk.drafts = vec![a, b.clone()];
    let plans = desk.plan(1_000);
    assert_eq!(plans.len(), 1);
    assert_eq!((plans[0].action(), plans[0].subject), (Action::Commit, b.lot_hash));
    desk.lots.push(on_chain(&b, 21, 2_000));
    assert_eq!(desk.actions(1_000), [Action::Approve]);
}

#[test]
fn a_refused_approval_lets_its_lots_go_alone() {
    let mut desk = Desk::new(4);
    desk.drafts.push(draft(&desk.order, &[0], 1, 1_000));
    desk.approvals.push(approval(&[&desk.drafts[0]]));
    let with_approval = desk.plan(1_000).remove(0);
    desk.intents.push(desk.intent(&with_approval, IntentState::Parked));
    let plans = desk.plan(1_000);
    assert!(matches!(&plans[..], [Plan { call: Call::Commit { approval: None, .. }, .. }]));
}

#[test]
fn what_the_payer_rejected_is_never_paid_by_its_approval_even_if_the_rejection_rests() {
    let mut desk = Desk::new(4);
    let lot = draft(&desk.order, &[0, 1], 1, 1_000);
    desk.lots.push(on_chain(&lot, 20, 2_000));
    desk.approvals.push(approval(&[&lot]));
    desk.rejections.push(rejection(&lot, &[1]));
    desk.drafts.push(lot);
    let reject = desk.plan(1_000).remove(0);
    assert_eq!(reject.action(), Action::Reject);
    desk.intents.push(desk.intent(&reject, IntentState::Parked));
    assert_eq!(desk.actions(1_000), [Action::Reject]);
    desk.lots[0].1.rejected = contracts::units::bit_of(1);
    assert_eq!(desk.actions(1_000), [Action::Approve]);
}

#[test]
fn a_signed_commit_is_never_joined_by_another_for_its_lots() {
    let mut desk = Desk::new(4);
    desk.drafts.push(draft(&desk.order, &[0], 1, 0));
    let alone = desk.plan(1_000).remove(0);
    desk.intents.push(desk.intent(&alone, IntentState::Unknown));
    desk.approvals.push(approval(&[&desk.drafts[0]]));
    assert_eq!(desk.plan(1_000), []);
    // Not signed yet, it is dropped for the better one.
    desk.intents[0].state = IntentState::Waiting;
    let plans = desk.plan(1_000);
    assert!(matches!(&plans[..], [Plan { call: Call::Commit { approval: Some(_), .. }, .. }]));
}

#[test]
fn no_key_is_shown_before_the_end_of_the_review_is_deep() {
    let mut desk = Desk::new(4);
    let lot = draft(&desk.order, &[0], 1, 1_000);
    desk.lots.push(on_chain(&lot, 20, 2_000));
    desk.drafts.push(lot);
    let at = |desk: &Desk, deep| {
        let clock = Clock { now: 4_000, wall: 4_000, deep };
        plan(&desk.books(), &clock, &RULES).len()
    };
    assert_eq!(at(&desk, None), 0);
    assert_eq!(at(&desk, Some((30, 1_999))), 0);
    assert_eq!(at(&desk, Some((30, 2_000))), 1);
    desk.lots[0].1.status = LotStatus::Approved;
    desk.lots[0].1.block = 25;
    assert_eq!(at(&desk, Some((24, 1_500))), 0);
    assert_eq!(at(&desk, Some((25, 1_500))), 1);
}

#[test]
fn no_key_is_shown_close_to_the_date_from_which_its_lot_may_lapse() {
    let mut desk = Desk::new(4);
    let lot = draft(&desk.order, &[0], 1, 0);
    desk.lots.push(on_chain(&lot, 20, 2_000));
    desk.drafts.push(lot);
    let lapses = 2_000 + i64::try_from(desk.order.order.claim_grace).unwrap();
    assert_eq!(desk.actions(lapses - LAPSE_MARGIN - 1), [Action::Settle]);
    assert_eq!(desk.actions(lapses - LAPSE_MARGIN), []);
}

#[test]
fn a_slow_chain_does_not_hide_that_a_key_comes_too_late() {
    let mut desk = Desk::new(4);
    let lot = draft(&desk.order, &[0], 1, 0);
    desk.lots.push(on_chain(&lot, 20, 2_000));
    desk.drafts.push(lot);
    // The newest block is old: by our own clock the next one may be past the date.
    let clock = Clock { now: 3_000, wall: 2_000 + GRACE, deep: Some((30, 3_000)) };
    assert_eq!(plan(&desk.books(), &clock, &RULES), []);
}

#[test]
fn lots_whose_key_was_not_shown_in_time_are_lapsed_from_their_date() {
    let mut desk = Desk::new(4);
    let lot = draft(&desk.order, &[0], 1, 1_000);
    desk.lots.push(on_chain(&lot, 20, 2_000));
    assert_eq!(desk.actions(2_000 + GRACE - 1), []);
    assert_eq!(desk.actions(2_000 + GRACE), [Action::Lapse]);
    // The same for a lot of ours, but never beside its own settle.
    desk.drafts.push(lot.clone());
    assert_eq!(desk.actions(2_000 + GRACE), [Action::Lapse]);
    let call = Call::Settle { lot: lot.lot.clone() };
    let settle = Plan { job_id: desk.order.job_id, subject: lot.lot_hash, call };
    desk.intents.push(desk.intent(&settle, IntentState::Unknown));
    assert_eq!(desk.actions(2_000 + GRACE), []);
}

#[test]
fn a_close_request_is_relayed_once_and_a_finished_job_is_closed() {
    let mut desk = Desk::new(2);
    desk.close_request = Some(CloseRequest {
        job_id: desk.order.job_id,
        signer: Address::ZERO,
        signature: Bytes::new(),
        created_at: 0,
    });
    assert_eq!(desk.actions(1_000), [Action::RequestClose]);
    desk.state.close_requested = true;
    desk.state.work_deadline = 1_000;
    assert_eq!(desk.actions(1_000), []);
    assert_eq!(desk.actions(1_000 + GRACE), [Action::Close]);
    desk.state.units_paid = 2;
    assert_eq!(desk.actions(1_000), [Action::Close]);
    desk.state.closed = true;
    assert_eq!(desk.actions(1_000), []);
}

#[test]
fn no_more_is_proposed_than_the_job_holds() {
    let mut desk = Desk::new(4);
    desk.state.funded = Amount::from(3 * PRICE);
    desk.drafts.push(draft(&desk.order, &[0, 1], 1, 0));
    desk.drafts.push(draft(&desk.order, &[2, 3], 2, 1));
    let plans = desk.plan(1_000);
    assert_eq!(plans.len(), 1);
    assert_eq!(plans[0].subject, desk.drafts[0].lot_hash);
    desk.intents.push(desk.intent(&plans[0], IntentState::Unknown));
    assert_eq!(desk.plan(1_000), [], "what is in flight counts");
}

/// What the escrow does with a plan, as far as these tests need it.
fn apply(desk: &mut Desk, plan: &Plan, block: u64, now: i64) {
    let window_end = now + 600;
    match &plan.call {
        Call::Commit { lots, approval } => {
            for lot in lots {
                commit(desk, lot, block, window_end, approval.is_some());
            }
        }
        Call::Approve { lots, .. } => {
            for lot in lots {
                let state = state_of(desk, lot);
                if state.status == LotStatus::Committed {
                    (state.status, state.block) = (LotStatus::Approved, block);
                }
            }
        }
        Call::Reject { lot, rejection } => {
            let state = state_of(desk, lot);
            assert!(now < state.window_end && state.status == LotStatus::Committed);
            let cleared = rejection.mask & lot.mask & !state.rejected;
            assert!(!cleared.is_zero());
            state.rejected |= cleared;
            let amount = mask_amount(cleared, lot.unit_price).unwrap();
            desk.state.pending = desk.state.pending.checked_sub(amount).unwrap();
        }
        Call::Settle { lot } => {
            let state = state_of(desk, lot);
            let over = now >= state.window_end || state.status == LotStatus::Approved;
            assert!(over && state.status != LotStatus::Settled);
            state.status = LotStatus::Settled;
            let paid = lot.mask & !state.rejected;
            let amount = mask_amount(paid, lot.unit_price).unwrap();
            desk.state.pending = desk.state.pending.checked_sub(amount).unwrap();
            desk.state.released = desk.state.released.checked_add(amount).unwrap();
            desk.state.units_paid += count(paid);
        }
        Call::Close => desk.state.closed = true,
        Call::Release { .. } | Call::Lapse { .. } | Call::RequestClose { .. } => {
            panic!("{plan:?} has no place in this game")
        }
    }
}

fn state_of<'a>(desk: &'a mut Desk, lot: &Lot) -> &'a mut LotState {
    &mut desk.lots.iter_mut().find(|(row, _)| row.lot == *lot).unwrap().1
}

fn commit(desk: &mut Desk, lot: &Lot, block: u64, window_end: i64, approved: bool) {
    let draft = desk.drafts.iter().find(|d| d.lot == *lot).unwrap();
    assert!(!desk.lots.iter().any(|(row, _)| row.lot == *lot), "a lot is committed twice");
    let (row, mut state) = on_chain(draft, block, window_end);
    if approved {
        state.status = LotStatus::Approved;
    }
    let amount = mask_amount(lot.mask, lot.unit_price).unwrap();
    assert!(amount <= desk.state.remaining(), "more is committed than the job holds");
    desk.state.pending = desk.state.pending.checked_add(amount).unwrap();
    desk.lots.push((row, state));
}

fn no_plan_twice(plans: &[Plan]) {
    let mut seen = BTreeSet::new();
    assert!(plans.iter().all(|p| seen.insert((p.action(), p.subject))), "{plans:?}");
    let mut lots = BTreeSet::new();
    for plan in plans {
        let (Call::Commit { lots: of, .. } | Call::Release { lots: of, .. }) = &plan.call else {
            continue;
        };
        for lot in of {
            assert!(lots.insert(lot.receipts_root), "a lot is proposed twice: {plans:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    /// Deliveries, approvals and rejections come in any order; sends are signed and lost, mined
    /// late, or never. No lot is ever proposed twice, and once all is quiet every accepted unit
    /// that was not rejected in time is paid.
    #[test]
    fn every_accepted_unit_is_paid_once_whatever_the_order(
        sizes in prop::collection::vec(1u32..5, 1..6),
        moves in prop::collection::vec((0u8..5, 0usize..6, 0u32..20), 0..40),
    ) {
        let total: u32 = sizes.iter().sum();
        let mut desk = Desk::new(total + 1);
        let (mut first, mut ready) = (0, Vec::new());
        for (tag, size) in sizes.iter().enumerate() {
            let of: Vec<u32> = (first..first + size).collect();
            ready.push(draft(&desk.order, &of, tag as u8 + 1, 0));
            first += size;
        }
        let (mut now, mut block) = (1_000i64, 20u64);
        for (kind, pick, wait) in moves {
            now += i64::from(wait);
            block += 1;
            let known = desk.drafts.len();
            match kind {
                0 if !ready.is_empty() => {
                    let lot = ready.remove(pick % ready.len());
                    desk.drafts.push(LotDraft { accepted_at: now, ..lot });
                }
                1 if known > 0 => {
                    let from = pick % known;
                    let some: Vec<&LotDraft> = desk.drafts[from..].iter().collect();
                    let given = approval(&some);
                    if !desk.approvals.iter().any(|a| a.lots_hash == given.lots_hash) {
                        desk.approvals.push(given);
                    }
                }
                2 if known > 0 => {
                    let lot = &desk.drafts[pick % known];
                    let unit = units::units_in(lot.lot.word, lot.lot.mask)[0];
                    let given = rejection(lot, &[unit]);
                    if !desk.rejections.contains(&given) {
                        desk.rejections.push(given);
                    }
                }
                3 => desk.intents.clear(),
                _ => {
                    let plans = desk.plan(now);
                    no_plan_twice(&plans);
                    for plan in plans {
                        // Every other one stays in the pool for a while.
                        if pick % 2 == 0 {
                            apply(&mut desk, &plan, block, now);
                        } else {
                            let intent = desk.intent(&plan, IntentState::Unknown);
                            desk.intents.push(intent);
                        }
                    }
                }
            }
        }
        desk.drafts.extend(ready);
        desk.intents.clear();
        for _ in 0..8 {
            now += 1_000;
            block += 1;
            let plans = desk.plan(now);
            no_plan_twice(&plans);
            for plan in plans {
                apply(&mut desk, &plan, block, now);
            }
        }
        let rejected: u32 = desk.lots.iter().map(|(_, s)| count(s.rejected)).sum();
        prop_assert_eq!(desk.state.units_paid, total - rejected);
        prop_assert_eq!(desk.state.pending, Amount::ZERO);
        prop_assert!(!desk.state.closed, "one unit is still to be rendered");
    }
}
