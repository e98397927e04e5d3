//! The api's only calls to a chain node: contract wallets say whether a signature is theirs.

use std::time::Duration;

use alloy::primitives::{Address, B256, Bytes, FixedBytes};
use alloy::providers::{Provider, ProviderBuilder};
use alloy::rpc::types::TransactionRequest;
use alloy::sol_types::SolCall;

use crate::error::{Code, Problem};

/// A node that has not answered a small call by then is treated as away.
const CALL_TIME: Duration = Duration::from_secs(5);

alloy::sol! {
    /// ERC-1271.
    function isValidSignature(bytes32 hash, bytes signature) external view returns (bytes4 magic);
}

/// What a contract wallet answers when the signature is its own: the function's own selector.
const MAGIC: FixedBytes<4> = FixedBytes(isValidSignatureCall::SELECTOR);

/// Asks `account`, when it is a contract, whether it signed `digest`. An account without code, a
/// wallet that reverts and one that answers anything else did not.
pub async fn signed_by_contract(
    rpc_url: &str,
    account: Address,
    digest: B256,
    signature: &Bytes,
) -> Result<bool, Problem> {
    let away = |what: String| Code::ChainUnavailable.because(what);
    let url = rpc_url.parse().map_err(|_| away("the chain node's address is not a URL".into()))?;
    let provider = ProviderBuilder::new().connect_http(url);
    let call = isValidSignatureCall { hash: digest, signature: signature.clone() };
    let request =
        TransactionRequest::default().to(account).input(Bytes::from(call.abi_encode()).into());
    let answer = tokio::time::timeout(CALL_TIME, async { provider.call(request).await }).await;
    match answer {
        Err(_) => Err(away(format!("no answer within {} s", CALL_TIME.as_secs()))),
        Ok(Err(error)) if error.as_error_resp().is_some() => Ok(false),
        Ok(Err(_)) => Err(away("the chain node cannot be reached".into())),
        Ok(Ok(bytes)) => {
            let word = isValidSignatureCall::abi_decode_returns(&bytes);
            Ok(word.is_ok_and(|magic| magic == MAGIC))
        }
    }
}
