//! Tests of specs.rs: idempotent puts, refused conflicts.

use super::*;
use crate::testing::{amount, hash, on_both};

#[tokio::test]
async fn a_spec_is_stored_once_and_never_under_another_text() {
    on_both(|world| async move {
        let (intake, reader) = (world.store.intake(), world.store.reader());
        let spec = Spec { spec_hash: hash(1), canonical: "{\"a\":1}".into(), created_at: 5 };
        assert_eq!(reader.spec(hash(1)).await.unwrap(), None);
        assert!(intake.put_spec(&spec).await.unwrap());
        assert!(!intake.put_spec(&Spec { created_at: 9, ..spec.clone() }).await.unwrap());
        let other = Spec { canonical: "{}".into(), ..spec.clone() };
        let error = intake.put_spec(&other).await.unwrap_err();
        assert!(matches!(error, Error::Conflict { .. }), "{error}");
        assert_eq!(reader.spec(hash(1)).await.unwrap(), Some(spec));
    })
    .await;
}

#[tokio::test]
async fn a_quote_needs_its_spec_and_keeps_its_price() {
    on_both(|world| async move {
        let (intake, reader) = (world.store.intake(), world.store.reader());
        let quote = Quote {
            quote_hash: hash(2),
            spec_hash: hash(1),
            canonical: "{\"é\":\"\u{1F5BC}\"}".into(),
            unit_price: amount(1),
            cap: contracts::Amount::MAX,
            expires_at: 100,
            created_at: 5,
        };
        let error = intake.put_quote(&quote).await.unwrap_err();
        assert!(matches!(error, Error::Missing { what: "spec", .. }), "{error}");
        let spec = Spec { spec_hash: hash(1), canonical: "{}".into(), created_at: 5 };
        intake.put_spec(&spec).await.unwrap();
        assert!(intake.put_quote(&quote).await.unwrap());
        assert!(!intake.put_quote(&Quote { created_at: 6, ..quote.clone() }).await.unwrap());
        for other in [
            Quote { unit_price: amount(2), ..quote.clone() },
            Quote { expires_at: 101, ..quote.clone() },
            Quote { canonical: "{}".into(), ..quote.clone() },
        ] {
            let error = intake.put_quote(&other).await.unwrap_err();
            assert!(matches!(error, Error::Conflict { .. }), "{error}");
        }
        assert_eq!(reader.quote(hash(2)).await.unwrap(), Some(quote));
        assert_eq!(reader.quote(hash(3)).await.unwrap(), None);
    })
    .await;
}
