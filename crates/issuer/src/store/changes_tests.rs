//! Tests of what an administrator changes and takes away, on both engines.

use crate::{
    Error, NewResource, NewScope,
    secret::{self, Kind},
    store::{
        NewCode, NewGrant, NewStatusList, Store,
        test_stores::{self, Opened},
    },
};

/// The user `u` and `v`, with a grant of each for `https://r` whose token has the place 1 and 2 of the list
/// `l`; a grant of `u` for `https://q` with the place 3; a token by exchange with the place 4; a block of
/// the client `s`.
async fn filled(store: &Opened) {
    store.fill().await;
    let list = NewStatusList {
        id: "l",
        size: 64,
        permutation_sealed: b"",
        sealed_by: "",
        closes_at: 9_000_000_000,
        drop_at: 9_000_000_000,
    };
    store.add_status_list(&list).await.unwrap();
    for insert in [
        "INSERT INTO users (id, name, name_key, password_hash, created_at) VALUES ('v', 'Bob', 'bob', \
         'old', 0)",
        "INSERT INTO resources (uri, name, created_at) VALUES ('https://q', '', 0)",
        "INSERT INTO scopes (resource, name, description, position) VALUES ('https://r', 'a', 'A', 0), \
         ('https://r', 'b', 'B', 1), ('https://r', 'ab', 'AB', 2)",
        "INSERT INTO grants (id, user_id, client_id, resource, scopes, auth_time, created_at) VALUES \
         ('gu', 'u', 'c', 'https://r', 'b a ab openid', 0, 0), ('gv', 'v', 'c', 'https://r', 'a', 0, 0), \
         ('gq', 'u', 'c', 'https://q', 'b', 0, 0)",
        "INSERT INTO issued_tokens (status_list, status_index, grant_id, expires_at, holder) VALUES \
         ('l', 1, 'gu', 9000000000, NULL), ('l', 2, 'gv', 9000000000, NULL), ('l', 3, 'gq', 9000000000, \
         NULL), ('l', 4, 'gq', 9000000000, 's')",
        "INSERT INTO consents (user_id, client_id, resource, redirect_uri, scopes, granted_at) VALUES \
         ('u', 'c', 'https://r', '', 'a b', 0), ('u', 'c', 'https://q', '', 'a b', 0)",
        "INSERT INTO identity_providers (issuer, jwks_uri, created_at) VALUES ('https://i', '', 0)",
        "INSERT INTO user_identities (issuer, subject, user_id, created_at) VALUES ('https://i', 'U', \
         'u', 0)",
        "INSERT INTO client_resources (client_id, resource, scopes, exchanges, introspects) VALUES \
         ('s', 'https://r', 'a b', 'b', FALSE)",
        "INSERT INTO status_leases (status_list, start, length, client_id) VALUES ('l', 8, 8, 's')",
        "UPDATE clients SET default_resource = 'https://r' WHERE id = 's'",
    ] {
        store.run(insert).await;
    }
    assert!(store.add_session(b"1", ("u", ""), 60).await.unwrap());
    assert!(store.add_session(b"2", ("v", "old"), 60).await.unwrap());
}

/// The places in the list that are revoked, as bits.
async fn revoked(store: &Store) -> u8 {
    store.status_list("l").await.unwrap().unwrap().bits[0]
}

async fn logged(store: &Store) -> Vec<(String, String, String)> {
    store.test_rows("SELECT kind, ref, reason FROM revocation_log ORDER BY seq").await
}

fn entry(kind: &str, name: &str, reason: &str) -> (String, String, String) {
    (kind.to_owned(), name.to_owned(), reason.to_owned())
}

