//! Tests of entries.rs: every event sums to zero, and money ends where the event says.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::testing::{Draw, KINDS, amount};

fn row(event: Event) -> EventRow {
    EventRow { block: 7, log_index: 3, tx_hash: B256::ZERO, event }
}

/// What each book gained.
fn balances(entries: &[Entry]) -> BTreeMap<String, i128> {
    let mut books = BTreeMap::new();
    for entry in entries {
        let amount = i128::try_from(entry.amount.base()).unwrap();
        *books.entry(entry.book.clone()).or_insert(0) += if entry.debit { -amount } else { amount };
    }
    books
}

proptest! {
    #[test]
    fn entries_of_every_kind_sum_to_zero(kind in 0..KINDS, seed: u64) {
        let entries = entries_of(&row(Draw::new(seed).event(kind))).unwrap();
        prop_assert_eq!(balances(&entries).values().sum::<i128>(), 0);
        for (entry, leg) in entries.iter().zip(0_u8..) {
            prop_assert_eq!((entry.block, entry.log_index, entry.leg), (7, 3, leg));
            prop_assert!(!entry.amount.is_zero());
        }
    }

    #[test]
    fn only_the_account_of_the_event_and_its_job_move(kind in 0..KINDS, seed: u64) {
        let event = Draw::new(seed).event(kind);
        let wallet = event.account_after().map(|after| wallet_book(after.account));
        let job = event.job_id();
        for entry in entries_of(&row(event)).unwrap() {
            let own = job.is_some_and(|job| {
                [job_book(job), fee_book(job), burn_book(job)].contains(&entry.book)
            });
            prop_assert!(own || entry.book == "outside" || Some(entry.book) == wallet);
        }
    }
}

fn opened(cap: u128, pulled: u128) -> Event {
    let mut draw = Draw::new(1);
    let mut order = draw.order();
    order.cap = amount(cap);
    let (job_id, payer, funder) = (draw.hash(), order.payer, draw.address());
    let (pulled, free) = (amount(pulled), amount(0));
    Event::Opened(Box::new(Opened { job_id, payer, funder, order, pulled, free, seq: 1 }))
}

use contracts::event::{Opened, Settled};

#[test]
fn an_opening_takes_what_was_pulled_from_outside_and_the_rest_from_the_funder() {
    let event = opened(100, 30);
    let funder = wallet_book(event.account_after().unwrap().account);
    let job = job_book(event.job_id().unwrap());
    let books = balances(&entries_of(&row(event)).unwrap());
    let expected = [("outside".to_owned(), -30), (funder, -70), (job, 100)];
    assert_eq!(books, BTreeMap::from(expected));
}

#[test]
fn a_settled_lot_leaves_the_job_for_node_fee_and_burn() {
    let mut draw = Draw::new(9);
    let Event::Settled(mut e) = draw.event(7) else { panic!("kind 7 is settled") };
    (e.amount, e.fee, e.burn) = (amount(1_000), amount(25), amount(100));
    let Settled { job_id, node, .. } = e;
    let books = balances(&entries_of(&row(Event::Settled(e))).unwrap());
    let expected = [
        (job_book(job_id), -1_000),
        (wallet_book(node), 875),
        (fee_book(job_id), 25),
        (burn_book(job_id), 100),
    ];
    assert_eq!(books, BTreeMap::from(expected));
}

#[test]
fn amounts_that_contradict_each_other_are_an_error() {
    let error = entries_of(&row(opened(10, 11))).unwrap_err();
    assert!(matches!(error, Error::Unbalanced { block: 7, log_index: 3, .. }), "{error}");
}

#[test]
fn legs_of_nothing_are_left_out() {
    assert_eq!(entries_of(&row(opened(100, 0))).unwrap().len(), 2);
    assert_eq!(entries_of(&row(opened(100, 100))).unwrap().len(), 2);
}
