//! What is stored, in SQLite. Every change that must happen once is one conditional statement.

mod clients;
mod codes;
mod interactions;
mod keys;
mod refresh;
mod resources;
mod users;

use std::{path::Path, time::Duration};

use sqlx::{
    Sqlite, SqlitePool, Transaction,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use crate::{Error, clock};

pub(crate) use self::{
    clients::ClientRow,
    codes::{CodeRow, NewGrant, Redemption},
    interactions::InteractionRow,
    keys::SigningKeyRow,
    refresh::{RefreshRow, Successor},
    users::SessionRow,
};
pub use self::{
    clients::{Client, ClientKind},
    resources::{Resource, ScopeText},
    users::User,
};

/// The database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    pool: SqlitePool,
}

impl Store {
    /// Opens the database file, makes it when it does not exist, and brings its schema up to date.
    ///
    /// # Errors
    /// [`Error::Database`] and [`Error::Migration`].
    pub async fn open(path: &Path) -> Result<Self, Error> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // A committed transaction survives a power cut.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(10));
        let pool = SqlitePoolOptions::new().max_connections(8).connect_with(options).await?;
        sqlx::migrate!().run(&pool).await.map_err(Error::Migration)?;
        Ok(Self { pool })
    }

    /// Closes all connections.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// Whether the database answers.
    pub(crate) async fn ping(&self) -> Result<(), Error> {
        sqlx::query("SELECT 1 FROM signing_keys LIMIT 1").execute(&self.pool).await?;
        Ok(())
    }

    /// A transaction that holds the write lock from its beginning, so that it cannot fail half way
    /// for want of it.
    async fn write(&self) -> Result<Transaction<'static, Sqlite>, Error> {
        Ok(self.pool.begin_with("BEGIN IMMEDIATE").await?)
    }

    /// Deletes what is over, a little at a time.
    ///
    /// Codes are kept for a day after their time: a replay must still be recognised.
    pub(crate) async fn prune(&self) -> Result<(), Error> {
        const DAY: i64 = 86_400;
        let now = clock::now();
        for (statement, limit) in [
            (
                "DELETE FROM interactions WHERE id_hash IN \
                 (SELECT id_hash FROM interactions WHERE expires_at < ? LIMIT 500)",
                now,
            ),
            (
                "DELETE FROM sessions WHERE id_hash IN \
                 (SELECT id_hash FROM sessions WHERE expires_at < ? LIMIT 500)",
                now,
            ),
            (
                "DELETE FROM auth_codes WHERE hash IN \
                 (SELECT hash FROM auth_codes WHERE expires_at < ? LIMIT 500)",
                now - DAY,
            ),
            (
                "DELETE FROM refresh_tokens WHERE hash IN \
                 (SELECT hash FROM refresh_tokens WHERE expires_at < ? LIMIT 500)",
                now - DAY,
            ),
        ] {
            sqlx::query(statement).bind(limit).execute(&self.pool).await?;
        }
        Ok(())
    }
}

/// Turns a violated uniqueness into a sentence.
fn exists(what: String) -> impl FnOnce(sqlx::Error) -> Error {
    move |error| match error.as_database_error() {
        Some(found) if found.is_unique_violation() => Error::Exists(what),
        _ => Error::Database(error),
    }
}
