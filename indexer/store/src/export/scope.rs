//! pure: of whom an export is: the whole escrow, or what concerns one payer, node or operator.

use std::collections::HashSet;

use alloy::primitives::{Address, B256};
use contracts::JobId;
use contracts::event::Event;

use crate::columns::columns_of;
use crate::entries::{bond_book, credit_book, job_book, wallet_book};
use crate::history::HistoryEvent;

/// Whose events and books are exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Everything that both contracts said.
    Escrow,
    /// An account and the jobs that it pays.
    Payer(Address),
    /// An account, its lots, and its bond.
    Node(Address),
    /// An account alone: what a fee receiver is credited with.
    Operator(Address),
}

impl Scope {
    /// Its name in manifests and file headers, such as `payer 0x..`.
    pub fn name(self) -> String {
        match self {
            Self::Escrow => "escrow".to_owned(),
            Self::Payer(of) => format!("payer {of}"),
            Self::Node(of) => format!("node {of}"),
            Self::Operator(of) => format!("operator {of}"),
        }
    }
}

/// A scope on its way through the history from the first event on: it remembers jobs and lots.
pub struct Watch {
    scope: Scope,
    /// Of the payer, or of no interest.
    jobs: HashSet<JobId>,
    /// Of the node.
    lots: HashSet<B256>,
    own: HashSet<String>,
}

impl Watch {
    pub fn new(scope: Scope) -> Self {
        let own = match scope {
            Scope::Escrow => vec![],
            Scope::Payer(of) => vec![wallet_book(of), credit_book(of)],
            Scope::Node(of) => vec![wallet_book(of), credit_book(of), bond_book(of)],
            Scope::Operator(of) => vec![wallet_book(of), credit_book(of)],
        };
        let own = own.into_iter().collect();
        Self { scope, jobs: HashSet::new(), lots: HashSet::new(), own }
    }

    pub fn scope(&self) -> Scope {
        self.scope
    }

    /// Whether the next event of the history is in the scope.
    pub fn takes(&mut self, told: &HistoryEvent) -> bool {
        let of = match self.scope {
            Scope::Escrow => return true,
            Scope::Payer(of) | Scope::Node(of) | Scope::Operator(of) => of,
        };
        let event = match told {
            HistoryEvent::Escrow(row) => &row.event,
            HistoryEvent::Registry(row) => {
                return matches!(self.scope, Scope::Node(_)) && row.event.signer() == of;
            }
        };
        if let Event::Opened(e) = event
            && self.scope == Scope::Payer(e.payer)
        {
            self.jobs.insert(e.job_id);
            self.own.insert(job_book(e.job_id));
        }
        if let Event::Committed(e) = event
            && self.scope == Scope::Node(e.lot.node)
        {
            self.lots.insert(e.lot_hash);
        }
        let counts = event.account_after().is_some_and(|after| after.account == of);
        let of_job = event.job_id().is_some_and(|job_id| self.jobs.contains(&job_id));
        counts || of_job || columns_of(event).lot_hash.is_some_and(|lot| self.lots.contains(&lot))
    }

    /// Whether a book of the double entries is the account's own.
    pub fn owns(&self, book: &str) -> bool {
        self.own.contains(book)
    }
}
