//! Random calls: who does what when, mostly as the rules allow, and often at the second of a date.

use std::collections::VecDeque;

use alloy::primitives::{Address, B256};
use contracts::{Lot, Order};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::acts::{Act, Call, Word};
use super::escrow::{Escrow, MOST, Stage, State, Terms};
use super::flaws;
use super::hashes::lot_hash;
use super::words::{Actors, sign};

pub const START: u64 = 1_800_000_000;
const DAY: u64 = 86_400;
/// More live orders than this make no new ones: each should meet its dates.
const MOST_LIVE: usize = 24;
const MOST_OLD: usize = 12;

/// An order that was made, and the lots that were committed of it.
#[derive(Debug, Clone)]
pub struct Deal {
    pub order: Order,
    pub id: B256,
    pub lots: Vec<Lot>,
}

/// What a date is about.
#[derive(Debug, Clone, Copy)]
pub enum Aim {
    Open(B256),
    Delegate(Address, Address),
    WorkDeadline(B256),
    End(B256),
    Window(B256, usize),
    Lapse(B256, usize),
    PauseEnd,
    PauseRest,
}

pub struct Play {
    pub rng: StdRng,
    pub actors: Actors,
    pub terms: Terms,
    pub deals: Vec<Deal>,
    pub old: Vec<Deal>,
    pub now: u64,
    planned: VecDeque<(u64, Aim)>,
    /// Who has not yet given the escrow an allowance.
    beginners: Vec<Address>,
    pub serial: u64,
}

type Build = fn(&mut Play, &State) -> Option<Act>;

/// How often each operation is tried, in parts of the sum.
const WEIGHTS: [(u32, Build); 26] = [
    (15, Play::allow),
    (40, Play::deposit),
    (20, Play::deposit_for),
    (20, Play::hold_in_escrow),
    (6, Play::fund_job),
    (30, Play::withdraw),
    (12, |_, _| Some(Act::Burn)),
    (30, Play::set_delegate),
    (10, Play::revoke_delegate),
    (25, Play::issue_credit),
    (8, Play::name_settler),
    (6, Play::pause),
    (3, |_, _| Some(Act::Unpause)),
    (60, Play::open),
    (100, Play::open_for),
    (30, Play::top_up),
    (110, Play::release),
    (220, Play::commit),
    (20, Play::commit_again),
    (70, Play::approve),
    (100, Play::reject),
    (130, Play::settle),
    (40, Play::lapse),
    (100, Play::redeem),
    (8, Play::request_close),
    (40, Play::close),
];

impl Play {
    pub fn new(seed: u64, actors: Actors, terms: Terms) -> Self {
        let rng = StdRng::seed_from_u64(seed);
        let (deals, old, planned) = (Vec::new(), Vec::new(), VecDeque::new());
        let beginners = actors.callers();
        Self { rng, actors, terms, deals, old, now: START, planned, beginners, serial: 0 }
    }

    /// The next call. It is good as far as the model knows, or has one flaw.
    pub fn next(&mut self, model: &Escrow) -> Call {
        if let Some(from) = self.beginners.pop() {
            return Call { from, at: self.now, act: Act::Allow(MOST * 4) };
        }
        self.forget(&model.state);
        let aimed = self.pass_time(&model.state);
        let act = match aimed {
            Some(aim) => self.aimed(aim, &model.state),
            None => self.any(&model.state),
        };
        // At a date a flaw would hide what the second decides.
        let flawed = self.rng.random_bool(if aimed.is_some() { 0.05 } else { 0.3 });
        let from = self.caller(&act, &model.state);
        let mut call = Call { from, at: self.now, act };
        let spoilt = flawed && self.rng.random_bool(0.7) && flaws::spoil(self, model, &mut call);
        let silent = self.silent(&call.act, &model.state);
        let words = (flawed && !spoilt, silent);
        sign(&self.actors, &mut self.rng, model.terms.domain, &mut call, words);
        call
    }

