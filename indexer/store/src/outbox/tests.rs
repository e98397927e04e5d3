//! Tests of outbox.rs: an intent is there once, and signed bytes are stored before sending.

use super::*;
use crate::testing::{address, hash, on_both};

const CALL: Bytes = Bytes::from_static(&[1, 2, 3, 4]);

fn sent(number: u64, intent_id: i64, nonce: u64) -> SentTx {
    SentTx {
        tx_hash: hash(number),
        intent_id,
        sender: address(1),
        nonce,
        raw: Bytes::from(vec![2; 400]),
        max_fee: u128::from(u64::MAX) * 3,
        signed_at: 10,
    }
}

#[tokio::test]
async fn of_twenty_that_race_to_store_an_intent_one_does() {
    on_both(|world| async move {
        let stores = [world.store.clone(), world.again().await.unwrap()];
        let racing = (0..20_u64).map(|n| {
            let work = stores[usize::from(n % 2 == 0)].work();
            // Half of them for another lot.
            let lot = hash(n % 4 / 2);
            tokio::spawn(
                async move { work.put_intent(Action::Settle, hash(9), lot, CALL, 5).await },
            )
        });
        let mut stored = Vec::new();
        for done in futures::future::join_all(racing).await {
            stored.extend(done.unwrap().unwrap());
        }
        stored.sort_by_key(|intent| intent.intent_id);
        let ids: Vec<_> = stored.iter().map(|intent| intent.intent_id).collect();
        assert_eq!(ids, [1, 2]);
        let waiting = world.store.reader().intents(&[IntentState::Waiting]).await.unwrap();
        assert_eq!(waiting, stored);
        stores[1].close().await;
    })
    .await;
}

#[tokio::test]
async fn an_intent_is_one_for_action_job_and_subject() {
    on_both(|world| async move {
        let (work, reader) = (world.store.work(), world.store.reader());
        let put = |action, job, subject| work.put_intent(action, hash(job), hash(subject), CALL, 5);
        let first = put(Action::Commit, 1, 1).await.unwrap().unwrap();
        assert_eq!(put(Action::Commit, 1, 1).await.unwrap(), None);
        assert!(put(Action::Approve, 1, 1).await.unwrap().is_some());
        assert!(put(Action::Commit, 2, 1).await.unwrap().is_some());
        assert!(put(Action::Commit, 1, 2).await.unwrap().is_some());
        let found = reader.intent(Action::Commit, hash(1), hash(1)).await.unwrap();
        assert_eq!(found, Some(first.clone()));
        assert_eq!(reader.intent(Action::Close, hash(1), hash(1)).await.unwrap(), None);
        // Not even one that is done or parked makes room.
        for state in [IntentState::Done, IntentState::Parked] {
            work.set_intent(first.intent_id, state, Some("why")).await.unwrap();
            assert_eq!(put(Action::Commit, 1, 1).await.unwrap(), None);
        }
        let parked = reader.intents(&[IntentState::Parked]).await.unwrap();
        let expected = Intent { state: IntentState::Parked, problem: Some("why".into()), ..first };
        assert_eq!(parked, [expected]);
        let all = [IntentState::Waiting, IntentState::Parked];
        let ids: Vec<_> = reader.intents(&all).await.unwrap().iter().map(|i| i.intent_id).collect();
        assert_eq!(ids, [1, 2, 3, 4]);
        assert!(reader.intents(&[]).await.unwrap().is_empty());
        let error = work.set_intent(99, IntentState::Done, None).await.unwrap_err();
        assert!(matches!(error, Error::Missing { what: "intent", .. }), "{error}");
    })
    .await;
}

#[tokio::test]
async fn a_stored_transaction_makes_its_intent_unknown() {
    on_both(|world| async move {
        let (work, reader) = (world.store.work(), world.store.reader());
        let put = work.put_intent(Action::Open, hash(1), hash(1), CALL, 5).await;
        let id = put.unwrap().unwrap().intent_id;
        assert_eq!(reader.highest_nonce(address(1)).await.unwrap(), None);
        let first = sent(1, id, 7);
        work.put_transaction(&first).await.unwrap();
        let unknown = reader.intents(&[IntentState::Unknown]).await.unwrap();
        assert_eq!(unknown.len(), 1);
        // The same again, a replacement with a higher fee, another under the same hash.
        work.put_transaction(&SentTx { signed_at: 99, ..first.clone() }).await.unwrap();
        let raised = SentTx { max_fee: first.max_fee * 2, signed_at: 11, ..sent(2, id, 7) };
        work.put_transaction(&raised).await.unwrap();
        let error = work.put_transaction(&SentTx { nonce: 8, ..first.clone() }).await.unwrap_err();
        assert!(matches!(error, Error::Conflict { .. }), "{error}");
        assert_eq!(reader.transactions_of(id).await.unwrap(), [first, raised]);
        assert_eq!(reader.highest_nonce(address(1)).await.unwrap(), Some(7));
        assert_eq!(reader.highest_nonce(address(2)).await.unwrap(), None);
        let error = work.put_transaction(&sent(3, 99, 1)).await.unwrap_err();
        assert!(matches!(error, Error::Missing { what: "intent", .. }), "{error}");
    })
    .await;
}

#[tokio::test]
async fn an_intent_that_is_done_or_parked_takes_no_transaction() {
    on_both(|world| async move {
        let (work, reader) = (world.store.work(), world.store.reader());
        let put = work.put_intent(Action::Close, hash(1), hash(1), CALL, 5).await;
        let id = put.unwrap().unwrap().intent_id;
        for state in [IntentState::Done, IntentState::Parked] {
            work.set_intent(id, state, None).await.unwrap();
            let error = work.put_transaction(&sent(1, id, 1)).await.unwrap_err();
            assert!(matches!(error, Error::IntentClosed { .. }), "{error}");
        }
        assert!(reader.transactions_of(id).await.unwrap().is_empty());
        // A rewind took the effect away: the intent is wanted again.
        work.set_intent(id, IntentState::Unknown, None).await.unwrap();
        work.put_transaction(&sent(1, id, 1)).await.unwrap();
    })
    .await;
}

#[test]
fn fees_keep_all_their_bits() {
    for fee in [0, 1, u128::from(u64::MAX), u128::MAX] {
        let Value::Text(Some(text)) = Value::from(Fee(fee)) else { panic!("text") };
        assert_eq!(text.len(), 39);
        assert_eq!(Fee::try_from(Cell::Text(text)).map(|f| f.0), Ok(fee));
    }
}
