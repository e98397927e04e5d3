//! Tests of books.rs: the words of both grammars, what is asserted when, and what is refused.

use alloy::primitives::{Address, B256};
use contracts::Amount;
use contracts::event::*;

use super::*;
use crate::export::escrow_for_tests as escrow;
use crate::testing::{amount, child, hash};
use crate::{Block, EventRow};

const DAY: i64 = 86_400;

fn block(number: u64, day: i64) -> Block {
    Block { number, mined_at: 1_793_491_200 + day * DAY, ..child(None, number) }
}

fn told(block: &Block, event: Event) -> HistoryEvent {
    HistoryEvent::Escrow(EventRow { block: block.number, log_index: 3, tx_hash: hash(9), event })
}

fn deposited(account: Address, base: u128) -> Event {
    let (amount, free) = (amount(base), amount(base));
    Event::Deposited(Deposited { account, from: account, amount, free, seq: 1 })
}

fn topped_up(from: Address, job_id: B256, base: u128) -> Event {
    let (amount, funded) = (amount(base), amount(base));
    let free = Amount::ZERO;
    Event::ToppedUp(ToppedUp { job_id, from, amount, funded, job_seq: 2, free, seq: 2 })
}

fn returned(account: Address, job_id: B256, base: u128) -> Event {
    let (amount, funded) = (amount(base), Amount::ZERO);
    Event::Returned(Returned { job_id, account, amount, funded, job_seq: 4, free: amount, seq: 3 })
}

/// A deposit and a job on the first day, its end on the third.
fn history() -> Vec<(HistoryEvent, Block)> {
    let (account, job_id) = (Address::repeat_byte(1), B256::repeat_byte(2));
    let events = [
        (1, 0, deposited(account, 1_500_000)),
        (2, 0, topped_up(account, job_id, 1_000_001)),
        (3, 2, Event::Closed(Closed { job_id, job_seq: 3 })),
        (3, 2, returned(account, job_id, 1_000_001)),
    ];
    let place = |(number, day, event)| {
        let block = block(number, day);
        (told(&block, event), block)
    };
    events.map(place).into()
}

fn write(syntax: Syntax, scope: Scope, skipped: usize) -> (String, Books) {
    let mut books = Books::new(syntax, &escrow("RNDR", 6), scope);
    let mut watch = Watch::new(scope);
    let mut text = String::new();
    for (number, (told, block)) in history().into_iter().enumerate() {
        watch.takes(&told);
        if number < skipped {
            books.skip(&told, &block, &watch).unwrap();
            continue;
        }
        if number == skipped {
            text.push_str(&books.begin(block.number, 9).unwrap());
        }
        text.push_str(&books.post(&told, &block, &watch).unwrap());
    }
    text.push_str(&books.end());
    (text, books)
}

/// Lines without the long names, for comparison.
fn short(text: &str) -> Vec<String> {
    let names = [
        (Address::repeat_byte(1).to_string(), "A"),
        (Address::repeat_byte(0xe5).to_string(), "E"),
        (B256::repeat_byte(2).to_string(), "J"),
    ];
    let line = |line: &str| {
        names.iter().fold(line.to_owned(), |line, (name, short)| line.replace(name, short))
    };
    text.lines().map(line).filter(|line| !line.is_empty() && !line.starts_with(';')).collect()
}

#[test]
fn beancount_asserts_what_moved_at_the_end_of_each_day_and_everything_at_the_end() {
    let (text, books) = write(Syntax::Beancount, Scope::Escrow, 0);
    let tags = |block: u64| {
        let tx = hash(9);
        format!("  block: {block}|  log: 3|  tx: \"{tx}\"")
    };
    let expected = format!(
        "1970-01-01 commodity RNDR|\
         2026-11-01 open Assets:Escrow:E RNDR|\
         2026-11-01 open Liabilities:Account:A:Free RNDR|\
         2026-11-01 * \"Deposited\"|{}|\
         \x20 Assets:Escrow:E  1.500000 RNDR|\
         \x20 Liabilities:Account:A:Free  -1.500000 RNDR|\
         2026-11-01 open Liabilities:Job:J RNDR|\
         2026-11-01 * \"ToppedUp\"|{}|  job: \"J\"|\
         \x20 Liabilities:Account:A:Free  1.000001 RNDR|\
         \x20 Liabilities:Job:J  -1.000001 RNDR|\
         2026-11-02 balance Assets:Escrow:E  1.500000 ~ 0 RNDR|\
         2026-11-02 balance Liabilities:Account:A:Free  -0.499999 ~ 0 RNDR|\
         2026-11-02 balance Liabilities:Job:J  -1.000001 ~ 0 RNDR|\
         2026-11-03 * \"Returned\"|{}|  job: \"J\"|\
         \x20 Liabilities:Job:J  1.000001 RNDR|\
         \x20 Liabilities:Account:A:Free  -1.000001 RNDR|\
         2026-11-04 balance Liabilities:Account:A:Free  -1.500000 ~ 0 RNDR|\
         2026-11-04 balance Liabilities:Job:J  0.000000 ~ 0 RNDR|\
         2026-11-04 balance Assets:Escrow:E  1.500000 ~ 0 RNDR",
        tags(1),
        tags(2),
        tags(3)
    );
    assert_eq!(short(&text).join("|"), expected);
    // The closed job was asserted and forgotten.
    assert_eq!(books.balances().len(), 2);
}

