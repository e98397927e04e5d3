//! One job with everything about it, and its signed order.

use axum::response::Response;
use contracts::{Amount, JobId, Order};
use serde::Serialize;
use store::IntentState;
use utoipa::ToSchema;

use super::documents::OrderDocument;
use crate::edge::body::{JobPath, NoParams, Params};
use crate::edge::reply::Answer;
use crate::edge::view::View;
use crate::error::Problem;
use crate::record::Record;
use crate::status::{self, JobPhase, UnitCounts, UnitState};
use crate::wire::{Account, Hash, Hex, Money, Time};

#[derive(Debug, Serialize, ToSchema)]
pub struct JobView {
    pub job_id: Hash,
    pub escrow: Account,
    pub name: String,
    pub state: JobPhase,
    /// What the payer's side can do now.
    pub next_step: String,
    pub payer: Account,
    pub refund_to: Account,
    /// None: only the payer reviews.
    pub approver: Option<Account>,
    pub settler: Account,
    pub spec_hash: Hash,
    pub quote_hash: Hash,
    /// Canonical frame list; none when the job's spec was never quoted here.
    pub frames: Option<String>,
    pub units: UnitTotals,
    /// What a unit costs at most.
    pub unit_price: Money,
    pub money: JobMoney,
    pub deadlines: Deadlines,
    pub close_requested: bool,
    pub closed: bool,
    /// Block of the opening; none before the index shows it.
    pub opened_block: Option<u64>,
    /// What the settler sends for this job.
    pub transactions: Vec<TransactionView>,
}

/// Units by state; they add up to `total`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct UnitTotals {
    pub total: u32,
    pub queued: u32,
    pub leased: u32,
    pub running: u32,
    pub soft_failed: u32,
    pub rendered: u32,
    pub committed: u32,
    pub approved: u32,
    pub released: u32,
    pub rejected: u32,
    pub lapsed: u32,
    pub dead: u32,
}

