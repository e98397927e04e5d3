//! Finals on their way in: capped by the job's picture, and the lease waits meanwhile.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use alloy::primitives::{B256, keccak256};
use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::Path;
use futures::StreamExt;

use super::answers::Refused;
use super::{Caller, REQUEST_LIMIT, Shared, active_lease};
use crate::leases::busy_until;
use crate::node::{MAX_FILE, Uploaded};
use crate::terms::JobTerms;

/// What a file may be above its raw pixels: headers, and a seal's tag every 64 KiB.
pub(super) const FILE_SLACK: usize = 1024 * 1024;
/// Longest silence within an upload: a line that is only slow sends something meanwhile.
const IDLE_LIMIT: Duration = Duration::from_secs(30);
/// Different files taken for one unit of a lease. An honest node has one; a few more leave room
/// for a node that renders anew after its disk was lost. Objects are named by content and may be
/// others' too, so a replaced one is never deleted.
pub(super) const MAX_VERSIONS: usize = 4;
/// Units whose files are counted; forgotten together beyond this.
const MAX_COUNTED: usize = 100_000;

/// The different files that each unit of a lease was sent in.
#[derive(Default)]
pub(super) struct Versions(Mutex<HashMap<(String, u32), BTreeSet<B256>>>);

impl Versions {
    /// False: this would be one too many.
    fn admit(&self, lease_id: &str, unit: u32, hash: B256) -> bool {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counted.len() >= MAX_COUNTED {
            counted.clear();
        }
        let sent = counted.entry((lease_id.to_owned(), unit)).or_default();
        if sent.len() < MAX_VERSIONS {
            sent.insert(hash);
        }
        sent.contains(&hash)
    }
}

pub(super) async fn upload(
    axum::extract::State(door): Shared,
    Caller(node): Caller,
    Path((lease_id, unit)): Path<(String, u32)>,
    body: Body,
) -> Result<Json<Uploaded>, Refused> {
    let (_, job, units) = active_lease(&door, &node, &lease_id).await?;
    if !units.contains(&unit) {
        return Err(Refused::NotFound(format!("unit {unit} of lease {lease_id}")));
    }
    // Before the wait for a place: others' uploads may take longer than a lease.
    let until = busy_until(&job, crate::now(), REQUEST_LIMIT);
    if !door.store.work().renew_lease(&lease_id, node.node, until).await? {
        return Err(Refused::LeaseLost(lease_id));
    }
    let busy = |_| Refused::Busy("the door is closing");
    let _place = door.uploads.acquire().await.map_err(busy)?;
    let bytes = collect(body, largest_file(&job), IDLE_LIMIT).await?;
    let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    if !door.versions.admit(&lease_id, unit, keccak256(&bytes)) {
        let text = format!("unit {unit} was sent in {MAX_VERSIONS} different files; deliver one");
        return Err(Refused::BadRequest(text));
    }
    let hash = door.store.objects().put(bytes).await?;
    // From here the node has the time of one lease again, to send the next file or to deliver.
    let until = crate::now().saturating_add(door.leases.lease_seconds).min(until);
    if !door.store.work().renew_lease(&lease_id, node.node, until).await? {
        return Err(Refused::LeaseLost(lease_id));
    }
    Ok(Json(Uploaded { hash, size }))
}

/// The raw pixels of the job's picture at its widest, and some: no honest file is larger.
fn largest_file(job: &JobTerms) -> usize {
    let size = job.spec.resolution;
    let pixels = u64::from(size.width).saturating_mul(u64::from(size.height));
    let raw = usize::try_from(pixels.saturating_mul(8)).unwrap_or(MAX_FILE);
    raw.saturating_add(raw / 1_000).saturating_add(FILE_SLACK).min(MAX_FILE)
}

async fn collect(body: Body, limit: usize, idle: Duration) -> Result<Bytes, Refused> {
    let mut stream = body.into_data_stream();
    let mut all = Vec::new();
    let silent = |_| Refused::Busy("the upload fell silent");
    while let Some(part) = tokio::time::timeout(idle, stream.next()).await.map_err(silent)? {
        let part = part.map_err(|e| Refused::BadRequest(format!("upload broke off: {e}")))?;
        if all.len() + part.len() > limit {
            return Err(Refused::TooLarge { limit });
        }
        all.extend_from_slice(&part);
    }
    Ok(all.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_upload_that_falls_silent_gives_its_place_free() {
        let first = futures::stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"some"))]);
        let silent = first.chain(futures::stream::pending());
        let ended = collect(Body::from_stream(silent), 100, Duration::from_millis(20)).await;
        assert!(matches!(ended, Err(Refused::Busy(_))));
    }
}
