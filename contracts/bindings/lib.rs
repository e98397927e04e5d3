//! The vocabulary: what the chain says, with its Rust names, and the pure parts that all share.

pub mod amount;
pub mod deploy;
pub mod event;
pub mod frames;
pub mod funding;
pub mod layout;
pub mod merkle;
pub mod order;
pub mod picture;
pub mod receipt;
pub mod registry;
pub mod revert;
pub mod scene;
pub mod seal;
pub mod signing;
pub mod spec;
pub mod text;
pub mod units;
pub mod urls;

pub use amount::{Amount, AmountError};
pub use event::Event;
pub use order::{Lot, Order, Payout};
pub use receipt::Receipt;

use alloy::primitives::B256;
use serde::{Deserialize, Serialize};

/// A job is named by the EIP-712 digest of its order, so an id binds terms, chain and contract.
pub type JobId = B256;
/// A node is named by the account that its receipts are signed with and its lots are paid to.
pub type NodeId = alloy::primitives::Address;

/// One block, by number and by hash: a number alone names different blocks across a reorg.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlockRef {
    pub number: u64,
    pub hash: B256,
}

mod generated {
    #![allow(clippy::too_many_arguments, reason = "generated from the contract's interface")]
    alloy::sol!(
        #[sol(rpc, abi, extra_derives(Debug, PartialEq, Eq))]
        RenderEscrow,
        "artifacts/RenderEscrow.json"
    );
    alloy::sol!(
        #[sol(rpc, abi, extra_derives(Debug, PartialEq, Eq))]
        NodeRegistry,
        "artifacts/NodeRegistry.json"
    );
    alloy::sol!(
        #[sol(rpc, abi, extra_derives(Debug, PartialEq, Eq))]
        Funding,
        "artifacts/Funding.json"
    );
    alloy::sol!(
        #[sol(rpc, extra_derives(Debug, PartialEq, Eq))]
        LegacyRndr,
        "artifacts/LegacyRndr.json"
    );
}
pub use generated::{Funding, LegacyRndr, NodeRegistry, RenderEscrow};

#[cfg(test)]
mod golden_tests;
#[cfg(test)]
mod samples;
