//! pure: events -> topics and data, by way of the generated structs.

use alloy::primitives::aliases::{U40, U56};
use alloy::sol_types::SolEvent;

use super::*;

pub(super) fn log_data(event: &Event) -> LogData {
    match event {
        Event::Deposited(e) => e.to_sol().encode_log_data(),
        Event::Withdrawn(e) => e.to_sol().encode_log_data(),
        Event::FeeCredited(e) => e.to_sol().encode_log_data(),
        Event::BurnCredited(e) => e.to_sol().encode_log_data(),
        Event::Burned(e) => e.to_sol().encode_log_data(),
        Event::CreditIssued(e) => e.to_sol().encode_log_data(),
        Event::DelegateSet(e) => e.to_sol().encode_log_data(),
        Event::DelegateRevoked(e) => e.to_sol().encode_log_data(),
        Event::CreditSettlerNamed(e) => e.to_sol().encode_log_data(),
        Event::Paused(e) => e.to_sol().encode_log_data(),
        Event::Opened(e) => e.to_sol().encode_log_data(),
        Event::DelegateSpent(e) => e.to_sol().encode_log_data(),
        Event::ToppedUp(e) => e.to_sol().encode_log_data(),
        Event::Released(e) => e.to_sol().encode_log_data(),
        Event::Committed(e) => e.to_sol().encode_log_data(),
        Event::Approved(e) => e.to_sol().encode_log_data(),
        Event::Rejected(e) => e.to_sol().encode_log_data(),
        Event::Settled(e) => e.to_sol().encode_log_data(),
        Event::Lapsed(e) => e.to_sol().encode_log_data(),
        Event::Redeemed(e) => e.to_sol().encode_log_data(),
        Event::CloseRequested(e) => e.to_sol().encode_log_data(),
        Event::Closed(e) => e.to_sol().encode_log_data(),
        Event::Returned(e) => e.to_sol().encode_log_data(),
        Event::CreditReturned(e) => e.to_sol().encode_log_data(),
    }
}

impl Deposited {
    fn to_sol(&self) -> RenderEscrow::Deposited {
        RenderEscrow::Deposited {
            account: self.account,
            from: self.from,
            amount: self.amount.into(),
            free: self.free.into(),
            seq: self.seq,
        }
    }
}

impl Withdrawn {
    fn to_sol(&self) -> RenderEscrow::Withdrawn {
        RenderEscrow::Withdrawn {
            account: self.account,
            to: self.to,
            amount: self.amount.into(),
            free: self.free.into(),
            seq: self.seq,
        }
    }
}

impl FeeCredited {
    fn to_sol(&self) -> RenderEscrow::FeeCredited {
        RenderEscrow::FeeCredited {
            jobId: self.job_id,
            account: self.account,
            amount: self.amount.into(),
            free: self.free.into(),
            seq: self.seq,
        }
    }
}

impl BurnCredited {
    fn to_sol(&self) -> RenderEscrow::BurnCredited {
        RenderEscrow::BurnCredited {
            jobId: self.job_id,
            amount: self.amount.into(),
            free: self.free.into(),
            seq: self.seq,
        }
    }
}

impl Burned {
    fn to_sol(&self) -> RenderEscrow::Burned {
        RenderEscrow::Burned { amount: self.amount.into(), free: self.free.into(), seq: self.seq }
    }
}

impl Opened {
    fn to_sol(&self) -> RenderEscrow::Opened {
        RenderEscrow::Opened {
            jobId: self.job_id,
            payer: self.payer,
            funder: self.funder,
            order: self.order.to_sol(),
            creditSpent: self.credit_spent.into(),
            pulled: self.pulled.into(),
            free: self.free.into(),
            credit: self.credit.into(),
            seq: self.seq,
        }
    }
}

impl ToppedUp {
    fn to_sol(&self) -> RenderEscrow::ToppedUp {
        RenderEscrow::ToppedUp {
            jobId: self.job_id,
            from: self.from,
            amount: self.amount.into(),
            funded: self.funded.into(),
            jobSeq: self.job_seq,
            free: self.free.into(),
            seq: self.seq,
        }
    }
}

impl Released {
    fn to_sol(&self) -> RenderEscrow::Released {
        RenderEscrow::Released {
            jobId: self.job_id,
            node: self.node,
            lotHash: self.lot_hash,
            lot: self.lot.to_sol(),
            amount: self.amount.into(),
            fee: self.fee.into(),
            burn: self.burn.into(),
            released: self.released.into(),
            jobSeq: self.job_seq,
            free: self.free.into(),
            seq: self.seq,
        }
    }
}

impl Committed {
    fn to_sol(&self) -> RenderEscrow::Committed {
        RenderEscrow::Committed {
            jobId: self.job_id,
            node: self.node,
            lotHash: self.lot_hash,
            lot: self.lot.to_sol(),
            amount: self.amount.into(),
            windowEnd: U40::saturating_from(self.window_end),
            approved: self.approved,
            pending: self.pending.into(),
            jobSeq: self.job_seq,
        }
    }
}

