//! Grants and authorization codes.

use rusqlite::OptionalExtension as _;

use super::{
    Store, Transaction,
    grant_lock::LOCK_GRANT,
    plan::{Outcome, Plan},
    refresh::{INSERT_REFRESH_TOKEN, NewRefreshToken},
    sql::Pools,
    status::{INSERT_ISSUED_TOKEN, IssuedToken, lock_enabled},
    together::{AccessToken, Find, GrantAndCode, Redeem, RefreshToken},
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

/// The columns of a [`CodeRow`], and where they are.
macro_rules! found_code_sql {
    () => {
        "grant_id, code.client_id, code.redirect_uri, challenge, code.expires_at, consumed_at, \
         user_id, resource, scopes, nonce, auth_time, revoked_at, users.disabled_at IS NOT NULL AS \
         user_disabled, dpop_jkt FROM auth_codes AS code JOIN grants ON grants.id = grant_id JOIN \
         users ON users.id = user_id"
    };
}
pub(super) use found_code_sql;

pub(super) const FIND: &str = concat!("SELECT ", found_code_sql!(), " WHERE code.hash = $1");

const INSERT_GRANT: &str = "INSERT INTO grants (id, user_id, client_id, resource, scopes, nonce, \
    auth_time, created_at) SELECT $1, $2, $3, $4, $5, $6, $7, $8 WHERE EXISTS (SELECT 1 FROM users \
    WHERE id = $2 AND disabled_at IS NULL) AND EXISTS (SELECT 1 FROM clients WHERE id = $3 AND \
    disabled_at IS NULL)";

const INSERT_CODE: &str = "INSERT INTO auth_codes (hash, grant_id, client_id, redirect_uri, \
    challenge, expires_at, dpop_jkt) VALUES ($1, $2, $3, $4, $5, $6, $7)";

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
        if let Pools::Postgres { together, .. } = &self.pools {
            return match together.grants.join(GrantAndCode::of(grant, code)).await? {
                true => Ok(()),
                false => Err(Error::Ended),
            };
        }
        let now = clock::now();
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
        let plan = Plan::default().must(INSERT_GRANT, grant_values).and(INSERT_CODE, code_values);
        match self.carry_out(plan).await? {
            Outcome::Done => Ok(()),
            Outcome::Missed(_) => Err(Error::Ended),
        }
    }

    pub(crate) async fn code(&self, hash: &[u8]) -> Result<Option<CodeRow>, Error> {
        let direct = match &self.pools {
            Pools::Postgres { together, .. } => {
                return together.codes.join(Find::new(hash)).await;
            }
            Pools::Sqlite { direct, .. } => direct,
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
    /// where the access token stands.
    pub(crate) async fn redeem_code(
        &self,
        hash: &[u8],
        grant_id: &str,
        refresh_token: Option<NewRefreshToken<'_>>,
        access_token: &IssuedToken<'_>,
    ) -> Result<Redemption, Error> {
        if let Pools::Postgres { together, .. } = &self.pools {
            let redemption = Redeem {
                hash: hash.to_vec(),
                grant_id: grant_id.to_owned(),
                refresh_token: refresh_token.as_ref().map(RefreshToken::of),
                access_token: AccessToken::of(access_token),
            };
            return together.redemptions.join(redemption).await;
        }
        self.redeem(CONSUME, hash, grant_id, refresh_token, access_token).await
    }

    /// The same with the statement that consumes what is redeemed: $1 is the time, $2 the digest.
    pub(super) async fn redeem(
        &self,
        consume: &'static str,
        hash: &[u8],
        grant_id: &str,
        refresh_token: Option<NewRefreshToken<'_>>,
        access_token: &IssuedToken<'_>,
    ) -> Result<Redemption, Error> {
        let now = clock::now();
        let mut plan = Plan::default()
            .must(LOCK_GRANT, [now.into(), grant_id.into()])
            .must(consume, [now.into(), hash.into()]);
        if let Some(token) = refresh_token {
            plan = plan.and(INSERT_REFRESH_TOKEN, token.values(grant_id, now));
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
