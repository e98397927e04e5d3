//! The nodes' HTTP door: register, lease, renew, fetch scenes, upload, deliver, fail.

use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::{Address, B256, eip191_hash_message, keccak256};
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, FromRequestParts, Path, Request, State};
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use contracts::scene::Manifest;
use contracts::signing;
use serde::de::DeserializeOwned;
use store::{Lease, LeaseState, Node, NodeBackend, Store};
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub mod answers;
mod uploads;

use crate::accept::{Notary, Refusal};
use crate::door::answers::Refused;
use crate::door::uploads::Versions;
use crate::leases::{Leases, busy_until};
use crate::node::{
    Accepted, BackendInfo, Delivery, DoorInfo, Failure, MAX_BACKENDS, MAX_PROBLEM, OFFER_WAIT,
    REGISTRATION_WINDOW, Registered, Registration, Renewal, Renewed, is_plain_name,
    registration_text,
};
use crate::terms::{self, JobTerms, Specs};

/// Nodes that may wait for work at once; each holds a connection and a timer.
const MAX_WAITING: usize = 1_024;
/// Uploads in memory at once, as one may be of MAX_FILE bytes.
const MAX_UPLOADS: usize = 4;
/// Largest JSON body: 256 receipts of about 1,100 bytes, doubled.
const MAX_JSON: usize = 600 * 1024;
/// A waiting node looks for work this often even when nothing woke it: the index is another
/// process, whose writes wake nobody here.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// Longest request: an upload of MAX_FILE at 1 MB/s, or a delivery of 256 large pictures.
const REQUEST_LIMIT: Duration = Duration::from_secs(600);
/// What the handlers share.
pub struct Door {
    pub store: Store,
    pub specs: Arc<Specs>,
    pub leases: Leases,
    pub notary: Arc<Notary>,
    pub wake: Arc<Notify>,
    pub stop: CancellationToken,
    waiting: Semaphore,
    uploads: Semaphore,
    versions: Versions,
}

impl Door {
    pub fn new(
        leases: Leases,
        notary: Arc<Notary>,
        wake: Arc<Notify>,
        stop: CancellationToken,
    ) -> Self {
        let (store, specs) = (leases.store.clone(), leases.specs.clone());
        let (waiting, uploads) = (Semaphore::new(MAX_WAITING), Semaphore::new(MAX_UPLOADS));
        let versions = Versions::default();
        Self { store, specs, leases, notary, wake, stop, waiting, uploads, versions }
    }

    /// Units came free, or were used up: waiting nodes look again.
    async fn changed(&self) {
        self.leases.forget().await;
        self.wake.notify_waiters();
    }
}

type Shared = State<Arc<Door>>;

pub fn router(door: Arc<Door>) -> Router {
    Router::new()
        .route("/v1/door", get(info))
        .route("/v1/nodes/{address}", put(register))
        .route("/v1/leases", post(lease))
        .route("/v1/scenes/files/{hash}", get(scene_file))
        .route("/v1/leases/{id}/renew", post(renew))
        .route("/v1/leases/{id}/deliver", post(deliver))
        .route("/v1/leases/{id}/fail", post(fail))
        .layer(DefaultBodyLimit::max(MAX_JSON))
        // Counted by the handler itself, by what the job asks for.
        .route("/v1/leases/{id}/files/{unit}", put(uploads::upload))
        .fallback(|| async { Refused::NotFound("this path".into()) })
        .layer(middleware::from_fn(limit_time))
        .with_state(door)
}

async fn limit_time(request: Request, next: Next) -> Response {
    let answer = tokio::time::timeout(REQUEST_LIMIT, next.run(request)).await;
    answer.unwrap_or_else(|_| Refused::Busy("the request took too long").into_response())
}

/// The node whose token the request carries.
struct Caller(Node);

impl FromRequestParts<Arc<Door>> for Caller {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, door: &Arc<Door>) -> Result<Self, Refused> {
        let token = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = token.and_then(|text| text.strip_prefix("Bearer "));
        let hash = keccak256(token.ok_or(Refused::Unauthorized)?);
        let node = door.store.reader().node_by_token(hash).await?;
        node.map(Caller).ok_or(Refused::Unauthorized)
    }
}

fn parse<T: DeserializeOwned>(body: &Bytes) -> Result<T, Refused> {
    serde_json::from_slice(body).map_err(|e| Refused::BadRequest(format!("body: {e}")))
}

async fn info(State(door): Shared) -> Json<DoorInfo> {
    let Leases { escrow, chain_id, settler, .. } = door.leases;
    Json(DoorInfo { escrow, chain_id, settler })
}

