//! Orders made from quotes: typed data to sign, the job's id, calldata to open it.

use alloy::primitives::{Address, Bytes};
use alloy::sol_types::SolCall;
use axum::extract::State;
use axum::response::IntoResponse;
use contracts::order::check_order;
use contracts::{Amount, Order, RenderEscrow, order, signing};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::Quote;
use utoipa::ToSchema;

use super::documents::{Call, OrderDocument};
use super::orders::{check_running, check_terms, quoted_spec, refused};
use super::quotes::{Funding, binding};
use crate::App;
use crate::edge::body::{Body, NoParams, Params};
use crate::edge::random_hash;
use crate::edge::reply::Answer;
use crate::edge::view::View;
use crate::error::Problem;
use crate::wire::{Account, Hash};

/// Seconds from `open_by` to the work deadline: 7 days; the payer can ask to close at any time.
const WORK_SECONDS: u64 = 7 * 86_400;
/// Seconds a node has to show a lot's key after its window: 24 h.
const CLAIM_GRACE: u64 = 86_400;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PrepareRequest {
    pub quote_hash: Hash,
    pub payer: Account,
    /// Who gets back what is not used; the payer when left out.
    #[serde(default)]
    pub refund_to: Option<Account>,
    /// Who may review beside the payer; nobody when left out.
    #[serde(default)]
    pub approver: Option<Account>,
    /// Review window of each lot, 600 to 1209600; 72 h when left out.
    #[serde(default)]
    pub review_seconds: Option<u64>,
    /// Seconds of work after `open_by`; 7 days when left out.
    #[serde(default)]
    pub work_seconds: Option<u64>,
    /// Seconds for a node to show its key after a window, 3600 to 1209600; 24 h when left out.
    #[serde(default)]
    pub claim_grace: Option<u64>,
    /// The order's cap in place of the quote's, in base units.
    #[serde(default)]
    #[schema(value_type = Option<String>, pattern = "^[0-9]{1,29}$")]
    pub max_spend: Option<Amount>,
    /// Makes the order unlike others of the same terms; random when left out. The same salt with
    /// the same terms is the same job.
    #[serde(default)]
    pub salt: Option<Hash>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct PreparedOrder {
    pub job_id: Hash,
    #[schema(value_type = OrderDocument)]
    pub order: Order,
    /// For `eth_signTypedData_v4`; its digest is `job_id`.
    #[schema(value_type = Object)]
    pub typed_data: Value,
    pub calls: OpenCalls,
    pub funding: Funding,
    pub next_step: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct OpenCalls {
    /// `open(order)`: by the payer or anyone else, with the sender's own money; what its free
    /// balance lacks is pulled from its allowance.
    pub open: Call,
    /// `openFor(order, payer, signature)` with an empty signature: as it stands for the payer to
    /// send; with the signature in place of the empty one, for anyone.
    pub open_for: Call,
}

/// Prepare an order
///
/// Makes an order from a quote: typed data to sign, the job's id, and calldata to open it. Stores
/// nothing.
#[utoipa::path(
    post, path = "/v1/jobs/prepare", tag = "jobs",
    request_body = PrepareRequest,
    responses((status = 200, body = Answer<PreparedOrder>))
)]
pub async fn prepare(
    State(app): State<App>,
    view: View,
    Params(NoParams {}): Params<NoParams>,
    Body(request): Body<PrepareRequest>,
) -> Result<impl IntoResponse, Problem> {
    let now = app.now_seconds();
    check_running(&app, &view).await?;
    let quote = binding(&app, request.quote_hash.0, app.now(), "quote_hash").await?;
    let order = order_of(&app, &request, &quote).await?;
    check_terms(&app, &order, &quote, "").await?;
    let escrow = view.escrow.address;
    check_order(&order, escrow, now).map_err(|problem| refused(&problem, ""))?;
    let domain = view.domain();
    let job_id = order::job_id(&order, &domain);
    let asset = &view.asset;
    let funding = Funding::of(&app, asset, request.payer, order.cap).await?;
    let answer = PreparedOrder {
        job_id: Hash(job_id),
        typed_data: signing::order_typed_data(&order, &domain),
        calls: OpenCalls::of(&order, escrow),
        next_step: next_step(&funding),
        funding,
        order,
    };
    Ok(view.answer(answer))
}

async fn order_of(app: &App, request: &PrepareRequest, quote: &Quote) -> Result<Order, Problem> {
    let settings = &app.settings;
    let open_by = u64::try_from(quote.expires_at).unwrap_or_default();
    let work_seconds = request.work_seconds.unwrap_or(WORK_SECONDS);
    Ok(Order {
        payer: request.payer.0,
        refund_to: request.refund_to.unwrap_or(request.payer).0,
        approver: request.approver.map_or(Address::ZERO, |approver| approver.0),
        settler: settings.settler,
        fee_receiver: settings.fee_receiver,
        cap: request.max_spend.unwrap_or(quote.cap),
        max_unit_price: quote.unit_price,
        units: quoted_spec(app, quote).await?.units(),
        open_by,
        work_deadline: open_by.saturating_add(work_seconds),
        review_seconds: request.review_seconds.unwrap_or(settings.review_seconds),
        claim_grace: request.claim_grace.unwrap_or(CLAIM_GRACE),
        fee_bps: settings.fee_bps,
        burn_bps: settings.burn_bps,
        spec_hash: quote.spec_hash,
        quote_hash: quote.quote_hash,
        salt: request.salt.map_or_else(random_hash, |salt| salt.0),
    })
}

fn next_step(funding: &Funding) -> String {
    if funding.lacking.amount == "0" {
        return "Sign typed_data and send it to POST /v1/jobs.".into();
    }
    let lacking = &funding.lacking.formatted;
    format!(
        "Deposit {lacking} into the escrow, then sign typed_data and send it to POST /v1/jobs; \
         or allow the escrow to pull {lacking} and send calls.open yourself."
    )
}

impl OpenCalls {
    fn of(order: &Order, escrow: Address) -> Self {
        let open = RenderEscrow::openCall { order: order.to_sol() };
        let open_for = RenderEscrow::openForCall {
            order: order.to_sol(),
            signer: order.payer,
            signature: Bytes::new(),
        };
        Self {
            open: Call::new(escrow, open.abi_encode()),
            open_for: Call::new(escrow, open_for.abi_encode()),
        }
    }
}
