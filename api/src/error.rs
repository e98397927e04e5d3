//! One enum of all that can go wrong -> problem+json (RFC 9457): status, code, hint, retry.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::wire::Hash;

/// Media type of every refusal.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// Declares the codes once: name, status, whether the same request may succeed later, title,
/// and what to do. OpenAPI, the catalogue at /errors and every refusal are made from it.
macro_rules! codes {
    ($($code:ident $status:ident $retry:literal $title:literal $hint:literal;)*) => {
        /// Stable names of everything that can go wrong.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, ToSchema)]
        #[serde(rename_all = "snake_case")]
        #[schema(as = ErrorCode)]
        pub enum Code {
            $(#[doc = $title] $code,)*
        }

        impl Code {
            pub const ALL: &[Self] = &[$(Self::$code,)*];

            pub fn status(self) -> StatusCode {
                match self { $(Self::$code => StatusCode::$status,)* }
            }

            /// Whether the very same request may succeed later.
            pub fn retryable(self) -> bool {
                match self { $(Self::$code => $retry,)* }
            }

            pub fn title(self) -> &'static str {
                match self { $(Self::$code => $title,)* }
            }

            /// What to do about it, when nothing more exact is known.
            pub fn hint(self) -> &'static str {
                match self { $(Self::$code => $hint,)* }
            }

            fn variant(self) -> &'static str {
                match self { $(Self::$code => stringify!($code),)* }
            }
        }
    };
}

