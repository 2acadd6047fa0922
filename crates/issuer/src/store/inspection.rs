//! What an operator wants to know around a token, also when it is over.

use super::{Store, User};
use crate::Error;

/// A grant, and whether it has ended.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct GrantState {
    /// Its name.
    pub id: String,
    /// When it was given, in seconds since the epoch.
    pub created_at: i64,
    /// When it ended, if it has.
    pub revoked_at: Option<i64>,
    /// Why.
    pub reason: Option<String>,
}

impl Store {
    /// The user with this `sub`.
    pub(crate) async fn user(&self, id: &str) -> Result<Option<User>, Error> {
        self.sql(
            "SELECT id, name, email, disabled_at IS NOT NULL AS is_disabled FROM users WHERE id = \
             $1",
        )
        .bind(id)
        .optional()
        .await
    }

    /// A grant by its name.
    pub(crate) async fn grant(&self, id: &str) -> Result<Option<GrantState>, Error> {
        self.sql("SELECT id, created_at, revoked_at, reason FROM grants WHERE id = $1")
            .bind(id)
            .optional()
            .await
    }

    /// The grant of the access token at a place of a status list, if it has one.
    pub(crate) async fn grant_at(
        &self,
        status_list: &str,
        status_index: u32,
    ) -> Result<Option<GrantState>, Error> {
        self.sql(
            "SELECT id, created_at, revoked_at, reason FROM grants WHERE id = (SELECT grant_id \
             FROM issued_tokens WHERE status_list = $1 AND status_index = $2)",
        )
        .bind(status_list)
        .bind(i64::from(status_index))
        .optional()
        .await
    }
}
