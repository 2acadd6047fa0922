//! Tests of the cache: every change of what it keeps is counted and seen, whoever makes it.

use std::{
    env, fs,
    path::PathBuf,
    process,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use countersign_testkit::postgres;
use sqlx::{Connection as _, PgConnection};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use crate::{Database, NewResource, NewScope, Store};

struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = env::temp_dir().join(format!("countersign-cache-{}", process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A change of each kind to each table, in an order that leaves no row without its parent, and which of
/// the two numbers counts it.
const CHANGES: [(&str, bool, bool); 21] = [
    (
        "INSERT INTO resources (uri, name, is_default, created_at) VALUES ('https://r', 'R', FALSE, 1)",
        true,
        true,
    ),
    ("UPDATE resources SET token_lifetime = 60 WHERE uri = 'https://r'", true, true),
    ("INSERT INTO resource_aliases (alias, resource) VALUES ('mcp://r', 'https://r')", true, true),
    ("UPDATE resource_aliases SET alias = 'mcp://s'", true, true),
    ("DELETE FROM resource_aliases", true, true),
    (
        "INSERT INTO scopes (resource, name, description, position) VALUES ('https://r', 's', '', 0)",
        true,
        true,
    ),
    ("UPDATE scopes SET implies = 't'", true, true),
    ("DELETE FROM scopes", true, true),
    (
        "INSERT INTO resource_tools (resource, tool, scopes) VALUES ('https://r', 't', 's')",
        true,
        true,
    ),
    ("UPDATE resource_tools SET scopes = 't'", true, true),
    ("DELETE FROM resource_tools", true, true),
    (
        "INSERT INTO clients (id, kind, name, redirect_uris, grant_types, auth_method, created_at) \
         VALUES ('c', 'static', 'C', '', '', 'none', 1)",
        false,
        false,
    ),
    ("UPDATE clients SET disabled_at = 5", true, false),
    (
        "INSERT INTO client_resources (client_id, resource, scopes, introspects) VALUES ('c', \
         'https://r', 's', FALSE)",
        true,
        false,
    ),
    ("UPDATE client_resources SET introspects = TRUE", true, false),
    ("DELETE FROM client_resources", true, false),
    ("DELETE FROM clients", true, false),
    (
        "INSERT INTO client_documents (url, pinned, fetched_at, fresh_until) VALUES ('https://c', \
         FALSE, 1, 1)",
        false,
        false,
    ),
    ("UPDATE client_documents SET fresh_until = 2", false, false),
    ("DELETE FROM client_documents", false, false),
    ("DELETE FROM resources", true, true),
];

async fn every_change_is_counted(store: &Store) {
    let count = async || {
        let settings = "SELECT value FROM counters WHERE name = 'settings'";
        let resources = "SELECT value FROM counters WHERE name = 'resources'";
        let settings: Option<i64> = store.sql(settings).scalar().await.unwrap();
        let resources: Option<i64> = store.sql(resources).scalar().await.unwrap();
        (settings, resources)
    };
    for (change, settings, resources) in CHANGES {
        let before = count().await;
        store.sql(change).execute().await.unwrap();
        let after = count().await;
        assert_eq!((after.0 > before.0, after.1 > before.1), (settings, resources), "{change}");
    }
}

/// What is kept stays where something else has changed: registrations empty nothing.
async fn what_has_not_changed_is_kept(store: &Store) {
    let new = "INSERT INTO clients (id, kind, name, redirect_uris, grant_types, auth_method, \
               created_at) VALUES ('known', 'static', '', '', '', 'none', 0)";
    store.sql(new).execute().await.unwrap();
    let kept = async || {
        store.cache.look_again();
        let client = store.known_client("known").await.unwrap().unwrap();
        (client, store.known_resources().await.unwrap())
    };
    let (client, resources) = kept().await;
    assert!(store.known_client("new").await.unwrap().is_none());
    let new = "INSERT INTO clients (id, kind, name, redirect_uris, grant_types, auth_method, \
               created_at) VALUES ('new', 'registered', '', '', '', 'none', 0)";
    store.sql(new).execute().await.unwrap();
    assert!(
        store.known_client("new").await.unwrap().is_some(),
        "nobody keeps that it was not there"
    );
    let same = kept().await;
    assert!(Arc::ptr_eq(&client, &same.0) && Arc::ptr_eq(&resources, &same.1));
    store.sql("UPDATE clients SET name = 'other' WHERE id = 'new'").execute().await.unwrap();
    let other = kept().await;
    assert!(!Arc::ptr_eq(&client, &other.0) && Arc::ptr_eq(&resources, &other.1));
    store.sql("DELETE FROM clients").execute().await.unwrap();
}

/// What one process changes another one sees, on PostgreSQL after at most a second.
async fn seen_by_others(ours: &Store, theirs: &Store) {
    let new = |uri: &str| NewResource {
        uri: uri.to_owned(),
        name: "R".to_owned(),
        scopes: vec![NewScope { name: "s".to_owned(), ..NewScope::default() }],
        ..NewResource::default()
    };
    assert_eq!(ours.resources().await.unwrap().len(), 0);
    theirs.create_resource(new("https://a.example")).await.unwrap();
    until(async || ours.resources().await.unwrap().len() == 1).await;
    ours.create_resource(new("https://b.example")).await.unwrap();
    assert_eq!(ours.resources().await.unwrap().len(), 2, "its own change at once");
    theirs.sql("DELETE FROM resources").execute().await.unwrap();
    until(async || ours.resources().await.unwrap().is_empty()).await;
}

async fn until(condition: impl AsyncFn() -> bool) {
    let start = Instant::now();
    while !condition().await {
        assert!(start.elapsed() < Duration::from_secs(30));
        sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite() {
    let folder = Folder::new();
    let database = Database::Sqlite(folder.0.join("test.db"));
    let (ours, theirs) =
        (Store::open(&database).await.unwrap(), Store::open(&database).await.unwrap());
    every_change_is_counted(&ours).await;
    what_has_not_changed_is_kept(&ours).await;
    seen_by_others(&ours, &theirs).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgres() {
    let server = postgres::Database::new();
    let database = Database::Postgres(server.url());
    let (ours, theirs) =
        (Store::open(&database).await.unwrap(), Store::open(&database).await.unwrap());
    every_change_is_counted(&ours).await;
    what_has_not_changed_is_kept(&ours).await;
    seen_by_others(&ours, &theirs).await;
}

/// A database that does not answer is asked once for all who wait: one after the other, the last of them
/// would wait for minutes.
#[tokio::test]
async fn who_wait_for_a_database_that_is_away_wait_together() {
    let server = postgres::Database::new();
    let database = Database::Postgres(server.url());
    let store = Store::open(&database).await.unwrap();
    let mut other = PgConnection::connect(&server.url()).await.unwrap();
    let mut away = other.begin().await.unwrap();
    let lock = "LOCK TABLE counters IN ACCESS EXCLUSIVE MODE";
    sqlx::query(lock).execute(&mut *away).await.unwrap();
    let mut asking = JoinSet::new();
    for _ in 0..50 {
        let store = store.clone();
        asking.spawn(async move { store.known_client("c").await.is_err() });
    }
    let failed = timeout(Duration::from_secs(100), asking.join_all()).await.unwrap();
    assert!(failed.into_iter().all(|failed| failed));
    let looks = store.cache.looks.load(Ordering::Relaxed);
    assert!(looks < 10, "{looks} for 50");
    away.rollback().await.unwrap();
    assert!(store.known_client("c").await.unwrap().is_none(), "it is asked again");
}
