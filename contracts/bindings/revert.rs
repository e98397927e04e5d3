//! pure: what a revert of the escrow says: its name, its figures, a stable code, and what to do.

use alloy::dyn_abi::{DynSolValue, ErrorExt};
use alloy::json_abi::Error as AbiError;
use alloy::primitives::hex;
use alloy::sol_types::{Panic, Revert, SolError};
use serde::Serialize;

use crate::RenderEscrow;

/// Why a call to the escrow failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RevertReason {
    /// Stable, snake_case: `deadline_passed` of `RenderEscrow_DeadlinePassed`.
    pub code: String,
    /// The error's name in the contract; empty when the revert carries none.
    pub name: String,
    /// The figures that failed, by their names in the contract.
    pub fields: Vec<(String, String)>,
    /// A sentence for people.
    pub detail: String,
}

/// Code of a revert with no data at all: legacy RNDR gives no other sign of failure.
pub const EMPTY: &str = "token_reverted_without_reason";
/// Code of data that no known error explains.
pub const UNKNOWN: &str = "unknown_revert";

const EMPTY_DETAIL: &str = "the call reverted without a reason, as legacy RNDR does: the token \
    balance is too small, or the escrow's allowance is (legacy allowances fall with every use), \
    or the token is paused, or the receiver is refused; check balanceOf and allowance of the \
    payer, then approve and try again (running out of gas, or an address with no contract, \
    looks the same)";

pub fn explain_revert(data: &[u8]) -> RevertReason {
    if data.is_empty() {
        return RevertReason::plain(EMPTY, EMPTY_DETAIL.into());
    }
    if let Ok(revert) = Revert::abi_decode(data) {
        return RevertReason::plain("reverted", format!("the call reverted: {}", revert.reason));
    }
    if let Ok(panic) = Panic::abi_decode(data) {
        return RevertReason::plain("panic", format!("the contract stopped itself: {panic}"));
    }
    let errors = RenderEscrow::abi::errors();
    match errors.values().flatten().find(|error| data.starts_with(&error.selector().0)) {
        Some(error) => named(error, data),
        None => {
            let head = hex::encode_prefixed(&data[..data.len().min(4)]);
            let detail =
                format!("the call reverted with an error unknown to this program ({head})");
            RevertReason::plain(UNKNOWN, detail)
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
    RevertReason { code, name: error.name.clone(), fields, detail }
}

impl RevertReason {
    fn plain(code: &str, detail: String) -> Self {
        Self { code: code.into(), name: String::new(), fields: Vec::new(), detail }
    }
}

/// A field's name, without the underscore that Solidity's own words force on it, and its value.
fn field(name: &str, value: &DynSolValue) -> (String, String) {
    let name = name.trim_end_matches('_').to_string();
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