codes! {
    BadJson BAD_REQUEST false "The body is not JSON"
        "Send one JSON value, as the OpenAPI document shows it.";
    BadQuery BAD_REQUEST false "The query string is wrong"
        "Use only the parameters that the OpenAPI document lists for this path.";
    BadId BAD_REQUEST false "The id in the path has the wrong form"
        "Job and scene ids are 0x and 64 hex digits, accounts 0x and 40; units are plain numbers.";
    BadCursor BAD_REQUEST false "The cursor is not one of ours"
        "Pass next_cursor of the previous page unchanged, or leave it out for the first page.";
    BadFrames BAD_REQUEST false "The frame list is not understood"
        "Write frames like 7, 1-10 or 1-10x2,15.";
    BadRequest BAD_REQUEST false "The request is malformed"
        "Compare the request with the OpenAPI document.";
    RouteNotFound NOT_FOUND false "There is no such path"
        "All paths are listed in /openapi.json.";
    JobNotFound NOT_FOUND false "No such job is known"
        "Check the id. A job opened moments ago appears once its block is indexed.";
    SceneNotFound NOT_FOUND false "No such scene is known"
        "Upload it with POST /v1/scenes; the answer names its id.";
    NodeNotFound NOT_FOUND false "No such node is known"
        "Check the address: a node is named by the key of its receipts. It is known once it \
         registered at the settler's door or in the node registry.";
    QuoteNotFound NOT_FOUND false "No such quote is known"
        "Ask for one with POST /v1/quotes.";
    UnitNotFound NOT_FOUND false "The job has no such unit"
        "Units are numbered from 0, one for each frame of the job, ascending.";
    PreviewNotFound NOT_FOUND true "The unit has no preview yet"
        "Wait until the unit is rendered; GET /v1/jobs/{id}/units shows its state.";
    ErrorNotFound NOT_FOUND false "There is no such error code"
        "All codes are listed at /errors.";
    MethodNotAllowed METHOD_NOT_ALLOWED false "The path does not take this method"
        "The Allow header names the methods it takes.";
    TimedOut REQUEST_TIMEOUT true "The request took too long"
        "Send the request again; if it is an upload, send it faster or in a smaller archive.";
    NotFinal CONFLICT true "The block is not final yet"
        "Name a finalized block, or ask again once the chain has finalized this one.";
    AlreadyRejected CONFLICT false "Some of these frames are rejected already"
        "Leave them out; they are rendered again under the next attempt.";
    AlreadyApproved CONFLICT false "Some of these frames are approved or paid already"
        "Leave them out; an approval cannot be called back.";
    NotRendered CONFLICT true "Some of these frames are not rendered yet"
        "Leave them out, or wait until their state is rendered or committed.";
    WindowOver CONFLICT false "The review window of some of these frames is over"
        "Frames of a lot whose window has passed can no longer be reviewed; they will be paid.";
    ReviewChanged CONFLICT true "The lots have changed since they were prepared"
        "Ask again with prepare and sign what it answers.";
    OrderConflict CONFLICT false "This job is known with other contents"
        "A job takes one signature and one name; read it with GET /v1/jobs/{id}.";
    NotOpened CONFLICT true "The job is not opened on chain"
        "Send the open call first, wait for its block, then ask again.";
    JobClosed CONFLICT false "The job is closed"
        "A closed job takes no more requests; open a new one.";
    CloseRequested CONFLICT false "The job's close was requested already"
        "Wait for the end of the job; its date is in GET /v1/jobs/{id}.";
    NotPaid CONFLICT true "The finals of these frames are not paid yet"
        "Approve the frames, or wait for the end of their review window.";
    StillSealed CONFLICT true "The sealed file may not be handed out yet"
        "It is handed out once no unit of its lot can be rejected any more.";
    UnitRejected CONFLICT false "The unit's file was rejected"
        "A rejected file is handed out to nobody; wait for the next attempt.";
    FileGone GONE false "The file is no longer kept"
        "Files are kept for a limited time; ask the operator.";
    QuoteExpired GONE false "The quote has expired"
        "Ask for a new quote; prices are bound for one hour.";
    CursorGone GONE false "Rows before the cursor left the chain"
        "The chain was reorganised: drop the rows above fork.block, then go on with fork.cursor.";
    BodyTooLarge PAYLOAD_TOO_LARGE false "The body is too large"
        "JSON bodies may have 256 KiB, scenes 64 MiB.";
    UnsupportedMediaType UNSUPPORTED_MEDIA_TYPE false "The content type is not taken here"
        "Send application/json; scenes may have any type.";
    RangeNotSatisfiable RANGE_NOT_SATISFIABLE false "The byte range lies outside the file"
        "Ask for one range inside the length that Content-Range names.";
    UnknownField UNPROCESSABLE_ENTITY false "The body has a field that is not known"
        "Remove the field; unknown fields are refused so that no wish is lost in silence.";
    InvalidField UNPROCESSABLE_ENTITY false "A field has a value that is not taken"
        "Correct the field named here.";
    InvalidSpec UNPROCESSABLE_ENTITY false "The job spec is not valid"
        "Correct every field listed in errors.";
    Unpriceable UNPROCESSABLE_ENTITY false "The work cannot be priced"
        "Ask for fewer frames or a smaller picture.";
    PeriodTooLong UNPROCESSABLE_ENTITY false "The period has too many movements"
        "Ask for shorter periods: the closing of one is the opening of the next. `rndr audit \
         export` has no such limit.";
    CapTooSmall UNPROCESSABLE_ENTITY false "The money does not cover one unit"
        "Raise max_spend (the order's cap) to at least the unit price.";
    NotAScene UNPROCESSABLE_ENTITY false "The upload is not a scene"
        "Send one .pov file as text with ?name=scene.pov, or a zip that holds one.";
    ArchiveRefused UNPROCESSABLE_ENTITY false "The archive is refused"
        "Pack plain files under relative paths, without links or archives inside.";
    WrongChain UNPROCESSABLE_ENTITY false "The order is for another chain"
        "Sign the typed data that POST /v1/jobs/prepare answers; GET /v1/contracts has the chain.";
    WrongEscrow UNPROCESSABLE_ENTITY false "The order is for another escrow"
        "Sign the typed data that POST /v1/jobs/prepare answers.";
    OrderExpired UNPROCESSABLE_ENTITY false "The order has expired"
        "Its open_by has passed: prepare and sign a new order.";
    OrderMismatch UNPROCESSABLE_ENTITY false "The order does not fit its quote or this settler"
        "Take the order that POST /v1/jobs/prepare answers, unchanged.";
    DelegateRefused UNPROCESSABLE_ENTITY true "The delegate may not open this order"
        "Have the payer set the delegate's bounds; they count once their block is indexed.";
    OrderRefused UNPROCESSABLE_ENTITY false "The escrow would refuse the order"
        "Correct the field named here; the bounds are the contract's.";
    SignatureInvalid UNPROCESSABLE_ENTITY false "The signature is not the right account's"
        "Sign the typed data with the key of the payer (reviews: or of the approver).";
    IndexBehind TOO_EARLY true "The index has not reached that block"
        "Ask again in a few seconds.";
    TagUnavailable TOO_EARLY true "No indexed block has that tag yet"
        "Ask with tag=latest, or again later; GET /v1/chain shows the heads and what is proven.";
    Internal INTERNAL_SERVER_ERROR true "Something broke on our side"
        "Nothing was changed. Report the request id (header x-request-id) to the operator.";
    FileDamaged INTERNAL_SERVER_ERROR false "A stored file does not match its receipt"
        "Report it to the operator; the receipt and the revealed key prove the damage.";
    ChainUnavailable SERVICE_UNAVAILABLE true "The chain node cannot be asked"
        "Contract-wallet signatures need the chain; try again, or sign with the account's own key.";
    EscrowPaused SERVICE_UNAVAILABLE true "The escrow opens no jobs for now"
        "Wait for the end of the guardian's pause; what is open is worked on, reviewed and paid.";
    DatabaseUnavailable SERVICE_UNAVAILABLE true "The database cannot be reached"
        "Nothing was changed. Ask again in a few seconds.";
    ReadOnly SERVICE_UNAVAILABLE false "This server only reads"
        "Nothing was changed. Send it to a server of the same operator that takes orders.";
    NotReady SERVICE_UNAVAILABLE true "The index is not ready"
        "The indexer has stored no block yet, or lags; ask again in a few seconds.";
}

