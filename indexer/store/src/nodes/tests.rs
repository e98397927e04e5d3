//! Tests of nodes.rs: registering, again, and whose token it is.

use super::*;
use crate::Error;
use crate::testing::{address, hash, on_both};

fn backend(name: &str, version: &str) -> NodeBackend {
    let kernel_class = "x86-64-v3".to_owned();
    NodeBackend { backend: name.into(), version: version.into(), kernel_class }
}

fn node(number: u64) -> Node {
    Node {
        node: address(number),
        token_hash: hash(number),
        registered_at: 10,
        seen_at: 10,
        backends: vec![backend("blender", "4.2"), backend("povray", "3.7")],
    }
}

#[tokio::test]
async fn registering_again_replaces_token_and_backends() {
    on_both(|world| async move {
        let (work, reader) = (world.store.work(), world.store.reader());
        assert_eq!(reader.node(address(1)).await.unwrap(), None);
        work.register_node(&node(1)).await.unwrap();
        work.register_node(&Node { backends: vec![], ..node(2) }).await.unwrap();
        assert_eq!(reader.node(address(1)).await.unwrap(), Some(node(1)));
        assert_eq!(reader.node_by_token(hash(1)).await.unwrap(), Some(node(1)));
        assert!(reader.node(address(2)).await.unwrap().unwrap().backends.is_empty());
        let again = Node {
            token_hash: hash(9),
            registered_at: 50,
            seen_at: 50,
            backends: vec![backend("povray", "3.8")],
            ..node(1)
        };
        work.register_node(&again).await.unwrap();
        let stored = Node { registered_at: 10, ..again };
        assert_eq!(reader.node(address(1)).await.unwrap(), Some(stored.clone()));
        assert_eq!(reader.node_by_token(hash(1)).await.unwrap(), None);
        let mut nodes = reader.nodes().await.unwrap();
        nodes.sort_by_key(|n| n.registered_at + i64::from(n.node == address(2)));
        assert_eq!(nodes, [stored, Node { backends: vec![], ..node(2) }]);
    })
    .await;
}

#[tokio::test]
async fn two_nodes_cannot_have_one_token() {
    on_both(|world| async move {
        let (work, reader) = (world.store.work(), world.store.reader());
        work.register_node(&node(1)).await.unwrap();
        let thief = Node { token_hash: hash(1), ..node(2) };
        let error = work.register_node(&thief).await.unwrap_err();
        assert!(matches!(error, Error::Conflict { .. }), "{error}");
        assert_eq!(reader.nodes().await.unwrap(), [node(1)]);
    })
    .await;
}

#[tokio::test]
async fn a_node_that_was_heard_of_is_seen_later() {
    on_both(|world| async move {
        let (work, reader) = (world.store.work(), world.store.reader());
        assert!(!work.touch_node(address(1), 60).await.unwrap());
        work.register_node(&node(1)).await.unwrap();
        assert!(work.touch_node(address(1), 60).await.unwrap());
        assert_eq!(reader.node(address(1)).await.unwrap().unwrap().seen_at, 60);
    })
    .await;
}
