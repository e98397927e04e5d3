//! pure: the events of one account, in order -> what each moves in which of its books.

use std::collections::{BTreeMap, HashSet};

use alloy::primitives::{Address, B256};
use contracts::event::Event;
use contracts::{Amount, JobId};

use super::{BookSum, Movement, Side, StatementBook};
use crate::entries::Entry;
use crate::entries::{
    bond_book, credit_book, entries_of, entries_of_registry, job_book, wallet_book,
};
use crate::error::{Error, Result};
use crate::events::EventRow;
use crate::registry::RegistryRow;

/// What one event moves in one book.
struct Move {
    block: u64,
    log_index: u64,
    tx_hash: B256,
    event: &'static str,
    job_id: Option<JobId>,
    book: StatementBook,
    change: i128,
}

/// Everything that moved so far: summed before the period, kept inside it.
pub(super) struct Tally {
    before: Option<u64>,
    opening: BTreeMap<StatementBook, i128>,
    moves: Vec<Move>,
}

impl Tally {
    /// Blocks up to `before` are not in the period.
    pub fn new(before: Option<u64>, side: Side) -> Self {
        let opening = StatementBook::of(side).iter().map(|book| (*book, 0)).collect();
        Self { before, opening, moves: vec![] }
    }

    /// Movements inside the period so far.
    pub fn movements(&self) -> usize {
        self.moves.len()
    }

    fn add(&mut self, moved: Move) {
        if moved.change == 0 {
            return;
        }
        if self.before.is_some_and(|before| moved.block <= before) {
            *self.opening.entry(moved.book).or_default() += moved.change;
        } else {
            self.moves.push(moved);
        }
    }

    fn add_of(&mut self, row: &EventRow, book: StatementBook, change: i128) {
        let EventRow { block, log_index, tx_hash, .. } = *row;
        let (event, job_id) = (row.event.name(), row.event.job_id());
        self.add(Move { block, log_index, tx_hash, event, job_id, book, change });
    }

    /// Movements in the chain's order, each with its book's balance afterwards, and the sums.
    pub fn close(mut self) -> Result<(Vec<BookSum>, Vec<Movement>)> {
        self.moves.sort_by_key(|one| (one.block, one.log_index, one.book));
        let mut balances = self.opening.clone();
        let mut turnover: BTreeMap<StatementBook, (i128, i128)> = BTreeMap::new();
        let mut movements = Vec::with_capacity(self.moves.len());
        for one in self.moves {
            let place = format!("events at {}/{}", one.block, one.log_index);
            let balance = balances.entry(one.book).or_default();
            *balance += one.change;
            let (into, out) = turnover.entry(one.book).or_default();
            *(if one.change > 0 { into } else { out }) += one.change.abs();
            movements.push(Movement {
                block: one.block,
                log_index: one.log_index,
                tx_hash: one.tx_hash,
                event: one.event,
                job_id: one.job_id,
                book: one.book,
                debit: one.change < 0,
                amount: amount(one.change.abs(), &place)?,
                balance: amount(*balance, &place)?,
            });
        }
        let sums = self.opening.iter().map(|(book, opening)| {
            let (into, out) = turnover.get(book).copied().unwrap_or_default();
            Ok(BookSum {
                book: *book,
                opening: amount(*opening, book.as_str())?,
                credits: amount(into, book.as_str())?,
                debits: amount(out, book.as_str())?,
                closing: amount(opening + into - out, book.as_str())?,
            })
        });
        Ok((sums.collect::<Result<_>>()?, movements))
    }
}

/// Events that the account counts: its free balance, credit, and what it earned as a node.
pub(super) struct Own {
    of: Address,
    side: Side,
    free_book: String,
    credit_book: String,
    seq: u64,
    free: i128,
    credit: i128,
}

impl Own {
    pub fn new(of: Address, side: Side) -> Self {
        let (free_book, credit_book) = (wallet_book(of), credit_book(of));
        Self { of, side, free_book, credit_book, seq: 0, free: 0, credit: 0 }
    }

    /// Takes the account's next event. What it tells must be what the entries of all events before
    /// it add up to, and its number the next one: so a missing or changed row is found.
    pub fn take(&mut self, row: &EventRow, tally: &mut Tally) -> Result<()> {
        let after = row.event.account_after().filter(|after| after.account == self.of);
        let after = after.ok_or_else(|| altered(row, "it moves another account".into()))?;
        next_number(row, self.seq, after.seq, "account")?;
        self.seq = after.seq;
        let entries = entries_of(row)?;
        let (free, credit) = (net(&entries, &self.free_book), net(&entries, &self.credit_book));
        self.free += free;
        self.credit += credit;
        same(row, "free", after.free, self.free)?;
        same(row, "credit", after.credit, self.credit)?;
        match self.side {
            Side::Wallet => {
                tally.add_of(row, StatementBook::Free, free);
                tally.add_of(row, StatementBook::Credit, credit);
            }
            Side::Node => {
                let earned = matches!(
                    row.event,
                    Event::Released(_) | Event::Settled(_) | Event::Redeemed(_)
                );
                if earned {
                    tally.add_of(row, StatementBook::Earned, free);
                }
            }
        }
        Ok(())
    }
}

