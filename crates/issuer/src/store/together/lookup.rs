//! Looks at what is found by a hash.

use std::marker::PhantomData;

use sqlx::{FromRow, PgPool, postgres::PgRow};

use super::{
    super::sql::{Record, on_postgres},
    ForMany, Item, column,
};
use crate::Error;

/// A row that is found by a hash.
pub(in crate::store) trait ByHash: Record + 'static {
    /// For an array of hashes, [`Item::TEXT`].
    const MANY: &'static str;

    /// For one hash.
    const ONE: &'static str;
}

/// A look at the row of this hash.
pub(in crate::store) struct Find<R> {
    hash: Vec<u8>,
    row: PhantomData<fn() -> R>,
}

/// [`ByHash::MANY`] of columns with their tables, and the table that has the hash.
macro_rules! find_many_sql {
    ($found:expr, $table:literal) => {
        concat!(
            "SELECT place, found.* FROM UNNEST($1::bytea[]) WITH ORDINALITY AS asked (hash, place) \
             CROSS JOIN LATERAL (SELECT ",
            $found,
            " WHERE ",
            $table,
            ".hash = asked.hash LIMIT 1) AS found"
        )
    };
}
pub(super) use find_many_sql;

impl<R> Find<R> {
    pub(in crate::store) fn new(hash: &[u8]) -> Self {
        Self { hash: hash.to_vec(), row: PhantomData }
    }
}

impl<R: ByHash> Item for Find<R> {
    type Answer = Option<R>;

    const TEXT: &'static str = R::MANY;

    fn bind(query: ForMany, items: &[&Self]) -> ForMany {
        query.bind(column(items, |item| item.hash.as_slice()))
    }

    fn read(row: &PgRow) -> Result<Self::Answer, sqlx::Error> {
        <R as FromRow<'_, PgRow>>::from_row(row).map(Some)
    }

    fn without_row() -> Option<Self::Answer> {
        Some(None)
    }

    async fn alone(&self, pool: &PgPool) -> Result<Self::Answer, Error> {
        on_postgres(pool, R::ONE).bind(self.hash.as_slice()).optional().await
    }
}
