//! Orders, lots and signatures made by hand, to drive the escrow without any service.

use alloy::primitives::aliases::U40;
use alloy::primitives::{Address, B256, Bytes, U256, keccak256};
use alloy::rpc::types::TransactionReceipt;
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::{Eip712Domain, SolStruct};
use contracts::{Amount, JobId, Lot, Order, Payout, RenderEscrow, order, signing, units};

use super::{World, hash_of, signed, wallet};

/// One job driven by its payer, settler and node themselves.
pub struct Deal {
    pub payer: PrivateKeySigner,
    pub settler: PrivateKeySigner,
    pub node: Address,
    pub order: Order,
    pub job_id: JobId,
    /// One whole token in base units.
    pub coin: u128,
    domain: Eip712Domain,
}

/// A lot and the key that opens its files; zero when it is not sealed.
#[derive(Clone)]
pub struct Work {
    pub lot: Lot,
    pub key: B256,
}

impl Deal {
    /// Terms of a job of 16 units at up to 1 coin, cap 20, 5 % fee, 2 % burn; `salt` makes it
    /// another job. The settler has gas money.
    pub async fn new(world: &World, payer: &PrivateKeySigner, salt: u64) -> Self {
        let settler = world.funded("settler", 0).await;
        let now = world.anvil.now().await;
        let order = Order {
            payer: payer.address(),
            refund_to: payer.address(),
            approver: Address::ZERO,
            settler: settler.address(),
            fee_receiver: wallet("fee").address(),
            cap: Amount::from_base(20 * world.coin).unwrap(),
            max_unit_price: Amount::from_base(world.coin).unwrap(),
            units: 16,
            open_by: now + 3_600,
            work_deadline: now + 7 * 86_400,
            review_seconds: 600,
            claim_grace: 3_600,
            fee_bps: 500,
            burn_bps: 200,
            spec_hash: hash_of(salt),
            quote_hash: hash_of(salt),
            salt: hash_of(salt),
        };
        let domain = order::domain(world.anvil.chain_id, world.escrow);
        let job_id = order::job_id(&order, &domain);
        let node = wallet("node").address();
        Self { payer: payer.clone(), settler, node, order, job_id, coin: world.coin, domain }
    }

    /// The same with changed terms: another job.
    pub fn with(mut self, change: impl FnOnce(&mut Order)) -> Self {
        change(&mut self.order);
        self.job_id = order::job_id(&self.order, &self.domain);
        self
    }

    /// A job of calls, which are paid by vouchers; else the same terms.
    pub async fn of_calls(world: &World, payer: &PrivateKeySigner, salt: u64) -> Self {
        Self::new(world, payer, salt).await.with(|order| {
            (order.units, order.max_unit_price) = (0, Amount::ZERO);
        })
    }

    /// `agent` may open jobs with this settler: 30 coins in all, 25 each, for a day from `now`.
    pub fn delegate_call(&self, agent: Address, now: u64) -> RenderEscrow::setDelegateCall {
        RenderEscrow::setDelegateCall {
            agent,
            settler: self.order.settler,
            allowance: Amount::from_base(30 * self.coin).unwrap().into(),
            maxPerJob: Amount::from_base(25 * self.coin).unwrap().into(),
            expiry: U40::from(now + 86_400),
        }
    }

    /// From the payer's account, by the signature of `by`.
    pub fn open_for_call(&self, by: &PrivateKeySigner) -> RenderEscrow::openForCall {
        RenderEscrow::openForCall {
            order: self.order.to_sol(),
            signer: by.address(),
            signature: by.sign_hash_sync(&self.job_id).unwrap().as_bytes().to_vec().into(),
        }
    }

    /// `cumulative` in all, what it adds split as `payouts`; signed by payer and settler.
    pub fn redeem_call(&self, cumulative: u128, payouts: &[Payout]) -> RenderEscrow::redeemCall {
        let total = Amount::from_base(cumulative).unwrap();
        RenderEscrow::redeemCall {
            order: self.order.to_sol(),
            cumulative: total.into(),
            signature: self.signed(&self.payer, &signing::voucher(self.job_id, total)),
            payouts: payouts.iter().map(Payout::to_sol).collect(),
            consent: self.signed(&self.settler, &signing::redemption(self.job_id, total, payouts)),
        }
    }

    /// Before the job's end, by the signatures of payer and settler.
    pub fn agreed_close_call(&self) -> RenderEscrow::closeCall {
        let act = signing::Close { jobId: self.job_id };
        RenderEscrow::closeCall {
            order: self.order.to_sol(),
            payerSide: self.signed(&self.payer, &act),
            settlerSide: self.signed(&self.settler, &act),
        }
    }

    /// Someone's word in the escrow's domain.
    pub fn signed<S: SolStruct>(&self, by: &PrivateKeySigner, act: &S) -> Bytes {
        signed(by, act, &self.domain)
    }

    /// The payer's consent to lots.
    pub fn approval(&self, lots: &[Lot]) -> Bytes {
        self.signed(&self.payer, &signing::approval(self.job_id, lots))
    }

    /// The settler's consent to lots, for whoever sends them.
    pub fn acceptance(&self, lots: &[Lot]) -> Bytes {
        self.signed(&self.settler, &signing::acceptance(self.job_id, lots))
    }

