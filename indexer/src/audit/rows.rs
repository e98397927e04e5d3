//! Compares every row of the chain's tables with the replay, table by table.

use std::collections::BTreeMap;

use alloy::primitives::B256;
use contracts::Receipt;
use contracts::registry::RegistryEvent;
use serde::Serialize;
use store::{Block, Escrow, EventRow, Reader, RegistryRow, Step};

use super::gaps::{self, Gaps};
use super::{AuditError, BLOCKS_AT_ONCE, Columns, Findings, Place, columns};
use crate::chain::Chain;
use crate::digest;

/// Rows of a table by key: the key as text, the log that wrote it, the columns.
type Rows = BTreeMap<(Option<(u64, u64)>, String), Columns>;

/// Compares the database with the replay, from the deployment to block `last`; the database goes
/// on to its `tip`.
pub(super) async fn compare<C: Chain>(
    chain: &C,
    replayed: &Reader,
    stored: &Reader,
    escrow: &Escrow,
    (last, tip): (u64, u64),
    found: &mut Findings,
) -> Result<(), AuditError> {
    let Escrow { chain_id, genesis_hash, address, registry, .. } = *escrow;
    let mut running = digest::seed(chain_id, genesis_hash, address, registry);
    let mut gaps = Gaps::of(stored).await?;
    // From zero, and all at once up to the deployment: rows there would be differences too.
    let mut from = 0;
    let mut to = last.min(escrow.deploy_block);
    while from <= last {
        let expected = replayed.rows_between(from, to).await?;
        match stored.rows_between(from, to).await {
            Ok(rows) => {
                tables(&expected, &rows, &mut gaps, found);
                let stored = &rows.blocks;
                running = blocks(chain, &expected, stored, tip, running, found).await?;
            }
            Err(store::Error::Altered { column, problem }) => {
                let of_registry = column.starts_with("registry_");
                let table = if of_registry { "registry_events" } else { "events" };
                let place = Place::new(table, format!("in blocks {from} to {to}"));
                found.add(&place, &column, "what the contract wrote".into(), problem);
                running = expected.blocks.last().map_or(running, |block| block.digest);
            }
            Err(error) => return Err(error.into()),
        }
        from = to + 1;
        to = last.min(to.saturating_add(BLOCKS_AT_ONCE));
    }
    gaps.close(stored, last, found).await
}

/// Terms first: an event's row is read together with the order or lot that it names, so a
/// changed term would show in the event too.
fn tables(expected: &Step, stored: &Step, gaps: &mut Gaps, found: &mut Findings) {
    let orders = |step: &Step| keyed(&step.orders, |o| (None, format!("job {}", o.job_id)));
    table("job_orders", orders(expected), orders(stored), None, found);
    let lots = |step: &Step| keyed(&step.lots, |l| (None, format!("lot {}", l.lot_hash)));
    table("lots", lots(expected), lots(stored), None, found);
    table("events", events(&expected.events), events(&stored.events), None, found);
    let accounts =
        |step: &Step| keyed(&step.accounts, |a| (Some((a.block, a.log_index)), gaps::account(a)));
    table("account_states", accounts(expected), accounts(stored), Some(gaps), found);
    let jobs = |step: &Step| keyed(&step.jobs, |j| (Some((j.block, j.log_index)), gaps::job(j)));
    table("job_states", jobs(expected), jobs(stored), Some(gaps), found);
    let lot_states =
        |step: &Step| keyed(&step.lot_states, |l| (Some((l.block, l.log_index)), gaps::lot(l)));
    table("lot_states", lot_states(expected), lot_states(stored), Some(gaps), found);
    let delegates =
        |step: &Step| keyed(&step.delegates, |d| (Some((d.block, d.log_index)), gaps::delegate(d)));
    table("delegate_states", delegates(expected), delegates(stored), Some(gaps), found);
    let offices =
        |step: &Step| keyed(&step.offices, |o| (Some((o.block, o.log_index)), gaps::office(o)));
    table("office_states", offices(expected), offices(stored), Some(gaps), found);
    let receipts = |step: &Step| registry_receipts(&step.registry);
    table("registry_receipts", receipts(expected), receipts(stored), None, found);
    let registry = |step: &Step| registry_events(&step.registry);
    table("registry_events", registry(expected), registry(stored), None, found);
    let bonds = |step: &Step| keyed(&step.bonds, |b| (Some((b.block, b.log_index)), gaps::bond(b)));
    table("bond_states", bonds(expected), bonds(stored), Some(gaps), found);
}

fn keyed<T: Serialize>(rows: &[T], key: impl Fn(&T) -> (Option<(u64, u64)>, String)) -> Rows {
    rows.iter().map(|row| (key(row), columns(row))).collect()
}

fn events(rows: &[EventRow]) -> Rows {
    let each = rows.iter().map(|row| {
        let log = Some((row.block, row.log_index));
        let mut fields = columns(&row.event);
        // Terms have tables of their own.
        if let Some(lot) = lot_fields(row) {
            fields.retain(|name, _| !lot.contains_key(name) || name == "node");
        }
        fields.insert("tx_hash".into(), row.tx_hash.to_string());
        ((log, format!("{} at {}/{}", row.event.name(), row.block, row.log_index)), fields)
    });
    each.map(|(key, fields)| (key, rename(fields))).collect()
}

