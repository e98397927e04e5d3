//! Tests of order.rs: JSON forms, digests that bind every field, bounds at the boundary.

use super::*;
use crate::samples;
use proptest::prelude::*;

const NOW: u64 = 1_790_000_000;

fn account(byte: u8) -> Address {
    Address::repeat_byte(byte)
}

fn good() -> Order {
    Order {
        payer: account(1),
        refund_to: account(2),
        approver: Address::ZERO,
        settler: account(4),
        fee_receiver: account(5),
        cap: Amount::from(1_000u64),
        max_unit_price: Amount::from(10u64),
        units: 12,
        open_by: NOW + 600,
        work_deadline: NOW + 86_400,
        review_seconds: MIN_REVIEW_SECONDS,
        claim_grace: MIN_CLAIM_GRACE,
        fee_bps: 500,
        burn_bps: 100,
        spec_hash: B256::repeat_byte(6),
        quote_hash: B256::repeat_byte(7),
        salt: B256::repeat_byte(8),
    }
}

fn escrow() -> Address {
    account(0xee)
}

fn problem(change: impl FnOnce(&mut Order)) -> OrderProblem {
    let mut order = good();
    change(&mut order);
    check_order(&order, escrow(), NOW).expect_err("the order should be refused")
}

fn accepts(change: impl FnOnce(&mut Order)) {
    let mut order = good();
    change(&mut order);
    assert_eq!(check_order(&order, escrow(), NOW), Ok(()));
}

proptest! {
    #[test]
    fn orders_and_lots_read_back_from_json_and_from_the_contract(
        order in samples::order(),
        lot in samples::lot(),
    ) {
        let json = serde_json::to_string(&order).unwrap();
        prop_assert_eq!(serde_json::from_str::<Order>(&json).unwrap(), order.clone());
        prop_assert_eq!(Order::from(order.to_sol()), order);
        let json = serde_json::to_string(&lot).unwrap();
        prop_assert_eq!(serde_json::from_str::<Lot>(&json).unwrap(), lot.clone());
        prop_assert_eq!(Lot::from(lot.to_sol()), lot);
    }

    #[test]
    fn lots_hash_binds_order_and_job(
        lots in proptest::collection::vec(samples::lot(), 2..5),
        job in samples::hash(),
        other in samples::hash(),
    ) {
        prop_assume!(job != other && lots[0] != lots[1]);
        let mut swapped = lots.clone();
        swapped.swap(0, 1);
        prop_assert_ne!(lots_hash_of(job, &lots), lots_hash_of(job, &swapped));
        prop_assert_ne!(lots_hash_of(job, &lots), lots_hash_of(other, &lots));
    }
}

#[test]
fn payouts_hash_binds_node_amount_and_order() {
    let (a, b) = (account(1), account(2));
    let pay = |node, base: u64| Payout { node, amount: Amount::from(base) };
    let given = payouts_hash(&[pay(a, 1), pay(b, 2)]);
    for other in [
        vec![pay(b, 2), pay(a, 1)],
        vec![pay(a, 2), pay(b, 1)],
        vec![pay(a, 1)],
        vec![pay(a, 1), pay(b, 2), pay(b, 0)],
    ] {
        assert_ne!(payouts_hash(&other), given, "{other:?}");
    }
}

#[test]
fn every_field_of_an_order_is_in_its_id() {
    let domain = domain(1, escrow());
    let id = job_id(&good(), &domain);
    let changes: [fn(&mut Order); 17] = [
        |o| o.payer = account(9),
        |o| o.refund_to = account(9),
        |o| o.approver = account(9),
        |o| o.settler = account(9),
        |o| o.fee_receiver = account(9),
        |o| o.cap = Amount::from(9u64),
        |o| o.max_unit_price = Amount::from(9u64),
        |o| o.units += 1,
        |o| o.open_by += 1,
        |o| o.work_deadline += 1,
        |o| o.review_seconds += 1,
        |o| o.claim_grace += 1,
        |o| o.fee_bps += 1,
        |o| o.burn_bps += 1,
        |o| o.spec_hash = B256::ZERO,
        |o| o.quote_hash = B256::ZERO,
        |o| o.salt = B256::ZERO,
    ];
    let mut ids: Vec<B256> = changes
        .iter()
        .map(|change| {
            let mut order = good();
            change(&mut order);
            job_id(&order, &domain)
        })
        .collect();
    ids.push(id);
    ids.push(job_id(&good(), &super::domain(2, escrow())));
    ids.push(job_id(&good(), &super::domain(1, account(9))));
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count);
}

