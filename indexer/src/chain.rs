//! trait Chain (heads, headers, logs, calls) over RPC: time limits, bounded retries, waking socket.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use alloy::eips::BlockId;
use alloy::primitives::{Address, B256, Bytes, Log, U64};
use alloy::providers::{Provider, ProviderBuilder, RootProvider, WsConnect};
use alloy::rpc::types::{Filter, TransactionRequest};
use alloy::transports::{RpcError, TransportError};
use backon::{ExponentialBuilder, Retryable};
use contracts::urls::without_keys;
use serde::Deserialize;
use store::Tag;
use tokio::sync::Notify;
use tokio::time::timeout;

/// Longest wait for one answer. A range of logs of a busy chain takes seconds; a node that is
/// silent for longer is down, and asking again is better than waiting.
const CALL_LIMIT: Duration = Duration::from_secs(20);
/// Tries of one call, the first included: enough for a hiccup, short enough to be told of an
/// outage in seconds. The follower itself never gives up on a node that is away.
const TRIES: usize = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// A socket that said nothing for this long is rebuilt: it may be half open. Polling goes on.
const SILENCE_LIMIT: Duration = Duration::from_secs(60);
/// Pauses between attempts to build the socket again; meanwhile polling does the work.
const SOCKET_PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));

/// What the follower and the audit need to know of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    pub number: u64,
    pub hash: B256,
    pub parent_hash: B256,
    /// Unix seconds.
    pub mined_at: i64,
}

/// One log with its place: (block hash, log index) names it, a transaction can be mined again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainLog {
    pub block: u64,
    pub block_hash: B256,
    pub tx_hash: B256,
    pub log_index: u64,
    pub log: Log,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    #[error("`{url}` is no address of a node ({reason}); write it like http://127.0.0.1:8545")]
    Url { url: String, reason: String },
    #[error("chain node gave no answer to {call} within {} s; does it run?", CALL_LIMIT.as_secs())]
    Timeout { call: &'static str },
    #[error("{call} did not reach the chain node or its answer was broken: {reason}")]
    Transport { call: &'static str, reason: String },
    #[error("chain node refused {call}: {reason}")]
    Refused { call: &'static str, reason: String },
}

impl ChainError {
    /// Asking again may help. A refusal is the node's word on this very question.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Timeout { .. } | Self::Transport { .. } => true,
            Self::Url { .. } | Self::Refused { .. } => false,
        }
    }
}

type Answer<T> = Result<T, ChainError>;

/// A chain that can be read: a node over RPC, or one in memory in tests.
pub trait Chain: Send + Sync {
    fn chain_id(&self) -> impl Future<Output = Answer<u64>> + Send;
    /// None: the chain has no such block yet.
    fn head(&self, tag: Tag) -> impl Future<Output = Answer<Option<Header>>> + Send;
    fn header(&self, number: u64) -> impl Future<Output = Answer<Option<Header>>> + Send;
    /// Logs of these contracts in blocks `from..=to` of the canonical chain.
    fn logs_in(
        &self,
        of: &[Address],
        from: u64,
        to: u64,
    ) -> impl Future<Output = Answer<Vec<ChainLog>>> + Send;
    /// Logs of these contracts in one block by its hash: never those of another fork.
    fn logs_of(
        &self,
        of: &[Address],
        block_hash: B256,
    ) -> impl Future<Output = Answer<Vec<ChainLog>>> + Send;
    /// Code at an address, at a height or at the head.
    fn code(&self, of: Address, at: Option<u64>) -> impl Future<Output = Answer<Bytes>> + Send;
    /// Answer of a view function, at a block by hash or at the head.
    fn call(
        &self,
        to: Address,
        data: Bytes,
        at: Option<B256>,
    ) -> impl Future<Output = Answer<Bytes>> + Send;
}

/// The chain as a node tells it over HTTP.
#[derive(Clone)]
pub struct Rpc {
    provider: RootProvider,
}

/// Only what is needed of a block, so that no chain's extra fields can fail the parse.
#[derive(Deserialize, Clone, Debug)]
#[serde(rename_all = "camelCase")]
struct HeaderJson {
    number: U64,
    hash: B256,
    parent_hash: B256,
    timestamp: U64,
}

