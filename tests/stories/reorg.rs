//! Reorgs around each event that moves money: the index always equals a fresh replay.

use alloy::primitives::Bytes;
use alloy::rpc::types::TransactionReceipt;
use contracts::{Amount, LegacyRndr, RenderEscrow};
use indexer::follow::Stop;
use store::{Store, Tag};

use crate::world::anvil::Options;
use crate::world::deals::Deal;
use crate::world::{RNDR, World, eventually};

/// The stored place of a transaction's events: block, and how many there are.
async fn place(world: &World, store: &Store, receipt: &TransactionReceipt) -> Option<(u64, usize)> {
    let head = world.anvil.head().await.0;
    let rows = store.reader().rows_between(0, head).await.unwrap();
    let of_escrow = rows.events.iter().map(|row| (row.tx_hash, row.block));
    let of_registry = rows.registry.iter().map(|row| (row.tx_hash, row.block));
    let ours: Vec<_> =
        of_escrow.chain(of_registry).filter(|(tx, _)| *tx == receipt.transaction_hash).collect();
    ours.first().map(|(_, block)| (*block, ours.len()))
}

pub async fn assert_equals_replay(world: &World, store: &Store) {
    world.caught_up(store).await;
    let report = world.audit(store).await;
    assert!(report.is_clean(), "{}", report.first().unwrap());
    assert_eq!(report.stored_digest, Some(report.digest));
    assert_eq!(report.surplus, Amount::ZERO);
}

/// Plays a signed transaction through its life: mined, orphaned for good, mined again, moved to
/// another block by a reorg that keeps it. The index follows each time.
pub async fn through_reorgs(world: &World, store: &Store, raw: Bytes, events: usize) {
    let first = world.send_raw(&raw).await;
    assert!(first.status(), "the call of this story reverts");
    world.anvil.mine(2).await;
    world.caught_up(store).await;
    assert_eq!(place(world, store, &first).await, Some((first.block_number.unwrap(), events)));
    assert_equals_replay(world, store).await;

    let reorgs = store.reader().reorgs(100).await.unwrap().len();
    world.anvil.reorg(3, &[]).await;
    assert_equals_replay(world, store).await;
    assert_eq!(place(world, store, &first).await, None, "an orphaned event stayed");
    assert!(store.reader().reorgs(100).await.unwrap().len() > reorgs, "no journal row");

    let again = world.send_raw(&raw).await;
    assert_eq!(again.transaction_hash, first.transaction_hash);
    world.anvil.mine(3).await;
    assert_equals_replay(world, store).await;

    let mined = again.block_number.unwrap();
    world.anvil.reorg(4, &[(raw, 2)]).await;
    assert_equals_replay(world, store).await;
    let moved = place(world, store, &first).await;
    assert_eq!(moved, Some((mined + 2, events)), "not at its new place");
}

#[tokio::test(flavor = "multi_thread")]
async fn index_equals_a_replay_after_reorgs_around_deposit_open_commit_and_settle() {
    let world = World::new().await;
    let store = world.store().await;
    let indexer = world.indexer(&store);
    let payer = world.funded("payer", 100 * RNDR).await;
    let deal = Deal::new(&world, &payer, 1).await;
    let (spender, value) = (world.escrow, (30 * RNDR).try_into().unwrap());
    world.send(&payer, world.token, LegacyRndr::approveCall { spender, value }).await;

    let amount = Amount::from_base(30 * RNDR).unwrap().into();
    let deposit = RenderEscrow::depositCall { amount };
    let raw = world.sign(&payer, world.escrow, deposit).await;
    through_reorgs(&world, &store, raw, 1).await;

    let raw = world.sign(&payer, world.escrow, deal.open_call()).await;
    through_reorgs(&world, &store, raw, 1).await;

    let work = [deal.work(&[0, 1, 2], 1, true), deal.work(&[7, 9], 2, true)];
    let raw = world.sign(&deal.settler, world.escrow, deal.commit_call(&work, true)).await;
    through_reorgs(&world, &store, raw, 2).await;

    // Two lots, a fee and a burn share.
    let raw = world.sign(&deal.settler, world.escrow, deal.settle_call(&work)).await;
    through_reorgs(&world, &store, raw, 4).await;

    let (_, job) = store.reader().job(deal.job_id).await.unwrap().unwrap();
    assert_eq!(job.units_paid, 5);
    assert_eq!(job.released, Amount::from_base(5 * RNDR / 2).unwrap());
    let (_, lot) = store.reader().lot(deal.lot_hash(&work[1].lot)).await.unwrap().unwrap();
    assert_eq!(lot.lot_key, Some(work[1].key));
    indexer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reorg_while_the_indexer_is_away_is_found_at_its_next_start() {
    let world = World::new().await;
    let store = world.store().await;
    let payer = world.funded("payer", 100 * RNDR).await;
    let indexer = world.indexer(&store);
    world.deposit(&payer, 3 * RNDR).await;
    world.anvil.mine(1).await;
    world.caught_up(&store).await;
    indexer.stop().await;

    world.anvil.reorg(2, &[]).await;
    world.anvil.mine(20).await;
    let indexer = world.indexer(&store);
    assert_equals_replay(&world, &store).await;
    assert_eq!(store.reader().account(payer.address()).await.unwrap(), None);
    assert_eq!(store.reader().reorgs(9).await.unwrap().len(), 1);
    indexer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reorg_of_final_blocks_stops_the_indexer_and_changes_no_row() {
    let world = World::on(Options { slots_in_an_epoch: 1, ..Options::default() }).await;
    let store = world.store().await;
    let payer = world.funded("payer", 100 * RNDR).await;
    let indexer = world.indexer(&store);
    world.deposit(&payer, 3 * RNDR).await;
    world.anvil.mine(4).await;
    world.caught_up(&store).await;
    let reader = store.reader();
    let final_at = || async {
        let heads = reader.heads().await.unwrap();
        let head = heads.iter().find(|head| head.tag == Tag::Finalized)?.block;
        (head + 2 == world.anvil.head().await.0).then_some(head)
    };
    let mark = eventually("the finalized head in the index", final_at).await;
    let before = format!("{:?}", reader.rows_between(0, u64::from(u32::MAX)).await.unwrap());

    world.anvil.reorg(6, &[]).await;
    world.anvil.mine(1).await;
    let error = indexer.fails().await;
    assert!(
        matches!(error, indexer::Error::Stop(Stop::FinalReplaced { mark: m, .. }) if m == mark),
        "{error}"
    );
    assert!(error.to_string().contains("nothing was changed"), "{error}");
    let after = format!("{:?}", reader.rows_between(0, u64::from(u32::MAX)).await.unwrap());
    assert_eq!(before, after);
    assert_eq!(reader.reorgs(9).await.unwrap(), vec![]);
    // Started again it stops again: nothing heals by restarting.
    let error = world.indexer(&store).fails().await;
    assert!(matches!(error, indexer::Error::Stop(Stop::FinalReplaced { .. })), "{error}");
}
