//! The chain as nodes tell it over HTTP, each answer proven before it is believed.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use alloy::eips::BlockId;
use alloy::network::AnyReceiptEnvelope;
use alloy::primitives::{Address, B256, Bytes};
use alloy::providers::{Provider, RootProvider};
use alloy::rpc::client::BatchRequest;
use alloy::rpc::types::{Filter, TransactionRequest};
use futures::{StreamExt, TryStreamExt};
use serde_json::value::RawValue;
use store::{Tag, Verified};
use tokio::time::Instant;

mod proofs;

pub use proofs::Proof;

use super::answers;
use super::servers::{Problem, Servers};
use super::{Answer, BlockLogs, Chain, ChainError, ChainLog, Header};
use crate::verify;

/// Headers asked for in one batch, at most; a node that takes fewer halves it.
const BATCH: usize = 50;
/// Batches under way at the same time: hides the way to the node, spares its queue.
const BATCHES_AT_ONCE: usize = 4;
/// How often several nodes are compared to see whether the current one has fallen behind.
const COMPARE_EVERY: Duration = Duration::from_secs(2);
/// Blocks by which a node may be behind another: it is a matter of milliseconds who hears first.
const SLACK_BLOCKS: u64 = 1;
/// Nodes that must name the same finalized block, where several are asked.
const WITNESSES: usize = 2;

/// One chain behind one or more nodes.
pub struct Rpc {
    servers: Servers,
    prove: bool,
    batch: AtomicUsize,
    compared: Mutex<Option<Instant>>,
    /// The newest finalized block that two nodes named.
    witnessed: Mutex<Option<Header>>,
}

impl Rpc {
    /// Does not connect yet: the first call does. Without `prove` every answer is believed.
    pub fn new(urls: &[String], prove: bool) -> Answer<Self> {
        Ok(Self {
            servers: Servers::new(urls)?,
            prove,
            batch: AtomicUsize::new(BATCH),
            compared: Mutex::new(None),
            witnessed: Mutex::new(None),
        })
    }

    async fn block(&self, call: &'static str, which: &str) -> Answer<Option<Header>> {
        let question = |node| async { block(node, which, self.prove).await };
        self.servers.ask(call, question).await
    }

    /// The newest block; of several nodes, one that has not fallen behind is asked from now on.
    async fn latest(&self) -> Answer<Option<Header>> {
        if self.servers.several() && self.compare_now() {
            let question = |node| async { block(node, "latest", self.prove).await };
            let heads = self.servers.ask_each("the latest block", question).await;
            let number = |head: &Option<Header>| head.as_ref().map_or(0, |head| head.number);
            let own = heads.iter().find(|(at, _)| *at == self.servers.current());
            let own = own.map_or(0, |(_, head)| number(head));
            let best = heads.into_iter().max_by_key(|(_, head)| number(head));
            if let Some((at, head)) = best
                && number(&head) > own + SLACK_BLOCKS
            {
                tracing::warn!(node = self.servers.name(at), "the node asked so far is behind");
                self.servers.prefer(at);
                return Ok(head);
            }
        }
        self.block("the latest block", "latest").await
    }

    fn compare_now(&self) -> bool {
        let mut compared = self.compared.lock().unwrap_or_else(PoisonError::into_inner);
        let due = compared.is_none_or(|at| at.elapsed() >= COMPARE_EVERY);
        if due {
            *compared = Some(Instant::now());
        }
        due
    }

    /// The finalized block. Header and receipts prove themselves, but not that their branch is the
    /// one the chain chose: two of several nodes must name it, or the mark stays where it is.
    async fn finalized(&self) -> Answer<Option<Header>> {
        let Some(said) = self.block("the finalized block", "finalized").await? else {
            return Ok(None);
        };
        let before = self.witnessed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if !self.servers.several() || before.as_ref() == Some(&said) {
            return Ok(Some(said));
        }
        let which = format!("{:#x}", said.number);
        let question = |node| async { block(node, &which, self.prove).await };
        let answers = self.servers.ask_each("the finalized block by number", question).await;
        let same = answers.iter().filter(|(_, header)| header.as_ref() == Some(&said)).count();
        if same < WITNESSES {
            let (block, hash) = (said.number, said.hash);
            tracing::warn!(block, %hash, "no second chain node names this finalized block yet");
            return Ok(before);
        }
        *self.witnessed.lock().unwrap_or_else(PoisonError::into_inner) = Some(said.clone());
        Ok(Some(said))
    }

