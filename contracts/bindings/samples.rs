//! Strategies of the property tests: any address, hash, amount, order, lot and time.

use alloy::primitives::{Address, B256, U256};
use proptest::prelude::*;

use crate::amount::Amount;
use crate::order::{Lot, Order, Payout};
use crate::text::MAX_SECONDS;

pub fn address() -> impl Strategy<Value = Address> {
    any::<[u8; 20]>().prop_map(Address::from)
}

pub fn hash() -> impl Strategy<Value = B256> {
    any::<[u8; 32]>().prop_map(B256::from)
}

pub fn word() -> impl Strategy<Value = U256> {
    any::<[u8; 32]>().prop_map(U256::from_be_bytes)
}

pub fn amount() -> impl Strategy<Value = Amount> {
    (0..=Amount::MAX.base())
        .prop_map(|base| Amount::from_base(base).expect("the range ends at the largest"))
}

pub fn time() -> impl Strategy<Value = u64> {
    0..=MAX_SECONDS
}

pub fn order() -> impl Strategy<Value = Order> {
    let accounts = (address(), address(), address(), address(), address());
    let money = (amount(), amount(), any::<u32>(), any::<u16>(), any::<u16>());
    let times = (time(), time(), time(), time());
    let hashes = (hash(), hash(), hash());
    (accounts, money, times, hashes).prop_map(|(a, m, t, h)| Order {
        payer: a.0,
        refund_to: a.1,
        approver: a.2,
        settler: a.3,
        fee_receiver: a.4,
        cap: m.0,
        max_unit_price: m.1,
        units: m.2,
        open_by: t.0,
        work_deadline: t.1,
        review_seconds: t.2,
        claim_grace: t.3,
        fee_bps: m.3,
        burn_bps: m.4,
        spec_hash: h.0,
        quote_hash: h.1,
        salt: h.2,
    })
}

pub fn lot() -> impl Strategy<Value = Lot> {
    (address(), any::<u32>(), word(), amount(), hash(), hash()).prop_map(
        |(node, word, mask, unit_price, receipts_root, key_commit)| Lot {
            node,
            word,
            mask,
            unit_price,
            receipts_root,
            key_commit,
        },
    )
}

pub fn payout() -> impl Strategy<Value = Payout> {
    (address(), amount()).prop_map(|(node, amount)| Payout { node, amount })
}
