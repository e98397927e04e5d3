//! A store on disk with one open job and all its terms, and honest deliveries for it.

use std::sync::Arc;

use alloy::primitives::{Address, B256, Bytes, keccak256};
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use contracts::event::{Event, Opened};
use contracts::seal::LotKey;
use contracts::spec::{ExpandedSpec, Tier};
use contracts::{Amount, JobId, order};
use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};
use store::{
    Block, Escrow, EventRow, JobOrder, JobState, Lease, LeaseState, Quote, Scene, Spec, Step,
    Store, Verified,
};

use crate::accept::Notary;
use crate::node::finish::{Finished, Rendered, finish};
use crate::node::{DeliveredUnit, Delivery, UnitTask};
use crate::terms::Specs;
use contracts::scene::{Manifest, SceneFile};

pub const CHAIN: u64 = 1_337;
pub const ESCROW: Address = Address::repeat_byte(0xe5);
pub const SCENE_FILE: &[u8] = b"sphere { 0, 1 }";

pub struct Office {
    _folder: tempfile::TempDir,
    pub store: Store,
    pub specs: Arc<Specs>,
    pub notary: Arc<Notary>,
    pub node: PrivateKeySigner,
    pub spec: ExpandedSpec,
    pub job: JobOrder,
}

impl Office {
    /// Six units of ten each, money for all of them.
    pub async fn open(sealed: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("store.db").display());
        let store = Store::open(&url, &folder.path().join("objects")).await.unwrap();
        let settler = PrivateKeySigner::random();
        let domain = order::domain(CHAIN, ESCROW);
        let (scene_id, manifest) = scene();
        let spec = ExpandedSpec { scene: scene_id, ..super::spec("1-6", Tier::Economy, 4) };
        let now = crate::now();
        let quote = "{}".to_owned();
        let job = contracts::Order {
            settler: settler.address(),
            work_deadline: (now + 50_000) as u64,
            spec_hash: spec.spec_hash(),
            quote_hash: keccak256(&quote),
            ..super::order(6)
        };
        let job_id = order::job_id(&job, &domain);
        let job = JobOrder { job_id, block: 1, order: job };
        let notary = Arc::new(Notary::new(settler, domain, sealed));
        let (specs, node) = (Arc::new(Specs::default()), PrivateKeySigner::random());
        let office = Self { _folder: folder, store, specs, notary, node, spec, job };
        office.take_in(&quote, scene_id, manifest, now).await;
        office.index(now).await;
        office
    }

    async fn take_in(&self, quote: &str, scene_id: B256, manifest: String, now: i64) {
        let intake = self.store.intake();
        self.store.objects().put(Bytes::from_static(SCENE_FILE).0).await.unwrap();
        let size = SCENE_FILE.len() as u64;
        intake.put_scene(&Scene { scene_id, manifest, size, created_at: now }).await.unwrap();
        let (spec_hash, canonical) = (self.spec.spec_hash(), self.spec.canonical_json());
        intake.put_spec(&Spec { spec_hash, canonical, created_at: now }).await.unwrap();
        let quote = Quote {
            quote_hash: keccak256(quote),
            spec_hash,
            canonical: quote.into(),
            unit_price: Amount::from(super::PRICE),
            cap: self.job.order.cap,
            expires_at: now + 1_000,
            created_at: now,
        };
        intake.put_quote(&quote).await.unwrap();
    }

    async fn index(&self, now: i64) {
        let chain = self.store.chain_writer();
        let escrow = Escrow {
            address: ESCROW,
            chain_id: CHAIN,
            genesis_hash: B256::ZERO,
            token: Address::repeat_byte(0x70),
            symbol: "RNDR".into(),
            decimals: 18,
            deploy_block: 0,
            registry: None,
        };
        chain.set_escrow(&escrow).await.unwrap();
        let opened = Opened {
            job_id: self.job.job_id,
            payer: self.job.order.payer,
            funder: self.job.order.payer,
            order: self.job.order.clone(),
            credit_spent: Amount::ZERO,
            pulled: Amount::ZERO,
            free: Amount::ZERO,
            credit: Amount::ZERO,
            seq: 2,
        };
        let event = Event::Opened(Box::new(opened));
        let state = JobState {
            work_deadline: self.job.order.work_deadline as i64,
            ..super::job_state(&self.job)
        };
        let step = Step {
            blocks: vec![block(1, B256::ZERO, now)],
            events: vec![EventRow { block: 1, log_index: 0, tx_hash: B256::ZERO, event }],
            orders: vec![self.job.clone()],
            jobs: vec![state],
            ..Step::default()
        };
        chain.extend(&step).await.unwrap();
    }

    pub fn job_id(&self) -> JobId {
        self.job.job_id
    }

    pub async fn lease(&self, id: &str, units: &[(u32, u32)], now: i64) -> Lease {
        let lease = Lease {
            lease_id: id.into(),
            job_id: self.job_id(),
            node: self.node.address(),
            state: LeaseState::Active,
            taken_at: now,
            expires_at: now + 60,
            problem: None,
        };
        assert!(self.store.work().take_lease(&lease, units).await.unwrap());
        lease
    }

    /// A picture of the job's size; every shade is another picture.
    pub fn picture(&self, shade: u8) -> Vec<u8> {
        let size = self.spec.resolution;
        png(size.width, size.height, shade)
    }

    pub fn finished(
        &self,
        task: UnitTask,
        file: &[u8],
        key: Option<&LotKey>,
        now: i64,
    ) -> Finished {
        let at = now as u64;
        let rendered = Rendered {
            job_id: self.job_id(),
            spec: &self.spec,
            task,
            bytes: file,
            seal: key.map(|key| (key, [task.unit as u8; 7])),
            started_at: at,
            finished_at: at,
        };
        finish(&rendered).unwrap()
    }

    /// Signs a finished unit and uploads its file.
    pub async fn handed_in(&self, finished: Finished, by: &PrivateKeySigner) -> DeliveredUnit {
        let digest = finished.receipt.digest(self.notary.domain());
        let signature = by.sign_hash_sync(&digest).unwrap().as_bytes().into();
        self.store.objects().put(finished.stored.into()).await.unwrap();
        DeliveredUnit {
            receipt: finished.receipt,
            signature,
            file_name: finished.file_name,
            opened_hash: finished.opened_hash,
            stored_hash: finished.stored_hash,
        }
    }

    /// An honest delivery of these units.
    pub async fn delivery(&self, units: &[(u32, u32)], key: Option<&LotKey>, now: i64) -> Delivery {
        let mut receipts = Vec::new();
        for &(unit, attempt) in units {
            let frame = self.spec.unit_frame(unit).unwrap();
            let task = UnitTask { unit, frame, attempt };
            let finished = self.finished(task, &self.picture(unit as u8), key, now);
            receipts.push(self.handed_in(finished, &self.node).await);
        }
        Delivery { receipts, lot_key: key.map(|key| B256::from(*key.bytes())) }
    }
}

pub fn png(w: u32, h: u32, shade: u8) -> Vec<u8> {
    let bytes: Vec<u8> = (0..w * h * 3).map(|i| (i % 251) as u8 ^ shade).collect();
    let mut file = Vec::new();
    PngEncoder::new(&mut file).write_image(&bytes, w, h, ExtendedColorType::Rgb8).unwrap();
    file
}

pub fn block(number: u64, parent_hash: B256, mined_at: i64) -> Block {
    Block {
        number,
        hash: B256::repeat_byte(number as u8),
        parent_hash,
        mined_at,
        verified: Verified::Receipts,
        digest: B256::ZERO,
    }
}

fn scene() -> (B256, String) {
    let file = SceneFile {
        path: "scenes/demo.pov".into(),
        size: SCENE_FILE.len() as u64,
        hash: keccak256(SCENE_FILE),
    };
    let manifest = serde_json::to_string(&Manifest { files: vec![file] }).unwrap();
    (keccak256(&manifest), manifest)
}