    /// Keeps what a call that was taken left to go on with.
    pub fn learn(&mut self, call: &Call) {
        let Act::Commit(order, lots, ..) = &call.act else { return };
        if let Some(deal) = self.deals.iter_mut().find(|deal| deal.order == *order) {
            deal.lots.extend_from_slice(lots);
        }
    }

    // ---- time ----

    /// Goes on in time, and says what the date that was reached is about.
    fn pass_time(&mut self, state: &State) -> Option<Aim> {
        if let Some((at, aim)) = self.planned.pop_front() {
            self.now = at;
            return Some(aim);
        }
        if !self.rng.random_bool(0.2) {
            if self.rng.random_bool(0.3) {
                self.now += self.rng.random_range(1..60);
            }
            return None;
        }
        let mut dates = self.dates(state);
        dates.sort_by_key(|(at, _)| *at);
        let rests = |aim: &Aim| matches!(aim, Aim::PauseRest);
        let far =
            if self.rng.random_bool(0.02) { dates.iter().find(|(_, a)| rests(a)) } else { None };
        let near = dates.len().min(if self.rng.random_bool(0.7) { 1 } else { 5 });
        let (at, aim) = *far.or_else(|| dates[..near].choose(&mut self.rng))?;
        for second in [at - 1, at, at + 1] {
            if second >= self.now && self.rng.random_bool(0.7) {
                self.planned.push_back((second, aim));
            }
        }
        let (at, aim) = self.planned.pop_front()?;
        self.now = at;
        Some(aim)
    }

    /// Every date ahead on which something begins or ends.
    fn dates(&self, state: &State) -> Vec<(u64, Aim)> {
        let mut dates = Vec::new();
        for deal in &self.deals {
            let Some(job) = state.jobs.get(&deal.id) else {
                dates.push((deal.order.open_by, Aim::Open(deal.id)));
                continue;
            };
            if !job.closed {
                dates.push((job.end(), Aim::End(deal.id)));
                if job.close_requested.is_none() {
                    dates.push((deal.order.work_deadline, Aim::WorkDeadline(deal.id)));
                }
            }
            for (at, lot) in deal.lots.iter().enumerate() {
                let hash = lot_hash(deal.id, lot);
                let Some(record) = job.lots.get(&hash) else { continue };
                let live = matches!(record.stage, Stage::Committed | Stage::Approved);
                if live && lot.is_sealed() {
                    let lapses = record.window_end + deal.order.claim_grace;
                    dates.push((lapses, Aim::Lapse(deal.id, at)));
                }
                if live {
                    dates.push((record.window_end, Aim::Window(deal.id, at)));
                }
                if let Some(approved) = record.approved_at.filter(|_| live && lot.is_sealed()) {
                    // No date of the rules: a lapse counts from the window's end all the same.
                    let hastened = approved + deal.order.claim_grace;
                    dates.push((hastened, Aim::Lapse(deal.id, at)));
                }
            }
        }
        for ((payer, agent), bounds) in &state.delegates {
            dates.push((bounds.expiry, Aim::Delegate(*payer, *agent)));
        }
        dates.push((state.paused_until, Aim::PauseEnd));
        dates.push((state.paused_until + 30 * DAY, Aim::PauseRest));
        dates.retain(|(at, _)| *at > self.now);
        dates
    }

    /// What is best tried at such a date.
    fn aimed(&mut self, aim: Aim, state: &State) -> Act {
        let choice = self.rng.random_range(0..4);
        let deal = |play: &Self, id: B256| play.deals.iter().find(|deal| deal.id == id).cloned();
        let act = match aim {
            Aim::Open(id) => deal(self, id).map(|deal| self.open_deal(deal, state)),
            Aim::Delegate(payer, agent) => Some(self.open_by_agent(payer, agent, state)),
            Aim::WorkDeadline(id) => deal(self, id).map(|deal| match choice {
                0 => self.work_on(deal, state),
                _ => Act::RequestClose(deal.order, Word::default()),
            }),
            Aim::End(id) => deal(self, id).map(|deal| match choice {
                0 | 1 => self.work_on(deal, state),
                _ => self.close_deal(deal),
            }),
            Aim::Window(id, at) => deal(self, id).map(|deal| match choice {
                0 | 1 => self.settle_lots(&deal, &[at]),
                2 => self.reject_lot(&deal, at, state),
                _ => self.approve_lots(&deal, &[at]),
            }),
            Aim::Lapse(id, at) => deal(self, id).map(|deal| match choice {
                0 => self.settle_lots(&deal, &[at]),
                _ => Act::Lapse(deal.order, deal.lots[at].clone()),
            }),
            Aim::PauseRest => self.pause(state),
            Aim::PauseEnd => match choice {
                0 => self.deposit(state),
                1 => self.top_up(state),
                2 => self.issue_credit(state),
                _ => Some(Act::Unpause),
            },
        };
        act.unwrap_or_else(|| self.any(state))
    }