    /// Units of one node, at half a coin each; `number` makes the lot another one.
    pub fn work(&self, units_: &[u32], number: u64, sealed: bool) -> Work {
        let (word, mask) = units::word_and_mask(units_).unwrap();
        let key = if sealed { hash_of(number) } else { B256::ZERO };
        let lot = Lot {
            node: self.node,
            word,
            mask,
            unit_price: Amount::from_base(self.coin / 2).unwrap(),
            receipts_root: hash_of(number),
            key_commit: if sealed { keccak256(key) } else { B256::ZERO },
        };
        Work { lot, key }
    }

    pub fn lot_hash(&self, lot: &Lot) -> B256 {
        order::lot_hash(self.job_id, lot)
    }

    pub fn open_call(&self) -> RenderEscrow::openCall {
        RenderEscrow::openCall { order: self.order.to_sol() }
    }

    pub async fn open(&self, world: &World) -> TransactionReceipt {
        world.send(&self.payer, world.escrow, self.open_call()).await
    }

    /// By the settler, with the payer's approval or without one.
    pub fn commit_call(&self, work: &[Work], approved: bool) -> RenderEscrow::commitCall {
        let lots: Vec<Lot> = work.iter().map(|work| work.lot.clone()).collect();
        RenderEscrow::commitCall {
            order: self.order.to_sol(),
            lots: lots.iter().map(Lot::to_sol).collect(),
            acceptance: Bytes::new(),
            approval: if approved { self.approval(&lots) } else { Bytes::new() },
        }
    }

    pub async fn commit(&self, world: &World, work: &[Work], approved: bool) {
        world.send(&self.settler, world.escrow, self.commit_call(work, approved)).await;
    }

    pub fn settle_call(&self, work: &[Work]) -> RenderEscrow::settleCall {
        RenderEscrow::settleCall {
            order: self.order.to_sol(),
            lots: work.iter().map(|work| work.lot.to_sol()).collect(),
            keys: work.iter().map(|work| work.key).collect(),
        }
    }

    pub async fn settle(&self, world: &World, work: &[Work]) {
        world.send(&self.settler, world.escrow, self.settle_call(work)).await;
    }

    /// By the settler, with the payer's approval.
    pub fn release_call(&self, work: &[Work]) -> RenderEscrow::releaseCall {
        let lots: Vec<Lot> = work.iter().map(|work| work.lot.clone()).collect();
        RenderEscrow::releaseCall {
            order: self.order.to_sol(),
            lots: lots.iter().map(Lot::to_sol).collect(),
            acceptance: Bytes::new(),
            approval: self.approval(&lots),
        }
    }

    pub async fn release(&self, world: &World, work: &[Work]) {
        world.send(&self.settler, world.escrow, self.release_call(work)).await;
    }

    /// By the payer's own call.
    pub fn approve_call(&self, work: &[Work]) -> RenderEscrow::approveCall {
        RenderEscrow::approveCall {
            order: self.order.to_sol(),
            lots: work.iter().map(|work| work.lot.to_sol()).collect(),
            approval: Bytes::new(),
        }
    }

    pub async fn approve(&self, world: &World, work: &[Work]) {
        world.send(&self.payer, world.escrow, self.approve_call(work)).await;
    }

    /// By the payer's own call.
    pub fn reject_call(&self, work: &Work, mask: U256) -> RenderEscrow::rejectCall {
        RenderEscrow::rejectCall {
            order: self.order.to_sol(),
            lot: work.lot.to_sol(),
            mask,
            reasonHash: hash_of(404),
            signature: Bytes::new(),
        }
    }

    pub async fn reject(&self, world: &World, work: &Work, mask: U256) {
        world.send(&self.payer, world.escrow, self.reject_call(work, mask)).await;
    }

    pub fn lapse_call(&self, work: &Work) -> RenderEscrow::lapseCall {
        RenderEscrow::lapseCall { order: self.order.to_sol(), lot: work.lot.to_sol() }
    }

    pub async fn lapse(&self, world: &World, work: &Work) {
        world.send(&self.payer, world.escrow, self.lapse_call(work)).await;
    }

    pub fn top_up_call(&self, amount: u128) -> RenderEscrow::topUpCall {
        let amount = Amount::from_base(amount).unwrap().into();
        RenderEscrow::topUpCall { jobId: self.job_id, amount }
    }

    pub async fn top_up(&self, world: &World, amount: u128) {
        world.send(&self.payer, world.escrow, self.top_up_call(amount)).await;
    }

    /// By the payer's own call.
    pub fn request_close_call(&self) -> RenderEscrow::requestCloseCall {
        RenderEscrow::requestCloseCall { order: self.order.to_sol(), signature: Bytes::new() }
    }

    pub async fn request_close(&self, world: &World) {
        world.send(&self.payer, world.escrow, self.request_close_call()).await;
    }

    /// When it is due: nobody's word is needed.
    pub fn close_call(&self) -> RenderEscrow::closeCall {
        let (order, none) = (self.order.to_sol(), Bytes::new());
        RenderEscrow::closeCall { order, payerSide: none.clone(), settlerSide: none }
    }

    pub async fn close(&self, world: &World) {
        world.send(&self.payer, world.escrow, self.close_call()).await;
    }
}
