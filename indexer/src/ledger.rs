//! pure: the fold, state before + event -> state after; a gap or a wrong figure is an error.

use std::collections::HashMap;
use std::fmt::Display;

use alloy::primitives::{Address, B256, U256, keccak256};
use alloy::sol_types::Eip712Domain;
use contracts::event::{
    Approved, BurnCredited, Burned, CloseRequested, Closed, Committed, Deposited, FeeCredited,
    Lapsed, Opened, Rejected, Released, Returned, Settled, ToppedUp, Withdrawn,
};
use contracts::{Amount, AmountError, Event, JobId, Lot, Order, order, units};
use store::{AccountState, EventRow, JobOrder, JobState, LotRow, LotState, LotStatus};

/// The contract and the fold disagree: a log is missing, altered, or a stored row was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "block {block} log {log_index} ({event}): {what} is {found}, expected {expected}. A log is \
     missing or altered, or the database was changed: run `rndr audit replay`, and compare the \
     chain node with another one"
)]
pub struct LedgerError {
    pub block: u64,
    pub log_index: u64,
    pub event: &'static str,
    pub what: &'static str,
    pub expected: String,
    pub found: String,
}

type Folded<T> = Result<T, LedgerError>;

/// State before some events: all rows they touch, as they are. What is not in it does not exist.
#[derive(Debug, Clone)]
pub struct Ledger {
    domain: Eip712Domain,
    accounts: HashMap<Address, AccountState>,
    jobs: HashMap<JobId, (Order, JobState)>,
    lots: HashMap<B256, (LotRow, LotState)>,
    /// Fee and burn taken from lots of a call and not credited yet: zero between blocks.
    owed: HashMap<JobId, Owed>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Owed {
    fee: Amount,
    burn: Amount,
}

/// What one event changes: at most one row of each kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    pub order: Option<JobOrder>,
    pub lot: Option<LotRow>,
    pub account: Option<AccountState>,
    pub job: Option<JobState>,
    pub lot_state: Option<LotState>,
    owed: Option<(JobId, Owed)>,
}

/// The rows that events touch, to be loaded before they are folded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Touched {
    pub accounts: Vec<Address>,
    pub jobs: Vec<JobId>,
    pub lots: Vec<B256>,
}

pub fn touched(rows: &[EventRow]) -> Touched {
    let events = || rows.iter().map(|row| &row.event);
    let mut accounts: Vec<_> =
        events().filter_map(Event::account_after).map(|after| after.account).collect();
    let mut jobs: Vec<_> = events().filter_map(Event::job_id).collect();
    let mut lots: Vec<_> = events().filter_map(lot_of).collect();
    accounts.sort_unstable();
    accounts.dedup();
    jobs.sort_unstable();
    jobs.dedup();
    lots.sort_unstable();
    lots.dedup();
    Touched { accounts, jobs, lots }
}

fn lot_of(event: &Event) -> Option<B256> {
    match event {
        Event::Released(e) => Some(e.lot_hash),
        Event::Committed(e) => Some(e.lot_hash),
        Event::Approved(e) => Some(e.lot_hash),
        Event::Rejected(e) => Some(e.lot_hash),
        Event::Settled(e) => Some(e.lot_hash),
        Event::Lapsed(e) => Some(e.lot_hash),
        Event::Deposited(_) | Event::Withdrawn(_) | Event::FeeCredited(_) => None,
        Event::BurnCredited(_) | Event::Burned(_) | Event::Opened(_) => None,
        Event::ToppedUp(_) | Event::CloseRequested(_) | Event::Closed(_) => None,
        Event::Returned(_) => None,
    }
}

/// The event at hand, its place and its block's time, for checks that name them.
#[derive(Clone, Copy)]
struct At<'a>(&'a EventRow, i64);

impl At<'_> {
    fn wrong(self, what: &'static str, found: impl Display, expected: impl Display) -> LedgerError {
        let EventRow { block, log_index, ref event, .. } = *self.0;
        let (expected, found) = (expected.to_string(), found.to_string());
        LedgerError { block, log_index, event: event.name(), what, expected, found }
    }

    fn same<T: PartialEq + Display>(self, what: &'static str, found: T, expected: T) -> Folded<()> {
        if found == expected { Ok(()) } else { Err(self.wrong(what, found, expected)) }
    }

    fn sum(self, what: &'static str, result: Result<Amount, AmountError>) -> Folded<Amount> {
        result.map_err(|e| self.wrong(what, e, "an amount that the balances before it allow"))
    }

    fn time(self, what: &'static str, seconds: u64) -> Folded<i64> {
        i64::try_from(seconds).map_err(|_| self.wrong(what, seconds, "a time in 40 bits"))
    }
}

impl Ledger {
    /// Knows nothing yet; `load_*` puts rows in. Job ids are checked against the domain.
    pub fn new(domain: Eip712Domain) -> Self {
        let (accounts, jobs, lots) = (HashMap::new(), HashMap::new(), HashMap::new());
        Self { domain, accounts, jobs, lots, owed: HashMap::new() }
    }

