//! Straight to the chain: balances and terms read, calls checked first, sent, and waited for.
use std::time::Duration;

use alloy::contract::{CallBuilder, CallDecoder};
use alloy::eips::BlockNumberOrTag;
use alloy::network::{Ethereum, EthereumWallet};
use alloy::primitives::{Address, B256, U256};
use alloy::providers::{DynProvider, Provider, ProviderBuilder};
use alloy::rpc::types::Filter;
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::SolEvent;
use contracts::{Amount, JobId, Order, RenderEscrow};
use serde::Serialize;

use crate::config::Settings;
use crate::exit::{Exit, Failure, Outcome, chain, contract};

/// One answer of the chain node.
const ANSWER_WAIT: Duration = Duration::from_secs(30);
/// From sending to mined: a few slow blocks of the main chain.
const MINED_WAIT: Duration = Duration::from_secs(180);
/// How often a node is asked whether it is mined.
const RECEIPT_POLL: Duration = Duration::from_millis(250);

alloy::sol! {
    /// What any ERC-20 answers; `paused` only where there is a pause, as in legacy RNDR's family.
    #[sol(rpc)]
    interface Token {
        function symbol() external view returns (string);
        function decimals() external view returns (uint8);
        function balanceOf(address owner) external view returns (uint256);
        function allowance(address owner, address spender) external view returns (uint256);
        function approve(address spender, uint256 amount) external returns (bool);
        function transfer(address to, uint256 amount) external returns (bool);
        function paused() external view returns (bool);
    }
}

/// The escrow and its token, as one wallet (or nobody in particular) sees them.
pub struct Chain {
    pub provider: DynProvider,
    pub escrow: RenderEscrow::RenderEscrowInstance<DynProvider>,
    pub token: Token::TokenInstance<DynProvider>,
    pub chain_id: u64,
    pub symbol: String,
    pub decimals: u8,
    /// Who sends; zero when this run only reads.
    pub sender: Address,
}

/// A transaction that did what was asked.
#[derive(Clone, Debug, Serialize)]
pub struct Mined {
    pub tx_hash: B256,
    pub block: u64,
    pub gas_used: u64,
}

/// A provider with time limits, signing with `key` when there is one.
pub fn provider(rpc_url: &str, key: Option<PrivateKeySigner>) -> Outcome<DynProvider> {
    let url: reqwest::Url = rpc_url.parse().map_err(|error| {
        Failure::usage(format!("`{rpc_url}` is no URL: {error}"), "write http://host:port")
    })?;
    let http = reqwest::Client::builder().timeout(ANSWER_WAIT).build().map_err(|error| {
        Failure::new(Exit::Failed, format!("HTTP cannot be set up: {error}"), "try again")
    })?;
    let provider = match key {
        Some(key) => {
            let wallet = EthereumWallet::from(key);
            ProviderBuilder::new().wallet(wallet).connect_reqwest(http, url).erased()
        }
        None => ProviderBuilder::new().connect_reqwest(http, url).erased(),
    };
    provider.client().set_poll_interval(RECEIPT_POLL);
    Ok(provider)
}

/// The chain's own id, by its node.
pub async fn chain_id(provider: &DynProvider) -> Outcome<u64> {
    provider.get_chain_id().await.map_err(|error| chain("say its chain id", &error))
}

impl Chain {
    /// The escrow of the settings, on the chain that their deployment file names, if there is one.
    pub async fn of(settings: &Settings, key: Option<PrivateKeySigner>) -> Outcome<Chain> {
        let rpc_url = &settings.chain.rpc_url;
        if let Some(wanted) = settings.chain.chain_id {
            let found = chain_id(&provider(rpc_url, None)?).await?;
            if found != wanted {
                let message = format!("{rpc_url} is of chain {found}; the deployment, of {wanted}");
                let hint = "check --deployment and --rpc-url (RNDR__CHAIN__RPC_URL)";
                return Err(Failure::new(Exit::Mismatch, message, hint));
            }
        }
        Chain::connect(rpc_url, settings.escrow()?, key).await
    }

    pub async fn connect(
        rpc_url: &str,
        escrow: Address,
        key: Option<PrivateKeySigner>,
    ) -> Outcome<Chain> {
        let sender = key.as_ref().map(PrivateKeySigner::address).unwrap_or_default();
        let provider = provider(rpc_url, key)?;
        let chain_id = chain_id(&provider).await?;
        let code = provider.get_code_at(escrow).await;
        if code.map_err(|error| chain("show the escrow's code", &error))?.is_empty() {
            let message = format!("there is no contract at {escrow} on chain {chain_id}");
            return Err(Failure::new(Exit::NotFound, message, "check --escrow and --rpc-url"));
        }
        let escrow = RenderEscrow::new(escrow, provider.clone());
        let token = escrow.token().call().await.map_err(|error| contract("read it", &error))?;
        let token = Token::new(token, provider.clone());
        let symbol = token.symbol().call().await.map_err(|error| contract("read it", &error))?;
        let decimals =
            token.decimals().call().await.map_err(|error| contract("read it", &error))?;
        Ok(Chain { provider, escrow, token, chain_id, symbol, decimals, sender })
    }

    /// "1.5 RNDR".
    pub fn show(&self, amount: Amount) -> String {
        format!("{} {}", amount.to_decimal(self.decimals), self.symbol)
    }

