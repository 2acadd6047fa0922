//! Backups: a copy of the SQLite file while servers go on, and back again in one transaction.

use std::{
    fs::{self, File, OpenOptions},
    path::{Path, PathBuf},
};

use sqlx::{AssertSqlSafe, Connection as _, SqliteConnection};

use super::{Store, sql::Pools};
use crate::{Database, Error, clock};

/// What the present database knows better than any backup: it is not replaced.
const KEPT: [&str; 4] = ["_sqlx_migrations", "counters", "jti_seen", "leases"];

/// What a backup must not bring back: what was used or ended since would count again. Clients and
/// people begin these anew by themselves. Access tokens whose status list is gone are refused by
/// guards until they expire.
const SHORT_LIVED: [&str; 8] = [
    "DELETE FROM auth_codes",
    "DELETE FROM device_codes",
    "DELETE FROM interactions",
    "DELETE FROM pushed_requests",
    "DELETE FROM sessions",
    "DELETE FROM issued_tokens",
    "DELETE FROM status_leases",
    "DELETE FROM status_lists",
];

impl Store {
    /// Writes a copy of the database as it is at this moment to a new file. Servers go on meanwhile.
    /// The sealing key is not in it.
    ///
    /// # Errors
    /// [`Error::Invalid`] for PostgreSQL, which has tools of its own, and when the file exists;
    /// [`Error::Database`], [`Error::Io`].
    pub async fn back_up(&self, to: &Path) -> Result<(), Error> {
        let Pools::Sqlite { writer, .. } = &self.pools else {
            return Err(Error::Invalid(
                "the database is PostgreSQL: use pg_dump --format=custom, or the continuous backup \
                 of your installation (see docs/issuer.md)"
                    .to_owned(),
            ));
        };
        if to.exists() {
            return Err(Error::Exists(format!("{} exists already", to.display())));
        }
        let partial = with_suffix(to, ".partial");
        let io = |error| Error::Io(partial.clone(), error);
        // Password hashes are in it: it is for its owner alone. SQLite fills an empty file.
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(&partial).map_err(io)?;
        let copied = async {
            let mut connection = writer.connect(true).await?;
            let path = partial.display().to_string();
            sqlx::query("VACUUM INTO $1").bind(path).execute(&mut connection).await?;
            connection.close().await?;
            File::open(&partial).and_then(|file| file.sync_all()).map_err(io)?;
            fs::rename(&partial, to).map_err(io)?;
            sync_folder(to)
        };
        let copied = copied.await;
        if copied.is_err() {
            // There is nothing of worth in it; the error is what counts.
            let _ = fs::remove_file(&partial);
        }
        copied
    }

    /// Replaces the content of the database by that of a backup, all of it or nothing. Servers go on
    /// meanwhile. See [`Store::after_restore`] for what does not come back.
    ///
    /// # Errors
    /// [`Error::Invalid`] for PostgreSQL and for a file that is no backup; [`Error::Database`],
    /// [`Error::Io`].
    pub async fn restore(&self, from: &Path, keep_grants: bool) -> Result<(), Error> {
        let Pools::Sqlite { writer, .. } = &self.pools else {
            return Err(Error::Invalid(
                "the database is PostgreSQL: use pg_restore, then run this without a file"
                    .to_owned(),
            ));
        };
        let copy = with_suffix(from, ".restoring");
        let io = |error| Error::Io(copy.clone(), error);
        let source = brought_up_to_date(from, &copy).await;
        let restored = match source {
            Ok(()) => {
                let mut connection = writer.connect(false).await?;
                let replaced = replace_content(&mut connection, &copy).await;
                connection.close().await?;
                replaced
            }
            Err(error) => Err(error),
        };
        for suffix in ["", "-wal", "-shm"] {
            let path = with_suffix(&copy, suffix);
            if path.exists() {
                fs::remove_file(&path).map_err(io)?;
            }
        }
        restored?;
        self.after_restore(keep_grants).await
    }

    /// Makes a restored database safe: codes, sessions and the like end; grants end too unless they
    /// are to be kept, since what was revoked or used since the backup would count again; and all
    /// nodes read their keys anew.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn after_restore(&self, keep_grants: bool) -> Result<(), Error> {
        let mut transaction = self.begin().await?;
        for statement in SHORT_LIVED {
            transaction.sql(statement).execute().await?;
        }
        if !keep_grants {
            transaction
                .sql("UPDATE grants SET revoked_at = $1, reason = 'restored' WHERE revoked_at IS NULL")
                .bind(clock::now())
                .execute()
                .await?;
        }
        transaction
            .sql("UPDATE counters SET value = value + 1 WHERE name IN ('key_set', 'restored', 'settings')")
            .execute()
            .await?;
        transaction.commit().await
    }
}

