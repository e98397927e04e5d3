//! Tests of events.rs: rows of every kind through both databases, pages, times, altered rows.

use super::*;
use crate::testing::{Draw, KINDS, child, on_both, step};

/// Three blocks that hold every kind of event, several times.
async fn fill(world: &crate::testing::World) -> Vec<EventRow> {
    let mut draw = Draw::new(3);
    let mut rows = Vec::new();
    let mut parent = None;
    for fork in 0..3 {
        let block = child(parent.as_ref(), fork);
        let step = step(&block, (0..KINDS).map(|kind| draw.event(kind)).collect());
        rows.extend(step.events.clone());
        world.store.chain_writer().extend(&step).await.unwrap();
        parent = Some(block);
    }
    rows
}

#[tokio::test]
async fn every_kind_is_read_back_as_it_was_written() {
    on_both(|world| async move {
        let rows = fill(&world).await;
        let reader = world.store.reader();
        assert_eq!(reader.events_between(0, 2).await.unwrap(), rows);
        let middle: Vec<_> = rows.iter().filter(|r| r.block == 1).cloned().collect();
        assert_eq!(reader.events_between(1, 1).await.unwrap(), middle);
        assert_eq!(reader.events_after(None, 1_000).await.unwrap(), rows);
        assert_eq!(reader.events_after(Some((1, 23)), 5).await.unwrap(), rows[48..53]);
        let blocks = reader.blocks_of(rows.iter().map(|row| row.block)).await.unwrap();
        let times = blocks.values().map(|block| (block.number, block.mined_at));
        let expected = [(0, 1_000_000), (1, 1_000_012), (2, 1_000_024)];
        assert_eq!(times.collect::<Vec<_>>(), expected);
        assert!(reader.blocks_of([]).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn events_are_found_by_job_and_by_the_account_they_move() {
    on_both(|world| async move {
        let rows = fill(&world).await;
        let reader = world.store.reader();
        for row in &rows {
            if let Some(job_id) = row.event.job_id() {
                assert_eq!(reader.events_of_job(job_id).await.unwrap(), std::slice::from_ref(row));
                let entries = entries_of(row).unwrap();
                assert_eq!(reader.entries_of_job(job_id).await.unwrap(), entries);
            }
            let Some(after) = row.event.account_after() else { continue };
            let own: Vec<_> = rows
                .iter()
                .filter(|r| r.event.account_after().is_some_and(|a| a.account == after.account))
                .cloned()
                .collect();
            let found = reader.events_of_account(after.account, None, 100).await.unwrap();
            assert_eq!(found, own);
            let books = [wallet_book(after.account), credit_book(after.account)];
            let entries = reader.entries_of_account(after.account, None, 100).await.unwrap();
            assert!(entries.iter().all(|entry| books.contains(&entry.book)));
        }
    })
    .await;
}

use crate::entries::entries_of;

#[tokio::test]
async fn an_account_is_read_page_by_page() {
    on_both(|world| async move {
        let rows = fill(&world).await;
        // The burn account is in two kinds of each of the three blocks.
        let burn = contracts::order::BURN_ACCOUNT;
        let reader = world.store.reader();
        let (mut after, mut found) = (None, Vec::new());
        loop {
            let page = reader.events_of_account(burn, after, 4).await.unwrap();
            after = page.last().map(|row| (row.block, row.log_index));
            found.extend(page);
            if after.is_none() {
                break;
            }
        }
        let of_burn =
            |row: &&EventRow| row.event.account_after().is_some_and(|after| after.account == burn);
        let expected: Vec<_> = rows.iter().filter(of_burn).cloned().collect();
        assert_eq!((expected.len(), found), (6, expected));
    })
    .await;
}

#[tokio::test]
async fn an_altered_row_is_named() {
    on_both(|world| async move {
        fill(&world).await;
        world.tamper("UPDATE events SET free = NULL WHERE block = 1 AND log_index = 0").await;
        let reader = world.store.reader();
        let error = reader.events_between(0, 2).await.unwrap_err().to_string();
        assert!(error.contains("events at 1/0") && error.contains("no free"), "{error}");
        world.tamper("UPDATE events SET amount = '12' WHERE block = 2 AND log_index = 0").await;
        let error = reader.events_between(2, 2).await.unwrap_err().to_string();
        assert!(error.contains("`amount`") && error.contains("`12`"), "{error}");
    })
    .await;
}
