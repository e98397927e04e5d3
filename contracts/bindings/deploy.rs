//! Puts the escrow, and on test chains the legacy token's double, on any chain.

use std::time::Duration;

use alloy::contract::CallBuilder;
use alloy::network::Ethereum;
use alloy::primitives::{Address, B256};
use alloy::providers::Provider;
use alloy::rpc::types::TransactionReceipt;
use serde::{Deserialize, Serialize};

use crate::amount::Amount;
use crate::{Funding, LegacyRndr, NodeRegistry, RenderEscrow};

/// Longest wait for a deployment to be mined: several slow blocks of the main chain.
const MINED_WITHIN: Duration = Duration::from_secs(180);
/// Longest wait for one answer of the chain node.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Where a contract is, and from which block its logs begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    #[serde(with = "crate::text::checksummed")]
    pub address: Address,
    pub block: u64,
    pub tx: B256,
}

/// Who may issue credit and who may pause, named for ever; zero, the default, is nobody.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Offices {
    pub issuer: Address,
    pub guardian: Address,
}

#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    #[error("no code at {token}: deploy the token first, or check chain and address")]
    NoToken { token: Address },
    #[error("no code at {given}: deploy escrow and Permit2 first, or check chain and address")]
    NoContract { given: Address },
    #[error(
        "the chain node did not take the transaction: {source}; check its address, the sender's \
         gas money and the chain id"
    )]
    Refused { source: Box<alloy::contract::Error> },
    #[error("the chain node did not answer within {ANSWER_WITHIN:?}; check its address")]
    Silent,
    #[error(
        "transaction {tx} was sent and not seen mined ({source}); look it up before trying again"
    )]
    NotSeen { tx: B256, source: Box<alloy::providers::PendingTransactionError> },
    #[error("transaction {tx} was mined and reverted; look at its trace")]
    Reverted { tx: B256 },
}

/// The escrow for one token, for ever; the sender is the provider's wallet.
pub async fn deploy_escrow<P: Provider>(
    provider: &P,
    token: Address,
    offices: Offices,
) -> Result<Deployment, DeployError> {
    let code = answer(async { provider.get_code_at(token).await.map_err(Into::into) }).await?;
    if code.is_empty() {
        return Err(DeployError::NoToken { token });
    }
    let Offices { issuer, guardian } = offices;
    deploy(RenderEscrow::deploy_builder(provider, token, issuer, guardian)).await
}

/// The ways into one escrow, for ever; `permit2` is left out on a chain that has none.
pub async fn deploy_funding<P: Provider>(
    provider: &P,
    escrow: Address,
    permit2: Option<Address>,
) -> Result<Deployment, DeployError> {
    for given in std::iter::once(escrow).chain(permit2) {
        let code = answer(async { provider.get_code_at(given).await.map_err(Into::into) }).await?;
        if code.is_empty() {
            return Err(DeployError::NoContract { given });
        }
    }
    deploy(Funding::deploy_builder(provider, escrow, permit2.unwrap_or_default())).await
}

/// The node registry of one escrow, for ever, which holds bonds in the escrow's token.
pub async fn deploy_registry<P: Provider>(
    provider: &P,
    escrow: Address,
) -> Result<Deployment, DeployError> {
    let code = answer(async { provider.get_code_at(escrow).await.map_err(Into::into) }).await?;
    if code.is_empty() {
        return Err(DeployError::NoContract { given: escrow });
    }
    deploy(NodeRegistry::deploy_builder(provider, escrow)).await
}

/// The legacy token's double, with `supply` minted to `holder`. For test chains: anyone may mint.
pub async fn deploy_legacy_rndr<P: Provider>(
    provider: &P,
    holder: Address,
    supply: Amount,
) -> Result<Deployment, DeployError> {
    let deployment = deploy(LegacyRndr::deploy_builder(provider)).await?;
    let token = LegacyRndr::new(deployment.address, provider);
    mined(token.mint(holder, supply.to_u256())).await?;
    Ok(deployment)
}

async fn deploy<P: Provider, D: alloy::contract::CallDecoder>(
    call: CallBuilder<P, D, Ethereum>,
) -> Result<Deployment, DeployError> {
    let receipt = mined(call).await?;
    let tx = receipt.transaction_hash;
    // A mined creation names its address and block.
    match (receipt.contract_address, receipt.block_number) {
        (Some(address), Some(block)) => Ok(Deployment { address, block, tx }),
        (None, _) | (_, None) => Err(DeployError::Reverted { tx }),
    }
}

async fn mined<P: Provider, D: alloy::contract::CallDecoder>(
    call: CallBuilder<P, D, Ethereum>,
) -> Result<TransactionReceipt, DeployError> {
    let pending = answer(call.send()).await?;
    let tx = *pending.tx_hash();
    let receipt = pending.with_timeout(Some(MINED_WITHIN)).get_receipt().await;
    let receipt = receipt.map_err(|e| DeployError::NotSeen { tx, source: Box::new(e) })?;
    if receipt.status() { Ok(receipt) } else { Err(DeployError::Reverted { tx }) }
}

async fn answer<T>(
    call: impl Future<Output = Result<T, alloy::contract::Error>>,
) -> Result<T, DeployError> {
    let answered = tokio::time::timeout(ANSWER_WITHIN, call).await;
    let result = answered.map_err(|_| DeployError::Silent)?;
    result.map_err(|e| DeployError::Refused { source: Box::new(e) })
}
