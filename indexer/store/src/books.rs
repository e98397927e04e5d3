//! pure: the history as plain-text books for beancount or hledger, each balance asserted exactly.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use alloy::primitives::B256;
use chrono::{DateTime, Days, NaiveDate};
use contracts::event::Event;

use crate::blocks::{Block, Escrow};
use crate::entries::{Entry, job_book};
use crate::error::Error;
use crate::export::{Scope, Watch};
use crate::history::HistoryEvent;

mod text;

/// Beancount calculates in Python's decimals, which have 28 digits unless told otherwise.
const BEANCOUNT_LIMIT: u128 = 10_u128.pow(28);

/// Whose grammar the books are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    Beancount,
    Hledger,
}

#[derive(Debug, thiserror::Error)]
pub enum BooksError {
    #[error(transparent)]
    Store(#[from] Error),
    #[error(
        "{account} comes to {base} base units in block {block}: beancount calculates in 28 \
         digits and would round it; export hledger's books instead"
    )]
    TooManyDigits { account: String, base: i128, block: u64 },
    #[error("the time {0} of a block has no date; the row was altered")]
    NoDate(i64),
}

/// What stands in the books so far. Its memory grows with the accounts and the open jobs, not
/// with the events: a closed job without money is forgotten.
pub struct Books {
    syntax: Syntax,
    escrow: Escrow,
    scope: Scope,
    commodity: String,
    /// Base units by account; debits are above zero.
    balances: BTreeMap<String, i128>,
    /// Accounts that moved on `day`, which beancount can only assert for the next one.
    touched: BTreeSet<String>,
    /// Job accounts that no event will touch again once they are empty.
    ended: HashSet<String>,
    day: NaiveDate,
}

impl Books {
    pub fn new(syntax: Syntax, escrow: &Escrow, scope: Scope) -> Self {
        Self {
            syntax,
            escrow: escrow.clone(),
            scope,
            commodity: commodity(escrow),
            balances: BTreeMap::new(),
            touched: BTreeSet::new(),
            ended: HashSet::new(),
            day: NaiveDate::MIN,
        }
    }

    /// Takes an event before the range: it only counts in the opening balances.
    pub fn skip(
        &mut self,
        told: &HistoryEvent,
        block: &Block,
        watch: &Watch,
    ) -> Result<(), BooksError> {
        for (account, change) in self.legs(told, watch)? {
            // What was earned and spent before is no part of this range's result.
            let account = if is_result(&account) { OPENING.to_owned() } else { account };
            let balance = self.balances.entry(account.clone()).or_default();
            *balance += change;
            if *balance == 0 {
                self.balances.remove(&account);
            }
        }
        self.day = date(block)?;
        self.forget(told, watch);
        Ok(())
    }

    /// The head of the books, with what every account has at their begin.
    pub fn begin(&mut self, from: u64, to: u64) -> Result<String, BooksError> {
        let mut text = self.head(from, to);
        if !self.balances.is_empty() {
            let balances = self.balances.clone();
            self.check_digits(balances.keys(), from)?;
            balances.keys().for_each(|account| text.push_str(&self.opened(account)));
            let legs: Vec<_> = balances.into_iter().collect();
            text.push_str(&self.transaction(&format!("Balances before block {from}"), &[], &legs));
            self.touched.extend(legs.into_iter().map(|(account, _)| account));
        }
        Ok(text)
    }

