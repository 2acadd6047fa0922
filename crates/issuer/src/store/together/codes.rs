//! Authorization codes: grants that are made with one, and its redemption.

use sqlx::{PgPool, Row as _, postgres::PgRow};

use super::{
    super::{
        NewCode, NewGrant, Redemption,
        codes::{self, CodeRow, found_code_sql},
        grant_lock::{lock_grant_sql, open_grant_sql},
        sql::on_postgres,
    },
    AccessToken, ForMany, Item, RefreshToken, column,
    lookup::{ByHash, find_many_sql},
};
use crate::{Error, clock};

/// A grant with the code for it.
pub(in crate::store) struct GrantAndCode {
    id: String,
    user_id: String,
    client_id: String,
    resource: String,
    scopes: String,
    nonce: Option<String>,
    auth_time: i64,
    code_hash: Vec<u8>,
    redirect_uri: String,
    challenge: String,
    code_expires_at: i64,
    dpop_jkt: Option<String>,
}

/// A redemption.
pub(in crate::store) struct Redeem {
    pub(in crate::store) hash: Vec<u8>,
    pub(in crate::store) grant_id: String,
    pub(in crate::store) refresh_token: Option<RefreshToken>,
    pub(in crate::store) access_token: AccessToken,
}

/// Who shuts out the user or the client changes their rows first, and then sees the grant that is made here.
const ADD_ONE: &str = "WITH known AS (SELECT 1 FROM users, clients WHERE users.id = $2 AND clients.id = $3 \
    AND users.disabled_at IS NULL AND clients.disabled_at IS NULL FOR SHARE), \
    granted AS (INSERT INTO grants (id, user_id, client_id, resource, scopes, nonce, auth_time, \
    created_at) SELECT $1, $2, $3, $4, $5, $6, $7, $8 FROM known RETURNING id) INSERT INTO auth_codes \
    (hash, grant_id, client_id, redirect_uri, challenge, expires_at, dpop_jkt) SELECT $9, id, $3, $10, \
    $11, $12, $13 FROM granted";

/// A grant whose code comes too late counts as used here.
const REDEEM_ONE: &str = concat!(
    "WITH locked AS (",
    lock_grant_sql!(),
    " RETURNING id), \
     consumed AS (UPDATE auth_codes SET consumed_at = $1 FROM locked WHERE hash = $3 AND grant_id = \
     locked.id AND consumed_at IS NULL AND auth_codes.expires_at > $1 RETURNING grant_id), \
     first AS (INSERT INTO refresh_tokens (hash, grant_id, issued_at, expires_at, cnf) SELECT $4, \
     grant_id, $1, $5, $10 FROM consumed WHERE $4 IS NOT NULL), \
     issued AS (INSERT INTO issued_tokens (status_list, status_index, grant_id, expires_at, \
     general_scopes) SELECT $6, $7, grant_id, $8, $9 FROM consumed) \
     SELECT (SELECT COUNT(*) FROM locked), (SELECT COUNT(*) FROM consumed)"
);

impl ByHash for CodeRow {
    const MANY: &'static str = find_many_sql!(found_code_sql!(), "code");
    const ONE: &'static str = codes::FIND;
}

impl GrantAndCode {
    pub(in crate::store) fn of(grant: &NewGrant<'_>, code: &NewCode<'_>) -> Self {
        Self {
            id: grant.id.to_owned(),
            user_id: grant.user_id.to_owned(),
            client_id: grant.client_id.to_owned(),
            resource: grant.resource.to_owned(),
            scopes: grant.scopes.to_owned(),
            nonce: grant.nonce.map(str::to_owned),
            auth_time: grant.auth_time,
            code_hash: code.hash.to_vec(),
            redirect_uri: code.redirect_uri.to_owned(),
            challenge: code.challenge.to_owned(),
            code_expires_at: clock::now() + code.lifetime,
            dpop_jkt: code.dpop_jkt.map(str::to_owned),
        }
    }
}

