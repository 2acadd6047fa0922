//! Deletes what is over, a little at a time, so that nobody waits long for a lock.

use std::collections::BTreeSet;

use super::{Store, Transaction, sql::again_if_deadlocked};
use crate::Error;

const DAY: i64 = 86_400;

/// Rows that one transaction deletes at most; it stands in every statement here.
const BATCH: usize = 500;

/// Transactions for one table in one round; what is left then waits for the next round.
const BATCHES: u32 = 40;

/// What is deleted by an indexed time, and how many seconds after it.
const OVER: [(&str, i64); 8] = [
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
        "DELETE FROM pushed_requests WHERE hash IN \
         (SELECT hash FROM pushed_requests WHERE expires_at < $1 LIMIT 500)",
        0,
    ),
    // Clocks of those who made them may be late: what came once shall not come again.
    (
        "DELETE FROM jti_seen WHERE (kind, issuer, jti) IN \
         (SELECT kind, issuer, jti FROM jti_seen WHERE expires_at < $1 LIMIT 500)",
        300,
    ),
    (
        "DELETE FROM initial_access_tokens WHERE hash IN \
         (SELECT hash FROM initial_access_tokens WHERE expires_at < $1 LIMIT 500)",
        7 * DAY,
    ),
    (
        "DELETE FROM status_lists WHERE id IN \
         (SELECT id FROM status_lists WHERE drop_at < $1 LIMIT 500)",
        0,
    ),
    (
        "DELETE FROM revocation_log WHERE seq IN \
         (SELECT seq FROM revocation_log WHERE revoked_at < $1 LIMIT 500)",
        400 * DAY,
    ),
    (
        "DELETE FROM client_documents WHERE url IN (SELECT url FROM client_documents \
         WHERE fresh_until < $1 AND NOT pinned LIMIT 500)",
        30 * DAY,
    ),
];

/// What belongs to a grant, and how many seconds after its end it is deleted. A grant goes with the last of
/// it. On PostgreSQL the first statement takes the grants, one after the other as everybody does.
///
/// Codes and refresh tokens are kept a day longer, since a replay must still be recognised.
const OF_GRANTS: [(&str, &str, i64); 4] = [
    (
        "SELECT id FROM grants WHERE id IN (SELECT grant_id FROM auth_codes WHERE expires_at < $1 \
         ORDER BY expires_at LIMIT 500) ORDER BY id FOR UPDATE",
        "DELETE FROM auth_codes WHERE hash IN (SELECT hash FROM auth_codes WHERE expires_at < $1 \
         ORDER BY expires_at LIMIT 500) RETURNING grant_id",
        DAY,
    ),
    (
        "SELECT id FROM grants WHERE id IN (SELECT grant_id FROM device_codes WHERE expires_at < $1 \
         ORDER BY expires_at LIMIT 500) ORDER BY id FOR UPDATE",
        "DELETE FROM device_codes WHERE hash IN (SELECT hash FROM device_codes WHERE expires_at < $1 \
         ORDER BY expires_at LIMIT 500) RETURNING grant_id",
        DAY,
    ),
    (
        "SELECT id FROM grants WHERE id IN (SELECT grant_id FROM issued_tokens WHERE expires_at < $1 \
         ORDER BY expires_at LIMIT 500) ORDER BY id FOR UPDATE",
        "DELETE FROM issued_tokens WHERE (status_list, status_index) IN (SELECT status_list, \
         status_index FROM issued_tokens WHERE expires_at < $1 ORDER BY expires_at LIMIT 500) \
         RETURNING grant_id",
        300,
    ),
    (
        "SELECT id FROM grants WHERE id IN (SELECT grant_id FROM refresh_tokens WHERE expires_at < $1 \
         ORDER BY expires_at LIMIT 500) ORDER BY id FOR UPDATE",
        "DELETE FROM refresh_tokens WHERE hash IN (SELECT hash FROM refresh_tokens WHERE expires_at < $1 \
         ORDER BY expires_at LIMIT 500) RETURNING grant_id",
        DAY,
    ),
];

const EMPTY_GRANT: &str = "DELETE FROM grants WHERE id = $1 \
    AND NOT EXISTS (SELECT 1 FROM auth_codes WHERE grant_id = grants.id) \
    AND NOT EXISTS (SELECT 1 FROM device_codes WHERE grant_id = grants.id) \
    AND NOT EXISTS (SELECT 1 FROM issued_tokens WHERE grant_id = grants.id) \
    AND NOT EXISTS (SELECT 1 FROM refresh_tokens WHERE grant_id = grants.id)";

/// A client that registered itself goes when it is a week old and has no grant, and nobody consented
/// to it in a month: MCP clients register again and again. $1 is a week ago, $2 a month.
const DEAD_CLIENTS: &str = "SELECT id FROM clients \
    WHERE kind = 'registered' AND created_at < $1 \
    AND NOT EXISTS (SELECT 1 FROM grants WHERE client_id = clients.id) \
    AND NOT EXISTS (SELECT 1 FROM consents WHERE client_id = clients.id \
    AND granted_at >= $2) LIMIT 500";

const DEAD_CLIENT: &str = "DELETE FROM clients WHERE id = $1 AND kind = 'registered' \
    AND NOT EXISTS (SELECT 1 FROM grants WHERE client_id = clients.id) \
    AND NOT EXISTS (SELECT 1 FROM consents WHERE client_id = clients.id AND granted_at >= $2)";