    pub fn load_account(&mut self, state: AccountState) {
        self.accounts.insert(state.account, state);
    }

    pub fn load_job(&mut self, opened: JobOrder, state: JobState) {
        self.jobs.insert(opened.job_id, (opened.order, state));
    }

    pub fn load_lot(&mut self, row: LotRow, state: LotState) {
        self.lots.insert(row.lot_hash, (row, state));
    }

    /// State after the event, or which figure does not follow from the state before it.
    /// `mined_at` is the time of its block.
    pub fn apply(&mut self, row: &EventRow, mined_at: i64) -> Folded<Change> {
        let at = At(row, mined_at);
        let change = match &row.event {
            Event::Deposited(e) => self.deposited(at, e),
            Event::Withdrawn(e) => self.withdrawn(at, e),
            Event::FeeCredited(e) => self.fee_credited(at, e),
            Event::BurnCredited(e) => self.burn_credited(at, e),
            Event::Burned(e) => self.burned(at, e),
            Event::Opened(e) => self.opened(at, e),
            Event::ToppedUp(e) => self.topped_up(at, e),
            Event::Released(e) => self.released(at, e),
            Event::Committed(e) => self.committed(at, e),
            Event::Approved(e) => self.approved(at, e),
            Event::Rejected(e) => self.rejected(at, e),
            Event::Settled(e) => self.settled(at, e),
            Event::Lapsed(e) => self.lapsed(at, e),
            Event::CloseRequested(e) => self.close_requested(at, e),
            Event::Closed(e) => self.closed(at, e),
            Event::Returned(e) => self.returned(at, e),
        }?;
        self.keep(at, &change)?;
        Ok(change)
    }

    /// Between blocks nothing is under way: every share was credited, a closed job is empty.
    /// `last` is the block's last event.
    pub fn end_block(&self, last: &EventRow, mined_at: i64) -> Folded<()> {
        let at = At(last, mined_at);
        for owed in self.owed.values() {
            at.same("fee taken and credited to nobody", owed.fee, Amount::ZERO)?;
            at.same("burn taken and credited to nobody", owed.burn, Amount::ZERO)?;
        }
        for (_, job) in self.jobs.values().filter(|(_, job)| job.closed) {
            let left = remaining(at, job)?;
            at.same("money left in a closed job", left, Amount::ZERO)?;
        }
        Ok(())
    }

    fn keep(&mut self, at: At<'_>, change: &Change) -> Folded<()> {
        let Change { order: opened, lot, account, job, lot_state, owed } = change.clone();
        if let Some(account) = account {
            self.load_account(account);
        }
        if let Some(job) = job {
            remaining(at, &job)?;
            match opened {
                Some(opened) => self.load_job(opened, job),
                None => {
                    self.jobs.entry(job.job_id).and_modify(|(_, state)| *state = job);
                }
            }
        }
        if let Some(state) = lot_state {
            match lot {
                Some(row) => self.load_lot(row, state),
                None => {
                    self.lots.entry(state.lot_hash).and_modify(|(_, before)| *before = state);
                }
            }
        }
        if let Some((job_id, owed)) = owed {
            self.owed.insert(job_id, owed);
        }
        Ok(())
    }

    // ---- accounts ----

    fn deposited(&self, at: At<'_>, e: &Deposited) -> Folded<Change> {
        Ok(Change { account: self.credit(at, e.amount)?, ..Change::default() })
    }

    fn withdrawn(&self, at: At<'_>, e: &Withdrawn) -> Folded<Change> {
        Ok(Change { account: self.debit(at, e.amount)?, ..Change::default() })
    }

    fn burned(&self, at: At<'_>, e: &Burned) -> Folded<Change> {
        Ok(Change { account: self.debit(at, e.amount)?, ..Change::default() })
    }

    fn fee_credited(&self, at: At<'_>, e: &FeeCredited) -> Folded<Change> {
        let (terms, _) = self.job(at, e.job_id)?;
        at.same("fee receiver", e.account, terms.fee_receiver)?;
        let owed = self.owed.get(&e.job_id).copied().unwrap_or_default();
        at.same("fee", e.amount, owed.fee)?;
        let owed = Some((e.job_id, Owed { fee: Amount::ZERO, ..owed }));
        Ok(Change { account: self.credit(at, e.amount)?, owed, ..Change::default() })
    }

    fn burn_credited(&self, at: At<'_>, e: &BurnCredited) -> Folded<Change> {
        self.job(at, e.job_id)?;
        let owed = self.owed.get(&e.job_id).copied().unwrap_or_default();
        at.same("burn share", e.amount, owed.burn)?;
        let owed = Some((e.job_id, Owed { burn: Amount::ZERO, ..owed }));
        Ok(Change { account: self.credit(at, e.amount)?, owed, ..Change::default() })
    }

    fn credit(&self, at: At<'_>, amount: Amount) -> Folded<Option<AccountState>> {
        self.moved(at, |free| at.sum("free balance", free.checked_add(amount)))
    }

