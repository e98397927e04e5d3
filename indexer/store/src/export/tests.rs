//! Tests of export.rs: every kind of event in every format, and the walk over the history.

use std::collections::BTreeSet;

use contracts::Event;
use contracts::registry::RegistryEvent;

use super::*;
use crate::testing::{
    Draw, KINDS, REGISTRY_KINDS, add_registry, amount, child, hash, on_both, step,
};
use crate::{EventRow, RegistryRow};

pub(crate) fn escrow(symbol: &str, decimals: u8) -> Escrow {
    Escrow {
        address: Address::repeat_byte(0xe5),
        chain_id: 31_337,
        genesis_hash: B256::ZERO,
        token: Address::repeat_byte(0x70),
        symbol: symbol.into(),
        decimals,
        deploy_block: 0,
        registry: Some(Address::repeat_byte(0x4e)),
    }
}

/// One event of every kind of both contracts.
fn every_kind() -> Vec<HistoryEvent> {
    let mut draw = Draw::new(11);
    let mut all: Vec<HistoryEvent> = Vec::new();
    for kind in 0..KINDS {
        let (mut event, tx_hash) = (draw.event(kind), draw.hash());
        // In the contract a lot's node is its event's.
        if let Event::Released(e) = &mut event {
            e.lot.node = e.node;
        }
        if let Event::Committed(e) = &mut event {
            e.lot.node = e.node;
        }
        all.push(HistoryEvent::Escrow(EventRow {
            block: 0,
            log_index: kind.into(),
            tx_hash,
            event,
        }));
    }
    for kind in 0..REGISTRY_KINDS {
        let (mut event, tx_hash) = (draw.registry_event(kind), draw.hash());
        // Its two receipts are of one unit and attempt.
        if let RegistryEvent::Slashed(e) = &mut event {
            (e.second.job_id, e.second.unit) = (e.first.job_id, e.first.unit);
            e.second.attempt = e.first.attempt;
        }
        let log_index = u64::from(KINDS) + u64::from(kind);
        all.push(HistoryEvent::Registry(RegistryRow { block: 0, log_index, tx_hash, event }));
    }
    all
}

#[test]
fn every_kind_has_one_cell_a_column_and_no_cell_breaks_its_line() {
    let (escrow, block) = (escrow("RNDR", 18), child(None, 0));
    let mut kinds = BTreeSet::new();
    for told in every_kind() {
        assert!(kinds.insert(told.kind()), "{} twice", told.kind());
        let mut rows = vec![event_row(&escrow, &told, &block)];
        rows.extend(entry_rows(&escrow, &told, &block).unwrap());
        for row in rows {
            let (header, line) = (csv_header(&row), csv_line(&row, 18));
            assert_eq!(header.split(',').count(), line.split(',').count(), "{header}{line}");
            assert_eq!((header.lines().count(), line.lines().count()), (1, 1));
            assert!(!line.contains('"'), "{line}");
            let names: BTreeSet<&str> = header.trim().split(',').collect();
            assert_eq!(names.len(), header.trim().split(',').count(), "a name twice: {header}");
            let json: Value = serde_json::from_str(&json_line(&row, 18)).unwrap();
            let object = json.as_object().unwrap();
            assert_eq!(object.keys().map(String::as_str).collect::<BTreeSet<_>>(), names);
            for (name, cell) in header.trim().split(',').zip(line.trim().split(',')) {
                let shown = &object[name];
                let text = shown.as_str().map_or_else(|| shown.to_string(), str::to_owned);
                let float = name.ends_with("_float");
                assert!(text == cell || float, "{name}: {shown} and {cell}");
            }
        }
    }
    assert_eq!(kinds.len(), usize::from(KINDS + REGISTRY_KINDS));
}

#[test]
fn every_field_of_an_event_is_in_its_row() {
    let (escrow, block) = (escrow("RNDR", 18), child(None, 0));
    for told in every_kind() {
        let event = match &told {
            HistoryEvent::Escrow(row) => serde_json::to_value(&row.event).unwrap(),
            HistoryEvent::Registry(row) => serde_json::to_value(&row.event).unwrap(),
        };
        let line = csv_line(&event_row(&escrow, &told, &block), 18).to_lowercase();
        let cells: BTreeSet<&str> = line.trim().split(',').collect();
        let mut wanted = Vec::new();
        leaves(&event, &mut wanted);
        for leaf in wanted {
            // The kind names the file, and a lot's or slash's repeated parts stand there once.
            let known = cells.contains(leaf.to_lowercase().as_str()) || leaf == told.kind();
            assert!(known, "{} lacks {leaf}: {line}", told.kind());
        }
    }
}

