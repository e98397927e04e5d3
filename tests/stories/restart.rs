//! Services that were stopped or killed go on where they ended.

use contracts::Amount;

use crate::world::{RNDR, World};

#[tokio::test(flavor = "multi_thread")]
async fn an_indexer_goes_on_from_its_cursor() {
    let world = World::new().await;
    let store = world.store().await;
    let payer = world.funded("payer", 100 * RNDR).await;
    for round in 1..=3 {
        let indexer = world.indexer(&store);
        world.deposit(&payer, RNDR).await;
        world.caught_up(&store).await;
        indexer.stop().await;
        // Mined while nobody looks.
        world.deposit(&payer, RNDR).await;
        let account = store.reader().account(payer.address()).await.unwrap().unwrap();
        assert_eq!(account.free, Amount::from_base((2 * round - 1) * RNDR).unwrap());
    }
    let indexer = world.indexer(&store);
    world.caught_up(&store).await;
    let report = world.audit(&store).await;
    assert!(report.is_clean(), "{}", report.first().unwrap());
    assert_eq!(report.liabilities, Amount::from_base(6 * RNDR).unwrap());
    indexer.stop().await;
}
