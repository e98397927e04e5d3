//! Random acts on jobs, each as the rules allow it when there is a job to do it on.

use std::collections::BTreeSet;

use alloy::primitives::{Address, B256, U256, keccak256};
use contracts::{Amount, Lot, Order, Payout};
use rand::Rng;
use rand::seq::{IndexedRandom, IteratorRandom};

use super::acts::{Act, Word};
use super::escrow::{Job, LotRecord, Stage, State, amount};
use super::hashes::{job_id, lot_hash};
use super::lots::{mask_of, units_of};
use super::play::{Deal, Play};

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;

/// The key that opens a sealed lot, or zero.
pub fn key_of(lot: &Lot) -> B256 {
    if lot.is_sealed() { keccak256(lot.receipts_root) } else { B256::ZERO }
}

/// A fifth of the sealed lots is left to lapse.
fn is_abandoned(lot: &Lot) -> bool {
    lot.is_sealed() && lot.receipts_root[0] < 52
}

impl Play {
    // ---- orders ----

    /// An order's times are short, so that a walk meets all of its dates; some are the longest.
    pub fn new_order(&mut self, payer: Address, settler: Address, cap: u128) -> Order {
        let rng = &mut self.rng;
        let open_by = self.now + rng.random_range(1..HOUR);
        let most = if rng.random_bool(0.2) { 2 * DAY } else { 3 * HOUR };
        let work = rng.random_range(0..most) * u64::from(rng.random_bool(0.9));
        let work_deadline = open_by + work;
        let review_seconds = match rng.random_range(0..20) {
            0 => 14 * DAY,
            1..=6 => 600,
            _ => rng.random_range(600..1_800),
        };
        let claim_grace = match rng.random_range(0..20) {
            0 => 14 * DAY,
            1..=6 => HOUR,
            _ => rng.random_range(HOUR..2 * HOUR),
        };
        let units = match rng.random_range(0..10) {
            0..=2 => 0,
            3..=6 => rng.random_range(1..12),
            7..=8 => rng.random_range(250..262),
            _ => rng.random_range(262..600),
        };
        let fee_bps = *[0, 1, 250, 333, 1_000].choose(rng).unwrap();
        let burn_bps = *[0, 0, 100, 777, 10_000 - fee_bps].choose(rng).unwrap();
        let actors = &self.actors;
        let approver = match rng.random_range(0..10) {
            0..=4 => Address::ZERO,
            5..=7 => actors.approver,
            8 => actors.wallets[1],
            _ => payer,
        };
        let others = [actors.fee_receiver, actors.stranger, actors.nodes[0]];
        let refund_to = if rng.random_bool(0.7) { payer } else { *others.choose(rng).unwrap() };
        let fee_receiver = if fee_bps == 0 { Address::ZERO } else { actors.fee_receiver };
        let max_unit_price = match rng.random_range(0..20) {
            0 => Amount::MAX,
            _ => amount(rng.random_range(u128::from(units == 0)..=80).max(u128::from(units > 0))),
        };
        let salt = keccak256(self.serial.to_be_bytes());
        self.serial += 1;
        Order {
            payer,
            refund_to,
            approver,
            settler,
            fee_receiver,
            cap: amount(cap),
            max_unit_price,
            units,
            open_by,
            work_deadline,
            review_seconds,
            claim_grace,
            fee_bps,
            burn_bps,
            spec_hash: keccak256(salt),
            quote_hash: B256::ZERO,
            salt,
        }
    }

    fn deal(&mut self, order: Order) -> Deal {
        let deal = Deal { id: job_id(self.terms.domain, &order), order, lots: Vec::new() };
        self.deals.push(deal.clone());
        deal
    }

    /// An order of any payer: its cap is what its account has, or some of it.
    fn any_order(&mut self, state: &State) -> Order {
        let payer = *self.actors.payers.choose(&mut self.rng).unwrap();
        let settler = self.actors.settlers[usize::from(self.rng.random_bool(0.3))];
        let has = state.account(payer);
        let cap = match self.rng.random_range(0..20) {
            0 => has.free + 1,
            1 => has.free,
            2 => has.credit,
            _ => self.some(3_000),
        };
        self.new_order(payer, settler, cap.clamp(1, 1 << 90))
    }

    /// A deal that is not open and may still be, or a new one.
    fn unopened(&mut self, state: &State) -> Option<Deal> {
        let now = self.now;
        let waits = |deal: &&Deal| !state.jobs.contains_key(&deal.id) && deal.order.open_by > now;
        if self.rng.random_bool(0.4) {
            return self.deals.iter().filter(waits).choose(&mut self.rng).cloned();
        }
        let full = self.is_full();
        let order = (!full).then(|| self.any_order(state))?;
        Some(self.deal(order))
    }

