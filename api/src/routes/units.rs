//! Units and lots of a job: who has them, where they stand, what was signed about them.

use axum::response::IntoResponse;
use contracts::frames::Frames;
use contracts::units;
use serde::{Deserialize, Serialize};
use store::LotStatus;
use utoipa::{IntoParams, ToSchema};

use crate::edge::body::{JobPath, NoParams, Params};
use crate::edge::cursor::page_rows;
use crate::edge::reply::Answer;
use crate::edge::view::View;
use crate::error::{Code, Problem};
use crate::record::{KnownLot, Record};
use crate::status::{self, UnitState, unit_state};
use crate::wire::{Account, Hash, Mask, Money, Time};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct UnitParams {
    /// Only these frames of the job, such as 1-10x2,15.
    #[serde(default)]
    frames: Option<String>,
    /// Only units in this state.
    #[serde(default)]
    #[param(value_type = Option<UnitState>)]
    state: Option<UnitState>,
    /// Rows of the page: 50 when left out, at most 500.
    #[serde(default)]
    limit: Option<u32>,
    /// `next_cursor` of the page before: the first unit to show.
    #[serde(default)]
    cursor: Option<u32>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct UnitPage {
    pub units: Vec<UnitView>,
    pub has_more: bool,
    pub next_cursor: Option<u32>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct UnitView {
    pub unit: u32,
    pub frame: Option<i64>,
    pub state: UnitState,
    /// Number of the newest attempt; none when nobody had the unit yet.
    pub attempt: Option<u32>,
    pub attempts: u32,
    pub node: Option<Account>,
    /// Thousandths of the newest attempt.
    pub progress: u16,
    /// What the unit costs: its lot's price, else the order's highest.
    pub price: Money,
    pub lot_hash: Option<Hash>,
    pub output_hash: Option<Hash>,
    pub preview_hash: Option<Hash>,
    /// Why the newest attempt failed.
    pub problem: Option<String>,
    /// Path of the watermarked preview, once there is one.
    pub preview: Option<String>,
    /// Path of the final, once it is paid.
    pub output: Option<String>,
}

impl UnitView {
    fn of(record: &Record, view: &View, unit: u32) -> Self {
        let asset = &view.asset;
        let state = unit_state(record, unit, view.chain_time());
        let newest = record.newest(unit);
        let receipt = record.receipt_of(unit);
        let lot = record.paid_lot(unit).or_else(|| record.lot_of(unit));
        let price = lot.map_or(record.order.max_unit_price, |lot| lot.lot.unit_price);
        let path = |kind| format!("/v1/jobs/{}/{kind}/{unit}", record.job_id);
        let attempts = record.attempts.get(&unit).map_or(0, Vec::len);
        Self {
            unit,
            frame: record.frame_of(unit),
            state,
            attempt: newest.map(|attempt| attempt.attempt),
            attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
            node: newest.map(|attempt| attempt.node).or(lot.map(|lot| lot.lot.node)).map(Account),
            progress: status::progress(newest, state),
            price: asset.money(price),
            lot_hash: lot.map(|lot| Hash(lot.lot_hash)),
            output_hash: receipt.map(|receipt| Hash(receipt.output_hash)),
            preview_hash: receipt.map(|receipt| Hash(receipt.preview_hash)),
            problem: newest.and_then(|attempt| attempt.problem.clone()),
            preview: receipt.map(|_| path("previews")),
            output: (state == UnitState::Released).then(|| path("outputs")),
        }
    }
}

/// List a job's units
#[utoipa::path(
    get, path = "/v1/jobs/{job_id}/units", tag = "jobs",
    params(("job_id" = Hash, Path), UnitParams),
    responses((status = 200, body = Answer<UnitPage>))
)]
pub async fn units(
    JobPath(job_id): JobPath,
    view: View,
    Params(params): Params<UnitParams>,
) -> Result<impl IntoResponse, Problem> {
    let record = Record::load(&view.reader, job_id).await?;
    let rows = usize::try_from(page_rows(params.limit)?).unwrap_or_default();
    let chosen = params.frames.as_deref().map(|text| units_of(&record, text)).transpose()?;
    let first = params.cursor.unwrap_or_default();
    let (page, next_cursor) = page(&record, chosen, params.state, first, rows, view.chain_time());
    let units = page.into_iter().map(|unit| UnitView::of(&record, &view, unit)).collect();
    let link = next_cursor.map(|next| next.to_string());
    let page = UnitPage { units, has_more: next_cursor.is_some(), next_cursor };
    Ok(view.page(page, link.as_deref()))
}

