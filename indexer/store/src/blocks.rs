//! The stored chain: the escrow followed, its blocks, the chain's heads, the journal of reorgs.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::{Address, B256};
use serde::Serialize;

use crate::Reader;
use crate::bulk::{Table, table};
use crate::error::Result;
use crate::values::{Row, Value, values, words};

/// Blocks are asked for this many at once; each is a bound value.
const BLOCKS_CHUNK: usize = 500;

/// The one escrow that a store follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Escrow {
    pub address: Address,
    pub chain_id: u64,
    pub genesis_hash: B256,
    pub token: Address,
    pub symbol: String,
    pub decimals: u8,
    pub deploy_block: u64,
    /// The node registry that is followed too; None: none is.
    pub registry: Option<Address>,
}

/// How a block's logs were proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verified {
    Bloom,
    Receipts,
    LogsOnly,
}
words!(Verified { Bloom = "bloom", Receipts = "receipts", LogsOnly = "logs_only" });

/// A canonical block; `digest` is the running digest after it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Block {
    pub number: u64,
    pub hash: B256,
    pub parent_hash: B256,
    pub mined_at: i64,
    pub verified: Verified,
    pub digest: B256,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Tag {
    Latest,
    Safe,
    Finalized,
}
words!(Tag { Latest = "latest", Safe = "safe", Finalized = "finalized" });

/// One of the chain's own heads as last seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Head {
    pub tag: Tag,
    pub block: u64,
    pub hash: B256,
    pub seen_at: i64,
}

/// A rewind: the chain left `old` and went on from `fork`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reorg {
    pub reorg_id: i64,
    pub at: i64,
    pub fork_block: u64,
    pub fork_hash: B256,
    pub old_block: u64,
    pub old_hash: B256,
}

impl Reader {
    /// The escrow of this store; None before the indexer's first start.
    pub async fn escrow(&self) -> Result<Option<Escrow>> {
        self.pool.one(SELECT_ESCROW, vec![]).await?.as_ref().map(escrow_from).transpose()
    }

    /// The newest stored block: the indexer's place. None while the first load of a fresh database
    /// runs.
    pub async fn tip(&self) -> Result<Option<Block>> {
        self.pool.one(SELECT_TIP, values![self.until]).await?.as_ref().map(block_from).transpose()
    }

    pub async fn block(&self, number: u64) -> Result<Option<Block>> {
        let sql = "SELECT block, hash, parent_hash, mined_at, verified, digest FROM blocks \
                   WHERE block = $1";
        self.pool.one(sql, values![number]).await?.as_ref().map(block_from).transpose()
    }

    /// The nearest stored block; below finalized not every number has one.
    pub async fn block_at_or_below(&self, number: u64) -> Result<Option<Block>> {
        let sql = "SELECT block, hash, parent_hash, mined_at, verified, digest FROM blocks \
                   WHERE block <= $1 ORDER BY block DESC LIMIT 1";
        self.pool.one(sql, values![number]).await?.as_ref().map(block_from).transpose()
    }

    /// The lowest block that was taken on a server's word: nothing from it on is proven.
    pub async fn first_unproven(&self) -> Result<Option<u64>> {
        let sql = "SELECT block FROM blocks WHERE verified = 'logs_only' ORDER BY block LIMIT 1";
        self.pool.one(sql, vec![]).await?.map(|row| row.get("block")).transpose()
    }

    /// Some blocks by their numbers, such as those of events.
    pub async fn blocks_of(
        &self,
        numbers: impl IntoIterator<Item = u64>,
    ) -> Result<BTreeMap<u64, Block>> {
        let numbers: BTreeSet<u64> = numbers.into_iter().collect();
        let numbers: Vec<u64> = numbers.into_iter().collect();
        let mut blocks = BTreeMap::new();
        for chunk in numbers.chunks(BLOCKS_CHUNK) {
            let sql = "SELECT block, hash, parent_hash, mined_at, verified, digest FROM blocks \
                       WHERE block IN {}";
            let numbers = chunk.iter().map(|block| Value::from(*block)).collect();
            for row in self.pool.all_in(sql, numbers).await? {
                let block = block_from(&row)?;
                blocks.insert(block.number, block);
            }
        }
        Ok(blocks)
    }

