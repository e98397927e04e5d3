//! The balance sheet of a replay: every book's debits and credits; all of them sum to zero.

use std::collections::BTreeMap;

use contracts::{Amount, AmountError};
use serde::Serialize;
use store::entries::{bond_book, credit_book, job_book, wallet_book};
use store::{Entry, Reader, entries_of, entries_of_registry};

use super::storage::Held;
use super::{AuditError, BLOCKS_AT_ONCE, Findings, Place};

/// One book: all that went out of it and came into it, in base units. Its balance is
/// `credits - debits`; only the book `outside` is below zero, by what escrow and registry hold.
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
            post(&mut books, entries_of(&row)?)?;
        }
        for row in replayed.registry_events_between(from, to).await? {
            events += 1;
            post(&mut books, entries_of_registry(&row)?)?;
        }
        from = to + 1;
    }
    let books = books.into_iter();
    let books = books.map(|(book, (debits, credits))| Book { book, debits, credits });
    Ok((events, books.collect()))
}

fn post(
    books: &mut BTreeMap<String, (Amount, Amount)>,
    entries: Vec<Entry>,
) -> Result<(), AmountError> {
    for entry in entries {
        let (debits, credits) = books.entry(entry.book).or_default();
        let side = if entry.debit { debits } else { credits };
        *side = side.checked_add(entry.amount)?;
    }
    Ok(())
}

/// The sheet must sum to zero, and each wallet, job and bond must hold what the fold says.
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
    let bonds = held.bonds.iter().map(|(signer, bond)| (bond_book(*signer), *bond));
    let mut expected: BTreeMap<String, Amount> =
        wallets.chain(credits).chain(jobs).chain(bonds).collect();
    let bonded = held.registry.as_ref().map_or(Amount::ZERO, |registry| registry.bonds);
    let all_held = held.liabilities.checked_add(bonded)?;
    for Book { book, debits, credits } in books {
        if book == "outside" {
            let holds = debits.checked_sub(*credits)?;
            found.same(&place(book), "held by the contracts", all_held, holds);
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
