//! What the door answers when it refuses: one enum -> problem+json.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::accept::Refusal;
use crate::node::{Problem, ProblemCode};
use crate::terms::TermsError;

/// A request that was not done, and why.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error("{0}")]
    BadRequest(String),
    #[error("{0}")]
    BadSignature(String),
    #[error("no valid token")]
    Unauthorized,
    #[error("{0} is not here, or not this node's")]
    NotFound(String),
    #[error("lease {0} is over")]
    LeaseLost(String),
    #[error("body is larger than {limit} bytes")]
    TooLarge { limit: usize },
    #[error("{0}")]
    Busy(&'static str),
    #[error("delivery refused: {0}")]
    Delivery(Refusal),
    #[error(transparent)]
    Terms(#[from] TermsError),
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Refused {
    fn code(&self) -> ProblemCode {
        match self {
            Self::BadRequest(_) => ProblemCode::BadRequest,
            Self::BadSignature(_) => ProblemCode::BadSignature,
            Self::Unauthorized => ProblemCode::Unauthorized,
            Self::NotFound(_) => ProblemCode::NotFound,
            Self::LeaseLost(_) => ProblemCode::LeaseLost,
            Self::TooLarge { .. } => ProblemCode::TooLarge,
            Self::Busy(_) => ProblemCode::Unavailable,
            Self::Delivery(refusal) => delivery_code(refusal),
            Self::Terms(TermsError::Store(error)) | Self::Store(error) => store_code(error),
            Self::Terms(_) => ProblemCode::Unavailable,
        }
    }
}

fn delivery_code(refusal: &Refusal) -> ProblemCode {
    match refusal {
        Refusal::LeaseLost { .. } => ProblemCode::LeaseLost,
        Refusal::FileMissing { .. } => ProblemCode::FileMissing,
        Refusal::Store(error) | Refusal::Terms(TermsError::Store(error)) => store_code(error),
        Refusal::Terms(_) => ProblemCode::Unavailable,
        Refusal::Signing(_) | Refusal::Stopped(_) => ProblemCode::Internal,
        Refusal::OtherDelivery
        | Refusal::Incomplete { .. }
        | Refusal::Twice { .. }
        | Refusal::NoKey
        | Refusal::UnwantedKey
        | Refusal::Receipt { .. }
        | Refusal::File { .. }
        | Refusal::Lot(_)
        | Refusal::JobEnded
        | Refusal::NoMoney => ProblemCode::DeliveryRefused,
    }
}

fn store_code(error: &store::Error) -> ProblemCode {
    if error.is_transient() { ProblemCode::Unavailable } else { ProblemCode::Internal }
}

/// Status, title, what to do next, and whether the same request may succeed later.
fn describe(code: ProblemCode) -> (StatusCode, &'static str, &'static str, bool) {
    match code {
        ProblemCode::BadRequest => {
            (StatusCode::BAD_REQUEST, "Bad request", "Correct the request.", false)
        }
        ProblemCode::BadSignature => (
            StatusCode::FORBIDDEN,
            "Registration refused",
            "Sign the registration text of this escrow with the node's key, with the clock set.",
            false,
        ),
        ProblemCode::Unauthorized => (
            StatusCode::UNAUTHORIZED,
            "Token unknown",
            "Register at PUT /v1/nodes/{address} and use the token it answers.",
            false,
        ),
        ProblemCode::NotFound => {
            (StatusCode::NOT_FOUND, "Not found", "Check the address of the request.", false)
        }
        ProblemCode::LeaseLost => {
            (StatusCode::CONFLICT, "Lease lost", "Drop this lease and take a new one.", false)
        }
        ProblemCode::DeliveryRefused => (
            StatusCode::UNPROCESSABLE_ENTITY,
            "Delivery refused",
            "The lease has failed; its units are offered again as further attempts.",
            false,
        ),
        ProblemCode::FileMissing => (
            StatusCode::CONFLICT,
            "File missing",
            "Upload the file to /v1/leases/{id}/files/{unit}, then deliver again.",
            false,
        ),
        ProblemCode::TooLarge => (
            StatusCode::PAYLOAD_TOO_LARGE,
            "Too large",
            "Send what the job asks for; nothing larger is read.",
            false,
        ),
        ProblemCode::Unavailable => {
            (StatusCode::SERVICE_UNAVAILABLE, "Not now", "Ask again in a few seconds.", true)
        }
        ProblemCode::Internal => (
            StatusCode::INTERNAL_SERVER_ERROR,
            "The settler failed",
            "Its operator finds the cause in the settler's log.",
            true,
        ),
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let code = self.code();
        let (status, title, hint, retryable) = describe(code);
        // What failed inside is for the log, not for nodes.
        let detail = if code == ProblemCode::Internal {
            tracing::error!(error = %self, "door request failed");
            "the settler could not answer this request".to_owned()
        } else {
            self.to_string()
        };
        let slug = serde_json::to_value(code).ok();
        let slug = slug.as_ref().and_then(|value| value.as_str()).unwrap_or("internal");
        let problem = Problem {
            r#type: format!("/errors/{slug}"),
            title: title.into(),
            status: status.as_u16(),
            code,
            detail,
            hint: hint.into(),
            retryable,
        };
        let kind = [(header::CONTENT_TYPE, "application/problem+json")];
        (status, kind, Json(problem)).into_response()
    }
}
