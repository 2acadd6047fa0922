//! What a request of a browser is looked up by: who is logged in, and what they allowed before.

use sqlx::{FromRow as _, PgPool, Row as _, postgres::PgRow};

use super::{
    super::{SessionRow, clients::FIND_CONSENT, sql::on_postgres, users::FIND_SESSION},
    ForMany, Item, column,
};
use crate::{Error, clock};

/// A look at the session of this hash.
pub(in crate::store) struct FindSession(pub(in crate::store) Vec<u8>);

/// A look for what this user allowed this client, for this resource and this redirect URI.
pub(in crate::store) struct FindConsent(pub(in crate::store) [String; 4]);

impl Item for FindSession {
    type Answer = Option<SessionRow>;

    const TEXT: &'static str = "SELECT place, found.* FROM UNNEST($1::bytea[]) WITH ORDINALITY AS asked \
        (hash, place) CROSS JOIN LATERAL (SELECT user_id, name, auth_time FROM sessions JOIN users ON \
        users.id = user_id WHERE id_hash = asked.hash AND expires_at > $2 AND disabled_at IS NULL LIMIT \
        1) AS found";

    fn bind(query: ForMany, items: &[&Self]) -> ForMany {
        query.bind(column(items, |item| item.0.as_slice())).bind(clock::now())
    }

    fn read(row: &PgRow) -> Result<Self::Answer, sqlx::Error> {
        SessionRow::from_row(row).map(Some)
    }

    fn without_row() -> Option<Self::Answer> {
        Some(None)
    }

    async fn alone(&self, pool: &PgPool) -> Result<Self::Answer, Error> {
        let find = on_postgres(pool, FIND_SESSION).bind(self.0.as_slice());
        find.bind(clock::now()).optional().await
    }
}

impl Item for FindConsent {
    type Answer = Option<String>;

    const TEXT: &'static str = "SELECT place, found.scopes FROM UNNEST($1::text[], $2::text[], \
        $3::text[], $4::text[]) WITH ORDINALITY AS asked (user_id, client_id, resource, redirect_uri, \
        place) CROSS JOIN LATERAL (SELECT scopes FROM consents AS given WHERE given.user_id = \
        asked.user_id AND given.client_id = asked.client_id AND given.resource = asked.resource AND \
        given.redirect_uri = asked.redirect_uri LIMIT 1) AS found";

    fn bind(query: ForMany, items: &[&Self]) -> ForMany {
        (0..4).fold(query, |query, index| query.bind(column(items, |item| item.0[index].as_str())))
    }

    fn read(row: &PgRow) -> Result<Self::Answer, sqlx::Error> {
        row.try_get("scopes").map(Some)
    }

    fn without_row() -> Option<Self::Answer> {
        Some(None)
    }

    async fn alone(&self, pool: &PgPool) -> Result<Self::Answer, Error> {
        let find = on_postgres(pool, FIND_CONSENT);
        self.0.iter().fold(find, |find, value| find.bind(value.as_str())).scalar().await
    }
}
