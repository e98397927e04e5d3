//! Bad input of every kind: a clear refusal with cause and next step, and nothing changed.

use std::path::{Path, PathBuf};

use alloy::primitives::{Address, B256, U256};
use alloy::providers::Provider;
use alloy::signers::local::PrivateKeySigner;
use async_zip::base::write::ZipFileWriter;
use async_zip::{Compression, ZipEntryBuilder};
use contracts::revert::{self, explain_revert};
use contracts::{Amount, LegacyRndr, Order, RenderEscrow, order};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use settler::node::agent;
use settler::node::povray::Povray;
use store::Store;

use crate::world::counter::{Counter, signed, spec};
use crate::world::desk::Desk;
use crate::world::studio::Studio;
use crate::world::{RNDR, Running, World, eventually, wallet};

const SCENE: &str = "camera { location <0, 1, -4> look_at 0 }\nsphere { 0, 1 }\n";
/// Every table that a request could write to, or that money shows in.
const TABLES: [&str; 19] = [
    "specs",
    "quotes",
    "scenes",
    "orders",
    "approvals",
    "approval_lots",
    "rejections",
    "close_requests",
    "nodes",
    "leases",
    "attempts",
    "receipts",
    "lot_drafts",
    "outbox",
    "outbox_transactions",
    "events",
    "job_orders",
    "lots",
    "account_states",
];

/// The same JSON with one value put in, whatever stood there.
fn with(mut value: Value, pointer: &str, new: impl Into<Value>) -> Value {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    value.pointer_mut(parent).unwrap()[key] = new.into();
    value
}

fn zip(name: &str, bytes: &str) -> Vec<u8> {
    futures::executor::block_on(async {
        let mut writer = ZipFileWriter::new(Vec::new());
        let entry = ZipEntryBuilder::new(name.to_owned().into(), Compression::Deflate);
        writer.write_entry_whole(entry, bytes.as_bytes()).await.unwrap();
        writer.close().await.unwrap()
    })
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    let each = paths.map(|path| if path.is_dir() { files(&path) } else { vec![path] });
    each.collect::<Vec<_>>().concat()
}

/// Chain, index, API and a payer with 100 RNDR, of which 40 are in the escrow.
struct Edge {
    world: World,
    store: Store,
    counter: Counter,
    payer: PrivateKeySigner,
    scene: Value,
    _indexer: Running<indexer::Error>,
}

impl Edge {
    async fn open() -> Edge {
        let world = World::new().await;
        let payer = world.funded("payer", 100 * RNDR).await;
        world.deposit(&payer, 40 * RNDR).await;
        let store = world.store().await;
        let _indexer = world.indexer(&store);
        world.caught_up(&store).await;
        let counter = Counter::open(&world, &store).await;
        let scene = counter.good(counter.upload("?name=demo.pov", SCENE)).await;
        let scene = scene["scene_id"].clone();
        Edge { world, store, counter, payer, scene, _indexer }
    }

    /// Rows of every table, stored files, blocks, and what payer and escrow hold.
    async fn state(&self) -> Vec<String> {
        let count = |table: &&str| {
            format!("SELECT '{table} ' || CAST(COUNT(*) AS TEXT) AS rows_of FROM {table}")
        };
        let sql = TABLES.iter().map(count).collect::<Vec<_>>().join(" UNION ALL ");
        let mut state = self.world.database.texts(sql).await;
        state.sort();
        assert_eq!(state.len(), TABLES.len());
        let objects = files(&self.world.folder.path().join("objects")).len();
        state.push(format!("objects {objects}"));
        let (provider, payer) = (&self.world.anvil.provider, self.payer.address());
        let token = LegacyRndr::new(self.world.token, provider);
        for holder in [payer, self.world.escrow] {
            let held = token.balanceOf(holder).call().await.unwrap();
            let gas = provider.get_balance(holder).await.unwrap();
            state.push(format!("{holder} holds {held} and {gas} wei"));
        }
        let escrow = RenderEscrow::new(self.world.escrow, provider);
        let free = escrow.account(payer).call().await.unwrap().free;
        let indexed = self.store.reader().account(payer).await.unwrap();
        state.push(format!("free {free}, indexed as {indexed:?}"));
        state.push(format!("head {:?}", self.world.anvil.head().await));
        state
    }

