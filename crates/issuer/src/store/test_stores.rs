//! An empty database on each engine, for tests of statements.

use std::{
    env, fs,
    ops::Deref,
    path::PathBuf,
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use countersign_testkit::postgres;

use crate::{Config, Database, Store, http::App, keys::Keys, seal::KeyRing};

/// A store, and what it is deleted with.
pub(crate) struct Opened {
    store: Store,
    pub(crate) folder: PathBuf,
    postgres: Option<postgres::Database>,
}

/// A file.
pub(crate) async fn sqlite() -> Opened {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let folder = env::temp_dir().join(format!("countersign-store-{}-{count}", process::id()));
    fs::create_dir_all(&folder).unwrap();
    let store = Store::open(&Database::Sqlite(folder.join("test.db"))).await.unwrap();
    Opened { store, folder, postgres: None }
}

/// One of each engine.
pub(crate) async fn each() -> [Opened; 2] {
    let server = postgres::Database::new();
    let store = Store::open(&Database::Postgres(server.url())).await.unwrap();
    let on_sqlite = sqlite().await;
    let folder = on_sqlite.folder.clone();
    [on_sqlite, Opened { store, folder, postgres: Some(server) }]
}

impl Opened {
    /// The store of another node, on PostgreSQL.
    pub(crate) async fn another(&self) -> Store {
        let database = self.postgres.as_ref().unwrap();
        Store::open(&Database::Postgres(database.url())).await.unwrap()
    }

    /// A server's state on it, with keys of its own.
    pub(crate) async fn app(&self) -> App {
        // The other engine's has deleted it.
        fs::create_dir_all(&self.folder).unwrap();
        let config = Config {
            database: Database::Sqlite(self.folder.join("test.db")),
            key_file: Some(self.folder.join("key")),
            ..Config::default()
        };
        let ring = KeyRing::load(&config, false).unwrap();
        let rotation = config.key_rotation_seconds();
        let keys = Keys::open(self.store.clone(), ring, rotation).await.unwrap();
        let issuer = config.issuer_at(config.listen).unwrap();
        App::new(config, issuer, self.store.clone(), keys).unwrap()
    }

    /// Changes something.
    pub(crate) async fn run(&self, statement: &'static str) {
        self.store.sql(statement).execute().await.unwrap();
    }

    /// The same with bytes as $1, which the engines write in different ways.
    pub(crate) async fn run_with(&self, statement: &'static str, bytes: &[u8]) {
        self.store.sql(statement).bind(bytes).execute().await.unwrap();
    }

    /// The number of rows, or whatever number this says.
    pub(crate) async fn number(&self, query: &'static str) -> i64 {
        self.store.sql(query).scalar().await.unwrap().unwrap()
    }

    /// A user, a resource, and two clients, one of which acts for itself.
    pub(crate) async fn fill(&self) {
        for insert in [
            "INSERT INTO users (id, name, name_key, password_hash, created_at) VALUES ('u', 'Ada', \
             'ada', '', 0)",
            "INSERT INTO resources (uri, name, created_at) VALUES ('https://r', '', 0)",
            "INSERT INTO clients (id, kind, name, redirect_uris, grant_types, auth_method, \
             created_at) VALUES ('c', 'static', '', '', '', 'none', 0)",
            "INSERT INTO clients (id, kind, name, redirect_uris, grant_types, auth_method, \
             created_at) VALUES ('s', 'static', '', '', '', 'none', 0)",
        ] {
            self.run(insert).await;
        }
    }
}

impl Deref for Opened {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}
