//! Tests of extend.rs: a step or a rewind happens whole or not at all.

use alloy::primitives::U256;

use super::*;
use crate::blocks::{Tag, Verified};
use crate::jobs::LotStatus;
use crate::testing::{
    Draw, KINDS, World, add_events, add_registry, address, amount, child, hash, on_both, step,
};
use crate::{Reader, Reorg};

/// Everything that hangs from blocks.
async fn everything(reader: &Reader) -> impl PartialEq + std::fmt::Debug + use<> {
    (
        reader.tip().await.unwrap(),
        reader.events_between(0, 1_000_000).await.unwrap(),
        reader.accounts().await.unwrap(),
        reader.all_jobs().await.unwrap(),
        reader.all_lots().await.unwrap(),
        reader.delegates().await.unwrap(),
        reader.offices().await.unwrap(),
        reader.registry_events_between(0, 1_000_000).await.unwrap(),
        reader.bonds().await.unwrap(),
    )
}

fn all_kinds(seed: u64) -> Vec<Event> {
    let mut draw = Draw::new(seed);
    (0..KINDS).map(|kind| draw.event(kind)).collect()
}

async fn grow(world: &World, parent: Option<&Block>, fork: u64) -> Block {
    let block = child(parent, fork);
    let seed = block.number * 1_000 + fork;
    let mut step = step(&block, all_kinds(seed));
    add_registry(&mut step, block.number, &mut Draw::new(seed));
    world.store.chain_writer().extend(&step).await.unwrap();
    block
}

#[tokio::test]
async fn a_rewind_leaves_what_was_there_before_and_one_row_in_the_journal() {
    on_both(|world| async move {
        let reader = world.store.reader();
        let first = grow(&world, None, 0).await;
        let fork = grow(&world, Some(&first), 0).await;
        let before = everything(&reader).await;
        let lost = grow(&world, Some(&fork), 0).await;
        let tip = grow(&world, Some(&lost), 0).await;
        let after = everything(&reader).await;
        assert!(before != after);
        world.store.chain_writer().rewind(&fork, &tip, 77).await.unwrap();
        assert_eq!(everything(&reader).await, before);
        let reorg = Reorg {
            reorg_id: 1,
            at: 77,
            fork_block: fork.number,
            fork_hash: fork.hash,
            old_block: tip.number,
            old_hash: tip.hash,
        };
        assert_eq!(reader.reorgs(10).await.unwrap(), std::slice::from_ref(&reorg));
        // The other branch, then back to it again: the journal goes on.
        let other = grow(&world, Some(&fork), 1).await;
        world.store.chain_writer().rewind(&fork, &other, 78).await.unwrap();
        let journal = reader.reorgs(10).await.unwrap();
        assert_eq!((journal.len(), journal[0].reorg_id, journal[1].clone()), (2, 2, reorg));
        assert_eq!(reader.reorgs(1).await.unwrap(), journal[..1]);
    })
    .await;
}

#[tokio::test]
async fn a_step_that_fails_at_its_end_leaves_nothing() {
    on_both(|world| async move {
        let reader = world.store.reader();
        let tip = grow(&world, None, 0).await;
        let before = everything(&reader).await;
        let block = child(Some(&tip), 0);
        let mut broken = step(&block, all_kinds(50));
        // The last rows written: a second snapshot at the same place.
        broken.lot_states.push(broken.lot_states[0].clone());
        let error = world.store.chain_writer().extend(&broken).await.unwrap_err();
        assert!(matches!(error, Error::Conflict { .. }), "{error}");
        assert!(!error.is_transient());
        assert_eq!(everything(&reader).await, before);
        let mut orphan = step(&block, all_kinds(50));
        orphan.accounts[0].block = 99;
        world.store.chain_writer().extend(&orphan).await.unwrap_err();
        assert_eq!(everything(&reader).await, before);
        broken.lot_states.pop();
        world.store.chain_writer().extend(&broken).await.unwrap();
        assert_eq!(reader.tip().await.unwrap(), Some(block));
    })
    .await;
}

