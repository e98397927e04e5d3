//! pure: the generated structs of the contract's events -> plain ones.

use super::*;

/// None for the one event that the escrow inherits and never writes: its domain never changes.
pub(super) fn event(raw: Raw) -> Option<Event> {
    Some(match raw {
        Raw::Deposited(e) => Event::Deposited(e.into()),
        Raw::Withdrawn(e) => Event::Withdrawn(e.into()),
        Raw::FeeCredited(e) => Event::FeeCredited(e.into()),
        Raw::BurnCredited(e) => Event::BurnCredited(e.into()),
        Raw::Burned(e) => Event::Burned(e.into()),
        Raw::CreditIssued(e) => Event::CreditIssued(e.into()),
        Raw::DelegateSet(e) => Event::DelegateSet(e.into()),
        Raw::DelegateRevoked(e) => Event::DelegateRevoked(e.into()),
        Raw::CreditSettlerNamed(e) => Event::CreditSettlerNamed(e.into()),
        Raw::Paused(e) => Event::Paused(e.into()),
        Raw::Opened(e) => Event::Opened(Box::new(e.into())),
        Raw::DelegateSpent(e) => Event::DelegateSpent(e.into()),
        Raw::ToppedUp(e) => Event::ToppedUp(e.into()),
        Raw::Released(e) => Event::Released(e.into()),
        Raw::Committed(e) => Event::Committed(e.into()),
        Raw::Approved(e) => Event::Approved(e.into()),
        Raw::Rejected(e) => Event::Rejected(e.into()),
        Raw::Settled(e) => Event::Settled(e.into()),
        Raw::Lapsed(e) => Event::Lapsed(e.into()),
        Raw::Redeemed(e) => Event::Redeemed(e.into()),
        Raw::CloseRequested(e) => Event::CloseRequested(e.into()),
        Raw::Closed(e) => Event::Closed(e.into()),
        Raw::Returned(e) => Event::Returned(e.into()),
        Raw::CreditReturned(e) => Event::CreditReturned(e.into()),
        Raw::EIP712DomainChanged(_) => return None,
    })
}

impl From<RenderEscrow::Deposited> for Deposited {
    fn from(log: RenderEscrow::Deposited) -> Self {
        Self {
            account: log.account,
            from: log.from,
            amount: log.amount.into(),
            free: log.free.into(),
            seq: log.seq,
        }
    }
}

impl From<RenderEscrow::Withdrawn> for Withdrawn {
    fn from(log: RenderEscrow::Withdrawn) -> Self {
        Self {
            account: log.account,
            to: log.to,
            amount: log.amount.into(),
            free: log.free.into(),
            seq: log.seq,
        }
    }
}

impl From<RenderEscrow::FeeCredited> for FeeCredited {
    fn from(log: RenderEscrow::FeeCredited) -> Self {
        Self {
            job_id: log.jobId,
            account: log.account,
            amount: log.amount.into(),
            free: log.free.into(),
            seq: log.seq,
        }
    }
}

impl From<RenderEscrow::BurnCredited> for BurnCredited {
    fn from(log: RenderEscrow::BurnCredited) -> Self {
        Self { job_id: log.jobId, amount: log.amount.into(), free: log.free.into(), seq: log.seq }
    }
}

impl From<RenderEscrow::Burned> for Burned {
    fn from(log: RenderEscrow::Burned) -> Self {
        Self { amount: log.amount.into(), free: log.free.into(), seq: log.seq }
    }
}

impl From<RenderEscrow::Opened> for Opened {
    fn from(log: RenderEscrow::Opened) -> Self {
        Self {
            job_id: log.jobId,
            payer: log.payer,
            funder: log.funder,
            order: log.order.into(),
            credit_spent: log.creditSpent.into(),
            pulled: log.pulled.into(),
            free: log.free.into(),
            credit: log.credit.into(),
            seq: log.seq,
        }
    }
}

impl From<RenderEscrow::ToppedUp> for ToppedUp {
    fn from(log: RenderEscrow::ToppedUp) -> Self {
        Self {
            job_id: log.jobId,
            from: log.from,
            amount: log.amount.into(),
            funded: log.funded.into(),
            job_seq: log.jobSeq,
            free: log.free.into(),
            seq: log.seq,
        }
    }
}

impl From<RenderEscrow::Released> for Released {
    fn from(log: RenderEscrow::Released) -> Self {
        Self {
            job_id: log.jobId,
            node: log.node,
            lot_hash: log.lotHash,
            lot: log.lot.into(),
            amount: log.amount.into(),
            fee: log.fee.into(),
            burn: log.burn.into(),
            released: log.released.into(),
            job_seq: log.jobSeq,
            free: log.free.into(),
            seq: log.seq,
        }
    }
}

impl From<RenderEscrow::Committed> for Committed {
    fn from(log: RenderEscrow::Committed) -> Self {
        Self {
            job_id: log.jobId,
            node: log.node,
            lot_hash: log.lotHash,
            lot: log.lot.into(),
            amount: log.amount.into(),
            window_end: log.windowEnd.saturating_to(),
            approved: log.approved,
            pending: log.pending.into(),
            job_seq: log.jobSeq,
        }
    }
}

