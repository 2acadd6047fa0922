//! Backups: a copy of the SQLite file while servers go on, and back again in one transaction.

use std::{
    fs::{self, File},
    path::Path,
};

use sqlx::{AssertSqlSafe, Connection as _, SqliteConnection};

use super::{
    Backup, Store,
    backup_file::{POSTGRES, private, remove, with_suffix},
    sql::Pools,
};
use crate::{Error, clock};

/// What the present database knows better than any backup: it is not replaced.
const KEPT: [&str; 4] = ["_sqlx_migrations", "counters", "jti_seen", "leases"];

/// What a backup must not bring back: what was used or ended since would count again. Clients and
/// people begin these anew by themselves, but for initial access tokens, of which an administrator makes
/// new ones. Access tokens whose status list is gone are refused by guards until they expire.
const SHORT_LIVED: [&str; 11] = [
    "DELETE FROM auth_codes",
    "DELETE FROM device_codes",
    "DELETE FROM interactions",
    "DELETE FROM pushed_requests",
    "DELETE FROM sessions",
    "DELETE FROM issued_tokens",
    "DELETE FROM status_leases",
    "DELETE FROM status_lists",
    "DELETE FROM initial_access_tokens",
    // They may have been taken back since.
    "DELETE FROM consents",
    // Nothing comes of these any more, and nothing is left that would take them along when it ends.
    "DELETE FROM grants WHERE NOT EXISTS (SELECT 1 FROM refresh_tokens WHERE grant_id = grants.id)",
];

/// A refresh token that was used or revoked since the backup would count again.
const END_GRANTS: &str =
    "UPDATE grants SET revoked_at = $1, reason = 'restored' WHERE revoked_at IS NULL";

/// All nodes read their keys anew, and give out no more places in status lists that are gone.
const COUNT_UP: &str = "UPDATE counters SET value = value + 1 WHERE name IN ('key_set', 'resources', \
                        'restored', 'settings')";

/// What the present database knows of what is revoked, disabled, deleted or replaced. The rows of keys and grants
/// that are revoked go after a day or more; the log knows them still.
const REMEMBER: [&str; 8] = [
    "CREATE TEMP TABLE revoked_keys AS SELECT kid, drop_at FROM main.signing_keys \
     WHERE state = 'revoked' UNION ALL SELECT ref, MAX(revoked_at) FROM main.revocation_log \
     WHERE kind = 'key' AND ref NOT IN (SELECT kid FROM main.signing_keys WHERE state = 'revoked') \
     GROUP BY ref",
    "CREATE TEMP TABLE revoked_grants AS SELECT id, revoked_at, reason FROM main.grants \
     WHERE revoked_at IS NOT NULL UNION ALL SELECT ref, MAX(revoked_at), reason \
     FROM main.revocation_log WHERE kind = 'grant' AND ref NOT IN \
     (SELECT id FROM main.grants WHERE revoked_at IS NOT NULL) GROUP BY ref",
    // Their grants ended with them, also of those who came back since.
    "CREATE TEMP TABLE ended_holders AS SELECT kind, ref, MAX(revoked_at) AS revoked_at, reason \
     FROM main.revocation_log WHERE kind IN ('user', 'client') GROUP BY kind, ref",
    // Also those that were deleted since.
    "CREATE TEMP TABLE disabled_users AS SELECT id, disabled_at FROM main.users \
     WHERE disabled_at IS NOT NULL UNION ALL SELECT ref, MAX(revoked_at) FROM main.revocation_log \
     WHERE kind = 'user' AND reason = 'user_deleted' GROUP BY ref",
    // Also those that were deleted since, and have not come back by themselves.
    "CREATE TEMP TABLE ended_clients AS SELECT id, disabled_at, not_before FROM main.clients \
     UNION ALL SELECT ref, MAX(revoked_at), 0 FROM main.revocation_log WHERE kind = 'client' AND \
     reason = 'client_deleted' AND seq NOT IN (SELECT seq FROM backup.revocation_log) AND ref NOT \
     IN (SELECT id FROM main.clients) GROUP BY ref",
    // Also those that were trusted or linked anew since: with other keys, or to somebody else.
    "CREATE TEMP TABLE ended_trust AS SELECT kind, ref FROM main.revocation_log WHERE kind IN \
     ('identity_provider', 'identity') AND seq NOT IN (SELECT seq FROM backup.revocation_log)",
    // They may have been replaced since, because somebody else knew those before.
    "CREATE TEMP TABLE known_passwords AS SELECT id, password_hash FROM main.users",
    "CREATE TEMP TABLE known_secrets AS SELECT id, secret_hash, registration_token_hash, jwks, jwks_uri \
     FROM main.clients",
];

