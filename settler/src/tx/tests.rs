//! The life of a transaction, moment by moment and under random sights.

use alloy::primitives::{Address, B256, Bytes};
use proptest::prelude::*;

use super::*;

fn sent(nonce: u64, max_fee: u128, signed_at: i64) -> SentTx {
    SentTx {
        tx_hash: B256::repeat_byte(nonce as u8),
        intent_id: 1,
        sender: Address::ZERO,
        nonce,
        raw: Bytes::new(),
        max_fee,
        signed_at,
    }
}

fn seen(txs: &[SentTx]) -> Seen<'_> {
    let market = Fees { max_fee: 100, tip: 2 };
    Seen {
        txs,
        effect: None,
        head: 100,
        tip: 100,
        confirmations: 2,
        nonce: 5,
        nonce_deep: 5,
        mined: None,
        offer: txs.last().map(|tx| Fees { max_fee: tx.max_fee, tip: 2 }),
        market,
        base_fee: 40,
        fee_cap: 1_000,
        now: 1_000,
        sent_at: Some(999),
    }
}

#[test]
fn nothing_signed_is_signed_unless_the_effect_is_there() {
    let at = seen(&[]);
    assert_eq!(next(&at), Step::Sign);
    assert_eq!(next(&Seen { effect: Some(99), ..at }), Step::Wait);
    assert_eq!(next(&Seen { effect: Some(98), ..at }), Step::Done);
}

#[test]
fn an_open_nonce_keeps_its_bytes_in_the_pool_even_when_the_effect_is_there() {
    let txs = [sent(5, 100, 995)];
    let at = seen(&txs);
    assert_eq!(next(&at), Step::Wait);
    assert_eq!(next(&Seen { sent_at: Some(990), ..at }), Step::Resend);
    assert_eq!(next(&Seen { sent_at: None, ..at }), Step::Resend, "first thing after a restart");
    assert_eq!(next(&Seen { effect: Some(1), sent_at: None, ..at }), Step::Resend);
}

#[test]
fn an_outbid_transaction_is_replaced_by_an_eighth_more_up_to_the_cap() {
    let txs = [sent(5, 100, 960)];
    let outbid = Seen { base_fee: 101, market: Fees { max_fee: 104, tip: 2 }, ..seen(&txs) };
    let fees = Fees { max_fee: 114, tip: 4 };
    assert_eq!(next(&outbid), Step::Replace { nonce: 5, fees });
    let dear = Seen { market: Fees { max_fee: 400, tip: 9 }, ..outbid };
    let fees = Fees { max_fee: 400, tip: 9 };
    assert_eq!(next(&dear), Step::Replace { nonce: 5, fees });
    assert_eq!(next(&Seen { fee_cap: 399, sent_at: None, ..dear }), Step::Resend);
    // Not outbid, it waits longer before more is offered.
    assert_eq!(next(&Seen { base_fee: 40, ..outbid }), Step::Wait);
    let old = Seen { base_fee: 40, now: 1_200, ..outbid };
    assert!(matches!(next(&old), Step::Replace { nonce: 5, .. }));
}

#[test]
fn a_mined_success_waits_for_the_index_and_ends_when_it_shows_it_deep() {
    let txs = [sent(4, 100, 900)];
    let mined = Some(Mined { block: 95, succeeded: true });
    let at = Seen { mined, ..seen(&txs) };
    assert_eq!(next(&at), Step::Wait);
    assert_eq!(next(&Seen { effect: Some(99), ..at }), Step::Wait);
    assert_eq!(next(&Seen { effect: Some(95), ..at }), Step::Done);
    assert_eq!(next(&Seen { tip: 95 + 2 + INDEX_SLACK + 1, ..at }), Step::Contradiction);
}

#[test]
fn a_revert_is_believed_at_depth_only() {
    let txs = [sent(4, 100, 900)];
    let at = |block| Seen { mined: Some(Mined { block, succeeded: false }), ..seen(&txs) };
    assert_eq!(next(&at(99)), Step::Wait);
    assert_eq!(next(&at(98)), Step::Reverted);
}

#[test]
fn a_nonce_used_elsewhere_is_signed_anew_at_depth_only() {
    let txs = [sent(4, 100, 900)];
    let at = seen(&txs);
    assert_eq!(next(&Seen { nonce_deep: 4, ..at }), Step::Wait);
    assert_eq!(next(&Seen { nonce_deep: 5, ..at }), Step::Sign);
}

#[test]
fn the_newest_is_the_highest_nonce_and_then_the_best_offer() {
    let txs = [sent(4, 900, 1), sent(5, 100, 2), sent(5, 120, 3), sent(5, 100, 9)];
    assert_eq!(newest(&txs).map(|tx| tx.max_fee), Some(120));
    assert_eq!(newest(&[]), None);
}

proptest! {
    #[test]
    fn a_free_nonce_is_the_lowest_gap(
        mined in 0u64..20,
        taken in prop::collection::btree_set(0u64..40, 0..30),
    ) {
        let nonce = free_nonce(mined, &taken);
        prop_assert!(nonce >= mined && !taken.contains(&nonce));
        prop_assert!((mined..nonce).all(|below| taken.contains(&below)));
    }

    /// Whatever is seen: nothing is signed anew while stored bytes may still be mined, nothing is
    /// done before the index shows it deep, and no offer is above the cap.
    #[test]
    fn no_sight_leads_to_a_second_payment(
        nonces in prop::collection::vec(3u64..9, 0..4),
        effect in prop::option::of(90u64..110),
        nonce in 3u64..9,
        behind in 0u64..3,
        mined in prop::option::of((90u64..110, any::<bool>())),
        base_fee in 0u128..2_000,
        now in 900i64..2_000,
        sent_at in prop::option::of(900i64..2_000),
    ) {
        let txs: Vec<SentTx> = nonces.iter().map(|n| sent(*n, 100, 900)).collect();
        let mined = mined.map(|(block, succeeded)| Mined { block, succeeded });
        let market = Fees { max_fee: base_fee * 2 + 2, tip: 2 };
        let nonce_deep = nonce.saturating_sub(behind);
        let figures = Seen { base_fee, market, now, sent_at, ..seen(&txs) };
        let at = Seen { effect, nonce, nonce_deep, mined, ..figures };
        let open = txs.iter().any(|tx| tx.nonce >= nonce);
        match next(&at) {
            Step::Sign => {
                prop_assert!(!open && effect.is_none());
                prop_assert!(txs.iter().all(|tx| tx.nonce < nonce_deep));
            }
            Step::Done => prop_assert!(!open && effect.is_some_and(|block| block + 2 <= 100)),
            Step::Replace { nonce: same, fees } => {
                prop_assert!(open && txs.iter().any(|tx| tx.nonce == same));
                prop_assert!(fees.max_fee <= at.fee_cap && fees.tip <= fees.max_fee);
                prop_assert!(fees.max_fee * 8 >= 100 * 9 && fees.tip >= 3);
            }
            Step::Resend => prop_assert!(open),
            Step::Reverted | Step::Contradiction => prop_assert!(!open && mined.is_some()),
            Step::Wait => {}
        }
    }
}
