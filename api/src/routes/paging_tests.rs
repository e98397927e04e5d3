//! Lists page by page, across a reorg too, and accounts with every movement behind them.

use alloy::primitives::{Address, B256};
use contracts::Amount;
use contracts::event::{Deposited, Event};
use serde_json::{Value, json};
use store::{AccountState, BondState, Step};

use super::testing::{REGISTRY, START, World};

fn names(answer: &Value, list: &str, field: &str) -> Vec<String> {
    let rows = answer[list].as_array().unwrap().iter();
    rows.map(|row| row[field].to_string().trim_matches('"').to_owned()).collect()
}

#[tokio::test]
async fn jobs_are_paged_newest_first_and_filtered() {
    let mut world = World::new().await;
    let mut opened = Vec::new();
    for _ in 0..3 {
        opened.push(world.opened().await.0.to_string());
    }
    opened.reverse();
    let (mut found, mut cursor) = (Vec::new(), String::new());
    for page in 0..3 {
        let path = format!("/v1/jobs?limit=1{cursor}");
        let answer = world.get(&path).await.json();
        found.extend(names(&answer, "jobs", "job_id"));
        assert_eq!(answer["has_more"], page < 2, "page {page}");
        cursor = format!("&cursor={}", answer["next_cursor"].as_str().unwrap_or_default());
    }
    assert_eq!(found, opened);
    let queued = world.get("/v1/jobs?state=queued&limit=2").await.json();
    assert_eq!(names(&queued, "jobs", "job_id"), opened[..2]);
    for filter in ["state=completed", &format!("payer={}", Address::repeat_byte(0xcc))] {
        let none = world.get(&format!("/v1/jobs?{filter}")).await.json();
        assert_eq!((names(&none, "jobs", "job_id").len(), &none["has_more"]), (0, &false.into()));
    }
    let of_payer = world.get(&format!("/v1/jobs?payer={}", world.payer.address())).await.json();
    assert_eq!(names(&of_payer, "jobs", "job_id"), opened);
}

#[tokio::test]
async fn a_cursor_whose_block_left_the_chain_is_gone() {
    let mut world = World::new().await;
    for _ in 0..2 {
        world.opened().await;
    }
    let page = world.get("/v1/jobs?limit=1").await.json();
    let path = format!("/v1/jobs?cursor={}", page["next_cursor"].as_str().unwrap());
    assert_eq!(world.get(&path).await.status, 200);
    world.rewind(1).await;
    let gone = world.get(&path).await;
    assert_eq!((gone.status, gone.code().as_str()), (410, "cursor_gone"));
    let reorgs = world.get("/v1/chain/reorgs").await.json();
    assert_eq!(
        (&reorgs["reorgs"][0]["fork_block"], &reorgs["reorgs"][0]["depth"]),
        (&2.into(), &1.into())
    );
}

#[tokio::test]
async fn units_and_receipts_are_paged_by_number() {
    let mut world = World::new().await;
    let (job_id, order) = world.opened().await;
    world.deliver(job_id, &order, &[0, 1, 2]).await;
    let at = |path: &str| format!("/v1/jobs/{job_id}/{path}");
    let first = world.get(&at("units?frames=1-3x2,8&limit=2")).await.json();
    assert_eq!(names(&first, "units", "frame"), ["1", "3"]);
    let path = format!("units?frames=1-3x2,8&limit=2&cursor={}", first["next_cursor"]);
    let second = world.get(&at(&path)).await.json();
    assert_eq!(names(&second, "units", "frame"), ["8"]);
    assert_eq!((&second["has_more"], &second["next_cursor"]), (&false.into(), &Value::Null));
    let rendered = world.get(&at("units?state=rendered")).await.json();
    assert_eq!(names(&rendered, "units", "frame"), ["1", "2", "3"]);
    let first = world.get(&at("receipts?limit=2")).await.json();
    assert_eq!(
        (names(&first, "receipts", "file_name").len(), &first["next_cursor"]),
        (2, &2.into())
    );
    let second = world.get(&at("receipts?limit=2&cursor=2")).await.json();
    assert_eq!(names(&second, "receipts", "file_name"), ["demo_0003.png"]);
    assert_eq!(second["has_more"], false);
}

#[tokio::test]
async fn an_account_shows_what_is_free_and_what_its_jobs_hold() {
    let mut world = World::new().await;
    let payer = world.payer.address();
    let path = format!("/v1/accounts/{payer}");
    let empty = world.get(&path).await.json();
    assert_eq!((&empty["free"]["amount"], &empty["seq"]), (&"0".into(), &0.into()));
    let (_, order) = world.opened().await;
    let lower = world.get(&path.to_lowercase()).await.json();
    assert_eq!(lower["account"], payer.to_checksum(None));
    assert_eq!(lower["locked"]["amount"], order.cap.to_string());
    assert_eq!((&lower["pending"]["amount"], &lower["open_jobs"]), (&"0".into(), &1.into()));
    for bad in ["0x12", "nobody", &B256::ZERO.to_string()] {
        let answer = world.get(&format!("/v1/accounts/{bad}")).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "bad_id"), "{bad}");
    }
}

