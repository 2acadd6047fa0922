//! Tests of restoring: what may not come back does not, at no moment.

use std::path::PathBuf;

use super::*;
use crate::{
    Database,
    store::{
        Identity, IdentityProvider, InitialToken,
        test_stores::{self, Opened},
    },
};

const COLUMNS: &str = "(id, user_id, client_id, resource, scopes, auth_time, created_at)";

/// With a grant, a session and a status list, and a backup of that.
async fn backed_up() -> (Opened, PathBuf) {
    let store = test_stores::sqlite().await;
    store.fill().await;
    let grant =
        format!("INSERT INTO grants {COLUMNS} VALUES ('g', 'u', 'c', 'https://r', '', 0, 0)");
    for statement in [
        grant.leak(),
        "INSERT INTO refresh_tokens (hash, grant_id, issued_at, expires_at) VALUES (x'02', 'g', 0, \
         9000000000)",
        "INSERT INTO sessions (id_hash, user_id, auth_time, expires_at) VALUES (x'01', 'u', 0, \
         9000000000)",
        "INSERT INTO status_lists (id, size, permutation_sealed, sealed_by, bits, created_at, \
         closes_at, drop_at) VALUES ('l', 8, x'', '', x'00', 0, 9000000000, 9000000000)",
    ] {
        store.run(statement).await;
    }
    let to = store.folder.join("backup.db");
    store.back_up(&to).await.unwrap();
    (store, to)
}

fn database(store: &Opened) -> Database {
    Database::Sqlite(store.folder.join("test.db"))
}

async fn restore(store: &Opened, from: &Path, keep_grants: bool) -> Result<(), Error> {
    let backup = Backup::open(from, &database(store)).await?;
    store.restore(backup, keep_grants).await
}

fn left(store: &Opened) -> Vec<String> {
    let names = fs::read_dir(&store.folder).unwrap().map(|entry| entry.unwrap().file_name());
    let names = names.map(|name| name.into_string().unwrap());
    names.filter(|name| name.contains("restoring")).collect()
}

/// Where the end of what was used fails, nothing is restored at all.
#[tokio::test]
async fn all_of_it_or_nothing() {
    let (store, backup) = backed_up().await;
    store.run("UPDATE users SET name = 'Grace'").await;
    store
        .run(
            "CREATE TRIGGER stop BEFORE UPDATE ON grants WHEN NEW.reason = 'restored' BEGIN SELECT \
             RAISE(ABORT, 'killed'); END",
        )
        .await;
    restore(&store, &backup, false).await.unwrap_err();
    assert_eq!(store.number("SELECT COUNT(*) FROM users WHERE name = 'Grace'").await, 1);
    assert_eq!(store.number("SELECT COUNT(*) FROM sessions").await, 1, "as it was");
    assert!(left(&store).is_empty());
    store.run("DROP TRIGGER stop").await;
    let generation = store.key_set_generation().await.unwrap();
    restore(&store, &backup, false).await.unwrap();
    assert_eq!(store.number("SELECT COUNT(*) FROM users WHERE name = 'Ada'").await, 1);
    for nothing in [
        "SELECT COUNT(*) FROM sessions",
        "SELECT COUNT(*) FROM status_lists",
        "SELECT COUNT(*) FROM grants WHERE revoked_at IS NULL",
    ] {
        assert_eq!(store.number(nothing).await, 0, "{nothing}");
    }
    assert!(store.key_set_generation().await.unwrap() > generation, "nodes notice");
    assert!(left(&store).is_empty());
}

/// Who was shut out since the backup stays out, deleted clients too; who was let in again does not
/// stay out for that.
#[tokio::test]
async fn who_is_disabled_stays_so() {
    let (store, backup) = backed_up().await;
    store.disable_user("Ada").await.unwrap();
    store.disable_client("c").await.unwrap();
    store.enable_client("c").await.unwrap();
    let not_before = store.client("c").await.unwrap().unwrap().client.not_before;
    store.delete_client("s").await.unwrap();
    restore(&store, &backup, true).await.unwrap();
    assert!(store.users().await.unwrap()[0].is_disabled);
    let client = async |id| store.client(id).await.unwrap().unwrap().client;
    assert!(!client("c").await.is_disabled);
    assert_eq!(client("c").await.not_before, not_before, "its tokens from before stay void");
    assert!(client("s").await.is_disabled);
    assert_eq!(store.number("SELECT COUNT(*) FROM grants WHERE revoked_at IS NULL").await, 0);

    // A backup of somebody who was disabled then.
    store.enable_user("Ada").await.unwrap();
    store.disable_client("c").await.unwrap();
    let second = store.folder.join("second.db");
    store.back_up(&second).await.unwrap();
    store.enable_client("c").await.unwrap();
    restore(&store, &second, true).await.unwrap();
    assert!(!store.users().await.unwrap()[0].is_disabled);
    assert!(client("c").await.is_disabled);
    assert!(client("s").await.is_disabled);

    // Somebody who is gone altogether.
    store.delete_user("Ada").await.unwrap();
    restore(&store, &second, true).await.unwrap();
    assert!(store.users().await.unwrap()[0].is_disabled);
}

