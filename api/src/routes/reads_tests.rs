//! What is read at which head, kept by whom, and how a walk goes on over a reorg.

use alloy::primitives::{Address, B256};
use axum::body::Body;
use axum::http::Request;
use contracts::Amount;
use contracts::event::{Deposited, Event};
use contracts::registry::RegistryEvent;
use serde_json::{Value, json};
use store::{AccountState, BondState, RegistryRow, Step, Verified};

use super::testing::{Answer, World};
use crate::edge::cursor::{Cursor, LAST_HASH};

const ACCOUNT: Address = Address::repeat_byte(0xac);

/// Mines a block that adds 100 to the account, `seq` being the number of times so far.
async fn deposit(world: &mut World, seq: u64) {
    let (amount, free) = (Amount::from(100u64), Amount::from(100 * seq));
    let event = Deposited { account: ACCOUNT, from: ACCOUNT, amount, free, seq };
    let events = vec![world.event(Event::Deposited(event))];
    let (block, log_index, credit) = (events[0].block, 0, Amount::ZERO);
    let accounts = vec![AccountState { account: ACCOUNT, block, log_index, free, credit, seq }];
    world.mine(Step { events, accounts, ..Step::default() }).await;
}

/// Blocks 2 to 6, each with a deposit.
async fn unsettled_deposits() -> World {
    let mut world = World::new().await;
    for seq in 1..=5 {
        deposit(&mut world, seq).await;
    }
    world
}

/// The same; 4 is safe and 3 is final.
async fn five_deposits() -> World {
    let world = unsettled_deposits().await;
    world.heads(4, 3).await;
    world
}

fn at_block(answer: &Value) -> u64 {
    answer["as_of"]["block_number"].as_u64().unwrap()
}

fn list<'a>(answer: &'a Value, field: &str) -> Vec<&'a Value> {
    answer["events"].as_array().unwrap().iter().map(|event| &event[field]).collect()
}

fn blocks(answer: &Value) -> Vec<u64> {
    list(answer, "block").into_iter().map(|block| block.as_u64().unwrap()).collect()
}

/// The path of `rel=next`.
fn next(answer: &Answer) -> Option<String> {
    let link = answer.header("link");
    let path = link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\""));
    assert_eq!(path.is_some(), answer.json()["has_more"] == true, "{link}");
    path.map(str::to_owned)
}

async fn with_header(world: &World, method: &str, path: &str, name: &str, value: &str) -> Answer {
    let request = Request::builder().method(method).uri(path).header(name, value);
    world.send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn a_tag_picks_the_head_that_the_chain_s_part_is_read_at() {
    let world = five_deposits().await;
    for (tag, block, free) in [("latest", 6, "500"), ("safe", 4, "300"), ("finalized", 3, "200")] {
        let account = world.get(&format!("/v1/accounts/{ACCOUNT}?tag={tag}")).await.json();
        assert_eq!((at_block(&account), &account["as_of"]["tag"]), (block, &tag.into()));
        assert_eq!(account["free"]["amount"], free, "{tag}");
        for path in ["/v1/events", &format!("/v1/accounts/{ACCOUNT}/ledger")] {
            let events = world.get(&format!("{path}?tag={tag}")).await.json();
            assert_eq!((at_block(&events), blocks(&events)), (block, (2..=block).collect()));
        }
        let lag = &account["as_of"]["lag_seconds"];
        assert_eq!(lag.is_null(), tag == "finalized", "{account}");
        let chain = world.get(&format!("/v1/chain?tag={tag}")).await.json();
        assert_eq!((at_block(&chain), &chain["indexed"]["number"]), (block, &6.into()));
        assert_eq!(chain["lag_seconds"], 0);
    }
    for bad in ["tag=pending", "tag=", "tag=Final"] {
        let answer = world.get(&format!("/v1/chain?{bad}")).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "bad_query"), "{bad}");
        assert_eq!(answer.json()["field"], "tag");
    }
    // What is handed in is handed in now.
    let answer = world.post("/v1/jobs/prepare?tag=finalized", &json!({})).await;
    assert!(answer.status >= 400, "{}", answer.json());
}

