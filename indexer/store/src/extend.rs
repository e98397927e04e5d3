//! ChainWriter: a step forward and a rewind, each in one transaction, cursor included.

use std::collections::BTreeMap;

use alloy::primitives::{Address, B256};
use contracts::event::Event;
use contracts::{Lot, Order};

use crate::ChainWriter;
use crate::accounts::{ACCOUNTS, AccountState, account_values};
use crate::blocks::{
    BLOCKS, Block, Escrow, Head, SELECT_ESCROW, SELECT_NEWEST, block_from, block_values,
    escrow_from,
};
use crate::bonds::{BONDS, BondState, bond_values};
use crate::bulk::Table;
use crate::dialect::{Pool, Tx, Writer};
use crate::error::{Error, Result};
use crate::events::{EVENTS, EventRow, event_values};
use crate::jobs::{
    JOB_STATES, JobOrder, JobState, LOT_STATES, LOTS, LotRow, LotState, ORDERS, job_order_values,
    job_state_values, lot_row_values, lot_state_values,
};
use crate::lock::Role;
use crate::registry::{
    REGISTRY_EVENTS, REGISTRY_RECEIPTS, RegistryRow, receipt_values, registry_values,
};
use crate::roles::{
    DELEGATES, DelegateState, OFFICES, OfficeState, delegate_values, office_values,
};
use crate::values::{Value, values};

/// What one step adds: blocks in ascending order, everything that hangs from them, and the heads
/// seen meanwhile. `orders` and `lots` are those of the step's events.
#[derive(Clone, Debug, Default)]
pub struct Step {
    pub blocks: Vec<Block>,
    pub events: Vec<EventRow>,
    pub orders: Vec<JobOrder>,
    pub lots: Vec<LotRow>,
    pub accounts: Vec<AccountState>,
    pub jobs: Vec<JobState>,
    pub lot_states: Vec<LotState>,
    pub delegates: Vec<DelegateState>,
    pub offices: Vec<OfficeState>,
    pub registry: Vec<RegistryRow>,
    pub bonds: Vec<BondState>,
    pub heads: Vec<Head>,
}

impl ChainWriter {
    /// Fixes the escrow at first start; later starts must name the same one.
    pub async fn set_escrow(&self, escrow: &Escrow) -> Result<()> {
        let mut tx = self.pool.write(Writer::Chain).await?;
        if let Some(row) = tx.one(SELECT_ESCROW, vec![]).await? {
            return same_escrow(&escrow_from(&row)?, escrow);
        }
        let sql = "INSERT INTO escrows (address, chain_id, genesis_hash, token, symbol, decimals, \
                   deploy_block, registry) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
        let row = values![
            escrow.address,
            escrow.chain_id,
            escrow.genesis_hash,
            escrow.token,
            escrow.symbol.as_str(),
            escrow.decimals,
            escrow.deploy_block,
            escrow.registry,
        ];
        tx.execute(sql, row).await?;
        tx.commit().await
    }

    /// Writes a step whole or not at all. Its first block must follow the stored tip: be its
    /// child, or lie further up when the blocks between hold no event of ours.
    pub async fn extend(&self, step: &Step) -> Result<()> {
        self.write(step.clone()).await.map(|_| ())
    }

    /// As `extend`, of a step that is too large to be copied and comes back.
    pub async fn write(&self, step: Step) -> Result<Step> {
        check_orders_and_lots(&step)?;
        check_places(&step)?;
        if let Pool::Sqlite { writer, steps, .. } = self.pool.pool()? {
            // The turn of this process: its other writes wait here, not inside SQLite.
            let turn = writer.acquire().await.map_err(|e| Error::database("a step's turn", e))?;
            let written = steps.write(step, self.pool.held_by(Role::Indexer)).await;
            drop(turn);
            return written;
        }
        // In a task of its own: a COPY that is dropped half way leaves sqlx one answer behind on
        // its connection, and whoever has it next reads what was meant for another.
        let own = self.clone();
        match tokio::spawn(async move { own.copy(step).await }).await {
            Ok(written) => written,
            Err(ended) => match ended.try_into_panic() {
                Ok(panicked) => std::panic::resume_unwind(panicked),
                Err(_) => Err(Error::database("a step", sqlx::Error::WorkerCrashed)),
            },
        }
    }

    async fn copy(self, step: Step) -> Result<Step> {
        let mut tx = self.pool.write(Writer::Chain).await?;
        let tip = tx.one(SELECT_NEWEST, vec![]).await?.as_ref().map(block_from).transpose()?;
        check_links(tip.map(|tip| (tip.number, tip.hash)), &step.blocks)?;
        for (table, rows) in tables(&step) {
            tx.load(table, rows).await?;
        }
        write_heads(&mut tx, &step.heads).await?;
        tx.commit().await?;
        Ok(step)
    }

