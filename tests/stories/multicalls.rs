//! Several calls in one transaction through Multicall3: what fails of them stops no other.

use alloy::primitives::{Address, Bytes, U256};
use alloy::rpc::types::TransactionReceipt;
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::{Revert, SolCall, SolError};
use contracts::revert::explain_revert;
use contracts::{Amount, Funding, LegacyRndr, RenderEscrow as Escrow, funding};

use crate::world::deals::Deal;
use crate::world::watched::Watched;
use crate::world::ways::Multicall3Like::{Call3, Result as Item};
use crate::world::ways::{MULTICALL3, Multicall3Like, OwnedWallet, WalletFactory};
use crate::world::{RNDR, hash_of, wallet};

/// A payer with 60 RNDR in its account, and whoever sends for all of them.
async fn begun() -> (Watched, PrivateKeySigner, PrivateKeySigner) {
    let watched = Watched::new().await;
    let payer = watched.funded("payer", 100 * RNDR).await;
    watched.deposit(&payer, 60 * RNDR).await;
    let relayer = watched.funded("relayer", 0).await;
    (watched, payer, relayer)
}

fn call(target: Address, call: impl SolCall, may_fail: bool) -> Call3 {
    Call3 { target, allowFailure: may_fail, callData: call.abi_encode().into() }
}