    pub fn open(&mut self, state: &State) -> Option<Act> {
        // Some orders are left for their last second.
        let deal = self.unopened(state)?;
        if self.rng.random_bool(0.15) {
            return None;
        }
        Some(Act::Open(deal.order))
    }

    pub fn open_for(&mut self, state: &State) -> Option<Act> {
        let live = state.delegates.iter().filter(|(_, bounds)| bounds.expiry > self.now);
        let live: Vec<_> = live.map(|(pair, _)| *pair).collect();
        if let Some((payer, agent)) = live.choose(&mut self.rng)
            && self.rng.random_bool(0.5)
        {
            return (!self.is_full()).then(|| self.open_by_agent(*payer, *agent, state));
        }
        let deal = self.unopened(state)?;
        let signer = deal.order.payer;
        Some(Act::OpenFor(deal.order, signer, Word::default()))
    }

    pub fn open_deal(&mut self, deal: Deal, _: &State) -> Act {
        let (payer, order, word) = (deal.order.payer, deal.order, Word::default());
        match self.rng.random_bool(0.5) {
            true => Act::Open(order),
            false => Act::OpenFor(order, payer, word),
        }
    }

    /// Within the delegate's bounds, or up to the last base unit of them, or one above.
    pub fn open_by_agent(&mut self, payer: Address, agent: Address, state: &State) -> Act {
        let known = state.delegates.get(&(payer, agent));
        let (settler, bound) = known.map_or((self.actors.settlers[0], 1_000), |one| {
            (one.settler, one.allowance.min(one.most))
        });
        let reach = bound.min(state.account(payer).free);
        let cap = match self.rng.random_range(0..10) {
            0 => bound + 1,
            1..=3 => bound,
            _ => self.some(reach / 2),
        };
        let mut order = self.new_order(payer, settler, cap.max(1));
        order.refund_to = payer;
        let deal = self.deal(order);
        Act::OpenFor(deal.order, agent, Word::default())
    }

    // ---- which job ----

    fn pick(&mut self, state: &State, good: impl Fn(&Deal, &Job) -> bool) -> Option<Deal> {
        let open = |deal: &&Deal| state.jobs.get(&deal.id).is_some_and(|job| good(deal, job));
        self.deals.iter().filter(open).choose(&mut self.rng).cloned()
    }

    fn works(&self, job: &Job) -> bool {
        !job.closed && job.end() > self.now
    }

    pub fn top_up(&mut self, state: &State) -> Option<Act> {
        let deal = self.pick(state, |_, job| !job.closed)?;
        let amount = self.some(500);
        Some(Act::TopUp(deal.id, amount))
    }

    // ---- lots ----

    /// Up to three lots of free units that the job can pay.
    fn lots_of(&mut self, job: &Job, sealed: f64) -> Option<Vec<Lot>> {
        let mut taken: BTreeSet<u64> = job.units.keys().copied().collect();
        let mut money = job.remaining();
        let mut lots = Vec::new();
        for _ in 0..self.rng.random_range(1..=3) {
            let Some(lot) = self.lot_of(job, &taken, money, sealed) else { break };
            let units = units_of(lot.word, lot.mask);
            money -= units.len() as u128 * lot.unit_price.base();
            taken.extend(units);
            lots.push(lot);
        }
        (!lots.is_empty()).then_some(lots)
    }

    fn lot_of(
        &mut self,
        job: &Job,
        taken: &BTreeSet<u64>,
        money: u128,
        sealed: f64,
    ) -> Option<Lot> {
        let rng = &mut self.rng;
        let word = rng.random_range(0..=job.order.units.checked_sub(1)? / 256);
        let first = u64::from(word) * 256;
        let last = (first + 256).min(job.order.units.into());
        let free: Vec<u64> = (first..last).filter(|unit| !taken.contains(unit)).collect();
        let count = match rng.random_range(0..10) {
            0 | 1 => free.len(),
            _ => rng.random_range(1..=5).min(free.len()),
        };
        let mut units: BTreeSet<u64> = free.choose_multiple(rng, count).copied().collect();
        if rng.random_bool(0.2) {
            units.extend(free.last()); // the job's or the word's last bit
        }
        let most = money.checked_div(units.len() as u128)?.min(job.order.max_unit_price.base());
        let price = match rng.random_range(0..10) {
            0 => most,
            1 => 0,
            2 => job.order.max_unit_price.base().min(most),
            _ => rng.random_range(0..=most.min(60)),
        };
        let node = *self.actors.nodes.choose(rng).unwrap();
        let receipts_root = keccak256(self.serial.to_le_bytes());
        self.serial += 1;
        let key_commit = match rng.random_bool(sealed) {
            true => keccak256(keccak256(receipts_root)),
            false => B256::ZERO,
        };
        let (mask, unit_price) = (mask_of(&units), amount(price));
        Some(Lot { node, word, mask, unit_price, receipts_root, key_commit })
    }

