//! Tests of columns.rs: no field of any event is lost, and altered rows are refused.

use proptest::prelude::*;

use super::*;
use crate::testing::{Draw, KINDS};

/// The order and the lot that are kept beside the row.
fn aside(event: &Event) -> (Option<Order>, Option<Lot>) {
    match event {
        Event::Opened(e) => (Some(e.order.clone()), None),
        Event::Released(e) => (None, Some(e.lot.clone())),
        Event::Committed(e) => (None, Some(e.lot.clone())),
        _ => (None, None),
    }
}

proptest! {
    #[test]
    fn every_event_comes_back_from_its_columns(kind in 0..KINDS, seed: u64) {
        let event = Draw::new(seed).event(kind);
        let (order, lot) = aside(&event);
        let columns = columns_of(&event);
        prop_assert_eq!(event_of(&columns, order, lot), Ok(event));
    }

    #[test]
    fn a_column_added_or_taken_away_is_refused(kind in 0..KINDS, seed: u64, which in 0..22_u8) {
        let mut draw = Draw::new(seed);
        let event = draw.event(kind);
        let (order, lot) = aside(&event);
        let mut columns = columns_of(&event);
        flip(&mut columns, which, &mut draw);
        prop_assert!(event_of(&columns, order, lot).is_err(), "{columns:?}");
    }
}

/// Empties a column that has a value, or fills one that has none.
fn flip(c: &mut Columns, which: u8, draw: &mut Draw) {
    fn other<T>(column: &mut Option<T>, value: T) {
        *column = if column.is_some() { None } else { Some(value) };
    }
    match which {
        0 => other(&mut c.job_id, draw.hash()),
        1 => other(&mut c.account, draw.address()),
        2 => other(&mut c.counterparty, draw.address()),
        3 => other(&mut c.lot_hash, draw.hash()),
        4 => other(&mut c.amount, draw.amount()),
        5 => other(&mut c.fee, draw.amount()),
        6 => other(&mut c.burn, draw.amount()),
        7 => other(&mut c.free, draw.amount()),
        8 => other(&mut c.seq, draw.number(63)),
        9 => other(&mut c.funded, draw.amount()),
        10 => other(&mut c.released, draw.amount()),
        11 => other(&mut c.pending, draw.amount()),
        12 => other(&mut c.job_seq, draw.small()),
        13 => other(&mut c.mask, draw.mask()),
        14 => other(&mut c.at, draw.number(40)),
        15 => other(&mut c.approved, true),
        16 => other(&mut c.hash, draw.hash()),
        17 => other(&mut c.credit, draw.amount()),
        18 => other(&mut c.spent, draw.amount()),
        19 => other(&mut c.allowance, draw.amount()),
        20 => other(&mut c.max_per_job, draw.amount()),
        _ => other(&mut c.party, draw.address()),
    }
}

#[test]
fn every_kind_is_drawn_once_and_has_a_word_of_its_own() {
    let mut draw = Draw::new(1);
    let kinds: Vec<Event> = (0..KINDS).map(|kind| draw.event(kind)).collect();
    let names: std::collections::BTreeSet<_> = kinds.iter().map(Event::name).collect();
    let words: std::collections::BTreeSet<_> = kinds.iter().map(kind_of).collect();
    assert_eq!((names.len(), words.len()), (usize::from(KINDS), usize::from(KINDS)));
}

#[test]
fn an_unknown_kind_and_a_missing_order_are_named() {
    let event = Draw::new(2).event(5);
    let columns = columns_of(&event);
    let problem = event_of(&columns, None, None).unwrap_err();
    assert_eq!(problem, "no order in job_orders");
    let odd = Columns { kind: "melted".into(), ..columns };
    assert_eq!(event_of(&odd, None, None).unwrap_err(), "`melted` is no kind of event");
}
