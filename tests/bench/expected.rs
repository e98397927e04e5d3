//! pure: what the generator contract will have said, by its rules written a second time.

use std::collections::BTreeMap;

use alloy::primitives::{Address, B256, U256, keccak256};
use alloy::sol_types::SolValue;
use contracts::order::BURN_ACCOUNT;
use contracts::{Amount, Event, Order};

/// A hundred events each.
pub const JOBS_A_HUNDRED_EVENTS: u64 = 10;
pub const JOBS_A_STEP: u64 = 5;
pub const STEPS_A_BLOCK: u64 = 4;
/// From one phase of a job to the next; there are five.
const STEPS_A_PHASE: u64 = 4;
const PHASES: u64 = 5;
const FAR: u64 = 1_800_000_000;

/// Who acts, in the contract's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Payer,
    Node,
    Agent,
    Settler,
    Fees,
}

/// The account of the `number`-th of a part.
pub fn who(part: Part, number: u64) -> Address {
    let part = match part {
        Part::Payer => 0u64,
        Part::Node => 1,
        Part::Agent => 2,
        Part::Settler => 3,
        Part::Fees => 4,
    };
    Address::from_word(keccak256((U256::from(part), U256::from(number)).abi_encode()))
}

/// How much is generated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    pub jobs: u64,
    pub payers: u64,
}

impl Plan {
    /// A multiple of a hundred events; fifty jobs for each payer, and at least a hundred payers,
    /// so that no payer has two jobs at once.
    pub fn of(events: u64) -> Self {
        let jobs = events.div_ceil(100).max(1) * JOBS_A_HUNDRED_EVENTS;
        Self { jobs, payers: (jobs / 50).clamp(100, 1_000) / 10 * 10 }
    }

    pub fn events(&self) -> u64 {
        self.jobs / JOBS_A_HUNDRED_EVENTS * 100
    }

    pub fn nodes(&self) -> u64 {
        self.payers / 5
    }

    /// Steps until every job has ended.
    pub fn steps(&self) -> u64 {
        self.jobs / JOBS_A_STEP + (PHASES - 1) * STEPS_A_PHASE
    }

    pub fn order(&self, number: u64) -> Order {
        let job = Job::of(number);
        let payer = who(Part::Payer, number % self.payers);
        let text = |word: &str| keccak256((U256::from(number), word).abi_encode_params());
        Order {
            payer,
            refund_to: payer,
            approver: Address::ZERO,
            settler: who(Part::Settler, 0),
            fee_receiver: who(Part::Fees, 0),
            cap: amount(job.cap),
            max_unit_price: amount(job.price),
            units: u32::try_from(job.units).unwrap(),
            open_by: FAR,
            work_deadline: FAR,
            review_seconds: 600,
            claim_grace: 3_600,
            fee_bps: 500,
            burn_bps: job.burn_bps,
            spec_hash: text("spec"),
            quote_hash: text("quote"),
            salt: B256::from(U256::from(number)),
        }
    }
}

fn amount(base: u128) -> Amount {
    Amount::from_base(base).unwrap()
}

/// A job's figures. Kinds: 0 to 3 one lot and a withdrawal, 4 and 5 two lots, 6 a rejected unit,
/// 7 unsealed lots after a top-up, 8 by a delegate and approved at once, 9 calls.
#[derive(Debug, Clone)]
pub struct Job {
    number: u64,
    kind: u64,
    price: u128,
    units: u64,
    cap: u128,
    burn_bps: u16,
    /// What each of its payments comes to.
    payments: Vec<u128>,
}

impl Job {
    pub fn of(number: u64) -> Self {
        let kind = number % 10;
        let frames = 4 + (number / 10) % 5;
        let price = 1_000_000_000_000_000 * u128::from(100 + number % 97) + 7;
        let units = if kind == 9 { 0 } else { 2 * frames + 2 };
        let parts = match kind {
            4 | 5 | 7 => vec![frames, frames],
            6 => vec![frames - 1],
            9 => vec![2, 3],
            _ => vec![frames],
        };
        Self {
            number,
            kind,
            price,
            units,
            cap: price * u128::from(if units == 0 { 10 } else { units + 1 }),
            burn_bps: if kind == 4 || kind == 5 { 0 } else { 100 },
            payments: parts.into_iter().map(|units| price * u128::from(units)).collect(),
        }
    }

    pub fn released(&self) -> u128 {
        self.payments.iter().sum()
    }

    pub fn units_paid(&self) -> u64 {
        if self.units == 0 { 0 } else { u64::try_from(self.released() / self.price).unwrap() }
    }

    /// Number of its own events when it has ended.
    pub fn seq(&self) -> u32 {
        match self.kind {
            4 | 5 => 9,
            6 => 7,
            _ => 6,
        }
    }

    fn top_up(&self) -> u128 {
        if self.kind == 7 { self.price } else { 0 }
    }

    fn fee(&self, payment: u128) -> u128 {
        payment * 500 / 10_000
    }

    fn burn(&self, payment: u128) -> u128 {
        payment * u128::from(self.burn_bps) / 10_000
    }

    fn net(&self, payment: u128) -> u128 {
        payment - self.fee(payment) - self.burn(payment)
    }
}

/// What all events come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// By the event's name: how many, and the sum of their amounts.
    pub events: BTreeMap<&'static str, (u64, u128)>,
    /// Free balance and number of events of each account that has any.
    pub accounts: BTreeMap<Address, (u128, u64)>,
}

