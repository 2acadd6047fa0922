//! Tests of pruning, on both engines.

use std::{
    env, fs,
    path::PathBuf,
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use countersign_testkit::postgres;

use super::*;
use crate::Database;

const NOW: i64 = 1_800_000_000;

/// All that delete by an indexed time.
fn statements() -> impl Iterator<Item = &'static str> {
    let of_grants = OF_GRANTS.iter().map(|(_, delete, _)| *delete);
    OVER.iter().map(|(delete, _)| *delete).chain(of_grants)
}

struct Fixture {
    store: Store,
    folder: PathBuf,
    _postgres: Option<postgres::Database>,
}

impl Fixture {
    /// On each engine, with a user, a client and a resource.
    async fn each() -> [Self; 2] {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = env::temp_dir().join(format!("countersign-prune-{}-{count}", process::id()));
        fs::create_dir_all(&folder).unwrap();
        let server = postgres::Database::new();
        let on_postgres = Database::Postgres(server.url());
        let on_sqlite = Database::Sqlite(folder.join("test.db"));
        [
            Self {
                store: Store::open(&on_sqlite).await.unwrap(),
                folder: folder.clone(),
                _postgres: None,
            }
            .filled()
            .await,
            Self {
                store: Store::open(&on_postgres).await.unwrap(),
                folder,
                _postgres: Some(server),
            }
            .filled()
            .await,
        ]
    }

    async fn filled(self) -> Self {
        for insert in [
            "INSERT INTO users (id, name, password_hash, created_at) VALUES ('u', 'ada', '', 0)",
            "INSERT INTO resources (uri, name, created_at) VALUES ('https://r', '', 0)",
        ] {
            self.store.sql(insert).execute().await.unwrap();
        }
        self.client("c", "static", 0).await;
        self
    }

    async fn client(&self, id: &str, kind: &str, created_at: i64) {
        let insert = "INSERT INTO clients (id, kind, name, redirect_uris, grant_types, \
                      auth_method, created_at) VALUES ($1, $2, '', '', '', 'none', $3)";
        self.store.sql(insert).bind(id).bind(kind).bind(created_at).execute().await.unwrap();
    }

    async fn grant(&self, id: &str, client: &str) {
        let insert = "INSERT INTO grants (id, user_id, client_id, resource, scopes, auth_time, \
                      created_at) VALUES ($1, 'u', $2, 'https://r', '', 0, 0)";
        self.store.sql(insert).bind(id).bind(client).execute().await.unwrap();
    }

    async fn code(&self, hash: u8, grant: &str, expires_at: i64) {
        let insert = "INSERT INTO auth_codes (hash, grant_id, client_id, redirect_uri, challenge, \
                      expires_at) VALUES ($1, $2, 'c', '', '', $3)";
        let statement = self.store.sql(insert).bind(vec![hash]).bind(grant).bind(expires_at);
        statement.execute().await.unwrap();
    }

    async fn token(&self, hash: &[u8], grant: &str, expires_at: i64) {
        let insert = "INSERT INTO refresh_tokens (hash, grant_id, issued_at, expires_at) \
                      VALUES ($1, $2, 0, $3)";
        let statement = self.store.sql(insert).bind(hash).bind(grant).bind(expires_at);
        statement.execute().await.unwrap();
    }

