//! Refresh tokens: a grant is the family, each use makes a successor.

use rusqlite::OptionalExtension as _;

use super::{
    Store,
    grant_lock::LOCK_GRANT,
    plan::{Outcome, Plan, Value},
    sql::Pools,
    status::{INSERT_ISSUED_TOKEN, IssuedToken},
    together::{AccessToken, Find, RefreshToken, Rotate},
};
use crate::{Error, clock};

/// A refresh token with its grant.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct RefreshRow {
    pub(crate) grant_id: String,
    pub(crate) issued_at: i64,
    pub(crate) expires_at: i64,
    pub(crate) rotated_at: Option<i64>,
    pub(crate) successor_sealed: Option<Vec<u8>>,
    /// Whether the successor was used itself.
    pub(crate) successor_used: bool,
    /// The key that this token is bound to, as JSON (RFC 9449 §5).
    pub(crate) cnf: Option<String>,
    /// The one that its successor is bound to.
    pub(crate) successor_cnf: Option<String>,
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

/// A token that is stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewRefreshToken<'a> {
    pub(crate) hash: &'a [u8],
    pub(crate) expires_at: i64,
    /// The key that it is bound to. It is the token's own and not the grant's: who refreshes with a key
    /// must not bind what somebody else holds, whose coming again then would not be seen (attack 14).
    pub(crate) cnf: Option<&'a str>,
}

impl NewRefreshToken<'_> {
    /// For [`INSERT_REFRESH_TOKEN`].
    pub(super) fn values(&self, grant_id: &str, now: i64) -> [Value; 5] {
        [self.hash.into(), grant_id.into(), now.into(), self.expires_at.into(), self.cnf.into()]
    }
}

/// The columns of a [`RefreshRow`], and where they are.
macro_rules! found_token_sql {
    () => {
        "token.grant_id, token.expires_at, token.rotated_at, token.successor_sealed, \
         (next.rotated_at IS NOT NULL) AS successor_used, client_id, user_id, resource, scopes, \
         auth_time, grants.created_at AS granted_at, revoked_at, users.disabled_at IS NOT NULL AS \
         user_disabled, token.cnf, next.cnf AS successor_cnf, token.issued_at FROM refresh_tokens \
         AS token JOIN grants ON grants.id = token.grant_id JOIN users ON users.id = user_id LEFT \
         JOIN refresh_tokens AS next ON next.hash = token.successor_hash"
    };
}
pub(super) use found_token_sql;

pub(super) const FIND: &str = concat!("SELECT ", found_token_sql!(), " WHERE token.hash = $1");

const ROTATE: &str = "UPDATE refresh_tokens SET rotated_at = $1, successor_hash = $2, \
    successor_sealed = $3 WHERE hash = $4 AND rotated_at IS NULL AND expires_at > $1";

pub(super) const INSERT_REFRESH_TOKEN: &str = "INSERT INTO refresh_tokens (hash, grant_id, \
    issued_at, expires_at, cnf) VALUES ($1, $2, $3, $4, $5)";

impl Store {
    pub(crate) async fn refresh_token(&self, hash: &[u8]) -> Result<Option<RefreshRow>, Error> {
        let direct = match &self.pools {
            Pools::Postgres { together, .. } => {
                return together.tokens.join(Find::new(hash)).await;
            }
            Pools::Sqlite { direct, .. } => direct,
        };
        direct.read(|connection| {
            let mut statement = connection.prepare_cached(FIND)?;
            let found = statement.query_row([hash], |row| {
                Ok(RefreshRow {
                    grant_id: row.get(0)?,
                    expires_at: row.get(1)?,
                    rotated_at: row.get(2)?,
                    successor_sealed: row.get(3)?,
                    successor_used: row.get(4)?,
                    client_id: row.get(5)?,
                    user_id: row.get(6)?,
                    resource: row.get(7)?,
                    scopes: row.get(8)?,
                    auth_time: row.get(9)?,
                    granted_at: row.get(10)?,
                    revoked_at: row.get(11)?,
                    user_disabled: row.get(12)?,
                    cnf: row.get(13)?,
                    successor_cnf: row.get(14)?,
                    issued_at: row.get(15)?,
                })
            });
            found.optional()
        })
    }

    /// Replaces a token by its successor, which comes with an access token. Only one caller gets
    /// `true`. `sealed`: the successor itself, sealed under the one it follows, so that only who
    /// presents that can read it.
    pub(crate) async fn rotate(
        &self,
        hash: &[u8],
        grant_id: &str,
        successor: NewRefreshToken<'_>,
        sealed: &[u8],
        access_token: &IssuedToken<'_>,
    ) -> Result<bool, Error> {
        if let Pools::Postgres { together, .. } = &self.pools {
            let rotation = Rotate {
                hash: hash.to_vec(),
                grant_id: grant_id.to_owned(),
                successor: RefreshToken::of(&successor),
                sealed: sealed.to_vec(),
                access_token: AccessToken::of(access_token),
            };
            return together.rotations.join(rotation).await;
        }
        let now = clock::now();
        let plan = Plan::default()
            .must(LOCK_GRANT, [now.into(), grant_id.into()])
            .must(ROTATE, [now.into(), successor.hash.into(), sealed.into(), hash.into()])
            .and(INSERT_REFRESH_TOKEN, successor.values(grant_id, now))
            .and(INSERT_ISSUED_TOKEN, access_token.values(grant_id));
        Ok(self.carry_out(plan).await? == Outcome::Done)
    }
}
