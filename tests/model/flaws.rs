//! One thing wrong in a call that was good, before it is signed: a figure, a term, a lot, a caller.

use alloy::primitives::{Address, B256, U256, keccak256};
use contracts::{Amount, Lot, Order, Payout};
use rand::Rng;
use rand::seq::{IndexedMutRandom, IndexedRandom};

use super::acts::{Act, Call};
use super::escrow::{Escrow, MOST, amount};
use super::jobs::MAX_COUNT;
use super::play::Play;
use super::work::other_mask;

const DAY: u64 = 86_400;

/// Spoils one thing; false when the act has nothing of the kind to spoil.
pub fn spoil(play: &mut Play, model: &Escrow, call: &mut Call) -> bool {
    let state = &model.state;
    let refused = *[Address::ZERO, model.terms.escrow].choose(&mut play.rng).unwrap();
    let choice = play.rng.random_range(0..6);
    let from = call.from;
    match &mut call.act {
        Act::Allow(..) | Act::Burn | Act::FundJob(..) => return false,
        Act::Deposit(amount) => match choice {
            0 => *amount = 0,
            1 => *amount = (state.tokens_of(from) + 1).min(MOST),
            _ => *amount = (state.allowance_of(from) + 1).min(MOST),
        },
        Act::DepositFor(account, amount) => match choice {
            0 => *amount = 0,
            1 => *amount = (state.allowance_of(from) + 1).min(MOST),
            _ => *account = refused,
        },
        Act::HoldInEscrow(text, amount) => match choice {
            0 => *amount = 0,
            1 => *text = format!("{refused}"),
            2 => *text = text[2..].into(),
            3 => *text = text.replace("0x", "0X"),
            4 => *text = text.replace(char::is_numeric, "g"),
            _ => *amount = state.tokens_of(from) + 1,
        },
        Act::Withdraw(amount, to) => match choice {
            0 => *amount = 0,
            1 | 2 => *to = refused,
            _ => *amount = (state.account(from).free + 1).min(MOST),
        },
        Act::SetDelegate(agent, settler, _, _, expiry) => match choice {
            0 => *agent = refused,
            1 => *settler = refused,
            2 => *expiry = 0,
            _ => *expiry = call.at,
        },
        Act::RevokeDelegate(agent) => *agent = play.actors.stranger,
        Act::IssueCredit(to, amount) => match choice {
            0 => *amount = 0,
            1 => *to = refused,
            2 => *amount = (state.tokens_of(from) + 1).min(MOST),
            _ => call.from = play.actors.stranger,
        },
        Act::Pause(until) => match choice {
            0 => call.from = play.actors.stranger,
            1 | 2 => *until = call.at + 7 * DAY + 1,
            3 => *until = 0,
            _ => *until = call.at,
        },
        Act::TopUp(job, amount) => match choice {
            0 => *amount = 0,
            1 => *job = keccak256(*job),
            2 => return other_job(play, job),
            _ => *amount = (state.account(from).free + 1).min(MOST),
        },
        Act::NameSettler(..) | Act::Unpause => call.from = play.actors.stranger,
        _ => return spoil_work(play, model, &mut call.act, (refused, choice)),
    }
    true
}

/// As `spoil`, for acts on jobs and lots.
fn spoil_work(
    play: &mut Play,
    model: &Escrow,
    act: &mut Act,
    (refused, choice): (Address, u32),
) -> bool {
    match act {
        Act::Open(order) if choice < 2 => return opened(play, model, order),
        Act::Open(order) | Act::RequestClose(order, ..) | Act::Close(order, ..) => {
            return spoil_order(play, order, refused);
        }
        Act::OpenFor(order, signer, ..) => match choice {
            0 => *signer = play.actors.stranger,
            3 => return opened(play, model, order),
            1 => {
                order.settler =
                    play.actors.settlers[usize::from(order.settler == play.actors.settlers[0])]
            }
            2 => order.refund_to = play.actors.stranger,
            _ => return spoil_order(play, order, refused),
        },
        Act::Redeem(order, total, _, payouts, ..) => match choice {
            0 => return spoil_order(play, order, refused),
            _ => spoil_redemption(play, model, (order, total, payouts), refused),
        },
        Act::Release(order, lots, ..) | Act::Commit(order, lots, ..) => match choice {
            0 => return spoil_order(play, order, refused),
            1 => return other_count(play, lots),
            _ => spoil_lot(play, order, lots, refused),
        },
        Act::Approve(order, lots, ..) => match choice {
            0 => return spoil_order(play, order, refused),
            1 => return other_count(play, lots),
            2 => spoil_lot(play, order, lots, refused),
            _ => return other_lot(play, order, &mut lots[0]),
        },
        Act::Settle(order, lots, keys) => match choice {
            0 => return spoil_order(play, order, refused),
            1 => {
                other_count(play, lots);
                keys.resize(lots.len(), B256::ZERO);
            }
            2 => drop(keys.pop()),
            3 => spoil_lot(play, order, lots, refused),
            4 => return other_lot(play, order, &mut lots[0]),
            _ => keys[0] = keccak256(keys[0]),
        },
        Act::Lapse(order, lot) => match choice {
            0 => return spoil_order(play, order, refused),
            1 => spoil_lot(play, order, std::slice::from_mut(lot), refused),
            _ => return other_lot(play, order, lot),
        },
        Act::Reject(order, lot, mask, ..) => match choice {
            0 => return spoil_order(play, order, refused),
            1 => *mask = U256::ZERO,
            2 => *mask = other_mask(*mask),
            3 => return other_lot(play, order, lot),
            _ => *mask = U256::MAX,
        },
        _ => return false,
    }
    true
}

