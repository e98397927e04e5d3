//! Tests of registry.rs: no field of any event is lost, and altered rows are refused.

use super::*;
use crate::testing::{Draw, REGISTRY_KINDS, add_registry, child, on_both, step};

#[test]
fn every_kind_survives_its_columns() {
    for seed in 0..50 {
        for kind in 0..REGISTRY_KINDS {
            let event = Draw::new(seed).registry_event(kind);
            let words = match &event {
                RegistryEvent::Slashed(e) => (
                    Some((e.first.clone(), e.first_signature.clone())),
                    Some((e.second.clone(), e.second_signature.clone())),
                ),
                _ => (None, None),
            };
            let columns = columns_of(&event);
            assert_eq!(event_of(&columns, words.clone()).as_ref(), Ok(&event));
            // A value where the kind has none, or none where it has one.
            let more = Columns { job_id: Some(B256::ZERO), at: Some(1), ..columns.clone() };
            assert!(event_of(&more, words.clone()).is_err(), "{event:?}");
            let less = Columns { kind: "slashed".into(), ..Columns::default() };
            assert!(event_of(&less, words.clone()).is_err());
            let (first, second) = words;
            let (taken, given) = (first.is_some(), Some((work(), Bytes::new())));
            let pair = if taken { (None, second) } else { (given, None) };
            assert!(event_of(&columns, pair).is_err(), "{event:?}");
        }
    }
}

fn work() -> Receipt {
    match Draw::new(1).registry_event(5) {
        RegistryEvent::Slashed(e) => e.first,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_nodes_events_entries_and_bond_are_its_own() {
    on_both(|world| async move {
        let block = child(None, 0);
        let mut step = step(&block, vec![]);
        add_registry(&mut step, block.number, &mut Draw::new(3));
        world.store.chain_writer().extend(&step).await.unwrap();
        let reader = world.store.reader();
        let mut bonds = step.bonds.clone();
        bonds.sort_by_key(|bond| bond.signer);
        assert_eq!(reader.bonds().await.unwrap(), bonds);
        for (row, bond) in step.registry.iter().zip(&step.bonds) {
            let signer = row.event.signer();
            let own = reader.registry_events_of(signer).await.unwrap();
            assert_eq!(own, std::slice::from_ref(row));
            assert_eq!(reader.bond(signer).await.unwrap().as_ref(), Some(bond));
            let entries = entries_of_registry(row).unwrap();
            assert_eq!(reader.entries_of_bond(signer).await.unwrap(), entries);
        }
        assert_eq!(reader.bond(Address::ZERO).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn a_slash_without_one_of_its_receipts_is_altered() {
    on_both(|world| async move {
        let block = child(None, 0);
        let mut step = step(&block, vec![]);
        add_registry(&mut step, block.number, &mut Draw::new(4));
        world.store.chain_writer().extend(&step).await.unwrap();
        world.tamper("DELETE FROM registry_receipts WHERE place = 2").await;
        let error = world.store.reader().registry_events_between(0, 9).await.unwrap_err();
        assert!(matches!(error, Error::Altered { .. }), "{error}");
        assert!(error.to_string().contains("second receipt"), "{error}");
        world.tamper("DELETE FROM registry_events WHERE kind = 'slashed'").await;
        let error = world.store.reader().registry_events_between(0, 9).await.unwrap_err();
        assert!(error.to_string().contains("beside no slash"), "{error}");
    })
    .await;
}