fn leaves(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::Object(fields) => fields.values().for_each(|field| leaves(field, into)),
        Value::String(text) => into.push(text.clone()),
        other => into.push(other.to_string()),
    }
}

#[test]
fn an_amount_stands_exact_as_decimal_and_as_float() {
    let row: Vec<Field> = vec![("amount", amount(1_500_000_000_000_000_000).into())];
    assert_eq!(csv_header(&row), "amount,amount_decimal,amount_float\n");
    assert_eq!(csv_line(&row, 18), "1500000000000000000,1.500000000000000000,1.5\n");
    assert_eq!(csv_line(&row, 0), "1500000000000000000,1500000000000000000,1500000000000000000\n");
    let row: Vec<Field> = vec![("amount", amount(7).into())];
    assert_eq!(csv_line(&row, 6), "7,0.000007,0.000007\n");
    let json = "{\"amount\":\"7\",\"amount_decimal\":\"0.000007\",\"amount_float\":7e-6}\n";
    assert_eq!(json_line(&row, 6), json);
    assert_eq!(fixed(Amount::MAX.base(), 18), "79228162514.264337593543950335");
}

#[tokio::test]
async fn the_walk_tells_both_contracts_in_the_chains_order_and_nothing_outside_its_range() {
    on_both(|world| async move {
        let mut draw = Draw::new(3);
        let mut parent = None;
        for fork in 0..4 {
            let block = child(parent.as_ref(), fork);
            let mut step = step(&block, (0..KINDS).map(|kind| draw.event(kind)).collect());
            add_registry(&mut step, block.number, &mut draw);
            world.store.chain_writer().extend(&step).await.unwrap();
            parent = Some(block);
        }
        let reader = world.store.reader();
        for (from, to) in [(0, 3), (1, 2), (2, 2), (0, 0), (3, 90), (5, 9)] {
            let mut history = reader.walk(from, to);
            let mut told = Vec::new();
            while let Some((one, block)) = history.next().await.unwrap() {
                assert_eq!(one.place().0, block.number);
                assert_eq!(Some(block), reader.block(one.place().0).await.unwrap());
                told.push(one);
            }
            let events = reader.events_between(from, to).await.unwrap();
            let bonds = reader.registry_events_between(from, to).await.unwrap();
            let mut all: Vec<HistoryEvent> = events.into_iter().map(HistoryEvent::Escrow).collect();
            all.extend(bonds.into_iter().map(HistoryEvent::Registry));
            all.sort_by_key(HistoryEvent::place);
            assert_eq!(told, all, "{from} to {to}");
        }
    })
    .await;
}

#[test]
fn a_payer_sees_its_jobs_and_a_node_its_lots() {
    let mut draw = Draw::new(21);
    let told = |event, log_index| {
        HistoryEvent::Escrow(EventRow { block: 1, log_index, tx_hash: hash(log_index), event })
    };
    let Event::Opened(opened) = draw.event(5) else { panic!("an opening") };
    let Event::Committed(mut committed) = draw.event(9) else { panic!("a commit") };
    let Event::Rejected(mut rejected) = draw.event(11) else { panic!("a rejection") };
    committed.job_id = opened.job_id;
    (rejected.job_id, rejected.lot_hash) = (opened.job_id, committed.lot_hash);
    let (payer, node) = (opened.payer, committed.lot.node);
    let history = [
        told(Event::Opened(opened), 0),
        told(Event::Committed(committed), 1),
        told(Event::Rejected(rejected), 2),
        told(draw.event(0), 3),
    ];
    let seen = |scope| {
        let mut watch = Watch::new(scope);
        history.iter().map(|told| watch.takes(told)).collect::<Vec<_>>()
    };
    assert_eq!(seen(Scope::Escrow), [true; 4]);
    assert_eq!(seen(Scope::Payer(payer)), [true, true, true, false]);
    assert_eq!(seen(Scope::Node(node)), [false, true, true, false]);
    assert_eq!(seen(Scope::Operator(node)), [false; 4]);
}
