//! pure: the fold, state before + event -> state after; a gap or a wrong figure is an error.

use std::collections::HashMap;
use std::fmt::Display;

use alloy::primitives::{Address, B256, U256, keccak256};
use alloy::sol_types::Eip712Domain;
use contracts::event::{
    Approved, CloseRequested, Closed, Committed, CreditReturned, Lapsed, Opened, Redeemed,
    Rejected, Released, Returned, Settled, ToppedUp,
};
use contracts::{Amount, AmountError, Event, JobId, Lot, Order, order, units};
use store::{
    AccountState, DelegateState, EventRow, JobOrder, JobState, LotRow, LotState, LotStatus,
    OfficeState,
};

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
/// Jobs and lots are large: they lie outside of their tables, which have room to spare.
#[derive(Debug, Clone)]
pub struct Ledger {
    domain: Eip712Domain,
    accounts: HashMap<Address, AccountState>,
    jobs: HashMap<JobId, Box<(Order, JobState)>>,
    lots: HashMap<B256, Box<(LotRow, LotState)>>,
    /// By payer and agent.
    delegates: HashMap<(Address, Address), DelegateState>,
    offices: Option<OfficeState>,
    /// Fee and burn taken from lots of a call and not credited yet: none between blocks.
    owed: HashMap<JobId, Owed>,
    /// Jobs of the block at hand.
    moved: Vec<JobId>,
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
    pub delegate: Option<DelegateState>,
    pub offices: Option<OfficeState>,
    owed: Option<(JobId, Owed)>,
}

/// The rows that events touch, to be loaded before they are folded; the offices always are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Touched {
    pub accounts: Vec<Address>,
    pub jobs: Vec<JobId>,
    pub lots: Vec<B256>,
    /// By payer and agent.
    pub delegates: Vec<(Address, Address)>,
}

pub fn touched<'e>(rows: impl Iterator<Item = &'e EventRow>) -> Touched {
    let mut touched = Touched::default();
    for EventRow { event, .. } in rows {
        touched.accounts.extend(event.account_after().map(|after| after.account));
        touched.jobs.extend(event.job_id());
        touched.lots.extend(lot_of(event));
        touched.delegates.extend(delegate_of(event));
    }
    sort(&mut touched.accounts);
    sort(&mut touched.jobs);
    sort(&mut touched.lots);
    sort(&mut touched.delegates);
    touched
}

fn sort<T: Ord>(keys: &mut Vec<T>) {
    keys.sort_unstable();
    keys.dedup();
}

fn delegate_of(event: &Event) -> Option<(Address, Address)> {
    if let Event::DelegateSet(e) = event {
        return Some((e.payer, e.agent));
    }
    if let Event::DelegateRevoked(e) = event {
        return Some((e.payer, e.agent));
    }
    let Event::DelegateSpent(e) = event else { return None };
    Some((e.payer, e.agent))
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
        Event::Returned(_) | Event::CreditReturned(_) | Event::Redeemed(_) => None,
        Event::CreditIssued(_) | Event::DelegateSet(_) | Event::DelegateRevoked(_) => None,
        Event::CreditSettlerNamed(_) | Event::Paused(_) | Event::DelegateSpent(_) => None,
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

    fn some(self, what: &'static str, amount: Amount) -> Folded<()> {
        if amount.is_zero() { Err(self.wrong(what, amount, "above zero")) } else { Ok(()) }
    }

    fn time(self, what: &'static str, seconds: u64) -> Folded<i64> {
        i64::try_from(seconds).map_err(|_| self.wrong(what, seconds, "a time in 40 bits"))
    }
}

impl Ledger {
    /// Knows nothing yet; `load_*` puts rows in. Job ids are checked against the domain.
    pub fn new(domain: Eip712Domain) -> Self {
        Self {
            domain,
            accounts: HashMap::new(),
            jobs: HashMap::new(),
            lots: HashMap::new(),
            delegates: HashMap::new(),
            offices: None,
            owed: HashMap::new(),
            moved: Vec::new(),
        }
    }

    pub fn load_account(&mut self, state: AccountState) {
        self.accounts.insert(state.account, state);
    }

    pub fn load_job(&mut self, opened: JobOrder, state: JobState) {
        self.jobs.insert(opened.job_id, Box::new((opened.order, state)));
    }

    pub fn load_lot(&mut self, row: LotRow, state: LotState) {
        self.lots.insert(row.lot_hash, Box::new((row, state)));
    }

    pub fn load_delegate(&mut self, state: DelegateState) {
        self.delegates.insert((state.payer, state.agent), state);
    }

