//! The services: indexer, settler, api, node, or all of them in one process.
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use alloy::primitives::Address;
use alloy::signers::local::PrivateKeySigner;
use settler::node::agent;
use settler::node::povray::Povray;
use store::Store;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::config::{Settings, needed};
use crate::exit::{Exit, Failure, Outcome, local, stopped};
use crate::keys;

/// Services get this long to finish what they hold after a signal; then the process ends.
const DRAIN_WAIT: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Indexer,
    Settler,
    Api,
    Node,
}

/// Logs go to stderr: lines for people on a terminal, one JSON object a line elsewhere.
pub fn start_logs(default: &str) {
    let filter = EnvFilter::try_from_env("RNDR_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        logs.compact().init();
    } else {
        logs.json().flatten_event(true).init();
    }
}

/// Runs services until one fails or a signal asks to stop. A second signal ends at once.
pub async fn run(services: &[Role], settings: Settings) -> Outcome {
    start_logs("info");
    let stop = CancellationToken::new();
    let mut parts = JoinSet::new();
    let store = match services.iter().any(|service| *service != Role::Node) {
        true => Some(open_store(services, &settings).await?),
        false => None,
    };
    for service in services {
        let part = start(*service, &settings, store.as_ref(), stop.clone()).await?;
        parts.spawn(part);
    }
    let result = tokio::select! {
        result = first_end(&mut parts) => result,
        signal = stop_signal() => {
            tracing::info!(signal, "stopping: what is under way is finished first");
            Ok(())
        }
    };
    stop.cancel();
    let drained = tokio::select! {
        result = drain(&mut parts) => result,
        () = tokio::time::sleep(DRAIN_WAIT) => {
            let message = format!("services did not finish within {} s", DRAIN_WAIT.as_secs());
            Err(Failure::new(Exit::Failed, message, "all state is on disk: start them again"))
        }
        _ = stop_signal() => Err(Failure::interrupted()),
    };
    if let Some(store) = store {
        store.close().await;
    }
    result.and(drained)
}

async fn first_end(parts: &mut JoinSet<Outcome>) -> Outcome {
    match parts.join_next().await {
        Some(Ok(outcome)) => outcome,
        Some(Err(error)) => Err(stopped(error)),
        None => Ok(()),
    }
}

async fn drain(parts: &mut JoinSet<Outcome>) -> Outcome {
    let mut result = Ok(());
    while let Some(ended) = parts.join_next().await {
        result = result.and(ended.map_err(stopped).flatten());
    }
    result
}

/// SIGTERM, or Ctrl-C.
pub async fn stop_signal() -> &'static str {
    let terminate = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => signal.recv().await,
            // Without the handler the signal ends the process, as it should.
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = terminate => "SIGTERM",
        _ = tokio::signal::ctrl_c() => "SIGINT",
    }
}

async fn open_store(services: &[Role], settings: &Settings) -> Outcome<Store> {
    let asked = &settings.store;
    // Whoever writes reads where it writes.
    if let (Some(reads), [Role::Api]) = (&asked.read_url, services) {
        let writes = asked.url_is_set.then_some(asked.url.as_str());
        let opened = Store::open_reading(reads, writes, &asked.objects).await;
        return opened.map_err(|error| {
            let message = format!("the store does not open for reading: {error}");
            let hint = "check store.read_url, store.url (--store) and store.objects";
            Failure::new(Exit::Unavailable, message, hint)
        });
    }
    let url = &asked.url;
    if let Some(parent) =
        url.strip_prefix("sqlite:").and_then(|path| PathBuf::from(path).parent().map(PathBuf::from))
    {
        std::fs::create_dir_all(&parent).map_err(local(format!("making {}", parent.display())))?;
    }
    Store::open(url, &asked.objects).await.map_err(|error| {
        let message = format!("the store does not open: {error}");
        Failure::new(Exit::Unavailable, message, "check store.url (--store) and store.objects")
    })
}

type Part = futures::future::BoxFuture<'static, Outcome>;

