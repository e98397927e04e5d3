//! Which work goes to whom, and why not.

use contracts::spec::Tier;
use contracts::units::{count, units_in};
use proptest::prelude::*;

use super::*;
use crate::tests::{
    DEADLINE, GRACE, PRICE, SETTLER, attempt, draft, job_order, job_state, node, on_chain, order,
    spec,
};

struct World {
    order: JobOrder,
    state: JobState,
    spec: ExpandedSpec,
    lots: Vec<(LotRow, LotState)>,
    drafts: Vec<LotDraft>,
    attempts: Vec<Attempt>,
}

fn world(units: u32, tier: Tier, chunk: u32, job: u8, block: u64) -> World {
    let order = job_order(job, block, order(units));
    let state = job_state(&order);
    let spec = spec(&format!("1-{units}"), tier, chunk);
    World { order, state, spec, lots: vec![], drafts: vec![], attempts: vec![] }
}

fn small() -> World {
    world(12, Tier::Economy, 4, 1, 10)
}

impl World {
    fn job(&self) -> Job<'_> {
        Job {
            order: &self.order,
            state: &self.state,
            spec: Some(&self.spec),
            unit_price: Some(Amount::from(PRICE)),
            lots: &self.lots,
            drafts: &self.drafts,
            attempts: &self.attempts,
        }
    }

    fn ask(&self, by: u8, nodes: &[Node], now: i64) -> Result<Vec<(u32, u32)>, Reason> {
        let asker = node(by, now);
        let asking = asking(&asker, nodes, now);
        let picked = next(&[self.job()], &asking);
        picked.map(|pick| pick.units).map_err(|mut reasons| reasons.remove(0).1)
    }
}

fn asking<'a>(node: &'a Node, nodes: &'a [Node], now: i64) -> Asking<'a> {
    let deep_block = Some(u64::MAX);
    Asking { node, nodes, settler: SETTLER, now, lease_seconds: 60, deep_block }
}

#[test]
fn fresh_units_go_out_in_order_and_by_chunk() {
    let mut w = small();
    assert_eq!(w.ask(1, &[], 0), Ok(vec![(0, 1), (1, 1), (2, 1), (3, 1)]));
    for unit in 0..4 {
        w.attempts.push(attempt(&w.order, unit, 1, 1, LeaseState::Active, None));
    }
    assert_eq!(w.ask(2, &[], 0), Ok(vec![(4, 1), (5, 1), (6, 1), (7, 1)]));
}

#[test]
fn tiers_come_first_and_then_the_oldest_job() {
    let jobs = [
        world(2, Tier::Economy, 4, 1, 1),
        world(2, Tier::Priority, 4, 2, 9),
        world(2, Tier::Priority, 4, 3, 8),
        world(2, Tier::Trusted, 4, 4, 20),
    ];
    let asker = node(1, 0);
    let mut left: Vec<Job<'_>> = jobs.iter().map(World::job).collect();
    let mut given = Vec::new();
    while let Ok(pick) = next(&left, &asking(&asker, &[], 0)) {
        left.retain(|job| job.order.job_id != pick.job_id);
        given.push(pick.job_id[0]);
    }
    assert_eq!(given, [4, 3, 2, 1]);
}

#[test]
fn every_refusal_says_why() {
    let refused = |change: &dyn Fn(&mut World)| {
        let mut w = small();
        change(&mut w);
        w.ask(1, &[], 1_000).unwrap_err()
    };
    assert_eq!(refused(&|w| w.order.order.settler = Address::ZERO), Reason::OtherSettler);
    assert_eq!(refused(&|w| w.state.closed = true), Reason::Closed);
    assert_eq!(refused(&|w| w.state.work_deadline = 1_000), Reason::NoTimeLeft { deadline: 1_000 });
    assert_eq!(refused(&|w| w.order.order.units = 11), Reason::UnitsDiffer { order: 11, spec: 12 });
    let (price, max) = (Amount::from(PRICE), Amount::from(9u64));
    assert_eq!(
        refused(&|w| w.order.order.max_unit_price = max),
        Reason::PriceAboveOrder { price, max }
    );
    let version = || "3.8".to_owned();
    assert_eq!(
        refused(&|w| w.spec.engine_version = version()),
        Reason::NoBackend { engine: "povray", version: version() }
    );
    let left = Amount::from(9u64);
    assert_eq!(refused(&|w| w.state.funded = left), Reason::NoMoney { left, price });
    let w = small();
    let asker = node(1, 0);
    let job = Job { spec: None, ..w.job() };
    let reasons = next(&[job], &asking(&asker, &[], 0)).unwrap_err();
    assert_eq!(reasons[0].1, Reason::SpecUnknown(w.order.order.spec_hash));
    let job = Job { unit_price: None, ..w.job() };
    let reasons = next(&[job], &asking(&asker, &[], 0)).unwrap_err();
    assert_eq!(reasons[0].1, Reason::QuoteUnknown(w.order.order.quote_hash));
}

