//! The fold takes what the contract could write, and refuses everything else.

use super::*;
use crate::tests::escrow::{self, Call, Escrow, calls};
use proptest::prelude::*;
use serde_json::Value;
use std::collections::BTreeSet;
use store::entries_of;

const START: i64 = 1_700_000_000;

/// A block for each call that does anything: its time and its rows.
fn history(calls: &[Call]) -> Vec<(i64, Vec<EventRow>)> {
    let mut escrow = Escrow::default();
    let mut blocks = vec![];
    for (call, number) in calls.iter().zip(1u64..) {
        let mined_at = START + 12 * i64::try_from(number).unwrap();
        let events = escrow.call(*call, mined_at);
        let rows = events.into_iter().zip(0u64..).map(|(event, log_index)| {
            let tx_hash = B256::from(U256::from(number));
            EventRow { block: number, log_index, tx_hash, event }
        });
        blocks.push((mined_at, rows.collect()));
    }
    blocks
}

fn fold(blocks: &[(i64, Vec<EventRow>)]) -> Result<Ledger, LedgerError> {
    let mut ledger = Ledger::new(escrow::domain());
    for (mined_at, rows) in blocks {
        for row in rows {
            ledger.apply(row, *mined_at)?;
        }
        if let Some(last) = rows.last() {
            ledger.end_block(last, *mined_at)?;
        }
    }
    Ok(ledger)
}

/// What the payer or the guardian chooses: no figure before or after follows from it, so only the
/// contract's storage can tell (`audit`).
fn is_free_choice(event: &Event, path: &str) -> bool {
    match event {
        Event::DelegateSet(_) => path != "/seq",
        Event::Paused(_) => path == "/until",
        _ => false,
    }
}

/// All numbers of an event, as paths into its JSON.
fn numbers(value: &Value, path: &str, into: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, field)| {
                numbers(field, &format!("{path}/{name}"), into);
            });
        }
        Value::Number(_) => into.push(path.into()),
        Value::String(text) if text.bytes().all(|b| b.is_ascii_digit()) => into.push(path.into()),
        Value::String(_) if path.ends_with("/mask") => into.push(path.into()),
        _ => {}
    }
}