/// It stays so, whatever the backup says.
const AGAIN: [&str; 12] = [
    "UPDATE main.signing_keys SET state = 'revoked', private_sealed = x'', drop_at = \
     (SELECT drop_at FROM revoked_keys WHERE revoked_keys.kid = signing_keys.kid) \
     WHERE kid IN (SELECT kid FROM revoked_keys)",
    "UPDATE main.grants SET revoked_at = known.revoked_at, reason = known.reason \
     FROM revoked_grants AS known WHERE known.id = grants.id",
    "UPDATE main.grants SET revoked_at = ended.revoked_at, reason = ended.reason \
     FROM ended_holders AS ended WHERE ended.kind = 'user' AND ended.ref = grants.user_id \
     AND grants.created_at <= ended.revoked_at AND grants.revoked_at IS NULL",
    "UPDATE main.grants SET revoked_at = ended.revoked_at, reason = ended.reason \
     FROM ended_holders AS ended WHERE ended.kind = 'client' AND ended.ref = grants.client_id \
     AND grants.created_at <= ended.revoked_at AND grants.revoked_at IS NULL",
    "UPDATE main.users SET disabled_at = (SELECT disabled_at FROM disabled_users \
     WHERE disabled_users.id = users.id) WHERE id IN (SELECT id FROM disabled_users)",
    "UPDATE main.clients SET (disabled_at, not_before) = (SELECT COALESCE(ended.disabled_at, \
     clients.disabled_at), MAX(ended.not_before, clients.not_before) FROM ended_clients AS ended \
     WHERE ended.id = clients.id) WHERE id IN (SELECT id FROM ended_clients)",
    "UPDATE main.users SET password_hash = known.password_hash FROM known_passwords AS known \
     WHERE known.id = users.id",
    "UPDATE main.clients SET secret_hash = known.secret_hash, registration_token_hash = \
     known.registration_token_hash, jwks = known.jwks, jwks_uri = known.jwks_uri \
     FROM known_secrets AS known WHERE known.id = clients.id",
    "UPDATE main.counters SET value = MAX(value, \
     (SELECT value FROM backup.counters AS old WHERE old.name = counters.name)) \
     WHERE name IN (SELECT name FROM backup.counters)",
    "INSERT OR IGNORE INTO main.jti_seen SELECT * FROM backup.jti_seen",
    "DELETE FROM main.user_identities WHERE issuer || ' ' || subject IN (SELECT ref FROM ended_trust \
     WHERE kind = 'identity') OR issuer IN (SELECT ref FROM ended_trust WHERE kind = \
     'identity_provider')",
    "DELETE FROM main.identity_providers WHERE issuer IN (SELECT ref FROM ended_trust WHERE kind = \
     'identity_provider')",
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
        // A backup that was killed may have left one.
        remove(&partial).map_err(io)?;
        // SQLite fills an empty file.
        private(&partial).map_err(io)?;
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
    /// meanwhile. See [`Store::after_restore`] for what does not come back; who and what is disabled
    /// or revoked now stays so, and passwords, secrets and keys of clients stay what they are now.
    ///
    /// # Errors
    /// [`Error::Invalid`] for PostgreSQL; [`Error::Database`], [`Error::Io`].
    pub async fn restore(&self, backup: Backup, keep_grants: bool) -> Result<(), Error> {
        let Pools::Sqlite { writer, .. } = &self.pools else {
            return Err(Error::Invalid(POSTGRES.to_owned()));
        };
        let mut connection = writer.connect(false).await?;
        let replaced = replace_content(&mut connection, backup.copy(), keep_grants).await;
        connection.close().await?;
        replaced?;
        backup.remove()
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
            transaction.sql(END_GRANTS).bind(clock::now()).execute().await?;
        }
        transaction.sql(COUNT_UP).execute().await?;
        transaction.commit().await
    }
}

async fn replace_content(
    connection: &mut SqliteConnection,
    copy: &Path,
    keep_grants: bool,
) -> Result<(), Error> {
    sqlx::query("ATTACH $1 AS backup")
        .bind(copy.display().to_string())
        .execute(&mut *connection)
        .await?;
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    for statement in REMEMBER {
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
    // Safe from its first moment: whoever is killed here has restored all of it or nothing.
    for statement in AGAIN.into_iter().chain(SHORT_LIVED).chain([COUNT_UP]) {
        sqlx::query(statement).execute(&mut *transaction).await?;
    }
    if !keep_grants {
        sqlx::query(END_GRANTS).bind(clock::now()).execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    Ok(())
}

/// A new name in a folder survives a power cut once the folder is synced.
fn sync_folder(of: &Path) -> Result<(), Error> {
    let folder = of.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or_else(|| Path::new("."));
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| Error::Io(folder.to_path_buf(), error))
}

#[cfg(test)]
#[path = "backup_tests.rs"]
mod tests;
