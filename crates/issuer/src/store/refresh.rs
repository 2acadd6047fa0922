//! Refresh tokens: a grant is the family, each use makes a successor.

use super::{Store, Transaction, codes::lock_grant};
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
        self.sql(
            "SELECT token.grant_id, token.expires_at, token.rotated_at, \
                 token.successor_sealed, (next.rotated_at IS NOT NULL) AS successor_used, \
                 client_id, user_id, resource, scopes, auth_time, created_at AS granted_at, \
                 revoked_at FROM refresh_tokens AS token JOIN grants ON grants.id = \
                 token.grant_id LEFT JOIN refresh_tokens AS next ON next.hash = \
                 token.successor_hash WHERE token.hash = $1",
        )
        .bind(hash)
        .optional()
        .await
    }

    /// Replaces a token by its successor. Only one caller gets `true`.
    pub(crate) async fn rotate(
        &self,
        hash: &[u8],
        grant_id: &str,
        successor: Successor<'_>,
    ) -> Result<bool, Error> {
        let now = clock::now();
        let mut transaction = self.begin().await?;
        let is_first = lock_grant(&mut transaction, grant_id, now).await?
            && transaction
                .sql(
                    "UPDATE refresh_tokens SET rotated_at = $1, successor_hash = $2, \
                     successor_sealed = $3 \
                     WHERE hash = $4 AND rotated_at IS NULL AND expires_at > $1",
                )
                .bind(now)
                .bind(successor.hash)
                .bind(successor.sealed)
                .bind(hash)
                .execute()
                .await?
                == 1;
        if !is_first {
            return Ok(false);
        }
        insert_refresh_token(&mut transaction, successor.hash, grant_id, now, successor.expires_at)
            .await?;
        transaction.commit().await?;
        Ok(true)
    }
}

pub(super) async fn insert_refresh_token(
    transaction: &mut Transaction,
    hash: &[u8],
    grant_id: &str,
    now: i64,
    expires_at: i64,
) -> Result<(), Error> {
    transaction
        .sql(
            "INSERT INTO refresh_tokens (hash, grant_id, issued_at, expires_at) VALUES ($1, \
                 $2, $3, $4)",
        )
        .bind(hash)
        .bind(grant_id)
        .bind(now)
        .bind(expires_at)
        .execute()
        .await?;
    Ok(())
}
