//! Vouchers: a job of calls is paid by growing totals, split over nodes, each unit once.

use alloy::primitives::{Address, Bytes, U256};
use contracts::order::BURN_ACCOUNT;
use contracts::{Amount, JobId, Payout, RenderEscrow as Escrow, signing};

use crate::world::deals::Deal;
use crate::world::watched::Watched;
use crate::world::{RNDR, wallet};

fn pay(name: &str, base: u128) -> Payout {
    Payout { node: wallet(name).address(), amount: Amount::from_base(base).unwrap() }
}

fn spent(
    job_id: JobId,
    cumulative: u128,
    released: u128,
) -> impl FnOnce(u64) -> Escrow::RenderEscrow_VoucherSpent {
    let (cumulative, released) = (U256::from(cumulative), U256::from(released));
    move |_| Escrow::RenderEscrow_VoucherSpent { jobId: job_id, cumulative, released }
}

fn wrong(
    job_id: JobId,
    sum: u128,
    due: u128,
) -> impl FnOnce(u64) -> Escrow::RenderEscrow_PayoutsWrong {
    let (sum, due) = (U256::from(sum), U256::from(due));
    move |_| Escrow::RenderEscrow_PayoutsWrong { jobId: job_id, sum, due }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_voucher_pays_every_node_once_and_makes_the_older_ones_worthless() {
    let watched = Watched::new().await;
    let payer = watched.funded("payer", 100 * RNDR).await;
    let node = watched.funded("node", 0).await;
    watched.deposit(&payer, 60 * RNDR).await;
    let deal = Deal::of_calls(&watched, &payer, 1).await;
    deal.open(&watched).await;
    // After each call the payer signs a greater total; the first ones are never handed in.
    let older = deal.redeem_call(2 * RNDR, &[pay("node", 2 * RNDR)]);
    let split = [pay("node", 4 * RNDR), pay("another node", 3 * RNDR)];
    let call = deal.redeem_call(7 * RNDR, &split);
    let receipt = watched.send(&node, watched.escrow, call.clone()).await;
    assert_eq!(receipt.logs().len(), 4, "two payouts, and the fee and burn share of both");
    let id = deal.job_id;
    watched.refuses(&node, call, spent(id, 7 * RNDR, 7 * RNDR)).await;
    watched.refuses(&node, older, spent(id, 2 * RNDR, 7 * RNDR)).await;
    // The next one pays what it adds, no more and no less.
    let call = deal.redeem_call(9 * RNDR, &[pay("node", 2 * RNDR - 1)]);
    watched.refuses(&node, call, wrong(id, 2 * RNDR - 1, 2 * RNDR)).await;
    let call = deal.redeem_call(9 * RNDR, &[pay("node", 2 * RNDR + 1)]);
    watched.refuses(&node, call, wrong(id, 2 * RNDR + 1, 2 * RNDR)).await;
    let call = deal.redeem_call(9 * RNDR, &[pay("another node", 2 * RNDR)]);
    watched.send(&node, watched.escrow, call).await;

    // 5 % fee and 2 % burn of each payout.
    let net = |whole: u128| whole * RNDR * 93 / 100;
    assert_eq!(watched.free(node.address()).await, net(4));
    assert_eq!(watched.free(wallet("another node").address()).await, net(5));
    assert_eq!(watched.free(wallet("fee").address()).await, 9 * RNDR * 5 / 100);
    assert_eq!(watched.free(BURN_ACCOUNT).await, 9 * RNDR * 2 / 100);
    let job = watched.job(id).await;
    assert_eq!((job.released.base(), job.units_paid, job.closed), (9 * RNDR, 0, false));
    assert_eq!(watched.free(payer.address()).await, 40 * RNDR);

    watched.send(&node, watched.escrow, deal.agreed_close_call()).await;
    assert_eq!(watched.free(payer.address()).await, 51 * RNDR);
    assert_eq!(watched.money(&deal).await, (9 * RNDR, 9 * RNDR, 0));
    let late = deal.redeem_call(10 * RNDR, &[pay("node", RNDR)]);
    let closed = |_| Escrow::RenderEscrow_JobNotOpen { jobId: id, status: 2 };
    watched.refuses(&node, late, closed).await;
    let told = watched.told(id).await;
    let redeemed = ["Redeemed", "Redeemed", "FeeCredited", "BurnCredited"];
    let expected = [&["Opened"][..], &redeemed, &redeemed[1..], &["Closed", "Returned"]].concat();
    assert_eq!(told, expected);
    watched.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shares_are_rounded_down_for_each_payout_and_the_rest_is_the_nodes() {
    let watched = Watched::new().await;
    let payer = watched.funded("payer", 100 * RNDR).await;
    watched.deposit(&payer, 60 * RNDR).await;
    let deal = Deal::of_calls(&watched, &payer, 1).await;
    deal.open(&watched).await;
    // 5 % of 19 and 2 % of 49 are nothing at all.
    let split = [pay("node", 19), pay("another node", 49), pay("node", 101)];
    watched.send(&payer, watched.escrow, deal.redeem_call(169, &split)).await;
    assert_eq!(watched.free(wallet("node").address()).await, 19 + 101 - 5 - 2);
    assert_eq!(watched.free(wallet("another node").address()).await, 49 - 2);
    assert_eq!(watched.free(wallet("fee").address()).await, 2 + 5);
    assert_eq!(watched.free(BURN_ACCOUNT).await, 2);
    watched.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redemption_takes_both_words_the_money_of_the_job_and_a_job_of_calls() {
    let watched = Watched::new().await;
    let payer = watched.funded("payer", 100 * RNDR).await;
    let node = watched.funded("node", 0).await;
    watched.deposit(&payer, 60 * RNDR).await;
    // Its terms name a unit price, which nothing asks for.
    let deal = Deal::new(&watched, &payer, 1).await.with(|order| order.units = 0);
    deal.open(&watched).await;
    let (id, split) = (deal.job_id, [pay("node", RNDR)]);
    let good = deal.redeem_call(RNDR, &split);
    // The settler's consent names the payouts: nobody puts itself in a node's place.
    let other = [pay("stranger", RNDR)];
    let amount = Amount::from_base(RNDR).unwrap();
    let act = signing::redemption(id, amount, &other);
    let digest = signing::signing_hash(&act, &domain(&watched));
    let payouts = vec![other[0].to_sol()];
    let call = Escrow::redeemCall { payouts, ..good.clone() };
    let settler = deal.order.settler;
    let refused = |wanted, digest| {
        move |_| Escrow::RenderEscrow_SignatureRefused { digest, wanted, orWanted: Address::ZERO }
    };
    watched.refuses(&node, call, refused(settler, digest)).await;
    // A voucher of somebody else's, and no voucher at all.
    let act = signing::voucher(id, amount);
    let digest = signing::signing_hash(&act, &domain(&watched));
    let signature = deal.signed(&node, &act);
    let call = Escrow::redeemCall { signature, ..good.clone() };
    watched.refuses(&node, call, refused(payer.address(), digest)).await;
    let call = Escrow::redeemCall { signature: Bytes::new(), ..good.clone() };
    let error = |_| Escrow::RenderEscrow_CallerRefused {
        caller: node.address(),
        wanted: payer.address(),
        orWanted: Address::ZERO,
    };
    watched.refuses(&node, call, error).await;
    // Above the cap, a voucher is good for what the job still holds after a top-up.
    let dear = deal.redeem_call(21 * RNDR, &[pay("node", 21 * RNDR)]);
    let error = |_| Escrow::RenderEscrow_FundsTooLow {
        jobId: id,
        needed: U256::from(21 * RNDR),
        remaining: U256::from(20 * RNDR),
    };
    watched.refuses(&node, dear.clone(), error).await;
    deal.top_up(&watched, RNDR).await;
    watched.send(&node, watched.escrow, dear).await;
    assert_eq!(watched.money(&deal).await, (21 * RNDR, 21 * RNDR, 0));
    // Calls are paid by vouchers alone, units by lots alone.
    let error =
        |_| Escrow::RenderEscrow_UnitsUnknown { jobId: id, word: 0, mask: U256::ONE, units: 0 };
    let release = deal.release_call(&[deal.work(&[0], 1, false)]);
    watched.refuses(&deal.settler, release, error).await;
    let frames = Deal::new(&watched, &payer, 2).await;
    frames.open(&watched).await;
    let error = |_| Escrow::RenderEscrow_JobTakesNoVouchers { jobId: frames.job_id, units: 16 };
    watched.refuses(&node, frames.redeem_call(RNDR, &split), error).await;
    watched.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn vouchers_are_redeemed_until_the_jobs_end_and_the_rest_returns_without_a_word() {
    let watched = Watched::new().await;
    let payer = watched.funded("payer", 100 * RNDR).await;
    let node = watched.funded("node", 0).await;
    watched.deposit(&payer, 60 * RNDR).await;
    let approver = wallet("approver").address();
    let deal = Deal::of_calls(&watched, &payer, 1).await;
    let deal = deal.with(|order| order.approver = approver);
    deal.open(&watched).await;
    let total = Amount::from_base(RNDR).unwrap();
    // By the approver's voucher, and the settler's own call in place of its signature.
    let call = Escrow::redeemCall {
        signature: deal.signed(&wallet("approver"), &signing::voucher(deal.job_id, total)),
        consent: Bytes::new(),
        ..deal.redeem_call(RNDR, &[pay("node", RNDR)])
    };
    watched.send(&deal.settler, watched.escrow, call).await;
    let receipt = watched.send(&payer, watched.escrow, deal.request_close_call()).await;
    let asked = watched.time_of(&receipt).await;
    let end = asked + deal.order.claim_grace;
    let error = |now: u64| Escrow::RenderEscrow_TooEarly {
        id: deal.job_id,
        from: U256::from(end),
        now_: U256::from(now),
    };
    watched.refuses(&node, deal.close_call(), error).await;
    let call = deal.redeem_call(2 * RNDR, &[pay("node", RNDR)]);
    watched.send(&node, watched.escrow, call).await;
    watched.anvil.pass(deal.order.claim_grace).await;
    let late = deal.redeem_call(3 * RNDR, &[pay("node", RNDR)]);
    let error = |now: u64| Escrow::RenderEscrow_DeadlinePassed {
        jobId: deal.job_id,
        deadline: U256::from(end),
        now_: U256::from(now),
    };
    watched.refuses(&node, late, error).await;
    watched.send(&node, watched.escrow, deal.close_call()).await;
    assert_eq!(watched.money(&deal).await, (2 * RNDR, 2 * RNDR, 0));
    assert_eq!(watched.free(payer.address()).await, 58 * RNDR);
    assert_eq!(watched.free(node.address()).await, 2 * RNDR * 93 / 100);
    watched.end().await;
}

fn domain(watched: &Watched) -> alloy::sol_types::Eip712Domain {
    contracts::order::domain(watched.anvil.chain_id, watched.escrow)
}
