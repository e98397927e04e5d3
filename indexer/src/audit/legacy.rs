//! pure: logs of the escrow that legacy RNDR had -> the same double entries; contradictions named.

use std::collections::BTreeMap;

use alloy::primitives::{Address, B256};
use alloy::sol_types::{Error as SolError, SolEvent};
use contracts::{Amount, AmountError};
use serde::Serialize;
use store::Entry;

use crate::chain::ChainLog;

alloy::sol! {
    /// Of the token, after `holdInEscrow` moved the tokens and told the escrow.
    #[derive(Debug)]
    event TokensEscrowed(address indexed sender, string jobId, uint256 amount);
    /// Of any ERC-20.
    #[derive(Debug)]
    event Transfer(address indexed from, address indexed to, uint256 value);
    /// Of the escrow on Ethereum: what a job has left, after each funding and each payment.
    #[derive(Debug)]
    event JobBalanceUpdate(string _jobId, uint256 _balance);
    /// Of the escrow on Polygon: the same of a user.
    #[derive(Debug)]
    event UserBalanceUpdate(string _userId, uint256 _balance);
}

/// The two contracts: balances are the escrow's word, deposits and transfers the token's.
#[derive(Debug, Clone, Copy)]
pub struct Contracts {
    pub escrow: Address,
    pub token: Address,
}

/// Something that the logs do not explain, or that they contradict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    pub block: u64,
    pub log_index: u64,
    pub tx_hash: B256,
    pub book: String,
    pub problem: String,
}

/// The ledger of a legacy escrow, as its logs tell it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct View {
    /// Logs that were understood; others of the two contracts move no money of jobs.
    pub logs: u64,
    /// What each job or user has left, by its book: `job:ID` or `user:ID`.
    pub balances: BTreeMap<String, Amount>,
    pub funded: Amount,
    pub paid: Amount,
    /// Each event's sum to zero. Beside the books of `balances` there are `outside`, the rest of
    /// the world, and `unknown`, for what the logs do not explain.
    pub entries: Vec<Entry>,
    pub problems: Vec<Problem>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LegacyError {
    #[error("block {block} log {log_index}: the log does not fit its event: {reason}")]
    Malformed { block: u64, log_index: u64, reason: String },
    #[error("block {block} log {log_index}: {source}")]
    Amount { block: u64, log_index: u64, source: AmountError },
    #[error("block {block} log {log_index} stands after a later one; sort the logs")]
    Order { block: u64, log_index: u64 },
}

/// What one log says.
enum Said {
    Escrowed { id: String, amount: Amount },
    Balance { book: String, id: String, balance: Amount },
    Out(Amount),
}

/// Folds all logs of both contracts, in their order, from the first on.
pub fn view(logs: &[ChainLog], of: Contracts) -> Result<View, LegacyError> {
    let mut view = View::default();
    let mut before = None;
    for logs in logs.chunk_by(|a, b| (a.block, a.tx_hash) == (b.block, b.tx_hash)) {
        let mut said = Vec::new();
        for log in logs {
            let ChainLog { block, log_index, .. } = *log;
            if before.is_some_and(|before| before >= (block, log_index)) {
                return Err(LegacyError::Order { block, log_index });
            }
            before = Some((block, log_index));
            said.extend(read(log, of)?.map(|said| (log, said)));
        }
        view.transaction(said)?;
    }
    Ok(view)
}

fn read(log: &ChainLog, of: Contracts) -> Result<Option<Said>, LegacyError> {
    let ChainLog { block, log_index, .. } = *log;
    let malformed =
        |error: SolError| LegacyError::Malformed { block, log_index, reason: error.to_string() };
    let amount = |word| {
        Amount::try_from(word).map_err(|source| LegacyError::Amount { block, log_index, source })
    };
    let Some(topic) = log.log.topics().first().copied() else { return Ok(None) };
    let balance = |kind: &str, id: String, balance| {
        Ok(Some(Said::Balance { book: format!("{kind}:{id}"), id, balance: amount(balance)? }))
    };
    if log.log.address == of.escrow && topic == JobBalanceUpdate::SIGNATURE_HASH {
        let event = JobBalanceUpdate::decode_log_validate(&log.log).map_err(malformed)?.data;
        return balance("job", event._jobId, event._balance);
    }
    if log.log.address == of.escrow && topic == UserBalanceUpdate::SIGNATURE_HASH {
        let event = UserBalanceUpdate::decode_log_validate(&log.log).map_err(malformed)?.data;
        return balance("user", event._userId, event._balance);
    }
    if log.log.address == of.token && topic == TokensEscrowed::SIGNATURE_HASH {
        let event = TokensEscrowed::decode_log_validate(&log.log).map_err(malformed)?.data;
        return Ok(Some(Said::Escrowed { id: event.jobId, amount: amount(event.amount)? }));
    }
    if log.log.address == of.token && topic == Transfer::SIGNATURE_HASH {
        let event = Transfer::decode_log_validate(&log.log).map_err(malformed)?.data;
        // What comes in is told by TokensEscrowed; a plain transfer belongs to no job.
        return Ok((event.from == of.escrow)
            .then(|| amount(event.value))
            .transpose()?
            .map(Said::Out));
    }
    Ok(None)
}

