//! Two small jobs paid in other ways: by a plain transfer to a vault, and by a delegate's word.
use std::path::Path;

use alloy::primitives::Address;
use alloy::signers::local::PrivateKeySigner;
use contracts::funding::{order_to_sol, vault_address};
use contracts::spec::Resolution;
use contracts::text::checksummed;
use contracts::{Amount, Funding, JobId, Order};
use serde::Serialize;

use super::report::Sent;
use super::{Play, submit};
use crate::chain::{Chain, Mined};
use crate::delegate::set_delegate;
use crate::exit::{Exit, Failure, Outcome};
use crate::job::{Quote, Submit, ask_quote, order_vault, submit_quote};
use crate::order::id_of;
use crate::review;
use crate::watch::JobView;

/// Both jobs are of these frames.
const FRAMES: &str = "1-2";
/// What an exchange sends above the cap, because it was asked for a round amount.
const SURPLUS: &str = "0.25";

/// A job that a wallet paid for which can do nothing but send tokens.
#[derive(Serialize)]
pub struct PaidByTransfer {
    pub job_id: JobId,
    #[serde(with = "checksummed")]
    pub vault: Address,
    pub paid: Amount,
    /// What came back to the order's refund_to.
    pub rescued: Amount,
}

/// A job that a delegate opened for its wallet, and one that it could not open.
#[derive(Serialize)]
pub struct PaidByDelegate {
    pub job_id: JobId,
    #[serde(with = "checksummed")]
    pub agent: Address,
    pub allowance: Amount,
    /// Why the job beyond the allowance was refused.
    pub refused: String,
}

/// A vault's order, once it is paid and open.
struct Vaulted {
    order: Order,
    job_id: JobId,
    vault: Address,
    paid: Amount,
}

