//! Holds the gas key: stores, signs, sends, replaces and re-sends what `tx.rs` says.

use std::collections::BTreeSet;

use alloy::consensus::{SignableTransaction, Transaction, TxEip1559, TxEnvelope};
use alloy::eips::eip2718::{Decodable2718, Encodable2718};
use alloy::network::TxSignerSync;
use alloy::primitives::{Address, B256, TxKind, U256};
use alloy::signers::local::PrivateKeySigner;
use store::{Intent, IntentState, SentTx, Store};

use crate::calls::effect;
use crate::chain::{Chain, ChainError, Simulated};
use crate::sender::pace::Pace;
use crate::tx::{self, Fees, Mined, Seen, Step};

pub mod pace;

/// Signed transactions whose outcome is open at once: pools drop more from one sender.
const MAX_IN_FLIGHT: usize = 16;
#[derive(Debug, thiserror::Error)]
pub enum SenderError {
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error("signing failed: {0}")]
    Signing(#[from] alloy::signers::Error),
    #[error("stored bytes of {0} are no transaction; the database row was altered")]
    Altered(B256),
}

impl SenderError {
    /// Passes by itself: a chain server that does not answer, a locked database.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Chain(_) => true,
            Self::Store(error) => error.is_transient(),
            Self::Signing(_) | Self::Altered(_) => false,
        }
    }
}

/// A key that only sends and holds gas money.
pub type GasKey = PrivateKeySigner;

pub struct Sender {
    pub store: Store,
    pub chain: Chain,
    pub key: GasKey,
    pub escrow: Address,
    pub chain_id: u64,
    pub confirmations: u64,
    /// Highest fee for one unit of gas, in wei.
    pub fee_cap: u128,
    pace: Pace,
}

/// The chain at one moment.
struct View {
    head: u64,
    tip: u64,
    nonce: u64,
    nonce_deep: u64,
    market: Fees,
    base_fee: u128,
    balance: U256,
    now: i64,
}

impl Sender {
    pub fn new(
        store: Store,
        chain: Chain,
        key: GasKey,
        (escrow, chain_id): (Address, u64),
        confirmations: u64,
        fee_cap: u128,
    ) -> Self {
        let pace = Pace::default();
        Self { store, chain, key, escrow, chain_id, confirmations, fee_cap, pace }
    }

    /// One step for everything in the outbox: first what is signed, then what is wanted. What
    /// fails for one intent is logged and leaves the others alone.
    pub async fn round(&mut self, wanted: &[Intent], now: i64) -> Result<(), SenderError> {
        let reader = self.store.reader();
        let unknown = reader.intents(&[IntentState::Unknown]).await?;
        let open = reader.intents(&[IntentState::Waiting, IntentState::Parked]).await?;
        if unknown.is_empty() && open.is_empty() {
            return Ok(());
        }
        let view = self.look(now).await?;
        let mut signed = Vec::new();
        let mut taken = BTreeSet::new();
        for intent in unknown {
            let txs = reader.transactions_of(intent.intent_id).await?;
            taken.extend(txs.iter().map(|tx| tx.nonce).filter(|nonce| *nonce >= view.nonce));
            signed.push((intent, txs));
        }
        for (intent, txs) in &signed {
            let done = self.advance(intent, txs, &view, &mut taken).await;
            self.log(intent, done)?;
        }
        for intent in &open {
            let is_wanted = wanted.iter().any(|w| w.intent_id == intent.intent_id);
            let done = self.begin(intent, is_wanted, &view, &mut taken).await;
            self.log(intent, done)?;
        }
        Ok(())
    }

