//! Random histories that the contract could write: a second, simpler escrow, for tests only.

use std::collections::BTreeMap;

use alloy::primitives::{Address, B256, U256, keccak256};
use alloy::sol_types::Eip712Domain;
use contracts::event::*;
use contracts::order::{self, BURN_ACCOUNT};
use contracts::{Amount, JobId, Lot, Order, RenderEscrow, units};
use proptest::prelude::*;

pub const CHAIN_ID: u64 = 31_337;
pub const ESCROW: Address = Address::repeat_byte(0xe5);
const UNITS: u32 = 300;
const SETTLER: Address = Address::repeat_byte(0x5e);
const REVIEW: u64 = 600;

/// One random call: which one, on what, how much.
pub type Call = (u8, u32, u64);

pub fn calls(most: usize) -> impl Strategy<Value = Vec<Call>> {
    proptest::collection::vec((any::<u8>(), any::<u32>(), 1..1_000_000u64), 1..most)
}

pub fn domain() -> Eip712Domain {
    order::domain(CHAIN_ID, ESCROW)
}

#[derive(Clone, Default)]
struct Wallet {
    free: u128,
    credit: u128,
    seq: u64,
}

#[derive(Clone)]
struct Job {
    id: JobId,
    units_paid: u32,
    asked_at: u64,
    order: Order,
    funded: u128,
    released: u128,
    pending: u128,
    credit_share: u128,
    seq: u32,
    closed: bool,
    taken: BTreeMap<u32, U256>,
}

#[derive(Clone)]
struct Proposal {
    job: usize,
    hash: B256,
    lot: Lot,
    key: B256,
    /// As the contract numbers them: 1 committed, 2 approved, 3 settled, 4 lapsed.
    status: u8,
    rejected: U256,
    window_end: u64,
}

/// The whole escrow, in plain numbers.
#[derive(Clone, Default)]
pub struct Escrow {
    wallets: BTreeMap<Address, Wallet>,
    jobs: Vec<Job>,
    lots: Vec<Proposal>,
    delegates: BTreeMap<(Address, Address), Bounds>,
    offices: Offices,
    salt: u64,
}

fn amount(base: u128) -> Amount {
    Amount::from_base(base).unwrap()
}

fn wallet(pick: u32) -> Address {
    Address::repeat_byte(1 + u8::try_from(pick % 4).unwrap())
}

impl Escrow {
    /// The events of one call, in a block of time `now`; none when it would revert.
    pub fn call(&mut self, (call, pick, base): Call, now: i64) -> Vec<Event> {
        let now = u64::try_from(now).unwrap();
        match call % 24 {
            0 | 1 | 3 | 4 | 5 | 16 | 20 | 23 if now < self.offices.paused_until => vec![],
            0 | 1 => self.deposit(wallet(pick), u128::from(base)),
            2 => self.withdraw(wallet(pick), u128::from(base)),
            3 | 4 => self.open(pick, u128::from(base), UNITS, None),
            5 => self.top_up(pick, u128::from(base)),
            6 => self.release(pick, base),
            7 | 8 => self.commit(pick, base, now),
            9 => self.approve(pick),
            10 => self.reject(pick, base),
            11 | 12 => self.settle(pick),
            13 => self.lapse(pick),
            14 => self.request_close(pick, now),
            15 => self.close_or_burn(pick),
            16 => self.issue_credit(wallet(pick), u128::from(base) * 20),
            17 => self.name_settler(pick),
            18 => self.set_delegate(pick, base, now),
            19 => self.revoke_delegate(pick),
            20 => self.open_by_delegate(pick, u128::from(base), now),
            21 => self.redeem(pick, u128::from(base)),
            22 => self.pause_or_end(pick, now),
            _ => self.open(pick, u128::from(base), 0, None),
        }
    }

    fn credit(&mut self, account: Address, by: u128) -> (Amount, u64) {
        let wallet = self.wallets.entry(account).or_default();
        wallet.free += by;
        wallet.seq += 1;
        (amount(wallet.free), wallet.seq)
    }

    fn debit(&mut self, account: Address, by: u128) -> Option<(Amount, u64)> {
        let wallet = self.wallets.entry(account).or_default();
        wallet.free = wallet.free.checked_sub(by)?;
        wallet.seq += 1;
        Some((amount(wallet.free), wallet.seq))
    }

    fn deposit(&mut self, account: Address, base: u128) -> Vec<Event> {
        let (free, seq) = self.credit(account, base);
        let from = wallet(0);
        vec![Event::Deposited(Deposited { account, from, amount: amount(base), free, seq })]
    }

