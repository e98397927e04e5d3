//! Proves what an earlier run took on a server's word: same events, or a loud stop.

use store::{Block, ChainWriter, Reader};

use crate::Error;
use crate::chain::Chain;
use crate::follow::Stop;
use crate::steps::Steps;

/// What came of proving the lowest unproven block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proven {
    /// It is proven now, and there may be more.
    One,
    /// There is none.
    All,
    /// The chain has another block there, or the node's answers do not fit together.
    Unclear,
}

/// Reads the lowest stored block that is `logs_only` again, with all blocks up to it from the
/// stored one below, and compares the digest, which binds every event.
pub async fn lowest<C: Chain>(
    steps: &Steps<'_, C>,
    reader: &Reader,
    writer: &ChainWriter,
    deploy_block: u64,
) -> Result<Proven, Error> {
    let Some(number) = reader.first_unproven().await? else { return Ok(Proven::All) };
    let Some(stored) = reader.block(number).await? else { return Ok(Proven::Unclear) };
    let below = match number.checked_sub(1) {
        Some(below) => reader.block_at_or_below(below).await?,
        None => None,
    };
    let from = below.as_ref().map_or(deploy_block.min(number), |block| block.number + 1);
    let Some(read) = steps.read(below.as_ref(), from, number).await? else {
        return Ok(Proven::Unclear);
    };
    let Some(last) = read.last().filter(|last| last.header.hash == stored.hash) else {
        return Ok(Proven::Unclear);
    };
    let before = below.map_or_else(|| steps.seed(), |block| block.digest);
    if read.iter().fold(before, |digest, read| read.digest(digest)) != stored.digest {
        return Err(Stop::NotAsProven { block: number }.into());
    }
    writer.set_verified(&Block { verified: last.verified, ..stored }).await?;
    tracing::debug!(number, verified = %last.verified, "block proven after the fact");
    Ok(Proven::One)
}
