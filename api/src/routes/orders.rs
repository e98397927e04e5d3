//! Orders taken in: signed, to be relayed, or opened on chain by the payer itself.

use alloy::primitives::{Address, Bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use contracts::order::{GRACE_MARGIN, MIN_CLAIM_GRACE, OrderProblem, check_order};
use contracts::spec::ExpandedSpec;
use contracts::{JobId, Order, order};
use serde::Deserialize;
use store::{IntakeOrder, Quote};
use utoipa::ToSchema;

use super::chain::paused_until;
use super::documents::OrderDocument;
use super::jobs::JobView;
use super::quotes::binding;
use crate::App;
use crate::consent;
use crate::edge::body::{Body, NoParams, Params};
use crate::edge::reply::Answer;
use crate::edge::view::View;
use crate::error::{Code, Problem};
use crate::record::{Record, read_spec};
use crate::wire::{Account, Hash, Hex, Time};

/// Longest name of a job.
const NAME_CHARS: usize = 128;
const DEFAULT_NAME: &str = "untitled";

/// The EIP-712 domain that was signed, as in the typed data.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Domain {
    pub name: String,
    pub version: String,
    pub chain_id: u64,
    pub verifying_contract: Account,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SubmitRequest {
    #[serde(default)]
    #[schema(value_type = Option<OrderDocument>)]
    pub order: Option<Order>,
    /// In place of `order`, for a job that the index or this server knows; with `opened`.
    #[serde(default)]
    pub job_id: Option<Hash>,
    /// The payer's, or its delegate's, over the order's typed data; the settler relays it as
    /// `openFor`.
    #[serde(default)]
    pub signature: Option<Hex>,
    /// The delegate of the payer whose signature it is; the payer itself when left out.
    #[serde(default)]
    pub delegate: Option<Account>,
    /// The job is opened by a transaction of the payer's own, or from its vault.
    #[serde(default)]
    pub opened: bool,
    /// 1 to 128 printable characters; never on chain.
    #[serde(default)]
    pub name: Option<String>,
    /// The domain that was signed; when given, its chain and escrow are checked first.
    #[serde(default)]
    pub domain: Option<Domain>,
}

/// Open a job
///
/// Takes an order with the signature of the payer or its delegate, to be relayed, or an order (or
/// known job id) with `opened: true`, which somebody opens on chain: the payer, or anyone from the
/// order's vault. 201 once the index shows the job, 202 before. The same request again has the same
/// effect as once. Nothing is stored on a refusal.
#[utoipa::path(
    post, path = "/v1/jobs", tag = "jobs",
    request_body = SubmitRequest,
    responses(
        (status = 201, description = "Opened on chain", body = Answer<JobView>),
        (status = 202, description = "Taken in, not on chain yet", body = Answer<JobView>)
    )
)]
pub async fn submit(
    State(app): State<App>,
    view: View,
    Params(NoParams {}): Params<NoParams>,
    Body(request): Body<SubmitRequest>,
) -> Result<impl IntoResponse, Problem> {
    check_domain(&view, request.domain.as_ref())?;
    let name = job_name(request.name.as_deref())?;
    let delegate = request.delegate.map(|delegate| delegate.0);
    let (job_id, order) = match (request.signature, request.opened, request.order) {
        (Some(Hex(signature)), false, Some(order)) => {
            let row = IntakeOrder {
                job_id: order::job_id(&order, &view.domain()),
                delegate: delegate.filter(|delegate| *delegate != order.payer),
                order,
                signature: Some(signature.clone()),
                name,
                created_at: app.now(),
            };
            signed(&app, &view, &row, &signature).await?;
            (row.job_id, row.order)
        }
        (None, true, order) => opened(&app, &view, order, request.job_id, name).await?,
        (Some(_), true, _) => {
            let detail = "signature and opened exclude each other";
            return Err(Code::InvalidField.because(detail).at("opened"));
        }
        (Some(_), false, None) => {
            return Err(Code::InvalidField.because("a signature needs its order").at("order"));
        }
        (None, false, _) => {
            let detail = "neither a signature to relay nor opened: true";
            return Err(Code::InvalidField.because(detail).at("signature"));
        }
    };
    let record = Record::load(&view.reader, job_id).await?;
    debug_assert_eq!(record.order, order);
    let status = if record.chain.is_some() { StatusCode::CREATED } else { StatusCode::ACCEPTED };
    Ok((status, view.answer(JobView::of(&view, &record).await?)))
}

