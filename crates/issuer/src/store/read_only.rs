//! PostgreSQL servers that only read: after a failover, a name or a proxy may still lead to the one that
//! was the primary before.

use std::{
    sync::RwLock,
    time::{Duration, Instant},
};

use sqlx::PgConnection;

/// How long all connections are looked at after one of them could not write.
const SUSPICION: Duration = Duration::from_secs(30);

/// When that was. It is one for the process: a look too many does no harm.
static SEEN: RwLock<Option<Instant>> = RwLock::new(None);

/// On a standby, and where the server, the database or the role is set to read only.
pub(super) const STATE: &str = "SELECT current_setting('transaction_read_only')";

/// Fails for a connection that cannot write, which is closed then.
pub(super) async fn refuse(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let (state,): (String,) = sqlx::query_as(STATE).fetch_one(connection).await?;
    check(&state)
}

/// Fails where the state is that of a connection that cannot write.
pub(super) fn check(state: &str) -> Result<(), sqlx::Error> {
    match state {
        "off" => Ok(()),
        _ => {
            suspect();
            Err(sqlx::Error::Protocol("the database server is read-only".to_owned()))
        }
    }
}

/// Notes that a statement failed for that (`read_only_sql_transaction`).
pub(super) fn note(error: &sqlx::Error) {
    if error.as_database_error().is_some_and(|error| error.code().as_deref() == Some("25006")) {
        suspect();
    }
}

fn suspect() {
    if let Ok(mut seen) = SEEN.write() {
        *seen = Some(Instant::now());
    }
}

/// Whether connections are to be looked at before they are used.
pub(super) fn is_suspected() -> bool {
    SEEN.read().is_ok_and(|seen| seen.is_some_and(|seen| seen.elapsed() < SUSPICION))
}

#[cfg(test)]
mod tests {
    use countersign_testkit::postgres::Postgres;

    use crate::{Database, Store};

    const WRITE: &str = "UPDATE counters SET value = value WHERE name = 'key_set'";

    /// A node says so and comes back by itself, whether its connections end or only change.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_server_that_only_reads_is_not_used() {
        let server = Postgres::start(&["fsync=off"]);
        let name = server.create_database();
        let store = Store::open(&Database::Postgres(server.url(&name))).await.unwrap();
        let write = async || store.sql(WRITE).execute().await;
        write().await.unwrap();
        store.ping().await.unwrap();

        // A proxy leads the same connections elsewhere: once one of them could not write, all are looked at.
        assert!(!super::is_suspected());
        let mut transaction = store.begin().await.unwrap();
        transaction.sql("SET TRANSACTION READ ONLY").execute().await.unwrap();
        transaction.sql(WRITE).execute().await.unwrap_err();
        drop(transaction);
        assert!(super::is_suspected());
        for _ in 0..20 {
            let change = "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY";
            store.sql(change).execute().await.unwrap();
            write().await.unwrap();
        }

        // The primary is a standby now.
        let say = |statement: &str| server.sql("postgres", statement);
        say(&format!("ALTER DATABASE {name} SET default_transaction_read_only = on"));
        say(&format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
        ));
        assert_eq!(store.ping().await.unwrap_err().reason(), "database_failed");
        assert_eq!(write().await.unwrap_err().reason(), "database_failed");
        say(&format!("ALTER DATABASE {name} RESET default_transaction_read_only"));
        store.ping().await.unwrap();
        write().await.unwrap();
        store.close().await;
    }
}
