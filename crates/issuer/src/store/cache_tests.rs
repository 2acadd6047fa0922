//! Tests of the cache: every change of what it keeps is counted and seen, whoever makes it.

use std::{env, fs, path::PathBuf, process, time::Duration};

use countersign_testkit::postgres;
use tokio::time::{Instant, sleep};

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

/// A change of each kind to each table, in an order that leaves no row without its parent.
const CHANGES: [&str; 21] = [
    "INSERT INTO resources (uri, name, is_default, created_at) VALUES ('https://r', 'R', FALSE, 1)",
    "UPDATE resources SET token_lifetime = 60 WHERE uri = 'https://r'",
    "INSERT INTO resource_aliases (alias, resource) VALUES ('mcp://r', 'https://r')",
    "UPDATE resource_aliases SET alias = 'mcp://s'",
    "DELETE FROM resource_aliases",
    "INSERT INTO scopes (resource, name, description, position) VALUES ('https://r', 's', '', 0)",
    "UPDATE scopes SET implies = 't'",
    "DELETE FROM scopes",
    "INSERT INTO resource_tools (resource, tool, scopes) VALUES ('https://r', 't', 's')",
    "UPDATE resource_tools SET scopes = 't'",
    "DELETE FROM resource_tools",
    "INSERT INTO clients (id, kind, name, redirect_uris, grant_types, auth_method, created_at) VALUES \
     ('c', 'static', 'C', '', '', 'none', 1)",
    "UPDATE clients SET disabled_at = 5",
    "INSERT INTO client_resources (client_id, resource, scopes, introspects) VALUES ('c', 'https://r', \
     's', FALSE)",
    "UPDATE client_resources SET introspects = TRUE",
    "DELETE FROM client_resources",
    "DELETE FROM clients",
    "INSERT INTO client_documents (url, body, sha256, pinned, fetched_at, fresh_until) VALUES \
     ('https://c', '', '', FALSE, 1, 1)",
    "UPDATE client_documents SET fresh_until = 2",
    "DELETE FROM client_documents",
    "DELETE FROM resources",
];

async fn every_change_is_counted(store: &Store) {
    let count = "SELECT value FROM counters WHERE name = 'settings'";
    for change in CHANGES {
        let before: Option<i64> = store.sql(count).scalar().await.unwrap();
        store.sql(change).execute().await.unwrap();
        let after: Option<i64> = store.sql(count).scalar().await.unwrap();
        assert!(after > before, "{change}");
    }
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
    seen_by_others(&ours, &theirs).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgres() {
    let server = postgres::Database::new();
    let database = Database::Postgres(server.url());
    let (ours, theirs) =
        (Store::open(&database).await.unwrap(), Store::open(&database).await.unwrap());
    every_change_is_counted(&ours).await;
    seen_by_others(&ours, &theirs).await;
}
