//! pure: a job's books and the time -> what should be sent to the chain for it now.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::{B256, U256, keccak256};
use contracts::order::{MAX_APPROVAL_LOTS, lots_hash};
use contracts::units::lot_amount;
use contracts::{Amount, JobId, Lot};
use store::{
    Action, Approval, CloseRequest, Intent, IntentState, JobOrder, JobState, LotDraft, LotRow,
    LotState, LotStatus, Rejection,
};

use crate::calls::proposed_lots;
use crate::queue::waiting;

/// Nearer than this to the job's end a lot is committed without waiting for an approval.
const END_MARGIN: i64 = 1_800;
/// Nearer than this to the date from which anyone may end a sealed lot its key is not sent: a
/// `lapse` that comes first would take key and money.
const LAPSE_MARGIN: i64 = 300;

/// All that is known of one job.
#[derive(Debug)]
pub struct Books<'a> {
    pub order: &'a JobOrder,
    pub state: &'a JobState,
    pub lots: &'a [(LotRow, LotState)],
    pub drafts: &'a [LotDraft],
    pub approvals: &'a [Approval],
    pub rejections: &'a [Rejection],
    pub close_request: Option<&'a CloseRequest>,
    /// Intents of this job that are not done.
    pub intents: &'a [Intent],
}

/// `now`: time of the newest block, by which the chain judges; `wall`: ours, by which accepted
/// lots wait; `deep`: number and time of the block that no tolerated reorg undoes.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    pub now: i64,
    pub wall: i64,
    pub deep: Option<(u64, i64)>,
}

#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// How long an accepted lot waits for the payer's approval, which saves a transaction.
    pub commit_after_seconds: i64,
}

/// One call to the escrow; lots are ours, so acceptance and keys are added when it is encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    Release { lots: Vec<Lot>, approval: Approval },
    Commit { lots: Vec<Lot>, approval: Option<Approval> },
    Approve { lots: Vec<Lot>, approval: Approval },
    Reject { lot: Lot, rejection: Rejection },
    Settle { lot: Lot },
    Lapse { lot: Lot },
    RequestClose { request: CloseRequest },
    Close,
}

/// `subject` names the intent: at most one of it and the action is ever stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub job_id: JobId,
    pub subject: B256,
    pub call: Call,
}

impl Plan {
    pub fn action(&self) -> Action {
        match self.call {
            Call::Release { .. } => Action::Release,
            Call::Commit { .. } => Action::Commit,
            Call::Approve { .. } => Action::Approve,
            Call::Reject { .. } => Action::Reject,
            Call::Settle { .. } => Action::Settle,
            Call::Lapse { .. } => Action::Lapse,
            Call::RequestClose { .. } => Action::RequestClose,
            Call::Close => Action::Close,
        }
    }
}

/// A rejection's subject: one lot may be rejected in several parts.
pub fn rejection_subject(rejection: &Rejection) -> B256 {
    keccak256([rejection.lot_hash, B256::from(rejection.mask)].concat())
}

/// What to send for this job now. Never a lot in two proposals at once, never more than the
/// job's free money, never a settle before the end of its window is deep.
pub fn plan(books: &Books<'_>, clock: &Clock, rules: &Rules) -> Vec<Plan> {
    let view = View::new(books, clock);
    let mut plans = Vec::new();
    plans.extend(view.proposals(rules));
    plans.extend(view.rejections());
    plans.extend(view.approvals());
    plans.extend(view.endings());
    plans.extend(view.closings());
    plans
}

struct View<'a> {
    books: &'a Books<'a>,
    clock: &'a Clock,
    on_chain: BTreeMap<B256, &'a (LotRow, LotState)>,
    drafts: BTreeMap<B256, &'a LotDraft>,
    /// Of them, those that the chain has not seen and would take.
    waiting: BTreeSet<B256>,
    /// Lots in a commit or release that is signed and whose outcome is unknown.
    in_flight: BTreeSet<B256>,
    /// The job's free money, less what is in flight.
    left: Amount,
}

impl<'a> View<'a> {
    fn new(books: &'a Books<'a>, clock: &'a Clock) -> Self {
        let on_chain: BTreeMap<_, _> =
            books.lots.iter().map(|both| (both.0.lot_hash, both)).collect();
        let drafts: BTreeMap<_, _> = books.drafts.iter().map(|d| (d.lot_hash, d)).collect();
        let waiting = waiting(books.lots, books.drafts).into_iter().map(|d| d.lot_hash).collect();
        let unknown = books.intents.iter().filter(|i| i.state == IntentState::Unknown);
        let in_flight: BTreeSet<B256> = unknown.flat_map(proposed_lots).collect();
        let waiting: BTreeSet<B256> = waiting;
        let flying = in_flight.iter().filter(|hash| waiting.contains(*hash));
        let promised = flying.filter_map(|hash| drafts.get(hash)).map(|d| lot_amount(&d.lot));
        let promised =
            promised.fold(Amount::ZERO, |sum, a| add_or_max(sum, a.unwrap_or(Amount::MAX)));
        let left = books.state.remaining().checked_sub(promised).unwrap_or(Amount::ZERO);
        Self { books, clock, on_chain, drafts, waiting, in_flight, left }
    }

