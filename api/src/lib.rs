//! Store to the world: the HTTP API over indexed state. Holds no key, sends no transaction.

#![cfg_attr(
    test,
    allow(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss,
        reason = "tests choose numbers that fit"
    )
)]

mod archive;
mod consent;
mod edge;
mod error;
mod finals;
mod pages;
pub mod price;
mod record;
mod review;
mod routes;
mod status;
mod wire;

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use alloy::primitives::Address;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use store::{Escrow, Reader, Store};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

pub use error::{Code, FieldProblem, ProblemBody};
pub use price::PriceList;
pub use routes::openapi;

/// Answers under way get this long to end after a stop was asked for.
const STOP_TIME: Duration = Duration::from_secs(10);

/// How one API process is set up.
#[derive(Debug)]
pub struct Config {
    /// Port 0 takes any free one; `bound` tells which.
    pub listen: SocketAddr,
    /// The only settler whose orders are taken.
    pub settler: Address,
    pub fee_receiver: Address,
    pub fee_bps: u16,
    pub burn_bps: u16,
    pub prices: PriceList,
    /// A chain node, to ask contract wallets about their signatures; none: they are refused.
    pub rpc_url: Option<String>,
    /// Review window of a prepared order that names none.
    pub review_seconds: u64,
    /// `/readyz` fails when the index lags more than this.
    pub max_lag_seconds: u64,
    /// Unix seconds now.
    pub clock: fn() -> i64,
    /// Told the address once the port is open.
    pub bound: Option<oneshot::Sender<SocketAddr>>,
}

impl Config {
    /// Fee 5 %, burn 0, list 1, review 72 h, ready while the lag is at most 60 s.
    pub fn new(listen: SocketAddr, settler: Address, fee_receiver: Address) -> Self {
        Self {
            listen,
            settler,
            fee_receiver,
            fee_bps: 500,
            burn_bps: 0,
            prices: PriceList::default(),
            rpc_url: None,
            review_seconds: 72 * 3_600,
            max_lag_seconds: 60,
            clock: unix_now,
            bound: None,
        }
    }
}

/// What every route reads.
#[derive(Clone)]
struct App {
    store: Store,
    settings: Arc<Config>,
    /// Fixed once the indexer has started for the first time.
    escrow: Arc<OnceLock<Escrow>>,
}

impl App {
    fn new(store: Store, settings: Config) -> Self {
        Self { store, settings: Arc::new(settings), escrow: Arc::default() }
    }

    async fn escrow(&self, reader: &Reader) -> Result<Option<Escrow>, store::Error> {
        if let Some(known) = self.escrow.get() {
            return Ok(Some(known.clone()));
        }
        let found = reader.escrow().await?;
        Ok(found.map(|found| self.escrow.get_or_init(|| found).clone()))
    }

    fn now(&self) -> i64 {
        (self.settings.clock)()
    }

    /// The same as seconds of an order, which are never negative.
    fn now_seconds(&self) -> u64 {
        u64::try_from(self.now()).unwrap_or_default()
    }
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot listen on {address}: {source}; choose another address or stop what holds it")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error(transparent)]
    Prices(#[from] price::ListProblem),
    #[error("serving stopped: {0}")]
    Serve(std::io::Error),
}

/// Serves until `stop` is cancelled; then ends what is under way, within a limit.
pub async fn run(mut config: Config, store: Store, stop: CancellationToken) -> Result<(), Error> {
    config.prices.check()?;
    let address = config.listen;
    let refused = |source| Error::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    if let Some(bound) = config.bound.take() {
        // Whoever asked may have stopped waiting; serving goes on.
        let _ = bound.send(address);
    }
    tracing::info!(%address, "api listens");
    let app = App::new(store, config);
    let serve =
        axum::serve(listener, router(app)).with_graceful_shutdown(stop.clone().cancelled_owned());
    let late = async {
        stop.cancelled().await;
        tokio::time::sleep(STOP_TIME).await;
    };
    tokio::select! {
        served = serve => served.map_err(Error::Serve),
        () = late => Ok(()),
    }
}

fn router(app: App) -> Router {
    let (routes, _) = routes::table().split_for_parts();
    routes
        .merge(pages::routes())
        .layer(DefaultBodyLimit::max(edge::JSON_BYTES))
        .layer(middleware::from_fn(edge::cross))
        .with_state(app)
}

fn unix_now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
