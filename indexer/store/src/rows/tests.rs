//! Tests of rows.rs: an audit sees every row of its range, and no other.

use crate::extend::Step;
use crate::jobs::LotStatus;
use crate::testing::{Draw, KINDS, add_registry, child, on_both, step};

#[tokio::test]
async fn rows_of_a_range_are_those_of_its_steps() {
    on_both(|world| async move {
        let mut draw = Draw::new(11);
        let mut parent = None;
        let mut steps: Vec<Step> = Vec::new();
        for _ in 0..3 {
            let block = child(parent.as_ref(), 0);
            let mut step = step(&block, (0..KINDS).map(|kind| draw.event(kind)).collect());
            // A snapshot that a newer one of the same block replaces is a row all the same.
            let mut later = step.lot_states[0].clone();
            (later.log_index, later.status) = (500, LotStatus::Approved);
            step.lot_states.push(later);
            add_registry(&mut step, block.number, &mut draw);
            world.store.chain_writer().extend(&step).await.unwrap();
            step.lots.sort_by_key(|lot| (lot.block, lot.lot_hash));
            steps.push(step);
            parent = Some(block);
        }
        let reader = world.store.reader();
        for (place, step) in steps.iter().enumerate() {
            let number = place as u64;
            let rows = reader.rows_between(number, number).await.unwrap();
            assert_eq!(format!("{rows:?}"), format!("{step:?}"));
        }
        let both = reader.rows_between(1, 2).await.unwrap();
        let events: Vec<_> = steps[1..].iter().flat_map(|step| step.events.clone()).collect();
        assert_eq!((both.blocks.len(), both.events), (2, events));
        assert!(reader.rows_between(3, 9).await.unwrap().events.is_empty());
    })
    .await;
}
