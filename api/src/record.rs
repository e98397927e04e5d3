//! Everything the store knows of one job, read once per request; what status and reviews read.

use std::collections::{BTreeMap, HashMap, HashSet};

use alloy::primitives::{B256, U256};
use contracts::spec::ExpandedSpec;
use contracts::{JobId, Lot, Order, units};
use store::{
    Approval, Attempt, CloseRequest, IntakeOrder, JobState, LotDraft, LotState, LotStatus, Reader,
    ReceiptRow, Rejection,
};

use crate::error::{Code, Problem};

/// A lot, accepted by the settler, seen on chain, or both.
#[derive(Debug, Clone)]
pub struct KnownLot {
    pub lot_hash: B256,
    pub lot: Lot,
    /// None: not on chain yet.
    pub chain: Option<LotState>,
    /// Units that the chain shows as rejected, and those whose rejection is signed and stored.
    pub refused: U256,
    /// A stored approval covers it.
    pub approval_signed: bool,
}

impl KnownLot {
    /// Units of the lot that nobody has rejected.
    pub fn live(&self) -> U256 {
        self.lot.mask & !self.refused
    }

    /// Units whose rejection is signed and not on chain yet.
    pub fn unseen_refusals(&self) -> U256 {
        let seen = self.chain.as_ref().map_or(U256::ZERO, |chain| chain.rejected);
        self.refused & !seen
    }

    /// Whether the chain has paid for or ended the review of this lot.
    pub fn is_decided(&self) -> bool {
        self.chain.as_ref().is_some_and(|chain| match chain.status {
            LotStatus::Committed => false,
            LotStatus::Approved | LotStatus::Settled | LotStatus::Lapsed | LotStatus::Released => {
                true
            }
        })
    }
}

/// One job: the chain's rows, what was handed in, and the work done.
#[derive(Debug, Clone)]
pub struct Record {
    pub job_id: JobId,
    pub order: Order,
    /// Block of the opening and the newest snapshot; None: not opened in the index.
    pub chain: Option<(u64, JobState)>,
    pub intake: Option<IntakeOrder>,
    /// None: the order names a spec that was never quoted here.
    pub spec: Option<ExpandedSpec>,
    pub lots: BTreeMap<B256, KnownLot>,
    /// The lots of each 256-unit word: a job has thousands of lots, a unit only a few.
    pub by_word: BTreeMap<u32, Vec<B256>>,
    /// Attempts of each unit, oldest first.
    pub attempts: BTreeMap<u32, Vec<Attempt>>,
    /// By unit and attempt.
    pub receipts: HashMap<(u32, u32), ReceiptRow>,
    pub drafts: Vec<LotDraft>,
    pub approvals: Vec<Approval>,
    pub rejections: Vec<Rejection>,
    pub close_request: Option<CloseRequest>,
}

impl Record {
    pub async fn load(reader: &Reader, job_id: JobId) -> Result<Self, Problem> {
        let chain = reader.job(job_id).await?;
        let intake = reader.order(job_id).await?;
        let order = match (&chain, &intake) {
            (Some((opened, _)), _) => opened.order.clone(),
            (None, Some(intake)) => intake.order.clone(),
            (None, None) => {
                let detail = format!("job {job_id} is neither in the index nor handed in here");
                return Err(Code::JobNotFound.because(detail));
            }
        };
        let spec = reader.spec(order.spec_hash).await?;
        let mut record = Self {
            job_id,
            chain: chain.map(|(opened, state)| (opened.block, state)),
            intake,
            spec: spec.map(|spec| read_spec(&spec.canonical)).transpose()?,
            order,
            lots: BTreeMap::new(),
            by_word: BTreeMap::new(),
            attempts: BTreeMap::new(),
            receipts: HashMap::new(),
            drafts: reader.lot_drafts_of_job(job_id).await?,
            approvals: reader.approvals_of_job(job_id).await?,
            rejections: reader.rejections_of_job(job_id).await?,
            close_request: reader.close_request(job_id).await?,
        };
        for attempt in reader.attempts_of_job(job_id).await? {
            record.attempts.entry(attempt.unit).or_default().push(attempt);
        }
        for attempts in record.attempts.values_mut() {
            attempts.sort_by_key(|attempt| attempt.attempt);
        }
        for receipt in reader.receipts_of_job(job_id).await? {
            record.receipts.insert((receipt.unit, receipt.attempt), receipt);
        }
        let lots = reader.job_lots(job_id).await?;
        record.know_lots(lots.into_iter().map(|(row, state)| (row.lot, state)).collect());
        Ok(record)
    }

