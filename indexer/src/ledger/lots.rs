//! pure: payments in the fold: lots released, committed, decided, settled, lapsed; calls redeemed.

use super::*;

/// A payment as its event tells it.
struct Payment {
    mask: U256,
    amount: Amount,
    fee: Amount,
    burn: Amount,
    released: Amount,
}

impl Ledger {
    pub(super) fn released(&self, at: At<'_>, e: &Released) -> Folded<Change> {
        let (terms, mut job) = self.next_job(at, e.job_id)?;
        at.same("closed", job.closed, false)?;
        at.same("sealed", e.lot.is_sealed(), false)?;
        let lot = self.new_lot(at, terms, e.lot_hash, e.node, &e.lot)?;
        let Released { amount, fee, burn, released, .. } = *e;
        check_amount(at, &e.lot, e.lot.mask, amount)?;
        let payment = Payment { mask: e.lot.mask, amount, fee, burn, released };
        let owed = self.pay(at, terms, &mut job, &payment)?;
        let state = LotState {
            lot_hash: e.lot_hash,
            block: at.0.block,
            log_index: at.0.log_index,
            status: LotStatus::Released,
            window_end: 0,
            rejected: U256::ZERO,
            paid: e.lot.mask,
            lot_key: None,
        };
        let account = self.credit_net(at, &payment)?;
        let (lot, job, lot_state) = (Some(lot), Some(job), Some(state));
        Ok(Change { lot, account, job, lot_state, owed, ..Change::default() })
    }

    /// One payout of a redemption, for calls of a job without units.
    pub(super) fn redeemed(&self, at: At<'_>, e: &Redeemed) -> Folded<Change> {
        let (terms, mut job) = self.next_job(at, e.job_id)?;
        at.same("closed", job.closed, false)?;
        at.same("units of a job of calls", terms.units, 0)?;
        at.some("payout", e.amount)?;
        let Redeemed { amount, fee, burn, released, .. } = *e;
        let payment = Payment { mask: U256::ZERO, amount, fee, burn, released };
        let owed = self.pay(at, terms, &mut job, &payment)?;
        let account = self.credit_net(at, &payment)?;
        Ok(Change { account, job: Some(job), owed, ..Change::default() })
    }

    pub(super) fn committed(&self, at: At<'_>, e: &Committed) -> Folded<Change> {
        let (terms, mut job) = self.next_job(at, e.job_id)?;
        at.same("closed", job.closed, false)?;
        let lot = self.new_lot(at, terms, e.lot_hash, e.node, &e.lot)?;
        check_amount(at, &e.lot, e.lot.mask, e.amount)?;
        job.pending = at.sum("pending money", job.pending.checked_add(e.amount))?;
        at.same("pending money", e.pending, job.pending)?;
        let window_end = at.time("end of the window", e.window_end)?;
        let review = at.time("review", terms.review_seconds)?;
        at.same("end of the window", window_end, at.1.saturating_add(review))?;
        let state = LotState {
            lot_hash: e.lot_hash,
            block: at.0.block,
            log_index: at.0.log_index,
            status: if e.approved { LotStatus::Approved } else { LotStatus::Committed },
            window_end,
            rejected: U256::ZERO,
            paid: U256::ZERO,
            lot_key: None,
        };
        let (lot, job, lot_state) = (Some(lot), Some(job), Some(state));
        Ok(Change { lot, job, lot_state, ..Change::default() })
    }

    pub(super) fn approved(&self, at: At<'_>, e: &Approved) -> Folded<Change> {
        let (_, job) = self.next_job(at, e.job_id)?;
        let (_, mut state) = self.next_lot(at, e.job_id, e.lot_hash, &[LotStatus::Committed])?;
        state.status = LotStatus::Approved;
        Ok(Change { job: Some(job), lot_state: Some(state), ..Change::default() })
    }

    pub(super) fn rejected(&self, at: At<'_>, e: &Rejected) -> Folded<Change> {
        let (_, mut job) = self.next_job(at, e.job_id)?;
        let (lot, mut state) = self.next_lot(at, e.job_id, e.lot_hash, &[LotStatus::Committed])?;
        let outside = e.mask & !(lot.mask & !state.rejected);
        at.same("rejected units that were not pending", outside, U256::ZERO)?;
        if e.mask.is_zero() {
            return Err(at.wrong("rejected units", "none", "at least one"));
        }
        state.rejected |= e.mask;
        unreserve(at, &mut job, lot, e.mask, e.amount, e.pending)?;
        Ok(Change { job: Some(job), lot_state: Some(state), ..Change::default() })
    }

    pub(super) fn settled(&self, at: At<'_>, e: &Settled) -> Folded<Change> {
        let (terms, mut job) = self.next_job(at, e.job_id)?;
        let live = [LotStatus::Committed, LotStatus::Approved];
        let (lot, mut state) = self.next_lot(at, e.job_id, e.lot_hash, &live)?;
        at.same("node", e.node, lot.node)?;
        at.same("units paid", e.mask, lot.mask & !state.rejected)?;
        let commit = if lot.is_sealed() { keccak256(e.key) } else { e.key };
        at.same("commitment to the key", commit, lot.key_commit)?;
        unreserve(at, &mut job, lot, e.mask, e.amount, e.pending)?;
        let Settled { mask, amount, fee, burn, released, .. } = *e;
        let payment = Payment { mask, amount, fee, burn, released };
        let owed = self.pay(at, terms, &mut job, &payment)?;
        state.status = LotStatus::Settled;
        state.paid = e.mask;
        state.lot_key = lot.is_sealed().then_some(e.key);
        let account = self.credit_net(at, &payment)?;
        let (job, lot_state) = (Some(job), Some(state));
        Ok(Change { account, job, lot_state, owed, ..Change::default() })
    }

