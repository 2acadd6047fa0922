//! Authorization requests that wait for login and consent.

use rusqlite::{OptionalExtension as _, params};

use super::{
    Store,
    plan::{Outcome, Plan},
};
use crate::{Error, clock};

#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct InteractionRow {
    /// The browser that began it: another one cannot go on with it.
    pub(crate) browser_hash: Vec<u8>,
    /// The checked request, as JSON.
    pub(crate) request: String,
}

const INSERT: &str = "INSERT INTO interactions (id_hash, browser_hash, request, created_at, \
    expires_at) VALUES ($1, $2, $3, $4, $5)";

const FIND: &str =
    "SELECT browser_hash, request FROM interactions WHERE id_hash = $1 AND expires_at > $2";

/// Only one caller changes a row.
const END_INTERACTION: &str = "DELETE FROM interactions WHERE id_hash = $1";

impl Store {
    pub(crate) async fn add_interaction(
        &self,
        id_hash: &[u8],
        browser_hash: &[u8],
        request: &str,
        lifetime: i64,
    ) -> Result<(), Error> {
        let now = clock::now();
        let values = [
            id_hash.into(),
            browser_hash.into(),
            request.into(),
            now.into(),
            (now + lifetime).into(),
        ];
        self.carry_out(Plan::default().and(INSERT, values)).await?;
        Ok(())
    }

    pub(crate) async fn interaction(
        &self,
        id_hash: &[u8],
    ) -> Result<Option<InteractionRow>, Error> {
        let now = clock::now();
        let Some(direct) = self.pools.direct() else {
            return self.sql(FIND).bind(id_hash).bind(now).optional().await;
        };
        direct.read(|connection| {
            let mut statement = connection.prepare_cached(FIND)?;
            let found = statement.query_row(params![id_hash, now], |row| {
                Ok(InteractionRow { browser_hash: row.get(0)?, request: row.get(1)? })
            });
            found.optional()
        })
    }

    /// Ends an interaction. Only one caller gets `true`.
    pub(crate) async fn end_interaction(&self, id_hash: &[u8]) -> Result<bool, Error> {
        let plan = Plan::default().must(END_INTERACTION, [id_hash.into()]);
        Ok(self.carry_out(plan).await? == Outcome::Done)
    }
}
