//! The guardian's pause: every way in waits, no way out does, and it is over by itself.

use alloy::primitives::aliases::U40;
use alloy::primitives::{Address, U256};
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::SolCall;
use chrono::{DateTime, SecondsFormat};
use contracts::order::BURN_ACCOUNT;
use contracts::{Amount, Funding, LegacyRndr, Payout, RenderEscrow as Escrow, funding, order};
use reqwest::Method;
use serde_json::json;
use store::{Action, IntentState};

use crate::world::counter::Counter;
use crate::world::deals::Deal;
use crate::world::studio::{SCENE, Studio};
use crate::world::watched::Watched;
use crate::world::{RNDR, World, eventually, provider_of, wallet};

const DAY: u64 = 86_400;

fn pause(until: u64) -> Escrow::pauseCall {
    Escrow::pauseCall { until: U40::from(until) }
}

fn base(amount: u128) -> alloy::primitives::aliases::U96 {
    Amount::from_base(amount).unwrap().into()
}

fn paused(until: u64) -> impl FnOnce(u64) -> Escrow::RenderEscrow_IsPaused {
    move |now| Escrow::RenderEscrow_IsPaused { until: U256::from(until), now_: U256::from(now) }
}

/// A payer with 40 RNDR free, one of its jobs, and the guardian.
struct Guarded {
    watched: Watched,
    payer: PrivateKeySigner,
    guardian: PrivateKeySigner,
    job: Deal,
}

impl Guarded {
    async fn new() -> Self {
        let watched = Watched::new().await;
        let payer = watched.funded("payer", 200 * RNDR).await;
        watched.deposit(&payer, 60 * RNDR).await;
        let job = Deal::new(&watched, &payer, 1).await;
        job.open(&watched).await;
        let guardian = watched.funded("guardian", 0).await;
        Self { watched, payer, guardian, job }
    }

    /// From now on, for so many days; until when.
    async fn pause(&self, days: u64) -> u64 {
        let until = self.watched.anvil.now().await + days * DAY;
        self.watched.send(&self.guardian, self.watched.escrow, pause(until)).await;
        until
    }

    async fn waits(&self, from: &PrivateKeySigner, call: impl SolCall, until: u64) {
        self.watched.refuses(from, call, paused(until)).await;
    }

