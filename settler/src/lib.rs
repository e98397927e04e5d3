//! Store to nodes, to receipts, to the chain: the door, the payroll and the sender, run together.

#![cfg_attr(
    test,
    allow(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss,
        reason = "tests choose numbers that fit"
    )
)]

pub mod accept;
pub mod calls;
pub mod chain;
pub mod door;
pub mod leases;
pub mod lots;
pub mod node;
pub mod opening;
pub mod pay;
pub mod payroll;
pub mod pixels;
pub mod preview;
pub mod queue;
pub mod receipt;
pub mod sender;
pub mod terms;
#[cfg(test)]
mod tests;
pub mod tx;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use alloy::primitives::{Address, hex};
use contracts::order;
use rand::TryRngCore;
use rand::rngs::OsRng;
use store::{Escrow, Lease, Lock, Role, Store};
use tokio::net::TcpListener;
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;

use crate::accept::{Notary, SettlerKey};
use crate::chain::{Chain, ChainError};
use crate::door::Door;
use crate::leases::Leases;
use crate::pay::Rules;
use crate::payroll::{Payroll, PayrollError};
use crate::sender::{GasKey, Sender, SenderError};
use crate::terms::Specs;

/// Pause after a failed round, so that a server that is down is not hammered.
const FAILURE_PAUSE: Duration = Duration::from_secs(2);

/// How a settler is started. `settler_key` signs acceptances and must be the `settler` of the
/// orders; `gas_key` only sends and pays gas.
pub struct Config {
    pub rpc_url: String,
    pub door_listen: SocketAddr,
    pub settler_key: SettlerKey,
    pub gas_key: GasKey,
    pub escrow: Address,
    /// How long a node holds units without a sign of life.
    pub lease_seconds: u64,
    /// Blocks on top of one that no reorg is expected to undo.
    pub confirmations: u64,
    pub poll: Duration,
    /// How long an accepted lot waits for an approval, which saves a transaction.
    pub commit_after_seconds: u64,
    /// Highest fee for one unit of gas, in wei.
    pub fee_cap: u128,
    /// Finals are sealed until they are paid.
    pub sealed: bool,
    /// Told the door's address once it listens; port 0 lets the system choose.
    pub bound: Option<oneshot::Sender<SocketAddr>>,
}

impl Config {
    /// Everything that has a usual value at that value.
    pub fn new(
        rpc_url: String,
        door_listen: SocketAddr,
        settler_key: SettlerKey,
        gas_key: GasKey,
        escrow: Address,
    ) -> Self {
        Self {
            rpc_url,
            door_listen,
            settler_key,
            gas_key,
            escrow,
            lease_seconds: 60,
            confirmations: 2,
            poll: Duration::from_millis(500),
            commit_after_seconds: 60,
            fee_cap: 500_000_000_000,
            sealed: true,
            bound: None,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error(transparent)]
    Sender(#[from] SenderError),
    #[error("signing an acceptance failed: {0}")]
    Signing(alloy::signers::Error),
    #[error("the door cannot listen on {address}: {source}; choose another address or port")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error("the door stopped: {0}")]
    Door(std::io::Error),
    #[error(
        "the index follows escrow {indexed}, this settler serves {configured}; give both the same"
    )]
    OtherEscrow { indexed: Address, configured: Address },
    #[error("the chain server is on chain {found}, the index on {indexed}; give both the same")]
    OtherChain { found: u64, indexed: u64 },
}

impl From<PayrollError> for Error {
    fn from(error: PayrollError) -> Self {
        match error {
            PayrollError::Store(error) => Self::Store(error),
            PayrollError::Signing(error) => Self::Signing(error),
        }
    }
}

impl Error {
    /// Passes by itself; anything else stops the process.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Store(error) => error.is_transient(),
            Self::Chain(_) => true,
            Self::Sender(error) => error.is_transient(),
            Self::Signing(_)
            | Self::Listen { .. }
            | Self::Door(_)
            | Self::OtherEscrow { .. }
            | Self::OtherChain { .. } => false,
        }
    }
}

/// Serves until `stop`. All that matters is in the store: killed at any moment, the next start
/// goes on where this one ended.
pub async fn run(config: Config, store: Store, stop: CancellationToken) -> Result<(), Error> {
    // Two settlers would use the same nonces, and each lease work that the other counts on.
    let lock = store.lock(Role::Settler).await?;
    let Some(escrow) = wait_for_index(&config, &store, &stop).await? else { return Ok(()) };
    let chain = Chain::new(&config.rpc_url)?;
    if !check_chain(&chain, &escrow, &stop).await? {
        return Ok(());
    }
    let home = (escrow.address, escrow.chain_id);
    let domain = order::domain(escrow.chain_id, escrow.address);
    let notary = Arc::new(Notary::new(config.settler_key, domain, config.sealed));
    let lease_seconds = i64::try_from(config.lease_seconds).unwrap_or(i64::MAX);
    let settler = notary.settler();
    let specs = Arc::new(Specs::default());
    let times = (lease_seconds, config.confirmations);
    let leases = Leases::new(store.clone(), specs, settler, home, times, config.sealed);
    let commit_after_seconds = i64::try_from(config.commit_after_seconds).unwrap_or(i64::MAX);
    let payroll = Payroll {
        store: store.clone(),
        notary: notary.clone(),
        rules: Rules { commit_after_seconds },
        confirmations: config.confirmations,
        next_order: Default::default(),
        unproven: Default::default(),
    };
    let (gas_key, fee_cap) = (config.gas_key, config.fee_cap);
    let gas = gas_key.address();
    let sender = Sender::new(store.clone(), chain, gas_key, home, config.confirmations, fee_cap);

    let listener = TcpListener::bind(config.door_listen).await;
    let address = config.door_listen;
    let listener = listener.map_err(|source| Error::Listen { address, source })?;
    let address = listener.local_addr().map_err(Error::Door)?;
    tracing::info!(%address, %settler, gas_purse = %gas, escrow = %escrow.address, "door is open");
    if let Some(bound) = config.bound {
        // Nobody waits for it any more: not an error of ours.
        let _ = bound.send(address);
    }
    let lease_time = Duration::from_secs(config.lease_seconds);
    let stop = stop.child_token();
    let wake = Arc::new(Notify::new());
    let door = Arc::new(Door::new(leases, notary, wake.clone(), stop.clone()));
    let served = async {
        let closing = stop.clone().cancelled_owned();
        let serve = axum::serve(listener, door::router(door)).with_graceful_shutdown(closing);
        serve.await.map_err(Error::Door)
    };
    let expired = expire(&store, &wake, config.poll, lease_time, &stop);
    let paid = pay_rounds(payroll, sender, lock, config.poll, &stop);
    // The first to fail stops the others.
    let all = tokio::join!(guard(served, &stop), guard(expired, &stop), guard(paid, &stop));
    all.0.and(all.1).and(all.2)
}

