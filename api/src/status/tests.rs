//! States of jobs and units, from every fact that moves them.

use contracts::Amount;
use store::LotStatus;

use super::*;
use crate::record::testing::{NOW, PRICE, WINDOW_END, drafted, intake, opened};

fn phase(record: &Record) -> JobPhase {
    phase_at(record, NOW)
}

fn phase_at(record: &Record, at: i64) -> JobPhase {
    job_phase(record, &count_units(record, at), at)
}

fn state(record: &Record, unit: u32) -> UnitState {
    unit_state(record, unit, NOW)
}

#[test]
fn a_job_that_the_chain_does_not_show_waits_for_its_signature_or_its_money() {
    let mut record = drafted();
    assert_eq!(phase(&record), JobPhase::Draft);
    record.intake = Some(intake(None));
    assert_eq!(phase(&record), JobPhase::Draft);
    record.intake = Some(intake(Some(vec![1].into())));
    assert_eq!(phase(&record), JobPhase::AwaitingFunds);
    assert_eq!(phase_at(&record, 11_000), JobPhase::Expired);
}

#[test]
fn units_walk_from_queued_to_released() {
    let mut record = opened();
    assert_eq!((state(&record, 0), phase(&record)), (UnitState::Queued, JobPhase::Queued));
    record.lease(&[0], LeaseState::Active);
    assert_eq!((state(&record, 0), phase(&record)), (UnitState::Leased, JobPhase::Running));
    record.attempts.get_mut(&0).unwrap()[0].progress = 500;
    assert_eq!((state(&record, 0), phase(&record)), (UnitState::Running, JobPhase::Running));
    record.attempts.clear();
    let lot = record.deliver(&(0..12).collect::<Vec<_>>());
    assert_eq!((state(&record, 0), phase(&record)), (UnitState::Rendered, JobPhase::InReview));
    record.on_chain(lot, LotStatus::Committed, &[]);
    assert_eq!((state(&record, 0), phase(&record)), (UnitState::Committed, JobPhase::InReview));
    assert_eq!(unit_state(&record, 0, WINDOW_END - 1), UnitState::Committed);
    assert_eq!(unit_state(&record, 0, WINDOW_END), UnitState::Approved);
    record.on_chain(lot, LotStatus::Approved, &[]);
    assert_eq!((state(&record, 0), phase(&record)), (UnitState::Approved, JobPhase::Settling));
    record.on_chain(lot, LotStatus::Settled, &[]);
    assert_eq!(state(&record, 0), UnitState::Released);
    record.chain.as_mut().unwrap().1.units_paid = 12;
    assert_eq!(phase(&record), JobPhase::Completed);
}

#[test]
fn a_rejected_unit_is_offered_again_until_its_attempts_are_used_up() {
    let mut record = opened();
    for attempt in 1..=3 {
        let lot = record.deliver(&[0]);
        assert_eq!(state(&record, 0), UnitState::Rendered, "attempt {attempt}");
        record.refuse(lot, &[0]);
        let expected = if attempt < 3 { UnitState::Rejected } else { UnitState::Dead };
        assert_eq!(state(&record, 0), expected, "attempt {attempt}");
    }
}

#[test]
fn a_unit_is_given_up_after_three_failures_or_twelve_tries_of_any_kind() {
    let mut record = opened();
    record.lease(&[0], LeaseState::Failed).lease(&[0], LeaseState::Expired);
    record.lease(&[0], LeaseState::Failed);
    assert_eq!(state(&record, 0), UnitState::SoftFailed, "a node that vanished is no failure");
    record.lease(&[0], LeaseState::Failed);
    assert_eq!(state(&record, 0), UnitState::Dead);
    for _ in 0..12 {
        assert_ne!(state(&record, 1), UnitState::Dead);
        record.lease(&[1], LeaseState::Expired);
    }
    assert_eq!(state(&record, 1), UnitState::Dead);
}

