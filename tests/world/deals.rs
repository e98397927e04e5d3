//! Orders, lots and signatures made by hand, to drive the escrow without any service.

use alloy::primitives::aliases::U40;
use alloy::primitives::{Address, B256, Bytes, U256, keccak256};
use alloy::rpc::types::TransactionReceipt;
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::{Eip712Domain, SolStruct};
use contracts::{Amount, JobId, Lot, Order, Payout, RenderEscrow, order, signing, units};

use super::{RNDR, World, hash_of, wallet};

/// One job driven by its payer, settler and node themselves.
pub struct Deal {
    pub payer: PrivateKeySigner,
    pub settler: PrivateKeySigner,
    pub node: Address,
    pub order: Order,
    pub job_id: JobId,
    domain: Eip712Domain,
}

/// A lot and the key that opens its files; zero when it is not sealed.
#[derive(Clone)]
pub struct Work {
    pub lot: Lot,
    pub key: B256,
}

impl Deal {
    /// Terms of a job of 16 units at up to 1 RNDR, 5 % fee, 2 % burn; `salt` makes it another
    /// job. The settler has gas money.
    pub async fn new(world: &World, payer: &PrivateKeySigner, salt: u64) -> Self {
        let settler = world.funded("settler", 0).await;
        let now = world.anvil.now().await;
        let order = Order {
            payer: payer.address(),
            refund_to: payer.address(),
            approver: Address::ZERO,
            settler: settler.address(),
            fee_receiver: wallet("fee").address(),
            cap: Amount::from_base(20 * RNDR).unwrap(),
            max_unit_price: Amount::from_base(RNDR).unwrap(),
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
        Self { payer: payer.clone(), settler, node, order, job_id, domain }
    }

    /// A job of calls, which are paid by vouchers; else the same terms.
    pub async fn of_calls(world: &World, payer: &PrivateKeySigner, salt: u64) -> Self {
        let deal = Self::new(world, payer, salt).await;
        let order = Order { units: 0, max_unit_price: Amount::ZERO, ..deal.order };
        let job_id = order::job_id(&order, &deal.domain);
        Self { order, job_id, ..deal }
    }

    /// `agent` may open jobs with this settler: 30 RNDR in all, 25 each, for a day from `now`.
    pub fn delegate_call(&self, agent: Address, now: u64) -> RenderEscrow::setDelegateCall {
        RenderEscrow::setDelegateCall {
            agent,
            settler: self.order.settler,
            allowance: Amount::from_base(30 * RNDR).unwrap().into(),
            maxPerJob: Amount::from_base(25 * RNDR).unwrap().into(),
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

    fn signed<S: SolStruct>(&self, by: &PrivateKeySigner, act: &S) -> Bytes {
        let digest = signing::signing_hash(act, &self.domain);
        by.sign_hash_sync(&digest).unwrap().as_bytes().to_vec().into()
    }

    /// The payer's consent to lots.
    pub fn approval(&self, lots: &[Lot]) -> Bytes {
        self.signed(&self.payer, &signing::approval(self.job_id, lots))
    }

    /// Units of one node; `number` makes the lot another one.
    pub fn work(&self, units_: &[u32], number: u64, sealed: bool) -> Work {
        let (word, mask) = units::word_and_mask(units_).unwrap();
        let key = if sealed { hash_of(number) } else { B256::ZERO };
        let lot = Lot {
            node: self.node,
            word,
            mask,
            unit_price: Amount::from_base(RNDR / 2).unwrap(),
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

    pub async fn release(&self, world: &World, work: &[Work]) {
        let lots: Vec<Lot> = work.iter().map(|work| work.lot.clone()).collect();
        let call = RenderEscrow::releaseCall {
            order: self.order.to_sol(),
            lots: lots.iter().map(Lot::to_sol).collect(),
            acceptance: Bytes::new(),
            approval: self.approval(&lots),
        };
        world.send(&self.settler, world.escrow, call).await;
    }

    /// By the payer's own call.
    pub async fn approve(&self, world: &World, work: &[Work]) {
        let call = RenderEscrow::approveCall {
            order: self.order.to_sol(),
            lots: work.iter().map(|work| work.lot.to_sol()).collect(),
            approval: Bytes::new(),
        };
        world.send(&self.payer, world.escrow, call).await;
    }

    /// By the payer's own call.
    pub async fn reject(&self, world: &World, work: &Work, mask: U256) {
        let call = RenderEscrow::rejectCall {
            order: self.order.to_sol(),
            lot: work.lot.to_sol(),
            mask,
            reasonHash: hash_of(404),
            signature: Bytes::new(),
        };
        world.send(&self.payer, world.escrow, call).await;
    }

    pub async fn lapse(&self, world: &World, work: &Work) {
        let (order, lot) = (self.order.to_sol(), work.lot.to_sol());
        world.send(&self.payer, world.escrow, RenderEscrow::lapseCall { order, lot }).await;
    }

    pub async fn top_up(&self, world: &World, rndr: u128) {
        let amount = Amount::from_base(rndr).unwrap().into();
        let call = RenderEscrow::topUpCall { jobId: self.job_id, amount };
        world.send(&self.payer, world.escrow, call).await;
    }

    pub async fn request_close(&self, world: &World) {
        let (order, signature) = (self.order.to_sol(), Bytes::new());
        let call = RenderEscrow::requestCloseCall { order, signature };
        world.send(&self.payer, world.escrow, call).await;
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
