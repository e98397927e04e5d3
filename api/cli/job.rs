//! Jobs through the API: quote and submit.
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use alloy::primitives::{Address, B256, keccak256};
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use clap::Args;
use contracts::spec::{Engine, ExpandedSpec, JobSpec};
use contracts::{Amount, JobId, Order};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::asked::{Asked, SceneSource, Terms, check_prepared, expand};
use crate::chain::Chain;
use crate::config::Settings;
use crate::delegate::check_bounds;
use crate::exit::{Exit, Failure, Outcome, contract, local};
use crate::order;
use crate::remote::Remote;
use crate::talk::{Talk, table};
use crate::vault::{VaultView, funding};
use crate::wallet::{address, chain, open};

#[derive(Args, Debug)]
pub struct Submit {
    #[command(flatten)]
    pub asked: Asked,
    /// Name of the job, for people; never on chain
    #[arg(long, default_value = "untitled")]
    pub name: String,
    /// Seconds each lot can be reviewed, 600 to 1209600; the server's usual ones when left out
    #[arg(long, value_name = "SECONDS")]
    pub review_seconds: Option<u64>,
    /// Who may review beside the payer; the wallet when it is a delegate's
    #[arg(long, value_name = "ADDRESS")]
    pub approver: Option<String>,
    /// Who gets back what is not used; the payer when left out
    #[arg(long, value_name = "ADDRESS")]
    pub refund_to: Option<String>,
    /// On whose account, when the wallet is a delegate's; of a vault's job, whose job it is
    #[arg(long, value_name = "ADDRESS")]
    pub payer: Option<String>,
    /// Sign nothing: write the order to a file, and show where a plain transfer pays for it
    #[arg(long, value_name = "FILE")]
    pub vault: Option<PathBuf>,
}

/// An amount as the API writes it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Money {
    pub amount: Amount,
    pub formatted: String,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Time {
    pub unix: u64,
}

