//! pure: what a block hash proves: header, account, storage slot, receipt and its logs.

use alloy::primitives::{Address, B256, Bytes, Log, U256, keccak256};
use alloy::rlp::{Decodable, Encodable, Header as RlpHeader, PayloadView, encode_fixed_size};
use alloy_trie::proof::{ProofRetainer, verify_proof};
use alloy_trie::{HashBuilder, Nibbles, TrieAccount, root};

pub mod bundle;
pub mod receipt;

/// What of a header other proofs start from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    pub hash: B256,
    pub number: u64,
    /// Unix seconds.
    pub mined_at: u64,
    pub state_root: B256,
    pub receipts_root: B256,
}

/// Places of these fields in every Ethereum header, whatever fields follow.
const STATE_ROOT: usize = 3;
const RECEIPTS_ROOT: usize = 5;
const NUMBER: usize = 8;
const MINED_AT: usize = 11;
/// Fields of a receipt: status, gas, bloom, logs.
const LOGS: usize = 3;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    #[error("its bytes are no {what}: {reason}")]
    Malformed { what: &'static str, reason: String },
    #[error("the proof does not lead from the root {root} to it: {reason}")]
    Unproven { root: B256, reason: String },
}

fn malformed(what: &'static str, reason: impl ToString) -> ProofError {
    ProofError::Malformed { what, reason: reason.to_string() }
}

/// Reads a header from its RLP bytes, whose hash is the block's.
pub fn block(header: &[u8]) -> Result<Block, ProofError> {
    let what = "block header";
    let fields = list(what, header)?;
    let root = |at: usize| B256::decode(&mut field(what, &fields, at)?).map_err(|e| bad(what, e));
    let number = |at: usize| u64::decode(&mut field(what, &fields, at)?).map_err(|e| bad(what, e));
    Ok(Block {
        hash: keccak256(header),
        number: number(NUMBER)?,
        mined_at: number(MINED_AT)?,
        state_root: root(STATE_ROOT)?,
        receipts_root: root(RECEIPTS_ROOT)?,
    })
}

fn bad(what: &'static str, error: alloy::rlp::Error) -> ProofError {
    malformed(what, error)
}

/// The items of one RLP list that fills `bytes`, each still encoded.
fn list<'a>(what: &'static str, bytes: &'a [u8]) -> Result<Vec<&'a [u8]>, ProofError> {
    let mut rest = bytes;
    let payload = RlpHeader::decode_raw(&mut rest).map_err(|e| bad(what, e))?;
    match payload {
        PayloadView::List(items) if rest.is_empty() => Ok(items),
        PayloadView::List(_) => Err(malformed(what, "bytes follow it")),
        PayloadView::String(_) => Err(malformed(what, "it is no list")),
    }
}

fn field<'a>(what: &'static str, items: &[&'a [u8]], at: usize) -> Result<&'a [u8], ProofError> {
    items.get(at).copied().ok_or_else(|| malformed(what, format!("it has no field {at}")))
}

/// An account under a block's state root.
pub fn account(
    state_root: B256,
    address: Address,
    account: &TrieAccount,
    proof: &[Bytes],
) -> Result<(), ProofError> {
    let mut value = Vec::new();
    account.encode(&mut value);
    prove(state_root, Nibbles::unpack(keccak256(address)), Some(value), proof)
}

/// A storage slot under an account's storage root. A value of zero is proven by its absence, or by
/// a leaf that says zero, as test chains keep them.
pub fn slot(
    storage_root: B256,
    slot: B256,
    value: U256,
    proof: &[Bytes],
) -> Result<(), ProofError> {
    let key = Nibbles::unpack(keccak256(slot));
    if value.is_zero() && prove(storage_root, key, None, proof).is_ok() {
        return Ok(());
    }
    prove(storage_root, key, Some(encode_fixed_size(&value).to_vec()), proof)
}

/// The receipt of the transaction at `index` under a block's receipts root.
pub fn receipt(
    receipts_root: B256,
    index: u64,
    receipt: &Bytes,
    proof: &[Bytes],
) -> Result<(), ProofError> {
    prove(receipts_root, receipt_key(index), Some(receipt.to_vec()), proof)
}

fn receipt_key(index: u64) -> Nibbles {
    Nibbles::unpack(encode_fixed_size(&index))
}

fn prove(
    root: B256,
    key: Nibbles,
    value: Option<Vec<u8>>,
    proof: &[Bytes],
) -> Result<(), ProofError> {
    verify_proof(root, key, value, proof)
        .map_err(|error| ProofError::Unproven { root, reason: error.to_string() })
}

/// The storage root of a contract that holds exactly these slots; zeros are not stored.
pub fn storage_root(slots: impl IntoIterator<Item = (B256, U256)>) -> B256 {
    root::storage_root_unhashed(slots.into_iter().filter(|(_, value)| !value.is_zero()))
}

/// The receipts root over all encoded receipts of a block, in order, and the proof of one of them.
pub fn prove_receipt(receipts: &[Bytes], index: u64) -> (B256, Vec<Bytes>) {
    let target = receipt_key(index);
    let mut keyed: Vec<(Nibbles, &Bytes)> = (0u64..).map(receipt_key).zip(receipts).collect();
    keyed.sort_unstable_by_key(|(key, _)| *key);
    let retainer = ProofRetainer::new(vec![target]);
    let mut trie = HashBuilder::default().with_proof_retainer(retainer);
    for (key, receipt) in keyed {
        trie.add_leaf(key, receipt);
    }
    let root = trie.root();
    let nodes = trie.take_proof_nodes().into_nodes_sorted();
    (root, nodes.into_iter().map(|(_, node)| node).collect())
}

/// The logs of an encoded receipt, of whatever type of transaction.
pub fn logs(receipt: &[u8]) -> Result<Vec<Log>, ProofError> {
    /// Below it a first byte is a transaction's type, not a list's head (EIP-2718).
    const FIRST_LIST: u8 = 0xc0;
    let what = "transaction receipt";
    let body = match receipt.split_first() {
        Some((first, body)) if *first < FIRST_LIST => body,
        Some(_) | None => receipt,
    };
    let fields = list(what, body)?;
    Vec::<Log>::decode(&mut field(what, &fields, LOGS)?).map_err(|e| bad(what, e))
}

#[cfg(test)]
mod tests;
