//! Holds the settler's key: opens a delivery, runs every check, then signs the Acceptance.

use std::collections::BTreeMap;
use std::sync::Arc;

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit};
use alloy::primitives::{Address, B256, Bytes};
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::Eip712Domain;
use contracts::order::lot_hash;
use contracts::seal::LotKey;
use contracts::{JobId, Lot, signing};
use hkdf::Hkdf;
use sha2::Sha256;
use store::{Attempt, Lease, LeaseState, LotDraft, ReceiptRow, Store};
use tokio::sync::Semaphore;

use crate::lots::{self, LotProblem};
use crate::node::{Accepted, DeliveredUnit, Delivery};
use crate::opening::{self, Opened, OpeningProblem, Terms};
use crate::queue::COMMIT_MARGIN;
use crate::receipt::{self, Expected, ReceiptProblem};
use crate::terms::{self, JobTerms, Specs, TermsError};

/// Deliveries opened at once: each holds a stored, an opened and a decoded file in memory.
const MAX_OPENING: usize = 2;
/// Binds the key for lot keys at rest to its use.
const REST_INFO: &[u8] = b"rndr lot key at rest 1";

/// Why a delivery gets no Acceptance.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("lease {lease_id} is {state}; its units may be another node's by now")]
    LeaseLost { lease_id: String, state: String },
    #[error("this lease was accepted with other receipts; a second delivery is not taken")]
    OtherDelivery,
    #[error("units {missing:?} of the lease are not in the delivery; deliver all or fail them")]
    Incomplete { missing: Vec<u32> },
    #[error("unit {unit} stands in the delivery twice")]
    Twice { unit: u32 },
    #[error("file of unit {unit} ({hash}) was not uploaded")]
    FileMissing { unit: u32, hash: B256 },
    #[error("the lease is sealed, but the delivery has no lot key")]
    NoKey,
    #[error("the lease is not sealed, but the delivery has a lot key")]
    UnwantedKey,
    #[error("unit {unit}: {problem}")]
    Receipt { unit: u32, problem: ReceiptProblem },
    #[error("unit {unit}: {problem}")]
    File { unit: u32, problem: OpeningProblem },
    #[error(transparent)]
    Lot(#[from] LotProblem),
    #[error("the job ended, or will too soon to pay for this lot")]
    JobEnded,
    #[error("the job's free money does not cover the lot; nobody may accept it")]
    NoMoney,
    #[error(transparent)]
    Terms(#[from] TermsError),
    #[error("signing failed: {0}")]
    Signing(#[from] alloy::signers::Error),
    #[error("opening stopped: {0}")]
    Stopped(String),
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Refusal {
    /// Is the delivery wrong for good, so that the lease fails? And which units are to blame.
    pub fn blamed(&self, leased: &[u32]) -> Option<Vec<u32>> {
        match self {
            // A clock that is off is the node's trouble, not the unit's.
            Self::Receipt { problem: ReceiptProblem::OutsideLease { .. }, .. } => Some(Vec::new()),
            Self::Receipt { unit, .. } | Self::File { unit, .. } | Self::Twice { unit } => {
                let unit = *unit;
                Some(if leased.contains(&unit) { vec![unit] } else { leased.to_vec() })
            }
            Self::Incomplete { missing } => Some(missing.clone()),
            Self::NoKey | Self::UnwantedKey | Self::Lot(_) => Some(leased.to_vec()),
            Self::JobEnded | Self::NoMoney => Some(Vec::new()),
            Self::LeaseLost { .. }
            | Self::OtherDelivery
            | Self::FileMissing { .. }
            | Self::Terms(_)
            | Self::Signing(_)
            | Self::Stopped(_)
            | Self::Store(_) => None,
        }
    }
}

/// The key named `settler` in orders.
pub type SettlerKey = PrivateKeySigner;

/// The settler's key, and what only it may do.
pub struct Notary {
    key: SettlerKey,
    domain: Eip712Domain,
    rest: Hkdf<Sha256>,
    sealed: bool,
    opening: Arc<Semaphore>,
}

impl Notary {
    /// `sealed`: whether deliveries must be.
    pub fn new(key: SettlerKey, domain: Eip712Domain, sealed: bool) -> Self {
        let rest = Hkdf::<Sha256>::new(None, key.to_bytes().as_slice());
        Self { key, domain, rest, sealed, opening: Arc::new(Semaphore::new(MAX_OPENING)) }
    }

    pub fn settler(&self) -> Address {
        self.key.address()
    }

    pub fn domain(&self) -> &Eip712Domain {
        &self.domain
    }

    /// Consent to exactly these lots in this order: call it for stored drafts only.
    pub fn consent(&self, job_id: JobId, lots: &[Lot]) -> Result<Bytes, alloy::signers::Error> {
        let act = signing::acceptance(job_id, lots);
        let digest = signing::signing_hash(&act, &self.domain);
        Ok(self.key.sign_hash_sync(&digest)?.as_bytes().into())
    }

    /// A key of its own for each lot, used for one text: the nonce may be fixed.
    fn rest_cipher(&self, lot_hash: B256) -> Aes256Gcm {
        let mut key = [0; 32];
        let info = [REST_INFO, lot_hash.as_slice()];
        self.rest.expand_multi_info(&info, &mut key).expect("32 bytes are within HKDF's length");
        Aes256Gcm::new(&key.into())
    }

    /// The lot key as it is stored: nothing but the settler's key opens it.
    pub fn seal_key(&self, lot_hash: B256, key: &LotKey) -> Bytes {
        let payload = Payload { msg: key.bytes(), aad: lot_hash.as_slice() };
        let cipher = self.rest_cipher(lot_hash);
        cipher.encrypt(&[0; 12].into(), payload).expect("32 bytes are never too long").into()
    }

    /// None: not sealed by this settler's key, or altered.
    pub fn open_key(&self, lot_hash: B256, sealed: &Bytes) -> Option<LotKey> {
        let payload = Payload { msg: sealed, aad: lot_hash.as_slice() };
        let plain = self.rest_cipher(lot_hash).decrypt(&[0; 12].into(), payload).ok()?;
        Some(LotKey::new(plain.try_into().ok()?))
    }

    /// Runs every check, then signs. The same delivery again gets the same answer.
    pub async fn accept(
        &self,
        store: &Store,
        specs: &Specs,
        lease: &Lease,
        delivery: Delivery,
        now: i64,
    ) -> Result<Accepted, Refusal> {
        if lease.state == LeaseState::Accepted {
            return accepted_before(store, lease, &delivery).await;
        }
        // The state alone counts: while nobody ended the lease its units are nobody else's, and
        // after a time in which this process was away the work is as good as before.
        if lease.state != LeaseState::Active {
            let state = format!("{:?}", lease.state).to_lowercase();
            return Err(Refusal::LeaseLost { lease_id: lease.lease_id.clone(), state });
        }
        let job = terms::read(store, specs, lease.job_id).await?;
        let attempts = store.reader().attempts_of_job(lease.job_id).await?;
        let attempts = of_lease(&attempts, lease);
        let key = delivery.lot_key.map(LotKey::from);
        self.check_receipts(&delivery, lease, &attempts, key.as_ref(), now)?;
        let opened = self.open_all(store, &delivery.receipts, key.clone(), &job).await?;
        let digests =
            delivery.receipts.iter().map(|d| (d.receipt.unit, d.receipt.digest(&self.domain)));
        let commit = key.as_ref().map_or(B256::ZERO, LotKey::commit);
        let lot = lots::lot_of(lease.node, job.unit_price, commit, &digests.collect())?;
        if now.saturating_add(COMMIT_MARGIN / 3) >= job.ends_for(now) {
            return Err(Refusal::JobEnded);
        }
        if !terms::covers(store, &job, &lot).await? {
            return Err(Refusal::NoMoney);
        }
        let lot_hash = lot_hash(lease.job_id, &lot);
        let acceptance = self.consent(lease.job_id, std::slice::from_ref(&lot))?;
        let draft = LotDraft {
            lot_hash,
            job_id: lease.job_id,
            lease_id: lease.lease_id.clone(),
            lot: lot.clone(),
            acceptance: acceptance.clone(),
            lot_key: key.as_ref().map(|key| self.seal_key(lot_hash, key)),
            accepted_at: now,
        };
        let rows = receipt_rows(store, &delivery.receipts, opened, lease, lot_hash).await?;
        match store.work().accept_lot(&draft, &rows).await {
            Ok(()) => Ok(Accepted { lot, lot_hash, acceptance }),
            // Delivered twice at once: the other request was first.
            Err(store::Error::LeaseNotActive { lease_id, state }) => {
                let lease = store.reader().lease(&lease_id).await?;
                match lease.filter(|l| l.state == LeaseState::Accepted) {
                    Some(lease) => accepted_before(store, &lease, &delivery).await,
                    None => Err(Refusal::LeaseLost { lease_id, state }),
                }
            }
            Err(other) => Err(other.into()),
        }
    }

    /// Everything that needs no file: cheap, so it comes first.
    fn check_receipts(
        &self,
        delivery: &Delivery,
        lease: &Lease,
        attempts: &BTreeMap<u32, u32>,
        key: Option<&LotKey>,
        now: i64,
    ) -> Result<(), Refusal> {
        match (self.sealed, key) {
            (true, None) => return Err(Refusal::NoKey),
            (false, Some(_)) => return Err(Refusal::UnwantedKey),
            (true, Some(_)) | (false, None) => {}
        }
        let expected = Expected {
            domain: &self.domain,
            job_id: lease.job_id,
            node: lease.node,
            attempts,
            key_commit: key.map_or(B256::ZERO, LotKey::commit),
            taken_at: u64::try_from(lease.taken_at).unwrap_or(0),
            now: u64::try_from(now).unwrap_or(0),
        };
        let mut missing = attempts.clone();
        for delivered in &delivery.receipts {
            let unit = delivered.receipt.unit;
            receipt::check(delivered, &expected)
                .map_err(|problem| Refusal::Receipt { unit, problem })?;
            missing.remove(&unit).ok_or(Refusal::Twice { unit })?;
        }
        if missing.is_empty() {
            Ok(())
        } else {
            Err(Refusal::Incomplete { missing: missing.into_keys().collect() })
        }
    }

    /// Opens file after file on a thread for heavy work, few deliveries at a time.
    async fn open_all(
        &self,
        store: &Store,
        receipts: &[DeliveredUnit],
        key: Option<LotKey>,
        job: &JobTerms,
    ) -> Result<Vec<(Opened, u64)>, Refusal> {
        let stopped = |e: &dyn std::fmt::Display| Refusal::Stopped(e.to_string());
        let _turn = self.opening.acquire().await.map_err(|e| stopped(&e))?;
        let mut all = Vec::with_capacity(receipts.len());
        for delivered in receipts {
            let (unit, hash) = (delivered.receipt.unit, delivered.stored_hash);
            let stored = store.objects().get(hash).await?;
            let stored = stored.ok_or(Refusal::FileMissing { unit, hash })?;
            let size = u64::try_from(stored.len()).unwrap_or(u64::MAX);
            let (delivered, key) = (delivered.clone(), key.clone());
            let (spec, payer) = (job.spec.clone(), job.order.payer);
            let task = tokio::task::spawn_blocking(move || {
                let terms = Terms { spec: &spec, payer, key: key.as_ref() };
                opening::open(&delivered, &stored, &terms)
            });
            let opened = task.await.map_err(|e| stopped(&e))?;
            all.push((opened.map_err(|problem| Refusal::File { unit, problem })?, size));
        }
        Ok(all)
    }
}

fn of_lease(attempts: &[Attempt], lease: &Lease) -> BTreeMap<u32, u32> {
    let ours = attempts.iter().filter(|a| a.lease_id == lease.lease_id);
    ours.map(|a| (a.unit, a.attempt)).collect()
}

/// Stores the previews, and makes the rows of the receipts.
async fn receipt_rows(
    store: &Store,
    receipts: &[DeliveredUnit],
    opened: Vec<(Opened, u64)>,
    lease: &Lease,
    lot_hash: B256,
) -> Result<Vec<ReceiptRow>, Refusal> {
    let mut rows = Vec::with_capacity(receipts.len());
    for (delivered, (opened, stored_size)) in receipts.iter().zip(opened) {
        let receipt = &delivered.receipt;
        rows.push(ReceiptRow {
            job_id: receipt.job_id,
            unit: receipt.unit,
            attempt: receipt.attempt,
            node: lease.node,
            output_hash: receipt.output_hash,
            preview_hash: receipt.preview_hash,
            key_commit: receipt.key_commit,
            started_at: i64::try_from(receipt.started_at).unwrap_or(i64::MAX),
            finished_at: i64::try_from(receipt.finished_at).unwrap_or(i64::MAX),
            signature: delivered.signature.clone(),
            lot_hash,
            pixel_root: opened.pixel_root,
            file_root: opened.file_root,
            file_name: delivered.file_name.clone(),
            opened_hash: delivered.opened_hash,
            stored_hash: delivered.stored_hash,
            stored_size,
            preview_object: store.objects().put(opened.preview.into()).await?,
        });
    }
    Ok(rows)
}

/// The answer given before, when the receipts are the same ones.
async fn accepted_before(
    store: &Store,
    lease: &Lease,
    delivery: &Delivery,
) -> Result<Accepted, Refusal> {
    let drafts = store.reader().lot_drafts_of_job(lease.job_id).await?;
    let draft = drafts.into_iter().find(|d| d.lease_id == lease.lease_id);
    let draft = draft.ok_or(Refusal::OtherDelivery)?;
    let rows = store.reader().receipts_of_lot(draft.lot_hash).await?;
    let known = |d: &DeliveredUnit| rows.iter().any(|row| row.receipt() == d.receipt);
    if rows.len() != delivery.receipts.len() || !delivery.receipts.iter().all(known) {
        return Err(Refusal::OtherDelivery);
    }
    let LotDraft { lot, lot_hash, acceptance, .. } = draft;
    Ok(Accepted { lot, lot_hash, acceptance })
}

#[cfg(test)]
mod tests;
