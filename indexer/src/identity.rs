//! Which chain and escrow this is; refuses to mix those of a store with others.

use alloy::primitives::{Address, B256, Bytes};
use alloy::sol_types::SolCall;
use contracts::{NodeRegistry, RenderEscrow};
use store::{Escrow, Tag};

use crate::chain::{Chain, ChainError};
use crate::{Config, Error};

alloy::sol! {
    /// What is asked of the token.
    interface Token {
        function symbol() external view returns (string);
        function decimals() external view returns (uint8);
        function balanceOf(address owner) external view returns (uint256);
    }
}

/// Why the indexer does not start here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error(
        "the database follows the escrow on chain {stored}, but the chain node is of chain \
         {found}; point --rpc-url at chain {stored}, or use another --store"
    )]
    OtherChain { stored: u64, found: u64 },
    #[error(
        "the chain node's chain {chain_id} starts with block {found}, that of the database with \
         {stored}: the chain was started anew; use a new --store"
    )]
    OtherGenesis { chain_id: u64, stored: B256, found: B256 },
    #[error(
        "the database follows the escrow {stored}, not {asked}; set --escrow to {stored}, or use \
         another --store"
    )]
    OtherEscrow { stored: Address, asked: Address },
    #[error(
        "there is no contract at {escrow} on chain {chain_id}; check --escrow and --rpc-url, or \
         deploy the escrow first"
    )]
    NoCode { escrow: Address, chain_id: u64 },
    #[error(
        "the contract at {escrow} is not a RenderEscrow of this version: {reason}; check --escrow"
    )]
    NotTheEscrow { escrow: Address, reason: String },
    #[error(
        "the database was indexed without the node registry {asked} and lacks its earlier logs; \
         leave chain.registry out (RNDR__CHAIN__REGISTRY), or use a new --store"
    )]
    RegistryLate { asked: Address },
    #[error(
        "the database follows the node registry {stored}, and none is named; set \
         RNDR__CHAIN__REGISTRY to {stored}, or use another --store"
    )]
    RegistryUnnamed { stored: Address },
    #[error(
        "the database follows the node registry {stored}, not {asked}; set RNDR__CHAIN__REGISTRY \
         to {stored}, or use another --store"
    )]
    OtherRegistry { stored: Address, asked: Address },
    #[error(
        "the contract at {registry} is not the NodeRegistry of the escrow {escrow}: {reason}; \
         check RNDR__CHAIN__REGISTRY, or deploy the registry first"
    )]
    NotTheRegistry { registry: Address, escrow: Address, reason: String },
    #[error("the chain node knows no first block yet; is it still syncing?")]
    NoGenesis,
    #[error(
        "the deployment block of {escrow} cannot be found, the chain node keeps no old state \
         ({reason}); set RNDR__CHAIN__DEPLOY_BLOCK"
    )]
    DeployBlockUnknown { escrow: Address, reason: String },
}

/// The escrow to follow: what the store knows, checked against the chain, or what the chain
/// says when the store is new.
pub async fn learn<C: Chain>(
    chain: &C,
    config: &Config,
    stored: Option<&Escrow>,
) -> Result<Escrow, Error> {
    if let Some(stored) = stored {
        if stored.address != config.escrow {
            let (stored, asked) = (stored.address, config.escrow);
            return Err(Refusal::OtherEscrow { stored, asked }.into());
        }
        same_registry(stored.registry, config.registry)?;
        chain.expect(stored.chain_id, stored.genesis_hash);
        same_chain(chain, stored).await?;
        let head = chain.head(Tag::Latest).await?;
        // A node that is still behind the deployment has no code to show yet.
        if head.is_some_and(|head| head.number >= stored.deploy_block) {
            check_contract(chain, stored.address, stored.chain_id).await?;
        }
        return Ok(stored.clone());
    }
    let chain_id = chain.chain_id().await?;
    let genesis = chain.header(0).await?.ok_or(Refusal::NoGenesis)?;
    let address = config.escrow;
    check_contract(chain, address, chain_id).await?;
    if let Some(registry) = config.registry {
        check_registry(chain, registry, address, chain_id).await?;
    }
    let escrow = Asked { chain, at: address, escrow: address };
    let token = escrow.view(RenderEscrow::tokenCall {}).await?;
    let asked = Asked { chain, at: token, escrow: address };
    let symbol = asked.view(Token::symbolCall {}).await?;
    let decimals = asked.view(Token::decimalsCall {}).await?;
    let deploy_block = match config.deploy_block {
        Some(block) => block,
        None => find_deploy_block(chain, address).await?,
    };
    let genesis_hash = genesis.hash;
    let registry = config.registry;
    Ok(Escrow { address, chain_id, genesis_hash, token, symbol, decimals, deploy_block, registry })
}

/// Refuses a chain node of another chain than the stored one.
pub async fn same_chain<C: Chain>(chain: &C, stored: &Escrow) -> Result<(), Error> {
    let found = chain.chain_id().await?;
    if found != stored.chain_id {
        return Err(Refusal::OtherChain { stored: stored.chain_id, found }.into());
    }
    let genesis = chain.header(0).await?.ok_or(Refusal::NoGenesis)?;
    if genesis.hash != stored.genesis_hash {
        let Escrow { chain_id, genesis_hash: stored, .. } = *stored;
        return Err(Refusal::OtherGenesis { chain_id, stored, found: genesis.hash }.into());
    }
    Ok(())
}

