//! Why the indexer stops, and which of it may pass by itself.

use contracts::event::DecodeError;
use contracts::registry::LogError;

use crate::chain::ChainError;
use crate::follow::Stop;
use crate::{bonds, identity, ledger};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    Ledger(#[from] ledger::LedgerError),
    #[error(transparent)]
    Bond(#[from] bonds::BondError),
    #[error("block {block} log {log_index} cannot be read: {reason}")]
    Log { block: u64, log_index: u64, reason: DecodeError },
    #[error("block {block} log {log_index} cannot be read: {reason}")]
    RegistryLog { block: u64, log_index: u64, reason: LogError },
    #[error(transparent)]
    Identity(#[from] identity::Refusal),
    #[error("indexer stopped: {0}")]
    Stop(#[from] Stop),
}

impl Error {
    /// Whether looking again later may help. Whatever a chain node answers may be different
    /// next time; what the fold, the store or the rules refuse stays refused.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Chain(ChainError::Url { .. } | ChainError::OtherChain { .. }) => false,
            Self::Chain(_) => true,
            Self::Store(error) => error.is_transient(),
            Self::Ledger(_) | Self::Bond(_) | Self::Log { .. } | Self::RegistryLog { .. } => false,
            // A node that is still syncing, or whose answer got lost.
            Self::Identity(identity::Refusal::NoGenesis) => true,
            Self::Identity(_) | Self::Stop(_) => false,
        }
    }
}
