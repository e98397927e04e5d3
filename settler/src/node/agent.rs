//! `rndr node`: leases work, renders, hashes, seals, signs, delivers.
use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use alloy::primitives::{Address, B256, Bytes, keccak256};
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use contracts::seal::{FileId, LotKey, open, seal};
use contracts::{JobId, order};
use rand::TryRngCore;
use rand::rngs::OsRng;
use tokio_util::sync::CancellationToken;

use super::client::{Client, ClientError};
use super::finish::Finished;
use super::journal::{Journal, JournalError};
use super::lease::Ended;
use super::signed::Signed;
use super::{
    Backend, BackendError, BackendInfo, DeliveredUnit, DoorInfo, Failure, LeaseOffer, MAX_PROBLEM,
    ProblemCode, Registration, UnitProblem, registration_text,
};

/// Pauses while the door is away: they double up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// What a node is started with.
pub struct Config {
    pub door_url: String,
    /// Signs receipts and registers; lots are paid to its account.
    pub key: PrivateKeySigner,
    /// Scenes, journals of leases, pictures in the making; one node each.
    pub work_dir: PathBuf,
}

#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    #[error("{doing} {path} failed: {source}; the node's work folder needs space and rights")]
    Io { doing: &'static str, path: PathBuf, source: std::io::Error },
    #[error("another node works in {0}; give each its own work_dir (RNDR__NODE__WORK_DIR)")]
    FolderTaken(PathBuf),
    #[error(transparent)]
    Backend(#[from] BackendError),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("the system gives no random bytes: {0}")]
    Random(String),
    #[error(
        "the settler's acceptance of lease {lease} is not for what was delivered ({reason}); this \
         node stops rather than work without pay, and its journal keeps the receipts"
    )]
    BadAcceptance { lease: String, reason: &'static str },
    #[error("signing failed: {0}")]
    Sign(String),
}

/// Works until `stop`. What is rendered and signed by then waits on disk and is delivered at the
/// next start; the picture in the making is lost. An error means that going on makes no sense.
pub async fn run(
    config: Config,
    backend: impl Backend,
    stop: CancellationToken,
) -> Result<(), AgentError> {
    let mut agent = Agent::open(config, backend)?;
    tokio::select! {
        biased;
        () = stop.cancelled() => Ok(()),
        ended = agent.work() => ended,
    }
}

pub(super) struct Agent<B> {
    pub(super) client: Client,
    key: PrivateKeySigner,
    pub(super) backend: B,
    pub(super) folders: Folders,
    pub(super) signed: Signed,
    /// Jobs whose scene passed its preflight.
    pub(super) known: HashSet<JobId>,
    /// Held while this node runs; the system frees it however the process ends.
    _lock: File,
}

pub(super) struct Folders {
    pub(super) scenes: PathBuf,
    leases: PathBuf,
    accepted: PathBuf,
    /// Kept as long as the node's key: see `signed.rs`.
    signed: PathBuf,
    pub(super) pictures: PathBuf,
}

impl<B: Backend> Agent<B> {
    fn open(config: Config, backend: B) -> Result<Agent<B>, AgentError> {
        let root = config.work_dir;
        let folders = Folders {
            scenes: root.join("scenes"),
            leases: root.join("leases"),
            accepted: root.join("accepted"),
            signed: root.join("signed"),
            pictures: root.join("pictures"),
        };
        let Folders { scenes, leases, accepted, signed, pictures } = &folders;
        for folder in [scenes, leases, accepted, signed, pictures] {
            std::fs::create_dir_all(folder).map_err(io("making", folder))?;
        }
        let path = root.join("lock");
        let lock = File::create(&path).map_err(io("making", &path))?;
        if lock.try_lock().is_err() {
            return Err(AgentError::FolderTaken(root));
        }
        // Pictures in the making of a process that ended.
        std::fs::remove_dir_all(&folders.pictures).map_err(io("clearing", &folders.pictures))?;
        std::fs::create_dir(&folders.pictures).map_err(io("making", &folders.pictures))?;
        let client = Client::at(&config.door_url)?;
        let signed = Signed::at(folders.signed.clone());
        let known = HashSet::new();
        Ok(Agent { client, key: config.key, backend, folders, signed, known, _lock: lock })
    }

    /// Registers, finishes what a crash left, then leases until an error that cannot pass.
    async fn work(&mut self) -> Result<(), AgentError> {
        let info = self.backend.probe().await?;
        tracing::info!(node = %self.key.address(), version = info.version, "renderer found");
        let mut pause = FIRST_PAUSE;
        let mut door = None;
        loop {
            let turn = match door {
                None => self.register(&info).await.map(|found| door = Some(found)),
                Some(ref found) => self.turn(found).await,
            };
            match turn {
                Ok(()) => pause = FIRST_PAUSE,
                Err(Ended::Away(error)) => {
                    tracing::warn!(%error, wait_seconds = pause.as_secs_f32(), "door is away");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    // Its token may be of an earlier life of the door.
                    if error.code() == Some(ProblemCode::Unauthorized) {
                        door = None;
                    }
                }
                Err(Ended::Lost(reason)) => {
                    tracing::warn!(reason, "lease is lost");
                    tokio::time::sleep(FIRST_PAUSE).await;
                }
                Err(Ended::Failed { problem, .. }) => {
                    tracing::warn!(problem, "the door takes no such request");
                    tokio::time::sleep(LONGEST_PAUSE).await;
                }
                Err(Ended::Stop(error)) => return Err(error),
            }
        }
    }