#[derive(Debug, Deserialize)]
struct SceneView {
    scene_id: B256,
    entries: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Tiers {
    tiers: Vec<TierView>,
}

#[derive(Debug, Deserialize)]
struct TierView {
    tier: String,
    backends: Vec<BackendView>,
}

#[derive(Debug, Deserialize)]
struct BackendView {
    backend: String,
    version: String,
    nodes: u32,
}

/// The part of a quote that the client relies on, and the whole for `--json`.
#[derive(Clone, Debug)]
pub struct Quote {
    pub known: QuoteView,
    pub whole: Value,
    pub spec: ExpandedSpec,
}

#[derive(Clone, Debug, Deserialize)]
pub struct QuoteView {
    pub quote_hash: B256,
    pub spec_hash: B256,
    pub frames: String,
    pub units: u32,
    pub units_covered: u64,
    pub unit_price: Money,
    pub cap: Money,
    pub expires_at: Time,
    document: String,
}

#[derive(Debug, Deserialize)]
struct Prepared {
    job_id: JobId,
    order: Order,
}

pub async fn quote(asked: Asked, settings: &Settings, talk: &Talk) -> Outcome {
    let remote = Remote::new(&settings.client.api)?;
    let quote = ask_quote(&remote, &asked, decimals(settings).await, None).await?;
    talk.data(&quote.whole, || quote_text(&quote.known));
    Ok(())
}

/// RNDR's 18, unless a chain is at hand to say otherwise.
async fn decimals(settings: &Settings) -> u8 {
    Chain::of(settings, None).await.map_or(18, |chain| chain.decimals)
}

pub fn quote_text(quote: &QuoteView) -> String {
    table(&[
        ("quote", quote.quote_hash.to_string()),
        ("frames", quote.frames.clone()),
        ("price of one", quote.unit_price.formatted.clone()),
        ("price of all", quote.cap.formatted.clone()),
        ("covers", format!("{} of {} frames", quote.units_covered, quote.units)),
        ("good until", format!("{} (unix seconds)", quote.expires_at.unix)),
    ])
}

/// Uploads the scene when it is a file, has the spec priced, and checks the answer against it.
pub async fn ask_quote(
    remote: &Remote,
    asked: &Asked,
    decimals: u8,
    payer: Option<Address>,
) -> Outcome<Quote> {
    let max_spend = match &asked.max_spend {
        Some(text) => {
            let amount = Amount::from_decimal(text, decimals);
            let hint = "write --max-spend like 1.5";
            Some(amount.map_err(|error| Failure::usage(error.to_string(), hint))?)
        }
        None => None,
    };
    let spec = scene_spec(remote, asked).await?;
    let expanded = expand(&spec)?;
    let body = json!({ "spec": spec, "payer": payer, "max_spend": max_spend });
    let whole: Value = remote.post("/v1/quotes", &body).await?;
    let known: QuoteView = serde_json::from_value(whole.clone()).map_err(|error| {
        let hint = "client and server must be of the same release";
        Failure::new(Exit::Failed, format!("the quote makes no sense: {error}"), hint)
    })?;
    check_quote(&known, &expanded, max_spend)?;
    Ok(Quote { known, whole, spec: expanded })
}

async fn scene_spec(remote: &Remote, asked: &Asked) -> Outcome<JobSpec> {
    let scene: SceneView = match asked.source() {
        SceneSource::Id(id) => remote.get(&format!("/v1/scenes/{id}")).await?,
        SceneSource::File(path) => upload(remote, &path).await?,
    };
    let entry = match (&asked.entry, scene.entries.as_slice()) {
        (Some(entry), _) => entry.clone(),
        (None, [only]) => only.clone(),
        (None, several) => {
            let message = format!("the scene has {} .pov files", several.len());
            let hint = format!("name one with --entry: {}", several.join(", "));
            return Err(Failure::usage(message, hint));
        }
    };
    let engine_version = match &asked.engine_version {
        Some(version) => version.clone(),
        None => offered_version(remote, asked.tier().name()).await?,
    };
    Ok(asked.spec(scene.scene_id, entry, engine_version))
}

/// A job is rendered by exactly the version it names: the one most nodes have is served first.
async fn offered_version(remote: &Remote, tier: &str) -> Outcome<String> {
    let tiers: Tiers = remote.get("/v1/tiers").await?;
    let tier = tiers.tiers.into_iter().find(|known| known.tier == tier);
    let backends = tier.into_iter().flat_map(|tier| tier.backends);
    let offered = backends.filter(|backend| backend.backend == Engine::Povray.name());
    let most = offered.max_by_key(|backend| backend.nodes);
    most.map(|backend| backend.version).ok_or_else(|| {
        let hint = "wait for a node, or name the version with --engine-version, like 3.7.0.10";
        Failure::new(Exit::Unavailable, "no node with POV-Ray can be booked now", hint)
    })
}

async fn upload(remote: &Remote, path: &Path) -> Outcome<SceneView> {
    let bytes = std::fs::read(path).map_err(local(format!("reading {}", path.display())))?;
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("scene.pov");
    let is_zip = bytes.starts_with(b"PK");
    let query: &[(&str, &str)] = if is_zip { &[] } else { &[("name", name)] };
    remote.upload("/v1/scenes", query, bytes).await
}

/// The price must be for this spec, and its parts must add up; the document is its own proof.
fn check_quote(quote: &QuoteView, spec: &ExpandedSpec, max_spend: Option<Amount>) -> Outcome {
    if quote.spec_hash != spec.spec_hash() {
        let text = "the server priced another spec than was asked for";
        return Err(Failure::mismatch(text));
    }
    if keccak256(&quote.document) != quote.quote_hash {
        return Err(Failure::mismatch("the quote's document does not hash to its quote_hash"));
    }
    let full = quote.unit_price.amount.checked_mul_u64(u64::from(spec.units()));
    let full = full.map_err(|error| Failure::mismatch(format!("the price: {error}")))?;
    let wanted = max_spend.unwrap_or(full);
    if quote.cap.amount != wanted || quote.units != spec.units() {
        let text = format!("the quote's cap is {}, not {wanted}", quote.cap.amount);
        return Err(Failure::mismatch(text));
    }
    Ok(())
}

pub async fn submit(command: Submit, settings: &Settings, talk: &Talk) -> Outcome {
    let remote = Remote::new(&settings.client.api)?;
    let payer = command.payer.as_deref().map(address).transpose()?;
    if let Some(file) = &command.vault {
        let payer = match payer {
            Some(payer) => payer,
            None => open(settings).await?.address(),
        };
        let chain = Chain::of(settings, None).await?;
        let quote = ask_quote(&remote, &command.asked, chain.decimals, Some(payer)).await?;
        let funding = *funding(&chain, settings).await?.address();
        let order = order_vault(&remote, &chain, payer, &quote, &command).await?;
        order::write(file, &order)?;
        VaultView::read(&chain, funding, &order, None).await?.tell(&chain, talk);
        return Ok(());
    }
    let key = open(settings).await?;
    let chain = chain(settings).await?;
    let payer = payer.unwrap_or(key.address());
    let quote = ask_quote(&remote, &command.asked, chain.decimals, Some(payer)).await?;
    if !talk.json {
        talk.say(&quote_text(&quote.known));
    }
    let job = submit_quote(&remote, &chain, &key, &quote, &command).await?;
    talk.data(&job, || {
        let text = |name: &str| job[name].as_str().unwrap_or_default().to_owned();
        table(&[("job", text("job_id")), ("state", text("state")), ("next", text("next_step"))])
    });
    Ok(())
}

/// Has the order prepared, and compares every term with what was asked.
async fn prepare(
    remote: &Remote,
    chain: &Chain,
    (payer, approver): (Address, Option<Address>),
    quote: &Quote,
    command: &Submit,
) -> Outcome<(JobId, Order)> {
    let refund_to = command.refund_to.as_deref().map(address).transpose()?;
    let body = json!({
        "quote_hash": quote.known.quote_hash,
        "payer": payer,
        "refund_to": refund_to,
        "approver": approver,
        "review_seconds": command.review_seconds,
        "max_spend": quote.known.cap.amount,
    });
    let prepared: Prepared = remote.post("/v1/jobs/prepare", &body).await?;
    let terms = Terms {
        chain_id: chain.chain_id,
        escrow: *chain.escrow.address(),
        payer,
        refund_to: refund_to.unwrap_or(payer),
        approver: approver.unwrap_or_default(),
        cap: quote.known.cap.amount,
        unit_price: quote.known.unit_price.amount,
        units: quote.spec.units(),
        spec_hash: quote.spec.spec_hash(),
        quote_hash: quote.known.quote_hash,
        expires_at: quote.known.expires_at.unix,
        review_seconds: command.review_seconds,
        now: unix_now(),
    };
    let job_id = check_prepared(&prepared.order, prepared.job_id, &terms)?;
    Ok((job_id, prepared.order))
}

/// Has the order prepared and checked, and says that somebody opens it on chain. Signs nothing:
/// whoever pays its vault consents by that.
pub async fn order_vault(
    remote: &Remote,
    chain: &Chain,
    payer: Address,
    quote: &Quote,
    command: &Submit,
) -> Outcome<Order> {
    let approver = command.approver.as_deref().map(address).transpose()?;
    let (_, order) = prepare(remote, chain, (payer, approver), quote, command).await?;
    let body = json!({
        "order": order, "opened": true, "name": command.name, "domain": domain_json(chain),
    });
    let _: Value = remote.post("/v1/jobs", &body).await?;
    Ok(order)
}

fn domain_json(chain: &Chain) -> Value {
    json!({
        "name": "RenderEscrow",
        "version": "1",
        "chainId": chain.chain_id,
        "verifyingContract": chain.escrow.address(),
    })
}

/// Has the order prepared, compares every term with what was asked, checks the money, signs, and
/// hands it in, as the payer or as its delegate. Answers the job as the API shows it.
pub async fn submit_quote(
    remote: &Remote,
    chain: &Chain,
    key: &PrivateKeySigner,
    quote: &Quote,
    command: &Submit,
) -> Outcome<Value> {
    let account = |text: &Option<String>| text.as_deref().map(address).transpose();
    let (agent, payer) = (key.address(), account(&command.payer)?.unwrap_or(key.address()));
    let delegate = (agent != payer).then_some(agent);
    // A delegate that names nobody else reviews its own jobs.
    let approver = account(&command.approver)?.or(delegate);
    let (job_id, order) = prepare(remote, chain, (payer, approver), quote, command).await?;
    if let Some(agent) = delegate {
        check_bounds(chain, &order, agent).await?;
    }
    check_money(chain, &order).await?;
    let signature = key.sign_hash_sync(&job_id).map_err(|error| {
        Failure::new(Exit::Failed, format!("signing failed: {error}"), "check the keystore")
    })?;
    let body = json!({
        "order": order,
        "signature": alloy::primitives::Bytes::from(signature.as_bytes()),
        "delegate": delegate,
        "name": command.name,
        "domain": domain_json(chain),
    });
    remote.post("/v1/jobs", &body).await
}

/// The settler relays the order only while the payer's account covers it: better said now.
async fn check_money(chain: &Chain, order: &Order) -> Outcome {
    let (payer, cap) = (order.payer, order.cap);
    let (free, credit) = chain.balances(payer).await?;
    let offices = chain.escrow.offices().call().await;
    let offices = offices.map_err(|error| contract("read the offices", &error))?;
    // Only the named settler takes credit.
    let credit = if offices.creditSettler == order.settler { credit } else { Amount::ZERO };
    let free = free.checked_add(credit).unwrap_or(Amount::MAX);
    match cap.checked_sub(free) {
        Ok(lack) if !lack.is_zero() => {
            let (have, need) = (chain.show(free), chain.show(cap));
            let message = format!("{payer} has {have} free in the escrow; the job needs {need}");
            let amount = lack.to_decimal(chain.decimals);
            let hint = format!("run `rndr deposit {amount}` as {payer}, or lower --max-spend");
            Err(Failure::new(Exit::InsufficientFunds, message, hint))
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
