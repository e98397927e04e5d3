//! The sender's eyes and hand on the chain: every call to the RPC server, each with a time limit.

use std::future::Future;
use std::time::Duration;

use alloy::eips::{BlockId, BlockNumberOrTag};
use alloy::network::TransactionBuilder;
use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::providers::{Provider, RootProvider};
use alloy::rpc::types::TransactionRequest;
use alloy::transports::{RpcError, TransportErrorKind};
use contracts::revert::{RevertReason, explain_revert};
use contracts::urls::without_keys;

use crate::tx::{Fees, Mined};

/// Longest wait for one answer: slower servers are treated as down, and asked again.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// Added to the estimate of gas: a lot's first write to an account costs more than a later one.
const GAS_MARGIN_PERCENT: u64 = 30;

#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    #[error("chain server refused {doing}: {}", without_keys(&source.to_string()))]
    Rpc { doing: &'static str, source: RpcError<TransportErrorKind> },
    #[error("chain server did not answer {doing} within {} s", ANSWER_LIMIT.as_secs())]
    Silent { doing: &'static str },
    #[error("`{url}` is no address of a chain server: {problem}")]
    Url { url: String, problem: String },
    #[error("chain server has no newest block")]
    NoHead,
}

#[derive(Debug, Clone, Copy)]
pub struct Head {
    pub number: u64,
    pub base_fee: u128,
}

/// What a call would do if it were mined next.
#[derive(Debug)]
pub enum Simulated {
    Passes,
    Reverts(RevertReason),
}

pub struct Chain {
    provider: RootProvider,
}

impl Chain {
    pub fn new(rpc_url: &str) -> Result<Self, ChainError> {
        let url = rpc_url.parse().map_err(|e: <reqwest::Url as std::str::FromStr>::Err| {
            ChainError::Url { url: rpc_url.into(), problem: e.to_string() }
        })?;
        Ok(Self { provider: RootProvider::new_http(url) })
    }

    pub async fn chain_id(&self) -> Result<u64, ChainError> {
        within("chain id", self.provider.get_chain_id()).await
    }

    pub async fn head(&self) -> Result<Head, ChainError> {
        let latest = self.provider.get_block_by_number(BlockNumberOrTag::Latest);
        let block = within("newest block", latest.into_future()).await?;
        let header = block.ok_or(ChainError::NoHead)?.header;
        let base_fee = u128::from(header.base_fee_per_gas.unwrap_or_default());
        Ok(Head { number: header.number, base_fee })
    }

    /// How many transactions of an account are mined, at a block or at the newest one.
    pub async fn nonce(&self, account: Address, at: Option<u64>) -> Result<u64, ChainError> {
        let block = at.map_or(BlockId::latest(), BlockId::number);
        let count = self.provider.get_transaction_count(account).block_id(block);
        within("transaction count", count.into_future()).await
    }

    pub async fn balance(&self, account: Address) -> Result<U256, ChainError> {
        within("balance", self.provider.get_balance(account).into_future()).await
    }

    /// What the market asks for quick inclusion.
    pub async fn market(&self) -> Result<Fees, ChainError> {
        let fees = within("fee estimate", self.provider.estimate_eip1559_fees()).await?;
        Ok(Fees { max_fee: fees.max_fee_per_gas, tip: fees.max_priority_fee_per_gas })
    }

    pub async fn mined(&self, tx_hash: B256) -> Result<Option<Mined>, ChainError> {
        let receipt = self.provider.get_transaction_receipt(tx_hash);
        let receipt = within("receipt", receipt.into_future()).await?;
        Ok(receipt.and_then(|receipt| {
            let block = receipt.block_number?;
            Some(Mined { block, succeeded: receipt.status() })
        }))
    }

    /// Runs the call on the pending block, whose time is that of the next one.
    pub async fn simulate(
        &self,
        from: Address,
        to: Address,
        data: &Bytes,
    ) -> Result<Simulated, ChainError> {
        let call = self.provider.call(request(from, to, data)).block(BlockId::pending());
        match within("call", call.into_future()).await {
            Ok(_) => Ok(Simulated::Passes),
            Err(ChainError::Rpc { doing, source }) => match revert_of(&source) {
                Some(reason) => Ok(Simulated::Reverts(reason)),
                None => Err(ChainError::Rpc { doing, source }),
            },
            Err(other) => Err(other),
        }
    }

    pub async fn gas(&self, from: Address, to: Address, data: &Bytes) -> Result<u64, ChainError> {
        let estimate = self.provider.estimate_gas(request(from, to, data));
        let estimate = estimate.block(BlockId::pending());
        let gas = within("gas estimate", estimate.into_future()).await?;
        Ok(gas.saturating_add(gas / 100 * GAS_MARGIN_PERCENT))
    }

    pub async fn send(&self, raw: &Bytes) -> Result<(), ChainError> {
        within("transaction", self.provider.send_raw_transaction(raw)).await.map(|_| ())
    }
}

fn request(from: Address, to: Address, data: &Bytes) -> TransactionRequest {
    TransactionRequest::default().with_from(from).with_to(to).with_input(data.clone())
}

/// The revert in an error answer; None when it is about something else.
fn revert_of(error: &RpcError<TransportErrorKind>) -> Option<RevertReason> {
    let answer = error.as_error_resp()?;
    if let Some(data) = answer.as_revert_data() {
        return Some(explain_revert(&data));
    }
    // Legacy RNDR reverts without data, and servers then send none.
    answer.message.contains("revert").then(|| explain_revert(&[]))
}

async fn within<T>(
    doing: &'static str,
    call: impl Future<Output = Result<T, RpcError<TransportErrorKind>>>,
) -> Result<T, ChainError> {
    match tokio::time::timeout(ANSWER_LIMIT, call).await {
        Ok(answer) => answer.map_err(|source| ChainError::Rpc { doing, source }),
        Err(_) => Err(ChainError::Silent { doing }),
    }
}
