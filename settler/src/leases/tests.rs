//! Work that is delivered while the queue reads is not handed out again.

use contracts::seal::LotKey;

use super::*;
use crate::tests::office::{CHAIN, ESCROW, Office};

const ROUNDS: u32 = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_unit_accepted_while_the_queue_reads_is_never_leased_again() {
    for _ in 0..ROUNDS {
        let office = Office::open(true).await;
        let (store, specs) = (office.store.clone(), office.specs.clone());
        let settler = office.notary.settler();
        let leases = Leases::new(store, specs, settler, (ESCROW, CHAIN), (60, 2), true);
        let now = crate::now();
        let units = [(0, 1), (1, 1), (2, 1), (3, 1), (4, 1), (5, 1)];
        let lease = office.lease("all", &units, now).await;
        let key = LotKey::new([7; 32]);
        let delivery = office.delivery(&units, Some(&key), now).await;
        let (store, specs) = (office.store.clone(), office.specs.clone());
        let notary = office.notary.clone();
        let accepting =
            tokio::spawn(async move { notary.accept(&store, &specs, &lease, delivery, now).await });
        let other = crate::tests::node(9, now);
        while !accepting.is_finished() {
            leases.forget().await;
            let offer = leases.offer(&other, now).await.unwrap();
            assert!(offer.is_none(), "units in work or accepted were leased: {offer:?}");
        }
        accepting.await.unwrap().unwrap();
    }
}
