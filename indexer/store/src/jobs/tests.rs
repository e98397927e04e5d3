//! Tests of jobs.rs: lists by page and filter, open jobs, what remains.

use contracts::event::{Committed, Event, Opened};

use super::*;
use crate::testing::{Draw, World, address, amount, child, hash, on_both, step};
use crate::{Block, Step};

const SETTLER: u64 = 500;

fn opened(draw: &mut Draw, payer: u64) -> Event {
    let mut order = draw.order();
    (order.payer, order.settler) = (address(payer), address(SETTLER));
    let (job_id, payer, funder) = (draw.hash(), order.payer, order.payer);
    let zero = Amount::ZERO;
    Event::Opened(Box::new(Opened {
        job_id,
        payer,
        funder,
        order,
        credit_spent: zero,
        pulled: zero,
        free: zero,
        credit: zero,
        seq: 1,
    }))
}

fn committed(draw: &mut Draw, job_id: B256, node: u64) -> Event {
    let Event::Committed(e) = draw.event(9) else { panic!("kind 9 is committed") };
    let lot = Lot { node: address(node), ..e.lot };
    Event::Committed(Committed { job_id, lot, node: address(node), ..e })
}

/// Ten jobs in five blocks, two in each; payer 1 has the even ones, and node 7 a lot in every
/// third. Oldest first.
async fn fill(world: &World) -> Vec<JobOrder> {
    let mut draw = Draw::new(8);
    let mut parent: Option<Block> = None;
    let mut orders = Vec::new();
    for number in 0..5_usize {
        let block = child(parent.as_ref(), 0);
        let mut events = vec![opened(&mut draw, 1), opened(&mut draw, 2)];
        for (place, event) in events.clone().iter().enumerate() {
            if (number * 2 + place) % 3 == 0 {
                events.push(committed(&mut draw, event.job_id().unwrap(), 7));
            }
        }
        let step = step(&block, events);
        orders.extend(step.orders.clone());
        world.store.chain_writer().extend(&step).await.unwrap();
        parent = Some(block);
    }
    orders
}

#[tokio::test]
async fn jobs_are_listed_page_by_page_for_every_filter() {
    on_both(|world| async move {
        let mut orders = fill(&world).await;
        orders.sort_by_key(|order| std::cmp::Reverse((order.block, order.job_id)));
        let reader = world.store.reader();
        let with_lot: Vec<B256> =
            reader.all_lots().await.unwrap().iter().map(|(lot, _)| lot.job_id).collect();
        assert_eq!(with_lot.len(), 4);
        for payer in [None, Some(address(1)), Some(address(3))] {
            for node in [None, Some(address(7)), Some(address(3))] {
                let fits = |order: &&JobOrder| {
                    payer.is_none_or(|payer| order.order.payer == payer)
                        && node.is_none_or(|node| {
                            node == address(7) && with_lot.contains(&order.job_id)
                        })
                };
                let expected: Vec<_> = orders.iter().filter(fits).cloned().collect();
                let mut filter = JobFilter { payer, node, before: None, limit: 3 };
                let mut found = Vec::new();
                loop {
                    let page = reader.jobs(&filter).await.unwrap();
                    assert!(page.len() <= 3);
                    let Some((last, _)) = page.last() else { break };
                    filter.before = Some((last.block, last.job_id));
                    found.extend(page.into_iter().map(|(order, _)| order));
                }
                assert_eq!(found, expected, "{payer:?} {node:?}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_job_is_open_until_it_is_closed_and_its_last_lot_ended() {
    on_both(|world| async move {
        fill(&world).await;
        let (reader, writer) = (world.store.reader(), world.store.chain_writer());
        let open = reader.open_jobs(address(SETTLER)).await.unwrap();
        assert_eq!(open, reader.all_jobs().await.unwrap());
        assert_eq!(open.len(), 10);
        assert!(reader.open_jobs(address(1)).await.unwrap().is_empty());
        // Close all; those with a committed lot stay.
        let tip = reader.tip().await.unwrap().unwrap();
        let block = child(Some(&tip), 0);
        let mut closing = Step { blocks: vec![block.clone()], ..Step::default() };
        for ((_, state), log_index) in open.iter().zip(0..) {
            let state = state.clone();
            closing.jobs.push(JobState { block: block.number, log_index, closed: true, ..state });
        }
        writer.extend(&closing).await.unwrap();
        let lots = reader.all_lots().await.unwrap();
        let open = reader.open_jobs(address(SETTLER)).await.unwrap();
        assert_eq!(open.len(), 4);
        assert!(open.iter().all(|(o, s)| s.closed && lots.iter().any(|l| l.0.job_id == o.job_id)));
        // Settle one lot, lapse another, approve a third.
        let last = child(Some(&block), 0);
        let mut ending = Step { blocks: vec![last.clone()], ..Step::default() };
        let states = [LotStatus::Settled, LotStatus::Lapsed, LotStatus::Approved];
        for (((_, lot), status), log_index) in lots.iter().zip(states).zip(0..) {
            let state = LotState { block: last.number, log_index, status, ..lot.clone() };
            ending.lot_states.push(state);
        }
        writer.extend(&ending).await.unwrap();
        let still: Vec<_> = lots[2..].iter().map(|(lot, _)| lot.job_id).collect();
        let open = reader.open_jobs(address(SETTLER)).await.unwrap();
        assert_eq!(open.iter().map(|(order, _)| order.job_id).collect::<Vec<_>>(), still);
    })
    .await;
}

#[tokio::test]
async fn lots_are_found_by_hash_and_by_job() {
    on_both(|world| async move {
        fill(&world).await;
        let reader = world.store.reader();
        for (lot, state) in reader.all_lots().await.unwrap() {
            let found = (lot.clone(), state);
            assert_eq!(reader.lot(lot.lot_hash).await.unwrap(), Some(found.clone()));
            assert_eq!(reader.job_lots(lot.job_id).await.unwrap(), [found]);
        }
        assert!(reader.job_lots(hash(77)).await.unwrap().is_empty());
    })
    .await;
}

#[test]
fn what_remains_is_neither_released_nor_pending() {
    let state = JobState {
        job_id: hash(1),
        block: 1,
        log_index: 1,
        funded: amount(100),
        released: amount(30),
        pending: amount(50),
        units_paid: 3,
        job_seq: 4,
        closed: false,
        work_deadline: 1,
        close_requested: false,
        credit_share: amount(0),
    };
    assert_eq!(state.remaining(), amount(20));
}
