//! pure: the escrow's rules written a second time: opening jobs, topping up, calls, ending.

use std::rc::Rc;

use alloy::primitives::{Address, B256, Bytes, FixedBytes, U256};
use alloy::sol_types::SolError;
use contracts::event::*;
use contracts::order::BURN_ACCOUNT;
use contracts::{Event, Order, Payout};

use super::acts::{Act, Word};
use super::deviation::Deviation;
use super::escrow::{Account, Job, MOST, Refusal, Turn, Unit, amount, n, refuse};
use super::hashes;

const DAY: u64 = 86_400;
const ALL_BPS: u16 = 10_000;
/// Lots or payouts of one call.
pub const MAX_COUNT: usize = 256;

impl Job {
    /// What lots reserve and have neither been paid nor freed.
    pub fn pending(&self) -> u128 {
        let price = |unit: &Unit| match unit {
            Unit::Reserved { price } => *price,
            Unit::Paid => 0,
        };
        self.units.values().map(price).sum()
    }

    pub fn remaining(&self) -> u128 {
        self.funded - self.released - self.pending()
    }

    pub fn units_paid(&self) -> u32 {
        self.units.values().filter(|unit| **unit == Unit::Paid).count().try_into().unwrap()
    }

    pub fn end(&self) -> u64 {
        self.close_requested.unwrap_or(self.order.work_deadline) + self.order.claim_grace
    }

    pub fn status(&self) -> u8 {
        if self.closed { 2 } else { 1 }
    }

    /// Counts an event of the job.
    pub fn next(&mut self) -> u32 {
        self.seq += 1;
        self.seq
    }
}

/// What one call pays, to be credited after its lots.
#[derive(Default)]
pub struct Shares {
    pub fee: u128,
    pub burn: u128,
}

