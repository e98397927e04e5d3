//! Solvency at final blocks only, with and without a recorded audit, and runs the newest first.

use alloy::primitives::B256;
use contracts::Amount;
use serde_json::Value;
use store::{AuditKind, AuditRun, Head, Step, Tag};

use crate::routes::testing::{START, World};

async fn finalize(world: &World, block: u64) {
    let (tag, hash, seen_at) = (Tag::Finalized, B256::ZERO, START);
    let heads = vec![Head { tag, block, hash, seen_at }];
    world.store.chain_writer().extend(&Step { heads, ..Step::default() }).await.unwrap();
}

#[tokio::test]
async fn solvency_is_told_of_final_blocks_and_with_what_an_audit_saw_there() {
    let mut world = World::new().await;
    world.opened().await;
    let tip = world.store.reader().tip().await.unwrap().unwrap().number;
    let refused = world.get(&format!("/v1/solvency?block={tip}")).await;
    assert_eq!((refused.status, refused.code().as_str()), (409, "not_final"));
    finalize(&world, tip).await;
    let owed = world.store.reader().owed_at(tip).await.unwrap();
    assert!(!owed.locked.is_zero());
    let answer = world.get("/v1/solvency").await.json();
    assert_eq!(answer["block"], tip);
    assert_eq!(answer["locked"]["amount"], owed.locked.to_string());
    assert_eq!((&answer["audit"], &answer["surplus"]), (&Value::Null, &Value::Null));
    let liabilities = owed.by_escrow().unwrap();
    assert_eq!(answer["liabilities"]["amount"], liabilities.to_string());
    let ahead = world.get(&format!("/v1/solvency?block={}", tip + 1)).await;
    assert_eq!((ahead.status, ahead.code().as_str()), (409, "not_final"));

    let surplus = Amount::from(7u64);
    let run = AuditRun {
        kind: AuditKind::Solvency,
        at: START,
        block: tip,
        hash: B256::repeat_byte(1),
        digest: B256::repeat_byte(2),
        stored_digest: None,
        token_balance: liabilities.checked_add(surplus).unwrap(),
        liabilities,
        surplus,
        registry_balance: None,
        bonds: None,
        differences: 0,
        first: None,
    };
    world.store.audit().put_run(&run).await.unwrap();
    let answer = world.get(&format!("/v1/solvency?block={tip}")).await.json();
    assert_eq!(answer["surplus"]["amount"], "7");
    assert_eq!(answer["audit"]["token_balance"]["amount"], run.token_balance.to_string());
    let other = AuditRun { kind: AuditKind::Replay, block: tip - 1, differences: 2, ..run };
    world.store.audit().put_run(&other).await.unwrap();
    let runs = world.get("/v1/audit/runs?limit=1").await.json();
    assert_eq!(runs["runs"].as_array().unwrap().len(), 1);
    let newest = &runs["runs"][0];
    assert_eq!((&newest["kind"], &newest["differences"]), (&"replay".into(), &2.into()));
    assert_eq!(world.get("/v1/audit/runs?limit=0").await.status, 400);
}