/// A store holds all events of its registry or none: it is not changed on the way.
pub fn same_registry(stored: Option<Address>, asked: Option<Address>) -> Result<(), Refusal> {
    match (stored, asked) {
        (Some(stored), Some(asked)) if stored != asked => {
            Err(Refusal::OtherRegistry { stored, asked })
        }
        (Some(stored), None) => Err(Refusal::RegistryUnnamed { stored }),
        (None, Some(asked)) => Err(Refusal::RegistryLate { asked }),
        (Some(_), Some(_)) | (None, None) => Ok(()),
    }
}

/// The contract must say that it is the node registry of this very escrow.
async fn check_registry<C: Chain>(
    chain: &C,
    registry: Address,
    escrow: Address,
    chain_id: u64,
) -> Result<(), Error> {
    let refused = |reason: String| Refusal::NotTheRegistry { registry, escrow, reason };
    if chain.code(registry, None).await?.is_empty() {
        return Err(refused(format!("there is none on chain {chain_id}")).into());
    }
    let asked = Asked { chain, at: registry, escrow };
    let named = |error: Error| match error {
        Error::Identity(Refusal::NotTheEscrow { reason, .. }) => refused(reason).into(),
        other => other,
    };
    let found = asked.view(NodeRegistry::eip712DomainCall {}).await.map_err(named)?;
    let expected = contracts::registry::domain(chain_id, registry);
    let same = (Some(found.name.as_str()), Some(found.version.as_str()))
        == (expected.name.as_deref(), expected.version.as_deref())
        && Some(found.chainId) == expected.chain_id
        && Some(found.verifyingContract) == expected.verifying_contract;
    if !same {
        let reason = format!("it calls itself `{}` version `{}`", found.name, found.version);
        return Err(refused(reason).into());
    }
    let of = asked.view(NodeRegistry::escrowCall {}).await.map_err(named)?;
    if of != escrow {
        return Err(refused(format!("it is of the escrow {of}")).into());
    }
    Ok(())
}

/// The contract must say that it is the escrow: name, version, chain and address of its domain.
async fn check_contract<C: Chain>(chain: &C, escrow: Address, chain_id: u64) -> Result<(), Error> {
    if chain.code(escrow, None).await?.is_empty() {
        return Err(Refusal::NoCode { escrow, chain_id }.into());
    }
    let asked = Asked { chain, at: escrow, escrow };
    let found = asked.view(RenderEscrow::eip712DomainCall {}).await?;
    let expected = contracts::order::domain(chain_id, escrow);
    let same = (Some(found.name.as_str()), Some(found.version.as_str()))
        == (expected.name.as_deref(), expected.version.as_deref())
        && Some(found.chainId) == expected.chain_id
        && Some(found.verifyingContract) == expected.verifying_contract;
    if same {
        // An escrow of the first version lacks the offices, and says other things in its events.
        asked.view(RenderEscrow::officesCall {}).await?;
        return Ok(());
    }
    let reason = format!("it calls itself `{}` version `{}`", found.name, found.version);
    Err(Refusal::NotTheEscrow { escrow, reason }.into())
}

/// A contract to ask, and the escrow on whose account.
struct Asked<'a, C> {
    chain: &'a C,
    at: Address,
    escrow: Address,
}

impl<C: Chain> Asked<'_, C> {
    async fn view<V: SolCall>(&self, question: V) -> Result<V::Return, Error> {
        let answer = match self.chain.call(self.at, question.abi_encode().into(), None).await {
            Ok(answer) => answer,
            Err(ChainError::Refused { reason, .. }) if !lacks_the_block(&reason) => {
                return Err(self.refusal(V::SIGNATURE, &reason));
            }
            Err(error) => return Err(error.into()),
        };
        decode::<V>(&answer).map_err(|reason| self.refusal(V::SIGNATURE, &reason))
    }

    fn refusal(&self, function: &str, reason: &str) -> Error {
        let reason = format!("{function} at {} answers with {reason}", self.at);
        Refusal::NotTheEscrow { escrow: self.escrow, reason }.into()
    }
}

/// In the middle of a reorg nodes refuse the newest block itself, in words of their own: that is
/// no answer of the contract, and passes.
fn lacks_the_block(reason: &str) -> bool {
    let reason = reason.to_lowercase();
    ["block", "header not found", "missing trie node"].iter().any(|word| reason.contains(word))
}

pub(crate) fn decode<V: SolCall>(answer: &Bytes) -> Result<V::Return, String> {
    V::abi_decode_returns_validate(answer).map_err(|e| e.to_string())
}

/// First block at whose end the escrow has code, by halving.
async fn find_deploy_block<C: Chain>(chain: &C, escrow: Address) -> Result<u64, Error> {
    let head = chain.head(Tag::Latest).await?.ok_or(Refusal::NoGenesis)?;
    let (mut without, mut with) = (0, head.number);
    // Halves a 64-bit distance: at most 64 rounds.
    while without < with {
        let middle = without + (with - without) / 2;
        match chain.code(escrow, Some(middle)).await {
            Ok(code) if code.is_empty() => without = middle + 1,
            Ok(_) => with = middle,
            Err(ChainError::Refused { reason, .. }) => {
                return Err(Refusal::DeployBlockUnknown { escrow, reason }.into());
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(with)
}
