//! What proofs are made of, from a node: headers and receipts as bytes, accounts with their slots.

use alloy::eips::{BlockId, Encodable2718};
use alloy::primitives::{Address, B256, Bytes, U256, keccak256};
use alloy::providers::{Provider, RootProvider};
use alloy_trie::TrieAccount;
use serde_json::value::RawValue;

use super::{Problem, Rpc, receipts, unknown};
use crate::chain::Answer;
use crate::verify::Disproof;

/// Slots asked for at a time; nodes refuse more than some hundreds.
const SLOTS_AT_ONCE: usize = 128;

/// A contract under a block's state root, and the slots that were asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    pub account: TrieAccount,
    pub nodes: Vec<Bytes>,
    /// Values and their proofs, in the order of the question.
    pub slots: Vec<(U256, Vec<Bytes>)>,
}

impl Rpc {
    /// The RLP bytes of a block's header, which hash to the block's hash.
    pub async fn header_bytes(&self, block: B256) -> Answer<Bytes> {
        let question = |node: RootProvider| async move {
            let found: Option<Box<RawValue>> =
                node.client().request("eth_getBlockByHash", (block, false)).await?;
            let json = found.ok_or_else(|| unknown(block))?;
            let told: alloy::rpc::types::Header = serde_json::from_str(json.get())
                .map_err(|error| Problem::Transport(error.to_string()))?;
            let bytes = Bytes::from(alloy::rlp::encode(&told.inner));
            let (number, computed) = (told.inner.number, keccak256(&bytes));
            if computed != block {
                return Err(Problem::Disproved(Disproof::Hash { number, hash: block, computed }));
            }
            Ok(bytes)
        };
        self.servers.ask("a block's header", question).await
    }

    /// Every receipt of a block as the chain encodes it, in order.
    pub async fn receipt_bytes(&self, block: B256) -> Answer<Vec<Bytes>> {
        let question = |node| async move {
            let receipts = receipts(node, block).await?;
            Ok(receipts.iter().map(|receipt| receipt.encoded_2718().into()).collect())
        };
        self.servers.ask("the receipts of a block", question).await
    }

    /// An account and slots of it, with their proofs, at the end of a block.
    pub async fn proof(&self, of: Address, slots: &[B256], block: B256) -> Answer<Proof> {
        let question = |node: RootProvider| async move {
            // Without slots the account alone is asked for.
            let mut parts = slots.chunks(SLOTS_AT_ONCE);
            let first = told(&node, of, parts.next().unwrap_or_default(), block).await?;
            let mut proven = first.storage_proof;
            for part in parts {
                proven.extend(told(&node, of, part, block).await?.storage_proof);
            }
            if proven.len() != slots.len() {
                let reason = format!("{} slots were asked for, {} told", slots.len(), proven.len());
                return Err(Problem::Transport(reason));
            }
            let account = TrieAccount {
                nonce: first.nonce,
                balance: first.balance,
                storage_root: first.storage_hash,
                code_hash: first.code_hash,
            };
            let slots = proven.into_iter().map(|slot| (slot.value, slot.proof)).collect();
            Ok(Proof { account, nodes: first.account_proof, slots })
        };
        self.servers.ask("proofs of an account", question).await
    }
}

async fn told(
    node: &RootProvider,
    of: Address,
    slots: &[B256],
    block: B256,
) -> Result<alloy::rpc::types::EIP1186AccountProofResponse, Problem> {
    Ok(node.get_proof(of, slots.to_vec()).block_id(BlockId::hash(block)).await?)
}
