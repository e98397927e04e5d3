//! What a job's order stands for, read from the store: its spec, its unit price, its money.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use alloy::primitives::B256;
use contracts::spec::ExpandedSpec;
use contracts::units::lot_amount;
use contracts::{Amount, JobId, Lot, Order};
use store::{JobState, Reader, Store};

use crate::queue;

/// Specs kept parsed: more jobs than this are rarely open at once, and one may have 2^20 frames.
const MAX_SPECS: usize = 256;

#[derive(Debug, thiserror::Error)]
pub enum TermsError {
    #[error("job {0} is not open in the index (yet)")]
    NotOpen(JobId),
    #[error("spec {0} was never handed in here")]
    NoSpec(B256),
    #[error("quote {0} was never handed in here")]
    NoQuote(B256),
    #[error("stored spec {hash} cannot be read: {problem}")]
    BadSpec { hash: B256, problem: String },
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Specs by hash, parsed once.
#[derive(Debug, Default)]
pub struct Specs(Mutex<HashMap<B256, Arc<ExpandedSpec>>>);

impl Specs {
    pub async fn get(
        &self,
        reader: &Reader,
        hash: B256,
    ) -> Result<Option<Arc<ExpandedSpec>>, TermsError> {
        if let Some(spec) = self.lock().get(&hash) {
            return Ok(Some(spec.clone()));
        }
        let Some(row) = reader.spec(hash).await? else { return Ok(None) };
        let spec: ExpandedSpec = serde_json::from_str(&row.canonical)
            .map_err(|e| TermsError::BadSpec { hash, problem: e.to_string() })?;
        if spec.spec_hash() != hash {
            let problem = format!("it hashes to {}", spec.spec_hash());
            return Err(TermsError::BadSpec { hash, problem });
        }
        let spec = Arc::new(spec);
        let mut cache = self.lock();
        if cache.len() >= MAX_SPECS {
            cache.clear();
        }
        cache.insert(hash, spec.clone());
        Ok(Some(spec))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<B256, Arc<ExpandedSpec>>> {
        // A panic while it was held left a whole map behind: entries go in at once.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The terms of one open job.
#[derive(Debug, Clone)]
pub struct JobTerms {
    pub order: Order,
    pub state: JobState,
    pub spec: Arc<ExpandedSpec>,
    pub unit_price: Amount,
}

impl JobTerms {
    /// When commits stop being accepted; now, when the job is closed.
    pub fn ends_at(&self) -> i64 {
        if self.state.closed {
            return 0;
        }
        let grace = i64::try_from(self.order.claim_grace).unwrap_or(i64::MAX);
        self.state.work_deadline.saturating_add(grace)
    }
}

pub async fn read(store: &Store, specs: &Specs, job_id: JobId) -> Result<JobTerms, TermsError> {
    let reader = store.reader();
    let (row, state) = reader.job(job_id).await?.ok_or(TermsError::NotOpen(job_id))?;
    let order = row.order;
    let spec = specs.get(&reader, order.spec_hash).await?;
    let spec = spec.ok_or(TermsError::NoSpec(order.spec_hash))?;
    let quote = reader.quote(order.quote_hash).await?;
    let unit_price = quote.ok_or(TermsError::NoQuote(order.quote_hash))?.unit_price;
    Ok(JobTerms { order, state, spec, unit_price })
}

/// Does the job's free money, less what is accepted and not yet committed, pay for this lot?
pub async fn covers(store: &Store, job: &JobTerms, lot: &Lot) -> Result<bool, store::Error> {
    let job_id = job.state.job_id;
    let reader = store.reader();
    // Drafts, then lots, then money: a commit that is indexed meanwhile counts twice, not never.
    let drafts = reader.lot_drafts_of_job(job_id).await?;
    let lots = reader.job_lots(job_id).await?;
    let state = reader.job(job_id).await?.map(|(_, state)| state);
    let Some(state) = state.filter(|state| !state.closed) else { return Ok(false) };
    let waiting = queue::waiting(&lots, &drafts).into_iter().map(|draft| &draft.lot);
    let promised =
        waiting.chain([lot]).try_fold(Amount::ZERO, |sum, lot| sum.checked_add(lot_amount(lot)?));
    Ok(promised.is_ok_and(|promised| promised <= state.remaining()))
}