impl Turn<'_> {
    pub fn act_on_job(&mut self, act: &Act) -> Result<(), Refusal> {
        match act {
            Act::Open(order) => {
                let pulled = self.open(order, self.from, true)?;
                if pulled > 0 { self.pull(self.from, pulled) } else { Ok(()) }
            }
            Act::OpenFor(order, signer, word) => self.open_for(order, *signer, word),
            Act::TopUp(job, amount) => self.top_up(*job, *amount),
            Act::Redeem(order, total, voucher, payouts, consent) => {
                self.redeem(order, *total, voucher, payouts, consent)
            }
            Act::RequestClose(order, word) => self.request_close(order, word),
            Act::Close(order, payer_side, settler_side) => {
                self.close(order, payer_side, settler_side)
            }
            Act::Release(order, lots, acceptance, approval) => {
                self.release(order, lots, acceptance, approval)
            }
            Act::Commit(order, lots, acceptance, approval) => {
                self.commit(order, lots, acceptance, approval)
            }
            Act::Approve(order, lots, approval) => self.approve(order, lots, approval),
            Act::Reject(order, lot, mask, reason, word) => {
                self.reject(order, lot, *mask, *reason, word)
            }
            Act::Settle(order, lots, keys) => self.settle(order, lots, keys),
            Act::Lapse(order, lot) => self.lapse(order, lot),
            other => panic!("{other:?} is no act on a job"),
        }
    }

    // ---- jobs in hand ----

    pub fn id_of(&self, order: &Order) -> B256 {
        hashes::job_id(self.terms.domain, order)
    }

    pub fn job(&self, id: B256) -> Option<Job> {
        self.state.jobs.get(&id).map(|job| Job::clone(job))
    }

    pub fn keep(&mut self, id: B256, job: Job) {
        self.state.jobs.insert(id, Rc::new(job));
    }

    pub fn open_job(&self, id: B256) -> Result<Job, Refusal> {
        match self.job(id) {
            Some(job) if !job.closed => Ok(job),
            other => refuse!(RenderEscrow_JobNotOpen, id, other.map_or(0, |job| job.status())),
        }
    }

    /// The job, while it still takes lots and vouchers.
    pub fn working_job(&self, id: B256) -> Result<Job, Refusal> {
        let job = self.open_job(id)?;
        let last = job.end() + u64::from(self.deviates(Deviation::WorkAtTheEnd));
        if self.now >= last {
            return refuse!(RenderEscrow_DeadlinePassed, id, n(job.end()), n(self.now));
        }
        Ok(job)
    }

    pub fn must_count(&self, count: usize) -> Result<(), Refusal> {
        if (1..=MAX_COUNT).contains(&count) {
            return Ok(());
        }
        refuse!(RenderEscrow_CountRefused, U256::from(count), U256::from(MAX_COUNT))
    }

    /// Payer or approver, on this act.
    pub fn payer_side(&self, order: &Order, act: B256, word: &Word) -> Result<Address, Refusal> {
        let digest = hashes::digest(self.terms.domain, act);
        self.consent(order.payer, order.approver, digest, word)
    }

    pub fn settler(&self, order: &Order, act: B256, word: &Word) -> Result<Address, Refusal> {
        let digest = hashes::digest(self.terms.domain, act);
        self.consent(order.settler, Address::ZERO, digest, word)
    }

    // ---- opening ----

    fn must_be_good(&self, order: &Order) -> Result<(), Refusal> {
        for account in [order.payer, order.refund_to, order.settler] {
            self.must_be_account(account)?;
        }
        if order.fee_bps > 0 {
            self.must_be_account(order.fee_receiver)?;
        }
        if [order.payer, order.approver].contains(&order.settler) {
            return refuse!(RenderEscrow_SettlerOnPayerSide, order.settler);
        }
        let has_units = u128::from(order.units > 0);
        let time = |given: u64| u128::from(given);
        let left = u128::from(ALL_BPS - order.fee_bps.min(ALL_BPS));
        let bounds: [(&str, u128, u128, u128); 8] = [
            ("cap", order.cap.base(), 1, MOST),
            ("maxUnitPrice", order.max_unit_price.base(), has_units, MOST),
            ("units", order.units.into(), 0, (1 << 24) - 1),
            ("openBy", time(order.open_by), 0, time(order.work_deadline)),
            ("reviewSeconds", time(order.review_seconds), 600, time(14 * DAY)),
            ("claimGrace", time(order.claim_grace), 3_600, time(14 * DAY)),
            ("feeBps", order.fee_bps.into(), 0, 1_000),
            ("burnBps", order.burn_bps.into(), 0, left),
        ];
        for (name, given, least, most) in bounds {
            if !(least..=most).contains(&given) {
                return refuse!(RenderEscrow_TermRefused, text(name), n(given), n(least), n(most));
            }
        }
        Ok(())
    }

    /// Opens on the funder's account, and says what the funder's allowance has to pay.
    fn open(&mut self, order: &Order, funder: Address, pulls: bool) -> Result<u128, Refusal> {
        let id = self.id_of(order);
        self.must_run()?;
        self.must_be_good(order)?;
        let last = order.open_by + u64::from(self.deviates(Deviation::OpenByInclusive));
        if self.now >= last {
            return refuse!(RenderEscrow_DeadlinePassed, id, n(order.open_by), n(self.now));
        }
        if let Some(job) = self.job(id) {
            return refuse!(RenderEscrow_JobKnown, id, job.status());
        }
        let cap = order.cap.base();
        let has = self.state.account(funder);
        let takes = self.state.credit_settler == order.settler
            || self.deviates(Deviation::CreditWithAnySettler);
        let credit = if funder == order.payer && takes { has.credit.min(cap) } else { 0 };
        let free = if pulls { has.free.min(cap - credit) } else { cap - credit };
        let pulled = cap - credit - free;
        self.must_have(funder, free)?;
        let after = self.change(funder, |a| {
            a.free -= free;
            a.credit -= credit;
        });
        self.keep(id, Job::opened(order, credit));
        self.say(opened(id, order, funder, [credit, pulled], &after));
        Ok(pulled)
    }

    fn open_for(&mut self, order: &Order, signer: Address, word: &Word) -> Result<(), Refusal> {
        let id = self.id_of(order);
        self.consent(signer, Address::ZERO, id, word)?;
        let payer = order.payer;
        if signer == payer {
            return self.open(order, payer, false).map(|_| ());
        }
        let allowance = self.spend_allowance(order, signer)?;
        self.open(order, payer, false)?;
        let mut job = self.open_job(id)?;
        let job_seq = job.next();
        job.agent = Some(signer);
        self.keep(id, job);
        let (agent, allowance) = (signer, amount(allowance));
        let spent =
            DelegateSpent { job_id: id, payer, agent, amount: order.cap, allowance, job_seq };
        self.say(Event::DelegateSpent(spent));
        Ok(())
    }

    fn spend_allowance(&mut self, order: &Order, agent: Address) -> Result<u128, Refusal> {
        let payer = order.payer;
        let late = u64::from(self.deviates(Deviation::DelegateExpiryInclusive));
        let known = self.state.delegates.get(&(payer, agent)).cloned();
        let Some(mut bounds) = known.clone().filter(|one| self.now < one.expiry + late) else {
            return refuse!(
                RenderEscrow_SignerRefused,
                agent,
                payer,
                n(known.map_or(0, |one| one.expiry)),
                n(self.now)
            );
        };
        for (name, given, wanted) in
            [("settler", order.settler, bounds.settler), ("refundTo", order.refund_to, payer)]
        {
            if given != wanted {
                return refuse!(RenderEscrow_DelegateTermRefused, text(name), given, wanted);
            }
        }
        let cap = order.cap.base();
        if cap > bounds.allowance.min(bounds.most) {
            return refuse!(
                RenderEscrow_AllowanceTooLow,
                agent,
                n(cap),
                n(bounds.allowance),
                n(bounds.most)
            );
        }
        bounds.allowance -= cap;
        let left = bounds.allowance;
        self.state.delegates.insert((payer, agent), bounds);
        Ok(left)
    }

    fn top_up(&mut self, id: B256, base: u128) -> Result<(), Refusal> {
        if !self.deviates(Deviation::TopUpWhilePaused) {
            self.must_run()?;
        }
        let mut job = self.open_job(id)?;
        self.must_be_some(base)?;
        let from = self.from;
        self.must_have(from, base)?;
        let after = self.change(from, |a| a.free -= base);
        job.funded += base;
        let (funded, job_seq) = (amount(job.funded), job.next());
        let (free, seq) = (amount(after.free), after.seq);
        let added = amount(base);
        self.say(Event::ToppedUp(ToppedUp {
            job_id: id,
            from,
            amount: added,
            funded,
            job_seq,
            free,
            seq,
        }));
        self.keep(id, job);
        Ok(())
    }

    // ---- paying ----

    /// Splits what a job pays: fee and burn rounded down, the rest is the node's.
    pub fn pay(
        &mut self,
        job: &mut Job,
        node: Address,
        base: u128,
        shares: &mut Shares,
    ) -> ([u128; 2], Account) {
        let part = |bps: u16| base * u128::from(bps) / u128::from(ALL_BPS);
        let mut fee = part(job.order.fee_bps);
        if self.deviates(Deviation::FeeRoundedUp) {
            fee = (base * u128::from(job.order.fee_bps)).div_ceil(u128::from(ALL_BPS));
        }
        let burn = part(job.order.burn_bps);
        job.released += base;
        shares.fee += fee;
        shares.burn += burn;
        let after = self.change(node, |a| a.free += base - fee - burn);
        ([fee, burn], after)
    }

    pub fn credit_shares(&mut self, id: B256, order: &Order, shares: &Shares) {
        if shares.fee > 0 {
            let account = order.fee_receiver;
            let after = self.change(account, |a| a.free += shares.fee);
            let (free, seq) = (amount(after.free), after.seq);
            let fee = amount(shares.fee);
            let said = FeeCredited { job_id: id, account, amount: fee, free, seq };
            self.say(Event::FeeCredited(said));
        }
        if shares.burn > 0 {
            let after = self.change(BURN_ACCOUNT, |a| a.free += shares.burn);
            let (free, seq) = (amount(after.free), after.seq);
            let burn = amount(shares.burn);
            self.say(Event::BurnCredited(BurnCredited { job_id: id, amount: burn, free, seq }));
        }
    }

    fn redeem(
        &mut self,
        order: &Order,
        total: u128,
        voucher: &Word,
        payouts: &[Payout],
        consent: &Word,
    ) -> Result<(), Refusal> {
        let id = self.id_of(order);
        let mut job = self.working_job(id)?;
        if order.units > 0 {
            return refuse!(RenderEscrow_JobTakesNoVouchers, id, order.units);
        }
        self.must_count(payouts.len())?;
        self.payer_side(order, hashes::voucher(id, total), voucher)?;
        self.settler(order, hashes::redemption(id, total, payouts), consent)?;
        let before = job.released;
        if total <= before {
            return refuse!(RenderEscrow_VoucherSpent, id, n(total), n(before));
        }
        let from = if self.deviates(Deviation::VoucherPaysItsTotal) { 0 } else { before };
        let due = total - from;
        self.must_afford(id, &job, due)?;
        let mut shares = Shares::default();
        let mut left = due;
        for payout in payouts {
            let base = payout.amount.base();
            self.must_be_account(payout.node)?;
            self.must_be_some(base)?;
            if base > left {
                return wrong_payouts(id, base, left);
            }
            left -= base;
            let ([fee, burn], after) = self.pay(&mut job, payout.node, base, &mut shares);
            self.say(Event::Redeemed(Redeemed {
                job_id: id,
                node: payout.node,
                amount: payout.amount,
                fee: amount(fee),
                burn: amount(burn),
                released: amount(job.released),
                job_seq: job.next(),
                free: amount(after.free),
                seq: after.seq,
            }));
        }
        if left > 0 {
            return wrong_payouts(id, due - left, due);
        }
        self.keep(id, job);
        self.credit_shares(id, order, &shares);
        Ok(())
    }

    pub fn must_afford(&self, id: B256, job: &Job, needed: u128) -> Result<(), Refusal> {
        let remaining = job.remaining();
        if needed > remaining {
            return refuse!(RenderEscrow_FundsTooLow, id, n(needed), n(remaining));
        }
        Ok(())
    }

    // ---- ending ----

    fn request_close(&mut self, order: &Order, word: &Word) -> Result<(), Refusal> {
        let id = self.id_of(order);
        let mut job = self.open_job(id)?;
        let by = self.payer_side(order, hashes::close_request(id), word)?;
        if let Some(at) = job.close_requested {
            return refuse!(RenderEscrow_CloseAlreadyRequested, id, n(at));
        }
        if self.now >= order.work_deadline {
            return refuse!(RenderEscrow_DeadlinePassed, id, n(order.work_deadline), n(self.now));
        }
        job.close_requested = Some(self.now);
        let (work_deadline, job_seq) = (self.now, job.next());
        let said = CloseRequested { job_id: id, by, work_deadline, job_seq };
        self.say(Event::CloseRequested(said));
        self.keep(id, job);
        Ok(())
    }

    fn close(&mut self, order: &Order, payer: &Word, settler: &Word) -> Result<(), Refusal> {
        let id = self.id_of(order);
        let mut job = self.open_job(id)?;
        let early = u64::from(self.deviates(Deviation::CloseOneSecondEarly));
        let all_paid = order.units > 0 && job.units_paid() == order.units;
        if self.now + early < job.end() && !all_paid {
            if payer.bytes.is_empty() && settler.bytes.is_empty() {
                return refuse!(RenderEscrow_TooEarly, id, n(job.end()), n(self.now));
            }
            self.payer_side(order, hashes::close(id), payer)?;
            self.settler(order, hashes::close(id), settler)?;
        }
        job.closed = true;
        self.say(Event::Closed(Closed { job_id: id, job_seq: job.next() }));
        self.give_back(id, &mut job);
        self.keep(id, job);
        Ok(())
    }

    /// A closed job keeps nothing but what is pending. Credit is spent first, so of what goes back
    /// as much is credit as paid and pending money leave of it.
    pub fn give_back(&mut self, id: B256, job: &mut Job) {
        if !job.closed {
            return;
        }
        let back = job.remaining();
        let spent = job.funded - back;
        let credit = job.credit.saturating_sub(spent);
        let order = job.order.clone();
        if let Some(agent) = job.agent.filter(|_| self.deviates(Deviation::AllowanceGrowsBack)) {
            let bounds = self.state.delegates.get_mut(&(order.payer, agent));
            bounds.into_iter().for_each(|bounds| bounds.allowance += back);
        }
        job.credit -= credit;
        let as_free = self.deviates(Deviation::CreditReturnedAsFree);
        if credit > 0 && !as_free {
            job.funded -= credit;
            let after = self.change(order.payer, |a| a.credit += credit);
            self.say(Event::CreditReturned(CreditReturned {
                job_id: id,
                account: order.payer,
                amount: amount(credit),
                funded: amount(job.funded),
                job_seq: job.next(),
                credit: amount(after.credit),
                seq: after.seq,
            }));
        }
        let free = if as_free { back } else { back - credit };
        if free > 0 {
            job.funded -= free;
            let after = self.change(order.refund_to, |a| a.free += free);
            self.say(Event::Returned(Returned {
                job_id: id,
                account: order.refund_to,
                amount: amount(free),
                funded: amount(job.funded),
                job_seq: job.next(),
                free: amount(after.free),
                seq: after.seq,
            }));
        }
    }
}

impl Job {
    fn opened(order: &Order, credit: u128) -> Self {
        Self {
            order: order.clone(),
            closed: false,
            funded: order.cap.base(),
            released: 0,
            credit,
            units: Default::default(),
            lots: Default::default(),
            close_requested: None,
            seq: 1,
            agent: None,
        }
    }
}

fn opened(id: B256, order: &Order, funder: Address, paid: [u128; 2], after: &Account) -> Event {
    let [credit_spent, pulled] = paid.map(amount);
    Event::Opened(Box::new(Opened {
        job_id: id,
        payer: order.payer,
        funder,
        order: order.clone(),
        credit_spent,
        pulled,
        free: amount(after.free),
        credit: amount(after.credit),
        seq: after.seq,
    }))
}

fn wrong_payouts(id: B256, sum: u128, due: u128) -> Result<(), Refusal> {
    refuse!(RenderEscrow_PayoutsWrong, id, n(sum), n(due))
}

/// The name of a term as the contract writes it: ASCII from the left.
fn text(name: &str) -> FixedBytes<32> {
    FixedBytes::right_padding_from(&Bytes::copy_from_slice(name.as_bytes()))
}
