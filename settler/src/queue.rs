//! pure: which work this node gets next, and for each job it does not get, why.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use alloy::primitives::{Address, B256, U256};
use contracts::spec::ExpandedSpec;
use contracts::units::{WORD_UNITS, bit_of, lot_amount, units_in, word_bits, word_of};
use contracts::{Amount, JobId};
use store::{
    Attempt, JobOrder, JobState, LeaseState, LotDraft, LotRow, LotState, LotStatus, MAX_TRIES, Node,
};

/// A node is there while it was seen this recently: three long polls of 25 s.
pub const SEEN_SECONDS: i64 = 75;
/// Time between a lease's end and the job's: the lot must still be committed.
pub const COMMIT_MARGIN: i64 = 900;

/// A job of the index with all work done on it.
#[derive(Debug)]
pub struct Job<'a> {
    pub order: &'a JobOrder,
    pub state: &'a JobState,
    pub spec: Option<&'a ExpandedSpec>,
    pub unit_price: Option<Amount>,
    pub lots: &'a [(LotRow, LotState)],
    pub drafts: &'a [LotDraft],
    pub attempts: &'a [Attempt],
}

/// Who asks, who else is there, and when.
#[derive(Debug)]
pub struct Asking<'a> {
    pub node: &'a Node,
    pub nodes: &'a [Node],
    pub settler: Address,
    pub now: i64,
    pub lease_seconds: i64,
    /// Newest block that no tolerated reorg undoes.
    pub deep_block: Option<u64>,
}

/// Units of one word of one job, each with the number of the attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pick {
    pub job_id: JobId,
    pub units: Vec<(u32, u32)>,
    pub unit_price: Amount,
}

/// Why a job gave nothing to this node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    #[error("the order names another settler")]
    OtherSettler,
    #[error("the job is closed")]
    Closed,
    #[error("work ended at {deadline}")]
    NoTimeLeft { deadline: i64 },
    #[error("its spec {0} was never handed in here")]
    SpecUnknown(B256),
    #[error("its quote {0} was never handed in here")]
    QuoteUnknown(B256),
    #[error("the order has {order} units, its spec {spec}")]
    UnitsDiffer { order: u32, spec: u32 },
    #[error("the quote's unit price {price} is above the order's maximum {max}")]
    PriceAboveOrder { price: Amount, max: Amount },
    #[error("the node has no {engine} {version}")]
    NoBackend { engine: &'static str, version: String },
    #[error("every unit is done, in work or given up")]
    NothingFree,
    #[error("its free units failed on this node, and another node is there")]
    OtherNodeFirst,
    #[error("its claim grace of {grace} s does not cover a unit of up to {each} s")]
    GraceTooShort { grace: i64, each: i64 },
    #[error("{left} of its money is free, a unit costs {price}; a top-up resumes it")]
    NoMoney { left: Amount, price: Amount },
}