/// `funded = released + pending + remaining`, as indexed; all zero before the opening.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobMoney {
    pub cap: Money,
    pub funded: Money,
    pub released: Money,
    pub pending: Money,
    pub remaining: Money,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Deadlines {
    /// The order opens before this.
    pub open_by: Time,
    /// Work is taken in until this; a close request puts an earlier time in its place.
    pub work_deadline: Time,
    /// From then on anyone may close the job.
    pub ends_at: Time,
    pub review_seconds: u64,
    pub claim_grace: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct TransactionView {
    /// open, release, commit, approve, reject, settle, lapse, request_close or close.
    pub action: String,
    /// The lot, lots or job acted on.
    pub subject: Hash,
    pub state: TransactionState,
    /// Every transaction ever signed for it; at most one of them is mined.
    pub tx_hashes: Vec<Hash>,
    /// Block in which one of them is indexed.
    pub block: Option<u64>,
    /// Why it rests, when it does.
    pub problem: Option<String>,
    pub created_at: Time,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TransactionState {
    /// Not signed yet.
    None,
    /// Signed, perhaps sent; only the chain can say.
    Unknown,
    Mined,
    Safe,
    Final,
    /// The effect is in the index by somebody else's transaction.
    Done,
    /// Waits for a person; see `problem`.
    Parked,
}

impl UnitTotals {
    fn of(counts: &UnitCounts) -> Self {
        let count = |state| counts.get(&state).copied().unwrap_or_default();
        Self {
            total: counts.values().sum(),
            queued: count(UnitState::Queued),
            leased: count(UnitState::Leased),
            running: count(UnitState::Running),
            soft_failed: count(UnitState::SoftFailed),
            rendered: count(UnitState::Rendered),
            committed: count(UnitState::Committed),
            approved: count(UnitState::Approved),
            released: count(UnitState::Released),
            rejected: count(UnitState::Rejected),
            lapsed: count(UnitState::Lapsed),
            dead: count(UnitState::Dead),
        }
    }
}

impl JobView {
    pub async fn of(view: &View, record: &Record) -> Result<Self, Problem> {
        let transactions = transactions(view, record.job_id).await?;
        let order = &record.order;
        let counts = status::count_units(record, view.chain_time());
        let state = status::job_phase(record, &counts, view.chain_time());
        let asset = &view.asset;
        let chain = record.chain.as_ref().map(|(_, chain)| chain);
        let money =
            |pick: fn(&store::JobState) -> Amount| asset.money(chain.map_or(Amount::ZERO, pick));
        let work_deadline =
            chain.map_or(Time::of(order.work_deadline), |chain| Time::at(chain.work_deadline));
        Ok(Self {
            job_id: Hash(record.job_id),
            escrow: Account(view.escrow.address),
            name: record.intake.as_ref().map(|intake| intake.name.clone()).unwrap_or_default(),
            state,
            next_step: next_step(state),
            payer: Account(order.payer),
            refund_to: Account(order.refund_to),
            approver: Some(order.approver).filter(|a| !a.is_zero()).map(Account),
            settler: Account(order.settler),
            spec_hash: Hash(order.spec_hash),
            quote_hash: Hash(order.quote_hash),
            frames: record.spec.as_ref().map(|spec| spec.frames.to_string()),
            units: UnitTotals::of(&counts),
            unit_price: asset.money(order.max_unit_price),
            money: JobMoney {
                cap: asset.money(order.cap),
                funded: money(|chain| chain.funded),
                released: money(|chain| chain.released),
                pending: money(|chain| chain.pending),
                remaining: money(store::JobState::remaining),
            },
            deadlines: Deadlines {
                open_by: Time::of(order.open_by),
                work_deadline,
                ends_at: Time::of(status::end_of(record)),
                review_seconds: order.review_seconds,
                claim_grace: order.claim_grace,
            },
            close_requested: chain.is_some_and(|chain| chain.close_requested)
                || record.close_request.is_some(),
            closed: chain.is_some_and(|chain| chain.closed),
            opened_block: record.chain.as_ref().map(|(block, _)| *block),
            transactions,
        })
    }
}

fn next_step(state: JobPhase) -> String {
    let text = match state {
        JobPhase::Draft => "Send the open call, or hand in the payer's signature.",
        JobPhase::AwaitingFunds => {
            "Wait for the settler's transaction; the payer's free balance must cover the cap."
        }
        JobPhase::Queued => "Wait for a node.",
        JobPhase::Running => "Look at previews of rendered frames, approve or reject them.",
        JobPhase::PausedFunds => "Top up the job, or approve what is rendered and ask to close it.",
        JobPhase::InReview => "Look at the previews; approve or reject. Silence approves.",
        JobPhase::Settling => "Wait for the settler's payments; then download.",
        JobPhase::Closing => "Review what is rendered; the rest returns when the job closes.",
        JobPhase::Completed => "Download the files; withdraw what is left.",
        JobPhase::Cancelled | JobPhase::Expired => "Withdraw what came back, or order anew.",
        JobPhase::Failed => "Ask to close the job; the money of dead units returns.",
    };
    text.into()
}

async fn transactions(view: &View, job_id: JobId) -> Result<Vec<TransactionView>, Problem> {
    let reader = &view.reader;
    let events = reader.events_of_job(job_id).await?;
    let mut views = Vec::new();
    for intent in reader.intents_of_job(job_id).await? {
        let sent = reader.transactions_of(intent.intent_id).await?;
        let is_ours = |hash| sent.iter().any(|sent| sent.tx_hash == hash);
        let block = events.iter().find(|event| is_ours(event.tx_hash)).map(|event| event.block);
        let settled = block.map(|block| match view.settled(block) {
            store::Tag::Latest => TransactionState::Mined,
            store::Tag::Safe => TransactionState::Safe,
            store::Tag::Finalized => TransactionState::Final,
        });
        let state = settled.unwrap_or(match intent.state {
            IntentState::Waiting => TransactionState::None,
            IntentState::Unknown => TransactionState::Unknown,
            IntentState::Done => TransactionState::Done,
            IntentState::Parked => TransactionState::Parked,
        });
        views.push(TransactionView {
            action: intent.action.as_str().into(),
            subject: Hash(intent.subject),
            state,
            tx_hashes: sent.iter().map(|sent| Hash(sent.tx_hash)).collect(),
            block,
            problem: intent.problem,
            created_at: Time::at(intent.created_at),
        });
    }
    Ok(views)
}

/// Show a job
///
/// State, units by state, money, deadlines and the settler's transactions. The state is computed
/// from the chain's facts, the work done and the block's time; it is stored nowhere.
#[utoipa::path(
    get, path = "/v1/jobs/{job_id}", tag = "jobs",
    params(("job_id" = Hash, Path)),
    responses((status = 200, body = Answer<JobView>))
)]
pub async fn show(
    JobPath(job_id): JobPath,
    view: View,
    Params(NoParams {}): Params<NoParams>,
) -> Result<Response, Problem> {
    let record = Record::load(&view.reader, job_id).await?;
    Ok(view.single(JobView::of(&view, &record).await?))
}

#[derive(Debug, Serialize, ToSchema)]
pub struct OrderView {
    pub job_id: Hash,
    #[schema(value_type = OrderDocument)]
    pub order: Order,
    /// The payer's or its delegate's, when it was handed in here to be relayed.
    pub signature: Option<Hex>,
    /// The delegate, when the signature is not the payer's own.
    pub delegate: Option<Account>,
}

/// Show a job's order
#[utoipa::path(
    get, path = "/v1/jobs/{job_id}/order", tag = "jobs",
    params(("job_id" = Hash, Path)),
    responses((status = 200, body = Answer<OrderView>))
)]
pub async fn order(
    JobPath(job_id): JobPath,
    view: View,
    Params(NoParams {}): Params<NoParams>,
) -> Result<Response, Problem> {
    let record = Record::load(&view.reader, job_id).await?;
    // Before the opening whoever holds the signature can open the job; it is nobody else's.
    let intake = record.chain.is_some().then_some(record.intake).flatten();
    let delegate = intake.as_ref().and_then(|intake| intake.delegate).map(Account);
    let signature = intake.and_then(|intake| intake.signature).map(Hex);
    Ok(view.single(OrderView { job_id: Hash(job_id), order: record.order, signature, delegate }))
}
