//! What the payer's side decides of frames: prepared for signing, then taken in and relayed.

use alloy::primitives::{Address, B256, Bytes, keccak256};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use contracts::JobId;
use serde::Deserialize;
use store::{Approval, Rejection};
use utoipa::ToSchema;

use super::jobs::JobView;
use super::units::units_of;
use super::words::{Act, PreparedReview};
use crate::App;
use crate::consent;
use crate::edge::body::{Body, JobPath, NoParams, Params};
use crate::edge::reply::Answer;
use crate::edge::view::View;
use crate::error::{Code, Problem};
use crate::record::Record;
use crate::review::{self, Plan, Word};
use crate::wire::{Hash, Hex};

/// Longest reason: a person reads it beside a picture.
const REASON_CHARS: usize = 1_000;

/// First with `prepare: true`, then the same with `signatures`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReviewRequest {
    /// Frames of the job, such as 1-5,8.
    #[schema(example = "1-5,8")]
    pub frames: String,
    /// Why frames are rejected: up to 1,000 characters; its keccak256 is signed and goes on
    /// chain. For an approval: of the rest of lots that are wanted in part.
    #[serde(default)]
    pub reason: Option<String>,
    /// Answers what is to be signed, and changes nothing.
    #[serde(default)]
    pub prepare: bool,
    /// One for each word that `prepare` answered, in its order, of the payer or the approver.
    #[serde(default)]
    pub signatures: Option<Vec<Hex>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Approve,
    Reject,
}

/// Approve frames
///
/// With `prepare: true`: what to sign. A lot wanted whole takes an approval; a lot wanted in part
/// takes a rejection of its other frames, then an approval. With `signatures`: stores them for
/// the settler to relay. 202 when something is to be relayed, 200 when all frames were approved
/// before.
#[utoipa::path(
    post, path = "/v1/jobs/{job_id}/approve", tag = "jobs",
    params(("job_id" = Hash, Path)),
    request_body = ReviewRequest,
    responses(
        (status = 200, description = "To sign (`prepare: true`)", body = Answer<PreparedReview>),
        (status = 202, description = "Taken in, to be relayed", body = Answer<JobView>)
    )
)]
pub async fn approve(
    State(app): State<App>,
    JobPath(job_id): JobPath,
    view: View,
    Params(NoParams {}): Params<NoParams>,
    Body(request): Body<ReviewRequest>,
) -> Result<Response, Problem> {
    decide(&app, &view, job_id, request, Verb::Approve).await
}

/// Reject frames
///
/// With `prepare: true`: one rejection to sign for each lot that holds some of the frames. With
/// `signatures`: stores them for the settler to relay inside the review window. The frames are
/// rendered again, on another node when there is one.
#[utoipa::path(
    post, path = "/v1/jobs/{job_id}/reject", tag = "jobs",
    params(("job_id" = Hash, Path)),
    request_body = ReviewRequest,
    responses(
        (status = 200, description = "To sign (`prepare: true`)", body = Answer<PreparedReview>),
        (status = 202, description = "Taken in, to be relayed", body = Answer<JobView>)
    )
)]
pub async fn reject(
    State(app): State<App>,
    JobPath(job_id): JobPath,
    view: View,
    Params(NoParams {}): Params<NoParams>,
    Body(request): Body<ReviewRequest>,
) -> Result<Response, Problem> {
    decide(&app, &view, job_id, request, Verb::Reject).await
}

async fn decide(
    app: &App,
    view: &View,
    job_id: JobId,
    request: ReviewRequest,
    verb: Verb,
) -> Result<Response, Problem> {
    let reason = reason_of(request.reason)?;
    let record = Record::load(&view.reader, job_id).await?;
    if record.chain.is_none() {
        return Err(not_opened(job_id));
    }
    let wanted = units_of(&record, &request.frames)?;
    let plan = match verb {
        Verb::Approve => review::approve(&record, &wanted, view.chain_time())?,
        Verb::Reject => review::reject(&record, &wanted, view.chain_time())?,
    };
    let signatures = match (request.prepare, request.signatures) {
        (true, None) => {
            let prepared = PreparedReview::of(view, &record, &plan, &reason);
            return Ok(view.answer(prepared).into_response());
        }
        (false, Some(signatures)) => signatures,
        (true, Some(_)) => return Err(both("signatures")),
        (false, None) => return Err(neither("signatures")),
    };
    if plan.words.is_empty() {
        return Ok(view.answer(JobView::of(view, &record).await?).into_response());
    }
    let words = signed(app, view, &record, &plan, &signatures, &reason).await?;
    keep(app, job_id, &words, &reason).await?;
    let record = Record::load(&view.reader, job_id).await?;
    let answer = view.answer(JobView::of(view, &record).await?);
    Ok((StatusCode::ACCEPTED, answer).into_response())
}

