//! Ways in by signature and by plain transfer, each bound to one account and one order.

use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::SolError;
use contracts::funding::{self, NO_JOB, PERMIT2, Payload, Purpose, vault_address};
use contracts::{Amount, Funding, RenderEscrow as Escrow};

use crate::world::deals::Deal;
use crate::world::watched::Watched;
use crate::world::ways::{DOLLAR, Permit2Like, UsdcLike};
use crate::world::{World, hash_of, signed, wallet};

const DAY: u64 = 86_400;

/// A payer with 100 dollars in its wallet, the ways in, and whoever relays.
struct Bank {
    watched: Watched,
    ways: Address,
    payer: PrivateKeySigner,
    relayer: PrivateKeySigner,
    /// When what is signed here runs out.
    until: u64,
}

fn dollars(whole: u128) -> Amount {
    Amount::from_base(whole * DOLLAR).unwrap()
}

impl Bank {
    async fn new() -> Self {
        let watched = Watched::over(World::of_dollars().await).await;
        let ways = watched.ways_in().await;
        let payer = watched.funded("payer", 100 * DOLLAR).await;
        let relayer = watched.funded("relayer", 0).await;
        let until = watched.anvil.now().await + DAY;
        Self { watched, ways, payer, relayer, until }
    }

    fn purpose(&self, account: Address, whole: u128) -> Purpose {
        Purpose { funding: self.ways, account, job_id: NO_JOB, amount: dollars(whole) }
    }

    /// The payer's EIP-3009 signature.
    fn authorized(&self, purpose: &Purpose, salt: B256) -> Bytes {
        let act = purpose.authorization(self.payer.address(), 0, self.until, salt);
        signed(&self.payer, &act, &self.watched.dollar_domain())
    }

    /// The payer's Permit2 signature.
    fn permitted(&self, purpose: &Purpose, nonce: u64) -> Bytes {
        let act = purpose.permit2(self.watched.token, U256::from(nonce), self.until);
        signed(&self.payer, &act, &self.watched.permit2_domain())
    }

    /// Permit2 may take the payer's dollars, as its users allow it once.
    async fn allow_permit2(&self) {
        let allow = UsdcLike::approveCall { spender: PERMIT2, value: U256::MAX };
        self.watched.send(&self.payer, self.watched.token, allow).await;
    }

    async fn pay(&self, to: Address, base: u128) {
        let pay = UsdcLike::transferCall { to, value: U256::from(base) };
        self.watched.send(&self.payer, self.watched.token, pay).await;
    }

    async fn sent<C: alloy::sol_types::SolCall>(&self, from: &PrivateKeySigner, call: C) {
        self.watched.send(from, self.ways, call).await;
    }

    async fn refuses<C: alloy::sol_types::SolCall, E: SolError>(
        &self,
        from: &PrivateKeySigner,
        call: C,
        error: impl FnOnce(u64) -> E,
    ) {
        self.watched.refuses_at(self.ways, from, call, error).await;
    }

    async fn free(&self, of: Address) -> u128 {
        self.watched.free(of).await
    }

    /// What is left in the payer's wallet, in base units.
    async fn left(&self) -> u128 {
        self.watched.held(self.payer.address()).await
    }

    async fn end(self) {
        assert_eq!(self.watched.held(self.ways).await, 0, "it keeps nothing");
        assert_eq!(self.free(self.ways).await, 0);
        self.watched.end().await;
    }
}