#[tokio::test]
async fn a_rewind_that_fails_leaves_everything() {
    on_both(|world| async move {
        let reader = world.store.reader();
        let writer = world.store.chain_writer();
        let first = grow(&world, None, 0).await;
        let second = grow(&world, Some(&first), 0).await;
        let tip = grow(&world, Some(&second), 0).await;
        let before = everything(&reader).await;
        for (fork, old) in [
            (child(Some(&first), 9), tip.clone()),
            (second.clone(), child(Some(&second), 9)),
            (second.clone(), second.clone()),
            (first.clone(), second.clone()),
            (tip.clone(), first.clone()),
        ] {
            let error = writer.rewind(&fork, &old, 1).await.unwrap_err();
            assert!(matches!(error, Error::BrokenStep(_)), "{error}");
        }
        let (block, hash) = (second.number, second.hash);
        writer.set_heads(&[Head { tag: Tag::Finalized, block, hash, seen_at: 1 }]).await.unwrap();
        let error = writer.rewind(&first, &tip, 1).await.unwrap_err();
        assert!(matches!(error, Error::BelowFinalized { fork: 0, finalized: 1 }), "{error}");
        assert_eq!(everything(&reader).await, before);
        assert!(reader.reorgs(10).await.unwrap().is_empty());
        writer.rewind(&second, &tip, 1).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_step_must_continue_the_chain() {
    on_both(|world| async move {
        let writer = world.store.chain_writer();
        let first = grow(&world, None, 0).await;
        let second = child(Some(&first), 0);
        let blocks = |blocks: Vec<Block>| Step { blocks, ..Step::default() };
        for wrong in [
            blocks(vec![first.clone()]),
            blocks(vec![child(Some(&child(None, 7)), 0)]),
            blocks(vec![second.clone(), child(Some(&child(Some(&first), 1)), 0)]),
            blocks(vec![second.clone(), second.clone()]),
        ] {
            let error = writer.extend(&wrong).await.unwrap_err();
            assert!(matches!(error, Error::BrokenStep(_)), "{error}");
        }
        // Below finalized, blocks without events may be left out.
        let far = Block { number: 90, ..child(Some(&second), 0) };
        writer.extend(&blocks(vec![second.clone(), far.clone()])).await.unwrap();
        let reader = world.store.reader();
        assert_eq!(reader.block(1).await.unwrap(), Some(second.clone()));
        assert_eq!(reader.block(2).await.unwrap(), None);
        assert_eq!(reader.block_at_or_below(89).await.unwrap(), Some(second));
        assert_eq!(reader.block_at_or_below(90).await.unwrap(), Some(far.clone()));
        assert_eq!(reader.tip().await.unwrap(), Some(far));
    })
    .await;
}

#[tokio::test]
async fn orders_and_lots_must_be_those_of_the_events() {
    on_both(|world| async move {
        let writer = world.store.chain_writer();
        let block = child(None, 0);
        let good = step(&block, all_kinds(1));
        let mut steps = vec![good.clone(); 6];
        steps[0].orders.clear();
        steps[1].lots.pop();
        steps[2].orders[0].order.salt = hash(1);
        steps[3].lots[0].lot.mask ^= U256::from(1);
        steps[4].lots[0].job_id = hash(1);
        let twice = steps[5].events[6].clone();
        steps[5].events.push(EventRow { log_index: 99, ..twice });
        for wrong in steps {
            let error = writer.extend(&wrong).await.unwrap_err();
            assert!(matches!(error, Error::BrokenStep(_)), "{error}");
        }
        writer.extend(&good).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn snapshots_are_not_replaced_the_newest_is_read() {
    on_both(|world| async move {
        let block = child(None, 0);
        let mut step = step(&block, all_kinds(4));
        let (account, job, lot) =
            (step.accounts[0].clone(), step.jobs[0].clone(), step.lot_states[0].clone());
        let later = AccountState { log_index: 200, seq: 8, credit: amount(7), ..account.clone() };
        let closed = JobState {
            log_index: 201,
            closed: true,
            job_seq: 9,
            credit_share: amount(6),
            ..job.clone()
        };
        let key = Some(hash(5));
        let status = LotStatus::Settled;
        let settled = LotState { log_index: 202, status, lot_key: key, ..lot.clone() };
        // In any order of insertion.
        step.accounts.insert(0, later.clone());
        step.jobs.push(closed.clone());
        step.lot_states.insert(0, settled.clone());
        let (set, paused) = (step.delegates[0].clone(), step.offices[0].clone());
        let spent = DelegateState { log_index: 203, allowance: amount(1), ..set.clone() };
        let ended = OfficeState { log_index: 204, seq: paused.seq + 1, ..paused };
        step.delegates.insert(0, spent.clone());
        step.offices.insert(0, ended.clone());
        world.store.chain_writer().extend(&step).await.unwrap();
        let reader = world.store.reader();
        assert_eq!(reader.account(account.account).await.unwrap(), Some(later.clone()));
        assert!(reader.accounts().await.unwrap().contains(&later));
        assert_eq!(reader.job(job.job_id).await.unwrap().unwrap().1, closed);
        assert_eq!(reader.lot(lot.lot_hash).await.unwrap().unwrap().1, settled);
        let found = reader.delegate(set.payer, set.agent).await.unwrap();
        assert_eq!(found, Some(spent.clone()));
        assert!(reader.delegates().await.unwrap().contains(&spent));
        assert_eq!(reader.delegate(set.agent, set.payer).await.unwrap(), None);
        assert_eq!(reader.offices().await.unwrap(), Some(ended));
        assert_eq!(reader.account(address(999)).await.unwrap(), None);
        assert_eq!(reader.job(hash(999)).await.unwrap(), None);
        assert_eq!(reader.lot(hash(999)).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn a_long_step_is_written_in_chunks_and_read_whole() {
    on_both(|world| async move {
        let mut draw = Draw::new(6);
        let blocks: Vec<Block> = (0..3).fold(Vec::new(), |mut blocks, _| {
            blocks.push(child(blocks.last(), 0));
            blocks
        });
        let mut step = Step { blocks: blocks.clone(), ..Step::default() };
        for block in &blocks {
            let events = (0..700_u16).map(|n| draw.event(u8::try_from(n % 24).unwrap()));
            add_events(&mut step, block, events.collect());
        }
        world.store.chain_writer().extend(&step).await.unwrap();
        assert_eq!(world.store.reader().events_between(0, 9).await.unwrap(), step.events);
    })
    .await;
}

#[tokio::test]
async fn heads_are_replaced_and_come_with_steps() {
    on_both(|world| async move {
        let head = |tag, block, seen_at| Head { tag, block, hash: hash(block), seen_at };
        let (latest, safe) = (head(Tag::Latest, 9, 1), head(Tag::Safe, 5, 1));
        let writer = world.store.chain_writer();
        writer.set_heads(&[safe.clone(), latest]).await.unwrap();
        let newer = head(Tag::Latest, 12, 2);
        let step =
            Step { blocks: vec![child(None, 0)], heads: vec![newer.clone()], ..Step::default() };
        writer.extend(&step).await.unwrap();
        assert_eq!(world.store.reader().heads().await.unwrap(), [newer, safe]);
    })
    .await;
}

#[tokio::test]
async fn a_store_follows_one_escrow_of_one_chain() {
    on_both(|world| async move {
        let escrow = Escrow {
            address: address(1),
            chain_id: 31_337,
            genesis_hash: hash(2),
            token: address(3),
            symbol: "RNDR".into(),
            decimals: 18,
            deploy_block: 4,
            registry: Some(address(5)),
        };
        let (writer, reader) = (world.store.chain_writer(), world.store.reader());
        assert_eq!(reader.escrow().await.unwrap(), None);
        writer.set_escrow(&escrow).await.unwrap();
        writer.set_escrow(&escrow).await.unwrap();
        assert_eq!(reader.escrow().await.unwrap(), Some(escrow.clone()));
        for other in [
            Escrow { address: address(9), ..escrow.clone() },
            Escrow { chain_id: 1, ..escrow.clone() },
            Escrow { genesis_hash: hash(9), ..escrow.clone() },
            Escrow { token: address(9), ..escrow.clone() },
            Escrow { decimals: 6, ..escrow.clone() },
            Escrow { deploy_block: 5, ..escrow.clone() },
            Escrow { registry: Some(address(9)), ..escrow.clone() },
            Escrow { registry: None, ..escrow.clone() },
        ] {
            let error = writer.set_escrow(&other).await.unwrap_err();
            assert!(matches!(error, Error::OtherEscrow { .. }), "{error}");
        }
        assert_eq!(reader.escrow().await.unwrap(), Some(escrow));
    })
    .await;
}

#[tokio::test]
async fn a_number_beyond_63_bits_is_refused_before_anything_is_written() {
    on_both(|world| async move {
        let mut step = Step { blocks: vec![child(None, 0)], ..Step::default() };
        step.blocks[0].verified = Verified::Bloom;
        let hash = hash(1);
        step.heads = vec![Head { tag: Tag::Latest, block: u64::MAX, hash, seen_at: 1 }];
        let error = world.store.chain_writer().extend(&step).await.unwrap_err();
        assert!(matches!(error, Error::TooLarge(u64::MAX)), "{error}");
        assert_eq!(world.store.reader().tip().await.unwrap(), None);
    })
    .await;
}
