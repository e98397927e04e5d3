//! Chain to store: run() follows the escrow, folds its events, writes, and does it again.

pub mod audit;
pub mod bonds;
pub mod chain;
pub mod digest;
mod error;
pub mod follow;
mod forward;
pub mod identity;
pub mod known;
pub mod ledger;
mod net;
pub mod proof;
mod prove;
pub mod steps;
pub mod verify;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use alloy::primitives::Address;
use store::{Block, Cursor, Escrow, Head, Lock, Reader, Role, Store, Tag};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use chain::{Chain, Header, Rpc};
use follow::{Found, Next, Probe, Span, View, Wait};
use known::Known;
use prove::Proven;
use steps::Steps;

pub use error::Error;
pub use forward::Snapshots;

/// Blocks above finalized taken in a row before the heads are asked for again: a long catch-up
/// must notice that the chain moved on.
const BLOCKS_PER_LOOK: u64 = 32;
/// Pauses while the chain node is away or contradicts itself: they double up to the longest,
/// which is how late its return is noticed.
const FAILURE_PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

/// Where to read, and what to follow.
#[derive(Debug, Clone)]
pub struct Config {
    /// Chain nodes, http or https: when one fails, lags or lies, the next is asked.
    pub rpc_urls: Vec<String>,
    /// Believe nothing that is not proven by a block's hash. Without it every block is
    /// `logs_only`, and nothing is ever paid for what it says.
    pub prove: bool,
    /// Its socket, ws or wss: new blocks are seen sooner. Polling works without it.
    pub ws_url: Option<String>,
    pub escrow: Address,
    /// The node registry of this escrow, to be followed too.
    pub registry: Option<Address>,
    /// Found by looking for the escrow's code when it is not given; old state may be gone.
    pub deploy_block: Option<u64>,
    /// Pause between looks at the chain when no socket wakes the indexer.
    pub poll: Duration,
}

/// Follows the escrow until `shutdown`; comes back before it only with a reason to stop.
/// A chain node that is away is waited for: its outage is no reason to end.
pub async fn run(config: Config, store: Store, shutdown: CancellationToken) -> Result<(), Error> {
    let chain = Rpc::new(&config.rpc_urls, config.prove)?;
    let wake = Arc::new(Notify::new());
    let socket = async {
        match config.ws_url.clone() {
            Some(ws_url) => chain::wake_on_heads(ws_url, Arc::clone(&wake)).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        ended = follow_alone(&chain, &config, &store, &wake) => ended,
        () = shutdown.cancelled() => Ok(()),
        () = socket => Ok(()),
    }
}

/// Two indexers on one database would each find that the other broke its chain of blocks.
async fn follow_alone<C: Chain>(
    chain: &C,
    config: &Config,
    store: &Store,
    wake: &Notify,
) -> Result<(), Error> {
    let lock = store.lock(Role::Indexer).await?;
    follow_until(chain, config, store, wake, lock).await
}

/// Looks, steps, and pauses, without end; dropped at shutdown, where an open database
/// transaction is rolled back.
async fn follow_until<C: Chain>(
    chain: &C,
    config: &Config,
    store: &Store,
    wake: &Notify,
    mut lock: Lock,
) -> Result<(), Error> {
    let mut follower: Option<Follower<'_, C>> = None;
    let (shortest, longest) = FAILURE_PAUSES;
    let mut failure_pause = shortest;
    // Without end: it follows a chain.
    loop {
        let looked = match &mut follower {
            Some(follower) => follower.look().await,
            None => start(chain, config, store, &mut follower).await,
        };
        let pause = match looked {
            Ok(Looked::Moved) => {
                failure_pause = shortest;
                continue;
            }
            Ok(Looked::Idle) => {
                failure_pause = shortest;
                config.poll
            }
            Ok(Looked::Unclear) => config.poll.min(shortest),
            Err(error) if error.is_transient() => {
                tracing::warn!(%error, "indexer waits and tries again");
                // Whoever answers next is asked first which chain it is.
                follower = follower.map(|f| Follower { identity_known: false, ..f });
                let pause = failure_pause;
                failure_pause = (failure_pause * 2).min(longest);
                pause
            }
            Err(error) => {
                tracing::error!(%error, "indexer stops");
                return Err(error);
            }
        };
        // A lock that was lost with its connection is taken again before a second indexer starts.
        match lock.check().await {
            Err(error) if !error.is_transient() => return Err(error.into()),
            Err(_) | Ok(()) => {}
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = wake.notified() => {}
        }
    }
}

async fn start<'a, C: Chain>(
    chain: &'a C,
    config: &Config,
    store: &'a Store,
    follower: &mut Option<Follower<'a, C>>,
) -> Result<Looked, Error> {
    *follower = Some(Follower::start(chain, config, store).await?);
    Ok(Looked::Moved)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Looked {
    /// Something was written: look again at once.
    Moved,
    /// Nothing to do until the chain moves.
    Idle,
    /// The chain moved during the look, or two servers answered: look again soon.
    Unclear,
}

/// Keeps one store in step with one chain.
pub struct Follower<'a, C> {
    chain: &'a C,
    store: &'a Store,
    reader: Reader,
    escrow: Escrow,
    span: Span,
    identity_known: bool,
    /// There may be stored blocks that an earlier run took on a server's word.
    unproven: bool,
    known: Option<Known>,
    most_bytes: usize,
    snapshots: Snapshots,
    waiting: Option<Wait>,
}

