//! A job of twelve units at 10 each, as tests build it up: lots, attempts, words, chain facts.

use alloy::primitives::{Address, B256, Bytes, U256};
use contracts::order::lot_hash;
use contracts::spec::{Engine, ExpandedSpec, JobSpec, Output, Quality, Resolution, Tier};
use contracts::{Amount, Lot, Order, units};
use store::{
    Approval, Attempt, IntakeOrder, JobState, LeaseState, LotDraft, LotState, LotStatus,
    ReceiptRow, Rejection,
};

use super::Record;

pub const JOB: B256 = B256::repeat_byte(7);
pub const NODE: Address = Address::repeat_byte(9);
pub const PRICE: u64 = 10;
/// Time of the newest block, and the end of the window of every lot that is committed.
pub const NOW: i64 = 10_000;
pub const WINDOW_END: i64 = 20_000;

pub fn order() -> Order {
    Order {
        payer: Address::repeat_byte(1),
        refund_to: Address::repeat_byte(1),
        approver: Address::ZERO,
        settler: Address::repeat_byte(2),
        fee_receiver: Address::repeat_byte(3),
        cap: Amount::from(12 * PRICE),
        max_unit_price: Amount::from(PRICE),
        units: 12,
        open_by: 11_000,
        work_deadline: 100_000,
        review_seconds: 10_000,
        claim_grace: 86_400,
        fee_bps: 500,
        burn_bps: 0,
        spec_hash: B256::repeat_byte(4),
        quote_hash: B256::repeat_byte(5),
        salt: B256::repeat_byte(6),
    }
}

pub fn spec() -> ExpandedSpec {
    let spec = JobSpec {
        version: 1,
        engine: Engine::Povray,
        engine_version: "3.7.0.10".into(),
        scene: B256::repeat_byte(8),
        entry: "demo.pov".into(),
        frames: "1-12".into(),
        resolution: Resolution { width: 320, height: 180 },
        quality: Quality::default(),
        output: Output::default(),
        animation: None,
        tier: Tier::Economy,
        chunk: Default::default(),
        attempts: 3,
        timeout_seconds: 600,
    };
    spec.validate().unwrap()
}

/// Opened, nothing done.
pub fn opened() -> Record {
    let chain = JobState {
        job_id: JOB,
        block: 5,
        log_index: 0,
        funded: Amount::from(12 * PRICE),
        released: Amount::ZERO,
        pending: Amount::ZERO,
        units_paid: 0,
        job_seq: 1,
        closed: false,
        work_deadline: 100_000,
        close_requested: false,
        credit_share: Amount::ZERO,
    };
    Record { chain: Some((5, chain)), ..drafted() }
}

/// Known here, not on chain.
pub fn drafted() -> Record {
    Record {
        job_id: JOB,
        order: order(),
        chain: None,
        intake: None,
        spec: Some(spec()),
        lots: Default::default(),
        by_word: Default::default(),
        attempts: Default::default(),
        receipts: Default::default(),
        drafts: vec![],
        approvals: vec![],
        rejections: vec![],
        close_request: None,
    }
}

pub fn intake(signature: Option<Bytes>) -> IntakeOrder {
    IntakeOrder {
        job_id: JOB,
        order: order(),
        signature,
        delegate: None,
        name: "demo".into(),
        created_at: 9_000,
    }
}

impl Record {
    /// An attempt at each of some units, under one lease.
    pub fn lease(&mut self, units: &[u32], state: LeaseState) -> &mut Self {
        for unit in units {
            let attempts = self.attempts.entry(*unit).or_default();
            let attempt = attempts.len() as u32 + 1;
            attempts.push(Attempt {
                job_id: JOB,
                unit: *unit,
                attempt,
                lease_id: format!("lease-{unit}-{attempt}"),
                node: NODE,
                lease_state: state,
                progress: 0,
                problem: (state == LeaseState::Failed).then(|| "exit 1".into()),
                expires_at: NOW + 60,
            });
        }
        self
    }