    fn any(&mut self, state: &State) -> Act {
        // A pause is soon over, so that few calls meet one.
        if state.paused_until > self.now && self.rng.random_bool(0.08) {
            return Act::Unpause;
        }
        loop {
            let (_, build) =
                *WEIGHTS.choose_weighted(&mut self.rng, |(weight, _)| *weight).unwrap();
            if let Some(act) = build(self, state) {
                return act;
            }
        }
    }

    /// Deals that are over make room.
    fn forget(&mut self, state: &State) {
        let now = self.now;
        let over = |deal: &mut Deal| match state.jobs.get(&deal.id) {
            None => deal.order.open_by + 2 < now,
            Some(job) => {
                job.closed
                    && job.pending() == 0
                    && !job.lots.values().any(|lot| lot.window_end >= now)
            }
        };
        let planned = &self.planned;
        if planned.is_empty() && self.deals.len() > MOST_LIVE / 2 {
            self.old.extend(self.deals.extract_if(.., over));
            let spare = self.old.len().saturating_sub(MOST_OLD);
            self.old.drain(..spare);
        }
    }

    pub fn is_full(&self) -> bool {
        self.deals.len() >= MOST_LIVE
    }

    // ---- who calls, and who says nothing ----

    /// Who would call, where no word decides it.
    fn caller(&mut self, act: &Act, state: &State) -> Address {
        let callers = self.actors.callers();
        let anyone = *callers.choose(&mut self.rng).unwrap();
        let having = |play: &mut Self, least: u128| {
            let rich = |one: &&Address| state.account(**one).free >= least.max(1);
            callers.iter().filter(rich).copied().collect::<Vec<_>>().choose(&mut play.rng).copied()
        };
        let caller = match act {
            Act::Withdraw(amount, ..) | Act::TopUp(_, amount) => having(self, *amount),
            Act::SetDelegate(..) => self.actors.payers[..3].choose(&mut self.rng).copied(),
            Act::RevokeDelegate(agent) => {
                let pairs: Vec<_> =
                    state.delegates.keys().filter(|(_, one)| one == agent).collect();
                pairs.choose(&mut self.rng).map(|(payer, _)| *payer)
            }
            Act::IssueCredit(..) | Act::NameSettler(..) => Some(self.actors.issuer),
            Act::Pause(..) | Act::Unpause => Some(self.actors.guardian),
            Act::Open(order) if self.rng.random_bool(0.6) => Some(order.payer),
            Act::Deposit(amount) | Act::DepositFor(_, amount) if *amount > MOST / 2 => {
                Some(self.actors.whale)
            }
            _ => None,
        };
        caller.filter(|one| callers.contains(one)).unwrap_or(anyone)
    }

    /// How many of an act's last words may be left out.
    fn silent(&mut self, act: &Act, state: &State) -> usize {
        match act {
            Act::Commit(..) => usize::from(self.rng.random_bool(0.7)),
            Act::Close(order, ..) => {
                let job = self.deals.iter().find(|deal| deal.order == *order);
                let job = job.and_then(|deal| state.jobs.get(&deal.id));
                let near = job.is_some_and(|job| job.end() <= self.now + 1);
                if near || self.rng.random_bool(0.1) { 2 } else { 0 }
            }
            _ => 0,
        }
    }

    // ---- accounts and offices ----

