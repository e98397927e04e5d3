//! Nodes that vanish, come back, hand in nonsense or stop half way.

use std::time::Duration;

use store::LeaseState;

use crate::world::eventually;
use crate::world::studio::{Painter, Studio};

/// Longer than any story.
const FOR_EVER: u64 = 3_600_000;

async fn leased(studio: &Studio, job_id: contracts::JobId) {
    let reader = studio.store.reader();
    let look = || async {
        let attempts = reader.attempts_of_job(job_id).await.unwrap();
        (!attempts.is_empty()).then_some(())
    };
    eventually("a lease", look).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_vanishes_loses_its_lease_to_another_one_and_is_not_paid() {
    let studio = Studio::open().await;
    let config = settler::Config { commit_after_seconds: 600, ..studio.settler_config() };
    let _settler = studio.settler_as(config);
    let lost = studio.node("lost", Painter { milliseconds: FOR_EVER, ..Painter::default() });
    let job_id = studio.submit(&studio.payer, 3, 3, 1).await;
    leased(&studio, job_id).await;
    drop(lost);
    let painter = Painter::default();
    let _other = studio.node("other", painter.clone());
    let drafts = studio.accepted(job_id, 3).await;
    assert_eq!(painter.painted(), [(0, 2), (1, 2), (2, 2)]);
    // It comes back with a lease that is another's by now, drops it and goes on.
    let back = studio.node("lost", Painter::default());
    studio.approve(&drafts).await;
    studio.paid_once(job_id, 3).await;
    let attempts = studio.store.reader().attempts_of_job(job_id).await.unwrap();
    let first: Vec<LeaseState> =
        attempts.iter().filter(|a| a.attempt == 1).map(|a| a.lease_state).collect();
    assert_eq!(first, [LeaseState::Expired; 3]);
    let lost = crate::world::wallet("lost").address();
    assert_eq!(studio.store.reader().account(lost).await.unwrap(), None);
    back.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_dies_half_way_goes_on_with_its_lease_and_renders_nothing_twice() {
    let studio = Studio::open().await;
    let _settler = studio.settler();
    let painter = Painter { milliseconds: 400, ..Painter::default() };
    let node = studio.node("node", painter.clone());
    let job_id = studio.submit(&studio.payer, 4, 4, 1).await;
    let half = || async { (painter.painted().len() >= 2).then_some(()) };
    eventually("half of the lease", half).await;
    drop(node);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let _node = studio.node("node", painter.clone());
    studio.accepted(job_id, 4).await;
    let painted = painter.painted();
    let twice = painted.len() - 4;
    assert!(twice <= 1, "more than the unit in flight was painted again: {painted:?}");
    assert!(painted.iter().all(|(_, attempt)| *attempt == 1), "{painted:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_gives_no_second_word_about_an_attempt_that_is_leased_to_it_again() {
    let studio = Studio::open().await;
    let config = || settler::Config { commit_after_seconds: 600, ..studio.settler_config() };
    let settler = studio.settler_as(config());
    let painter = Painter::default();
    let node = studio.node("node", painter.clone());
    let job_id = studio.submit(&studio.payer, 2, 2, 1).await;
    studio.accepted(job_id, 2).await;
    node.stop().await;
    drop(settler);
    // A settler that forgot, or that wants a pair of receipts that slashes the node.
    for table in ["receipts", "lot_drafts", "attempts", "leases"] {
        assert!(studio.world.database.tamper(format!("DELETE FROM {table}")).await > 0, "{table}");
    }
    let _settler = studio.settler_as(config());
    let node = studio.node("node", painter.clone());
    let reader = studio.store.reader();
    let refused = || async {
        let attempts = reader.attempts_of_job(job_id).await.unwrap();
        attempts.into_iter().find(|a| a.lease_state == LeaseState::Failed)
    };
    let refused = eventually("the refusal", refused).await;
    assert_eq!((refused.unit, refused.attempt), (0, 1));
    let problem = refused.problem.unwrap_or_default();
    assert!(problem.contains("signs no second one"), "{problem}");
    let first = || painter.painted().iter().filter(|(_, attempt)| *attempt == 1).count();
    assert_eq!(first(), 2, "an attempt was painted again");
    // Another attempt is other work.
    let _other = studio.node("other", painter.clone());
    studio.accepted(job_id, 2).await;
    assert_eq!(first(), 2);
    let receipts = reader.receipts_of_job(job_id).await.unwrap();
    assert!(receipts.iter().all(|receipt| receipt.attempt > 1), "{receipts:?}");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_pictures_are_wrong_gives_its_units_to_another_one() {
    let studio = Studio::open().await;
    let _settler = studio.settler();
    let bad = studio.node("bad", Painter { too_wide: 1, ..Painter::default() });
    let job_id = studio.submit(&studio.payer, 2, 2, 1).await;
    leased(&studio, job_id).await;
    let painter = Painter::default();
    let _good = studio.node("good", painter.clone());
    let drafts = studio.accepted(job_id, 2).await;
    let good = crate::world::wallet("good").address();
    assert!(drafts.iter().all(|draft| draft.lot.node == good));
    let attempts = studio.store.reader().attempts_of_job(job_id).await.unwrap();
    let failed = attempts.iter().find(|a| a.lease_state == LeaseState::Failed).unwrap();
    assert!(failed.problem.as_deref().unwrap_or_default().contains("49x32"), "{failed:?}");
    drop(bad);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_accepted_lot_is_paid_although_settler_and_node_are_gone_for_a_while() {
    let studio = Studio::open().await;
    let config = || settler::Config { commit_after_seconds: 600, ..studio.settler_config() };
    let settler = studio.settler_as(config());
    let painter = Painter::default();
    let node = studio.node("node", painter.clone());
    let job_id = studio.submit(&studio.payer, 2, 2, 1).await;
    let drafts = studio.accepted(job_id, 2).await;
    drop(node);
    drop(settler);
    studio.approve(&drafts).await;
    let _settler = studio.settler_as(config());
    studio.paid_once(job_id, 2).await;
    assert_eq!(painter.painted().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn three_nodes_share_a_job_and_no_unit_is_painted_twice() {
    let studio = Studio::open().await;
    let _settler = studio.settler();
    let painter = Painter { milliseconds: 100, ..Painter::default() };
    let nodes = ["one", "two", "three"].map(|name| studio.node(name, painter.clone()));
    let job_id = studio.submit(&studio.payer, 12, 2, 1).await;
    let drafts = studio.accepted(job_id, 12).await;
    let mut painted = painter.painted();
    painted.sort_unstable();
    assert_eq!(painted, (0..12).map(|unit| (unit, 1)).collect::<Vec<_>>());
    let payees: std::collections::BTreeSet<_> = drafts.iter().map(|d| d.lot.node).collect();
    assert!(payees.len() > 1, "one node got all the work");
    for node in nodes {
        node.stop().await;
    }
}
