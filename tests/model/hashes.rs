//! pure: what is signed, hashed by EIP-712's own words: type and fields, a word each.

use alloy::primitives::{Address, B256, U256, keccak256};
use contracts::{Lot, Order, Payout};

const ORDER: &str = "Order(address payer,address refundTo,address approver,address settler,\
    address feeReceiver,uint96 cap,uint96 maxUnitPrice,uint32 units,uint40 openBy,\
    uint40 workDeadline,uint40 reviewSeconds,uint40 claimGrace,uint16 feeBps,uint16 burnBps,\
    bytes32 specHash,bytes32 quoteHash,bytes32 salt)";
const LOT: &str = "Lot(bytes32 jobId,address node,uint32 word,uint256 mask,uint96 unitPrice,\
    bytes32 receiptsRoot,bytes32 keyCommit)";

/// The digest that is signed for an act.
pub fn digest(domain: B256, act: B256) -> B256 {
    keccak256([&[0x19, 0x01][..], domain.as_slice(), act.as_slice()].concat())
}

pub fn job_id(domain: B256, order: &Order) -> B256 {
    let o = order;
    let parties = [o.payer, o.refund_to, o.approver, o.settler, o.fee_receiver];
    let amounts = [o.cap, o.max_unit_price].map(|one| one.to_u256());
    let times = [o.open_by, o.work_deadline, o.review_seconds, o.claim_grace];
    let words = [
        &parties.map(word)[..],
        &amounts.map(B256::from),
        &[number(o.units.into())],
        &times.map(number),
        &[o.fee_bps, o.burn_bps].map(|bps| number(bps.into())),
        &[o.spec_hash, o.quote_hash, o.salt],
    ];
    digest(domain, hash(ORDER, &words.concat()))
}

pub fn lot_hash(id: B256, lot: &Lot) -> B256 {
    let (word_, price) = (number(lot.word.into()), lot.unit_price.to_u256().into());
    let (root, commit) = (lot.receipts_root, lot.key_commit);
    hash(LOT, &[id, word(lot.node), word_, lot.mask.into(), price, root, commit])
}

/// Of lots or payouts: their hashes, one after the other.
pub fn list(hashes: &[B256]) -> B256 {
    keccak256(hashes.concat())
}

pub fn lots_hash(id: B256, lots: &[Lot]) -> B256 {
    list(&lots.iter().map(|lot| lot_hash(id, lot)).collect::<Vec<_>>())
}

pub fn acceptance(id: B256, lots_hash: B256) -> B256 {
    hash("Acceptance(bytes32 jobId,bytes32 lotsHash)", &[id, lots_hash])
}

pub fn approval(id: B256, lots_hash: B256) -> B256 {
    hash("Approval(bytes32 jobId,bytes32 lotsHash)", &[id, lots_hash])
}

pub fn rejection(id: B256, lot: B256, mask: U256, reason: B256) -> B256 {
    let kind = "Rejection(bytes32 jobId,bytes32 lotHash,uint256 mask,bytes32 reasonHash)";
    hash(kind, &[id, lot, mask.into(), reason])
}

pub fn close_request(id: B256) -> B256 {
    hash("CloseRequest(bytes32 jobId)", &[id])
}

pub fn close(id: B256) -> B256 {
    hash("Close(bytes32 jobId)", &[id])
}

pub fn voucher(id: B256, total: u128) -> B256 {
    hash("Voucher(bytes32 jobId,uint96 cumulative)", &[id, U256::from(total).into()])
}

pub fn redemption(id: B256, total: u128, payouts: &[Payout]) -> B256 {
    let kind = "Redemption(bytes32 jobId,uint96 cumulative,bytes32 payoutsHash)";
    let one = |payout: &Payout| {
        let amount = payout.amount.to_u256().into();
        hash("Payout(address node,uint96 amount)", &[word(payout.node), amount])
    };
    let payouts = list(&payouts.iter().map(one).collect::<Vec<_>>());
    hash(kind, &[id, U256::from(total).into(), payouts])
}

fn hash(kind: &str, words: &[B256]) -> B256 {
    keccak256([keccak256(kind).as_slice(), &words.concat()].concat())
}

fn word(address: Address) -> B256 {
    address.into_word()
}

fn number(given: u64) -> B256 {
    U256::from(given).into()
}
