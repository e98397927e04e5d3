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

#[cfg(test)]
mod tests {
    use super::*;
    use contracts::event::{Closed, Event};

    fn row(log_index: u64, job_seq: u32) -> EventRow {
        let event = Event::Closed(Closed { job_id: B256::repeat_byte(1), job_seq });
        EventRow { block: 7, log_index, tx_hash: B256::repeat_byte(2), event }
    }

    #[test]
    fn every_part_of_a_block_moves_the_digest() {
        let start = seed(1, B256::repeat_byte(3), Address::repeat_byte(4));
        let hash = B256::repeat_byte(5);
        let rows = [row(0, 1), row(1, 2)];
        let expected = next(start, hash, &rows);
        let others = [
            next(seed(2, B256::repeat_byte(3), Address::repeat_byte(4)), hash, &rows),
            next(seed(1, B256::repeat_byte(4), Address::repeat_byte(4)), hash, &rows),
            next(seed(1, B256::repeat_byte(3), Address::repeat_byte(5)), hash, &rows),
            next(start, B256::repeat_byte(6), &rows),
            next(start, hash, &[row(0, 1)]),
            next(start, hash, &[row(1, 2), row(0, 1)]),
            next(start, hash, &[row(0, 1), row(2, 2)]),
            next(start, hash, &[row(0, 1), row(1, 3)]),
            next(start, hash, &[row(0, 1), EventRow { tx_hash: hash, ..row(1, 2) }]),
        ];
        assert!(others.iter().all(|other| *other != expected), "{others:?}");
        assert_eq!(next(start, hash, &rows), expected);
    }

    #[test]
    fn a_block_without_events_moves_nothing() {
        let start = seed(1, B256::ZERO, Address::ZERO);
        assert_eq!(next(start, B256::repeat_byte(5), &[]), start);
    }
}