    /// Goes back to `fork`, a stored block, from `old_tip`, the stored tip; `at` is the time of
    /// the journal's row. Never goes below the finalized head.
    pub async fn rewind(&self, fork: &Block, old_tip: &Block, at: i64) -> Result<()> {
        let mut tx = self.pool.write(Writer::Chain).await?;
        let sql = "SELECT block, hash FROM blocks WHERE block = $1 \
                   OR block = (SELECT MAX(block) FROM blocks) ORDER BY block";
        let mut stored = Vec::new();
        for row in tx.all(sql, values![fork.number]).await? {
            stored.push((row.get::<u64>("block")?, row.get::<B256>("hash")?));
        }
        let given = [(fork.number, fork.hash), (old_tip.number, old_tip.hash)];
        if fork.number >= old_tip.number || stored != given {
            let what = format!("a rewind from block {} to {}", old_tip.number, fork.number);
            return Err(Error::BrokenStep(format!("{what} names blocks that are not stored so")));
        }
        let sql = "SELECT block FROM heads WHERE tag = 'finalized' AND block > $1";
        if let Some(row) = tx.one(sql, values![fork.number]).await? {
            let finalized = row.get("block")?;
            return Err(Error::BelowFinalized { fork: fork.number, finalized });
        }
        // Everything else hangs from these rows and goes with them.
        tx.execute("DELETE FROM blocks WHERE block > $1", values![fork.number]).await?;
        let sql = "INSERT INTO reorgs (reorg_id, at, fork_block, fork_hash, old_block, old_hash) \
                   SELECT COALESCE(MAX(reorg_id), 0) + 1, $1, $2, $3, $4, $5 FROM reorgs";
        let row = values![at, fork.number, fork.hash, old_tip.number, old_tip.hash];
        tx.execute(sql, row).await?;
        tx.commit().await
    }

    /// Says how a stored block was proven after the fact.
    pub async fn set_verified(&self, block: &Block) -> Result<()> {
        let mut tx = self.pool.write(Writer::Chain).await?;
        let sql = "UPDATE blocks SET verified = $1 WHERE block = $2 AND hash = $3";
        tx.execute(sql, values![block.verified, block.number, block.hash]).await?;
        tx.commit().await
    }

    /// Replaces what was known of these heads.
    pub async fn set_heads(&self, heads: &[Head]) -> Result<()> {
        let mut tx = self.pool.write(Writer::Chain).await?;
        write_heads(&mut tx, heads).await?;
        tx.commit().await
    }
}

/// Rows of one table, in the order of its columns.
pub(crate) type Rows<'a> = Box<dyn Iterator<Item = Vec<Value>> + Send + 'a>;

fn rows<'a, T: Sync>(of: &'a [T], values: fn(&T) -> Vec<Value>) -> Rows<'a> {
    Box::new(of.iter().map(values))
}

/// A step's tables, blocks first: the others refer to them.
pub(crate) fn tables(step: &Step) -> [(&'static Table, Rows<'_>); 12] {
    [
        (&BLOCKS, rows(&step.blocks, block_values)),
        (&EVENTS, rows(&step.events, event_values)),
        (&ORDERS, rows(&step.orders, job_order_values)),
        (&LOTS, rows(&step.lots, lot_row_values)),
        (&ACCOUNTS, rows(&step.accounts, account_values)),
        (&JOB_STATES, rows(&step.jobs, job_state_values)),
        (&LOT_STATES, rows(&step.lot_states, lot_state_values)),
        (&DELEGATES, rows(&step.delegates, delegate_values)),
        (&OFFICES, rows(&step.offices, office_values)),
        (&REGISTRY_EVENTS, rows(&step.registry, registry_values)),
        (&REGISTRY_RECEIPTS, Box::new(step.registry.iter().flat_map(receipt_values))),
        (&BONDS, rows(&step.bonds, bond_values)),
    ]
}

pub(crate) const UPSERT_HEAD: &str = "INSERT INTO heads (tag, block, hash, seen_at) \
     VALUES ($1, $2, $3, $4) ON CONFLICT (tag) DO UPDATE SET block = excluded.block, \
     hash = excluded.hash, seen_at = excluded.seen_at";

pub(crate) fn head_values(head: &Head) -> Vec<Value> {
    values![head.tag, head.block, head.hash, head.seen_at]
}

async fn write_heads(tx: &mut Tx, heads: &[Head]) -> Result<()> {
    for head in heads {
        tx.execute(UPSERT_HEAD, head_values(head)).await?;
    }
    Ok(())
}

