//! `rndr deploy`: puts the contracts on a chain, at addresses known beforehand, and verifies them.
mod verify;

use std::path::{Path, PathBuf};

use alloy::primitives::{Address, B256, Bytes};
use alloy::providers::DynProvider;
use clap::{Args, Subcommand};
use contracts::Amount;
use contracts::deploy::{
    DeployError, DeploymentFile, Offices, Plan, code_at, deploy_all, deploy_legacy_rndr, permit2_of,
};
use contracts::funding::PERMIT2;
use contracts::text::{checksummed, checksummed_option};
use serde::Serialize;

use crate::chain::{chain_id, provider};
use crate::config::Settings;
use crate::exit::{Exit, Failure, Outcome, local};
use crate::talk::{Talk, table};
use crate::wallet::{address, open};

/// Chain ids of local test chains: anybody may mint the token's double, so it goes nowhere else.
const TEST_CHAINS: [u64; 2] = [1_337, 31_337];
/// RNDR has this many decimals.
const DECIMALS: u8 = 18;

#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Deploy {
    #[command(subcommand)]
    verify: Option<DeployCommand>,
    /// The token that the escrow holds, for ever
    #[arg(long, value_name = "ADDRESS", required_unless_present = "test_token")]
    token: Option<String>,
    /// Deploy a double of the legacy RNDR token first; only on a local test chain
    #[arg(long, conflicts_with = "token")]
    test_token: bool,
    /// How many tokens of the double the deploying wallet gets
    #[arg(long, value_name = "AMOUNT", default_value = "1000000", requires = "test_token")]
    supply: String,
    /// Who may issue credit, for ever; nobody when left out
    #[arg(long, value_name = "ADDRESS")]
    issuer: Option<String>,
    /// Who may pause the ways in for up to 7 days, for ever; nobody when left out
    #[arg(long, value_name = "ADDRESS")]
    guardian: Option<String>,
    /// Permit2, for payments by its signatures, or the zero address for none; the usual one when
    /// left out, if the chain has it
    #[arg(long, value_name = "ADDRESS")]
    permit2: Option<String>,
    /// Gives the same contracts other addresses
    #[arg(long, value_name = "HASH", default_value_t = B256::ZERO)]
    salt: B256,
    /// Where the deployment file goes, for --deployment; an earlier one of the same deployment is
    /// brought up to date
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Only show where everything would be; needs no key
    #[arg(long, conflicts_with_all = ["test_token", "out"])]
    dry_run: bool,
}

#[derive(Subcommand, Debug)]
enum DeployCommand {
    /// Compare the deployment file (--deployment) with this program's bytecode and with the chain
    Verify,
}

pub async fn deploy(command: Deploy, settings: &Settings, talk: &Talk) -> Outcome {
    match command.verify {
        Some(DeployCommand::Verify) => verify::verify(settings, talk).await,
        None if command.dry_run => foretell(&command, settings, talk).await,
        None => put(&command, settings, talk).await,
    }
}

async fn put(command: &Deploy, settings: &Settings, talk: &Talk) -> Outcome {
    let offices = offices(command)?;
    let known = command.out.as_deref().filter(|path| path.exists()).map(read).transpose()?;
    let key = open(settings).await?;
    let holder = key.address();
    let provider = provider(&settings.chain.rpc_url, Some(key))?;
    let token = match &command.token {
        Some(text) => address(text)?,
        None => {
            check_test_chain(chain_id(&provider).await?)?;
            let supply = Amount::from_decimal(&command.supply, DECIMALS).map_err(|error| {
                Failure::usage(error.to_string(), "write --supply like 1000000")
            })?;
            let double = deploy_legacy_rndr(&provider, holder, supply).await.map_err(failed)?;
            talk.say(&format!("the token's double is at {}", double.address));
            double.address
        }
    };
    let permit2 = permit2(command, &provider).await?;
    let plan = Plan { salt: command.salt, token, offices, permit2 };
    let deployed = deploy_all(&provider, &plan, known.as_ref()).await;
    let (file, new) = deployed.map_err(failed)?;
    talk.say(&match new.as_slice() {
        [] => "nothing was deployed: all three contracts stand already".to_owned(),
        several => format!("deployed now: {}", several.join(", ")),
    });
    if let Some(path) = &command.out {
        write(path, &file)?;
        talk.say(&format!("the deployment file is {}", path.display()));
    }
    talk.data(&file, || text(&file));
    Ok(())
}

