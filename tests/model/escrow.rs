//! pure: the escrow's rules written a second time, as simply as can be: accounts and offices.
//!
//! Units are a map, not bit masks; what is pending or paid is counted from them, not stored. A call
//! works on a copy of the state, which is dropped when the call is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::sol_types::SolError;
use contracts::event::*;
use contracts::order::BURN_ACCOUNT;
use contracts::{Amount, Event, Order};

use super::acts::{Act, Call, Word};
use super::deviation::Deviation;

/// The escrow holds less than 2^96 base units in all.
pub const MOST: u128 = (1 << 96) - 1;
const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;
const MAX_PAUSE: u64 = 7 * DAY;
const PAUSE_REST: u64 = 30 * DAY;

/// Why a call is refused: the revert data.
pub type Refusal = Bytes;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    pub free: u128,
    pub credit: u128,
    pub seq: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delegate {
    pub settler: Address,
    pub allowance: u128,
    pub most: u128,
    pub expiry: u64,
}

/// A unit that is not in the job's map is free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Reserved { price: u128 },
    Paid,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Committed = 1,
    Approved = 2,
    Settled = 3,
    Lapsed = 4,
}

#[derive(Debug, Clone)]
pub struct LotRecord {
    pub stage: Stage,
    pub window_end: u64,
    pub approved_at: Option<u64>,
    pub rejected: BTreeSet<u64>,
}

#[derive(Debug, Clone)]
pub struct Job {
    pub order: Order,
    pub closed: bool,
    pub funded: u128,
    pub released: u128,
    /// How much of `funded` came as credit.
    pub credit: u128,
    pub units: BTreeMap<u64, Unit>,
    pub lots: BTreeMap<B256, LotRecord>,
    pub close_requested: Option<u64>,
    pub seq: u32,
    /// Who opened it on the payer's account; only a planted deviation asks.
    pub agent: Option<Address>,
}

/// What never changes.
#[derive(Debug, Clone)]
pub struct Terms {
    pub escrow: Address,
    pub token: Address,
    pub issuer: Address,
    pub guardian: Address,
    pub domain: B256,
    /// Contract wallets: each says yes to any signature.
    pub wallets: BTreeSet<Address>,
    /// The one rule that this model has wrong, on purpose.
    pub deviation: Option<Deviation>,
}

#[derive(Debug, Clone, Default)]
pub struct State {
    pub accounts: BTreeMap<Address, Account>,
    /// By payer and agent.
    pub delegates: BTreeMap<(Address, Address), Delegate>,
    pub jobs: BTreeMap<B256, Rc<Job>>,
    pub credit_settler: Address,
    pub paused_until: u64,
    pub office_seq: u64,
    /// The token's own books.
    pub tokens: BTreeMap<Address, u128>,
    pub allowances: BTreeMap<Address, u128>,
}

#[derive(Debug, Clone)]
pub struct Escrow {
    pub terms: Terms,
    pub state: State,
}

/// One call under way.
pub struct Turn<'a> {
    pub terms: &'a Terms,
    pub from: Address,
    pub now: u64,
    pub state: State,
    pub said: Vec<Event>,
}

impl Escrow {
    /// The events of a call, or why it is refused; then nothing has changed.
    pub fn play(&mut self, call: &Call) -> Result<Vec<Event>, Refusal> {
        let (state, said) = (self.state.clone(), Vec::new());
        let mut turn = Turn { terms: &self.terms, from: call.from, now: call.at, state, said };
        turn.act(&call.act)?;
        self.state = turn.state;
        Ok(turn.said)
    }
}

impl State {
    pub fn account(&self, owner: Address) -> Account {
        self.accounts.get(&owner).cloned().unwrap_or_default()
    }

    pub fn tokens_of(&self, owner: Address) -> u128 {
        self.tokens.get(&owner).copied().unwrap_or_default()
    }

