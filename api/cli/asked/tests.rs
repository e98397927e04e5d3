//! Tests that a wallet signs only what was asked for.
use clap::Parser;

use super::*;
use crate::exit::Exit;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    asked: Asked,
}

fn asked(line: &str) -> Asked {
    let words = std::iter::once("rndr").chain(line.split_whitespace());
    Line::try_parse_from(words).unwrap().asked
}

fn version() -> String {
    "3.7.0.10".into()
}

fn account(byte: u8) -> Address {
    Address::repeat_byte(byte)
}

fn order() -> Order {
    Order {
        payer: account(1),
        refund_to: account(1),
        approver: Address::ZERO,
        settler: account(2),
        fee_receiver: account(3),
        cap: Amount::from(120u64),
        max_unit_price: Amount::from(10u64),
        units: 12,
        open_by: 5_000,
        work_deadline: 9_000,
        review_seconds: 600,
        claim_grace: 3_600,
        fee_bps: 500,
        burn_bps: 0,
        spec_hash: B256::repeat_byte(4),
        quote_hash: B256::repeat_byte(5),
        salt: B256::repeat_byte(6),
    }
}

fn terms() -> Terms {
    Terms {
        chain_id: 1_337,
        escrow: account(9),
        payer: account(1),
        refund_to: account(1),
        approver: Address::ZERO,
        cap: Amount::from(120u64),
        unit_price: Amount::from(10u64),
        units: 12,
        spec_hash: B256::repeat_byte(4),
        quote_hash: B256::repeat_byte(5),
        expires_at: 5_000,
        review_seconds: Some(600),
        now: 1_000,
    }
}

#[test]
fn an_order_is_signed_only_as_asked() {
    let id = |order: &Order| job_id(order, &domain(1_337, account(9)));
    assert_eq!(check_prepared(&order(), id(&order()), &terms()), Ok(id(&order())));
    type Change = fn(&mut Order);
    let changes: [(&str, Change); 13] = [
        ("payer", |order| order.payer = account(7)),
        ("refund_to", |order| order.refund_to = account(7)),
        ("approver", |order| order.approver = account(7)),
        ("cap", |order| order.cap = Amount::from(121u64)),
        ("max_unit_price", |order| order.max_unit_price = Amount::from(11u64)),
        ("units", |order| order.units = 11),
        ("spec_hash", |order| order.spec_hash = B256::ZERO),
        ("quote_hash", |order| order.quote_hash = B256::ZERO),
        ("review_seconds", |order| order.review_seconds = 601),
        ("opened until", |order| order.open_by = 5_001),
        ("fee and burn", |order| order.burn_bps = 5_000),
        ("settler", |order| order.settler = Address::ZERO),
        ("claim_grace", |order| order.claim_grace = 1),
    ];
    for (name, change) in changes {
        let mut changed = order();
        change(&mut changed);
        let failure = check_prepared(&changed, id(&changed), &terms()).unwrap_err();
        assert_eq!(failure.exit, Exit::Mismatch, "{name}");
        assert!(failure.message.contains(name), "{name}: {}", failure.message);
    }
    let other_chain = job_id(&order(), &domain(1, account(9)));
    let failure = check_prepared(&order(), other_chain, &terms()).unwrap_err();
    assert!(failure.message.contains("job_id"));
}

#[test]
fn a_line_becomes_a_spec_and_wrong_fields_are_named() {
    let line = "demo.pov --frames 1-8,9-12 --size 320x180 --animation 1-12 --chunk 3";
    let asked = asked(line);
    assert_eq!(asked.source(), SceneSource::File("demo.pov".into()));
    let spec = expand(&asked.spec(B256::repeat_byte(1), "demo.pov".into(), version())).unwrap();
    assert_eq!((spec.units(), spec.frames.to_string().as_str()), (12, "1-12"));
    assert_eq!((spec.animation.first, spec.animation.last, spec.chunk.size), (1, 12, 3));
    assert_eq!(spec.tier, Tier::Economy);
    let id = format!("0x{}", "ab".repeat(32));
    let by_id = super::tests::asked(&format!("{id} --frames 1-99999999 --size 0x180"));
    assert!(matches!(by_id.source(), SceneSource::Id(_)));
    let failure = expand(&by_id.spec(B256::repeat_byte(1), "a.pov".into(), version())).unwrap_err();
    assert_eq!(failure.exit, Exit::Usage);
    assert!(failure.message.contains("resolution.width"), "{}", failure.message);
    assert!(failure.message.contains("frames"), "{}", failure.message);
    for bad in ["a.pov --frames 1 --size 320", "a.pov --size 1x1", "--frames 1 --size 1x1"] {
        let words = std::iter::once("rndr").chain(bad.split_whitespace());
        assert!(Line::try_parse_from(words).is_err(), "{bad}");
    }
}