/// The events of one job: what stands in it for its payer, or is pending in it for a node.
pub(super) struct OfJob {
    job_id: JobId,
    book: String,
    seq: u32,
    /// Lots of the node that were committed so far.
    lots: HashSet<B256>,
}

impl OfJob {
    pub fn new(job_id: JobId) -> Self {
        Self { job_id, book: job_book(job_id), seq: 0, lots: HashSet::new() }
    }

    pub fn job_id(&self) -> JobId {
        self.job_id
    }

    /// Takes the job's next event for its payer, or for the node `of`.
    pub fn take(
        &mut self,
        row: &EventRow,
        of: Address,
        side: Side,
        tally: &mut Tally,
    ) -> Result<()> {
        if let Some(seq) = row.event.job_seq() {
            next_number(row, self.seq.into(), seq.into(), "job")?;
            self.seq = seq;
        }
        match side {
            Side::Wallet => {
                let change = net(&entries_of(row)?, &self.book);
                tally.add_of(row, StatementBook::InJobs, change);
            }
            Side::Node => {
                if let Some(change) = self.pending(&row.event, of) {
                    tally.add_of(row, StatementBook::Pending, change);
                }
            }
        }
        Ok(())
    }

    /// How the event changes what lots of the node reserve. A lot is named by its commit first.
    fn pending(&mut self, event: &Event, of: Address) -> Option<i128> {
        if let Event::Committed(e) = event {
            let own = e.lot.node == of;
            return (own && self.lots.insert(e.lot_hash)).then(|| signed(e.amount, false));
        }
        let (lot_hash, amount) = if let Event::Rejected(e) = event {
            (e.lot_hash, e.amount)
        } else if let Event::Settled(e) = event {
            (e.lot_hash, e.amount)
        } else if let Event::Lapsed(e) = event {
            (e.lot_hash, e.amount)
        } else {
            return None;
        };
        self.lots.contains(&lot_hash).then(|| signed(amount, true))
    }
}

/// Events of the registry about one signer: its bond.
pub(super) fn take_bond(of: Address, rows: &[RegistryRow], tally: &mut Tally) -> Result<()> {
    let bond = bond_book(of);
    for row in rows {
        let RegistryRow { block, log_index, tx_hash, .. } = *row;
        let change = net(&entries_of_registry(row)?, &bond);
        let (event, book) = (row.event.name(), StatementBook::Bond);
        tally.add(Move { block, log_index, tx_hash, event, job_id: None, book, change });
    }
    Ok(())
}

/// What entries of one event change in a book.
fn net(entries: &[Entry], book: &str) -> i128 {
    let own = entries.iter().filter(|entry| entry.book == book);
    own.map(|entry| signed(entry.amount, entry.debit)).sum()
}

fn signed(amount: Amount, debit: bool) -> i128 {
    // An amount has 96 bits.
    let base = i128::try_from(amount.base()).unwrap_or(i128::MAX);
    if debit { -base } else { base }
}

fn amount(base: i128, place: &str) -> Result<Amount> {
    let below = |_| format!("the events leave {base} base units in a book");
    let base = u128::try_from(base).map_err(below);
    let amount = base.and_then(|base| Amount::from_base(base).map_err(|error| error.to_string()));
    amount.map_err(|problem| Error::Altered { column: place.to_owned(), problem })
}

fn next_number(row: &EventRow, before: u64, number: u64, whose: &str) -> Result<()> {
    if before.checked_add(1) == Some(number) {
        return Ok(());
    }
    let problem = format!("its number in the {whose} is {number}, that of the one before {before}");
    Err(altered(row, problem))
}

fn same(row: &EventRow, what: &str, told: Option<Amount>, sum: i128) -> Result<()> {
    match told {
        Some(told) if signed(told, false) != sum => {
            let problem = format!("it tells {what} {told}, all events up to it add up to {sum}");
            Err(altered(row, problem))
        }
        Some(_) | None => Ok(()),
    }
}

fn altered(row: &EventRow, problem: String) -> Error {
    let column = format!("events at {}/{}", row.block, row.log_index);
    Error::Altered { column, problem }
}
