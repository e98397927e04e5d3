//! pure: the running digest, one value that says whether two indexes hold the same events.

use alloy::primitives::{Address, B256, Keccak256, LogData};

/// The digest before the first event: it binds chain and escrow, and the node registry where one
/// is followed.
pub fn seed(chain_id: u64, genesis_hash: B256, escrow: Address, registry: Option<Address>) -> B256 {
    let mut hash = Keccak256::new();
    hash.update(chain_id.to_be_bytes());
    hash.update(genesis_hash);
    hash.update(escrow);
    if let Some(registry) = registry {
        hash.update(registry);
    }
    hash.finalize()
}

/// d[n] = keccak(d[n-1] || block hash || leaves of the block's events, in order).
///
/// Only a block that holds events moves it, so it is the same after a live run, a backfill by
/// ranges and a replay: which empty blocks were stored makes no difference. `leaves` are those of
/// all events of one block, whichever contract's; without any the digest stays.
pub fn next(before: B256, block_hash: B256, leaves: &[B256]) -> B256 {
    if leaves.is_empty() {
        return before;
    }
    let mut hash = Keccak256::new();
    hash.update(before);
    hash.update(block_hash);
    leaves.iter().for_each(|leaf| hash.update(leaf));
    hash.finalize()
}

/// keccak(log index || transaction hash || keccak(topics) || data), of the log as the contract
/// wrote it.
pub fn leaf(log_index: u64, tx_hash: B256, log: &LogData) -> B256 {
    let mut topics = Keccak256::new();
    log.topics().iter().for_each(|topic| topics.update(topic));
    let mut hash = Keccak256::new();
    hash.update(log_index.to_be_bytes());
    hash.update(tx_hash);
    hash.update(topics.finalize());
    hash.update(&log.data);
    hash.finalize()
}

#[cfg(test)]
mod tests {
    use super::{leaf, seed};
    use alloy::primitives::{Address, B256};
    use contracts::event::{Closed, Event};
    use contracts::registry::RegistryEvent;
    use store::{EventRow, RegistryRow};

    /// As a block is read: leaves of both contracts, in the order of the logs.
    fn next(before: B256, hash: B256, rows: &[EventRow], registry: &[RegistryRow]) -> B256 {
        let rows =
            rows.iter().map(|r| (r.log_index, leaf(r.log_index, r.tx_hash, &r.event.encode())));
        let registry =
            registry.iter().map(|r| (r.log_index, leaf(r.log_index, r.tx_hash, &r.event.encode())));
        let mut leaves: Vec<(u64, B256)> = rows.chain(registry).collect();
        leaves.sort_unstable();
        let leaves: Vec<B256> = leaves.into_iter().map(|(_, leaf)| leaf).collect();
        super::next(before, hash, &leaves)
    }

    fn row(log_index: u64, job_seq: u32) -> EventRow {
        let event = Event::Closed(Closed { job_id: B256::repeat_byte(1), job_seq });
        EventRow { block: 7, log_index, tx_hash: B256::repeat_byte(2), event }
    }

    fn withdrawn(log_index: u64, seq: u64) -> RegistryRow {
        let (signer, to) = (Address::repeat_byte(8), Address::repeat_byte(9));
        let event = RegistryEvent::BondWithdrawn { signer, to, amount: 5u64.into(), seq };
        RegistryRow { block: 7, log_index, tx_hash: B256::repeat_byte(2), event }
    }

    #[test]
    fn every_part_of_a_block_moves_the_digest() {
        let (three, four) = (B256::repeat_byte(3), Address::repeat_byte(4));
        let start = seed(1, three, four, None);
        let hash = B256::repeat_byte(5);
        let (rows, bonds) = ([row(0, 1), row(2, 2)], [withdrawn(1, 1)]);
        let expected = next(start, hash, &rows, &bonds);
        let from = |start| next(start, hash, &rows, &bonds);
        let others = [
            from(seed(2, three, four, None)),
            from(seed(1, B256::repeat_byte(4), four, None)),
            from(seed(1, three, Address::repeat_byte(5), None)),
            from(seed(1, three, four, Some(four))),
            from(seed(1, three, four, Some(Address::ZERO))),
            next(start, B256::repeat_byte(6), &rows, &bonds),
            next(start, hash, &[row(0, 1)], &bonds),
            next(start, hash, &[row(0, 2), row(2, 1)], &bonds),
            next(start, hash, &[row(0, 1), row(3, 2)], &bonds),
            next(start, hash, &[row(0, 1), row(2, 3)], &bonds),
            next(start, hash, &[row(0, 1), EventRow { tx_hash: hash, ..row(2, 2) }], &bonds),
            next(start, hash, &rows, &[]),
            next(start, hash, &rows, &[withdrawn(3, 1)]),
            next(start, hash, &rows, &[withdrawn(1, 2)]),
            next(start, hash, &[], &bonds),
        ];
        assert!(others.iter().all(|other| *other != expected), "{others:?}");
        assert_eq!(next(start, hash, &rows, &bonds), expected);
    }

    #[test]
    fn a_block_without_events_moves_nothing() {
        let start = seed(1, B256::ZERO, Address::ZERO, None);
        assert_eq!(next(start, B256::repeat_byte(5), &[], &[]), start);
    }
}