    async fn batch(&self, call: &'static str, from: u64, to: u64) -> Answer<Vec<Option<Header>>> {
        let question = |node| async { headers(node, from, to, self.prove).await };
        self.servers.ask(call, question).await
    }

    async fn proven(&self, of: &[Address], header: &Header) -> Answer<BlockLogs> {
        if !verify::may_hold(&header.logs_bloom, of) {
            return Ok(BlockLogs { logs: Vec::new(), verified: Verified::Bloom });
        }
        let question = |node| async {
            let receipts = receipts(node, header.hash).await?;
            verify::logs(header, of, receipts).map_err(Problem::Disproved)
        };
        let placed = self.servers.ask("the receipts of a block", question).await?;
        let logs = match placed.is_empty() {
            true => Vec::new(),
            false => {
                let question = |node| async {
                    let encoded = transactions(node, header.hash).await?;
                    let signed = verify::signed_by(header, placed.clone(), &encoded);
                    signed.map_err(Problem::Disproved)
                };
                self.servers.ask("the transactions of a block", question).await?
            }
        };
        Ok(BlockLogs { logs, verified: Verified::Receipts })
    }

    async fn logs(&self, call: &'static str, filter: Filter) -> Answer<Vec<ChainLog>> {
        let question = |node| async { logs(node, &filter).await };
        self.servers.ask(call, question).await
    }
}

async fn block(node: RootProvider, which: &str, prove: bool) -> Result<Option<Header>, Problem> {
    let found: Option<Box<RawValue>> =
        node.client().request("eth_getBlockByNumber", (which, false)).await?;
    Ok(found.map(|json| answers::header(&json, prove)).transpose()?)
}

/// The blocks of these numbers, those that the node has, each the child of the one before.
async fn headers(
    node: RootProvider,
    from: u64,
    to: u64,
    prove: bool,
) -> Result<Vec<Option<Header>>, Problem> {
    let headers = match from == to {
        true => vec![block(node, &format!("{from:#x}"), prove).await?],
        false => batch(node, from, to, prove).await?,
    };
    let there: Vec<Header> = headers.iter().map_while(Clone::clone).collect();
    verify::linked(from, &there).map_err(Problem::Disproved)?;
    Ok(headers)
}

/// As `headers`, in one request and not looked at.
async fn batch(
    node: RootProvider,
    from: u64,
    to: u64,
    prove: bool,
) -> Result<Vec<Option<Header>>, Problem> {
    let mut batch = BatchRequest::new(node.client());
    let mut answers = Vec::new();
    for number in from..=to {
        let params = (format!("{number:#x}"), false);
        answers.push(batch.add_call::<_, Option<Box<RawValue>>>("eth_getBlockByNumber", &params)?);
    }
    batch.send().await?;
    let mut headers = Vec::with_capacity(answers.len());
    for answer in answers {
        let json: Option<Box<RawValue>> = answer.await?;
        headers.push(json.map(|json| answers::header(&json, prove)).transpose()?);
    }
    Ok(headers)
}

async fn logs(node: RootProvider, filter: &Filter) -> Result<Vec<ChainLog>, Problem> {
    let json: Box<RawValue> = node.client().request("eth_getLogs", (filter,)).await?;
    Ok(answers::logs(&json)?)
}

async fn receipts(node: RootProvider, of: B256) -> Result<Vec<AnyReceiptEnvelope>, Problem> {
    let found: Option<Box<RawValue>> = node.client().request("eth_getBlockReceipts", (of,)).await?;
    let json = found.ok_or_else(|| unknown(of))?;
    Ok(answers::receipts(&json)?)
}

async fn transactions(node: RootProvider, of: B256) -> Result<Vec<Vec<u8>>, Problem> {
    let found: Option<Box<RawValue>> =
        node.client().request("eth_getBlockByHash", (of, true)).await?;
    let json = found.ok_or_else(|| unknown(of))?;
    Ok(answers::transactions(&json)?)
}

fn unknown(block: B256) -> Problem {
    Problem::Transport(format!("it does not know block {block} that it named before"))
}

impl Chain for Rpc {
    fn expect(&self, chain_id: u64, genesis_hash: B256) {
        self.servers.expect(chain_id, genesis_hash);
    }