#[tokio::test]
async fn a_job_at_a_head_below_its_opening_is_not_there_yet() {
    let mut world = World::new().await;
    world.heads(1, 1).await;
    let (job_id, _) = world.opened().await;
    let show = |tag| format!("/v1/jobs/{job_id}?tag={tag}");
    assert_eq!(world.get(&show("latest")).await.json()["opened_block"], 2);
    assert_eq!(world.get(&show("finalized")).await.code(), "job_not_found");
    let jobs = world.get("/v1/jobs?tag=finalized").await.json();
    assert_eq!((jobs["jobs"].as_array().unwrap().len(), at_block(&jobs)), (0, 1));
    world.heads(2, 2).await;
    assert_eq!(world.get(&show("finalized")).await.json()["opened_block"], 2);
}

#[tokio::test]
async fn nothing_is_final_before_the_chain_says_so_or_while_logs_are_unproven() {
    let mut world = World::new().await;
    deposit(&mut world, 1).await;
    let early = world.get("/v1/chain?tag=finalized").await;
    assert_eq!((early.status, early.code().as_str()), (425, "tag_unavailable"));
    assert_eq!(early.header("retry-after"), "5");
    world.verified = Verified::LogsOnly;
    deposit(&mut world, 2).await;
    world.verified = Verified::Bloom;
    deposit(&mut world, 3).await;
    world.heads(4, 2).await;
    assert_eq!(at_block(&world.get("/v1/chain?tag=finalized").await.json()), 2);
    world.heads(4, 4).await;
    let unproven = world.get("/v1/chain?tag=finalized").await;
    assert_eq!((unproven.status, unproven.code().as_str()), (425, "tag_unavailable"));
    assert!(unproven.json()["detail"].as_str().unwrap().contains("block 3"));
    // The chain calls block 4 final; what is read from it here is not.
    let chain = world.get("/v1/chain").await.json();
    let said = (&chain["as_of"]["tag"], &chain["as_of"]["verified"]);
    assert_eq!(said, (&"safe".into(), &"logs_only".into()));
    assert_eq!(
        (&chain["indexed"]["verified"], &chain["first_unproven"]),
        (&"bloom".into(), &3.into())
    );
    let share = json!({ "blocks": 4, "bloom": 1, "receipts": 2, "logs_only": 1 });
    assert_eq!(chain["proven"], share);
    // Below it, pages may still be kept.
    let below = world.get("/v1/events?tag=finalized&before=3").await;
    assert_eq!(below.code(), "tag_unavailable");
}

#[tokio::test]
async fn final_facts_are_told_apart_by_their_block_and_kept_for_ever_when_it_is_named() {
    let mut world = five_deposits().await;
    let (path, pinned) = ("/v1/events?tag=finalized", "/v1/events?tag=finalized&before=3&limit=1");
    for path in [path, &format!("/v1/accounts/{ACCOUNT}?tag=finalized")] {
        let first = world.get(path).await;
        let etag = first.header("etag").to_owned();
        let hash = first.json()["as_of"]["block_hash"].as_str().unwrap()[2..].to_owned();
        assert!(etag.starts_with(&format!("\"{hash}-")), "{etag}");
        assert_eq!(first.header("cache-control"), "no-cache");
        let same = with_header(&world, "GET", path, "if-none-match", &etag).await;
        assert_eq!((same.status, same.bytes.len(), same.header("etag")), (304, 0, etag.as_str()));
        assert!(same.header("render-as-of").contains(&hash));
        let other = with_header(&world, "GET", path, "if-none-match", "\"other\"").await;
        assert_eq!((other.status, &other.bytes), (200, &first.bytes));
    }
    let kept = world.get(pinned).await;
    assert_eq!(kept.header("cache-control"), "public, max-age=31536000, immutable");
    assert_eq!((at_block(&kept.json()), blocks(&kept.json())), (2, vec![2]));
    let before = world.get(path).await;
    world.set_time(super::testing::START + 1_000);
    deposit(&mut world, 6).await;
    world.heads(6, 5).await;
    assert_eq!(world.get(pinned).await.bytes, kept.bytes);
    assert_ne!(world.get(path).await.header("etag"), before.header("etag"));
    // Not final yet: nobody keeps it.
    for open in ["/v1/events?before=3", "/v1/events?tag=safe", "/v1/events?tag=finalized&before=7"]
    {
        let answer = world.get(open).await;
        let is_final = open.contains("finalized");
        assert_eq!(answer.header("cache-control"), if is_final { "no-cache" } else { "no-store" });
        assert_eq!(answer.header("etag").is_empty(), !is_final, "{open}");
    }
}

