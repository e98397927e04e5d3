//! Answers on their way out: `as_of` beside the data, the next page's link, ETags, caching.

use std::sync::LazyLock;

use alloy::primitives::{hex, keccak256};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use store::Tag;
use utoipa::ToSchema;

use super::body::{TAG, clip, is_read, value_of};
use super::view::{AsOf, View};
use crate::error::{Code, Problem};
use crate::routes;

/// Header of files, and of answers without a body: `as_of` as JSON.
pub const AS_OF_HEADER: &str = "render-as-of";
const NEVER: &str = "no-store";
const ASK_AGAIN: &str = "no-cache";
const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// An answer with the block it is read from.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Answer<T> {
    pub as_of: AsOf,
    #[serde(flatten)]
    pub data: T,
}

/// What of a request decides about the answer's form.
#[derive(Debug, Clone)]
pub struct Asked {
    pub tag: Tag,
    /// The view ends at a block that the request names.
    pub is_pinned: bool,
    path: String,
    query: String,
    if_none_match: Option<String>,
}

impl Asked {
    pub fn of(parts: &Parts) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        let is_read = is_read(&parts.method);
        let known = parts.headers.get(header::IF_NONE_MATCH);
        Ok(Self {
            tag: if is_read { tag(query)? } else { Tag::Latest },
            is_pinned: false,
            path: parts.uri.path().to_owned(),
            query: query.to_owned(),
            if_none_match: known.and_then(|known| known.to_str().ok()).map(str::to_owned),
        })
    }

    /// For the server's own question, such as a probe's.
    pub fn nothing() -> Self {
        let (path, query) = (String::new(), String::new());
        Self { tag: Tag::Latest, is_pinned: false, path, query, if_none_match: None }
    }

    /// The same for a view that ends at a block of the caller's.
    pub fn pinned(self) -> Self {
        Self { is_pinned: true, ..self }
    }

    pub fn is_final(&self) -> bool {
        self.tag == Tag::Finalized
    }

    /// Whether the caller has what this tag names (RFC 9110, 13.1.2).
    fn knows(&self, etag: &str) -> bool {
        let mut known = self.if_none_match.iter().flat_map(|text| text.split(','));
        known.any(|one| {
            let one = one.trim();
            one == "*" || one.strip_prefix("W/").unwrap_or(one) == etag
        })
    }

    /// The same request for the page at a cursor, relative to this server.
    fn with_cursor(&self, cursor: &str) -> String {
        let kept = self.query.split('&').filter(|pair| {
            let name = pair.split('=').next().unwrap_or_default();
            !pair.is_empty() && name != "cursor"
        });
        let cursor = format!("cursor={cursor}");
        let query: Vec<&str> = kept.chain([cursor.as_str()]).collect();
        format!("{}?{}", self.path, query.join("&"))
    }
}

fn tag(query: &str) -> Result<Tag, Problem> {
    let Some(word) = value_of(query, TAG) else { return Ok(Tag::Latest) };
    word.parse().map_err(|_| {
        let detail = format!("tag is `{}`; it takes latest, safe or finalized", clip(word));
        Code::BadQuery.because(detail).at(TAG)
    })
}

impl View {
    /// An answer that is good for this moment alone.
    pub fn answer<T: Serialize>(&self, data: T) -> Response {
        self.page(data, None)
    }

    /// A page of a list, and the cursor of the page after it.
    pub fn page<T: Serialize>(&self, data: T, next: Option<&str>) -> Response {
        match json(&data) {
            Ok(data) => self.sent(&data, next, None, NEVER),
            Err(problem) => problem.into_response(),
        }
    }

    /// One resource. Its ETag names the data; `as_of`, which moves with every block, stands in a
    /// header too, so that a caller who has the data learns of the new block without it.
    pub fn single<T: Serialize>(&self, data: T) -> Response {
        let data = match json(&data) {
            Ok(data) => data,
            Err(problem) => return problem.into_response(),
        };
        let etag = format!("\"{}\"", hex::encode(keccak256(&data)));
        if self.asked.knows(&etag) {
            return self.same(&etag, NEVER);
        }
        self.sent(&data, None, Some(&etag), NEVER)
    }

    /// One resource that is made of nothing but what the chain said up to this view's block.
    pub fn fact<T: Serialize>(&self, data: T) -> Response {
        match self.final_etag() {
            Some(_) => self.facts(data, None),
            None => self.single(data),
        }
    }

    /// A page of such a list.
    pub fn facts<T: Serialize>(&self, data: T, next: Option<&str>) -> Response {
        let Some(etag) = self.final_etag() else { return self.page(data, next) };
        match json(&data) {
            Ok(data) => self.sent(&data, next, Some(&etag), self.caching()),
            Err(problem) => problem.into_response(),
        }
    }

    /// The short answer for a caller that has these facts already; none: they are to be read.
    pub fn unchanged(&self) -> Option<Response> {
        let etag = self.final_etag().filter(|etag| self.asked.knows(etag))?;
        Some(self.same(&etag, self.caching()))
    }