impl Code {
    /// snake_case, as it stands in answers and in /errors/{code}.
    pub fn text(self) -> String {
        contracts::revert::snake_case(self.variant())
    }

    /// Seconds after which asking again makes sense.
    pub fn retry_after(self) -> Option<u32> {
        let seconds = if self == Self::EscrowPaused { PAUSE_SECONDS } else { RETRY_SECONDS };
        self.retryable().then_some(seconds)
    }

    /// A problem with this code. `detail` says what was found, with its figures.
    pub fn because(self, detail: impl Into<String>) -> Problem {
        Problem { code: self, detail: detail.into(), ..Problem::new(self) }
    }
}

/// One refusal, before it knows the path it answers.
#[derive(Debug, Clone)]
pub struct Problem {
    pub code: Code,
    pub detail: String,
    pub hint: Option<Box<str>>,
    pub field: Option<String>,
    pub errors: Vec<FieldProblem>,
    /// Whole length of the file, for Content-Range of a range that lies outside it.
    pub length: Option<usize>,
    pub fork: Option<Box<Resume>>,
}

/// Where the chain that a walk has shown, and the one there is now, part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Fork)]
pub struct Resume {
    /// The last block of both. Rows that the walk has shown of blocks above it are gone.
    #[serde(rename = "block")]
    pub fork_block: u64,
    #[serde(rename = "hash")]
    pub fork_hash: Hash,
    /// Goes on with the same list right there.
    pub cursor: String,
}

/// One field of a body and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldProblem {
    pub field: String,
    pub message: String,
    pub hint: String,
}

impl Problem {
    fn new(code: Code) -> Self {
        let detail = code.title().into();
        Self { code, detail, hint: None, field: None, errors: vec![], length: None, fork: None }
    }

    /// The field of the request to change.
    #[must_use]
    pub fn at(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// What to do, more exactly than the code's own hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into().into_boxed_str());
        self
    }

