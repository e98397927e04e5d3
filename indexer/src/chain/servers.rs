//! The chain nodes: whom to ask now, for how long, how often, and who is set aside for what.

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use alloy::primitives::B256;
use alloy::providers::{Provider, ProviderBuilder, RootProvider};
use alloy::transports::{RpcError, TransportError};
use backon::{BackoffBuilder, ExponentialBuilder};
use contracts::urls::without_keys;
use serde_json::value::RawValue;
use tokio::time::{Instant, timeout};

use super::answers::{self, Bad};
use super::{Answer, ChainError};
use crate::verify::Disproof;

/// Longest wait for one answer. A node that is silent for longer is down, and asking again, or
/// for less, is better than waiting.
pub(super) const CALL_LIMIT: Duration = Duration::from_secs(7);
/// Tries of one call for each node, the first included: enough for a hiccup, short enough to be
/// told of an outage in seconds. The follower itself never gives up.
const TRIES: usize = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Longest wait for nodes that are only compared with the one that serves.
const COMPARE_LIMIT: Duration = Duration::from_secs(2);
/// How long another node is preferred to one that did not answer: doubled each time, up to the
/// most, and at once the most when an answer was disproved.
const ASIDE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// Why one node did not help.
pub(super) enum Problem {
    Transport(String),
    Refused(String),
    Disproved(Disproof),
}

impl From<TransportError> for Problem {
    fn from(error: TransportError) -> Self {
        let reason = reason(&error);
        match error {
            // A busy node says so in many codes; it has refused the moment, not the question.
            RpcError::ErrorResp(payload) if payload.is_retry_err() => Self::Transport(reason),
            RpcError::ErrorResp(_) | RpcError::UnsupportedFeature(_) => Self::Refused(reason),
            RpcError::NullResp
            | RpcError::LocalUsageError(_)
            | RpcError::SerError(_)
            | RpcError::DeserError { .. }
            | RpcError::Transport(_) => Self::Transport(reason),
        }
    }
}