/// An order to relay: checked in full, then stored for the settler.
async fn signed(
    app: &App,
    view: &View,
    row: &IntakeOrder,
    signature: &Bytes,
) -> Result<(), Problem> {
    let now = app.now_seconds().max(u64::try_from(view.chain_time()).unwrap_or_default());
    let IntakeOrder { job_id, ref order, delegate, .. } = *row;
    if app.store.reader().order(job_id).await?.is_none() {
        if order.open_by <= now {
            let until = Time::of(order.open_by).utc;
            let detail = format!("open_by was {until}; it is {}", Time::of(now).utc);
            return Err(Code::OrderExpired.because(detail).at("order.open_by"));
        }
        check_running(app, view).await?;
        let quote = binding(app, order.quote_hash, app.now(), "order.quote_hash").await?;
        check_terms(app, order, &quote, "order.").await?;
        check_order(order, view.escrow.address, now)
            .map_err(|problem| refused(&problem, "order."))?;
        if let Some(agent) = delegate {
            consent::delegate(app, order, agent, now).await?;
        }
    }
    let signer = delegate.unwrap_or(order.payer);
    consent::signer(app, job_id, signature, &[signer], "signature").await?;
    put(app, row).await
}

/// An order that the payer opens itself: its terms are checked, its opening is for the index.
async fn opened(
    app: &App,
    view: &View,
    order: Option<Order>,
    job_id: Option<Hash>,
    name: String,
) -> Result<(JobId, Order), Problem> {
    let reader = app.store.reader();
    let job_id = match (&order, job_id) {
        (Some(order), given) => {
            let digest = order::job_id(order, &view.domain());
            if given.is_some_and(|given| given.0 != digest) {
                let detail = format!("job_id is not the order's digest {digest}");
                return Err(Code::InvalidField.because(detail).at("job_id"));
            }
            digest
        }
        (None, Some(given)) => given.0,
        (None, None) => {
            return Err(Code::InvalidField
                .because("neither order nor job_id is given")
                .at("order"));
        }
    };
    let known = reader.order(job_id).await?;
    let on_chain = reader.job(job_id).await?;
    let order = match (&on_chain, &known, order) {
        (Some((opened, _)), _, _) => opened.order.clone(),
        (None, Some(known), _) => known.order.clone(),
        (None, None, Some(order)) => order,
        (None, None, None) => {
            let detail = format!("job {job_id} is not in the index, and its order is not known");
            let hint = "Wait for its block, or send the order beside opened: true.";
            return Err(Code::NotOpened.because(detail).at("job_id").hint(hint));
        }
    };
    if known.is_some() {
        return Ok((job_id, order));
    }
    // Opened in time is in time, however late we hear of it.
    let at = match &on_chain {
        Some((opened, _)) => match reader.block(opened.block).await? {
            Some(block) => block.mined_at,
            None => view.chain_time(),
        },
        None => app.now(),
    };
    let quote = binding(app, order.quote_hash, at, "order.quote_hash").await?;
    check_terms(app, &order, &quote, "order.").await?;
    let at = u64::try_from(at).unwrap_or_default();
    check_order(&order, view.escrow.address, at.min(order.open_by.saturating_sub(1)))
        .map_err(|problem| refused(&problem, "order."))?;
    if on_chain.is_none() && order.open_by <= at {
        let detail = format!("open_by was {}", Time::of(order.open_by).utc);
        return Err(Code::OrderExpired.because(detail).at("order.open_by"));
    }
    let created_at = app.now();
    let row = IntakeOrder { job_id, order, signature: None, delegate: None, name, created_at };
    put(app, &row).await?;
    Ok((job_id, row.order))
}

async fn put(app: &App, row: &IntakeOrder) -> Result<(), Problem> {
    match app.store.intake().put_order(row).await {
        Ok(_) => Ok(()),
        Err(store::Error::Conflict { .. }) => {
            let job_id = row.job_id;
            let detail =
                format!("job {job_id} was handed in before, with another signature or name");
            Err(Code::OrderConflict.because(detail))
        }
        Err(error) => Err(error.into()),
    }
}

/// A signed order cannot be called back, so none is asked for or taken in while the escrow would
/// open none.
pub async fn check_running(app: &App, view: &View) -> Result<(), Problem> {
    let Some(until) = paused_until(app, view).await? else { return Ok(()) };
    let detail = format!("the escrow opens no job until {}", Time::at(until).utc);
    Err(Code::EscrowPaused.because(detail))
}

