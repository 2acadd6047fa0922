//! Users and their sessions.

use rusqlite::OptionalExtension as _;
use serde_json::{Map, Value};

use super::{Store, Transaction, exists, sql::Pools, together::FindSession};
use crate::{Error, claims, clock};

/// A person who can log in.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct User {
    /// The `sub` of the user's tokens; never changes.
    pub id: String,
    /// The name for logging in; compared without case.
    pub name: String,
    /// An address, if known.
    pub email: Option<String>,
    /// Whether the user is locked out.
    pub is_disabled: bool,
}

/// The user that a token speaks for, and the scopes of the token that no resource has.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct TokenUser {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) email: Option<String>,
    pub(crate) general_scopes: String,
}

/// A user who is logged in.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct SessionRow {
    pub(crate) user_id: String,
    pub(crate) name: String,
    pub(crate) auth_time: i64,
}

pub(super) const FIND_SESSION: &str = "SELECT user_id, name, auth_time FROM sessions JOIN users ON \
    users.id = user_id WHERE id_hash = $1 AND expires_at > $2 AND disabled_at IS NULL";

impl Store {
    pub(crate) async fn add_user(&self, user: &User, password_hash: &str) -> Result<(), Error> {
        self.sql(
            "INSERT INTO users (id, name, name_key, email, password_hash, created_at) \
                 VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(&user.id)
        .bind(&user.name)
        .bind(key(&user.name))
        .bind(&user.email)
        .bind(password_hash)
        .bind(clock::now())
        .execute()
        .await
        .map_err(exists(format!("there is a user {} already", user.name)))?;
        Ok(())
    }

    /// All users by name.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn users(&self) -> Result<Vec<User>, Error> {
        self.sql(
            "SELECT id, name, email, disabled_at IS NOT NULL AS is_disabled FROM users ORDER BY \
             name_key",
        )
        .all()
        .await
    }

    /// Id and password hash of the user of this name.
    pub(crate) async fn credentials(&self, name: &str) -> Result<Option<(String, String)>, Error> {
        self.sql("SELECT id, password_hash FROM users WHERE name_key = $1 AND disabled_at IS NULL")
            .bind(key(name))
            .optional()
            .await
    }

    /// Remembers a login by the password with this hash. `false`: the user has another one by now, or is
    /// locked out.
    pub(crate) async fn add_session(
        &self,
        id_hash: &[u8],
        (user_id, password_hash): (&str, &str),
        lifetime: i64,
    ) -> Result<bool, Error> {
        let now = clock::now();
        let mut transaction = self.begin().await?;
        // Whoever changes the password ends the sessions that there are: this one is among them, or
        // does not begin.
        let look = match &transaction {
            Transaction::Sqlite(_) => {
                "SELECT 1 FROM users WHERE id = $1 AND password_hash = $2 AND disabled_at IS NULL"
            }
            Transaction::Postgres(_) => {
                "SELECT 1::bigint FROM users WHERE id = $1 AND password_hash = $2 AND disabled_at \
                 IS NULL FOR SHARE"
            }
        };
        let user = transaction.sql(look).bind(user_id).bind(password_hash).scalar::<i64>();
        if user.await?.is_none() {
            return Ok(false);
        }
        transaction
            .sql(
                "INSERT INTO sessions (id_hash, user_id, auth_time, expires_at) VALUES ($1, $2, $3, \
                 $4)",
            )
            .bind(id_hash)
            .bind(user_id)
            .bind(now)
            .bind(now + lifetime)
            .execute()
            .await?;
        transaction.commit().await?;
        Ok(true)
    }

    pub(crate) async fn session(&self, id_hash: &[u8]) -> Result<Option<SessionRow>, Error> {
        let direct = match &self.pools {
            Pools::Postgres { together, .. } => {
                return together.sessions.join(FindSession(id_hash.to_vec())).await;
            }
            Pools::Sqlite { direct, .. } => direct,
        };
        let now = clock::now();
        direct.read(|connection| {
            let mut statement = connection.prepare_cached(FIND_SESSION)?;
            let found = statement.query_row(rusqlite::params![id_hash, now], |row| {
                Ok(SessionRow { user_id: row.get(0)?, name: row.get(1)?, auth_time: row.get(2)? })
            });
            found.optional()
        })
    }

    /// Writes down claims about a user, as a JSON object.
    ///
    /// # Errors
    /// [`Error::Invalid`] for claims that no token can carry, or when there is no user of this name;
    /// [`Error::Database`].
    pub async fn set_user_claims(&self, name: &str, text: &str) -> Result<(), Error> {
        let read = claims::read(text).map_err(Error::Invalid)?;
        let done = self
            .sql("UPDATE users SET claims = $1 WHERE name_key = $2")
            .bind(Value::Object(read).to_string())
            .bind(key(name))
            .execute()
            .await?;
        match done {
            0 => Err(Error::Invalid(format!("there is no user {name}"))),
            _ => Ok(()),
        }
    }

    /// The claims about a user.
    pub(crate) async fn user_claims(&self, id: &str) -> Result<Map<String, Value>, Error> {
        let text: Option<String> =
            self.sql("SELECT claims FROM users WHERE id = $1").bind(id).scalar().await?;
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
    }

    /// The user of the access token at a place of a status list. Who has a token by exchange has what
    /// stands in it, and nothing that was for the client that had the first one.
    pub(crate) async fn user_of_token(
        &self,
        status_list: &str,
        status_index: u32,
    ) -> Result<Option<TokenUser>, Error> {
        self.sql(
            "SELECT users.id, name, email, general_scopes FROM issued_tokens JOIN grants ON grants.id = \
             grant_id JOIN users ON users.id = grants.user_id WHERE status_list = $1 AND \
             status_index = $2 AND disabled_at IS NULL AND holder IS NULL",
        )
        .bind(status_list)
        .bind(i64::from(status_index))
        .optional()
        .await
    }

    pub(crate) async fn end_session(&self, id_hash: &[u8]) -> Result<(), Error> {
        self.sql("DELETE FROM sessions WHERE id_hash = $1").bind(id_hash).execute().await?;
        Ok(())
    }
}

/// The name as it is compared, the same on both engines.
fn key(name: &str) -> String {
    name.to_ascii_lowercase()
}
