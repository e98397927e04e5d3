//! pure: Order, Lot, Payout, their digests, equal to Order.sol's, and the bounds at opening.

use alloy::primitives::aliases::U40;
use alloy::primitives::{Address, B256, U256, keccak256};
use alloy::sol_types::{Eip712Domain, SolStruct};
use serde::{Deserialize, Serialize};

use crate::amount::Amount;
use crate::signing;
use crate::text::{MAX_SECONDS, checksummed, seconds};
use crate::{JobId, RenderEscrow};

/// Shortest review window of any order: nothing is paid by one party's word in less.
pub const MIN_REVIEW_SECONDS: u64 = 600;
pub const MAX_REVIEW_SECONDS: u64 = 14 * 86_400;
pub const MIN_CLAIM_GRACE: u64 = 3_600;
pub const MAX_CLAIM_GRACE: u64 = 14 * 86_400;
/// What a settler keeps of the claim grace beside one unit's longest time: a lease's own seconds
/// and 900 to commit. The payer may ask to close at any time, so no unit may need more.
pub const GRACE_MARGIN: u64 = 1_800;
pub const MAX_FEE_BPS: u16 = 1_000;
pub const ALL_BPS: u16 = 10_000;
/// Most units of an order: the job's slot counts them in 24 bits.
pub const MAX_UNITS: u32 = (1 << 24) - 1;
/// Most lots of one approval: the contract takes 256 a call, a block of 30 million gas some more.
pub const MAX_APPROVAL_LOTS: usize = 100;
/// Longest pause of the guardian, and the rest from the end of one to the next.
pub const MAX_PAUSE_SECONDS: u64 = 7 * 86_400;
pub const PAUSE_REST_SECONDS: u64 = 30 * 86_400;
/// Whoever holds the burn shares; nobody has its key.
pub const BURN_ACCOUNT: Address =
    alloy::primitives::address!("000000000000000000000000000000000000dEaD");

/// Signed terms of one job. Amounts in base units, times in unix seconds, shares in basis points.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    #[serde(with = "checksummed")]
    pub payer: Address,
    #[serde(with = "checksummed")]
    pub refund_to: Address,
    /// Zero: the payer approves.
    #[serde(with = "checksummed")]
    pub approver: Address,
    #[serde(with = "checksummed")]
    pub settler: Address,
    #[serde(with = "checksummed")]
    pub fee_receiver: Address,
    pub cap: Amount,
    pub max_unit_price: Amount,
    pub units: u32,
    #[serde(with = "seconds")]
    pub open_by: u64,
    #[serde(with = "seconds")]
    pub work_deadline: u64,
    #[serde(with = "seconds")]
    pub review_seconds: u64,
    #[serde(with = "seconds")]
    pub claim_grace: u64,
    pub fee_bps: u16,
    pub burn_bps: u16,
    pub spec_hash: B256,
    pub quote_hash: B256,
    pub salt: B256,
}

/// Some units delivered by one node at one unit price; `mask` picks bits of 256-unit word `word`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lot {
    #[serde(with = "checksummed")]
    pub node: Address,
    pub word: u32,
    pub mask: U256,
    pub unit_price: Amount,
    pub receipts_root: B256,
    /// Zero: the lot is not sealed.
    pub key_commit: B256,
}

/// One node's part of a redemption, before fee and burn.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Payout {
    #[serde(with = "checksummed")]
    pub node: Address,
    pub amount: Amount,
}

impl Order {
    /// The struct that the contract's functions take. A time above 40 bits, which neither JSON
    /// nor `check_order` lets through, becomes the largest one.
    pub fn to_sol(&self) -> RenderEscrow::Order {
        RenderEscrow::Order {
            payer: self.payer,
            refundTo: self.refund_to,
            approver: self.approver,
            settler: self.settler,
            feeReceiver: self.fee_receiver,
            cap: self.cap.into(),
            maxUnitPrice: self.max_unit_price.into(),
            units: self.units,
            openBy: U40::saturating_from(self.open_by),
            workDeadline: U40::saturating_from(self.work_deadline),
            reviewSeconds: U40::saturating_from(self.review_seconds),
            claimGrace: U40::saturating_from(self.claim_grace),
            feeBps: self.fee_bps,
            burnBps: self.burn_bps,
            specHash: self.spec_hash,
            quoteHash: self.quote_hash,
            salt: self.salt,
        }
    }

