//! Reads what the queue needs from the store, and leases what it picks.

use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::{Address, hex, keccak256};
use contracts::Amount;
use contracts::scene::Manifest;
use contracts::spec::ExpandedSpec;
use store::{
    Attempt, JobOrder, JobState, Lease, LeaseState, LotDraft, LotRow, LotState, Node, Store,
};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::node::{LeaseOffer, UnitTask};
use crate::queue::{self, Asking, Job, Pick};
use crate::terms::{self, JobTerms, Specs, TermsError};

/// A node renews this many times within a lease, so that two lost requests cost nothing.
const RENEWALS: i64 = 3;
/// How old a look at the open work may be: far below what rendering takes.
const BOARD_AGE: Duration = Duration::from_millis(300);

/// Hands out leases; one at a time, so that two nodes never race for the same units.
pub struct Leases {
    pub store: Store,
    pub specs: Arc<Specs>,
    pub settler: Address,
    pub escrow: Address,
    pub chain_id: u64,
    pub lease_seconds: i64,
    /// Blocks above one that make it deep: no tolerated reorg undoes it.
    pub confirmations: u64,
    pub sealed: bool,
    /// Since when leases can be renewed here.
    started_at: i64,
    /// Held while a lease is taken.
    board: Mutex<Option<Board>>,
}

/// All open work as it was read a moment ago: many waiting nodes share one look.
struct Board {
    read_at: Instant,
    mined_at: i64,
    deep_block: Option<u64>,
    nodes: Vec<Node>,
    open: Vec<Work>,
}

/// One open job, read whole.
struct Work {
    order: JobOrder,
    state: JobState,
    spec: Option<Arc<ExpandedSpec>>,
    unit_price: Option<Amount>,
    lots: Vec<(LotRow, LotState)>,
    drafts: Vec<LotDraft>,
    attempts: Vec<Attempt>,
}

impl Leases {
    pub fn new(
        store: Store,
        specs: Arc<Specs>,
        settler: Address,
        (escrow, chain_id): (Address, u64),
        (lease_seconds, confirmations): (i64, u64),
        sealed: bool,
    ) -> Self {
        let (board, started_at) = (Mutex::new(None), crate::now());
        Self {
            started_at,
            store,
            specs,
            settler,
            escrow,
            chain_id,
            lease_seconds,
            confirmations,
            sealed,
            board,
        }
    }

    /// The next lease for this node, taken in its name; None when there is nothing for it now.
    pub async fn offer(&self, node: &Node, wall: i64) -> Result<Option<LeaseOffer>, TermsError> {
        let mut board = self.board.lock().await;
        let fresh = board.take().filter(|board| board.read_at.elapsed() < BOARD_AGE);
        let read = match fresh {
            Some(read) => read,
            None => self.read().await?,
        };
        // The chain judges by its own time; the later clock of the two is the careful one.
        let now = read.mined_at.max(wall);
        let (settler, lease_seconds) = (self.settler, self.lease_seconds);
        let (nodes, deep_block) = (&read.nodes, read.deep_block);
        let asking = Asking { node, nodes, settler, now, lease_seconds, deep_block };
        let jobs: Vec<Job<'_>> = read.open.iter().map(Work::as_job).collect();
        match queue::next(&jobs, &asking) {
            // What was read is used up by the lease: the next one reads again.
            Ok(pick) => self.take(node, pick, wall).await,
            Err(refusals) => {
                for (job_id, reason) in refusals {
                    tracing::debug!(%job_id, node = %node.node, %reason, "nothing for this node");
                }
                *board = Some(read);
                Ok(None)
            }
        }
    }

    /// Something changed that a waiting node should see at once.
    pub async fn forget(&self) {
        *self.board.lock().await = None;
    }

    async fn read(&self) -> Result<Board, TermsError> {
        let read_at = Instant::now();
        let reader = self.store.reader();
        let tip = reader.tip().await?;
        let mined_at = tip.as_ref().map_or(0, |tip| tip.mined_at);
        let deep_block = tip.and_then(|tip| tip.number.checked_sub(self.confirmations));
        let mut open = Vec::new();
        for (order, state) in reader.open_jobs(self.settler).await? {
            if !state.closed {
                open.push(self.work(order, state).await?);
            }
        }
        let nodes = reader.nodes().await?;
        Ok(Board { read_at, mined_at, deep_block, nodes, open })
    }

