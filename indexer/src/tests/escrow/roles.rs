//! Credit, delegates, offices and vouchers of the test escrow.

use super::*;
use contracts::order::PAUSE_REST_SECONDS;

/// Seconds of a pause: three blocks, so that a history goes on after it.
const PAUSE: u64 = 36;

#[derive(Clone, Default)]
pub(super) struct Bounds {
    pub settler: Address,
    pub allowance: u128,
    pub max_per_job: u128,
    pub expiry: u64,
}

#[derive(Clone, Default)]
pub(super) struct Offices {
    pub credit_settler: Address,
    pub paused_until: u64,
    pub seq: u64,
}

impl Escrow {
    fn count(&mut self, account: Address) -> u64 {
        let wallet = self.wallets.entry(account).or_default();
        wallet.seq += 1;
        wallet.seq
    }

    pub(super) fn issue_credit(&mut self, account: Address, base: u128) -> Vec<Event> {
        let seq = self.count(account);
        let wallet = self.wallets.entry(account).or_default();
        wallet.credit += base;
        let (amount, credit) = (amount(base), amount(wallet.credit));
        vec![Event::CreditIssued(CreditIssued { account, amount, credit, seq })]
    }

    /// Mostly the one settler of all jobs.
    pub(super) fn name_settler(&mut self, pick: u32) -> Vec<Event> {
        let settler = if pick.is_multiple_of(4) { Address::ZERO } else { SETTLER };
        self.offices.credit_settler = settler;
        self.offices.seq += 1;
        vec![Event::CreditSettlerNamed(CreditSettlerNamed { settler, seq: self.offices.seq })]
    }

    pub(super) fn pause_or_end(&mut self, pick: u32, now: u64) -> Vec<Event> {
        let last = self.offices.paused_until;
        let rested = last == 0 || now >= last + PAUSE_REST_SECONDS;
        let until = if last > now && pick.is_multiple_of(2) {
            now
        } else if rested {
            now + PAUSE
        } else {
            return vec![];
        };
        self.offices.paused_until = until;
        self.offices.seq += 1;
        vec![Event::Paused(Paused { until, seq: self.offices.seq })]
    }

    pub(super) fn set_delegate(&mut self, pick: u32, base: u64, now: u64) -> Vec<Event> {
        let (payer, agent) = (wallet(pick), wallet(pick >> 2));
        let (allowance, max_per_job) = (u128::from(base) * 200, u128::from(base) * 60);
        let (settler, expiry) = (SETTLER, now + 600 + base % 600);
        self.delegates.insert((payer, agent), Bounds { settler, allowance, max_per_job, expiry });
        vec![Event::DelegateSet(DelegateSet {
            payer,
            agent,
            settler,
            allowance: amount(allowance),
            max_per_job: amount(max_per_job),
            expiry,
            seq: self.count(payer),
        })]
    }

    pub(super) fn revoke_delegate(&mut self, pick: u32) -> Vec<Event> {
        let (payer, agent) = (wallet(pick), wallet(pick >> 2));
        if self.delegates.remove(&(payer, agent)).is_none() {
            return vec![];
        }
        let seq = self.count(payer);
        vec![Event::DelegateRevoked(DelegateRevoked { payer, agent, seq })]
    }

    pub(super) fn open_by_delegate(&mut self, pick: u32, base: u128, now: u64) -> Vec<Event> {
        let (payer, agent) = (wallet(pick), wallet(pick >> 2));
        let cap = base * 50;
        let Some(bounds) = self.delegates.get(&(payer, agent)).cloned() else { return vec![] };
        if now >= bounds.expiry || cap > bounds.max_per_job || cap > bounds.allowance {
            return vec![];
        }
        let mut events = self.open(pick, base, UNITS, Some(agent));
        let (Some(job), [Event::Opened(_)]) = (self.jobs.last_mut(), &events[..]) else {
            return vec![];
        };
        job.seq = 2;
        let allowance = bounds.allowance - cap;
        self.delegates.insert((payer, agent), Bounds { allowance, ..bounds });
        events.push(Event::DelegateSpent(DelegateSpent {
            job_id: job.id,
            payer,
            agent,
            amount: amount(cap),
            allowance: amount(allowance),
            job_seq: 2,
        }));
        events
    }

    /// What a voucher adds, split over two nodes.
    pub(super) fn redeem(&mut self, pick: u32, base: u128) -> Vec<Event> {
        let of_calls = |job: &Job| !job.closed && job.order.units == 0;
        let open: Vec<usize> =
            (0..self.jobs.len()).filter(|at| of_calls(&self.jobs[*at])).collect();
        if open.is_empty() {
            return vec![];
        }
        let at = open[pick as usize % open.len()];
        let due = base.min(self.jobs[at].funded - self.jobs[at].released);
        let (mut events, mut fees, mut burns) = (vec![], 0, 0);
        for (part, byte) in [(due / 3, 0xa0), (due - due / 3, 0xa1)] {
            if part == 0 {
                continue;
            }
            let (fee, burn) = self.shares(at, part);
            (fees, burns) = (fees + fee, burns + burn);
            let node = Address::repeat_byte(byte);
            let (free, seq) = self.credit(node, part - fee - burn);
            let job = &mut self.jobs[at];
            job.released += part;
            job.seq += 1;
            events.push(Event::Redeemed(Redeemed {
                job_id: job.id,
                node,
                amount: amount(part),
                fee: amount(fee),
                burn: amount(burn),
                released: amount(job.released),
                job_seq: job.seq,
                free,
                seq,
            }));
        }
        self.credit_shares(at, fees, burns, &mut events);
        events
    }

    /// Credit of a closed job that was neither paid nor may still be; how much it was.
    pub(super) fn return_credit(&mut self, at: usize, events: &mut Vec<Event>) -> u128 {
        let job = &self.jobs[at];
        let back = job.credit_share.saturating_sub(job.released + job.pending);
        if back == 0 {
            return 0;
        }
        let account = job.order.payer;
        let seq = self.count(account);
        let wallet = self.wallets.entry(account).or_default();
        wallet.credit += back;
        let credit = amount(wallet.credit);
        let job = &mut self.jobs[at];
        job.credit_share -= back;
        job.funded -= back;
        job.seq += 1;
        events.push(Event::CreditReturned(CreditReturned {
            job_id: job.id,
            account,
            amount: amount(back),
            funded: amount(job.funded),
            job_seq: job.seq,
            credit,
            seq,
        }));
        back
    }
}
