//! Delegates, credit, vouchers, agreed closing and the pause, each through reorgs and an audit.

use alloy::primitives::Address;
use alloy::primitives::aliases::U40;
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::SolCall;
use contracts::{Amount, Payout, RenderEscrow};
use store::Store;

use super::reorg::{assert_equals_replay, through_reorgs};
use crate::world::deals::Deal;
use crate::world::{RNDR, World, wallet};

const DAY: u64 = 86_400;

fn rndr(whole: u128) -> Amount {
    Amount::from_base(whole * RNDR).unwrap()
}

/// A call that writes `events` logs, mined, lost and moved by reorgs.
async fn moved_about(
    world: &World,
    store: &Store,
    from: &PrivateKeySigner,
    call: impl SolCall,
    events: usize,
) {
    let raw = world.sign(from, world.escrow, call).await;
    through_reorgs(world, store, raw, events).await;
}

/// Whether a call reverts in a block.
async fn reverts(world: &World, from: &PrivateKeySigner, call: impl SolCall) -> bool {
    let raw = world.sign(from, world.escrow, call).await;
    !world.send_raw(&raw).await.status()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delegate_spends_credit_first_and_what_both_sides_close_comes_back() {
    let world = World::new().await;
    let store = world.store().await;
    let indexer = world.indexer(&store);
    let payer = world.funded("payer", 100 * RNDR).await;
    world.deposit(&payer, 60 * RNDR).await;
    let deal = Deal::new(&world, &payer, 1).await;
    let agent = world.funded("agent", 0).await;
    let issue = world.issue_call(payer.address(), 5 * RNDR).await;
    let issuer = wallet("issuer");
    moved_about(&world, &store, &issuer, issue, 1).await;
    let name = RenderEscrow::nameSettlerCall { settler: deal.order.settler };
    moved_about(&world, &store, &issuer, name, 1).await;
    let set = deal.delegate_call(agent.address(), world.anvil.now().await);
    moved_about(&world, &store, &payer, set, 1).await;
    moved_about(&world, &store, &agent, deal.open_for_call(&agent), 2).await;

    let reader = store.reader();
    let delegate = || async {
        let found = reader.delegate(payer.address(), agent.address()).await.unwrap();
        found.map(|state| (state.allowance, state.max_per_job, state.expiry > 0))
    };
    let account = || async {
        let state = reader.account(payer.address()).await.unwrap().unwrap();
        (state.free, state.credit)
    };
    assert_eq!(delegate().await, Some((rndr(10), rndr(25), true)));
    assert_eq!(account().await, (rndr(45), Amount::ZERO));
    let (_, job) = reader.job(deal.job_id).await.unwrap().unwrap();
    assert_eq!((job.funded, job.credit_share), (rndr(20), rndr(5)));
    // A second job of 20 is more than the 10 that are left.
    let second = Deal::new(&world, &payer, 2).await;
    assert!(reverts(&world, &agent, second.open_for_call(&agent)).await);

    // Half a RNDR of credit was paid: the rest of it is credit again, the other money free.
    deal.release(&world, &[deal.work(&[0], 1, false)]).await;
    moved_about(&world, &store, &agent, deal.agreed_close_call(), 3).await;
    let back = Amount::from_base(9 * RNDR / 2).unwrap();
    assert_eq!(account().await, (rndr(60), back));
    let (_, job) = reader.job(deal.job_id).await.unwrap().unwrap();
    assert!(job.closed && job.remaining().is_zero());

    let revoke = RenderEscrow::revokeDelegateCall { agent: agent.address() };
    moved_about(&world, &store, &payer, revoke, 1).await;
    assert_eq!(delegate().await, Some((Amount::ZERO, Amount::ZERO, false)));
    assert_equals_replay(&world, &store).await;
    indexer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn vouchers_pay_several_nodes_by_one_redemption_and_only_what_they_add() {
    let world = World::new().await;
    let store = world.store().await;
    let indexer = world.indexer(&store);
    let payer = world.funded("payer", 100 * RNDR).await;
    world.deposit(&payer, 60 * RNDR).await;
    let deal = Deal::of_calls(&world, &payer, 1).await;
    deal.open(&world).await;
    let node = world.funded("node", 0).await;
    let other = wallet("another node").address();
    let pay = |node: Address, whole| Payout { node, amount: rndr(whole) };

    let split = [pay(node.address(), 4), pay(other, 3)];
    let first = deal.redeem_call(7 * RNDR, &split);
    // Two payouts, the fee and the burn share of both.
    moved_about(&world, &store, &node, first.clone(), 4).await;
    assert!(reverts(&world, &node, first).await, "a voucher is redeemed once");
    let wrong = deal.redeem_call(9 * RNDR, &[pay(other, 1)]);
    assert!(reverts(&world, &node, wrong).await, "payouts come to what the voucher adds");
    moved_about(&world, &store, &node, deal.redeem_call(9 * RNDR, &[pay(other, 2)]), 3).await;

    let reader = store.reader();
    let free = |of: Address| {
        let reader = reader.clone();
        async move { reader.account(of).await.unwrap().unwrap().free }
    };
    // 5 % fee and 2 % burn of each.
    let net = |whole: u128| Amount::from_base(whole * RNDR / 100 * 93).unwrap();
    assert_eq!((free(node.address()).await, free(other).await), (net(4), net(5)));
    let (_, job) = reader.job(deal.job_id).await.unwrap().unwrap();
    assert_eq!((job.released, job.units_paid, job.closed), (rndr(9), 0, false));
    moved_about(&world, &store, &node, deal.agreed_close_call(), 2).await;
    assert_eq!(free(payer.address()).await, rndr(51));
    assert_equals_replay(&world, &store).await;
    indexer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_stops_the_ways_in_alone_and_lapses_by_itself() {
    let world = World::new().await;
    let store = world.store().await;
    let indexer = world.indexer(&store);
    let payer = world.funded("payer", 100 * RNDR).await;
    world.deposit(&payer, 60 * RNDR).await;
    let open = Deal::new(&world, &payer, 1).await;
    open.open(&world).await;
    let guardian = world.funded("guardian", 0).await;
    let pause = |until: u64| RenderEscrow::pauseCall { until: U40::from(until) };
    let until = world.anvil.now().await + 6 * DAY;
    moved_about(&world, &store, &guardian, pause(until), 1).await;

    let next = Deal::new(&world, &payer, 2).await;
    assert!(reverts(&world, &payer, next.open_call()).await);
    let amount = rndr(1).to_u96();
    let more = RenderEscrow::topUpCall { jobId: open.job_id, amount };
    assert!(reverts(&world, &payer, more).await);
    // Ways out: a node is paid, and free money leaves.
    open.release(&world, &[open.work(&[0], 1, false)]).await;
    let withdraw = RenderEscrow::withdrawCall { amount, to: payer.address() };
    moved_about(&world, &store, &payer, withdraw, 1).await;
    let offices = || async { store.reader().offices().await.unwrap().unwrap() };
    let until = i64::try_from(until).unwrap();
    assert_eq!((offices().await.paused_until, offices().await.seq), (until, 1));

    // Nobody ends it: it is over at its time, and the next one has to wait.
    world.anvil.pass(6 * DAY).await;
    world.deposit(&payer, RNDR).await;
    assert!(reverts(&world, &guardian, pause(world.anvil.now().await + DAY)).await);
    world.anvil.pass(30 * DAY).await;
    moved_about(&world, &store, &guardian, pause(world.anvil.now().await + 2 * DAY), 1).await;
    moved_about(&world, &store, &guardian, RenderEscrow::unpauseCall {}, 1).await;
    world.deposit(&payer, RNDR).await;
    assert_equals_replay(&world, &store).await;
    assert_eq!(offices().await.seq, 3);
    let now = i64::try_from(world.anvil.now().await).unwrap();
    assert!(offices().await.paused_until <= now);
    indexer.stop().await;
}
