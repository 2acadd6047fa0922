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
        "DELETE FROM interactions WHERE rowid IN \
         (SELECT rowid FROM interactions WHERE expires_at < ? LIMIT 500)",
        0,
    ),
    (
        "DELETE FROM sessions WHERE rowid IN \
         (SELECT rowid FROM sessions WHERE expires_at < ? LIMIT 500)",
        0,
    ),
    (
        "DELETE FROM auth_codes WHERE rowid IN \
         (SELECT rowid FROM auth_codes WHERE expires_at < ? LIMIT 500)",
        DAY,
    ),
    (
        "DELETE FROM refresh_tokens WHERE rowid IN \
         (SELECT rowid FROM refresh_tokens WHERE expires_at < ? LIMIT 500)",
        DAY,
    ),
    (
        "DELETE FROM grants WHERE rowid IN (SELECT rowid FROM grants WHERE created_at < ? \
         AND NOT EXISTS (SELECT 1 FROM auth_codes WHERE grant_id = grants.id) \
         AND NOT EXISTS (SELECT 1 FROM refresh_tokens WHERE grant_id = grants.id) LIMIT 500)",
        30 * DAY,
    ),
    (
        "DELETE FROM clients WHERE rowid IN (SELECT rowid FROM clients \
         WHERE kind = 'registered' AND created_at < ? \
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
                let done = sqlx::query(statement).bind(now - kept).execute(&self.pool).await?;
                if done.rows_affected() < BATCH {
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

    /// Complaint 6 of the issuer's list: registrations pile up. What is alive stays.
    #[tokio::test]
    async fn dead_rows_go_and_live_ones_stay() {
        let dir = env::temp_dir().join(format!("countersign-prune-{}", process::id()));
        fs::create_dir_all(&dir).unwrap();
        let store = Store::open(&dir.join("test.db")).await.unwrap();
        let now = clock::now();
        let old = now - 8 * DAY;
        for (id, kind, created) in [
            ("dead", "registered", old),
            ("new", "registered", now),
            ("used", "registered", old),
            ("static", "static", old),
        ] {
            sqlx::query("INSERT INTO clients VALUES (?, ?, '', '', '', 'none', NULL, ?)")
                .bind(id)
                .bind(kind)
                .bind(created)
                .execute(&store.pool)
                .await
                .unwrap();
        }
        sqlx::query("INSERT INTO users VALUES ('u', 'ada', NULL, '', 0)")
            .execute(&store.pool)
            .await
            .unwrap();
        sqlx::query("INSERT INTO resources VALUES ('https://r', '', 0, 0)")
            .execute(&store.pool)
            .await
            .unwrap();
        sqlx::query(
            "INSERT INTO grants VALUES ('g', 'u', 'used', 'https://r', '', NULL, 0, ?, NULL, NULL)",
        )
        .bind(old)
        .execute(&store.pool)
        .await
        .unwrap();
        for index in 0..1200 {
            sqlx::query("INSERT INTO interactions VALUES (?, x'00', '', 0, ?)")
                .bind(format!("i{index}").into_bytes())
                .bind(if index == 0 { now + 60 } else { now - 60 })
                .execute(&store.pool)
                .await
                .unwrap();
        }
        store.prune().await.unwrap();
        let left: Vec<String> = sqlx::query_scalar("SELECT id FROM clients ORDER BY id")
            .fetch_all(&store.pool)
            .await
            .unwrap();
        assert_eq!(left, ["new", "static", "used"]);
        let left: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM interactions")
            .fetch_one(&store.pool)
            .await
            .unwrap();
        assert_eq!(left, 1, "three batches in one round");
        store.close().await;
        fs::remove_dir_all(&dir).unwrap();
    }
}
