//! Which words a review takes, in each state that a lot can be in.

use proptest::prelude::*;
use store::{LeaseState, LotStatus};

use super::*;
use crate::record::testing::{NOW, WINDOW_END, opened};

fn approval(lots: &[B256], record: &Record) -> Word {
    let lots = lots.iter().map(|hash| (*hash, record.lots[hash].lot.clone()));
    Word::Approval { lots: lots.collect() }
}

fn rejection(lot_hash: B256, units: &[u32], record: &Record) -> Word {
    let lot = record.lots[&lot_hash].lot.clone();
    let mask = units::mask_of(lot.word, units);
    Word::Rejection { lot_hash, lot, mask }
}

#[test]
fn lots_wanted_whole_take_one_approval_together() {
    let mut record = opened();
    let (a, b) = (record.deliver(&[0, 1]), record.deliver(&[2, 3]));
    let plan = approve(&record, &[0, 1, 2, 3], NOW).unwrap();
    assert_eq!(plan.words, [approval(&[a, b], &record)]);
    assert_eq!(plan.words[0].units(&record), [0, 1, 2, 3]);
}

#[test]
fn a_lot_wanted_in_part_is_rejected_in_the_rest_and_then_approved() {
    let mut record = opened();
    let (a, b) = (record.deliver(&[0, 1, 2]), record.deliver(&[3]));
    let plan = approve(&record, &[0, 2, 3], NOW).unwrap();
    let words = [approval(&[b], &record), rejection(a, &[1], &record), approval(&[a], &record)];
    assert_eq!(plan.words, words);
}

#[test]
fn lots_on_chain_and_lots_before_it_are_approved_apart() {
    let mut record = opened();
    let (a, b) = (record.deliver(&[0, 1]), record.deliver(&[2, 3]));
    record.on_chain(a, LotStatus::Committed, &[]);
    let plan = approve(&record, &[0, 1, 2, 3], NOW).unwrap();
    assert_eq!(plan.words, [approval(&[b], &record), approval(&[a], &record)]);
}

#[test]
fn a_lot_with_a_rejection_under_way_holds_up_no_other_lot() {
    let mut record = opened();
    let (a, b) = (record.deliver(&[0, 1]), record.deliver(&[2]));
    record.refuse(a, &[0]);
    let plan = approve(&record, &[1, 2], NOW).unwrap();
    assert_eq!(plan.words, [approval(&[b], &record), approval(&[a], &record)]);
    assert_eq!(plan.words[1].units(&record), [1], "the rejected unit is not approved");
}

#[test]
fn what_was_approved_or_paid_before_takes_no_word() {
    let mut record = opened();
    let (a, b) = (record.deliver(&[0]), record.deliver(&[1]));
    let c = record.deliver(&[2]);
    record.on_chain(a, LotStatus::Settled, &[]).on_chain(b, LotStatus::Approved, &[]);
    record.approve(&[c]);
    let plan = approve(&record, &[0, 1, 2], NOW).unwrap();
    assert_eq!((plan.words, plan.done), (vec![], vec![0, 1, 2]));
}

#[test]
fn an_approval_of_many_lots_is_split() {
    let mut record = opened();
    record.order.units = 250;
    let lots: Vec<B256> = (0..250).map(|unit| record.deliver(&[unit])).collect();
    let wanted: Vec<u32> = (0..250).collect();
    let plan = approve(&record, &wanted, NOW).unwrap();
    let words: Vec<Word> = lots.chunks(100).map(|lots| approval(lots, &record)).collect();
    assert_eq!(words.len(), 3);
    assert_eq!(plan.words, words);
}

#[test]
fn rejections_are_one_for_each_lot() {
    let mut record = opened();
    let (a, b) = (record.deliver(&[0, 1]), record.deliver(&[2, 3]));
    record.on_chain(a, LotStatus::Committed, &[]);
    let plan = reject(&record, &[1, 2, 3], NOW).unwrap();
    assert_eq!(plan.words, [rejection(a, &[1], &record), rejection(b, &[2, 3], &record)]);
}

#[test]
fn frames_that_cannot_be_reviewed_are_named_with_their_reason() {
    let mut record = opened();
    let a = record.deliver(&[0]);
    let b = record.deliver(&[1, 2]);
    let c = record.deliver(&[3]);
    record.lease(&[4], LeaseState::Active).lease(&[5], LeaseState::Failed);
    record.on_chain(a, LotStatus::Settled, &[]).on_chain(b, LotStatus::Committed, &[1]);
    record.approve(&[c]);
    let cases = [
        (1, NOW, Code::AlreadyRejected, Code::AlreadyRejected),
        (2, WINDOW_END, Code::WindowOver, Code::WindowOver),
        (4, NOW, Code::NotRendered, Code::NotRendered),
        (5, NOW, Code::NotRendered, Code::NotRendered),
        (6, NOW, Code::NotRendered, Code::NotRendered),
    ];
    for (unit, at, approving, rejecting) in cases {
        let problem = approve(&record, &[unit], at).unwrap_err();
        assert_eq!(problem.code, approving, "approve {unit}");
        assert!(problem.detail.starts_with(&format!("frame {} ", unit + 1)), "{}", problem.detail);
        assert_eq!(reject(&record, &[unit], at).unwrap_err().code, rejecting, "reject {unit}");
    }
    for unit in [0, 3] {
        let problem = reject(&record, &[unit], NOW).unwrap_err();
        assert_eq!(problem.code, Code::AlreadyApproved, "unit {unit}");
    }
}

#[test]
fn one_frame_that_cannot_be_reviewed_refuses_the_whole_request() {
    let mut record = opened();
    record.deliver(&[0, 1]);
    assert_eq!(approve(&record, &[0, 1, 2], NOW).unwrap_err().code, Code::NotRendered);
}

proptest! {
    /// Whatever is wanted of whatever lots: after the words exactly the wanted units live on.
    #[test]
    fn words_say_exactly_what_was_wanted(
        sizes in proptest::collection::vec((1u32..5, any::<bool>()), 1..8),
        picks in proptest::collection::vec(any::<bool>(), 40),
    ) {
        let mut record = opened();
        record.order.units = 256;
        let (mut first, mut touched) = (0, vec![]);
        for (size, committed) in sizes {
            let members: Vec<u32> = (first..first + size).collect();
            first += size;
            let lot = record.deliver(&members);
            if committed {
                record.on_chain(lot, LotStatus::Committed, &[]);
            }
            touched.push(members);
        }
        let wanted: Vec<u32> = (0..first).filter(|unit| picks[*unit as usize]).collect();
        let plan = approve(&record, &wanted, NOW).unwrap();
        let (mut rejected, mut approved) = (vec![], vec![]);
        for word in &plan.words {
            match word {
                Word::Rejection { .. } => {
                    let units = word.units(&record);
                    prop_assert!(units.iter().all(|unit| !approved.contains(unit)), "{units:?}");
                    rejected.extend(units);
                }
                Word::Approval { .. } => approved.extend(word.units(&record)),
            }
        }
        approved.retain(|unit| !rejected.contains(unit));
        approved.sort_unstable();
        prop_assert_eq!(&approved, &wanted);
        let mut rest: Vec<u32> = touched.into_iter()
            .filter(|lot| lot.iter().any(|unit| wanted.contains(unit)))
            .flatten()
            .filter(|unit| !wanted.contains(unit))
            .collect();
        rest.sort_unstable();
        rejected.sort_unstable();
        prop_assert_eq!(rejected, rest);
    }
}
