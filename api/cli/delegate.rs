//! Delegates: keys that open jobs on a wallet's account, within bounds that the wallet sets.
use alloy::primitives::Address;
use alloy::primitives::aliases::U40;
use clap::{Args, Subcommand};
use contracts::text::checksummed;
use contracts::{Amount, Order};
use serde::Serialize;

use crate::chain::{Chain, Mined};
use crate::config::Settings;
use crate::exit::{Exit, Failure, Outcome, contract};
use crate::talk::{Talk, table};
use crate::wallet::{address, chain, open};

const DAY: u64 = 86_400;

#[derive(Subcommand, Debug)]
pub enum DelegateCommand {
    /// Let a key open jobs on the wallet's account; replaces what was set for it
    Set(Set),
    /// Take it back: jobs that are open stay open
    Revoke {
        /// The delegate's address
        agent: String,
    },
    /// Show a delegate's bounds, straight from the chain
    Show {
        /// The delegate's address
        agent: String,
        /// On whose account; the wallet's own when left out
        #[arg(long, value_name = "ADDRESS")]
        payer: Option<String>,
    },
}

#[derive(Args, Debug)]
pub struct Set {
    /// The delegate's address
    agent: String,
    /// The one settler that it may open jobs with
    #[arg(long, value_name = "ADDRESS")]
    settler: String,
    /// The caps of all its jobs together, like 10; nothing that returns counts back
    #[arg(long, value_name = "AMOUNT")]
    allowance: String,
    /// The cap of each of its jobs; the whole allowance when left out
    #[arg(long, value_name = "AMOUNT")]
    max_per_job: Option<String>,
    /// Days from now until it ends
    #[arg(long, default_value_t = 30)]
    days: u32,
}

/// What a delegate may do now.
#[derive(Serialize)]
struct Bounds {
    #[serde(with = "checksummed")]
    payer: Address,
    #[serde(with = "checksummed")]
    agent: Address,
    #[serde(with = "checksummed")]
    settler: Address,
    allowance: Amount,
    max_per_job: Amount,
    /// Unix seconds; 0 when it is no delegate.
    expiry: u64,
    /// Whether it may still open a job.
    live: bool,
    transaction: Option<Mined>,
}

impl Bounds {
    async fn read(
        chain: &Chain,
        payer: Address,
        agent: Address,
        transaction: Option<Mined>,
    ) -> Outcome<Bounds> {
        let found = chain.escrow.delegate(payer, agent).call().await;
        let found = found.map_err(|error| contract("read the delegate", &error))?;
        let expiry = found.expiry.to::<u64>();
        let allowance = Amount::from(found.allowance);
        let live = chain.now().await? < expiry && !allowance.is_zero();
        let (settler, max_per_job) = (found.settler, Amount::from(found.maxPerJob));
        Ok(Bounds { payer, agent, settler, allowance, max_per_job, expiry, live, transaction })
    }

    fn tell(&self, chain: &Chain, talk: &Talk) {
        talk.data(self, || {
            let mut rows = vec![
                ("delegate", self.agent.to_string()),
                ("on the account", self.payer.to_string()),
                ("may open jobs", if self.live { "yes" } else { "no" }.to_owned()),
                ("with the settler", self.settler.to_string()),
                ("in all, still", chain.show(self.allowance)),
                ("each, at most", chain.show(self.max_per_job)),
                ("until", format!("{} (unix seconds)", self.expiry)),
            ];
            rows.extend(self.transaction.iter().map(|m| ("transaction", m.tx_hash.to_string())));
            table(&rows)
        });
    }
}

pub async fn delegate(command: DelegateCommand, settings: &Settings, talk: &Talk) -> Outcome {
    match command {
        DelegateCommand::Set(command) => set(&command, settings, talk).await,
        DelegateCommand::Revoke { agent } => {
            let (agent, chain) = (address(&agent)?, chain(settings).await?);
            let call = chain.escrow.revokeDelegate(agent);
            let mined = chain.send("revoke the delegate", call).await?;
            Bounds::read(&chain, chain.sender, agent, Some(mined)).await?.tell(&chain, talk);
            Ok(())
        }
        DelegateCommand::Show { agent, payer } => {
            let agent = address(&agent)?;
            let payer = match &payer {
                Some(text) => address(text)?,
                None => open(settings).await?.address(),
            };
            let chain = Chain::of(settings, None).await?;
            Bounds::read(&chain, payer, agent, None).await?.tell(&chain, talk);
            Ok(())
        }
    }
}

async fn set(command: &Set, settings: &Settings, talk: &Talk) -> Outcome {
    let (agent, settler) = (address(&command.agent)?, address(&command.settler)?);
    let chain = chain(settings).await?;
    let allowance = chain.read_amount(&command.allowance)?;
    let max_per_job = command.max_per_job.as_deref().map(|text| chain.read_amount(text));
    let max_per_job = max_per_job.transpose()?.unwrap_or(allowance);
    let mined = set_delegate(&chain, agent, settler, allowance, max_per_job, command.days).await?;
    Bounds::read(&chain, chain.sender, agent, Some(mined)).await?.tell(&chain, talk);
    Ok(())
}

pub async fn set_delegate(
    chain: &Chain,
    agent: Address,
    settler: Address,
    allowance: Amount,
    max_per_job: Amount,
    days: u32,
) -> Outcome<Mined> {
    let expiry = chain.now().await?.saturating_add(u64::from(days).saturating_mul(DAY));
    let (allowance, max_per_job) = (allowance.to_u96(), max_per_job.to_u96());
    let expiry = U40::saturating_from(expiry);
    let call = chain.escrow.setDelegate(agent, settler, allowance, max_per_job, expiry);
    chain.send("set the delegate", call).await
}

/// Whether the chain would let this delegate open this order now: better said before it signs.
pub async fn check_bounds(chain: &Chain, order: &Order, agent: Address) -> Outcome {
    let bounds = Bounds::read(chain, order.payer, agent, None).await?;
    let payer = order.payer;
    let refused = |message: String, hint: &str| Err(Failure::new(Exit::Rejected, message, hint));
    if chain.now().await? >= bounds.expiry {
        let message = format!("{agent} is no delegate of {payer}, or no longer");
        return refused(message, "the payer runs `rndr delegate set`");
    }
    if bounds.settler != order.settler {
        let (settler, only) = (order.settler, bounds.settler);
        let message = format!("the job's settler is {settler}; {agent} may use {only} alone");
        return refused(message, "use the API of that settler, or have the delegate set anew");
    }
    if order.cap > bounds.allowance || order.cap > bounds.max_per_job {
        let (cap, left) = (chain.show(order.cap), chain.show(bounds.allowance));
        let each = chain.show(bounds.max_per_job);
        let message = format!(
            "the job may cost {cap}; {agent} may spend {left} of {payer}'s money, {each} a job"
        );
        return refused(message, "lower --max-spend, or have the payer set the bounds anew");
    }
    Ok(())
}
