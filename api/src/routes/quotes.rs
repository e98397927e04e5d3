//! Spec -> price: expanded spec, every figure of the formula, quoteHash, expiry.

use alloy::primitives::{B256, keccak256};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use contracts::Amount;
use contracts::spec::{ExpandedSpec, JobSpec};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{Quote, Spec};
use utoipa::ToSchema;

use super::documents::SpecDocument;
use super::scenes;
use crate::App;
use crate::edge::body::{Body, NoParams, Params};
use crate::edge::reply::Answer;
use crate::edge::view::View;
use crate::error::{Code, FieldProblem, Problem};
use crate::price::{Price, PriceError};
use crate::wire::{Account, Asset, Hash, Money, Time};

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QuoteRequest {
    #[schema(value_type = SpecDocument)]
    pub spec: JobSpec,
    /// With it, the answer says how much of the cap this account lacks.
    #[serde(default)]
    pub payer: Option<Account>,
    /// The most to spend, in base units; it becomes the order's cap. A job it cannot finish
    /// pauses. Left out: the price of all units.
    #[serde(default)]
    #[schema(value_type = Option<String>, pattern = "^[0-9]{1,29}$")]
    pub max_spend: Option<Amount>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct QuoteView {
    pub quote_hash: Hash,
    pub spec_hash: Hash,
    /// The spec with every preset and default written out.
    #[schema(value_type = Object)]
    pub spec: Value,
    /// Canonical frame list.
    pub frames: String,
    pub units: u32,
    pub unit_price: Money,
    pub cap: Money,
    /// How many units the cap covers.
    pub units_covered: u64,
    pub expires_at: Time,
    pub price: PriceView,
    /// What the payer's account lacks; only with `payer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub funding: Option<Funding>,
    /// Canonical JSON (RFC 8785) whose keccak256 is `quote_hash`.
    pub document: String,
}

/// The figures of `unit_price = max(min_price, ceil(milli_work * base_rate * 100 * class_bps /
/// (tier_percent * 1000 * 10000)))`, `milli_work = ceil(unit_pixels * samples_per_pixel / 1000)`.
#[derive(Debug, Serialize, ToSchema)]
pub struct PriceView {
    pub list_version: u32,
    pub unit_pixels: u64,
    pub samples_per_pixel: u32,
    pub milli_work: u64,
    /// Base units for one work unit, a million camera samples.
    pub base_rate: String,
    pub min_price: String,
    pub class_bps: u32,
    pub tier_percent: u32,
}

/// What an account has in the escrow beside what an order takes.
#[derive(Debug, Serialize, ToSchema)]
pub struct Funding {
    pub account: Account,
    /// Free balance in the escrow, as indexed.
    pub free: Money,
    /// What the cap is above it: deposit this much, or allow the escrow to pull it with `open`.
    pub lacking: Money,
}

impl Funding {
    pub async fn of(
        app: &App,
        asset: &Asset,
        account: Account,
        cap: Amount,
    ) -> Result<Self, Problem> {
        let state = app.store.reader().account(account.0).await?;
        let free = state.map_or(Amount::ZERO, |state| state.free);
        let lacking = cap.checked_sub(free).unwrap_or(Amount::ZERO);
        Ok(Self { account, free: asset.money(free), lacking: asset.money(lacking) })
    }
}

/// The preimage of a quoteHash: the hash of what to render, until when, and every number.
#[derive(Serialize)]
struct Document<'a> {
    spec_hash: B256,
    chain_id: u64,
    escrow: Account,
    expires_at: u64,
    fee_bps: u16,
    burn_bps: u16,
    #[serde(flatten)]
    price: &'a Price,
}

