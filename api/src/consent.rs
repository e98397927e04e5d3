//! Whose signature it is: an account's own, or a contract wallet's by asking the chain.

use alloy::primitives::{Address, B256, Bytes};
use contracts::{Order, signing};

use crate::App;
use crate::edge::eth;
use crate::error::{Code, Problem};

/// Longest signature taken: contract wallets pack several of 65 bytes with addresses.
const SIGNATURE_BYTES: usize = 8 * 1024;

/// Who of `accounts` signed `digest`. ECDSA comes first, as in the contract.
pub async fn signer(
    app: &App,
    digest: B256,
    signature: &Bytes,
    accounts: &[Address],
    field: &str,
) -> Result<Address, Problem> {
    if signature.len() > SIGNATURE_BYTES {
        let detail = format!("signature has {} bytes; at most {SIGNATURE_BYTES}", signature.len());
        return Err(Code::SignatureInvalid.because(detail).at(field));
    }
    if signature.is_empty() {
        // On chain an empty signature stands for the sender, and the settler is who sends it.
        let detail = "the signature is empty; it must be made over the typed data";
        return Err(Code::SignatureInvalid.because(detail).at(field));
    }
    let recovered = signing::recover(digest, signature);
    if let Ok(account) = &recovered
        && accounts.contains(account)
    {
        return Ok(*account);
    }
    if let Some(rpc_url) = &app.settings.rpc_url {
        for account in accounts {
            if eth::signed_by_contract(rpc_url, *account, digest, signature).await? {
                return Ok(*account);
            }
        }
    }
    let names: Vec<String> = accounts.iter().map(|account| account.to_checksum(None)).collect();
    let wanted = names.join(" or ");
    let detail = match recovered {
        Ok(account) => {
            let account = account.to_checksum(None);
            format!("the signature is {account}'s for digest {digest}; it must be {wanted}'s")
        }
        Err(problem) => format!("{problem}; it must be {wanted}'s over digest {digest}"),
    };
    Err(Code::SignatureInvalid.because(detail).at(field))
}

/// Whether a delegate of the payer may open this order, by the bounds that the index has.
pub async fn delegate(app: &App, order: &Order, agent: Address, now: u64) -> Result<(), Problem> {
    let name = agent.to_checksum(None);
    let refused =
        |detail: String, field: &str| Err(Code::DelegateRefused.because(detail).at(field));
    let bounds = app.store.reader().delegate(order.payer, agent).await?;
    let Some(bounds) = bounds.filter(|b| u64::try_from(b.expiry).is_ok_and(|end| now < end)) else {
        let payer = order.payer.to_checksum(None);
        return refused(format!("{name} is no delegate of {payer}, or no longer"), "delegate");
    };
    if order.settler != bounds.settler {
        let only = bounds.settler.to_checksum(None);
        return refused(format!("{name} may name the settler {only} alone"), "order.settler");
    }
    if order.refund_to != order.payer {
        return refused("a delegate's job refunds to its payer alone".into(), "order.refund_to");
    }
    let most = bounds.allowance.min(bounds.max_per_job);
    if order.cap > most {
        let detail = format!("{name} may open a job of at most {most} base units");
        return refused(detail, "order.cap");
    }
    Ok(())
}

/// The accounts whose word counts for the payer's side.
pub fn payer_side(order: &Order) -> Vec<Address> {
    let approver = Some(order.approver).filter(|approver| !approver.is_zero());
    std::iter::once(order.payer).chain(approver).collect()
}