    fn plan(&self, subject: B256, call: Call) -> Plan {
        Plan { job_id: self.books.order.job_id, subject, call }
    }

    /// When commit and release stop being accepted.
    fn end(&self) -> i64 {
        let grace = i64::try_from(self.books.order.order.claim_grace).unwrap_or(i64::MAX);
        self.books.state.work_deadline.saturating_add(grace)
    }

    fn is_parked(&self, action: Action, subject: B256) -> bool {
        let mut intents = self.books.intents.iter();
        intents
            .any(|i| i.state == IntentState::Parked && i.action == action && i.subject == subject)
    }

    /// Accepted lots that the chain has not seen: with the payer's approval where it covers
    /// whole lots, else alone.
    fn proposals(&self, rules: &Rules) -> Vec<Plan> {
        if self.books.state.closed || self.clock.now >= self.end() {
            return Vec::new();
        }
        let mut plans = Vec::new();
        let mut left = self.left;
        let mut taken = self.in_flight.clone();
        let mut hurried: BTreeSet<B256> = BTreeSet::new();
        for approval in self.books.approvals {
            let lots = approval.lot_hashes.iter().map(|hash| self.drafts.get(hash).copied());
            let Some(lots) = lots.collect::<Option<Vec<&LotDraft>>>() else { continue };
            if lots.iter().any(|d| taken.contains(&d.lot_hash)) {
                continue;
            }
            match self.with_approval(approval, &lots) {
                Some(plan) => {
                    let amount = sum_of(&lots);
                    let Ok(rest) = left.checked_sub(amount) else { continue };
                    left = rest;
                    taken.extend(&approval.lot_hashes);
                    plans.push(plan);
                }
                None => hurried.extend(&approval.lot_hashes),
            }
        }
        let mut drafts: Vec<&LotDraft> = self.drafts.values().copied().collect();
        drafts.sort_by_key(|d| (d.accepted_at, d.lot_hash));
        for draft in drafts {
            let hash = draft.lot_hash;
            let known = taken.contains(&hash) || !self.waiting.contains(&hash);
            let due = hurried.contains(&hash) || self.is_due(draft, rules);
            if known || !due {
                continue;
            }
            let Ok(rest) = left.checked_sub(sum_of(&[draft])) else { continue };
            left = rest;
            let call = Call::Commit { lots: vec![draft.lot.clone()], approval: None };
            plans.push(self.plan(hash, call));
        }
        plans
    }

    /// One call for an approval whose lots are all wanted whole and all still unknown to the
    /// chain; none when it must be handed in later, with `approve`.
    fn with_approval(&self, approval: &Approval, lots: &[&LotDraft]) -> Option<Plan> {
        let fresh = lots.iter().all(|d| self.waiting.contains(&d.lot_hash));
        let whole = lots.iter().all(|d| self.rejections_of(d.lot_hash).next().is_none());
        let subject = lots_hash(&approval.lot_hashes);
        let unsealed = lots.iter().all(|d| !d.lot.is_sealed());
        let action = if unsealed { Action::Release } else { Action::Commit };
        // A parked one was refused (a signature that the payer's wallet does not own up to, say):
        // the lots then go alone, and their review window runs.
        let refused = self.is_parked(action, subject);
        let fits = (1..=MAX_APPROVAL_LOTS).contains(&lots.len());
        if !(fresh && whole && fits) || refused {
            return None;
        }
        let lots = lots.iter().map(|d| d.lot.clone()).collect();
        let approval = approval.clone();
        let call = if unsealed {
            Call::Release { lots, approval }
        } else {
            Call::Commit { lots, approval: Some(approval) }
        };
        Some(self.plan(subject, call))
    }

    fn is_due(&self, draft: &LotDraft, rules: &Rules) -> bool {
        let waited =
            self.clock.wall >= draft.accepted_at.saturating_add(rules.commit_after_seconds);
        let near_end = self.latest().saturating_add(END_MARGIN) >= self.end();
        waited || near_end || self.rejections_of(draft.lot_hash).next().is_some()
    }