impl Rpc {
    /// Does not connect yet: the first call does.
    pub fn new(url: &str) -> Answer<Self> {
        let bad = |reason: String| ChainError::Url { url: url.into(), reason };
        let parsed: alloy::transports::http::reqwest::Url =
            url.parse().map_err(|e| bad(format!("{e}")))?;
        if !matches!(parsed.scheme(), "http" | "https") {
            return Err(bad("it must start with http:// or https://".into()));
        }
        let provider = ProviderBuilder::default().connect_http(parsed);
        Ok(Self { provider })
    }

    /// One question with its time limit, asked again within limits when it did not get through.
    async fn ask<T, F, A>(&self, call: &'static str, question: F) -> Answer<T>
    where
        F: Fn() -> A,
        A: IntoFuture<Output = Result<T, TransportError>>,
    {
        let once = || async {
            match timeout(CALL_LIMIT, question().into_future()).await {
                Ok(answer) => answer.map_err(|e| problem(call, &e)),
                Err(_) => Err(ChainError::Timeout { call }),
            }
        };
        let pauses = ExponentialBuilder::default()
            .with_min_delay(FIRST_PAUSE)
            .with_max_delay(LONGEST_PAUSE)
            .with_max_times(TRIES - 1)
            .with_jitter();
        once.retry(pauses).when(ChainError::is_transient).await
    }

    async fn block(&self, call: &'static str, which: String) -> Answer<Option<Header>> {
        let client = self.provider.client();
        let question =
            || client.request::<_, Option<HeaderJson>>("eth_getBlockByNumber", (&which, false));
        let found = self.ask(call, question).await?;
        found.map(|json| Header::read(call, &json)).transpose()
    }

    async fn logs(&self, call: &'static str, filter: Filter) -> Answer<Vec<ChainLog>> {
        let logs = self.ask(call, || self.provider.get_logs(&filter)).await?;
        logs.into_iter().map(|log| ChainLog::read(call, log)).collect()
    }
}

fn problem(call: &'static str, error: &TransportError) -> ChainError {
    let reason = reason(error);
    match error {
        // A busy node says so in many codes; it has refused the moment, not the question.
        RpcError::ErrorResp(payload) if payload.is_retry_err() => {
            ChainError::Transport { call, reason }
        }
        RpcError::ErrorResp(_) | RpcError::UnsupportedFeature(_) => {
            ChainError::Refused { call, reason }
        }
        RpcError::NullResp
        | RpcError::LocalUsageError(_)
        | RpcError::SerError(_)
        | RpcError::DeserError { .. }
        | RpcError::Transport(_) => ChainError::Transport { call, reason },
    }
}

/// The error with its causes, without the keys in the node's address, at a readable length.
fn reason(error: &TransportError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    // Ends: each step goes one cause deeper.
    while let Some(inner) = cause {
        let said = inner.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = inner.source();
    }
    without_keys(&text).chars().take(400).collect()
}

impl Header {
    fn read(call: &'static str, json: &HeaderJson) -> Answer<Self> {
        let seconds = json.timestamp.to::<u64>();
        let mined_at = i64::try_from(seconds).map_err(|_| ChainError::Transport {
            call,
            reason: format!("block time {seconds} is no time"),
        })?;
        let HeaderJson { number, hash, parent_hash, .. } = *json;
        Ok(Self { number: number.to(), hash, parent_hash, mined_at })
    }
}

impl ChainLog {
    fn read(call: &'static str, log: alloy::rpc::types::Log) -> Answer<Self> {
        let place = (log.block_number, log.block_hash, log.transaction_hash, log.log_index);
        let (Some(block), Some(block_hash), Some(tx_hash), Some(log_index)) = place else {
            let reason = "a log without block, transaction or index".into();
            return Err(ChainError::Transport { call, reason });
        };
        Ok(Self { block, block_hash, tx_hash, log_index, log: log.inner })
    }
}

impl Chain for Rpc {
    async fn chain_id(&self) -> Answer<u64> {
        self.ask("eth_chainId", || self.provider.get_chain_id()).await
    }

    async fn head(&self, tag: Tag) -> Answer<Option<Header>> {
        match tag {
            Tag::Latest => self.block("the latest block", "latest".into()).await,
            Tag::Safe => self.block("the safe block", "safe".into()).await,
            Tag::Finalized => self.block("the finalized block", "finalized".into()).await,
        }
    }

