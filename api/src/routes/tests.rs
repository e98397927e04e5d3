//! Each bad request: its status, its code, a body that says what to do, and nothing stored.

use alloy::primitives::{Address, B256, Bytes};
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use contracts::{Amount, Order};
use serde_json::{Value, json};
use store::{DelegateState, JobState, Step};

use super::testing::{Answer, CHAIN, ESCROW, SCENE, START, World, name_of, picture, preview};
use super::*;

/// A refusal has the status and code, and every field that the design asks for.
fn refused(answer: &Answer, status: u16, code: &str) -> Value {
    let body = answer.json();
    assert_eq!((answer.status, answer.code().as_str()), (status, code), "{body}");
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert_eq!(body["status"], status);
    assert_eq!(body["type"], format!("/errors/{code}"));
    for field in ["title", "detail", "hint", "docs", "instance"] {
        assert!(body[field].as_str().is_some_and(|text| !text.is_empty()), "{field}: {body}");
    }
    let retry = body["retryable"].as_bool().unwrap();
    assert_eq!(answer.header("retry-after").is_empty(), !retry, "{body}");
    assert_eq!(answer.header("x-request-id").len(), 32);
    body
}

async fn no_order(world: &World, job_id: &Value) {
    let job_id: B256 = job_id.as_str().unwrap().parse().unwrap();
    assert_eq!(world.store.reader().order(job_id).await.unwrap(), None);
}

/// Method, path, content type, body; status and code of the answer.
type Case<'a> = (&'a str, &'a str, &'a str, &'a [u8], u16, &'a str);

#[tokio::test]
async fn what_axum_refuses_is_a_problem_too() {
    let world = World::new().await;
    let json = "application/json";
    let big = vec![b' '; 300 * 1024];
    let cases: [Case<'_>; 12] = [
        ("GET", "/nothing", "", b"", 404, "route_not_found"),
        ("GET", "/v1/nothing", "", b"", 404, "route_not_found"),
        ("DELETE", "/v1/jobs", "", b"", 405, "method_not_allowed"),
        ("POST", "/v1/quotes", "", b"{}", 415, "unsupported_media_type"),
        ("POST", "/v1/quotes", "text/plain", b"{}", 415, "unsupported_media_type"),
        ("POST", "/v1/quotes", json, b"{", 400, "bad_json"),
        ("POST", "/v1/quotes", json, b"{} {}", 422, "invalid_field"),
        ("POST", "/v1/quotes", json, &big, 413, "body_too_large"),
        ("GET", "/v1/jobs/0x12", "", b"", 400, "bad_id"),
        ("GET", "/v1/chain?colour=red", "", b"", 400, "bad_query"),
        ("GET", "/v1/jobs?limit=501", "", b"", 400, "bad_query"),
        ("GET", "/v1/jobs?cursor=7", "", b"", 400, "bad_cursor"),
    ];
    for (method, path, kind, body, status, code) in cases {
        let answer = world.call(method, path, kind, body).await;
        let problem = refused(&answer, status, code);
        assert_eq!(problem["instance"], path.split('?').next().unwrap());
    }
}

#[tokio::test]
async fn before_the_first_block_nothing_but_the_probe_of_life_answers() {
    let world = World::empty().await;
    assert_eq!(world.get("/livez").await.status, 200);
    refused(&world.get("/readyz").await, 503, "not_ready");
    refused(&world.get("/v1/jobs").await, 503, "not_ready");
    refused(&world.upload("?name=demo.pov", SCENE.as_bytes()).await, 503, "not_ready");
    assert_eq!(world.files(), 0);
}

#[tokio::test]
async fn readiness_ends_when_the_index_lags() {
    let world = World::new().await;
    assert_eq!(world.get("/readyz").await.status, 200);
    world.set_time(START + 61);
    let problem = refused(&world.get("/readyz").await, 503, "not_ready");
    assert!(problem["detail"].as_str().unwrap().contains("61 s"), "{problem}");
    assert_eq!(world.get("/v1/chain").await.json()["as_of"]["lag_seconds"], 61);
}

#[tokio::test]
async fn min_block_waits_and_then_says_how_far_the_index_is() {
    let world = World::new().await;
    assert_eq!(world.get("/v1/chain?min_block=1").await.status, 200);
    let problem = refused(&world.get("/v1/chain?min_block=2").await, 425, "index_behind");
    assert_eq!(problem["detail"], "the index is at block 1; min_block is 2");
}