/// Their rows are pruned after a day or more; a backup from before has them alive.
#[tokio::test]
async fn what_was_revoked_long_ago_stays_so() {
    let (store, _) = backed_up().await;
    for statement in [
        "INSERT INTO signing_keys (kid, alg, state, public_jwk, private_sealed, sealed_by, \
         created_at, sign_from, sign_until) VALUES ('k', 'ES256', 'active', '{}', x'01', '', 0, 0, \
         9000000000)",
        "INSERT INTO users (id, name, name_key, password_hash, created_at) VALUES ('v', 'Grace', \
         'grace', '', 0)",
        "INSERT INTO grants (id, user_id, client_id, resource, scopes, auth_time, created_at) \
         VALUES ('of-user', 'v', 'c', 'https://r', '', 0, 0), ('of-client', 'u', 's', 'https://r', \
         '', 0, 0), ('later', 'u', 's', 'https://r', '', 0, 9000000000)",
        "INSERT INTO refresh_tokens (hash, grant_id, issued_at, expires_at) VALUES (x'03', \
         'of-user', 0, 9000000000), (x'04', 'of-client', 0, 9000000000), (x'05', 'later', 0, \
         9000000000)",
    ] {
        store.run(statement).await;
    }
    let sunday = store.folder.join("sunday.db");
    store.back_up(&sunday).await.unwrap();

    store.revoke_signing_key("k", "stolen", clock::now(), 0).await.unwrap();
    assert!(store.revoke_grant("g", "revoked").await.unwrap());
    // Both are back since; what they had allowed is not.
    store.disable_user("Grace").await.unwrap();
    store.enable_user("Grace").await.unwrap();
    store.disable_client("s").await.unwrap();
    store.enable_client("s").await.unwrap();
    store.drop_signing_keys(clock::now()).await.unwrap();
    store.run("DELETE FROM refresh_tokens").await;
    store.run("DELETE FROM grants").await;
    assert_eq!(store.number("SELECT COUNT(*) FROM signing_keys").await, 0);

    restore(&store, &sunday, true).await.unwrap();
    let keys = "SELECT COUNT(*) FROM signing_keys WHERE state = 'revoked' AND private_sealed = x'' \
                AND drop_at > 0";
    assert_eq!(store.number(keys).await, 1);
    let alive: Vec<(String,)> =
        store.test_rows("SELECT id FROM grants WHERE revoked_at IS NULL").await;
    assert_eq!(alive, [("later".to_owned(),)]);
}

/// Whom the administrator trusts no longer is not trusted for a backup: providers, who is who of them, and
/// tokens for registration. What came since is gone, as everything else.
#[tokio::test]
async fn trust_that_ended_stays_so() {
    let (store, _) = backed_up().await;
    let provider = |name: &str, uri: &str| IdentityProvider {
        issuer: format!("https://{name}"),
        jwks: None,
        jwks_uri: Some(format!("https://{name}/{uri}")),
    };
    let link = |name: &str, subject: &str| Identity {
        issuer: format!("https://{name}"),
        subject: subject.to_owned(),
        user: "Ada".to_owned(),
    };
    for name in ["stays", "ends", "changes"] {
        store.add_identity_provider(&provider(name, "old")).await.unwrap();
        store.link_user(&link(name, "a b")).await.unwrap();
    }
    store.link_user(&link("stays", "c")).await.unwrap();
    store.link_user(&link("stays", "d")).await.unwrap();
    let expires_at = clock::now() + 3600;
    let token = InitialToken { name: "ci".to_owned(), uses_left: 1, expires_at };
    store.add_initial_token(b"hash", &token).await.unwrap();
    let backup = store.folder.join("trust.db");
    store.back_up(&backup).await.unwrap();

    store.delete_identity_provider("https://ends").await.unwrap();
    store.delete_identity_provider("https://changes").await.unwrap();
    store.add_identity_provider(&provider("changes", "new")).await.unwrap();
    store.unlink_user("https://stays", "c").await.unwrap();
    store.unlink_user("https://stays", "d").await.unwrap();
    store.link_user(&link("stays", "d")).await.unwrap();
    restore(&store, &backup, true).await.unwrap();
    let known = store.identity_providers().await.unwrap();
    assert_eq!(known, [provider("stays", "old")]);
    let identities = store.identities().await.unwrap();
    assert_eq!(identities, [link("stays", "a b")]);
    assert_eq!(store.number("SELECT COUNT(*) FROM initial_access_tokens").await, 0);

    // On a machine that knows of none of this, all of it is back but the tokens.
    let other = test_stores::sqlite().await;
    restore(&other, &backup, true).await.unwrap();
    assert_eq!(other.identity_providers().await.unwrap().len(), 3);
    assert_eq!(other.identities().await.unwrap().len(), 5);
}

