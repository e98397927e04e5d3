//! The one layer that every request crosses: request id, time limit, panics, problem bodies.

pub mod body;
pub mod cursor;
pub mod eth;
pub mod range;
pub mod reply;
pub mod view;

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use alloy::primitives::B256;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;

use crate::error::{Code, PROBLEM_JSON, Problem};

/// Longest time until an answer begins: an upload of 64 MiB at 1 MiB/s fits, a dripping one ends.
pub const REQUEST_TIME: Duration = Duration::from_secs(90);
/// Largest JSON body: frame lists have up to 64 KiB, orders and signatures a few.
pub const JSON_BYTES: usize = 256 * 1024;
/// Longest request id taken from a caller; a longer one is replaced.
const REQUEST_ID_BYTES: usize = 64;
const REQUEST_ID: &str = "x-request-id";

/// Gives the request an id and a time limit, catches panics, writes every refusal as a problem.
pub async fn cross(request: Request, next: Next) -> Response {
    let id = request_id(request.headers());
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let started = Instant::now();
    let run = AssertUnwindSafe(next.run(request)).catch_unwind();
    let answer = match tokio::time::timeout(REQUEST_TIME, run).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => {
            Code::Internal.because("the request stopped a part of the server").into_response()
        }
        Err(_) => {
            let seconds = REQUEST_TIME.as_secs();
            Code::TimedOut.because(format!("no answer within {seconds} s")).into_response()
        }
    };
    let mut answer = explained(answer, &path, method == Method::HEAD);
    let millis = started.elapsed().as_millis();
    let status = answer.status().as_u16();
    tracing::info!(%method, path, status, millis, request = id, "answered");
    if let Ok(value) = HeaderValue::from_str(&id) {
        answer.headers_mut().insert(REQUEST_ID, value);
    }
    answer
}

/// The caller's id when it is short and plain, else a random one.
fn request_id(headers: &HeaderMap) -> String {
    let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok());
    let plain = |id: &&str| {
        let fits = (1..=REQUEST_ID_BYTES).contains(&id.len());
        fits && id.bytes().all(|byte| byte.is_ascii_graphic())
    };
    match given.filter(plain) {
        Some(id) => id.to_owned(),
        None => format!("{:032x}", rand::random::<u128>()),
    }
}

/// 32 random bytes: an order's salt.
pub fn random_hash() -> B256 {
    B256::from(rand::random::<[u8; 32]>())
}

/// Writes the body of a refusal: ours, or one that the router or a library made.
fn explained(answer: Response, path: &str, only_head: bool) -> Response {
    let (mut parts, body) = answer.into_parts();
    let problem = match parts.extensions.remove::<Problem>() {
        Some(problem) => problem,
        None => match foreign(parts.status, path) {
            Some(problem) => problem,
            None => return Response::from_parts(parts, body),
        },
    };
    // serde_json writes plain fields of text, numbers and lists: it has nothing to fail on.
    let text = serde_json::to_vec(&problem.body(path)).unwrap_or_default();
    parts.status = problem.code.status();
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(text.len()));
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
    parts.headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(seconds) = problem.code.retry_after() {
        parts.headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    let range = problem.length.map(|length| HeaderValue::try_from(format!("bytes */{length}")));
    if let Some(Ok(range)) = range {
        parts.headers.insert(header::CONTENT_RANGE, range);
    }
    Response::from_parts(parts, if only_head { Body::empty() } else { Body::from(text) })
}

/// A refusal that is not ours, by its status: the router's 404 and 405, a library's 413.
fn foreign(status: StatusCode, path: &str) -> Option<Problem> {
    if !status.is_client_error() && !status.is_server_error() {
        return None;
    }
    let problem = match status {
        StatusCode::NOT_FOUND => {
            Code::RouteNotFound.because(format!("nothing is served at {path}"))
        }
        StatusCode::METHOD_NOT_ALLOWED => {
            Code::MethodNotAllowed.because(format!("{path} does not take this method"))
        }
        StatusCode::PAYLOAD_TOO_LARGE => Code::BodyTooLarge.because("the body is above its limit"),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => Code::UnsupportedMediaType.because("not taken here"),
        status if status.is_client_error() => {
            Code::BadRequest.because(format!("the request was refused with {status}"))
        }
        status => Code::Internal.because(format!("the server failed with {status}")),
    };
    Some(problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_s_request_id_is_kept_when_plain_and_replaced_when_not() {
        let with = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, HeaderValue::from_static(value));
            request_id(&headers)
        };
        assert_eq!(with("order-7"), "order-7");
        assert_eq!(with("has space").len(), 32);
        assert_eq!(with("").len(), 32);
        assert_eq!(request_id(&HeaderMap::new()).len(), 32);
    }
}