    pub fn allowance_of(&self, owner: Address) -> u128 {
        self.allowances.get(&owner).copied().unwrap_or_default()
    }
}

pub fn amount(base: u128) -> Amount {
    Amount::from_base(base).unwrap()
}

/// The revert data of an error with such figures, in its order.
macro_rules! refuse {
    ($error:ident $(, $figure:expr)*) => {
        Err(contracts::RenderEscrow::$error::from(($($figure,)*)).abi_encode().into())
    };
}
pub(crate) use refuse;

pub fn n(given: impl Into<u128>) -> U256 {
    U256::from(given.into())
}

impl Turn<'_> {
    fn act(&mut self, act: &Act) -> Result<(), Refusal> {
        match act {
            Act::Allow(amount) => self.allow(*amount),
            Act::Deposit(amount) => self.deposit(self.from, *amount),
            Act::DepositFor(account, amount) => {
                self.must_be_account(*account)?;
                self.deposit(*account, *amount)
            }
            Act::HoldInEscrow(text, amount) => self.hold_in_escrow(text, *amount),
            Act::FundJob(text, amount) => self.fund_job(self.from, text, *amount),
            Act::Withdraw(amount, to) => self.withdraw(*amount, *to),
            Act::Burn => self.burn(),
            Act::SetDelegate(agent, settler, allowance, most, expiry) => {
                let (settler, allowance, most, expiry) = (*settler, *allowance, *most, *expiry);
                self.set_delegate(*agent, Delegate { settler, allowance, most, expiry })
            }
            Act::RevokeDelegate(agent) => self.revoke_delegate(*agent),
            Act::IssueCredit(to, amount) => self.issue_credit(*to, *amount),
            Act::NameSettler(settler) => self.name_settler(*settler),
            Act::Pause(until) => self.pause(*until),
            Act::Unpause => self.unpause(),
            other => self.act_on_job(other),
        }
    }

    // ---- who may ----

    /// Whose word it is, of the two: an empty one is the caller's; `second` may be zero: nobody.
    pub fn consent(
        &self,
        first: Address,
        second: Address,
        digest: B256,
        word: &Word,
    ) -> Result<Address, Refusal> {
        let (caller, wanted, or_wanted) = (self.from, first, second);
        let two = || [first, second].into_iter().filter(|one| !one.is_zero());
        if word.bytes.is_empty() {
            return match two().find(|one| *one == caller) {
                Some(by) => Ok(by),
                None => refuse!(RenderEscrow_CallerRefused, caller, wanted, or_wanted),
            };
        }
        let signed = two().find(|one| *one == word.by && word.over == digest);
        let said = || two().find(|one| self.terms.wallets.contains(one));
        match signed.or_else(said) {
            Some(by) => Ok(by),
            None => refuse!(RenderEscrow_SignatureRefused, digest, wanted, or_wanted),
        }
    }

    fn must_be_from(&self, wanted: Address) -> Result<(), Refusal> {
        if self.from == wanted {
            return Ok(());
        }
        refuse!(RenderEscrow_CallerRefused, self.from, wanted, Address::ZERO)
    }

    pub fn must_be_account(&self, account: Address) -> Result<(), Refusal> {
        if account.is_zero() || account == self.terms.escrow {
            return refuse!(RenderEscrow_AccountRefused, account);
        }
        Ok(())
    }

    pub fn must_run(&self) -> Result<(), Refusal> {
        if self.now < self.state.paused_until {
            return refuse!(RenderEscrow_IsPaused, n(self.state.paused_until), n(self.now));
        }
        Ok(())
    }

    pub fn deviates(&self, deviation: Deviation) -> bool {
        self.terms.deviation == Some(deviation)
    }

    // ---- balances ----

    pub fn change(&mut self, owner: Address, change: impl FnOnce(&mut Account)) -> Account {
        let account = self.state.accounts.entry(owner).or_default();
        change(account);
        account.seq += 1;
        account.clone()
    }

    pub fn must_have(&self, owner: Address, needed: u128) -> Result<(), Refusal> {
        let free = self.state.account(owner).free;
        if needed > free {
            return refuse!(RenderEscrow_FreeTooLow, owner, n(needed), n(free));
        }
        Ok(())
    }

    pub fn must_be_some(&self, amount: u128) -> Result<(), Refusal> {
        if amount == 0 { refuse!(RenderEscrow_AmountZero) } else { Ok(()) }
    }

    // ---- tokens: legacy RNDR's, whose allowances always fall ----

    fn allow(&mut self, amount: u128) -> Result<(), Refusal> {
        self.state.allowances.insert(self.from, amount);
        Ok(())
    }

    fn move_tokens(&mut self, from: Address, to: Address, amount: u128) {
        *self.state.tokens.entry(from).or_default() -= amount;
        *self.state.tokens.entry(to).or_default() += amount;
    }

    fn must_fit(&self) -> Result<(), Refusal> {
        let held = self.state.tokens_of(self.terms.escrow);
        if held > MOST {
            return refuse!(RenderEscrow_BalanceTooLarge, n(held));
        }
        Ok(())
    }

    pub fn pull(&mut self, from: Address, amount: u128) -> Result<(), Refusal> {
        let (balance, allowed) = (self.state.tokens_of(from), self.state.allowance_of(from));
        if amount > balance.min(allowed) {
            return refuse!(RenderEscrow_PullFailed, from, n(amount), n(balance), n(allowed));
        }
        self.state.allowances.insert(from, allowed - amount);
        self.move_tokens(from, self.terms.escrow, amount);
        self.must_fit()
    }

    // ---- ways in and out ----

    fn deposit(&mut self, to: Address, amount: u128) -> Result<(), Refusal> {
        self.must_run()?;
        self.must_be_some(amount)?;
        self.pull(self.from, amount)?;
        self.deposited(to, self.from, amount);
        Ok(())
    }

    fn deposited(&mut self, account: Address, from: Address, base: u128) {
        let after = self.change(account, |a| a.free += base);
        let (free, seq) = (amount(after.free), after.seq);
        self.say(Event::Deposited(Deposited { account, from, amount: amount(base), free, seq }));
    }

    fn hold_in_escrow(&mut self, text: &str, amount: u128) -> Result<(), Refusal> {
        if amount > self.state.tokens_of(self.from) {
            return Err(Bytes::new()); // as all of legacy RNDR's refusals
        }
        self.move_tokens(self.from, self.terms.escrow, amount);
        self.fund_job(self.terms.token, text, amount)
    }

    fn fund_job(&mut self, caller: Address, text: &str, amount: u128) -> Result<(), Refusal> {
        if caller != self.terms.token {
            return self.must_be_from(self.terms.token);
        }
        self.must_run()?;
        let digits = text.strip_prefix("0x").filter(|digits| digits.len() == 40);
        let Some(account) = digits.and_then(|digits| digits.parse::<Address>().ok()) else {
            return refuse!(RenderEscrow_AccountTextRefused, text.into());
        };
        self.must_be_account(account)?;
        self.must_be_some(amount)?;
        self.must_fit()?;
        self.deposited(account, caller, amount);
        Ok(())
    }

    fn withdraw(&mut self, base: u128, to: Address) -> Result<(), Refusal> {
        self.must_be_account(to)?;
        self.must_be_some(base)?;
        let account = self.from;
        self.must_have(account, base)?;
        let after = self.change(account, |a| a.free -= base);
        let (free, seq) = (amount(after.free), after.seq);
        self.say(Event::Withdrawn(Withdrawn { account, to, amount: amount(base), free, seq }));
        self.move_tokens(self.terms.escrow, to, base);
        Ok(())
    }

    fn burn(&mut self) -> Result<(), Refusal> {
        let base = self.state.account(BURN_ACCOUNT).free;
        self.must_be_some(base)?;
        let seq = self.change(BURN_ACCOUNT, |a| a.free = 0).seq;
        self.say(Event::Burned(Burned { amount: amount(base), free: Amount::ZERO, seq }));
        self.move_tokens(self.terms.escrow, BURN_ACCOUNT, base);
        Ok(())
    }

    fn set_delegate(&mut self, agent: Address, set: Delegate) -> Result<(), Refusal> {
        self.must_be_account(agent)?;
        self.must_be_account(set.settler)?;
        let (payer, settler, expiry) = (self.from, set.settler, set.expiry);
        if expiry <= self.now {
            return refuse!(RenderEscrow_SignerRefused, agent, payer, n(expiry), n(self.now));
        }
        let (allowance, max_per_job) = (amount(set.allowance), amount(set.most));
        self.state.delegates.insert((payer, agent), set);
        let seq = self.change(payer, |_| ()).seq;
        let said = DelegateSet { payer, agent, settler, allowance, max_per_job, expiry, seq };
        self.say(Event::DelegateSet(said));
        Ok(())
    }

    fn revoke_delegate(&mut self, agent: Address) -> Result<(), Refusal> {
        let payer = self.from;
        if self.state.delegates.remove(&(payer, agent)).is_none() {
            return refuse!(RenderEscrow_DelegateUnknown, payer, agent);
        }
        let seq = self.change(payer, |_| ()).seq;
        self.say(Event::DelegateRevoked(DelegateRevoked { payer, agent, seq }));
        Ok(())
    }

    // ---- offices ----

    fn issue_credit(&mut self, account: Address, base: u128) -> Result<(), Refusal> {
        self.must_be_from(self.terms.issuer)?;
        self.must_run()?;
        self.must_be_account(account)?;
        self.must_be_some(base)?;
        self.pull(self.from, base)?;
        let after = self.change(account, |a| a.credit += base);
        let (credit, seq) = (amount(after.credit), after.seq);
        self.say(Event::CreditIssued(CreditIssued { account, amount: amount(base), credit, seq }));
        Ok(())
    }

    fn name_settler(&mut self, settler: Address) -> Result<(), Refusal> {
        self.must_be_from(self.terms.issuer)?;
        self.state.credit_settler = settler;
        self.state.office_seq += 1;
        let seq = self.state.office_seq;
        self.say(Event::CreditSettlerNamed(CreditSettlerNamed { settler, seq }));
        Ok(())
    }

    fn pause(&mut self, until: u64) -> Result<(), Refusal> {
        self.must_be_from(self.terms.guardian)?;
        let last = self.state.paused_until;
        let mut from = if last == 0 { 0 } else { last + PAUSE_REST };
        if self.deviates(Deviation::PauseRestOneSecondShort) {
            from = from.saturating_sub(1);
        }
        if self.now < from {
            return refuse!(RenderEscrow_PauseTooSoon, n(from), n(self.now));
        }
        let longer = u64::from(self.deviates(Deviation::PauseOneSecondLonger));
        let most = self.now + MAX_PAUSE + longer;
        if until > most {
            return refuse!(RenderEscrow_PauseTooLong, n(until), n(most));
        }
        self.must_be_ahead(until)?;
        self.paused(until)
    }

    fn unpause(&mut self) -> Result<(), Refusal> {
        self.must_be_from(self.terms.guardian)?;
        self.must_be_ahead(self.state.paused_until)?;
        self.paused(self.now)
    }

    fn must_be_ahead(&self, until: u64) -> Result<(), Refusal> {
        if until > self.now {
            return Ok(());
        }
        refuse!(RenderEscrow_NotPaused, n(until), n(self.now))
    }

    fn paused(&mut self, until: u64) -> Result<(), Refusal> {
        self.state.paused_until = until;
        self.state.office_seq += 1;
        self.say(Event::Paused(Paused { until, seq: self.state.office_seq }));
        Ok(())
    }

    pub fn say(&mut self, event: Event) {
        self.said.push(event);
    }
}
