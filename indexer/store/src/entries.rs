//! pure: double-entry postings as a view over event rows; every event's entries sum to zero.

use alloy::primitives::{Address, B256};
use contracts::event::Event;
use contracts::order::BURN_ACCOUNT;
use contracts::registry::RegistryEvent;
use contracts::{Amount, AmountError, JobId};
use serde::Serialize;

use crate::error::{Error, Result};
use crate::events::EventRow;
use crate::registry::RegistryRow;

/// One leg of an event. A debit takes `amount` out of `book`, a credit puts it in.
///
/// Books: `wallet:0x..` an account's free balance; `credit:0x..` its credit; `job:0x..` what a job
/// holds, pending money included; `fee:0x..` and `burn:0x..` shares of a job between the events
/// that take and credit them, empty after each transaction; `outside` the rest of the world, below
/// zero by what escrow and registry hold; `bond:0x..` a signer's bond, unbonding money included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    pub block: u64,
    pub log_index: u64,
    pub leg: u8,
    pub book: String,
    pub debit: bool,
    pub amount: Amount,
}

/// The entries of one event, without legs of zero. An error says that the event's own amounts
/// contradict each other, which the contract never writes.
pub fn entries_of(row: &EventRow) -> Result<Vec<Entry>> {
    posted(row.block, row.log_index, legs(&row.event))
}

/// The same of an event of the node registry.
pub fn entries_of_registry(row: &RegistryRow) -> Result<Vec<Entry>> {
    posted(row.block, row.log_index, registry_legs(&row.event))
}

fn posted(block: u64, log_index: u64, legs: Result<Vec<Leg>, AmountError>) -> Result<Vec<Entry>> {
    let legs = legs.map_err(|source| Error::Unbalanced { block, log_index, source })?;
    let moved = legs.into_iter().filter(|leg| !leg.amount.is_zero());
    let entries = moved.zip(0u8..).map(|(leg, number)| Entry {
        block,
        log_index,
        leg: number,
        book: leg.book,
        debit: leg.debit,
        amount: leg.amount,
    });
    Ok(entries.collect())
}

struct Leg {
    book: String,
    debit: bool,
    amount: Amount,
}

fn debit(book: String, amount: Amount) -> Leg {
    Leg { book, debit: true, amount }
}

fn credit(book: String, amount: Amount) -> Leg {
    Leg { book, debit: false, amount }
}

/// The book of an account's free balance.
pub fn wallet_book(account: Address) -> String {
    format!("wallet:{account}")
}

/// The book of an account's credit.
pub fn credit_book(account: Address) -> String {
    format!("credit:{account}")
}

/// The book of a job's money.
pub fn job_book(job_id: JobId) -> String {
    format!("job:{job_id}")
}

/// The book of a signer's bond.
pub fn bond_book(signer: Address) -> String {
    format!("bond:{signer}")
}

fn fee_book(job_id: JobId) -> String {
    format!("fee:{job_id}")
}

fn burn_book(job_id: JobId) -> String {
    format!("burn:{job_id}")
}

fn outside() -> String {
    "outside".to_owned()
}

fn legs(event: &Event) -> Result<Vec<Leg>, AmountError> {
    Ok(match event {
        Event::Deposited(e) => {
            vec![debit(outside(), e.amount), credit(wallet_book(e.account), e.amount)]
        }
        Event::Withdrawn(e) => {
            vec![debit(wallet_book(e.account), e.amount), credit(outside(), e.amount)]
        }
        Event::FeeCredited(e) => {
            vec![debit(fee_book(e.job_id), e.amount), credit(wallet_book(e.account), e.amount)]
        }
        Event::BurnCredited(e) => {
            vec![debit(burn_book(e.job_id), e.amount), credit(wallet_book(BURN_ACCOUNT), e.amount)]
        }
        Event::Burned(e) => {
            vec![debit(wallet_book(BURN_ACCOUNT), e.amount), credit(outside(), e.amount)]
        }
        Event::CreditIssued(e) => {
            vec![debit(outside(), e.amount), credit(credit_book(e.account), e.amount)]
        }
        Event::Opened(e) => vec![
            debit(outside(), e.pulled),
            debit(credit_book(e.funder), e.credit_spent),
            debit(
                wallet_book(e.funder),
                e.order.cap.checked_sub(e.pulled)?.checked_sub(e.credit_spent)?,
            ),
            credit(job_book(e.job_id), e.order.cap),
        ],
        Event::ToppedUp(e) => {
            vec![debit(wallet_book(e.from), e.amount), credit(job_book(e.job_id), e.amount)]
        }
        Event::Released(e) => paid(e.job_id, e.node, e.amount, e.fee, e.burn)?,
        Event::Settled(e) => paid(e.job_id, e.node, e.amount, e.fee, e.burn)?,
        Event::Redeemed(e) => paid(e.job_id, e.node, e.amount, e.fee, e.burn)?,
        Event::Returned(e) => {
            vec![debit(job_book(e.job_id), e.amount), credit(wallet_book(e.account), e.amount)]
        }
        Event::CreditReturned(e) => {
            vec![debit(job_book(e.job_id), e.amount), credit(credit_book(e.account), e.amount)]
        }
        Event::DelegateSet(_) | Event::DelegateRevoked(_) | Event::DelegateSpent(_) => vec![],
        Event::CreditSettlerNamed(_) | Event::Paused(_) => vec![],
        Event::Committed(_) | Event::Approved(_) | Event::Rejected(_) => vec![],
        Event::Lapsed(_) | Event::CloseRequested(_) | Event::Closed(_) => vec![],
    })
}

/// Burnt money goes to an address outside, as the reporter's does.
fn registry_legs(event: &RegistryEvent) -> Result<Vec<Leg>, AmountError> {
    Ok(match event {
        RegistryEvent::Registered { .. } | RegistryEvent::Updated { .. } => vec![],
        RegistryEvent::UnbondRequested { .. } => vec![],
        RegistryEvent::Bonded { signer, amount, .. } => {
            vec![debit(outside(), *amount), credit(bond_book(*signer), *amount)]
        }
        RegistryEvent::BondWithdrawn { signer, amount, .. } => {
            vec![debit(bond_book(*signer), *amount), credit(outside(), *amount)]
        }
        RegistryEvent::Slashed(e) => vec![
            debit(bond_book(e.signer), e.burned.checked_add(e.rewarded)?),
            credit(outside(), e.burned),
            credit(outside(), e.rewarded),
        ],
    })
}

/// A lot's amount leaves the job: the shares wait for their own events, the node has the rest.
fn paid(
    job_id: B256,
    node: Address,
    amount: Amount,
    fee: Amount,
    burn: Amount,
) -> Result<Vec<Leg>, AmountError> {
    Ok(vec![
        debit(job_book(job_id), amount),
        credit(wallet_book(node), amount.checked_sub(fee)?.checked_sub(burn)?),
        credit(fee_book(job_id), fee),
        credit(burn_book(job_id), burn),
    ])
}

/// The entries of several events, in their order.
pub fn all_entries(events: &[EventRow]) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for event in events {
        entries.extend(entries_of(event)?);
    }
    Ok(entries)
}

#[cfg(test)]
mod tests;
