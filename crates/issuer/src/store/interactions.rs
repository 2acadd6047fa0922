//! Authorization requests that wait for login and consent.

use super::Store;
use crate::{Error, clock};

#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct InteractionRow {
    /// The browser that began it: another one cannot go on with it.
    pub(crate) browser_hash: Vec<u8>,
    /// The checked request, as JSON.
    pub(crate) request: String,
}

impl Store {
    pub(crate) async fn add_interaction(
        &self,
        id_hash: &[u8],
        browser_hash: &[u8],
        request: &str,
        lifetime: i64,
    ) -> Result<(), Error> {
        let now = clock::now();
        self.sql(
            "INSERT INTO interactions (id_hash, browser_hash, request, created_at, \
                 expires_at) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(id_hash)
        .bind(browser_hash)
        .bind(request)
        .bind(now)
        .bind(now + lifetime)
        .execute()
        .await?;
        Ok(())
    }

    pub(crate) async fn interaction(
        &self,
        id_hash: &[u8],
    ) -> Result<Option<InteractionRow>, Error> {
        self.sql(
            "SELECT browser_hash, request FROM interactions WHERE id_hash = $1 AND \
                 expires_at > $2",
        )
        .bind(id_hash)
        .bind(clock::now())
        .optional()
        .await
    }

    /// Ends an interaction. Only one caller gets `true`.
    pub(crate) async fn end_interaction(&self, id_hash: &[u8]) -> Result<bool, Error> {
        let done =
            self.sql("DELETE FROM interactions WHERE id_hash = $1").bind(id_hash).execute().await?;
        Ok(done == 1)
    }
}