fn text(file: &DeploymentFile) -> String {
    let mut rows: Vec<(&str, String)> = file
        .placed()
        .map(|(name, placed)| (name, format!("{}, block {}", placed.address, placed.block)))
        .into();
    rows.extend([
        ("token", file.token.to_string()),
        ("issuer of credit", or_none(Some(file.issuer))),
        ("guardian", or_none(Some(file.guardian))),
        ("permit2", or_none(file.permit2)),
        ("salt", file.salt.to_string()),
        ("chain", file.chain_id.to_string()),
    ]);
    table(&rows)
}

fn or_none(account: Option<Address>) -> String {
    match account {
        Some(account) if !account.is_zero() => account.to_string(),
        Some(_) | None => "none".to_owned(),
    }
}

/// What `--dry-run` shows.
#[derive(Serialize)]
struct Foretold {
    chain_id: u64,
    salt: B256,
    #[serde(with = "checksummed")]
    token: Address,
    #[serde(with = "checksummed_option")]
    permit2: Option<Address>,
    escrow: Place,
    funding: Place,
    registry: Place,
}

#[derive(Serialize)]
struct Place {
    #[serde(with = "checksummed")]
    address: Address,
    /// Whether it is there already.
    stands: bool,
    constructor_arguments: Bytes,
    init_code_hash: B256,
}

async fn foretell(command: &Deploy, settings: &Settings, talk: &Talk) -> Outcome {
    let provider = provider(&settings.chain.rpc_url, None)?;
    let token = command.token.as_deref().map_or(Ok(Address::ZERO), address)?;
    let permit2 = permit2(command, &provider).await?;
    let plan = Plan { salt: command.salt, token, offices: offices(command)?, permit2 };
    let place = async |creation: contracts::deploy::Creation| {
        let stands = !code_at(&provider, creation.address).await.map_err(failed)?.is_empty();
        let init_code_hash = creation.init_code_hash();
        let constructor_arguments = creation.arguments;
        let address = creation.address;
        Ok::<Place, Failure>(Place { address, stands, constructor_arguments, init_code_hash })
    };
    let [escrow, funding, registry] = plan.creations();
    let foretold = Foretold {
        chain_id: chain_id(&provider).await?,
        salt: plan.salt,
        token,
        permit2,
        escrow: place(escrow).await?,
        funding: place(funding).await?,
        registry: place(registry).await?,
    };
    let show = |place: &Place| match place.stands {
        true => format!("{}, stands already", place.address),
        false => place.address.to_string(),
    };
    talk.data(&foretold, || {
        table(&[
            ("escrow", show(&foretold.escrow)),
            ("funding", show(&foretold.funding)),
            ("registry", show(&foretold.registry)),
            ("permit2", or_none(permit2)),
        ])
    });
    Ok(())
}

fn offices(command: &Deploy) -> Outcome<Offices> {
    let read = |text: &Option<String>| text.as_deref().map_or(Ok(Address::ZERO), address);
    Ok(Offices { issuer: read(&command.issuer)?, guardian: read(&command.guardian)? })
}

async fn permit2(command: &Deploy, provider: &DynProvider) -> Outcome<Option<Address>> {
    match &command.permit2 {
        Some(text) => Ok(Some(address(text)?).filter(|given| !given.is_zero())),
        None => Ok(permit2_of(&code_at(provider, PERMIT2).await.map_err(failed)?)),
    }
}

fn check_test_chain(chain_id: u64) -> Outcome {
    if TEST_CHAINS.contains(&chain_id) {
        return Ok(());
    }
    let message = format!("chain {chain_id} is no local test chain; anybody may mint the double");
    Err(Failure::usage(message, "name the real token with --token"))
}

/// A deployment file, which is trusted as it stands: its reader must know where it is from.
pub fn read(path: &Path) -> Outcome<DeploymentFile> {
    let doing = format!("reading the deployment file {}", path.display());
    let text = std::fs::read_to_string(path).map_err(local(&doing))?;
    serde_json::from_str(&text).map_err(|error| {
        Failure::usage(format!("{doing}: {error}"), "write it anew with `rndr deploy --out`")
    })
}

pub fn write(path: &Path, file: &DeploymentFile) -> Outcome {
    let doing = format!("writing the deployment file {}", path.display());
    let text = serde_json::to_string_pretty(file).unwrap_or_default();
    std::fs::write(path, text + "\n").map_err(local(doing))
}

pub fn failed(error: DeployError) -> Failure {
    let exit = match &error {
        DeployError::NoToken { .. }
        | DeployError::NoContract { .. }
        | DeployError::NoProxy { .. }
        | DeployError::OldState { .. } => Exit::NotFound,
        DeployError::Refused { .. } | DeployError::Reverted { .. } => Exit::Rejected,
        DeployError::Silent | DeployError::NotSeen { .. } => Exit::Unavailable,
    };
    let hint = "what was deployed before this stays; run the command again to go on";
    Failure::new(exit, error.to_string(), hint)
}
