//! pure: calls as calldata, and back: which lots an intent touches, and whether the index shows it.

use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::sol_types::SolCall;
use contracts::order::lot_hash;
use contracts::{JobId, Lot, Order, RenderEscrow};
use store::{Action, Intent, JobOrder, JobState, LotRow, LotState, LotStatus};

use crate::pay::Call;

/// `openFor` of an order signed by its payer, or by a delegate of it.
pub fn open(order: &Order, signer: Address, signature: &Bytes) -> Bytes {
    let signature = signature.clone();
    let call = RenderEscrow::openForCall { order: order.to_sol(), signer, signature };
    call.abi_encode().into()
}

/// A planned call. `acceptance`: the settler's, over exactly the call's lots (release, commit).
/// `key`: the lot's (settle), zero when it is not sealed.
pub fn encode(order: &Order, call: &Call, acceptance: &Bytes, key: B256) -> Bytes {
    let order = order.to_sol();
    let acceptance = acceptance.clone();
    let bytes = match call {
        Call::Release { lots, approval } => RenderEscrow::releaseCall {
            order,
            lots: lots.iter().map(Lot::to_sol).collect(),
            acceptance,
            approval: approval.signature.clone(),
        }
        .abi_encode(),
        Call::Commit { lots, approval } => RenderEscrow::commitCall {
            order,
            lots: lots.iter().map(Lot::to_sol).collect(),
            acceptance,
            approval: approval.as_ref().map(|a| a.signature.clone()).unwrap_or_default(),
        }
        .abi_encode(),
        Call::Approve { lots, approval } => RenderEscrow::approveCall {
            order,
            lots: lots.iter().map(Lot::to_sol).collect(),
            approval: approval.signature.clone(),
        }
        .abi_encode(),
        Call::Reject { lot, rejection } => RenderEscrow::rejectCall {
            order,
            lot: lot.to_sol(),
            mask: rejection.mask,
            reasonHash: rejection.reason_hash,
            signature: rejection.signature.clone(),
        }
        .abi_encode(),
        Call::Settle { lot } => {
            RenderEscrow::settleCall { order, lots: vec![lot.to_sol()], keys: vec![key] }
                .abi_encode()
        }
        Call::Lapse { lot } => RenderEscrow::lapseCall { order, lot: lot.to_sol() }.abi_encode(),
        Call::RequestClose { request } => {
            let signature = request.signature.clone();
            RenderEscrow::requestCloseCall { order, signature }.abi_encode()
        }
        // Due: nobody's word is needed any more.
        Call::Close => {
            let none = Bytes::new();
            RenderEscrow::closeCall { order, payerSide: none.clone(), settlerSide: none }
                .abi_encode()
        }
    };
    bytes.into()
}

/// The lots that an intent proposes for payment; none for other actions.
pub fn proposed_lots(intent: &Intent) -> Vec<B256> {
    match intent.action {
        Action::Release | Action::Commit => lots_of(intent),
        Action::Open
        | Action::Approve
        | Action::Reject
        | Action::Settle
        | Action::Lapse
        | Action::RequestClose
        | Action::Close => Vec::new(),
    }
}

/// The lots in an intent's calldata. We encoded it ourselves: what does not decode names no lot,
/// and the chain refuses it too.
fn lots_of(intent: &Intent) -> Vec<B256> {
    let data = &intent.calldata;
    let lots = match intent.action {
        Action::Release => RenderEscrow::releaseCall::abi_decode(data).map(|call| call.lots),
        Action::Commit => RenderEscrow::commitCall::abi_decode(data).map(|call| call.lots),
        Action::Approve => RenderEscrow::approveCall::abi_decode(data).map(|call| call.lots),
        Action::Settle => RenderEscrow::settleCall::abi_decode(data).map(|call| call.lots),
        Action::Reject => RenderEscrow::rejectCall::abi_decode(data).map(|call| vec![call.lot]),
        Action::Lapse => RenderEscrow::lapseCall::abi_decode(data).map(|call| vec![call.lot]),
        Action::Open | Action::RequestClose | Action::Close => return Vec::new(),
    };
    let lots = lots.unwrap_or_default();
    lots.into_iter().map(|lot| hash_of(intent.job_id, lot)).collect()
}

fn hash_of(job_id: JobId, lot: RenderEscrow::Lot) -> B256 {
    lot_hash(job_id, &lot.into())
}

/// The block from which on the index shows what an intent is for; None while it does not.
/// An effect that somebody else brought about counts: the contract allows it once.
pub fn effect(
    intent: &Intent,
    job: Option<&(JobOrder, JobState)>,
    lots: &[(LotRow, LotState)],
) -> Option<u64> {
    let (order, state) = job?;
    match intent.action {
        Action::Open => Some(order.block),
        Action::RequestClose => (state.close_requested || state.closed).then_some(state.block),
        Action::Close => state.closed.then_some(state.block),
        Action::Commit => newest(intent, lots, |row, _| Some(row.block)),
        Action::Release => {
            newest(intent, lots, |_, s| (s.status == LotStatus::Released).then_some(s.block))
        }
        Action::Approve => newest(intent, lots, |row, s| {
            let gone = (row.lot.mask & !s.rejected).is_zero();
            (gone || s.status != LotStatus::Committed).then_some(s.block)
        }),
        Action::Settle => {
            newest(intent, lots, |_, s| (s.status == LotStatus::Settled).then_some(s.block))
        }
        Action::Lapse => newest(intent, lots, |_, s| ended(s.status).then_some(s.block)),
        Action::Reject => {
            let call = RenderEscrow::rejectCall::abi_decode(&intent.calldata);
            let mask = call.map_or(U256::MAX, |call| call.mask);
            newest(intent, lots, |_, s| (mask & !s.rejected).is_zero().then_some(s.block))
        }
    }
}

fn ended(status: LotStatus) -> bool {
    match status {
        LotStatus::Settled | LotStatus::Lapsed | LotStatus::Released => true,
        LotStatus::Committed | LotStatus::Approved => false,
    }
}

/// The newest of the blocks that show each lot of the intent; None while one is missing.
fn newest(
    intent: &Intent,
    lots: &[(LotRow, LotState)],
    shown: impl Fn(&LotRow, &LotState) -> Option<u64>,
) -> Option<u64> {
    let block_of = |hash: &B256| {
        let (row, state) = lots.iter().find(|(row, _)| row.lot_hash == *hash)?;
        shown(row, state)
    };
    let hashes = lots_of(intent);
    let blocks = hashes.iter().map(block_of).collect::<Option<Vec<u64>>>()?;
    blocks.into_iter().max()
}

#[cfg(test)]
mod tests;