impl Approved {
    fn to_sol(&self) -> RenderEscrow::Approved {
        RenderEscrow::Approved {
            jobId: self.job_id,
            by: self.by,
            lotHash: self.lot_hash,
            jobSeq: self.job_seq,
        }
    }
}

impl Rejected {
    fn to_sol(&self) -> RenderEscrow::Rejected {
        RenderEscrow::Rejected {
            jobId: self.job_id,
            by: self.by,
            lotHash: self.lot_hash,
            mask: self.mask,
            reasonHash: self.reason_hash,
            amount: self.amount.into(),
            pending: self.pending.into(),
            jobSeq: self.job_seq,
        }
    }
}

impl Settled {
    fn to_sol(&self) -> RenderEscrow::Settled {
        RenderEscrow::Settled {
            jobId: self.job_id,
            node: self.node,
            lotHash: self.lot_hash,
            key: self.key,
            mask: self.mask,
            amount: self.amount.into(),
            fee: self.fee.into(),
            burn: self.burn.into(),
            released: self.released.into(),
            pending: self.pending.into(),
            jobSeq: self.job_seq,
            free: self.free.into(),
            seq: self.seq,
        }
    }
}

impl Lapsed {
    fn to_sol(&self) -> RenderEscrow::Lapsed {
        RenderEscrow::Lapsed {
            jobId: self.job_id,
            lotHash: self.lot_hash,
            mask: self.mask,
            amount: self.amount.into(),
            pending: self.pending.into(),
            jobSeq: self.job_seq,
        }
    }
}

impl CloseRequested {
    fn to_sol(&self) -> RenderEscrow::CloseRequested {
        RenderEscrow::CloseRequested {
            jobId: self.job_id,
            by: self.by,
            workDeadline: U40::saturating_from(self.work_deadline),
            jobSeq: self.job_seq,
        }
    }
}

impl Closed {
    fn to_sol(&self) -> RenderEscrow::Closed {
        RenderEscrow::Closed { jobId: self.job_id, jobSeq: self.job_seq }
    }
}

impl Returned {
    fn to_sol(&self) -> RenderEscrow::Returned {
        RenderEscrow::Returned {
            jobId: self.job_id,
            account: self.account,
            amount: self.amount.into(),
            funded: self.funded.into(),
            jobSeq: self.job_seq,
            free: self.free.into(),
            seq: self.seq,
        }
    }
}

impl CreditIssued {
    fn to_sol(&self) -> RenderEscrow::CreditIssued {
        RenderEscrow::CreditIssued {
            account: self.account,
            amount: self.amount.into(),
            credit: self.credit.into(),
            seq: self.seq,
        }
    }
}

impl DelegateSet {
    fn to_sol(&self) -> RenderEscrow::DelegateSet {
        RenderEscrow::DelegateSet {
            payer: self.payer,
            agent: self.agent,
            settler: self.settler,
            allowance: self.allowance.into(),
            maxPerJob: self.max_per_job.into(),
            expiry: U40::saturating_from(self.expiry),
            seq: self.seq,
        }
    }
}

impl DelegateRevoked {
    fn to_sol(&self) -> RenderEscrow::DelegateRevoked {
        RenderEscrow::DelegateRevoked { payer: self.payer, agent: self.agent, seq: self.seq }
    }
}

impl CreditSettlerNamed {
    fn to_sol(&self) -> RenderEscrow::CreditSettlerNamed {
        RenderEscrow::CreditSettlerNamed {
            settler: self.settler,
            seq: U56::saturating_from(self.seq),
        }
    }
}

impl Paused {
    fn to_sol(&self) -> RenderEscrow::Paused {
        RenderEscrow::Paused {
            until: U40::saturating_from(self.until),
            seq: U56::saturating_from(self.seq),
        }
    }
}

impl DelegateSpent {
    fn to_sol(&self) -> RenderEscrow::DelegateSpent {
        RenderEscrow::DelegateSpent {
            jobId: self.job_id,
            payer: self.payer,
            agent: self.agent,
            amount: self.amount.into(),
            allowance: self.allowance.into(),
            jobSeq: self.job_seq,
        }
    }
}

impl Redeemed {
    fn to_sol(&self) -> RenderEscrow::Redeemed {
        RenderEscrow::Redeemed {
            jobId: self.job_id,
            node: self.node,
            amount: self.amount.into(),
            fee: self.fee.into(),
            burn: self.burn.into(),
            released: self.released.into(),
            jobSeq: self.job_seq,
            free: self.free.into(),
            seq: self.seq,
        }
    }
}

impl CreditReturned {
    fn to_sol(&self) -> RenderEscrow::CreditReturned {
        RenderEscrow::CreditReturned {
            jobId: self.job_id,
            account: self.account,
            amount: self.amount.into(),
            funded: self.funded.into(),
            jobSeq: self.job_seq,
            credit: self.credit.into(),
            seq: self.seq,
        }
    }
}