#[tokio::test]
async fn uploads_that_are_no_scene_are_refused_and_nothing_is_stored() {
    let world = World::new().await;
    let cases: [(&str, &[u8], &str); 7] = [
        ("", b"", "not_a_scene"),
        ("", b"sphere { 0, 1 }", "not_a_scene"),
        ("?name=a.png", b"x", "not_a_scene"),
        ("?name=demo.pov", b"\xff\xfe\x00", "not_a_scene"),
        ("?name=../demo.pov", b"sphere { 0, 1 }", "archive_refused"),
        ("?name=scene.zip", b"no zip", "archive_refused"),
        ("", b"PK\x03\x04broken", "archive_refused"),
    ];
    for (query, bytes, code) in cases {
        refused(&world.upload(query, bytes).await, 422, code);
    }
    refused(&world.upload("?colour=red", b"x").await, 400, "bad_query");
    assert_eq!(world.files(), 0);
}

#[tokio::test]
async fn the_same_scene_twice_is_known() {
    let world = World::new().await;
    let first = world.upload("?name=demo.pov", SCENE.as_bytes()).await;
    let again = world.upload("?name=demo.pov", SCENE.as_bytes()).await;
    assert_eq!((first.status, again.status, world.files()), (201, 200, 1));
    assert_eq!(first.json()["scene_id"], again.json()["scene_id"]);
    let id = first.json()["scene_id"].as_str().unwrap().to_owned();
    assert_eq!(world.get(&format!("/v1/scenes/{id}")).await.json()["entries"][0], "demo.pov");
    let other = format!("/v1/scenes/{}", B256::ZERO);
    refused(&world.get(&other).await, 404, "scene_not_found");
}

#[tokio::test]
async fn bad_specs_are_refused_with_their_field() {
    let world = World::new().await;
    let spec = world.spec().await;
    let cases = [
        ("frames", json!("1-99999999"), 422, "invalid_spec", "spec.frames"),
        ("frames", json!("ten"), 422, "invalid_spec", "spec.frames"),
        ("frames", json!("1:100"), 422, "invalid_spec", "spec.frames"),
        ("frames", json!(""), 422, "invalid_spec", "spec.frames"),
        ("frames", json!(7), 422, "invalid_field", "spec.frames"),
        ("colour", json!("red"), 422, "unknown_field", "spec.colour"),
        ("engine", json!("paint"), 422, "invalid_field", "spec.engine"),
        ("scene", json!(B256::repeat_byte(0xab)), 404, "scene_not_found", "spec.scene"),
        ("entry", json!("other.pov"), 422, "invalid_spec", "spec.entry"),
        ("resolution", json!({"width": 0, "height": 1}), 422, "invalid_spec", "spec.resolution"),
    ];
    for (field, value, status, code, at) in cases {
        let mut bad = spec.clone();
        bad[field] = value;
        let answer = world.post("/v1/quotes", &json!({"spec": bad})).await;
        let problem = refused(&answer, status, code);
        assert!(problem["field"].as_str().unwrap().starts_with(at), "{problem}");
    }
    let poor = json!({"spec": spec, "max_spend": "5"});
    let problem = refused(&world.post("/v1/quotes", &poor).await, 422, "cap_too_small");
    assert_eq!(problem["field"], "max_spend");
    let number = json!({"spec": spec, "max_spend": 5});
    refused(&world.post("/v1/quotes", &number).await, 422, "invalid_field");
}

#[tokio::test]
async fn a_signed_order_is_taken_once_and_waits_for_its_money() {
    let world = World::new().await;
    let prepared = world.prepared().await;
    let body = json!({
        "order": prepared["order"], "signature": world.sign(&prepared["job_id"]), "name": "demo",
    });
    for _ in 0..2 {
        let answer = world.post("/v1/jobs", &body).await;
        assert_eq!(answer.status, 202, "{}", answer.json());
        assert_eq!(answer.json()["state"], "awaiting_funds");
        assert_eq!(answer.json()["job_id"], prepared["job_id"]);
    }
    let mut renamed = body.clone();
    renamed["name"] = json!("other");
    refused(&world.post("/v1/jobs", &renamed).await, 409, "order_conflict");
    let path = format!("/v1/jobs/{}/order", prepared["job_id"].as_str().unwrap());
    let shown = world.get(&path).await.json();
    assert_eq!(shown["signature"], Value::Null, "whoever has it could open the job");
}