fn add_one(value: &Value) -> Value {
    match value {
        Value::Number(number) => (number.as_u64().unwrap() + 1).into(),
        Value::String(text) if text.starts_with("0x") => {
            let mask: U256 = text.parse().unwrap();
            serde_json::to_value(mask ^ U256::ONE).unwrap()
        }
        Value::String(text) => (text.parse::<u128>().unwrap() + 1).to_string().into(),
        other => panic!("no number: {other}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_history_of_the_contract_folds(calls in calls(120)) {
        let blocks = history(&calls);
        let ledger = fold(&blocks).unwrap();
        // Money is neither made nor lost: entries sum to zero, book by book with the fold.
        let mut books: HashMap<String, i128> = HashMap::new();
        for row in blocks.iter().flat_map(|(_, rows)| rows) {
            for entry in entries_of(row).unwrap() {
                let base = i128::try_from(entry.amount.base()).unwrap();
                *books.entry(entry.book).or_default() += if entry.debit { -base } else { base };
            }
        }
        prop_assert_eq!(books.values().sum::<i128>(), 0);
        for state in ledger.accounts.values() {
            let book = store::entries::wallet_book(state.account);
            let held = i128::try_from(state.free.base()).unwrap();
            prop_assert_eq!(books.get(&book).copied().unwrap_or_default(), held);
            let book = store::entries::credit_book(state.account);
            let held = i128::try_from(state.credit.base()).unwrap();
            prop_assert_eq!(books.get(&book).copied().unwrap_or_default(), held);
        }
    }

    #[test]
    fn a_number_changed_by_one_is_refused(calls in calls(60), at: prop::sample::Index) {
        let mut blocks = history(&calls);
        let mut places = vec![];
        for (b, (_, rows)) in blocks.iter().enumerate() {
            for (r, row) in rows.iter().enumerate() {
                let mut paths = vec![];
                numbers(&serde_json::to_value(&row.event).unwrap(), "", &mut paths);
                paths.retain(|path| !is_free_choice(&row.event, path));
                places.extend(paths.into_iter().map(|path| (b, r, path)));
            }
        }
        prop_assume!(!places.is_empty());
        let (b, r, path) = at.get(&places);
        let row = &mut blocks[*b].1[*r];
        let mut json = serde_json::to_value(&row.event).unwrap();
        let place = json.pointer_mut(path).unwrap();
        *place = add_one(place);
        row.event = serde_json::from_value(json).unwrap();
        let changed = row.clone();
        let refused = fold(&blocks);
        prop_assert!(refused.is_err(), "{path} of {changed:?}");
        prop_assert!(refused.unwrap_err().block >= changed.block);
    }

    #[test]
    fn a_doubled_event_is_refused(calls in calls(60), at: prop::sample::Index) {
        let mut blocks = history(&calls);
        let full: Vec<_> = (0..blocks.len()).filter(|b| !blocks[*b].1.is_empty()).collect();
        prop_assume!(!full.is_empty());
        let rows = &mut blocks[*at.get(&full)].1;
        rows.push(rows[0].clone());
        prop_assert!(fold(&blocks).is_err());
    }

    #[test]
    fn a_missing_event_is_found_when_its_account_or_job_moves_again(
        calls in calls(80),
        at: prop::sample::Index,
    ) {
        let mut blocks = history(&calls);
        let all: Vec<(usize, usize)> = (0..blocks.len())
            .flat_map(|b| (0..blocks[b].1.len()).map(move |r| (b, r)))
            .collect();
        prop_assume!(!all.is_empty());
        let &(b, r) = at.get(&all);
        let row = blocks[b].1.remove(r);
        let names = |row: &EventRow| {
            let account = row.event.account_after().map(|a| a.account.to_string());
            let job = row.event.job_seq().and(row.event.job_id()).map(|id| id.to_string());
            account.into_iter().chain(job).collect::<BTreeSet<_>>()
        };
        let lost = names(&row);
        let later = blocks[b].1[r..].iter().chain(blocks[b + 1..].iter().flat_map(|(_, r)| r));
        let moves_again = later.into_iter().any(|row| !names(row).is_disjoint(&lost));
        prop_assert!(!moves_again || fold(&blocks).is_err(), "{row:?}");
    }
}

#[test]
fn a_gap_names_place_expected_and_found() {
    let blocks = history(&[(0, 1, 5), (0, 1, 7), (0, 1, 9)]);
    let error = fold(&[blocks[0].clone(), blocks[2].clone()]).unwrap_err();
    assert_eq!((error.block, error.log_index, error.event), (3, 0, "Deposited"));
    assert_eq!((error.found.as_str(), error.expected.as_str()), ("3", "2"));
    let text = error.to_string();
    assert!(text.contains("sequence number of the account is 3, expected 2"), "{text}");
}

#[test]
fn shares_that_nobody_got_are_found_at_the_end_of_the_block() {
    let calls = [(3, 0, 1_000), (6, 0, 999)];
    let mut blocks = history(&calls);
    assert!(fold(&blocks).is_ok());
    let fee = blocks[1].1.iter().position(|row| matches!(row.event, Event::FeeCredited(_)));
    blocks[1].1.remove(fee.unwrap());
    let error = fold(&blocks).unwrap_err();
    assert_eq!(error.what, "fee taken and credited to nobody");
}

#[test]
fn histories_hold_every_kind_of_event() {
    let calls: Vec<Call> = (0..4_000u32)
        .map(|n| {
            let pick = n.wrapping_mul(2_654_435_761) >> 7;
            (u8::try_from(pick % 251).unwrap(), pick, u64::from(pick % 1_000_000) + 1)
        })
        .collect();
    let blocks = history(&calls);
    let rows = || blocks.iter().flat_map(|(_, rows)| rows);
    let kinds: BTreeSet<_> = rows().map(|row| row.event.name()).collect();
    assert_eq!(kinds.len(), 24, "{kinds:?}");
    assert!(rows().count() > 1_000);
    fold(&blocks).unwrap();
}