    /// The transaction of an event; empty when it moves nothing here.
    pub fn post(
        &mut self,
        told: &HistoryEvent,
        block: &Block,
        watch: &Watch,
    ) -> Result<String, BooksError> {
        let legs = self.legs(told, watch)?;
        if legs.is_empty() {
            self.forget(told, watch);
            return Ok(String::new());
        }
        let mut text = self.turn_to(date(block)?);
        for (account, change) in &legs {
            if !self.balances.contains_key(account) {
                text.push_str(&self.opened(account));
            }
            *self.balances.entry(account.clone()).or_default() += change;
            self.touched.insert(account.clone());
        }
        self.check_digits(legs.iter().map(|(account, _)| account), block.number)?;
        let (number, log_index) = told.place();
        let mut tags = vec![
            ("block", number.to_string()),
            ("log", log_index.to_string()),
            ("tx", format!("\"{}\"", told.tx_hash())),
        ];
        if let Some(job_id) = job_of(told) {
            tags.push(("job", format!("\"{job_id}\"")));
        }
        text.push_str(&self.transaction(told.name(), &tags, &legs));
        self.forget(told, watch);
        Ok(text)
    }

    /// The end of the books: every account's balance, asserted.
    pub fn end(&mut self) -> String {
        let asserted = self.touched.clone();
        let mut text = self.turn_to(NaiveDate::MAX);
        text.push_str(&self.closing(&asserted));
        text
    }

    /// What each account comes to, in base units; debits are above zero.
    pub fn balances(&self) -> &BTreeMap<String, i128> {
        &self.balances
    }

    /// The legs of an event by account, those of one account summed. Empty when no book of the
    /// scope is in it.
    fn legs(&self, told: &HistoryEvent, watch: &Watch) -> Result<Vec<(String, i128)>, BooksError> {
        let entries = told.entries()?;
        let of_registry = matches!(told, HistoryEvent::Registry(_));
        let whole = self.scope == Scope::Escrow;
        if !whole && !entries.iter().any(|entry| watch.owns(&entry.book)) {
            return Ok(vec![]);
        }
        let mut legs: Vec<(String, i128)> = Vec::new();
        for entry in &entries {
            // An amount has 96 bits.
            let base = i128::try_from(entry.amount.base()).unwrap_or(i128::MAX);
            let (account, is_debit) = if whole {
                (self.account(&entry.book, of_registry), entry.debit)
            } else {
                // What the escrow owes somebody is what that one has.
                (self.own_account(entry, watch.owns(&entry.book)), !entry.debit)
            };
            let change = if is_debit { base } else { -base };
            match legs.iter_mut().find(|(known, _)| *known == account) {
                Some((_, sum)) => *sum += change,
                None => legs.push((account, change)),
            }
        }
        Ok(legs)
    }

    /// The account of a book as the contracts' own bookkeeping has it.
    fn account(&self, book: &str, of_registry: bool) -> String {
        match book.split_once(':') {
            Some(("wallet", of)) => format!("Liabilities:Account:{of}:Free"),
            Some(("credit", of)) => format!("Liabilities:Account:{of}:Credit"),
            Some(("job", id)) => format!("Liabilities:Job:{id}"),
            Some(("bond", of)) => format!("Liabilities:Bond:{of}"),
            // On their way from a job to an account, in one transaction of the chain.
            Some(("fee", _)) => "Liabilities:Shares:Fee".to_owned(),
            Some(("burn", _)) => "Liabilities:Shares:Burn".to_owned(),
            Some(_) | None if of_registry => {
                format!("Assets:Registry:{}", self.escrow.registry.unwrap_or_default())
            }
            Some(_) | None => format!("Assets:Escrow:{}", self.escrow.address),
        }
    }

    /// The account of a book in the books of one payer, node or operator.
    fn own_account(&self, entry: &Entry, own: bool) -> String {
        let (kind, id) = entry.book.split_once(':').unwrap_or((&entry.book, ""));
        let (escrow, side) = (self.escrow.address, if entry.debit { "Income" } else { "Expenses" });
        match (own, kind) {
            (true, "wallet") => format!("Assets:Escrow:{escrow}:Free"),
            (true, "credit") => format!("Assets:Escrow:{escrow}:Credit"),
            (true, "job") => format!("Assets:Job:{id}"),
            (true, _) => format!("Assets:Registry:{}", self.escrow.registry.unwrap_or_default()),
            (false, "wallet" | "credit") => format!("{side}:Account:{id}"),
            (false, "job") => format!("{side}:Jobs"),
            (false, "fee") => format!("{side}:Fee"),
            (false, "burn") => format!("{side}:Burn"),
            (false, _) => "Equity:Outside".to_owned(),
        }
    }