impl View {
    /// The events of one transaction. A funding is the new balance, then TokensEscrowed; a payment
    /// is its transfers, then the new balance.
    fn transaction(&mut self, said: Vec<(&ChainLog, Said)>) -> Result<(), LegacyError> {
        let mut out = Amount::ZERO;
        let mut said = said.into_iter().peekable();
        // Ends: each round takes one log at least.
        while let Some((log, event)) = said.next() {
            self.logs += 1;
            let failed =
                |source| LegacyError::Amount { block: log.block, log_index: log.log_index, source };
            match event {
                Said::Out(amount) => out = out.checked_add(amount).map_err(failed)?,
                Said::Escrowed { id, amount } => {
                    let what = format!("{amount} escrowed, and no balance told of it");
                    self.problem(log, id, what);
                }
                Said::Balance { book, id, balance } => {
                    let funding = said.next_if(|(_, next)| {
                        matches!(next, Said::Escrowed { id: funded, .. } if *funded == id)
                    });
                    let funded = match funding {
                        Some((_, Said::Escrowed { amount, .. })) => {
                            self.logs += 1;
                            Some(amount)
                        }
                        Some(_) | None => None,
                    };
                    let out = std::mem::take(&mut out);
                    self.balance(log, book, (balance, funded, out)).map_err(failed)?;
                }
            }
        }
        Ok(())
    }

    /// One new balance: what was funded or paid since the last one, and what of it is unexplained.
    fn balance(
        &mut self,
        log: &ChainLog,
        book: String,
        (balance, funded, out): (Amount, Option<Amount>, Amount),
    ) -> Result<(), AmountError> {
        let known = self.balances.get(&book).copied();
        let before = known.unwrap_or_default();
        let mut legs = Legs { log, leg: 0, entries: &mut self.entries };
        let expected = match funded {
            Some(amount) => {
                self.funded = self.funded.checked_add(amount)?;
                legs.moved("outside", &book, amount);
                before.checked_add(amount)?
            }
            None => {
                let paid = before.checked_sub(balance).unwrap_or_default();
                self.paid = self.paid.checked_add(paid)?;
                legs.moved(&book, "outside", paid);
                before.checked_sub(paid)?
            }
        };
        let mut problems = Vec::new();
        if let Ok(more) = balance.checked_sub(expected)
            && !more.is_zero()
        {
            legs.moved("unknown", &book, more);
            let why = if known.is_some() { "contradicts" } else { "has a past that is missing in" };
            problems.push(format!("its balance is {balance} and {why} the logs: {expected}"));
        }
        if let Ok(less) = expected.checked_sub(balance)
            && !less.is_zero()
        {
            legs.moved(&book, "unknown", less);
            problems.push(format!("its balance is {balance} and contradicts the logs: {expected}"));
        }
        let fell = before.checked_sub(balance).unwrap_or_default();
        if funded.is_none() && known.is_some() && fell != out {
            problems.push(format!("its balance fell by {fell}, but {out} were paid out"));
        }
        for problem in problems {
            self.problem(log, book.clone(), problem);
        }
        self.balances.insert(book, balance);
        Ok(())
    }

    fn problem(&mut self, log: &ChainLog, book: String, problem: String) {
        let ChainLog { block, log_index, tx_hash, .. } = *log;
        self.problems.push(Problem { block, log_index, tx_hash, book, problem });
    }
}

/// The legs of one event, each move twice.
struct Legs<'a> {
    log: &'a ChainLog,
    leg: u8,
    entries: &'a mut Vec<Entry>,
}

impl Legs<'_> {
    fn moved(&mut self, from: &str, to: &str, amount: Amount) {
        if amount.is_zero() {
            return;
        }
        let ChainLog { block, log_index, .. } = *self.log;
        for (book, debit) in [(from, true), (to, false)] {
            let (leg, book) = (self.leg, book.to_owned());
            self.entries.push(Entry { block, log_index, leg, book, debit, amount });
            self.leg = self.leg.saturating_add(1);
        }
    }
}

#[cfg(test)]
mod tests;
