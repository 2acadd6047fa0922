//! Grants and authorization codes.

use super::{
    Store, Transaction,
    refresh::insert_refresh_token,
    status::{IssuedToken, insert_issued_token},
};
use crate::{Error, clock};

/// What a user granted.
#[derive(Clone, Debug)]
pub(crate) struct NewGrant<'a> {
    pub(crate) id: &'a str,
    pub(crate) user_id: &'a str,
    pub(crate) client_id: &'a str,
    pub(crate) resource: &'a str,
    pub(crate) scopes: &'a str,
    pub(crate) nonce: Option<&'a str>,
    pub(crate) auth_time: i64,
}

/// The code for it.
#[derive(Clone, Debug)]
pub(crate) struct NewCode<'a> {
    pub(crate) hash: &'a [u8],
    pub(crate) redirect_uri: &'a str,
    pub(crate) challenge: &'a str,
    /// The thumbprint of the key that must redeem it (RFC 9449 §10).
    pub(crate) dpop_jkt: Option<&'a str>,
    pub(crate) lifetime: i64,
}

/// A code with its grant.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct CodeRow {
    pub(crate) grant_id: String,
    pub(crate) client_id: String,
    pub(crate) redirect_uri: String,
    pub(crate) challenge: String,
    pub(crate) dpop_jkt: Option<String>,
    pub(crate) expires_at: i64,
    pub(crate) consumed_at: Option<i64>,
    pub(crate) user_id: String,
    pub(crate) resource: String,
    pub(crate) scopes: String,
    pub(crate) nonce: Option<String>,
    pub(crate) auth_time: i64,
    pub(crate) revoked_at: Option<i64>,
    /// Whether the user is locked out.
    pub(crate) user_disabled: bool,
}

impl CodeRow {
    /// Whether nothing may come of the grant any more.
    pub(crate) const fn is_over(&self) -> bool {
        self.revoked_at.is_some() || self.user_disabled
    }
}

/// How the redemption of a code came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Redemption {
    /// This caller, and no other, redeemed it.
    Done,
    /// The grant was revoked, or its user was locked out.
    Ended,
    /// It had been redeemed or had expired.
    TooLate,
}

const CONSUME: &str = "UPDATE auth_codes SET consumed_at = $1 \
                       WHERE hash = $2 AND consumed_at IS NULL AND expires_at > $1";