/// Price a job
///
/// Checks the spec, prices it by the current list, and stores both under their hashes. Two
/// requests within the same second for the same spec have the same quote.
#[utoipa::path(
    post, path = "/v1/quotes", tag = "jobs",
    request_body = QuoteRequest,
    responses((status = 201, body = Answer<QuoteView>))
)]
pub async fn create(
    State(app): State<App>,
    view: View,
    Params(NoParams {}): Params<NoParams>,
    Body(request): Body<QuoteRequest>,
) -> Result<impl IntoResponse, Problem> {
    let spec = request.spec.validate().map_err(invalid_spec)?;
    scenes::check_entry(&app, &spec).await?;
    let price = app.settings.prices.price(&spec, request.max_spend).map_err(unpriceable)?;
    let now = app.now_seconds();
    let expires_at = now.saturating_add(u64::from(app.settings.prices.quote_seconds));
    let document = Document {
        spec_hash: spec.spec_hash(),
        chain_id: view.escrow.chain_id,
        escrow: Account(view.escrow.address),
        expires_at,
        fee_bps: app.settings.fee_bps,
        burn_bps: app.settings.burn_bps,
        price: &price,
    };
    let document = canonical(&document)?;
    let quote_hash = keccak256(&document);
    let asset = &view.asset;
    let funding = match request.payer {
        Some(payer) => Some(Funding::of(&app, asset, payer, price.cap).await?),
        None => None,
    };
    save(&app, &spec, &price, quote_hash, &document, expires_at).await?;
    let answer = QuoteView {
        quote_hash: Hash(quote_hash),
        spec_hash: Hash(spec.spec_hash()),
        frames: spec.frames.to_string(),
        spec: serde_json::to_value(&spec).map_err(unwritable)?,
        units: price.units,
        unit_price: asset.money(price.unit_price),
        cap: asset.money(price.cap),
        units_covered: units_covered(&price),
        expires_at: Time::of(expires_at),
        price: PriceView::of(&price),
        funding,
        document,
    };
    Ok((StatusCode::CREATED, view.answer(answer)))
}

async fn save(
    app: &App,
    spec: &ExpandedSpec,
    price: &Price,
    quote_hash: B256,
    document: &str,
    expires_at: u64,
) -> Result<(), Problem> {
    let intake = app.store.intake();
    let (spec_hash, created_at) = (spec.spec_hash(), app.now());
    let canonical = spec.canonical_json();
    intake.put_spec(&Spec { spec_hash, canonical, created_at }).await?;
    let quote = Quote {
        quote_hash,
        spec_hash,
        canonical: document.into(),
        unit_price: price.unit_price,
        cap: price.cap,
        expires_at: i64::try_from(expires_at).unwrap_or(i64::MAX),
        created_at,
    };
    intake.put_quote(&quote).await?;
    Ok(())
}

impl PriceView {
    fn of(price: &Price) -> Self {
        Self {
            list_version: price.list_version,
            unit_pixels: price.unit_pixels,
            samples_per_pixel: price.samples_per_pixel,
            milli_work: price.milli_work,
            base_rate: price.base_rate.to_string(),
            min_price: price.min_price.to_string(),
            class_bps: price.class_bps,
            tier_percent: price.tier_percent,
        }
    }
}

fn units_covered(price: &Price) -> u64 {
    let covered = price.cap.base() / price.unit_price.base().max(1);
    u64::try_from(covered).unwrap_or(u64::MAX).min(u64::from(price.units))
}

/// RFC 8785 text.
pub fn canonical<T: Serialize>(value: &T) -> Result<String, Problem> {
    serde_jcs::to_string(value).map_err(unwritable)
}

fn unwritable(error: impl std::fmt::Display) -> Problem {
    tracing::error!(%error, "a value of ours has no JSON form");
    Code::Internal.because("an answer could not be written")
}

fn invalid_spec(problems: Vec<contracts::spec::FieldError>) -> Problem {
    let detail = match problems.as_slice() {
        [only] => format!("{}: {}", only.field, only.message),
        several => format!("{} fields are not valid", several.len()),
    };
    let errors = problems.into_iter().map(|problem| FieldProblem {
        field: format!("spec.{}", problem.field),
        message: problem.message,
        hint: problem.hint,
    });
    let errors: Vec<FieldProblem> = errors.collect();
    let hint = errors.first().map(|error| error.hint.clone()).unwrap_or_default();
    Code::InvalidSpec.because(detail).listing(errors).hint(hint)
}

pub fn unpriceable(error: PriceError) -> Problem {
    let detail = error.to_string();
    match error {
        PriceError::TooLarge { .. } => Code::Unpriceable.because(detail).at("spec"),
        PriceError::CapTooSmall { unit_price, .. } => Code::CapTooSmall
            .because(detail)
            .at("max_spend")
            .hint(format!("Write at least {unit_price}, or leave max_spend out.")),
    }
}

/// A quote that is known and still binds.
pub async fn binding(app: &App, quote_hash: B256, at: i64, field: &str) -> Result<Quote, Problem> {
    let quote = app.store.reader().quote(quote_hash).await?;
    let Some(quote) = quote else {
        let detail = format!("no quote with hash {quote_hash} was made here");
        return Err(Code::QuoteNotFound.because(detail).at(field));
    };
    if quote.expires_at <= at {
        let until = Time::at(quote.expires_at).utc;
        let detail = format!("the quote was good until {until}; it is {}", Time::at(at).utc);
        return Err(Code::QuoteExpired.because(detail).at(field));
    }
    Ok(quote)
}
