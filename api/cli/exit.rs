//! Exit codes, and the one error of every command: what went wrong and what to do next.
use std::fmt::Display;

use alloy::contract::Error as ContractError;
use alloy::transports::{RpcError, TransportErrorKind};
use contracts::revert::explain_revert;
use serde::Serialize;

/// How a command ends. Scripts rely on the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    Ok = 0,
    Failed = 1,
    Usage = 2,
    NotFound = 3,
    InsufficientFunds = 4,
    Rejected = 5,
    Unavailable = 6,
    Mismatch = 7,
    Interrupted = 130,
}

impl Exit {
    pub fn code(self) -> u8 {
        match self {
            Exit::Ok => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::NotFound => 3,
            Exit::InsufficientFunds => 4,
            Exit::Rejected => 5,
            Exit::Unavailable => 6,
            Exit::Mismatch => 7,
            Exit::Interrupted => 130,
        }
    }
}

/// Why a command failed. `hint` is the next step.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize)]
#[error("{message}")]
pub struct Failure {
    pub exit: Exit,
    pub message: String,
    pub hint: String,
}

pub type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    pub fn new(exit: Exit, message: impl Into<String>, hint: impl Into<String>) -> Failure {
        Failure { exit, message: message.into(), hint: hint.into() }
    }

    pub fn usage(message: impl Into<String>, hint: impl Into<String>) -> Failure {
        Failure::new(Exit::Usage, message, hint)
    }

    pub fn mismatch(message: impl Into<String>) -> Failure {
        let hint = "nothing was signed or kept; do not trust this server until it is explained";
        Failure::new(Exit::Mismatch, message, hint)
    }

    pub fn interrupted() -> Failure {
        Failure::new(Exit::Interrupted, "interrupted", "run the command again to go on")
    }
}

/// A failure on this machine: files, folders, processes.
pub fn local(doing: impl Display) -> impl FnOnce(std::io::Error) -> Failure {
    let doing = doing.to_string();
    move |error| {
        let exit = match error.kind() {
            std::io::ErrorKind::NotFound => Exit::NotFound,
            _ => Exit::Failed,
        };
        Failure::new(exit, format!("{doing}: {error}"), "check the path, its rights and the space")
    }
}

/// A service or a store of ours that ended with an error of its own words.
pub fn stopped(error: impl Display) -> Failure {
    Failure::new(Exit::Failed, error.to_string(), "the log above says what came before")
}

pub fn chain(doing: &str, error: &RpcError<TransportErrorKind>) -> Failure {
    let message = format!("the chain node did not {doing}: {error}");
    match error {
        RpcError::ErrorResp(_) => {
            Failure::new(Exit::Rejected, message, "the node's words say why; nothing was changed")
        }
        RpcError::NullResp
        | RpcError::UnsupportedFeature(_)
        | RpcError::LocalUsageError(_)
        | RpcError::SerError(_)
        | RpcError::DeserError { .. }
        | RpcError::Transport(_) => {
            let hint = "check --rpc-url (RNDR__CHAIN__RPC_URL) and that the node runs";
            Failure::new(Exit::Unavailable, message, hint)
        }
    }
}

/// A contract's refusal by its name and figures, or the node's silence.
pub fn contract(doing: &str, error: &ContractError) -> Failure {
    if let Some(data) = error.as_revert_data() {
        return reverted(doing, &data);
    }
    match error {
        ContractError::TransportError(error) => {
            // Legacy RNDR reverts without data, which nodes report as an error without any.
            if error.as_error_resp().is_some_and(|answer| answer.message.contains("revert")) {
                return reverted(doing, &[]);
            }
            chain(doing, error)
        }
        ContractError::ZeroData(..) => {
            let message = format!("there is no such contract to {doing}: {error}");
            Failure::new(Exit::NotFound, message, "check --escrow and --rpc-url")
        }
        other => {
            let message = format!("the call to {doing} failed: {other}");
            Failure::new(Exit::Failed, message, "check --escrow and --rpc-url")
        }
    }
}

fn reverted(doing: &str, data: &[u8]) -> Failure {
    let reason = explain_revert(data);
    let exit = match reason.code.as_str() {
        "free_too_low" | "pull_failed" | "funds_too_low" | "vault_too_low" => {
            Exit::InsufficientFunds
        }
        _ => Exit::Rejected,
    };
    Failure::new(exit, format!("the chain refuses to {doing}: {}", reason.detail), reason.hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy::primitives::B256;
    use alloy::sol_types::SolError;
    use contracts::RenderEscrow;

    #[test]
    fn exit_codes_are_the_published_ones() {
        let all = [
            (Exit::Ok, 0),
            (Exit::Failed, 1),
            (Exit::Usage, 2),
            (Exit::NotFound, 3),
            (Exit::InsufficientFunds, 4),
            (Exit::Rejected, 5),
            (Exit::Unavailable, 6),
            (Exit::Mismatch, 7),
            (Exit::Interrupted, 130),
        ];
        for (exit, code) in all {
            assert_eq!(exit.code(), code);
        }
    }

    #[test]
    fn reverts_are_told_by_name_and_empty_ones_by_their_likely_causes() {
        let known =
            RenderEscrow::RenderEscrow_JobKnown { jobId: B256::ZERO, status: 1 }.abi_encode();
        let failure = reverted("open the job", &known);
        assert_eq!(failure.exit, Exit::Rejected);
        assert!(failure.message.contains("job known"), "{failure:?}");
        let failure = reverted("deposit", &[]);
        assert!(failure.message.contains("allowance"), "{failure:?}");
        assert!(!failure.hint.is_empty());
    }
}