async fn start(
    service: Role,
    settings: &Settings,
    store: Option<&Store>,
    stop: CancellationToken,
) -> Outcome<Part> {
    let store = |name: &str| {
        store.cloned().ok_or_else(|| Failure::usage(format!("{name} needs a store"), ""))
    };
    Ok(match service {
        Role::Indexer => {
            let (config, store) = (indexer_config(settings)?, store("indexer")?);
            Box::pin(async move { indexer::run(config, store, stop).await.map_err(stopped) })
        }
        Role::Settler => {
            let (config, store) = (settler_config(settings).await?, store("settler")?);
            Box::pin(async move { settler::run(config, store, stop).await.map_err(stopped) })
        }
        Role::Api => {
            let (config, store) = (api_config(settings).await?, store("api")?);
            Box::pin(async move { api::run(config, store, stop).await.map_err(stopped) })
        }
        Role::Node => {
            let (config, backend) = node_config(settings).await?;
            Box::pin(async move { agent::run(config, backend, stop).await.map_err(stopped) })
        }
    })
}

pub fn indexer_config(settings: &Settings) -> Outcome<indexer::Config> {
    Ok(indexer::Config {
        rpc_urls: settings.chain.rpc_urls(),
        prove: settings.chain.verify,
        ws_url: settings.chain.ws_url.clone(),
        escrow: settings.escrow()?,
        registry: settings.chain.registry,
        deploy_block: settings.chain.deploy_block,
        poll: Duration::from_millis(settings.chain.poll_ms),
    })
}

async fn settler_config(settings: &Settings) -> Outcome<settler::Config> {
    let own = &settings.settler;
    let password = own.password_file.as_deref();
    let key = keys::open(needed(&own.keystore, "settler.keystore")?, password).await?;
    let gas = keys::open(needed(&own.gas_keystore, "settler.gas_keystore")?, password).await?;
    let listen = listen(&own.listen, "settler.listen")?;
    let rpc_url = settings.chain.rpc_url.clone();
    let mut config = settler::Config::new(rpc_url, listen, key, gas, settings.escrow()?);
    config.lease_seconds = own.lease_seconds;
    config.confirmations = own.confirmations;
    config.poll = Duration::from_millis(own.poll_ms);
    config.commit_after_seconds = own.commit_after_seconds;
    Ok(config)
}

async fn api_config(settings: &Settings) -> Outcome<api::Config> {
    let own = &settings.api;
    let settler = match own.settler {
        Some(settler) => settler,
        None => settler_address(settings).await?,
    };
    let fee_receiver = own.fee_receiver.unwrap_or(settler);
    let mut config = api::Config::new(listen(&own.listen, "api.listen")?, settler, fee_receiver);
    config.fee_bps = own.fee_bps;
    config.burn_bps = own.burn_bps;
    config.review_seconds = own.review_seconds;
    config.max_lag_seconds = own.max_lag_seconds;
    config.rpc_url = Some(settings.chain.rpc_url.clone());
    Ok(config)
}

/// The api holds no key; where the settler's keystore is at hand, its address is read from it.
async fn settler_address(settings: &Settings) -> Outcome<Address> {
    let own = &settings.settler;
    if own.keystore.is_none() {
        let hint = "set RNDR__API__SETTLER to the settler's address";
        return Err(Failure::usage("api.settler is not set", hint));
    }
    let path = needed(&own.keystore, "settler.keystore")?;
    keys::open(path, own.password_file.as_deref()).await.map(|key| key.address())
}

async fn node_config(settings: &Settings) -> Outcome<(agent::Config, Povray)> {
    let own = &settings.node;
    let keystore = needed(&own.keystore, "node.keystore")?;
    let key: PrivateKeySigner = keys::open(keystore, own.password_file.as_deref()).await?;
    let threads = own.threads.unwrap_or_else(|| {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        u32::try_from(cores).unwrap_or(1)
    });
    let backend = Povray::new(threads, own.memory_mb.saturating_mul(1 << 20));
    let config = agent::Config { door_url: own.door.clone(), key, work_dir: own.work_dir.clone() };
    Ok((config, backend))
}

fn listen(text: &str, key: &str) -> Outcome<SocketAddr> {
    text.parse().map_err(|_| {
        Failure::usage(format!("{key} `{text}` is no address"), "write it like 127.0.0.1:8600")
    })
}

/// Everything one process can do with these settings.
pub fn all(settings: &Settings) -> Vec<Role> {
    let mut services = vec![Role::Indexer, Role::Settler, Role::Api];
    if settings.node.keystore.is_some() {
        services.push(Role::Node);
    }
    services
}
