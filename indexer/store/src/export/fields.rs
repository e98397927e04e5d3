//! pure: the columns of each kind of event, beside its place: the fields of the contract's event.

use contracts::event::Event;
use contracts::registry::RegistryEvent;
use contracts::{Lot, Order, Receipt};

use super::{Cell, Field};
use crate::history::HistoryEvent;

/// Fields under their own names.
macro_rules! fields {
    ($event:ident: $($name:ident),+ $(,)?) => {
        vec![$((stringify!($name), Cell::from($event.$name))),+]
    };
}

pub(super) fn of(told: &HistoryEvent) -> Vec<Field> {
    match told {
        HistoryEvent::Escrow(row) => of_escrow(&row.event),
        HistoryEvent::Registry(row) => of_registry(&row.event),
    }
}

fn of_escrow(event: &Event) -> Vec<Field> {
    match event {
        Event::Deposited(e) => fields!(e: account, from, amount, free, seq),
        Event::Withdrawn(e) => fields!(e: account, to, amount, free, seq),
        Event::FeeCredited(e) => fields!(e: job_id, account, amount, free, seq),
        Event::BurnCredited(e) => fields!(e: job_id, amount, free, seq),
        Event::Burned(e) => fields!(e: amount, free, seq),
        Event::CreditIssued(e) => fields!(e: account, amount, credit, seq),
        Event::DelegateSet(e) => {
            fields!(e: payer, agent, settler, allowance, max_per_job, expiry, seq)
        }
        Event::DelegateRevoked(e) => fields!(e: payer, agent, seq),
        Event::CreditSettlerNamed(e) => fields!(e: settler, seq),
        Event::Paused(e) => fields!(e: until, seq),
        Event::Opened(e) => {
            let mut all =
                fields!(e: job_id, payer, funder, credit_spent, pulled, free, credit, seq);
            all.extend(of_order(&e.order));
            all
        }
        Event::DelegateSpent(e) => fields!(e: job_id, payer, agent, amount, allowance, job_seq),
        Event::ToppedUp(e) => fields!(e: job_id, from, amount, funded, job_seq, free, seq),
        Event::Released(e) => {
            let mut all = fields!(
                e: job_id, node, lot_hash, amount, fee, burn, released, job_seq, free, seq
            );
            all.extend(of_lot(&e.lot));
            all
        }
        Event::Committed(e) => {
            let mut all =
                fields!(e: job_id, node, lot_hash, amount, window_end, approved, pending, job_seq);
            all.extend(of_lot(&e.lot));
            all
        }
        Event::Approved(e) => fields!(e: job_id, by, lot_hash, job_seq),
        Event::Rejected(e) => {
            fields!(e: job_id, by, lot_hash, mask, reason_hash, amount, pending, job_seq)
        }
        Event::Settled(e) => fields!(
            e: job_id, node, lot_hash, key, mask, amount, fee, burn, released, pending, job_seq,
            free, seq
        ),
        Event::Lapsed(e) => fields!(e: job_id, lot_hash, mask, amount, pending, job_seq),
        Event::Redeemed(e) => {
            fields!(e: job_id, node, amount, fee, burn, released, job_seq, free, seq)
        }
        Event::CloseRequested(e) => fields!(e: job_id, by, work_deadline, job_seq),
        Event::Closed(e) => fields!(e: job_id, job_seq),
        Event::Returned(e) => fields!(e: job_id, account, amount, funded, job_seq, free, seq),
        Event::CreditReturned(e) => {
            fields!(e: job_id, account, amount, funded, job_seq, credit, seq)
        }
    }
}

/// The order's payer is the event's.
fn of_order(order: &Order) -> Vec<Field> {
    fields!(
        order: refund_to, approver, settler, fee_receiver, cap, max_unit_price, units, open_by,
        work_deadline, review_seconds, claim_grace, fee_bps, burn_bps, spec_hash, quote_hash, salt
    )
}

/// The lot's node is the event's.
fn of_lot(lot: &Lot) -> Vec<Field> {
    vec![
        ("word", lot.word.into()),
        ("lot_mask", lot.mask.into()),
        ("unit_price", lot.unit_price.into()),
        ("receipts_root", lot.receipts_root.into()),
        ("key_commit", lot.key_commit.into()),
    ]
}

fn of_registry(event: &RegistryEvent) -> Vec<Field> {
    match event.clone() {
        RegistryEvent::Registered { signer, owner, payout, capabilities_hash, seq } => vec![
            ("signer", signer.into()),
            ("owner", owner.into()),
            ("payout", payout.into()),
            ("capabilities_hash", capabilities_hash.into()),
            ("seq", seq.into()),
        ],
        RegistryEvent::Updated { signer, payout, capabilities_hash, seq } => vec![
            ("signer", signer.into()),
            ("payout", payout.into()),
            ("capabilities_hash", capabilities_hash.into()),
            ("seq", seq.into()),
        ],
        RegistryEvent::Bonded { signer, from, amount, bonded, seq } => vec![
            ("signer", signer.into()),
            ("from", from.into()),
            ("amount", amount.into()),
            ("bonded", bonded.into()),
            ("seq", seq.into()),
        ],
        RegistryEvent::UnbondRequested { signer, amount, bonded, unbonding, unbond_at, seq } => {
            vec![
                ("signer", signer.into()),
                ("amount", amount.into()),
                ("bonded", bonded.into()),
                ("unbonding", unbonding.into()),
                ("unbond_at", unbond_at.into()),
                ("seq", seq.into()),
            ]
        }
        RegistryEvent::BondWithdrawn { signer, to, amount, seq } => vec![
            ("signer", signer.into()),
            ("to", to.into()),
            ("amount", amount.into()),
            ("seq", seq.into()),
        ],
        RegistryEvent::Slashed(e) => {
            let mut all = fields!(e: signer, reporter, job_id, burned, rewarded, seq);
            all.push(("unit", e.first.unit.into()));
            all.push(("attempt", e.first.attempt.into()));
            let [output, preview, key, started, finished, signature] = FIRST;
            all.extend(of_receipt(&e.first, [output, preview, key, started, finished]));
            all.push((signature, (&e.first_signature).into()));
            let [output, preview, key, started, finished, signature] = SECOND;
            all.extend(of_receipt(&e.second, [output, preview, key, started, finished]));
            all.push((signature, (&e.second_signature).into()));
            all
        }
    }
}

const FIRST: [&str; 6] = [
    "first_output_hash",
    "first_preview_hash",
    "first_key_commit",
    "first_started_at",
    "first_finished_at",
    "first_signature",
];
const SECOND: [&str; 6] = [
    "second_output_hash",
    "second_preview_hash",
    "second_key_commit",
    "second_started_at",
    "second_finished_at",
    "second_signature",
];

/// What tells the two receipts of a slash apart; job, unit and attempt are the same in both.
fn of_receipt(receipt: &Receipt, names: [&'static str; 5]) -> Vec<Field> {
    let cells: [Cell; 5] = [
        receipt.output_hash.into(),
        receipt.preview_hash.into(),
        receipt.key_commit.into(),
        receipt.started_at.into(),
        receipt.finished_at.into(),
    ];
    names.into_iter().zip(cells).collect()
}
