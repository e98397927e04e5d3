//! pure: what a creator asks for on the command line -> a job spec, and what the answer must be.
use std::path::PathBuf;

use alloy::primitives::{Address, B256};
use clap::{Args, ValueEnum};
use contracts::order::{OrderProblem, check_order, domain, job_id};
use contracts::spec::{
    Animation, Chunk, Engine, ExpandedSpec, Format, JobSpec, Output, Preset, Quality, Resolution,
    Tier, VERSION,
};
use contracts::{Amount, JobId, Order};

use crate::exit::{Failure, Outcome};

/// What to render. Flags, or a whole spec as JSON.
#[derive(Args, Clone, Debug)]
pub struct Asked {
    /// A .pov file, a zip that holds one, or the id of a scene uploaded before
    pub scene: String,
    /// The file to start the renderer with; the scene's only .pov file when left out
    #[arg(long)]
    pub entry: Option<String>,
    /// Frames, like 7, 1-10 or 1-10x2,15
    #[arg(long)]
    pub frames: String,
    /// Width and height in pixels, like 1920x1080
    #[arg(long, value_parser = parse_size)]
    pub size: Resolution,
    #[arg(long, value_enum, default_value_t = PresetName::Standard)]
    pub quality: PresetName,
    #[arg(long, value_enum, default_value_t = FormatName::Png8)]
    pub format: FormatName,
    #[arg(long, value_enum, default_value_t = TierName::Economy)]
    pub tier: TierName,
    /// First and last frame of the whole animation, like 1-240: its clock runs from 0 to 1 over
    /// them; the job's own frames when left out
    #[arg(long, value_parser = parse_animation)]
    pub animation: Option<(i64, i64)>,
    #[arg(long, default_value_t = 24)]
    pub fps: u32,
    /// Version of POV-Ray; the one that most bookable nodes offer when left out
    #[arg(long)]
    pub engine_version: Option<String>,
    /// Frames leased to a node at a time
    #[arg(long, default_value_t = Chunk::default().size)]
    pub chunk: u32,
    /// Longest time for one frame, in seconds
    #[arg(long, default_value_t = 600)]
    pub timeout: u32,
    /// The most to spend, like 1.5; the price of all frames when left out
    #[arg(long, value_name = "AMOUNT")]
    pub max_spend: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum PresetName {
    Draft,
    Standard,
    Final,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum FormatName {
    Png8,
    Png16,
    Jpg,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum TierName {
    Trusted,
    Priority,
    Economy,
}

fn parse_size(text: &str) -> Result<Resolution, String> {
    let numbers = text.split_once('x').and_then(|(width, height)| {
        Some(Resolution { width: width.parse().ok()?, height: height.parse().ok()? })
    });
    numbers.ok_or_else(|| "write width and height like 1920x1080".into())
}

fn parse_animation(text: &str) -> Result<(i64, i64), String> {
    let numbers = text
        .split_once('-')
        .and_then(|(first, last)| Some((first.parse().ok()?, last.parse().ok()?)));
    numbers.ok_or_else(|| "write first and last frame like 1-240".into())
}

/// Where the scene comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SceneSource {
    Id(B256),
    File(PathBuf),
}

impl Asked {
    pub fn source(&self) -> SceneSource {
        let is_id = self.scene.len() == 66 && self.scene.starts_with("0x");
        match self.scene.parse() {
            Ok(id) if is_id => SceneSource::Id(id),
            Ok(_) | Err(_) => SceneSource::File(PathBuf::from(&self.scene)),
        }
    }

    pub fn tier(&self) -> Tier {
        match self.tier {
            TierName::Trusted => Tier::Trusted,
            TierName::Priority => Tier::Priority,
            TierName::Economy => Tier::Economy,
        }
    }

    pub fn spec(&self, scene: B256, entry: String, engine_version: String) -> JobSpec {
        JobSpec {
            version: VERSION,
            engine: Engine::Povray,
            engine_version,
            scene,
            entry,
            frames: self.frames.clone(),
            resolution: self.size,
            quality: Quality {
                preset: match self.quality {
                    PresetName::Draft => Preset::Draft,
                    PresetName::Standard => Preset::Standard,
                    PresetName::Final => Preset::Final,
                },
            },
            output: Output {
                format: match self.format {
                    FormatName::Png8 => Format::Png8,
                    FormatName::Png16 => Format::Png16,
                    FormatName::Jpg => Format::Jpg,
                },
            },
            animation: self.animation.map(|(first, last)| Animation { fps: self.fps, first, last }),
            tier: self.tier(),
            chunk: Chunk { size: self.chunk },
            attempts: 3,
            timeout_seconds: self.timeout,
        }
    }
}

/// Every field that is wrong, before any server is asked.
pub fn expand(spec: &JobSpec) -> Outcome<ExpandedSpec> {
    spec.validate().map_err(|problems| {
        let lines: Vec<String> =
            problems.iter().map(|p| format!("{}: {}", p.field, p.message)).collect();
        let hint = problems.first().map(|problem| problem.hint.clone()).unwrap_or_default();
        Failure::usage(lines.join("\n  "), hint)
    })
}

/// What an order must say for the wallet to sign it.
#[derive(Clone, Debug)]
pub struct Terms {
    pub chain_id: u64,
    pub escrow: Address,
    pub payer: Address,
    pub refund_to: Address,
    pub approver: Address,
    pub cap: Amount,
    pub unit_price: Amount,
    pub units: u32,
    pub spec_hash: B256,
    pub quote_hash: B256,
    pub expires_at: u64,
    pub review_seconds: Option<u64>,
    pub now: u64,
}

/// Most that fee and burn may take of each payment, in basis points; the contract allows more.
const MOST_SHARES_BPS: u32 = 2_000;

/// Compares an order that a server prepared with what was asked for; answers its true job id.
pub fn check_prepared(order: &Order, named: JobId, terms: &Terms) -> Outcome<JobId> {
    let digest = job_id(order, &domain(terms.chain_id, terms.escrow));
    let money = |amount: Amount| format!("{amount} base units");
    let account = |account: Address| account.to_checksum(None);
    let mut checks = vec![
        ("payer", account(order.payer), account(terms.payer)),
        ("refund_to", account(order.refund_to), account(terms.refund_to)),
        ("approver", account(order.approver), account(terms.approver)),
        ("cap", money(order.cap), money(terms.cap)),
        ("max_unit_price", money(order.max_unit_price), money(terms.unit_price)),
        ("units", order.units.to_string(), terms.units.to_string()),
        ("spec_hash", order.spec_hash.to_string(), terms.spec_hash.to_string()),
        ("quote_hash", order.quote_hash.to_string(), terms.quote_hash.to_string()),
        ("job_id", named.to_string(), digest.to_string()),
    ];
    if let Some(seconds) = terms.review_seconds {
        checks.push(("review_seconds", order.review_seconds.to_string(), seconds.to_string()));
    }
    for (field, found, wanted) in checks {
        if found != wanted {
            let text = format!("the prepared order's {field} is {found}; asked was {wanted}");
            return Err(Failure::mismatch(text));
        }
    }
    if order.open_by > terms.expires_at {
        let (open_by, until) = (order.open_by, terms.expires_at);
        let text = format!("the order could be opened until {open_by}, its quote ends at {until}");
        return Err(Failure::mismatch(text));
    }
    let shares = u32::from(order.fee_bps) + u32::from(order.burn_bps);
    if shares > MOST_SHARES_BPS {
        let text = format!("fee and burn take {shares} of 10000; more than {MOST_SHARES_BPS}");
        return Err(Failure::mismatch(text));
    }
    check_order(order, terms.escrow, terms.now).map_err(|problem: OrderProblem| {
        Failure::mismatch(format!("the escrow would refuse the prepared order: {problem}"))
    })?;
    Ok(digest)
}

#[cfg(test)]
mod tests;