/// An EIP-2612 signature in its three parts.
fn parts(signature: &Bytes) -> (u8, B256, B256) {
    (signature[64], B256::from_slice(&signature[..32]), B256::from_slice(&signature[32..64]))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permit_pays_in_and_one_that_somebody_used_before_fails_no_deposit() {
    let bank = Bank::new().await;
    let (watched, payer) = (&bank.watched, bank.payer.address());
    let domain = watched.dollar_domain();
    let token = UsdcLike::new(watched.token, &watched.anvil.provider);
    assert_eq!(token.DOMAIN_SEPARATOR().call().await.unwrap(), domain.separator());
    let permit = |nonce: u64, whole: u128| {
        let act = funding::permit(bank.ways, payer, dollars(whole), U256::from(nonce), bank.until);
        parts(&signed(&bank.payer, &act, &domain))
    };
    let deadline = U256::from(bank.until);
    let deposit = |account, whole: u128, (v, r, s)| Funding::depositWithPermitCall {
        account,
        amount: dollars(whole).into(),
        deadline,
        v,
        r,
        s,
    };
    bank.sent(&bank.payer, deposit(payer, 10, permit(0, 10))).await;
    assert_eq!((bank.free(payer).await, bank.left().await), (10 * DOLLAR, 90 * DOLLAR));
    // Whoever saw the next one in the pool uses it first: the allowance is there all the same.
    let (v, r, s) = permit(1, 20);
    let (value, spender) = (dollars(20).to_u256(), bank.ways);
    let early = UsdcLike::permitCall { owner: payer, spender, value, deadline, v, r, s };
    watched.send(&bank.relayer, watched.token, early).await;
    // It moves nothing for them: the tokens are always the caller's own.
    let none = |from| {
        move |_| Funding::Funding_PullFailed {
            from,
            amount: dollars(20).to_u256(),
            balance: U256::ZERO,
            allowance: U256::ZERO,
        }
    };
    let stolen = deposit(bank.relayer.address(), 20, (v, r, s));
    bank.refuses(&bank.relayer, stolen, none(bank.relayer.address())).await;
    bank.sent(&bank.payer, deposit(payer, 20, (v, r, s))).await;
    assert_eq!((bank.free(payer).await, bank.left().await), (30 * DOLLAR, 70 * DOLLAR));
    // Neither a permit that is good, nor an allowance: said with its figures.
    let refused = |_| Funding::Funding_PullFailed {
        from: payer,
        amount: dollars(5).to_u256(),
        balance: dollars(70).to_u256(),
        allowance: U256::ZERO,
    };
    bank.refuses(&bank.payer, deposit(payer, 5, permit(7, 5)), refused).await;
    // For somebody else's account, by the payer's own call.
    let friend = wallet("friend").address();
    bank.sent(&bank.payer, deposit(friend, 5, permit(2, 5))).await;
    assert_eq!((bank.free(friend).await, bank.left().await), (5 * DOLLAR, 65 * DOLLAR));
    let line = |whole: u128| ("Deposited", Some(whole * DOLLAR), None);
    assert_eq!(watched.statement(payer).await, [line(10), line(30)]);
    bank.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authorization_pays_in_for_its_account_once_whoever_relays_it() {
    let bank = Bank::new().await;
    let (payer, friend) = (bank.payer.address(), wallet("friend").address());
    let (salt, purpose) = (hash_of(1), bank.purpose(friend, 10));
    let call = Funding::depositWithAuthorizationCall {
        from: payer,
        account: friend,
        amount: dollars(10).into(),
        validAfter: U256::ZERO,
        validBefore: U256::from(bank.until),
        salt,
        signature: bank.authorized(&purpose, salt),
    };
    // To the relayer's own account, or more of it: another nonce, another value, no signature.
    let account = bank.relayer.address();
    let redirected = Funding::depositWithAuthorizationCall { account, ..call.clone() };
    let unsigned = |_| UsdcLike::ERC3009InvalidSignature {};
    bank.refuses(&bank.relayer, redirected, unsigned).await;
    let amount = dollars(11).into();
    let raised = Funding::depositWithAuthorizationCall { amount, ..call.clone() };
    bank.refuses(&bank.relayer, raised, unsigned).await;
    bank.sent(&bank.relayer, call.clone()).await;
    assert_eq!((bank.free(friend).await, bank.left().await), (10 * DOLLAR, 90 * DOLLAR));
    let nonce = funding::authorization_nonce(friend, NO_JOB, salt);
    let used = |_| UsdcLike::ERC3009UsedAuthorization { authorizer: payer, nonce };
    bank.refuses(&bank.relayer, call, used).await;
    assert_eq!((bank.free(friend).await, bank.free(payer).await), (10 * DOLLAR, 0));
    bank.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn permit2_pays_in_for_its_account_once_whoever_relays_it() {
    let bank = Bank::new().await;
    bank.allow_permit2().await;
    let (payer, nonce) = (bank.payer.address(), 0x1234);
    let call = Funding::depositWithPermit2Call {
        from: payer,
        account: payer,
        amount: dollars(10).into(),
        nonce: U256::from(nonce),
        deadline: U256::from(bank.until),
        signature: bank.permitted(&bank.purpose(payer, 10), nonce),
    };
    let account = bank.relayer.address();
    let redirected = Funding::depositWithPermit2Call { account, ..call.clone() };
    bank.refuses(&bank.relayer, redirected, |_| Permit2Like::InvalidSigner {}).await;
    bank.sent(&bank.relayer, call.clone()).await;
    assert_eq!((bank.free(payer).await, bank.left().await), (10 * DOLLAR, 90 * DOLLAR));
    bank.refuses(&bank.relayer, call, |_| Permit2Like::InvalidNonce {}).await;
    assert_eq!((bank.free(payer).await, bank.left().await), (10 * DOLLAR, 90 * DOLLAR));
    bank.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_signature_pays_for_one_order_and_is_the_consent_to_it() {
    let bank = Bank::new().await;
    bank.allow_permit2().await;
    let (watched, payer) = (&bank.watched, bank.payer.address());
    let (first, second) =
        (Deal::new(watched, &bank.payer, 1).await, Deal::new(watched, &bank.payer, 2).await);
    let open = |deal: &Deal, payload: &Payload| Funding::openWithCall {
        order: funding::order_to_sol(&deal.order),
        payload: payload.encode(),
    };
    let of = |deal: &Deal| Purpose::of_order(bank.ways, &deal.order, deal.job_id);
    let authorization = Payload::Authorization {
        valid_after: U256::ZERO,
        valid_before: U256::from(bank.until),
        salt: hash_of(9),
        signature: bank.authorized(&of(&first), hash_of(9)),
    };
    // The same money for other terms of the same payer is another nonce.
    let unsigned = |_| UsdcLike::ERC3009InvalidSignature {};
    bank.refuses(&bank.relayer, open(&second, &authorization), unsigned).await;
    bank.sent(&bank.relayer, open(&first, &authorization)).await;
    let permit2 = Payload::Permit2 {
        nonce: U256::from(5),
        deadline: U256::from(bank.until),
        signature: bank.permitted(&of(&second), 5),
    };
    let third = Deal::new(watched, &bank.payer, 3).await;
    let error = |_| Permit2Like::InvalidSigner {};
    bank.refuses(&bank.relayer, open(&third, &permit2), error).await;
    bank.sent(&bank.relayer, open(&second, &permit2)).await;
    let known = |_| UsdcLike::ERC3009UsedAuthorization {
        authorizer: payer,
        nonce: funding::authorization_nonce(payer, first.job_id, hash_of(9)),
    };
    bank.refuses(&bank.relayer, open(&first, &authorization), known).await;
    let order = funding::order_to_sol(&third.order);
    let empty = Funding::openWithCall { order, payload: Bytes::new() };
    let error = |_| Funding::Funding_PayloadUnknown { payload: Bytes::new() };
    bank.refuses(&bank.relayer, empty, error).await;

    // 20 dollars each went from the wallet into the job; what is left of one returns to the payer.
    assert_eq!(bank.left().await, 60 * DOLLAR);
    for deal in [&first, &second] {
        assert_eq!(watched.money(deal).await, (20 * DOLLAR, 0, 0));
    }
    first.release(watched, &[first.work(&[0, 1], 1, false)]).await;
    watched.send(&bank.relayer, watched.escrow, first.agreed_close_call()).await;
    assert_eq!(bank.free(payer).await, 19 * DOLLAR);
    assert_eq!(bank.free(first.node).await, DOLLAR * 93 / 100);
    bank.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_transfer_opens_exactly_its_job_and_what_is_too_much_or_late_goes_back() {
    let bank = Bank::new().await;
    let (watched, relayer) = (&bank.watched, &bank.relayer);
    let home = wallet("home").address();
    let deal = Deal::new(watched, &bank.payer, 1).await.with(|order| order.refund_to = home);
    let vault = vault_address(bank.ways, deal.job_id);
    let order = funding::order_to_sol(&deal.order);
    let contract = Funding::new(bank.ways, &watched.anvil.provider);
    assert_eq!(contract.vaultOf(order.clone()).call().await.unwrap(), vault);
    let open = Funding::openFromVaultCall { order: order.clone() };
    let rescue = Funding::rescueVaultCall { order: order.clone(), token_: watched.token };

    bank.pay(vault, 20 * DOLLAR - 1).await;
    let low = |_| Funding::Funding_VaultTooLow {
        vault,
        cap: dollars(20).to_u256(),
        free: U256::ZERO,
        held: U256::from(20 * DOLLAR - 1),
    };
    bank.refuses(relayer, open.clone(), low).await;
    // Nobody takes it out again while it may still open the job.
    let early = |now: u64| Funding::Funding_TooEarly {
        jobId: deal.job_id,
        from: U256::from(deal.order.open_by),
        now_: U256::from(now),
    };
    bank.refuses(relayer, rescue.clone(), early).await;
    bank.pay(vault, 3 * DOLLAR + 1).await;
    bank.sent(relayer, open.clone()).await;
    assert_eq!(watched.money(&deal).await, (20 * DOLLAR, 0, 0));
    assert_eq!(watched.held(vault).await, 3 * DOLLAR);
    // It opens once: not even the same money again would open it twice.
    let low = |_| Funding::Funding_VaultTooLow {
        vault,
        cap: dollars(20).to_u256(),
        free: U256::ZERO,
        held: dollars(3).to_u256(),
    };
    bank.refuses(relayer, open.clone(), low).await;
    bank.pay(vault, 20 * DOLLAR).await;
    let known = |_| Escrow::RenderEscrow_JobKnown { jobId: deal.job_id, status: 1 };
    bank.refuses(relayer, open, known).await;
    // The rest, and what comes later, by transfer and by deposit.
    bank.pay(vault, 2 * DOLLAR).await;
    watched.deposit_for(&bank.payer, vault, 4 * DOLLAR).await;
    bank.sent(relayer, rescue.clone()).await;
    assert_eq!(watched.held(home).await, 29 * DOLLAR);
    let nothing = |_| Funding::Funding_NothingToRescue { vault, token: watched.token };
    bank.refuses(relayer, rescue, nothing).await;
    let statement = [
        ("Opened", Some(0), Some(0)),
        ("Deposited", Some(4 * DOLLAR), None),
        ("Withdrawn", Some(0), None),
    ];
    assert_eq!(watched.statement(vault).await, statement);
    // What the job does not spend goes the same way, to an account.
    watched.send(relayer, watched.escrow, deal.agreed_close_call()).await;
    assert_eq!(bank.free(home).await, 20 * DOLLAR);
    assert_eq!(bank.left().await, 51 * DOLLAR);
    bank.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn money_of_an_order_that_nobody_opened_or_of_another_token_is_not_lost() {
    let bank = Bank::new().await;
    let (watched, relayer) = (&bank.watched, &bank.relayer);
    let payer = bank.payer.address();
    let deal = Deal::new(watched, &bank.payer, 1).await;
    let vault = vault_address(bank.ways, deal.job_id);
    let order = funding::order_to_sol(&deal.order);
    bank.pay(vault, 30 * DOLLAR).await;
    let elsewhere = watched.other_dollar().await;
    let mint = UsdcLike::mintCall { to: vault, amount: U256::from(7) };
    watched.send(relayer, elsewhere, mint).await;
    // Another token opens nothing, so it goes back at any time.
    let rescue = |token_| Funding::rescueVaultCall { order: order.clone(), token_ };
    bank.sent(relayer, rescue(elsewhere)).await;
    let other = UsdcLike::new(elsewhere, &watched.anvil.provider);
    assert_eq!(other.balanceOf(payer).call().await.unwrap(), U256::from(7));

    let open_by = deal.order.open_by;
    watched.anvil.next_at(open_by - 1).await;
    let early = |now: u64| Funding::Funding_TooEarly {
        jobId: deal.job_id,
        from: U256::from(open_by),
        now_: U256::from(now),
    };
    bank.refuses(relayer, rescue(watched.token), early).await;
    watched.anvil.next_at(open_by).await;
    let late = |now: u64| Escrow::RenderEscrow_DeadlinePassed {
        jobId: deal.job_id,
        deadline: U256::from(open_by),
        now_: U256::from(now),
    };
    bank.refuses(relayer, Funding::openFromVaultCall { order: order.clone() }, late).await;
    bank.sent(relayer, rescue(watched.token)).await;
    assert_eq!((bank.left().await, watched.held(vault).await), (100 * DOLLAR, 0));
    // Where a payer opened the job itself, its vault's money is free from then on.
    let paid = Deal::new(watched, &bank.payer, 2).await;
    let vault = vault_address(bank.ways, paid.job_id);
    bank.pay(vault, 20 * DOLLAR).await;
    watched.deposit(&bank.payer, 20 * DOLLAR).await;
    paid.open(watched).await;
    let order = funding::order_to_sol(&paid.order);
    bank.sent(relayer, Funding::rescueVaultCall { order, token_: watched.token }).await;
    assert_eq!((bank.left().await, watched.held(vault).await), (80 * DOLLAR, 0));
    assert_eq!(watched.money(&paid).await, (20 * DOLLAR, 0, 0));
    bank.end().await;
}
