//! A served API over a store of its own: requests in, answers out, a chain that tests extend.

use std::cell::Cell;
use std::path::PathBuf;

use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request};
use contracts::event::{Committed, Event, Opened};
use contracts::order::{lot_hash, lots_hash};
use contracts::seal::{FileId, LotKey, seal};
use contracts::{Amount, JobId, Lot, Order, units};
use serde_json::{Value, json};
use store::{
    Block, DelegateState, Escrow, EventRow, Head, JobOrder, JobState, Lease, LeaseState, LotDraft,
    LotRow, LotState, LotStatus, Node, ReceiptRow, Step, Store, Tag, Verified,
};
use tower::ServiceExt;

use crate::{App, Config, router};

pub const START: i64 = 1_764_055_800;
pub const ESCROW: Address = Address::repeat_byte(0xe5);
pub const REGISTRY: Address = Address::repeat_byte(0x4e);
pub const CHAIN: u64 = 31_337;
pub const SCENE: &str = "camera { location <0,1,-3> look_at 0 }\nsphere { 0, 1 }\n";

thread_local! {
    static NOW: Cell<i64> = const { Cell::new(START) };
}

fn clock() -> i64 {
    NOW.get()
}

pub struct World {
    pub store: Store,
    pub payer: PrivateKeySigner,
    pub node: PrivateKeySigner,
    pub objects: PathBuf,
    /// How the blocks to come are proven.
    pub verified: Verified,
    /// Tells the blocks to come from those that a rewind took.
    pub fork: u8,
    router: Router,
    tip: Block,
    _folder: tempfile::TempDir,
}

pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub bytes: Bytes,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_default()
    }

    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or("none").to_owned()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

fn block(number: u64) -> Block {
    let hash = |number: u64| B256::left_padding_from(&(number + 1).to_be_bytes());
    Block {
        number,
        hash: hash(number),
        parent_hash: hash(number.saturating_sub(1)),
        mined_at: NOW.get(),
        verified: Verified::Receipts,
        digest: B256::ZERO,
    }
}

impl World {
    /// With an escrow and one block in the index.
    pub async fn new() -> Self {
        let mut world = Self::empty().await;
        let escrow = Escrow {
            address: ESCROW,
            chain_id: CHAIN,
            genesis_hash: B256::ZERO,
            token: Address::repeat_byte(0x70),
            symbol: "RNDR".into(),
            decimals: 18,
            deploy_block: 1,
            registry: Some(REGISTRY),
        };
        world.store.chain_writer().set_escrow(&escrow).await.unwrap();
        world.mine(Step::default()).await;
        world
    }