    fn withdraw(&mut self, account: Address, base: u128) -> Vec<Event> {
        let Some((free, seq)) = self.debit(account, base) else { return vec![] };
        let to = wallet(1);
        vec![Event::Withdrawn(Withdrawn { account, to, amount: amount(base), free, seq })]
    }

    /// By the payer's own call, or by the word of a delegate of it.
    fn open(&mut self, pick: u32, base: u128, units: u32, delegate: Option<Address>) -> Vec<Event> {
        self.salt += 1;
        let payer = wallet(pick);
        let cap = base * 50;
        let order = Order {
            payer,
            refund_to: if delegate.is_some() { payer } else { wallet(pick >> 2) },
            approver: Address::ZERO,
            settler: SETTLER,
            fee_receiver: Address::repeat_byte(0xfe),
            cap: amount(cap),
            max_unit_price: amount(1_000_000),
            units,
            open_by: 2_000_000_000,
            work_deadline: 2_000_000_000,
            review_seconds: REVIEW,
            claim_grace: 3_600,
            fee_bps: if pick & 16 == 0 { 500 } else { 0 },
            burn_bps: if pick & 32 == 0 { 333 } else { 0 },
            spec_hash: B256::repeat_byte(1),
            quote_hash: B256::repeat_byte(2),
            salt: B256::from(U256::from(self.salt)),
        };
        let id = order::job_id(&order, &domain());
        let Wallet { free, credit, .. } = self.wallets.get(&payer).cloned().unwrap_or_default();
        let spent = if self.offices.credit_settler == SETTLER { credit.min(cap) } else { 0 };
        let lacks = (cap - spent).saturating_sub(free);
        let pulled = if delegate.is_some() { 0 } else { lacks };
        let Some((free, seq)) = self.debit(payer, cap - spent - pulled) else { return vec![] };
        let wallet = self.wallets.entry(payer).or_default();
        wallet.credit -= spent;
        let credit = amount(wallet.credit);
        self.jobs.push(Job {
            id,
            order: order.clone(),
            funded: cap,
            released: 0,
            pending: 0,
            credit_share: spent,
            seq: 1,
            closed: false,
            asked_at: 0,
            units_paid: 0,
            taken: BTreeMap::new(),
        });
        vec![Event::Opened(Box::new(Opened {
            job_id: id,
            payer,
            funder: payer,
            order,
            credit_spent: amount(spent),
            pulled: amount(pulled),
            free,
            credit,
            seq,
        }))]
    }

    fn pick_job(&self, pick: u32) -> Option<usize> {
        (!self.jobs.is_empty()).then(|| pick as usize % self.jobs.len())
    }

    /// An open lot, by preference the newest ones.
    fn pick_lot(&self, pick: u32) -> Option<usize> {
        let live = |lot: &Proposal| lot.status <= 2 && lot.rejected != lot.lot.mask;
        let open: Vec<_> = (0..self.lots.len()).filter(|i| live(&self.lots[*i])).collect();
        (!open.is_empty()).then(|| open[pick as usize % open.len()])
    }

    fn top_up(&mut self, pick: u32, base: u128) -> Vec<Event> {
        let Some(at) = self.pick_job(pick).filter(|at| !self.jobs[*at].closed) else {
            return vec![];
        };
        let from = wallet(pick >> 3);
        let Some((free, seq)) = self.debit(from, base) else { return vec![] };
        let job = &mut self.jobs[at];
        job.funded += base;
        job.seq += 1;
        let (job_id, job_seq, funded) = (job.id, job.seq, amount(job.funded));
        let amount = amount(base);
        vec![Event::ToppedUp(ToppedUp { job_id, from, amount, funded, job_seq, free, seq })]
    }

    /// A lot of free units that the job can pay, taken; its amount.
    fn take(&mut self, at: usize, pick: u32, base: u64, sealed: bool) -> Option<(Lot, B256, u128)> {
        let job = &mut self.jobs[at];
        let word = pick % 2;
        let taken = job.taken.entry(word).or_default();
        let wish = U256::from(base) | (U256::from(pick) << (base % 200));
        let mask = wish & units::word_bits(word, job.order.units) & !*taken;
        let price = u128::from(base % 1_000);
        let sum = u128::from(units::count(mask)) * price;
        let open = !job.closed && !mask.is_zero();
        if !open || sum > job.funded - job.released - job.pending {
            return None;
        }
        *taken |= mask;
        self.salt += 1;
        let key = B256::from(U256::from(self.salt));
        let lot = Lot {
            node: Address::repeat_byte(0xa0 + u8::try_from(pick % 3).unwrap()),
            word,
            mask,
            unit_price: amount(price),
            receipts_root: keccak256(key),
            key_commit: if sealed { keccak256(key) } else { B256::ZERO },
        };
        Some((lot, key, sum))
    }

