//! A branch that one node alone has: the chain's blocks under other hashes, each of which is right.

use std::collections::BTreeMap;

use alloy::primitives::{B256, Bytes};
use serde_json::{Value, json};

use super::{Node, ask, hex, number};

/// Hashes of its blocks by number.
pub type Branch = BTreeMap<u64, B256>;

impl Node {
    /// What the branch answers; None where it does not differ from the chain.
    pub(super) async fn on_branch(&self, call: &Value, from: u64) -> Option<Value> {
        let first = &call["params"][0];
        match call["method"].as_str()? {
            "eth_getBlockByNumber" => {
                let honest = self.honest(call).await.ok()?;
                self.renamed(honest, from).await
            }
            "eth_getBlockByHash" => {
                let at = hex(self.number_of(first).await?);
                let params = json!([at, call["params"][1]]);
                let honest = self.honest(&ask("eth_getBlockByNumber", params)).await.ok()?;
                self.renamed(honest, from).await
            }
            "eth_getBlockReceipts" => {
                let at = hex(self.number_of(first).await?);
                self.honest(&ask("eth_getBlockReceipts", json!([at]))).await.ok()
            }
            _ => None,
        }
    }

    /// Which block of the branch has this hash.
    async fn number_of(&self, hash: &Value) -> Option<u64> {
        let hash: B256 = hash.as_str()?.parse().ok()?;
        let branch = self.branch.lock().await;
        branch.iter().find(|(_, known)| **known == hash).map(|(number, _)| *number)
    }

    /// The block as it is on the branch.
    async fn renamed(&self, mut honest: Value, from: u64) -> Option<Value> {
        let at = number(&honest["number"]).filter(|number| *number >= from)?;
        let mut branch = self.branch.lock().await;
        for missing in from..at {
            if !branch.contains_key(&missing) {
                let below = ask("eth_getBlockByNumber", json!([hex(missing), false]));
                let mut below = self.honest(&below).await.ok()?;
                let hash = rename(&mut below, parent_of(&branch, missing))?;
                branch.insert(missing, hash);
            }
        }
        let hash = rename(&mut honest, parent_of(&branch, at))?;
        branch.insert(at, hash);
        Some(honest)
    }
}

/// None: the first block of the branch, whose parent is the chain's.
fn parent_of(branch: &Branch, number: u64) -> Option<B256> {
    branch.get(&number.checked_sub(1)?).copied()
}

/// Another parent and another extra field, and the hash that follows from both.
fn rename(block: &mut Value, parent: Option<B256>) -> Option<B256> {
    let header: alloy::rpc::types::Header = serde_json::from_value(block.clone()).ok()?;
    let mut header = header.inner;
    header.parent_hash = parent.unwrap_or(header.parent_hash);
    header.extra_data = Bytes::from_static(b"another branch");
    let hash = header.hash_slow();
    (block["hash"], block["parentHash"]) = (json!(hash), json!(header.parent_hash));
    block["extraData"] = json!(header.extra_data);
    Some(hash)
}