    /// Every field that is wrong; the first one is also `field`.
    #[must_use]
    pub fn listing(mut self, errors: Vec<FieldProblem>) -> Self {
        self.field = errors.first().map(|error| error.field.clone());
        self.errors = errors;
        self
    }

    #[must_use]
    pub fn length(mut self, length: usize) -> Self {
        self.length = Some(length);
        self
    }

    /// Where a walk goes on.
    #[must_use]
    pub fn resuming(mut self, fork: Resume) -> Self {
        self.fork = Some(Box::new(fork));
        self
    }

    /// The body, once the path of the request is known.
    pub fn body(&self, instance: &str) -> ProblemBody {
        let code = self.code;
        let page = format!("/errors/{}", code.text());
        ProblemBody {
            kind: page.clone(),
            title: code.title().into(),
            status: code.status().as_u16(),
            code,
            detail: self.detail.clone(),
            instance: instance.into(),
            hint: self.hint.as_deref().unwrap_or(code.hint()).into(),
            docs: page,
            retryable: code.retryable(),
            field: self.field.clone(),
            errors: self.errors.clone(),
            retry_after: code.retry_after(),
            fork: self.fork.as_deref().cloned(),
        }
    }
}

/// Most things that pass do so within seconds: a block, a lease, a restart.
const RETRY_SECONDS: u32 = 5;
/// A pause lasts hours or days.
const PAUSE_SECONDS: u32 = 3_600;

/// A refusal as it is sent (RFC 9457).
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// Page of this error, relative to this server.
    #[serde(rename = "type")]
    pub kind: String,
    pub title: String,
    pub status: u16,
    pub code: Code,
    /// What was found, with its figures.
    pub detail: String,
    /// Path of the request that was refused.
    pub instance: String,
    /// What to do next.
    pub hint: String,
    pub docs: String,
    /// Whether the very same request may succeed later.
    pub retryable: bool,
    /// The field of the request to change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// All fields that are wrong, when there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldProblem>,
    /// Seconds to wait before asking again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u32>,
    /// With `cursor_gone`: where the list can be gone on with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fork: Option<Resume>,
}

impl IntoResponse for Problem {
    /// The body is written by the outermost layer, which knows the path.
    fn into_response(self) -> Response {
        let mut response = self.code.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<store::Error> for Problem {
    fn from(error: store::Error) -> Self {
        if error.is_transient() {
            tracing::warn!(%error, "database away");
            return Code::DatabaseUnavailable.because("the database did not answer in time");
        }
        if matches!(error, store::Error::ReadOnly) {
            return Code::ReadOnly.because("this server has its database for reading alone");
        }
        tracing::error!(%error, "store failed");
        Code::Internal.because("the store refused the request; its reason is in the server's log")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_stable_name_of_its_own_and_says_what_to_do() {
        let mut seen = std::collections::BTreeSet::new();
        for code in Code::ALL {
            let json = serde_json::to_value(code).unwrap();
            assert_eq!(json, code.text(), "serde and /errors must agree");
            assert!(seen.insert(code.text()));
            assert!(code.hint().ends_with('.'), "{code:?}");
            assert!(code.status().is_client_error() || code.status().is_server_error());
        }
    }

    #[test]
    fn a_body_carries_all_that_rfc_9457_and_the_design_ask_for() {
        let problem = Code::CapTooSmall.because("cap is 5, a unit costs 7").at("order.cap");
        let body = serde_json::to_value(problem.body("/v1/jobs")).unwrap();
        assert_eq!(body["type"], "/errors/cap_too_small");
        assert_eq!(body["status"], 422);
        assert_eq!(body["code"], "cap_too_small");
        assert_eq!(body["instance"], "/v1/jobs");
        assert_eq!(body["field"], "order.cap");
        assert_eq!(body["retryable"], false);
        for key in ["title", "detail", "hint", "docs"] {
            assert!(body[key].as_str().is_some_and(|text| !text.is_empty()), "{key}");
        }
    }
}