async fn register(
    State(door): Shared,
    Path(address): Path<String>,
    body: Bytes,
) -> Result<Json<Registered>, Refused> {
    let node =
        contracts::text::parse_address(&address).map_err(|e| Refused::BadRequest(e.to_string()))?;
    let form: Registration = parse(&body)?;
    check_backends(&form.backends)?;
    let now = crate::now();
    if now.abs_diff(i64::try_from(form.issued_at).unwrap_or(i64::MAX)) > REGISTRATION_WINDOW {
        let text = format!("issued at {}, it is {now} here; set the clock", form.issued_at);
        return Err(Refused::BadSignature(text));
    }
    check_signer(&door, node, &form)?;
    let token = crate::random_token();
    let token = token.ok_or(Refused::Busy("the system gives no random bytes"))?;
    let backend = |b: BackendInfo| NodeBackend {
        backend: b.backend,
        version: b.version,
        kernel_class: b.kernel_class,
    };
    let row = Node {
        node,
        token_hash: keccak256(&token),
        registered_at: now,
        seen_at: now,
        backends: form.backends.into_iter().map(backend).collect(),
    };
    door.store.work().register_node(&row).await?;
    tracing::info!(%node, backends = ?row.backends, "node registered");
    Ok(Json(Registered { token }))
}

fn check_backends(backends: &[BackendInfo]) -> Result<(), Refused> {
    if !(1..=MAX_BACKENDS).contains(&backends.len()) {
        let text = format!("{} backends; offer 1 to {MAX_BACKENDS}", backends.len());
        return Err(Refused::BadRequest(text));
    }
    for (place, info) in backends.iter().enumerate() {
        let BackendInfo { backend, version, kernel_class } = info;
        for name in [backend, version, kernel_class] {
            if !is_plain_name(name) {
                let text = format!("`{name}` is no name of letters, digits and . _ + -");
                return Err(Refused::BadRequest(text));
            }
        }
        if backends[..place].iter().any(|earlier| earlier.backend == *backend) {
            return Err(Refused::BadRequest(format!("backend {backend} is offered twice")));
        }
    }
    Ok(())
}

fn check_signer(door: &Door, node: Address, form: &Registration) -> Result<(), Refused> {
    let Leases { escrow, chain_id, .. } = door.leases;
    let text = registration_text(node, &form.backends, form.issued_at, chain_id, escrow);
    let signer = signing::recover(eip191_hash_message(text), &form.signature)
        .map_err(|e| Refused::BadSignature(e.to_string()))?;
    if signer != node {
        let text = format!("signed by {signer}, not by {node}, for escrow {escrow} on {chain_id}");
        return Err(Refused::BadSignature(text));
    }
    Ok(())
}

/// Waits up to OFFER_WAIT for work.
async fn lease(State(door): Shared, Caller(node): Caller) -> Result<Response, Refused> {
    let busy = Refused::Busy("too many nodes are waiting");
    let Ok(_place) = door.waiting.try_acquire() else { return Err(busy) };
    door.store.work().touch_node(node.node, crate::now()).await?;
    let until = Instant::now() + OFFER_WAIT;
    loop {
        // Before looking, so that a wake-up in between is not missed.
        let woken = door.wake.notified();
        if Instant::now() >= until || door.stop.is_cancelled() {
            return Ok(StatusCode::NO_CONTENT.into_response());
        }
        // Never broken off: a lease that is taken must be told.
        if let Some(offer) = door.leases.offer(&node, crate::now()).await? {
            return Ok(Json(offer).into_response());
        }
        tokio::select! {
            () = woken => {}
            () = door.stop.cancelled() => {}
            () = tokio::time::sleep_until(until) => {}
            () = tokio::time::sleep(LOOK_AGAIN) => {}
        }
    }
}

async fn scene_file(
    State(door): Shared,
    Caller(node): Caller,
    Path(hash): Path<B256>,
) -> Result<Response, Refused> {
    let missing = || Refused::NotFound(format!("scene file {hash}"));
    let reader = door.store.reader();
    let leases = reader.active_leases().await?;
    for lease in leases.into_iter().filter(|lease| lease.node == node.node) {
        let job = terms::read(&door.store, &door.specs, lease.job_id).await?;
        let Some(scene) = reader.scene(job.spec.scene).await? else { continue };
        let manifest = serde_json::from_str::<Manifest>(&scene.manifest);
        let files = manifest.map(|m| m.files).unwrap_or_default();
        if files.iter().any(|file| file.hash == hash) {
            let bytes = door.store.objects().get(hash).await?.ok_or_else(missing)?;
            return Ok(bytes.into_response());
        }
    }
    Err(missing())
}

/// The caller's lease, whatever its state.
async fn lease_of(door: &Door, node: &Node, lease_id: &str) -> Result<Lease, Refused> {
    let lease = door.store.reader().lease(lease_id).await?;
    let ours = lease.filter(|lease| lease.node == node.node);
    ours.ok_or_else(|| Refused::NotFound(format!("lease {lease_id}")))
}