/// Somebody else may know those of the backup. Who is not here any more has what the backup says.
#[tokio::test]
async fn what_was_replaced_stays_so() {
    let (store, _) = backed_up().await;
    for statement in [
        "UPDATE users SET password_hash = 'old'",
        "INSERT INTO users (id, name, name_key, password_hash, created_at) VALUES ('v', 'Grace', \
         'grace', 'hers', 0)",
        "UPDATE clients SET secret_hash = x'01', registration_token_hash = x'02' WHERE id = 'c'",
        "UPDATE clients SET jwks = 'old', secret_hash = x'03' WHERE id = 's'",
    ] {
        store.run(statement).await;
    }
    let backup = store.folder.join("replaced.db");
    store.back_up(&backup).await.unwrap();

    store.set_password("ada", "correct horse", false).await.unwrap();
    let (_, password) = store.credentials("ada").await.unwrap().unwrap();
    store.renew_client_secret("c").await.unwrap();
    let replace = "UPDATE clients SET name = 'later', registration_token_hash = x'04'";
    store.run(replace).await;
    store.run("UPDATE clients SET jwks = 'new' WHERE id = 's'").await;
    let before = store.client("c").await.unwrap().unwrap();
    store.run("DELETE FROM users WHERE id = 'v'").await;
    restore(&store, &backup, false).await.unwrap();
    assert_eq!(store.credentials("ada").await.unwrap().unwrap().1, password);
    assert_eq!(store.credentials("grace").await.unwrap().unwrap().1, "hers");
    let client = store.client("c").await.unwrap().unwrap();
    assert_ne!(client.client.name, "later");
    assert_eq!(client.secret_hash, before.secret_hash);
    assert_eq!(client.registration_token_hash, Some(vec![4]));
    assert_eq!(store.client("s").await.unwrap().unwrap().jwks.as_deref(), Some("new"));

    store.delete_client("s").await.unwrap();
    restore(&store, &backup, false).await.unwrap();
    let client = store.client("s").await.unwrap().unwrap();
    assert_eq!((client.secret_hash, client.jwks.as_deref()), (Some(vec![3]), Some("old")));

    // A machine that knows of none of them.
    let other = test_stores::sqlite().await;
    restore(&other, &backup, false).await.unwrap();
    assert_eq!(other.credentials("ada").await.unwrap().unwrap().1, "old");
    assert_eq!(other.client("c").await.unwrap().unwrap().secret_hash, Some(vec![1]));
}

/// Consents may have been taken back since: everybody is asked once more.
#[tokio::test]
async fn consents_do_not_come_back() {
    let (store, _) = backed_up().await;
    store
        .run(
            "INSERT INTO consents (user_id, client_id, resource, redirect_uri, scopes, granted_at) \
             VALUES ('u', 'c', 'https://r', '', '', 0)",
        )
        .await;
    let backup = store.folder.join("consented.db");
    store.back_up(&backup).await.unwrap();
    restore(&store, &backup, true).await.unwrap();
    assert_eq!(store.number("SELECT COUNT(*) FROM consents").await, 0);
}

/// What a grant was for is over, and no refresh token takes it along when it ends.
#[tokio::test]
async fn grants_without_refresh_tokens_do_not_come_back() {
    let (store, _) = backed_up().await;
    store
        .run(
            "INSERT INTO grants (id, user_id, client_id, resource, scopes, auth_time, created_at) \
             VALUES ('asserted', 'u', 'c', 'https://r', '', 0, 0)",
        )
        .await;
    store.after_restore(true).await.unwrap();
    assert_eq!(store.number("SELECT COUNT(*) FROM grants WHERE id = 'asserted'").await, 0);
    assert_eq!(store.number("SELECT COUNT(*) FROM grants WHERE id = 'g'").await, 1);
}

