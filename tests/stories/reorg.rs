//! Reorgs around each event of our contracts: the index equals a fresh one of the same chain.

use std::collections::BTreeSet;
use std::ops::Deref;

use alloy::primitives::aliases::U40;
use alloy::primitives::{Address, Bytes, U256};
use alloy::rpc::types::TransactionReceipt;
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::SolCall;
use contracts::funding::{self, vault_address};
use contracts::registry::UNBOND_DELAY_SECONDS;
use contracts::{Amount, Funding, LegacyRndr, NodeRegistry, Payout, RenderEscrow};
use indexer::follow::Stop;
use store::{Store, Tag};

use crate::world::anvil::Options;
use crate::world::bonds::Bond;
use crate::world::deals::Deal;
use crate::world::watched::Watched;
use crate::world::{RNDR, World, eventually, wallet};

/// The stored place of a transaction's events: block, and their names.
async fn place(
    world: &World,
    store: &Store,
    receipt: &TransactionReceipt,
) -> Option<(u64, Vec<&'static str>)> {
    let head = world.anvil.head().await.0;
    let rows = store.reader().rows_between(0, head).await.unwrap();
    let escrow = rows.events.iter().map(|e| (e.tx_hash, e.block, e.log_index, e.event.name()));
    let registry = rows.registry.iter().map(|e| (e.tx_hash, e.block, e.log_index, e.event.name()));
    let all = escrow.chain(registry).filter(|row| row.0 == receipt.transaction_hash);
    let mut ours: Vec<_> = all.collect();
    ours.sort_by_key(|row| row.2);
    let names = ours.iter().map(|row| row.3).collect();
    ours.first().map(|row| (row.1, names))
}

/// Plays a signed transaction through its life: mined, orphaned for good, mined again, moved to
/// another block by a reorg that keeps it. Each time the index equals a fresh one of the same
/// chain. The names of its events.
pub async fn through_reorgs(world: &World, store: &Store, raw: Bytes) -> Vec<&'static str> {
    let first = world.send_raw(&raw).await;
    assert!(first.status(), "the call of this story reverts");
    world.anvil.mine(2).await;
    world.audited(store).await;
    let (block, names) = place(world, store, &first).await.expect("events in the index");
    assert_eq!(Some(block), first.block_number);

    let reorgs = store.reader().reorgs(1_000).await.unwrap().len();
    world.anvil.reorg(3, &[]).await;
    world.audited(store).await;
    assert_eq!(place(world, store, &first).await, None, "an orphaned event stayed");
    assert!(store.reader().reorgs(1_000).await.unwrap().len() > reorgs, "no journal row");

    let again = world.send_raw(&raw).await;
    assert_eq!(again.transaction_hash, first.transaction_hash);
    world.anvil.mine(3).await;
    world.audited(store).await;

    let mined = again.block_number.unwrap();
    world.anvil.reorg(4, &[(raw, 2)]).await;
    world.audited(store).await;
    let moved = place(world, store, &first).await;
    assert_eq!(moved, Some((mined + 2, names.clone())), "not at its new place");
    names
}

/// A chain and its index, and the events that were moved about so far.
struct Scene {
    watched: Watched,
    moved: BTreeSet<&'static str>,
}

impl Deref for Scene {
    type Target = Watched;

    fn deref(&self) -> &Watched {
        &self.watched
    }
}

impl Scene {
    async fn begin() -> Self {
        Self { watched: Watched::new().await, moved: BTreeSet::new() }
    }

