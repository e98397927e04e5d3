//! pure: delegates and offices in the fold: who may open for whom, who takes credit, the pause.

use super::*;
use contracts::event::{CreditSettlerNamed, DelegateRevoked, DelegateSet, DelegateSpent, Paused};
use contracts::order::{MAX_PAUSE_SECONDS, PAUSE_REST_SECONDS};

impl Ledger {
    /// Every way in waits for the end of a pause.
    pub(super) fn running(&self, at: At<'_>) -> Folded<()> {
        let until = self.paused_until();
        if at.1 < until {
            return Err(at.wrong("time of a way in during a pause", at.1, format!("from {until}")));
        }
        Ok(())
    }

    fn paused_until(&self) -> i64 {
        self.offices.as_ref().map_or(0, |offices| offices.paused_until)
    }

    pub(super) fn delegate_set(&self, at: At<'_>, e: &DelegateSet) -> Folded<Change> {
        for (what, account) in [("agent", e.agent), ("settler of the delegate", e.settler)] {
            if account.is_zero() {
                return Err(at.wrong(what, account, "an account"));
            }
        }
        let expiry = at.time("expiry of the delegate", e.expiry)?;
        if expiry <= at.1 {
            return Err(at.wrong("expiry of the delegate", expiry, format!("after {}", at.1)));
        }
        let EventRow { block, log_index, .. } = *at.0;
        let delegate = DelegateState {
            payer: e.payer,
            agent: e.agent,
            block,
            log_index,
            settler: e.settler,
            allowance: e.allowance,
            max_per_job: e.max_per_job,
            expiry,
        };
        Ok(Change { account: self.counted(at)?, delegate: Some(delegate), ..Change::default() })
    }

    pub(super) fn delegate_revoked(&self, at: At<'_>, e: &DelegateRevoked) -> Folded<Change> {
        let before = self.delegate(at, e.payer, e.agent)?;
        let delegate = DelegateState {
            settler: Address::ZERO,
            allowance: Amount::ZERO,
            max_per_job: Amount::ZERO,
            expiry: 0,
            ..before
        };
        Ok(Change { account: self.counted(at)?, delegate: Some(delegate), ..Change::default() })
    }

    /// Right after the opening that it consented to, within its bounds.
    pub(super) fn delegate_spent(&self, at: At<'_>, e: &DelegateSpent) -> Folded<Change> {
        let (_, opened) = self.job(at, e.job_id)?;
        let (terms, job) = self.next_job(at, e.job_id)?;
        at.same("block of the opening", at.0.block, opened.block)?;
        at.same("sequence number of the job", job.job_seq, 2)?;
        at.same("payer", e.payer, terms.payer)?;
        at.same("account paid back", terms.refund_to, terms.payer)?;
        at.same("amount the delegate opened", e.amount, terms.cap)?;
        let mut delegate = self.delegate(at, e.payer, e.agent)?;
        at.same("settler of the job", terms.settler, delegate.settler)?;
        if at.1 >= delegate.expiry {
            return Err(at.wrong(
                "time of the opening",
                at.1,
                format!("before {}", delegate.expiry),
            ));
        }
        if e.amount > delegate.max_per_job {
            let most = format!("at most {}", delegate.max_per_job);
            return Err(at.wrong("amount the delegate opened", e.amount, most));
        }
        delegate.allowance = at.sum("allowance", delegate.allowance.checked_sub(e.amount))?;
        at.same("allowance", e.allowance, delegate.allowance)?;
        Ok(Change { job: Some(job), delegate: Some(delegate), ..Change::default() })
    }

    /// The delegate at this event; it was set and not revoked since.
    fn delegate(&self, at: At<'_>, payer: Address, agent: Address) -> Folded<DelegateState> {
        let EventRow { block, log_index, .. } = *at.0;
        let live = self.delegates.get(&(payer, agent)).filter(|state| state.expiry != 0);
        let state = live.ok_or_else(|| at.wrong("delegate", agent, "a delegate of the payer"))?;
        Ok(DelegateState { block, log_index, ..state.clone() })
    }

    /// An event of the account that moves none of its money.
    fn counted(&self, at: At<'_>) -> Folded<Option<AccountState>> {
        self.moved(at, |free, credit| Ok((free, credit)))
    }

    pub(super) fn credit_settler_named(
        &self,
        at: At<'_>,
        e: &CreditSettlerNamed,
    ) -> Folded<Change> {
        let offices = OfficeState { credit_settler: e.settler, ..self.next_offices(at, e.seq)? };
        Ok(Change { offices: Some(offices), ..Change::default() })
    }

    pub(super) fn paused(&self, at: At<'_>, e: &Paused) -> Folded<Change> {
        let paused_until = self.pause_end(at, e)?;
        let offices = OfficeState { paused_until, ..self.next_offices(at, e.seq)? };
        Ok(Change { offices: Some(offices), ..Change::default() })
    }

    /// The offices one further in their sequence, at this event.
    fn next_offices(&self, at: At<'_>, seq: u64) -> Folded<OfficeState> {
        let EventRow { block, log_index, .. } = *at.0;
        let before = self.offices.as_ref();
        let last = before.map_or(0, |offices| offices.seq);
        at.same("sequence number of the offices", seq, last.saturating_add(1))?;
        let credit_settler = before.map_or(Address::ZERO, |offices| offices.credit_settler);
        let paused_until = self.paused_until();
        Ok(OfficeState { block, log_index, credit_settler, paused_until, seq })
    }

    /// A pause of at most 7 days, 30 days after the last one, or the end of one at once.
    fn pause_end(&self, at: At<'_>, e: &Paused) -> Folded<i64> {
        let until = at.time("end of the pause", e.until)?;
        let (now, last) = (at.1, self.paused_until());
        if until == now && last > now {
            return Ok(until);
        }
        let most = now.saturating_add(at.time("longest pause", MAX_PAUSE_SECONDS)?);
        if until <= now || until > most {
            return Err(at.wrong("end of the pause", until, format!("after {now}, up to {most}")));
        }
        let rest = at.time("rest from pauses", PAUSE_REST_SECONDS)?;
        let from = if last == 0 { 0 } else { last.saturating_add(rest) };
        if now < from {
            return Err(at.wrong("start of the pause", now, format!("from {from}")));
        }
        Ok(until)
    }
}
