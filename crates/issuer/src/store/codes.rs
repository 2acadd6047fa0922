//! Grants and authorization codes.

use rusqlite::OptionalExtension as _;

use super::{
    Store, Transaction,
    interactions::END_INTERACTION,
    plan::{Outcome, Plan},
    refresh::INSERT_REFRESH_TOKEN,
    status::{INSERT_ISSUED_TOKEN, IssuedToken, lock_enabled},
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

/// Nobody else changes anything of this grant until the transaction ends. No row: it is revoked, or its
/// user or its client is locked out.
pub(super) const LOCK_GRANT: &str = "UPDATE grants SET last_used_at = $1 WHERE id = $2 AND \
    revoked_at IS NULL AND NOT EXISTS (SELECT 1 FROM users WHERE users.id = user_id AND disabled_at \
    IS NOT NULL) AND NOT EXISTS (SELECT 1 FROM clients WHERE clients.id = client_id AND disabled_at \
    IS NOT NULL)";

const FIND: &str = "SELECT grant_id, code.client_id, code.redirect_uri, challenge, code.expires_at, \
    consumed_at, user_id, resource, scopes, nonce, auth_time, revoked_at, users.disabled_at IS NOT \
    NULL AS user_disabled, dpop_jkt FROM auth_codes AS code JOIN grants ON grants.id = grant_id JOIN users ON \
    users.id = user_id WHERE hash = $1";

const INSERT_GRANT: &str = "INSERT INTO grants (id, user_id, client_id, resource, scopes, nonce, \
    auth_time, created_at) SELECT $1, $2, $3, $4, $5, $6, $7, $8 WHERE EXISTS (SELECT 1 FROM users \
    WHERE id = $2 AND disabled_at IS NULL) AND EXISTS (SELECT 1 FROM clients WHERE id = $3 AND \
    disabled_at IS NULL)";

const INSERT_CODE: &str = "INSERT INTO auth_codes (hash, grant_id, client_id, redirect_uri, \
    challenge, expires_at, dpop_jkt) VALUES ($1, $2, $3, $4, $5, $6, $7)";

/// Binds a grant's refresh tokens to a key.
pub(super) const BIND_GRANT: &str = "UPDATE grants SET cnf = $1 WHERE id = $2";

/// The same as the statements for SQLite, in one. Who shuts out the user or the client changes their rows
/// first, and then sees the grant that is made here.
const ADD_GRANT_ON_POSTGRES: &str = "WITH ended AS (DELETE FROM interactions WHERE id_hash = $1 \
    RETURNING 1), known AS (SELECT 1 FROM users, clients WHERE users.id = $3 AND clients.id = $4 AND \
    users.disabled_at IS NULL AND clients.disabled_at IS NULL FOR SHARE), granted AS (INSERT INTO grants (id, user_id, client_id, resource, scopes, nonce, \
    auth_time, created_at) SELECT $2, $3, $4, $5, $6, $7, $8, $9 FROM known WHERE $1 IS NULL OR EXISTS \
    (SELECT 1 FROM ended) RETURNING id) INSERT INTO auth_codes (hash, grant_id, client_id, redirect_uri, \
    challenge, expires_at, dpop_jkt) SELECT $10, id, $4, $11, $12, $13, $14 FROM granted";

/// The same as the statements for SQLite, in one.
const REDEEM_ON_POSTGRES: &str = "WITH locked AS (UPDATE grants SET last_used_at = $1, cnf = COALESCE($13, cnf) WHERE id = $2 \
    AND revoked_at IS NULL AND NOT EXISTS (SELECT 1 FROM users WHERE users.id = user_id AND \
    disabled_at IS NOT NULL) AND NOT EXISTS (SELECT 1 FROM clients WHERE clients.id = client_id AND \
    disabled_at IS NOT NULL) RETURNING id), \
    consumed AS (UPDATE auth_codes SET consumed_at = $1 FROM locked WHERE hash = $3 AND grant_id = \
    locked.id AND consumed_at IS NULL AND auth_codes.expires_at > $1 RETURNING grant_id), \
    first AS (INSERT INTO refresh_tokens (hash, grant_id, issued_at, expires_at) SELECT $4, \
    grant_id, $1, $5 FROM consumed WHERE $4 IS NOT NULL), \
    issued AS (INSERT INTO issued_tokens (status_list, status_index, jti, client_id, user_id, \
    grant_id, expires_at, general_scopes) SELECT $6, $7, $8, $9, $10, grant_id, $11, $12 FROM \
    consumed) \
    SELECT (SELECT COUNT(*) FROM locked), (SELECT COUNT(*) FROM consumed)";

impl Store {
    /// Stores a grant and the code for it, and ends the interaction in which it was given. `false`: it
    /// had ended before.
    ///
    /// # Errors
    /// [`Error::Ended`] when the user or the client was shut out since they were looked at.
    pub(crate) async fn add_grant(
        &self,
        grant: &NewGrant<'_>,
        code: &NewCode<'_>,
        interaction: Option<&[u8]>,
    ) -> Result<bool, Error> {
        let now = clock::now();
        if self.is_postgres() {
            let insert = self.sql(ADD_GRANT_ON_POSTGRES).bind(interaction).bind(grant.id);
            let insert = insert.bind(grant.user_id).bind(grant.client_id).bind(grant.resource);
            let insert = insert.bind(grant.scopes).bind(grant.nonce).bind(grant.auth_time);
            let insert = insert.bind(now).bind(code.hash).bind(code.redirect_uri);
            let insert = insert.bind(code.challenge).bind(now + code.lifetime);
            return match insert.bind(code.dpop_jkt).execute().await? {
                // With an interaction, that may have been it.
                0 if interaction.is_none() => Err(Error::Ended),
                added => Ok(added == 1),
            };
        }
        let mut plan = Plan::default();
        if let Some(interaction) = interaction {
            // Once: a page that is sent twice grants once.
            plan = plan.must(END_INTERACTION, [interaction.into()]);
        }
        let grant_values = [
            grant.id.into(),
            grant.user_id.into(),
            grant.client_id.into(),
            grant.resource.into(),
            grant.scopes.into(),
            grant.nonce.into(),
            grant.auth_time.into(),
            now.into(),
        ];
        let code_values = [
            code.hash.into(),
            grant.id.into(),
            grant.client_id.into(),
            code.redirect_uri.into(),
            code.challenge.into(),
            (now + code.lifetime).into(),
            code.dpop_jkt.into(),
        ];
        let plan = plan.must(INSERT_GRANT, grant_values).and(INSERT_CODE, code_values);
        match self.carry_out(plan).await? {
            Outcome::Done => Ok(true),
            Outcome::Missed(0) if interaction.is_some() => Ok(false),
            Outcome::Missed(_) => Err(Error::Ended),
        }
    }

    pub(crate) async fn code(&self, hash: &[u8]) -> Result<Option<CodeRow>, Error> {
        let Some(direct) = self.pools.direct() else {
            return self.sql(FIND).bind(hash).optional().await;
        };
        direct.read(|connection| {
            let mut statement = connection.prepare_cached(FIND)?;
            let found = statement.query_row([hash], |row| {
                Ok(CodeRow {
                    grant_id: row.get(0)?,
                    client_id: row.get(1)?,
                    redirect_uri: row.get(2)?,
                    challenge: row.get(3)?,
                    expires_at: row.get(4)?,
                    consumed_at: row.get(5)?,
                    user_id: row.get(6)?,
                    resource: row.get(7)?,
                    scopes: row.get(8)?,
                    nonce: row.get(9)?,
                    auth_time: row.get(10)?,
                    revoked_at: row.get(11)?,
                    user_disabled: row.get(12)?,
                    dpop_jkt: row.get(13)?,
                })
            });
            found.optional()
        })
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
        if self.is_postgres() {
            let counts: Option<(i64, i64)> = self
                .sql(REDEEM_ON_POSTGRES)
                .bind(clock::now())
                .bind(grant_id)
                .bind(hash)
                .bind(refresh_token.map(|(hash, _)| hash))
                .bind(refresh_token.map(|(_, expires_at)| expires_at))
                .bind(access_token.status_list)
                .bind(i64::from(access_token.status_index))
                .bind(access_token.jti)
                .bind(access_token.client_id)
                .bind(access_token.user_id)
                .bind(access_token.expires_at)
                .bind(access_token.general_scopes)
                .bind(cnf)
                .returning()
                .await?;
            return Ok(match counts {
                Some((1, 1)) => Redemption::Done,
                Some((1, _)) => Redemption::TooLate,
                _ => Redemption::Ended,
            });
        }
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
        let mut plan = Plan::default()
            .must(LOCK_GRANT, [now.into(), grant_id.into()])
            .must(consume, [now.into(), hash.into()]);
        if let Some(cnf) = cnf {
            plan = plan.and(BIND_GRANT, [cnf.into(), grant_id.into()]);
        }
        if let Some((hash, expires_at)) = refresh_token {
            let values = [hash.into(), grant_id.into(), now.into(), expires_at.into()];
            plan = plan.and(INSERT_REFRESH_TOKEN, values);
        }
        let plan = plan.and(INSERT_ISSUED_TOKEN, access_token.values(grant_id));
        Ok(match self.carry_out(plan).await? {
            Outcome::Done => Redemption::Done,
            Outcome::Missed(0) => Redemption::Ended,
            Outcome::Missed(_) => Redemption::TooLate,
        })
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
        let plan = Plan::default()
            .must(LOCK_GRANT, [clock::now().into(), grant_id.into()])
            .and(INSERT_ISSUED_TOKEN, token.values(grant_id));
        Ok(self.carry_out(plan).await? == Outcome::Done)
    }
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
    if !lock_enabled(transaction, grant.user_id, grant.client_id).await? {
        return Err(Error::Ended);
    }
    let insert = transaction.sql(INSERT_GRANT).bind(grant.id).bind(grant.user_id);
    let insert = insert.bind(grant.client_id).bind(grant.resource).bind(grant.scopes);
    insert.bind(grant.nonce).bind(grant.auth_time).bind(now).execute().await?;
    Ok(())
}

/// [`LOCK_GRANT`] within a transaction that has more to do.
pub(super) async fn lock_grant(
    transaction: &mut Transaction,
    id: &str,
    now: i64,
) -> Result<bool, Error> {
    Ok(transaction.sql(LOCK_GRANT).bind(now).bind(id).execute().await? == 1)
}
