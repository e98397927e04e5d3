//! Delegates: what another key may open on a wallet's account, and everything that it may not.

use alloy::primitives::aliases::U40;
use alloy::primitives::{Address, Bytes, U256, fixed_bytes};
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use contracts::{Amount, Order, RenderEscrow as Escrow, order};
use serde_json::json;

use crate::world::counter::Counter;
use crate::world::deals::Deal;
use crate::world::studio::{Painter, SCENE, Studio};
use crate::world::watched::Watched;
use crate::world::{RNDR, eventually, wallet};

const DAY: u64 = 86_400;

/// A payer with 60 RNDR in its account, its agent, and somebody who relays.
struct Agency {
    watched: Watched,
    payer: PrivateKeySigner,
    agent: PrivateKeySigner,
    relayer: PrivateKeySigner,
}

impl Agency {
    async fn new() -> Self {
        let watched = Watched::new().await;
        let payer = watched.funded("payer", 100 * RNDR).await;
        watched.deposit(&payer, 60 * RNDR).await;
        let (agent, relayer) = (watched.funded("agent", 0), watched.funded("relayer", 0));
        let (agent, relayer) = (agent.await, relayer.await);
        Self { watched, payer, agent, relayer }
    }

    /// 30 RNDR in all, 25 for a job, for a day; until when.
    async fn set(&self) -> u64 {
        let deal = self.deal(0, |_| {}).await;
        let now = self.watched.anvil.now().await;
        let call = deal.delegate_call(self.agent.address(), now);
        self.watched.send(&self.payer, self.watched.escrow, call).await;
        now + DAY
    }

    async fn deal(&self, salt: u64, change: impl FnOnce(&mut Order)) -> Deal {
        Deal::new(&self.watched, &self.payer, salt).await.with(change)
    }

    /// Opened by whoever relays the agent's word.
    async fn open(&self, deal: &Deal) {
        let call = deal.open_for_call(&self.agent);
        self.watched.send(&self.relayer, self.watched.escrow, call).await;
    }

    /// What the agent may still open in all, as the index has it.
    async fn allowance(&self) -> u128 {
        let found = self.watched.delegate(self.payer.address(), self.agent.address()).await;
        found.unwrap().allowance.base()
    }

    /// The agent's allowance is `left`, and this order is above it.
    async fn too_much(&self, deal: &Deal, left: u128) {
        let error = |_| Escrow::RenderEscrow_AllowanceTooLow {
            agent: self.agent.address(),
            cap: deal.order.cap.to_u256(),
            allowance: U256::from(left),
            maxPerJob: U256::from(25 * RNDR),
        };
        self.watched.refuses(&self.relayer, deal.open_for_call(&self.agent), error).await;
    }
}