    /// Whose word counts for the payer's side beside the payer: the approver, when there is one.
    pub fn is_payer_side(&self, account: Address) -> bool {
        account == self.payer || (account == self.approver && !self.approver.is_zero())
    }

    /// From this second on anyone may close the job. `close_requested_at` is the time of the
    /// close request on chain, 0 when there is none: it stands in place of a later deadline.
    pub fn ends_at(&self, close_requested_at: u64) -> u64 {
        let requested = if close_requested_at == 0 { MAX_SECONDS } else { close_requested_at };
        self.work_deadline.min(requested).saturating_add(self.claim_grace)
    }
}

impl From<RenderEscrow::Order> for Order {
    fn from(order: RenderEscrow::Order) -> Self {
        Self {
            payer: order.payer,
            refund_to: order.refundTo,
            approver: order.approver,
            settler: order.settler,
            fee_receiver: order.feeReceiver,
            cap: order.cap.into(),
            max_unit_price: order.maxUnitPrice.into(),
            units: order.units,
            open_by: order.openBy.saturating_to(),
            work_deadline: order.workDeadline.saturating_to(),
            review_seconds: order.reviewSeconds.saturating_to(),
            claim_grace: order.claimGrace.saturating_to(),
            fee_bps: order.feeBps,
            burn_bps: order.burnBps,
            spec_hash: order.specHash,
            quote_hash: order.quoteHash,
            salt: order.salt,
        }
    }
}

impl Lot {
    pub fn to_sol(&self) -> RenderEscrow::Lot {
        RenderEscrow::Lot {
            node: self.node,
            word: self.word,
            mask: self.mask,
            unitPrice: self.unit_price.into(),
            receiptsRoot: self.receipts_root,
            keyCommit: self.key_commit,
        }
    }

    pub fn is_sealed(&self) -> bool {
        !self.key_commit.is_zero()
    }
}

impl From<RenderEscrow::Lot> for Lot {
    fn from(lot: RenderEscrow::Lot) -> Self {
        Self {
            node: lot.node,
            word: lot.word,
            mask: lot.mask,
            unit_price: lot.unitPrice.into(),
            receipts_root: lot.receiptsRoot,
            key_commit: lot.keyCommit,
        }
    }
}

impl Payout {
    pub fn to_sol(&self) -> RenderEscrow::Payout {
        RenderEscrow::Payout { node: self.node, amount: self.amount.into() }
    }
}

/// The escrow's EIP-712 domain: what binds every signature to one chain and one contract.
pub fn domain(chain_id: u64, escrow: Address) -> Eip712Domain {
    Eip712Domain::new(
        Some("RenderEscrow".into()),
        Some("1".into()),
        Some(U256::from(chain_id)),
        Some(escrow),
        None,
    )
}

/// The order's digest: what the payer signs, and the name of the job.
pub fn job_id(order: &Order, domain: &Eip712Domain) -> JobId {
    order.to_sol().eip712_signing_hash(domain)
}

/// The struct hash of a lot; `job_id` in it binds chain and contract, so no domain is needed.
pub fn lot_hash(job_id: JobId, lot: &Lot) -> B256 {
    let signed = signing::Lot {
        jobId: job_id,
        node: lot.node,
        word: lot.word,
        mask: lot.mask,
        unitPrice: lot.unit_price.into(),
        receiptsRoot: lot.receipts_root,
        keyCommit: lot.key_commit,
    };
    signed.eip712_hash_struct()
}

/// What an acceptance or approval covers: keccak of the lot hashes, one after the other.
pub fn lots_hash(lot_hashes: &[B256]) -> B256 {
    keccak256(lot_hashes.concat())
}

pub fn lots_hash_of(job_id: JobId, lots: &[Lot]) -> B256 {
    let hashes: Vec<B256> = lots.iter().map(|lot| lot_hash(job_id, lot)).collect();
    lots_hash(&hashes)
}

/// What a redemption covers of its payouts: keccak of their struct hashes, one after the other.
pub fn payouts_hash(payouts: &[Payout]) -> B256 {
    let each = payouts.iter().map(|payout| {
        let signed = signing::Payout { node: payout.node, amount: payout.amount.into() };
        signed.eip712_hash_struct()
    });
    keccak256(each.collect::<Vec<B256>>().concat())
}

