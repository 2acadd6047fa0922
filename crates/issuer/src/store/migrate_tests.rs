//! Tests of starting while others work with the database.

use countersign_testkit::postgres::Database;
use sqlx::Connection as _;
use tokio::time::timeout;

use super::*;
use crate::{Database as Place, Store, store::test_stores};

/// A dump reads a table for minutes. Who only reads gets past a migration that waits for its end.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_a_migration_that_waits() {
    let server = Database::new();
    let connect = async || sqlx::PgConnection::connect(&server.url()).await.unwrap();
    let (mut dump, mut reader) = (connect().await, connect().await);
    let before = newest(&sqlx::migrate!("migrations/postgres")) - 1;
    sqlx::migrate!("migrations/postgres").run_to(before, &mut reader).await.unwrap();
    let mut dump = dump.begin().await.unwrap();
    let read = "SELECT COUNT(*) FROM client_documents";
    sqlx::query(read).execute(&mut *dump).await.unwrap();
    let place = Place::Postgres(server.url());
    let opening = tokio::spawn(async move { Store::open(&place).await });
    let waits = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND \
                 wait_event_type = 'Lock'";
    while sqlx::query_as::<_, (i64,)>(waits).fetch_one(&mut reader).await.unwrap().0 == 0 {
        sleep(Duration::from_millis(10)).await;
    }
    timeout(Duration::from_secs(60), sqlx::query(read).execute(&mut reader))
        .await
        .unwrap()
        .unwrap();
    assert!(!opening.is_finished());
    dump.commit().await.unwrap();
    let store = timeout(Duration::from_secs(60), opening).await.unwrap().unwrap().unwrap();
    store.ping().await.unwrap();
    store.close().await;
}

/// A node of the release before starts again while the others are newer already, where their migrations
/// say that it may.
#[tokio::test]
async fn a_newer_schema_says_who_can_live_with_it() {
    let known = newest(&sqlite_migrations());
    let server = Database::new();
    let opened = test_stores::sqlite().await;
    let places = [Place::Sqlite(opened.folder.join("newer.db")), Place::Postgres(server.url())];
    for place in places {
        let store = Store::open(&place).await.unwrap();
        let add = "INSERT INTO _sqlx_migrations (version, description, success, checksum, \
                   execution_time) VALUES ($1, 'newer', TRUE, $2, 0)";
        let says = "INSERT INTO counters (name, value) VALUES ($1, $2)";
        let change = "UPDATE counters SET value = $1 WHERE name = $2";
        let opens = async || {
            let opened = Store::open(&place).await;
            let reason = opened.as_ref().err().map(Error::reason);
            if let Ok(store) = opened {
                store.close().await;
            }
            reason
        };
        for version in [9001, 9002_i64] {
            store.sql(add).bind(version).bind(vec![1_u8]).execute().await.unwrap();
            assert_eq!(opens().await, Some("migration_failed"), "it says nothing");
            let name = format!("schema_{version}_needs");
            store.sql(says).bind(&name).bind(known + 1).execute().await.unwrap();
            assert_eq!(opens().await, Some("migration_failed"), "for newer programs only");
            store.sql(change).bind(known).bind(&name).execute().await.unwrap();
            assert_eq!(opens().await, None);
        }
        store.close().await;
    }
}
