//! pure: what a revert of our contracts says: its name, its figures, a stable code, what to do.

use alloy::dyn_abi::{DynSolValue, ErrorExt};
use alloy::json_abi::Error as AbiError;
use alloy::primitives::hex;
use alloy::sol_types::{Panic, Revert, SolError};
use serde::Serialize;

use crate::{Funding, NodeRegistry, RenderEscrow, funding, registry};

/// Why a call to the escrow failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RevertReason {
    /// Stable, snake_case: `deadline_passed` of `RenderEscrow_DeadlinePassed`.
    pub code: String,
    /// The error's name in the contract; empty when the revert carries none.
    pub name: String,
    /// The figures that failed, by their names in the contract, in snake_case.
    pub fields: Vec<(String, String)>,
    /// What happened, for people.
    pub detail: String,
    /// What to do next, for people.
    pub hint: String,
}

/// Code of a revert with no data at all: legacy RNDR gives no other sign of failure.
pub const EMPTY: &str = "token_reverted_without_reason";
/// Code of data that no known error explains.
pub const UNKNOWN: &str = "unknown_revert";

const EMPTY_DETAIL: &str = "the call reverted without a reason, as legacy RNDR does: the token \
    balance is too small, or the escrow's allowance is (legacy allowances fall with every use), \
    or the token is paused, or the receiver is refused";
const EMPTY_HINT: &str = "compare the payer's balanceOf and allowance with the amount, approve the \
    escrow again if the allowance is too small, and retry; a call that ran out of gas, or went to \
    an address without a contract, looks the same";

pub fn explain_revert(data: &[u8]) -> RevertReason {
    if data.is_empty() {
        return RevertReason::plain(EMPTY, EMPTY_DETAIL.into(), EMPTY_HINT);
    }
    if let Ok(revert) = Revert::abi_decode(data) {
        let detail = format!("the call reverted: {}", revert.reason);
        return RevertReason::plain("reverted", detail, "the text is the called contract's own");
    }
    if let Ok(panic) = Panic::abi_decode(data) {
        let detail = format!("the contract stopped itself: {panic}");
        return RevertReason::plain("panic", detail, "report this: the escrow should never do so");
    }
    let all = [RenderEscrow::abi::errors(), NodeRegistry::abi::errors(), Funding::abi::errors()];
    let mut errors = all.iter().flat_map(|errors| errors.values()).flatten();
    match errors.find(|error| data.starts_with(&error.selector().0)) {
        Some(error) => named(error, data),
        None => {
            let head = hex::encode_prefixed(&data[..data.len().min(4)]);
            let detail =
                format!("the call reverted with an error unknown to this program ({head})");
            RevertReason::plain(UNKNOWN, detail, "check that the address is the escrow's")
        }
    }
}

/// One of the escrow's own errors, with its figures when they can be read.
fn named(error: &AbiError, data: &[u8]) -> RevertReason {
    let code = snake_case(error.name.rsplit('_').next().unwrap_or(&error.name));
    let words = code.replace('_', " ");
    let (fields, figures) = match error.decode_error(data) {
        Ok(decoded) => {
            let inputs = error.inputs.iter().zip(&decoded.body);
            let fields: Vec<_> = inputs.map(|(input, value)| field(&input.name, value)).collect();
            let each: Vec<_> =
                fields.iter().map(|(name, value)| format!("{name} {value}")).collect();
            (fields, each.join(", "))
        }
        Err(problem) => (Vec::new(), format!("its figures cannot be read: {problem}")),
    };
    let detail = if figures.is_empty() {
        format!("the contract refused: {words}")
    } else {
        format!("the contract refused: {words} ({figures})")
    };
    let hint = if error.name.starts_with("NodeRegistry_") {
        hint(&registry::HINTS, &code).into()
    } else if error.name.starts_with("Funding_") {
        hint(&funding::HINTS, &code).into()
    } else {
        hint(&HINTS, &code).into()
    };
    RevertReason { code, name: error.name.clone(), fields, detail, hint }
}

impl RevertReason {
    fn plain(code: &str, detail: String, hint: &str) -> Self {
        let (name, fields) = (String::new(), Vec::new());
        Self { code: code.into(), name, fields, detail, hint: hint.into() }
    }
}

