//! trait Chain (heads, headers, proven logs, calls); over RPC in `chain/`, in memory in tests.

use std::future::Future;

use alloy::primitives::{Address, B256, Bloom, Bytes, Log};
use store::{Tag, Verified};

use crate::verify::Disproof;

pub mod answers;
mod rpc;
mod servers;
mod socket;

pub use rpc::{Proof, Rpc};
pub use socket::wake_on_heads;

/// What the follower and the audit need to know of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    pub number: u64,
    pub hash: B256,
    pub parent_hash: B256,
    /// Unix seconds.
    pub mined_at: i64,
    pub logs_bloom: Bloom,
    pub receipts_root: B256,
    pub transactions_root: B256,
}

/// One log with its place: (block hash, log index) names it, a transaction can be mined again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainLog {
    pub block: u64,
    pub block_hash: B256,
    pub tx_hash: B256,
    pub log_index: u64,
    pub log: Log,
}

/// All logs of the followed contracts in one block, and how that was proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockLogs {
    pub logs: Vec<ChainLog>,
    pub verified: Verified,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    #[error("`{url}` is no address of a node ({reason}); write it like http://127.0.0.1:8545")]
    Url { url: String, reason: String },
    #[error("chain node {server} gave no answer to {call} within {seconds} s; does it run?")]
    Timeout { server: String, call: &'static str, seconds: u64 },
    #[error("{call} did not reach chain node {server} or its answer was broken: {reason}")]
    Transport { server: String, call: &'static str, reason: String },
    #[error("chain node {server} refused {call}: {reason}")]
    Refused { server: String, call: &'static str, reason: String },
    #[error("chain node {server} lies or mixes forks, its answer to {call} is dropped: {disproof}")]
    Disproved { server: String, call: &'static str, disproof: Disproof },
    #[error(
        "chain node {server} is of chain {found}, not of {expected} as the others or the database; \
         check chain.rpc_url and chain.more_rpc_urls"
    )]
    OtherChain { server: String, found: String, expected: String },
}

impl ChainError {
    /// Asking again may help. A refusal is the node's word on this very question.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Timeout { .. } | Self::Transport { .. } | Self::Disproved { .. } => true,
            Self::Url { .. } | Self::Refused { .. } | Self::OtherChain { .. } => false,
        }
    }
}

pub(crate) type Answer<T> = Result<T, ChainError>;

/// A chain that can be read: nodes over RPC, or one in memory in tests.
pub trait Chain: Send + Sync {
    /// Which chain it must be: of several nodes, those of another one are left out.
    fn expect(&self, _chain_id: u64, _genesis_hash: B256) {}
    fn chain_id(&self) -> impl Future<Output = Answer<u64>> + Send;
    /// None: the chain has no such block yet.
    fn head(&self, tag: Tag) -> impl Future<Output = Answer<Option<Header>>> + Send;
    fn header(&self, number: u64) -> impl Future<Output = Answer<Option<Header>>> + Send;
    /// Headers of `from..=to`, each the child of the one before. None: they are not all there, or
    /// the chain moved meanwhile.
    fn headers(
        &self,
        from: u64,
        to: u64,
    ) -> impl Future<Output = Answer<Option<Vec<Header>>>> + Send;
    /// Logs of these contracts in one block, proven from its header where `proves` is true.
    fn block_logs(
        &self,
        of: &[Address],
        header: &Header,
    ) -> impl Future<Output = Answer<BlockLogs>> + Send;
    /// Whether logs are proven; otherwise `range_logs` takes a server's word for many blocks.
    fn proves(&self) -> bool;
    /// Logs of these contracts in blocks `from..=to` of the canonical chain, as a server says.
    fn range_logs(
        &self,
        of: &[Address],
        from: u64,
        to: u64,
    ) -> impl Future<Output = Answer<Vec<ChainLog>>> + Send;
    /// Code at an address, at a height or at the head.
    fn code(&self, of: Address, at: Option<u64>) -> impl Future<Output = Answer<Bytes>> + Send;
    /// Answer of a view function, at a block by hash or at the head.
    fn call(
        &self,
        to: Address,
        data: Bytes,
        at: Option<B256>,
    ) -> impl Future<Output = Answer<Bytes>> + Send;
}