#[tokio::test]
async fn another_password_ends_logins_and_grants_if_they_shall() {
    for store in test_stores::each().await {
        filled(&store).await;
        assert_eq!(store.set_password("BOB", "correct horse", false).await.unwrap(), 0);
        let (_, hash) = store.credentials("bob").await.unwrap().unwrap();
        assert!(hash.starts_with("$argon2id$"));
        assert!(!store.add_session(b"3", ("v", "old"), 60).await.unwrap(), "who was just checked");
        assert!(store.session(b"2").await.unwrap().is_none(), "nobody stays logged in");
        assert!(store.session(b"1").await.unwrap().is_some(), "nor is anybody else logged out");
        assert_eq!((revoked(&store).await, logged(&store).await), (0, vec![]));
        let consents = "SELECT COUNT(*) FROM consents";
        store
            .run(
                "INSERT INTO consents (user_id, client_id, resource, redirect_uri, scopes, granted_at) \
                 VALUES ('v', 'c', 'https://r', '', 'a', 0)",
            )
            .await;
        store.set_password("bob", "correct horse", false).await.unwrap();
        assert_eq!(store.number(consents).await, 3);

        assert_eq!(store.set_password("bob", "battery staple", true).await.unwrap(), 1);
        assert_eq!(revoked(&store).await, 1 << 2);
        assert_eq!(logged(&store).await, [entry("user", "v", "password_changed")]);
        assert_eq!(store.grants(Some("bob"), None).await.unwrap().len(), 0);
        assert_eq!(store.grants(Some("ada"), None).await.unwrap().len(), 2);
        let of_bob = "SELECT COUNT(*) FROM consents WHERE user_id = 'v'";
        assert_eq!(store.number(of_bob).await, 0, "nothing is granted again without a question");
        assert_eq!(store.number(consents).await, 2);

        for (name, password) in [("bob", "short"), ("eve", "correct horse")] {
            let refused = store.set_password(name, password, true).await.unwrap_err();
            assert_eq!(refused.reason(), "value_invalid");
        }
    }
}

#[tokio::test]
async fn who_is_deleted_leaves_nothing_that_counts() {
    for store in test_stores::each().await {
        filled(&store).await;
        store.delete_user("ADA").await.unwrap();
        assert_eq!(revoked(&store).await, 1 << 1 | 1 << 3 | 1 << 4, "what was exchanged, too");
        assert_eq!(logged(&store).await, [entry("user", "u", "user_deleted")]);
        for query in [
            "SELECT COUNT(*) FROM users WHERE id = 'u'",
            "SELECT COUNT(*) FROM sessions WHERE user_id = 'u'",
            "SELECT COUNT(*) FROM grants WHERE user_id = 'u'",
            "SELECT COUNT(*) FROM consents WHERE user_id = 'u'",
            "SELECT COUNT(*) FROM user_identities WHERE user_id = 'u'",
        ] {
            assert_eq!(store.number(query).await, 0, "{query}");
        }
        assert_eq!(store.number("SELECT COUNT(*) FROM grants").await, 1);
        assert_eq!(store.delete_user("ada").await.unwrap_err().reason(), "value_invalid");
    }
}

fn resource(uri: &str) -> NewResource {
    NewResource {
        uri: uri.to_owned(),
        name: "R".to_owned(),
        scopes: vec![NewScope { name: "b".to_owned(), ..NewScope::default() }],
        ..NewResource::default()
    }
}

