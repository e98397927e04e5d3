//! What audits found, and what escrow and registry owe at a block that is final.

use axum::response::IntoResponse;
use contracts::Amount;
use serde::{Deserialize, Serialize};
use store::{AuditKind, AuditRun, Tag};
use utoipa::{IntoParams, ToSchema};

use crate::edge::body::Params;
use crate::edge::cursor::page_rows;
use crate::edge::reply::Answer;
use crate::edge::view::View;
use crate::error::{Code, Problem};
use crate::wire::{Asset, Hash, Money, Time};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RunParams {
    /// Newest runs to show: 50 when left out, at most 500.
    #[serde(default)]
    limit: Option<u32>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct RunPage {
    /// Newest first.
    pub runs: Vec<RunView>,
}

/// One audit: everything rebuilt from the chain's logs and compared.
#[derive(Debug, Serialize, ToSchema)]
pub struct RunView {
    /// replay: the database was compared too; solvency: the chain alone.
    pub kind: String,
    pub at: Time,
    pub block: u64,
    pub block_hash: Hash,
    /// Running digest of every log up to here.
    pub digest: Hash,
    /// The compared database's; null: none was compared.
    pub stored_digest: Option<Hash>,
    pub token_balance: Money,
    pub liabilities: Money,
    pub surplus: Money,
    /// Tokens of the node registry, and what of them are bonds; null: none is followed.
    pub registry_balance: Option<Money>,
    pub bonds: Option<Money>,
    pub differences: u64,
    pub first_difference: Option<String>,
}

impl RunView {
    fn of(asset: &Asset, run: &AuditRun) -> Self {
        Self {
            kind: match run.kind {
                AuditKind::Replay => "replay".into(),
                AuditKind::Solvency => "solvency".into(),
            },
            at: Time::at(run.at),
            block: run.block,
            block_hash: Hash(run.hash),
            digest: Hash(run.digest),
            stored_digest: run.stored_digest.map(Hash),
            token_balance: asset.money(run.token_balance),
            liabilities: asset.money(run.liabilities),
            surplus: asset.money(run.surplus),
            registry_balance: run.registry_balance.map(|amount| asset.money(amount)),
            bonds: run.bonds.map(|amount| asset.money(amount)),
            differences: run.differences,
            first_difference: run.first.clone(),
        }
    }
}

/// List the audits that were recorded
#[utoipa::path(
    get, path = "/v1/audit/runs", tag = "chain",
    params(RunParams),
    responses((status = 200, body = Answer<RunPage>))
)]
pub async fn runs(
    view: View,
    Params(params): Params<RunParams>,
) -> Result<impl IntoResponse, Problem> {
    let runs = view.reader.audit_runs(page_rows(params.limit)?).await?;
    let asset = &view.asset;
    Ok(view.answer(RunPage { runs: runs.iter().map(|run| RunView::of(asset, run)).collect() }))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SolvencyParams {
    /// A final block; the newest one when left out.
    #[serde(default)]
    block: Option<u64>,
}

/// What is owed after a block, by every event up to it, and what an audit saw held there.
#[derive(Debug, Serialize, ToSchema)]
pub struct SolvencyView {
    pub block: u64,
    /// Free balances of accounts.
    pub free: Money,
    pub credit: Money,
    /// In jobs: neither paid nor returned, `pending` included.
    pub locked: Money,
    /// Of it, what committed lots hold.
    pub pending: Money,
    /// All that the escrow owes.
    pub liabilities: Money,
    /// All that the node registry owes.
    pub bonds: Money,
    /// The newest audit of exactly this block, with the tokens that it saw; null: none was
    /// recorded, since no answer of this API asks the chain.
    pub audit: Option<RunView>,
    /// Tokens of the escrow that are nobody's, by that audit; null without one, or at a deficit.
    pub surplus: Option<Money>,
}

/// Show what the escrow owes at a block
///
/// Compare it with the token's own `balanceOf` there, or record an audit of the block:
/// `rndr audit solvency --block N --record`.
#[utoipa::path(
    get, path = "/v1/solvency", tag = "chain",
    params(SolvencyParams),
    responses((status = 200, body = Answer<SolvencyView>))
)]
pub async fn solvency(
    view: View,
    Params(params): Params<SolvencyParams>,
) -> Result<impl IntoResponse, Problem> {
    let finalized = view.marks.heads.iter().find(|head| head.tag == Tag::Finalized);
    let last = finalized.map_or(0, |head| head.block).min(view.tip.number);
    let block = params.block.unwrap_or(last);
    if block > last || view.settled(block) != Tag::Finalized {
        let detail = format!("block {block} is not final; finalized are blocks up to {last}");
        return Err(Code::NotFinal.because(detail).at("block"));
    }
    let (owed, run) = (view.reader.owed_at(block).await?, view.reader.audit_run_of(block).await?);
    let liabilities = owed.by_escrow().unwrap_or(Amount::MAX);
    let surplus = run.as_ref().and_then(|run| run.token_balance.checked_sub(liabilities).ok());
    let asset = &view.asset;
    let money = |amount| asset.money(amount);
    Ok(view.answer(SolvencyView {
        block,
        free: money(owed.free),
        credit: money(owed.credit),
        locked: money(owed.locked),
        pending: money(owed.pending),
        liabilities: money(liabilities),
        bonds: money(owed.bonds),
        audit: run.as_ref().map(|run| RunView::of(asset, run)),
        surplus: surplus.map(money),
    }))
}

#[cfg(test)]
mod tests;
