//! Up to which block an audit goes, and a chain that ends there, whatever came after it.

use alloy::primitives::{Address, B256, Bytes};
use store::Tag;

use super::AuditError;
use crate::chain::{BlockLogs, Chain, ChainError, ChainLog, Header};

/// Up to which block is audited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Until {
    /// The newest block of the audited database, or the chain's head without one.
    #[default]
    Tip,
    /// The chain's finalized block, or the database's newest one where that is older.
    Finalized,
    Block(u64),
}

/// The last block to audit; `tip` is the database's newest one.
pub(super) async fn last_block<C: Chain>(
    chain: &C,
    until: Until,
    tip: Option<u64>,
) -> Result<u64, AuditError> {
    let head = async |tag| Ok::<_, AuditError>(chain.head(tag).await?.map_or(0, |h| h.number));
    match (until, tip) {
        (Until::Tip, Some(tip)) => Ok(tip),
        (Until::Tip, None) => head(Tag::Latest).await,
        (Until::Finalized, tip) => Ok(head(Tag::Finalized).await?.min(tip.unwrap_or(u64::MAX))),
        (Until::Block(block), Some(tip)) if block > tip => {
            Err(AuditError::NotIndexed { block, tip })
        }
        (Until::Block(block), _) => Ok(block),
    }
}

/// A chain that ends at a block, whatever came after it.
pub(super) struct UpTo<'a, C> {
    pub chain: &'a C,
    pub last: u64,
}

impl<C: Chain> Chain for UpTo<'_, C> {
    async fn chain_id(&self) -> Result<u64, ChainError> {
        self.chain.chain_id().await
    }

    async fn head(&self, tag: Tag) -> Result<Option<Header>, ChainError> {
        match self.chain.head(tag).await? {
            Some(head) if head.number > self.last => self.chain.header(self.last).await,
            head => Ok(head),
        }
    }

    async fn header(&self, number: u64) -> Result<Option<Header>, ChainError> {
        self.chain.header(number).await
    }

    async fn headers(&self, from: u64, to: u64) -> Result<Option<Vec<Header>>, ChainError> {
        self.chain.headers(from, to).await
    }

    async fn block_logs(&self, of: &[Address], header: &Header) -> Result<BlockLogs, ChainError> {
        self.chain.block_logs(of, header).await
    }

    fn proves(&self) -> bool {
        self.chain.proves()
    }

    async fn range_logs(
        &self,
        of: &[Address],
        from: u64,
        to: u64,
    ) -> Result<Vec<ChainLog>, ChainError> {
        self.chain.range_logs(of, from, to).await
    }

    async fn code(&self, of: Address, at: Option<u64>) -> Result<Bytes, ChainError> {
        self.chain.code(of, at).await
    }

    async fn call(&self, to: Address, data: Bytes, at: Option<B256>) -> Result<Bytes, ChainError> {
        self.chain.call(to, data, at).await
    }
}