    fn debit(&self, at: At<'_>, amount: Amount) -> Folded<Option<AccountState>> {
        self.moved(at, |free| at.sum("free balance", free.checked_sub(amount)))
    }

    /// The event's account after it: one further in its sequence, its balance moved as told.
    fn moved(
        &self,
        at: At<'_>,
        by: impl Fn(Amount) -> Folded<Amount>,
    ) -> Folded<Option<AccountState>> {
        let Some(after) = at.0.event.account_after() else { return Ok(None) };
        let before = self.accounts.get(&after.account);
        let (free, seq) = before.map_or((Amount::ZERO, 0), |state| (state.free, state.seq));
        at.same("sequence number of the account", after.seq, seq.saturating_add(1))?;
        at.same("free balance", after.free, by(free)?)?;
        let EventRow { block, log_index, .. } = *at.0;
        let contracts::event::AccountAfter { account, free, seq } = after;
        Ok(Some(AccountState { account, block, log_index, free, seq }))
    }

    // ---- jobs ----

    fn opened(&self, at: At<'_>, e: &Opened) -> Folded<Change> {
        let EventRow { block, log_index, .. } = *at.0;
        let job_id = e.job_id;
        if self.jobs.contains_key(&job_id) {
            return Err(at.wrong("job", format!("{job_id} a second time"), "a new job"));
        }
        at.same("job id", job_id, order::job_id(&e.order, &self.domain))?;
        at.same("payer", e.payer, e.order.payer)?;
        let spent = at.sum("money pulled", e.order.cap.checked_sub(e.pulled))?;
        let job = JobState {
            job_id,
            block,
            log_index,
            funded: e.order.cap,
            released: Amount::ZERO,
            pending: Amount::ZERO,
            units_paid: 0,
            job_seq: 1,
            closed: false,
            work_deadline: at.time("work deadline", e.order.work_deadline)?,
            close_requested: false,
        };
        let opened = JobOrder { job_id, block, order: e.order.clone() };
        let account = self.debit(at, spent)?;
        Ok(Change { order: Some(opened), account, job: Some(job), ..Change::default() })
    }

    fn topped_up(&self, at: At<'_>, e: &ToppedUp) -> Folded<Change> {
        let (_, mut job) = self.next_job(at, e.job_id)?;
        at.same("closed", job.closed, false)?;
        job.funded = at.sum("money of the job", job.funded.checked_add(e.amount))?;
        at.same("money of the job", e.funded, job.funded)?;
        Ok(Change { account: self.debit(at, e.amount)?, job: Some(job), ..Change::default() })
    }

    fn close_requested(&self, at: At<'_>, e: &CloseRequested) -> Folded<Change> {
        let (_, mut job) = self.next_job(at, e.job_id)?;
        at.same("closed", job.closed, false)?;
        at.same("close requested before", job.close_requested, false)?;
        job.close_requested = true;
        job.work_deadline = at.time("work deadline", e.work_deadline)?;
        at.same("work deadline", job.work_deadline, at.1)?;
        Ok(Change { job: Some(job), ..Change::default() })
    }

    fn closed(&self, at: At<'_>, e: &Closed) -> Folded<Change> {
        let (_, mut job) = self.next_job(at, e.job_id)?;
        at.same("closed", job.closed, false)?;
        job.closed = true;
        Ok(Change { job: Some(job), ..Change::default() })
    }

    fn returned(&self, at: At<'_>, e: &Returned) -> Folded<Change> {
        let (terms, mut job) = self.next_job(at, e.job_id)?;
        at.same("closed", job.closed, true)?;
        at.same("account paid back", e.account, terms.refund_to)?;
        job.funded = at.sum("money of the job", job.funded.checked_sub(e.amount))?;
        at.same("money of the job", e.funded, job.funded)?;
        Ok(Change { account: self.credit(at, e.amount)?, job: Some(job), ..Change::default() })
    }

    fn job(&self, at: At<'_>, job_id: JobId) -> Folded<&(Order, JobState)> {
        self.jobs.get(&job_id).ok_or_else(|| at.wrong("job", job_id, "an opened job"))
    }

    /// The job one further in its sequence, at this event.
    fn next_job(&self, at: At<'_>, job_id: JobId) -> Folded<(&Order, JobState)> {
        let (terms, before) = self.job(at, job_id)?;
        let EventRow { block, log_index, ref event, .. } = *at.0;
        let job_seq = before.job_seq.saturating_add(1);
        at.same("sequence number of the job", event.job_seq().unwrap_or_default(), job_seq)?;
        Ok((terms, JobState { block, log_index, job_seq, ..before.clone() }))
    }
}

fn remaining(at: At<'_>, job: &JobState) -> Folded<Amount> {
    let used = at.sum("released and pending", job.released.checked_add(job.pending))?;
    at.sum("money remaining in the job", job.funded.checked_sub(used))
}

mod lots;
#[cfg(test)]
mod tests;