    /// The newest stored block up to `tip` that was mined before `time`. Times never fall along
    /// a chain, so halving finds it: some thirty reads in any chain.
    pub async fn newest_before(&self, time: i64, tip: u64) -> Result<Option<Block>> {
        let (mut low, mut high, mut found) = (0, tip.saturating_add(1), None);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.block_at_or_below(middle).await? {
                Some(block) if block.mined_at >= time => high = block.number,
                Some(block) => {
                    found = Some(block);
                    low = middle + 1;
                }
                None => low = middle + 1,
            }
        }
        Ok(found)
    }

    pub async fn heads(&self) -> Result<Vec<Head>> {
        let sql = "SELECT tag, block, hash, seen_at FROM heads ORDER BY block DESC, tag";
        self.pool.all(sql, vec![]).await?.iter().map(head_from).collect()
    }

    /// The newest reorgs first.
    pub async fn reorgs(&self, limit: u32) -> Result<Vec<Reorg>> {
        self.reorgs_before(i64::MAX, limit).await
    }

    /// The newest reorgs first, of those that the journal has before `reorg_id`.
    pub async fn reorgs_before(&self, reorg_id: i64, limit: u32) -> Result<Vec<Reorg>> {
        let sql = "SELECT reorg_id, at, fork_block, fork_hash, old_block, old_hash FROM reorgs \
                   WHERE reorg_id < $1 ORDER BY reorg_id DESC LIMIT $2";
        self.pool.all(sql, values![reorg_id, limit]).await?.iter().map(reorg_from).collect()
    }

    /// The deepest of the reorgs that came after `reorg_id`: what was stored above its fork may
    /// be gone, what lies at it or below is the same as before all of them.
    pub async fn deepest_reorg_since(&self, reorg_id: i64) -> Result<Option<Reorg>> {
        let sql = "SELECT reorg_id, at, fork_block, fork_hash, old_block, old_hash FROM reorgs \
                   WHERE reorg_id > $1 ORDER BY fork_block LIMIT 1";
        self.pool.one(sql, values![reorg_id]).await?.as_ref().map(reorg_from).transpose()
    }

    /// Heads, tip, and what else tells how far the index can be trusted, in one question.
    pub async fn marks(&self) -> Result<Marks> {
        let mut marks = Marks::default();
        for row in self.pool.all(SELECT_MARKS, vec![]).await? {
            match row.get::<String>("tag")?.as_str() {
                "tip" => marks.tip = Some(block_from(&row)?),
                "unproven" => marks.first_unproven = Some(row.get("block")?),
                "reorg" => marks.newest_reorg = row.get("block")?,
                _ => marks.heads.push(head_from(&row)?),
            }
        }
        Ok(marks)
    }

    /// How many of the newest `of` stored blocks were proven in each way.
    pub async fn proven(&self, of: u32) -> Result<Vec<(Verified, u64)>> {
        let sql = "SELECT verified, COUNT(*) AS blocks FROM (SELECT verified FROM blocks \
                   WHERE block <= $1 ORDER BY block DESC LIMIT $2) b GROUP BY verified \
                   ORDER BY verified";
        let rows = self.pool.all(sql, values![self.until, of]).await?;
        rows.iter().map(|row| Ok((row.word("verified")?, row.get("blocks")?))).collect()
    }
}

/// How far the chain is, and how far the index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    pub heads: Vec<Head>,
    /// The newest stored block.
    pub tip: Option<Block>,
    /// The first block whose logs nothing proves: nothing in it or above it is final.
    pub first_unproven: Option<u64>,
    /// The journal's newest row; 0: there is none.
    pub newest_reorg: i64,
}

/// Rows of four kinds in the columns of a block. Readers see no block before the first load ends.
const SELECT_MARKS: &str = "SELECT tag, block, hash, hash AS parent_hash, seen_at, \
     seen_at AS mined_at, tag AS verified, hash AS digest FROM heads \
     UNION ALL SELECT * FROM (SELECT 'tip', block, hash, parent_hash, mined_at AS seen_at, \
     mined_at, verified, digest FROM blocks WHERE NOT EXISTS (SELECT 1 FROM load_rest) \
     ORDER BY block DESC LIMIT 1) t \
     UNION ALL SELECT * FROM (SELECT 'unproven', block, hash, parent_hash, mined_at AS seen_at, \
     mined_at, verified, digest FROM blocks WHERE verified = 'logs_only' \
     ORDER BY block LIMIT 1) u \
     UNION ALL SELECT * FROM (SELECT 'reorg', reorg_id, fork_hash, fork_hash AS parent_hash, at, \
     at AS mined_at, 'none', fork_hash AS digest FROM reorgs ORDER BY reorg_id DESC LIMIT 1) r";

pub(crate) const SELECT_ESCROW: &str = "SELECT address, chain_id, genesis_hash, token, symbol, \
     decimals, deploy_block, registry FROM escrows ORDER BY address LIMIT 1";

const SELECT_TIP: &str = "SELECT block, hash, parent_hash, mined_at, verified, digest FROM blocks \
     WHERE block <= $1 AND NOT EXISTS (SELECT 1 FROM load_rest) ORDER BY block DESC LIMIT 1";

/// The newest block written, also while readers see none.
pub(crate) const SELECT_NEWEST: &str = "SELECT block, hash, parent_hash, mined_at, verified, \
     digest FROM blocks ORDER BY block DESC LIMIT 1";

pub(crate) const BLOCKS: Table =
    table!("blocks", "block, hash, parent_hash, mined_at, verified, digest");

pub(crate) fn block_values(block: &Block) -> Vec<Value> {
    values![
        block.number,
        block.hash,
        block.parent_hash,
        block.mined_at,
        block.verified,
        block.digest,
    ]
}

pub(crate) fn block_from(row: &Row) -> Result<Block> {
    Ok(Block {
        number: row.get("block")?,
        hash: row.get("hash")?,
        parent_hash: row.get("parent_hash")?,
        mined_at: row.get("mined_at")?,
        verified: row.word("verified")?,
        digest: row.get("digest")?,
    })
}

pub(crate) fn escrow_from(row: &Row) -> Result<Escrow> {
    Ok(Escrow {
        address: row.get("address")?,
        chain_id: row.get("chain_id")?,
        genesis_hash: row.get("genesis_hash")?,
        token: row.get("token")?,
        symbol: row.get("symbol")?,
        decimals: row.get("decimals")?,
        deploy_block: row.get("deploy_block")?,
        registry: row.opt("registry")?,
    })
}

fn head_from(row: &Row) -> Result<Head> {
    Ok(Head {
        tag: row.word("tag")?,
        block: row.get("block")?,
        hash: row.get("hash")?,
        seen_at: row.get("seen_at")?,
    })
}

fn reorg_from(row: &Row) -> Result<Reorg> {
    Ok(Reorg {
        reorg_id: row.get("reorg_id")?,
        at: row.get("at")?,
        fork_block: row.get("fork_block")?,
        fork_hash: row.get("fork_hash")?,
        old_block: row.get("old_block")?,
        old_hash: row.get("old_hash")?,
    })
}
