//! pure: the running digest, one value that says whether two indexes hold the same events.

use alloy::primitives::{Address, B256, Keccak256, keccak256};
use store::EventRow;

/// The digest before the first event: it binds chain and escrow.
pub fn seed(chain_id: u64, genesis_hash: B256, escrow: Address) -> B256 {
    let mut hash = Keccak256::new();
    hash.update(chain_id.to_be_bytes());
    hash.update(genesis_hash);
    hash.update(escrow);
    hash.finalize()
}

/// d[n] = keccak(d[n-1] || block hash || leaves of the block's events, in order).
///
/// Only a block that holds events moves it, so it is the same after a live run, a backfill by
/// ranges and a replay: which empty blocks were stored makes no difference. `rows` are all
/// events of one block; without any the digest stays.
pub fn next(before: B256, block_hash: B256, rows: &[EventRow]) -> B256 {
    if rows.is_empty() {
        return before;
    }
    let mut hash = Keccak256::new();
    hash.update(before);
    hash.update(block_hash);
    for row in rows {
        hash.update(leaf(row));
    }
    hash.finalize()
}

/// keccak(log index || transaction hash || keccak(topics) || data), of the log as the contract
/// wrote it: rows decode exactly the logs they encode to.
pub fn leaf(row: &EventRow) -> B256 {
    let log = row.event.encode();
    let mut hash = Keccak256::new();
    hash.update(row.log_index.to_be_bytes());
    hash.update(row.tx_hash);
    hash.update(keccak256(log.topics().concat()));
    hash.update(&log.data);
    hash.finalize()
}