    async fn acts(&self, from: &PrivateKeySigner, call: impl SolCall) {
        self.watched.send(from, self.watched.escrow, call).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_paused_every_way_in_waits() {
    let guarded = Guarded::new().await;
    let (watched, payer) = (&guarded.watched, &guarded.payer);
    let (agent, account) = (watched.funded("agent", 0).await, payer.address());
    let ways = watched.ways_in().await;
    let next = Deal::new(watched, payer, 2).await;
    let order = funding::order_to_sol(&next.order);
    let to = funding::vault_address(ways, next.job_id);
    let paid = LegacyRndr::transferCall { to, value: U256::from(20 * RNDR) };
    watched.send(payer, watched.token, paid).await;
    let now = watched.anvil.now().await;
    guarded.acts(payer, next.delegate_call(agent.address(), now)).await;
    // All the money is there and allowed.
    let issue = watched.issue_call(account, RNDR).await;
    let approve = LegacyRndr::approveCall { spender: watched.escrow, value: U256::from(50 * RNDR) };
    watched.send(payer, watched.token, approve).await;
    let token = LegacyRndr::new(watched.token, provider_of(&watched.anvil, &wallet("deployer")));
    let told = token.setEscrowContractAddress(watched.escrow).send().await.unwrap();
    assert!(told.get_receipt().await.unwrap().status());
    let before = watched.balances(account).await;

    let until = guarded.pause(6).await;
    guarded.waits(payer, Escrow::depositCall { amount: base(RNDR) }, until).await;
    let gift = Escrow::depositForCall { owner: agent.address(), amount: base(RNDR) };
    guarded.waits(payer, gift, until).await;
    let hold =
        LegacyRndr::holdInEscrowCall { jobId: account.to_checksum(None), amount: U256::from(RNDR) };
    watched.refuses_at(watched.token, payer, hold.clone(), paused(until)).await;
    guarded.waits(&wallet("issuer"), issue.clone(), until).await;
    guarded.waits(payer, next.open_call(), until).await;
    guarded.waits(&agent, next.open_for_call(payer), until).await;
    guarded.waits(&agent, next.open_for_call(&agent), until).await;
    guarded.waits(payer, guarded.job.top_up_call(RNDR), until).await;
    let from_vault = Funding::openFromVaultCall { order };
    watched.refuses_at(ways, &agent, from_vault.clone(), paused(until)).await;
    assert_eq!(watched.balances(account).await, before);
    assert_eq!(watched.offices().await.unwrap().paused_until, i64::try_from(until).unwrap());

    // "Until" is before: its last second still waits, the one after it does not.
    watched.anvil.next_at(until - 1).await;
    guarded.waits(payer, Escrow::depositCall { amount: base(RNDR) }, until).await;
    watched.anvil.next_at(until).await;
    guarded.acts(payer, Escrow::depositCall { amount: base(RNDR) }).await;
    watched.send(payer, watched.token, hold).await;
    guarded.acts(&wallet("issuer"), issue).await;
    guarded.acts(payer, guarded.job.top_up_call(RNDR)).await;
    assert_eq!(watched.balances(account).await, (41 * RNDR, RNDR));
    // The order of the vault ran out while it waited: its money goes back.
    let expired = |now: u64| Escrow::RenderEscrow_DeadlinePassed {
        jobId: next.job_id,
        deadline: U256::from(next.order.open_by),
        now_: U256::from(now),
    };
    watched.refuses_at(ways, &agent, from_vault, expired).await;
    guarded.watched.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_paused_no_way_out_waits() {
    let guarded = Guarded::new().await;
    let (watched, payer, job) = (&guarded.watched, &guarded.payer, &guarded.job);
    let (ways, settler) = (watched.ways_in().await, &job.settler);
    let node = watched.funded("node", 0).await;
    let calls = Deal::of_calls(watched, payer, 2).await;
    calls.open(watched).await;
    let never = Deal::new(watched, payer, 3).await;
    let to = funding::vault_address(ways, never.job_id);
    let paid = LegacyRndr::transferCall { to, value: U256::from(7 * RNDR) };
    watched.send(payer, watched.token, paid).await;
    guarded.pause(7).await;

    // Paying, proposing, reviewing, at half a coin a unit.
    job.release(watched, &[job.work(&[0, 1], 1, false)]).await;
    let (kept, late) = (job.work(&[2, 3, 4], 2, true), job.work(&[5, 6], 3, true));
    job.commit(watched, &[kept.clone(), late.clone()], false).await;
    job.reject(watched, &kept, U256::from(1 << 3)).await;
    job.approve(watched, std::slice::from_ref(&kept)).await;
    job.settle(watched, &[kept]).await;
    let split = [Payout { node: node.address(), amount: Amount::from_base(3 * RNDR).unwrap() }];
    guarded.acts(&node, calls.redeem_call(3 * RNDR, &split)).await;
    // Ending.
    guarded.acts(&node, calls.agreed_close_call()).await;
    job.request_close(watched).await;
    watched.anvil.pass(2 * 3_600).await;
    job.lapse(watched, &late).await;
    job.close(watched).await;
    // 2 coins for units and 3 for calls left the payer's 60.
    assert_eq!(watched.free(payer.address()).await, 55 * RNDR);
    assert_eq!(watched.free(node.address()).await, 5 * RNDR * 93 / 100);
    // Leaving: an account, the burn shares, and a vault whose order has expired.
    let withdraw = |of: u128, to: Address| Escrow::withdrawCall { amount: base(of), to };
    guarded.acts(payer, withdraw(55 * RNDR, payer.address())).await;
    guarded.acts(&node, withdraw(5 * RNDR * 93 / 100, node.address())).await;
    guarded.acts(&node, Escrow::burnCall {}).await;
    let order = funding::order_to_sol(&never.order);
    let rescue = Funding::rescueVaultCall { order, token_: watched.token };
    watched.send(&node, ways, rescue).await;
    assert_eq!(watched.held(payer.address()).await, 195 * RNDR);
    assert_eq!(watched.held(node.address()).await, 5 * RNDR * 93 / 100);
    assert_eq!(watched.held(BURN_ACCOUNT).await, 5 * RNDR * 2 / 100);
    // The fee receiver's share is all that the escrow still holds.
    assert_eq!(watched.held(watched.escrow).await, 5 * RNDR * 5 / 100);
    // What moves no money in goes on too.
    let now = watched.anvil.now().await;
    guarded.acts(payer, job.delegate_call(node.address(), now)).await;
    guarded.acts(payer, Escrow::revokeDelegateCall { agent: node.address() }).await;
    let issuer = watched.funded("issuer", 0).await;
    guarded.acts(&issuer, Escrow::nameSettlerCall { settler: settler.address() }).await;
    guarded.watched.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_is_the_guardians_short_seldom_and_ended_by_nobody_else() {
    let guarded = Guarded::new().await;
    let (watched, guardian) = (&guarded.watched, &guarded.guardian);
    let (start, payer) = (watched.anvil.now().await + 100, guarded.payer.address());
    let stranger = |_| Escrow::RenderEscrow_CallerRefused {
        caller: payer,
        wanted: guardian.address(),
        orWanted: Address::ZERO,
    };
    watched.refuses(&guarded.payer, pause(start + DAY), stranger).await;
    assert_eq!(watched.offices().await, None);
    watched.anvil.next_at(start).await;
    let too_long = |now: u64| Escrow::RenderEscrow_PauseTooLong {
        until: U256::from(start + 7 * DAY + 1),
        most: U256::from(now + 7 * DAY),
    };
    watched.refuses(guardian, pause(start + 7 * DAY + 1), too_long).await;
    let none = |until: u64| {
        move |now: u64| Escrow::RenderEscrow_NotPaused {
            until: U256::from(until),
            now_: U256::from(now),
        }
    };
    watched.refuses(guardian, pause(start), none(start)).await;
    watched.refuses(guardian, Escrow::unpauseCall {}, none(0)).await;

    let until = guarded.pause(7).await;
    watched.refuses(&guarded.payer, Escrow::unpauseCall {}, stranger).await;
    // It is not made longer, neither while it lasts nor within 30 days after it.
    let too_soon = |now: u64| Escrow::RenderEscrow_PauseTooSoon {
        from: U256::from(until + 30 * DAY),
        now_: U256::from(now),
    };
    watched.refuses(guardian, pause(until + DAY), too_soon).await;
    watched.anvil.next_at(until).await;
    watched.refuses(guardian, Escrow::unpauseCall {}, none(until)).await;
    watched.anvil.next_at(until + 30 * DAY - 1).await;
    watched.refuses(guardian, pause(until + 31 * DAY), too_soon).await;
    watched.anvil.next_at(until + 30 * DAY).await;
    guarded.acts(guardian, pause(until + 31 * DAY)).await;

    let receipt = watched.send(guardian, watched.escrow, Escrow::unpauseCall {}).await;
    let ended = i64::try_from(watched.time_of(&receipt).await).unwrap();
    let offices = watched.offices().await.unwrap();
    assert_eq!((offices.paused_until, offices.seq), (ended, 3));
    watched.deposit(&guarded.payer, RNDR).await;
    assert_eq!(watched.free(payer).await, 41 * RNDR);
    guarded.watched.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_meets_a_pause_waits_by_name_and_opens_when_it_is_over() {
    let studio = Studio::open().await;
    let world: &World = &studio.world;
    let guardian = world.funded("guardian", 0).await;
    let until = world.anvil.now().await + 1_800;
    world.send(&guardian, world.escrow, pause(until)).await;
    let _settler = studio.settler();
    let job_id = studio.submit(&studio.payer, 1, 1, 1).await;
    let reader = studio.store.reader();
    let parked = || async {
        let intent = reader.intent(Action::Open, job_id, job_id).await.unwrap()?;
        (intent.state == IntentState::Parked).then_some(intent.problem)
    };
    let problem = eventually("the order parked", parked).await.unwrap();
    assert!(problem.contains("is paused") && problem.contains(&until.to_string()), "{problem}");
    world.anvil.pass(1_800).await;
    studio.opened(job_id).await;
    studio.outbox_done().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_paused_the_api_asks_for_no_order_and_takes_none_and_says_until_when() {
    let guarded = Guarded::new().await;
    let (watched, payer) = (&guarded.watched, &guarded.payer);
    watched.caught_up(&watched.store).await;
    let counter = Counter::open(watched, &watched.store).await;
    let scene = counter.good(counter.upload("?name=demo.pov", SCENE)).await;
    let quote = counter.quoted("demo.pov", &scene["scene_id"], "3.7").await;
    let order = counter.prepared(&quote, payer.address()).await;
    let domain = order::domain(watched.anvil.chain_id, watched.escrow);
    let job_id = order::job_id(&order, &domain);
    let shown = || async {
        let contracts = counter.good(counter.ask(Method::GET, "/v1/contracts")).await;
        contracts["escrows"][0]["paused_until"]["unix"].as_u64()
    };
    assert_eq!(shown().await, None);

    // Less than the order has until its `openBy`.
    let until = watched.anvil.now().await + 1_800;
    guarded.acts(&guarded.guardian, pause(until)).await;
    watched.caught_up(&watched.store).await;
    assert_eq!(shown().await, Some(until));
    let body = json!({ "quote_hash": quote["quote_hash"], "payer": payer.address() });
    let ask = counter.post("/v1/jobs/prepare", &body);
    let refused = counter.refusal(ask, 503, "escrow_paused").await;
    let time = DateTime::from_timestamp(i64::try_from(until).unwrap(), 0).unwrap();
    let time = time.to_rfc3339_opts(SecondsFormat::Secs, true);
    assert!(refused["detail"].as_str().unwrap().ends_with(&time), "{refused}");
    assert_eq!((&refused["retryable"], &refused["retry_after"]), (&true.into(), &3_600.into()));
    let submit = || counter.submit(&order, payer, job_id);
    counter.refusal(submit(), 503, "escrow_paused").await;
    assert!(watched.store.reader().order(job_id).await.unwrap().is_none(), "nothing is stored");
    // A price is asked for, and money is shown, as ever.
    counter.quoted("demo.pov", &scene["scene_id"], "3.7").await;
    watched.api_agrees(payer.address()).await;

    watched.anvil.next_at(until).await;
    watched.anvil.mine(1).await;
    watched.caught_up(&watched.store).await;
    assert_eq!(shown().await, None);
    counter.good(submit()).await;
    assert!(watched.store.reader().order(job_id).await.unwrap().is_some());
    guarded.watched.end().await;
}
