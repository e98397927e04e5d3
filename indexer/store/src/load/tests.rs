//! Tests of load.rs: what is left out comes back whole, and nothing is shown before it.

use super::*;
use crate::testing::{Draw, KINDS, World, add_registry, child, on_both, step};
use crate::{Error, Step};

fn next(parent: Option<&Block>) -> Step {
    let block = child(parent, 0);
    let mut draw = Draw::new(block.number);
    let mut step = step(&block, (0..KINDS).map(|kind| draw.event(kind)).collect());
    add_registry(&mut step, block.number, &mut draw);
    step
}

/// What could be left out, as the database describes it.
async fn extras(world: &World) -> Vec<(String, String)> {
    let mut tx = world.store.pool.write(Writer::Chain).await.unwrap();
    let left = left_out(&mut tx).await.unwrap();
    left.into_iter().map(|left| (left.name, left.make)).collect()
}

#[tokio::test]
async fn a_load_leaves_out_indexes_and_foreign_keys_and_makes_them_all_again() {
    on_both(|world| async move {
        let (writer, reader) = (world.store.chain_writer(), world.store.reader());
        let before = extras(&world).await;
        assert!(before.len() > 10 && before.iter().any(|(name, _)| name == "lots_by_hash"));
        assert_eq!(before.iter().any(|(_, make)| make.contains("CASCADE")), !world.is_sqlite());
        assert!(writer.begin_load().await.unwrap());
        assert!(extras(&world).await.is_empty());
        let first = next(None);
        writer.extend(&first).await.unwrap();
        let tip = first.blocks.last().cloned();
        assert_eq!(reader.tip().await.unwrap(), None);
        assert_eq!(writer.cursor().await.unwrap(), Cursor { tip: tip.clone(), loading: true });
        // A process that was killed meanwhile knows by the database alone.
        let again = world.again().await.unwrap();
        let second = next(tip.as_ref());
        again.chain_writer().extend(&second).await.unwrap();
        again.chain_writer().end_load().await.unwrap();
        again.chain_writer().end_load().await.unwrap();
        again.close().await;
        assert_eq!(extras(&world).await, before);
        let newest = second.blocks.last().cloned().unwrap();
        let cursor = Cursor { tip: Some(newest.clone()), loading: false };
        assert_eq!(writer.cursor().await.unwrap(), cursor);
        assert_eq!(reader.tip().await.unwrap(), Some(newest.clone()));
        // Every row goes with its block again.
        writer.rewind(&tip.unwrap(), &newest, 1).await.unwrap();
        let rows = reader.rows_between(0, 9).await.unwrap();
        assert_eq!((rows.blocks.len(), rows.events, rows.bonds), (1, first.events, first.bonds));
    })
    .await;
}

#[tokio::test]
async fn a_store_with_blocks_is_never_loaded() {
    on_both(|world| async move {
        let writer = world.store.chain_writer();
        writer.extend(&next(None)).await.unwrap();
        let before = extras(&world).await;
        assert!(!writer.begin_load().await.unwrap());
        assert_eq!(extras(&world).await, before);
        assert!(!writer.cursor().await.unwrap().loading);
    })
    .await;
}

#[tokio::test]
async fn a_job_that_was_loaded_twice_is_never_shown() {
    on_both(|world| async move {
        let (writer, reader) = (world.store.chain_writer(), world.store.reader());
        assert!(writer.begin_load().await.unwrap());
        let first = next(None);
        writer.extend(&first).await.unwrap();
        let mut second = next(first.blocks.last());
        let number = second.blocks[0].number;
        let twice = |row: &crate::EventRow| {
            matches!(row.event, contracts::Event::Opened(_)).then(|| crate::EventRow {
                block: number,
                log_index: 999,
                ..row.clone()
            })
        };
        second.events.extend(first.events.iter().filter_map(twice));
        let order = first.orders[0].clone();
        second.orders.push(crate::JobOrder { block: number, ..order });
        writer.extend(&second).await.unwrap();
        let error = writer.end_load().await.unwrap_err();
        assert!(matches!(error, Error::Conflict { .. }), "{error}");
        assert!(writer.cursor().await.unwrap().loading);
        assert_eq!(reader.tip().await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn a_row_of_no_block_of_its_step_is_refused_during_a_load_too() {
    on_both(|world| async move {
        let writer = world.store.chain_writer();
        assert!(writer.begin_load().await.unwrap());
        let mut orphan = next(None);
        orphan.bonds[0].block = 99;
        let error = writer.extend(&orphan).await.unwrap_err();
        assert!(matches!(error, Error::BrokenStep(_)), "{error}");
        assert_eq!(writer.cursor().await.unwrap().tip, None);
    })
    .await;
}