#[test]
fn no_lease_outlives_the_time_to_commit() {
    let mut w = small();
    w.order.order.claim_grace = 600;
    let late = w.ask(1, &[], DEADLINE - 100).unwrap_err();
    assert_eq!(late, Reason::NoTimeLeft { deadline: DEADLINE });
    w.order.order.claim_grace = GRACE as u64;
    assert!(w.ask(1, &[], DEADLINE - 100).is_ok());
}

#[test]
fn accepted_paid_and_reserved_units_are_never_rendered_again() {
    let mut w = small();
    let (first, second) = (draft(&w.order, &[0, 1, 2, 3], 1, 0), draft(&w.order, &[4, 5], 2, 0));
    w.lots.push(on_chain(&first, 11, 700));
    w.drafts = vec![first, second];
    assert_eq!(w.ask(1, &[], 0), Ok(vec![(6, 1), (7, 1), (8, 1), (9, 1)]));
    w.lots[0].1.status = LotStatus::Settled;
    assert_eq!(w.ask(1, &[], 0).map(|units| units[0]), Ok((6, 1)));
}

#[test]
fn rejected_units_come_back_as_the_next_attempt_on_another_node_when_there_is_one() {
    let mut w = small();
    let lot = draft(&w.order, &[0, 1, 2, 3], 1, 0);
    w.lots.push(on_chain(&lot, 11, 700));
    w.lots[0].1.rejected = U256::from(0b0110);
    for unit in 0..12 {
        let mut made = attempt(&w.order, unit, 1, 1, LeaseState::Accepted, None);
        made.lease_id = if unit < 4 { lot.lease_id.clone() } else { "other".into() };
        w.attempts.push(made);
    }
    w.drafts = vec![lot, draft(&w.order, &[4, 5, 6, 7, 8, 9, 10, 11], 2, 0)];
    w.state.funded = Amount::from(1_000u64);
    let nodes = [node(1, 0), node(2, 0)];
    assert_eq!(w.ask(1, &nodes, 10), Err(Reason::OtherNodeFirst));
    assert_eq!(w.ask(2, &nodes, 10), Ok(vec![(1, 2), (2, 2)]));
    // The other one was not seen for long: better here than nowhere.
    assert_eq!(w.ask(1, &nodes, 10 + SEEN_SECONDS), Ok(vec![(1, 2), (2, 2)]));
}

#[test]
fn a_rejection_that_a_reorg_may_undo_frees_no_unit_yet() {
    let mut w = small();
    let lot = draft(&w.order, &[0, 1, 2, 3], 1, 0);
    let (row, mut state) = on_chain(&lot, 20, 2_000);
    state.rejected = bit_of(1);
    w.drafts.push(lot);
    w.lots.push((row, state));
    let taken = |deep| busy_words(&w.job(), deep).remove(&0).unwrap() & word_bits(0, 4);
    assert_eq!(taken(Some(20)), word_bits(0, 4) & !bit_of(1));
    assert_eq!(taken(Some(19)), word_bits(0, 4));
    assert_eq!(taken(None), word_bits(0, 4));
}

#[test]
fn a_lot_that_another_lot_keeps_off_the_chain_holds_neither_units_nor_money() {
    let mut w = small();
    let (lost, kept) = (draft(&w.order, &[3, 4], 1, 0), draft(&w.order, &[0, 1, 2, 3], 2, 0));
    w.lots.push(on_chain(&kept, 20, 2_000));
    w.drafts = vec![lost, kept, draft(&w.order, &[5], 3, 0)];
    let left = waiting(&w.lots, &w.drafts);
    assert_eq!(left, [&w.drafts[2]]);
    let busy = busy_words(&w.job(), Some(u64::MAX)).remove(&0).unwrap();
    assert!((busy & bit_of(4)).is_zero() && !(busy & bit_of(5)).is_zero());
}

#[test]
fn a_lease_ends_within_the_claim_grace_however_long_its_units_take() {
    let mut w = small();
    w.spec.timeout_seconds = 600;
    w.order.order.claim_grace = 60 + 900 + 2 * 600;
    let nodes = [node(1, 0)];
    assert_eq!(w.ask(1, &nodes, 0).unwrap(), [(0, 1), (1, 1)]);
    w.order.order.claim_grace -= 600 + 1;
    assert!(matches!(w.ask(1, &nodes, 0), Err(Reason::GraceTooShort { .. })));
}