    /// Before the indexer has stored anything.
    pub async fn empty() -> Self {
        NOW.set(START);
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("t.db").display());
        let objects = folder.path().join("objects");
        let store = Store::open(&url, &objects).await.unwrap();
        let listen = "127.0.0.1:0".parse().unwrap();
        let mut config =
            Config::new(listen, Address::repeat_byte(0x5e), Address::repeat_byte(0xfe));
        config.clock = clock;
        let router = router(App::new(store.clone(), config));
        let payer = PrivateKeySigner::from_slice(&[1; 32]).unwrap();
        let node = PrivateKeySigner::from_slice(&[2; 32]).unwrap();
        let (verified, fork, tip) = (Verified::Receipts, 0, block(0));
        Self { store, payer, node, objects, verified, fork, router, tip, _folder: folder }
    }

    pub fn set_time(&self, now: i64) {
        NOW.set(now);
    }

    /// How many files the object store holds.
    pub fn files(&self) -> usize {
        let folders = std::fs::read_dir(&self.objects).into_iter().flatten().flatten();
        let inside = |at: std::fs::DirEntry| std::fs::read_dir(at.path()).into_iter().flatten();
        folders.flat_map(inside).count()
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.unwrap();
        Answer { status: parts.status.as_u16(), headers: parts.headers, bytes: bytes.into() }
    }

    pub async fn call(&self, method: &str, path: &str, kind: &str, body: &[u8]) -> Answer {
        let request = Request::builder().method(method).uri(path);
        let request = if kind.is_empty() { request } else { request.header("content-type", kind) };
        self.send(request.body(Body::from(body.to_vec())).unwrap()).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, "", b"").await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.call("POST", path, "application/json", body.to_string().as_bytes()).await
    }

    pub async fn upload(&self, name: &str, bytes: &[u8]) -> Answer {
        let path = format!("/v1/scenes{name}");
        self.call("POST", &path, "application/octet-stream", bytes).await
    }

    /// A spec of twelve frames of an uploaded scene.
    pub async fn spec(&self) -> Value {
        let scene = self.upload("?name=demo.pov", SCENE.as_bytes()).await.json();
        json!({
            "version": 1, "engine": "povray", "engine_version": "3.7.0.10",
            "scene": scene["scene_id"], "entry": "demo.pov", "frames": "1-12",
            "resolution": {"width": 320, "height": 180}, "tier": "economy"
        })
    }

    /// A prepared order of the payer's.
    pub async fn prepared(&self) -> Value {
        let spec = self.spec().await;
        let quote = self.post("/v1/quotes", &json!({"spec": spec})).await;
        assert_eq!(quote.status, 201, "{}", quote.json());
        let body = json!({
            "quote_hash": quote.json()["quote_hash"],
            "payer": self.payer.address(),
            "review_seconds": 600,
        });
        let prepared = self.post("/v1/jobs/prepare", &body).await;
        assert_eq!(prepared.status, 200, "{}", prepared.json());
        prepared.json()
    }

    pub fn sign(&self, digest: &Value) -> Value {
        let digest: B256 = digest.as_str().unwrap().parse().unwrap();
        json!(Bytes::from(self.payer.sign_hash_sync(&digest).unwrap().as_bytes()))
    }

    /// Adds a block with what `step` says of it.
    pub async fn mine(&mut self, mut step: Step) {
        let mut hash = block(self.tip.number + 1).hash;
        hash[0] = self.fork;
        let (parent_hash, verified) = (self.tip.hash, self.verified);
        self.tip = Block { hash, parent_hash, verified, ..block(self.tip.number + 1) };
        step.blocks = vec![self.tip.clone()];
        let (block, hash) = (self.tip.number, self.tip.hash);
        step.heads = vec![Head { tag: Tag::Latest, block, hash, seen_at: NOW.get() }];
        self.store.chain_writer().extend(&step).await.unwrap();
    }

    /// Adds a block in which a delegate's bounds were set.
    pub async fn mine_delegate(&mut self, mut state: DelegateState) {
        state.block = self.tip.number + 1;
        self.mine(Step { delegates: vec![state], ..Step::default() }).await;
    }

    /// Takes the newest blocks back.
    pub async fn rewind(&mut self, depth: u64) {
        let fork = self.store.reader().block(self.tip.number - depth).await.unwrap().unwrap();
        self.store.chain_writer().rewind(&fork, &self.tip, NOW.get()).await.unwrap();
        self.tip = fork;
    }

    /// Has the chain name its safe and its finalized head.
    pub async fn heads(&self, safe: u64, finalized: u64) {
        let mut heads = Vec::new();
        for (tag, number) in [(Tag::Safe, safe), (Tag::Finalized, finalized)] {
            let hash = self.store.reader().block(number).await.unwrap().unwrap().hash;
            heads.push(Head { tag, block: number, hash, seen_at: NOW.get() });
        }
        self.store.chain_writer().set_heads(&heads).await.unwrap();
    }

    fn next(&self) -> u64 {
        self.tip.number + 1
    }

    pub fn event(&self, event: Event) -> EventRow {
        let tx_hash = B256::repeat_byte(0x7a);
        EventRow { block: self.next(), log_index: 0, tx_hash, event }
    }

    /// Prepares an order and has the chain show it as opened.
    pub async fn opened(&mut self) -> (JobId, Order) {
        let prepared = self.prepared().await;
        let job_id: JobId = prepared["job_id"].as_str().unwrap().parse().unwrap();
        let order: Order = serde_json::from_value(prepared["order"].clone()).unwrap();
        let block = self.next();
        let opened = Opened {
            job_id,
            payer: order.payer,
            funder: order.payer,
            order: order.clone(),
            credit_spent: Amount::ZERO,
            pulled: order.cap,
            free: Amount::ZERO,
            credit: Amount::ZERO,
            seq: 1,
        };
        let step = Step {
            events: vec![self.event(Event::Opened(Box::new(opened)))],
            orders: vec![JobOrder { job_id, block, order: order.clone() }],
            jobs: vec![self.job_state(job_id, &order)],
            ..Step::default()
        };
        self.mine(step).await;
        (job_id, order)
    }

    pub fn job_state(&self, job_id: JobId, order: &Order) -> JobState {
        JobState {
            job_id,
            block: self.next(),
            log_index: 0,
            funded: order.cap,
            released: Amount::ZERO,
            pending: Amount::ZERO,
            units_paid: 0,
            job_seq: 1,
            closed: false,
            work_deadline: order.work_deadline as i64,
            close_requested: false,
            credit_share: Amount::ZERO,
        }
    }

    /// A sealed lot of first attempts, as the settler accepts it; its files and key.
    pub async fn deliver(&self, job_id: JobId, order: &Order, members: &[u32]) -> (Lot, LotKey) {
        let (work, node) = (self.store.work(), self.node.address());
        let lease_id = format!("lease-{}", members[0]);
        let row = Node {
            node,
            token_hash: B256::ZERO,
            registered_at: START,
            seen_at: START,
            backends: vec![],
        };
        work.register_node(&row).await.unwrap();
        let lease = Lease {
            lease_id: lease_id.clone(),
            job_id,
            node,
            state: LeaseState::Active,
            taken_at: START,
            expires_at: START + 60,
            problem: None,
        };
        let attempts: Vec<(u32, u32)> = members.iter().map(|unit| (*unit, 1)).collect();
        assert!(work.take_lease(&lease, &attempts).await.unwrap());
        let key = LotKey::new([members[0] as u8 + 1; 32]);
        let (word, mask) = units::word_and_mask(members).unwrap();
        let lot = Lot {
            node,
            word,
            mask,
            unit_price: order.max_unit_price,
            receipts_root: B256::repeat_byte(0x33),
            key_commit: key.commit(),
        };
        let lot_hash = lot_hash(job_id, &lot);
        let mut receipts = Vec::new();
        for unit in members {
            receipts.push(self.receipt(job_id, *unit, lot_hash, &key).await);
        }
        let draft = LotDraft {
            lot_hash,
            job_id,
            lease_id,
            lot: lot.clone(),
            acceptance: Bytes::new(),
            lot_key: Some(Bytes::from_static(b"sealed")),
            accepted_at: START,
        };
        work.accept_lot(&draft, &receipts).await.unwrap();
        (lot, key)
    }

    async fn receipt(&self, job_id: JobId, unit: u32, lot: B256, key: &LotKey) -> ReceiptRow {
        let name = format!("demo_{:04}.png", unit + 1);
        let plain = picture(unit);
        let file = FileId { job_id, unit, attempt: 1, name: &name };
        let sealed = seal(key, &file, &plain, [unit as u8; 7]).unwrap();
        let objects = self.store.objects();
        let stored_size = sealed.len() as u64;
        ReceiptRow {
            job_id,
            unit,
            attempt: 1,
            node: self.node.address(),
            output_hash: B256::repeat_byte(unit as u8),
            preview_hash: B256::ZERO,
            key_commit: key.commit(),
            started_at: START,
            finished_at: START + 5,
            signature: Bytes::new(),
            lot_hash: lot,
            pixel_root: B256::ZERO,
            file_root: B256::ZERO,
            file_name: name,
            opened_hash: alloy::primitives::keccak256(&plain),
            stored_hash: objects.put(sealed.into()).await.unwrap(),
            stored_size,
            preview_object: objects.put(preview(unit).into()).await.unwrap(),
        }
    }

    /// Has the chain show a lot, first as committed, then under any later status.
    pub async fn commit(&mut self, job_id: JobId, lot: &Lot) {
        let hash = lot_hash(job_id, lot);
        let block = self.next();
        let committed = Committed {
            job_id,
            node: lot.node,
            lot_hash: hash,
            lot: lot.clone(),
            amount: units::lot_amount(lot).unwrap(),
            window_end: (NOW.get() + 600) as u64,
            approved: false,
            pending: units::lot_amount(lot).unwrap(),
            job_seq: 2,
        };
        let step = Step {
            events: vec![self.event(Event::Committed(committed))],
            lots: vec![LotRow { lot_hash: hash, job_id, block, lot: lot.clone() }],
            lot_states: vec![self.lot_state(job_id, lot, LotStatus::Committed, None)],
            ..Step::default()
        };
        self.mine(step).await;
    }

    pub fn lot_state(
        &self,
        job_id: JobId,
        lot: &Lot,
        status: LotStatus,
        key: Option<&LotKey>,
    ) -> LotState {
        LotState {
            lot_hash: lot_hash(job_id, lot),
            block: self.next(),
            log_index: 0,
            status,
            window_end: NOW.get() + 600,
            rejected: U256::ZERO,
            paid: if status == LotStatus::Settled { lot.mask } else { U256::ZERO },
            lot_key: key.map(|key| B256::from(*key.bytes())),
        }
    }

    pub async fn settle(&mut self, job_id: JobId, lot: &Lot, key: &LotKey) {
        let state = self.lot_state(job_id, lot, LotStatus::Settled, Some(key));
        self.mine(Step { lot_states: vec![state], ..Step::default() }).await;
    }
}

pub fn picture(unit: u32) -> Vec<u8> {
    format!("picture of unit {unit}").into_bytes()
}

pub fn preview(unit: u32) -> Vec<u8> {
    format!("preview of unit {unit}").into_bytes()
}

/// The name under which an approval of these lots is stored.
pub fn name_of(job_id: JobId, lots: &[&Lot]) -> B256 {
    lots_hash(&lots.iter().map(|lot| lot_hash(job_id, lot)).collect::<Vec<_>>())
}
