//! Credit: bought one to one, spent first and with the named settler alone, never withdrawn.

use alloy::primitives::{Address, U256};
use alloy::signers::local::PrivateKeySigner;
use contracts::{Amount, RenderEscrow as Escrow};
use indexer::audit::Report;

use crate::world::deals::Deal;
use crate::world::watched::Watched;
use crate::world::{RNDR, wallet};

/// A payer with 20 RNDR free and 5 of credit.
async fn credited() -> (Watched, PrivateKeySigner) {
    let watched = Watched::new().await;
    let payer = watched.funded("payer", 100 * RNDR).await;
    watched.deposit(&payer, 20 * RNDR).await;
    let call = watched.issue_call(payer.address(), 5 * RNDR).await;
    watched.send(&wallet("issuer"), watched.escrow, call).await;
    (watched, payer)
}

async fn name(watched: &Watched, settler: Address) {
    let call = Escrow::nameSettlerCall { settler };
    watched.send(&wallet("issuer"), watched.escrow, call).await;
}

/// What a book of the balance sheet holds.
fn holds(report: &Report, book: &str) -> u128 {
    let found = report.books.iter().find(|each| each.book == book);
    let found = found.unwrap_or_else(|| panic!("no book {book}"));
    found.credits.base() - found.debits.base()
}

#[tokio::test(flavor = "multi_thread")]
async fn credit_pays_first_and_what_is_not_spent_of_it_is_credit_again() {
    let (watched, payer) = credited().await;
    assert_eq!(watched.held(wallet("issuer").address()).await, 0, "one unit for each");
    assert_eq!(watched.held(watched.escrow).await, 25 * RNDR);
    assert_eq!(watched.balances(payer.address()).await, (20 * RNDR, 5 * RNDR));
    let deal = Deal::new(&watched, &payer, 1).await;
    name(&watched, deal.order.settler).await;
    deal.open(&watched).await;
    assert_eq!(watched.balances(payer.address()).await, (5 * RNDR, 0));
    assert_eq!(watched.job(deal.job_id).await.credit_share.base(), 5 * RNDR);
    // A top-up takes free money, and credit of somebody else's would not help it.
    deal.top_up(&watched, 2 * RNDR).await;
    deal.release(&watched, &[deal.work(&[0, 1], 1, false)]).await;
    let report = watched.audited().await;
    assert_eq!(holds(&report, &format!("job:{}", deal.job_id)), 21 * RNDR);
    assert_eq!((report.liabilities, report.token_balance), same(25 * RNDR));

    // 1 of the credit was paid: 4 return as credit, the other 17 as free money.
    watched.send(&payer, watched.escrow, deal.agreed_close_call()).await;
    assert_eq!(watched.balances(payer.address()).await, (20 * RNDR, 4 * RNDR));
    let job = watched.job(deal.job_id).await;
    assert_eq!((job.funded.base(), job.released.base()), (RNDR, RNDR));
    let (free, credit) = (|whole: u128| Some(whole * RNDR), |whole: u128| Some(whole * RNDR));
    let statement = [
        ("Deposited", free(20), None),
        ("CreditIssued", None, credit(5)),
        ("Opened", free(5), credit(0)),
        ("ToppedUp", free(3), None),
        ("CreditReturned", None, credit(4)),
        ("Returned", free(20), None),
    ];
    assert_eq!(watched.statement(payer.address()).await, statement);
    watched.api_agrees(payer.address()).await;

    // Its owner cannot cash it: all that can leave is the free money, to the base unit.
    let withdraw = |amount: u128| Escrow::withdrawCall {
        amount: Amount::from_base(amount).unwrap().into(),
        to: payer.address(),
    };
    let error = |_| Escrow::RenderEscrow_FreeTooLow {
        account: payer.address(),
        needed: U256::from(20 * RNDR + 1),
        free: U256::from(20 * RNDR),
    };
    watched.refuses(&payer, withdraw(20 * RNDR + 1), error).await;
    watched.send(&payer, watched.escrow, withdraw(20 * RNDR)).await;
    // The node's pay is money like any other.
    let node = watched.funded("node", 0).await;
    let pay = RNDR * 93 / 100;
    let amount = Amount::from_base(pay).unwrap().into();
    let call = Escrow::withdrawCall { amount, to: node.address() };
    watched.send(&node, watched.escrow, call).await;
    assert_eq!(watched.held(node.address()).await, pay);
    let report = watched.audited().await;
    assert_eq!(holds(&report, &format!("credit:{}", payer.address())), 4 * RNDR);
    assert_eq!((report.liabilities, report.token_balance), same(4 * RNDR + RNDR * 7 / 100));
    watched.end().await;
}

fn same(base: u128) -> (Amount, Amount) {
    let amount = Amount::from_base(base).unwrap();
    (amount, amount)
}

