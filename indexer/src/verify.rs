//! pure: header hash, parent links, bloom, roots of receipts and transactions -> proven logs.
//!
//! What a server answers is taken only where it hashes to the block: receipts are the values of
//! the trie under `receiptsRoot`, transactions those under `transactionsRoot`, and both roots
//! stand in the header (Ethereum Yellow Paper, 4.3; EIP-2718 for typed envelopes).

use alloy::consensus::proofs::{calculate_receipt_root, ordered_trie_root_encoded};
use alloy::network::AnyReceiptEnvelope;
use alloy::primitives::{Address, B256, Bloom, BloomInput, Log, keccak256};

use crate::chain::{ChainLog, Header};

/// How an answer contradicts the block that it is said to be of.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Disproof {
    #[error(
        "the fields of block {number} hash to {computed}, not to its name {hash}; on a chain \
         whose headers have fields of their own, chain.verify = false turns proofs off"
    )]
    Hash { number: u64, hash: B256, computed: B256 },
    #[error("block {found} was answered where block {asked} was asked for")]
    OtherBlock { asked: u64, found: u64 },
    #[error("block {number} is no child of the block answered before it")]
    NotLinked { number: u64 },
    #[error("the receipts answered for block {number} have the root {computed}, it has {root}")]
    Receipts { number: u64, root: B256, computed: B256 },
    #[error("the transactions answered for block {number} have the root {computed}, it has {root}")]
    Transactions { number: u64, root: B256, computed: B256 },
}

/// The header of an RPC answer, if its fields hash to its name.
pub fn header(answered: alloy::rpc::types::Header) -> Result<Header, Disproof> {
    let alloy::rpc::types::Header { hash, inner, .. } = answered;
    let computed = inner.hash_slow();
    if computed != hash {
        return Err(Disproof::Hash { number: inner.number, hash, computed });
    }
    // A time beyond 63 bits is after the end of any deadline: it saturates.
    let mined_at = i64::try_from(inner.timestamp).unwrap_or(i64::MAX);
    Ok(Header {
        number: inner.number,
        hash,
        parent_hash: inner.parent_hash,
        mined_at,
        logs_bloom: inner.logs_bloom,
        receipts_root: inner.receipts_root,
        transactions_root: inner.transactions_root,
    })
}

/// Whether these are the blocks from `first` on, each the child of the one before.
pub fn linked(first: u64, headers: &[Header]) -> Result<(), Disproof> {
    for (asked, header) in (first..).zip(headers) {
        if header.number != asked {
            return Err(Disproof::OtherBlock { asked, found: header.number });
        }
    }
    match headers.windows(2).find(|pair| pair[1].parent_hash != pair[0].hash) {
        Some(pair) => Err(Disproof::NotLinked { number: pair[1].number }),
        None => Ok(()),
    }
}

/// False: the block holds no log of these contracts for certain, as a bloom filter has no false
/// negatives. Topics are not looked at: an event that we do not know must not pass unseen.
pub fn may_hold(logs_bloom: &Bloom, followed: &[Address]) -> bool {
    followed.iter().any(|of| logs_bloom.contains_input(BloomInput::Raw(of.as_slice())))
}

/// A log of a followed contract, and which transaction of its block wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    pub transaction: usize,
    pub log_index: u64,
    pub log: Log,
}

/// The logs of the followed contracts, numbered as the receipts have them, if these are all the
/// receipts of the block in their order.
pub fn logs(
    header: &Header,
    followed: &[Address],
    receipts: Vec<AnyReceiptEnvelope>,
) -> Result<Vec<Placed>, Disproof> {
    let (number, root) = (header.number, header.receipts_root);
    let computed = calculate_receipt_root(&receipts);
    if computed != root {
        return Err(Disproof::Receipts { number, root, computed });
    }
    let mut placed = Vec::new();
    let mut log_index = 0;
    for (transaction, receipt) in receipts.into_iter().enumerate() {
        for log in receipt.inner.receipt.logs {
            if followed.contains(&log.address) {
                placed.push(Placed { transaction, log_index, log });
            }
            log_index += 1;
        }
    }
    Ok(placed)
}

/// The logs with the hashes of their transactions, if `encoded` are all transactions of the block
/// in their order, as EIP-2718 bytes.
pub fn signed_by(
    header: &Header,
    placed: Vec<Placed>,
    encoded: &[Vec<u8>],
) -> Result<Vec<ChainLog>, Disproof> {
    let (number, root) = (header.number, header.transactions_root);
    let computed = ordered_trie_root_encoded(encoded);
    if computed != root {
        return Err(Disproof::Transactions { number, root, computed });
    }
    let mut logs = Vec::with_capacity(placed.len());
    let mut last = None;
    for Placed { transaction, log_index, log } in placed {
        let tx_hash = match last {
            Some((of, hash)) if of == transaction => hash,
            // A block has one receipt for each transaction, so there is one at this place.
            Some(_) | None => keccak256(encoded.get(transaction).map_or(&[][..], Vec::as_slice)),
        };
        last = Some((transaction, tx_hash));
        logs.push(ChainLog { block: number, block_hash: header.hash, tx_hash, log_index, log });
    }
    Ok(logs)
}

#[cfg(test)]
mod tests;
