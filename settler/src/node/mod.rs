//! The trait that every renderer implements, and the wire messages between a node and the door.
//!
//! All bodies are JSON but the files; unknown fields are refused on both sides, so a node and a
//! settler of different releases notice at once. Hashes are 0x and 64 hex, amounts decimal text.
//!
//! | request | body | answer |
//! |---|---|---|
//! | `GET /v1/door` | | [`DoorInfo`] |
//! | `PUT /v1/nodes/{address}` | [`Registration`] | [`Registered`] |
//! | `POST /v1/leases` (waits up to [`OFFER_WAIT`]) | | 200 [`LeaseOffer`], 204 nothing now |
//! | `GET /v1/scenes/files/{hash}` | | the file's bytes, for nodes with a lease on that scene |
//! | `POST /v1/leases/{id}/renew` | [`Renewal`] | [`Renewed`] |
//! | `PUT /v1/leases/{id}/files/{unit}` | stored (sealed or plain) bytes | [`Uploaded`] |
//! | `POST /v1/leases/{id}/deliver` | [`Delivery`] | [`Accepted`] |
//! | `POST /v1/leases/{id}/fail` | [`Failure`] | 204 |
//!
//! All but the first two carry `Authorization: Bearer <token>` of the registration. Every refusal
//! is `application/problem+json`, a [`Problem`].

pub mod agent;
mod client;
pub(crate) mod finish;
mod journal;
mod lease;
pub mod povray;
pub mod sandbox;
mod scene;
mod signed;

use std::path::{Path, PathBuf};
use std::time::Duration;

use alloy::primitives::{Address, B256, Bytes};
use contracts::scene::Manifest;
use contracts::spec::ExpandedSpec;
use contracts::text::{checksummed, seconds};
use contracts::{Amount, JobId, Lot, Receipt};
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};

/// How long the door holds `POST /v1/leases` open; a node's own limit must be longer.
pub const OFFER_WAIT: Duration = Duration::from_secs(25);
/// Age, either way, of a registration that is still taken: clocks differ, replays are old.
pub const REGISTRATION_WINDOW: u64 = 300;
/// Most backends one node offers; the list is signed and stored, so it stays short.
pub const MAX_BACKENDS: usize = 16;
/// Longest backend name, version or kernel class, and longest file name, in bytes.
pub const MAX_NAME: usize = 128;
/// Bytes of the entry's stem in the names of its frames' files.
const MAX_STEM: usize = 96;
/// Longest problem text kept; the rest is cut, as renderers can print without end.
pub const MAX_PROBLEM: usize = 2_000;
/// Largest stored file of one unit: a 16-bit picture of 8192 x 8192 is below it.
pub const MAX_FILE: usize = 512 * 1024 * 1024;

/// What the door serves, so that a node can check that it talks to whom it means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DoorInfo {
    #[serde(with = "checksummed")]
    pub escrow: Address,
    pub chain_id: u64,
    #[serde(with = "checksummed")]
    pub settler: Address,
}

/// One renderer of a node. `kernel_class` is the CPU vector level, or GPU API and architecture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackendInfo {
    pub backend: String,
    pub version: String,
    pub kernel_class: String,
}

/// A node offers its backends. `signature`: EIP-191 (`personal_sign`) of [`registration_text`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    pub backends: Vec<BackendInfo>,
    #[serde(with = "seconds")]
    pub issued_at: u64,
    pub signature: Bytes,
}

/// The text a node's key signs to register: method, path, body, time and escrow, all in words.
pub fn registration_text(
    node: Address,
    backends: &[BackendInfo],
    issued_at: u64,
    chain_id: u64,
    escrow: Address,
) -> String {
    let mut text =
        format!("rndr: register this node at the door\nPUT /v1/nodes/{}\n", node.to_checksum(None));
    for BackendInfo { backend, version, kernel_class } in backends {
        text.push_str(&format!("backend {backend} version {version} on {kernel_class}\n"));
    }
    let escrow = escrow.to_checksum(None);
    text.push_str(&format!("escrow {escrow} on chain {chain_id}\nissued at {issued_at}"));
    text
}

/// Names that stand in signed text and in file names: no spaces, line breaks or slashes.
pub fn is_plain_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._+-".contains(c);
    !name.is_empty() && name.len() <= MAX_NAME && name.chars().all(plain)
}

/// What the file of a frame is called: the entry's stem and the frame, as in `demo_0007.png`.
/// The name is bound into the sealed file, so node and settler must make the same.
pub fn file_name(spec: &ExpandedSpec, frame: i64) -> String {
    let last = spec.entry.rsplit('/').next().unwrap_or(&spec.entry);
    let stem = last.rsplit_once('.').map_or(last, |(stem, _)| stem);
    // With a frame of up to 20 digits and an extension the name stays within MAX_NAME.
    let ends = stem.char_indices().map(|(at, letter)| at + letter.len_utf8());
    let end = ends.take_while(|end| *end <= MAX_STEM).last().unwrap_or_default();
    let stem = if end == 0 { "frame" } else { &stem[..end] };
    format!("{stem}_{frame:04}.{}", spec.output.format.extension())
}

/// `token` opens the door to this node until it registers again; the settler keeps its hash only.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registered {
    pub token: String,
}

impl std::fmt::Debug for Registered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Registered { token: (secret) }")
    }
}

/// One unit to render: the bit on chain, the frame it stands for, and which attempt this is.
/// A receipt must name exactly this attempt, and only one is ever signed for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnitTask {
    pub unit: u32,
    pub frame: i64,
    pub attempt: u32,
}

