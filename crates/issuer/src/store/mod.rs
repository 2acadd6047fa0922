//! What is stored, in SQLite. Every change that must happen once is one conditional statement.

mod clients;
mod codes;
mod interactions;
mod keys;
mod prune;
mod refresh;
mod resources;
mod users;

use std::{
    fs::OpenOptions,
    io::ErrorKind,
    path::{Path, PathBuf},
    time::Duration,
};

use sqlx::{
    Sqlite, SqlitePool, Transaction,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::time::sleep;

use crate::Error;

pub(crate) use self::{
    clients::ClientRow,
    codes::{CodeRow, NewGrant, Redemption},
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
    /// [`Error::Database`], [`Error::Io`] and [`Error::Migration`].
    pub async fn open(path: &Path) -> Result<Self, Error> {
        create_private(path)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // A committed transaction survives a power cut.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(10));
        let pool = SqlitePoolOptions::new().max_connections(8).connect_with(options).await?;
        migrate(&pool).await?;
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
}

/// Password hashes are nobody else's business: the file is made for its owner alone. SQLite gives
/// its journals the same permissions.
fn create_private(path: &Path) -> Result<(), Error> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(Error::Io(PathBuf::from(path), error)),
    }
}

/// Server and administration may open a new database at the same moment, and SQLite has no lock for
/// the whole of a migration: who comes second looks again.
async fn migrate(pool: &SqlitePool) -> Result<(), Error> {
    const TRIES: u32 = 5;
    let mut tries = 1;
    loop {
        match sqlx::migrate!().run(pool).await {
            Ok(()) => return Ok(()),
            Err(error) if tries == TRIES => return Err(Error::Migration(error)),
            Err(_) => sleep(Duration::from_millis(50) * tries).await,
        }
        tries += 1;
    }
}

/// Turns a violated uniqueness into a sentence.
fn exists(what: String) -> impl FnOnce(sqlx::Error) -> Error {
    move |error| match error.as_database_error() {
        Some(found) if found.is_unique_violation() => Error::Exists(what),
        _ => Error::Database(error),
    }
}

#[cfg(test)]
mod tests {
    use std::{env, fs, process};

    use tokio::task::JoinSet;

    use super::*;

    /// `serve` and the commands after it may be the first all at once.
    #[tokio::test(flavor = "multi_thread")]
    async fn many_may_open_a_new_database() {
        let dir = env::temp_dir().join(format!("countersign-open-{}", process::id()));
        fs::create_dir_all(&dir).unwrap();
        let path = dir.join("test.db");
        let mut opened = JoinSet::new();
        for _ in 0..6 {
            let path = path.clone();
            opened.spawn(async move { Store::open(&path).await });
        }
        while let Some(store) = opened.join_next().await {
            let store = store.unwrap().unwrap();
            store.ping().await.unwrap();
            store.close().await;
        }
        fs::remove_dir_all(&dir).unwrap();
    }
}