#[test]
fn a_lapsed_lot_frees_its_units() {
    let mut w = small();
    let lot = draft(&w.order, &[0, 1], 1, 0);
    w.lots.push(on_chain(&lot, 11, 700));
    w.lots[0].1.status = LotStatus::Lapsed;
    w.drafts = vec![lot];
    assert_eq!(w.ask(1, &[], 0).map(|units| units[0]), Ok((0, 1)));
}

#[test]
fn a_unit_that_failed_goes_alone_and_is_given_up_after_three_failures() {
    let mut w = world(3, Tier::Economy, 4, 1, 1);
    w.state.funded = Amount::from(1_000u64);
    let failed = LeaseState::Failed;
    w.attempts.push(attempt(&w.order, 0, 1, 1, failed, Some("no pixels")));
    // Unit 1 was in the same lease, but it is not to blame.
    w.attempts.push(attempt(&w.order, 1, 1, 1, failed, None));
    assert_eq!(w.ask(1, &[], 0), Ok(vec![(0, 2)]));
    w.attempts.push(attempt(&w.order, 0, 2, 1, failed, Some("no pixels")));
    w.attempts.push(attempt(&w.order, 0, 3, 1, failed, Some("no pixels")));
    assert_eq!(w.ask(1, &[], 0), Ok(vec![(1, 2), (2, 1)]));
}

#[test]
fn one_bad_node_cannot_use_up_a_units_attempts_for_the_others() {
    let mut w = world(2, Tier::Economy, 4, 1, 1);
    w.state.funded = Amount::from(1_000u64);
    let failed = LeaseState::Failed;
    for number in 1..=3 {
        w.attempts.push(attempt(&w.order, 0, number, 1, failed, Some("no pixels")));
    }
    assert_eq!(w.ask(1, &[], 0), Ok(vec![(1, 1)]));
    assert_eq!(w.ask(2, &[], 0), Ok(vec![(0, 4)]));
    w.attempts.push(attempt(&w.order, 0, 4, 2, failed, Some("no pixels")));
    assert_eq!(w.ask(2, &[], 0), Ok(vec![(1, 1)]), "it failed here too");
    w.attempts.push(attempt(&w.order, 0, 5, 3, failed, Some("no pixels")));
    assert_eq!(w.ask(4, &[], 0), Ok(vec![(1, 1)]), "three nodes failed: it is the unit");
}

/// A chunk of units on its way: leased, accepted, committed, settled.
fn stage(reached: usize) -> World {
    let mut w = small();
    let lot = draft(&w.order, &[0, 1, 2, 3], 1, 0);
    let accepted = reached >= 1;
    let lease_state = if accepted { LeaseState::Accepted } else { LeaseState::Active };
    for unit in 0..4 {
        let mut made = attempt(&w.order, unit, 1, 1, lease_state, None);
        made.lease_id = lot.lease_id.clone();
        w.attempts.push(made);
    }
    let amount = Amount::from(4 * PRICE);
    if reached >= 2 {
        w.lots.push(on_chain(&lot, 11, 700));
        w.state.pending = amount;
    }
    if reached == 3 {
        w.lots[0].1.status = LotStatus::Settled;
        (w.state.pending, w.state.released) = (Amount::ZERO, amount);
    }
    if accepted {
        w.drafts.push(lot);
    }
    w
}

/// The settler reads attempts, drafts, lots and money one after the other, while deliveries are
/// accepted and blocks indexed in between: whatever it sees, no unit is leased twice, and no
/// money is promised twice.
#[test]
fn work_that_moves_on_between_reads_is_never_leased_again() {
    let stages: Vec<World> = (0..4).map(stage).collect();
    for (a, d, l, s) in (0..256).map(|i| (i % 4, i / 4 % 4, i / 16 % 4, i / 64)) {
        if !(a <= d && d <= l && l <= s) {
            continue;
        }
        let job = Job {
            attempts: &stages[a].attempts,
            drafts: &stages[d].drafts,
            lots: &stages[l].lots,
            state: &stages[s].state,
            ..stages[0].job()
        };
        let read = (a, d, l, s);
        let busy = busy_words(&job, Some(u64::MAX));
        assert_eq!(busy.get(&0), Some(&word_bits(0, 4)), "{read:?}");
        match affordable(&job, Amount::from(PRICE)) {
            Ok(units) => assert!(units <= 8, "{units} of {read:?}"),
            Err(reason) => assert!(matches!(reason, Reason::NoMoney { .. })),
        }
    }
}

