//! Refresh tokens: a grant is the family, each use makes a successor.

use sqlx::{Sqlite, Transaction};

use super::Store;
use crate::{Error, clock};

/// A refresh token with its grant.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct RefreshRow {
    pub(crate) grant_id: String,
    pub(crate) expires_at: i64,
    pub(crate) rotated_at: Option<i64>,
    pub(crate) successor_sealed: Option<Vec<u8>>,
    /// Whether the successor was used itself.
    pub(crate) successor_used: bool,
    pub(crate) client_id: String,
    pub(crate) user_id: String,
    pub(crate) resource: String,
    pub(crate) scopes: String,
    pub(crate) auth_time: i64,
    pub(crate) granted_at: i64,
    pub(crate) revoked_at: Option<i64>,
}

/// The token that follows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Successor<'a> {
    pub(crate) hash: &'a [u8],
    /// The token itself, sealed under the one it follows: readable only by who presents that.
    pub(crate) sealed: &'a [u8],
    pub(crate) expires_at: i64,
}

impl Store {
    pub(crate) async fn refresh_token(&self, hash: &[u8]) -> Result<Option<RefreshRow>, Error> {
        Ok(sqlx::query_as(
            "SELECT token.grant_id, token.expires_at, token.rotated_at, token.successor_sealed, \
             COALESCE(next.rotated_at IS NOT NULL, 0) AS successor_used, \
             client_id, user_id, resource, scopes, auth_time, created_at AS granted_at, \
             revoked_at \
             FROM refresh_tokens AS token JOIN grants ON grants.id = token.grant_id \
             LEFT JOIN refresh_tokens AS next ON next.hash = token.successor_hash \
             WHERE token.hash = ?",
        )
        .bind(hash)
        .fetch_optional(&self.pool)
        .await?)
    }

    /// Replaces a token by its successor. Only one caller gets `true`.
    pub(crate) async fn rotate(
        &self,
        hash: &[u8],
        grant_id: &str,
        successor: Successor<'_>,
    ) -> Result<bool, Error> {
        let now = clock::now();
        let mut transaction = self.write().await?;
        let done = sqlx::query(
            "UPDATE refresh_tokens SET rotated_at = ?, successor_hash = ?, successor_sealed = ? \
             WHERE hash = ? AND rotated_at IS NULL AND expires_at > ? \
             AND (SELECT revoked_at FROM grants WHERE id = grant_id) IS NULL",
        )
        .bind(now)
        .bind(successor.hash)
        .bind(successor.sealed)
        .bind(hash)
        .bind(now)
        .execute(&mut *transaction)
        .await?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        insert_refresh_token(&mut transaction, successor.hash, grant_id, now, successor.expires_at)
            .await?;
        transaction.commit().await?;
        Ok(true)
    }
}

pub(super) async fn insert_refresh_token(
    transaction: &mut Transaction<'static, Sqlite>,
    hash: &[u8],
    grant_id: &str,
    now: i64,
    expires_at: i64,
) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO refresh_tokens (hash, grant_id, issued_at, expires_at) VALUES (?, ?, ?, ?)",
    )
    .bind(hash)
    .bind(grant_id)
    .bind(now)
    .bind(expires_at)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}
