//! The whole history in the chain's order, escrow and registry together, a bounded part at a time.

use std::collections::{BTreeMap, VecDeque};

use alloy::primitives::B256;

use crate::Reader;
use crate::blocks::Block;
use crate::entries::{Entry, entries_of, entries_of_registry};
use crate::error::{Error, Result};
use crate::events::EventRow;
use crate::history::HistoryEvent;
use crate::registry::RegistryRow;

/// Rows of each contract read at once: all that a walk holds.
const ROWS_AT_ONCE: u32 = 1_000;

impl HistoryEvent {
    /// Block and log index.
    pub fn place(&self) -> (u64, u64) {
        match self {
            Self::Escrow(row) => (row.block, row.log_index),
            Self::Registry(row) => (row.block, row.log_index),
        }
    }

    pub fn tx_hash(&self) -> B256 {
        match self {
            Self::Escrow(row) => row.tx_hash,
            Self::Registry(row) => row.tx_hash,
        }
    }

    /// The event's name in its contract.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Escrow(row) => row.event.name(),
            Self::Registry(row) => row.event.name(),
        }
    }

    /// The same as a word for files and columns, such as `topped_up`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Escrow(row) => row.kind(),
            Self::Registry(row) => row.kind(),
        }
    }

    pub fn entries(&self) -> Result<Vec<Entry>> {
        match self {
            Self::Escrow(row) => entries_of(row),
            Self::Registry(row) => entries_of_registry(row),
        }
    }
}

/// Events of blocks `from..=to`, oldest first.
pub struct Walk {
    reader: Reader,
    to: u64,
    /// The place after which the next rows are read; None: all are.
    escrow_after: Option<After>,
    registry_after: Option<After>,
    escrow: VecDeque<EventRow>,
    registry: VecDeque<RegistryRow>,
    blocks: BTreeMap<u64, Block>,
}

type After = Option<(u64, u64)>;

impl Reader {
    /// A walk over the blocks `from..=to`. They must be final: a rewind below a walk would leave
    /// it with parts of two chains.
    pub fn walk(&self, from: u64, to: u64) -> Walk {
        // Log indexes of one block are far below this.
        let before = from.checked_sub(1).map(|block| (block, i64::MAX.unsigned_abs()));
        Walk {
            reader: self.clone(),
            to,
            escrow_after: Some(before),
            registry_after: Some(before),
            escrow: VecDeque::new(),
            registry: VecDeque::new(),
            blocks: BTreeMap::new(),
        }
    }
}

impl Walk {
    /// The next event with its block; None after the last one.
    pub async fn next(&mut self) -> Result<Option<(HistoryEvent, Block)>> {
        self.fill().await?;
        let place = |row: &EventRow| (row.block, row.log_index);
        let bond_place = |row: &RegistryRow| (row.block, row.log_index);
        let (first, bond) = (self.escrow.front().map(place), self.registry.front().map(bond_place));
        let escrow_first = match (first, bond) {
            (Some(first), Some(bond)) => first < bond,
            (first, _) => first.is_some(),
        };
        let told = if escrow_first {
            self.escrow.pop_front().map(HistoryEvent::Escrow)
        } else {
            self.registry.pop_front().map(HistoryEvent::Registry)
        };
        let Some(told) = told else { return Ok(None) };
        let (number, _) = told.place();
        let block = self.blocks.get(&number).cloned();
        let key = || number.to_string();
        let block = block.ok_or_else(|| Error::Missing { what: "block", key: key() })?;
        Ok(Some((told, block)))
    }

    async fn fill(&mut self) -> Result<()> {
        let mut numbers = Vec::new();
        if let (true, Some(after)) = (self.escrow.is_empty(), self.escrow_after) {
            let mut rows = self.reader.events_after(after, ROWS_AT_ONCE).await?;
            let last = rows.last().filter(|row| row.block <= self.to);
            self.escrow_after = last.map(|row| Some((row.block, row.log_index)));
            rows.retain(|row| row.block <= self.to);
            numbers.extend(rows.iter().map(|row| row.block));
            self.escrow = rows.into();
        }
        if let (true, Some(after)) = (self.registry.is_empty(), self.registry_after) {
            let mut rows = self.reader.registry_events_after(after, ROWS_AT_ONCE).await?;
            let last = rows.last().filter(|row| row.block <= self.to);
            self.registry_after = last.map(|row| Some((row.block, row.log_index)));
            rows.retain(|row| row.block <= self.to);
            numbers.extend(rows.iter().map(|row| row.block));
            self.registry = rows.into();
        }
        if !numbers.is_empty() {
            let kept = self.escrow.iter().map(|row| row.block);
            let kept = kept.chain(self.registry.iter().map(|row| row.block)).min();
            self.blocks.retain(|number, _| kept.is_some_and(|kept| *number >= kept));
            numbers.retain(|number| !self.blocks.contains_key(number));
            self.blocks.extend(self.reader.blocks_of(numbers).await?);
        }
        Ok(())
    }
}