#[tokio::test]
async fn a_resource_keeps_its_etag_while_its_data_stay_the_same() {
    let mut world = five_deposits().await;
    let (job_id, _) = world.opened().await;
    for path in [format!("/v1/accounts/{ACCOUNT}"), format!("/v1/jobs/{job_id}/order")] {
        let first = world.get(&path).await;
        let etag = first.header("etag").to_owned();
        assert!(etag.len() > 40 && first.header("cache-control") == "no-store", "{etag}");
        world.mine(Step::default()).await;
        let same = with_header(&world, "GET", &path, "if-none-match", &etag).await;
        assert_eq!(same.status, 304);
        let now: Value = serde_json::from_str(same.header("render-as-of")).unwrap();
        assert_eq!(now["block_number"].as_u64(), Some(at_block(&first.json()) + 1));
    }
    let path = format!("/v1/accounts/{ACCOUNT}");
    let etag = world.get(&path).await.header("etag").to_owned();
    deposit(&mut world, 6).await;
    let changed = with_header(&world, "GET", &path, "if-none-match", &etag).await;
    assert_eq!((changed.status, &changed.json()["free"]["amount"]), (200, &"600".into()));
    assert_ne!(changed.header("etag"), etag);
}

#[tokio::test]
async fn head_says_what_get_says_without_a_body() {
    let world = five_deposits().await;
    for path in ["/v1/events?limit=2", "/v1/events?tag=finalized", "/v1/events?limit=0", "/v1/none"]
    {
        let (get, head) = (world.get(path).await, world.call("HEAD", path, "", b"").await);
        assert_eq!((head.status, head.bytes.len()), (get.status, 0), "{path}");
        for name in ["content-type", "cache-control", "etag", "link", "content-length"] {
            assert_eq!(head.header(name), get.header(name), "{path}: {name}");
        }
    }
}

