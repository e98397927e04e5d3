//! The offices of a deployment: the issuer's credit, and the guardian's pause.
use alloy::primitives::Address;
use alloy::primitives::aliases::U40;
use clap::{Args, Subcommand};
use contracts::Amount;
use contracts::text::checksummed;
use serde::Serialize;

use crate::chain::{Chain, Mined};
use crate::config::Settings;
use crate::exit::{Exit, Failure, Outcome, contract};
use crate::talk::{Talk, table};
use crate::wallet::{address, approve, chain};

#[derive(Subcommand, Debug)]
pub enum CreditCommand {
    /// Pay in tokens of the wallet, the issuer's, as credit of an account
    Issue {
        /// How much, like 1.5
        amount: String,
        /// Whose account
        #[arg(long, value_name = "ADDRESS")]
        to: String,
    },
    /// Name the one settler that takes credit from now on; the wallet is the issuer's
    NameSettler {
        /// The settler's address
        settler: String,
    },
    /// Show the offices, and an account's credit, straight from the chain
    Show {
        /// Whose credit
        account: Option<String>,
    },
}

#[derive(Args, Debug)]
pub struct Pause {
    /// How long, in hours; at most 168, and then not again for 30 days
    #[arg(long, default_value_t = 168)]
    hours: u32,
}

/// The offices as the chain has them, and what just happened to them.
#[derive(Serialize)]
struct Offices {
    /// Zero: nobody.
    #[serde(with = "checksummed")]
    issuer: Address,
    #[serde(with = "checksummed")]
    guardian: Address,
    /// Zero: no settler takes credit.
    #[serde(with = "checksummed")]
    credit_settler: Address,
    /// Unix seconds; the ways in are shut before it.
    paused_until: u64,
    paused: bool,
    account: Option<String>,
    credit: Option<Amount>,
    transactions: Vec<Mined>,
}

impl Offices {
    async fn read(chain: &Chain, of: Option<Address>, sent: Vec<Mined>) -> Outcome<Offices> {
        let found = chain.escrow.offices().call().await;
        let found = found.map_err(|error| contract("read the offices", &error))?;
        let credit = match of {
            Some(account) => Some(chain.balances(account).await?.1),
            None => None,
        };
        let paused_until = found.pausedUntil.to::<u64>();
        Ok(Offices {
            issuer: found.issuer,
            guardian: found.guardian,
            credit_settler: found.creditSettler,
            paused_until,
            paused: chain.now().await? < paused_until,
            account: of.map(|account| account.to_checksum(None)),
            credit,
            transactions: sent,
        })
    }

    fn tell(&self, chain: &Chain, talk: &Talk) {
        let name = |office: Address| match office.is_zero() {
            true => "nobody".to_owned(),
            false => office.to_string(),
        };
        talk.data(self, || {
            let mut rows = vec![
                ("issuer of credit", name(self.issuer)),
                ("settler that takes it", name(self.credit_settler)),
                ("guardian", name(self.guardian)),
            ];
            rows.push(match self.paused {
                true => ("paused until", format!("{} (unix seconds)", self.paused_until)),
                false => ("paused", "no".to_owned()),
            });
            rows.extend(self.account.iter().map(|account| ("account", account.clone())));
            rows.extend(self.credit.map(|credit| ("its credit", chain.show(credit))));
            let hashes = self.transactions.iter().map(|mined| mined.tx_hash.to_string());
            rows.extend(hashes.map(|hash| ("transaction", hash)));
            table(&rows)
        });
    }
}

pub async fn credit(command: CreditCommand, settings: &Settings, talk: &Talk) -> Outcome {
    match command {
        CreditCommand::Issue { amount, to } => {
            let (to, chain) = (address(&to)?, chain(settings).await?);
            let amount = chain.read_amount(&amount)?;
            chain.check_pull(amount).await?;
            let mut sent = approve(&chain, amount).await?;
            let call = chain.escrow.issueCredit(to, amount.to_u96());
            sent.push(chain.send("issue credit", call).await?);
            Offices::read(&chain, Some(to), sent).await?.tell(&chain, talk);
        }
        CreditCommand::NameSettler { settler } => {
            let (settler, chain) = (address(&settler)?, chain(settings).await?);
            let mined = chain.send("name the settler", chain.escrow.nameSettler(settler)).await?;
            Offices::read(&chain, None, vec![mined]).await?.tell(&chain, talk);
        }
        CreditCommand::Show { account } => {
            let account = account.as_deref().map(address).transpose()?;
            let chain = Chain::of(settings, None).await?;
            Offices::read(&chain, account, Vec::new()).await?.tell(&chain, talk);
        }
    }
    Ok(())
}

pub async fn pause(command: Pause, settings: &Settings, talk: &Talk) -> Outcome {
    if command.hours == 0 {
        return Err(Failure::new(Exit::Usage, "a pause of no time", "name --hours above zero"));
    }
    let chain = chain(settings).await?;
    let until = chain.now().await?.saturating_add(u64::from(command.hours) * 3_600);
    let call = chain.escrow.pause(U40::saturating_from(until));
    let mined = chain.send("pause the ways in", call).await?;
    Offices::read(&chain, None, vec![mined]).await?.tell(&chain, talk);
    Ok(())
}

pub async fn unpause(settings: &Settings, talk: &Talk) -> Outcome {
    let chain = chain(settings).await?;
    let mined = chain.send("end the pause", chain.escrow.unpause()).await?;
    Offices::read(&chain, None, vec![mined]).await?.tell(&chain, talk);
    Ok(())
}
