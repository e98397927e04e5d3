//! Tests of entries.rs: every event sums to zero, and money ends where the event says.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::testing::{Draw, KINDS, REGISTRY_KINDS, amount};

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
    fn entries_of_the_registry_sum_to_zero_and_move_its_signers_bond_alone(
        kind in 0..REGISTRY_KINDS,
        seed: u64,
    ) {
        let event = Draw::new(seed).registry_event(kind);
        let bond = bond_book(event.signer());
        let row = RegistryRow { block: 7, log_index: 3, tx_hash: B256::ZERO, event };
        let entries = entries_of_registry(&row).unwrap();
        prop_assert_eq!(balances(&entries).values().sum::<i128>(), 0);
        prop_assert!(entries.iter().all(|e| e.book == bond || e.book == "outside"));
        prop_assert!([0, 1, 3].contains(&kind) <= entries.is_empty(), "no money moves");
    }

    #[test]
    fn only_the_account_of_the_event_and_its_job_move(kind in 0..KINDS, seed: u64) {
        let event = Draw::new(seed).event(kind);
        let after = event.account_after();
        let books = after.map(|a| [wallet_book(a.account), credit_book(a.account)]);
        let books = books.unwrap_or_default();
        let job = event.job_id();
        for entry in entries_of(&row(event)).unwrap() {
            let own = job.is_some_and(|job| {
                [job_book(job), fee_book(job), burn_book(job)].contains(&entry.book)
            });
            prop_assert!(own || entry.book == "outside" || books.contains(&entry.book));
        }
    }
}

fn opened(cap: u128, pulled: u128, spent: u128) -> Event {
    let mut draw = Draw::new(1);
    let mut order = draw.order();
    order.cap = amount(cap);
    let (job_id, payer, funder) = (draw.hash(), order.payer, draw.address());
    let (pulled, credit_spent, free, credit) =
        (amount(pulled), amount(spent), amount(0), amount(0));
    Event::Opened(Box::new(Opened {
        job_id,
        payer,
        funder,
        order,
        credit_spent,
        pulled,
        free,
        credit,
        seq: 1,
    }))
}

use contracts::event::{CreditIssued, CreditReturned, Opened, Settled};

#[test]
fn an_opening_takes_credit_what_was_pulled_and_the_rest_from_the_funder() {
    let event = opened(100, 30, 45);
    let account = event.account_after().unwrap().account;
    let (funder, credit) = (wallet_book(account), credit_book(account));
    let job = job_book(event.job_id().unwrap());
    let books = balances(&entries_of(&row(event)).unwrap());
    let expected = [("outside".to_owned(), -30), (credit, -45), (funder, -25), (job, 100)];
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
    let error = entries_of(&row(opened(10, 8, 3))).unwrap_err();
    assert!(matches!(error, Error::Unbalanced { block: 7, log_index: 3, .. }), "{error}");
}

#[test]
fn legs_of_nothing_are_left_out() {
    assert_eq!(entries_of(&row(opened(100, 0, 0))).unwrap().len(), 2);
    assert_eq!(entries_of(&row(opened(100, 100, 0))).unwrap().len(), 2);
}

#[test]
fn credit_comes_from_outside_and_goes_back_from_the_job() {
    let mut draw = Draw::new(3);
    let Event::CreditIssued(issued) = draw.event(16) else { panic!("kind 16 is credit_issued") };
    let issued = CreditIssued { amount: amount(7), ..issued };
    let books = balances(&entries_of(&row(Event::CreditIssued(issued.clone()))).unwrap());
    let expected = [("outside".to_owned(), -7), (credit_book(issued.account), 7)];
    assert_eq!(books, BTreeMap::from(expected));
    let Event::CreditReturned(back) = draw.event(23) else { panic!("kind 23 is credit_returned") };
    let back = CreditReturned { amount: amount(5), ..back };
    let books = balances(&entries_of(&row(Event::CreditReturned(back.clone()))).unwrap());
    let expected = [(job_book(back.job_id), -5), (credit_book(back.account), 5)];
    assert_eq!(books, BTreeMap::from(expected));
}
