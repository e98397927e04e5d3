//! Tests of leases.rs: one holder for each unit, whoever races for it.

use super::*;
use crate::testing::{Draw, address, hash, on_both};

fn lease(id: &str) -> Lease {
    Lease { lease_id: id.into(), ..Draw::new(1).lease(hash(7)) }
}

#[tokio::test]
async fn of_twenty_that_race_for_a_unit_one_wins() {
    on_both(|world| async move {
        // Two stores, as two processes would have.
        let stores = [world.store.clone(), world.again().await.unwrap()];
        let racing = (0..20_u32).map(|n| {
            let work = stores[usize::from(n % 2 == 0)].work();
            // Not the same units and not the same attempts: only unit 3 is in all.
            let units = [(3, n), (100 + n, 1)];
            tokio::spawn(async move { work.take_lease(&lease(&format!("{n}")), &units).await })
        });
        let mut won = 0;
        for taken in futures::future::join_all(racing).await {
            won += u32::from(taken.unwrap().unwrap());
        }
        assert_eq!(won, 1);
        let reader = world.store.reader();
        assert_eq!(reader.active_leases().await.unwrap().len(), 1);
        assert_eq!(reader.attempts_of_job(hash(7)).await.unwrap().len(), 2);
        stores[1].close().await;
    })
    .await;
}

#[tokio::test]
async fn a_unit_is_free_again_once_its_lease_ended() {
    on_both(|world| async move {
        let (work, reader) = (world.store.work(), world.store.reader());
        assert!(work.take_lease(&lease("a"), &[(1, 1), (2, 1)]).await.unwrap());
        assert!(!work.take_lease(&lease("b"), &[(2, 2), (3, 1)]).await.unwrap());
        assert_eq!(reader.lease("b").await.unwrap(), None);
        // The same unit of another job is another unit.
        let other = Lease { job_id: hash(8), ..lease("c") };
        assert!(work.take_lease(&other, &[(2, 1)]).await.unwrap());
        assert!(work.expire_leases(1_059).await.unwrap().is_empty());
        let expired = work.expire_leases(1_060).await.unwrap();
        assert_eq!(expired.len(), 2);
        assert_eq!(reader.lease("a").await.unwrap(), Some(expired[0].clone()));
        assert_eq!(expired[0].state, LeaseState::Expired);
        assert_eq!(expired[0].problem.as_deref(), Some("not renewed in time"));
        assert!(work.expire_leases(9_999).await.unwrap().is_empty());
        // An attempt is made once, also when its lease came to nothing.
        assert!(!work.take_lease(&lease("b"), &[(2, 1)]).await.unwrap());
        assert!(work.take_lease(&lease("b"), &[(2, 2), (3, 1)]).await.unwrap());
        let attempts = reader.attempts_of_job(hash(7)).await.unwrap();
        let made: Vec<_> = attempts.iter().map(|a| (a.unit, a.attempt, a.lease_state)).collect();
        let (over, active) = (LeaseState::Expired, LeaseState::Active);
        assert_eq!(made, [(1, 1, over), (2, 1, over), (2, 2, active), (3, 1, active)]);
    })
    .await;
}

#[tokio::test]
async fn only_an_active_lease_of_the_node_is_renewed() {
    on_both(|world| async move {
        let (work, reader) = (world.store.work(), world.store.reader());
        let lease = lease("a");
        work.take_lease(&lease, &[(1, 1)]).await.unwrap();
        assert!(work.renew_lease("a", lease.node, 2_000).await.unwrap());
        assert_eq!(reader.lease("a").await.unwrap().unwrap().expires_at, 2_000);
        assert!(!work.renew_lease("a", address(9), 3_000).await.unwrap());
        assert!(!work.renew_lease("b", lease.node, 3_000).await.unwrap());
        assert!(work.expire_leases(1_060).await.unwrap().is_empty());
        assert_eq!(work.expire_leases(2_000).await.unwrap().len(), 1);
        assert!(!work.renew_lease("a", lease.node, 3_000).await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn progress_only_rises_and_only_while_the_lease_is_active() {
    on_both(|world| async move {
        let (work, reader) = (world.store.work(), world.store.reader());
        work.take_lease(&lease("a"), &[(1, 1), (2, 1)]).await.unwrap();
        assert!(work.progress("a", 1, 250).await.unwrap());
        assert!(!work.progress("a", 1, 250).await.unwrap());
        assert!(!work.progress("a", 1, 100).await.unwrap());
        assert!(!work.progress("a", 3, 100).await.unwrap());
        assert!(work.progress("a", 1, 1_000).await.unwrap());
        work.expire_leases(9_999).await.unwrap();
        assert!(!work.progress("a", 2, 1).await.unwrap());
        let attempts = reader.attempts_of_job(hash(7)).await.unwrap();
        assert_eq!((attempts[0].progress, attempts[1].progress), (1_000, 0));
    })
    .await;
}

#[tokio::test]
async fn a_failed_lease_says_what_went_wrong_for_each_unit() {
    on_both(|world| async move {
        let (work, reader) = (world.store.work(), world.store.reader());
        work.take_lease(&lease("a"), &[(1, 1), (2, 1)]).await.unwrap();
        let strange = [(1, "black".to_owned()), (5, "not in it".to_owned())];
        let error = work.fail_lease("a", "bad delivery", &strange).await.unwrap_err();
        assert!(matches!(error, Error::WrongDelivery(_)), "{error}");
        assert_eq!(reader.active_leases().await.unwrap(), [lease("a")]);
        work.fail_lease("a", "bad delivery", &strange[..1]).await.unwrap();
        let failed = reader.lease("a").await.unwrap().unwrap();
        assert_eq!(
            (failed.state, failed.problem.as_deref()),
            (LeaseState::Failed, Some("bad delivery"))
        );
        let attempts = reader.attempts_of_job(hash(7)).await.unwrap();
        assert_eq!(attempts[0].problem.as_deref(), Some("black"));
        assert_eq!(attempts[1].problem, None);
        let error = work.fail_lease("a", "again", &[]).await.unwrap_err();
        assert!(matches!(error, Error::LeaseNotActive { .. }), "{error}");
        let error = work.fail_lease("z", "again", &[]).await.unwrap_err();
        assert!(matches!(error, Error::Missing { what: "lease", .. }), "{error}");
    })
    .await;
}

#[tokio::test]
async fn active_leases_come_in_the_order_they_end() {
    on_both(|world| async move {
        let (work, reader) = (world.store.work(), world.store.reader());
        let of = |id: &str, expires_at| Lease { expires_at, ..lease(id) };
        for (lease, unit) in [(of("a", 30), 1), (of("b", 10), 2), (of("c", 20), 3)] {
            assert!(work.take_lease(&lease, &[(unit, 1)]).await.unwrap());
        }
        let ids: Vec<_> =
            reader.active_leases().await.unwrap().into_iter().map(|l| l.lease_id).collect();
        assert_eq!(ids, ["b", "c", "a"]);
    })
    .await;
}
