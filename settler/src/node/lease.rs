//! Work on one lease: what is missing is rendered while the lease is kept alive, then delivered.
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use alloy::primitives::{Address, B256};
use contracts::seal::{LotKey, NONCE_BYTES};
use contracts::{order, signing};

use super::agent::{Agent, AgentError, io, now, random};
use super::client::ClientError;
use super::finish::{Rendered, finish};
use super::journal::{Journal, JournalError};
use super::scene::{SceneError, materialise};
use super::{
    Accepted, Backend, BackendError, DeliveredUnit, Delivery, DoorInfo, LeaseOffer, MAX_FILE,
    ProblemCode, RenderRequest, Renewal, UnitProgress, UnitTask,
};
use crate::lots::lot_of;

/// Progress is told this often when it changed; without a change the lease's own rhythm holds.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);
/// A file that the door lost is uploaded again this often, then the door has a problem.
const DELIVERY_TRIES: u32 = 3;
/// Jobs whose scene passed its preflight here; forgotten together beyond this.
const KNOWN_JOBS: usize = 1_000;

/// Why a lease ended without an acceptance.
pub(super) enum Ended {
    /// It is another's, or refused for good: forget it.
    Lost(String),
    /// This node cannot do it: give it back with these words.
    Failed {
        unit: Option<u32>,
        problem: String,
    },
    /// The door is away: the journal waits for it.
    Away(ClientError),
    Stop(AgentError),
}

impl From<ClientError> for Ended {
    fn from(error: ClientError) -> Ended {
        match error.code() {
            Some(ProblemCode::LeaseLost | ProblemCode::DeliveryRefused | ProblemCode::NotFound) => {
                Ended::Lost(error.to_string())
            }
            Some(
                ProblemCode::BadRequest
                | ProblemCode::BadSignature
                | ProblemCode::FileMissing
                | ProblemCode::TooLarge,
            ) => Ended::Failed { unit: None, problem: error.to_string() },
            Some(ProblemCode::Unauthorized | ProblemCode::Unavailable | ProblemCode::Internal) => {
                Ended::Away(error)
            }
            None if error.is_transient() => Ended::Away(error),
            None => Ended::Stop(error.into()),
        }
    }
}

impl From<JournalError> for Ended {
    fn from(error: JournalError) -> Ended {
        match error {
            JournalError::SignedBefore { unit, .. } => {
                Ended::Failed { unit: Some(unit), problem: error.to_string() }
            }
            JournalError::Io { .. } | JournalError::Garbled { .. } | JournalError::LeaseId(_) => {
                Ended::Stop(error.into())
            }
        }
    }
}

impl From<AgentError> for Ended {
    fn from(error: AgentError) -> Ended {
        Ended::Stop(error)
    }
}

impl<B: Backend> Agent<B> {
    /// Renders what is missing while the lease is kept alive, then delivers.
    pub(super) async fn lease(
        &mut self,
        door: &DoorInfo,
        journal: &Journal,
    ) -> Result<Accepted, Ended> {
        let key = self.lot_key(journal)?;
        let progress: Progress =
            journal.offer.units.iter().map(|task| (task.unit, AtomicU16::new(0))).collect();
        let known = self.known.contains(&journal.offer.job_id);
        // What is complete on disk is delivered without a renewal: the lease may be accepted by
        // now, if a crash came before that was written down.
        let rendered = tokio::select! {
            biased;
            rendered = self.render_all(journal, key.as_ref(), &progress, known) => rendered,
            lost = self.keep_alive(&journal.offer, &progress) => Err(lost),
        };
        let fresh = rendered?;
        if self.known.len() >= KNOWN_JOBS {
            self.known.clear();
        }
        self.known.insert(journal.offer.job_id);
        let words = self.words(journal)?;
        // From here on others see them.
        self.signed.keep(journal.offer.job_id, &words)?;
        let accepted = self.deliver(journal, &words, key.as_ref(), (fresh, &progress)).await?;
        check_acceptance(door, journal, &words, &accepted, self.node())?;
        Ok(accepted)
    }

