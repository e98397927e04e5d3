//! A chain node that drops its socket, hangs, halts, comes back as another chain, or is none.

use std::time::{Duration, Instant};

use alloy::primitives::Address;
use contracts::Amount;
use indexer::identity::Refusal;

use crate::world::anvil::{Anvil, Options};
use crate::world::proxy::{Proxy, SocketFault};
use crate::world::seeds::seeds;
use crate::world::truth::{Finals, no_wrong_row};
use crate::world::{RNDR, World, eventually, free_port};

/// So rare that only the socket can have woken the indexer in time.
const NEVER: Duration = Duration::from_secs(3_600);

#[tokio::test(flavor = "multi_thread")]
async fn fl10_a_lost_socket_is_built_again_and_no_block_is_missed() {
    let world = World::new().await;
    let way = Proxy::before(&world.anvil, 1).await;
    let store = world.store().await;
    let ws_url = Some(way.ws_url());
    let config = indexer::Config { ws_url, poll: NEVER, ..world.indexer_config() };
    let indexer = world.indexer_as(config, &store);
    world.caught_up(&store).await;
    // Mines until the subscription is there; the first head through it wakes the indexer.
    let subscribed = || async { (way.sockets() == 1).then_some(()) };
    eventually("the socket", subscribed).await;
    wake(&world, &store).await;

    let payer = world.funded("payer", 10 * RNDR).await;
    way.turn_sockets(SocketFault::Cut);
    world.deposit(&payer, 2 * RNDR).await;
    way.heal();
    let again = || async { (way.sockets() >= 2).then_some(()) };
    eventually("a new socket", again).await;
    // Nothing is mined any more: what came without a socket is read when there is one again.
    world.caught_up(&store).await;
    let account = store.reader().account(payer.address()).await.unwrap().unwrap();
    assert_eq!(account.free, Amount::from_base(2 * RNDR).unwrap());
    indexer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fl10_sockets_that_say_nothing_too_little_or_too_much_cost_no_block() {
    for seed in seeds(1, 20) {
        let world = World::new().await;
        let way = Proxy::before(&world.anvil, seed).await;
        let store = world.store().await;
        let (ws_url, poll) = (Some(way.ws_url()), Duration::from_millis(200));
        let config = indexer::Config { ws_url, poll, ..world.indexer_config() };
        let indexer = world.indexer_as(config, &store);
        let finals = Finals::watch(&store);
        let payer = world.funded("payer", 100 * RNDR).await;
        let opened = || async { (way.sockets() == 1).then_some(()) };
        eventually("the socket", opened).await;
        for fault in [SocketFault::Misses, SocketFault::Repeats, SocketFault::HalfOpen] {
            way.turn_sockets(fault);
            let told = way.told();
            let met = || async {
                world.anvil.mine(1).await;
                (way.told() > told + 2).then_some(())
            };
            eventually("bad heads", met).await;
            world.deposit(&payer, RNDR).await;
            world.audited(&store).await;
        }
        way.heal();
        assert!(no_wrong_row(&world, &store).await >= 3);
        finals.none_taken_back(&world).await;
        indexer.stop().await;
    }
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
async fn fl9_a_node_that_hangs_is_waited_for() {
    let world = World::new().await;
    let store = world.store().await;
    let indexer = world.indexer(&store);
    world.caught_up(&store).await;
    world.anvil.signal("-STOP");
    tokio::time::sleep(Duration::from_secs(2)).await;
    world.anvil.signal("-CONT");
    let back = Instant::now();
    world.anvil.mine(3).await;
    world.caught_up(&store).await;
    assert!(back.elapsed() < Duration::from_secs(10), "{:?}", back.elapsed());
    indexer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fr7_a_node_that_comes_back_as_another_chain_is_refused() {
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
async fn fr6_a_chain_that_halts_and_then_mines_two_thousand_blocks_is_caught_up_with() {
    let world = World::new().await;
    let store = world.store().await;
    let indexer = world.indexer(&store);
    let finals = Finals::watch(&store);
    let payer = world.funded("payer", 100 * RNDR).await;
    world.deposit(&payer, 3 * RNDR).await;
    world.caught_up(&store).await;
    // Ten looks of the indexer at a chain that stands still.
    tokio::time::sleep(Duration::from_secs(1)).await;
    world.anvil.mine(2_000).await;
    world.deposit(&payer, 4 * RNDR).await;
    world.audited(&store).await;
    let tip = store.reader().tip().await.unwrap().unwrap();
    assert_eq!(u64::try_from(tip.mined_at).unwrap(), world.anvil.now().await);
    assert_eq!(no_wrong_row(&world, &store).await, 2);
    finals.none_taken_back(&world).await;
    indexer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_without_the_escrow_is_refused() {
    let world = World::new().await;
    let store = world.store().await;
    let escrow = Address::repeat_byte(0x11);
    let config = indexer::Config { escrow, ..world.indexer_config() };
    let error = world.indexer_as(config, &store).fails().await;
    assert!(matches!(error, indexer::Error::Identity(Refusal::NoCode { .. })), "{error}");
    let rpc_urls = vec!["ftp://somewhere".to_owned()];
    let config = indexer::Config { rpc_urls, ..world.indexer_config() };
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