    pub fn release(&mut self, state: &State) -> Option<Act> {
        let deal = {
            let works = |_: &Deal, job: &Job| job.order.units > 0 && !job.closed;
            self.pick(state, works)?
        };
        let job = &state.jobs[&deal.id];
        let lots = self.works(job).then(|| self.lots_of(job, 0.0))??;
        Some(release(deal.order, lots))
    }

    pub fn commit(&mut self, state: &State) -> Option<Act> {
        let deal = self.pick(state, |_, job| job.order.units > 0 && !job.closed)?;
        let job = &state.jobs[&deal.id];
        let lots = self.works(job).then(|| self.lots_of(job, 0.7))??;
        Some(commit(deal.order, lots))
    }

    /// A lot whose units are free again though it was committed once: it must not be so twice.
    pub fn commit_again(&mut self, state: &State) -> Option<Act> {
        let over = |deal: &Deal, job: &Job| -> Option<Lot> {
            let record = |lot: &&Lot| job.lots.get(&lot_hash(deal.id, lot));
            let gone = |lot: &&Lot| {
                record(lot).is_some_and(|one| one.stage == Stage::Lapsed || is_empty(lot, one))
            };
            deal.lots.iter().rfind(gone).cloned()
        };
        let now = self.now;
        let deal = self
            .pick(state, |deal, job| job.end() > now && !job.closed && over(deal, job).is_some())?;
        let lot = over(&deal, &state.jobs[&deal.id])?;
        Some(commit(deal.order, vec![lot]))
    }

    /// Whatever a job takes until its end.
    pub fn work_on(&mut self, deal: Deal, state: &State) -> Act {
        let Some(job) = state.jobs.get(&deal.id) else { return self.open_deal(deal, state) };
        if deal.order.units == 0 {
            return self.redeem_of(deal, job);
        }
        match self.lots_of(job, 0.5) {
            Some(lots) if lots.iter().all(|lot| !lot.is_sealed()) => release(deal.order, lots),
            Some(lots) => commit(deal.order, lots),
            None => self.close_deal(deal),
        }
    }

    /// A job and the places of its lots that are in such a state.
    fn pick_lots(
        &mut self,
        state: &State,
        good: impl Fn(&Order, &Lot, &LotRecord) -> bool,
    ) -> Option<(Deal, Vec<usize>)> {
        let places = |deal: &Deal, job: &Job| -> Vec<usize> {
            let fits = |lot: &Lot| {
                let record = job.lots.get(&lot_hash(deal.id, lot));
                record.is_some_and(|one| good(&deal.order, lot, one) && !is_empty(lot, one))
            };
            (0..deal.lots.len()).filter(|at| fits(&deal.lots[*at])).collect()
        };
        let deal = self.pick(state, |deal, job| !places(deal, job).is_empty())?;
        let all = places(&deal, &state.jobs[&deal.id]);
        let count = self.rng.random_range(1..=2.min(all.len()));
        let some = all.choose_multiple(&mut self.rng, count).copied().collect();
        Some((deal, some))
    }

    pub fn approve(&mut self, state: &State) -> Option<Act> {
        let (deal, at) = self.pick_lots(state, |_, _, one| one.stage == Stage::Committed)?;
        Some(self.approve_lots(&deal, &at))
    }

    pub fn reject(&mut self, state: &State) -> Option<Act> {
        let now = self.now;
        let open = |one: &LotRecord| one.stage == Stage::Committed && one.window_end > now;
        let (deal, at) = self.pick_lots(state, |_, _, one| open(one))?;
        Some(self.reject_lot(&deal, at[0], state))
    }

    pub fn settle(&mut self, state: &State) -> Option<Act> {
        let now = self.now;
        let due = |one: &LotRecord| match one.stage {
            Stage::Committed => one.window_end <= now,
            Stage::Approved => true,
            Stage::Settled | Stage::Lapsed => false,
        };
        let (deal, at) = self.pick_lots(state, |_, lot, one| due(one) && !is_abandoned(lot))?;
        Some(self.settle_lots(&deal, &at))
    }

