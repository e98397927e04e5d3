//! Nodes that registered at the door, and what they can run.

use alloy::primitives::{Address, B256};
use serde::Serialize;

use crate::dialect::Writer;
use crate::error::Result;
use crate::values::{Row, values};
use crate::{Reader, WorkWriter};

/// A registered node; `token_hash` is the keccak256 of its bearer token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Node {
    pub node: Address,
    pub token_hash: B256,
    pub registered_at: i64,
    pub seen_at: i64,
    /// By name of the backend.
    pub backends: Vec<NodeBackend>,
}

/// Machines of one `kernel_class` render a unit to the same pixels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NodeBackend {
    pub backend: String,
    pub version: String,
    pub kernel_class: String,
}

/// Every query for nodes: one row for each backend, or one with nulls for a node without any.
macro_rules! select_nodes {
    ($rest:literal) => {
        concat!(
            "SELECT n.node, n.token_hash, n.registered_at, n.seen_at, b.backend, b.version, \
             b.kernel_class FROM nodes n LEFT JOIN node_backends b ON b.node = n.node ",
            $rest
        )
    };
}

impl WorkWriter {
    /// Registers a node, or again: its token and backends replace the earlier ones,
    /// `registered_at` stays that of the first time. Two nodes cannot have one token.
    pub async fn register_node(&self, node: &Node) -> Result<()> {
        let mut tx = self.pool.write(Writer::Work).await?;
        let sql = "INSERT INTO nodes (node, token_hash, registered_at, seen_at) \
                   VALUES ($1, $2, $3, $4) ON CONFLICT (node) DO UPDATE SET \
                   token_hash = excluded.token_hash, seen_at = excluded.seen_at";
        let row = values![node.node, node.token_hash, node.registered_at, node.seen_at];
        tx.execute(sql, row).await?;
        tx.execute("DELETE FROM node_backends WHERE node = $1", values![node.node]).await?;
        let sql = "INSERT INTO node_backends (node, backend, version, kernel_class) VALUES";
        let backends = node.backends.iter().map(|b| {
            let (name, version) = (b.backend.as_str(), b.version.as_str());
            values![node.node, name, version, b.kernel_class.as_str()]
        });
        tx.insert(sql, backends.collect()).await?;
        tx.commit().await
    }

    /// The node was heard of; false when it is not registered.
    pub async fn touch_node(&self, node: Address, now: i64) -> Result<bool> {
        let mut tx = self.pool.write(Writer::Work).await?;
        let sql = "UPDATE nodes SET seen_at = $2 WHERE node = $1";
        let touched = tx.execute(sql, values![node, now]).await?;
        tx.commit().await?;
        Ok(touched == 1)
    }
}

impl Reader {
    pub async fn node(&self, node: Address) -> Result<Option<Node>> {
        let sql = select_nodes!("WHERE n.node = $1 ORDER BY b.backend");
        Ok(nodes_from(&self.pool.all(sql, values![node]).await?)?.pop())
    }

    /// Whose token this is.
    pub async fn node_by_token(&self, token_hash: B256) -> Result<Option<Node>> {
        let sql = select_nodes!("WHERE n.token_hash = $1 ORDER BY b.backend");
        Ok(nodes_from(&self.pool.all(sql, values![token_hash]).await?)?.pop())
    }

    /// Every node, by address.
    pub async fn nodes(&self) -> Result<Vec<Node>> {
        let sql = select_nodes!("ORDER BY n.node, b.backend");
        nodes_from(&self.pool.all(sql, vec![]).await?)
    }
}

fn nodes_from(rows: &[Row]) -> Result<Vec<Node>> {
    let mut nodes: Vec<Node> = Vec::new();
    for row in rows {
        let address = row.get("node")?;
        if nodes.last().is_none_or(|last| last.node != address) {
            nodes.push(Node {
                node: address,
                token_hash: row.get("token_hash")?,
                registered_at: row.get("registered_at")?,
                seen_at: row.get("seen_at")?,
                backends: Vec::new(),
            });
        }
        if let (Some(backend), Some(last)) = (row.opt("backend")?, nodes.last_mut()) {
            let (version, kernel_class) = (row.get("version")?, row.get("kernel_class")?);
            last.backends.push(NodeBackend { backend, version, kernel_class });
        }
    }
    Ok(nodes)
}

#[cfg(test)]
mod tests;