#[test]
fn hledger_asserts_every_posting_and_everything_at_the_end() {
    let (text, books) = write(Syntax::Hledger, Scope::Escrow, 3);
    let expected = format!(
        "decimal-mark .|commodity 1.000000 RNDR|\
         account Assets:Escrow:E|\
         account Liabilities:Account:A:Free|\
         account Liabilities:Job:J|\
         2026-11-03 * Balances before block 3|\
         \x20   Assets:Escrow:E  1.500000 RNDR = 1.500000 RNDR|\
         \x20   Liabilities:Account:A:Free  -0.499999 RNDR = -0.499999 RNDR|\
         \x20   Liabilities:Job:J  -1.000001 RNDR = -1.000001 RNDR|\
         2026-11-03 * Returned|    ; block:3|    ; log:3|    ; tx:{}|    ; job:J|\
         \x20   Liabilities:Job:J  1.000001 RNDR = 0.000000 RNDR|\
         \x20   Liabilities:Account:A:Free  -1.000001 RNDR = -1.500000 RNDR|\
         2026-11-03 * Balances at the end|\
         \x20   Assets:Escrow:E  0.000000 RNDR = 1.500000 RNDR|\
         \x20   Liabilities:Account:A:Free  0.000000 RNDR = -1.500000 RNDR",
        hash(9)
    );
    assert_eq!(short(&text).join("|"), expected);
    assert_eq!(books.balances().len(), 2);
}

#[test]
fn somebodys_own_books_have_the_money_as_assets() {
    let payer = Address::repeat_byte(1);
    let (text, books) = write(Syntax::Hledger, Scope::Operator(payer), 0);
    let lines = short(&text);
    for line in [
        "    Equity:Outside  -1.500000 RNDR = -1.500000 RNDR",
        "    Assets:Escrow:E:Free  1.500000 RNDR = 1.500000 RNDR",
        "    Expenses:Jobs  1.000001 RNDR = 1.000001 RNDR",
        "    Income:Jobs  -1.000001 RNDR = -1.000001 RNDR",
    ] {
        assert!(lines.iter().any(|found| found == line), "{line} is not in {lines:#?}");
    }
    assert_eq!(books.balances().values().sum::<i128>(), 0);
    // What came in and went before the range is no result of it.
    let (text, _) = write(Syntax::Hledger, Scope::Operator(payer), 3);
    let lines = short(&text);
    let opening = "    Equity:Opening  1.000001 RNDR = 1.000001 RNDR".to_owned();
    assert!(lines.contains(&opening), "{lines:#?}");
}

#[test]
fn more_digits_than_beancount_calculates_in_are_refused() {
    let (account, block) = (Address::repeat_byte(1), block(1, 0));
    let watch = Watch::new(Scope::Escrow);
    let most = told(&block, deposited(account, BEANCOUNT_LIMIT));
    let mut books = Books::new(Syntax::Beancount, &escrow("RNDR", 18), Scope::Escrow);
    let refused = books.post(&most, &block, &watch).unwrap_err().to_string();
    assert!(refused.contains("28 digits"), "{refused}");
    let mut books = Books::new(Syntax::Hledger, &escrow("RNDR", 18), Scope::Escrow);
    books.post(&most, &block, &watch).unwrap();
    let below = told(&block, deposited(account, BEANCOUNT_LIMIT - 1));
    let mut books = Books::new(Syntax::Beancount, &escrow("RNDR", 18), Scope::Escrow);
    books.post(&below, &block, &watch).unwrap();
}

#[test]
fn a_symbol_that_is_no_commodity_is_not_written() {
    for symbol in ["", "X", "usd", "US$", "A B", "RNDR\n2026-01-01 open", "RNDR-1"] {
        let name = commodity(&escrow(symbol, 18));
        assert_eq!(name, "TOKENHAHAHAHAHAHA", "{symbol}");
    }
    assert_eq!(commodity(&escrow("RNDR", 18)), "RNDR");
}
