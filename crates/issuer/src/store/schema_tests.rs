//! Tests of the migrations: from the schema before, and the same on both engines.

use std::{borrow::Cow, collections::BTreeSet, env, fs, path::PathBuf, process};

use countersign_testkit::postgres;
use sqlx::{
    migrate::Migrator,
    sqlite::{SqliteConnectOptions, SqlitePoolOptions},
};

use crate::{Database, IdentityProvider, Store};

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = env::temp_dir().join(format!("countersign-{name}-{}", process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn database(&self) -> Database {
        Database::Sqlite(self.0.join("test.db"))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What version 0.1 of the skeleton stored, each table with a row.
const SCHEMA_2: &str = "
    INSERT INTO signing_keys VALUES ('k', 'ES256', 'active', '{}', x'01', 1000);
    INSERT INTO users VALUES ('u', 'Ada', NULL, 'hash', 1000);
    INSERT INTO sessions VALUES (x'02', 'u', 1000, 2000);
    INSERT INTO resources VALUES ('https://b', 'B', 1, 1000);
    INSERT INTO resources VALUES ('https://a', 'A', 0, 1000);
    INSERT INTO resource_aliases VALUES ('mcp://b', 'https://b');
    INSERT INTO scopes VALUES ('https://b', 'read', 'Read', 0, '');
    INSERT INTO clients VALUES ('c', 'registered', 'C', 'https://c', 'authorization_code', 'none',
                                NULL, 1000);
    INSERT INTO interactions VALUES (x'03', x'04', '{}', 1000, 2000);
    INSERT INTO consents VALUES ('u', 'c', 'https://b', 'https://c', 'read', 1000);
    INSERT INTO grants VALUES ('g', 'u', 'c', 'https://b', 'read', NULL, 1000, 1000, NULL, NULL);
    INSERT INTO auth_codes VALUES (x'05', 'g', 'c', 'https://c', 'x', 2000, NULL);
    INSERT INTO refresh_tokens VALUES (x'06', 'g', 1000, 2000, NULL, NULL, NULL);
";

#[tokio::test]
async fn schema_2_becomes_the_present_one() {
    let folder = Folder::new("schema");
    let database = folder.database();
    let path = database.file().unwrap();
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let old = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
    let all = sqlx::migrate!("migrations/sqlite");
    let before: Vec<_> = all.iter().filter(|step| step.version <= 2).cloned().collect();
    Migrator { migrations: Cow::Owned(before), ..Migrator::DEFAULT }.run(&old).await.unwrap();
    sqlx::raw_sql(SCHEMA_2).execute(&old).await.unwrap();
    old.close().await;

    let store = Store::open(&database).await.unwrap();
    let keys = store.signing_keys().await.unwrap();
    assert_eq!((keys[0].kid.as_str(), keys[0].sign_from), ("k", 1000));
    assert_eq!(store.credentials("ADA").await.unwrap().unwrap().0, "u");
    let names: Vec<String> =
        store.resources().await.unwrap().into_iter().map(|resource| resource.uri).collect();
    assert_eq!(names, ["https://b", "https://a"], "in the order in which they were added");
    assert!(store.client("c").await.unwrap().is_some());
    assert_eq!(
        store.consented("u", "c", "https://b", "https://c").await.unwrap().as_deref(),
        Some("read")
    );
    let code = store.code(&[5]).await.unwrap().unwrap();
    assert_eq!((code.grant_id.as_str(), code.expires_at), ("g", 2000));
    let token = store.refresh_token(&[6]).await.unwrap().unwrap();
    assert_eq!(
        (token.user_id.as_str(), token.expires_at, token.successor_used),
        ("u", 2000, false)
    );
    // Foreign keys hold again, and lead to the new tables.
    store.sql("DELETE FROM users WHERE id = 'u'").execute().await.unwrap();
    for table in [
        "SELECT COUNT(*) FROM sessions",
        "SELECT COUNT(*) FROM consents",
        "SELECT COUNT(*) FROM grants",
        "SELECT COUNT(*) FROM auth_codes",
        "SELECT COUNT(*) FROM refresh_tokens",
    ] {
        assert_eq!(store.sql(table).scalar::<i64>().await.unwrap(), Some(0), "{table}");
    }
    store.close().await;
}

/// What schema 4 stored where schema 5 changes something.
const SCHEMA_4: &str = "
    INSERT INTO users (id, name, password_hash, created_at) VALUES ('u', 'ada', '', 0);
    INSERT INTO resources (uri, name, created_at) VALUES ('https://r', '', 0);
    INSERT INTO clients (id, kind, name, redirect_uris, grant_types, auth_method, created_at)
        VALUES ('c', 'static', '', '', '', 'none', 0);
    INSERT INTO client_resources (client_id, resource, scopes, introspects)
        VALUES ('c', 'https://r', 'read', TRUE);
    INSERT INTO issued_tokens (status_list, status_index, jti, client_id, expires_at)
        VALUES ('l', 7, 'j', 'c', 2000);
";

/// A database of each engine as it was before this version, with these rows.
async fn before(
    version: i64,
    rows: &'static str,
    folder: &Folder,
    server: &postgres::Database,
) -> [Database; 2] {
    let steps = |all: &Migrator| Migrator {
        migrations: all.iter().filter(|step| step.version < version).cloned().collect(),
        ..Migrator::DEFAULT
    };
    let sqlite = folder.database();
    let options = SqliteConnectOptions::new().filename(sqlite.file().unwrap());
    let options = options.create_if_missing(true).foreign_keys(false);
    let old = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
    steps(&sqlx::migrate!("migrations/sqlite")).run(&old).await.unwrap();
    sqlx::raw_sql(rows).execute(&old).await.unwrap();
    old.close().await;
    let old = sqlx::PgPool::connect(&server.url()).await.unwrap();
    steps(&sqlx::migrate!("migrations/postgres")).run(&old).await.unwrap();
    sqlx::raw_sql(rows).execute(&old).await.unwrap();
    old.close().await;
    [sqlite, Database::Postgres(server.url())]
}

/// 0005: what clients and tokens were, they still are; nothing is exchanged, and nobody trusted.
#[tokio::test]
async fn schema_4_becomes_the_present_one() {
    let folder = Folder::new("schema-4");
    let server = postgres::Database::new();
    for database in before(5, SCHEMA_4, &folder, &server).await {
        let store = Store::open(&database).await.unwrap();
        let resource = store.client_resources("c").await.unwrap().remove(0);
        assert_eq!((resource.scopes.as_str(), resource.introspects), ("read", true));
        assert_eq!(resource.exchanges, "");
        let held = "SELECT COUNT(*) FROM issued_tokens WHERE holder IS NULL";
        assert_eq!(store.sql(held).scalar::<i64>().await.unwrap(), Some(1));
        assert_eq!(store.identity_providers().await.unwrap(), []);
        store.close().await;
    }
}

/// 0007: clients that there are are held to nothing that they did not ask for.
#[tokio::test]
async fn schema_6_becomes_the_present_one() {
    let folder = Folder::new("schema-6");
    let server = postgres::Database::new();
    for database in before(7, SCHEMA_4, &folder, &server).await {
        let store = Store::open(&database).await.unwrap();
        let client = store.client("c").await.unwrap().unwrap().client;
        assert_eq!((client.dpop_bound, client.signed_requests), (false, false), "{database}");
        store.close().await;
    }
}

/// What schema 10 stored where schema 11 changes something.
const SCHEMA_10: &str = "
    UPDATE counters SET value = 1 WHERE name = 'revocations';
    INSERT INTO revocation_log (seq, kind, ref, revoked_at, revoked_by, reason)
        VALUES (1, 'client', 'c', 1000, 'n', 'disabled');
";

/// What schema 8 stored where schema 9 changes something.
const SCHEMA_8: &str = "
    INSERT INTO users (id, name, password_hash, created_at) VALUES ('u', 'ada', '', 0);
    INSERT INTO resources (uri, name, created_at) VALUES ('https://r', '', 0);
    INSERT INTO clients (id, kind, name, redirect_uris, grant_types, auth_method, created_at)
        VALUES ('c', 'static', '', '', '', 'none', 0);
    INSERT INTO grants (id, user_id, client_id, resource, scopes, auth_time, created_at, cnf)
        VALUES ('bound', 'u', 'c', 'https://r', '', 0, 0, '{\"jkt\":\"x\"}'),
               ('free', 'u', 'c', 'https://r', '', 0, 0, NULL);
    INSERT INTO refresh_tokens (hash, grant_id, issued_at, expires_at)
        VALUES ('1', 'bound', 0, 2000), ('2', 'free', 0, 2000);
";

/// 0011: what was logged still is, and so is the end of trust.
#[tokio::test]
async fn schema_10_becomes_the_present_one() {
    let folder = Folder::new("schema-10");
    let server = postgres::Database::new();
    for database in before(11, SCHEMA_10, &folder, &server).await {
        let store = Store::open(&database).await.unwrap();
        let provider = IdentityProvider {
            issuer: "https://idp".to_owned(),
            jwks: None,
            jwks_uri: Some("https://idp/keys".to_owned()),
        };
        store.add_identity_provider(&provider).await.unwrap();
        store.delete_identity_provider("https://idp").await.unwrap();
        let rows = store.sql("SELECT kind, ref FROM revocation_log ORDER BY seq").all();
        let rows: Vec<(String, String)> = rows.await.unwrap();
        let expected = [("client", "c"), ("identity_provider", "https://idp")];
        assert_eq!(rows, expected.map(|(kind, name)| (kind.to_owned(), name.to_owned())));
        store.close().await;
    }
}

/// 0009: a refresh token whose grant was bound to a key is, and no other.
#[tokio::test]
async fn schema_8_becomes_the_present_one() {
    let folder = Folder::new("schema-8");
    let server = postgres::Database::new();
    for database in before(9, SCHEMA_8, &folder, &server).await {
        let store = Store::open(&database).await.unwrap();
        let rows = store.sql("SELECT grant_id, cnf FROM refresh_tokens ORDER BY grant_id").all();
        let rows: Vec<(String, Option<String>)> = rows.await.unwrap();
        let bound = ("bound".to_owned(), Some(r#"{"jkt":"x"}"#.to_owned()));
        assert_eq!(rows, [bound, ("free".to_owned(), None)], "{database}");
        store.close().await;
    }
}

type Column = (String, String, String, bool);

/// A query that works on one works on the other.
#[tokio::test]
async fn both_engines_have_the_same_tables() {
    let folder = Folder::new("tables");
    let sqlite = Store::open(&folder.database()).await.unwrap();
    let server = postgres::Database::new();
    let postgres = Store::open(&Database::Postgres(server.url())).await.unwrap();
    let ours: Vec<Column> = sqlite
        .sql(
            "SELECT m.name, c.name, CASE c.type WHEN 'INTEGER' THEN 'bigint' WHEN 'BLOB' \
             THEN 'bytea' ELSE lower(c.type) END, c.\"notnull\" OR c.pk > 0 FROM sqlite_schema m, \
             pragma_table_info(m.name) c WHERE m.type = 'table' AND m.name <> '_sqlx_migrations' \
             AND m.name NOT LIKE 'sqlite%'",
        )
        .all()
        .await
        .unwrap();
    let theirs: Vec<Column> = postgres
        .sql(
            "SELECT table_name::text, column_name::text, CASE data_type WHEN 'boolean' \
             THEN 'bigint' ELSE data_type::text END, is_nullable = 'NO' \
             FROM information_schema.columns WHERE table_schema = 'public' \
             AND table_name <> '_sqlx_migrations'",
        )
        .all()
        .await
        .unwrap();
    assert_same(ours, theirs);
    let ours: Vec<(String,)> = sqlite
        .sql("SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL")
        .all()
        .await
        .unwrap();
    let theirs: Vec<(String,)> = postgres
        .sql(
            // Those that are not there because of a constraint.
            "SELECT indexname::text FROM pg_indexes WHERE schemaname = 'public' \
             AND indexname NOT IN (SELECT conname FROM pg_constraint)",
        )
        .all()
        .await
        .unwrap();
    assert_same(ours, theirs);
    sqlite.close().await;
    postgres.close().await;
}

#[track_caller]
fn assert_same<T: std::fmt::Debug + Ord>(ours: Vec<T>, theirs: Vec<T>) {
    let (ours, theirs): (BTreeSet<T>, BTreeSet<T>) =
        (ours.into_iter().collect(), theirs.into_iter().collect());
    assert!(ours.len() > 10, "{ours:?}");
    let only_ours: Vec<_> = ours.difference(&theirs).collect();
    let only_theirs: Vec<_> = theirs.difference(&ours).collect();
    assert!(only_ours.is_empty() && only_theirs.is_empty(), "{only_ours:#?} {only_theirs:#?}");
}
