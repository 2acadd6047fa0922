//! Tests of places: what is given out and what is revoked at the same moment.

use super::*;
use crate::store::{
    NewCode,
    test_stores::{self, Opened},
};

const CLOSES_AT: i64 = 9_000_000_000;

async fn list(store: &Opened) {
    let list = NewStatusList {
        id: "l",
        size: 1024,
        permutation_sealed: b"",
        sealed_by: "",
        closes_at: CLOSES_AT,
        drop_at: CLOSES_AT,
    };
    store.add_status_list(&list).await.unwrap();
}

async fn block(
    store: &Store,
    length: u32,
    client: Option<(&str, i64)>,
) -> Result<Option<LeasedBlock>, Error> {
    store.lease_block(CLOSES_AT, length, client, "", Ok).await
}

async fn generation(store: &Store) -> i64 {
    store.client("s").await.unwrap().unwrap().client.not_before
}

/// Attack 23: a client that authenticated before it was shut out gets no places afterwards, not even
/// when it was let in again.
#[tokio::test]
async fn attack_23_no_places_for_who_is_shut_out() {
    for store in test_stores::each().await {
        store.fill().await;
        list(&store).await;
        let before = generation(&store).await;
        let lease = async |generation| block(&store, 32, Some(("s", generation))).await;
        assert!(lease(before).await.unwrap().is_some());
        store.disable_client("s").await.unwrap();
        assert!(matches!(lease(before).await, Err(Error::Ended)));
        assert!(matches!(lease(generation(&store).await).await, Err(Error::Ended)));
        store.enable_client("s").await.unwrap();
        assert!(matches!(lease(before).await, Err(Error::Ended)));
        assert!(lease(generation(&store).await).await.unwrap().is_some());
        assert_eq!(store.revoked_blocks("l").await.unwrap(), [(0, 32)]);
        assert!(block(&store, 32, None).await.unwrap().is_some());
    }
}

/// Attack 23, at the same moment: whoever got a block is revoked with it, and its list has a new
/// version.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn attack_23_blocks_that_are_taken_meanwhile() {
    for store in test_stores::each().await {
        store.fill().await;
        list(&store).await;
        for _ in 0..10 {
            store.enable_client("s").await.unwrap();
            let now = generation(&store).await;
            let version = store.status_list_version("l").await.unwrap();
            let other = Store::clone(&store);
            let leasing = tokio::spawn(async move { block(&other, 8, Some(("s", now))).await });
            store.disable_client("s").await.unwrap();
            let alive = "SELECT COUNT(*) FROM status_leases WHERE revoked_at IS NULL";
            match leasing.await.unwrap() {
                Ok(leased) => assert!(leased.is_some()),
                Err(error) => assert!(matches!(error, Error::Ended), "{error}"),
            }
            assert_eq!(store.number(alive).await, 0);
            let has_any = store.number("SELECT COUNT(*) FROM status_leases").await > 0;
            assert_eq!(store.status_list_version("l").await.unwrap() > version, has_any);
        }
    }
}

/// A block ends in a list in which nothing else is new: the list is new all the same.
#[tokio::test]
async fn blocks_beside_tokens_that_were_revoked_before() {
    for store in test_stores::each().await {
        store.fill().await;
        list(&store).await;
        store
            .run(
                "INSERT INTO grants (id, user_id, client_id, resource, scopes, auth_time, \
                 created_at) VALUES ('g', 'u', 's', 'https://r', '', 0, 0)",
            )
            .await;
        store
            .run(
                "INSERT INTO issued_tokens (status_list, status_index, grant_id, expires_at) VALUES \
                 ('l', 7, 'g', 9000000000)",
            )
            .await;
        store.revoke_access_token("l", 7, "jti", "test").await.unwrap();
        let now = generation(&store).await;
        block(&store, 32, Some(("s", now))).await.unwrap().unwrap();
        let version = store.status_list_version("l").await.unwrap();
        store.disable_client("s").await.unwrap();
        assert!(store.status_list_version("l").await.unwrap() > version);
        assert_eq!(store.revoked_blocks("l").await.unwrap(), [(0, 32)]);
    }
}

/// RFC 7009: the same token again and again is no news.
#[tokio::test]
async fn a_token_is_revoked_once() {
    for store in test_stores::each().await {
        store.fill().await;
        list(&store).await;
        let version = async || store.status_list_version("l").await.unwrap().unwrap();
        let logged = async || store.number("SELECT COUNT(*) FROM revocation_log").await;
        let first = version().await;
        for _ in 0..3 {
            store.revoke_access_token("l", 7, "jti", "test").await.unwrap();
            assert_eq!((version().await, logged().await), (first + 1, 1));
        }
        store.revoke_access_token("l", 8, "other", "test").await.unwrap();
        assert_eq!((version().await, logged().await), (first + 2, 2));
        // A list that is gone has nothing to revoke.
        store.revoke_access_token("gone", 8, "other", "test").await.unwrap();
        assert_eq!(logged().await, 2);
        assert_eq!(store.status_list("l").await.unwrap().unwrap().bits[..3], [0x80, 0x01, 0]);
    }
}

/// Attacks 22 and 23: no grant for who was shut out a moment ago.
#[tokio::test]
async fn no_grants_for_who_is_shut_out() {
    use crate::store::NewGrant;
    for store in test_stores::each().await {
        store.fill().await;
        let add = async |id: &'static str| {
            let grant = NewGrant {
                id,
                user_id: "u",
                client_id: "c",
                resource: "https://r",
                scopes: "",
                nonce: None,
                auth_time: 0,
            };
            let code = NewCode {
                hash: id.as_bytes(),
                redirect_uri: "https://c",
                challenge: "x",
                dpop_jkt: None,
                lifetime: 60,
            };
            store.add_grant(&grant, &code).await
        };
        add("1").await.unwrap();
        store.disable_user("Ada").await.unwrap();
        assert!(matches!(add("2").await, Err(Error::Ended)));
        store.enable_user("Ada").await.unwrap();
        store.disable_client("c").await.unwrap();
        assert!(matches!(add("3").await, Err(Error::Ended)));
        store.enable_client("c").await.unwrap();
        add("4").await.unwrap();
        assert_eq!(store.number("SELECT COUNT(*) FROM grants").await, 2);
        assert_eq!(store.number("SELECT COUNT(*) FROM auth_codes").await, 2);
    }
}
