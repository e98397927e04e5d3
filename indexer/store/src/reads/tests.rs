//! Tests of reads.rs: one moment while the chain moves on, and the chain up to a block.

use alloy::primitives::Address;
use contracts::Amount;

use crate::testing::{World, amount, child, on_both, step};
use crate::{AccountState, Block, Head, Marks, Step, Tag, Verified};

const ACCOUNT: Address = Address::repeat_byte(7);

/// A block in which the account's balance becomes the block's number.
fn next(parent: Option<&Block>, fork: u64) -> (Block, Step) {
    let block = child(parent, fork);
    let mut step = step(&block, vec![]);
    let (free, credit) = (amount(u128::from(block.number)), Amount::ZERO);
    let (number, log_index, seq) = (block.number, 0, block.number + 1);
    step.accounts =
        vec![AccountState { account: ACCOUNT, block: number, log_index, free, credit, seq }];
    (block, step)
}

async fn fill(world: &World, blocks: u64) -> Vec<Block> {
    let mut all: Vec<Block> = Vec::new();
    for _ in 0..blocks {
        let (block, step) = next(all.last(), 0);
        world.store.chain_writer().extend(&step).await.unwrap();
        all.push(block);
    }
    all
}

#[tokio::test]
async fn a_moment_does_not_move_while_the_chain_does() {
    on_both(|world| async move {
        let blocks = fill(&world, 4).await;
        let (reader, writer) = (world.store.reader(), world.store.chain_writer());
        let moment = reader.moment().await.unwrap();
        let tip = blocks.last().cloned();
        assert_eq!(moment.tip().await.unwrap(), tip);
        writer.rewind(&blocks[1], &blocks[3], 5).await.unwrap();
        let (other, step) = next(Some(&blocks[1]), 1);
        writer.extend(&step).await.unwrap();
        let free = |state: Option<AccountState>| state.map(|state| state.free.base());
        for seen in [moment.clone(), moment.moment().await.unwrap(), moment.at(9)] {
            assert_eq!(seen.tip().await.unwrap(), tip);
            assert_eq!(free(seen.account(ACCOUNT).await.unwrap()), Some(3));
            assert_eq!(seen.reorgs(9).await.unwrap(), []);
        }
        assert_eq!(reader.tip().await.unwrap(), Some(other));
        assert_eq!(free(reader.account(ACCOUNT).await.unwrap()), Some(2));
        assert_eq!(reader.reorgs(9).await.unwrap().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_reader_of_a_block_sees_nothing_above_it() {
    on_both(|world| async move {
        let blocks = fill(&world, 4).await;
        for (block, number) in blocks.iter().zip(0..) {
            let reader = world.store.reader().at(block.number);
            assert_eq!(reader.tip().await.unwrap().as_ref(), Some(block));
            let state = reader.account(ACCOUNT).await.unwrap().unwrap();
            assert_eq!(state.free.base(), number);
            assert_eq!(reader.accounts().await.unwrap(), [state]);
            assert_eq!(reader.at(99).tip().await.unwrap().as_ref(), Some(block));
        }
    })
    .await;
}

#[tokio::test]
async fn marks_tell_heads_tip_journal_and_the_first_unproven_block() {
    on_both(|world| async move {
        let (reader, writer) = (world.store.reader(), world.store.chain_writer());
        assert_eq!(reader.marks().await.unwrap(), Marks::default());
        let mut blocks: Vec<Block> = Vec::new();
        let kinds = [Verified::Receipts, Verified::Bloom, Verified::LogsOnly, Verified::Bloom];
        for verified in kinds.into_iter().chain([Verified::LogsOnly]) {
            let (mut block, mut step) = next(blocks.last(), 0);
            block.verified = verified;
            step.blocks = vec![block.clone()];
            let head = Head { tag: Tag::Latest, block: block.number, hash: block.hash, seen_at: 7 };
            step.heads = vec![head];
            writer.extend(&step).await.unwrap();
            blocks.push(block);
        }
        let marks = reader.marks().await.unwrap();
        let latest = Head { tag: Tag::Latest, block: 4, hash: blocks[4].hash, seen_at: 7 };
        let tip = blocks.last().cloned();
        let first_unproven = Some(2);
        assert_eq!(marks, Marks { heads: vec![latest], tip, first_unproven, newest_reorg: 0 });
        let share = [(Verified::Bloom, 2), (Verified::LogsOnly, 2), (Verified::Receipts, 1)];
        assert_eq!(reader.proven(9).await.unwrap(), share);
        assert_eq!(
            reader.proven(2).await.unwrap(),
            [(Verified::Bloom, 1), (Verified::LogsOnly, 1)]
        );
        for (fork, old) in [(3, 4), (1, 3)] {
            writer.rewind(&blocks[fork], &blocks[old], 5).await.unwrap();
        }
        let marks = reader.marks().await.unwrap();
        assert_eq!((marks.first_unproven, marks.newest_reorg), (None, 2));
        let deepest = |since| {
            let reader = reader.clone();
            async move { reader.deepest_reorg_since(since).await.unwrap().map(|r| r.fork_block) }
        };
        assert_eq!(
            (deepest(0).await, deepest(1).await, deepest(2).await),
            (Some(1), Some(1), None)
        );
        let before: Vec<_> = reader.reorgs_before(2, 9).await.unwrap();
        assert_eq!(before.iter().map(|r| r.reorg_id).collect::<Vec<_>>(), [1]);
    })
    .await;
}