/// What a backup that was killed has left is in nobody's way.
#[tokio::test]
async fn a_backup_after_one_that_was_killed() {
    let (store, backup) = backed_up().await;
    let to = store.folder.join("again.db");
    fs::write(with_suffix(&to, ".partial"), "x").unwrap();
    store.back_up(&to).await.unwrap();
    assert!(!with_suffix(&to, ".partial").exists());
    restore(&store, &to, true).await.unwrap();
    fs::write(&to, "SQLite format 2").unwrap();
    assert_eq!(restore(&store, &to, true).await.unwrap_err().reason(), "value_invalid");
    assert!(backup.exists());
}

#[tokio::test]
async fn the_copy_is_for_its_owner_and_leaves_nothing() {
    let (store, backup) = backed_up().await;
    // Of a restore that was killed.
    fs::write(with_suffix(&backup, ".restoring"), "x").unwrap();
    let copy = Backup::open(&backup, &database(&store)).await.unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(copy.copy()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    drop(copy);
    assert!(left(&store).is_empty());
    // One from another program, which cannot be brought up to date.
    let other = store.folder.join("other.db");
    fs::copy(&backup, &other).unwrap();
    let opened = Store::open(&Database::Sqlite(other.clone())).await.unwrap();
    opened.sql("UPDATE _sqlx_migrations SET checksum = x'00'").execute().await.unwrap();
    opened.close().await;
    restore(&store, &other, false).await.unwrap_err();
    assert!(left(&store).is_empty());
    assert_eq!(store.number("SELECT COUNT(*) FROM sessions").await, 1, "as it was");
}

/// Each would have replaced everything by nothing, or by less than there is.
#[tokio::test]
async fn only_whole_backups_of_ours_are_put_back() {
    let (store, backup) = backed_up().await;
    let refused = async |from: &Path, said: &str| {
        let error = restore(&store, from, true).await.unwrap_err();
        assert_eq!(error.reason(), "value_invalid");
        assert!(error.to_string().contains(said), "{error}");
        assert_eq!(store.number("SELECT COUNT(*) FROM users").await, 1, "{error}");
        assert!(left(&store).is_empty());
    };
    let file = |name: &str| store.folder.join(name);
    let made = |name: &str, statements: &str| {
        let connection = rusqlite::Connection::open(file(name)).unwrap();
        connection.execute_batch(statements).unwrap();
        file(name)
    };
    let log = "CREATE TABLE _sqlx_migrations (version BIGINT PRIMARY KEY, checksum BLOB);";
    refused(
        &made("bookmarks.db", "CREATE TABLE t (x); INSERT INTO t VALUES (1);"),
        "no such table",
    )
    .await;
    refused(&made("empty.db", log), "tables are others").await;
    let of_others = format!("{log} INSERT INTO _sqlx_migrations VALUES (1, x'00');");
    refused(&made("of-others.db", &of_others), "tables are others").await;
    fs::copy(&backup, file("newer.db")).unwrap();
    let newer = "INSERT INTO _sqlx_migrations SELECT 9001, description, installed_on, success, \
                 checksum, execution_time FROM _sqlx_migrations WHERE version = 1";
    refused(&made("newer.db", newer), "a newer version").await;
    refused(&file("test.db"), "the database itself").await;
    // The newest commits of a file that was copied while a server went on are beside it.
    fs::write(with_suffix(&backup, "-wal"), "x").unwrap();
    refused(&backup, "backup.db-wal").await;
    fs::write(with_suffix(&backup, "-wal"), "").unwrap();
    restore(&store, &backup, true).await.unwrap();
}

/// Nothing is made for a restore that cannot be.
#[tokio::test]
async fn the_database_is_not_made_for_a_file_that_is_no_backup() {
    let (store, backup) = backed_up().await;
    let other = store.folder.join("other.db");
    let database = Database::Sqlite(other.clone());
    Backup::open(&store.folder.join("missing.db"), &database).await.unwrap_err();
    drop(Backup::open(&backup, &database).await.unwrap());
    assert!(!other.exists());
    let postgres = Database::Postgres("postgres://localhost/x".to_owned());
    let error = Backup::open(&backup, &postgres).await.unwrap_err();
    assert!(error.to_string().contains("pg_restore"), "{error}");
}
