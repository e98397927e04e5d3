//! What must hold after every fault: rows are the logs of proven receipts; what was final stays.

use std::collections::BTreeMap;

use alloy::consensus::proofs::calculate_receipt_root;
use alloy::primitives::B256;
use alloy::providers::Provider;
use contracts::{event, registry};
use store::{EventRow, RegistryRow, Store, Tag};
use tokio::task::JoinHandle;

use super::World;

/// The stored blocks stand on the chain, and up to the newest of them the rows are the logs of
/// receipts that hash to their block's root: none is missing, added or changed. How many rows.
pub async fn no_wrong_row(world: &World, store: &Store) -> usize {
    let reader = store.reader();
    let Some(tip) = reader.tip().await.unwrap() else { return 0 };
    let rows = reader.rows_between(0, tip.number).await.unwrap();
    let (events, bonds) = logged(world, tip.number).await;
    assert_eq!(rows.events, events, "rows of the escrow up to block {}", tip.number);
    assert_eq!(rows.registry, bonds, "rows of the registry up to block {}", tip.number);
    for block in &rows.blocks {
        let hash = header_of(world, block.number).await.map(|header| header.0);
        assert_eq!(Some(block.hash), hash, "hash of block {}", block.number);
    }
    rows.events.len() + rows.registry.len()
}

/// Hash and receipts root.
async fn header_of(world: &World, number: u64) -> Option<(B256, B256)> {
    let block = world.anvil.provider.get_block_by_number(number.into()).await.unwrap()?;
    Some((block.header.hash, block.header.receipts_root))
}

/// Every event of our contracts, from the chain's own receipts.
async fn logged(world: &World, last: u64) -> (Vec<EventRow>, Vec<RegistryRow>) {
    let (mut events, mut bonds) = (Vec::new(), Vec::new());
    for block in world.deploy_block..=last {
        let receipts = world.anvil.provider.get_block_receipts(block.into()).await.unwrap();
        let receipts = receipts.unwrap_or_default();
        let root = header_of(world, block).await.map(|header| header.1);
        let inner: Vec<_> = receipts
            .iter()
            .map(|receipt| receipt.inner.clone().into_primitives_receipt())
            .collect();
        assert_eq!(Some(calculate_receipt_root(&inner)), root, "receipts of block {block}");
        let logs = receipts.iter().flat_map(|receipt| {
            receipt.logs().iter().zip(std::iter::repeat(receipt.transaction_hash))
        });
        for ((log, tx_hash), log_index) in logs.zip(0..) {
            assert_eq!(log.log_index, Some(log_index));
            if log.address() == world.escrow {
                let event = event::decode(world.escrow, &log.inner).unwrap();
                events.push(EventRow { block, log_index, tx_hash, event });
            } else if log.address() == world.registry {
                let event = registry::decode(world.registry, &log.inner).unwrap();
                bonds.push(RegistryRow { block, log_index, tx_hash, event });
            }
        }
    }
    (events, bonds)
}

/// Watches what a store calls final.
pub struct Finals {
    store: Store,
    seen: tokio::sync::watch::Receiver<BTreeMap<u64, B256>>,
    watching: JoinHandle<()>,
}

impl Finals {
    pub fn watch(store: &Store) -> Self {
        let (told, seen) = tokio::sync::watch::channel(BTreeMap::new());
        let reader = store.reader();
        let watching = tokio::spawn(async move {
            // Until it is dropped.
            loop {
                let heads = reader.heads().await.unwrap_or_default();
                if let Some(head) = heads.iter().find(|head| head.tag == Tag::Finalized) {
                    told.send_modify(|seen| {
                        seen.entry(head.block).or_insert(head.hash);
                    });
                }
                tokio::time::sleep(super::BETWEEN_LOOKS).await;
            }
        });
        Self { store: store.clone(), seen, watching }
    }

    /// Every block that was ever called final is still on the chain, and as it is stored.
    pub async fn none_taken_back(&self, world: &World) {
        let seen = self.seen.borrow().clone();
        let reader = self.store.reader();
        for (number, hash) in seen {
            let there = header_of(world, number).await.map(|header| header.0);
            assert_eq!(there, Some(hash), "block {number} was called final");
            if let Some(stored) = reader.block(number).await.unwrap() {
                assert_eq!(stored.hash, hash, "block {number} was called final");
            }
        }
    }
}

impl Drop for Finals {
    fn drop(&mut self) {
        self.watching.abort();
    }
}
