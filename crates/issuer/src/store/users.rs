//! Users and their sessions.

use super::{Store, exists};
use crate::{Error, clock};

/// A person who can log in.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct User {
    /// The `sub` of the user's tokens; never changes.
    pub id: String,
    /// The name for logging in; compared without case.
    pub name: String,
    /// An address, if known.
    pub email: Option<String>,
}

/// A user who is logged in.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct SessionRow {
    pub(crate) user_id: String,
    pub(crate) name: String,
    pub(crate) auth_time: i64,
}

impl Store {
    pub(crate) async fn add_user(&self, user: &User, password_hash: &str) -> Result<(), Error> {
        sqlx::query(
            "INSERT INTO users (id, name, email, password_hash, created_at) VALUES (?, ?, ?, ?, ?)",
        )
        .bind(&user.id)
        .bind(&user.name)
        .bind(&user.email)
        .bind(password_hash)
        .bind(clock::now())
        .execute(&self.pool)
        .await
        .map_err(exists(format!("there is a user {} already", user.name)))?;
        Ok(())
    }

    /// All users by name.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn users(&self) -> Result<Vec<User>, Error> {
        Ok(sqlx::query_as("SELECT id, name, email FROM users ORDER BY name")
            .fetch_all(&self.pool)
            .await?)
    }

    /// Id and password hash of the user of this name.
    pub(crate) async fn credentials(&self, name: &str) -> Result<Option<(String, String)>, Error> {
        Ok(sqlx::query_as("SELECT id, password_hash FROM users WHERE name = ?")
            .bind(name)
            .fetch_optional(&self.pool)
            .await?)
    }

    pub(crate) async fn add_session(
        &self,
        id_hash: &[u8],
        user_id: &str,
        lifetime: i64,
    ) -> Result<(), Error> {
        let now = clock::now();
        sqlx::query(
            "INSERT INTO sessions (id_hash, user_id, auth_time, expires_at) VALUES (?, ?, ?, ?)",
        )
        .bind(id_hash)
        .bind(user_id)
        .bind(now)
        .bind(now + lifetime)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    pub(crate) async fn session(&self, id_hash: &[u8]) -> Result<Option<SessionRow>, Error> {
        Ok(sqlx::query_as(
            "SELECT user_id, name, auth_time FROM sessions JOIN users ON users.id = user_id \
             WHERE id_hash = ? AND expires_at > ?",
        )
        .bind(id_hash)
        .bind(clock::now())
        .fetch_optional(&self.pool)
        .await?)
    }

    pub(crate) async fn end_session(&self, id_hash: &[u8]) -> Result<(), Error> {
        sqlx::query("DELETE FROM sessions WHERE id_hash = ?")
            .bind(id_hash)
            .execute(&self.pool)
            .await?;
        Ok(())
    }
}
