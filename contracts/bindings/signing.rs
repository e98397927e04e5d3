//! pure: the EIP-712 structs of each act, their digests, wallet JSON, and recovery of signers.

use alloy::primitives::{Address, B256, Signature, U256};
use alloy::sol_types::{Eip712Domain, SolStruct};
use serde_json::{Value, json};

use crate::amount::Amount;
use crate::order::{Lot as LotTerms, Order, Payout as PayoutTerms};
use crate::{JobId, RenderEscrow};

alloy::sol! {
    /// A lot as it is hashed: with the job it belongs to.
    #[derive(Debug, PartialEq, Eq)]
    struct Lot {
        bytes32 jobId;
        address node;
        uint32 word;
        uint256 mask;
        uint96 unitPrice;
        bytes32 receiptsRoot;
        bytes32 keyCommit;
    }

    /// The settler's signed consent to lots.
    #[derive(Debug, PartialEq, Eq)]
    struct Acceptance {
        bytes32 jobId;
        bytes32 lotsHash;
    }

    /// The consent of the payer's side to lots.
    #[derive(Debug, PartialEq, Eq)]
    struct Approval {
        bytes32 jobId;
        bytes32 lotsHash;
    }

    /// The payer's side refuses the units of `mask` of one lot; may be signed before its commit.
    #[derive(Debug, PartialEq, Eq)]
    struct Rejection {
        bytes32 jobId;
        bytes32 lotHash;
        uint256 mask;
        bytes32 reasonHash;
    }

    /// The payer's side asks the job to end.
    #[derive(Debug, PartialEq, Eq)]
    struct CloseRequest {
        bytes32 jobId;
    }

    /// One side's word that the job may close at once; it takes both sides'.
    #[derive(Debug, PartialEq, Eq)]
    struct Close {
        bytes32 jobId;
    }

    /// The payer's side consents to `cumulative` in all for the calls of a job without units.
    #[derive(Debug, PartialEq, Eq)]
    struct Voucher {
        bytes32 jobId;
        uint96 cumulative;
    }

    /// The settler's consent to a voucher, and how what it adds is split.
    #[derive(Debug, PartialEq, Eq)]
    struct Redemption {
        bytes32 jobId;
        uint96 cumulative;
        bytes32 payoutsHash;
    }

    /// One node's part of a redemption, as it is hashed.
    #[derive(Debug, PartialEq, Eq)]
    struct Payout {
        address node;
        uint96 amount;
    }

    /// A node's signed word about one attempt at one unit.
    #[derive(Debug, PartialEq, Eq)]
    struct Receipt {
        bytes32 jobId;
        uint32 unit;
        uint32 attempt;
        bytes32 outputHash;
        bytes32 previewHash;
        bytes32 keyCommit;
        uint40 startedAt;
        uint40 finishedAt;
    }
}

/// The digest that is signed: keccak256(0x1901, domain, struct).
pub fn signing_hash<S: SolStruct>(act: &S, domain: &Eip712Domain) -> B256 {
    act.eip712_signing_hash(domain)
}

/// The settler's consent to exactly these lots, in this order.
pub fn acceptance(job_id: JobId, lots: &[LotTerms]) -> Acceptance {
    Acceptance { jobId: job_id, lotsHash: crate::order::lots_hash_of(job_id, lots) }
}

/// The payer's side's consent to exactly these lots, in this order.
pub fn approval(job_id: JobId, lots: &[LotTerms]) -> Approval {
    Approval { jobId: job_id, lotsHash: crate::order::lots_hash_of(job_id, lots) }
}

/// The payer's side's consent to `cumulative` base units in all.
pub fn voucher(job_id: JobId, cumulative: Amount) -> Voucher {
    Voucher { jobId: job_id, cumulative: cumulative.into() }
}

/// The settler's consent to exactly this total and these payouts, in this order.
pub fn redemption(job_id: JobId, cumulative: Amount, payouts: &[PayoutTerms]) -> Redemption {
    let hash = crate::order::payouts_hash(payouts);
    Redemption { jobId: job_id, cumulative: cumulative.into(), payoutsHash: hash }
}

/// `eth_signTypedData_v4` JSON of an order.
pub fn order_typed_data(order: &Order, domain: &Eip712Domain) -> Value {
    let message = json!({
        "payer": text(order.payer),
        "refundTo": text(order.refund_to),
        "approver": text(order.approver),
        "settler": text(order.settler),
        "feeReceiver": text(order.fee_receiver),
        "cap": order.cap.to_string(),
        "maxUnitPrice": order.max_unit_price.to_string(),
        "units": order.units.to_string(),
        "openBy": order.open_by.to_string(),
        "workDeadline": order.work_deadline.to_string(),
        "reviewSeconds": order.review_seconds.to_string(),
        "claimGrace": order.claim_grace.to_string(),
        "feeBps": order.fee_bps.to_string(),
        "burnBps": order.burn_bps.to_string(),
        "specHash": order.spec_hash,
        "quoteHash": order.quote_hash,
        "salt": order.salt,
    });
    typed_data::<RenderEscrow::Order>(message, domain)
}