/// The caller's lease while it is active, with its job and units.
async fn active_lease(
    door: &Door,
    node: &Node,
    lease_id: &str,
) -> Result<(Lease, JobTerms, Vec<u32>), Refused> {
    let lease = lease_of(door, node, lease_id).await?;
    if lease.state != LeaseState::Active {
        return Err(Refused::LeaseLost(lease.lease_id));
    }
    let job = terms::read(&door.store, &door.specs, lease.job_id).await?;
    let units = units_of(door, &lease).await?;
    Ok((lease, job, units))
}

async fn units_of(door: &Door, lease: &Lease) -> Result<Vec<u32>, Refused> {
    let attempts = door.store.reader().attempts_of_job(lease.job_id).await?;
    let ours = attempts.iter().filter(|a| a.lease_id == lease.lease_id);
    Ok(ours.map(|a| a.unit).collect())
}

async fn renew(
    State(door): Shared,
    Caller(node): Caller,
    Path(lease_id): Path<String>,
    body: Bytes,
) -> Result<Json<Renewed>, Refused> {
    let form: Renewal = parse(&body)?;
    let (lease, job, units) = active_lease(&door, &node, &lease_id).await?;
    let now = crate::now();
    let until = door.leases.renewed_until(&lease, units.len(), &job, now);
    let until = until.ok_or_else(|| Refused::LeaseLost(lease_id.clone()))?;
    if !door.store.work().renew_lease(&lease_id, node.node, until).await? {
        return Err(Refused::LeaseLost(lease_id));
    }
    door.store.work().touch_node(node.node, now).await?;
    for told in form.progress.iter().filter(|told| units.contains(&told.unit)) {
        door.store.work().progress(&lease_id, told.unit, told.thousandths.min(1_000)).await?;
    }
    Ok(Json(Renewed { expires_at: u64::try_from(until).unwrap_or(0) }))
}

async fn deliver(
    State(door): Shared,
    Caller(node): Caller,
    Path(lease_id): Path<String>,
    body: Bytes,
) -> Result<Json<Accepted>, Refused> {
    let delivery: Delivery = parse(&body)?;
    let lease = lease_of(&door, &node, &lease_id).await?;
    let job_id = lease.job_id;
    if lease.state == LeaseState::Active {
        // Opening many files can outlast a lease. That it was lost meanwhile, `accept` will say.
        let job = terms::read(&door.store, &door.specs, job_id).await?;
        let until = busy_until(&job, crate::now(), REQUEST_LIMIT);
        door.store.work().renew_lease(&lease_id, node.node, until).await?;
    }
    let answer = door.notary.accept(&door.store, &door.specs, &lease, delivery, crate::now()).await;
    door.changed().await;
    match answer {
        Ok(accepted) => {
            tracing::info!(%job_id, lease_id, lot_hash = %accepted.lot_hash, "lot accepted");
            Ok(Json(accepted))
        }
        Err(refusal) => {
            tracing::warn!(%job_id, lease_id, node = %node.node, %refusal, "delivery refused");
            fail_refused(&door, &lease, &refusal).await?;
            door.changed().await;
            Err(Refused::Delivery(refusal))
        }
    }
}

/// A delivery that is wrong for good ends its lease; the units to blame are named.
async fn fail_refused(door: &Door, lease: &Lease, refusal: &Refusal) -> Result<(), Refused> {
    let Some(blamed) = refusal.blamed(&units_of(door, lease).await?) else { return Ok(()) };
    let problem = cut(&format!("delivery refused: {refusal}"));
    let units: Vec<(u32, String)> = blamed.into_iter().map(|u| (u, problem.clone())).collect();
    match door.store.work().fail_lease(&lease.lease_id, &problem, &units).await {
        Ok(_) | Err(store::Error::LeaseNotActive { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

async fn fail(
    State(door): Shared,
    Caller(node): Caller,
    Path(lease_id): Path<String>,
    body: Bytes,
) -> Result<StatusCode, Refused> {
    let form: Failure = parse(&body)?;
    let (lease, _, units) = active_lease(&door, &node, &lease_id).await?;
    let problem = cut(&form.problem);
    let named = form.units.iter().filter(|u| units.contains(&u.unit));
    let mut blamed: Vec<(u32, String)> = named.map(|u| (u.unit, cut(&u.problem))).collect();
    // A node that names none failed as a whole: then each unit counts, or it would go on for ever.
    if blamed.is_empty() {
        blamed = units.iter().map(|unit| (*unit, problem.clone())).collect();
    }
    door.store.work().fail_lease(&lease_id, &problem, &blamed).await?;
    tracing::warn!(job_id = %lease.job_id, lease_id, node = %node.node, problem, "lease failed");
    door.changed().await;
    Ok(StatusCode::NO_CONTENT)
}

/// Enough of a node's words for people, without what could break a log.
fn cut(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() || *c == '\n').take(MAX_PROBLEM / 4).collect()
}

#[cfg(test)]
mod tests;
