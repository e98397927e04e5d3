//! `rndr deploy`: puts the escrow, and on a test chain the legacy token's double, on a chain.
use alloy::primitives::Address;
use clap::Args;
use contracts::Amount;
use contracts::deploy::{DeployError, Deployment, Offices, deploy_escrow, deploy_legacy_rndr};
use contracts::text::checksummed;
use serde::Serialize;

use crate::chain::{chain_id, provider};
use crate::config::Settings;
use crate::exit::{Exit, Failure, Outcome};
use crate::talk::{Talk, table};
use crate::wallet::{address, open};

/// Chain ids of local test chains: anybody may mint the token's double, so it goes nowhere else.
const TEST_CHAINS: [u64; 2] = [1_337, 31_337];
/// RNDR has this many decimals.
const DECIMALS: u8 = 18;

#[derive(Args, Debug)]
pub struct Deploy {
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
}

#[derive(Serialize)]
pub struct Deployed {
    pub chain_id: u64,
    pub escrow: Deployment,
    #[serde(with = "checksummed")]
    pub token: Address,
    /// Zero: nobody.
    #[serde(with = "checksummed")]
    pub issuer: Address,
    #[serde(with = "checksummed")]
    pub guardian: Address,
    /// The token's double, when it was deployed too.
    pub test_token: Option<Deployment>,
}

pub async fn deploy(command: Deploy, settings: &Settings, talk: &Talk) -> Outcome {
    let offices = offices(&command)?;
    let key = open(settings).await?;
    let holder = key.address();
    let provider = provider(&settings.chain.rpc_url, Some(key))?;
    let chain_id = chain_id(&provider).await?;
    let (token, test_token) = match &command.token {
        Some(text) => (address(text)?, None),
        None => {
            check_test_chain(chain_id)?;
            let supply = Amount::from_decimal(&command.supply, DECIMALS).map_err(|error| {
                Failure::usage(error.to_string(), "write --supply like 1000000")
            })?;
            let double = deploy_legacy_rndr(&provider, holder, supply).await.map_err(failed)?;
            (double.address, Some(double))
        }
    };
    let escrow = deploy_escrow(&provider, token, offices).await.map_err(failed)?;
    let Offices { issuer, guardian } = offices;
    let deployed = Deployed { chain_id, escrow, token, issuer, guardian, test_token };
    talk.data(&deployed, || {
        table(&[
            ("escrow", escrow.address.to_string()),
            ("deployed in block", escrow.block.to_string()),
            ("token", token.to_string()),
            ("issuer of credit", holder_of(issuer)),
            ("guardian", holder_of(guardian)),
            ("chain", chain_id.to_string()),
        ])
    });
    Ok(())
}

fn offices(command: &Deploy) -> Outcome<Offices> {
    let read = |text: &Option<String>| text.as_deref().map_or(Ok(Address::ZERO), address);
    Ok(Offices { issuer: read(&command.issuer)?, guardian: read(&command.guardian)? })
}

fn holder_of(office: Address) -> String {
    if office.is_zero() { "nobody".to_owned() } else { office.to_string() }
}

fn check_test_chain(chain_id: u64) -> Outcome {
    if TEST_CHAINS.contains(&chain_id) {
        return Ok(());
    }
    let message = format!("chain {chain_id} is no local test chain; anybody may mint the double");
    Err(Failure::usage(message, "name the real token with --token"))
}

pub fn failed(error: DeployError) -> Failure {
    let exit = match &error {
        DeployError::NoToken { .. } | DeployError::NoContract { .. } => Exit::NotFound,
        DeployError::Refused { .. } | DeployError::Reverted { .. } => Exit::Rejected,
        DeployError::Silent | DeployError::NotSeen { .. } => Exit::Unavailable,
    };
    Failure::new(exit, error.to_string(), "nothing else was deployed")
}
