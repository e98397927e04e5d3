//! Strict request parts: JSON bodies, query parameters and ids, each refusal naming its field.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode, Uri, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::App;
use crate::error::{Code, Problem};

/// The parameter that every /v1 path takes beside its own.
pub const MIN_BLOCK: &str = "min_block";
/// And the one that every /v1 path takes that is read.
pub const TAG: &str = "tag";

/// Whether a request of this method changes nothing.
pub fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// The value of a parameter, the last one when it is named again.
pub fn value_of<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    let mut named = query.split('&').filter_map(|pair| {
        let (found, value) = pair.split_once('=').unwrap_or((pair, ""));
        (found == name).then_some(value)
    });
    named.next_back()
}

/// A JSON body; unknown fields, wrong types and other content types are refused.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned> FromRequest<App> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let kind = request.headers().get(header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let essence = kind.split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("application/json") {
            let found = if essence.is_empty() { "none" } else { essence };
            let detail = format!("content type is {found}; this path takes application/json");
            return Err(Code::UnsupportedMediaType.because(detail));
        }
        read_json(&bytes(request, app).await?).map(Self)
    }
}

/// The raw body; the route sets its limit.
pub async fn bytes(request: Request, app: &App) -> Result<Bytes, Problem> {
    Bytes::from_request(request, app).await.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Code::BodyTooLarge.because(rejection.body_text()),
        _ => Code::BadRequest.because(rejection.body_text()),
    })
}

/// One JSON value and nothing after it.
pub fn read_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let field = error.path().to_string();
        refusal(&field, error.inner())
    })?;
    reader.end().map_err(|error| Code::BadJson.because(error.to_string()))?;
    Ok(value)
}

fn refusal(path: &str, error: &serde_json::Error) -> Problem {
    use serde_json::error::Category;
    let text = error.to_string();
    match error.classify() {
        Category::Syntax | Category::Eof | Category::Io => Code::BadJson.because(text),
        Category::Data => {
            let code = if text.starts_with("unknown field") {
                Code::UnknownField
            } else {
                Code::InvalidField
            };
            code.because(text).at(if path == "." { "(body)" } else { path })
        }
    }
}

/// Query parameters of a path; all others are refused, but for those of every path.
pub struct Params<T>(pub T);

/// For paths without parameters of their own.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoParams {}

impl<T: DeserializeOwned> FromRequestParts<App> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        let is_read = is_read(&parts.method);
        let own = |pair: &&str| match pair.split('=').next() {
            Some(MIN_BLOCK) => false,
            Some(TAG) => !is_read,
            Some(_) | None => true,
        };
        let query = parts.uri.query().unwrap_or_default();
        let query = query.split('&').filter(own).collect::<Vec<_>>().join("&");
        let uri: Uri = format!("/?{query}")
            .parse()
            .map_err(|_| Code::BadQuery.because("the query string is not valid"))?;
        match Query::<T>::try_from_uri(&uri) {
            Ok(Query(value)) => Ok(Self(value)),
            Err(error) => Err(Code::BadQuery.because(error.body_text())),
        }
    }
}

/// A job's id in the path.
pub struct JobPath(pub contracts::JobId);

impl FromRequestParts<App> for JobPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let Path(text) = path::<String>(parts, app).await?;
        hash(&text).map(Self)
    }
}

/// An account's address in the path, any case.
pub struct AddressPath(pub alloy::primitives::Address);

impl FromRequestParts<App> for AddressPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let Path(text) = path::<String>(parts, app).await?;
        let wrong = || Code::BadId.because(format!("`{}` is no address", clip(&text)));
        let digits = text.strip_prefix("0x").ok_or_else(wrong)?;
        digits.parse().map(Self).map_err(|_| wrong())
    }
}

/// A job's id and a unit's number in the path.
pub struct UnitPath(pub contracts::JobId, pub u32);

impl FromRequestParts<App> for UnitPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let Path((job, unit)) = path::<(String, String)>(parts, app).await?;
        let number = unit.parse().map_err(|_| {
            Code::BadId.because(format!("`{}` is not a unit's number", clip(&unit)))
        })?;
        Ok(Self(hash(&job)?, number))
    }
}

async fn path<T: DeserializeOwned + Send>(
    parts: &mut Parts,
    app: &App,
) -> Result<Path<T>, Problem> {
    let read = Path::<T>::from_request_parts(parts, app).await;
    read.map_err(|error| Code::BadId.because(error.body_text()))
}

/// 0x and 64 hex digits.
pub fn hash(text: &str) -> Result<alloy::primitives::B256, Problem> {
    let wrong = || Code::BadId.because(format!("`{}` is not 0x and 64 hex digits", clip(text)));
    let digits = text.strip_prefix("0x").ok_or_else(wrong)?;
    if digits.len() != 64 {
        return Err(wrong());
    }
    digits.parse().map_err(|_| wrong())
}

/// Enough of a refused text to recognise it.
pub fn clip(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[allow(dead_code, reason = "only read by serde")]
        inner: Inner,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[allow(dead_code, reason = "only read by serde")]
        count: u32,
    }

    fn problem(json: &str) -> Problem {
        read_json::<Outer>(json.as_bytes()).unwrap_err()
    }

    #[test]
    fn refusals_name_the_field_by_its_path() {
        let wrong = problem(r#"{"inner":{"count":"7"}}"#);
        assert_eq!((wrong.code, wrong.field.as_deref()), (Code::InvalidField, Some("inner.count")));
        let unknown = problem(r#"{"inner":{"count":7,"colour":1}}"#);
        assert_eq!(unknown.code, Code::UnknownField);
        assert_eq!(unknown.field.as_deref(), Some("inner.colour"));
        let missing = problem(r#"{"inner":{}}"#);
        assert_eq!(missing.code, Code::InvalidField);
        assert!(missing.detail.contains("missing field `count`"), "{}", missing.detail);
    }

    #[test]
    fn broken_json_and_trailing_text_are_no_json() {
        for text in ["", "{", "{\"inner\":{\"count\":7}} x", "\u{0}"] {
            assert_eq!(problem(text).code, Code::BadJson, "{text}");
        }
        let deep = "[".repeat(100_000);
        assert_eq!(
            read_json::<serde_json::Value>(deep.as_bytes()).unwrap_err().code,
            Code::BadJson
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered_without_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            let _ = read_json::<Outer>(&bytes);
            let _ = hash(&String::from_utf8_lossy(&bytes));
        }
    }
}