    async fn work(&self, order: JobOrder, state: JobState) -> Result<Work, TermsError> {
        let reader = self.store.reader();
        let job_id = order.job_id;
        let spec = match self.specs.get(&reader, order.order.spec_hash).await {
            Ok(spec) => spec,
            // One unreadable spec must not stop the other jobs.
            Err(TermsError::BadSpec { hash, problem }) => {
                tracing::error!(%job_id, spec_hash = %hash, problem, "spec cannot be read");
                None
            }
            Err(other) => return Err(other),
        };
        let quote = reader.quote(order.order.quote_hash).await?;
        // Work moves from attempts to drafts to lots to the job's money, so reading in that order
        // can count it twice, never not at all: a unit delivered meanwhile is not leased again.
        let attempts = reader.attempts_of_job(job_id).await?;
        let drafts = reader.lot_drafts_of_job(job_id).await?;
        let lots = reader.job_lots(job_id).await?;
        let state = reader.job(job_id).await?.map_or(state, |(_, newest)| newest);
        let unit_price = quote.map(|quote| quote.unit_price);
        Ok(Work { spec, unit_price, lots, drafts, attempts, order, state })
    }

    async fn take(
        &self,
        node: &Node,
        pick: Pick,
        now: i64,
    ) -> Result<Option<LeaseOffer>, TermsError> {
        let job = terms::read(&self.store, &self.specs, pick.job_id).await?;
        let scene = self.store.reader().scene(job.spec.scene).await?;
        let Some(scene) = scene else {
            tracing::error!(job_id = %pick.job_id, scene = %job.spec.scene, "scene is not stored");
            return Ok(None);
        };
        let scene: Manifest = match serde_json::from_str(&scene.manifest) {
            Ok(manifest) => manifest,
            Err(e) => {
                tracing::error!(job_id = %pick.job_id, "scene's manifest cannot be read: {e}");
                return Ok(None);
            }
        };
        let lease = Lease {
            lease_id: lease_id(&pick),
            job_id: pick.job_id,
            node: node.node,
            state: LeaseState::Active,
            taken_at: now,
            expires_at: now.saturating_add(self.lease_seconds),
            problem: None,
        };
        if !self.store.work().take_lease(&lease, &pick.units).await? {
            return Ok(None);
        }
        tracing::info!(
            job_id = %pick.job_id, node = %node.node, lease_id = lease.lease_id,
            units = ?pick.units, "leased"
        );
        Ok(Some(self.describe(&lease, &pick, &job, scene)))
    }

    fn describe(&self, lease: &Lease, pick: &Pick, job: &JobTerms, scene: Manifest) -> LeaseOffer {
        let task = |&(unit, attempt): &(u32, u32)| {
            let frame = job.spec.unit_frame(unit)?;
            Some(UnitTask { unit, frame, attempt })
        };
        LeaseOffer {
            lease_id: lease.lease_id.clone(),
            job_id: lease.job_id,
            escrow: self.escrow,
            chain_id: self.chain_id,
            units: pick.units.iter().filter_map(task).collect(),
            spec: job.spec.as_ref().clone(),
            scene,
            unit_price: pick.unit_price,
            expires_at: u64::try_from(lease.expires_at).unwrap_or(0),
            renew_seconds: u64::try_from(self.lease_seconds / RENEWALS).unwrap_or(1).max(1),
            sealed: self.sealed,
        }
    }

    /// The end of a renewed lease: it may last the job's limit for each unit, and no longer than
    /// leaves time to commit. What the door granted for an upload is never cut, and time in which
    /// this process was away does not count. None: over.
    pub fn renewed_until(
        &self,
        lease: &Lease,
        units: usize,
        job: &JobTerms,
        now: i64,
    ) -> Option<i64> {
        let each = i64::from(job.spec.timeout_seconds);
        let longest = each.saturating_mul(i64::try_from(units).unwrap_or(i64::MAX));
        let from = lease.taken_at.max(self.started_at);
        let cap = from.saturating_add(self.lease_seconds).saturating_add(longest);
        let cap = cap.min(job.ends_for(now).saturating_sub(queue::COMMIT_MARGIN / 2));
        let until = now.saturating_add(self.lease_seconds).min(cap).max(lease.expires_at);
        (until > now).then_some(until)
    }
}

/// The end of a lease while the door is at work for it: nobody can renew meanwhile.
pub fn busy_until(job: &JobTerms, now: i64, limit: Duration) -> i64 {
    let limit = i64::try_from(limit.as_secs()).unwrap_or(i64::MAX);
    now.saturating_add(limit).min(job.ends_for(now).saturating_sub(queue::COMMIT_MARGIN / 2))
}

impl Work {
    fn as_job(&self) -> Job<'_> {
        Job {
            order: &self.order,
            state: &self.state,
            spec: self.spec.as_deref(),
            unit_price: self.unit_price,
            lots: &self.lots,
            drafts: &self.drafts,
            attempts: &self.attempts,
        }
    }
}

/// An attempt belongs to one lease for ever, so the first one names it.
fn lease_id(pick: &Pick) -> String {
    let (unit, attempt) = pick.units.first().copied().unwrap_or_default();
    let parts = [pick.job_id.as_slice(), &unit.to_be_bytes(), &attempt.to_be_bytes()];
    hex::encode(&keccak256(parts.concat())[..16])
}

#[cfg(test)]
mod tests;
