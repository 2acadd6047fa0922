//! Status lists, as introspection asks for them.

use sqlx::{PgPool, Row as _, postgres::PgRow};

use super::{
    super::{sql::on_postgres, status::FIND_VERSION},
    ForMany, Item, column,
};
use crate::{Error, clock};

/// A look at the version of the list of this name.
pub(in crate::store) struct FindVersion(pub(in crate::store) String);

impl Item for FindVersion {
    type Answer = Option<i64>;

    const TEXT: &'static str = "SELECT place, found.version FROM UNNEST($1::text[]) WITH ORDINALITY AS \
        asked (list, place) CROSS JOIN LATERAL (SELECT version FROM status_lists WHERE id = asked.list \
        AND drop_at > $2 LIMIT 1) AS found";

    fn bind(query: ForMany, items: &[&Self]) -> ForMany {
        query.bind(column(items, |item| item.0.as_str())).bind(clock::now())
    }

    fn read(row: &PgRow) -> Result<Self::Answer, sqlx::Error> {
        row.try_get("version").map(Some)
    }

    fn without_row() -> Option<Self::Answer> {
        Some(None)
    }

    async fn alone(&self, pool: &PgPool) -> Result<Self::Answer, Error> {
        let find = on_postgres(pool, FIND_VERSION).bind(self.0.as_str());
        find.bind(clock::now()).scalar().await
    }
}
