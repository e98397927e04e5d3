//! Tests of migrate.rs and of how databases are opened.

use super::*;
use crate::Scene;
use crate::Store;
use crate::testing::{Draw, KINDS, add_registry, child, hash, on_both, step};
use crate::writing::Writing;

#[tokio::test]
async fn many_may_open_a_fresh_database_at_once() {
    for _ in 0..3 {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("store.db").display());
        let opening = (0..8).map(|_| {
            let (url, objects) = (url.clone(), folder.path().join("objects"));
            tokio::spawn(async move { Store::open(&url, &objects).await })
        });
        for opened in futures::future::join_all(opening).await {
            opened.unwrap().unwrap();
        }
    }
    on_both(|world| async move {
        if world.is_sqlite() {
            return;
        }
        world.tamper("DROP SCHEMA public CASCADE").await;
        world.tamper("CREATE SCHEMA public").await;
        let stores = futures::future::join_all((0..5).map(|_| world.again())).await;
        assert!(stores.iter().all(Result::is_ok));
        assert_eq!(world.store.reader().tip().await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn a_database_of_another_release_is_refused() {
    on_both(|world| async move {
        world.again().await.unwrap();
        let newer = if world.is_sqlite() {
            "INSERT INTO migrations (version, hash) VALUES (99, zeroblob(32))"
        } else {
            "INSERT INTO migrations (version, hash) VALUES (99, decode(repeat('00', 32), 'hex'))"
        };
        world.tamper(newer).await;
        let error = world.again().await.err().unwrap();
        assert!(matches!(error, Error::NewerSchema { version: 99, .. }), "{error}");
        world.tamper("DELETE FROM migrations WHERE version <> 2").await;
        let error = world.again().await.err().unwrap();
        assert!(matches!(error, Error::Migration { version: 2 }), "{error}");
    })
    .await;
}

#[tokio::test]
async fn rows_of_an_older_database_are_all_there_after_the_migration() {
    on_both(|world| async move {
        let empty = if world.is_sqlite() {
            let folder = world.objects.join("older");
            let url = format!("sqlite:{}", folder.join("store.db").display());
            Pool::open(&url).await.unwrap()
        } else {
            world.tamper("DROP SCHEMA public CASCADE").await;
            world.tamper("CREATE SCHEMA public").await;
            world.store.pool.clone()
        };
        migrate_by(&empty, &MIGRATIONS[..6]).await.unwrap();
        let schema = async |sql| {
            let mut tx = empty.write(Writer::Schema).await.unwrap();
            tx.execute(sql, vec![]).await.unwrap();
            tx.commit().await.unwrap();
        };
        // What today's writers look at before they write; older ones had no such table.
        schema("CREATE TABLE writers (role TEXT, holder TEXT)").await;
        let writing = Writing::to(empty.clone());
        let store = Store { pool: empty.clone(), writing, objects: world.store.objects() };
        let mut parent = None;
        for number in 0..3 {
            let block = child(parent.as_ref(), 0);
            let mut draw = Draw::new(number);
            let mut step = step(&block, (0..KINDS).map(|kind| draw.event(kind)).collect());
            add_registry(&mut step, number, &mut draw);
            store.chain_writer().extend(&step).await.unwrap();
            parent = Some(block);
        }
        let before = format!("{:?}", store.reader().rows_between(0, 9).await.unwrap());
        schema("DROP TABLE writers").await;
        migrate(&store.pool).await.unwrap();
        let after = format!("{:?}", store.reader().rows_between(0, 9).await.unwrap());
        assert_eq!(after, before);
        assert!(before.len() > 10_000 && before.matches("BondState").count() > 2);
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn opened_for_reading_it_reads_what_is_written_and_writes_nothing() {
    on_both(|world| async move {
        let block = child(None, 0);
        world.store.chain_writer().extend(&step(&block, vec![])).await.unwrap();
        let open = |writes| Store::open_reading(&world.url, writes, &world.objects);
        let reading = open(None).await.unwrap();
        assert_eq!(reading.reader().tip().await.unwrap(), Some(block));
        let refused = reading.intake().put_scene(&scene(1)).await.unwrap_err();
        assert!(matches!(refused, Error::ReadOnly), "{refused}");
        assert!(matches!(reading.takes_writes(), Err(Error::ReadOnly)));
        // The database itself would refuse it too.
        let refused = reading.pool.write(Writer::Schema).await;
        let refused = match refused {
            Ok(mut tx) => tx.execute("DELETE FROM blocks", vec![]).await.unwrap_err(),
            Err(refused) => refused,
        };
        assert!(matches!(refused, Error::NotAllowed { .. }), "{refused}");
        reading.close().await;
        let both = open(Some(&world.url)).await.unwrap();
        both.takes_writes().unwrap();
        both.intake().put_scene(&scene(1)).await.unwrap();
        assert!(both.reader().scene(hash(1)).await.unwrap().is_some());
        both.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_schema_of_another_release_is_not_read_and_stays_as_it_is() {
    on_both(|world| async move {
        let open = || Store::open_reading(&world.url, None, &world.objects);
        let last = MIGRATIONS.len() as i64;
        world.tamper("DELETE FROM migrations WHERE version > 3").await;
        let error = open().await.err().unwrap();
        let expected =
            |e: &Error| matches!(e, Error::OlderSchema { version: 3, known } if *known == last);
        assert!(expected(&error), "{error}");
        world.tamper("DELETE FROM migrations").await;
        let error = open().await.err().unwrap();
        assert!(matches!(error, Error::NoSchema), "{error}");
        world.tamper("DROP TABLE migrations").await;
        let error = open().await.err().unwrap();
        assert!(matches!(error, Error::NoSchema), "{error}");
        assert!(world.store.pool.all(SELECT_JOURNAL, vec![]).await.is_err(), "it made no journal");
    })
    .await;
}

#[tokio::test]
async fn what_was_written_is_there_after_opening_again() {
    on_both(|world| async move {
        let block = child(None, 0);
        world.store.chain_writer().extend(&step(&block, vec![])).await.unwrap();
        world.store.close().await;
        let again = world.again().await.unwrap();
        assert_eq!(again.reader().tip().await.unwrap(), Some(block));
        again.close().await;
    })
    .await;
}

fn scene(number: u64) -> Scene {
    Scene { scene_id: hash(number), manifest: "{}".into(), size: 1, created_at: 1 }
}

#[tokio::test]
async fn sqlite_is_durable_and_holds_columns_to_their_types() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("store.db").display());
    let store = Store::open(&url, folder.path()).await.unwrap();
    let Pool::Sqlite { writer, readers, steps } = &store.pool else { panic!("sqlite") };
    let steps = steps.open().unwrap();
    for (pragma, value) in [
        ("PRAGMA journal_mode", "wal"),
        ("PRAGMA synchronous", "2"),
        ("PRAGMA foreign_keys", "1"),
        ("PRAGMA busy_timeout", "5000"),
    ] {
        let row = sqlx::query(pragma).fetch_one(writer).await.unwrap();
        let number = sqlx::Row::try_get::<i64, _>(&row, 0).map(|n| n.to_string());
        let text = number.or_else(|_| sqlx::Row::try_get::<String, _>(&row, 0)).unwrap();
        assert_eq!(text, value, "{pragma}");
        let of_steps = steps.query_row(pragma, [], |row| row.get(0));
        let of_steps = match of_steps.unwrap() {
            rusqlite::types::Value::Integer(number) => number.to_string(),
            rusqlite::types::Value::Text(text) => text,
            other => panic!("{pragma}: {other:?}"),
        };
        assert_eq!(of_steps, value, "{pragma} of the connection that writes steps");
    }
    let sql = "INSERT INTO reorgs VALUES ('x', 1, 1, x'', 1, x'')";
    let error = sqlx::query(sql).execute(writer).await.unwrap_err().to_string();
    assert!(error.contains("cannot store TEXT value in INTEGER column"), "{error}");
    let error = sqlx::query("DELETE FROM blocks").execute(readers).await.unwrap_err().to_string();
    assert!(error.contains("readonly"), "{error}");
    let sql = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND sql NOT LIKE \
               '%STRICT, WITHOUT ROWID'";
    let loose: i64 = sqlx::query_scalar(sql).fetch_one(writer).await.unwrap();
    assert_eq!(loose, 0);
}

#[tokio::test]
async fn a_url_of_no_database_says_what_to_write() {
    let folder = tempfile::tempdir().unwrap();
    for url in ["mysql://a:secret@b/c", "store.db", "sqlite::memory:", "sqlite:a?mode=memory", ""] {
        let error = Store::open(url, folder.path()).await.err().unwrap();
        assert!(matches!(error, Error::Url(_)), "{url}: {error}");
        assert!(!error.to_string().contains("secret"));
    }
}
