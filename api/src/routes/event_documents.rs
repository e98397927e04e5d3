//! How each event of escrow and registry looks in OpenAPI; only the document is made from these.

use serde::Serialize;
use utoipa::ToSchema;

use super::documents::{OrderDocument, ReceiptDocument};
use crate::wire::{Account, Hash, Hex, Mask};

/// An amount of the page's asset: base units as decimal text.
#[derive(Serialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, pattern = "^[0-9]{1,29}$")]
pub struct BaseUnits(String);

/// Units that one node delivered at one price.
#[derive(Serialize, ToSchema)]
#[schema(as = Lot)]
#[allow(dead_code, reason = "read by the derived schema only")]
pub struct LotDocument {
    pub node: Account,
    pub word: u32,
    pub mask: Mask,
    pub unit_price: BaseUnits,
    pub receipts_root: Hash,
    /// Zero: the lot is not sealed.
    pub key_commit: Hash,
}

/// What the contract said, under its own names. `seq` and `job_seq` number the events of an
/// account, office, node or job; `free`, `credit`, `funded`, `released`, `pending` and `bonded`
/// are what there is afterwards. Times in unix seconds.
#[derive(Serialize, ToSchema)]
#[schema(as = ChainEvent)]
#[serde(tag = "event", rename_all = "snake_case")]
#[allow(dead_code, reason = "read by the derived schema only")]
pub enum EventDocument {
    Deposited {
        account: Account,
        from: Account,
        amount: BaseUnits,
        free: BaseUnits,
        seq: u64,
    },
    Withdrawn {
        account: Account,
        to: Account,
        amount: BaseUnits,
        free: BaseUnits,
        seq: u64,
    },
    FeeCredited {
        job_id: Hash,
        account: Account,
        amount: BaseUnits,
        free: BaseUnits,
        seq: u64,
    },
    BurnCredited {
        job_id: Hash,
        amount: BaseUnits,
        free: BaseUnits,
        seq: u64,
    },
    Burned {
        amount: BaseUnits,
        free: BaseUnits,
        seq: u64,
    },
    CreditIssued {
        account: Account,
        amount: BaseUnits,
        credit: BaseUnits,
        seq: u64,
    },
    DelegateSet {
        payer: Account,
        agent: Account,
        settler: Account,
        allowance: BaseUnits,
        max_per_job: BaseUnits,
        expiry: u64,
        seq: u64,
    },
    DelegateRevoked {
        payer: Account,
        agent: Account,
        seq: u64,
    },
    CreditSettlerNamed {
        settler: Account,
        seq: u64,
    },
    Paused {
        until: u64,
        seq: u64,
    },
    Opened {
        job_id: Hash,
        payer: Account,
        funder: Account,
        order: OrderDocument,
        credit_spent: BaseUnits,
        pulled: BaseUnits,
        free: BaseUnits,
        credit: BaseUnits,
        seq: u64,
    },
    DelegateSpent {
        job_id: Hash,
        payer: Account,
        agent: Account,
        amount: BaseUnits,
        allowance: BaseUnits,
        job_seq: u32,
    },
    ToppedUp {
        job_id: Hash,
        from: Account,
        amount: BaseUnits,
        funded: BaseUnits,
        job_seq: u32,
        free: BaseUnits,
        seq: u64,
    },
    Released {
        job_id: Hash,
        node: Account,
        lot_hash: Hash,
        lot: LotDocument,
        amount: BaseUnits,
        fee: BaseUnits,
        burn: BaseUnits,
        released: BaseUnits,
        job_seq: u32,
        free: BaseUnits,
        seq: u64,
    },
    Committed {
        job_id: Hash,
        node: Account,
        lot_hash: Hash,
        lot: LotDocument,
        amount: BaseUnits,
        window_end: u64,
        approved: bool,
        pending: BaseUnits,
        job_seq: u32,
    },
    Approved {
        job_id: Hash,
        by: Account,
        lot_hash: Hash,
        job_seq: u32,
    },
    Rejected {
        job_id: Hash,
        by: Account,
        lot_hash: Hash,
        mask: Mask,
        reason_hash: Hash,
        amount: BaseUnits,
        pending: BaseUnits,
        job_seq: u32,
    },
    Settled {
        job_id: Hash,
        node: Account,
        lot_hash: Hash,
        key: Hash,
        mask: Mask,
        amount: BaseUnits,
        fee: BaseUnits,
        burn: BaseUnits,
        released: BaseUnits,
        pending: BaseUnits,
        job_seq: u32,
        free: BaseUnits,
        seq: u64,
    },
    Lapsed {
        job_id: Hash,
        lot_hash: Hash,
        mask: Mask,
        amount: BaseUnits,
        pending: BaseUnits,
        job_seq: u32,
    },
    Redeemed {
        job_id: Hash,
        node: Account,
        amount: BaseUnits,
        fee: BaseUnits,
        burn: BaseUnits,
        released: BaseUnits,
        job_seq: u32,
        free: BaseUnits,
        seq: u64,
    },
    CloseRequested {
        job_id: Hash,
        by: Account,
        work_deadline: u64,
        job_seq: u32,
    },
    Closed {
        job_id: Hash,
        job_seq: u32,
    },
    Returned {
        job_id: Hash,
        account: Account,
        amount: BaseUnits,
        funded: BaseUnits,
        job_seq: u32,
        free: BaseUnits,
        seq: u64,
    },
    CreditReturned {
        job_id: Hash,
        account: Account,
        amount: BaseUnits,
        funded: BaseUnits,
        job_seq: u32,
        credit: BaseUnits,
        seq: u64,
    },
    Registered {
        signer: Account,
        owner: Account,
        payout: Account,
        capabilities_hash: Hash,
        seq: u64,
    },
    Updated {
        signer: Account,
        payout: Account,
        capabilities_hash: Hash,
        seq: u64,
    },
    Bonded {
        signer: Account,
        from: Account,
        amount: BaseUnits,
        bonded: BaseUnits,
        seq: u64,
    },
    UnbondRequested {
        signer: Account,
        amount: BaseUnits,
        bonded: BaseUnits,
        unbonding: BaseUnits,
        unbond_at: u64,
        seq: u64,
    },
    BondWithdrawn {
        signer: Account,
        to: Account,
        amount: BaseUnits,
        seq: u64,
    },
    Slashed {
        signer: Account,
        reporter: Account,
        job_id: Hash,
        first: ReceiptDocument,
        first_signature: Hex,
        second: ReceiptDocument,
        second_signature: Hex,
        burned: BaseUnits,
        rewarded: BaseUnits,
        seq: u64,
    },
}

#[cfg(test)]
mod tests;