/// A term at or beyond its bound, or another order that is already over.
fn spoil_order(play: &mut Play, order: &mut Order, refused: Address) -> bool {
    match play.rng.random_range(0..20) {
        0 => order.payer = refused,
        1 => order.refund_to = refused,
        2 => order.settler = refused,
        3 => (order.fee_bps, order.fee_receiver) = (1, refused),
        4 => order.settler = order.payer,
        5 => order.settler = order.approver,
        6 => order.cap = Amount::ZERO,
        7 => order.max_unit_price = Amount::ZERO,
        8 => order.units = (1 << 24) - play.rng.random_range(0..2),
        9 => order.open_by = order.work_deadline + 1,
        10 => order.review_seconds = 599,
        11 => order.review_seconds = 14 * DAY + 1,
        12 => order.claim_grace = 3_599,
        13 => order.claim_grace = 14 * DAY + 1,
        14 => order.fee_bps = 1_001,
        15 => order.burn_bps = 10_001 - order.fee_bps,
        16 => order.salt = keccak256(order.salt),
        _ => {
            let Some(deal) = play.old.choose(&mut play.rng) else { return false };
            *order = deal.order.clone();
        }
    }
    true
}

/// An order that was opened, and could open once more by its dates.
fn opened(play: &mut Play, model: &Escrow, order: &mut Order) -> bool {
    let jobs = &model.state.jobs;
    let mut open = play.deals.iter().filter(|deal| jobs.contains_key(&deal.id));
    let known = open.find(|deal| deal.order.open_by > play.now);
    known.into_iter().for_each(|deal| *order = deal.order.clone());
    known.is_some()
}

fn other_job(play: &mut Play, job: &mut B256) -> bool {
    let known = play.old.choose(&mut play.rng);
    known.into_iter().for_each(|deal| *job = deal.id);
    known.is_some()
}

/// None, too many, or the most that a call takes.
fn other_count(play: &mut Play, lots: &mut Vec<Lot>) -> bool {
    match play.rng.random_range(0..40) {
        0 => lots.resize(MAX_COUNT + 1, lots[0].clone()),
        1..20 => lots.clear(),
        _ => lots.push(lots[0].clone()),
    }
    true
}

fn spoil_lot(play: &mut Play, order: &Order, lots: &mut [Lot], refused: Address) {
    let committed = play.deals.iter().find(|deal| deal.order == *order);
    let known = committed.and_then(|deal| deal.lots.choose(&mut play.rng)).cloned();
    let lot = lots.choose_mut(&mut play.rng).unwrap();
    match play.rng.random_range(0..10) {
        0 => lot.node = refused,
        1 => lot.unit_price = amount((order.max_unit_price.base() + 1).min(MOST)),
        2 => lot.mask = U256::ZERO,
        3 => lot.word = u32::MAX,
        4 => (lot.word, lot.mask) = (order.units / 256, U256::ONE << (order.units % 256)),
        5 => lot.unit_price = order.max_unit_price,
        6 => lot.key_commit = keccak256(lot.key_commit),
        7 => {
            if let Some(known) = known {
                (lot.word, lot.mask) = (known.word, known.mask | lot.mask);
            }
        }
        _ => {
            if let Some(known) = known {
                *lot = known;
            }
        }
    }
}

/// Another of the deal's lots, in whatever state it is.
fn other_lot(play: &mut Play, order: &Order, lot: &mut Lot) -> bool {
    let deal = play.deals.iter().find(|deal| deal.order == *order);
    let known = deal.and_then(|deal| deal.lots.choose(&mut play.rng)).cloned();
    let found = known.is_some();
    known.into_iter().for_each(|known| *lot = known);
    found
}

fn spoil_redemption(
    play: &mut Play,
    model: &Escrow,
    (order, total, payouts): (&mut Order, &mut u128, &mut Vec<Payout>),
    refused: Address,
) {
    let deal = play.deals.iter().find(|deal| deal.order == *order);
    let job = deal.and_then(|deal| model.state.jobs.get(&deal.id));
    let (released, remaining) = job.map_or((0, 0), |job| (job.released, job.remaining()));
    let one = Amount::from(1u64);
    match play.rng.random_range(0..11) {
        0 => *total = released,
        1 => *total = released + remaining + 1,
        2 => *total += 1,
        3 => *total = (*total).saturating_sub(1),
        4 => payouts[0].node = refused,
        5 => payouts[0].amount = Amount::ZERO,
        6 if play.rng.random_bool(0.1) => payouts.resize(MAX_COUNT + 1, payouts[0].clone()),
        7 => payouts.clear(),
        _ => {
            let with_units = play.deals.iter().find(|deal| deal.order.units > 0);
            match with_units {
                Some(deal) => *order = deal.order.clone(),
                None => payouts.push(Payout { node: payouts[0].node, amount: one }),
            }
        }
    }
}