impl Totals {
    /// After the last step of the plan.
    pub fn of(plan: &Plan) -> Self {
        let mut totals = Self::default();
        for step in 0..plan.steps() {
            for phase in 0..PHASES {
                let Some(group) = step.checked_sub(phase * STEPS_A_PHASE) else { continue };
                let first = group * JOBS_A_STEP;
                for number in (first..first + JOBS_A_STEP).filter(|number| *number < plan.jobs) {
                    totals.play(plan, phase, &Job::of(number));
                }
            }
        }
        totals
    }

    pub fn count(&self) -> u64 {
        self.events.values().map(|(count, _)| count).sum()
    }

    pub fn add(&mut self, name: &'static str, amount: u128) {
        let (count, sum) = self.events.entry(name).or_default();
        *count += 1;
        *sum += amount;
    }

    fn moved(&mut self, of: Address, more: u128, less: u128) {
        let (free, seq) = self.accounts.entry(of).or_default();
        *free = *free + more - less;
        *seq += 1;
    }

    fn play(&mut self, plan: &Plan, phase: u64, job: &Job) {
        match phase {
            0 => self.open(plan, job),
            1 => self.commit(job),
            2 => self.review(job),
            3 => self.pay(plan, job),
            _ => self.end(plan, job),
        }
    }

    fn open(&mut self, plan: &Plan, job: &Job) {
        let payer = who(Part::Payer, job.number % plan.payers);
        self.add("Deposited", job.cap + job.top_up());
        self.moved(payer, job.cap + job.top_up(), 0);
        if job.kind == 8 {
            self.add("DelegateSet", 0);
            self.moved(payer, 0, 0);
            self.add("DelegateSpent", job.cap);
        }
        self.add("Opened", job.cap);
        self.moved(payer, 0, job.cap);
        if job.kind == 7 {
            self.add("ToppedUp", job.price);
            self.moved(payer, 0, job.price);
        }
    }

    fn commit(&mut self, job: &Job) {
        match job.kind {
            7 | 9 => {}
            // All of its units are committed, one of them is rejected later.
            6 => self.add("Committed", job.released() + job.price),
            _ => job.payments.iter().for_each(|payment| self.add("Committed", *payment)),
        }
    }

    fn review(&mut self, job: &Job) {
        match job.kind {
            7 | 8 => {}
            9 => self.add("CloseRequested", 0),
            6 => {
                self.add("Rejected", job.price);
                self.add("Approved", 0);
            }
            _ => job.payments.iter().for_each(|_| self.add("Approved", 0)),
        }
    }

    fn pay(&mut self, plan: &Plan, job: &Job) {
        let name = match job.kind {
            7 => "Released",
            9 => "Redeemed",
            _ => "Settled",
        };
        for (place, payment) in (0..).zip(&job.payments) {
            self.add(name, *payment);
            let node = who(Part::Node, (job.number + 7 * place) % plan.nodes());
            self.moved(node, job.net(*payment), 0);
        }
        let fee = job.payments.iter().map(|payment| job.fee(*payment)).sum();
        self.add("FeeCredited", fee);
        self.moved(who(Part::Fees, 0), fee, 0);
        let burn = job.payments.iter().map(|payment| job.burn(*payment)).sum();
        if burn > 0 {
            self.add("BurnCredited", burn);
            self.moved(BURN_ACCOUNT, burn, 0);
        }
    }

    fn end(&mut self, plan: &Plan, job: &Job) {
        let payer = who(Part::Payer, job.number % plan.payers);
        let left = job.cap + job.top_up() - job.released();
        self.add("Closed", 0);
        self.add("Returned", left);
        self.moved(payer, left, 0);
        if job.kind >= 4 {
            return;
        }
        let free = |totals: &Self, of| totals.accounts.get(&of).map_or(0, |(free, _)| *free);
        if job.number % 1_000 == 3 {
            let burnt = free(self, BURN_ACCOUNT);
            self.add("Burned", burnt);
            self.moved(BURN_ACCOUNT, 0, burnt);
            return;
        }
        let (owner, amount) = match job.kind {
            0 | 1 => (payer, free(self, payer)),
            _ => (who(Part::Node, job.number % plan.nodes()), job.net(job.released())),
        };
        self.add("Withdrawn", amount);
        self.moved(owner, 0, amount);
    }
}

/// The amount that an event names; of an opening the order's cap.
pub fn amount_of(event: &Event) -> u128 {
    let amount = match event {
        Event::Deposited(e) => e.amount,
        Event::Withdrawn(e) => e.amount,
        Event::FeeCredited(e) => e.amount,
        Event::BurnCredited(e) => e.amount,
        Event::Burned(e) => e.amount,
        Event::CreditIssued(e) => e.amount,
        Event::Opened(e) => e.order.cap,
        Event::DelegateSpent(e) => e.amount,
        Event::ToppedUp(e) => e.amount,
        Event::Released(e) => e.amount,
        Event::Committed(e) => e.amount,
        Event::Rejected(e) => e.amount,
        Event::Settled(e) => e.amount,
        Event::Lapsed(e) => e.amount,
        Event::Redeemed(e) => e.amount,
        Event::Returned(e) => e.amount,
        Event::CreditReturned(e) => e.amount,
        Event::DelegateSet(_) | Event::DelegateRevoked(_) | Event::CreditSettlerNamed(_) => {
            Amount::ZERO
        }
        Event::Paused(_) | Event::Approved(_) | Event::CloseRequested(_) | Event::Closed(_) => {
            Amount::ZERO
        }
    };
    amount.base()
}