    /// Ends only when the lease is lost or the process must stop. A door that is away for a while
    /// is no reason to end: what is rendered can still be delivered.
    async fn keep_alive(&self, offer: &LeaseOffer, progress: &Progress) -> Ended {
        let rhythm = Duration::from_secs((offer.renew_seconds / 3).max(1));
        let mut told: Vec<u16> = Vec::new();
        let mut since = Duration::MAX;
        loop {
            let current: Vec<u16> =
                progress.values().map(|part| part.load(Ordering::Relaxed)).collect();
            if current != told || since >= rhythm {
                let units = progress.keys().zip(&current);
                let units =
                    units.map(|(unit, part)| UnitProgress { unit: *unit, thousandths: *part });
                let renewal = Renewal { progress: units.collect() };
                match self.client.renew(&offer.lease_id, &renewal).await.map_err(Ended::from) {
                    Ok(_) => {
                        told = current;
                        since = Duration::ZERO;
                    }
                    Err(Ended::Away(error)) => tracing::debug!(%error, "renewal waits"),
                    Err(ended) => return ended,
                }
            }
            tokio::time::sleep(PROGRESS_EVERY).await;
            since = since.saturating_add(PROGRESS_EVERY);
        }
    }

    /// Answers whether anything was missing.
    async fn render_all(
        &self,
        journal: &Journal,
        key: Option<&LotKey>,
        progress: &Progress,
        known: bool,
    ) -> Result<bool, Ended> {
        let offer = &journal.offer;
        let said = self.signed.outputs(offer.job_id)?;
        let mut missing = Vec::new();
        for UnitTask { unit, attempt, frame } in offer.units.iter().copied() {
            match journal.unit(unit)? {
                Some(_) => tell(progress, unit, 1000),
                // The word about this attempt is out, with another lease: no other may follow.
                None if said.contains_key(&(unit, attempt)) => {
                    return Err(JournalError::SignedBefore { unit, attempt }.into());
                }
                None => missing.push(UnitTask { unit, attempt, frame }),
            }
        }
        if missing.is_empty() {
            return Ok(false);
        }
        let scene =
            materialise(&self.client, &self.folders.scenes, offer.spec.scene, &offer.scene).await;
        let scene_dir = scene.map_err(scene_ended)?;
        if !known {
            let found = self.backend.preflight(&scene_dir, &offer.spec).await;
            found.map_err(|error| backend_ended(error, None))?;
        }
        for task in missing {
            self.render(journal, key, progress, task, &scene_dir).await?;
        }
        Ok(true)
    }

    /// One unit: rendered, hashed, sealed, signed, and on disk.
    async fn render(
        &self,
        journal: &Journal,
        key: Option<&LotKey>,
        progress: &Progress,
        task: UnitTask,
        scene_dir: &Path,
    ) -> Result<(), Ended> {
        let offer = &journal.offer;
        let folder = tempfile::tempdir_in(&self.folders.pictures);
        let folder = folder.map_err(io("making a folder in", &self.folders.pictures))?;
        let request = RenderRequest {
            job_id: offer.job_id,
            spec: offer.spec.clone(),
            task,
            scene_dir: scene_dir.to_path_buf(),
            out_dir: folder.path().to_path_buf(),
        };
        let started_at = now();
        let told = |part: u16| tell(progress, task.unit, part.min(999));
        let path = self.backend.render(&request, &told).await;
        let path = path.map_err(|error| backend_ended(error, Some(task.unit)))?;
        let finished_at = now();
        let seal = match key {
            Some(key) => Some((key.clone(), random::<NONCE_BYTES>()?)),
            None => None,
        };
        let spec = offer.spec.clone();
        let job_id = offer.job_id;
        let finished = tokio::task::spawn_blocking(move || {
            let bytes = read_picture(&path)?;
            let seal = seal.as_ref().map(|(key, nonce)| (key, *nonce));
            let rendered = Rendered {
                job_id,
                spec: &spec,
                task,
                bytes: &bytes,
                seal,
                started_at,
                finished_at,
            };
            finish(&rendered).map_err(|error| error.to_string())
        });
        let finished = finished.await.unwrap_or_else(|error| Err(error.to_string()));
        let failed = |problem| Ended::Failed { unit: Some(task.unit), problem };
        let finished = finished.map_err(failed)?;
        journal.put_unit(&self.sign(offer, &finished)?, &finished.stored)?;
        tell(progress, task.unit, 1000);
        Ok(())
    }

    fn words(&self, journal: &Journal) -> Result<Vec<DeliveredUnit>, Ended> {
        let mut words = Vec::new();
        for task in &journal.offer.units {
            match journal.unit(task.unit)? {
                Some(word) => words.push(word),
                None => {
                    let problem = format!("unit {} has no receipt on disk", task.unit);
                    return Err(Ended::Failed { unit: Some(task.unit), problem });
                }
            }
        }
        Ok(words)
    }

