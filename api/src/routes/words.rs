//! pure: the words of a review in the form in which wallets sign them and the escrow takes them.

use alloy::primitives::{B256, Bytes, keccak256};
use alloy::sol_types::{Eip712Domain, SolCall};
use contracts::{JobId, Order, RenderEscrow, signing};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::documents::Call;
use super::units::frames_of;
use crate::edge::view::View;
use crate::record::Record;
use crate::review::{Plan, Word};
use crate::wire::Hash;

/// What is to be signed, in this order.
#[derive(Debug, Serialize, ToSchema)]
pub struct PreparedReview {
    pub job_id: Hash,
    pub words: Vec<PreparedWord>,
    /// Frames that were approved or paid before; nothing is signed for them.
    pub done_frames: String,
    pub next_step: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WordKind {
    /// Consent to what was not rejected of these lots.
    Approval,
    /// Refusal of some units of one lot; they are rendered again.
    Rejection,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct PreparedWord {
    pub kind: WordKind,
    /// The frames that it decides.
    pub frames: String,
    pub units: Vec<u32>,
    pub lot_hashes: Vec<Hash>,
    /// For `eth_signTypedData_v4`.
    #[schema(value_type = Object)]
    pub typed_data: Value,
    /// What is signed: the digest of `typed_data`.
    pub digest: Hash,
    /// The call of the same meaning, for the payer or approver to send; none while a lot is not
    /// on chain.
    pub call: Option<Call>,
}

impl PreparedReview {
    pub fn of(view: &View, record: &Record, plan: &Plan, reason: &str) -> Self {
        let words = plan.words.iter();
        let words: Vec<_> = words.map(|w| PreparedWord::of(view, record, w, reason)).collect();
        let next_step = if words.is_empty() {
            "Nothing is to be signed: all these frames were approved or paid before."
        } else {
            "Sign each typed_data, then send the same request with signatures in place of prepare."
        };
        Self {
            job_id: Hash(record.job_id),
            words,
            done_frames: frames_of(record, &plan.done),
            next_step: next_step.into(),
        }
    }
}

impl PreparedWord {
    fn of(view: &View, record: &Record, word: &Word, reason: &str) -> Self {
        let act = Act::of(record.job_id, word, reason);
        let units = word.units(record);
        let (kind, lot_hashes) = match word {
            Word::Approval { lots } => {
                (WordKind::Approval, lots.iter().map(|(hash, _)| Hash(*hash)).collect())
            }
            Word::Rejection { lot_hash, .. } => (WordKind::Rejection, vec![Hash(*lot_hash)]),
        };
        let on_chain = |hash: &Hash| record.lots.get(&hash.0).is_some_and(|l| l.chain.is_some());
        let sendable = lot_hashes.iter().all(on_chain);
        let call = sendable.then(|| call(&record.order, word, reason));
        Self {
            kind,
            frames: frames_of(record, &units),
            units,
            typed_data: act.typed_data(&view.domain()),
            digest: Hash(act.digest(&view.domain())),
            call: call.map(|data| Call::new(view.escrow.address, data)),
            lot_hashes,
        }
    }
}

/// A word in the form in which it is signed.
pub enum Act {
    Approval(signing::Approval),
    Rejection(signing::Rejection),
}

impl Act {
    pub fn of(job_id: JobId, word: &Word, reason: &str) -> Self {
        match word {
            Word::Approval { lots } => {
                let lots: Vec<_> = lots.iter().map(|(_, lot)| lot.clone()).collect();
                Self::Approval(signing::approval(job_id, &lots))
            }
            Word::Rejection { lot_hash, mask, .. } => Self::Rejection(signing::Rejection {
                jobId: job_id,
                lotHash: *lot_hash,
                mask: *mask,
                reasonHash: keccak256(reason),
            }),
        }
    }

    pub fn digest(&self, domain: &Eip712Domain) -> B256 {
        match self {
            Self::Approval(act) => signing::signing_hash(act, domain),
            Self::Rejection(act) => signing::signing_hash(act, domain),
        }
    }

    fn typed_data(&self, domain: &Eip712Domain) -> Value {
        match self {
            Self::Approval(act) => signing::approval_typed_data(act, domain),
            Self::Rejection(act) => signing::rejection_typed_data(act, domain),
        }
    }
}

/// The same by the caller's own transaction: an empty signature means the sender.
fn call(order: &Order, word: &Word, reason: &str) -> Vec<u8> {
    match word {
        Word::Approval { lots } => RenderEscrow::approveCall {
            order: order.to_sol(),
            lots: lots.iter().map(|(_, lot)| lot.to_sol()).collect(),
            approval: Bytes::new(),
        }
        .abi_encode(),
        Word::Rejection { lot, mask, .. } => RenderEscrow::rejectCall {
            order: order.to_sol(),
            lot: lot.to_sol(),
            mask: *mask,
            reasonHash: keccak256(reason),
            signature: Bytes::new(),
        }
        .abi_encode(),
    }
}