/// The receipts of slashes have a table of their own.
fn registry_events(rows: &[RegistryRow]) -> Rows {
    let each = rows.iter().map(|row| {
        let mut event = serde_json::to_value(&row.event).unwrap_or_default();
        if let Some(fields) = event.as_object_mut() {
            fields.retain(|name, _| !name.starts_with("first") && !name.starts_with("second"));
        }
        let mut fields = columns(&event);
        fields.insert("tx_hash".into(), row.tx_hash.to_string());
        let name = format!("{} at {}/{}", row.event.name(), row.block, row.log_index);
        let account = |field: String| match field.as_str() {
            "owner" | "from" | "to" | "reporter" => "account".into(),
            _ => field,
        };
        let fields = fields.into_iter().map(|(field, value)| (account(field), value)).collect();
        ((Some((row.block, row.log_index)), name), rename(fields))
    });
    each.collect()
}

fn registry_receipts(rows: &[RegistryRow]) -> Rows {
    let mut receipts = Rows::new();
    for row in rows {
        let RegistryEvent::Slashed(e) = &row.event else { continue };
        let log = Some((row.block, row.log_index));
        let mut add = |place: u8, receipt: &Receipt, signature: String| {
            let mut fields = columns(receipt);
            fields.insert("signature".into(), signature);
            let name = format!("receipt {place} of Slashed at {}/{}", row.block, row.log_index);
            receipts.insert((log, name), fields);
        };
        add(1, &e.first, e.first_signature.to_string());
        add(2, &e.second, e.second_signature.to_string());
    }
    receipts
}

fn lot_fields(row: &EventRow) -> Option<Columns> {
    match &row.event {
        contracts::Event::Opened(e) => {
            let mut terms = columns(&e.order);
            terms.remove("payer");
            Some(terms)
        }
        contracts::Event::Released(e) => Some(columns(&e.lot)),
        contracts::Event::Committed(e) => Some(columns(&e.lot)),
        contracts::Event::Deposited(_)
        | contracts::Event::Withdrawn(_)
        | contracts::Event::FeeCredited(_)
        | contracts::Event::BurnCredited(_)
        | contracts::Event::Burned(_)
        | contracts::Event::ToppedUp(_)
        | contracts::Event::Approved(_)
        | contracts::Event::Rejected(_)
        | contracts::Event::Settled(_)
        | contracts::Event::Lapsed(_)
        | contracts::Event::CloseRequested(_)
        | contracts::Event::Closed(_)
        | contracts::Event::Returned(_)
        | contracts::Event::CreditIssued(_)
        | contracts::Event::DelegateSet(_)
        | contracts::Event::DelegateRevoked(_)
        | contracts::Event::DelegateSpent(_)
        | contracts::Event::CreditSettlerNamed(_)
        | contracts::Event::Paused(_)
        | contracts::Event::Redeemed(_)
        | contracts::Event::CreditReturned(_) => None,
    }
}

/// Fields of events under the names of their columns.
fn rename(fields: Columns) -> Columns {
    let column = |field: String| match field.as_str() {
        "event" => "kind".into(),
        "pulled" => "amount".into(),
        "credit_spent" => "spent".into(),
        "by" => "counterparty".into(),
        "window_end" | "work_deadline" | "expiry" | "until" | "unbond_at" => "at".into(),
        "reason_hash" | "key" => "hash".into(),
        _ => field,
    };
    fields.into_iter().map(|(field, value)| (column(field), value)).collect()
}

/// `gaps`: snapshots may be left out.
fn table(
    name: &'static str,
    expected: Rows,
    mut stored: Rows,
    mut gaps: Option<&mut Gaps>,
    found: &mut Findings,
) {
    for (key, expected) in expected {
        let place = Place { log: key.0, ..Place::new(name, key.1.clone()) };
        match stored.remove(&key) {
            Some(columns) => {
                found.columns(&place, &expected, &columns);
                if let Some(gaps) = &mut gaps {
                    gaps.found(&place);
                }
            }
            None if gaps.as_mut().is_some_and(|gaps| gaps.missing(&place)) => {}
            None => found.add(&place, "(whole row)", "this row".into(), "nothing".into()),
        }
    }
    for ((log, row), _) in stored {
        let place = Place { log, ..Place::new(name, row) };
        found.add(&place, "(whole row)", "no such row".into(), "one".into());
    }
}

/// Blocks: those with events and the newest one must be there; any other may be, and is compared
/// with the chain's header. The digest of each is that of the last event at or below it.
async fn blocks<C: Chain>(
    chain: &C,
    expected: &Step,
    stored: &[Block],
    tip: u64,
    mut running: B256,
    found: &mut Findings,
) -> Result<B256, AuditError> {
    let mut stored: BTreeMap<u64, &Block> = stored.iter().map(|b| (b.number, b)).collect();
    let needed = |block: &Block| {
        let number = block.number;
        number == tip
            || expected.events.iter().any(|row| row.block == number)
            || expected.registry.iter().any(|row| row.block == number)
    };
    let mut all: BTreeMap<u64, Option<&Block>> = stored.keys().map(|n| (*n, None)).collect();
    all.extend(expected.blocks.iter().map(|block| (block.number, Some(block))));
    for (number, replayed) in all {
        let place = Place::new("blocks", format!("block {number}"));
        if let Some(block) = replayed {
            running = block.digest;
        }
        match (stored.remove(&number), replayed) {
            (Some(stored), Some(block)) => found.columns(&place, &columns(block), &columns(stored)),
            (None, Some(block)) if needed(block) => {
                found.add(&place, "(whole row)", "this row".into(), "nothing".into());
            }
            (None, _) => {}
            (Some(stored), None) => match chain.header(number).await? {
                Some(header) => {
                    found.same(&place, "hash", header.hash, stored.hash);
                    found.same(&place, "parent_hash", header.parent_hash, stored.parent_hash);
                    found.same(&place, "mined_at", header.mined_at, stored.mined_at);
                    found.same(&place, "digest", running, stored.digest);
                }
                None => found.add(&place, "(whole row)", "no such block".into(), "one".into()),
            },
        }
    }
    Ok(running)
}
