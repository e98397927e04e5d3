//! Pages of jobs, newest first: all of them, those of an account, those of a node.

use axum::response::Response;
use serde::{Deserialize, Serialize};
use store::JobFilter;
use utoipa::{IntoParams, ToSchema};

use super::jobs::JobView;
use crate::edge::body::Params;
use crate::edge::cursor::{Cursor, LAST_HASH, page_rows};
use crate::edge::reply::Answer;
use crate::edge::view::View;
use crate::error::Problem;
use crate::record::Record;
use crate::status::JobPhase;
use crate::wire::Account;

/// Jobs looked at for one page of a list that is filtered by state: states are computed, so the
/// database cannot filter them.
const SCANNED_JOBS: u32 = 1_000;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListParams {
    /// Only jobs of this payer.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    payer: Option<Account>,
    /// Only jobs in which this node has a lot.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    node: Option<Account>,
    /// Only jobs in this state.
    #[serde(default)]
    #[param(value_type = Option<JobPhase>)]
    state: Option<JobPhase>,
    /// Rows of the page: 50 when left out, at most 500.
    #[serde(default)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[serde(default)]
    cursor: Option<String>,
}

/// The same for the jobs of one account or node.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageParams {
    /// Only jobs in this state.
    #[serde(default)]
    #[param(value_type = Option<JobPhase>)]
    state: Option<JobPhase>,
    /// Rows of the page: 50 when left out, at most 500.
    #[serde(default)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[serde(default)]
    cursor: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct JobPage {
    /// Newest first.
    pub jobs: Vec<JobView>,
    pub has_more: bool,
    pub next_cursor: Option<String>,
}

/// List opened jobs
///
/// Newest first. With `state` a page may be short though more follow: states are computed, and
/// one request looks at 1,000 jobs at most; go on with `next_cursor`.
#[utoipa::path(
    get, path = "/v1/jobs", tag = "jobs", params(ListParams),
    responses((status = 200, body = Answer<JobPage>))
)]
pub async fn list(view: View, Params(params): Params<ListParams>) -> Result<Response, Problem> {
    let ListParams { payer, node, state, limit, cursor } = params;
    let (payer, node) = (payer.map(|a| a.0), node.map(|a| a.0));
    let filter = JobFilter { payer, node, ..JobFilter::default() };
    list_jobs(&view, filter, PageParams { state, limit, cursor }).await
}

/// One page of the jobs that the filter allows.
pub async fn list_jobs(
    view: &View,
    mut filter: JobFilter,
    params: PageParams,
) -> Result<Response, Problem> {
    let wanted = usize::try_from(page_rows(params.limit)?).unwrap_or_default();
    let mut top = 0;
    if let Some(text) = &params.cursor {
        let cursor = Cursor::read(view, text, LAST_HASH).await?;
        filter.before = Some((cursor.block, cursor.place));
        top = cursor.top;
    }
    let mut jobs = Vec::new();
    let mut has_more = true;
    let mut scanned = 0;
    while jobs.len() < wanted && scanned < SCANNED_JOBS && has_more {
        let limit = u32::try_from(wanted - jobs.len()).unwrap_or(u32::MAX);
        // One more than wanted tells whether anything follows.
        filter.limit = limit.saturating_add(1);
        let mut rows = view.reader.jobs(&filter).await?;
        has_more = rows.len() > usize::try_from(limit).unwrap_or_default();
        rows.truncate(wanted - jobs.len());
        for (opened, _) in &rows {
            filter.before = Some((opened.block, opened.job_id));
            scanned += 1;
            let record = Record::load(&view.reader, opened.job_id).await?;
            let job = JobView::of(view, &record).await?;
            if params.state.is_none_or(|state| state == job.state) {
                top = top.max(opened.block);
                jobs.push(job);
            }
        }
    }
    let next_cursor =
        match filter.before {
            Some((number, place)) if has_more => view.reader.block(number).await?.map(|block| {
                Cursor::after(view, block.number, block.hash, place).below(top).text()
            }),
            Some(_) | None => None,
        };
    let link = next_cursor.clone();
    let page = JobPage { jobs, has_more: next_cursor.is_some(), next_cursor };
    Ok(view.page(page, link.as_deref()))
}
