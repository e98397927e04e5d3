//! Puts the contracts on any chain, at addresses known beforehand, and a test chain's token.

use std::time::Duration;

mod plan;

use alloy::consensus::Transaction;
use alloy::contract::CallBuilder;
use alloy::network::{Ethereum, TransactionBuilder, TransactionResponse};
use alloy::primitives::{Address, B256, Bytes, keccak256};
use alloy::providers::{PendingTransactionBuilder, Provider};
use alloy::rpc::types::{TransactionReceipt, TransactionRequest};
use serde::{Deserialize, Serialize};

use crate::amount::Amount;
use crate::{Funding, LegacyRndr, NodeRegistry, RenderEscrow};

pub use plan::{
    Creation, DeploymentFile, Offices, PROXY, PROXY_CODE, PROXY_MAKER, PROXY_TRANSACTION, Placed,
    Plan, permit2_of,
};

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
    #[error(
        "the deterministic deployment proxy is not at {PROXY} on chain {chain_id}; to get it \
         there, send 0.01 ether to {PROXY_MAKER}, then publish its transaction: \
         `cast publish {PROXY_TRANSACTION}`"
    )]
    NoProxy { chain_id: u64 },
    #[error(
        "the {name} is at {address} already, but the chain node keeps no old state to tell since \
         when ({reason}); name the first run's deployment file, or ask an archive node"
    )]
    OldState { name: &'static str, address: Address, reason: String },
}

/// All contracts of a plan, and the names of those that are new: what stands already is left.
/// `known` is the file of an earlier run, which spares the search for blocks and transactions.
pub async fn deploy_all<P: Provider>(
    provider: &P,
    plan: &Plan,
    known: Option<&DeploymentFile>,
) -> Result<(DeploymentFile, Vec<&'static str>), DeployError> {
    let chain_id = answer(async { Ok(provider.get_chain_id().await?) }).await?;
    if code_at(provider, PROXY).await? != PROXY_CODE {
        return Err(DeployError::NoProxy { chain_id });
    }
    let token = plan.token;
    if code_at(provider, token).await?.is_empty() {
        return Err(DeployError::NoToken { token });
    }
    if let Some(given) = plan.permit2
        && code_at(provider, given).await?.is_empty()
    {
        return Err(DeployError::NoContract { given });
    }
    let known = known.filter(|known| known.chain_id == chain_id);
    let mut new = Vec::new();
    let mut placed = Vec::new();
    for creation in plan.creations() {
        let known = known.into_iter().flat_map(DeploymentFile::placed);
        let known = known.map(|(_, one)| one).find(|one| one.address == creation.address);
        let (block, tx) = if code_at(provider, creation.address).await?.is_empty() {
            new.push(creation.name);
            create(provider, &creation, plan.salt).await?
        } else if let Some(known) = known {
            (known.block, known.tx)
        } else {
            find(provider, &creation, plan.salt).await?
        };
        placed.push(Placed {
            address: creation.address,
            block,
            tx,
            init_code_hash: creation.init_code_hash(),
            code_hash: keccak256(code_at(provider, creation.address).await?),
            constructor_arguments: creation.arguments,
        });
    }
    let Ok([escrow, funding, registry]) = <[Placed; 3]>::try_from(placed) else {
        return Err(DeployError::Silent);
    };
    let Plan { salt, token, offices: Offices { issuer, guardian }, permit2 } = *plan;
    let proxy = PROXY;
    let file = DeploymentFile {
        chain_id,
        proxy,
        salt,
        token,
        issuer,
        guardian,
        permit2,
        escrow,
        funding,
        registry,
    };
    Ok((file, new))
}

async fn create<P: Provider>(
    provider: &P,
    creation: &Creation,
    salt: B256,
) -> Result<(u64, Option<B256>), DeployError> {
    let call = TransactionRequest::default().with_to(PROXY).with_input(creation.calldata(salt));
    let pending = answer(async { Ok(provider.send_transaction(call).await?) }).await?;
    let receipt = receipt_of(pending).await?;
    let tx = receipt.transaction_hash;
    let block = receipt.block_number.ok_or(DeployError::Reverted { tx })?;
    Ok((block, Some(tx)))
}

/// First block at whose end a contract has code, by halving, and the proxy's call in it.
async fn find<P: Provider>(
    provider: &P,
    creation: &Creation,
    salt: B256,
) -> Result<(u64, Option<B256>), DeployError> {
    let Creation { name, address, .. } = *creation;
    let head = answer(async { Ok(provider.get_block_number().await?) }).await?;
    let (mut without, mut with) = (0, head);
    // Halves a 64-bit distance: at most 64 rounds.
    while without < with {
        let middle = without + (with - without) / 2;
        let code = provider.get_code_at(address).block_id(middle.into());
        match answer(async { Ok(code.await?) }).await {
            Ok(code) if code.is_empty() => without = middle + 1,
            Ok(_) => with = middle,
            Err(DeployError::Refused { source }) => {
                let reason = source.to_string();
                return Err(DeployError::OldState { name, address, reason });
            }
            Err(other) => return Err(other),
        }
    }
    let calldata = creation.calldata(salt);
    let block = provider.get_block_by_number(with.into()).full();
    let block = answer(async { Ok(block.await?) }).await?;
    let transactions = block.map(|block| block.transactions.into_transactions_vec());
    let calls = transactions.into_iter().flatten();
    let calls = calls.filter(|call| call.to() == Some(PROXY) && *call.input() == calldata);
    for call in calls {
        let tx = call.tx_hash();
        let receipt = answer(async { Ok(provider.get_transaction_receipt(tx).await?) }).await?;
        if receipt.is_some_and(|receipt| receipt.status()) {
            return Ok((with, Some(tx)));
        }
    }
    Ok((with, None))
}

/// What is at an address now.
pub async fn code_at<P: Provider>(provider: &P, address: Address) -> Result<Bytes, DeployError> {
    answer(async { Ok(provider.get_code_at(address).await?) }).await
}

/// The escrow for one token, for ever; the sender is the provider's wallet.
pub async fn deploy_escrow<P: Provider>(
    provider: &P,
    token: Address,
    offices: Offices,
) -> Result<Deployment, DeployError> {
    if code_at(provider, token).await?.is_empty() {
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
        if code_at(provider, given).await?.is_empty() {
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
    if code_at(provider, escrow).await?.is_empty() {
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
    receipt_of(answer(call.send()).await?).await
}

async fn receipt_of(
    pending: PendingTransactionBuilder<Ethereum>,
) -> Result<TransactionReceipt, DeployError> {
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