/// The same for a client that came with its document. It is still known where the document was
/// looked at in this week; one that an administrator supplied, or shut out, stays. $1 is a week ago, $2
/// a month.
const DEAD_DOCUMENTS: &str = "SELECT id FROM clients \
    WHERE kind = 'cimd' AND created_at < $1 AND disabled_at IS NULL \
    AND NOT EXISTS (SELECT 1 FROM client_documents WHERE url = clients.id \
    AND (pinned OR fetched_at >= $1)) \
    AND NOT EXISTS (SELECT 1 FROM grants WHERE client_id = clients.id) \
    AND NOT EXISTS (SELECT 1 FROM consents WHERE client_id = clients.id \
    AND granted_at >= $2) LIMIT 500";

const DEAD_DOCUMENT: &str = "DELETE FROM clients WHERE id = $1 AND kind = 'cimd' \
    AND disabled_at IS NULL AND NOT EXISTS (SELECT 1 FROM client_documents WHERE url = clients.id) \
    AND NOT EXISTS (SELECT 1 FROM grants WHERE client_id = clients.id) \
    AND NOT EXISTS (SELECT 1 FROM consents WHERE client_id = clients.id AND granted_at >= $2)";

/// A statement sees what was there when it began, also where it waits for somebody who adds to that. So
/// PostgreSQL takes the client first, and the next statement looks. SQLite is alone from the beginning.
const TAKE_CLIENT: &str = "SELECT 1::bigint FROM clients WHERE id = $1 FOR UPDATE";

impl Store {
    /// Deletes rows whose time was over at this moment. Gives their number.
    pub(crate) async fn prune(&self, now: i64) -> Result<u64, Error> {
        let mut total = 0;
        for (statement, kept) in OVER {
            for _ in 0..BATCHES {
                let deleted = self.sql(statement).bind(now - kept).execute().await?;
                total += deleted;
                if deleted < BATCH as u64 {
                    break;
                }
            }
        }
        for (take, delete, kept) in OF_GRANTS {
            for _ in 0..BATCHES {
                let prune = || self.prune_of_grants(take, delete, now - kept);
                let deleted = again_if_deadlocked(prune).await?;
                total += deleted as u64;
                if deleted < BATCH {
                    break;
                }
            }
        }
        Ok(total)
    }

    async fn prune_of_grants(
        &self,
        take: &'static str,
        delete: &'static str,
        before: i64,
    ) -> Result<usize, Error> {
        let mut transaction = self.begin().await?;
        if self.is_postgres() {
            transaction.sql(take).bind(before).execute().await?;
        }
        let deleted: Vec<(Option<String>,)> = transaction.sql(delete).bind(before).all().await?;
        let grants: BTreeSet<&str> = deleted.iter().filter_map(|(id,)| id.as_deref()).collect();
        for grant in grants {
            transaction.sql(EMPTY_GRANT).bind(grant).execute().await?;
        }
        if !deleted.is_empty() {
            transaction.commit().await?;
        }
        Ok(deleted.len())
    }

    /// Deletes clients that nobody uses, and gives space back. This looks at every client that the
    /// administrator did not add: now and then is enough.
    pub(crate) async fn prune_clients(&self, now: i64) -> Result<u64, Error> {
        let mut total = 0;
        for _ in 0..BATCHES {
            let dead: Vec<(String,)> =
                self.sql(DEAD_CLIENTS).bind(now - 7 * DAY).bind(now - 30 * DAY).all().await?;
            for (id,) in &dead {
                total += self.prune_client(id, now - 30 * DAY).await?;
            }
            if dead.len() < BATCH {
                break;
            }
        }
        for _ in 0..BATCHES {
            let dead: Vec<(String,)> =
                self.sql(DEAD_DOCUMENTS).bind(now - 7 * DAY).bind(now - 30 * DAY).all().await?;
            for (id,) in &dead {
                total += self.prune_document(id, now - 7 * DAY, now - 30 * DAY).await?;
            }
            if dead.len() < BATCH {
                break;
            }
        }
        self.pools.give_back_space().await?;
        Ok(total)
    }

    /// Unless somebody came with it since we looked.
    async fn prune_client(&self, id: &str, consented: i64) -> Result<u64, Error> {
        let mut transaction = self.begin().await?;
        let deleted = delete_client(&mut transaction, DEAD_CLIENT, id, consented).await?;
        transaction.commit().await?;
        Ok(deleted)
    }

    /// The same; document and client go together.
    async fn prune_document(&self, id: &str, before: i64, consented: i64) -> Result<u64, Error> {
        let mut transaction = self.begin().await?;
        transaction
            .sql("DELETE FROM client_documents WHERE url = $1 AND NOT pinned AND fetched_at < $2")
            .bind(id)
            .bind(before)
            .execute()
            .await?;
        let deleted = delete_client(&mut transaction, DEAD_DOCUMENT, id, consented).await?;
        if deleted > 0 {
            transaction.commit().await?;
        }
        Ok(deleted)
    }
}

async fn delete_client(
    transaction: &mut Transaction,
    delete: &'static str,
    id: &str,
    consented: i64,
) -> Result<u64, Error> {
    if let Transaction::Postgres(_) = transaction {
        transaction.sql(TAKE_CLIENT).bind(id).execute().await?;
    }
    transaction.sql(delete).bind(id).bind(consented).execute().await
}

#[cfg(test)]
#[path = "prune_tests.rs"]
mod tests;
