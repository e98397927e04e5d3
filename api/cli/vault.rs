//! Vaults: a job's own address, to which a plain transfer of its cap pays for it.
use alloy::primitives::Address;
use alloy::providers::DynProvider;
use clap::Subcommand;
use contracts::funding::{order_to_sol, vault_address};
use contracts::text::checksummed;
use contracts::{Amount, Funding, JobId};
use serde::Serialize;

use crate::chain::{Chain, Mined};
use crate::config::Settings;
use crate::exit::{Exit, Failure, Outcome, contract};
use crate::order::{find, id_of};
use crate::talk::{Talk, table};
use crate::wallet::{address, chain};

#[derive(Subcommand, Debug)]
pub enum VaultCommand {
    /// Show where to send the tokens for an order, computed here from its terms
    Address {
        /// File with the order as JSON, or the id of a job that is open
        order: String,
    },
    /// Open the job with what its vault holds; anyone may
    Open {
        /// File with the order as JSON
        order: String,
    },
    /// Send what a vault still holds to the order's refund_to; anyone may
    Rescue {
        /// File with the order as JSON, or the id of a job that was opened
        order: String,
        /// Which token; the escrow's when left out, zero for ether
        #[arg(long, value_name = "ADDRESS")]
        token: Option<String>,
    },
}

pub type FundingAt = Funding::FundingInstance<DynProvider>;

/// The ways in of these settings, which must be this escrow's.
pub async fn funding(chain: &Chain, settings: &Settings) -> Outcome<FundingAt> {
    let at = settings.chain.funding.ok_or_else(|| {
        let hint = "name it with --deployment FILE or RNDR__CHAIN__FUNDING, from a source you \
                    trust";
        Failure::usage("no Funding contract is named", hint)
    })?;
    let funding = Funding::new(at, chain.provider.clone());
    let escrow = funding.escrow().call().await;
    let escrow = escrow.map_err(|error| contract("ask Funding for its escrow", &error))?;
    if escrow != *chain.escrow.address() {
        let asked = chain.escrow.address();
        let text = format!("Funding at {at} is of the escrow {escrow}; this one is {asked}");
        return Err(Failure::mismatch(text));
    }
    Ok(funding)
}

/// A vault and what is in it.
#[derive(Serialize)]
pub struct VaultView {
    pub job_id: JobId,
    #[serde(with = "checksummed")]
    pub vault: Address,
    /// What opens the job.
    pub cap: Amount,
    /// The vault's tokens, and what the escrow holds for it.
    pub held: Amount,
    /// none, open or closed.
    pub job: &'static str,
    /// Unix seconds: the job opens before it, and the money is rescued from it on.
    pub open_by: u64,
    #[serde(with = "checksummed")]
    pub refund_to: Address,
    pub transaction: Option<Mined>,
}

impl VaultView {
    pub async fn read(
        chain: &Chain,
        funding: Address,
        order: &contracts::Order,
        transaction: Option<Mined>,
    ) -> Outcome<VaultView> {
        let job_id = id_of(order, chain);
        let vault = vault_address(funding, job_id);
        let job = chain.escrow.job(job_id).call().await;
        let job = job.map_err(|error| contract("read the job", &error))?;
        let held = chain.token_balance(vault).await?;
        let held = held.checked_add(chain.free(vault).await?).unwrap_or(Amount::MAX);
        let job = match job.status {
            0 => "none",
            1 => "open",
            _ => "closed",
        };
        let (cap, open_by, refund_to) = (order.cap, order.open_by, order.refund_to);
        Ok(VaultView { job_id, vault, cap, held, job, open_by, refund_to, transaction })
    }

    pub fn tell(&self, chain: &Chain, talk: &Talk) {
        talk.data(self, || {
            let mut rows = vec![
                ("vault", self.vault.to_string()),
                ("send", format!("{} of token {}", chain.show(self.cap), chain.token.address())),
                ("holds", chain.show(self.held)),
                ("opens until", format!("{} (unix seconds)", self.open_by)),
                ("rest goes to", self.refund_to.to_string()),
                ("job", format!("{}, {}", self.job_id, self.job)),
            ];
            rows.extend(self.transaction.iter().map(|m| ("transaction", m.tx_hash.to_string())));
            table(&rows)
        });
    }
}

pub async fn vault(command: VaultCommand, settings: &Settings, talk: &Talk) -> Outcome {
    let (text, chain) = match &command {
        VaultCommand::Address { order } => (order, Chain::of(settings, None).await?),
        VaultCommand::Open { order } | VaultCommand::Rescue { order, .. } => {
            (order, chain(settings).await?)
        }
    };
    let funding = funding(&chain, settings).await?;
    let order = find(text, &chain).await?;
    let sent = match &command {
        VaultCommand::Address { .. } => None,
        VaultCommand::Open { .. } => {
            let found = VaultView::read(&chain, *funding.address(), &order, None).await?;
            if found.job != "none" {
                let message =
                    format!("job {} was opened before; it is {}", found.job_id, found.job);
                let hint = "what the vault holds comes back by `rndr vault rescue`";
                return Err(Failure::new(Exit::Rejected, message, hint));
            }
            let call = funding.openFromVault(order_to_sol(&order));
            Some(chain.send("open the job from its vault", call).await?)
        }
        VaultCommand::Rescue { token, .. } => {
            let token = token.as_deref().map_or(Ok(*chain.token.address()), address)?;
            let call = funding.rescueVault(order_to_sol(&order), token);
            Some(chain.send("rescue the vault", call).await?)
        }
    };
    VaultView::read(&chain, *funding.address(), &order, sent).await?.tell(&chain, talk);
    Ok(())
}