impl<'a, C: Chain> Follower<'a, C> {
    /// Refuses a chain or contract that the store does not belong to.
    pub async fn start(chain: &'a C, config: &Config, store: &'a Store) -> Result<Self, Error> {
        let reader = store.reader();
        let stored = reader.escrow().await?;
        let escrow = identity::learn(chain, config, stored.as_ref()).await?;
        if stored.is_none() {
            store.chain_writer().set_escrow(&escrow).await?;
        }
        let Escrow { chain_id, address, deploy_block, registry, .. } = escrow;
        tracing::info!(chain_id, %address, deploy_block, ?registry, "following the escrow");
        Ok(Self {
            chain,
            store,
            reader,
            escrow,
            span: Span::default(),
            identity_known: true,
            unproven: chain.proves(),
            known: None,
            most_bytes: known::MOST_BYTES,
            snapshots: Snapshots::Last,
            waiting: None,
        })
    }

    /// For an audit, which compares with whatever snapshots another index has.
    pub fn with_snapshots(self, snapshots: Snapshots) -> Self {
        Self { snapshots, ..self }
    }

    pub fn escrow(&self) -> &Escrow {
        &self.escrow
    }

    /// One look at the chain, and the step that follows from it.
    pub async fn look(&mut self) -> Result<Looked, Error> {
        if !self.identity_known {
            identity::same_chain(self.chain, &self.escrow).await?;
            self.identity_known = true;
        }
        if self.unproven && self.prove().await? == Proven::One {
            return Ok(Looked::Moved);
        }
        let heads = tokio::try_join!(
            self.chain.head(Tag::Latest),
            self.chain.head(Tag::Safe),
            self.chain.head(Tag::Finalized),
        )?;
        let (Some(latest), safe, finalized) = heads else { return Ok(self.wait(Wait::Unclear)) };
        let writer = self.store.chain_writer();
        let Cursor { tip, loading } = writer.cursor().await?;
        if loading && tip.is_some() && self.known.is_none() {
            // A load goes on with what it knows, and that went with a process or an error.
            writer.end_load().await?;
        }
        let known = self.reader.heads().await?;
        let view = self.view(tip.as_ref(), &known, &latest, finalized.as_ref()).await?;
        let heads = heads_to_write(&known, [Some(latest.clone()), safe, finalized]);
        let next = follow::decide(&view);
        if loading && matches!(next, Next::Blocks { .. } | Next::Rewind | Next::Wait(Wait::AtHead))
        {
            writer.end_load().await?;
        }
        match next {
            Next::Range { from, to } => self.range(tip, (from, to), heads).await,
            Next::Blocks { from, to } => self.blocks(tip, (from, to), latest, heads).await,
            Next::Rewind => self.rewind(tip, view.mark).await,
            Next::Wait(wait) => {
                if wait == Wait::AtHead && !heads.is_empty() {
                    writer.set_heads(&heads).await?;
                }
                Ok(self.wait(wait))
            }
            Next::Stop(stop) => Err(stop.into()),
        }
    }

    async fn prove(&mut self) -> Result<Proven, Error> {
        let steps = Steps::new(self.chain, &self.reader, &self.escrow);
        let (writer, deploy_block) = (self.store.chain_writer(), self.escrow.deploy_block);
        let proven = prove::lowest(&steps, &self.reader, &writer, deploy_block).await?;
        self.unproven = proven != Proven::All;
        Ok(proven)
    }