#[tokio::test]
async fn every_movement_of_an_account_is_listed_with_entries_that_balance() {
    let mut world = World::new().await;
    let account = Address::repeat_byte(0xac);
    for seq in 1..=3u64 {
        let amount = Amount::from(100u64);
        let free = Amount::from(100 * seq);
        let deposited = Deposited { account, from: account, amount, free, seq };
        let events = vec![world.event(Event::Deposited(deposited))];
        let block = events[0].block;
        let credit = Amount::ZERO;
        let accounts = vec![AccountState { account, block, log_index: 0, free, credit, seq }];
        world.mine(Step { events, accounts, ..Step::default() }).await;
    }
    let path = format!("/v1/accounts/{account}/ledger?limit=2");
    let first = world.get(&path).await.json();
    assert_eq!(names(&first, "events", "seq"), ["1", "2"], "{first}");
    let next = format!("{path}&cursor={}", first["next_cursor"].as_str().unwrap());
    let second = world.get(&next).await.json();
    assert_eq!(
        (names(&second, "events", "seq"), &second["has_more"]),
        (vec!["3".into()], &false.into())
    );
    assert_eq!(second["events"][0]["free"]["amount"], "300");
    let entries = second["events"][0]["entries"].as_array().unwrap();
    let side = |side: &str| -> u64 {
        let of_side = entries.iter().filter(|entry| entry["side"] == side);
        of_side
            .map(|entry| entry["amount"]["amount"].as_str().unwrap().parse::<u64>().unwrap())
            .sum()
    };
    assert_eq!((side("debit"), side("credit")), (100, 100));
    let foreign = world.get(&format!("{path}&cursor=7")).await;
    assert_eq!((foreign.status, foreign.code().as_str()), (400, "bad_cursor"));
}

#[tokio::test]
async fn a_node_is_shown_with_what_it_runs_and_has_at_stake() {
    let mut world = World::new().await;
    let (job_id, order) = world.opened().await;
    world.deliver(job_id, &order, &[0]).await;
    let path = format!("/v1/nodes/{}", world.node.address());
    let seen = world.get(&path).await.json();
    assert_eq!((&seen["bond"], &seen["seen_at"]["unix"]), (&Value::Null, &START.into()));
    let bond = BondState {
        signer: world.node.address(),
        block: 3,
        log_index: 0,
        owner: Address::repeat_byte(1),
        payout: Address::repeat_byte(2),
        capabilities_hash: B256::ZERO,
        bonded: 7u64.into(),
        unbonding: 5u64.into(),
        unbond_at: START,
        slashed: false,
        seq: 3,
    };
    let signer = Address::repeat_byte(9);
    let other = BondState { signer, unbond_at: 0, slashed: true, log_index: 1, ..bond.clone() };
    world.mine(Step { bonds: vec![bond, other], ..Step::default() }).await;
    let bond = world.get(&path).await.json()["bond"].clone();
    let text = |byte| json!(Address::repeat_byte(byte).to_checksum(None));
    assert_eq!((&bond["owner"], &bond["payout"]), (&text(1), &text(2)));
    assert_eq!(bond["registry"], json!(REGISTRY.to_checksum(None)));
    assert_eq!(
        (&bond["bonded"]["amount"], &bond["unbonding"]["amount"]),
        (&"7".into(), &"5".into())
    );
    assert_eq!((&bond["unbond_at"]["unix"], &bond["seq"]), (&START.into(), &3.into()));
    // One that never came to this settler's door is known by its bond alone.
    let other = world.get(&format!("/v1/nodes/{signer}")).await.json();
    assert_eq!((&other["seen_at"], &other["backends"]), (&Value::Null, &json!([])));
    assert_eq!(
        (&other["bond"]["slashed"], &other["bond"]["unbond_at"]),
        (&true.into(), &Value::Null)
    );
    let nobody = world.get(&format!("/v1/nodes/{}", Address::ZERO)).await;
    assert_eq!((nobody.status, nobody.code()), (404, "node_not_found".to_owned()));
}

#[tokio::test]
async fn contracts_tiers_and_chain_say_what_is_served() {
    let mut world = World::new().await;
    let (job_id, order) = world.opened().await;
    world.deliver(job_id, &order, &[0]).await;
    let contracts = world.get("/v1/contracts").await.json();
    assert_eq!(contracts["escrows"][0]["fee_bps"], 500);
    assert_eq!(contracts["escrows"][0]["decimals"], 18);
    let tiers = world.get("/v1/tiers").await.json();
    assert_eq!(names(&tiers, "tiers", "tier"), ["trusted", "priority", "economy"]);
    assert_eq!(tiers["tiers"][2]["unpaid_units"], 12);
    assert_eq!(tiers["tiers"][2]["bookable_nodes"], 1);
    let chain = world.get("/v1/chain").await.json();
    assert_eq!(
        (&chain["indexed"]["number"], &chain["heads"][0]["tag"]),
        (&2.into(), &"latest".into())
    );
    for page in ["/docs/", "/openapi.json", "/errors", "/errors/cap_too_small"] {
        assert_eq!(world.get(page).await.status, 200, "{page}");
    }
    let html = String::from_utf8(world.get("/docs/").await.bytes.to_vec()).unwrap();
    assert!(!html.contains("//cdn") && !html.contains("https://"), "docs must work offline");
}
