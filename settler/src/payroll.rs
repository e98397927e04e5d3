//! Reads the books of every job of ours, and stores the intents that `pay.rs` asks for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use alloy::primitives::{B256, Bytes};
use contracts::JobId;
use contracts::order::lot_hash;
use store::{Action, IntakeOrder, Intent, IntentState, JobOrder, JobState, Store};

use crate::accept::Notary;
use crate::calls;
use crate::pay::{self, Books, Call, Clock, Plan, Rules};

/// Signed orders looked at in one round, going round: orders without money behind them cannot
/// keep the others waiting.
const MAX_OPENS: usize = 64;

#[derive(Debug, thiserror::Error)]
pub enum PayrollError {
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error("signing an acceptance failed: {0}")]
    Signing(#[from] alloy::signers::Error),
}

pub struct Payroll {
    pub store: Store,
    pub notary: Arc<Notary>,
    pub rules: Rules,
    pub confirmations: u64,
    /// Where the next round of openings starts.
    pub next_order: AtomicUsize,
    /// That nothing is paid was said already.
    pub unproven: AtomicBool,
}

impl Payroll {
    /// One look at everything; the intents that are wanted now and not yet signed.
    pub async fn round(&self, wall: i64) -> Result<Vec<Intent>, PayrollError> {
        let reader = self.store.reader();
        let Some(tip) = reader.tip().await? else { return Ok(Vec::new()) };
        if !self.proven().await? {
            return Ok(Vec::new());
        }
        let deep = match tip.number.checked_sub(self.confirmations) {
            Some(number) => reader.block_at_or_below(number).await?,
            None => None,
        };
        let deep = deep.map(|block| (block.number, block.mined_at));
        let clock = Clock { now: tip.mined_at, wall, deep };
        let mut wanted = self.openings(&clock).await?;
        let states = [IntentState::Waiting, IntentState::Unknown, IntentState::Parked];
        let intents = reader.intents(&states).await?;
        for (order, state) in reader.open_jobs(self.notary.settler()).await? {
            wanted.extend(self.job(order, state, &intents, &clock).await?);
        }
        Ok(wanted)
    }

    /// Money follows nothing that a server of the chain was only believed to have said.
    async fn proven(&self) -> Result<bool, PayrollError> {
        let unproven = self.store.reader().first_unproven().await?;
        if let Some(block) = unproven
            && !self.unproven.swap(true, Ordering::Relaxed)
        {
            tracing::error!(
                block,
                "nothing is opened or paid: the index was taken on a server's word from this block \
                 on; run the indexer with chain.verify = true, it proves old blocks first"
            );
        }
        self.unproven.store(unproven.is_some(), Ordering::Relaxed);
        Ok(unproven.is_none())
    }

    async fn openings(&self, clock: &Clock) -> Result<Vec<Intent>, PayrollError> {
        let mut wanted = Vec::new();
        let orders = self.store.reader().unopened_orders(clock.now).await?;
        let ours = orders.into_iter().filter(|o| o.order.settler == self.notary.settler());
        let mut ours: Vec<IntakeOrder> = ours.collect();
        if ours.len() > MAX_OPENS {
            let start = self.next_order.fetch_add(MAX_OPENS, Ordering::Relaxed) % ours.len();
            ours.rotate_left(start);
            ours.truncate(MAX_OPENS);
        }
        for intake in ours {
            let Some(signature) = &intake.signature else { continue };
            let signer = intake.delegate.unwrap_or(intake.order.payer);
            let data = || Ok(Some(calls::open(&intake.order, signer, signature)));
            let job_id = intake.job_id;
            wanted.extend(self.store_intent(Action::Open, job_id, job_id, clock.wall, data).await?);
        }
        Ok(wanted)
    }

