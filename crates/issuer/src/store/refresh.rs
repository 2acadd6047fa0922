//! Refresh tokens: a grant is the family, each use makes a successor.

use super::{
    Store, Transaction,
    codes::{bind_grant, lock_grant},
    status::{IssuedToken, insert_issued_token},
};
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
    /// The key that it is bound to, as JSON (RFC 9449 §5).
    pub(crate) cnf: Option<String>,
    pub(crate) client_id: String,
    pub(crate) user_id: String,
    pub(crate) resource: String,
    pub(crate) scopes: String,
    pub(crate) auth_time: i64,
    pub(crate) granted_at: i64,
    pub(crate) revoked_at: Option<i64>,
    /// Whether the user is locked out.
    pub(crate) user_disabled: bool,
}

impl RefreshRow {
    /// Whether nothing may come of the grant any more.
    pub(crate) const fn is_over(&self) -> bool {
        self.revoked_at.is_some() || self.user_disabled
    }
}

/// The token that follows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Successor<'a> {
    pub(crate) hash: &'a [u8],
    /// The token itself, sealed under the one it follows: readable only by who presents that.
    pub(crate) sealed: &'a [u8],
    pub(crate) expires_at: i64,
    /// The key that it is bound to, if one was shown now.
    pub(crate) cnf: Option<&'a str>,
}

impl Store {
    pub(crate) async fn refresh_token(&self, hash: &[u8]) -> Result<Option<RefreshRow>, Error> {
        self.sql(
            "SELECT token.grant_id, token.expires_at, token.rotated_at, \
                 token.successor_sealed, (next.rotated_at IS NOT NULL) AS successor_used, \
                 cnf, client_id, user_id, resource, scopes, auth_time, grants.created_at AS \
                 granted_at, revoked_at, users.disabled_at IS NOT NULL AS user_disabled FROM \
                 refresh_tokens AS token JOIN grants ON grants.id = token.grant_id JOIN users ON \
                 users.id = user_id LEFT JOIN refresh_tokens AS next ON next.hash = \
                 token.successor_hash WHERE token.hash = $1",
        )
        .bind(hash)
        .optional()
        .await
    }

    /// Replaces a token by its successor, which comes with an access token. Only one caller gets
    /// `true`.
    pub(crate) async fn rotate(
        &self,
        hash: &[u8],
        grant_id: &str,
        successor: Successor<'_>,
        access_token: &IssuedToken<'_>,
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
        bind_grant(&mut transaction, grant_id, successor.cnf).await?;
        insert_refresh_token(&mut transaction, successor.hash, grant_id, now, successor.expires_at)
            .await?;
        insert_issued_token(&mut transaction, grant_id, access_token).await?;
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