    /// A call to the escrow that writes these events, mined, lost and moved.
    async fn act(&mut self, from: &PrivateKeySigner, call: impl SolCall, names: &[&'static str]) {
        let to = self.world.escrow;
        self.act_at(to, from, call, names).await;
    }

    async fn act_at(
        &mut self,
        to: Address,
        from: &PrivateKeySigner,
        call: impl SolCall,
        names: &[&'static str],
    ) {
        let raw = self.world.sign(from, to, call).await;
        assert_eq!(through_reorgs(&self.world, &self.store, raw).await, names);
        self.moved.extend(names);
    }

    async fn end(self) -> BTreeSet<&'static str> {
        self.watched.end().await;
        self.moved
    }
}

/// Deposit, lots of every fate, burn and withdrawal.
async fn lots() -> BTreeSet<&'static str> {
    let mut scene = Scene::begin().await;
    let payer = scene.world.funded("payer", 100 * RNDR).await;
    let deal = Deal::new(&scene.world, &payer, 1).await;
    let settler = deal.settler.clone();
    let (spender, value) = (scene.world.escrow, U256::from(30 * RNDR));
    scene.world.send(&payer, scene.world.token, LegacyRndr::approveCall { spender, value }).await;
    let amount = Amount::from_base(30 * RNDR).unwrap().into();
    scene.act(&payer, RenderEscrow::depositCall { amount }, &["Deposited"]).await;
    scene.act(&payer, deal.open_call(), &["Opened"]).await;
    scene.act(&payer, deal.top_up_call(RNDR), &["ToppedUp"]).await;
    let released = ["Released", "Released", "FeeCredited", "BurnCredited"];
    let work = [deal.work(&[0, 1], 1, false), deal.work(&[2], 2, false)];
    scene.act(&settler, deal.release_call(&work), &released).await;
    let (kept, late) = (deal.work(&[3, 4, 5], 3, true), deal.work(&[6, 7], 4, true));
    let both = [kept.clone(), late.clone()];
    scene.act(&settler, deal.commit_call(&both, false), &["Committed", "Committed"]).await;
    scene.act(&payer, deal.reject_call(&kept, U256::from(1 << 4)), &["Rejected"]).await;
    let kept = [kept];
    scene.act(&payer, deal.approve_call(&kept), &["Approved"]).await;
    let paid = ["Settled", "FeeCredited", "BurnCredited"];
    scene.act(&settler, deal.settle_call(&kept), &paid).await;
    scene.act(&payer, deal.request_close_call(), &["CloseRequested"]).await;
    scene.world.anvil.pass(2 * 3_600).await;
    scene.act(&settler, deal.lapse_call(&late), &["Lapsed"]).await;
    scene.act(&settler, deal.close_call(), &["Closed", "Returned"]).await;
    scene.act(&settler, RenderEscrow::burnCall {}, &["Burned"]).await;
    let (amount, to) = (Amount::from_base(27 * RNDR).unwrap(), wallet("elsewhere").address());
    let withdraw = RenderEscrow::withdrawCall { amount: amount.into(), to };
    scene.act(&payer, withdraw, &["Withdrawn"]).await;

    // Five units of half a coin each left the payer's 30, once.
    assert_eq!(scene.balances(payer.address()).await, (RNDR / 2, 0));
    assert_eq!(scene.balances(deal.node).await, (5 * RNDR / 2 / 100 * 93, 0));
    let job = scene.job(deal.job_id).await;
    assert_eq!((job.units_paid, job.released.base()), (5, 5 * RNDR / 2));
    assert_eq!(scene.lot(&deal, &kept[0]).await.lot_key, Some(kept[0].key));
    scene.end().await
}