#[test]
fn json_is_snake_case_with_checksums_and_text_amounts() {
    let mut order = good();
    order.payer = "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed".parse().unwrap();
    let json = serde_json::to_value(&order).unwrap();
    assert_eq!(json["payer"], "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed");
    assert_eq!(json["cap"], "1000");
    assert_eq!(json["review_seconds"], 600);
    let mut unknown = json.clone();
    unknown["tip"] = 1.into();
    let error = serde_json::from_value::<Order>(unknown).unwrap_err().to_string();
    assert!(error.contains("tip"), "{error}");
    let mut missing = json;
    missing.as_object_mut().unwrap().remove("salt");
    assert!(serde_json::from_value::<Order>(missing).is_err());
}

#[test]
fn bounds_hold_at_the_boundary() {
    accepts(|_| {});
    accepts(|o| o.units = MAX_UNITS);
    // A job of calls, which needs no unit price.
    accepts(|o| (o.units, o.max_unit_price) = (0, Amount::ZERO));
    accepts(|o| o.review_seconds = MAX_REVIEW_SECONDS);
    accepts(|o| o.claim_grace = MAX_CLAIM_GRACE);
    accepts(|o| o.open_by = NOW + 1);
    accepts(|o| o.work_deadline = o.open_by);
    accepts(|o| (o.fee_bps, o.burn_bps) = (MAX_FEE_BPS, ALL_BPS - MAX_FEE_BPS));
    accepts(|o| (o.fee_bps, o.fee_receiver) = (0, Address::ZERO));
    accepts(|o| o.approver = o.payer);

    let out = |field, given, min, max| OrderProblem::OutOfBounds { field, given, min, max };
    let units = u64::from(MAX_UNITS) + 1;
    assert_eq!(problem(|o| o.units = MAX_UNITS + 1), out("units", units, 0, units - 1));
    let (min, max) = (MIN_REVIEW_SECONDS, MAX_REVIEW_SECONDS);
    assert_eq!(problem(|o| o.review_seconds = 599), out("review_seconds", 599, min, max));
    assert_eq!(problem(|o| o.review_seconds = max + 1), out("review_seconds", max + 1, min, max));
    let (min, max) = (MIN_CLAIM_GRACE, MAX_CLAIM_GRACE);
    assert_eq!(problem(|o| o.claim_grace = 3_599), out("claim_grace", 3_599, min, max));
    assert_eq!(problem(|o| o.claim_grace = max + 1), out("claim_grace", max + 1, min, max));
    let expired = OrderProblem::Expired { open_by: NOW, now: NOW };
    assert_eq!(problem(|o| o.open_by = NOW), expired);
    let later = problem(|o| o.work_deadline = o.open_by - 1);
    assert_eq!(later.field(), "open_by");
    assert_eq!(problem(|o| o.fee_bps = 1_001), OrderProblem::FeeTooHigh { fee_bps: 1_001 });
    let total_bps = 10_001;
    assert_eq!(problem(|o| o.burn_bps = 9_501), OrderProblem::SharesTooHigh { total_bps });
    assert_eq!(problem(|o| o.cap = Amount::ZERO), OrderProblem::ZeroAmount { field: "cap" });
    assert_eq!(problem(|o| o.max_unit_price = Amount::ZERO).field(), "max_unit_price");
    let far = MAX_SECONDS + 1;
    assert_eq!(problem(|o| (o.open_by, o.work_deadline) = (far, far)).field(), "open_by");
}

#[test]
fn parties_are_checked() {
    type Part = (&'static str, fn(&mut Order, Address));
    let parts: [Part; 4] = [
        ("payer", |o, a| o.payer = a),
        ("refund_to", |o, a| o.refund_to = a),
        ("settler", |o, a| o.settler = a),
        ("fee_receiver", |o, a| o.fee_receiver = a),
    ];
    for (field, set) in parts {
        let zero = problem(|o| set(o, Address::ZERO));
        assert_eq!(zero, OrderProblem::ZeroAccount { field });
        assert_eq!(problem(|o| set(o, escrow())), OrderProblem::EscrowAccount { field });
    }
    let same = problem(|o| o.settler = o.payer);
    assert_eq!(same, OrderProblem::SettlerIsPayerSide { settler: account(1), role: "payer" });
    let same = problem(|o| o.approver = o.settler);
    assert_eq!(same, OrderProblem::SettlerIsPayerSide { settler: account(4), role: "approver" });
}

#[test]
fn payer_side_is_payer_and_named_approver() {
    let mut order = good();
    assert!(order.is_payer_side(order.payer));
    assert!(!order.is_payer_side(Address::ZERO));
    order.approver = account(9);
    assert!(order.is_payer_side(account(9)));
    assert!(!order.is_payer_side(order.settler));
}

#[test]
fn a_close_request_stands_in_place_of_the_deadline() {
    let order = good();
    assert_eq!(order.ends_at(0), NOW + 86_400 + 3_600);
    assert_eq!(order.ends_at(NOW), NOW + 3_600);
}
