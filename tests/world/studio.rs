//! A settler and its nodes in this process, a painter in place of a renderer, a payer who signs.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use alloy::primitives::{B256, Bytes, U256, keccak256};
use alloy::providers::Provider;
use alloy::providers::ext::AnvilApi;
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::{Eip712Domain, SolStruct};
use contracts::event::Event;
use contracts::spec::{Chunk, Engine, ExpandedSpec, JobSpec, Resolution, Tier};
use contracts::{Amount, JobId, Order, order, signing, units};
use futures::future::BoxFuture;
use image::RgbImage;
use settler::node::agent;
use settler::node::{Backend, BackendError, BackendInfo, Progress, RenderRequest};
use store::{
    Action, Approval, CloseRequest, IntakeOrder, Intent, LotDraft, Quote, Rejection, Scene, Spec,
    Store,
};
use tokio::task::JoinHandle;

use super::{RNDR, Running, World, eventually, free_port, hash_of, signed, wallet};

/// Price of one unit.
pub const PRICE: u128 = RNDR;
/// The one scene that painters take.
pub const SCENE: &[u8] =
    b"camera { location <0, 1, -4> look_at 0 } light_source { <4, 6, -4> rgb 1 }
    sphere { <clock - 0.5, 0, 0>, 1 pigment { rgb <1, 0.6, 0.2> } finish { phong 0.8 } }
    plane { y, -1 pigment { checker rgb 0.2 rgb 0.9 } finish { reflection 0.3 } }";

pub struct Studio {
    pub world: World,
    pub store: Store,
    pub payer: PrivateKeySigner,
    pub settler_key: PrivateKeySigner,
    pub gas_key: PrivateKeySigner,
    pub domain: Eip712Domain,
    pub door_port: u16,
    /// Of the renderer that specs ask for; painters say they are 3.7.
    pub engine_version: &'static str,
    indexer: Option<Running<indexer::Error>>,
    miner: JoinHandle<()>,
    mining: Arc<AtomicBool>,
}

impl Drop for Studio {
    fn drop(&mut self) {
        self.miner.abort();
    }
}

impl Studio {
    /// A payer with 100 RNDR in its account, an indexer, and blocks that keep coming.
    pub async fn open() -> Self {
        let mut studio = Self::without_services().await;
        studio.indexer = Some(studio.world.indexer(&studio.store));
        studio
    }