/// Credit, a delegate, an end by both sides, vouchers, and the guardian's pause.
async fn consents() -> BTreeSet<&'static str> {
    let mut scene = Scene::begin().await;
    let payer = scene.world.funded("payer", 100 * RNDR).await;
    scene.world.deposit(&payer, 60 * RNDR).await;
    let deal = Deal::new(&scene.world, &payer, 1).await;
    let agent = scene.world.funded("agent", 0).await;
    let issue = scene.world.issue_call(payer.address(), 5 * RNDR).await;
    let (issuer, guardian) = (wallet("issuer"), scene.world.funded("guardian", 0).await);
    scene.act(&issuer, issue, &["CreditIssued"]).await;
    let name = RenderEscrow::nameSettlerCall { settler: deal.order.settler };
    scene.act(&issuer, name, &["CreditSettlerNamed"]).await;
    let set = deal.delegate_call(agent.address(), scene.world.anvil.now().await);
    scene.act(&payer, set, &["DelegateSet"]).await;
    scene.act(&agent, deal.open_for_call(&agent), &["Opened", "DelegateSpent"]).await;
    deal.release(&scene.world, &[deal.work(&[0], 1, false)]).await;
    let closed = ["Closed", "CreditReturned", "Returned"];
    scene.act(&agent, deal.agreed_close_call(), &closed).await;
    let revoke = RenderEscrow::revokeDelegateCall { agent: agent.address() };
    scene.act(&payer, revoke, &["DelegateRevoked"]).await;

    let calls = Deal::of_calls(&scene.world, &payer, 2).await;
    calls.open(&scene.world).await;
    let pay = |name, whole| Payout {
        node: wallet(name).address(),
        amount: Amount::from_base(whole * RNDR).unwrap(),
    };
    let call = calls.redeem_call(7 * RNDR, &[pay("node", 4), pay("another node", 3)]);
    let redeemed = ["Redeemed", "Redeemed", "FeeCredited", "BurnCredited"];
    scene.act(&agent, call, &redeemed).await;
    let until = U40::from(scene.world.anvil.now().await + 6 * 86_400);
    scene.act(&guardian, RenderEscrow::pauseCall { until }, &["Paused"]).await;
    scene.act(&guardian, RenderEscrow::unpauseCall {}, &["Paused"]).await;

    let delegate = scene.delegate(payer.address(), agent.address()).await;
    assert_eq!(delegate.unwrap().allowance, Amount::ZERO);
    let offices = scene.offices().await.unwrap();
    assert_eq!((offices.seq, offices.credit_settler), (3, deal.order.settler));
    // 5 of credit paid half a coin and opened the job of calls with what was left of it.
    assert_eq!(scene.balances(payer.address()).await, (60 * RNDR - 31 * RNDR / 2, 0));
    scene.end().await
}

/// A job's own address: what was deposited for it, what was sent to it, and what is too much.
async fn vault() -> BTreeSet<&'static str> {
    let mut scene = Scene::begin().await;
    let funding = scene.world.ways_in().await;
    let payer = scene.world.funded("payer", 100 * RNDR).await;
    let deal = Deal::new(&scene.world, &payer, 1).await;
    let vault = vault_address(funding, deal.job_id);
    let (spender, value) = (scene.world.escrow, U256::from(30 * RNDR));
    scene.world.send(&payer, scene.world.token, LegacyRndr::approveCall { spender, value }).await;
    let amount = Amount::from_base(5 * RNDR).unwrap().into();
    let deposit = RenderEscrow::depositForCall { owner: vault, amount };
    scene.act(&payer, deposit.clone(), &["Deposited"]).await;
    let pay = LegacyRndr::transferCall { to: vault, value: U256::from(17 * RNDR) };
    scene.world.send(&payer, scene.world.token, pay).await;
    let order = funding::order_to_sol(&deal.order);
    let open = Funding::openFromVaultCall { order: order.clone() };
    scene.act_at(funding, &deal.settler, open, &["Opened"]).await;
    // 2 coins are left in the vault, and 5 more come late to its account.
    scene.act(&payer, deposit, &["Deposited"]).await;
    let token = scene.world.token;
    let rescue = Funding::rescueVaultCall { order, token_: token };
    scene.act_at(funding, &deal.settler, rescue, &["Withdrawn"]).await;
    assert_eq!(scene.balances(vault).await, (0, 0));
    assert_eq!(scene.world.held(payer.address()).await, 80 * RNDR);
    scene.end().await
}

