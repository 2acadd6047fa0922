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
        sqlx::query(
            "INSERT INTO interactions (id_hash, browser_hash, request, created_at, expires_at) \
             VALUES (?, ?, ?, ?, ?)",
        )
        .bind(id_hash)
        .bind(browser_hash)
        .bind(request)
        .bind(now)
        .bind(now + lifetime)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    pub(crate) async fn interaction(
        &self,
        id_hash: &[u8],
    ) -> Result<Option<InteractionRow>, Error> {
        Ok(sqlx::query_as(
            "SELECT browser_hash, request FROM interactions \
             WHERE id_hash = ? AND expires_at > ?",
        )
        .bind(id_hash)
        .bind(clock::now())
        .fetch_optional(&self.pool)
        .await?)
    }

    /// Ends an interaction. Only one caller gets `true`.
    pub(crate) async fn end_interaction(&self, id_hash: &[u8]) -> Result<bool, Error> {
        let done = sqlx::query("DELETE FROM interactions WHERE id_hash = ?")
            .bind(id_hash)
            .execute(&self.pool)
            .await?;
        Ok(done.rows_affected() == 1)
    }
}
