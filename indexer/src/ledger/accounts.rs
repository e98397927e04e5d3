//! pure: accounts in the fold: free balances, credit, and the number of an account's events.

use super::*;
use contracts::event::{
    AccountAfter, BurnCredited, Burned, CreditIssued, Deposited, FeeCredited, Withdrawn,
};

impl Ledger {
    pub(super) fn deposited(&self, at: At<'_>, e: &Deposited) -> Folded<Change> {
        self.running(at)?;
        Ok(Change { account: self.credit(at, e.amount)?, ..Change::default() })
    }

    pub(super) fn withdrawn(&self, at: At<'_>, e: &Withdrawn) -> Folded<Change> {
        Ok(Change { account: self.debit(at, e.amount)?, ..Change::default() })
    }

    pub(super) fn burned(&self, at: At<'_>, e: &Burned) -> Folded<Change> {
        Ok(Change { account: self.debit(at, e.amount)?, ..Change::default() })
    }

    pub(super) fn credit_issued(&self, at: At<'_>, e: &CreditIssued) -> Folded<Change> {
        self.running(at)?;
        at.some("credit issued", e.amount)?;
        Ok(Change { account: self.add_credit(at, e.amount)?, ..Change::default() })
    }

    pub(super) fn fee_credited(&self, at: At<'_>, e: &FeeCredited) -> Folded<Change> {
        let (terms, _) = self.job(at, e.job_id)?;
        at.same("fee receiver", e.account, terms.fee_receiver)?;
        let owed = self.owed.get(&e.job_id).copied().unwrap_or_default();
        at.same("fee", e.amount, owed.fee)?;
        let owed = Some((e.job_id, Owed { fee: Amount::ZERO, ..owed }));
        Ok(Change { account: self.credit(at, e.amount)?, owed, ..Change::default() })
    }

    pub(super) fn burn_credited(&self, at: At<'_>, e: &BurnCredited) -> Folded<Change> {
        self.job(at, e.job_id)?;
        let owed = self.owed.get(&e.job_id).copied().unwrap_or_default();
        at.same("burn share", e.amount, owed.burn)?;
        let owed = Some((e.job_id, Owed { burn: Amount::ZERO, ..owed }));
        Ok(Change { account: self.credit(at, e.amount)?, owed, ..Change::default() })
    }

    /// The funder after an opening: credit first, if it is the payer and the settler takes credit,
    /// then its free balance; only what lacks was pulled.
    pub(super) fn opened_by(&self, at: At<'_>, e: &Opened) -> Folded<Option<AccountState>> {
        let had = self.accounts.get(&e.funder).map_or(Amount::ZERO, |state| state.credit);
        let takes = self.offices.as_ref().is_some_and(|o| o.credit_settler == e.order.settler);
        let of_credit =
            if takes && e.funder == e.payer { had.min(e.order.cap) } else { Amount::ZERO };
        at.same("credit spent", e.credit_spent, of_credit)?;
        let of_free = at.sum("money beside credit", e.order.cap.checked_sub(of_credit))?;
        let of_free = at.sum("money pulled", of_free.checked_sub(e.pulled))?;
        if !e.pulled.is_zero() {
            at.same("free balance left beside what was pulled", e.free, Amount::ZERO)?;
        }
        self.moved(at, |free, credit| {
            let free = at.sum("free balance", free.checked_sub(of_free))?;
            Ok((free, at.sum("credit", credit.checked_sub(of_credit))?))
        })
    }

    pub(super) fn credit(&self, at: At<'_>, amount: Amount) -> Folded<Option<AccountState>> {
        self.moved(at, |free, credit| {
            Ok((at.sum("free balance", free.checked_add(amount))?, credit))
        })
    }

    pub(super) fn debit(&self, at: At<'_>, amount: Amount) -> Folded<Option<AccountState>> {
        self.moved(at, |free, credit| {
            Ok((at.sum("free balance", free.checked_sub(amount))?, credit))
        })
    }

    /// As `credit`, of spend-only money.
    pub(super) fn add_credit(&self, at: At<'_>, amount: Amount) -> Folded<Option<AccountState>> {
        self.moved(at, |free, credit| Ok((free, at.sum("credit", credit.checked_add(amount))?)))
    }

    /// The event's account after it: one further in its sequence, free balance and credit moved as
    /// told.
    pub(super) fn moved(
        &self,
        at: At<'_>,
        by: impl Fn(Amount, Amount) -> Folded<(Amount, Amount)>,
    ) -> Folded<Option<AccountState>> {
        let Some(after) = at.0.event.account_after() else { return Ok(None) };
        let AccountAfter { account, seq, .. } = after;
        let before = self.accounts.get(&account);
        let (free, credit, last) =
            before.map_or((Amount::ZERO, Amount::ZERO, 0), |s| (s.free, s.credit, s.seq));
        at.same("sequence number of the account", seq, last.saturating_add(1))?;
        let (free, credit) = by(free, credit)?;
        at.same("free balance", after.free.unwrap_or(free), free)?;
        at.same("credit", after.credit.unwrap_or(credit), credit)?;
        let EventRow { block, log_index, .. } = *at.0;
        Ok(Some(AccountState { account, block, log_index, free, credit, seq }))
    }
}