/// Sends them in one transaction; what each said.
async fn all(
    watched: &Watched,
    from: &PrivateKeySigner,
    calls: Vec<Call3>,
) -> (TransactionReceipt, Vec<Item>) {
    let receipt = watched.send(from, MULTICALL3, Multicall3Like::aggregate3Call { calls }).await;
    let said = watched.output_of(&receipt).await;
    (receipt, Multicall3Like::aggregate3Call::abi_decode_returns(&said).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_lots_settle_beside_one_that_cannot_and_the_index_takes_the_two() {
    let (watched, payer, relayer) = begun().await;
    watched.ways_in().await;
    let deal = Deal::new(&watched, &payer, 1).await;
    deal.open(&watched).await;
    let lots =
        [deal.work(&[0, 1], 1, true), deal.work(&[2], 2, true), deal.work(&[3, 4, 5], 3, true)];
    deal.commit(&watched, &lots, false).await;
    let window = watched.anvil.now().await + deal.order.review_seconds;
    deal.approve(&watched, &[lots[0].clone(), lots[2].clone()]).await;
    let settle =
        |n: usize| call(watched.escrow, deal.settle_call(std::slice::from_ref(&lots[n])), true);
    let (receipt, said) = all(&watched, &relayer, vec![settle(0), settle(1), settle(2)]).await;
    let done: Vec<_> = said.iter().map(|item| item.success).collect();
    assert_eq!(done, [true, false, true]);
    let early = Escrow::RenderEscrow_TooEarly {
        id: deal.lot_hash(&lots[1].lot),
        from: U256::from(window),
        now_: U256::from(watched.time_of(&receipt).await),
    };
    assert_eq!(said[1].returnData, early.abi_encode(), "{:?}", explain_revert(&said[1].returnData));

    let told = watched.told(deal.job_id).await;
    let paid = ["Settled", "FeeCredited", "BurnCredited"];
    assert_eq!(told[told.len() - 6..], [paid, paid].concat());
    // Five units of half a coin; the one in between is still under review.
    assert_eq!(watched.money(&deal).await, (20 * RNDR, 5 * RNDR / 2, RNDR / 2));
    assert_eq!(watched.free(deal.node).await, 5 * RNDR / 2 * 93 / 100);
    assert_eq!(watched.free(MULTICALL3).await, 0);
    let seen = watched.store.reader().events_of_job(deal.job_id).await.unwrap();
    let ours = seen.iter().filter(|row| row.tx_hash == receipt.transaction_hash).count();
    assert_eq!(ours, 6);
    watched.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_call_that_may_not_fail_undoes_all_of_them() {
    let (watched, payer, relayer) = begun().await;
    watched.ways_in().await;
    let deal = Deal::new(&watched, &payer, 1).await;
    let unpaid = Deal::new(&watched, &payer, 2).await;
    let calls = vec![
        call(watched.escrow, deal.open_for_call(&payer), false),
        call(watched.escrow, unpaid.close_call(), false),
    ];
    let failed = |_| Revert::from("Multicall3: call failed");
    let together = Multicall3Like::aggregate3Call { calls };
    watched.refuses_at(MULTICALL3, &relayer, together, failed).await;
    assert_eq!(watched.free(payer.address()).await, 60 * RNDR);
    assert_eq!(watched.told(deal.job_id).await, [""; 0]);
    watched.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_life_and_an_opening_from_a_vault_fit_into_one_transaction() {
    let (watched, payer, relayer) = begun().await;
    let ways = watched.ways_in().await;
    let deal = Deal::new(&watched, &payer, 1).await;
    let lots = [deal.work(&[0, 1, 2, 3], 1, true)];
    let lot = [lots[0].lot.clone()];
    let commit =
        Escrow::commitCall { acceptance: deal.acceptance(&lot), ..deal.commit_call(&lots, true) };
    let vaulted = Deal::new(&watched, &payer, 2).await;
    let to = funding::vault_address(ways, vaulted.job_id);
    let pay = LegacyRndr::transferCall { to, value: U256::from(20 * RNDR) };
    watched.send(&payer, watched.token, pay).await;
    let from_vault = Funding::openFromVaultCall { order: funding::order_to_sol(&vaulted.order) };
    let calls = vec![
        call(watched.escrow, deal.open_for_call(&payer), false),
        call(watched.escrow, commit, false),
        call(watched.escrow, deal.settle_call(&lots), false),
        call(ways, from_vault, false),
        call(watched.escrow, deal.agreed_close_call(), false),
    ];
    let (receipt, said) = all(&watched, &relayer, calls).await;
    assert!(said.iter().all(|item| item.success));
    assert_eq!(receipt.transaction_index, Some(0));
    let told = watched.told(deal.job_id).await;
    let life = ["Opened", "Committed", "Settled", "FeeCredited", "BurnCredited", "Closed"];
    assert_eq!(told, [&life[..], &["Returned"]].concat());
    assert_eq!(watched.money(&deal).await, (2 * RNDR, 2 * RNDR, 0));
    assert_eq!(watched.money(&vaulted).await, (20 * RNDR, 0, 0));
    assert_eq!(watched.free(payer.address()).await, 58 * RNDR);
    assert_eq!(watched.free(deal.node).await, 2 * RNDR * 93 / 100);
    watched.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_that_is_not_there_yet_is_deployed_and_opens_in_one_transaction() {
    let (watched, friend, relayer) = begun().await;
    watched.ways_in().await;
    let (factory, owner) = (watched.factory().await, wallet("owner"));
    let (salt, provider) = (hash_of(6492), &watched.anvil.provider);
    let made = WalletFactory::new(factory, provider);
    let payer = made.addressOf(owner.address(), salt).call().await.unwrap();
    // Money can be there before its owner is.
    watched.deposit_for(&friend, payer, 20 * RNDR).await;
    let deal = Deal::new(&watched, &owner, 1).await;
    let deal = deal.with(|order| (order.payer, order.refund_to) = (payer, payer));
    let open = Escrow::openForCall { signer: payer, ..deal.open_for_call(&owner) };
    let nobody = |_| Escrow::RenderEscrow_SignatureRefused {
        digest: deal.job_id,
        wanted: payer,
        orWanted: Address::ZERO,
    };
    watched.refuses(&relayer, open.clone(), nobody).await;
    // What an ERC-6492 signature asks of whoever relays it: first the factory, then the word.
    let create = WalletFactory::createCall { owner: owner.address(), salt };
    let calls = vec![call(factory, create, false), call(watched.escrow, open, false)];
    all(&watched, &relayer, calls).await;
    assert_eq!(watched.money(&deal).await, (20 * RNDR, 0, 0));
    assert_eq!(watched.balances(payer).await, (0, 0));

    // From here on it is a wallet like any other, ERC-1271 for all that it signs.
    let work = [deal.work(&[0, 1], 1, true)];
    deal.commit(&watched, &work, true).await;
    deal.settle(&watched, &work).await;
    watched.send(&relayer, watched.escrow, deal.agreed_close_call()).await;
    assert_eq!(watched.free(payer).await, 19 * RNDR);
    let amount = Amount::from_base(19 * RNDR).unwrap().into();
    let withdraw = Escrow::withdrawCall { amount, to: owner.address() };
    let data: Bytes = withdraw.abi_encode().into();
    let run = OwnedWallet::runCall { target: watched.escrow, data };
    watched.send(&relayer, payer, run).await;
    assert_eq!(watched.held(owner.address()).await, 19 * RNDR);
    watched.end().await;
}