    async fn view(
        &self,
        tip: Option<&Block>,
        known: &[Head],
        latest: &Header,
        finalized: Option<&Header>,
    ) -> Result<View, Error> {
        let probe = match tip {
            Some(tip) => {
                let stored = self.reader.block_at_or_below(latest.number.min(tip.number)).await?;
                self.probe(stored, latest).await?
            }
            None => None,
        };
        let marked = known.iter().find(|head| head.tag == Tag::Finalized).map(|head| head.block);
        Ok(View {
            deploy_block: self.escrow.deploy_block,
            tip: tip.map(|tip| tip.number),
            mark: marked.zip(tip).map(|(marked, tip)| marked.min(tip.number)),
            head: latest.number,
            finalized: finalized.map(|header| header.number),
            probe,
        })
    }

    async fn probe(&self, stored: Option<Block>, latest: &Header) -> Result<Option<Probe>, Error> {
        let Some(stored) = stored else { return Ok(None) };
        let there = match stored.number == latest.number {
            true => Some(latest.clone()),
            false => self.chain.header(stored.number).await?,
        };
        let found = match there {
            Some(header) if header.hash == stored.hash => Found::Same,
            Some(_) => Found::Other,
            None => Found::Missing,
        };
        Ok(Some(Probe { block: stored.number, found }))
    }

    /// Goes down to the newest stored block that is on the chain and drops what is above it.
    async fn rewind(&mut self, tip: Option<Block>, mark: Option<u64>) -> Result<Looked, Error> {
        let Some(tip) = tip else { return Ok(self.wait(Wait::Unclear)) };
        identity::same_chain(self.chain, &self.escrow).await?;
        let mut lowest_replaced = tip.number;
        let mut below = Some(tip.number);
        // Ends at the final mark at the latest: it is never passed.
        let fork = loop {
            let stored = match below {
                Some(number) => self.reader.block_at_or_below(number).await?,
                None => None,
            };
            let Some(stored) = stored else { break None };
            let Some(there) = self.chain.header(stored.number).await? else {
                return Ok(self.wait(Wait::Unclear));
            };
            if there.hash == stored.hash {
                break Some(stored);
            }
            lowest_replaced = stored.number;
            if mark.is_some_and(|mark| stored.number <= mark) {
                break None;
            }
            below = stored.number.checked_sub(1);
        };
        follow::check_fork(fork.as_ref().map(|b| b.number), lowest_replaced, mark)?;
        if let Some(fork) = fork {
            let (old_tip, fork_block) = (tip.number, fork.number);
            tracing::warn!(old_tip, fork_block, "the chain replaced blocks; going back");
            self.known = None;
            self.store.chain_writer().rewind(&fork, &tip, unix_now()).await?;
        }
        Ok(self.moved())
    }

    fn moved(&mut self) -> Looked {
        self.waiting = None;
        Looked::Moved
    }

    fn wait(&mut self, wait: Wait) -> Looked {
        if self.waiting != Some(wait) {
            match wait {
                Wait::AtHead => tracing::debug!("at the head of the chain"),
                Wait::BeforeDeployment => {
                    tracing::warn!("the chain has not reached the escrow's deployment block yet");
                }
                Wait::HeadBehind => {
                    tracing::warn!("the chain node is behind what is stored; waiting for it");
                }
                Wait::Unclear => {
                    tracing::debug!("the chain moved during the look, or its answers differ");
                }
            }
            self.waiting = Some(wait);
        }
        match wait {
            Wait::Unclear => Looked::Unclear,
            Wait::AtHead | Wait::BeforeDeployment | Wait::HeadBehind => Looked::Idle,
        }
    }
}

/// The heads that changed. The finalized one never goes back: what was final stays so.
fn heads_to_write(known: &[Head], seen: [Option<Header>; 3]) -> Vec<Head> {
    let seen_at = unix_now();
    let tagged = [Tag::Latest, Tag::Safe, Tag::Finalized].into_iter().zip(seen);
    let heads = tagged.filter_map(|(tag, header)| {
        header.map(|h| Head { tag, block: h.number, hash: h.hash, seen_at })
    });
    let news = |head: &Head| match known.iter().find(|old| old.tag == head.tag) {
        Some(old) if head.tag == Tag::Finalized => head.block > old.block,
        Some(old) => (head.block, head.hash) != (old.block, old.hash),
        None => true,
    };
    heads.filter(news).collect()
}

fn unix_now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
