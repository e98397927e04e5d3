//! Reads blocks of the chain and folds their events into one step, ready to be written.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::{Address, B256};
use contracts::{event, registry};
use futures::{StreamExt, TryStreamExt};
use store::{Block, Escrow, EventRow, Reader, RegistryRow, Step, Verified};

use crate::bonds::Bonds;
use crate::chain::{BlockLogs, Chain, ChainLog, Header};
use crate::known::Known;
use crate::ledger::{Change, Ledger};
use crate::{Error, digest};

/// Blocks asked about at the same time: hides the way to the node, spares its queue.
const BLOCKS_AT_ONCE: usize = 8;

/// Reads from one chain on top of one store.
pub struct Steps<'a, C> {
    chain: &'a C,
    reader: &'a Reader,
    escrow: &'a Escrow,
}

/// A block and its events, each contract's in order.
pub struct Read {
    pub header: Header,
    pub verified: Verified,
    rows: Vec<EventRow>,
    registry: Vec<RegistryRow>,
    /// The digest's leaf of each event, in the order of the block.
    leaves: Vec<B256>,
}

impl Read {
    /// The running digest after this block.
    pub fn digest(&self, before: B256) -> B256 {
        digest::next(before, self.header.hash, &self.leaves)
    }

    /// How many events the block holds.
    pub fn events(&self) -> usize {
        self.leaves.len()
    }

    /// The block as one to stand on: what it says of itself, not what follows from its events.
    pub fn place(&self) -> Block {
        let Header { number, hash, parent_hash, mined_at, .. } = self.header;
        let (verified, digest) = (self.verified, B256::ZERO);
        Block { number, hash, parent_hash, mined_at, verified, digest }
    }
}

impl<'a, C: Chain> Steps<'a, C> {
    pub fn new(chain: &'a C, reader: &'a Reader, escrow: &'a Escrow) -> Self {
        Self { chain, reader, escrow }
    }

    /// Final blocks `from..=to` on top of `tip`: those that hold events, and the last one.
    /// None: the answers do not fit together or on the tip; look again.
    pub async fn read(
        &self,
        tip: Option<&Block>,
        from: u64,
        to: u64,
    ) -> Result<Option<Vec<Read>>, Error> {
        let blocks = match self.chain.proves() {
            true => self.proven(tip, from, to).await?,
            false => self.told(tip, from, to).await?,
        };
        let Some(blocks) = blocks else { return Ok(None) };
        let kept =
            |(header, found): &(Header, BlockLogs)| !found.logs.is_empty() || header.number == to;
        let kept = blocks.into_iter().filter(kept);
        kept.map(|(header, found)| self.decode(header, found)).collect::<Result<_, _>>().map(Some)
    }

    /// Every block of the range by its header, each the child of the one before: their logs need
    /// no question of their own, and none can be left out.
    async fn proven(
        &self,
        tip: Option<&Block>,
        from: u64,
        to: u64,
    ) -> Result<Option<Vec<(Header, BlockLogs)>>, Error> {
        let Some(headers) = self.chain.headers(from, to).await? else { return Ok(None) };
        if !headers.first().is_some_and(|first| follows(tip, first)) {
            return Ok(None);
        }
        let followed = self.followed();
        let asked = futures::stream::iter(headers).map(|header| async {
            let found = self.chain.block_logs(&followed, &header).await?;
            Ok((header, found))
        });
        asked.buffered(BLOCKS_AT_ONCE).try_collect().await.map(Some)
    }

    /// The blocks that a server names logs of, the first and the last: no proof that none lacks.
    async fn told(
        &self,
        tip: Option<&Block>,
        from: u64,
        to: u64,
    ) -> Result<Option<Vec<(Header, BlockLogs)>>, Error> {
        let logs = self.chain.range_logs(&self.followed(), from, to).await?;
        let outside = logs.iter().any(|log| log.block < from || log.block > to);
        let mut wanted: BTreeSet<u64> = logs.iter().map(|log| log.block).collect();
        wanted.extend([from, to]);
        let headers: Vec<Option<Header>> = futures::stream::iter(wanted)
            .map(|number| self.chain.header(number))
            .buffered(BLOCKS_AT_ONCE)
            .try_collect()
            .await?;
        let Some(headers) = headers.into_iter().collect::<Option<Vec<_>>>() else {
            return Ok(None);
        };
        let mut by_block: BTreeMap<u64, Vec<ChainLog>> = BTreeMap::new();
        for log in logs {
            by_block.entry(log.block).or_default().push(log);
        }
        if outside || !headers.first().is_some_and(|first| follows(tip, first)) {
            return Ok(None);
        }
        let mut blocks = Vec::new();
        for header in headers {
            let logs = by_block.remove(&header.number).unwrap_or_default();
            if logs.iter().any(|log| log.block_hash != header.hash) {
                return Ok(None);
            }
            blocks.push((header, BlockLogs { logs, verified: Verified::LogsOnly }));
        }
        Ok(Some(blocks))
    }

