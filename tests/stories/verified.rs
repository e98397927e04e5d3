//! Blocks proven by their hashes: what feeds a payment, and what a proof costs nobody.

use store::Verified;

use crate::world::eventually;
use crate::world::studio::{Painter, Studio};

#[tokio::test(flavor = "multi_thread")]
async fn an_index_taken_on_a_servers_word_pays_nobody_until_it_is_proven() {
    let studio = Studio::without_services().await;
    let reader = studio.store.reader();
    let believing = indexer::Config { prove: false, ..studio.world.indexer_config() };
    let indexer = studio.world.indexer_as(believing, &studio.store);
    let _settler = studio.settler();
    let _node = studio.node("node", Painter::default());
    let job_id = studio.submit(&studio.payer, 1, 1, 1).await;
    let start = studio.world.anvil.head().await.0;
    let further = || async {
        let tip = reader.tip().await.unwrap()?;
        (tip.number >= start + 8).then_some(tip)
    };
    let tip = eventually("eight more blocks in the index", further).await;
    assert_eq!(tip.verified, Verified::LogsOnly);
    assert!(reader.first_unproven().await.unwrap().is_some());
    assert!(studio.intents().await.is_empty(), "{:?}", studio.intents().await);

    indexer.stop().await;
    let _indexer = studio.world.indexer(&studio.store);
    studio.approve(&studio.accepted(job_id, 1).await).await;
    studio.paid_once(job_id, 1).await;
    assert_eq!(reader.first_unproven().await.unwrap(), None);
    let rows = reader.rows_between(0, tip.number).await.unwrap();
    let of = |number| rows.blocks.iter().find(|block| block.number == number).unwrap().verified;
    assert!(rows.events.iter().all(|row| of(row.block) == Verified::Receipts));
    assert!(rows.blocks.iter().any(|block| block.verified == Verified::Bloom));
    assert!(studio.world.audit(&studio.store).await.is_clean());
}