    pub fn some(&mut self, most: u128) -> u128 {
        self.rng.random_range(1..=most.max(1))
    }

    fn anyone(&mut self) -> Address {
        let named = [&self.actors.payers[..], &self.actors.nodes].concat();
        *named.choose(&mut self.rng).unwrap()
    }

    /// Mostly plenty; now and then so little that the next pull meets its end.
    fn allow(&mut self, _: &State) -> Option<Act> {
        let amount = if self.rng.random_bool(0.8) { MOST * 4 } else { self.some(20_000) };
        Some(Act::Allow(amount))
    }

    /// Of small amounts; now and then as much as the escrow can hold, or one more.
    fn deposit_amount(&mut self, state: &State) -> u128 {
        if self.rng.random_bool(0.03) && state.account(self.actors.whale).free == 0 {
            let held = state.tokens_of(self.terms.escrow);
            return (MOST - held + u128::from(self.rng.random_bool(0.5))).min(MOST);
        }
        self.some(20_000)
    }

    fn deposit(&mut self, state: &State) -> Option<Act> {
        let amount = self.deposit_amount(state);
        Some(Act::Deposit(amount))
    }

    fn deposit_for(&mut self, _: &State) -> Option<Act> {
        let (account, amount) = (self.anyone(), self.some(20_000));
        Some(Act::DepositFor(account, amount))
    }

    fn hold_in_escrow(&mut self, _: &State) -> Option<Act> {
        let (account, amount) = (self.anyone(), self.some(20_000));
        let text = match self.rng.random_bool(0.5) {
            true => format!("{account}"),
            false => format!("{account:?}"),
        };
        Some(Act::HoldInEscrow(text, amount))
    }

    fn fund_job(&mut self, _: &State) -> Option<Act> {
        let (account, amount) = (self.anyone(), self.some(20_000));
        Some(Act::FundJob(format!("{account}"), amount))
    }

    fn withdraw(&mut self, state: &State) -> Option<Act> {
        let whale = state.account(self.actors.whale).free;
        if whale > MOST / 2 {
            return Some(Act::Withdraw(whale, self.actors.whale));
        }
        let owner = self.anyone();
        let free = state.account(owner).free;
        let amount = if self.rng.random_bool(0.3) { free } else { self.some(free / 4) };
        let to = self.anyone();
        (amount > 0).then_some(Act::Withdraw(amount, to))
    }

    fn set_delegate(&mut self, _: &State) -> Option<Act> {
        let agent = *self.actors.agents.choose(&mut self.rng).unwrap();
        let settler = *self.actors.settlers.choose(&mut self.rng).unwrap();
        let (allowance, most) = (self.some(6_000), self.some(3_000));
        let expiry = self.now + self.rng.random_range(1..4 * 3_600);
        Some(Act::SetDelegate(agent, settler, allowance, most, expiry))
    }

    fn revoke_delegate(&mut self, _: &State) -> Option<Act> {
        Some(Act::RevokeDelegate(*self.actors.agents.choose(&mut self.rng).unwrap()))
    }

    fn issue_credit(&mut self, _: &State) -> Option<Act> {
        let to = *self.actors.payers.choose(&mut self.rng).unwrap();
        Some(Act::IssueCredit(to, self.some(4_000)))
    }

    fn name_settler(&mut self, state: &State) -> Option<Act> {
        let settler = match state.credit_settler.is_zero() || self.rng.random_bool(0.7) {
            true => *self.actors.settlers.choose(&mut self.rng).unwrap(),
            false => Address::ZERO,
        };
        Some(Act::NameSettler(settler))
    }

    fn pause(&mut self, state: &State) -> Option<Act> {
        let rested = state.paused_until == 0 || self.now + 1 >= state.paused_until + 30 * DAY;
        if !rested && self.rng.random_bool(0.7) {
            return None;
        }
        let until = match self.rng.random_range(0..10) {
            0 => self.now + 7 * DAY,
            1 => self.now + 7 * DAY + 1,
            2 => self.now + 1,
            _ => self.now + self.rng.random_range(60..1_800),
        };
        Some(Act::Pause(until))
    }
}