    /// "1.5" of this token.
    pub fn read_amount(&self, text: &str) -> Outcome<Amount> {
        Amount::from_decimal(text, self.decimals).map_err(|error| {
            Failure::usage(error.to_string(), format!("write {} like 1.5", self.symbol))
        })
    }

    pub async fn token_balance(&self, owner: Address) -> Outcome<Amount> {
        let balance = self.token.balanceOf(owner).call().await;
        balance.map(clip).map_err(|error| contract("read the balance", &error))
    }

    pub async fn allowance(&self, owner: Address) -> Outcome<Amount> {
        let allowance = self.token.allowance(owner, *self.escrow.address()).call().await;
        allowance.map(clip).map_err(|error| contract("read the allowance", &error))
    }

    pub async fn free(&self, owner: Address) -> Outcome<Amount> {
        Ok(self.balances(owner).await?.0)
    }

    /// What an account has free in the escrow, and its credit.
    pub async fn balances(&self, owner: Address) -> Outcome<(Amount, Amount)> {
        let account = self.escrow.account(owner).call().await;
        let account = account.map_err(|error| contract("read the account", &error))?;
        Ok((account.free.into(), account.credit.into()))
    }

    /// Names the causes for which legacy RNDR reverts without a word, before anything is sent.
    pub async fn check_pull(&self, amount: Amount) -> Outcome {
        // Tokens without a pause have no such function: an error means no.
        if self.token.paused().call().await.unwrap_or(false) {
            let message = format!("the token {} is paused: nothing can be deposited", self.symbol);
            return Err(Failure::new(Exit::Rejected, message, "wait until its owner resumes it"));
        }
        let balance = self.token_balance(self.sender).await?;
        if balance < amount {
            let (have, need) = (self.show(balance), self.show(amount));
            let message = format!("{} holds {have}, {need} are needed", self.sender);
            let hint = "send tokens to this wallet first, or name a smaller amount";
            return Err(Failure::new(Exit::InsufficientFunds, message, hint));
        }
        let gas = self.provider.get_balance(self.sender).await;
        if gas.map_err(|error| chain("show the gas money", &error))?.is_zero() {
            let message = format!("{} has no gas money on chain {}", self.sender, self.chain_id);
            return Err(Failure::new(Exit::InsufficientFunds, message, "send it some ether"));
        }
        Ok(())
    }

    /// Calls first, so that a refusal has a name and costs nothing; then sends, and waits.
    pub async fn send<P: Provider, D: CallDecoder + Unpin>(
        &self,
        doing: &str,
        call: CallBuilder<P, D, Ethereum>,
    ) -> Outcome<Mined> {
        let call = call.from(self.sender);
        call.call_raw().await.map_err(|error| contract(doing, &error))?;
        let pending = call.send().await.map_err(|error| contract(doing, &error))?;
        let tx_hash = *pending.tx_hash();
        let receipt = pending.with_timeout(Some(MINED_WAIT)).get_receipt().await;
        let receipt = receipt.map_err(|error| {
            let message = format!("transaction {tx_hash} was sent and not seen mined: {error}");
            let hint = "look it up by its hash before sending again: it may still be mined";
            Failure::new(Exit::Unavailable, message, hint)
        })?;
        if !receipt.status() {
            let message = format!("transaction {tx_hash} to {doing} was mined and reverted");
            let hint = "the state changed between check and block; run the command again";
            return Err(Failure::new(Exit::Rejected, message, hint));
        }
        let block = receipt.block_number.unwrap_or_default();
        Ok(Mined { tx_hash, block, gas_used: receipt.gas_used })
    }

    /// The terms of an opened job, from its own log: needs no server of ours.
    pub async fn order_of(&self, job_id: JobId) -> Outcome<Order> {
        let filter = Filter::new()
            .address(*self.escrow.address())
            .event_signature(RenderEscrow::Opened::SIGNATURE_HASH)
            .topic1(job_id)
            .from_block(BlockNumberOrTag::Earliest);
        let logs = self.provider.get_logs(&filter).await;
        let logs = logs.map_err(|error| chain("show the job's log", &error))?;
        let Some(log) = logs.first() else {
            let message = format!("no job {job_id} was opened in escrow {}", self.escrow.address());
            let hint = "check the id, the escrow and the chain; a new job needs its block";
            return Err(Failure::new(Exit::NotFound, message, hint));
        };
        let opened = RenderEscrow::Opened::decode_log(&log.inner).map_err(|error| {
            let message = format!("the log of job {job_id} cannot be read: {error}");
            Failure::new(Exit::Failed, message, "check that the address is the escrow's")
        })?;
        Ok(Order::from(opened.order.clone()))
    }

    /// Time of the newest block: what the contract compares deadlines with.
    pub async fn now(&self) -> Outcome<u64> {
        let block = self.provider.get_block_by_number(BlockNumberOrTag::Latest).await;
        let block = block.map_err(|error| chain("show its newest block", &error))?;
        Ok(block.map(|block| block.header.timestamp).unwrap_or_default())
    }
}

/// Token balances beyond 96 bits are more than an escrow can hold.
fn clip(value: U256) -> Amount {
    Amount::try_from(value).unwrap_or(Amount::MAX)
}