fn same_escrow(stored: &Escrow, given: &Escrow) -> Result<()> {
    let fields = [
        ("chain id", stored.chain_id.to_string(), given.chain_id.to_string()),
        ("genesis block", stored.genesis_hash.to_string(), given.genesis_hash.to_string()),
        ("address", stored.address.to_string(), given.address.to_string()),
        ("token", stored.token.to_string(), given.token.to_string()),
        ("symbol", stored.symbol.clone(), given.symbol.clone()),
        ("decimals", stored.decimals.to_string(), given.decimals.to_string()),
        ("deployment block", stored.deploy_block.to_string(), given.deploy_block.to_string()),
        ("node registry", named(stored.registry), named(given.registry)),
    ];
    match fields.into_iter().find(|(_, stored, given)| stored != given) {
        Some((field, stored, given)) => Err(Error::OtherEscrow { field, stored, given }),
        None => Ok(()),
    }
}

fn named(registry: Option<Address>) -> String {
    registry.map_or_else(|| "none".to_owned(), |address| address.to_string())
}

/// Each block lies above the one before; where no number is left out, it must be its child.
/// `tip`: number and hash of the stored one.
pub(crate) fn check_links(tip: Option<(u64, B256)>, blocks: &[Block]) -> Result<()> {
    let mut before = tip;
    for block in blocks {
        if let Some((number, hash)) = before {
            if block.number <= number {
                let text = format!("block {} comes after {number}", block.number);
                return Err(Error::BrokenStep(text));
            }
            if block.number == number + 1 && block.parent_hash != hash {
                let text = format!("block {} is no child of {hash}", block.number);
                return Err(Error::BrokenStep(text));
            }
        }
        before = Some((block.number, block.hash));
    }
    Ok(())
}

/// An opened event's order and a lot's preimage are kept in tables of their own: without them
/// the event could not be read back, so they must be exactly those of the step's events.
fn check_orders_and_lots(step: &Step) -> Result<()> {
    let mut orders: BTreeMap<B256, (u64, &Order)> = BTreeMap::new();
    let mut lots: BTreeMap<B256, (u64, B256, &Lot)> = BTreeMap::new();
    for row in &step.events {
        let again = match &row.event {
            Event::Opened(e) => orders.insert(e.job_id, (row.block, &e.order)).is_some(),
            Event::Released(e) => lots.insert(e.lot_hash, (row.block, e.job_id, &e.lot)).is_some(),
            Event::Committed(e) => lots.insert(e.lot_hash, (row.block, e.job_id, &e.lot)).is_some(),
            Event::Deposited(_) | Event::Withdrawn(_) | Event::FeeCredited(_) => false,
            Event::BurnCredited(_) | Event::Burned(_) | Event::ToppedUp(_) => false,
            Event::Approved(_) | Event::Rejected(_) | Event::Settled(_) => false,
            Event::Lapsed(_) | Event::CloseRequested(_) => false,
            Event::Closed(_) | Event::Returned(_) | Event::CreditReturned(_) => false,
            Event::CreditIssued(_) | Event::DelegateSet(_) | Event::DelegateRevoked(_) => false,
            Event::CreditSettlerNamed(_) | Event::Paused(_) | Event::DelegateSpent(_) => false,
            Event::Redeemed(_) => false,
        };
        if again {
            let text = format!("event {}/{} names its job or lot again", row.block, row.log_index);
            return Err(Error::BrokenStep(text));
        }
    }
    let given_orders = step.orders.iter().map(|o| (o.job_id, (o.block, &o.order))).collect();
    let given_lots = step.lots.iter().map(|l| (l.lot_hash, (l.block, l.job_id, &l.lot))).collect();
    if orders != given_orders || lots != given_lots {
        let text = "its orders or lots are not those of its events";
        return Err(Error::BrokenStep(text.to_owned()));
    }
    Ok(())
}

/// Every row hangs from a block of the step: during a load no foreign key says so.
fn check_places(step: &Step) -> Result<()> {
    let events = step.events.iter().map(|row| row.block);
    let events = events.chain(step.registry.iter().map(|row| row.block));
    let terms = step.orders.iter().map(|row| row.block).chain(step.lots.iter().map(|l| l.block));
    let states = step.accounts.iter().map(|state| state.block);
    let states = states.chain(step.jobs.iter().map(|state| state.block));
    let states = states.chain(step.lot_states.iter().map(|state| state.block));
    let states = states.chain(step.delegates.iter().map(|state| state.block));
    let states = states.chain(step.offices.iter().map(|state| state.block));
    let states = states.chain(step.bonds.iter().map(|state| state.block));
    let mut last = None;
    for block in events.chain(terms).chain(states) {
        // Rows of a block follow one another, so most need no search.
        if last == Some(block) {
            continue;
        }
        if step.blocks.binary_search_by_key(&block, |b| b.number).is_err() {
            return Err(Error::BrokenStep(format!("a row in block {block} without it")));
        }
        last = Some(block);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
