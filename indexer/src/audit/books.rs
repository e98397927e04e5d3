//! The balance sheet of a replay: every book's debits and credits; all of them sum to zero.

use std::collections::BTreeMap;

use contracts::{Amount, AmountError};
use serde::Serialize;
use store::entries::{credit_book, job_book, wallet_book};
use store::{Reader, entries_of};

use super::storage::Held;
use super::{AuditError, BLOCKS_AT_ONCE, Findings, Place};

/// One book: all that went out of it and came into it, in base units. Its balance is
/// `credits - debits`; only the book `outside` is below zero, by what the escrow holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Book {
    pub book: String,
    pub debits: Amount,
    pub credits: Amount,
}

/// Sums the entries of all replayed events; also counts the events. Totals of a book beyond
/// 96 bits are an error: no token has that many units.
pub(super) async fn sheet(
    replayed: &Reader,
    first: u64,
    last: u64,
) -> Result<(u64, Vec<Book>), AuditError> {
    let mut books: BTreeMap<String, (Amount, Amount)> = BTreeMap::new();
    let mut events = 0;
    let mut from = first;
    while from <= last {
        let to = last.min(from.saturating_add(BLOCKS_AT_ONCE - 1));
        for row in replayed.events_between(from, to).await? {
            events += 1;
            for entry in entries_of(&row)? {
                let (debits, credits) = books.entry(entry.book).or_default();
                let side = if entry.debit { debits } else { credits };
                *side = side.checked_add(entry.amount)?;
            }
        }
        from = to + 1;
    }
    let books = books.into_iter();
    let books = books.map(|(book, (debits, credits))| Book { book, debits, credits });
    Ok((events, books.collect()))
}

/// The sheet must sum to zero, and each wallet and job must hold what the fold says.
pub(super) fn check(books: &[Book], held: &Held, found: &mut Findings) -> Result<(), AmountError> {
    let place = |row: &str| Place::new("balance sheet", row.to_owned());
    let side = |pick: fn(&Book) -> Amount| {
        books.iter().try_fold(Amount::ZERO, |sum, book| sum.checked_add(pick(book)))
    };
    let (out, into) = (side(|book| book.debits)?, side(|book| book.credits)?);
    found.same(&place("all books"), "debits and credits", out, into);
    let wallets = held.wallets.iter().map(|(account, free)| (wallet_book(*account), *free));
    let credits = held.credits.iter().map(|(account, credit)| (credit_book(*account), *credit));
    let jobs = held.in_jobs.iter().map(|(job_id, left)| (job_book(*job_id), *left));
    let mut expected: BTreeMap<String, Amount> = wallets.chain(credits).chain(jobs).collect();
    for Book { book, debits, credits } in books {
        if book == "outside" {
            let holds = debits.checked_sub(*credits)?;
            found.same(&place(book), "held by the escrow", held.liabilities, holds);
            continue;
        }
        // Shares on their way have no account: their books must be empty.
        let left = expected.remove(book).unwrap_or_default();
        found.same(&place(book), "balance", left, credits.checked_sub(*debits)?);
    }
    for (book, left) in expected {
        found.same(&place(&book), "balance", left, Amount::ZERO);
    }
    Ok(())
}