    fn shares(&self, at: usize, sum: u128) -> (u128, u128) {
        let Order { fee_bps, burn_bps, .. } = self.jobs[at].order;
        (sum * u128::from(fee_bps) / 10_000, sum * u128::from(burn_bps) / 10_000)
    }

    fn credit_shares(&mut self, at: usize, fee: u128, burn: u128, events: &mut Vec<Event>) {
        let job_id = self.jobs[at].id;
        let account = self.jobs[at].order.fee_receiver;
        if fee > 0 {
            let (free, seq) = self.credit(account, fee);
            let amount = amount(fee);
            events.push(Event::FeeCredited(FeeCredited { job_id, account, amount, free, seq }));
        }
        if burn > 0 {
            let (free, seq) = self.credit(BURN_ACCOUNT, burn);
            let amount = amount(burn);
            events.push(Event::BurnCredited(BurnCredited { job_id, amount, free, seq }));
        }
    }

    /// One call with up to two lots.
    fn release(&mut self, pick: u32, base: u64) -> Vec<Event> {
        let Some(at) = self.pick_job(pick) else { return vec![] };
        let (mut events, mut fees, mut burns) = (vec![], 0, 0);
        for turn in [pick, pick.rotate_left(7)] {
            let Some((lot, _, sum)) = self.take(at, turn, base, false) else { continue };
            let (fee, burn) = self.shares(at, sum);
            (fees, burns) = (fees + fee, burns + burn);
            let (free, seq) = self.credit(lot.node, sum - fee - burn);
            let job = &mut self.jobs[at];
            job.released += sum;
            job.units_paid += units::count(lot.mask);
            job.seq += 1;
            events.push(Event::Released(Released {
                job_id: job.id,
                node: lot.node,
                lot_hash: order::lot_hash(job.id, &lot),
                lot,
                amount: amount(sum),
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

    fn commit(&mut self, pick: u32, base: u64, now: u64) -> Vec<Event> {
        let Some(at) = self.pick_job(pick) else { return vec![] };
        let approved = base.is_multiple_of(3);
        let Some((lot, key, sum)) = self.take(at, pick, base, base.is_multiple_of(2)) else {
            return vec![];
        };
        let job = &mut self.jobs[at];
        job.pending += sum;
        job.seq += 1;
        let (job_id, lot_hash) = (job.id, order::lot_hash(job.id, &lot));
        let event = Event::Committed(Committed {
            job_id,
            node: lot.node,
            lot_hash,
            lot: lot.clone(),
            amount: amount(sum),
            window_end: now + REVIEW,
            approved,
            pending: amount(job.pending),
            job_seq: job.seq,
        });
        let (hash, rejected, window_end) = (lot_hash, U256::ZERO, now + REVIEW);
        let status = if approved { 2 } else { 1 };
        self.lots.push(Proposal { job: at, hash, lot, key, status, rejected, window_end });
        vec![event]
    }

    fn approve(&mut self, pick: u32) -> Vec<Event> {
        let Some(i) = self.pick_lot(pick).filter(|i| self.lots[*i].status == 1) else {
            return vec![];
        };
        self.lots[i].status = 2;
        let job = &mut self.jobs[self.lots[i].job];
        job.seq += 1;
        let (job_id, lot_hash, job_seq) = (job.id, self.lots[i].hash, job.seq);
        let by = job.order.payer;
        vec![Event::Approved(Approved { job_id, by, lot_hash, job_seq })]
    }

    /// Gives units back to the job; what they cost, and the job's pending money after it.
    fn unreserve(&mut self, i: usize, mask: U256) -> (usize, Amount, Amount) {
        let Proposal { job: at, ref lot, .. } = self.lots[i];
        let sum = u128::from(units::count(mask)) * lot.unit_price.base();
        let job = &mut self.jobs[at];
        *job.taken.entry(lot.word).or_default() &= !mask;
        job.pending -= sum;
        job.seq += 1;
        (at, amount(sum), amount(job.pending))
    }

    fn return_if_closed(&mut self, at: usize, sum: Amount, events: &mut Vec<Event>) {
        if !self.jobs[at].closed || sum.is_zero() {
            return;
        }
        let of_credit = self.return_credit(at, events);
        let sum = amount(sum.base() - of_credit);
        if sum.is_zero() {
            return;
        }
        let account = self.jobs[at].order.refund_to;
        let (free, seq) = self.credit(account, sum.base());
        let job = &mut self.jobs[at];
        job.funded -= sum.base();
        job.seq += 1;
        let (job_id, funded, job_seq) = (job.id, amount(job.funded), job.seq);
        let amount = sum;
        events.push(Event::Returned(Returned {
            job_id,
            account,
            amount,
            funded,
            job_seq,
            free,
            seq,
        }));
    }

    fn reject(&mut self, pick: u32, base: u64) -> Vec<Event> {
        let Some(i) = self.pick_lot(pick).filter(|i| self.lots[*i].status == 1) else {
            return vec![];
        };
        let left = self.lots[i].lot.mask & !self.lots[i].rejected;
        let wish = U256::from(base) | (U256::from(base) << 128usize);
        let mask: U256 = left & wish;
        if mask.is_zero() {
            return vec![];
        }
        self.lots[i].rejected |= mask;
        let (at, amount, pending) = self.unreserve(i, mask);
        let (job_id, job_seq, lot_hash) = (self.jobs[at].id, self.jobs[at].seq, self.lots[i].hash);
        let reason_hash = B256::repeat_byte(9);
        let mut events = vec![Event::Rejected(Rejected {
            job_id,
            by: self.jobs[at].order.payer,
            lot_hash,
            mask,
            reason_hash,
            amount,
            pending,
            job_seq,
        })];
        self.return_if_closed(at, amount, &mut events);
        events
    }

    fn settle(&mut self, pick: u32) -> Vec<Event> {
        let Some(i) = self.pick_lot(pick) else { return vec![] };
        let Proposal { job: at, hash, lot, key, rejected, .. } = self.lots[i].clone();
        let mask = lot.mask & !rejected;
        let sum = u128::from(units::count(mask)) * lot.unit_price.base();
        let (fee, burn) = self.shares(at, sum);
        self.lots[i].status = 3;
        let (free, seq) = self.credit(lot.node, sum - fee - burn);
        let job = &mut self.jobs[at];
        job.pending -= sum;
        job.released += sum;
        job.units_paid += units::count(mask);
        job.seq += 1;
        let mut events = vec![Event::Settled(Settled {
            job_id: job.id,
            node: lot.node,
            lot_hash: hash,
            key: if lot.is_sealed() { key } else { B256::ZERO },
            mask,
            amount: amount(sum),
            fee: amount(fee),
            burn: amount(burn),
            released: amount(job.released),
            pending: amount(job.pending),
            job_seq: job.seq,
            free,
            seq,
        })];
        self.credit_shares(at, fee, burn, &mut events);
        events
    }

    fn lapse(&mut self, pick: u32) -> Vec<Event> {
        let Some(i) = self.pick_lot(pick).filter(|i| self.lots[*i].lot.is_sealed()) else {
            return vec![];
        };
        let mask = self.lots[i].lot.mask & !self.lots[i].rejected;
        self.lots[i].status = 4;
        let (at, amount, pending) = self.unreserve(i, mask);
        let (job_id, job_seq, lot_hash) = (self.jobs[at].id, self.jobs[at].seq, self.lots[i].hash);
        let lapsed = Lapsed { job_id, lot_hash, mask, amount, pending, job_seq };
        let mut events = vec![Event::Lapsed(lapsed)];
        self.return_if_closed(at, amount, &mut events);
        events
    }

    fn request_close(&mut self, pick: u32, now: u64) -> Vec<Event> {
        let Some(at) = self.pick_job(pick) else { return vec![] };
        let job = &mut self.jobs[at];
        if job.closed || job.asked_at != 0 {
            return vec![];
        }
        job.asked_at = now;
        job.seq += 1;
        let (job_id, by, work_deadline, job_seq) = (job.id, job.order.payer, now, job.seq);
        vec![Event::CloseRequested(CloseRequested { job_id, by, work_deadline, job_seq })]
    }

    fn close_or_burn(&mut self, pick: u32) -> Vec<Event> {
        let burnt = self.wallets.get(&BURN_ACCOUNT).map_or(0, |w| w.free);
        if pick.is_multiple_of(2) && burnt > 0 {
            let Some((free, seq)) = self.debit(BURN_ACCOUNT, burnt) else { return vec![] };
            return vec![Event::Burned(Burned { amount: amount(burnt), free, seq })];
        }
        let Some(at) = self.pick_job(pick).filter(|at| !self.jobs[*at].closed) else {
            return vec![];
        };
        let job = &mut self.jobs[at];
        job.closed = true;
        job.seq += 1;
        let mut events = vec![Event::Closed(Closed { job_id: job.id, job_seq: job.seq })];
        let left = amount(job.funded - job.released - job.pending);
        self.return_if_closed(at, left, &mut events);
        events
    }
}

mod roles;
mod views;
use roles::{Bounds, Offices};
pub use views::TOKEN;
