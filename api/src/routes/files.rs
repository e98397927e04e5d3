//! Pictures: watermarked previews, finals once paid, sealed files once nothing can be rejected.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::IntoParams;

use super::units::{frames_of, units_of};
use crate::App;
use crate::edge::body::{JobPath, NoParams, Params, UnitPath};
use crate::edge::range;
use crate::edge::view::View;
use crate::error::{Code, Problem};
use crate::finals;
use crate::record::Record;

/// Show a unit's preview
///
/// The newest accepted attempt, reduced and watermarked by the settler: JPEG. It needs no payment.
#[utoipa::path(
    get, path = "/v1/jobs/{job_id}/previews/{unit}", tag = "files",
    params(("job_id" = String, Path), ("unit" = u32, Path)),
    responses((status = 200, content_type = "image/jpeg"))
)]
pub async fn preview(
    State(app): State<App>,
    UnitPath(job_id, unit): UnitPath,
    view: View,
    Params(NoParams {}): Params<NoParams>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let record = Record::load(&view.reader, job_id).await?;
    let view = view.after_reading(&app);
    finals::check_unit(&record, unit)?;
    let Some(receipt) = record.receipt_of(unit) else {
        let detail = format!("unit {unit} of job {job_id} is not rendered yet");
        return Err(Code::PreviewNotFound.because(detail));
    };
    let bytes = finals::stored(&app.store.objects(), receipt.preview_object, unit).await?;
    let name = format!("preview_{unit:04}_{}.jpg", receipt.attempt);
    let tag = receipt.preview_object.to_string();
    picture(&view, &headers, &name, &tag, bytes)
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct OutputParams {
    /// The stored ciphertext in place of the opened file: at any time when the unit is alone
    /// under its key, else once no unit of its lot can be rejected any more.
    #[serde(default)]
    sealed: bool,
}

/// Download a unit's final
///
/// Once the chain shows it paid: opened with the key that `settle` revealed, and checked against
/// the hash its node signed. Takes one byte range.
#[utoipa::path(
    get, path = "/v1/jobs/{job_id}/outputs/{unit}", tag = "files",
    params(("job_id" = String, Path), ("unit" = u32, Path), OutputParams),
    responses(
        (status = 200, content_type = "application/octet-stream"),
        (status = 206, description = "The range", content_type = "application/octet-stream")
    )
)]
pub async fn output(
    State(app): State<App>,
    UnitPath(job_id, unit): UnitPath,
    view: View,
    Params(params): Params<OutputParams>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let record = Record::load(&view.reader, job_id).await?;
    let view = view.after_reading(&app);
    let objects = app.store.objects();
    if params.sealed {
        let receipt = finals::sealed_receipt(&record, unit, view.chain_time())?;
        let bytes = finals::stored(&objects, receipt.stored_hash, unit).await?;
        let name = format!("{}.sealed", receipt.file_name);
        return picture(&view, &headers, &name, &receipt.stored_hash.to_string(), bytes);
    }
    let found = finals::paid(&record, unit, view.chain_time())?;
    let (name, tag) = (found.file_name.clone(), found.opened_hash.to_string());
    let bytes = found.open(&objects).await?;
    picture(&view, &headers, &name, &tag, bytes)
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ZipParams {
    /// Frames of the job, such as 1-10x2,15; all that are paid when left out.
    #[serde(default)]
    frames: Option<String>,
}

/// Download finals as a zip
///
/// Paid frames, each opened and checked, stored without compression, sent as they are opened. An
/// archive that breaks off has no end record, so no program takes it for whole.
#[utoipa::path(
    get, path = "/v1/jobs/{job_id}/outputs.zip", tag = "files",
    params(("job_id" = String, Path), ZipParams),
    responses((status = 200, content_type = "application/zip"))
)]
pub async fn outputs(
    State(app): State<App>,
    JobPath(job_id): JobPath,
    view: View,
    Params(params): Params<ZipParams>,
) -> Result<Response, Problem> {
    let record = Record::load(&view.reader, job_id).await?;
    let view = view.after_reading(&app);
    let units = match &params.frames {
        Some(text) => units_of(&record, text)?,
        None => record.paid_units(),
    };
    finals::check_count(units.len())?;
    let (mut found, mut unpaid) = (Vec::new(), Vec::new());
    for unit in units {
        match finals::paid(&record, unit, view.chain_time()) {
            Ok(one) => found.push(one),
            Err(problem) if problem.code == Code::NotPaid => unpaid.push(unit),
            Err(problem) => return Err(problem),
        }
    }
    if !unpaid.is_empty() || found.is_empty() {
        let detail = match unpaid.as_slice() {
            [] => "no frame of this job is paid yet".into(),
            some => format!("frames {} are not paid yet", frames_of(&record, some)),
        };
        return Err(Code::NotPaid.because(detail).at("frames"));
    }
    let objects = app.store.objects();
    for one in &found {
        if !objects.has(one.stored_hash).await? {
            return Err(finals::gone(one.unit));
        }
    }
    let body = finals::zip(objects, Arc::from(found));
    let disposition = format!("attachment; filename=\"{job_id}.zip\"");
    let headers = [
        (header::CONTENT_TYPE, "application/zip".to_owned()),
        (header::CONTENT_DISPOSITION, disposition),
    ];
    Ok(view.file((headers, body)))
}

/// A whole file, or the range of it that is asked for. `tag` names these very bytes.
fn picture(
    view: &View,
    asked: &HeaderMap,
    name: &str,
    tag: &str,
    bytes: Bytes,
) -> Result<Response, Problem> {
    let text = |name| asked.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let tag = format!("\"{tag}\"");
    // A range of another version than the caller has would be of no use to it.
    let fits = text(header::IF_RANGE).is_none_or(|known| known == tag);
    let range = text(header::RANGE).filter(|_| fits);
    let length = bytes.len();
    let range = range::asked(range, length)?;
    let disposition = format!("inline; filename=\"{}\"", plain(name));
    let mut headers = vec![
        (header::CONTENT_TYPE, content_type(name).to_owned()),
        (header::CONTENT_DISPOSITION, disposition),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".into()),
        (header::ACCEPT_RANGES, "bytes".into()),
        (header::ETAG, tag),
    ];
    let (status, bytes) = match range {
        Some(range) => {
            let last = range.end.saturating_sub(1);
            let place = format!("bytes {}-{last}/{length}", range.start);
            headers.push((header::CONTENT_RANGE, place));
            (StatusCode::PARTIAL_CONTENT, bytes.slice(range))
        }
        None => (StatusCode::OK, bytes),
    };
    let mut answer = view.file((status, Body::from(bytes)));
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::try_from(value) {
            answer.headers_mut().insert(name, value);
        }
    }
    Ok(answer.into_response())
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.') {
        Some((_, "png")) => "image/png",
        Some((_, "jpg")) => "image/jpeg",
        Some(_) | None => "application/octet-stream",
    }
}

/// Only characters that need no quoting in a header.
fn plain(name: &str) -> String {
    let keep = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    name.chars().map(|c| if keep(c) { c } else { '_' }).collect()
}
