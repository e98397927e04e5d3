//! Deposits by a signed permit (EIP-2612), which spares the call that approves.
use alloy::primitives::{Address, B256, U256, keccak256};
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::SolStruct;
use contracts::Amount;
use contracts::funding::permit;

use crate::chain::{Chain, Mined};
use crate::exit::{Exit, Failure, Outcome};
use crate::vault::FundingAt;

/// A permit that nobody used within this time is worth nothing.
const PERMIT_SECONDS: u64 = 3_600;

alloy::sol! {
    /// What EIP-2612 adds to a token, beside `permit` itself.
    #[sol(rpc)]
    interface Permits {
        function nonces(address owner) external view returns (uint256);
        function DOMAIN_SEPARATOR() external view returns (bytes32);
    }
}

/// One call: Funding hands the token the permit, and pays the amount in.
pub async fn deposit(
    chain: &Chain,
    funding: &FundingAt,
    key: &PrivateKeySigner,
    account: Address,
    amount: Amount,
) -> Outcome<Mined> {
    if amount.is_zero() {
        return Err(Failure::usage("nothing to deposit", "name an amount above zero"));
    }
    let (nonce, separator) = terms(chain).await?;
    chain.check_pull(amount).await?;
    let deadline = chain.now().await?.saturating_add(PERMIT_SECONDS);
    let act = permit(*funding.address(), chain.sender, amount, nonce, deadline);
    let digest = digest(&act, separator);
    let signature = key.sign_hash_sync(&digest).map_err(|error| {
        Failure::new(Exit::Failed, format!("signing failed: {error}"), "check the keystore")
    })?;
    let parts = signature.as_bytes();
    let (r, s, v) = (B256::from_slice(&parts[..32]), B256::from_slice(&parts[32..64]), parts[64]);
    let amount = amount.to_u96();
    let call = funding.depositWithPermit(account, amount, U256::from(deadline), v, r, s);
    chain.send("deposit by a permit", call).await
}

/// The token knows its own domain best; a token without permits, as legacy RNDR, has neither.
async fn terms(chain: &Chain) -> Outcome<(U256, B256)> {
    let token = Permits::new(*chain.token.address(), chain.provider.clone());
    let nonce = token.nonces(chain.sender).call().await;
    let separator = token.DOMAIN_SEPARATOR().call().await;
    match (nonce, separator) {
        (Ok(nonce), Ok(separator)) => Ok((nonce, separator)),
        (Err(error), _) | (_, Err(error)) => {
            let token = chain.token.address();
            let message = format!("{} at {token} takes no permits: {error}", chain.symbol);
            let hint = "leave --permit out: an approval and a deposit are sent instead";
            Err(Failure::new(Exit::Rejected, message, hint))
        }
    }
}

/// EIP-712, with the domain as the token has hashed it.
fn digest(act: &impl SolStruct, separator: B256) -> B256 {
    let hash = act.eip712_hash_struct();
    keccak256([&[0x19, 0x01], separator.as_slice(), hash.as_slice()].concat())
}