impl Store {
    /// Stores a grant and the code for it.
    ///
    /// # Errors
    /// [`Error::Ended`] when the user or the client was shut out since they were looked at.
    pub(crate) async fn add_grant(
        &self,
        grant: &NewGrant<'_>,
        code: &NewCode<'_>,
    ) -> Result<(), Error> {
        let now = clock::now();
        let mut transaction = self.begin().await?;
        insert_grant(&mut transaction, grant, now).await?;
        transaction
            .sql(
                "INSERT INTO auth_codes (hash, grant_id, client_id, redirect_uri, challenge, \
                 dpop_jkt, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
            )
            .bind(code.hash)
            .bind(grant.id)
            .bind(grant.client_id)
            .bind(code.redirect_uri)
            .bind(code.challenge)
            .bind(code.dpop_jkt)
            .bind(now + code.lifetime)
            .execute()
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    pub(crate) async fn code(&self, hash: &[u8]) -> Result<Option<CodeRow>, Error> {
        self.sql(
            "SELECT grant_id, code.client_id, code.redirect_uri, challenge, dpop_jkt, \
             code.expires_at, consumed_at, user_id, resource, scopes, nonce, auth_time, revoked_at, \
             users.disabled_at IS NOT NULL AS user_disabled FROM auth_codes AS code JOIN grants \
             ON grants.id = grant_id JOIN users ON users.id = user_id WHERE hash = $1",
        )
        .bind(hash)
        .optional()
        .await
    }

    /// Redeems a code, and stores in the same transaction the first refresh token of its grant and
    /// where the access token stands. `cnf` binds the grant's refresh tokens to a key.
    pub(crate) async fn redeem_code(
        &self,
        hash: &[u8],
        grant_id: &str,
        refresh_token: Option<(&[u8], i64)>,
        access_token: &IssuedToken<'_>,
        cnf: Option<&str>,
    ) -> Result<Redemption, Error> {
        self.redeem(CONSUME, hash, grant_id, refresh_token, access_token, cnf).await
    }

    /// The same with the statement that consumes what is redeemed: $1 is the time, $2 the digest.
    pub(super) async fn redeem(
        &self,
        consume: &'static str,
        hash: &[u8],
        grant_id: &str,
        refresh_token: Option<(&[u8], i64)>,
        access_token: &IssuedToken<'_>,
        cnf: Option<&str>,
    ) -> Result<Redemption, Error> {
        let now = clock::now();
        let mut transaction = self.begin().await?;
        if !lock_grant(&mut transaction, grant_id, now).await? {
            return Ok(Redemption::Ended);
        }
        if transaction.sql(consume).bind(now).bind(hash).execute().await? != 1 {
            return Ok(Redemption::TooLate);
        }
        bind_grant(&mut transaction, grant_id, cnf).await?;
        if let Some((hash, expires_at)) = refresh_token {
            insert_refresh_token(&mut transaction, hash, grant_id, now, expires_at).await?;
        }
        insert_issued_token(&mut transaction, grant_id, access_token).await?;
        transaction.commit().await?;
        Ok(Redemption::Done)
    }

    /// Makes a code useless without redeeming it.
    pub(crate) async fn burn_code(&self, hash: &[u8]) -> Result<(), Error> {
        self.sql(CONSUME).bind(clock::now()).bind(hash).execute().await?;
        Ok(())
    }

    /// Remembers one more access token of a grant; `false` when the grant is over.
    pub(crate) async fn add_issued_token(
        &self,
        grant_id: &str,
        token: &IssuedToken<'_>,
    ) -> Result<bool, Error> {
        let mut transaction = self.begin().await?;
        if !lock_grant(&mut transaction, grant_id, clock::now()).await? {
            return Ok(false);
        }
        insert_issued_token(&mut transaction, grant_id, token).await?;
        transaction.commit().await?;
        Ok(true)
    }
}

/// Binds a grant's refresh tokens to a key, where there is one.
pub(super) async fn bind_grant(
    transaction: &mut Transaction,
    id: &str,
    cnf: Option<&str>,
) -> Result<(), Error> {
    if let Some(cnf) = cnf {
        let statement = transaction.sql("UPDATE grants SET cnf = $1 WHERE id = $2");
        statement.bind(cnf).bind(id).execute().await?;
    }
    Ok(())
}

/// Stores a grant. Nobody shuts out the user or the client until the transaction ends: who does that
/// changes their rows first, and then sees the grant that is made here.
///
/// # Errors
/// [`Error::Ended`] when somebody was faster.
pub(super) async fn insert_grant(
    transaction: &mut Transaction,
    grant: &NewGrant<'_>,
    now: i64,
) -> Result<(), Error> {
    for (lock, id) in [
        (
            "UPDATE users SET disabled_at = NULL WHERE id = $1 AND disabled_at IS NULL",
            grant.user_id,
        ),
        (
            "UPDATE clients SET disabled_at = NULL WHERE id = $1 AND disabled_at IS NULL",
            grant.client_id,
        ),
    ] {
        if transaction.sql(lock).bind(id).execute().await? == 0 {
            return Err(Error::Ended);
        }
    }
    transaction
        .sql(
            "INSERT INTO grants (id, user_id, client_id, resource, scopes, nonce, auth_time, \
             created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(grant.id)
        .bind(grant.user_id)
        .bind(grant.client_id)
        .bind(grant.resource)
        .bind(grant.scopes)
        .bind(grant.nonce)
        .bind(grant.auth_time)
        .bind(now)
        .execute()
        .await?;
    Ok(())
}

/// Nobody else changes anything of this grant until the transaction ends. `false`: it is revoked, or
/// its user is locked out.
pub(super) async fn lock_grant(
    transaction: &mut Transaction,
    id: &str,
    now: i64,
) -> Result<bool, Error> {
    let locked = transaction
        .sql(
            "UPDATE grants SET last_used_at = $1 WHERE id = $2 AND revoked_at IS NULL AND NOT \
             EXISTS (SELECT 1 FROM users WHERE users.id = user_id AND disabled_at IS NOT NULL)",
        )
        .bind(now)
        .bind(id)
        .execute()
        .await?;
    Ok(locked == 1)
}