    async fn chain_id(&self) -> Answer<u64> {
        let question = |node: RootProvider| async move { Ok(node.get_chain_id().await?) };
        self.servers.ask("eth_chainId", question).await
    }

    async fn head(&self, tag: Tag) -> Answer<Option<Header>> {
        match tag {
            Tag::Latest => self.latest().await,
            Tag::Safe => self.block("the safe block", "safe").await,
            Tag::Finalized => self.finalized().await,
        }
    }

    async fn header(&self, number: u64) -> Answer<Option<Header>> {
        let found = self.batch("a block by number", number, number).await?;
        Ok(found.into_iter().flatten().next())
    }

    async fn headers(&self, from: u64, to: u64) -> Answer<Option<Vec<Header>>> {
        let size = self.batch.load(Ordering::Relaxed);
        let step = u64::try_from(size).unwrap_or(1);
        let starts = (from..=to).step_by(size);
        let asked = futures::stream::iter(starts)
            .map(|start| self.batch("headers of blocks", start, to.min(start + step - 1)))
            .buffered(BATCHES_AT_ONCE);
        let batches: Vec<Vec<Option<Header>>> = match asked.try_collect().await {
            Ok(batches) => batches,
            Err(error) => {
                // Whatever its words: a smaller batch may be answered, and one is none. A node that
                // is away says nothing about batches.
                if matches!(error, ChainError::Refused { .. }) {
                    self.batch.store((size / 2).max(1), Ordering::Relaxed);
                }
                return Err(error);
            }
        };
        let Some(headers) = batches.into_iter().flatten().collect::<Option<Vec<_>>>() else {
            return Ok(None);
        };
        // Between batches the chain may have moved, which is nobody's lie.
        Ok(verify::linked(from, &headers).is_ok().then_some(headers))
    }

    async fn block_logs(&self, of: &[Address], header: &Header) -> Answer<BlockLogs> {
        if self.prove {
            return self.proven(of, header).await;
        }
        let filter = Filter::new().address(of.to_vec()).at_block_hash(header.hash);
        let logs = self.logs("logs of a block", filter).await?;
        Ok(BlockLogs { logs, verified: Verified::LogsOnly })
    }

    fn proves(&self) -> bool {
        self.prove
    }

    async fn range_logs(&self, of: &[Address], from: u64, to: u64) -> Answer<Vec<ChainLog>> {
        let filter = Filter::new().address(of.to_vec()).from_block(from).to_block(to);
        self.logs("logs of a range of blocks", filter).await
    }

    async fn code(&self, of: Address, at: Option<u64>) -> Answer<Bytes> {
        let block = at.map_or(BlockId::latest(), BlockId::number);
        let question =
            |node: RootProvider| async move { Ok(node.get_code_at(of).block_id(block).await?) };
        self.servers.ask("the code of a contract", question).await
    }

    async fn call(&self, to: Address, data: Bytes, at: Option<B256>) -> Answer<Bytes> {
        let block = at.map_or(BlockId::latest(), BlockId::hash);
        let request = TransactionRequest::default().to(to).input(data.into());
        let question = |node: RootProvider| {
            let request = request.clone();
            async move { Ok(node.call(request).block(block).await?) }
        };
        self.servers.ask("a view function", question).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[tokio::test]
    async fn a_node_that_is_away_is_named_without_the_key_in_its_address() {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let url = format!("http://user:pass@127.0.0.1:{port}/v2/a-secret-key");
        let error = Rpc::new(&[url], true).unwrap().chain_id().await.unwrap_err();
        assert!(matches!(error, ChainError::Transport { .. }) && error.is_transient());
        let text = error.to_string();
        assert!(text.contains("eth_chainId") && text.contains("127.0.0.1"), "{text}");
        assert!(!text.contains("a-secret-key") && !text.contains("pass"), "{text}");
    }

    #[test]
    fn what_is_no_address_is_refused_with_an_example() {
        for url in ["", "127.0.0.1:8545", "ws://127.0.0.1:8545", "file:///etc/passwd"] {
            let error = Rpc::new(&[url.to_owned()], true).err().unwrap();
            assert!(!error.is_transient());
            assert!(error.to_string().contains("http://127.0.0.1:8545"), "{error}");
        }
        assert!(Rpc::new(&[], true).is_err());
    }
}