/// What to do about each refusal of the escrow, by its code.
const HINTS: [(&str, &str); 45] = [
    ("token_refused", "deploy the token first, or check its address and the chain"),
    ("account_refused", "name an account that is neither zero nor the escrow itself"),
    ("account_text_refused", "give holdInEscrow the account as 0x and 40 hex digits"),
    ("amount_zero", "ask for an amount above zero"),
    ("free_too_low", "deposit the lack first, or ask for less"),
    ("pull_failed", "approve the escrow for the amount, and hold as many tokens, then retry"),
    ("send_failed", "the token refused to pay this address: withdraw to another one"),
    ("deposit_inexact", "this token moves other amounts than asked: it cannot be used"),
    ("balance_too_large", "deposit less: the escrow is full"),
    ("caller_refused", "call from the named account, or pass its signature"),
    ("signature_refused", "sign the digest with the named account, on this chain and escrow"),
    ("signer_refused", "sign as the order's payer, or as a delegate of it that has not expired"),
    ("delegate_unknown", "nothing to do: this key is no delegate of the account"),
    (
        "delegate_term_refused",
        "a delegate opens with its one settler and refunds to the payer alone",
    ),
    ("allowance_too_low", "lower the cap, or have the payer set the delegate's bounds anew"),
    ("is_paused", "wait until the pause is over; every way out stays open meanwhile"),
    ("pause_too_long", "pause for at most 7 days from now"),
    ("pause_too_soon", "wait until 30 days after the last pause ended"),
    ("not_paused", "nothing to end: name a later time to pause"),
    ("term_refused", "change this term of the order into its bounds and sign again"),
    ("settler_on_payer_side", "name a settler that is neither payer nor approver"),
    ("job_known", "this order was opened before: use the job, or sign with another salt"),
    ("job_not_open", "check the order: changed terms are another job; a closed job stays closed"),
    ("deadline_passed", "the date is over: sign a new order, or close the job"),
    ("too_early", "wait for the named time and send it again"),
    ("close_already_requested", "nothing to do: the request stands; close after the job's end"),
    ("count_refused", "send at least one lot or payout, and no more than the limit, in one call"),
    ("key_count_wrong", "send one key for each lot, zero for an unsealed one"),
    ("unit_price_too_high", "keep the lot's unit price within the order's max_unit_price"),
    ("units_unknown", "pick at least one unit, and only units that the job has"),
    ("units_taken", "drop the named units: another lot holds or was paid for them"),
    ("funds_too_low", "top the job up, or send fewer units"),
    ("lot_sealed", "commit and settle a sealed lot instead of releasing it"),
    ("lot_not_sealed", "settle the lot: only sealed lots lapse"),
    ("lot_unknown", "check the lot's fields: it was never committed as given"),
    ("lot_known", "nothing to do: a lot commits once; new work is another attempt"),
    ("lot_decided", "nothing to do: see the lot's state"),
    ("window_passed", "too late to reject: the lot can be settled"),
    ("nothing_to_approve", "nothing to do: every named lot was decided before"),
    ("mask_refused", "reject only units of the lot that were not rejected before"),
    ("nothing_left", "nothing to do: all units of the lot were rejected"),
    ("job_takes_no_vouchers", "pay a job with units by lots: release, or commit and settle"),
    ("voucher_spent", "redeem a voucher above what was redeemed so far"),
    ("payouts_wrong", "make the payouts come to exactly what the voucher adds"),
    ("key_refused", "send the key whose keccak256 is the lot's key_commit"),
];

fn hint(hints: &[(&str, &'static str)], code: &str) -> &'static str {
    let known = hints.iter().find(|(known, _)| *known == code);
    known.map_or("see the contract's documentation of this error", |(_, hint)| hint)
}

/// A field's name, without the underscore that Solidity's reserved words need, and its value.
fn field(name: &str, value: &DynSolValue) -> (String, String) {
    let name = snake_case(name.trim_end_matches('_'));
    match value {
        // `term` is the name of an order's field in ASCII, padded with zeros.
        DynSolValue::FixedBytes(word, _) if name == "term" => {
            let text = word.iter().take_while(|byte| **byte != 0).map(|byte| char::from(*byte));
            (name, text.collect())
        }
        value => (name, show(value)),
    }
}

/// One figure of an error as text: addresses in EIP-55, numbers in decimal, the rest in hex.
fn show(value: &DynSolValue) -> String {
    match value {
        DynSolValue::Address(address) => address.to_checksum(None),
        DynSolValue::Uint(number, _) => number.to_string(),
        DynSolValue::Int(number, _) => number.to_string(),
        DynSolValue::Bool(flag) => flag.to_string(),
        DynSolValue::String(text) => text.clone(),
        DynSolValue::FixedBytes(word, size) => hex::encode_prefixed(&word[..*size]),
        DynSolValue::Bytes(bytes) => hex::encode_prefixed(bytes),
        // The escrow's errors hold single words only; anything else is shown as it is.
        other => format!("{other:?}"),
    }
}

/// "DeadlinePassed" -> "deadline_passed"; runs of capitals stay together ("ERC20" -> "erc20").
pub fn snake_case(name: &str) -> String {
    let chars: Vec<char> = name.chars().collect();
    let mut text = String::new();
    for (i, c) in chars.iter().enumerate() {
        let before = i.checked_sub(1).map(|i| chars[i]);
        let starts_word = c.is_ascii_uppercase()
            && before.is_some_and(|b| {
                b.is_ascii_lowercase()
                    || (!b.is_ascii_uppercase() && b != '_')
                    || chars.get(i + 1).is_some_and(char::is_ascii_lowercase)
            });
        if starts_word && !text.ends_with('_') {
            text.push('_');
        }
        text.push(c.to_ascii_lowercase());
    }
    text
}

#[cfg(test)]
mod tests;