#[tokio::test]
async fn orders_that_do_not_fit_are_refused_and_nothing_is_stored() {
    let world = World::new().await;
    let prepared = world.prepared().await;
    let order = &prepared["order"];
    let other = json!(B256::repeat_byte(0xaa));
    let zero = json!(alloy::primitives::Address::ZERO);
    let cases = [
        ("settler", json!(world.payer.address()), "order_mismatch"),
        ("fee_receiver", json!(world.payer.address()), "order_mismatch"),
        ("fee_bps", json!(0), "order_mismatch"),
        ("burn_bps", json!(1), "order_mismatch"),
        ("units", json!(13), "order_mismatch"),
        ("spec_hash", other.clone(), "order_mismatch"),
        ("max_unit_price", json!("1"), "order_mismatch"),
        ("open_by", json!(START + 9_000), "order_mismatch"),
        ("open_by", json!(START), "order_expired"),
        ("quote_hash", other, "quote_not_found"),
        ("cap", json!("5"), "cap_too_small"),
        ("review_seconds", json!(599), "order_refused"),
        ("claim_grace", json!(59), "order_refused"),
        ("refund_to", zero, "order_refused"),
        ("payer", json!(order["settler"]), "order_refused"),
        ("colour", json!("red"), "unknown_field"),
        ("cap", json!(5), "invalid_field"),
    ];
    for (field, value, code) in cases {
        let mut bad = order.clone();
        bad[field] = value;
        let signature = world.sign(&prepared["job_id"]);
        let answer = world.post("/v1/jobs", &json!({"order": bad, "signature": signature})).await;
        let status = if code == "quote_not_found" { 404 } else { 422 };
        let problem = refused(&answer, status, code);
        let at = problem["field"].as_str().unwrap();
        let named = format!("order.{field}");
        // The payer's side and the settler are one account: either may be named.
        assert!(at == named || at == "order.settler", "{at} for {named}");
        no_order(&world, &prepared["job_id"]).await;
    }
    assert!(world.store.reader().unopened_orders(START).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_claim_grace_in_which_no_unit_could_be_leased_is_refused() {
    let world = World::new().await;
    let mut spec = world.spec().await;
    spec["timeout_seconds"] = json!(3_600);
    let quote = world.post("/v1/quotes", &json!({"spec": spec})).await.json();
    let ask = |claim_grace: u64| {
        json!({
            "quote_hash": quote["quote_hash"],
            "payer": world.payer.address(),
            "claim_grace": claim_grace,
        })
    };
    let problem =
        refused(&world.post("/v1/jobs/prepare", &ask(5_399)).await, 422, "order_mismatch");
    assert_eq!(problem["field"], "claim_grace");
    assert!(problem["detail"].as_str().unwrap().contains("at least 5400"), "{problem}");
    assert_eq!(world.post("/v1/jobs/prepare", &ask(5_400)).await.status, 200);
}

#[tokio::test]
async fn a_delegates_order_is_taken_within_its_bounds_and_with_its_own_signature() {
    let mut world = World::new().await;
    let prepared = world.prepared().await;
    let agent = PrivateKeySigner::from_slice(&[8; 32]).unwrap();
    let digest: B256 = prepared["job_id"].as_str().unwrap().parse().unwrap();
    let signature = Bytes::from(agent.sign_hash_sync(&digest).unwrap().as_bytes());
    let order: Order = serde_json::from_value(prepared["order"].clone()).unwrap();
    let body = json!({"order": order, "signature": signature, "delegate": agent.address()});
    let refusal = async |world: &World, field: &str| {
        let problem = refused(&world.post("/v1/jobs", &body).await, 422, "delegate_refused");
        assert_eq!(problem["field"], field, "{problem}");
        no_order(world, &prepared["job_id"]).await;
    };
    refusal(&world, "delegate").await;
    let good = DelegateState {
        payer: order.payer,
        agent: agent.address(),
        block: 0,
        log_index: 0,
        settler: order.settler,
        allowance: order.cap,
        max_per_job: order.cap,
        expiry: START + 60,
    };
    let less = order.cap.checked_sub(Amount::from(1)).unwrap();
    let elsewhere = Address::repeat_byte(7);
    for (bounds, field) in [
        (DelegateState { expiry: START, ..good.clone() }, "delegate"),
        (DelegateState { settler: elsewhere, ..good.clone() }, "order.settler"),
        (DelegateState { allowance: less, ..good.clone() }, "order.cap"),
        (DelegateState { max_per_job: less, ..good.clone() }, "order.cap"),
    ] {
        world.mine_delegate(bounds).await;
        refusal(&world, field).await;
    }
    world.mine_delegate(good.clone()).await;
    let own = json!({"order": order, "signature": world.sign(&prepared["job_id"]),
        "delegate": agent.address()});
    refused(&world.post("/v1/jobs", &own).await, 422, "signature_invalid");
    let unnamed = json!({"order": order, "signature": signature});
    refused(&world.post("/v1/jobs", &unnamed).await, 422, "signature_invalid");
    for _ in 0..2 {
        let answer = world.post("/v1/jobs", &body).await;
        assert_eq!(answer.status, 202, "{}", answer.json());
    }
    let [taken] = &world.store.reader().unopened_orders(START).await.unwrap()[..] else {
        panic!("one order");
    };
    assert_eq!((taken.delegate, &taken.signature), (Some(agent.address()), &Some(signature)));
    // What returns of a delegate's job is its payer's alone.
    let other = Order { refund_to: elsewhere, ..order };
    let digest = contracts::order::job_id(&other, &contracts::order::domain(CHAIN, ESCROW));
    let signature = Bytes::from(agent.sign_hash_sync(&digest).unwrap().as_bytes());
    let body = json!({"order": other, "signature": signature, "delegate": agent.address()});
    let problem = refused(&world.post("/v1/jobs", &body).await, 422, "delegate_refused");
    assert_eq!(problem["field"], "order.refund_to");
}

#[tokio::test]
async fn signatures_of_others_and_for_elsewhere_are_refused() {
    let world = World::new().await;
    let prepared = world.prepared().await;
    let order = &prepared["order"];
    let digest: B256 = prepared["job_id"].as_str().unwrap().parse().unwrap();
    let stranger = PrivateKeySigner::from_slice(&[9; 32]).unwrap();
    let foreign = stranger.sign_hash_sync(&digest).unwrap().as_bytes();
    let foreign = json!(alloy::primitives::Bytes::from(foreign));
    for signature in
        [foreign, json!("0x"), json!("0x1234"), json!(format!("0x{}", "11".repeat(65)))]
    {
        let body = json!({"order": order, "signature": signature});
        let problem = refused(&world.post("/v1/jobs", &body).await, 422, "signature_invalid");
        assert_eq!(problem["field"], "signature");
    }
    let domain = |chain: u64, escrow: alloy::primitives::Address| {
        json!({
            "name": "RenderEscrow", "version": "1",
            "chainId": chain, "verifyingContract": escrow,
        })
    };
    let signature = world.sign(&prepared["job_id"]);
    let with = |domain: Value| json!({"order": order, "signature": signature, "domain": domain});
    let answer = world.post("/v1/jobs", &with(domain(1, ESCROW))).await;
    refused(&answer, 422, "wrong_chain");
    let elsewhere = domain(CHAIN, world.payer.address());
    refused(&world.post("/v1/jobs", &with(elsewhere)).await, 422, "wrong_escrow");
    no_order(&world, &prepared["job_id"]).await;
    assert_eq!(world.post("/v1/jobs", &with(domain(CHAIN, ESCROW))).await.status, 202);
}

#[tokio::test]
async fn an_order_and_its_quote_expire() {
    let world = World::new().await;
    let prepared = world.prepared().await;
    let body = json!({"order": prepared["order"], "signature": world.sign(&prepared["job_id"])});
    world.set_time(START + 3_600);
    refused(&world.post("/v1/jobs", &body).await, 422, "order_expired");
    let again = json!({
        "quote_hash": prepared["order"]["quote_hash"], "payer": world.payer.address(),
    });
    refused(&world.post("/v1/jobs/prepare", &again).await, 410, "quote_expired");
    no_order(&world, &prepared["job_id"]).await;
}

#[tokio::test]
async fn requests_that_say_too_much_or_too_little_are_refused() {
    let mut world = World::new().await;
    let prepared = world.prepared().await;
    let (order, job_id) = (&prepared["order"], &prepared["job_id"]);
    let signature = world.sign(job_id);
    let unopened = json!(B256::repeat_byte(0xbb));
    let cases = [
        (json!({}), 422, "invalid_field"),
        (json!({"order": order}), 422, "invalid_field"),
        (json!({"signature": signature}), 422, "invalid_field"),
        (json!({"order": order, "signature": signature, "opened": true}), 422, "invalid_field"),
        (json!({"opened": true}), 422, "invalid_field"),
        (json!({"opened": true, "order": order, "job_id": unopened}), 422, "invalid_field"),
        (json!({"opened": true, "job_id": unopened}), 409, "not_opened"),
        (json!({"order": order, "signature": signature, "name": ""}), 422, "invalid_field"),
        (json!({"order": order, "signature": signature, "name": "a\nb"}), 422, "invalid_field"),
        (json!({"order": order, "signature": signature, "tip": 1}), 422, "unknown_field"),
    ];
    for (body, status, code) in cases {
        refused(&world.post("/v1/jobs", &body).await, status, code);
        no_order(&world, job_id).await;
    }
    let (job_id, _) = world.opened().await;
    let opened = world.post("/v1/jobs", &json!({"opened": true, "job_id": job_id})).await;
    assert_eq!((opened.status, opened.json()["state"].as_str()), (201, Some("queued")));
}

#[tokio::test]
async fn a_review_is_prepared_signed_and_kept_word_for_word() {
    let mut world = World::new().await;
    let (job_id, order) = world.opened().await;
    let (whole, _) = world.deliver(job_id, &order, &[0, 1]).await;
    let (part, _) = world.deliver(job_id, &order, &[2, 3, 4]).await;
    let path = format!("/v1/jobs/{job_id}/approve");
    let mut body = json!({"frames": "1-3,5", "prepare": true});
    let prepared = world.post(&path, &body).await;
    assert_eq!(prepared.status, 200, "{}", prepared.json());
    let words = prepared.json()["words"].clone();
    let kinds: Vec<&str> =
        words.as_array().unwrap().iter().map(|word| word["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["approval", "rejection", "approval"]);
    assert_eq!(words[1]["frames"], "4");
    assert_eq!(words[0]["call"], Value::Null, "the lots are not on chain");
    body["prepare"] = json!(false);
    let signatures: Vec<Value> =
        words.as_array().unwrap().iter().map(|word| world.sign(&word["digest"])).collect();

    body["signatures"] = json!(signatures[..2]);
    refused(&world.post(&path, &body).await, 409, "review_changed");
    body["signatures"] = json!([signatures[1], signatures[0], signatures[2]]);
    refused(&world.post(&path, &body).await, 422, "signature_invalid");
    let reader = world.store.reader();
    assert!(reader.approvals_of_job(job_id).await.unwrap().is_empty());
    assert!(reader.rejections_of_job(job_id).await.unwrap().is_empty());

    body["signatures"] = json!(signatures);
    let answer = world.post(&path, &body).await;
    assert_eq!(answer.status, 202, "{}", answer.json());
    assert_eq!(answer.json()["units"]["rejected"], 1);
    let rejections = reader.rejections_of_job(job_id).await.unwrap();
    assert_eq!(rejections.len(), 1);
    assert_eq!(rejections[0].mask, alloy::primitives::U256::from(0b1000));
    let approvals = reader.approvals_of_job(job_id).await.unwrap();
    let mut names: Vec<B256> = approvals.iter().map(|approval| approval.lots_hash).collect();
    names.sort();
    let mut wanted = [name_of(job_id, &[&whole]), name_of(job_id, &[&part])];
    wanted.sort();
    assert_eq!(names, wanted);
    assert!(approvals.iter().all(|approval| approval.signer == world.payer.address()));

    let again = world.post(&path, &body).await;
    assert_eq!(again.status, 200, "nothing is left to sign: {}", again.json());
    let reject = format!("/v1/jobs/{job_id}/reject");
    let late = json!({"frames": "1", "prepare": true});
    refused(&world.post(&reject, &late).await, 409, "already_approved");
    let twice = json!({"frames": "4", "prepare": true});
    refused(&world.post(&reject, &twice).await, 409, "already_rejected");
}

#[tokio::test]
async fn reviews_of_what_cannot_be_reviewed_are_refused() {
    let mut world = World::new().await;
    let draft = world.prepared().await;
    let body = json!({"order": draft["order"], "opened": true});
    assert_eq!(world.post("/v1/jobs", &body).await.status, 202);
    let drafted = format!("/v1/jobs/{}/approve", draft["job_id"].as_str().unwrap());
    let ask = json!({"frames": "1", "prepare": true});
    refused(&world.post(&drafted, &ask).await, 409, "not_opened");
    world.set_time(START + 1);
    let (job_id, order) = world.opened().await;
    let (lot, _) = world.deliver(job_id, &order, &[0, 1]).await;
    world.commit(job_id, &lot).await;
    let path = |verb: &str| format!("/v1/jobs/{job_id}/{verb}");
    let cases = [
        (json!({"frames": "3", "prepare": true}), 409, "not_rendered"),
        (json!({"frames": "13", "prepare": true}), 400, "bad_frames"),
        (json!({"frames": "one", "prepare": true}), 400, "bad_frames"),
        (json!({"frames": "1"}), 422, "invalid_field"),
        (json!({"frames": "1", "prepare": true, "signatures": []}), 422, "invalid_field"),
        (json!({"prepare": true}), 422, "invalid_field"),
        (json!({"frames": "1", "prepare": true, "colour": 1}), 422, "unknown_field"),
        (
            json!({"frames": "1", "prepare": true, "reason": "x".repeat(1_001)}),
            422,
            "invalid_field",
        ),
    ];
    for (body, status, code) in cases {
        for verb in ["approve", "reject"] {
            refused(&world.post(&path(verb), &body).await, status, code);
        }
    }
    let committed = world.post(&path("approve"), &json!({"frames": "1-2", "prepare": true})).await;
    let call = &committed.json()["words"][0]["call"];
    assert!(call["data"].as_str().is_some_and(|data| data.len() > 10), "{call}");
    world.set_time(START + 700);
    world.mine(Step::default()).await;
    for verb in ["approve", "reject"] {
        refused(&world.post(&path(verb), &ask).await, 409, "window_over");
    }
    let nowhere = format!("/v1/jobs/{}/approve", B256::ZERO);
    refused(&world.post(&nowhere, &ask).await, 404, "job_not_found");
}

#[tokio::test]
async fn a_close_is_asked_for_by_signature_and_only_while_there_is_something_to_close() {
    let mut world = World::new().await;
    let (job_id, order) = world.opened().await;
    let path = format!("/v1/jobs/{job_id}/close");
    refused(&world.post(&path, &json!({})).await, 422, "invalid_field");
    let prepared = world.post(&path, &json!({"prepare": true})).await.json();
    assert_eq!(prepared["typed_data"]["primaryType"], "CloseRequest");
    let wrong = json!({"signature": world.sign(&json!(B256::ZERO))});
    refused(&world.post(&path, &wrong).await, 422, "signature_invalid");
    assert_eq!(world.store.reader().close_request(job_id).await.unwrap(), None);
    let right = json!({"signature": world.sign(&prepared["digest"])});
    for _ in 0..2 {
        let answer = world.post(&path, &right).await;
        assert_eq!((answer.status, answer.json()["state"].as_str()), (202, Some("closing")));
    }
    let asked = JobState { close_requested: true, job_seq: 2, ..world.job_state(job_id, &order) };
    world.mine(Step { jobs: vec![asked.clone()], ..Step::default() }).await;
    refused(&world.post(&path, &right).await, 409, "close_requested");
    let closed = JobState { closed: true, job_seq: 3, ..world.job_state(job_id, &order) };
    world.mine(Step { jobs: vec![closed], ..Step::default() }).await;
    refused(&world.post(&path, &right).await, 409, "job_closed");
}

#[tokio::test]
async fn files_follow_the_payment() {
    let mut world = World::new().await;
    let (job_id, order) = world.opened().await;
    let at = |path: &str| format!("/v1/jobs/{job_id}/{path}");
    refused(&world.get(&at("previews/0")).await, 404, "preview_not_found");
    refused(&world.get(&at("previews/12")).await, 404, "unit_not_found");
    refused(&world.get(&at("outputs/x")).await, 400, "bad_id");
    let (lot, key) = world.deliver(job_id, &order, &[0, 1]).await;
    let shown = world.get(&at("previews/1")).await;
    assert_eq!((shown.status, &shown.bytes[..]), (200, &preview(1)[..]));
    assert_eq!(shown.header("content-type"), "image/jpeg");
    refused(&world.get(&at("outputs/0")).await, 409, "not_paid");
    refused(&world.get(&at("outputs/0?sealed=true")).await, 409, "still_sealed");
    refused(&world.get(&at("outputs.zip?frames=1")).await, 409, "not_paid");
    refused(&world.get(&at("outputs.zip")).await, 409, "not_paid");
    world.commit(job_id, &lot).await;
    refused(&world.get(&at("outputs/0")).await, 409, "not_paid");
    world.settle(job_id, &lot, &key).await;
    let paid = world.get(&at("outputs/0")).await;
    assert_eq!((paid.status, &paid.bytes[..]), (200, &picture(0)[..]));
    assert!(paid.header("render-as-of").contains("\"block_number\":4"));
    let sealed = world.get(&at("outputs/0?sealed=true")).await;
    assert_eq!((sealed.status, &sealed.bytes[..8]), (200, &b"RNDRENC1"[..]));
    refused(&world.get(&at("outputs.zip?frames=1-3")).await, 409, "not_paid");
    let zip = world.get(&at("outputs.zip")).await;
    assert_eq!((zip.status, &zip.bytes[..4]), (200, &b"PK\x03\x04"[..]));
    let receipts = world.get(&at("receipts?frames=2")).await.json();
    assert_eq!(receipts["receipts"].as_array().unwrap().len(), 1);
    assert_eq!(receipts["receipts"][0]["file_name"], "demo_0002.png");
}

#[tokio::test]
async fn a_final_is_served_in_part_and_never_beyond_its_end() {
    let mut world = World::new().await;
    let (job_id, order) = world.opened().await;
    let (lot, key) = world.deliver(job_id, &order, &[0]).await;
    world.commit(job_id, &lot).await;
    world.settle(job_id, &lot, &key).await;
    let path = format!("/v1/jobs/{job_id}/outputs/0");
    let ask = |range: &str, known: &str| {
        let request = axum::http::Request::builder().uri(&path).header("range", range);
        let request = if known.is_empty() { request } else { request.header("if-range", known) };
        request.body(axum::body::Body::empty()).unwrap()
    };
    let part = world.send(ask("bytes=8-9", "")).await;
    assert_eq!((part.status, &part.bytes[..]), (206, &picture(0)[8..10]));
    assert_eq!(part.header("content-range"), "bytes 8-9/17");
    let tag = part.header("etag").to_owned();
    assert_eq!(world.send(ask("bytes=8-9", &tag)).await.status, 206);
    assert_eq!(world.send(ask("bytes=8-9", "\"other\"")).await.status, 200);
    let beyond = world.send(ask("bytes=17-", "")).await;
    refused(&beyond, 416, "range_not_satisfiable");
    assert_eq!(beyond.header("content-range"), "bytes */17");
}

#[tokio::test]
async fn a_missing_or_damaged_file_is_told_and_not_served() {
    let mut world = World::new().await;
    let (job_id, order) = world.opened().await;
    let (lot, key) = world.deliver(job_id, &order, &[0, 1]).await;
    world.commit(job_id, &lot).await;
    world.settle(job_id, &lot, &key).await;
    let receipts = world.store.reader().receipts_of_job(job_id).await.unwrap();
    world.store.objects().delete(receipts[0].stored_hash).await.unwrap();
    refused(&world.get(&format!("/v1/jobs/{job_id}/outputs/0")).await, 410, "file_gone");
    refused(&world.get(&format!("/v1/jobs/{job_id}/outputs.zip")).await, 410, "file_gone");
    let name = alloy::primitives::hex::encode(receipts[1].stored_hash);
    std::fs::write(world.objects.join(&name[..2]).join(&name), b"altered").unwrap();
    refused(&world.get(&format!("/v1/jobs/{job_id}/outputs/1")).await, 500, "file_damaged");
}

/// `UPDATE_OPENAPI=1 cargo test` writes it anew.
#[test]
fn the_checked_in_document_is_the_served_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        std::fs::write(path, openapi()).unwrap();
    }
    let checked_in = std::fs::read_to_string(path).unwrap();
    assert!(checked_in == openapi(), "run UPDATE_OPENAPI=1 cargo test --workspace openapi");
}

#[test]
fn every_operation_is_described_and_can_be_refused() {
    let document: Value = serde_json::from_str(&openapi()).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() > 20, "{}", paths.len());
    for (path, item) in paths {
        for (method, operation) in item.as_object().unwrap() {
            let name = format!("{method} {path}");
            assert!(operation["summary"].is_string(), "{name}");
            assert!(operation["responses"]["default"].is_object(), "{name}");
            assert!(operation["tags"].is_array(), "{name}");
        }
    }
}