#[test]
fn leases_that_expire_do_not_use_up_the_attempts_but_end_some_day() {
    let mut w = world(1, Tier::Economy, 4, 1, 1);
    for number in 1..MAX_TRIES {
        w.attempts.push(attempt(&w.order, 0, number, 1, LeaseState::Expired, None));
        assert_eq!(w.ask(1, &[], 0), Ok(vec![(0, number + 1)]));
    }
    w.attempts.push(attempt(&w.order, 0, MAX_TRIES, 1, LeaseState::Expired, None));
    assert_eq!(w.ask(1, &[], 0), Err(Reason::NothingFree));
}

#[test]
fn no_more_is_leased_than_the_free_money_pays() {
    let mut w = small();
    w.state.funded = Amount::from(6 * PRICE + 3);
    w.drafts = vec![draft(&w.order, &[0, 1], 1, 0)];
    w.attempts.push(attempt(&w.order, 2, 1, 1, LeaseState::Active, None));
    w.attempts.push(attempt(&w.order, 3, 1, 1, LeaseState::Active, None));
    assert_eq!(w.ask(2, &[], 0), Ok(vec![(4, 1), (5, 1)]));
    w.attempts.push(attempt(&w.order, 4, 1, 2, LeaseState::Active, None));
    w.attempts.push(attempt(&w.order, 5, 1, 2, LeaseState::Active, None));
    let (left, price) = (Amount::from(3u64), Amount::from(PRICE));
    assert_eq!(w.ask(3, &[], 0), Err(Reason::NoMoney { left, price }));
}

#[test]
fn a_lease_never_crosses_a_word() {
    let mut w = world(260, Tier::Economy, 8, 1, 1);
    w.drafts = vec![draft(&w.order, &(0..254).collect::<Vec<_>>(), 1, 0)];
    assert_eq!(w.ask(1, &[], 0), Ok(vec![(254, 1), (255, 1)]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Nodes take, deliver, fail and vanish at random: no unit is ever with two, money covers all
    /// that is promised, and in the end every unit is accepted or given up.
    #[test]
    fn a_whole_job_is_dealt_out_once(
        units in 1u32..40,
        chunk in 1u32..9,
        moves in prop::collection::vec((1u8..4, 0u8..10), 400),
    ) {
        let mut w = world(units, Tier::Economy, chunk, 1, 1);
        let nodes = [node(1, 0), node(2, 0), node(3, 0)];
        let mut tag = 0u8;
        for (by, fate) in moves {
            let Ok(picked) = w.ask(by, &nodes, 0) else { continue };
            prop_assert!(picked.len() as u32 <= chunk);
            let busy = busy_words(&w.job(), Some(u64::MAX)).remove(&0).unwrap_or_default();
            prop_assert!(picked.iter().all(|(unit, _)| (busy & bit_of(*unit)).is_zero()));
            tag = tag.wrapping_add(1);
            let (state, problem) = match fate {
                0 => (LeaseState::Failed, Some("bad")),
                1 => (LeaseState::Expired, None),
                _ => (LeaseState::Accepted, None),
            };
            for (unit, number) in &picked {
                let repeated = |a: &&Attempt| a.unit == *unit && a.attempt == *number;
                prop_assert!(!w.attempts.iter().any(|a| repeated(&a)));
                let made = attempt(&w.order, *unit, *number, by, state, problem);
                w.attempts.push(Attempt { lease_id: format!("lease-{tag}"), ..made });
            }
            if state == LeaseState::Accepted {
                let all: Vec<u32> = picked.iter().map(|(unit, _)| *unit).collect();
                w.drafts.push(draft(&w.order, &all, tag.max(1), 0));
            }
        }
        let accepted = w.drafts.iter().fold(U256::ZERO, |mask, d| mask | d.lot.mask);
        let sum: u32 = w.drafts.iter().map(|d| count(d.lot.mask)).sum();
        prop_assert_eq!(count(accepted), sum, "a unit was accepted twice");
        let histories = histories(&w.job());
        let open = units_in(0, word_bits(0, units) & !accepted);
        let given_up = |unit: &u32| {
            let history = histories.get(unit);
            history.is_some_and(|h| nodes.iter().all(|n| h.is_dead(3, n.node)))
        };
        prop_assert!(open.iter().all(given_up), "work is left: {:?}", open);
    }
}