    pub async fn without_services() -> Self {
        let world = World::new().await;
        let store = world.store().await;
        let payer = world.funded("payer", 1_000 * RNDR).await;
        world.deposit(&payer, 100 * RNDR).await;
        let (settler_key, gas_key) = (wallet("settler"), world.funded("gas", 0).await);
        let provider = world.anvil.provider.clone();
        let mining = Arc::new(AtomicBool::new(true));
        let mines = mining.clone();
        let miner = tokio::spawn(async move {
            loop {
                if mines.load(Ordering::Relaxed) {
                    // A chain that hangs for a while is part of some stories.
                    let _ = provider.anvil_mine(Some(1), None).await;
                }
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
        });
        let domain = order::domain(world.anvil.chain_id, world.escrow);
        let door_port = free_port();
        Self {
            world,
            store,
            payer,
            settler_key,
            gas_key,
            domain,
            door_port,
            engine_version: "3.7",
            indexer: None,
            miner,
            mining,
        }
    }

    /// From now on transactions stay in the pool.
    pub async fn pause_mining(&self) {
        self.mining.store(false, Ordering::Relaxed);
        self.world.anvil.provider.anvil_set_auto_mine(false).await.unwrap();
    }

    pub async fn resume_mining(&self) {
        self.world.anvil.provider.anvil_set_auto_mine(true).await.unwrap();
        self.mining.store(true, Ordering::Relaxed);
    }

    /// Waits until the pool holds the opening of a job.
    pub async fn pooled(&self, job_id: JobId) -> B256 {
        let reader = self.store.reader();
        let look = || async {
            let open = reader.intent(Action::Open, job_id, job_id).await.unwrap()?;
            let hash = newest_hash(&self.store, &open).await?;
            let provider = &self.world.anvil.provider;
            provider.get_transaction_by_hash(hash).await.unwrap().map(|_| hash)
        };
        eventually("the opening in the pool", look).await
    }

    pub fn settler_config(&self) -> settler::Config {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, self.door_port));
        let (key, gas) = (self.settler_key.clone(), self.gas_key.clone());
        let rpc_url = self.world.anvil.rpc_url();
        settler::Config {
            lease_seconds: 4,
            confirmations: 1,
            poll: Duration::from_millis(100),
            commit_after_seconds: 0,
            ..settler::Config::new(rpc_url, listen, key, gas, self.world.escrow)
        }
    }

    pub fn settler(&self) -> Running<settler::Error> {
        self.settler_as(self.settler_config())
    }

    pub fn settler_as(&self, config: settler::Config) -> Running<settler::Error> {
        let store = self.store.clone();
        Running::start(|stop| settler::run(config, store, stop))
    }

    /// A node by its name; it keeps its key and its folder when it is started again.
    pub fn node(&self, name: &str, painter: Painter) -> Running<agent::AgentError> {
        let config = agent::Config {
            door_url: format!("http://127.0.0.1:{}", self.door_port),
            key: wallet(name),
            work_dir: self.world.folder.path().join(name),
        };
        Running::start(|stop| agent::run(config, painter, stop))
    }

    pub fn spec(&self, frames: u32, chunk: u32) -> ExpandedSpec {
        let spec = JobSpec {
            version: 1,
            engine: Engine::Povray,
            engine_version: self.engine_version.into(),
            scene: keccak256(manifest()),
            entry: "demo.pov".into(),
            frames: format!("1-{frames}"),
            resolution: Resolution { width: 48, height: 32 },
            quality: Default::default(),
            output: Default::default(),
            animation: None,
            tier: Tier::Economy,
            chunk: Chunk { size: chunk },
            attempts: 3,
            timeout_seconds: 60,
        };
        spec.validate().unwrap()
    }

    /// Hands in spec, scene, quote and the payer's signed order, as the API does.
    pub async fn submit(
        &self,
        payer: &PrivateKeySigner,
        frames: u32,
        chunk: u32,
        salt: u64,
    ) -> JobId {
        let intake = self.store.intake();
        let now = i64::try_from(self.world.anvil.now().await).unwrap();
        let spec = self.spec(frames, chunk);
        let (spec_hash, canonical) = (spec.spec_hash(), spec.canonical_json());
        intake.put_spec(&Spec { spec_hash, canonical, created_at: now }).await.unwrap();
        self.store.objects().put(SCENE.into()).await.unwrap();
        let (manifest, size) = (manifest(), SCENE.len() as u64);
        let scene = Scene { scene_id: keccak256(&manifest), manifest, size, created_at: now };
        intake.put_scene(&scene).await.unwrap();
        let order = self.order(payer, &spec, salt).await;
        let canonical = quote_text(&spec);
        let quote = Quote {
            quote_hash: order.quote_hash,
            spec_hash,
            canonical,
            unit_price: order.max_unit_price,
            cap: order.cap,
            expires_at: now + 3_600,
            created_at: now,
        };
        intake.put_quote(&quote).await.unwrap();
        let job_id = order::job_id(&order, &self.domain);
        let signature = payer.sign_hash_sync(&job_id).unwrap().as_bytes();
        let signature = Some(Bytes::from(signature));
        let order = IntakeOrder {
            job_id,
            order,
            signature,
            delegate: None,
            name: "story".into(),
            created_at: now,
        };
        intake.put_order(&order).await.unwrap();
        job_id
    }

    async fn order(&self, payer: &PrivateKeySigner, spec: &ExpandedSpec, salt: u64) -> Order {
        let now = self.world.anvil.now().await;
        Order {
            payer: payer.address(),
            refund_to: payer.address(),
            approver: alloy::primitives::Address::ZERO,
            settler: self.settler_key.address(),
            fee_receiver: wallet("fee").address(),
            cap: cap(spec),
            max_unit_price: Amount::from_base(PRICE).unwrap(),
            units: spec.units(),
            open_by: now + 3_600,
            work_deadline: now + 86_400,
            review_seconds: 600,
            claim_grace: 3_600,
            fee_bps: 500,
            burn_bps: 200,
            spec_hash: spec.spec_hash(),
            quote_hash: keccak256(quote_text(spec)),
            salt: hash_of(salt),
        }
    }

    fn signed<S: SolStruct>(&self, act: &S) -> Bytes {
        signed(&self.payer, act, &self.domain)
    }

    /// The payer wants these lots whole.
    pub async fn approve(&self, drafts: &[LotDraft]) {
        let lots: Vec<_> = drafts.iter().map(|draft| draft.lot.clone()).collect();
        let act = signing::approval(drafts[0].job_id, &lots);
        let approval = Approval {
            lots_hash: act.lotsHash,
            job_id: act.jobId,
            lot_hashes: drafts.iter().map(|draft| draft.lot_hash).collect(),
            signer: self.payer.address(),
            signature: self.signed(&act),
            created_at: 0,
        };
        self.store.intake().put_approval(&approval).await.unwrap();
    }

    /// The payer does not want these units of a lot.
    pub async fn reject(&self, draft: &LotDraft, unwanted: &[u32]) {
        let mask = units::mask_of(draft.lot.word, unwanted);
        let (job_id, lot_hash, reason) = (draft.job_id, draft.lot_hash, "too dark");
        let reason_hash = keccak256(reason);
        let act =
            signing::Rejection { jobId: job_id, lotHash: lot_hash, mask, reasonHash: reason_hash };
        let rejection = Rejection {
            lot_hash,
            mask,
            job_id,
            reason_hash,
            reason: reason.into(),
            signer: self.payer.address(),
            signature: self.signed(&act),
            created_at: 0,
        };
        self.store.intake().put_rejection(&rejection).await.unwrap();
    }

    /// The payer wants the job to end.
    pub async fn request_close(&self, job_id: JobId) {
        let act = signing::CloseRequest { jobId: job_id };
        let (signer, signature) = (self.payer.address(), self.signed(&act));
        let request = CloseRequest { job_id, signer, signature, created_at: 0 };
        self.store.intake().put_close_request(&request).await.unwrap();
    }

    /// Waits until drafts hold this many units in all.
    pub async fn accepted(&self, job_id: JobId, count: u32) -> Vec<LotDraft> {
        let reader = self.store.reader();
        let look = || async {
            let drafts = reader.lot_drafts_of_job(job_id).await.unwrap();
            let units: u32 = drafts.iter().map(|draft| units::count(draft.lot.mask)).sum();
            (units >= count).then_some(drafts)
        };
        eventually("accepted units", look).await
    }

    pub async fn opened(&self, job_id: JobId) {
        let reader = self.store.reader();
        let look = || async { reader.job(job_id).await.unwrap().map(|_| ()) };
        eventually("the job open on chain", look).await;
    }

    /// Waits until the job is closed with every unit paid, then checks the money of it.
    pub async fn paid_once(&self, job_id: JobId, frames: u32) {
        let reader = self.store.reader();
        let closed = || async {
            let (_, state) = reader.job(job_id).await.unwrap()?;
            (state.closed && state.units_paid == frames).then_some(())
        };
        eventually("the job closed with all units paid", closed).await;
        let mut paid = U256::ZERO;
        let mut sum = Amount::ZERO;
        for row in reader.events_of_job(job_id).await.unwrap() {
            let (mask, amount) = match row.event {
                Event::Settled(e) => (e.mask, e.amount),
                Event::Released(e) => (e.lot.mask, e.amount),
                _ => continue,
            };
            assert!((paid & mask).is_zero(), "a unit is paid twice");
            paid |= mask;
            sum = sum.checked_add(amount).unwrap();
        }
        assert_eq!(units::count(paid), frames);
        assert_eq!(sum.base(), PRICE * u128::from(frames));
    }

    pub async fn intents(&self) -> Vec<Intent> {
        use store::IntentState::{Done, Parked, Unknown, Waiting};
        self.store.reader().intents(&[Done, Parked, Unknown, Waiting]).await.unwrap()
    }

    /// Waits until nothing in the outbox is open.
    pub async fn outbox_done(&self) {
        let look = || async {
            let intents = self.intents().await;
            intents.iter().all(|i| i.state == store::IntentState::Done).then_some(())
        };
        eventually("every intent done", look).await;
    }
}