    async fn header(&self, number: u64) -> Answer<Option<Header>> {
        self.block("a block by number", format!("{number:#x}")).await
    }

    async fn logs_in(&self, of: &[Address], from: u64, to: u64) -> Answer<Vec<ChainLog>> {
        let filter = Filter::new().address(of.to_vec()).from_block(from).to_block(to);
        self.logs("logs of a range of blocks", filter).await
    }

    async fn logs_of(&self, of: &[Address], block_hash: B256) -> Answer<Vec<ChainLog>> {
        let filter = Filter::new().address(of.to_vec()).at_block_hash(block_hash);
        self.logs("logs of a block", filter).await
    }

    async fn code(&self, of: Address, at: Option<u64>) -> Answer<Bytes> {
        let block = at.map_or(BlockId::latest(), BlockId::number);
        self.ask("the code of a contract", || self.provider.get_code_at(of).block_id(block)).await
    }

    async fn call(&self, to: Address, data: Bytes, at: Option<B256>) -> Answer<Bytes> {
        let block = at.map_or(BlockId::latest(), BlockId::hash);
        let request = TransactionRequest::default().to(to).input(data.into());
        self.ask("a view function", || self.provider.call(request.clone()).block(block)).await
    }
}

/// Wakes the follower at each new head until it is dropped. Never reads anything from the
/// socket: what it says may be late, doubled or missing. Builds the socket anew when it fails.
pub async fn wake_on_heads(ws_url: String, wake: Arc<Notify>) {
    let (shortest, longest) = SOCKET_PAUSES;
    let mut pause = shortest;
    // Without end on purpose: a lost socket costs latency only, so it is worth trying for ever.
    loop {
        match listen(&ws_url, &wake).await {
            Ok(()) => {
                tracing::info!("socket to the chain node ended; polling until it is back");
                pause = shortest;
            }
            Err(problem) => {
                // Said once: polling does the work, and nothing else depends on it.
                if pause == shortest {
                    tracing::warn!(problem, "new blocks are found by polling");
                }
                pause = (pause * 2).min(longest);
            }
        }
        tokio::time::sleep(pause).await;
    }
}

/// Wakes at each head on one socket, until it ends or falls silent; an error when there never
/// was one.
async fn listen(ws_url: &str, wake: &Notify) -> Result<(), &'static str> {
    // Retries are ours: the provider's own lose what came between and then die quietly.
    let connect = WsConnect::new(ws_url).with_max_retries(0);
    let connected: Result<Result<RootProvider, _>, _> =
        timeout(CALL_LIMIT, ProviderBuilder::default().connect_ws(connect)).await;
    let Ok(Ok(provider)) = connected else { return Err("no socket to the chain node") };
    let asked = timeout(CALL_LIMIT, provider.subscribe_blocks().into_future()).await;
    let Ok(Ok(mut heads)) = asked else { return Err("chain node announces no heads") };
    // What was mined while there was no socket is not announced again.
    wake.notify_one();
    // Ends with the socket, or when it is silent for too long.
    while let Ok(Ok(_)) = timeout(SILENCE_LIMIT, heads.recv()).await {
        wake.notify_one();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[tokio::test]
    async fn a_node_that_is_away_is_named_without_the_key_in_its_address() {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let rpc = Rpc::new(&format!("http://user:pass@127.0.0.1:{port}/v2/a-secret-key")).unwrap();
        let error = rpc.chain_id().await.unwrap_err();
        assert!(matches!(error, ChainError::Transport { .. }) && error.is_transient());
        let text = error.to_string();
        assert!(text.contains("eth_chainId") && text.contains("127.0.0.1"), "{text}");
        assert!(!text.contains("a-secret-key") && !text.contains("pass"), "{text}");
    }

    #[test]
    fn what_is_no_address_is_refused_with_an_example() {
        for url in ["", "127.0.0.1:8545", "ws://127.0.0.1:8545", "file:///etc/passwd"] {
            let error = Rpc::new(url).err().unwrap();
            assert!(!error.is_transient());
            assert!(error.to_string().contains("http://127.0.0.1:8545"), "{error}");
        }
    }
}