fn check_domain(view: &View, domain: Option<&Domain>) -> Result<(), Problem> {
    let Some(domain) = domain else { return Ok(()) };
    let ours = &view.escrow;
    if domain.chain_id != ours.chain_id {
        let detail = format!("signed for chain {}; this is {}", domain.chain_id, ours.chain_id);
        return Err(Code::WrongChain.because(detail).at("domain.chainId"));
    }
    if domain.verifying_contract.0 != ours.address {
        let (theirs, ours) = (domain.verifying_contract.0.to_checksum(None), ours.address);
        let detail = format!("signed for {theirs}; the escrow is {}", ours.to_checksum(None));
        return Err(Code::WrongEscrow.because(detail).at("domain.verifyingContract"));
    }
    if domain.name != "RenderEscrow" || domain.version != "1" {
        let detail = "the domain is not RenderEscrow, version 1";
        return Err(Code::WrongEscrow.because(detail).at("domain.name"));
    }
    Ok(())
}

pub async fn quoted_spec(app: &App, quote: &Quote) -> Result<ExpandedSpec, Problem> {
    let spec = app.store.reader().spec(quote.spec_hash).await?;
    let missing = || Code::Internal.because("the quote's spec is not stored");
    read_spec(&spec.ok_or_else(missing)?.canonical)
}

/// Does the order say what its quote and this settler say? `path` leads to the order's fields.
pub async fn check_terms(
    app: &App,
    order: &Order,
    quote: &Quote,
    path: &str,
) -> Result<(), Problem> {
    let settings = &app.settings;
    let spec = quoted_spec(app, quote).await?;
    let units = spec.units();
    let least = u64::from(spec.timeout_seconds) + GRACE_MARGIN;
    // What is shorter than the escrow's own bound is refused with its words.
    let grace = order.claim_grace < MIN_CLAIM_GRACE || order.claim_grace >= least;
    let expires = u64::try_from(quote.expires_at).unwrap_or_default();
    let account = |account: Address| account.to_checksum(None);
    let checks = [
        ("settler", order.settler == settings.settler, account(settings.settler)),
        ("spec_hash", order.spec_hash == quote.spec_hash, quote.spec_hash.to_string()),
        ("units", order.units == units, units.to_string()),
        ("fee_bps", order.fee_bps == settings.fee_bps, settings.fee_bps.to_string()),
        ("burn_bps", order.burn_bps == settings.burn_bps, settings.burn_bps.to_string()),
        (
            "fee_receiver",
            order.fee_receiver == settings.fee_receiver,
            account(settings.fee_receiver),
        ),
        (
            "max_unit_price",
            order.max_unit_price >= quote.unit_price,
            format!("at least the quoted {}", quote.unit_price),
        ),
        ("open_by", order.open_by <= expires, format!("at most the quote's expiry {expires}")),
        ("claim_grace", grace, format!("at least {least}, or no unit could be leased")),
    ];
    for (field, good, wanted) in checks {
        if !good {
            let detail = format!("{field} does not fit; it must be {wanted}");
            return Err(Code::OrderMismatch.because(detail).at(format!("{path}{field}")));
        }
    }
    if order.cap < order.max_unit_price {
        let (cap, unit) = (order.cap, order.max_unit_price);
        let detail = format!("cap of {cap} base units is below the price of one unit, {unit}");
        let field = if path.is_empty() { "max_spend".into() } else { format!("{path}cap") };
        let hint = format!("Write at least {unit}.");
        return Err(Code::CapTooSmall.because(detail).at(field).hint(hint));
    }
    Ok(())
}

pub fn refused(problem: &OrderProblem, path: &str) -> Problem {
    let code = match problem {
        OrderProblem::Expired { .. } => Code::OrderExpired,
        OrderProblem::ZeroAccount { .. }
        | OrderProblem::SettlerIsPayerSide { .. }
        | OrderProblem::EscrowAccount { .. }
        | OrderProblem::ZeroAmount { .. }
        | OrderProblem::OutOfBounds { .. }
        | OrderProblem::OpenByAfterWorkDeadline { .. }
        | OrderProblem::FeeTooHigh { .. }
        | OrderProblem::SharesTooHigh { .. } => Code::OrderRefused,
    };
    code.because(problem.to_string()).at(format!("{path}{}", problem.field()))
}

fn job_name(name: Option<&str>) -> Result<String, Problem> {
    let name = name.unwrap_or(DEFAULT_NAME);
    let count = name.chars().count();
    if (1..=NAME_CHARS).contains(&count) && !name.chars().any(char::is_control) {
        return Ok(name.into());
    }
    let detail = format!("the name has {count} characters or a control character among them");
    let hint = format!("Write 1 to {NAME_CHARS} printable characters.");
    Err(Code::InvalidField.because(detail).at("name").hint(hint))
}