    /// Joins the lots of the chain with the drafts and with what payers signed about them.
    pub fn know_lots(&mut self, on_chain: Vec<(Lot, LotState)>) {
        let mut refused: HashMap<B256, U256> = HashMap::new();
        for word in &self.rejections {
            *refused.entry(word.lot_hash).or_default() |= word.mask;
        }
        let approved: HashSet<&B256> =
            self.approvals.iter().flat_map(|word| &word.lot_hashes).collect();
        let drafts = self.drafts.iter().map(|draft| (draft.lot_hash, &draft.lot, None));
        let chain = on_chain.iter().map(|(lot, state)| (state.lot_hash, lot, Some(state)));
        // The chain's rows come last, so they stand where both exist.
        let all: BTreeMap<B256, KnownLot> = drafts
            .chain(chain)
            .map(|(lot_hash, lot, state)| {
                let chain = state.cloned();
                let seen = chain.as_ref().map_or(U256::ZERO, |state| state.rejected);
                let signed = refused.get(&lot_hash).copied().unwrap_or_default();
                let refused = seen | (signed & lot.mask);
                let approval_signed = approved.contains(&lot_hash);
                let lot = lot.clone();
                (lot_hash, KnownLot { lot_hash, lot, chain, refused, approval_signed })
            })
            .collect();
        let mut by_word: BTreeMap<u32, Vec<B256>> = BTreeMap::new();
        for known in all.values() {
            by_word.entry(known.lot.word).or_default().push(known.lot_hash);
        }
        self.lots = all;
        self.by_word = by_word;
    }

    /// The lots whose word holds a unit, by their hashes.
    pub fn lots_around(&self, unit: u32) -> impl Iterator<Item = &KnownLot> {
        let hashes = self.by_word.get(&units::word_of(unit)).map(Vec::as_slice);
        hashes.unwrap_or_default().iter().filter_map(|hash| self.lots.get(hash))
    }

    /// The newest attempt at a unit.
    pub fn newest(&self, unit: u32) -> Option<&Attempt> {
        self.attempts.get(&unit).and_then(|attempts| attempts.last())
    }

    /// The lot that the newest delivered attempt at a unit became, else any lot on chain that
    /// holds the unit (a node can commit by itself, and the work rows may be gone).
    pub fn lot_of(&self, unit: u32) -> Option<&KnownLot> {
        self.receipt_of(unit).and_then(|receipt| self.lots.get(&receipt.lot_hash)).or_else(|| {
            let holds = |lot: &&KnownLot| !(lot.live() & units::bit_of(unit)).is_zero();
            self.lots_around(unit).filter(|lot| lot.chain.is_some()).find(holds)
        })
    }

    /// The receipt of the newest attempt at a unit that was accepted.
    pub fn receipt_of(&self, unit: u32) -> Option<&ReceiptRow> {
        let attempts = self.attempts.get(&unit)?;
        attempts.iter().rev().find_map(|attempt| self.receipts.get(&(unit, attempt.attempt)))
    }

    /// The receipt for a unit in a lot.
    pub fn receipt_in(&self, lot_hash: B256, unit: u32) -> Option<&ReceiptRow> {
        let attempts = self.attempts.get(&unit)?.iter();
        let mut receipts =
            attempts.filter_map(|attempt| self.receipts.get(&(unit, attempt.attempt)));
        receipts.find(|receipt| receipt.lot_hash == lot_hash)
    }

    /// All units that the chain shows as paid, ascending.
    pub fn paid_units(&self) -> Vec<u32> {
        let paid = self.lots.values().filter_map(|lot| {
            lot.chain.as_ref().map(|chain| units::units_in(lot.lot.word, chain.paid))
        });
        let mut found: Vec<u32> = paid.flatten().collect();
        found.sort_unstable();
        found
    }

    /// The lot that paid for a unit.
    pub fn paid_lot(&self, unit: u32) -> Option<&KnownLot> {
        self.lots_around(unit).find(|lot| {
            let paid = lot.chain.as_ref().map_or(U256::ZERO, |chain| chain.paid);
            !(paid & units::bit_of(unit)).is_zero()
        })
    }

    /// The frame of a unit; None when the spec is not known here, or the unit is beyond it.
    pub fn frame_of(&self, unit: u32) -> Option<i64> {
        self.spec.as_ref().and_then(|spec| spec.unit_frame(unit))
    }

    /// Attempts that a unit gets before it is given up.
    pub fn max_attempts(&self) -> u32 {
        self.spec.as_ref().map_or(contracts::spec::MAX_ATTEMPTS, |spec| spec.attempts)
    }
}

/// A stored spec: it was written by this program, so one that does not read was altered.
pub fn read_spec(canonical: &str) -> Result<ExpandedSpec, Problem> {
    serde_json::from_str(canonical).map_err(|error| {
        tracing::error!(%error, "a stored spec does not read");
        Code::Internal.because("a stored spec does not read; its row was altered")
    })
}

#[cfg(test)]
pub mod testing;
