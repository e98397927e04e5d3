//! The API as the command line sees it: requests with time limits, problems with exit codes.
use std::time::Duration;

use bytes::Bytes;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::exit::{Exit, Failure, Outcome};

const CONNECT_WAIT: Duration = Duration::from_secs(5);
const ANSWER_WAIT: Duration = Duration::from_secs(60);
/// Finals may be large and lines slow.
const FILE_WAIT: Duration = Duration::from_secs(1_800);
/// Largest file that is read: the settler takes none above it.
const MAX_FILE: usize = 512 << 20;

/// The API's word for what went wrong (RFC 9457).
#[derive(Debug, Deserialize)]
struct Problem {
    code: String,
    detail: String,
    #[serde(default)]
    hint: String,
    #[serde(default)]
    errors: Vec<FieldProblem>,
}

#[derive(Debug, Deserialize)]
struct FieldProblem {
    field: String,
    message: String,
}

/// One API server.
pub struct Remote {
    http: reqwest::Client,
    base: String,
}

impl Remote {
    pub fn new(base: &str) -> Outcome<Remote> {
        // Redirects could lead a signature to another host.
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_WAIT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| {
                Failure::new(Exit::Failed, format!("HTTP cannot be set up: {error}"), "try again")
            })?;
        Ok(Remote { http, base: base.trim_end_matches('/').to_owned() })
    }

    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Outcome<T> {
        let request = self.request(Method::GET, path).timeout(ANSWER_WAIT);
        read(path, &self.send(request).await?)
    }

    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Outcome<T> {
        let request = self.request(Method::POST, path).timeout(ANSWER_WAIT).json(body);
        read(path, &self.send(request).await?)
    }

    /// Uploads raw bytes.
    pub async fn upload<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
        bytes: Vec<u8>,
    ) -> Outcome<T> {
        let request = self.request(Method::POST, path).query(query).timeout(FILE_WAIT).body(bytes);
        let request = request.header("content-type", "application/octet-stream");
        read(path, &self.send(request).await?)
    }

    pub async fn file(&self, path: &str) -> Outcome<Bytes> {
        self.send(self.request(Method::GET, path).timeout(FILE_WAIT)).await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    async fn send(&self, request: RequestBuilder) -> Outcome<Bytes> {
        let response = request.send().await.map_err(|error| self.away(&error))?;
        let status = response.status();
        let body = self.body(response).await?;
        if status.is_success() { Ok(body) } else { Err(refusal(status, &body)) }
    }

    async fn body(&self, mut response: Response) -> Outcome<Bytes> {
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await.map_err(|error| self.away(&error))? {
            if body.len() + part.len() > MAX_FILE {
                let message = format!("the answer is longer than {MAX_FILE} bytes");
                return Err(Failure::new(Exit::Failed, message, "check --api"));
            }
            body.extend_from_slice(&part);
        }
        Ok(body.into())
    }

    fn away(&self, error: &reqwest::Error) -> Failure {
        let message = format!("the API at {} does not answer: {error}", self.base);
        let hint = "check --api (RNDR__CLIENT__API); deposit, withdraw and close need no API";
        Failure::new(Exit::Unavailable, message, hint)
    }
}

fn read<T: DeserializeOwned>(path: &str, body: &Bytes) -> Outcome<T> {
    serde_json::from_slice(body).map_err(|error| {
        let message = format!("the API's answer to {path} makes no sense: {error}");
        Failure::new(Exit::Failed, message, "client and server must be of the same release")
    })
}

fn refusal(status: StatusCode, body: &Bytes) -> Failure {
    let exit = match status.as_u16() {
        404 => Exit::NotFound,
        402 => Exit::InsufficientFunds,
        408 | 425 | 429 | 500..=599 => Exit::Unavailable,
        _ => Exit::Rejected,
    };
    let Ok(problem) = serde_json::from_slice::<Problem>(body) else {
        let hint = "check --api: something else may answer there";
        return Failure::new(exit, format!("the API answered {status} without a reason"), hint);
    };
    let mut message = format!("{} ({})", problem.detail, problem.code);
    for FieldProblem { field, message: text } in &problem.errors {
        message.push_str(&format!("\n  {field}: {text}"));
    }
    Failure::new(exit, message, problem.hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_keep_their_cause_and_next_step() {
        let body = Bytes::from_static(
            br#"{"code":"invalid_spec","detail":"2 fields are not valid","hint":"write 1-8",
            "errors":[{"field":"spec.frames","message":"bad","hint":"x"}]}"#,
        );
        let failure = refusal(StatusCode::UNPROCESSABLE_ENTITY, &body);
        assert_eq!(failure.exit, Exit::Rejected);
        assert!(failure.message.contains("invalid_spec"));
        assert!(failure.message.contains("spec.frames: bad"));
        assert_eq!(failure.hint, "write 1-8");
        let page = Bytes::from_static(b"<html>");
        assert_eq!(refusal(StatusCode::BAD_GATEWAY, &page).exit, Exit::Unavailable);
        assert_eq!(refusal(StatusCode::NOT_FOUND, &page).exit, Exit::NotFound);
    }
}
