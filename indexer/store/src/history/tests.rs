//! Tests of history.rs: every filter in both orders against a plain one, and what indexes it uses.

use std::collections::BTreeMap;

use contracts::event::Event;
use contracts::registry::RegistryEvent;

use super::*;
use crate::testing::{
    Draw, KINDS as ESCROW_KINDS, REGISTRY_KINDS, World, child, hash, on_both, step,
};

const BLOCKS: u64 = 4;

/// The same jobs, accounts and nodes in every block, and every kind of both contracts.
async fn fill(world: &World) -> Vec<HistoryRow> {
    let mut all = Vec::new();
    let mut parent = None;
    for number in 0..BLOCKS {
        let block = child(parent.as_ref(), 0);
        let events = (0..ESCROW_KINDS).map(|kind| {
            let mut event = Draw::new(u64::from(kind)).event(kind);
            // What may be named once only.
            match &mut event {
                Event::Opened(e) => e.job_id = hash(number),
                Event::Released(e) => e.lot_hash = hash(100 + number),
                Event::Committed(e) => e.lot_hash = hash(200 + number),
                _ => {}
            }
            event
        });
        let mut step = step(&block, events.collect());
        for kind in 0..REGISTRY_KINDS {
            let event = Draw::new(u64::from(kind)).registry_event(kind);
            let (log_index, tx_hash) = (100 + u64::from(kind), hash(number));
            step.registry.push(RegistryRow { block: block.number, log_index, tx_hash, event });
        }
        let row = |log_index, event| HistoryRow {
            place: Place { block: block.number, log_index, block_hash: block.hash },
            mined_at: block.mined_at,
            event,
        };
        let escrow = step.events.iter().map(|e| row(e.log_index, HistoryEvent::Escrow(e.clone())));
        all.extend(escrow);
        let registry = step.registry.iter();
        all.extend(registry.map(|e| row(e.log_index, HistoryEvent::Registry(e.clone()))));
        world.store.chain_writer().extend(&step).await.unwrap();
        parent = Some(block);
    }
    all
}

fn kind(row: &HistoryRow) -> &'static str {
    match &row.event {
        HistoryEvent::Escrow(row) => row.kind(),
        HistoryEvent::Registry(row) => row.kind(),
    }
}

fn job(row: &HistoryRow) -> Option<JobId> {
    match &row.event {
        HistoryEvent::Escrow(row) => row.event.job_id(),
        HistoryEvent::Registry(row) => match &row.event {
            RegistryEvent::Slashed(e) => Some(e.job_id),
            _ => None,
        },
    }
}

fn account(row: &HistoryRow) -> Option<Address> {
    match &row.event {
        HistoryEvent::Escrow(row) => row.event.account_after().map(|after| after.account),
        HistoryEvent::Registry(row) => match &row.event {
            RegistryEvent::Registered { owner, .. } => Some(*owner),
            RegistryEvent::Bonded { from, .. } => Some(*from),
            RegistryEvent::BondWithdrawn { to, .. } => Some(*to),
            RegistryEvent::Slashed(e) => Some(e.reporter),
            RegistryEvent::Updated { .. } | RegistryEvent::UnbondRequested { .. } => None,
        },
    }
}

fn node(row: &HistoryRow) -> Option<Address> {
    match &row.event {
        HistoryEvent::Escrow(row) => match &row.event {
            Event::Released(e) => Some(e.node),
            Event::Settled(e) => Some(e.node),
            Event::Redeemed(e) => Some(e.node),
            Event::Committed(e) => Some(e.node),
            _ => None,
        },
        HistoryEvent::Registry(row) => Some(row.event.signer()),
    }
}

fn fits(row: &HistoryRow, filter: &HistoryFilter) -> bool {
    let contract = match row.event {
        HistoryEvent::Escrow(_) => Contract::Escrow,
        HistoryEvent::Registry(_) => Contract::Registry,
    };
    filter.contract.is_none_or(|wanted| wanted == contract)
        && filter.kind.as_deref().is_none_or(|wanted| wanted == kind(row))
        && filter.job.is_none_or(|wanted| job(row) == Some(wanted))
        && filter.account.is_none_or(|wanted| account(row) == Some(wanted))
        && filter.node.is_none_or(|wanted| node(row) == Some(wanted))
        && filter.after.is_none_or(|after| row.place.block > after)
        && filter.before.is_none_or(|before| row.place.block < before)
}

async fn walk(reader: &Reader, filter: &HistoryFilter) -> Vec<HistoryRow> {
    let mut filter = filter.clone();
    let mut found = Vec::new();
    loop {
        let page = reader.history(&filter).await.unwrap();
        assert!(page.rows.len() <= filter.limit as usize);
        found.extend(page.rows);
        let Some(next) = page.next else { return found };
        let place = Some((next.block, next.log_index));
        assert_ne!(filter.place, place, "a walk that stands still");
        filter.place = place;
    }
}