/// The answer: `false` where the user or the client was shut out.
impl Item for GrantAndCode {
    type Answer = bool;

    // The resource is locked as its foreign key would have it, which would wait.
    const TEXT: &'static str = "WITH asked AS MATERIALIZED (SELECT * FROM UNNEST($2::text[], $3::text[], \
        $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[], $9::bytea[], $10::text[], \
        $11::text[], $12::bigint[], $13::text[]) WITH ORDINALITY AS asked (id, user_id, client_id, \
        resource, scopes, nonce, auth_time, code_hash, redirect_uri, challenge, code_expires_at, \
        dpop_jkt, place)), \
        known AS MATERIALIZED (SELECT users.id AS user_id, clients.id AS client_id, resources.uri AS \
        resource FROM (SELECT DISTINCT user_id, client_id, resource FROM asked) AS pair JOIN users ON \
        users.id = pair.user_id JOIN clients ON clients.id = pair.client_id JOIN resources ON \
        resources.uri = pair.resource WHERE users.id = ANY($3) AND clients.id = ANY($4) AND \
        resources.uri = ANY($5) AND users.disabled_at IS NULL AND clients.disabled_at IS NULL FOR SHARE OF users, clients SKIP LOCKED FOR KEY SHARE OF resources SKIP LOCKED), \
        fit AS MATERIALIZED (SELECT asked.* FROM asked JOIN known ON known.user_id = asked.user_id AND \
        known.client_id = asked.client_id AND known.resource = asked.resource), \
        granted AS (INSERT INTO grants (id, user_id, client_id, resource, scopes, nonce, auth_time, \
        created_at) SELECT id, user_id, client_id, resource, scopes, nonce, auth_time, $1 FROM fit), \
        coded AS (INSERT INTO auth_codes (hash, grant_id, client_id, redirect_uri, challenge, \
        expires_at, dpop_jkt) SELECT code_hash, id, client_id, redirect_uri, challenge, \
        code_expires_at, dpop_jkt FROM fit) \
        SELECT place FROM fit";

    fn bind(query: ForMany, items: &[&Self]) -> ForMany {
        query
            .bind(clock::now())
            .bind(column(items, |item| item.id.as_str()))
            .bind(column(items, |item| item.user_id.as_str()))
            .bind(column(items, |item| item.client_id.as_str()))
            .bind(column(items, |item| item.resource.as_str()))
            .bind(column(items, |item| item.scopes.as_str()))
            .bind(column(items, |item| item.nonce.as_deref()))
            .bind(column(items, |item| item.auth_time))
            .bind(column(items, |item| item.code_hash.as_slice()))
            .bind(column(items, |item| item.redirect_uri.as_str()))
            .bind(column(items, |item| item.challenge.as_str()))
            .bind(column(items, |item| item.code_expires_at))
            .bind(column(items, |item| item.dpop_jkt.as_deref()))
    }

    fn read(_row: &PgRow) -> Result<Self::Answer, sqlx::Error> {
        Ok(true)
    }

    fn without_row() -> Option<Self::Answer> {
        None
    }

    async fn alone(&self, pool: &PgPool) -> Result<Self::Answer, Error> {
        let done = on_postgres(pool, ADD_ONE)
            .bind(self.id.as_str())
            .bind(self.user_id.as_str())
            .bind(self.client_id.as_str())
            .bind(self.resource.as_str())
            .bind(self.scopes.as_str())
            .bind(self.nonce.as_deref())
            .bind(self.auth_time)
            .bind(clock::now())
            .bind(self.code_hash.as_slice())
            .bind(self.redirect_uri.as_str())
            .bind(self.challenge.as_str())
            .bind(self.code_expires_at)
            .bind(self.dpop_jkt.as_deref())
            .execute()
            .await?;
        Ok(done > 0)
    }
}

impl Item for Redeem {
    type Answer = Redemption;