    pub(super) fn lapsed(&self, at: At<'_>, e: &Lapsed) -> Folded<Change> {
        let (_, mut job) = self.next_job(at, e.job_id)?;
        let live = [LotStatus::Committed, LotStatus::Approved];
        let (lot, mut state) = self.next_lot(at, e.job_id, e.lot_hash, &live)?;
        at.same("sealed", lot.is_sealed(), true)?;
        at.same("units lapsed", e.mask, lot.mask & !state.rejected)?;
        unreserve(at, &mut job, lot, e.mask, e.amount, e.pending)?;
        state.status = LotStatus::Lapsed;
        Ok(Change { job: Some(job), lot_state: Some(state), ..Change::default() })
    }

    fn new_lot(
        &self,
        at: At<'_>,
        terms: &Order,
        lot_hash: B256,
        node: Address,
        lot: &Lot,
    ) -> Folded<LotRow> {
        let job_id = at.0.event.job_id().unwrap_or_default();
        at.same("lot hash", lot_hash, order::lot_hash(job_id, lot))?;
        at.same("node", node, lot.node)?;
        if self.lots.contains_key(&lot_hash) {
            return Err(at.wrong("lot", format!("{lot_hash} a second time"), "a new lot"));
        }
        if lot.unit_price > terms.max_unit_price {
            let most = format!("at most {}", terms.max_unit_price);
            return Err(at.wrong("unit price", lot.unit_price, most));
        }
        if lot.mask.is_zero() {
            return Err(at.wrong("units of the lot", "none", "at least one"));
        }
        let outside = lot.mask & !units::word_bits(lot.word, terms.units);
        at.same("units beyond the order's", outside, U256::ZERO)?;
        Ok(LotRow { lot_hash, job_id, block: at.0.block, lot: lot.clone() })
    }

    fn next_lot(
        &self,
        at: At<'_>,
        job_id: JobId,
        lot_hash: B256,
        allowed: &[LotStatus],
    ) -> Folded<(&Lot, LotState)> {
        let found = self.lots.get(&lot_hash).map(|lot| &**lot);
        let (row, before) = found.ok_or_else(|| at.wrong("lot", lot_hash, "a committed lot"))?;
        at.same("job of the lot", job_id, row.job_id)?;
        if !allowed.contains(&before.status) {
            let names: Vec<_> = allowed.iter().map(|status| status.as_str()).collect();
            return Err(at.wrong("state of the lot", before.status.as_str(), names.join(" or ")));
        }
        let EventRow { block, log_index, .. } = *at.0;
        Ok((&row.lot, LotState { block, log_index, ..before.clone() }))
    }

    /// Counts the payment into the job and its shares into what is owed to their accounts.
    fn pay(
        &self,
        at: At<'_>,
        terms: &Order,
        job: &mut JobState,
        payment: &Payment,
    ) -> Folded<Option<(JobId, Owed)>> {
        let Payment { mask, amount, fee, burn, released } = *payment;
        at.same("fee", fee, at.sum("fee", amount.share(terms.fee_bps))?)?;
        at.same("burn share", burn, at.sum("burn share", amount.share(terms.burn_bps))?)?;
        job.released = at.sum("money released", job.released.checked_add(amount))?;
        at.same("money released", released, job.released)?;
        job.units_paid = job.units_paid.saturating_add(units::count(mask));
        if job.units_paid > terms.units {
            return Err(at.wrong("units paid", job.units_paid, format!("at most {}", terms.units)));
        }
        let owed = self.owed.get(&job.job_id).copied().unwrap_or_default();
        let fee = at.sum("fees of the call", owed.fee.checked_add(fee))?;
        let burn = at.sum("burn shares of the call", owed.burn.checked_add(burn))?;
        Ok(Some((job.job_id, Owed { fee, burn })))
    }

    fn credit_net(&self, at: At<'_>, payment: &Payment) -> Folded<Option<AccountState>> {
        let Payment { amount, fee, burn, .. } = *payment;
        let shares = at.sum("shares", fee.checked_add(burn))?;
        self.credit(at, at.sum("payment after shares", amount.checked_sub(shares))?)
    }
}

fn check_amount(at: At<'_>, lot: &Lot, mask: U256, amount: Amount) -> Folded<()> {
    let expected = at.sum("amount", units::mask_amount(mask, lot.unit_price))?;
    at.same("amount", amount, expected)
}

fn unreserve(
    at: At<'_>,
    job: &mut JobState,
    lot: &Lot,
    mask: U256,
    amount: Amount,
    pending: Amount,
) -> Folded<()> {
    check_amount(at, lot, mask, amount)?;
    job.pending = at.sum("pending money", job.pending.checked_sub(amount))?;
    at.same("pending money", pending, job.pending)
}