/// Each filter of a row by itself, every pair, and all of them.
fn filters_of(row: &HistoryRow) -> Vec<HistoryFilter> {
    (0..16_u8)
        .map(|bits| {
            let on = |bit: u8| bits & bit != 0;
            HistoryFilter {
                kind: on(1).then(|| kind(row).to_owned()),
                job: job(row).filter(|_| on(2)),
                account: account(row).filter(|_| on(4)),
                node: node(row).filter(|_| on(8)),
                limit: 3,
                ..HistoryFilter::default()
            }
        })
        .collect()
}

#[tokio::test]
async fn every_filter_in_both_orders_finds_what_a_plain_one_does() {
    on_both(|world| async move {
        let all = fill(&world).await;
        let reader = world.store.reader();
        let in_block: Vec<_> = all.iter().filter(|row| row.place.block == 1).collect();
        assert_eq!(in_block.len(), usize::from(ESCROW_KINDS + REGISTRY_KINDS));
        let of_one = [Contract::Escrow, Contract::Registry].map(|contract| HistoryFilter {
            contract: Some(contract),
            limit: 4,
            ..HistoryFilter::default()
        });
        let filters = in_block.into_iter().flat_map(filters_of).chain(of_one);
        let filters: BTreeMap<String, HistoryFilter> =
            filters.map(|filter| (format!("{filter:?}"), filter)).collect();
        for filter in filters.into_values() {
            let expected: Vec<_> = all.iter().filter(|row| fits(row, &filter)).cloned().collect();
            assert!(!expected.is_empty(), "{filter:?}");
            assert_eq!(walk(&reader, &filter).await, expected, "{filter:?}");
            let newest_first = HistoryFilter { newest_first: true, ..filter };
            let reversed: Vec<_> = expected.into_iter().rev().collect();
            assert_eq!(walk(&reader, &newest_first).await, reversed, "{newest_first:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn pages_keep_to_their_blocks_and_to_the_block_of_the_reader() {
    on_both(|world| async move {
        let all = fill(&world).await;
        for (after, before) in
            [(None, Some(0)), (Some(0), Some(3)), (Some(2), None), (Some(3), None)]
        {
            for newest_first in [false, true] {
                for until in [1, 2, u64::MAX] {
                    let filter = HistoryFilter {
                        after,
                        before,
                        newest_first,
                        limit: 7,
                        ..Default::default()
                    };
                    let within = |row: &&HistoryRow| row.place.block <= until && fits(row, &filter);
                    let mut expected: Vec<_> = all.iter().filter(within).cloned().collect();
                    if newest_first {
                        expected.reverse();
                    }
                    let reader = world.store.reader().at(until);
                    assert_eq!(walk(&reader, &filter).await, expected, "{filter:?} {until}");
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn each_page_is_read_by_an_index_in_its_order() {
    on_both(|world| async move {
        let row = fill(&world).await.remove(0);
        let tx = world.store.pool.moment().await.unwrap();
        let reads = crate::reads::Reads::Moment(std::sync::Arc::new(tokio::sync::Mutex::new(tx)));
        if !world.is_sqlite() {
            for off in ["SET LOCAL enable_seqscan = off", "SET LOCAL enable_sort = off"] {
                reads.all(off, vec![]).await.unwrap();
            }
        }
        let mut one_by_one = filters_of(&row);
        one_by_one.push(HistoryFilter {
            node: Some(Address::ZERO),
            limit: 3,
            ..Default::default()
        });
        one_by_one.push(HistoryFilter { before: Some(3), limit: 3, ..Default::default() });
        for newest_first in [false, true] {
            for filter in &one_by_one {
                let filter = HistoryFilter { newest_first, ..filter.clone() };
                for source in sources(&filter) {
                    let question = source.question(&filter, EVER);
                    for (text, values) in
                        [Some(question.rows()), question.end()].into_iter().flatten()
                    {
                        let plan = plan(&world, &reads, &text, values).await;
                        let scans = |line: &&String| {
                            line.starts_with("SCAN events")
                                || line.starts_with("SCAN registry")
                                || line.contains("TEMP B-TREE")
                                || line.contains("Seq Scan")
                                || line.contains("Sort")
                        };
                        let scan = plan.iter().find(scans);
                        assert_eq!(scan, None, "{filter:?}\n{text}\n{}", plan.join("\n"));
                    }
                }
            }
        }
    })
    .await;
}

async fn plan(
    world: &World,
    reads: &crate::reads::Reads,
    text: &str,
    values: Vec<Value>,
) -> Vec<String> {
    let (words, column) = match world.is_sqlite() {
        true => ("EXPLAIN QUERY PLAN", "detail"),
        false => ("EXPLAIN", "QUERY PLAN"),
    };
    let rows = reads.all_made(&format!("{words} {text}"), values).await.unwrap();
    rows.iter().map(|row| row.get(column).unwrap()).collect()
}
