//! Ways in beside the escrow: Funding, and what other people deployed on most chains, as doubles.

use alloy::primitives::{Address, Bytes, U256, address};
use alloy::providers::ext::AnvilApi;
use alloy::sol_types::Eip712Domain;
use contracts::funding::{PERMIT2, permit2_domain};
use contracts::{Funding, deploy};

use super::anvil::{Anvil, Options};
use super::{World, deployer_of};

/// Where Multicall3 is on most chains.
pub const MULTICALL3: Address = address!("cA11bde05977b3631167028862bE2a173976CA11");
/// 1 dollar in base units.
pub const DOLLAR: u128 = 1_000_000;

mod generated {
    #![allow(clippy::too_many_arguments, reason = "generated from the doubles' interfaces")]
    alloy::sol!(
        #[sol(rpc, extra_derives(Debug, PartialEq, Eq))]
        UsdcLike,
        "contracts/artifacts/UsdcLike.json"
    );
    alloy::sol!(
        #[sol(extra_derives(Debug, PartialEq, Eq))]
        Permit2Like,
        "contracts/artifacts/Permit2Like.json"
    );
    alloy::sol!(
        #[sol(rpc, extra_derives(Debug, PartialEq, Eq))]
        Multicall3Like,
        "contracts/artifacts/Multicall3Like.json"
    );
    alloy::sol!(
        #[sol(rpc, extra_derives(Debug, PartialEq, Eq))]
        WalletFactory,
        "contracts/artifacts/WalletFactory.json"
    );
    alloy::sol! {
        /// Any contract wallet: it calls what it is told to.
        #[sol(rpc)]
        contract OwnedWallet {
            function owner() external view returns (address);
            function run(address target, bytes data) external returns (bytes);
        }
    }
}
pub use generated::{Multicall3Like, OwnedWallet, Permit2Like, UsdcLike, WalletFactory};

impl World {
    /// An escrow for a dollar of 6 decimals with EIP-2612 and EIP-3009.
    pub async fn of_dollars() -> Self {
        let anvil = Anvil::start(&Options::default());
        let token = dollar_on(&anvil).await;
        Self::with_token(anvil, token, DOLLAR).await
    }

    /// A dollar that is not this escrow's token.
    pub async fn other_dollar(&self) -> Address {
        dollar_on(&self.anvil).await
    }

    /// Funding of this escrow; Permit2 and Multicall3 come to where they are on most chains.
    pub async fn ways_in(&self) -> Address {
        let put = |at, code: &Bytes| self.anvil.provider.anvil_set_code(at, code.clone());
        put(PERMIT2, &Permit2Like::DEPLOYED_BYTECODE).await.unwrap();
        put(MULTICALL3, &Multicall3Like::DEPLOYED_BYTECODE).await.unwrap();
        let provider = deployer_of(&self.anvil).await;
        let funding = deploy::deploy_funding(&provider, self.escrow, Some(PERMIT2)).await.unwrap();
        let told = Funding::new(funding.address, &provider);
        assert_eq!(told.escrow().call().await.unwrap(), self.escrow);
        assert_eq!(told.permit2().call().await.unwrap(), PERMIT2);
        funding.address
    }

    /// The dollar's own EIP-712 domain.
    pub fn dollar_domain(&self) -> Eip712Domain {
        let chain = U256::from(self.anvil.chain_id);
        let (name, version) = (Some("USD Coin".into()), Some("1".into()));
        Eip712Domain::new(name, version, Some(chain), Some(self.token), None)
    }

    pub fn permit2_domain(&self) -> Eip712Domain {
        permit2_domain(self.anvil.chain_id, PERMIT2)
    }

    /// A factory of contract wallets.
    pub async fn factory(&self) -> Address {
        let provider = deployer_of(&self.anvil).await;
        *WalletFactory::deploy(&provider).await.unwrap().address()
    }
}

async fn dollar_on(anvil: &Anvil) -> Address {
    let provider = deployer_of(anvil).await;
    *UsdcLike::deploy(&provider).await.unwrap().address()
}