#[tokio::test]
async fn events_of_both_contracts_are_listed_typed_and_filtered() {
    let mut world = five_deposits().await;
    let (job_id, order) = world.opened().await;
    let (signer, owner) = (Address::repeat_byte(9), Address::repeat_byte(8));
    let seq = 1;
    let event = RegistryEvent::Bonded {
        signer,
        from: owner,
        amount: 7u64.into(),
        bonded: 7u64.into(),
        seq,
    };
    let opened = world.event(Event::Deposited(Deposited {
        account: ACCOUNT,
        from: ACCOUNT,
        amount: 1u64.into(),
        free: 1u64.into(),
        seq: 9,
    }));
    let (block, tx_hash) = (opened.block, opened.tx_hash);
    let registry = vec![RegistryRow { block, log_index: 4, tx_hash, event }];
    world.mine(Step { registry, ..Step::default() }).await;

    let all = world.get("/v1/events?limit=500").await.json();
    assert_eq!(blocks(&all), [2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(all["decimals"], 18);
    let first = &all["events"][0];
    let names = ["contract", "kind", "log_index", "block_hash"].map(|name| first[name].clone());
    let hash = json!("0x0000000000000000000000000000000000000000000000000000000000000003");
    assert_eq!(names, [json!("escrow"), json!("deposited"), json!(0), hash]);
    let account = ACCOUNT.to_checksum(None);
    let data = json!({
        "event": "deposited", "account": account, "from": account, "amount": "100", "free": "100",
        "seq": 1
    });
    assert_eq!(first["data"], data);
    let bonded = &all["events"][6];
    assert_eq!((&bonded["contract"], &bonded["kind"]), (&"registry".into(), &"bonded".into()));
    assert_eq!(bonded["data"]["from"], owner.to_checksum(None));
    let order_of = &all["events"][5]["data"]["order"];
    assert_eq!(*order_of, serde_json::to_value(&order).unwrap());

    let of_job = world.get(&format!("/v1/jobs/{job_id}/events")).await.json();
    assert_eq!(list(&of_job, "kind"), ["opened"]);
    for list in ["jobs", "ledger"] {
        let path = format!("/v1/accounts/{}/{list}", world.payer.address());
        assert_eq!(world.get(&path).await.status, 200);
    }
    let jobs = world.get(&format!("/v1/accounts/{}/jobs", world.payer.address())).await.json();
    assert_eq!(jobs["jobs"][0]["job_id"], job_id.to_string());
    let none = world.get(&format!("/v1/nodes/{signer}/jobs")).await.json();
    assert_eq!(none["jobs"], json!([]));
    filters_pick(&world, job_id, owner, signer).await;
}

async fn filters_pick(world: &World, job_id: B256, owner: Address, signer: Address) {
    for (filter, found) in [
        ("kind=opened".to_owned(), vec![7]),
        (format!("job={job_id}"), vec![7]),
        (format!("job={job_id}&kind=closed"), vec![]),
        (format!("account={ACCOUNT}&after=4"), vec![5, 6]),
        (format!("account={owner}"), vec![8]),
        (format!("node={signer}"), vec![8]),
        ("contract=registry".to_owned(), vec![8]),
        ("kind=bonded&contract=escrow".to_owned(), vec![]),
        ("after=2&before=5&sort=newest".to_owned(), vec![4, 3]),
        (format!("after={}", u64::MAX), vec![]),
        (format!("before={}&after=7", u64::MAX), vec![8]),
    ] {
        let answer = world.get(&format!("/v1/events?{filter}")).await;
        assert_eq!((answer.status, blocks(&answer.json())), (200, found), "{filter}");
    }
    for bad in ["kind=Deposited", "kind=none", "limit=501", "job=7", "sort=up", "colour=red"] {
        let answer = world.get(&format!("/v1/events?{bad}")).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "bad_query"), "{bad}");
    }
}

#[tokio::test]
async fn the_end_of_a_list_is_a_place_to_come_back_to() {
    let mut world = five_deposits().await;
    let all = world.get("/v1/events").await;
    assert_eq!(next(&all), None);
    let cursor = all.json()["next_cursor"].as_str().unwrap().to_owned();
    let path = format!("/v1/events?cursor={cursor}");
    let nothing = world.get(&path).await.json();
    assert_eq!((blocks(&nothing), &nothing["next_cursor"]), (vec![], &cursor.into()));
    deposit(&mut world, 6).await;
    assert_eq!(blocks(&world.get(&path).await.json()), [7]);
}

#[tokio::test]
async fn a_walk_that_a_reorg_overtakes_goes_on_at_the_fork() {
    let mut world = unsettled_deposits().await;
    for sort in ["oldest", "newest"] {
        let start = format!("/v1/events?sort={sort}&limit=2");
        let first = world.get(&start).await;
        let path = next(&first).unwrap();
        // Deeper than anything that the walk has shown, whichever way it goes.
        let (depth, fork) = if sort == "oldest" { (4, 2) } else { (2, 4) };
        world.rewind(depth).await;
        world.fork += 1;
        for seq in 0..depth {
            deposit(&mut world, 10 + seq).await;
        }
        let gone = world.get(&path).await;
        let problem = gone.json();
        assert_eq!((gone.status, gone.code().as_str()), (410, "cursor_gone"), "{sort}");
        assert_eq!(problem["fork"]["block"], fork, "{problem}");
        let cursor = problem["fork"]["cursor"].as_str().unwrap();
        let on = world.get(&format!("/v1/events?sort={sort}&cursor={cursor}")).await;
        let wanted = if sort == "oldest" { vec![3, 4, 5, 6] } else { vec![4, 3, 2] };
        assert_eq!((on.status, blocks(&on.json())), (200, wanted), "{sort}: {}", on.json());
        // Reorgs above what a walk has shown do not concern it.
        let low = world.get("/v1/events?limit=2").await;
        world.rewind(1).await;
        world.fork += 1;
        deposit(&mut world, 20).await;
        assert_eq!(blocks(&world.get(&next(&low).unwrap()).await.json())[0], 4);
    }
    let unknown = Cursor { block: 3, hash: B256::ZERO, ..cursor() };
    let gone = world.get(&format!("/v1/events?cursor={}", unknown.text())).await;
    assert_eq!((gone.status, &gone.json()["fork"]), (410, &Value::Null));
    for bad in ["7", "zz", &Cursor { place: LAST_HASH, ..known(&world).await }.text()] {
        let answer = world.get(&format!("/v1/events?cursor={bad}")).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "bad_cursor"), "{bad}");
    }
}