impl Play<'_> {
    /// Both jobs at once, from opening to closed.
    pub(super) async fn other_doors(&mut self) -> Outcome<(PaidByTransfer, PaidByDelegate)> {
        let scene = self.stage.folder.join("demo.pov");
        let vaulted = self.pay_by_transfer(&scene).await?;
        let (delegated, allowance) = self.pay_by_delegate(&scene).await?;
        let creator = self.cast.creator.key.clone();
        let agent = self.cast.agent.clone();
        for (job_id, key, what) in [
            (vaulted.job_id, &creator, "the vault's job"),
            (delegated, &agent, "the delegate's job"),
        ] {
            let rendered = |job: &JobView| job.units.done() == job.units.total;
            self.until(job_id, &format!("{what} is rendered"), rendered).await?;
            let wish = review::Wish::Approve { rest: false };
            review::word(&self.remote, &self.chain, key, job_id, FRAMES, wish).await?;
        }
        let refused = self.beyond_the_allowance(&scene).await?;
        self.until(vaulted.job_id, "the vault's job is paid and closed", |job| job.closed).await?;
        self.until(delegated, "the delegate's job is paid and closed", |job| job.closed).await?;
        let rescued = self.rescue(&vaulted).await?;
        let Vaulted { job_id, vault, paid, .. } = vaulted;
        let transfer = PaidByTransfer { job_id, vault, paid, rescued };
        let agent = agent.address();
        Ok((transfer, PaidByDelegate { job_id: delegated, agent, allowance, refused }))
    }

    async fn quote(&self, command: &Submit) -> Outcome<Quote> {
        let payer = Some(self.cast.creator.address());
        ask_quote(&self.remote, &command.asked, self.chain.decimals, payer).await
    }

    /// The chain, as another wallet of the play sees it.
    async fn as_seen_by(&self, key: &PrivateKeySigner) -> Outcome<Chain> {
        Chain::of(&self.settings, Some(key.clone())).await
    }

    fn keep(&mut self, sender: &str, action: &str, mined: &Mined) {
        self.sent.push(Sent::new(sender, action, mined.tx_hash));
    }

    fn funding_address(&self) -> Outcome<Address> {
        self.settings.chain.funding.ok_or_else(|| {
            Failure::new(Exit::Failed, "the demo has no Funding contract", "see its log")
        })
    }

    /// The exchange only sends tokens; the operator, a stranger to the job, opens it.
    async fn pay_by_transfer(&mut self, scene: &Path) -> Outcome<Vaulted> {
        let command = small(scene, "paid by a transfer");
        let (quote, creator) = (self.quote(&command).await?, self.cast.creator.address());
        let order = order_vault(&self.remote, &self.chain, creator, &quote, &command).await?;
        let job_id = id_of(&order, &self.chain);
        let vault = vault_address(self.funding_address()?, job_id);
        let surplus = self.chain.read_amount(SURPLUS)?;
        let paid = order.cap.checked_add(surplus).map_err(super::stage::amount)?;
        let exchange = self.as_seen_by(&self.cast.exchange).await?;
        let transfer = exchange.token.transfer(vault, paid.to_u256());
        let mined = exchange.send("pay the vault", transfer).await?;
        self.keep("exchange", "transfer to the vault", &mined);
        self.say(&format!("an exchange sent {} to vault {vault}", self.chain.show(paid)));
        let operator = self.as_seen_by(&self.cast.operator.key).await?;
        let funding = Funding::new(self.funding_address()?, operator.provider.clone());
        let call = funding.openFromVault(order_to_sol(&order));
        let mined = operator.send("open the job from its vault", call).await?;
        self.keep("operator", "open from the vault", &mined);
        self.say(&format!("the operator opened job {job_id} with the vault's money"));
        Ok(Vaulted { order, job_id, vault, paid })
    }

    /// The creator lets an agent's key spend exactly one such job; the key has no money of its own.
    async fn pay_by_delegate(&mut self, scene: &Path) -> Outcome<(JobId, Amount)> {
        let command = self.as_delegate(scene);
        let quote = self.quote(&command).await?;
        let allowance = quote.known.cap.amount;
        let (agent, settler) = (self.cast.agent.address(), self.cast.settler.address());
        let mined = set_delegate(&self.chain, agent, settler, allowance, allowance, 1).await?;
        self.keep("creator", "set the delegate", &mined);
        let shown = self.chain.show(allowance);
        self.say(&format!("creator lets agent {agent} open jobs of {shown} in all"));
        // The API knows of the delegate once the index does.
        let _: serde_json::Value = self.remote.get(&self.account_at(mined.block)).await?;
        let key = &self.cast.agent;
        let job = submit_quote(&self.remote, &self.chain, key, &quote, &command).await?;
        let job_id = super::id_in(&job)?;
        self.say(&format!("the agent signed the order of job {job_id} on the creator's account"));
        Ok((job_id, allowance))
    }

    /// The same again, which the allowance does not cover any more.
    async fn beyond_the_allowance(&mut self, scene: &Path) -> Outcome<String> {
        let command = self.as_delegate(scene);
        let quote = self.quote(&command).await?;
        let key = &self.cast.agent;
        match submit_quote(&self.remote, &self.chain, key, &quote, &command).await {
            Err(failure) if failure.exit == Exit::Rejected => {
                self.say(&format!("the agent's next job was refused: {}", failure.message));
                Ok(failure.message)
            }
            Err(failure) => Err(failure),
            Ok(_) => {
                let message = "a delegate spent more than its allowance";
                Err(Failure::new(Exit::Mismatch, message, "the chain must refuse it"))
            }
        }
    }

    /// What the exchange sent too much goes to the creator's wallet; vault and Funding are empty.
    async fn rescue(&mut self, vaulted: &Vaulted) -> Outcome<Amount> {
        let creator = self.cast.creator.address();
        let before = self.chain.token_balance(creator).await?;
        let operator = self.as_seen_by(&self.cast.operator.key).await?;
        let funding = Funding::new(self.funding_address()?, operator.provider.clone());
        let token = *self.chain.token.address();
        let call = funding.rescueVault(order_to_sol(&vaulted.order), token);
        let mined = operator.send("rescue the vault", call).await?;
        self.keep("operator", "rescue the vault", &mined);
        let after = self.chain.token_balance(creator).await?;
        let rescued = after.checked_sub(before).map_err(super::stage::amount)?;
        let surplus = vaulted.paid.checked_sub(vaulted.order.cap).map_err(super::stage::amount)?;
        let left = self.chain.token_balance(vaulted.vault).await?;
        let kept = self.chain.token_balance(*funding.address()).await?;
        if rescued != surplus || !left.is_zero() || !kept.is_zero() {
            let message = format!(
                "{rescued} of {surplus} base units came back; vault and Funding hold {left}, {kept}"
            );
            return Err(Failure::new(Exit::Mismatch, message, "every wei must be accounted for"));
        }
        self.say(&format!("{} too much came back to the creator", self.chain.show(rescued)));
        Ok(rescued)
    }

    fn as_delegate(&self, scene: &Path) -> Submit {
        let payer = Some(self.cast.creator.address().to_string());
        Submit { payer, ..small(scene, "opened by a delegate") }
    }
}

fn small(scene: &Path, name: &str) -> Submit {
    let mut command = submit(scene);
    command.asked.frames = FRAMES.into();
    command.asked.size = Resolution { width: 160, height: 90 };
    command.name = name.into();
    command
}