impl From<Bad> for Problem {
    fn from(bad: Bad) -> Self {
        match bad {
            Bad::Form(reason) => Self::Transport(reason),
            Bad::Disproved(disproof) => Self::Disproved(disproof),
        }
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

struct Server {
    /// Its address without keys, for people.
    name: String,
    provider: RootProvider,
    trust: Mutex<Trust>,
    /// Whether it said which chain it is of since it was last away.
    introduced: AtomicBool,
    /// It is of another chain and never asked again.
    foreign: AtomicBool,
}

/// Others are preferred until `back`; next time for `next`.
#[derive(Clone, Copy)]
struct Trust {
    back: Instant,
    next: Duration,
}

/// Chain id and hash of the first block.
type Identity = (u64, B256);

/// One chain behind one or more nodes. One node is asked as long as it serves; then the next.
pub(super) struct Servers {
    list: Vec<Server>,
    current: AtomicUsize,
    /// Of the chain that the database is of, or else the first of several nodes to answer.
    identity: OnceLock<Identity>,
}

impl Servers {
    /// Does not connect yet: the first call does.
    pub fn new(urls: &[String]) -> Answer<Self> {
        let list = urls.iter().map(|url| Server::new(url)).collect::<Answer<Vec<_>>>()?;
        if list.is_empty() {
            let (url, reason) = (String::new(), "none is given".into());
            return Err(ChainError::Url { url, reason });
        }
        Ok(Self { list, current: AtomicUsize::new(0), identity: OnceLock::new() })
    }

    /// Which chain all nodes must be of; the first word counts.
    pub fn expect(&self, chain_id: u64, genesis_hash: B256) {
        self.identity.get_or_init(|| (chain_id, genesis_hash));
    }

    pub fn several(&self) -> bool {
        self.list.len() > 1
    }

    /// One question with its time limit, asked again within limits where it did not get through or
    /// where the answer was disproved. What one of several nodes refuses, another may answer.
    pub async fn ask<T, F, A>(&self, call: &'static str, question: F) -> Answer<T>
    where
        F: Fn(RootProvider) -> A,
        A: Future<Output = Result<T, Problem>>,
    {
        let mut pauses = ExponentialBuilder::default()
            .with_min_delay(FIRST_PAUSE)
            .with_max_delay(LONGEST_PAUSE)
            .with_max_times(TRIES * self.list.len() - 1)
            .with_jitter()
            .build();
        let mut refusals = 0;
        loop {
            let at = self.pick();
            let error = match self.once(at, call, CALL_LIMIT, &question).await {
                Ok(answer) => {
                    self.list[at].trust().next = ASIDE.0;
                    return Ok(answer);
                }
                Err(error) => error,
            };
            if let ChainError::Refused { .. } = error {
                refusals += 1;
                if refusals >= self.list.len() {
                    return Err(error);
                }
                self.current.store((at + 1) % self.list.len(), Ordering::Relaxed);
                continue;
            }
            if let ChainError::OtherChain { .. } = error {
                if (0..self.list.len()).all(|at| self.is_foreign(at)) {
                    return Err(error);
                }
                continue;
            }
            let Some(pause) = pauses.next() else { return Err(error) };
            tracing::debug!(%error, "asking again");
            self.set_aside(at, &error);
            // Another node is asked at once.
            if self.pick() == at {
                tokio::time::sleep(pause).await;
            }
        }
    }

    /// The same question at once to every node that is not set aside; those that answered in time.
    pub async fn ask_each<T, F, A>(&self, call: &'static str, question: F) -> Vec<(usize, T)>
    where
        F: Fn(RootProvider) -> A,
        A: Future<Output = Result<T, Problem>>,
    {
        let now = Instant::now();
        let fit = |at: &usize| !self.is_foreign(*at) && self.list[*at].trust().back <= now;
        let asked = (0..self.list.len()).filter(fit);
        let question = &question;
        let answers =
            asked.map(|at| async move { (at, self.once(at, call, COMPARE_LIMIT, question).await) });
        let answers = futures::future::join_all(answers).await;
        let mut there = Vec::new();
        for (at, answer) in answers {
            match answer {
                Ok(answer) => there.push((at, answer)),
                Err(error) => self.set_aside(at, &error),
            }
        }
        there
    }

    /// From now on this node is asked first.
    pub fn prefer(&self, at: usize) {
        self.current.store(at, Ordering::Relaxed);
    }

    pub fn current(&self) -> usize {
        self.current.load(Ordering::Relaxed)
    }

    pub fn name(&self, at: usize) -> &str {
        self.list.get(at).map_or("", |server| &server.name)
    }

    async fn once<T, F, A>(
        &self,
        at: usize,
        call: &'static str,
        limit: Duration,
        question: &F,
    ) -> Answer<T>
    where
        F: Fn(RootProvider) -> A,
        A: Future<Output = Result<T, Problem>>,
    {
        let server = &self.list[at];
        if self.several() && !server.introduced.load(Ordering::Relaxed) {
            self.introduce(server, limit).await?;
        }
        server.limited(call, limit, question(server.provider.clone())).await
    }

    /// Nodes of several chains behind one setting would each call the others liars.
    async fn introduce(&self, server: &Server, limit: Duration) -> Answer<()> {
        let of = server.limited("its chain", limit, identity(server.provider.clone())).await?;
        let known = *self.identity.get_or_init(|| of);
        if known != of {
            let shown = |(id, genesis): Identity| format!("{id} that starts with block {genesis}");
            let (found, expected) = (shown(of), shown(known));
            let error = ChainError::OtherChain { server: server.name.clone(), found, expected };
            tracing::error!(%error, "this chain node is not asked again");
            server.foreign.store(true, Ordering::Relaxed);
            return Err(error);
        }
        server.introduced.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// The current node, or the next one that is not set aside; with all aside, the one that is
    /// back first.
    fn pick(&self) -> usize {
        let (count, current) = (self.list.len(), self.current());
        let order = (0..count).map(|step| (current + step) % count);
        let fit = order.filter(|at| !self.is_foreign(*at));
        let now = Instant::now();
        let back = fit.min_by_key(|at| self.list[*at].trust().back.max(now));
        let picked = back.unwrap_or(current);
        self.current.store(picked, Ordering::Relaxed);
        picked
    }

    fn is_foreign(&self, at: usize) -> bool {
        self.list[at].foreign.load(Ordering::Relaxed)
    }

    fn set_aside(&self, at: usize, error: &ChainError) {
        let server = &self.list[at];
        let mut trust = server.trust();
        if matches!(error, ChainError::Disproved { .. }) {
            trust.next = ASIDE.1;
        }
        trust.back = Instant::now() + trust.next;
        trust.next = (trust.next * 2).min(ASIDE.1);
        drop(trust);
        // Whatever is at this address later may be of another chain.
        server.introduced.store(false, Ordering::Relaxed);
        if self.several() {
            tracing::warn!(%error, "another chain node is asked for a while");
        }
    }
}

impl Server {
    fn new(url: &str) -> Answer<Self> {
        let bad = |reason: String| ChainError::Url { url: without_keys(url), reason };
        let parsed: alloy::transports::http::reqwest::Url =
            url.parse().map_err(|e| bad(format!("{e}")))?;
        if !matches!(parsed.scheme(), "http" | "https") {
            return Err(bad("it must start with http:// or https://".into()));
        }
        Ok(Self {
            name: without_keys(url),
            provider: ProviderBuilder::default().connect_http(parsed),
            trust: Mutex::new(Trust { back: Instant::now(), next: ASIDE.0 }),
            introduced: AtomicBool::new(false),
            foreign: AtomicBool::new(false),
        })
    }

    fn trust(&self) -> MutexGuard<'_, Trust> {
        self.trust.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn limited<T>(
        &self,
        call: &'static str,
        limit: Duration,
        question: impl Future<Output = Result<T, Problem>>,
    ) -> Answer<T> {
        let server = self.name.clone();
        match timeout(limit, question).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(Problem::Transport(reason))) => {
                Err(ChainError::Transport { server, call, reason })
            }
            Ok(Err(Problem::Refused(reason))) => Err(ChainError::Refused { server, call, reason }),
            Ok(Err(Problem::Disproved(disproof))) => {
                Err(ChainError::Disproved { server, call, disproof })
            }
            Err(_) => Err(ChainError::Timeout { server, call, seconds: limit.as_secs() }),
        }
    }
}

async fn identity(provider: RootProvider) -> Result<Identity, Problem> {
    let chain_id = provider.get_chain_id().await?;
    let genesis: Option<Box<RawValue>> =
        provider.client().request("eth_getBlockByNumber", ("0x0", false)).await?;
    let genesis = genesis.ok_or_else(|| Problem::Transport("it knows no first block".into()))?;
    // Only compared, so that a first block with fields of its own is no obstacle.
    Ok((chain_id, answers::header(&genesis, false)?.hash))
}

#[cfg(test)]
mod tests;
