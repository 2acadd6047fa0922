//! Tests of who waits for whom on PostgreSQL: in a line, and who comes second looks again. SQLite has one
//! writer.

use std::time::Duration;

use tokio::{task::JoinHandle, time::sleep};

use super::{
    Store, Transaction,
    status::lock_client,
    test_stores::{self, Opened},
};
use crate::Error;

const NOW: i64 = 30 * 86_400;

const GRANT: &str = "INSERT INTO grants (id, user_id, client_id, resource, scopes, auth_time, \
                     created_at) VALUES ($1, 'u', $2, 'https://r', '', 0, 0)";

async fn postgres() -> Opened {
    let [_, store] = test_stores::each().await;
    store.fill().await;
    store
}

async fn grant(transaction: &mut Transaction, id: &str, client: &str) {
    transaction.sql(GRANT).bind(id).bind(client).execute().await.unwrap();
}

async fn change(transaction: &mut Transaction, statement: &'static str) {
    transaction.sql(statement).execute().await.unwrap();
}

/// Begins something that then waits for a lock.
async fn waiting<T, F>(
    store: &Opened,
    work: impl FnOnce(Store) -> F,
) -> JoinHandle<Result<T, Error>>
where
    T: Send + 'static,
    F: Future<Output = Result<T, Error>> + Send + 'static,
{
    let begun = tokio::spawn(work(Store::clone(store)));
    let waits = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND \
                 wait_event_type = 'Lock'";
    while store.number(waits).await == 0 {
        assert!(!begun.is_finished());
        sleep(Duration::from_millis(10)).await;
    }
    begun
}

/// A client that got a grant, or a consent, while it was about to be deleted for having none.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_comes_back_meanwhile_stays() {
    let store = postgres().await;
    store.run("UPDATE clients SET kind = 'registered' WHERE id = 'c'").await;
    let mut coming = store.begin().await.unwrap();
    assert!(lock_client(&mut coming, "c", 0).await.unwrap());
    grant(&mut coming, "g", "c").await;
    let pruning = waiting(&store, |store| async move { store.prune_clients(NOW).await }).await;
    coming.commit().await.unwrap();
    assert_eq!(pruning.await.unwrap().unwrap(), 0);
    assert_eq!(store.number("SELECT COUNT(*) FROM grants").await, 1);

    store.run("DELETE FROM grants").await;
    let mut coming = store.begin().await.unwrap();
    change(
        &mut coming,
        "INSERT INTO consents (user_id, client_id, resource, redirect_uri, scopes, granted_at) \
         VALUES ('u', 'c', 'https://r', '', '', 2592000)",
    )
    .await;
    let pruning = waiting(&store, |store| async move { store.prune_clients(NOW).await }).await;
    coming.commit().await.unwrap();
    assert_eq!(pruning.await.unwrap().unwrap(), 0);
    assert_eq!(store.number("SELECT COUNT(*) FROM consents").await, 1);
}

/// A client is deleted while its document comes anew.
#[tokio::test(flavor = "multi_thread")]
async fn documents_come_before_clients() {
    let store = postgres().await;
    store
        .run(
            "INSERT INTO client_documents (url, pinned, fetched_at, fresh_until) VALUES ('c', FALSE, \
             0, 0)",
        )
        .await;
    let mut coming = store.begin().await.unwrap();
    change(&mut coming, "UPDATE client_documents SET fetched_at = 1").await;
    let deleting = waiting(&store, |store| async move { store.delete_client("c").await }).await;
    change(&mut coming, "UPDATE clients SET name = 'new' WHERE id = 'c'").await;
    coming.commit().await.unwrap();
    deleting.await.unwrap().unwrap();
    assert_eq!(store.number("SELECT COUNT(*) FROM clients WHERE id = 'c'").await, 0);
}

/// The same grants end for two reasons at the same moment.
#[tokio::test(flavor = "multi_thread")]
async fn grants_end_in_order() {
    for way in 0..5_u8 {
        let store = postgres().await;
        let mut before = store.begin().await.unwrap();
        // They lie in another order than that of their names.
        for id in ["g2", "g1"] {
            grant(&mut before, id, "c").await;
        }
        before.commit().await.unwrap();
        let mut ending = store.begin().await.unwrap();
        // Were it a circle, this one would be given up, and not the other one, which would begin again.
        change(&mut ending, "SET LOCAL deadlock_timeout = '1ms'").await;
        change(&mut ending, "UPDATE grants SET revoked_at = 1 WHERE id = 'g1'").await;
        let other = waiting(&store, move |store| async move {
            match way {
                0 => store.disable_user("Ada").await,
                1 => store.disable_client("c").await,
                2 => store.delete_user("Ada").await,
                3 => store.delete_resource("https://r", true).await,
                _ => store.set_password("Ada", "correct horse", true).await.map(drop),
            }
        })
        .await;
        change(&mut ending, "UPDATE grants SET revoked_at = 1 WHERE id = 'g2'").await;
        ending.commit().await.unwrap();
        other.await.unwrap().unwrap();
    }
}

/// A grant is taken before what belongs to it, also by who deletes what is over.
#[tokio::test(flavor = "multi_thread")]
async fn grants_come_before_tokens() {
    let store = postgres().await;
    let mut before = store.begin().await.unwrap();
    grant(&mut before, "g", "c").await;
    before.commit().await.unwrap();
    let token = "INSERT INTO refresh_tokens (hash, grant_id, issued_at, expires_at) VALUES ($1, 'g', \
                 0, 0)";
    store.run_with(token, b"h").await;
    let mut deleting = store.begin().await.unwrap();
    change(&mut deleting, "SELECT id FROM grants FOR UPDATE").await;
    let pruning = waiting(&store, |store| async move { store.prune(NOW).await }).await;
    change(&mut deleting, "DELETE FROM refresh_tokens").await;
    deleting.commit().await.unwrap();
    pruning.await.unwrap().unwrap();
    assert_eq!(store.number("SELECT COUNT(*) FROM refresh_tokens").await, 0);
}