/// Terms with another cap, in base units.
fn cap(base: u128) -> impl FnOnce(&mut Order) {
    move |order| order.cap = Amount::from_base(base).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delegate_opens_within_an_allowance_that_falls_and_never_grows_back() {
    let agency = Agency::new().await;
    let (watched, payer) = (&agency.watched, agency.payer.address());
    let expiry = agency.set().await;
    let set = watched.delegate(payer, agency.agent.address()).await.unwrap();
    let bounds = (set.allowance.base(), set.max_per_job.base(), set.expiry);
    assert_eq!(bounds, (30 * RNDR, 25 * RNDR, i64::try_from(expiry).unwrap()));
    assert_eq!(set.settler, wallet("settler").address());

    let first = agency.deal(1, |_| {}).await;
    agency.open(&first).await;
    assert_eq!((agency.allowance().await, watched.free(payer).await), (10 * RNDR, 40 * RNDR));
    assert_eq!(watched.told(first.job_id).await, ["Opened", "DelegateSpent"]);
    assert_eq!(watched.money(&first).await, (20 * RNDR, 0, 0));
    // All of it returns by a close of both sides: to the payer, and not to the allowance.
    watched.send(&agency.relayer, watched.escrow, first.agreed_close_call()).await;
    assert_eq!((agency.allowance().await, watched.free(payer).await), (10 * RNDR, 60 * RNDR));
    agency.too_much(&agency.deal(2, |_| {}).await, 10 * RNDR).await;
    agency.too_much(&agency.deal(3, cap(10 * RNDR + 1)).await, 10 * RNDR).await;

    // The rest to the base unit, by the agent's own call, which needs no signature.
    let last = agency.deal(4, cap(10 * RNDR)).await;
    let call = Escrow::openForCall { signature: Bytes::new(), ..last.open_for_call(&agency.agent) };
    watched.send(&agency.agent, watched.escrow, call).await;
    assert_eq!((agency.allowance().await, watched.free(payer).await), (0, 50 * RNDR));
    agency.too_much(&agency.deal(5, cap(1)).await, 0).await;
    // Only its payer's word gives it more.
    agency.set().await;
    agency.open(&agency.deal(5, cap(1)).await).await;
    assert_eq!(agency.allowance().await, 30 * RNDR - 1);

    let free = |whole: u128| Some(whole * RNDR);
    let statement = [
        ("Deposited", free(60), None),
        ("DelegateSet", None, None),
        ("Opened", free(40), Some(0)),
        ("Returned", free(60), None),
        ("Opened", free(50), Some(0)),
        ("DelegateSet", None, None),
        ("Opened", Some(50 * RNDR - 1), Some(0)),
    ];
    assert_eq!(watched.statement(payer).await, statement);
    watched.api_agrees(payer).await;
    assert_eq!(watched.statement(agency.agent.address()).await, []);
    agency.watched.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delegate_opens_with_its_one_settler_and_for_the_payer_alone_and_never_above_its_bounds()
{
    let agency = Agency::new().await;
    let (watched, payer, agent) = (&agency.watched, agency.payer.address(), &agency.agent);
    agency.set().await;
    let (mine, settler) = (wallet("stranger").address(), wallet("settler").address());
    let other_term = |term, wanted| {
        move |_| Escrow::RenderEscrow_DelegateTermRefused { term, given: mine, wanted }
    };
    // A stolen key would pay itself.
    let own_settler = agency.deal(1, |order| order.settler = mine).await;
    let term = fixed_bytes!("736574746c657200000000000000000000000000000000000000000000000000");
    let call = own_settler.open_for_call(agent);
    watched.refuses(&agency.relayer, call, other_term(term, settler)).await;
    let own_refund = agency.deal(2, |order| order.refund_to = mine).await;
    let term = fixed_bytes!("726566756e64546f000000000000000000000000000000000000000000000000");
    let call = own_refund.open_for_call(agent);
    watched.refuses(&agency.relayer, call, other_term(term, payer)).await;
    // Within its allowance, above what one job may cost.
    agency.too_much(&agency.deal(3, cap(25 * RNDR + 1)).await, 30 * RNDR).await;

    let good = agency.deal(4, cap(25 * RNDR)).await;
    let unsigned = Escrow::openForCall { signature: Bytes::new(), ..good.open_for_call(agent) };
    let (caller, wanted) = (agency.relayer.address(), agent.address());
    let error = |_| Escrow::RenderEscrow_CallerRefused { caller, wanted, orWanted: Address::ZERO };
    watched.refuses(&agency.relayer, unsigned, error).await;
    let signature = good.open_for_call(&wallet("stranger")).signature;
    let forged = Escrow::openForCall { signature, ..good.open_for_call(agent) };
    let digest = good.job_id;
    let error =
        |_| Escrow::RenderEscrow_SignatureRefused { digest, wanted, orWanted: Address::ZERO };
    watched.refuses(&agency.relayer, forged, error).await;
    // It takes nothing out, it is nobody in a job, and it makes no delegates of the payer's.
    let amount = Amount::from_base(1).unwrap().into();
    let withdraw = Escrow::withdrawCall { amount, to: agent.address() };
    let error = |_| Escrow::RenderEscrow_FreeTooLow {
        account: wanted,
        needed: U256::ONE,
        free: U256::ZERO,
    };
    watched.refuses(agent, withdraw, error).await;
    agency.open(&good).await;
    let error = |_| Escrow::RenderEscrow_CallerRefused {
        caller: wanted,
        wanted: payer,
        orWanted: Address::ZERO,
    };
    watched.refuses(agent, good.request_close_call(), error).await;
    let twice = |_| Escrow::RenderEscrow_JobKnown { jobId: good.job_id, status: 1 };
    agency.set().await;
    watched.refuses(&agency.relayer, good.open_for_call(agent), twice).await;
    assert_eq!((agency.allowance().await, watched.free(payer).await), (30 * RNDR, 35 * RNDR));
    agency.watched.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_was_never_named_has_expired_or_was_revoked_opens_nothing() {
    let agency = Agency::new().await;
    let (watched, payer, agent) = (&agency.watched, agency.payer.address(), &agency.agent);
    let signer = agent.address();
    let refused = |expiry: u64| {
        move |now: u64| Escrow::RenderEscrow_SignerRefused {
            signer,
            payer,
            expiry: U256::from(expiry),
            now_: U256::from(now),
        }
    };
    let deal = agency.deal(1, |order| order.open_by += 3 * DAY).await;
    watched.refuses(&agency.relayer, deal.open_for_call(agent), refused(0)).await;
    let revoke = Escrow::revokeDelegateCall { agent: signer };
    let unknown = |_| Escrow::RenderEscrow_DelegateUnknown { payer, agent: signer };
    watched.refuses(&agency.payer, revoke.clone(), unknown).await;
    let past = Escrow::setDelegateCall {
        expiry: U40::from(watched.anvil.now().await),
        ..deal.delegate_call(signer, 0)
    };
    let over: u64 = past.expiry.to();
    watched.refuses(&agency.payer, past, refused(over)).await;

    let expiry = agency.set().await;
    watched.anvil.pass(DAY).await;
    watched.refuses(&agency.relayer, deal.open_for_call(agent), refused(expiry)).await;
    agency.set().await;
    watched.send(&agency.payer, watched.escrow, revoke.clone()).await;
    watched.refuses(&agency.relayer, deal.open_for_call(agent), refused(0)).await;
    watched.refuses(&agency.payer, revoke, unknown).await;
    let state = watched.delegate(payer, signer).await.unwrap();
    assert_eq!((state.settler, state.expiry), (Address::ZERO, 0));
    assert_eq!(state.allowance.base() + state.max_per_job.base(), 0);
    assert_eq!(watched.free(payer).await, 60 * RNDR);
    let names: Vec<_> = watched.statement(payer).await.iter().map(|line| line.0).collect();
    assert_eq!(names, ["Deposited", "DelegateSet", "DelegateSet", "DelegateRevoked"]);
    agency.watched.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_delegate_opened_stays_good_when_it_is_revoked() {
    let agency = Agency::new().await;
    let (watched, payer) = (&agency.watched, agency.payer.address());
    agency.set().await;
    // Named approver in the order it opens, it also has a word in the job.
    let approver = agency.agent.address();
    let deal = agency.deal(1, |order| order.approver = approver).await;
    agency.open(&deal).await;
    let work = [deal.work(&[0, 1, 2, 3], 1, true)];
    deal.commit(watched, &work, false).await;
    let revoke = Escrow::revokeDelegateCall { agent: approver };
    watched.send(&agency.payer, watched.escrow, revoke).await;
    watched.send(&agency.agent, watched.escrow, deal.approve_call(&work)).await;
    deal.settle(watched, &work).await;
    assert_eq!(watched.money(&deal).await, (20 * RNDR, 2 * RNDR, 0));
    assert_eq!(watched.free(deal.node).await, 2 * RNDR * 93 / 100);
    watched.send(&agency.agent, watched.escrow, deal.agreed_close_call()).await;
    assert_eq!(watched.free(payer).await, 58 * RNDR);
    assert_eq!(watched.balances(approver).await, (0, 0));
    agency.watched.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_a_delegate_opened_is_rendered_and_paid_like_any_other() {
    let studio = Studio::open().await;
    let (world, store, payer) = (&studio.world, &studio.store, studio.payer.address());
    let config = settler::Config { commit_after_seconds: 600, ..studio.settler_config() };
    let _settler = studio.settler_as(config);
    let _node = studio.node("node", Painter::default());
    let agent = world.funded("agent", 0).await;
    let now = world.anvil.now().await;
    let set = Deal::new(world, &studio.payer, 0).await.delegate_call(agent.address(), now);
    world.send(&studio.payer, world.escrow, set).await;

    // The agent asks for a price in its payer's name, and opens what it gets.
    let counter = Counter::open(world, store).await;
    let scene = counter.good(counter.upload("?name=demo.pov", SCENE)).await;
    let quote = counter.quoted("demo.pov", &scene["scene_id"], "3.7").await;
    let order = counter.prepared(&quote, payer).await;
    let job_id = order::job_id(&order, &studio.domain);
    let cap = order.cap.base();
    let signature = Bytes::from(agent.sign_hash_sync(&job_id).unwrap().as_bytes());
    let open = Escrow::openForCall { order: order.to_sol(), signer: agent.address(), signature };
    world.send(&agent, world.escrow, open).await;
    studio.opened(job_id).await;
    counter.good(counter.post("/v1/jobs", &json!({ "job_id": job_id, "opened": true }))).await;

    let drafts = studio.accepted(job_id, 4).await;
    studio.approve(&drafts).await;
    let reader = store.reader();
    let closed = || async {
        let (_, state) = reader.job(job_id).await.unwrap()?;
        state.closed.then_some(state)
    };
    let state = eventually("the job closed", closed).await;
    studio.outbox_done().await;
    let paid = 4 * order.max_unit_price.base();
    assert_eq!((state.released.base(), state.units_paid), (paid, 4));
    let account = reader.account(payer).await.unwrap().unwrap();
    assert_eq!(account.free.base(), 100 * RNDR - paid);
    let left = reader.delegate(payer, agent.address()).await.unwrap().unwrap().allowance;
    assert_eq!(left.base(), 30 * RNDR - cap, "the cap counts, and not what was paid of it");
    let lots = drafts.iter().map(|draft| draft.lot.node).collect::<Vec<_>>();
    let earned = reader.account(lots[0]).await.unwrap().unwrap().free.base();
    let share = |bps: u16| paid * u128::from(bps) / 10_000;
    assert_eq!(earned, paid - share(order.fee_bps) - share(order.burn_bps));
    assert!(reader.account(agent.address()).await.unwrap().is_none());
    studio.pause_mining().await;
    world.audited(store).await;
}
