//! pure: the escrow's rules written a second time: lots committed, released, settled, rejected.

use std::collections::BTreeSet;

use alloy::primitives::{B256, U256, keccak256};
use alloy::sol_types::SolError;
use contracts::event::*;
use contracts::{Event, Lot, Order};

use super::acts::Word;
use super::deviation::Deviation;
use super::escrow::{Job, LotRecord, Refusal, Stage, Turn, Unit, amount, n, refuse};
use super::hashes::{self, lot_hash};
use super::jobs::Shares;

/// The numbers of the units that a mask picks of a word.
pub fn units_of(word: u32, mask: U256) -> BTreeSet<u64> {
    let set = (0..256).filter(|bit| mask.bit(*bit));
    set.map(|bit| u64::from(word) * 256 + bit as u64).collect()
}

/// The mask of those units, all of one word.
pub fn mask_of(units: &BTreeSet<u64>) -> U256 {
    units.iter().fold(U256::ZERO, |mask, unit| mask | (U256::ONE << (unit % 256)))
}

fn cost(units: &BTreeSet<u64>, lot: &Lot) -> u128 {
    units.len() as u128 * lot.unit_price.base()
}

impl Turn<'_> {
    fn hashes(&self, id: B256, lots: &[Lot]) -> Result<(Vec<B256>, B256), Refusal> {
        self.must_count(lots.len())?;
        let hashes: Vec<B256> = lots.iter().map(|lot| lot_hash(id, lot)).collect();
        let all = hashes::list(&hashes);
        Ok((hashes, all))
    }

    /// Takes free units of a lot that was never committed; says which and what they cost.
    fn take(
        &self,
        id: B256,
        job: &Job,
        lot: &Lot,
        hash: B256,
    ) -> Result<(BTreeSet<u64>, u128), Refusal> {
        let again = self.deviates(Deviation::LapsedLotCommitsAgain);
        let known = job.lots.get(&hash).filter(|one| !(again && one.stage == Stage::Lapsed));
        if let Some(known) = known {
            return refuse!(RenderEscrow_LotKnown, hash, known.stage as u8);
        }
        self.must_be_account(lot.node)?;
        let (price, most) = (lot.unit_price, job.order.max_unit_price);
        if price > most {
            return refuse!(RenderEscrow_UnitPriceTooHigh, id, price.to_u256(), most.to_u256());
        }
        let units = units_of(lot.word, lot.mask);
        let beyond = units.last().is_none_or(|last| *last >= u64::from(job.order.units));
        if beyond {
            return refuse!(RenderEscrow_UnitsUnknown, id, lot.word, lot.mask, job.order.units);
        }
        let taken = |unit: &&u64| job.units.contains_key(*unit);
        let taken: BTreeSet<u64> = units.iter().filter(taken).copied().collect();
        if !taken.is_empty() {
            return refuse!(RenderEscrow_UnitsTaken, id, lot.word, mask_of(&taken));
        }
        let cost = cost(&units, lot);
        self.must_afford(id, job, cost)?;
        Ok((units, cost))
    }

    pub fn release(
        &mut self,
        order: &Order,
        lots: &[Lot],
        acceptance: &Word,
        approval: &Word,
    ) -> Result<(), Refusal> {
        let id = self.id_of(order);
        let mut job = self.working_job(id)?;
        let (hashes, all) = self.hashes(id, lots)?;
        self.settler(order, hashes::acceptance(id, all), acceptance)?;
        self.payer_side(order, hashes::approval(id, all), approval)?;
        let mut shares = Shares::default();
        for (lot, hash) in lots.iter().zip(hashes) {
            if lot.is_sealed() {
                return refuse!(RenderEscrow_LotSealed, hash);
            }
            let (units, cost) = self.take(id, &job, lot, hash)?;
            job.units.extend(units.into_iter().map(|unit| (unit, Unit::Paid)));
            let ([fee, burn], after) = self.pay(&mut job, lot.node, cost, &mut shares);
            self.say(Event::Released(Released {
                job_id: id,
                node: lot.node,
                lot_hash: hash,
                lot: lot.clone(),
                amount: amount(cost),
                fee: amount(fee),
                burn: amount(burn),
                released: amount(job.released),
                job_seq: job.next(),
                free: amount(after.free),
                seq: after.seq,
            }));
        }
        self.keep(id, job);
        self.credit_shares(id, order, &shares);
        Ok(())
    }

    pub fn commit(
        &mut self,
        order: &Order,
        lots: &[Lot],
        acceptance: &Word,
        approval: &Word,
    ) -> Result<(), Refusal> {
        let id = self.id_of(order);
        let mut job = self.working_job(id)?;
        let (hashes, all) = self.hashes(id, lots)?;
        self.settler(order, hashes::acceptance(id, all), acceptance)?;
        let approved = !approval.bytes.is_empty();
        if approved {
            self.payer_side(order, hashes::approval(id, all), approval)?;
        }
        for (lot, hash) in lots.iter().zip(hashes) {
            let (units, cost) = self.take(id, &job, lot, hash)?;
            let price = lot.unit_price.base();
            job.units.extend(units.into_iter().map(|unit| (unit, Unit::Reserved { price })));
            let window_end = self.now + order.review_seconds;
            let (stage, approved_at) = match approved {
                true => (Stage::Approved, Some(self.now)),
                false => (Stage::Committed, None),
            };
            let rejected = BTreeSet::new();
            job.lots.insert(hash, LotRecord { stage, window_end, approved_at, rejected });
            self.say(Event::Committed(Committed {
                job_id: id,
                node: lot.node,
                lot_hash: hash,
                lot: lot.clone(),
                amount: amount(cost),
                window_end,
                approved,
                pending: amount(job.pending()),
                job_seq: job.next(),
            }));
        }
        self.keep(id, job);
        Ok(())
    }

    pub fn approve(&mut self, order: &Order, lots: &[Lot], word: &Word) -> Result<(), Refusal> {
        let id = self.id_of(order);
        let (hashes, all) = self.hashes(id, lots)?;
        let by = self.payer_side(order, hashes::approval(id, all), word)?;
        let mut job = match self.job(id) {
            Some(job) => job,
            None => return refuse!(RenderEscrow_LotUnknown, hashes[0]),
        };
        let mut some = false;
        for (lot, lot_hash) in lots.iter().zip(hashes) {
            let Some(record) = job.lots.get_mut(&lot_hash) else {
                return refuse!(RenderEscrow_LotUnknown, lot_hash);
            };
            let gone = record.rejected == units_of(lot.word, lot.mask);
            if record.stage != Stage::Committed || gone {
                continue;
            }
            (record.stage, record.approved_at) = (Stage::Approved, Some(self.now));
            some = true;
            let job_seq = job.next();
            self.say(Event::Approved(Approved { job_id: id, by, lot_hash, job_seq }));
        }
        if !some {
            return refuse!(RenderEscrow_NothingToApprove, id, all);
        }
        self.keep(id, job);
        Ok(())
    }

    pub fn reject(
        &mut self,
        order: &Order,
        lot: &Lot,
        mask: U256,
        reason: B256,
        word: &Word,
    ) -> Result<(), Refusal> {
        let id = self.id_of(order);
        let hash = lot_hash(id, lot);
        let Some(mut job) = self.job(id).filter(|job| job.lots.contains_key(&hash)) else {
            return refuse!(RenderEscrow_LotUnknown, hash);
        };
        let record = job.lots.get_mut(&hash).unwrap();
        if record.stage != Stage::Committed {
            return refuse!(RenderEscrow_LotDecided, hash, record.stage as u8);
        }
        let late = u64::from(self.deviates(Deviation::RejectionAtWindowEnd));
        if self.now >= record.window_end + late {
            return refuse!(RenderEscrow_WindowPassed, hash, n(record.window_end), n(self.now));
        }
        let act = hashes::rejection(id, hash, mask, reason);
        let by = self.payer_side(order, act, word)?;
        let (all, named) = (units_of(lot.word, lot.mask), units_of(lot.word, mask));
        let left = &all - &record.rejected;
        let gone = &named - &record.rejected;
        if gone.is_empty() || !named.is_subset(&all) {
            return refuse!(RenderEscrow_MaskRefused, hash, mask, mask_of(&left));
        }
        record.rejected.extend(&gone);
        if !self.deviates(Deviation::RejectedUnitsStayTaken) {
            job.units.retain(|unit, _| !gone.contains(unit));
        }
        self.say(Event::Rejected(Rejected {
            job_id: id,
            by,
            lot_hash: hash,
            mask: mask_of(&gone),
            reason_hash: reason,
            amount: amount(cost(&gone, lot)),
            pending: amount(job.pending()),
            job_seq: job.next(),
        }));
        self.give_back(id, &mut job);
        self.keep(id, job);
        Ok(())
    }

    /// The units of a live lot that were not rejected; there is at least one.
    fn left(&self, job: Option<&Job>, lot: &Lot, hash: B256) -> Result<BTreeSet<u64>, Refusal> {
        let Some(record) = job.and_then(|job| job.lots.get(&hash)) else {
            return refuse!(RenderEscrow_LotUnknown, hash);
        };
        match record.stage {
            Stage::Committed | Stage::Approved => (),
            Stage::Settled | Stage::Lapsed => {
                return refuse!(RenderEscrow_LotDecided, hash, record.stage as u8);
            }
        }
        let left = &units_of(lot.word, lot.mask) - &record.rejected;
        if left.is_empty() { refuse!(RenderEscrow_NothingLeft, hash) } else { Ok(left) }
    }

    pub fn settle(&mut self, order: &Order, lots: &[Lot], keys: &[B256]) -> Result<(), Refusal> {
        if lots.len() != keys.len() {
            return refuse!(
                RenderEscrow_KeyCountWrong,
                U256::from(lots.len()),
                U256::from(keys.len())
            );
        }
        self.must_count(lots.len())?;
        let id = self.id_of(order);
        let mut job = self.job(id);
        let mut shares = Shares::default();
        for (lot, key) in lots.iter().zip(keys) {
            let hash = lot_hash(id, lot);
            let left = self.left(job.as_ref(), lot, hash)?;
            let job = job.as_mut().unwrap(); // a lot is left of it
            self.settle_one(id, job, lot, (hash, *key), left, &mut shares)?;
        }
        self.keep(id, job.unwrap());
        self.credit_shares(id, order, &shares);
        Ok(())
    }

    fn settle_one(
        &mut self,
        id: B256,
        job: &mut Job,
        lot: &Lot,
        (hash, key): (B256, B256),
        left: BTreeSet<u64>,
        shares: &mut Shares,
    ) -> Result<(), Refusal> {
        let record = job.lots.get_mut(&hash).unwrap(); // as `left` says
        let early = u64::from(self.deviates(Deviation::SettleOneSecondEarly));
        if record.stage == Stage::Committed && self.now + early < record.window_end {
            return refuse!(RenderEscrow_TooEarly, hash, n(record.window_end), n(self.now));
        }
        let opens = if lot.is_sealed() { keccak256(key) == lot.key_commit } else { key.is_zero() };
        if !opens {
            return refuse!(RenderEscrow_KeyRefused, hash, key, lot.key_commit);
        }
        record.stage = Stage::Settled;
        job.units.extend(left.iter().map(|unit| (*unit, Unit::Paid)));
        let cost = cost(&left, lot);
        let ([fee, burn], after) = self.pay(job, lot.node, cost, shares);
        self.say(Event::Settled(Settled {
            job_id: id,
            node: lot.node,
            lot_hash: hash,
            key,
            mask: mask_of(&left),
            amount: amount(cost),
            fee: amount(fee),
            burn: amount(burn),
            released: amount(job.released),
            pending: amount(job.pending()),
            job_seq: job.next(),
            free: amount(after.free),
            seq: after.seq,
        }));
        Ok(())
    }

    pub fn lapse(&mut self, order: &Order, lot: &Lot) -> Result<(), Refusal> {
        let id = self.id_of(order);
        let hash = lot_hash(id, lot);
        let job = self.job(id);
        let left = self.left(job.as_ref(), lot, hash)?;
        let mut job = job.unwrap(); // a lot is left of it
        if !lot.is_sealed() {
            return refuse!(RenderEscrow_LotNotSealed, hash);
        }
        let record = job.lots.get_mut(&hash).unwrap(); // as `left` says
        let approved =
            record.approved_at.filter(|_| self.deviates(Deviation::ApprovalHastensLapse));
        let from = approved.unwrap_or(record.window_end) + order.claim_grace;
        if self.now + u64::from(self.deviates(Deviation::LapseOneSecondEarly)) < from {
            return refuse!(RenderEscrow_TooEarly, hash, n(from), n(self.now));
        }
        record.stage = Stage::Lapsed;
        job.units.retain(|unit, _| !left.contains(unit));
        self.say(Event::Lapsed(Lapsed {
            job_id: id,
            lot_hash: hash,
            mask: mask_of(&left),
            amount: amount(cost(&left, lot)),
            pending: amount(job.pending()),
            job_seq: job.next(),
        }));
        self.give_back(id, &mut job);
        self.keep(id, job);
        Ok(())
    }
}