/// A bond that goes back to its owner, and one that is slashed.
async fn bonds() -> BTreeSet<&'static str> {
    let mut scene = Scene::begin().await;
    let registry = scene.world.registry;
    let kept = Bond::new(&scene.world, "node", 50 * RNDR).await;
    let lost = Bond::new(&scene.world, "other node", 50 * RNDR).await;
    for bond in [&kept, &lost] {
        scene.act_at(registry, &bond.owner, bond.register_call(), &["Registered"]).await;
        scene.act_at(registry, &bond.owner, bond.bond_call(40 * RNDR), &["Bonded"]).await;
    }
    let update = kept.update_call(wallet("elsewhere").address());
    scene.act_at(registry, &kept.owner, update, &["Updated"]).await;
    let unbond = kept.unbond_call(40 * RNDR);
    scene.act_at(registry, &kept.owner, unbond, &["UnbondRequested"]).await;
    let reporter = scene.world.funded("reporter", 0).await;
    scene.act_at(registry, &reporter, lost.slash_call(), &["Slashed"]).await;
    scene.world.anvil.pass(UNBOND_DELAY_SECONDS).await;
    scene.act_at(registry, &kept.owner, kept.withdraw_call(), &["BondWithdrawn"]).await;
    assert_eq!(scene.world.held(registry).await, 0);
    scene.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_of_the_registry_leaves_and_comes_back_with_its_block() {
    let known = NodeRegistry::abi::events();
    let known = known.keys().map(String::as_str).filter(|name| *name != "EIP712DomainChanged");
    assert_eq!(bonds().await, known.collect());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_of_the_escrow_leaves_and_comes_back_with_its_block() {
    let (lots, consents, vault) = tokio::join!(lots(), consents(), vault());
    let moved: BTreeSet<&str> = [lots, consents, vault].into_iter().flatten().collect();
    // An event of the contract that is in no scene fails here. The one left out is of EIP-5267,
    // for contracts whose domain changes; the escrow's never does.
    let known = RenderEscrow::abi::events();
    let known = known.keys().map(String::as_str).filter(|name| *name != "EIP712DomainChanged");
    assert_eq!(moved, known.collect());
}

#[tokio::test(flavor = "multi_thread")]
async fn reorg_while_the_indexer_is_away_is_found_at_its_next_start() {
    let world = World::new().await;
    let store = world.store().await;
    let payer = world.funded("payer", 100 * RNDR).await;
    let indexer = world.indexer(&store);
    world.deposit(&payer, 3 * RNDR).await;
    world.anvil.mine(1).await;
    world.caught_up(&store).await;
    indexer.stop().await;

    world.anvil.reorg(2, &[]).await;
    world.anvil.mine(20).await;
    let indexer = world.indexer(&store);
    world.audited(&store).await;
    assert_eq!(store.reader().account(payer.address()).await.unwrap(), None);
    assert_eq!(store.reader().reorgs(9).await.unwrap().len(), 1);
    indexer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fr4_reorg_of_final_blocks_stops_the_indexer_and_changes_no_row() {
    let world = World::on(Options { slots_in_an_epoch: 1, ..Options::default() }).await;
    let store = world.store().await;
    let payer = world.funded("payer", 100 * RNDR).await;
    let indexer = world.indexer(&store);
    world.deposit(&payer, 3 * RNDR).await;
    world.anvil.mine(4).await;
    world.caught_up(&store).await;
    let reader = store.reader();
    let final_at = || async {
        let heads = reader.heads().await.unwrap();
        let head = heads.iter().find(|head| head.tag == Tag::Finalized)?.block;
        (head + 2 == world.anvil.head().await.0).then_some(head)
    };
    let mark = eventually("the finalized head in the index", final_at).await;
    let before = format!("{:?}", reader.rows_between(0, u64::from(u32::MAX)).await.unwrap());

    world.anvil.reorg(6, &[]).await;
    world.anvil.mine(1).await;
    let error = indexer.fails().await;
    assert!(
        matches!(error, indexer::Error::Stop(Stop::FinalReplaced { mark: m, .. }) if m == mark),
        "{error}"
    );
    assert!(error.to_string().contains("nothing was changed"), "{error}");
    let after = format!("{:?}", reader.rows_between(0, u64::from(u32::MAX)).await.unwrap());
    assert_eq!(before, after);
    assert_eq!(reader.reorgs(9).await.unwrap(), vec![]);
    // Started again it stops again: nothing heals by restarting.
    let error = world.indexer(&store).fails().await;
    assert!(matches!(error, indexer::Error::Stop(Stop::FinalReplaced { .. })), "{error}");
}
