//! A pool by geth's rules before anvil: orphans come back, cheap ones wait, replacements pay more.

use alloy::primitives::{Bytes, U256};
use alloy::providers::ext::AnvilApi;
use alloy::providers::{Provider, ProviderBuilder, RootProvider};
use contracts::{Amount, LegacyRndr, RenderEscrow};

use crate::world::proxy::Proxy;
use crate::world::watched::Watched;
use crate::world::{RNDR, World, eventually};

const GWEI: u128 = 1_000_000_000;

/// A deposit of so many coins by a new payer, signed but not sent.
async fn deposit(world: &World, rndr: u128) -> Bytes {
    let payer = world.funded("payer", 100 * RNDR).await;
    let (spender, value) = (world.escrow, U256::from(100 * RNDR));
    world.send(&payer, world.token, LegacyRndr::approveCall { spender, value }).await;
    let amount = Amount::from_base(rndr * RNDR).unwrap().into();
    world.sign(&payer, world.escrow, RenderEscrow::depositCall { amount }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deposit_that_a_reorg_orphans_comes_back_by_itself_and_counts_once() {
    let watched = Watched::new().await;
    let proxy = Proxy::with_pool(&watched.anvil, 1).await;
    let node: RootProvider =
        ProviderBuilder::default().connect_http(proxy.rpc_url().parse().unwrap());
    let raw = deposit(&watched, 7).await;
    let hash = *node.send_raw_transaction(&raw).await.unwrap().tx_hash();
    let mined = || async { node.get_transaction_receipt(hash).await.unwrap()?.block_hash };
    let first = eventually("the deposit in a block", mined).await;
    watched.anvil.mine(2).await;
    watched.caught_up(&watched.store).await;
    watched.anvil.reorg(3, &[]).await;
    let again = || async { mined().await.filter(|block| *block != first) };
    eventually("the deposit in another block", again).await;
    let payer = crate::world::wallet("payer").address();
    assert_eq!(watched.statement(payer).await, [("Deposited", Some(7 * RNDR), None)]);
    watched.end().await;
}

async fn refusal(node: &RootProvider, raw: &Bytes) -> String {
    let error = node.send_raw_transaction(raw).await.unwrap_err();
    error.as_error_resp().unwrap().message.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spike_of_the_base_fee_keeps_what_is_too_cheap_and_only_a_tenth_more_replaces_it() {
    let watched = Watched::new().await;
    let proxy = Proxy::with_pool(&watched.anvil, 1).await;
    let node: RootProvider =
        ProviderBuilder::default().connect_http(proxy.rpc_url().parse().unwrap());
    let (cheap, other) = (deposit(&watched, 7).await, deposit(&watched, 8).await);
    // The second one's approval and coins moved its nonce on: it waits behind the first.
    watched.anvil.provider.anvil_set_next_block_base_fee_per_gas(200 * GWEI).await.unwrap();
    let said = refusal(&node, &cheap).await;
    assert!(said.starts_with("nonce too low: next nonce"), "{said}");
    let hash = *node.send_raw_transaction(&other).await.unwrap().tx_hash();
    assert_eq!(refusal(&node, &other).await, "already known");
    let payer = crate::world::wallet("payer");
    let amount = Amount::from_base(RNDR).unwrap().into();
    let rival = RenderEscrow::depositCall { amount };
    let rival = watched.sign(&payer, watched.escrow, rival).await;
    assert_eq!(refusal(&node, &rival).await, "replacement transaction underpriced");
    let nonce = node.get_transaction_count(payer.address()).await.unwrap();
    let pending = node.get_transaction_count(payer.address()).pending().await.unwrap();
    assert_eq!(pending, nonce + 1, "it is kept");
    assert!(node.get_transaction_receipt(hash).await.unwrap().is_none());

    watched.anvil.provider.anvil_set_next_block_base_fee_per_gas(GWEI).await.unwrap();
    let mined = || async { node.get_transaction_receipt(hash).await.unwrap() };
    assert!(eventually("what was kept in a block", mined).await.status());
    assert_eq!(watched.free(payer.address()).await, 8 * RNDR);
    watched.end().await;
}
