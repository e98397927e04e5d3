//! Finals on their way in: capped by the job's picture, and the lease waits meanwhile.

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
    let busy = |_| Refused::Busy("the door is closing");
    let _place = door.uploads.acquire().await.map_err(busy)?;
    let until = busy_until(&job, crate::now(), REQUEST_LIMIT);
    if !door.store.work().renew_lease(&lease_id, node.node, until).await? {
        return Err(Refused::LeaseLost(lease_id));
    }
    let bytes = collect(body, largest_file(&job)).await?;
    let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
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

async fn collect(body: Body, limit: usize) -> Result<Bytes, Refused> {
    let mut stream = body.into_data_stream();
    let mut all = Vec::new();
    while let Some(part) = stream.next().await {
        let part = part.map_err(|e| Refused::BadRequest(format!("upload broke off: {e}")))?;
        if all.len() + part.len() > limit {
            return Err(Refused::TooLarge { limit });
        }
        all.extend_from_slice(&part);
    }
    Ok(all.into())
}
