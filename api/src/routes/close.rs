//! Asking to end a job: prepared for signing, then taken in for the settler to relay.

use alloy::primitives::Bytes;
use alloy::sol_types::SolCall;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use contracts::{RenderEscrow, signing};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::CloseRequest;
use utoipa::ToSchema;

use super::actions::{both, neither, not_opened};
use super::documents::Call;
use super::jobs::JobView;
use crate::App;
use crate::consent;
use crate::edge::body::{Body, JobPath, NoParams, Params};
use crate::edge::reply::Answer;
use crate::edge::view::View;
use crate::error::{Code, Problem};
use crate::record::Record;
use crate::wire::{Hash, Hex};

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CloseBody {
    /// Answers what is to be signed, and changes nothing.
    #[serde(default)]
    pub prepare: bool,
    /// Over the typed data that `prepare` answered, of the payer or the approver.
    #[serde(default)]
    pub signature: Option<Hex>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct PreparedClose {
    pub job_id: Hash,
    /// For `eth_signTypedData_v4`.
    #[schema(value_type = Object)]
    pub typed_data: Value,
    pub digest: Hash,
    /// `requestClose(order, "")`, for the payer or approver to send.
    pub call: Call,
}

/// Ask to close a job
///
/// With `prepare: true`: what to sign. With `signature`: stores it for the settler to relay as
/// `requestClose`. Work in hand is still paid; the rest of the money returns when the job closes.
#[utoipa::path(
    post, path = "/v1/jobs/{job_id}/close", tag = "jobs",
    params(("job_id" = Hash, Path)),
    request_body = CloseBody,
    responses(
        (status = 200, description = "To sign (`prepare: true`)", body = Answer<PreparedClose>),
        (status = 202, description = "Taken in, to be relayed", body = Answer<JobView>)
    )
)]
pub async fn close(
    State(app): State<App>,
    JobPath(job_id): JobPath,
    view: View,
    Params(NoParams {}): Params<NoParams>,
    Body(request): Body<CloseBody>,
) -> Result<Response, Problem> {
    let record = Record::load(&view.reader, job_id).await?;
    check_closable(&record)?;
    let domain = view.domain();
    let act = signing::CloseRequest { jobId: job_id };
    let digest = signing::signing_hash(&act, &domain);
    let signature = match (request.prepare, request.signature) {
        (true, None) => {
            let order = record.order.to_sol();
            let call = RenderEscrow::requestCloseCall { order, signature: Bytes::new() };
            let prepared = PreparedClose {
                job_id: Hash(job_id),
                typed_data: signing::close_request_typed_data(&act, &domain),
                digest: Hash(digest),
                call: Call::new(view.escrow.address, call.abi_encode()),
            };
            return Ok(view.answer(prepared).into_response());
        }
        (false, Some(Hex(signature))) => signature,
        (true, Some(_)) => return Err(both("signature")),
        (false, None) => return Err(neither("signature")),
    };
    let accounts = consent::payer_side(&record.order);
    let signer = consent::signer(&app, digest, &signature, &accounts, "signature").await?;
    let row = CloseRequest { job_id, signer, signature, created_at: app.now() };
    match app.store.intake().put_close_request(&row).await {
        // One request is enough, whoever of the payer's side signed it.
        Ok(_) | Err(store::Error::Conflict { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    let record = Record::load(&view.reader, job_id).await?;
    let answer = view.answer(JobView::of(&view, &record).await?);
    Ok((StatusCode::ACCEPTED, answer).into_response())
}

fn check_closable(record: &Record) -> Result<(), Problem> {
    let job_id = record.job_id;
    let Some((_, chain)) = &record.chain else { return Err(not_opened(job_id)) };
    if chain.closed {
        return Err(Code::JobClosed.because(format!("job {job_id} is closed")));
    }
    if chain.close_requested {
        let detail = format!("the chain shows the close request of job {job_id}");
        return Err(Code::CloseRequested.because(detail));
    }
    Ok(())
}