async fn guard(
    part: impl Future<Output = Result<(), Error>>,
    stop: &CancellationToken,
) -> Result<(), Error> {
    let ended = part.await;
    if let Err(error) = &ended {
        tracing::error!(%error, "settler stops");
        stop.cancel();
    }
    ended
}

/// The escrow that the indexer follows; it may start after us. None: stopped before it did.
async fn wait_for_index(
    config: &Config,
    store: &Store,
    stop: &CancellationToken,
) -> Result<Option<Escrow>, Error> {
    loop {
        if let Some(escrow) = store.reader().escrow().await? {
            if escrow.address != config.escrow {
                let (indexed, configured) = (escrow.address, config.escrow);
                return Err(Error::OtherEscrow { indexed, configured });
            }
            return Ok(Some(escrow));
        }
        tracing::info!("waiting for the indexer's first look at the chain");
        if pause(FAILURE_PAUSE, stop).await {
            return Ok(None);
        }
    }
}

/// False: stopped before the chain server answered.
async fn check_chain(
    chain: &Chain,
    escrow: &Escrow,
    stop: &CancellationToken,
) -> Result<bool, Error> {
    loop {
        match chain.chain_id().await {
            Ok(found) if found == escrow.chain_id => return Ok(true),
            Ok(found) => return Err(Error::OtherChain { found, indexed: escrow.chain_id }),
            Err(error) => tracing::warn!(%error, "chain server is away"),
        }
        if pause(FAILURE_PAUSE, stop).await {
            return Ok(false);
        }
    }
}

async fn expire(
    store: &Store,
    wake: &Notify,
    poll: Duration,
    grace: Duration,
    stop: &CancellationToken,
) -> Result<(), Error> {
    // While this process was away no node could renew: each gets the time of one lease to say
    // that it is still there, or what it rendered would be lost.
    if pause(grace, stop).await {
        return Ok(());
    }
    loop {
        let over = expire_due(store, now()).await;
        for lease in settle_round(over.map_err(Error::from))?.unwrap_or_default() {
            let (job_id, lease_id) = (lease.job_id, lease.lease_id);
            tracing::warn!(%job_id, lease_id, node = %lease.node, "lease expired");
            wake.notify_waiters();
        }
        if pause(poll, stop).await {
            return Ok(());
        }
    }
}

/// Writes only when there is something to end: there is one writer, and others wait for it.
async fn expire_due(store: &Store, now: i64) -> Result<Vec<Lease>, store::Error> {
    let active = store.reader().active_leases().await?;
    if active.iter().all(|lease| lease.expires_at > now) {
        return Ok(Vec::new());
    }
    store.work().expire_leases(now).await
}

async fn pay_rounds(
    payroll: Payroll,
    mut sender: Sender,
    mut lock: Lock,
    poll: Duration,
    stop: &CancellationToken,
) -> Result<(), Error> {
    loop {
        let round = async {
            lock.check().await?;
            let wanted = payroll.round(now()).await?;
            Ok(sender.round(&wanted, now()).await?)
        };
        let rest = match settle_round(round.await)? {
            Some(()) => poll,
            None => FAILURE_PAUSE.max(poll),
        };
        if pause(rest, stop).await {
            return Ok(());
        }
    }
}

/// What passes by itself is logged and tried again in the next round; None then.
fn settle_round<T>(round: Result<T, Error>) -> Result<Option<T>, Error> {
    match round {
        Ok(done) => Ok(Some(done)),
        Err(error) if error.is_transient() => {
            tracing::warn!(%error, "round failed; trying again");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// True when it is time to stop.
async fn pause(wait: Duration, stop: &CancellationToken) -> bool {
    tokio::select! {
        () = stop.cancelled() => true,
        () = tokio::time::sleep(wait) => false,
    }
}

/// Unix seconds. Everything below is told the time, and asks no clock.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// 256 random bits as text; None when the system gives none.
pub(crate) fn random_token() -> Option<String> {
    let mut bytes = [0u8; 32];
    OsRng.try_fill_bytes(&mut bytes).ok()?;
    Some(hex::encode(bytes))
}