impl From<RenderEscrow::Approved> for Approved {
    fn from(log: RenderEscrow::Approved) -> Self {
        Self { job_id: log.jobId, by: log.by, lot_hash: log.lotHash, job_seq: log.jobSeq }
    }
}

impl From<RenderEscrow::Rejected> for Rejected {
    fn from(log: RenderEscrow::Rejected) -> Self {
        Self {
            job_id: log.jobId,
            by: log.by,
            lot_hash: log.lotHash,
            mask: log.mask,
            reason_hash: log.reasonHash,
            amount: log.amount.into(),
            pending: log.pending.into(),
            job_seq: log.jobSeq,
        }
    }
}

impl From<RenderEscrow::Settled> for Settled {
    fn from(log: RenderEscrow::Settled) -> Self {
        Self {
            job_id: log.jobId,
            node: log.node,
            lot_hash: log.lotHash,
            key: log.key,
            mask: log.mask,
            amount: log.amount.into(),
            fee: log.fee.into(),
            burn: log.burn.into(),
            released: log.released.into(),
            pending: log.pending.into(),
            job_seq: log.jobSeq,
            free: log.free.into(),
            seq: log.seq,
        }
    }
}

impl From<RenderEscrow::Lapsed> for Lapsed {
    fn from(log: RenderEscrow::Lapsed) -> Self {
        Self {
            job_id: log.jobId,
            lot_hash: log.lotHash,
            mask: log.mask,
            amount: log.amount.into(),
            pending: log.pending.into(),
            job_seq: log.jobSeq,
        }
    }
}

impl From<RenderEscrow::CloseRequested> for CloseRequested {
    fn from(log: RenderEscrow::CloseRequested) -> Self {
        Self {
            job_id: log.jobId,
            by: log.by,
            work_deadline: log.workDeadline.saturating_to(),
            job_seq: log.jobSeq,
        }
    }
}

impl From<RenderEscrow::Closed> for Closed {
    fn from(log: RenderEscrow::Closed) -> Self {
        Self { job_id: log.jobId, job_seq: log.jobSeq }
    }
}

impl From<RenderEscrow::Returned> for Returned {
    fn from(log: RenderEscrow::Returned) -> Self {
        Self {
            job_id: log.jobId,
            account: log.account,
            amount: log.amount.into(),
            funded: log.funded.into(),
            job_seq: log.jobSeq,
            free: log.free.into(),
            seq: log.seq,
        }
    }
}

impl From<RenderEscrow::CreditIssued> for CreditIssued {
    fn from(log: RenderEscrow::CreditIssued) -> Self {
        Self {
            account: log.account,
            amount: log.amount.into(),
            credit: log.credit.into(),
            seq: log.seq,
        }
    }
}

impl From<RenderEscrow::DelegateSet> for DelegateSet {
    fn from(log: RenderEscrow::DelegateSet) -> Self {
        Self {
            payer: log.payer,
            agent: log.agent,
            settler: log.settler,
            allowance: log.allowance.into(),
            max_per_job: log.maxPerJob.into(),
            expiry: log.expiry.saturating_to(),
            seq: log.seq,
        }
    }
}

impl From<RenderEscrow::DelegateRevoked> for DelegateRevoked {
    fn from(log: RenderEscrow::DelegateRevoked) -> Self {
        Self { payer: log.payer, agent: log.agent, seq: log.seq }
    }
}

impl From<RenderEscrow::CreditSettlerNamed> for CreditSettlerNamed {
    fn from(log: RenderEscrow::CreditSettlerNamed) -> Self {
        Self { settler: log.settler, seq: log.seq.saturating_to() }
    }
}

impl From<RenderEscrow::Paused> for Paused {
    fn from(log: RenderEscrow::Paused) -> Self {
        Self { until: log.until.saturating_to(), seq: log.seq.saturating_to() }
    }
}

impl From<RenderEscrow::DelegateSpent> for DelegateSpent {
    fn from(log: RenderEscrow::DelegateSpent) -> Self {
        Self {
            job_id: log.jobId,
            payer: log.payer,
            agent: log.agent,
            amount: log.amount.into(),
            allowance: log.allowance.into(),
            job_seq: log.jobSeq,
        }
    }
}

impl From<RenderEscrow::Redeemed> for Redeemed {
    fn from(log: RenderEscrow::Redeemed) -> Self {
        Self {
            job_id: log.jobId,
            node: log.node,
            amount: log.amount.into(),
            fee: log.fee.into(),
            burn: log.burn.into(),
            released: log.released.into(),
            job_seq: log.jobSeq,
            free: log.free.into(),
            seq: log.seq,
        }
    }
}

impl From<RenderEscrow::CreditReturned> for CreditReturned {
    fn from(log: RenderEscrow::CreditReturned) -> Self {
        Self {
            job_id: log.jobId,
            account: log.account,
            amount: log.amount.into(),
            funded: log.funded.into(),
            job_seq: log.jobSeq,
            credit: log.credit.into(),
            seq: log.seq,
        }
    }
}