#[tokio::test(flavor = "multi_thread")]
async fn credit_is_spent_by_its_owner_with_the_settler_that_the_issuer_named_last() {
    let (watched, payer) = credited().await;
    let issuer = wallet("issuer");
    // Nobody is named yet: 20 of free money, and no credit with it, are less than 21.
    let cap = |base: u128| {
        move |order: &mut contracts::Order| {
            order.cap = Amount::from_base(base).unwrap();
        }
    };
    let dear = Deal::new(&watched, &payer, 1).await.with(cap(20 * RNDR + 1));
    let error = |_| Escrow::RenderEscrow_FreeTooLow {
        account: payer.address(),
        needed: U256::from(20 * RNDR + 1),
        free: U256::from(20 * RNDR),
    };
    watched.refuses(&payer, dear.open_for_call(&payer), error).await;
    let own = wallet("own settler").address();
    name(&watched, own).await;
    watched.refuses(&payer, dear.open_for_call(&payer), error).await;
    // With a settler of its own a holder would pay its own node and withdraw.
    let call = Escrow::nameSettlerCall { settler: dear.order.settler };
    let error = |_| Escrow::RenderEscrow_CallerRefused {
        caller: payer.address(),
        wanted: issuer.address(),
        orWanted: Address::ZERO,
    };
    watched.refuses(&payer, call.clone(), error).await;
    let plain = Deal::new(&watched, &payer, 2).await.with(cap(3 * RNDR));
    plain.open(&watched).await;
    assert_eq!(watched.balances(payer.address()).await, (17 * RNDR, 5 * RNDR));

    watched.send(&issuer, watched.escrow, call).await;
    assert_eq!(watched.offices().await.unwrap().credit_settler, dear.order.settler);
    // Somebody else pays for the payer's job with money of its own.
    let friend = watched.funded("friend", 10 * RNDR).await;
    watched.deposit(&friend, 10 * RNDR).await;
    let gift = Deal::new(&watched, &payer, 3).await.with(cap(4 * RNDR));
    watched.send(&friend, watched.escrow, gift.open_call()).await;
    assert_eq!(watched.balances(payer.address()).await, (17 * RNDR, 5 * RNDR));
    assert_eq!(watched.balances(friend.address()).await, (6 * RNDR, 0));
    // A job that costs less than the credit takes nothing else, and all of it comes back.
    let small = Deal::new(&watched, &payer, 4).await.with(cap(2 * RNDR));
    watched.send(&friend, watched.escrow, small.open_for_call(&payer)).await;
    assert_eq!(watched.balances(payer.address()).await, (17 * RNDR, 3 * RNDR));
    // Named off, open jobs keep what they took, and what returns of it is credit still.
    name(&watched, Address::ZERO).await;
    watched.send(&friend, watched.escrow, small.agreed_close_call()).await;
    watched.send(&friend, watched.escrow, gift.agreed_close_call()).await;
    assert_eq!(watched.balances(payer.address()).await, (21 * RNDR, 5 * RNDR));
    let next = Deal::new(&watched, &payer, 5).await.with(cap(2 * RNDR));
    next.open(&watched).await;
    assert_eq!(watched.balances(payer.address()).await, (19 * RNDR, 5 * RNDR));
    assert_eq!(watched.offices().await.unwrap().seq, 3);
    watched.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn credit_of_a_pending_lot_returns_when_the_lot_ends_in_a_closed_job() {
    let (watched, payer) = credited().await;
    let deal = Deal::new(&watched, &payer, 1).await;
    name(&watched, deal.order.settler).await;
    deal.open(&watched).await;
    // 4 of the 5 of credit are reserved when both sides end the job.
    let work = [deal.work(&[0, 1, 2, 3, 4, 5, 6, 7], 1, true)];
    deal.commit(&watched, &work, false).await;
    watched.send(&payer, watched.escrow, deal.agreed_close_call()).await;
    assert_eq!(watched.balances(payer.address()).await, (20 * RNDR, RNDR));
    assert_eq!(watched.money(&deal).await, (4 * RNDR, 0, 4 * RNDR));
    // Two of its units are rejected: 1 more is credit at once; the rest is paid.
    deal.reject(&watched, &work[0], U256::from(0b11)).await;
    assert_eq!(watched.balances(payer.address()).await, (20 * RNDR, 2 * RNDR));
    watched.anvil.pass(600).await;
    deal.settle(&watched, &work).await;
    assert_eq!(watched.money(&deal).await, (3 * RNDR, 3 * RNDR, 0));
    assert_eq!(watched.free(deal.node).await, 3 * RNDR * 93 / 100);
    assert_eq!(watched.balances(payer.address()).await, (20 * RNDR, 2 * RNDR));
    watched.end().await;
}