/// A scope that is no more comes of nothing that was allowed before; its neighbours stay.
#[tokio::test]
async fn a_scope_that_is_gone_is_gone_everywhere() {
    for store in test_stores::each().await {
        filled(&store).await;
        assert_eq!(store.known_resources().await.unwrap().len(), 2, "kept from before");
        let change = |resource: &mut NewResource| {
            resource.name = "Files".to_owned();
            resource.scopes.retain(|scope| scope.name != "a");
            resource.token_lifetime = Some(60);
            resource.aliases.push("mcp://r".to_owned());
            resource.is_default = true;
            Ok(())
        };
        let changed = store.change_resource("https://r", change).await.unwrap();
        assert_eq!(changed.scopes.len(), 2);
        let known = store.known_resources().await.unwrap();
        let known = known.iter().find(|known| known.uri == "https://r").unwrap();
        assert_eq!(
            (&known.name[..], known.token_lifetime, known.is_default),
            ("Files", Some(60), true)
        );
        assert_eq!(known.aliases, ["mcp://r"]);

        let grants: Vec<(String,)> = store.test_rows("SELECT scopes FROM grants ORDER BY id").await;
        let grants: Vec<&str> = grants.iter().map(|(scopes,)| scopes.as_str()).collect();
        assert_eq!(grants, ["b", "b ab openid", ""]);
        let consents: Vec<(String,)> =
            store.test_rows("SELECT scopes FROM consents ORDER BY resource").await;
        assert_eq!(consents, [("a b".to_owned(),), ("b".to_owned(),)]);
        let client = store.stored_client_resources("s").await.unwrap();
        assert_eq!((&client[0].scopes[..], &client[0].exchanges[..]), ("b", "b"));
        assert_eq!(revoked(&store).await, 0, "tokens that are out keep what they have");

        let last = |resource: &mut NewResource| {
            resource.scopes.retain(|scope| scope.name == "ab");
            Ok(())
        };
        store.change_resource("https://r", last).await.unwrap();
        assert_eq!(store.stored_client_resources("s").await.unwrap(), [], "nothing is left of it");
        for (uri, bad) in [
            ("https://r", "https://q"),
            ("https://r", "no uri"),
            ("https://none", "https://none/x"),
        ] {
            let alias = |resource: &mut NewResource| {
                resource.aliases.push(bad.to_owned());
                Ok(())
            };
            assert!(store.change_resource(uri, alias).await.is_err(), "{bad}");
        }
        let none = |resource: &mut NewResource| {
            resource.scopes.clear();
            Ok(())
        };
        assert!(store.change_resource("https://r", none).await.is_err());
        let known = store.resources().await.unwrap();
        let known = known.iter().find(|known| known.uri == "https://r").unwrap();
        assert_eq!((&known.aliases[..], known.scopes.len()), (&["mcp://r".to_owned()][..], 1));
        store.create_resource(resource("https://new")).await.unwrap();
    }
}

#[tokio::test]
async fn a_resource_that_is_used_stays_unless_it_must_go() {
    for store in test_stores::each().await {
        filled(&store).await;
        let refused = store.delete_resource("https://r", false).await.unwrap_err();
        assert!(
            matches!(&refused, Error::InUse(text) if text.starts_with("2 grants and 1 clients "))
        );
        assert_eq!(refused.reason(), "in_use");
        assert_eq!(store.resources().await.unwrap().len(), 2);

        store.delete_resource("https://r", true).await.unwrap();
        // The places of the grants, and that of what `s` has by exchange; its block is not among the bits.
        assert_eq!(revoked(&store).await, 1 << 1 | 1 << 2 | 1 << 4);
        assert_eq!(store.revoked_blocks("l").await.unwrap(), [(8, 8)]);
        let mut log = logged(&store).await;
        log.sort();
        let ended = |kind, name| entry(kind, name, "resource_deleted");
        assert_eq!(log, [ended("client", "s"), ended("grant", "gu"), ended("grant", "gv")]);
        assert_eq!(store.resources().await.unwrap().len(), 1);
        assert_eq!(store.number("SELECT COUNT(*) FROM grants").await, 1);
        let client = store.client("s").await.unwrap().unwrap().client;
        assert_eq!((client.default_resource, client.is_disabled), (None, false));
        assert!(client.not_before > 0, "nodes take no more places of the block");

        store.run("UPDATE grants SET revoked_at = 1").await;
        store.delete_resource("https://q", false).await.unwrap();
        assert_eq!(
            store.delete_resource("https://q", true).await.unwrap_err().reason(),
            "value_invalid"
        );
    }
}

/// They are written down in one statement, since all writes wait meanwhile; the log has no gaps.
#[tokio::test]
async fn a_resource_goes_with_all_its_grants_at_once() {
    for store in test_stores::each().await {
        filled(&store).await;
        store
            .run(
                "INSERT INTO grants (id, user_id, client_id, resource, scopes, auth_time, created_at) \
                 WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < \
                 10000) SELECT CAST(n AS TEXT), 'u', 'c', 'https://r', '', 0, 0 FROM numbers",
            )
            .await;
        store
            .run("UPDATE grants SET revoked_at = 1, reason = 'resource_deleted' WHERE id = '7'")
            .await;
        store.delete_resource("https://r", true).await.unwrap();
        let logged = "SELECT COUNT(*) FROM revocation_log WHERE kind = 'grant' AND reason = \
                      'resource_deleted'";
        assert_eq!(store.number(logged).await, 10_001, "but for the one that had ended before");
        let last = store.number("SELECT value FROM counters WHERE name = 'revocations'").await;
        assert_eq!(store.number("SELECT MAX(seq) FROM revocation_log").await, last);
        assert_eq!(store.number("SELECT MIN(seq) FROM revocation_log").await, last - 10_001);
        store.revoke_grant("gq", "revoked").await.unwrap();
        assert_eq!(store.number("SELECT MAX(seq) FROM revocation_log").await, last + 1);
    }
}