/// Units of a page, and the first of the next one. A job has up to 2^24 units, so those that
/// nobody ever had are not looked at one by one, unless they are what is asked for.
fn page(
    record: &Record,
    chosen: Option<Vec<u32>>,
    state: Option<UnitState>,
    first: u32,
    rows: usize,
    chain_time: i64,
) -> (Vec<u32>, Option<u32>) {
    let all: Box<dyn Iterator<Item = u32>> = match (chosen, state) {
        (Some(units), _) => Box::new(units.into_iter()),
        (None, None | Some(UnitState::Queued)) => Box::new(first..record.order.units),
        (None, Some(_)) => Box::new(status::touched(record)),
    };
    let fits = |unit: &u32| state.is_none_or(|s| unit_state(record, *unit, chain_time) == s);
    let mut fitting = all.filter(|unit| *unit >= first).filter(fits);
    (fitting.by_ref().take(rows).collect(), fitting.next())
}

/// The units of a frame list, ascending; refuses frames that the job does not have.
pub fn units_of(record: &Record, text: &str) -> Result<Vec<u32>, Problem> {
    let frames = Frames::parse(text)
        .map_err(|error| Code::BadFrames.because(error.to_string()).at("frames"))?;
    let Some(spec) = &record.spec else {
        let detail = "the job's spec is not known here, so its frames have no names";
        return Err(Code::BadFrames.because(detail).at("frames"));
    };
    let missing = frames.missing_in(&spec.frames).next();
    if let Some(frame) = missing {
        let detail = format!("frame {frame} is none of the job's; it has {}", spec.frames);
        return Err(Code::BadFrames.because(clip(detail)).at("frames"));
    }
    Ok(frames.iter().filter_map(|frame| spec.frame_unit(frame)).collect())
}

/// Frames of units as a list for people; unit numbers where frames are not known.
pub fn frames_of(record: &Record, units: &[u32]) -> String {
    let numbers = units.iter().map(|unit| record.frame_of(*unit).unwrap_or(i64::from(*unit)));
    Frames::from_numbers(numbers).map(|frames| frames.to_string()).unwrap_or_default()
}