pub fn acceptance_typed_data(act: &Acceptance, domain: &Eip712Domain) -> Value {
    let message = json!({ "jobId": act.jobId, "lotsHash": act.lotsHash });
    typed_data::<Acceptance>(message, domain)
}

pub fn approval_typed_data(act: &Approval, domain: &Eip712Domain) -> Value {
    let message = json!({ "jobId": act.jobId, "lotsHash": act.lotsHash });
    typed_data::<Approval>(message, domain)
}

pub fn rejection_typed_data(act: &Rejection, domain: &Eip712Domain) -> Value {
    let message = json!({
        "jobId": act.jobId,
        "lotHash": act.lotHash,
        "mask": act.mask.to_string(),
        "reasonHash": act.reasonHash,
    });
    typed_data::<Rejection>(message, domain)
}

pub fn close_request_typed_data(act: &CloseRequest, domain: &Eip712Domain) -> Value {
    typed_data::<CloseRequest>(json!({ "jobId": act.jobId }), domain)
}

pub fn close_typed_data(act: &Close, domain: &Eip712Domain) -> Value {
    typed_data::<Close>(json!({ "jobId": act.jobId }), domain)
}

pub fn voucher_typed_data(act: &Voucher, domain: &Eip712Domain) -> Value {
    let message = json!({ "jobId": act.jobId, "cumulative": act.cumulative.to_string() });
    typed_data::<Voucher>(message, domain)
}

pub fn redemption_typed_data(act: &Redemption, domain: &Eip712Domain) -> Value {
    let message = json!({
        "jobId": act.jobId,
        "cumulative": act.cumulative.to_string(),
        "payoutsHash": act.payoutsHash,
    });
    typed_data::<Redemption>(message, domain)
}

fn text(address: Address) -> String {
    address.to_checksum(None)
}

/// Types, primary type and domain around a message, with the domain's own type spelled out, as
/// wallets need it. The chain id is a number: some wallets read nothing else.
pub(crate) fn typed_data<S: SolStruct>(message: Value, domain: &Eip712Domain) -> Value {
    let mut types = serde_json::Map::new();
    types.insert("EIP712Domain".into(), fields(&domain.encode_type()));
    types.insert(S::NAME.into(), fields(&S::eip712_root_type()));
    json!({
        "types": types,
        "primaryType": S::NAME,
        "domain": {
            "name": domain.name,
            "version": domain.version,
            "chainId": domain.chain_id.map(|id| id.saturating_to::<u64>()),
            "verifyingContract": domain.verifying_contract.map(text),
        },
        "message": message,
    })
}

/// "Approval(bytes32 jobId,bytes32 lotsHash)" -> its fields as wallets list them.
fn fields(encode_type: &str) -> Value {
    let inner = encode_type.split_once('(').map_or("", |(_, rest)| rest.trim_end_matches(')'));
    let each = inner.split(',').filter_map(|field| field.split_once(' '));
    each.map(|(kind, name)| json!({ "name": name, "type": kind })).collect()
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureProblem {
    #[error("signature has {0} bytes; an account's signature has 65 (r, s, v)")]
    Length(usize),
    #[error("last byte of the signature is {0}; the contract accepts 27 or 28")]
    Parity(u8),
    #[error("signature is not in its low-s form; the contract refuses the other one")]
    HighS,
    #[error("signature fits no account; sign the digest again")]
    NoSigner,
}

/// Half the order of secp256k1: above it lies the mirror image of every signature.
const HALF_ORDER: U256 = alloy::primitives::uint!(
    0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0_U256
);

/// Who signed `digest`, by the same rules as the contract: 65 bytes, v of 27 or 28, low s.
pub fn recover(digest: B256, signature: &[u8]) -> Result<Address, SignatureProblem> {
    let bytes: &[u8; 65] =
        signature.try_into().map_err(|_| SignatureProblem::Length(signature.len()))?;
    if !matches!(bytes[64], 27 | 28) {
        return Err(SignatureProblem::Parity(bytes[64]));
    }
    let parsed = Signature::from_raw_array(bytes).map_err(|_| SignatureProblem::NoSigner)?;
    if parsed.s() > HALF_ORDER {
        return Err(SignatureProblem::HighS);
    }
    parsed.recover_address_from_prehash(&digest).map_err(|_| SignatureProblem::NoSigner)
}

#[cfg(test)]
mod tests;