    /// A request that must be refused with this status and code, and change nothing.
    async fn refused(&self, request: RequestBuilder, status: u16, code: &str) -> Value {
        let before = self.state().await;
        let answer = request.send().await.unwrap();
        let found = answer.status().as_u16();
        let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
        let text = answer.text().await.unwrap();
        assert_eq!(found, status, "{text}");
        assert_eq!(kind, "application/problem+json", "{text}");
        let problem: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(problem["code"], code, "{text}");
        assert_eq!(problem["status"], status, "{text}");
        for key in ["type", "title", "detail", "hint", "docs", "instance"] {
            assert!(problem[key].as_str().is_some_and(|said| !said.is_empty()), "{key}: {text}");
        }
        assert!(problem["retryable"].is_boolean(), "{text}");
        assert_eq!(self.state().await, before, "{code} changed something");
        problem
    }

    async fn quote_refused(&self, pointer: &str, new: impl Into<Value>, code: &str) -> Value {
        let body = with(json!({ "spec": spec(&self.scene, "demo.pov", "3.7") }), pointer, new);
        self.refused(self.counter.post("/v1/quotes", &body), 422, code).await
    }
}

fn says(problem: &Value, key: &str, words: &str) {
    let text = problem[key].as_str().unwrap_or_default();
    assert!(text.contains(words), "{key} says `{text}`, not `{words}`");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quote_for_bad_words_or_frames_is_refused_by_field_and_stores_nothing() {
    let edge = Edge::open().await;
    let unknown = edge.quote_refused("/colour", "red", "unknown_field").await;
    says(&unknown, "detail", "colour");
    let unknown = edge.quote_refused("/spec/samples", 5, "unknown_field").await;
    says(&unknown, "detail", "samples");
    for frames in ["4-", "1:100", "one", "", "1-4x0", "1,,2"] {
        let bad = edge.quote_refused("/spec/frames", frames, "invalid_spec").await;
        assert_eq!(bad["field"], "spec.frames", "{frames}: {bad}");
    }
    let large = edge.quote_refused("/spec/frames", "1-99999999", "invalid_spec").await;
    assert_eq!(large["field"], "spec.frames");
    says(&large, "detail", "1048576");
    let poor = edge.quote_refused("/max_spend", "1", "cap_too_small").await;
    assert_eq!(poor["field"], "max_spend");
    let nowhere = B256::repeat_byte(7).to_string();
    let body = json!({ "spec": spec(&json!(nowhere), "demo.pov", "3.7") });
    let gone = edge.refused(edge.counter.post("/v1/quotes", &body), 404, "scene_not_found").await;
    assert_eq!(gone["field"], "spec.scene");
    let other = edge.quote_refused("/spec/entry", "other.pov", "invalid_spec").await;
    says(&other, "hint", "demo.pov");
    let broken = edge.counter.ask(Method::POST, "/v1/quotes");
    let broken = broken.header("content-type", "application/json").body("{\"spec\": ");
    edge.refused(broken, 400, "bad_json").await;
    // The very request that all of these spoilt.
    let quote = edge.counter.quoted("demo.pov", &edge.scene, "3.7").await;
    assert_eq!(quote["units"], 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_no_scene_or_leaves_it_is_refused_and_no_file_is_kept() {
    let edge = Edge::open().await;
    let upload = |query: &str, bytes: Vec<u8>| edge.counter.upload(query, bytes);
    let picture = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\xff\xfe".to_vec();
    let no_scenes = [
        ("?name=notes.txt", b"buy milk".to_vec()),
        ("?name=picture.pov", picture),
        ("?name=empty.pov", Vec::new()),
        ("", SCENE.into()),
        ("", zip("readme.md", "no scene in here")),
    ];
    for (query, bytes) in no_scenes {
        edge.refused(upload(query, bytes), 422, "not_a_scene").await;
    }
    for path in ["../demo.pov", "a/../../demo.pov", "/etc/demo.pov", "a\\..\\demo.pov"] {
        let refused = edge.refused(upload("", zip(path, SCENE)), 422, "archive_refused").await;
        says(&refused, "detail", path);
    }
    let inside = edge.refused(upload("", zip("povray.ini", SCENE)), 422, "archive_refused").await;
    says(&inside, "detail", "povray.ini");
    edge.counter.good(upload("", zip("parts/demo.pov", SCENE))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_for_another_chain_too_late_too_small_or_of_another_hand_is_refused() {
    let edge = Edge::open().await;
    let (counter, payer) = (&edge.counter, &edge.payer);
    let quote = counter.quoted("demo.pov", &edge.scene, "3.7").await;
    let good = counter.prepared(&quote, payer.address()).await;
    let domain = order::domain(edge.world.anvil.chain_id, edge.world.escrow);
    let digest = |order: &Order| order::job_id(order, &domain);
    let body = signed(&good, payer, digest(&good));

    let mainnet = order::domain(1, edge.world.escrow);
    let named = |chain: u64, escrow: Address| {
        let domain = json!({
            "name": "RenderEscrow", "version": "1", "chainId": chain, "verifyingContract": escrow,
        });
        counter.post("/v1/jobs", &with(body.clone(), "/domain", domain))
    };
    let wrong = edge.refused(named(1, edge.world.escrow), 422, "wrong_chain").await;
    says(&wrong, "detail", "signed for chain 1; this is 31337");
    let ours = edge.world.anvil.chain_id;
    edge.refused(named(ours, edge.world.token), 422, "wrong_escrow").await;
    // Without its domain beside it, such a signature is simply nobody's here.
    let elsewhere = counter.submit(&good, payer, order::job_id(&good, &mainnet));
    let refused = edge.refused(elsewhere, 422, "signature_invalid").await;
    assert_eq!(refused["field"], "signature");
    let stranger = counter.submit(&good, &wallet("stranger"), digest(&good));
    edge.refused(stranger, 422, "signature_invalid").await;

    let late = Order { open_by: edge.world.anvil.now().await - 1, ..good.clone() };
    let refused = edge.refused(counter.submit(&late, payer, digest(&late)), 422, "order_expired");
    assert_eq!(refused.await["field"], "order.open_by");
    let cap = Amount::from_base(good.max_unit_price.base() - 1).unwrap();
    let small = Order { cap, ..good.clone() };
    let refused = edge.refused(counter.submit(&small, payer, digest(&small)), 422, "cap_too_small");
    assert_eq!(refused.await["field"], "order.cap");
    let more = Order { units: good.units + 1, ..good.clone() };
    let refused = edge.refused(counter.submit(&more, payer, digest(&more)), 422, "order_mismatch");
    assert_eq!(refused.await["field"], "order.units");
    let unknown = counter.post("/v1/jobs", &with(body.clone(), "/order/colour", "red"));
    edge.refused(unknown, 422, "unknown_field").await;

    // The order that all of these were made from is taken; then its frames can be asked for.
    let job = counter.good(counter.post("/v1/jobs", &body)).await;
    assert_eq!(job["job_id"], digest(&good).to_string());
    let path = |frames: &str| format!("/v1/jobs/{}/units?frames={frames}", digest(&good));
    for frames in ["1-", "5", "1-99999999"] {
        edge.refused(counter.ask(Method::GET, &path(frames)), 400, "bad_frames").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rndr_that_reverts_without_a_word_is_named_with_its_cause() {
    let edge = Edge::open().await;
    let (payer, provider) = (edge.payer.address(), &edge.world.anvil.provider);
    let desk = Desk::of(&edge.world, &edge.payer);
    let before = edge.state().await;
    // 60 RNDR are left in the wallet: insufficient funds, found before anything is sent.
    let lack = desk.refusal(&["deposit", "61"], 4);
    assert!(lack["message"].as_str().unwrap().contains("holds 60 RNDR, 61 RNDR are needed"));

    // The token itself says nothing at all.
    let token = LegacyRndr::new(edge.world.token, provider);
    let pull = token.transferFrom(payer, edge.world.escrow, U256::from(RNDR));
    let error = pull.from(edge.world.escrow).call().await.unwrap_err();
    let said = error.as_revert_data().unwrap_or_default();
    assert!(said.is_empty(), "{said}");
    let reason = explain_revert(&said);
    assert_eq!(reason.code, revert::EMPTY);
    assert!(reason.detail.contains("allowance") && reason.hint.contains("approve the escrow"));

    // The escrow names it: no allowance, then an allowance above the balance.
    let escrow = RenderEscrow::new(edge.world.escrow, provider);
    let deposit = |rndr: u128| escrow.deposit(Amount::from_base(rndr).unwrap().to_u96());
    let error = deposit(RNDR).from(payer).call_raw().await.unwrap_err();
    let reason = explain_revert(&error.as_revert_data().unwrap());
    assert_eq!(reason.code, "pull_failed");
    let figures: Vec<_> = reason.fields.iter().map(|(_, value)| value.as_str()).collect();
    let (asked, held) = (RNDR.to_string(), (60 * RNDR).to_string());
    assert_eq!(figures[1..], [asked.as_str(), held.as_str(), "0"], "{reason:?}");
    assert!(!reason.hint.is_empty());
    assert_eq!(edge.state().await, before);
    let (spender, value) = (edge.world.escrow, U256::from(61 * RNDR));
    let allow = LegacyRndr::approveCall { spender, value };
    edge.world.send(&edge.payer, edge.world.token, allow).await;
    edge.world.caught_up(&edge.store).await;
    let before = edge.state().await;
    desk.refusal(&["deposit", "61"], 4);
    let error = deposit(61 * RNDR).from(payer).call_raw().await.unwrap_err();
    assert_eq!(explain_revert(&error.as_revert_data().unwrap()).code, "pull_failed");
    assert_eq!(edge.state().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scene_that_writes_outside_fails_with_its_reason_and_writes_nothing() {
    let studio = Studio::open().await;
    let (world, store) = (&studio.world, &studio.store);
    let _settler = studio.settler();
    let work_dir = world.folder.path().join("node");
    let config = agent::Config {
        door_url: format!("http://127.0.0.1:{}", studio.door_port),
        key: wallet("node"),
        work_dir: work_dir.clone(),
    };
    let backend = Povray::new(1, 4 << 30);
    let _node = Running::start(|stop| agent::run(config, backend, stop));
    let version = || async {
        let nodes = store.reader().nodes().await.unwrap();
        nodes.first().and_then(|node| node.backends.first()).map(|one| one.version.clone())
    };
    let version = eventually("the node's renderer", version).await;
    let counter = Counter::open(world, store).await;

    // This machine's own folder, the folder above the output, and the scene itself.
    let mine = world.folder.path().join("escaped.txt").display().to_string();
    let targets = [mine.as_str(), "../escaped.txt", "/in/escaped.txt", "/usr/escaped.txt"];
    let mut jobs = Vec::new();
    for target in targets {
        let scene = format!("#fopen Out \"{target}\" write\n#write (Out, \"x\")\n{SCENE}");
        let scene = counter.good(counter.upload("?name=escape.pov", scene)).await;
        let quote = counter.quoted("escape.pov", &scene["scene_id"], &version).await;
        let order = counter.prepared(&quote, studio.payer.address()).await;
        let job_id = order::job_id(&order, &studio.domain);
        counter.good(counter.submit(&order, &studio.payer, job_id)).await;
        jobs.push((target, job_id));
    }
    for (target, job_id) in jobs {
        let path = format!("/v1/jobs/{job_id}/units");
        let look = || async {
            let answer = counter.good(counter.ask(Method::GET, &path)).await;
            let units = answer["units"].as_array().unwrap().clone();
            units.iter().all(|unit| unit["state"] == "dead").then_some(units)
        };
        for unit in eventually("every attempt failed", look).await {
            says(&unit, "problem", "Cannot open user file");
            says(&unit, "problem", target.trim_start_matches("/in/"));
            says(&unit, "problem", "escape.pov");
        }
        let reader = store.reader();
        let (_, job) = reader.job(job_id).await.unwrap().unwrap();
        assert_eq!((job.released, job.pending), (Amount::ZERO, Amount::ZERO));
        assert!(reader.lot_drafts_of_job(job_id).await.unwrap().is_empty());
        assert!(reader.receipts_of_job(job_id).await.unwrap().is_empty());
    }
    let escaped = |path: &PathBuf| path.ends_with("escaped.txt");
    assert!(!files(world.folder.path()).iter().any(escaped));
    assert!(!Path::new("/usr/escaped.txt").exists() && !Path::new("/escaped.txt").exists());
}