    pub fn lapse(&mut self, state: &State) -> Option<Act> {
        let now = self.now;
        let live = |one: &LotRecord| matches!(one.stage, Stage::Committed | Stage::Approved);
        let any = self.rng.random_bool(0.1);
        let (deal, at) = self.pick_lots(state, |order, lot, one| {
            let due = lot.is_sealed() && one.window_end + order.claim_grace <= now;
            live(one) && (due || any)
        })?;
        Some(Act::Lapse(deal.order, deal.lots[at[0]].clone()))
    }

    pub fn approve_lots(&mut self, deal: &Deal, at: &[usize]) -> Act {
        let lots = at.iter().map(|at| deal.lots[*at].clone()).collect();
        Act::Approve(deal.order.clone(), lots, Word::default())
    }

    pub fn settle_lots(&mut self, deal: &Deal, at: &[usize]) -> Act {
        let lots: Vec<Lot> = at.iter().map(|at| deal.lots[*at].clone()).collect();
        let keys = lots.iter().map(key_of).collect();
        Act::Settle(deal.order.clone(), lots, keys)
    }

    /// All that is left of the lot, or some of it.
    pub fn reject_lot(&mut self, deal: &Deal, at: usize, state: &State) -> Act {
        let lot = deal.lots[at].clone();
        let record =
            state.jobs.get(&deal.id).and_then(|job| job.lots.get(&lot_hash(deal.id, &lot)));
        let gone = record.map(|one| one.rejected.clone()).unwrap_or_default();
        let left = &units_of(lot.word, lot.mask) - &gone;
        let count = if self.rng.random_bool(0.4) { left.len() } else { 1 };
        let some = left.into_iter().choose_multiple(&mut self.rng, count);
        let mask = mask_of(&some.into_iter().collect());
        let reason = keccak256(self.serial.to_be_bytes());
        let order = deal.order.clone();
        Act::Reject(order, lot, mask, reason, Word::default())
    }

    // ---- calls ----

    pub fn redeem(&mut self, state: &State) -> Option<Act> {
        let deal =
            self.pick(state, |_, job| job.order.units == 0 && !job.closed && job.remaining() > 0)?;
        let job = &state.jobs[&deal.id];
        self.works(job).then(|| self.redeem_of(deal, job))
    }

    fn redeem_of(&mut self, deal: Deal, job: &Job) -> Act {
        let left = job.remaining().max(1);
        let due = if self.rng.random_bool(0.1) { left } else { self.some(left.min(200)) };
        let mut rest = due;
        let mut payouts = Vec::new();
        while rest > 0 {
            let part = if payouts.len() == 2 { rest } else { self.some(rest) };
            let node = *self.actors.nodes.choose(&mut self.rng).unwrap();
            payouts.push(Payout { node, amount: amount(part) });
            rest -= part;
        }
        let (voucher, consent) = Default::default();
        Act::Redeem(deal.order, job.released + due, voucher, payouts, consent)
    }

    // ---- ending ----

    pub fn request_close(&mut self, state: &State) -> Option<Act> {
        let now = self.now;
        let deal = self.pick(state, |deal, job| {
            !job.closed && job.close_requested.is_none() && deal.order.work_deadline > now
        })?;
        Some(Act::RequestClose(deal.order, Word::default()))
    }

    /// Mostly from the end on, so that jobs live long enough to be worked on.
    pub fn close(&mut self, state: &State) -> Option<Act> {
        let (now, early) = (self.now, self.rng.random_bool(0.15));
        let deal = self.pick(state, |_, job| !job.closed && (early || job.end() <= now))?;
        Some(self.close_deal(deal))
    }

    pub fn close_deal(&mut self, deal: Deal) -> Act {
        let (payer_side, settler_side) = Default::default();
        Act::Close(deal.order, payer_side, settler_side)
    }
}

fn is_empty(lot: &Lot, record: &LotRecord) -> bool {
    record.rejected.len() == lot.mask.count_ones()
}

fn release(order: Order, lots: Vec<Lot>) -> Act {
    let (acceptance, approval) = Default::default();
    Act::Release(order, lots, acceptance, approval)
}

fn commit(order: Order, lots: Vec<Lot>) -> Act {
    let (acceptance, approval) = Default::default();
    Act::Commit(order, lots, acceptance, approval)
}

/// Any other mask: for flaws.
pub fn other_mask(mask: U256) -> U256 {
    mask ^ (U256::ONE << 255)
}