    async fn job(
        &self,
        order: JobOrder,
        state: JobState,
        intents: &[Intent],
        clock: &Clock,
    ) -> Result<Vec<Intent>, PayrollError> {
        let reader = self.store.reader();
        let job_id = order.job_id;
        let intents: Vec<Intent> = intents.iter().filter(|i| i.job_id == job_id).cloned().collect();
        let close_request = reader.close_request(job_id).await?;
        let books = Books {
            order: &order,
            state: &state,
            lots: &reader.job_lots(job_id).await?,
            drafts: &reader.lot_drafts_of_job(job_id).await?,
            approvals: &reader.approvals_of_job(job_id).await?,
            rejections: &reader.rejections_of_job(job_id).await?,
            close_request: close_request.as_ref(),
            intents: &intents,
        };
        let mut wanted = Vec::new();
        for plan in pay::plan(&books, clock, &self.rules) {
            let data = || self.calldata(&books, &plan);
            let (action, subject) = (plan.action(), plan.subject);
            let stored = self.store_intent(action, job_id, subject, clock.wall, data).await?;
            let ours = books.drafts.iter().any(|draft| draft.lot_hash == subject);
            let is_new = stored.as_ref().is_some_and(|i| i.created_at == clock.wall);
            if action == Action::Lapse && ours && is_new {
                tracing::error!(
                    %job_id, lot_hash = %subject,
                    "the lot was not settled in time: its units lapse and its node goes unpaid"
                );
            }
            wanted.extend(stored);
        }
        Ok(wanted)
    }

    /// The stored intent of a plan when it is to be signed; stored now when it is new.
    async fn store_intent(
        &self,
        action: Action,
        job_id: JobId,
        subject: B256,
        now: i64,
        calldata: impl FnOnce() -> Result<Option<Bytes>, PayrollError>,
    ) -> Result<Option<Intent>, PayrollError> {
        let reader = self.store.reader();
        let Some(known) = reader.intent(action, job_id, subject).await? else {
            let Some(data) = calldata()? else { return Ok(None) };
            let stored = self.store.work().put_intent(action, job_id, subject, data, now).await?;
            if stored.is_some() {
                tracing::info!(%job_id, %subject, action = action.as_str(), "intent stored");
            }
            return Ok(stored);
        };
        match known.state {
            IntentState::Waiting | IntentState::Parked => Ok(Some(known)),
            IntentState::Unknown => Ok(None),
            // Asked for again, so a rewind took its effect away: what was signed is sent again.
            IntentState::Done => {
                tracing::warn!(%job_id, %subject, action = action.as_str(), "effect was rewound");
                let sent = reader.transactions_of(known.intent_id).await?;
                let state =
                    if sent.is_empty() { IntentState::Waiting } else { IntentState::Unknown };
                self.store.work().set_intent(known.intent_id, state, None).await?;
                Ok(sent.is_empty().then_some(Intent { state, ..known }))
            }
        }
    }

    /// The plan as calldata; None, with an alarm, when the lot's key cannot be had.
    fn calldata(&self, books: &Books<'_>, plan: &Plan) -> Result<Option<Bytes>, PayrollError> {
        let order = &books.order.order;
        let acceptance = match &plan.call {
            // Only lots with a stored draft are ever proposed: the settler accepted each.
            Call::Release { lots, .. } | Call::Commit { lots, .. } => {
                self.notary.consent(plan.job_id, lots)?
            }
            Call::Approve { .. }
            | Call::Reject { .. }
            | Call::Settle { .. }
            | Call::Lapse { .. }
            | Call::RequestClose { .. }
            | Call::Close => Bytes::new(),
        };
        let key = match &plan.call {
            Call::Settle { lot } if lot.is_sealed() => {
                let hash = lot_hash(plan.job_id, lot);
                let draft = books.drafts.iter().find(|d| d.lot_hash == hash);
                let sealed = draft.and_then(|d| d.lot_key.as_ref());
                let Some(key) = sealed.and_then(|sealed| self.notary.open_key(hash, sealed)) else {
                    tracing::error!(
                        job_id = %plan.job_id, lot_hash = %hash,
                        "the lot's key does not open under this settler key; start with the key \
                         that accepted the lot, or its node must settle it"
                    );
                    return Ok(None);
                };
                B256::from(*key.bytes())
            }
            Call::Settle { .. }
            | Call::Release { .. }
            | Call::Commit { .. }
            | Call::Approve { .. }
            | Call::Reject { .. }
            | Call::Lapse { .. }
            | Call::RequestClose { .. }
            | Call::Close => B256::ZERO,
        };
        Ok(Some(calls::encode(order, &plan.call, &acceptance, key)))
    }
}