fn reason_of(reason: Option<String>) -> Result<String, Problem> {
    let reason = reason.unwrap_or_default();
    let count = reason.chars().count();
    if count <= REASON_CHARS {
        return Ok(reason);
    }
    let detail = format!("the reason has {count} characters");
    let hint = format!("Write at most {REASON_CHARS}.");
    Err(Code::InvalidField.because(detail).at("reason").hint(hint))
}

pub fn not_opened(job_id: JobId) -> Problem {
    Code::NotOpened.because(format!("the index does not show job {job_id} as opened"))
}

pub fn both(field: &str) -> Problem {
    Code::InvalidField.because(format!("prepare and {field} exclude each other")).at(field)
}

pub fn neither(field: &str) -> Problem {
    let detail = format!("neither prepare: true nor {field}");
    let hint = "Ask with prepare: true first, sign each typed_data, then send the signatures.";
    Code::InvalidField.because(detail).at(field).hint(hint)
}

struct SignedWord<'a> {
    word: &'a Word,
    signer: Address,
    signature: Bytes,
}

/// All words with their signatures, or nothing.
async fn signed<'a>(
    app: &App,
    view: &View,
    record: &Record,
    plan: &'a Plan,
    signatures: &[Hex],
    reason: &str,
) -> Result<Vec<SignedWord<'a>>, Problem> {
    let (given, wanted) = (signatures.len(), plan.words.len());
    if given != wanted {
        let detail = format!("{given} signatures for what now takes {wanted}");
        return Err(Code::ReviewChanged.because(detail).at("signatures"));
    }
    let accounts = consent::payer_side(&record.order);
    let mut words = Vec::new();
    for (place, (word, signature)) in plan.words.iter().zip(signatures).enumerate() {
        let digest = Act::of(record.job_id, word, reason).digest(&view.domain());
        let field = format!("signatures[{place}]");
        let found = consent::signer(app, digest, &signature.0, &accounts, &field).await;
        let hint = "Sign the typed_data with the key of the payer or approver, with the same \
            frames and reason; if the lots changed meanwhile, ask again with prepare: true.";
        let signer = found.map_err(|problem| {
            if problem.code == Code::SignatureInvalid { problem.hint(hint) } else { problem }
        })?;
        words.push(SignedWord { word, signer, signature: signature.0.clone() });
    }
    Ok(words)
}

/// Rejections first: the settler reads approvals before rejections, so it never sees an approval
/// without the rejection that goes before it.
async fn keep(
    app: &App,
    job_id: JobId,
    words: &[SignedWord<'_>],
    reason: &str,
) -> Result<(), Problem> {
    let (intake, created_at) = (app.store.intake(), app.now());
    for SignedWord { word, signer, signature } in words {
        let Word::Rejection { lot_hash, mask, .. } = word else { continue };
        let row = Rejection {
            lot_hash: *lot_hash,
            mask: *mask,
            job_id,
            reason_hash: keccak256(reason),
            reason: reason.into(),
            signer: *signer,
            signature: signature.clone(),
            created_at,
        };
        intake.put_rejection(&row).await.map_err(changed)?;
    }
    for SignedWord { word, signer, signature } in words {
        let Word::Approval { lots } = word else { continue };
        let lot_hashes: Vec<B256> = lots.iter().map(|(hash, _)| *hash).collect();
        let row = Approval {
            lots_hash: contracts::order::lots_hash(&lot_hashes),
            job_id,
            lot_hashes,
            signer: *signer,
            signature: signature.clone(),
            created_at,
        };
        intake.put_approval(&row).await.map_err(changed)?;
    }
    Ok(())
}

/// Another request about the same lots was stored between our reading and our writing.
fn changed(error: store::Error) -> Problem {
    match error {
        store::Error::Conflict { what } => {
            Code::ReviewChanged.because(format!("{what} was stored a moment ago"))
        }
        error => error.into(),
    }
}