    async fn register(&self, info: &BackendInfo) -> Result<DoorInfo, Ended> {
        let door = self.client.info().await?;
        let backends = vec![info.clone()];
        let (node, issued_at) = (self.key.address(), now());
        let text = registration_text(node, &backends, issued_at, door.chain_id, door.escrow);
        let signature = self.key.sign_message_sync(text.as_bytes()).map_err(sign_error)?;
        let signature = Bytes::from(signature.as_bytes());
        self.client.register(node, &Registration { backends, issued_at, signature }).await?;
        tracing::info!(escrow = %door.escrow, chain_id = door.chain_id, "registered at the door");
        Ok(door)
    }

    /// One lease: one that a crash or an absent door left, else a new one.
    async fn turn(&mut self, door: &DoorInfo) -> Result<(), Ended> {
        let (leases, archive) = (&self.folders.leases, &self.folders.accepted);
        let left = Journal::unfinished(leases, archive)?.into_iter().next();
        let journal = match left {
            Some(journal) => journal,
            None => match self.client.lease().await? {
                Some(offer) => self.begin(door, offer)?,
                None => return Ok(()),
            },
        };
        let lease_id = journal.offer.lease_id.clone();
        match self.lease(door, &journal).await {
            Ok(accepted) => {
                let (units, job_id) = (journal.offer.units.len(), journal.offer.job_id);
                journal.put_accepted(&accepted, &self.folders.accepted)?;
                tracing::info!(lease_id, %job_id, units, "lot is accepted");
                Ok(())
            }
            Err(Ended::Failed { unit, problem }) => {
                tracing::warn!(lease_id, unit, problem, "lease is given back");
                let problem: String = problem.chars().take(MAX_PROBLEM / 4).collect();
                let named = |unit| UnitProblem { unit, problem: problem.clone() };
                let units = unit.map(named).into_iter().collect();
                let failure = Failure { problem, units };
                let told = self.client.fail(&lease_id, &failure).await;
                journal.drop_all()?;
                told.map_err(Ended::from)
            }
            Err(Ended::Lost(reason)) => {
                journal.drop_all()?;
                Err(Ended::Lost(reason))
            }
            Err(away_or_stop @ (Ended::Away(_) | Ended::Stop(_))) => Err(away_or_stop),
        }
    }

    fn begin(&self, door: &DoorInfo, offer: LeaseOffer) -> Result<Journal, Ended> {
        if (offer.escrow, offer.chain_id) != (door.escrow, door.chain_id) {
            return Err(Ended::Lost("the offer is for another escrow than the door's".into()));
        }
        let sealed_key = if offer.sealed {
            let key = LotKey::new(random()?);
            let file = key_file(offer.job_id);
            let sealed = seal(&self.rest_key(), &file, key.bytes(), random()?);
            Some(sealed.map_err(|error| AgentError::Sign(error.to_string()))?)
        } else {
            None
        };
        Ok(Journal::begin(&self.folders.leases, offer, sealed_key.as_deref())?)
    }

    /// Lot keys lie on disk sealed under this, which follows from the node's key.
    fn rest_key(&self) -> LotKey {
        let secret = self.key.to_bytes();
        LotKey::from(keccak256([b"rndr node: lot keys at rest", secret.as_slice()].concat()))
    }

    pub(super) fn lot_key(&self, journal: &Journal) -> Result<Option<LotKey>, Ended> {
        let Some(sealed) = journal.sealed_key()? else {
            return Ok(None);
        };
        let opened = open(&self.rest_key(), &key_file(journal.offer.job_id), &sealed);
        match opened.ok().and_then(|bytes| B256::try_from(bytes.as_slice()).ok()) {
            Some(key) => Ok(Some(key.into())),
            None => Err(Ended::Failed {
                unit: None,
                problem: "the lot key on disk does not open under this node's key".into(),
            }),
        }
    }

    pub(super) fn node(&self) -> Address {
        self.key.address()
    }

    /// The node's word about a finished unit.
    pub(super) fn sign(
        &self,
        offer: &LeaseOffer,
        finished: &Finished,
    ) -> Result<DeliveredUnit, Ended> {
        let domain = order::domain(offer.chain_id, offer.escrow);
        let digest = finished.receipt.digest(&domain);
        let signature = self.key.sign_hash_sync(&digest).map_err(sign_error)?;
        Ok(DeliveredUnit {
            receipt: finished.receipt.clone(),
            signature: Bytes::from(signature.as_bytes()),
            file_name: finished.file_name.clone(),
            opened_hash: finished.opened_hash,
            stored_hash: finished.stored_hash,
        })
    }
}

/// The name a lot key is sealed under at rest: no unit has it.
fn key_file(job_id: JobId) -> FileId<'static> {
    FileId { job_id, unit: u32::MAX, attempt: 0, name: "lot key" }
}

pub(super) fn random<const N: usize>() -> Result<[u8; N], AgentError> {
    let mut bytes = [0; N];
    OsRng.try_fill_bytes(&mut bytes).map_err(|error| AgentError::Random(error.to_string()))?;
    Ok(bytes)
}

pub(super) fn now() -> u64 {
    // A clock before 1970 is refused by the settler, as any wrong one.
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn sign_error(error: alloy::signers::Error) -> AgentError {
    AgentError::Sign(error.to_string())
}

pub(super) fn io<'a>(
    doing: &'static str,
    path: &'a Path,
) -> impl FnOnce(std::io::Error) -> AgentError + use<'a> {
    move |source| AgentError::Io { doing, path: path.to_path_buf(), source }
}