/// The next lease for this node: tiers in order, within a tier the oldest job first.
pub fn next(jobs: &[Job<'_>], asking: &Asking<'_>) -> Result<Pick, Vec<(JobId, Reason)>> {
    let mut sorted: Vec<&Job<'_>> = jobs.iter().collect();
    sorted.sort_by_key(|job| (job.spec.map(|s| s.tier), job.order.block, job.order.job_id));
    let mut refusals = Vec::new();
    for job in sorted {
        match pick(job, asking) {
            Ok(pick) => return Ok(pick),
            Err(reason) => refusals.push((job.order.job_id, reason)),
        }
    }
    Err(refusals)
}

fn pick(job: &Job<'_>, asking: &Asking<'_>) -> Result<Pick, Reason> {
    let (spec, unit_price) = check_terms(job, asking)?;
    let others: Vec<&Node> = asking
        .nodes
        .iter()
        .filter(|n| n.node != asking.node.node && asking.now - n.seen_at <= SEEN_SECONDS)
        .filter(|n| has_backend(n, spec))
        .collect();
    let histories = histories(job);
    let affordable = affordable(job, unit_price)?;
    let busy = busy_words(job, asking.deep_block);
    let fitting = fitting(job, spec, asking)?;
    let size = usize::try_from(spec.chunk.size.min(affordable).min(fitting)).unwrap_or(1).max(1);
    let mut refused_here = false;
    for word in 0..spec.units().div_ceil(WORD_UNITS) {
        let taken = busy.get(&word).copied().unwrap_or(U256::ZERO);
        let free = units_in(word, word_bits(word, spec.units()) & !taken);
        let mut units = Vec::new();
        for unit in free {
            let history = histories.get(&unit);
            if history.is_some_and(|h| h.is_dead(spec.attempts, asking.node.node)) {
                continue;
            }
            if history.is_some_and(|h| h.better_elsewhere(asking.node.node, &others)) {
                refused_here = true;
                continue;
            }
            // A unit that failed to render goes alone, so that it cannot spoil others again.
            let alone = history.is_some_and(|h| h.failures > 0);
            if alone && !units.is_empty() {
                break;
            }
            units.push((unit, history.map_or(1, |h| h.last + 1)));
            if alone || units.len() == size {
                break;
            }
        }
        if !units.is_empty() {
            return Ok(Pick { job_id: job.order.job_id, units, unit_price });
        }
    }
    Err(if refused_here { Reason::OtherNodeFirst } else { Reason::NothingFree })
}

fn check_terms<'a>(
    job: &Job<'a>,
    asking: &Asking<'_>,
) -> Result<(&'a ExpandedSpec, Amount), Reason> {
    let order = &job.order.order;
    if order.settler != asking.settler {
        return Err(Reason::OtherSettler);
    }
    if job.state.closed {
        return Err(Reason::Closed);
    }
    let deadline = job.state.work_deadline;
    let grace = i64::try_from(order.claim_grace).unwrap_or(i64::MAX);
    let end = deadline.saturating_add(grace);
    let lease_end = asking.now.saturating_add(asking.lease_seconds);
    if asking.now >= deadline || lease_end.saturating_add(COMMIT_MARGIN) > end {
        return Err(Reason::NoTimeLeft { deadline });
    }
    let spec = job.spec.ok_or(Reason::SpecUnknown(order.spec_hash))?;
    let price = job.unit_price.ok_or(Reason::QuoteUnknown(order.quote_hash))?;
    if spec.units() != order.units {
        return Err(Reason::UnitsDiffer { order: order.units, spec: spec.units() });
    }
    if price > order.max_unit_price {
        return Err(Reason::PriceAboveOrder { price, max: order.max_unit_price });
    }
    if !has_backend(asking.node, spec) {
        let engine = spec.engine.name();
        return Err(Reason::NoBackend { engine, version: spec.engine_version.clone() });
    }
    Ok((spec, price))
}

fn has_backend(node: &Node, spec: &ExpandedSpec) -> bool {
    let engine = spec.engine.name();
    node.backends.iter().any(|b| b.backend == engine && b.version == spec.engine_version)
}

/// How many units end within `claimGrace`, at the job's limit for each: the payer may ask to close
/// at any time, and what is in work then must still be committed before the job's end.
fn fitting(job: &Job<'_>, spec: &ExpandedSpec, asking: &Asking<'_>) -> Result<u32, Reason> {
    let grace = i64::try_from(job.order.order.claim_grace).unwrap_or(i64::MAX);
    let time = grace.saturating_sub(asking.lease_seconds).saturating_sub(COMMIT_MARGIN);
    let each = i64::from(spec.timeout_seconds).max(1);
    match u32::try_from(time / each) {
        Ok(0) | Err(_) => Err(Reason::GraceTooShort { grace, each }),
        Ok(units) => Ok(units),
    }
}

/// How many more units the job's free money pays, after what is accepted or leased already.
fn affordable(job: &Job<'_>, price: Amount) -> Result<u32, Reason> {
    let drafts = waiting(job.lots, job.drafts).into_iter();
    let leased = job.attempts.iter().filter(|a| a.lease_state == LeaseState::Active).count();
    let promised = drafts
        .map(|d| lot_amount(&d.lot))
        .chain([price.checked_mul_u64(u64::try_from(leased).unwrap_or(u64::MAX))])
        .try_fold(Amount::ZERO, |sum, amount| sum.checked_add(amount?))
        .unwrap_or(Amount::MAX);
    let left = job.state.remaining().checked_sub(promised).unwrap_or(Amount::ZERO);
    if price.is_zero() || price > left {
        return Err(Reason::NoMoney { left, price });
    }
    Ok(u32::try_from(left.base() / price.base()).unwrap_or(u32::MAX))
}