    /// Closed jobs that are empty are never touched again.
    fn forget(&mut self, told: &HistoryEvent, watch: &Watch) {
        let Some(job_id) = job_of(told) else { return };
        let book = job_book(job_id);
        let account = match self.scope {
            Scope::Escrow => self.account(&book, false),
            Scope::Payer(_) | Scope::Node(_) | Scope::Operator(_) => {
                if !watch.owns(&book) {
                    return;
                }
                format!("Assets:Job:{job_id}")
            }
        };
        if let HistoryEvent::Escrow(row) = told
            && let Event::Closed(_) = &row.event
        {
            self.ended.insert(account.clone());
        }
        let empty = self.balances.get(&account).is_none_or(|balance| *balance == 0);
        // Beancount's assertion comes with the end of the day.
        let asserted = self.syntax == Syntax::Hledger || !self.touched.contains(&account);
        if empty && asserted && self.ended.remove(&account) {
            self.balances.remove(&account);
        }
    }

    /// Ends the day before `day`, on which beancount's assertions of it stand.
    fn turn_to(&mut self, day: NaiveDate) -> String {
        if day == self.day {
            return String::new();
        }
        let mut text = String::new();
        if self.syntax == Syntax::Beancount {
            for account in std::mem::take(&mut self.touched) {
                let balance = self.balances.get(&account).copied().unwrap_or_default();
                text.push_str(&self.balance(&account, balance));
                if balance == 0 && self.ended.remove(&account) {
                    self.balances.remove(&account);
                }
            }
        }
        self.touched.clear();
        if day != NaiveDate::MAX {
            self.day = day;
        }
        text
    }

    fn check_digits<'a>(
        &self,
        accounts: impl Iterator<Item = &'a String>,
        block: u64,
    ) -> Result<(), BooksError> {
        if self.syntax == Syntax::Hledger {
            return Ok(());
        }
        for account in accounts {
            let base = self.balances.get(account).copied().unwrap_or_default();
            if base.unsigned_abs() >= BEANCOUNT_LIMIT {
                return Err(BooksError::TooManyDigits { account: account.clone(), base, block });
            }
        }
        Ok(())
    }

    /// The day after the last one.
    fn next_day(&self) -> NaiveDate {
        self.day.checked_add_days(Days::new(1)).unwrap_or(self.day)
    }
}

/// Where income and expenses before the range have gone.
const OPENING: &str = "Equity:Opening";

fn is_result(account: &str) -> bool {
    account.starts_with("Income:") || account.starts_with("Expenses:")
}

fn job_of(told: &HistoryEvent) -> Option<B256> {
    match told {
        HistoryEvent::Escrow(row) => row.event.job_id(),
        HistoryEvent::Registry(_) => None,
    }
}

fn date(block: &Block) -> Result<NaiveDate, BooksError> {
    let time = DateTime::from_timestamp(block.mined_at, 0);
    time.map(|time| time.date_naive()).ok_or(BooksError::NoDate(block.mined_at))
}

/// The token's symbol when both programs take it for a commodity, else one of its address:
/// anyone may have chosen the symbol, and what it holds.
fn commodity(escrow: &Escrow) -> String {
    let symbol = &escrow.symbol;
    let upper = |byte: u8| byte.is_ascii_uppercase();
    if (2..=20).contains(&symbol.len()) && symbol.bytes().all(upper) {
        return symbol.clone();
    }
    // Letters alone: hledger wants quotes around anything else.
    let letter = |nibble: u8| char::from(b'A' + nibble);
    let bytes = escrow.token.as_slice().iter().take(6);
    let letters = bytes.flat_map(|byte| [letter(byte >> 4), letter(byte & 15)]);
    "TOKEN".chars().chain(letters).collect()
}

#[cfg(test)]
mod tests;
