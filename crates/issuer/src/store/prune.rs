//! Deletes what is over, a little at a time, so that nobody waits long for the write lock.

use super::Store;
use crate::{Error, clock};

const DAY: i64 = 86_400;

/// Rows that one statement deletes at most.
const BATCH: u64 = 500;

/// Statements for one table in one round; what is left then waits for the next round.
const BATCHES: u32 = 40;

/// What is deleted, and how long after its time.
///
/// A code is kept a day longer, since a replay must still be recognised. A client that registered
/// itself goes when nobody consented to it in a week, or when it has had no grant for a month (MCP
/// clients register again and again).
const RULES: [(&str, i64); 6] = [
    (
        "DELETE FROM interactions WHERE id_hash IN \
         (SELECT id_hash FROM interactions WHERE expires_at < $1 LIMIT 500)",
        0,
    ),
    (
        "DELETE FROM sessions WHERE id_hash IN \
         (SELECT id_hash FROM sessions WHERE expires_at < $1 LIMIT 500)",
        0,
    ),
    (
        "DELETE FROM auth_codes WHERE hash IN \
         (SELECT hash FROM auth_codes WHERE expires_at < $1 LIMIT 500)",
        DAY,
    ),
    (
        "DELETE FROM refresh_tokens WHERE hash IN \
         (SELECT hash FROM refresh_tokens WHERE expires_at < $1 LIMIT 500)",
        DAY,
    ),
    (
        "DELETE FROM grants WHERE id IN (SELECT id FROM grants WHERE created_at < $1 \
         AND NOT EXISTS (SELECT 1 FROM auth_codes WHERE grant_id = grants.id) \
         AND NOT EXISTS (SELECT 1 FROM refresh_tokens WHERE grant_id = grants.id) LIMIT 500)",
        30 * DAY,
    ),
    (
        "DELETE FROM clients WHERE id IN (SELECT id FROM clients \
         WHERE kind = 'registered' AND created_at < $1 \
         AND NOT EXISTS (SELECT 1 FROM grants WHERE client_id = clients.id) LIMIT 500)",
        7 * DAY,
    ),
];

impl Store {
    /// Deletes rows whose time is over.
    pub(crate) async fn prune(&self) -> Result<(), Error> {
        let now = clock::now();
        for (statement, kept) in RULES {
            for _ in 0..BATCHES {
                let deleted = self.sql(statement).bind(now - kept).execute().await?;
                if deleted < BATCH {
                    break;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{env, fs, process};

    use super::*;
    use crate::Database;

    /// Complaint 6 of the issuer's list: registrations pile up. What is alive stays.
    #[tokio::test]
    async fn dead_rows_go_and_live_ones_stay() {
        let dir = env::temp_dir().join(format!("countersign-prune-{}", process::id()));
        fs::create_dir_all(&dir).unwrap();
        let store = Store::open(&Database::Sqlite(dir.join("test.db"))).await.unwrap();
        let now = clock::now();
        let old = now - 8 * DAY;
        for (id, kind, created) in [
            ("dead", "registered", old),
            ("new", "registered", now),
            ("used", "registered", old),
            ("static", "static", old),
        ] {
            let insert = "INSERT INTO clients (id, kind, name, redirect_uris, grant_types, \
                          auth_method, created_at) VALUES ($1, $2, '', '', '', 'none', $3)";
            store.sql(insert).bind(id).bind(kind).bind(created).execute().await.unwrap();
        }
        for insert in [
            "INSERT INTO users (id, name, password_hash, created_at) VALUES ('u', 'ada', '', 0)",
            "INSERT INTO resources (uri, name, created_at) VALUES ('https://r', '', 0)",
        ] {
            store.sql(insert).execute().await.unwrap();
        }
        let insert = "INSERT INTO grants (id, user_id, client_id, resource, scopes, auth_time, \
                      created_at) VALUES ('g', 'u', 'used', 'https://r', '', 0, $1)";
        store.sql(insert).bind(old).execute().await.unwrap();
        for index in 0..1200 {
            let insert = "INSERT INTO interactions (id_hash, browser_hash, request, created_at, \
                          expires_at) VALUES ($1, $1, '', 0, $2)";
            let expires = if index == 0 { now + 60 } else { now - 60 };
            let id = format!("i{index}").into_bytes();
            store.sql(insert).bind(id).bind(expires).execute().await.unwrap();
        }
        store.prune().await.unwrap();
        let left: Vec<(String,)> =
            store.sql("SELECT id FROM clients ORDER BY id").all().await.unwrap();
        assert_eq!(left.iter().map(|(id,)| id).collect::<Vec<_>>(), ["new", "static", "used"]);
        let left: Option<i64> =
            store.sql("SELECT COUNT(*) FROM interactions").scalar().await.unwrap();
        assert_eq!(left, Some(1), "three batches in one round");
        store.close().await;
        fs::remove_dir_all(&dir).unwrap();
    }
}