/// A copy of the backup with the present schema: the backup itself stays as it is.
async fn brought_up_to_date(from: &Path, copy: &Path) -> Result<(), Error> {
    let io = |error| Error::Io(from.to_path_buf(), error);
    let head = fs::read(from).map_err(io)?;
    if !head.starts_with(b"SQLite format 3\0") {
        return Err(Error::Invalid(format!("{} is no backup", from.display())));
    }
    fs::write(copy, head).map_err(io)?;
    let store = Box::pin(Store::open(&Database::Sqlite(copy.to_path_buf()))).await?;
    let sound = store.sql("PRAGMA integrity_check(1)").scalar::<String>().await;
    store.close().await;
    match sound?.as_deref() {
        Some("ok") => Ok(()),
        found => Err(Error::Invalid(format!(
            "{} is damaged: {}",
            from.display(),
            found.unwrap_or("nothing can be read")
        ))),
    }
}

async fn replace_content(connection: &mut SqliteConnection, copy: &Path) -> Result<(), Error> {
    sqlx::query("ATTACH $1 AS backup")
        .bind(copy.display().to_string())
        .execute(&mut *connection)
        .await?;
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    // Keys and grants that were revoked stay so, whatever the backup says.
    let revoked: [&'static str; 2] = [
        "CREATE TEMP TABLE revoked_keys AS SELECT kid, drop_at FROM main.signing_keys \
         WHERE state = 'revoked'",
        "CREATE TEMP TABLE revoked_grants AS SELECT id, revoked_at, reason FROM main.grants \
         WHERE revoked_at IS NOT NULL",
    ];
    for statement in revoked {
        sqlx::query(statement).execute(&mut *transaction).await?;
    }
    let tables: Vec<(String,)> = sqlx::query_as(
        "SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'",
    )
    .fetch_all(&mut *transaction)
    .await?;
    for (table,) in tables.iter().filter(|(table,)| !KEPT.contains(&table.as_str())) {
        let columns: Vec<(String,)> =
            sqlx::query_as("SELECT '\"' || name || '\"' FROM pragma_table_info($1)")
                .bind(table)
                .fetch_all(&mut *transaction)
                .await?;
        let columns: Vec<&str> = columns.iter().map(|(name,)| name.as_str()).collect();
        let columns = columns.join(", ");
        // What was revoked is a log: nothing is taken out of it.
        let (delete, insert) = match table.as_str() {
            "revocation_log" => (false, "INSERT OR IGNORE"),
            _ => (true, "INSERT"),
        };
        if delete {
            // The names are our own schema's.
            let statement = AssertSqlSafe(format!("DELETE FROM main.\"{table}\""));
            sqlx::query(statement).execute(&mut *transaction).await?;
        }
        let statement = AssertSqlSafe(format!(
            "{insert} INTO main.\"{table}\" ({columns}) SELECT {columns} FROM backup.\"{table}\""
        ));
        sqlx::query(statement).execute(&mut *transaction).await?;
    }
    let again: [&'static str; 4] = [
        "UPDATE main.signing_keys SET state = 'revoked', private_sealed = x'', drop_at = \
         (SELECT drop_at FROM revoked_keys WHERE revoked_keys.kid = signing_keys.kid) \
         WHERE kid IN (SELECT kid FROM revoked_keys)",
        "UPDATE main.grants SET (revoked_at, reason) = (SELECT revoked_at, reason \
         FROM revoked_grants WHERE revoked_grants.id = grants.id) \
         WHERE id IN (SELECT id FROM revoked_grants)",
        "UPDATE main.counters SET value = MAX(value, \
         (SELECT value FROM backup.counters AS old WHERE old.name = counters.name)) \
         WHERE name IN (SELECT name FROM backup.counters)",
        "INSERT OR IGNORE INTO main.jti_seen SELECT * FROM backup.jti_seen",
    ];
    for statement in again {
        sqlx::query(statement).execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    Ok(())
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// A new name in a folder survives a power cut once the folder is synced.
fn sync_folder(of: &Path) -> Result<(), Error> {
    let folder = of.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or_else(|| Path::new("."));
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| Error::Io(folder.to_path_buf(), error))
}
