//! The route table: every /v1 path and probe, and the OpenAPI document made from it.

pub mod accounts;
pub mod actions;
pub mod audit;
pub mod chain;
pub mod close;
pub mod documents;
pub mod event_documents;
pub mod events;
pub mod files;
pub mod job_pages;
pub mod jobs;
pub mod nodes;
pub mod orders;
pub mod prepare;
pub mod quotes;
pub mod receipts;
pub mod scenes;
pub mod statements;
pub mod units;
pub mod words;

use axum::extract::DefaultBodyLimit;
use serde_json::{Value, json};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::archive::MAX_UPLOAD;
use crate::error::ProblemBody;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "rndr",
        description = "Escrow, index and settlement for Render (RNDR) jobs: priced work, payloads \
            to sign, relayed signatures, and indexed state. The chain alone says what is funded, \
            paid or returned."
    ),
    components(schemas(ProblemBody)),
    tags(
        (name = "jobs", description = "Price, sign, open, watch, review"),
        (name = "files", description = "Scenes, previews, finals, receipts"),
        (name = "accounts", description = "Balances and every movement behind them"),
        (name = "chain", description = "What the index has seen"),
        (name = "probes", description = "Is it alive, is it ready"),
    )
)]
struct Document;

pub fn table() -> OpenApiRouter<App> {
    let uploads = OpenApiRouter::new()
        .routes(routes!(scenes::upload))
        .layer(DefaultBodyLimit::max(MAX_UPLOAD));
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(chain::livez))
        .routes(routes!(chain::readyz))
        .routes(routes!(chain::chain))
        .routes(routes!(chain::reorgs))
        .routes(routes!(chain::contracts))
        .routes(routes!(audit::runs))
        .routes(routes!(audit::solvency))
        .routes(routes!(nodes::tiers))
        .routes(routes!(nodes::show))
        .routes(routes!(quotes::create))
        .merge(uploads)
        .routes(routes!(scenes::show))
        .routes(routes!(prepare::prepare))
        .routes(routes!(orders::submit, job_pages::list))
        .routes(routes!(jobs::show))
        .routes(routes!(jobs::order))
        .routes(routes!(units::units))
        .routes(routes!(units::lots))
        .routes(routes!(receipts::receipts))
        .routes(routes!(files::preview))
        .routes(routes!(files::output))
        .routes(routes!(files::outputs))
        .routes(routes!(actions::approve))
        .routes(routes!(actions::reject))
        .routes(routes!(close::close))
        .routes(routes!(accounts::show))
        .routes(routes!(accounts::ledger))
        .routes(routes!(accounts::jobs))
        .routes(routes!(events::list))
        .routes(routes!(events::of_job))
        .routes(routes!(nodes::list))
        .routes(routes!(nodes::jobs))
        .routes(routes!(statements::of_account))
        .routes(routes!(statements::of_node))
}

/// The OpenAPI 3.1 document as served at /openapi.json and checked in at api/openapi.json.
pub fn openapi() -> String {
    let (_, document) = table().split_for_parts();
    // The document is built from literals, so it always has a JSON form.
    let mut document = serde_json::to_value(document).unwrap_or_default();
    let paths = document.get_mut("paths").and_then(Value::as_object_mut);
    for (path, item) in paths.into_iter().flatten() {
        let operations = item.as_object_mut().into_iter().flatten();
        for (method, operation) in operations {
            say_what_all_share(path, method, operation);
        }
    }
    let mut text = serde_json::to_string_pretty(&document).unwrap_or_default();
    text.push('\n');
    text
}

/// Every path can be refused; every /v1 path takes `min_block`, and `tag` where it is read.
fn say_what_all_share(path: &str, method: &str, operation: &mut Value) {
    operation["responses"]["default"] = refused("Refused; `code` says why and `hint` what to do.");
    if !path.starts_with("/v1/") {
        return;
    }
    let mut shared = vec![json!({
        "name": "min_block",
        "in": "query",
        "required": false,
        "description": "Wait up to 5 s until `as_of` has come to this block (read your own \
            writes); then 425.",
        "schema": { "type": "integer", "format": "int64", "minimum": 0 }
    })];
    if method == "get" {
        shared.push(json!({
            "name": "tag",
            "in": "query",
            "required": false,
            "description": "Which head of the chain the answer is read at, as far as it is \
                indexed. What `finalized` answers is never taken back, and is told apart by its \
                ETag. Work that is not of the chain is shown as it is now.",
            "schema": {
                "type": "string", "enum": ["latest", "safe", "finalized"], "default": "latest"
            }
        }));
        operation["responses"]["425"] =
            refused("`min_block` or `tag` asks for what is not indexed");
    }
    let takes_cursor = |parameter: &Value| {
        let words = parameter["schema"]["type"].to_string();
        parameter["name"] == "cursor" && words.contains("string")
    };
    let mut parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
    if parameters.iter().any(takes_cursor) {
        let gone = "Rows that the walk has shown left the chain; `fork` says where to go on";
        operation["responses"]["410"] = refused(gone);
    }
    parameters.extend(shared);
    operation["parameters"] = json!(parameters);
}

fn refused(description: &str) -> Value {
    json!({
        "description": description,
        "content": {
            "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } }
        }
    })
}

#[cfg(test)]
mod paging_tests;
#[cfg(test)]
mod reads_tests;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