    /// One block on top of `tip`, its logs by its hash. None: it does not stand on the tip.
    pub async fn block(&self, tip: Option<&Block>, header: Header) -> Result<Option<Read>, Error> {
        if !follows(tip, &header) {
            return Ok(None);
        }
        let found = self.chain.block_logs(&self.followed(), &header).await?;
        if found.logs.iter().any(|log| log.block_hash != header.hash) {
            return Ok(None);
        }
        self.decode(header, found).map(Some)
    }

    /// The running digest before the first block.
    pub fn seed(&self) -> B256 {
        let Escrow { chain_id, genesis_hash, address, registry, .. } = *self.escrow;
        digest::seed(chain_id, genesis_hash, address, registry)
    }

    /// The contracts whose logs are read, at the same blocks and with the same questions.
    fn followed(&self) -> Vec<Address> {
        std::iter::once(self.escrow.address).chain(self.escrow.registry).collect()
    }

    fn decode(&self, header: Header, found: BlockLogs) -> Result<Read, Error> {
        let BlockLogs { mut logs, verified } = found;
        logs.sort_by_key(|log| log.log_index);
        let (rows, registry, leaves) = (Vec::new(), Vec::new(), Vec::new());
        let mut read = Read { header, verified, rows, registry, leaves };
        for found in logs {
            let ChainLog { block, log_index, tx_hash, log, .. } = found;
            // What is decoded encodes to this very log: `decode` takes no other.
            read.leaves.push(digest::leaf(log_index, tx_hash, &log));
            match self.escrow.registry {
                Some(address) if address == log.address => {
                    let event = registry::decode(address, &log)
                        .map_err(|reason| Error::RegistryLog { block, log_index, reason })?;
                    read.registry.push(RegistryRow { block, log_index, tx_hash, event });
                }
                Some(_) | None => {
                    let event = event::decode(self.escrow.address, &log)
                        .map_err(|reason| Error::Log { block, log_index, reason })?;
                    read.rows.push(EventRow { block, log_index, tx_hash, event });
                }
            }
        }
        Ok(read)
    }

    /// The rows to write of some blocks on top of `tip`. `known` is then as the last of them left
    /// it; after an error it is worth nothing.
    pub async fn fold(
        &self,
        known: &mut Known,
        tip: Option<&Block>,
        blocks: Vec<Read>,
    ) -> Result<Step, Error> {
        let before = tip.map_or_else(|| self.seed(), |tip| tip.digest);
        let events = blocks.iter().flat_map(|read| &read.rows);
        let of_registry = blocks.iter().flat_map(|read| &read.registry);
        known.read(self.reader, events, of_registry).await?;
        fold((&mut known.ledger, &mut known.bonds), before, blocks)
    }
}

/// Whether a block can be put on top of the tip. The first block of all stands on nothing, and
/// a range may start right above it.
fn follows(tip: Option<&Block>, header: &Header) -> bool {
    tip.is_none_or(|tip| header.number == tip.number + 1 && header.parent_hash == tip.hash)
}

/// Folds blocks into the rows to write: a snapshot after each event, a digest for each block.
pub fn fold(
    (ledger, bonds): (&mut Ledger, &mut Bonds),
    mut before: B256,
    blocks: Vec<Read>,
) -> Result<Step, Error> {
    let mut step = Step::default();
    for read in blocks {
        before = read.digest(before);
        let Read { header, verified, rows, registry, .. } = read;
        for row in &rows {
            let Change { order, lot, account, job, lot_state, delegate, offices, .. } =
                ledger.apply(row, header.mined_at)?;
            step.orders.extend(order);
            step.lots.extend(lot);
            step.accounts.extend(account);
            step.jobs.extend(job);
            step.lot_states.extend(lot_state);
            step.delegates.extend(delegate);
            step.offices.extend(offices);
        }
        for row in &registry {
            step.bonds.push(bonds.apply(row, header.mined_at)?);
        }
        if let Some(last) = rows.last() {
            ledger.end_block(last, header.mined_at)?;
        }
        step.events.extend(rows);
        step.registry.extend(registry);
        step.blocks.push(Block {
            number: header.number,
            hash: header.hash,
            parent_hash: header.parent_hash,
            mined_at: header.mined_at,
            verified,
            digest: before,
        });
    }
    Ok(step)
}
