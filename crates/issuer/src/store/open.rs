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
    ConnectOptions as _,
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{
        SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions,
        SqliteSynchronous,
    },
};

use super::{
    direct::Direct,
    migrate, read_only,
    sql::Pools,
    together::{self, Together},
    writer::Writer,
};
use crate::Error;

/// For a free connection. Who waits longer is told that the database is down.
pub(super) const ACQUIRE: Duration = Duration::from_secs(5);

/// For another process that writes to the SQLite file.
const BUSY: Duration = Duration::from_secs(5);

/// Connections of one node to PostgreSQL, which has 100 for everybody unless told otherwise.
const POSTGRES_CONNECTIONS: u32 = 16;

/// Statements over arrays go from item to item by the indexes, also while the tables are new and their sizes
/// unknown. They skip what somebody holds, and so hardly ever wait.
const FOR_MANY: [(&str, &str); 5] = [
    // It would not let the index forget what is dead: a grant in use has many dead versions.
    ("enable_bitmapscan", "off"),
    ("enable_material", "off"),
    ("enable_mergejoin", "off"),
    ("enable_seqscan", "off"),
    ("lock_timeout", "500ms"),
];

/// Connections that read from the SQLite file.
const SQLITE_READERS: u32 = 4;

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
    migrate::sqlite(&options.clone().foreign_keys(false)).await?;
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
    migrate::postgres(&options).await?;
    let options = options.options([
        ("statement_timeout", "10s"),
        ("lock_timeout", "5s"),
        // A node that was stopped in the middle gives back what it holds.
        ("idle_in_transaction_session_timeout", "10s"),
    ]);
    let pool = PgPoolOptions::new()
        .max_connections(POSTGRES_CONNECTIONS - together::CONNECTIONS)
        .acquire_timeout(ACQUIRE)
        .after_connect(|connection, _| Box::pin(read_only::refuse(connection)))
        // sqlx looks at a connection when it is given back; only a longer rest is a reason to look
        // again, or that another one could not write.
        .test_before_acquire(false)
        .before_acquire(|connection, found| {
            Box::pin(async move {
                if found.idle_for > Duration::from_secs(1) || read_only::is_suspected() {
                    read_only::refuse(connection).await?;
                }
                Ok(true)
            })
        })
        .connect_with(options.clone())
        .await?;
    let together = Arc::new(Together::new(options.options(FOR_MANY), pool.clone()));
    Ok(Pools::Postgres { pool, together })
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
