//! Rows for tests: one order of ours, its state, drafts, lots and attempts.

pub mod office;

use alloy::primitives::{Address, B256, Bytes, U256};
use contracts::order::{lot_hash, lots_hash};
use contracts::spec::{Engine, ExpandedSpec, JobSpec, Resolution, Tier};
use contracts::{Amount, Lot, Order, units};
use store::{
    Approval, Attempt, JobOrder, JobState, LeaseState, LotDraft, LotRow, LotState, LotStatus, Node,
    NodeBackend, Rejection,
};

pub const SETTLER: Address = Address::repeat_byte(0x5e);
pub const PRICE: u64 = 10;
pub const DEADLINE: i64 = 100_000;
pub const GRACE: i64 = 3_600;

pub fn order(units: u32) -> Order {
    Order {
        payer: Address::repeat_byte(0xaa),
        refund_to: Address::repeat_byte(0xaa),
        approver: Address::ZERO,
        settler: SETTLER,
        fee_receiver: Address::ZERO,
        cap: Amount::from(PRICE * u64::from(units)),
        max_unit_price: Amount::from(PRICE),
        units,
        open_by: 50_000,
        work_deadline: DEADLINE as u64,
        review_seconds: 600,
        claim_grace: GRACE as u64,
        fee_bps: 0,
        burn_bps: 0,
        spec_hash: B256::repeat_byte(1),
        quote_hash: B256::repeat_byte(2),
        salt: B256::ZERO,
    }
}

pub fn job_order(job: u8, block: u64, order: Order) -> JobOrder {
    JobOrder { job_id: B256::repeat_byte(job), block, order }
}

pub fn job_state(job: &JobOrder) -> JobState {
    JobState {
        job_id: job.job_id,
        block: job.block,
        log_index: 0,
        funded: job.order.cap,
        released: Amount::ZERO,
        pending: Amount::ZERO,
        units_paid: 0,
        job_seq: 1,
        closed: false,
        work_deadline: DEADLINE,
        close_requested: false,
        credit_share: Amount::ZERO,
    }
}

pub fn spec(frames: &str, tier: Tier, chunk: u32) -> ExpandedSpec {
    let spec = JobSpec {
        version: 1,
        engine: Engine::Povray,
        engine_version: "3.7".into(),
        scene: B256::repeat_byte(7),
        entry: "scenes/demo.pov".into(),
        frames: frames.into(),
        resolution: Resolution { width: 40, height: 30 },
        quality: Default::default(),
        output: Default::default(),
        animation: None,
        tier,
        chunk: contracts::spec::Chunk { size: chunk },
        attempts: 3,
        timeout_seconds: 600,
    };
    spec.validate().unwrap()
}

pub fn node(byte: u8, seen_at: i64) -> Node {
    let backend = NodeBackend {
        backend: "povray".into(),
        version: "3.7".into(),
        kernel_class: "x86-64-v3".into(),
    };
    Node {
        node: Address::repeat_byte(byte),
        token_hash: B256::repeat_byte(byte),
        registered_at: 0,
        seen_at,
        backends: vec![backend],
    }
}

/// A draft over some units of one word. `tag` makes lots differ; zero: not sealed.
pub fn draft(job: &JobOrder, of: &[u32], tag: u8, accepted_at: i64) -> LotDraft {
    let (word, mask) = units::word_and_mask(of).unwrap();
    let lot = Lot {
        node: Address::repeat_byte(0x11),
        word,
        mask,
        unit_price: Amount::from(PRICE),
        receipts_root: B256::repeat_byte(tag),
        key_commit: B256::repeat_byte(tag),
    };
    LotDraft {
        lot_hash: lot_hash(job.job_id, &lot),
        job_id: job.job_id,
        lease_id: format!("lease-{tag}"),
        lot,
        acceptance: Bytes::new(),
        lot_key: None,
        accepted_at,
    }
}

pub fn on_chain(draft: &LotDraft, block: u64, window_end: i64) -> (LotRow, LotState) {
    let row =
        LotRow { lot_hash: draft.lot_hash, job_id: draft.job_id, block, lot: draft.lot.clone() };
    let state = LotState {
        lot_hash: draft.lot_hash,
        block,
        log_index: 0,
        status: LotStatus::Committed,
        window_end,
        rejected: U256::ZERO,
        paid: U256::ZERO,
        lot_key: None,
    };
    (row, state)
}

pub fn approval(drafts: &[&LotDraft]) -> Approval {
    let lot_hashes: Vec<B256> = drafts.iter().map(|d| d.lot_hash).collect();
    Approval {
        lots_hash: lots_hash(&lot_hashes),
        job_id: drafts[0].job_id,
        lot_hashes,
        signer: Address::repeat_byte(0xaa),
        signature: Bytes::from_static(&[1; 65]),
        created_at: 0,
    }
}

pub fn rejection(draft: &LotDraft, of: &[u32]) -> Rejection {
    Rejection {
        lot_hash: draft.lot_hash,
        mask: units::mask_of(draft.lot.word, of),
        job_id: draft.job_id,
        reason_hash: B256::ZERO,
        reason: String::new(),
        signer: Address::repeat_byte(0xaa),
        signature: Bytes::from_static(&[2; 65]),
        created_at: 0,
    }
}

pub fn attempt(
    job: &JobOrder,
    unit: u32,
    number: u32,
    by: u8,
    state: LeaseState,
    problem: Option<&str>,
) -> Attempt {
    Attempt {
        job_id: job.job_id,
        unit,
        attempt: number,
        lease_id: format!("lease-{unit}-{number}"),
        node: Address::repeat_byte(by),
        lease_state: state,
        progress: 0,
        problem: problem.map(str::to_owned),
        expires_at: 0,
    }
}