fn cap(spec: &ExpandedSpec) -> Amount {
    Amount::from_base(PRICE * u128::from(spec.units())).unwrap()
}

fn quote_text(spec: &ExpandedSpec) -> String {
    let (cap, spec_hash) = (cap(spec), spec.spec_hash());
    format!(r#"{{"cap":"{cap}","spec_hash":"{spec_hash}","unit_price":"{PRICE}"}}"#)
}

fn manifest() -> String {
    let (hash, size) = (keccak256(SCENE), SCENE.len());
    format!(r#"{{"files":[{{"hash":"{hash}","path":"demo.pov","size":{size}}}]}}"#)
}

/// What painters did, in order: (unit, attempt).
pub type Log = Arc<Mutex<Vec<(u32, u32)>>>;

/// Paints pictures of the right size in no time, or in so many milliseconds.
#[derive(Clone, Default)]
pub struct Painter {
    pub log: Log,
    pub milliseconds: u64,
    /// Paints this many pixels too wide.
    pub too_wide: u32,
}

impl Painter {
    pub fn painted(&self) -> Vec<(u32, u32)> {
        self.log.lock().unwrap().clone()
    }
}

impl Backend for Painter {
    fn probe(&self) -> BoxFuture<'_, Result<BackendInfo, BackendError>> {
        let info = BackendInfo {
            backend: "povray".into(),
            version: "3.7".into(),
            kernel_class: "painter".into(),
        };
        Box::pin(async { Ok(info) })
    }

    fn preflight<'a>(
        &'a self,
        scene_dir: &'a Path,
        spec: &'a ExpandedSpec,
    ) -> BoxFuture<'a, Result<(), BackendError>> {
        assert_eq!(std::fs::read(scene_dir.join(&spec.entry)).unwrap(), SCENE);
        Box::pin(async { Ok(()) })
    }

    fn render<'a>(
        &'a self,
        request: &'a RenderRequest,
        progress: Progress<'a>,
    ) -> BoxFuture<'a, Result<PathBuf, BackendError>> {
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(self.milliseconds)).await;
            progress(500);
            let size = request.spec.resolution;
            let shade = u8::try_from(request.task.frame % 200).unwrap();
            let picture = RgbImage::from_fn(size.width + self.too_wide, size.height, |x, y| {
                let channel = |n: u32| u8::try_from(n % 256).unwrap();
                image::Rgb([channel(x * 5), channel(y * 7), shade])
            });
            let path = request.out_dir.join("painted.png");
            picture.save(&path).unwrap();
            self.log.lock().unwrap().push((request.task.unit, request.task.attempt));
            Ok(path)
        })
    }
}

/// The newest transaction hash of an intent; None while nothing is signed.
pub async fn newest_hash(store: &Store, intent: &Intent) -> Option<B256> {
    let sent = store.reader().transactions_of(intent.intent_id).await.unwrap();
    sent.last().map(|tx| tx.tx_hash)
}