    // A code that is redeemed twice is consumed once: the second item of it has a row that says no.
    const TEXT: &'static str = concat!(
        "WITH asked AS MATERIALIZED (SELECT * FROM UNNEST($2::bytea[], $3::text[], $4::bytea[], \
         $5::bigint[], $6::text[], $7::text[], $8::bigint[], $9::text[], $10::bigint[]) WITH \
         ORDINALITY AS asked (hash, grant_id, first_hash, first_expires_at, cnf, status_list, \
         status_index, general_scopes, expires_at, place)), \
         locked AS MATERIALIZED (SELECT id FROM grants WHERE id = ANY($3) AND ",
        open_grant_sql!(),
        " FOR NO KEY UPDATE SKIP LOCKED), \
         used AS (UPDATE grants SET last_used_at = $1 WHERE id = ANY(ARRAY(SELECT id FROM locked))), \
         consumed AS (UPDATE auth_codes AS code SET consumed_at = $1 FROM asked WHERE code.hash = \
         ANY($2) AND code.hash = asked.hash AND (code.grant_id = asked.grant_id) IS TRUE AND \
         asked.grant_id = ANY(ARRAY(SELECT id FROM locked)) AND code.consumed_at IS NULL AND \
         code.expires_at > $1 RETURNING asked.*), \
         first AS (INSERT INTO refresh_tokens (hash, grant_id, issued_at, expires_at, cnf) SELECT \
         first_hash, grant_id, $1, first_expires_at, cnf FROM consumed WHERE first_hash IS NOT NULL), \
         issued AS (INSERT INTO issued_tokens (status_list, status_index, grant_id, expires_at, \
         general_scopes) SELECT status_list, status_index, grant_id, expires_at, general_scopes FROM \
         consumed) \
         SELECT place, place IN (SELECT place FROM consumed) AS is_done FROM asked WHERE grant_id IN \
         (SELECT id FROM locked)"
    );

    fn bind(query: ForMany, items: &[&Self]) -> ForMany {
        query
            .bind(clock::now())
            .bind(column(items, |item| item.hash.as_slice()))
            .bind(column(items, |item| item.grant_id.as_str()))
            .bind(column(items, |item| Some(item.refresh_token.as_ref()?.hash.as_slice())))
            .bind(column(items, |item| Some(item.refresh_token.as_ref()?.expires_at)))
            .bind(column(items, |item| item.refresh_token.as_ref()?.cnf.as_deref()))
            .bind(column(items, |item| item.access_token.status_list.as_str()))
            .bind(column(items, |item| item.access_token.status_index))
            .bind(column(items, |item| item.access_token.general_scopes.as_str()))
            .bind(column(items, |item| item.access_token.expires_at))
    }

    fn read(row: &PgRow) -> Result<Self::Answer, sqlx::Error> {
        Ok(match row.try_get("is_done")? {
            true => Redemption::Done,
            false => Redemption::TooLate,
        })
    }

    fn without_row() -> Option<Self::Answer> {
        None
    }

    async fn alone(&self, pool: &PgPool) -> Result<Self::Answer, Error> {
        let first = self.refresh_token.as_ref();
        let counts: Option<(i64, i64)> = on_postgres(pool, REDEEM_ONE)
            .bind(clock::now())
            .bind(self.grant_id.as_str())
            .bind(self.hash.as_slice())
            .bind(first.map(|token| token.hash.as_slice()))
            .bind(first.map(|token| token.expires_at))
            .bind(self.access_token.status_list.as_str())
            .bind(self.access_token.status_index)
            .bind(self.access_token.expires_at)
            .bind(self.access_token.general_scopes.as_str())
            .bind(first.and_then(|token| token.cnf.as_deref()))
            .returning()
            .await?;
        Ok(match counts {
            Some((1, 1)) => Redemption::Done,
            Some((1, _)) => Redemption::TooLate,
            _ => Redemption::Ended,
        })
    }
}