    async fn names(&self, select: &'static str) -> Vec<String> {
        let rows: Vec<(String,)> = self.store.test_rows(select).await;
        rows.into_iter().map(|(name,)| name).collect()
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Complaint 6 of the issuer's list: registrations pile up. What is alive stays.
#[tokio::test]
async fn complaint_6_dead_clients_go_and_live_ones_stay() {
    for fixture in Fixture::each().await {
        let old = NOW - 8 * DAY;
        for (id, kind, created_at) in [
            ("dead", "registered", old),
            ("new", "registered", NOW),
            ("granted", "registered", old),
            ("consented", "registered", old),
            ("forgotten", "registered", NOW - 60 * DAY),
            ("static", "static", old),
        ] {
            fixture.client(id, kind, created_at).await;
        }
        fixture.grant("g", "granted").await;
        for (client, granted_at) in [("consented", old), ("forgotten", NOW - 31 * DAY)] {
            let insert = "INSERT INTO consents (user_id, client_id, resource, redirect_uri, scopes, \
                          granted_at) VALUES ('u', $1, 'https://r', '', '', $2)";
            fixture.store.sql(insert).bind(client).bind(granted_at).execute().await.unwrap();
        }
        assert_eq!(fixture.store.prune_clients(NOW).await.unwrap(), 2);
        let left = fixture.names("SELECT id FROM clients ORDER BY id").await;
        assert_eq!(left, ["c", "consented", "granted", "new", "static"]);
    }
}

/// The same of clients that came with a document: anybody can make many of them. Nobody who uses one
/// notices that it went: it is fetched again.
#[tokio::test]
async fn complaint_6_documents_that_nobody_uses_go() {
    for fixture in Fixture::each().await {
        let old = NOW - 8 * DAY;
        for (id, fetched_at, pinned) in [
            ("dead", old, false),
            ("consented", old, false),
            ("disabled", old, false),
            ("forgotten", old, false),
            ("granted", old, false),
            ("looked-at", NOW - 2 * DAY, false),
            ("pinned", old, true),
        ] {
            fixture.client(id, "cimd", NOW - 60 * DAY).await;
            let insert = "INSERT INTO client_documents (url, pinned, fetched_at, fresh_until) \
                          VALUES ($1, $2, $3, $3)";
            let statement = fixture.store.sql(insert).bind(id).bind(pinned).bind(fetched_at);
            statement.execute().await.unwrap();
        }
        fixture.client("no-document", "cimd", old).await;
        fixture.client("new", "cimd", NOW).await;
        fixture.grant("g", "granted").await;
        for (client, granted_at) in [("consented", old), ("forgotten", NOW - 31 * DAY)] {
            let insert = "INSERT INTO consents (user_id, client_id, resource, redirect_uri, scopes, \
                          granted_at) VALUES ('u', $1, 'https://r', '', '', $2)";
            fixture.store.sql(insert).bind(client).bind(granted_at).execute().await.unwrap();
        }
        let disable = "UPDATE clients SET disabled_at = 1 WHERE id = 'disabled'";
        fixture.store.sql(disable).execute().await.unwrap();
        assert_eq!(fixture.store.prune_clients(NOW).await.unwrap(), 3);
        let left = fixture.names("SELECT id FROM clients ORDER BY id").await;
        assert_eq!(
            left,
            ["c", "consented", "disabled", "granted", "looked-at", "new", "pinned"],
            "a client that was shut out would come back"
        );
        let left = fixture.names("SELECT url FROM client_documents ORDER BY url").await;
        assert_eq!(left, ["consented", "disabled", "granted", "looked-at", "pinned"]);
        assert_eq!(fixture.store.prune_clients(NOW).await.unwrap(), 0);
    }
}

/// Three batches in one round, and what is not over stays.
#[tokio::test]
async fn many_rows_go_in_batches() {
    for fixture in Fixture::each().await {
        let insert = "INSERT INTO interactions (id_hash, browser_hash, request, created_at, \
                      expires_at) VALUES ($1, $1, '', 0, $2)";
        for index in 0..1200_u32 {
            let expires_at = if index == 0 { NOW + 60 } else { NOW - 60 };
            let id = index.to_be_bytes().to_vec();
            fixture.store.sql(insert).bind(id).bind(expires_at).execute().await.unwrap();
        }
        assert_eq!(fixture.store.prune(NOW).await.unwrap(), 1199);
        let left: Vec<(i64,)> =
            fixture.store.test_rows("SELECT expires_at FROM interactions").await;
        assert_eq!(left, [(NOW + 60,)]);
    }
}

/// A grant goes with the last row that belongs to it, and not before; a replay is still recognised a
/// day after.
#[tokio::test]
async fn grants_go_with_their_last_token() {
    for fixture in Fixture::each().await {
        for grant in ["live", "code", "dead", "recent"] {
            fixture.grant(grant, "c").await;
        }
        let over = NOW - DAY - 1;
        fixture.code(1, "live", over).await;
        fixture.token(&[1], "live", over).await;
        fixture.token(&[2], "live", NOW + 1).await;
        fixture.token(&[3], "code", over).await;
        fixture.code(4, "code", NOW).await;
        fixture.code(5, "dead", over).await;
        fixture.token(&[5], "dead", over).await;
        fixture.token(&[6], "recent", NOW - DAY + 1).await;
        assert_eq!(fixture.store.prune(NOW).await.unwrap(), 5);
        let left = fixture.names("SELECT id FROM grants ORDER BY id").await;
        assert_eq!(left, ["code", "live", "recent"]);
        assert_eq!(fixture.store.prune(NOW).await.unwrap(), 0);
    }
}

/// Every table with a time at which it is over is looked at.
#[tokio::test]
async fn no_table_is_forgotten() {
    let [sqlite, _] = Fixture::each().await;
    let tables = sqlite
        .names(
            "SELECT m.name FROM sqlite_schema m, pragma_table_info(m.name) c \
             WHERE m.type = 'table' AND c.name IN ('expires_at', 'drop_at', 'fresh_until')",
        )
        .await;
    assert!(tables.len() > 8, "{tables:?}");
    // Keys go by their schedule, leases are one row for each job.
    let elsewhere = ["signing_keys", "leases"];
    for table in tables.iter().filter(|table| !elsewhere.contains(&table.as_str())) {
        let named = format!("DELETE FROM {table} WHERE");
        let all = statements();
        assert_eq!(all.filter(|statement| statement.starts_with(&named)).count(), 1, "{table}");
    }
    for statement in statements() {
        assert!(statement.contains("LIMIT 500)"), "{statement}");
    }
}

/// Each statement says something that both engines understand, and deletes one of two.
#[tokio::test]
async fn every_rule_deletes_what_is_over() {
    for fixture in Fixture::each().await {
        let inserts = [
            "INSERT INTO sessions (id_hash, user_id, auth_time, expires_at) \
             VALUES ($1, 'u', 0, $2)",
            "INSERT INTO pushed_requests (hash, client_id, request, expires_at) \
             VALUES ($1, 'c', '', $2)",
            "INSERT INTO initial_access_tokens (hash, name, uses_left, created_at, expires_at) \
             VALUES ($1, '', 1, 0, $2)",
            "INSERT INTO device_codes (hash, user_code_hash, client_id, resource, scopes, state, \
             poll_interval, created_at, expires_at) \
             VALUES ($1, $1, 'c', 'https://r', '', 'waiting', 5, 0, $2)",
        ];
        for insert in inserts {
            for (hash, expires_at) in [(1_u8, NOW - 10 * DAY), (2, NOW)] {
                let statement = fixture.store.sql(insert).bind(vec![hash]).bind(expires_at);
                statement.execute().await.unwrap();
            }
        }
        let inserts = [
            "INSERT INTO jti_seen (kind, issuer, jti, expires_at) VALUES ('a', 'i', $1, $2)",
            "INSERT INTO issued_tokens (status_list, status_index, expires_at) VALUES ($1, 1, $2)",
            "INSERT INTO client_documents (url, fetched_at, fresh_until) VALUES ($1, 0, $2)",
            "INSERT INTO status_lists (id, size, permutation_sealed, sealed_by, bits, created_at, \
             closes_at, drop_at) VALUES ($1, 1, '', '', '', 0, 0, $2)",
        ];
        for insert in inserts {
            for (name, expires_at) in [("over", NOW - 40 * DAY), ("not", NOW)] {
                let statement = fixture.store.sql(insert).bind(name).bind(expires_at);
                statement.execute().await.unwrap();
            }
        }
        let insert = "INSERT INTO revocation_log (seq, kind, ref, revoked_at, reason) VALUES \
                      ($1, 'key', '', $2, '')";
        for (seq, revoked_at) in [(1_i64, NOW - 500 * DAY), (2, NOW - 300 * DAY)] {
            fixture.store.sql(insert).bind(seq).bind(revoked_at).execute().await.unwrap();
        }
        assert_eq!(fixture.store.prune(NOW).await.unwrap(), 9);
        assert_eq!(fixture.store.prune(NOW).await.unwrap(), 0);
    }
}