/// Frame lists have up to 64 KiB; a sentence needs a few of them.
fn clip(text: String) -> String {
    match text.char_indices().nth(300) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LotPhase {
    /// Accepted by the settler, not on chain.
    Proposed,
    /// On chain, inside its window.
    Committed,
    /// Approved, or its window has passed.
    Approved,
    /// Paid, its key shown.
    Settled,
    /// Paid without having been sealed.
    Released,
    /// Every unit of it was rejected.
    Rejected,
    /// Its key was not shown in time.
    Lapsed,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct LotView {
    pub lot_hash: Hash,
    pub state: LotPhase,
    pub node: Account,
    pub frames: String,
    pub units: Vec<u32>,
    pub word: u32,
    pub mask: Mask,
    /// Units rejected, on chain or by a signature handed in here.
    pub rejected_units: Vec<u32>,
    pub paid_units: Vec<u32>,
    pub unit_price: Money,
    /// Price of all its units.
    pub amount: Money,
    pub receipts_root: Hash,
    pub sealed: bool,
    pub key_commit: Hash,
    /// The key that settle revealed.
    pub lot_key: Option<Hash>,
    pub accepted_at: Option<Time>,
    pub window_end: Option<Time>,
    /// After this a lot whose key was not shown can be lapsed by anyone.
    pub key_deadline: Option<Time>,
    /// An approval of the payer's side is stored here.
    pub approval_signed: bool,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Lots {
    pub lots: Vec<LotView>,
}

impl LotView {
    fn of(record: &Record, view: &View, known: &KnownLot) -> Self {
        let lot = &known.lot;
        let asset = &view.asset;
        let members = units::units_in(lot.word, lot.mask);
        let window_end = known.chain.as_ref().map(|chain| chain.window_end).filter(|end| *end > 0);
        let grace = i64::try_from(record.order.claim_grace).unwrap_or(i64::MAX);
        let amount = units::lot_amount(lot).unwrap_or(contracts::Amount::MAX);
        let draft = record.drafts.iter().find(|draft| draft.lot_hash == known.lot_hash);
        let paid = known.chain.as_ref().map(|chain| units::units_in(lot.word, chain.paid));
        Self {
            lot_hash: Hash(known.lot_hash),
            state: lot_phase(known, view.chain_time()),
            node: Account(lot.node),
            frames: frames_of(record, &members),
            word: lot.word,
            mask: Mask(lot.mask),
            rejected_units: units::units_in(lot.word, known.refused),
            paid_units: paid.unwrap_or_default(),
            units: members,
            unit_price: asset.money(lot.unit_price),
            amount: asset.money(amount),
            receipts_root: Hash(lot.receipts_root),
            sealed: lot.is_sealed(),
            key_commit: Hash(lot.key_commit),
            lot_key: known.chain.as_ref().and_then(|chain| chain.lot_key).map(Hash),
            accepted_at: draft.map(|draft| Time::at(draft.accepted_at)),
            window_end: window_end.map(Time::at),
            key_deadline: window_end.map(|end| Time::at(end.saturating_add(grace))),
            approval_signed: known.approval_signed,
        }
    }
}

pub fn lot_phase(known: &KnownLot, chain_time: i64) -> LotPhase {
    if known.live().is_zero() {
        return LotPhase::Rejected;
    }
    let Some(chain) = &known.chain else { return LotPhase::Proposed };
    match chain.status {
        LotStatus::Committed if chain_time >= chain.window_end => LotPhase::Approved,
        LotStatus::Committed => LotPhase::Committed,
        LotStatus::Approved => LotPhase::Approved,
        LotStatus::Settled => LotPhase::Settled,
        LotStatus::Released => LotPhase::Released,
        LotStatus::Lapsed => LotPhase::Lapsed,
    }
}

/// List a job's lots
///
/// A lot is what one node delivered under one lease: the unit of payment, review and key.
#[utoipa::path(
    get, path = "/v1/jobs/{job_id}/lots", tag = "jobs",
    params(("job_id" = Hash, Path)),
    responses((status = 200, body = Answer<Lots>))
)]
pub async fn lots(
    JobPath(job_id): JobPath,
    view: View,
    Params(NoParams {}): Params<NoParams>,
) -> Result<impl IntoResponse, Problem> {
    let record = Record::load(&view.reader, job_id).await?;
    let mut known: Vec<&KnownLot> = record.lots.values().collect();
    known.sort_by_key(|lot| (lot.lot.word, lot.lot.mask.trailing_zeros(), lot.lot_hash));
    let lots = known.into_iter().map(|lot| LotView::of(&record, &view, lot)).collect();
    Ok(view.answer(Lots { lots }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::testing::{NOW, opened};
    use std::time::{Duration, Instant};
    use store::LeaseState;

    #[test]
    fn a_job_of_2_24_units_is_paged_without_looking_at_each() {
        let mut record = opened();
        record.order.units = (1 << 24) - 1;
        record.lease(&[3, 70_000, 16_000_000], LeaseState::Active);
        let started = Instant::now();
        let leased = page(&record, None, Some(UnitState::Leased), 0, 2, NOW);
        assert_eq!(leased, (vec![3, 70_000], Some(16_000_000)));
        let rest = page(&record, None, Some(UnitState::Leased), 16_000_000, 2, NOW);
        assert_eq!(rest, (vec![16_000_000], None));
        assert_eq!(page(&record, None, Some(UnitState::Dead), 0, 50, NOW), (vec![], None));
        let queued = page(&record, None, Some(UnitState::Queued), 2, 2, NOW);
        assert_eq!(queued, (vec![2, 4], Some(5)));
        assert_eq!(page(&record, None, None, 9, 2, NOW), (vec![9, 10], Some(11)));
        assert!(started.elapsed() < Duration::from_secs(1), "each unit was looked at");
    }

    #[test]
    fn frames_and_state_together_narrow_the_page() {
        let mut record = opened();
        record.lease(&[1, 2], LeaseState::Active);
        let chosen = Some(vec![0, 2, 4]);
        assert_eq!(page(&record, chosen, Some(UnitState::Leased), 0, 50, NOW), (vec![2], None));
    }
}