/// Work for one node until `expires_at`. Its units lie in one 256-unit word: delivered together
/// they become one lot, sealed under one lot key when `sealed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeaseOffer {
    pub lease_id: String,
    pub job_id: JobId,
    #[serde(with = "checksummed")]
    pub escrow: Address,
    pub chain_id: u64,
    pub units: Vec<UnitTask>,
    pub spec: ExpandedSpec,
    pub scene: Manifest,
    pub unit_price: Amount,
    #[serde(with = "seconds")]
    pub expires_at: u64,
    /// Renew at least this often, or the lease expires and its units go to another node.
    #[serde(with = "seconds")]
    pub renew_seconds: u64,
    pub sealed: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Renewal {
    pub progress: Vec<UnitProgress>,
}

/// How much of a unit is rendered, 0 to 1000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnitProgress {
    pub unit: u32,
    pub thousandths: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Renewed {
    #[serde(with = "seconds")]
    pub expires_at: u64,
}

/// What the door stored of an upload; `hash` is the `stored_hash` of the delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Uploaded {
    pub hash: B256,
    pub size: u64,
}

/// Everything of a lease: one entry for each of its units. `lot_key` when sealed.
/// Sent again after a crash, unchanged, it gets the same answer.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delivery {
    pub receipts: Vec<DeliveredUnit>,
    pub lot_key: Option<B256>,
}

impl std::fmt::Debug for Delivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A lot key must reach no log.
        let sealed = self.lot_key.is_some();
        let mut text = f.debug_struct("Delivery");
        text.field("receipts", &self.receipts).field("sealed", &sealed).finish()
    }
}

/// A signed receipt, and the file under its `output_hash`. `signature`: 65 bytes by the node's
/// key over the receipt's EIP-712 digest. `stored_hash` equals `opened_hash` when not sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeliveredUnit {
    pub receipt: Receipt,
    pub signature: Bytes,
    pub file_name: String,
    pub opened_hash: B256,
    pub stored_hash: B256,
}

/// The settler's consent to the lot. With it the node can commit the lot by itself, should the
/// settler fall silent; keep it until the lot is settled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accepted {
    pub lot: Lot,
    pub lot_hash: B256,
    pub acceptance: Bytes,
}

/// The node gives the lease back; `units` names those that cannot be rendered, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    pub problem: String,
    pub units: Vec<UnitProblem>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnitProblem {
    pub unit: u32,
    pub problem: String,
}

/// A refusal (RFC 9457). `retryable`: the same request may succeed later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Problem {
    pub r#type: String,
    pub title: String,
    pub status: u16,
    pub code: ProblemCode,
    pub detail: String,
    pub hint: String,
    pub retryable: bool,
}

/// What a node's program can act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemCode {
    /// The request cannot be read; `detail` names the place.
    BadRequest,
    /// The registration's signature or time is wrong.
    BadSignature,
    /// No token, or one of an earlier registration: register again.
    Unauthorized,
    NotFound,
    /// The lease expired, failed or is another node's: drop it, its units are elsewhere.
    LeaseLost,
    /// The delivery was refused for good; the lease has failed.
    DeliveryRefused,
    /// A file of the delivery was never uploaded: upload it, then deliver again.
    FileMissing,
    TooLarge,
    /// The settler is starting or its index lags: ask again.
    Unavailable,
    Internal,
}

/// One unit to render: all of it by value, as it runs on a thread of its own.
#[derive(Debug, Clone)]
pub struct RenderRequest {
    pub job_id: JobId,
    pub spec: ExpandedSpec,
    pub task: UnitTask,
    /// The scene's folder, read only.
    pub scene_dir: PathBuf,
    /// An empty folder of this unit's own.
    pub out_dir: PathBuf,
}

/// Told of progress in thousandths, more than once and never backwards.
pub type Progress<'a> = &'a (dyn Fn(u16) + Send + Sync);

/// A renderer on this machine. Each call runs it as a separate, sandboxed process with limits on
/// time, memory and output, and kills it when the returned future is dropped.
pub trait Backend: Send + Sync {
    /// Which renderer this is; an error when it is not installed or the sandbox does not work.
    fn probe(&self) -> BoxFuture<'_, Result<BackendInfo, BackendError>>;
    /// Is this a scene that can be rendered as `spec` asks? Cheap beside rendering a frame.
    fn preflight<'a>(
        &'a self,
        scene_dir: &'a Path,
        spec: &'a ExpandedSpec,
    ) -> BoxFuture<'a, Result<(), BackendError>>;
    /// Renders one unit; answers the path, within `out_dir`, of the one file it wrote.
    fn render<'a>(
        &'a self,
        request: &'a RenderRequest,
        progress: Progress<'a>,
    ) -> BoxFuture<'a, Result<PathBuf, BackendError>>;
}

#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// The node's own fault: nothing of this kind can be rendered here.
    #[error("{backend} cannot be used on this node: {reason}")]
    Unavailable { backend: String, reason: String },
    /// The scene's fault: it would fail on every node.
    #[error("the scene cannot be rendered: {0}")]
    Scene(String),
    #[error("rendering took more than {seconds} s, the limit of the job's timeout_seconds")]
    TimeOut { seconds: u64 },
    #[error("the renderer hit its limit of {limit}")]
    Limit { limit: String },
    #[error("{action}: {source}")]
    Io { action: String, source: std::io::Error },
}