fn cursor() -> Cursor {
    let (hash, place) = (B256::ZERO, Cursor::log(0));
    Cursor { block: 1, hash, place, top: 1, journal: 99 }
}

async fn known(world: &World) -> Cursor {
    let block = world.store.reader().block(2).await.unwrap().unwrap();
    Cursor { block: 2, hash: block.hash, top: 2, ..cursor() }
}

#[tokio::test]
async fn the_journal_of_reorgs_is_paged_newest_first() {
    let mut world = five_deposits().await;
    for depth in [1, 2, 1] {
        world.rewind(depth).await;
        world.fork += 1;
        world.mine(Step::default()).await;
    }
    let first = world.get("/v1/chain/reorgs?limit=2").await;
    let rows = |answer: &Answer| {
        let rows = answer.json()["reorgs"].as_array().unwrap().clone();
        rows.iter()
            .map(|row| {
                ["number", "fork_block", "old_block", "depth"].map(|name| row[name].as_i64())
            })
            .collect::<Vec<_>>()
    };
    let row = |number, fork, old| [Some(number), Some(fork), Some(old), Some(old - fork)];
    assert_eq!(rows(&first), [row(3, 4, 5), row(2, 4, 6)]);
    let second = world.get(&next(&first).unwrap()).await;
    assert_eq!((rows(&second), next(&second)), (vec![row(1, 5, 6)], None));
}

#[tokio::test]
async fn nodes_are_listed_in_the_order_of_their_registration() {
    let mut world = World::new().await;
    for (byte, seq) in [(5_u8, 1), (3, 1), (4, 1)] {
        let (signer, owner, payout) =
            (Address::repeat_byte(byte), Address::repeat_byte(1), Address::repeat_byte(2));
        let capabilities_hash = B256::ZERO;
        let event = RegistryEvent::Registered { signer, owner, payout, capabilities_hash, seq };
        let place = world.event(Event::Paused(contracts::event::Paused { until: 1, seq: 1 }));
        let (block, log_index, tx_hash) = (place.block, 0, place.tx_hash);
        let bond = BondState {
            signer,
            block,
            log_index,
            owner,
            payout,
            capabilities_hash,
            bonded: 7u64.into(),
            unbonding: 0u64.into(),
            unbond_at: 0,
            slashed: false,
            seq,
        };
        let registry = vec![RegistryRow { block, log_index, tx_hash, event }];
        world.mine(Step { registry, bonds: vec![bond], ..Step::default() }).await;
    }
    let (mut found, mut path) = (vec![], Some("/v1/nodes?limit=2".to_owned()));
    while let Some(page) = path {
        let answer = world.get(&page).await;
        for node in answer.json()["nodes"].as_array().unwrap() {
            assert_eq!(node["bond"]["bonded"]["amount"], "7");
            found.push((node["node"].clone(), node["registered_block"].clone()));
        }
        path = next(&answer);
    }
    let node =
        |byte, block: u64| (json!(Address::repeat_byte(byte).to_checksum(None)), json!(block));
    assert_eq!(found, [node(5, 2), node(3, 3), node(4, 4)]);
}
