//! Refreshes.

use sqlx::{PgPool, Row as _, postgres::PgRow};

use super::{
    super::{
        NewRefreshToken,
        grant_lock::{lock_grant_sql, open_grant_sql},
        refresh::{self, RefreshRow, found_token_sql},
        sql::on_postgres,
        status::IssuedToken,
    },
    ForMany, Item, column,
    lookup::{ByHash, find_many_sql},
};
use crate::{Error, clock};

/// A rotation: [`Store::rotate`](crate::Store).
pub(in crate::store) struct Rotate {
    pub(in crate::store) hash: Vec<u8>,
    pub(in crate::store) grant_id: String,
    pub(in crate::store) successor: RefreshToken,
    pub(in crate::store) sealed: Vec<u8>,
    pub(in crate::store) access_token: AccessToken,
}

/// A [`NewRefreshToken`] of its own.
pub(in crate::store) struct RefreshToken {
    pub(super) hash: Vec<u8>,
    pub(super) expires_at: i64,
    pub(super) cnf: Option<String>,
}

/// An [`IssuedToken`] of its own.
pub(in crate::store) struct AccessToken {
    pub(super) status_list: String,
    pub(super) status_index: i64,
    pub(super) general_scopes: String,
    pub(super) expires_at: i64,
}

/// The token is changed only where the grant was, and both only if they still are what they were once nobody
/// else holds them.
const ROTATE_ONE: &str = concat!(
    "WITH locked AS (",
    lock_grant_sql!(),
    " RETURNING id), \
     rotated AS (UPDATE refresh_tokens SET rotated_at = $1, successor_hash = $3, successor_sealed = \
     $4 FROM locked WHERE hash = $5 AND grant_id = locked.id AND rotated_at IS NULL AND expires_at > \
     $1 RETURNING grant_id), \
     followed AS (INSERT INTO refresh_tokens (hash, grant_id, issued_at, expires_at, cnf) SELECT $3, \
     grant_id, $1, $6, $11 FROM rotated) \
     INSERT INTO issued_tokens (status_list, status_index, grant_id, expires_at, \
     general_scopes) SELECT $7, $8, grant_id, $9, $10 FROM rotated"
);

impl ByHash for RefreshRow {
    const MANY: &'static str = find_many_sql!(found_token_sql!(), "token");
    const ONE: &'static str = refresh::FIND;
}

impl Item for Rotate {
    type Answer = bool;

    // A token that is asked for twice is changed once: the second item of it has a row that says no.
    const TEXT: &'static str = concat!(
        "WITH asked AS MATERIALIZED (SELECT * FROM UNNEST($2::bytea[], $3::text[], $4::bytea[], \
         $5::bigint[], $6::text[], $7::bytea[], $8::text[], $9::bigint[], $10::text[], $11::bigint[]) \
         WITH ORDINALITY AS asked (hash, grant_id, next_hash, next_expires_at, cnf, sealed, \
         status_list, status_index, general_scopes, expires_at, place)), \
         locked AS MATERIALIZED (SELECT id FROM grants WHERE id = ANY($3) AND ",
        open_grant_sql!(),
        " FOR NO KEY UPDATE SKIP LOCKED), \
         used AS (UPDATE grants SET last_used_at = $1 WHERE id = ANY(ARRAY(SELECT id FROM locked))), \
         rotated AS (UPDATE refresh_tokens AS token SET rotated_at = $1, successor_hash = next_hash, \
         successor_sealed = sealed FROM asked WHERE token.hash = ANY($2) AND token.hash = asked.hash \
         AND (token.grant_id = asked.grant_id) IS TRUE AND asked.grant_id = ANY(ARRAY(SELECT id FROM \
         locked)) AND token.rotated_at IS NULL AND token.expires_at > $1 RETURNING asked.*), \
         followed AS (INSERT INTO refresh_tokens (hash, grant_id, issued_at, expires_at, cnf) SELECT \
         next_hash, grant_id, $1, next_expires_at, cnf FROM rotated), \
         issued AS (INSERT INTO issued_tokens (status_list, status_index, grant_id, expires_at, \
         general_scopes) SELECT status_list, status_index, grant_id, expires_at, general_scopes FROM \
         rotated) \
         SELECT place, place IN (SELECT place FROM rotated) AS is_done FROM asked WHERE grant_id IN \
         (SELECT id FROM locked)"
    );

    fn bind(query: ForMany, items: &[&Self]) -> ForMany {
        query
            .bind(clock::now())
            .bind(column(items, |item| item.hash.as_slice()))
            .bind(column(items, |item| item.grant_id.as_str()))
            .bind(column(items, |item| item.successor.hash.as_slice()))
            .bind(column(items, |item| item.successor.expires_at))
            .bind(column(items, |item| item.successor.cnf.as_deref()))
            .bind(column(items, |item| item.sealed.as_slice()))
            .bind(column(items, |item| item.access_token.status_list.as_str()))
            .bind(column(items, |item| item.access_token.status_index))
            .bind(column(items, |item| item.access_token.general_scopes.as_str()))
            .bind(column(items, |item| item.access_token.expires_at))
    }

    fn read(row: &PgRow) -> Result<Self::Answer, sqlx::Error> {
        row.try_get("is_done")
    }

    fn without_row() -> Option<Self::Answer> {
        None
    }

    async fn alone(&self, pool: &PgPool) -> Result<Self::Answer, Error> {
        let done = on_postgres(pool, ROTATE_ONE)
            .bind(clock::now())
            .bind(self.grant_id.as_str())
            .bind(self.successor.hash.as_slice())
            .bind(self.sealed.as_slice())
            .bind(self.hash.as_slice())
            .bind(self.successor.expires_at)
            .bind(self.access_token.status_list.as_str())
            .bind(self.access_token.status_index)
            .bind(self.access_token.expires_at)
            .bind(self.access_token.general_scopes.as_str())
            .bind(self.successor.cnf.as_deref())
            .execute()
            .await?;
        Ok(done == 1)
    }
}

impl RefreshToken {
    pub(in crate::store) fn of(token: &NewRefreshToken<'_>) -> Self {
        let NewRefreshToken { hash, expires_at, cnf } = *token;
        Self { hash: hash.to_vec(), expires_at, cnf: cnf.map(str::to_owned) }
    }
}

impl AccessToken {
    pub(in crate::store) fn of(token: &IssuedToken<'_>) -> Self {
        Self {
            status_list: token.status_list.to_owned(),
            status_index: token.status_index.into(),
            general_scopes: token.general_scopes.to_owned(),
            expires_at: token.expires_at,
        }
    }
}