/// Why the escrow would refuse to open an order, with the figures that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OrderProblem {
    #[error("{field} is the zero address; name an account")]
    ZeroAccount { field: &'static str },
    #[error("the settler {settler} is also the {role}; payer's side and settler must differ")]
    SettlerIsPayerSide { settler: Address, role: &'static str },
    #[error("{field} is the escrow itself; money there would have no way out")]
    EscrowAccount { field: &'static str },
    #[error("{field} is zero; an order needs money to pay for its units")]
    ZeroAmount { field: &'static str },
    #[error("{field} is {given}, outside {min} to {max}")]
    OutOfBounds { field: &'static str, given: u64, min: u64, max: u64 },
    #[error("open_by {open_by} is after work_deadline {work_deadline}")]
    OpenByAfterWorkDeadline { open_by: u64, work_deadline: u64 },
    #[error("the order expired: open_by was {open_by} and it is {now}; sign a new order")]
    Expired { open_by: u64, now: u64 },
    #[error("fee of {fee_bps} basis points; at most {MAX_FEE_BPS} (10 %) are allowed")]
    FeeTooHigh { fee_bps: u16 },
    #[error("fee and burn together are {total_bps} basis points; at most {ALL_BPS} exist")]
    SharesTooHigh { total_bps: u32 },
}

impl OrderProblem {
    /// The field of the order to change.
    pub fn field(&self) -> &'static str {
        match self {
            Self::ZeroAccount { field } | Self::EscrowAccount { field } => field,
            Self::ZeroAmount { field } | Self::OutOfBounds { field, .. } => field,
            Self::SettlerIsPayerSide { .. } => "settler",
            Self::OpenByAfterWorkDeadline { .. } | Self::Expired { .. } => "open_by",
            Self::FeeTooHigh { .. } => "fee_bps",
            Self::SharesTooHigh { .. } => "burn_bps",
        }
    }
}

/// The bounds that the contract checks at opening, so that a bad order fails before any gas.
/// `now` is the time of the block that would open it.
pub fn check_order(order: &Order, escrow: Address, now: u64) -> Result<(), OrderProblem> {
    check_parties(order, escrow)?;
    // Without units a job pays calls by vouchers, which have no unit price.
    let priced = order.units == 0 || !order.max_unit_price.is_zero();
    for (field, given) in [("cap", !order.cap.is_zero()), ("max_unit_price", priced)] {
        if !given {
            return Err(OrderProblem::ZeroAmount { field });
        }
    }
    for (field, given, min, max) in [
        ("units", u64::from(order.units), 0, u64::from(MAX_UNITS)),
        ("open_by", order.open_by, 0, MAX_SECONDS),
        ("work_deadline", order.work_deadline, 0, MAX_SECONDS),
        ("review_seconds", order.review_seconds, MIN_REVIEW_SECONDS, MAX_REVIEW_SECONDS),
        ("claim_grace", order.claim_grace, MIN_CLAIM_GRACE, MAX_CLAIM_GRACE),
    ] {
        if !(min..=max).contains(&given) {
            return Err(OrderProblem::OutOfBounds { field, given, min, max });
        }
    }
    let Order { open_by, work_deadline, fee_bps, burn_bps, .. } = *order;
    if open_by > work_deadline {
        return Err(OrderProblem::OpenByAfterWorkDeadline { open_by, work_deadline });
    }
    if fee_bps > MAX_FEE_BPS {
        return Err(OrderProblem::FeeTooHigh { fee_bps });
    }
    let total_bps = u32::from(fee_bps) + u32::from(burn_bps);
    if total_bps > u32::from(ALL_BPS) {
        return Err(OrderProblem::SharesTooHigh { total_bps });
    }
    if now >= open_by {
        return Err(OrderProblem::Expired { open_by, now });
    }
    Ok(())
}

fn check_parties(order: &Order, escrow: Address) -> Result<(), OrderProblem> {
    let mut named =
        vec![("payer", order.payer), ("refund_to", order.refund_to), ("settler", order.settler)];
    if order.fee_bps > 0 {
        named.push(("fee_receiver", order.fee_receiver));
    }
    for (field, account) in named {
        if account.is_zero() {
            return Err(OrderProblem::ZeroAccount { field });
        }
        if account == escrow {
            return Err(OrderProblem::EscrowAccount { field });
        }
    }
    for (role, account) in [("payer", order.payer), ("approver", order.approver)] {
        if order.settler == account {
            return Err(OrderProblem::SettlerIsPayerSide { settler: order.settler, role });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
