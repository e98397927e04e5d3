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
    /// Time of the newest block, by which the escrow judges.
    pub mined_at: i64,
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

    /// The same by our own clock, which reads `now`: earlier, when the chain's is ahead.
    pub fn ends_for(&self, now: i64) -> i64 {
        let ahead = self.mined_at.saturating_sub(now).max(0);
        self.ends_at().saturating_sub(ahead)
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
    let mined_at = reader.tip().await?.map_or(0, |tip| tip.mined_at);
    Ok(JobTerms { order, state, spec, unit_price, mined_at })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{DEADLINE, GRACE, job_order, job_state, order, spec};
    use contracts::spec::Tier;

    #[test]
    fn a_job_ends_by_whichever_clock_is_ahead() {
        let job = job_order(1, 1, order(6));
        let mut terms = JobTerms {
            state: job_state(&job),
            order: job.order,
            spec: Arc::new(spec("1-6", Tier::Economy, 4)),
            unit_price: Amount::from(1u64),
            mined_at: 5_000,
        };
        assert_eq!(terms.ends_for(6_000), DEADLINE + GRACE);
        assert_eq!(terms.ends_for(4_000), DEADLINE + GRACE - 1_000);
        terms.state.closed = true;
        assert!(terms.ends_for(6_000) <= 0);
    }
}