    /// Hands in the words of the journal, unchanged however often. Files go first when they are
    /// fresh; those of an earlier life of this node may be there already.
    async fn deliver(
        &self,
        journal: &Journal,
        words: &[DeliveredUnit],
        key: Option<&LotKey>,
        (fresh, progress): (bool, &Progress),
    ) -> Result<Accepted, Ended> {
        let lease_id = &journal.offer.lease_id;
        let lot_key = key.map(|key| B256::from(*key.bytes()));
        let delivery = Delivery { receipts: words.to_vec(), lot_key };
        let mut upload = fresh;
        let mut tries = 0;
        loop {
            if upload {
                // Many files over a slow line outlast a lease. The delivery itself is no time to
                // renew in: it may end the lease, and the door keeps it alive by itself.
                tokio::select! {
                    biased;
                    sent = self.upload(journal, words) => sent?,
                    lost = self.keep_alive(&journal.offer, progress) => return Err(lost),
                }
            }
            tries += 1;
            match self.client.deliver(lease_id, &delivery).await {
                Err(error)
                    if error.code() == Some(ProblemCode::FileMissing) && tries < DELIVERY_TRIES =>
                {
                    upload = true;
                }
                answer => return answer.map_err(Ended::from),
            }
        }
    }

    async fn upload(&self, journal: &Journal, words: &[DeliveredUnit]) -> Result<(), Ended> {
        for word in words {
            let unit = word.receipt.unit;
            let stored = journal.stored(unit)?.unwrap_or_default();
            let uploaded = self.client.upload(&journal.offer.lease_id, unit, stored.into()).await?;
            if uploaded.hash != word.stored_hash {
                let problem = "the door stored other bytes than were sent".to_owned();
                return Err(Ended::Failed { unit: Some(unit), problem });
            }
        }
        Ok(())
    }
}

type Progress = BTreeMap<u32, AtomicU16>;

fn tell(progress: &Progress, unit: u32, thousandths: u16) {
    if let Some(part) = progress.get(&unit) {
        part.store(thousandths, Ordering::Relaxed);
    }
}

/// The settler must have signed for exactly these receipts at the offered price.
fn check_acceptance(
    door: &DoorInfo,
    journal: &Journal,
    words: &[DeliveredUnit],
    accepted: &Accepted,
    node: Address,
) -> Result<(), AgentError> {
    let LeaseOffer { job_id, chain_id, escrow, unit_price, .. } = &journal.offer;
    let bad = |reason| AgentError::BadAcceptance { lease: journal.offer.lease_id.clone(), reason };
    let domain = order::domain(*chain_id, *escrow);
    let digests: BTreeMap<u32, B256> =
        words.iter().map(|word| (word.receipt.unit, word.receipt.digest(&domain))).collect();
    let key_commit = words.first().map(|word| word.receipt.key_commit).unwrap_or_default();
    let lot = lot_of(node, *unit_price, key_commit, &digests).map_err(|_| bad("no lot"))?;
    if accepted.lot != lot || accepted.lot_hash != order::lot_hash(*job_id, &lot) {
        return Err(bad("another lot"));
    }
    let act = signing::acceptance(*job_id, std::slice::from_ref(&lot));
    match signing::recover(signing::signing_hash(&act, &domain), &accepted.acceptance) {
        Ok(signer) if signer == door.settler => Ok(()),
        Ok(_) => Err(bad("signed by another than the settler")),
        Err(_) => Err(bad("no signature")),
    }
}

fn scene_ended(error: SceneError) -> Ended {
    match error {
        SceneError::Client(error) => error.into(),
        SceneError::Manifest(_) | SceneError::Hash { .. } => {
            Ended::Failed { unit: None, problem: error.to_string() }
        }
        SceneError::Io { doing, path, source } => AgentError::Io { doing, path, source }.into(),
    }
}

/// The scene's and the limits' problems are told; a renderer that is gone stops the node.
fn backend_ended(error: BackendError, unit: Option<u32>) -> Ended {
    match error {
        BackendError::Scene(_) | BackendError::TimeOut { .. } | BackendError::Limit { .. } => {
            Ended::Failed { unit, problem: error.to_string() }
        }
        BackendError::Unavailable { .. } | BackendError::Io { .. } => Ended::Stop(error.into()),
    }
}

fn read_picture(path: &Path) -> Result<Vec<u8>, String> {
    let data = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if data.len() > MAX_FILE as u64 {
        return Err(format!("the picture has {} bytes; at most {MAX_FILE}", data.len()));
    }
    std::fs::read(path).map_err(|error| error.to_string())
}