    /// Facts of a final block are told apart by its hash, and by the form they are sent in.
    fn final_etag(&self) -> Option<String> {
        static FORM: LazyLock<String> =
            LazyLock::new(|| hex::encode(&keccak256(routes::openapi())[..4]));
        self.asked.is_final().then(|| format!("\"{:x}-{}\"", self.tip.hash, *FORM))
    }

    fn caching(&self) -> &'static str {
        if self.asked.is_pinned { FOR_EVER } else { ASK_AGAIN }
    }

    fn same(&self, etag: &str, caching: &'static str) -> Response {
        let mut answer = StatusCode::NOT_MODIFIED.into_response();
        self.put_headers(&mut answer, None, Some(etag), caching);
        answer
    }

    fn sent(
        &self,
        data: &[u8],
        next: Option<&str>,
        etag: Option<&str>,
        caching: &'static str,
    ) -> Response {
        let as_of = match json(&self.as_of) {
            Ok(as_of) => as_of,
            Err(problem) => return problem.into_response(),
        };
        let kind = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let mut answer = ([kind], beside(&as_of, data)).into_response();
        self.put_headers(&mut answer, next, etag, caching);
        answer
    }

    fn put_headers(
        &self,
        answer: &mut Response,
        next: Option<&str>,
        etag: Option<&str>,
        caching: &'static str,
    ) {
        let headers = answer.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
        let link = next.map(|next| format!("<{}>; rel=\"next\"", self.asked.with_cursor(next)));
        let as_of = etag.and_then(|_| serde_json::to_string(&self.as_of).ok());
        let texts = [
            (header::LINK, link),
            (header::ETAG, etag.map(str::to_owned)),
            (header::HeaderName::from_static(AS_OF_HEADER), as_of),
        ];
        for (name, text) in texts {
            if let Some(Ok(value)) = text.map(HeaderValue::try_from) {
                headers.insert(name, value);
            }
        }
    }

    /// A file with `as_of` in a header.
    pub fn file(&self, answer: impl IntoResponse) -> Response {
        let mut answer = answer.into_response();
        let headers = answer.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(NEVER));
        let json = serde_json::to_string(&self.as_of).unwrap_or_default();
        if let Ok(value) = HeaderValue::try_from(json) {
            headers.insert(AS_OF_HEADER, value);
        }
        answer
    }
}

fn json(value: &impl Serialize) -> Result<Vec<u8>, Problem> {
    serde_json::to_vec(value).map_err(|error| {
        tracing::error!(%error, "an answer has no JSON form");
        Code::Internal.because("an answer has no JSON form")
    })
}

/// `Answer` of both, without writing the data a second time.
fn beside(as_of: &[u8], data: &[u8]) -> Vec<u8> {
    let rest = data.strip_prefix(b"{").unwrap_or(data);
    let comma: &[u8] = if rest == b"}" { b"" } else { b"," };
    [b"{\"as_of\":", as_of, comma, rest].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(query: &str, known: &str) -> Asked {
        let if_none_match = Some(known.to_owned());
        Asked { path: "/v1/x".into(), query: query.into(), if_none_match, ..Asked::nothing() }
    }

    #[test]
    fn the_body_is_that_of_an_answer() {
        let as_of = serde_json::json!({ "block_number": 7 });
        for data in [serde_json::json!({}), serde_json::json!({ "a": 1, "b": [{}] })] {
            let (as_of, text) = (as_of.to_string(), data.to_string());
            let body = beside(as_of.as_bytes(), text.as_bytes());
            let found: serde_json::Value = serde_json::from_slice(&body).unwrap();
            let mut wanted = data;
            wanted["as_of"] = serde_json::json!({ "block_number": 7 });
            assert_eq!(found, wanted);
        }
    }

    #[test]
    fn a_link_names_the_same_request_at_the_next_place() {
        let link = |query| asked(query, "").with_cursor("7");
        assert_eq!(link(""), "/v1/x?cursor=7");
        assert_eq!(link("cursor=3&limit=2&tag=safe"), "/v1/x?limit=2&tag=safe&cursor=7");
    }

    #[test]
    fn tags_are_known_one_by_one_weak_or_by_a_star() {
        for known in ["\"a\"", "\"b\", \"a\"", "W/\"a\"", "*"] {
            assert!(asked("", known).knows("\"a\""), "{known}");
        }
        for other in ["", "a", "\"b\"", "\"ab\""] {
            assert!(!asked("", other).knows("\"a\""), "{other}");
        }
    }

    #[test]
    fn a_tag_is_one_of_three_words() {
        assert_eq!(tag("").unwrap(), Tag::Latest);
        assert_eq!(tag("limit=1&tag=finalized").unwrap(), Tag::Finalized);
        for bad in ["tag=", "tag", "tag=final", "tag=Latest", "tag=pending"] {
            assert_eq!(tag(bad).unwrap_err().code, Code::BadQuery, "{bad}");
        }
    }
}
