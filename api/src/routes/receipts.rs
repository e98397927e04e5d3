//! What nodes signed about their work: receipts, and the hashes of the files behind them.

use axum::response::IntoResponse;
use contracts::Receipt;
use serde::{Deserialize, Serialize};
use store::ReceiptRow;
use utoipa::{IntoParams, ToSchema};

use super::documents::ReceiptDocument;
use super::units::units_of;
use crate::edge::body::{JobPath, Params};
use crate::edge::cursor::{MAX_PAGE_ROWS, page_rows};
use crate::edge::reply::Answer;
use crate::edge::view::View;
use crate::error::Problem;
use crate::record::Record;
use crate::wire::{Account, Hash, Hex};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ReceiptParams {
    /// Only these frames of the job, such as 1-10x2,15.
    #[serde(default)]
    frames: Option<String>,
    /// Rows of the page: 500 when left out, which is the most.
    #[serde(default)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[serde(default)]
    cursor: Option<u32>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ReceiptPage {
    /// By unit and attempt; those of rejected attempts too.
    pub receipts: Vec<ReceiptView>,
    pub has_more: bool,
    pub next_cursor: Option<u32>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ReceiptView {
    /// What the node signed.
    #[schema(value_type = ReceiptDocument)]
    pub receipt: Receipt,
    /// EIP-712 digest of `receipt`; a leaf under the lot's `receipts_root`.
    pub digest: Hash,
    pub node: Account,
    pub signature: Hex,
    pub lot_hash: Hash,
    /// `output_hash = keccak256(abi.encode(pixel_root, file_root))`.
    pub pixel_root: Hash,
    pub file_root: Hash,
    pub file_name: String,
    /// keccak256 of the final.
    pub opened_hash: Hash,
    /// keccak256 of the file as it is stored: sealed, when the lot is.
    pub stored_hash: Hash,
    pub stored_size: u64,
}

impl ReceiptView {
    fn of(view: &View, row: &ReceiptRow) -> Self {
        let receipt = row.receipt();
        Self {
            digest: Hash(receipt.digest(&view.domain())),
            receipt,
            node: Account(row.node),
            signature: Hex(row.signature.clone()),
            lot_hash: Hash(row.lot_hash),
            pixel_root: Hash(row.pixel_root),
            file_root: Hash(row.file_root),
            file_name: row.file_name.clone(),
            opened_hash: Hash(row.opened_hash),
            stored_hash: Hash(row.stored_hash),
            stored_size: row.stored_size,
        }
    }
}

/// List a job's receipts
///
/// What the nodes signed about each accepted attempt, with all that it takes to check a final
/// offline.
#[utoipa::path(
    get, path = "/v1/jobs/{job_id}/receipts", tag = "files",
    params(("job_id" = Hash, Path), ReceiptParams),
    responses((status = 200, body = Answer<ReceiptPage>))
)]
pub async fn receipts(
    JobPath(job_id): JobPath,
    view: View,
    Params(params): Params<ReceiptParams>,
) -> Result<impl IntoResponse, Problem> {
    let record = Record::load(&view.reader, job_id).await?;
    let rows = page_rows(Some(params.limit.unwrap_or(MAX_PAGE_ROWS)))?;
    let first = params.cursor.unwrap_or_default();
    let wanted = params.frames.as_deref().map(|text| units_of(&record, text)).transpose()?;
    let mut found: Vec<&ReceiptRow> = record
        .receipts
        .values()
        // The units of a list ascend.
        .filter(|row| wanted.as_ref().is_none_or(|units| units.binary_search(&row.unit).is_ok()))
        .collect();
    found.sort_by_key(|row| (row.unit, row.attempt));
    let (skip, take) = (index(first), index(rows));
    let receipts = found.iter().skip(skip).take(take).map(|row| ReceiptView::of(&view, row));
    let receipts: Vec<ReceiptView> = receipts.collect();
    let has_more = found.len() > skip.saturating_add(take);
    let next_cursor = has_more.then(|| first.saturating_add(rows));
    let link = next_cursor.map(|next| next.to_string());
    Ok(view.page(ReceiptPage { receipts, has_more, next_cursor }, link.as_deref()))
}

fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