    fn rejections_of(&self, hash: B256) -> impl Iterator<Item = &'a Rejection> {
        self.books.rejections.iter().filter(move |r| r.lot_hash == hash)
    }

    /// Rejections that the chain would still take.
    fn rejections(&self) -> Vec<Plan> {
        let open = self.books.rejections.iter().filter(|r| self.is_open(r));
        open.filter_map(|rejection| {
            let (row, _) = self.on_chain.get(&rejection.lot_hash)?;
            let lot = row.lot.clone();
            let call = Call::Reject { lot, rejection: rejection.clone() };
            Some(self.plan(rejection_subject(rejection), call))
        })
        .collect()
    }

    /// Is any of its units still to be rejected on chain, and may it be?
    fn is_open(&self, rejection: &Rejection) -> bool {
        self.on_chain.get(&rejection.lot_hash).is_some_and(|(row, state)| {
            let missing = rejection.mask & row.lot.mask & !state.rejected;
            state.status == LotStatus::Committed
                && self.clock.now < state.window_end
                && !missing.is_zero()
        })
    }

    /// Approvals of committed lots, after every rejection of their units was mined.
    fn approvals(&self) -> Vec<Plan> {
        let mut plans = Vec::new();
        for approval in self.books.approvals {
            let lots = approval.lot_hashes.iter().map(|hash| self.on_chain.get(hash).copied());
            let Some(lots) = lots.collect::<Option<Vec<_>>>() else { continue };
            let helps = lots.iter().any(|(row, state)| {
                let wanted = row.lot.mask & !state.rejected;
                state.status == LotStatus::Committed
                    && self.clock.now < state.window_end
                    && !wanted.is_zero()
            });
            let mut open = self.books.rejections.iter().filter(|r| self.is_open(r));
            // Even one that could not be sent yet: what the payer refused is never paid by its own
            // approval. At worst the lot waits for the end of its window.
            let waits = open.any(|r| approval.lot_hashes.contains(&r.lot_hash));
            if !helps || waits {
                continue;
            }
            if lots.len() > MAX_APPROVAL_LOTS {
                let job_id = self.books.order.job_id;
                let lots = lots.len();
                tracing::error!(%job_id, lots, "an approval of too many lots was taken in");
                continue;
            }
            let lots = lots.iter().map(|(row, _)| row.lot.clone()).collect();
            let call = Call::Approve { lots, approval: approval.clone() };
            plans.push(self.plan(lots_hash(&approval.lot_hashes), call));
        }
        plans
    }

    /// Settles of ours whose review is over beyond any tolerated reorg, and lapses of sealed lots
    /// from their date on: of those whose key we never had, and of those whose key came too late
    /// to be shown. So the payer's money is not kept waiting.
    fn endings(&self) -> Vec<Plan> {
        let grace = i64::try_from(self.books.order.order.claim_grace).unwrap_or(i64::MAX);
        let mut plans = Vec::new();
        for (row, state) in self.books.lots {
            let live = matches!(state.status, LotStatus::Committed | LotStatus::Approved);
            let wanted: U256 = row.lot.mask & !state.rejected;
            if !live || wanted.is_zero() {
                continue;
            }
            let lot = row.lot.clone();
            let lapses_at = state.window_end.saturating_add(grace);
            // Unsealed lots need no key, so anyone's are settled.
            let in_time = !row.lot.is_sealed()
                || self.drafts.contains_key(&row.lot_hash)
                    && self.latest().saturating_add(LAPSE_MARGIN) < lapses_at;
            if in_time && self.is_over(state) {
                plans.push(self.plan(row.lot_hash, Call::Settle { lot }));
            } else if !in_time && self.clock.now >= lapses_at && !self.is_settling(row.lot_hash) {
                plans.push(self.plan(row.lot_hash, Call::Lapse { lot }));
            }
        }
        plans
    }

    /// The later of both clocks, where being late costs money: blocks may be slow to come.
    fn latest(&self) -> i64 {
        self.clock.now.max(self.clock.wall)
    }

    /// Its settle is signed and may still be mined.
    fn is_settling(&self, lot_hash: B256) -> bool {
        let mut signed = self.books.intents.iter().filter(|i| i.state == IntentState::Unknown);
        signed.any(|i| i.action == Action::Settle && i.subject == lot_hash)
    }

    fn is_over(&self, state: &LotState) -> bool {
        let Some((block, mined_at)) = self.clock.deep else { return false };
        match state.status {
            LotStatus::Approved => state.block <= block,
            LotStatus::Committed => state.window_end <= mined_at,
            LotStatus::Settled | LotStatus::Lapsed | LotStatus::Released => false,
        }
    }

    fn closings(&self) -> Vec<Plan> {
        let state = self.books.state;
        let job_id = self.books.order.job_id;
        if state.closed {
            return Vec::new();
        }
        let all_paid = state.units_paid == self.books.order.order.units && state.units_paid > 0;
        if all_paid || self.clock.now >= self.end() {
            return vec![self.plan(job_id, Call::Close)];
        }
        let asked = self
            .books
            .close_request
            .filter(|_| !state.close_requested && self.clock.now < state.work_deadline);
        asked
            .map(|request| self.plan(job_id, Call::RequestClose { request: request.clone() }))
            .into_iter()
            .collect()
    }
}

fn add_or_max(a: Amount, b: Amount) -> Amount {
    a.checked_add(b).unwrap_or(Amount::MAX)
}

fn sum_of(drafts: &[&LotDraft]) -> Amount {
    let amounts = drafts.iter().map(|d| lot_amount(&d.lot).unwrap_or(Amount::MAX));
    amounts.fold(Amount::ZERO, add_or_max)
}

#[cfg(test)]
mod tests;
