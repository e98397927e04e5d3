//! Tests of who is asked: nodes that are away, refuse, lag, disagree, or are of another chain.

use std::sync::Arc;

use alloy::consensus::Header as Consensus;
use serde_json::{Value, json};
use store::Tag;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::chain::{Chain, Rpc};

/// A chain node that knows a few blocks, all of one branch.
#[derive(Debug, Clone, Copy)]
struct Told {
    chain_id: u64,
    head: u64,
    finalized: u64,
    /// Blocks from here on are of a branch of its own.
    fork: u64,
    /// Its headers do not hash to their names.
    lies: bool,
}

const HONEST: Told = Told { chain_id: 7, head: 10, finalized: 8, fork: u64::MAX, lies: false };

type Node = Arc<Mutex<Told>>;

async fn node(told: Told) -> (String, Node) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let node = Arc::new(Mutex::new(told));
    let answers = node.clone();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(serve(socket, answers.clone()));
        }
    });
    (url, node)
}

/// Requests of one connection, each of a length that its head tells.
async fn serve(mut socket: TcpStream, node: Node) {
    let mut read = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&read).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|l| l.strip_prefix("content-length: "));
            let length: usize = length.unwrap().parse().unwrap();
            if body.len() >= length {
                let told = *node.lock().unwrap();
                let answer = answer(told, &serde_json::from_str(body).unwrap()).to_string();
                let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
                let whole = format!("{head}content-length: {}\r\n\r\n{answer}", answer.len());
                socket.write_all(whole.as_bytes()).await.unwrap();
                read.clear();
                continue;
            }
        }
        match socket.read_buf(&mut read).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
}

fn block(told: Told, number: u64) -> alloy::rpc::types::Header {
    let branch = if number >= told.fork { told.fork } else { 0 };
    let inner = Consensus { number, timestamp: branch, ..Consensus::default() };
    let mut header = alloy::rpc::types::Header::new(inner);
    if told.lies {
        header.inner.gas_used += 1;
    }
    header
}

fn answer(told: Told, request: &Value) -> Value {
    let result = match request["method"].as_str().unwrap() {
        "eth_chainId" => json!(format!("{:#x}", told.chain_id)),
        "eth_getBlockByNumber" => {
            let number = match request["params"][0].as_str().unwrap() {
                "latest" => told.head,
                "finalized" => told.finalized,
                number => u64::from_str_radix(&number[2..], 16).unwrap(),
            };
            json!((number <= told.head).then(|| block(told, number)))
        }
        other => {
            let error = json!({"code": -32601, "message": format!("{other} does not exist")});
            return json!({"jsonrpc": "2.0", "id": request["id"], "error": error});
        }
    };
    json!({"jsonrpc": "2.0", "id": request["id"], "result": result})
}

async fn away() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[tokio::test]
async fn when_the_first_is_away_or_lies_the_second_is_asked() {
    let (honest, _) = node(HONEST).await;
    let (liar, _) = node(Told { lies: true, ..HONEST }).await;
    for first in [away().await, liar.clone()] {
        let rpc = Rpc::new(&[first, honest.clone()], true).unwrap();
        let header = rpc.header(5).await.unwrap().unwrap();
        assert_eq!(header.hash, block(HONEST, 5).hash);
        // And stays the one that is asked.
        assert_eq!(rpc.chain_id().await.unwrap(), 7);
    }
    let alone = Rpc::new(&[liar], true).unwrap();
    let error = alone.header(5).await.unwrap_err();
    assert!(matches!(error, ChainError::Disproved { .. }) && error.is_transient(), "{error}");
    assert!(error.to_string().contains("chain.verify = false"), "{error}");
}

#[tokio::test]
async fn what_all_refuse_is_refused() {
    let urls = [node(HONEST).await.0, node(HONEST).await.0];
    let rpc = Rpc::new(&urls, true).unwrap();
    let error = rpc.code(Default::default(), None).await.unwrap_err();
    assert!(matches!(error, ChainError::Refused { .. }), "{error}");
    assert!(error.to_string().contains("does not exist"), "{error}");
}

#[tokio::test]
async fn a_node_of_another_chain_is_left_out_and_none_but_such_stop_the_indexer() {
    let (ours, _) = node(HONEST).await;
    let (theirs, _) = node(Told { chain_id: 8, head: 99, ..HONEST }).await;
    let urls = [theirs.clone(), ours];
    // Nothing is known yet: the first one's word counts.
    let rpc = Rpc::new(&urls, true).unwrap();
    assert_eq!(rpc.chain_id().await.unwrap(), 8);
    let rpc = Rpc::new(&urls, true).unwrap();
    rpc.expect(7, block(HONEST, 0).hash);
    assert_eq!(rpc.chain_id().await.unwrap(), 7);
    assert_eq!(rpc.head(Tag::Latest).await.unwrap().unwrap().number, HONEST.head);

    let rpc = Rpc::new(&[theirs.clone(), theirs], true).unwrap();
    rpc.expect(7, block(HONEST, 0).hash);
    let error = rpc.chain_id().await.unwrap_err();
    assert!(matches!(error, ChainError::OtherChain { .. }) && !error.is_transient(), "{error}");
    assert!(error.to_string().contains("is of chain 8"), "{error}");
}

#[tokio::test]
async fn a_node_that_falls_behind_is_left_for_one_that_did_not() {
    let (slow, behind) = node(HONEST).await;
    let (fast, ahead) = node(HONEST).await;
    let rpc = Rpc::new(&[slow, fast], true).unwrap();
    ahead.lock().unwrap().head = 12;
    assert_eq!(rpc.head(Tag::Latest).await.unwrap().unwrap().number, 12);
    // From now on the one that is ahead is asked.
    behind.lock().unwrap().head = 11;
    assert_eq!(rpc.head(Tag::Latest).await.unwrap().unwrap().number, 12);
}

#[tokio::test]
async fn a_finalized_block_takes_the_word_of_two_nodes() {
    let (one, first) = node(HONEST).await;
    let (two, second) = node(Told { fork: 6, ..HONEST }).await;
    let rpc = Rpc::new(&[one.clone(), two.clone()], true).unwrap();
    assert_eq!(rpc.head(Tag::Finalized).await.unwrap(), None, "block 8 has two hashes");
    first.lock().unwrap().finalized = 5;
    let agreed = rpc.head(Tag::Finalized).await.unwrap().unwrap();
    assert_eq!((agreed.number, agreed.hash), (5, block(HONEST, 5).hash));
    first.lock().unwrap().finalized = 9;
    assert_eq!(rpc.head(Tag::Finalized).await.unwrap().unwrap(), agreed, "the mark waits");
    second.lock().unwrap().fork = u64::MAX;
    assert_eq!(rpc.head(Tag::Finalized).await.unwrap().unwrap().number, 9);
    let alone = Rpc::new(&[two], true).unwrap();
    assert_eq!(alone.head(Tag::Finalized).await.unwrap().unwrap().number, 8);
}
