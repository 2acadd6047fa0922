//! Connections with the guarantees that we rely on, to a schema that is up to date.

use std::{
    fs::OpenOptions,
    io::ErrorKind,
    path::{Path, PathBuf},
    str::FromStr as _,
    sync::Arc,
    time::Duration,
};

use sqlx::{
    ConnectOptions as _, Connection as _,
    migrate::{MigrateError, Migrator},
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{
        SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions,
        SqliteSynchronous,
    },
};
use tokio::time::sleep;

use super::{direct::Direct, sql::Pools, writer::Writer};
use crate::Error;

/// For a free connection. Who waits longer is told that the database is down.
const ACQUIRE: Duration = Duration::from_secs(5);

/// For another process that writes to the SQLite file.
const BUSY: Duration = Duration::from_secs(5);

/// Connections of one node to PostgreSQL, which has 100 for everybody unless told otherwise.
const POSTGRES_CONNECTIONS: u32 = 16;

/// Connections that read from the SQLite file.
const SQLITE_READERS: u32 = 4;

static SQLITE_MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// Whether this is the digest of the migration that every SQLite database of ours begins with.
pub(super) fn is_first_migration(digest: &[u8]) -> bool {
    SQLITE_MIGRATIONS.iter().next().is_some_and(|first| *first.checksum == *digest)
}

pub(super) async fn sqlite(path: &Path) -> Result<Pools, Error> {
    create_private(path)?;
    let options = SqliteConnectOptions::new()
        .filename(path)
        .auto_vacuum(SqliteAutoVacuum::Incremental)
        .journal_mode(SqliteJournalMode::Wal)
        // A committed transaction survives a power cut.
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY)
        .disable_statement_logging();
    migrate_sqlite(&options.clone().foreign_keys(false)).await?;
    let options = options.foreign_keys(true);
    let writer = Arc::new(Writer::open(options.clone()).await?);
    let readers = SqlitePoolOptions::new()
        .max_connections(SQLITE_READERS)
        .acquire_timeout(ACQUIRE)
        // A file does not go away between two statements.
        .test_before_acquire(false)
        .connect_with(options.pragma("query_only", "ON"))
        .await?;
    let direct = Arc::new(Direct::start(path, Arc::clone(&writer))?);
    Ok(Pools::Sqlite { readers, writer, direct })
}

pub(super) async fn postgres(url: &str) -> Result<Pools, Error> {
    let options = PgConnectOptions::from_str(url)?
        .application_name("countersign")
        .disable_statement_logging();
    // A migration may take as long as it needs. sqlx takes a lock, so that nodes that start together
    // do it one after the other.
    let alone = PgPoolOptions::new().max_connections(1).acquire_timeout(ACQUIRE);
    let alone = alone.connect_with(options.clone()).await?;
    sqlx::migrate!("migrations/postgres").run(&alone).await.map_err(Error::Migration)?;
    for name in ["fsync", "synchronous_commit"] {
        let (value,): (String,) =
            sqlx::query_as("SELECT current_setting($1)").bind(name).fetch_one(&alone).await?;
        if value == "off" {
            tracing::warn!(
                reason = "database_not_durable",
                "the database has {name} = off: what it has confirmed can be lost with its machine"
            );
        }
    }
    alone.close().await;
    let options = options.options([
        ("statement_timeout", "10s"),
        ("lock_timeout", "5s"),
        // A node that was stopped in the middle gives back what it holds.
        ("idle_in_transaction_session_timeout", "10s"),
    ]);
    let pool = PgPoolOptions::new()
        .max_connections(POSTGRES_CONNECTIONS)
        .acquire_timeout(ACQUIRE)
        // sqlx looks at a connection when it is given back; only a longer rest is a reason to look
        // again.
        .test_before_acquire(false)
        .before_acquire(|connection, found| {
            Box::pin(async move {
                if found.idle_for > Duration::from_secs(1) {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .connect_with(options)
        .await?;
    Ok(Pools::Postgres(pool))
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
async fn migrate_sqlite(options: &SqliteConnectOptions) -> Result<(), Error> {
    const TRIES: u32 = 6;
    let mut tries = 1;
    loop {
        match try_migrate_sqlite(options).await {
            Err(_) if tries < TRIES => sleep(Duration::from_millis(50) * tries).await,
            done => return done,
        }
        tries += 1;
    }
}

async fn try_migrate_sqlite(options: &SqliteConnectOptions) -> Result<(), Error> {
    let alone = SqlitePoolOptions::new().max_connections(1).connect_with(options.clone()).await?;
    let known: Result<(i64,), _> =
        sqlx::query_as("SELECT COUNT(*) FROM _sqlx_migrations").fetch_one(&alone).await;
    let is_current =
        known.is_ok_and(|(count,)| usize::try_from(count) == Ok(SQLITE_MIGRATIONS.iter().count()));
    SQLITE_MIGRATIONS.run(&alone).await.map_err(Error::Migration)?;
    // Foreign keys were off: nothing may point nowhere now.
    if !is_current
        && sqlx::query("PRAGMA foreign_key_check").fetch_optional(&alone).await?.is_some()
    {
        let what = sqlx::Error::Protocol("a foreign key points nowhere".to_owned());
        return Err(Error::Migration(MigrateError::Execute(what)));
    }
    alone.close().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{env, fs, process};

    use tokio::task::JoinSet;

    use crate::{Database, Store};

    /// `serve` and the commands after it may be the first all at once.
    #[tokio::test(flavor = "multi_thread")]
    async fn many_may_open_a_new_database() {
        let dir = env::temp_dir().join(format!("countersign-open-{}", process::id()));
        fs::create_dir_all(&dir).unwrap();
        let database = Database::Sqlite(dir.join("test.db"));
        let mut opened = JoinSet::new();
        for _ in 0..6 {
            let database = database.clone();
            opened.spawn(async move { Store::open(&database).await });
        }
        while let Some(store) = opened.join_next().await {
            let store = store.unwrap().unwrap();
            store.ping().await.unwrap();
            store.close().await;
        }
        fs::remove_dir_all(&dir).unwrap();
    }
}