/// Accepted lots that the chain has not seen and still could: a lot some of whose units are
/// reserved or paid by another can never be committed, so it holds neither money nor units.
pub fn waiting<'a>(lots: &[(LotRow, LotState)], drafts: &'a [LotDraft]) -> Vec<&'a LotDraft> {
    let mut alive: BTreeMap<u32, U256> = BTreeMap::new();
    for (row, state) in lots {
        *alive.entry(row.lot.word).or_default() |= alive_mask(row, state);
    }
    let on_chain: BTreeSet<B256> = lots.iter().map(|(row, _)| row.lot_hash).collect();
    let is_free = |draft: &&LotDraft| {
        let taken = alive.get(&draft.lot.word).copied().unwrap_or_default();
        !on_chain.contains(&draft.lot_hash) && (taken & draft.lot.mask).is_zero()
    };
    drafts.iter().filter(is_free).collect()
}

/// Units that nobody may start: paid or reserved on chain, accepted, or in somebody's lease.
fn busy_words(job: &Job<'_>, deep_block: Option<u64>) -> BTreeMap<u32, U256> {
    let mut busy: BTreeMap<u32, U256> = BTreeMap::new();
    let mut add = |word: u32, mask: U256| *busy.entry(word).or_default() |= mask;
    for (row, state) in job.lots {
        // A rejection or lapse that a reorg may still undo frees nothing yet: done anew, the unit
        // would then be accepted twice and paid once.
        let deep = deep_block.is_some_and(|deep| state.block <= deep);
        add(row.lot.word, if deep { alive_mask(row, state) } else { row.lot.mask });
    }
    for draft in waiting(job.lots, job.drafts) {
        add(draft.lot.word, draft.lot.mask);
    }
    for attempt in job.attempts.iter().filter(|a| a.lease_state == LeaseState::Active) {
        add(word_of(attempt.unit), bit_of(attempt.unit));
    }
    busy
}

/// The units of a lot on chain that are reserved or paid.
pub fn alive_mask(row: &LotRow, state: &LotState) -> U256 {
    match state.status {
        LotStatus::Lapsed => U256::ZERO,
        LotStatus::Committed | LotStatus::Approved | LotStatus::Settled | LotStatus::Released => {
            row.lot.mask & !state.rejected
        }
    }
}

/// What happened to one unit so far.
#[derive(Debug, Default)]
struct History {
    last: u32,
    tries: u32,
    rejected: u32,
    /// Failures of its renderer or file, and on which nodes.
    failures: u32,
    failing: BTreeSet<Address>,
    /// Nodes on which it failed, was rejected, or whose lease ran out.
    failed_on: BTreeSet<Address>,
}

impl History {
    /// Given up, as far as this node goes. One node counts once for a node that never failed on
    /// the unit: a single bad key must not be able to use up a whole job's attempts.
    fn is_dead(&self, attempts: u32, node: Address) -> bool {
        let failing = u32::try_from(self.failing.len()).unwrap_or(u32::MAX);
        let fresh = !self.failing.contains(&node);
        let failures = if fresh { failing } else { self.failures };
        self.rejected.saturating_add(failures) >= attempts || self.tries >= MAX_TRIES
    }

    fn better_elsewhere(&self, node: Address, others: &[&Node]) -> bool {
        self.failed_on.contains(&node) && others.iter().any(|n| !self.failed_on.contains(&n.node))
    }
}

fn histories(job: &Job<'_>) -> HashMap<u32, History> {
    let states: HashMap<B256, &LotState> = job.lots.iter().map(|(r, s)| (r.lot_hash, s)).collect();
    let by_lease: HashMap<&str, &LotDraft> =
        job.drafts.iter().map(|d| (d.lease_id.as_str(), d)).collect();
    let mut all: HashMap<u32, History> = HashMap::new();
    for attempt in job.attempts {
        let history = all.entry(attempt.unit).or_default();
        history.last = history.last.max(attempt.attempt);
        history.tries += 1;
        let adverse = match attempt.lease_state {
            LeaseState::Active => false,
            LeaseState::Expired => true,
            LeaseState::Failed => attempt.is_blamed(),
            LeaseState::Accepted => {
                let draft = by_lease.get(attempt.lease_id.as_str());
                let state = draft.and_then(|d| states.get(&d.lot_hash));
                let rejected =
                    state.is_some_and(|s| !(s.rejected & bit_of(attempt.unit)).is_zero());
                history.rejected += u32::from(rejected);
                rejected
            }
        };
        if attempt.is_blamed() {
            history.failures += 1;
            history.failing.insert(attempt.node);
        }
        if adverse {
            history.failed_on.insert(attempt.node);
        }
    }
    all
}

#[cfg(test)]
mod tests;