    fn log(&self, intent: &Intent, done: Result<(), SenderError>) -> Result<(), SenderError> {
        match done {
            Err(SenderError::Store(error)) => Err(error.into()),
            Err(error) => {
                let action = intent.action.as_str();
                tracing::warn!(job_id = %intent.job_id, action, %error, "intent waits");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    async fn look(&self, now: i64) -> Result<View, SenderError> {
        let tip = self.store.reader().tip().await?.map_or(0, |tip| tip.number);
        let head = self.chain.head().await?;
        let address = self.key.address();
        let deep = head.number.saturating_sub(self.confirmations);
        Ok(View {
            head: head.number,
            tip,
            nonce: self.chain.nonce(address, None).await?,
            nonce_deep: self.chain.nonce(address, Some(deep)).await?,
            market: self.chain.market().await?,
            base_fee: head.base_fee,
            balance: self.chain.balance(address).await?,
            now,
        })
    }

    async fn shown(&self, intent: &Intent) -> Result<Option<u64>, SenderError> {
        let reader = self.store.reader();
        let job = reader.job(intent.job_id).await?;
        let lots = reader.job_lots(intent.job_id).await?;
        Ok(effect(intent, job.as_ref(), &lots))
    }

    /// A signed intent: unknown until the index, a receipt or a nonce says more.
    async fn advance(
        &mut self,
        intent: &Intent,
        txs: &[SentTx],
        view: &View,
        taken: &mut BTreeSet<u64>,
    ) -> Result<(), SenderError> {
        let newest = tx::newest(txs);
        let offer = newest.map(decode).transpose()?.map(|tx| fees_of(&tx));
        let used = newest.is_some_and(|newest| newest.nonce < view.nonce);
        let seen = Seen {
            txs,
            effect: self.shown(intent).await?,
            head: view.head,
            tip: view.tip,
            confirmations: self.confirmations,
            nonce: view.nonce,
            nonce_deep: view.nonce_deep,
            mined: if used { self.mined(txs).await? } else { None },
            offer,
            market: view.market,
            base_fee: view.base_fee,
            fee_cap: self.fee_cap,
            now: view.now,
            sent_at: newest.and_then(|tx| self.pace.sent_at(tx.tx_hash)),
        };
        match (tx::next(&seen), newest) {
            (Step::Wait, _) => Ok(()),
            (Step::Done, _) => self.finish(intent, txs).await,
            (Step::Sign, _) => {
                if let Some(newest) = newest {
                    tracing::error!(
                        job_id = %intent.job_id, tx_hash = %newest.tx_hash, nonce = newest.nonce,
                        "the gas key was used elsewhere for this nonce; signing anew"
                    );
                }
                self.sign(intent, view, taken).await
            }
            (Step::Resend, Some(newest)) => self.send(intent, newest, view.now).await,
            (Step::Replace { nonce, fees }, Some(newest)) => {
                self.replace(intent, newest, nonce, fees, view.now).await
            }
            (Step::Reverted, Some(newest)) => {
                let reason = match self.simulate(intent).await? {
                    Simulated::Reverts(reason) => reason.detail,
                    Simulated::Passes => "it would pass now, and is tried again".into(),
                };
                self.park(intent, &format!("{} reverted: {reason}", newest.tx_hash), view.now).await
            }
            (Step::Contradiction, Some(newest)) => {
                let text = format!("{} was mined, but the index shows no effect", newest.tx_hash);
                self.park(intent, &text, view.now).await
            }
            (Step::Resend | Step::Replace { .. } | Step::Reverted | Step::Contradiction, None) => {
                Ok(())
            }
        }
    }

    async fn finish(&mut self, intent: &Intent, txs: &[SentTx]) -> Result<(), SenderError> {
        self.store.work().set_intent(intent.intent_id, IntentState::Done, None).await?;
        self.pace.finished(intent.intent_id, txs.iter().map(|tx| tx.tx_hash));
        let action = intent.action.as_str();
        tracing::info!(job_id = %intent.job_id, subject = %intent.subject, action, "done");
        Ok(())
    }

    /// The block of the first of these hashes found mined; one that succeeded goes first.
    async fn mined(&self, txs: &[SentTx]) -> Result<Option<Mined>, SenderError> {
        let mut reverted = None;
        for tx in txs.iter().rev() {
            match self.chain.mined(tx.tx_hash).await? {
                Some(mined) if mined.succeeded => return Ok(Some(mined)),
                Some(mined) => reverted = reverted.or(Some((tx.nonce, mined))),
                None => {}
            }
        }
        // A revert of an earlier nonce says nothing of the newest one.
        let newest = tx::newest(txs).map(|tx| tx.nonce);
        Ok(reverted.filter(|(nonce, _)| Some(*nonce) == newest).map(|(_, mined)| mined))
    }

    /// An unsigned intent: done by somebody else, or signed when it is wanted and passes.
    async fn begin(
        &mut self,
        intent: &Intent,
        is_wanted: bool,
        view: &View,
        taken: &mut BTreeSet<u64>,
    ) -> Result<(), SenderError> {
        if !self.pace.may_look(intent.intent_id, is_wanted, view.now) {
            return Ok(());
        }
        if let Some(block) = self.shown(intent).await? {
            let deep = block.saturating_add(self.confirmations) <= view.tip;
            return if deep { self.finish(intent, &[]).await } else { Ok(()) };
        }
        let due = self.pace.may_try(intent.intent_id, view.now);
        if !is_wanted || !due || taken.len() >= MAX_IN_FLIGHT {
            return Ok(());
        }
        self.sign(intent, view, taken).await
    }

    async fn simulate(&self, intent: &Intent) -> Result<Simulated, SenderError> {
        let from = self.key.address();
        Ok(self.chain.simulate(from, self.escrow, &intent.calldata).await?)
    }

    /// Simulates, then signs at the lowest free nonce, stores, sends.
    async fn sign(
        &mut self,
        intent: &Intent,
        view: &View,
        taken: &mut BTreeSet<u64>,
    ) -> Result<(), SenderError> {
        if let Simulated::Reverts(reason) = self.simulate(intent).await? {
            return self.park(intent, &reason.detail, view.now).await;
        }
        let from = self.key.address();
        let gas_limit = self.chain.gas(from, self.escrow, &intent.calldata).await?;
        let cost = U256::from(gas_limit).saturating_mul(U256::from(view.market.max_fee));
        if cost > view.balance {
            let text = format!(
                "the gas purse {from} holds {} wei and this needs {cost}; send it gas money",
                view.balance
            );
            return self.hold(intent, &text, view.now).await;
        }
        if view.market.max_fee > self.fee_cap {
            let (ask, cap) = (view.market.max_fee, self.fee_cap);
            let text = format!("gas costs {ask} wei, above the cap of {cap}; it waits for less");
            return self.hold(intent, &text, view.now).await;
        }
        if intent.state == IntentState::Parked {
            self.store.work().set_intent(intent.intent_id, IntentState::Waiting, None).await?;
        }
        let nonce = tx::free_nonce(view.nonce, taken);
        taken.insert(nonce);
        let unsigned = TxEip1559 {
            chain_id: self.chain_id,
            nonce,
            gas_limit,
            max_fee_per_gas: view.market.max_fee,
            max_priority_fee_per_gas: view.market.tip,
            to: TxKind::Call(self.escrow),
            value: U256::ZERO,
            access_list: Default::default(),
            input: intent.calldata.clone(),
        };
        self.store_and_send(intent, unsigned, view.now).await
    }

    async fn replace(
        &mut self,
        intent: &Intent,
        newest: &SentTx,
        nonce: u64,
        fees: Fees,
        now: i64,
    ) -> Result<(), SenderError> {
        let old = decode(newest)?;
        let unsigned = TxEip1559 {
            chain_id: self.chain_id,
            nonce,
            gas_limit: old.gas_limit(),
            max_fee_per_gas: fees.max_fee,
            max_priority_fee_per_gas: fees.tip,
            to: TxKind::Call(self.escrow),
            value: U256::ZERO,
            access_list: Default::default(),
            input: intent.calldata.clone(),
        };
        tracing::warn!(
            job_id = %intent.job_id, tx_hash = %newest.tx_hash, nonce, max_fee = fees.max_fee,
            "transaction is stuck; offering more"
        );
        self.store_and_send(intent, unsigned, now).await
    }

    /// The signed bytes are on disk before the first of them leaves.
    async fn store_and_send(
        &mut self,
        intent: &Intent,
        mut unsigned: TxEip1559,
        now: i64,
    ) -> Result<(), SenderError> {
        let signature = self.key.sign_transaction_sync(&mut unsigned)?;
        let (nonce, max_fee) = (unsigned.nonce, unsigned.max_fee_per_gas);
        let signed = TxEnvelope::from(unsigned.into_signed(signature));
        let sent = SentTx {
            tx_hash: *signed.tx_hash(),
            intent_id: intent.intent_id,
            sender: self.key.address(),
            nonce,
            raw: signed.encoded_2718().into(),
            max_fee,
            signed_at: now,
        };
        self.store.work().put_transaction(&sent).await?;
        let (action, tx_hash) = (intent.action.as_str(), sent.tx_hash);
        tracing::info!(job_id = %intent.job_id, %tx_hash, nonce, action, "signed and stored");
        self.send(intent, &sent, now).await
    }

    /// Whatever the pool answers, the outcome stays unknown: only the chain decides.
    async fn send(&mut self, intent: &Intent, tx: &SentTx, now: i64) -> Result<(), SenderError> {
        self.pace.sent(tx.tx_hash, now);
        if let Err(error) = self.chain.send(&tx.raw).await {
            let (job_id, tx_hash) = (intent.job_id, tx.tx_hash);
            tracing::debug!(%job_id, %tx_hash, %error, "pool did not take it; sent again later");
        }
        Ok(())
    }

    /// Nothing is wrong with it, but it cannot be signed now.
    async fn hold(&mut self, intent: &Intent, problem: &str, now: i64) -> Result<(), SenderError> {
        let wait = self.pace.parked(intent.intent_id, now);
        let (job_id, action) = (intent.job_id, intent.action.as_str());
        tracing::warn!(%job_id, subject = %intent.subject, action, problem, wait, "held back");
        let work = self.store.work();
        work.set_intent(intent.intent_id, IntentState::Waiting, Some(problem)).await?;
        Ok(())
    }

    async fn park(&mut self, intent: &Intent, problem: &str, now: i64) -> Result<(), SenderError> {
        let wait = self.pace.parked(intent.intent_id, now);
        let (job_id, action) = (intent.job_id, intent.action.as_str());
        tracing::warn!(%job_id, subject = %intent.subject, action, problem, wait, "parked");
        let work = self.store.work();
        work.set_intent(intent.intent_id, IntentState::Parked, Some(problem)).await?;
        Ok(())
    }
}

fn decode(sent: &SentTx) -> Result<TxEnvelope, SenderError> {
    TxEnvelope::decode_2718(&mut sent.raw.as_ref()).map_err(|_| SenderError::Altered(sent.tx_hash))
}

fn fees_of(tx: &TxEnvelope) -> Fees {
    Fees { max_fee: tx.max_fee_per_gas(), tip: tx.max_priority_fee_per_gas().unwrap_or_default() }
}
