//! A schema that is up to date, while other nodes work with it.

use std::time::Duration;

use sqlx::{
    migrate::{MigrateError, Migrator},
    postgres::{PgConnectOptions, PgPool, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqlitePoolOptions},
};
use tokio::time::sleep;

use super::open::ACQUIRE;
use crate::Error;

/// For a lock that a migration needs: whoever comes after it waits for it as long. A dump reads for
/// minutes, and nobody would get past a migration that waits for its end.
const LOCK_TIMEOUT: &str = "2s";

/// Between two tries to get it, in which those who waited go on.
const PAUSE: Duration = Duration::from_secs(3);

/// A quarter of an hour: for a dump, or for another node that is migrating.
const LOCK_TRIES: u32 = 180;

/// How many migrations there are that this program does not know, newer than $1; and how many of these do
/// not say that it can live with them.
const UNKNOWN: &str = "SELECT COUNT(*), COUNT(*) - (SELECT COUNT(*) FROM counters \
                       JOIN _sqlx_migrations ON name = 'schema_' || version || '_needs' \
                       WHERE version > $1 AND value <= $1) FROM _sqlx_migrations WHERE version > $1";

fn sqlite_migrations() -> Migrator {
    sqlx::migrate!("migrations/sqlite")
}

/// Whether a SQLite database began as one of ours: by the digest of its first migration.
pub(super) fn is_first(digest: &[u8]) -> bool {
    sqlite_migrations().iter().next().is_some_and(|first| *first.checksum == *digest)
}

/// Whether this program knows a migration of a SQLite database.
pub(super) fn is_known(version: i64) -> bool {
    sqlite_migrations().version_exists(version)
}

fn newest(migrations: &Migrator) -> i64 {
    migrations.iter().map(|migration| migration.version).max().unwrap_or_default()
}

/// A node that starts again while others are newer already goes on, where the newer schema says so.
/// Where it does not, sqlx refuses.
fn accept(migrations: &mut Migrator, (unknown, breaking): (i64, i64)) {
    if unknown > 0 && breaking == 0 {
        tracing::warn!(
            reason = "schema_newer",
            "a newer version of this program has changed the database: start that version here too"
        );
        migrations.set_ignore_missing(true);
    }
}

/// sqlx takes a lock, so that nodes that start together do it one after the other. A migration itself may
/// take as long as it needs.
pub(super) async fn postgres(options: &PgConnectOptions) -> Result<(), Error> {
    let options = options.clone().options([("lock_timeout", LOCK_TIMEOUT)]);
    let mut tries = 1;
    loop {
        // With a connection that failed its locks go.
        let alone = PgPoolOptions::new().max_connections(1).acquire_timeout(ACQUIRE);
        let alone = alone.connect_with(options.clone()).await?;
        let done = try_postgres(&alone).await;
        alone.close().await;
        match done {
            Err(Error::Migration(error)) if is_locked(&error) && tries < LOCK_TRIES => {
                if tries == 1 {
                    tracing::warn!(
                        reason = "database_locked",
                        "somebody else works with the tables that a migration changes: it waits"
                    );
                }
            }
            done => return done,
        }
        tries += 1;
        sleep(PAUSE).await;
    }
}

async fn try_postgres(alone: &PgPool) -> Result<(), Error> {
    let mut migrations = sqlx::migrate!("migrations/postgres");
    let (has_begun,): (bool,) = sqlx::query_as(
        "SELECT to_regclass('_sqlx_migrations') IS NOT NULL AND \
                        to_regclass('counters') IS NOT NULL",
    )
    .fetch_one(alone)
    .await?;
    if has_begun {
        let unknown = sqlx::query_as(UNKNOWN).bind(newest(&migrations)).fetch_one(alone).await?;
        accept(&mut migrations, unknown);
    }
    migrations.run(alone).await.map_err(Error::Migration)?;
    for name in ["fsync", "synchronous_commit"] {
        let (value,): (String,) =
            sqlx::query_as("SELECT current_setting($1)").bind(name).fetch_one(alone).await?;
        if value == "off" {
            tracing::warn!(
                reason = "database_not_durable",
                "the database has {name} = off: what it has confirmed can be lost with its machine"
            );
        }
    }
    Ok(())
}

/// `lock_not_available` or `deadlock_detected`: somebody else held what it needed.
fn is_locked(error: &MigrateError) -> bool {
    let (MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) = error else {
        return false;
    };
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| code == "55P03" || code == "40P01")
}

/// Server and administration may open a new database at the same moment, and SQLite has no lock for
/// the whole of a migration: who comes second looks again.
pub(super) async fn sqlite(options: &SqliteConnectOptions) -> Result<(), Error> {
    const TRIES: u32 = 6;
    let mut tries = 1;
    loop {
        match try_sqlite(options).await {
            Err(_) if tries < TRIES => sleep(Duration::from_millis(50) * tries).await,
            done => return done,
        }
        tries += 1;
    }
}

async fn try_sqlite(options: &SqliteConnectOptions) -> Result<(), Error> {
    let alone = SqlitePoolOptions::new().max_connections(1).connect_with(options.clone()).await?;
    let mut migrations = sqlite_migrations();
    let known: Result<(i64,), _> =
        sqlx::query_as("SELECT COUNT(*) FROM _sqlx_migrations").fetch_one(&alone).await;
    let known = known.ok().and_then(|(count,)| usize::try_from(count).ok());
    let is_current = known.is_some_and(|count| count >= migrations.iter().count());
    if is_current {
        let unknown = sqlx::query_as(UNKNOWN).bind(newest(&migrations)).fetch_one(&alone).await?;
        accept(&mut migrations, unknown);
    }
    migrations.run(&alone).await.map_err(Error::Migration)?;
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
#[path = "migrate_tests.rs"]
mod tests;