#[tokio::test]
async fn a_client_gets_another_secret_at_once() {
    for store in test_stores::each().await {
        filled(&store).await;
        store.run("UPDATE clients SET secret_hash = '1' WHERE id = 's'").await;
        assert!(store.client("s").await.unwrap().unwrap().secret_hash.is_some());
        let secret = store.renew_client_secret("s").await.unwrap();
        let known = store.client("s").await.unwrap().unwrap();
        assert_eq!(known.secret_hash, Some(secret::hash(Kind::ClientSecret, &secret)));
        for id in ["c", "none"] {
            assert_eq!(store.renew_client_secret(id).await.unwrap_err().reason(), "value_invalid");
        }
    }
}

#[tokio::test]
async fn clients_of_the_administrator_can_be_changed() {
    for store in test_stores::each().await {
        filled(&store).await;
        store
            .run(
                "UPDATE clients SET auth_method = 'client_secret_basic', grant_types = \
                 'client_credentials' WHERE id = 's'",
            )
            .await;
        store.known_client("s").await.unwrap();
        let changed = store
            .change_client("s", |client| {
                client.name = "Job".to_owned();
                client.resources[0].scopes = "ab".to_owned();
                client.resources[0].exchanges.clear();
                Ok(())
            })
            .await
            .unwrap();
        assert_eq!(changed.name, "Job");
        let known = store.known_client("s").await.unwrap().unwrap();
        assert_eq!((&known.row.client.name[..], &known.resources[0].scopes[..]), ("Job", "ab"));

        let unknown_scope = store
            .change_client("s", |client| {
                client.resources[0].scopes = "x".to_owned();
                Ok(())
            })
            .await;
        assert_eq!(unknown_scope.unwrap_err().reason(), "value_invalid");
        let method = store
            .change_client("s", |client| {
                client.auth_method = "none".to_owned();
                Ok(())
            })
            .await;
        assert_eq!(method.unwrap_err().reason(), "value_invalid");
        store.run("UPDATE clients SET kind = 'registered' WHERE id = 's'").await;
        for id in ["s", "none"] {
            let refused = store.change_client(id, |_| Ok(())).await.unwrap_err();
            assert_eq!(refused.reason(), "value_invalid", "{id}");
        }
    }
}

/// Grants that are given while their resource goes: none is left, and nobody waits in a circle, in which
/// PostgreSQL would give somebody up (40P01).
#[tokio::test(flavor = "multi_thread")]
async fn a_resource_goes_while_it_is_used() {
    for store in test_stores::each().await {
        filled(&store).await;
        let mut work = tokio::task::JoinSet::new();
        for number in 0..40_u8 {
            let store = Store::clone(&store);
            work.spawn(async move {
                let id = format!("n{number}");
                let (hash, user) = ([number], if number % 2 == 0 { "u" } else { "v" });
                let grant = NewGrant {
                    id: &id,
                    user_id: user,
                    client_id: "s",
                    resource: "https://r",
                    scopes: "a",
                    nonce: None,
                    auth_time: 0,
                };
                let code = NewCode {
                    hash: &hash,
                    redirect_uri: "",
                    challenge: "",
                    dpop_jkt: None,
                    lifetime: 60,
                };
                match number {
                    20 => store.delete_resource("https://r", true).await,
                    30 => store.disable_client("s").await,
                    35 => store.delete_user("bob").await,
                    _ => store.add_grant(&grant, &code).await,
                }
            });
        }
        for outcome in work.join_all().await {
            let Err(Error::Database(error)) = outcome else {
                continue;
            };
            // There is no such resource any more.
            if let Some(refused) = error.as_database_error() {
                assert!(refused.is_foreign_key_violation(), "{refused}");
            }
        }
        let left = "SELECT COUNT(*) FROM grants WHERE resource = 'https://r'";
        assert_eq!(store.number(left).await, 0);
        assert!(store.delete_resource("https://r", true).await.is_err());
    }
}