#[test]
fn a_lapsed_lot_s_units_are_offered_again() {
    let mut record = opened();
    let lot = record.deliver(&[0]);
    record.on_chain(lot, LotStatus::Lapsed, &[]);
    assert_eq!(state(&record, 0), UnitState::Lapsed);
}

#[test]
fn a_lot_that_only_the_chain_knows_counts_too() {
    let mut record = opened();
    let lot = record.deliver(&[0, 1]);
    record.on_chain(lot, LotStatus::Committed, &[1]);
    record.attempts.clear();
    record.receipts.clear();
    record.drafts.clear();
    assert_eq!(state(&record, 0), UnitState::Committed);
    assert_eq!(state(&record, 1), UnitState::Queued);
    assert_eq!(count_units(&record, NOW)[&UnitState::Committed], 1);
}

#[test]
fn counts_add_up_to_the_units_of_the_order() {
    let mut record = opened();
    let lot = record.deliver(&[0, 1, 2]);
    record.refuse(lot, &[1]);
    record.lease(&[5], LeaseState::Active).lease(&[6], LeaseState::Failed);
    let counts = count_units(&record, NOW);
    assert_eq!(counts.len(), UnitState::ALL.len());
    assert_eq!(counts.values().sum::<u32>(), 12);
    assert_eq!(counts[&UnitState::Rendered], 2);
    assert_eq!(counts[&UnitState::Rejected], 1);
    assert_eq!(counts[&UnitState::Queued], 7);
}

#[test]
fn a_job_whose_money_does_not_cover_the_next_unit_is_paused() {
    let mut record = opened();
    record.chain.as_mut().unwrap().1.funded = Amount::from(3 * PRICE);
    assert_eq!(phase(&record), JobPhase::Queued);
    record.deliver(&[0, 1, 2]);
    assert_eq!(phase(&record), JobPhase::PausedFunds, "an accepted lot holds its money");
}

#[test]
fn a_rejection_on_its_way_to_the_chain_pays_for_the_next_attempt() {
    let mut record = opened();
    let chain = &mut record.chain.as_mut().unwrap().1;
    (chain.funded, chain.pending) = (Amount::from(3 * PRICE), Amount::from(3 * PRICE));
    let lot = record.deliver(&[0, 1, 2]);
    record.on_chain(lot, LotStatus::Committed, &[]);
    assert_eq!(phase(&record), JobPhase::PausedFunds);
    record.refuse(lot, &[1]);
    assert_eq!(phase(&record), JobPhase::Queued);
    record.on_chain(lot, LotStatus::Committed, &[1]);
    assert_eq!(phase(&record), JobPhase::PausedFunds, "seen by the chain, it counts once");
}

#[test]
fn closing_a_job_goes_by_way_of_what_is_pending() {
    let mut record = opened();
    record.chain.as_mut().unwrap().1.close_requested = true;
    assert_eq!(phase(&record), JobPhase::Closing);
    let chain = &mut record.chain.as_mut().unwrap().1;
    (chain.closed, chain.pending) = (true, Amount::from(PRICE));
    assert_eq!(phase(&record), JobPhase::Settling);
    record.chain.as_mut().unwrap().1.pending = Amount::ZERO;
    assert_eq!(phase(&record), JobPhase::Cancelled);
}

#[test]
fn a_job_that_ran_out_of_time_is_expired() {
    let record = opened();
    assert_eq!(end_of(&record), 186_400);
    assert_eq!(phase_at(&record, 186_399), JobPhase::Queued);
    assert_eq!(phase_at(&record, 186_400), JobPhase::Expired);
}

#[test]
fn a_job_with_nothing_but_dead_units_left_has_failed() {
    let mut record = opened();
    let units: Vec<u32> = (0..12).collect();
    for _ in 0..3 {
        record.lease(&units, LeaseState::Failed);
    }
    assert_eq!(phase(&record), JobPhase::Failed);
}