    /// A sealed lot of some units, accepted by the settler.
    pub fn deliver(&mut self, units: &[u32]) -> B256 {
        self.deliver_under(units, B256::repeat_byte(0x77))
    }

    /// The same under a key commitment of its own; zero: not sealed.
    pub fn deliver_under(&mut self, units: &[u32], key_commit: B256) -> B256 {
        self.lease(units, LeaseState::Accepted);
        let (word, mask) = units::word_and_mask(units).unwrap();
        let receipts_root = B256::with_last_byte(self.drafts.len() as u8 + 1);
        let unit_price = Amount::from(PRICE);
        let lot = Lot { node: NODE, word, mask, unit_price, receipts_root, key_commit };
        let hash = lot_hash(JOB, &lot);
        for unit in units {
            let attempt = self.attempts[unit].last().unwrap().attempt;
            self.receipts.insert((*unit, attempt), receipt(*unit, attempt, hash, key_commit));
        }
        self.drafts.push(LotDraft {
            lot_hash: hash,
            job_id: JOB,
            lease_id: String::new(),
            lot,
            acceptance: Bytes::new(),
            lot_key: None,
            accepted_at: NOW,
        });
        self.known(&[]);
        hash
    }

    /// What the chain shows of a delivered lot.
    pub fn on_chain(&mut self, lot_hash: B256, status: LotStatus, rejected: &[u32]) -> &mut Self {
        let lot = self.lots[&lot_hash].lot.clone();
        let rejected = units::mask_of(lot.word, rejected);
        let is_paid = matches!(status, LotStatus::Settled | LotStatus::Released);
        let state = LotState {
            lot_hash,
            block: 6,
            log_index: 0,
            status,
            window_end: WINDOW_END,
            rejected,
            paid: if is_paid { lot.mask & !rejected } else { U256::ZERO },
            lot_key: None,
        };
        self.known(&[(lot, state)]);
        self
    }

    pub fn approve(&mut self, lot_hashes: &[B256]) -> &mut Self {
        self.approvals.push(Approval {
            lots_hash: contracts::order::lots_hash(lot_hashes),
            job_id: JOB,
            lot_hashes: lot_hashes.to_vec(),
            signer: order().payer,
            signature: Bytes::new(),
            created_at: NOW,
        });
        self.known(&[]);
        self
    }

    pub fn refuse(&mut self, lot_hash: B256, units: &[u32]) -> &mut Self {
        let mask = units::mask_of(self.lots[&lot_hash].lot.word, units);
        self.rejections.push(Rejection {
            lot_hash,
            mask,
            job_id: JOB,
            reason_hash: B256::ZERO,
            reason: String::new(),
            signer: order().payer,
            signature: Bytes::new(),
            created_at: NOW,
        });
        self.known(&[]);
        self
    }

    /// Keeps what the chain showed before.
    fn known(&mut self, new: &[(Lot, LotState)]) {
        let seen = self
            .lots
            .values()
            .filter_map(|known| known.chain.clone().map(|chain| (known.lot.clone(), chain)));
        let all = seen.chain(new.iter().cloned()).collect();
        self.know_lots(all);
    }
}

fn receipt(unit: u32, attempt: u32, lot_hash: B256, key_commit: B256) -> ReceiptRow {
    ReceiptRow {
        job_id: JOB,
        unit,
        attempt,
        node: NODE,
        output_hash: B256::ZERO,
        preview_hash: B256::ZERO,
        key_commit,
        started_at: NOW - 10,
        finished_at: NOW - 5,
        signature: Bytes::new(),
        lot_hash,
        pixel_root: B256::ZERO,
        file_root: B256::ZERO,
        file_name: format!("demo_{:04}.png", unit + 1),
        opened_hash: B256::ZERO,
        stored_hash: B256::ZERO,
        stored_size: 0,
        preview_object: B256::ZERO,
    }
}