    pub fn load_offices(&mut self, state: OfficeState) {
        self.offices = Some(state);
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
            Event::CreditIssued(e) => self.credit_issued(at, e),
            Event::DelegateSet(e) => self.delegate_set(at, e),
            Event::DelegateRevoked(e) => self.delegate_revoked(at, e),
            Event::DelegateSpent(e) => self.delegate_spent(at, e),
            Event::CreditSettlerNamed(e) => self.credit_settler_named(at, e),
            Event::Paused(e) => self.paused(at, e),
            Event::Opened(e) => self.opened(at, e),
            Event::ToppedUp(e) => self.topped_up(at, e),
            Event::Released(e) => self.released(at, e),
            Event::Committed(e) => self.committed(at, e),
            Event::Approved(e) => self.approved(at, e),
            Event::Rejected(e) => self.rejected(at, e),
            Event::Settled(e) => self.settled(at, e),
            Event::Lapsed(e) => self.lapsed(at, e),
            Event::Redeemed(e) => self.redeemed(at, e),
            Event::CloseRequested(e) => self.close_requested(at, e),
            Event::Closed(e) => self.closed(at, e),
            Event::Returned(e) => self.returned(at, e),
            Event::CreditReturned(e) => self.credit_returned(at, e),
        }?;
        self.keep(at, &change)?;
        Ok(change)
    }

    /// Between blocks nothing is under way: every share was credited, a closed job is empty.
    /// `last` is the block's last event.
    pub fn end_block(&mut self, last: &EventRow, mined_at: i64) -> Folded<()> {
        let at = At(last, mined_at);
        for (_, owed) in self.owed.drain() {
            at.same("fee taken and credited to nobody", owed.fee, Amount::ZERO)?;
            at.same("burn taken and credited to nobody", owed.burn, Amount::ZERO)?;
        }
        for job_id in self.moved.drain(..) {
            let Some(job) = self.jobs.get(&job_id).filter(|job| job.1.closed) else { continue };
            let left = remaining(at, &job.1)?;
            at.same("money left in a closed job", left, Amount::ZERO)?;
        }
        Ok(())
    }

    fn keep(&mut self, at: At<'_>, change: &Change) -> Folded<()> {
        let Change { order: opened, lot, account, job, lot_state, delegate, offices, owed } =
            change.clone();
        account.into_iter().for_each(|state| self.load_account(state));
        delegate.into_iter().for_each(|state| self.load_delegate(state));
        offices.into_iter().for_each(|state| self.load_offices(state));
        if let Some(job) = job {
            check_money(at, &job)?;
            self.moved.push(job.job_id);
            match opened {
                Some(opened) => self.load_job(opened, job),
                None => {
                    self.jobs.entry(job.job_id).and_modify(|before| before.1 = job);
                }
            }
        }
        if let Some(state) = lot_state {
            match lot {
                Some(row) => self.load_lot(row, state),
                None => {
                    self.lots.entry(state.lot_hash).and_modify(|before| before.1 = state);
                }
            }
        }
        if let Some((job_id, owed)) = owed {
            self.owed.insert(job_id, owed);
        }
        Ok(())
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
        self.running(at)?;
        let account = self.opened_by(at, e)?;
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
            credit_share: e.credit_spent,
        };
        let opened = JobOrder { job_id, block, order: e.order.clone() };
        Ok(Change { order: Some(opened), account, job: Some(job), ..Change::default() })
    }

    fn topped_up(&self, at: At<'_>, e: &ToppedUp) -> Folded<Change> {
        self.running(at)?;
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
        at.same("credit that returns first", credit_left(at, &job)?, Amount::ZERO)?;
        job.funded = at.sum("money of the job", job.funded.checked_sub(e.amount))?;
        at.same("money of the job", e.funded, job.funded)?;
        Ok(Change { account: self.credit(at, e.amount)?, job: Some(job), ..Change::default() })
    }

    fn credit_returned(&self, at: At<'_>, e: &CreditReturned) -> Folded<Change> {
        let (terms, mut job) = self.next_job(at, e.job_id)?;
        at.same("closed", job.closed, true)?;
        at.same("account paid back", e.account, terms.payer)?;
        at.some("credit returned", e.amount)?;
        at.same("credit returned", e.amount, credit_left(at, &job)?)?;
        job.credit_share = at.sum("credit in the job", job.credit_share.checked_sub(e.amount))?;
        job.funded = at.sum("money of the job", job.funded.checked_sub(e.amount))?;
        at.same("money of the job", e.funded, job.funded)?;
        Ok(Change { account: self.add_credit(at, e.amount)?, job: Some(job), ..Change::default() })
    }

    fn job(&self, at: At<'_>, job_id: JobId) -> Folded<&(Order, JobState)> {
        let found = self.jobs.get(&job_id).map(|job| &**job);
        found.ok_or_else(|| at.wrong("job", job_id, "an opened job"))
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

/// What a job's money must keep to after every event: nothing is spent twice, and credit is a part
/// of what came in.
fn check_money(at: At<'_>, job: &JobState) -> Folded<()> {
    remaining(at, job)?;
    at.sum("money of the job beside its credit", job.funded.checked_sub(job.credit_share))?;
    Ok(())
}

/// Credit is spent first: what is left of it is what was neither paid nor may still be.
fn credit_left(at: At<'_>, job: &JobState) -> Folded<Amount> {
    let used = at.sum("released and pending", job.released.checked_add(job.pending))?;
    Ok(job.credit_share.checked_sub(used).unwrap_or(Amount::ZERO))
}

mod accounts;
mod kept;
mod lots;
mod roles;
#[cfg(test)]
mod tests;
