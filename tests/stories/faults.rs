//! A chain node that drops its socket, hangs, comes back as another chain, or is the wrong one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use alloy::primitives::Address;
use contracts::Amount;
use indexer::identity::Refusal;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::world::anvil::{Anvil, Options};
use crate::world::{RNDR, World, eventually, free_port};

/// So rare that only the socket can have woken the indexer in time.
const NEVER: Duration = Duration::from_secs(3_600);

/// A way to the chain node that can be cut.
struct Way {
    url: String,
    /// Connections let through so far.
    taken: Arc<AtomicUsize>,
    closed: Arc<AtomicBool>,
    cut: std::sync::Mutex<CancellationToken>,
    shared: Arc<std::sync::Mutex<CancellationToken>>,
}

impl Way {
    async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}", listener.local_addr().unwrap());
        let taken = Arc::new(AtomicUsize::new(0));
        let closed = Arc::new(AtomicBool::new(false));
        let token = CancellationToken::new();
        let shared = Arc::new(std::sync::Mutex::new(token.clone()));
        let (count, shut, current) = (taken.clone(), closed.clone(), shared.clone());
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                if shut.load(Ordering::SeqCst) {
                    continue;
                }
                count.fetch_add(1, Ordering::SeqCst);
                let cut = current.lock().unwrap().clone();
                tokio::spawn(async move {
                    let mut far = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                        () = cut.cancelled() => {}
                    }
                });
            }
        });
        Self { url, taken, closed, cut: std::sync::Mutex::new(token), shared }
    }

    /// Ends every connection and takes no new one.
    fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        let fresh = CancellationToken::new();
        *self.shared.lock().unwrap() = fresh.clone();
        std::mem::replace(&mut *self.cut.lock().unwrap(), fresh).cancel();
    }

    fn open(&self) {
        self.closed.store(false, Ordering::SeqCst);
    }

    fn taken(&self) -> usize {
        self.taken.load(Ordering::SeqCst)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_socket_is_built_again_and_no_block_is_missed() {
    let world = World::new().await;
    let way = Way::to(world.anvil.port).await;
    let store = world.store().await;
    let ws_url = Some(way.url.clone());
    let config = indexer::Config { ws_url, poll: NEVER, ..world.indexer_config() };
    let indexer = world.indexer_as(config, &store);
    world.caught_up(&store).await;
    // Mines until the subscription is there; the first head through it wakes the indexer.
    let subscribed = || async { (way.taken() == 1).then_some(()) };
    eventually("the socket", subscribed).await;
    wake(&world, &store).await;

    let payer = world.funded("payer", 10 * RNDR).await;
    way.close();
    world.deposit(&payer, 2 * RNDR).await;
    way.open();
    let again = || async { (way.taken() >= 2).then_some(()) };
    eventually("a new socket", again).await;
    // Nothing is mined any more: what came without a socket is read when there is one again.
    world.caught_up(&store).await;
    let account = store.reader().account(payer.address()).await.unwrap().unwrap();
    assert_eq!(account.free, Amount::from_base(2 * RNDR).unwrap());
    indexer.stop().await;
}

/// Mines until the index has the head: a head that comes before the subscription wakes nobody.
async fn wake(world: &World, store: &store::Store) {
    let reader = store.reader();
    let woken = || async {
        world.anvil.mine(1).await;
        let (head, _) = world.anvil.head().await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        let tip = reader.tip().await.unwrap()?;
        (tip.number >= head).then_some(())
    };
    eventually("the indexer woken by the socket", woken).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn polling_is_enough_when_no_socket_can_be_had() {
    let world = World::new().await;
    let store = world.store().await;
    let ws_url = Some(format!("ws://127.0.0.1:{}", free_port()));
    let poll = Duration::from_millis(50);
    let indexer =
        world.indexer_as(indexer::Config { ws_url, poll, ..world.indexer_config() }, &store);
    for _ in 0..3 {
        world.anvil.mine(2).await;
        world.caught_up(&store).await;
    }
    indexer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_hangs_is_waited_for() {
    let world = World::new().await;
    let store = world.store().await;
    let indexer = world.indexer(&store);
    world.caught_up(&store).await;
    world.anvil.signal("-STOP");
    tokio::time::sleep(Duration::from_secs(2)).await;
    world.anvil.signal("-CONT");
    world.anvil.mine(3).await;
    world.caught_up(&store).await;
    indexer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_comes_back_as_another_chain_is_refused() {
    let port = free_port();
    let first = Options { port, timestamp: Some(1_700_000_000), ..Options::default() };
    let mut world = World::on(first.clone()).await;
    let store = world.store().await;
    let indexer = world.indexer(&store);
    world.caught_up(&store).await;
    let before = format!("{:?}", store.reader().rows_between(0, 1_000).await.unwrap());

    // The running indexer meets the new chain at the old address.
    drop(std::mem::replace(&mut world.anvil, Anvil::start(&Options::default())));
    world.anvil = Anvil::start(&Options { timestamp: Some(1_700_000_001), ..first.clone() });
    world.anvil.mine(50).await;
    let error = indexer.fails().await;
    assert!(matches!(error, indexer::Error::Identity(Refusal::OtherGenesis { .. })), "{error}");
    let error = world.indexer(&store).fails().await;
    assert!(error.to_string().contains("use a new --store"), "{error}");

    drop(std::mem::replace(&mut world.anvil, Anvil::start(&Options::default())));
    world.anvil = Anvil::start(&Options { chain_id: 5, ..first });
    let error = world.indexer(&store).fails().await.to_string();
    assert!(error.contains("point --rpc-url at chain 31337"), "{error}");
    assert_eq!(before, format!("{:?}", store.reader().rows_between(0, 1_000).await.unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_without_the_escrow_is_refused() {
    let world = World::new().await;
    let store = world.store().await;
    let escrow = Address::repeat_byte(0x11);
    let config = indexer::Config { escrow, ..world.indexer_config() };
    let error = world.indexer_as(config, &store).fails().await;
    assert!(matches!(error, indexer::Error::Identity(Refusal::NoCode { .. })), "{error}");
    let rpc_url = "ftp://somewhere".to_owned();
    let config = indexer::Config { rpc_url, ..world.indexer_config() };
    let error = world.indexer_as(config, &store).fails().await.to_string();
    assert!(error.contains("write it like http://127.0.0.1:8545"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_deployment_block_is_found_when_it_is_not_told() {
    let world = World::new().await;
    world.anvil.mine(30).await;
    let store = world.store().await;
    let config = indexer::Config { deploy_block: None, ..world.indexer_config() };
    let indexer = world.indexer_as(config, &store);
    world.caught_up(&store).await;
    let escrow = store.reader().escrow().await.unwrap().unwrap();
    assert_eq!(escrow.deploy_block, world.deploy_block);
    assert_eq!((escrow.symbol.as_str(), escrow.decimals), ("RNDR", 18));
    indexer.stop().await;
}
