//! What is stored, in SQLite or PostgreSQL, behind one interface.
//!
//! # Adding a query
//! Write a method of [`Store`] in the file of its subject, and each statement once, for both
//! engines:
//!
//! ```text
//! let grant: Option<GrantRow> = self
//!     .sql("SELECT id, scopes FROM grants WHERE id = $1 AND revoked_at IS NULL")
//!     .bind(id)
//!     .optional()
//!     .await?;
//! ```
//!
//! [`Statement`] ends with `optional`, `all`, `scalar` (one column), `execute` (number of changed
//! rows) or `returning`. A row becomes a tuple or a struct with `derive(sqlx::FromRow)`; name the
//! columns, in the SQL too. Several statements that belong together:
//!
//! ```text
//! let mut transaction = self.begin().await?;
//! transaction.sql("UPDATE …").bind(now).execute().await?;
//! transaction.commit().await?;
//! ```
//!
//! - What must happen once is one conditional `UPDATE … WHERE consumed_at IS NULL` (or `INSERT … ON
//!   CONFLICT DO NOTHING`, or `DELETE`), and counts only if it changed a row. Never read, decide and
//!   write: between the two another node does the same. READ COMMITTED is enough for this, and it is
//!   what PostgreSQL gives.
//! - A change that belongs to a grant first calls `lock_grant`, which fails for a revoked one: so a
//!   revocation comes before all of it or after all of it, and lists of what is to be revoked miss
//!   nothing. Grant first, then codes and tokens: one order, no deadlock.
//! - Outside of a transaction, `optional`, `all` and `scalar` read only; on SQLite their connections
//!   refuse to write. A statement that changes and reads is `returning`.
//! - What programs ask for all day long goes the short way: a `Plan` on SQLite, an `Item` that is done
//!   together with others on PostgreSQL. Both come to the same.
//! - No transaction is open while something else is waited for: on SQLite everybody would wait too.
//! - Integers are `i64`, flags are `bool` (write `is_default`, not `is_default = 1`; `TRUE`, not
//!   `1`), times are seconds since the epoch from `clock::now()`, bound as a parameter. No `rowid`, no
//!   `NOW()`, no `SUM` (numeric on PostgreSQL), no case-insensitive collation: bind a key in lower
//!   case.
//! - Secrets are stored as `secret::hash(Kind, value)`, one kind and one table each.
//!
//! # Adding a table
//! Add `NNNN_what.sql` with the same number to `migrations/sqlite` and `migrations/postgres`
//! (`INTEGER`, `BLOB` there; `BIGINT`, `BYTEA`, `BOOLEAN` here). A migration that has landed is never
//! edited: servers check its digest. SQLite changes a constraint by making the table anew; foreign
//! keys are off meanwhile. A table with an `expires_at` gets an index on it and a line in `prune.rs`.
//! The test `both_engines_have_the_same_tables` compares the outcomes.
//!
//! Nodes are brought up to date one after the other, so the release before works with the new schema for a
//! while. From the first release on: a column or a table is dropped, and a check made narrower, one
//! release *after* the one whose code stopped using it; what is new has a default. A migration that keeps
//! to this says so, in a row of its own: `INSERT INTO counters (name, value) VALUES ('schema_14_needs',
//! 13)` in `0014_what.sql` means that a program works which knows the migrations up to 0013. Without
//! that row, an older program refuses to start.
//!
//! # Testing
//! Tests of this crate that start an issuer run on the engine that `COUNTERSIGN_TEST_DATABASE` names
//! (`sqlite`, the default, or `postgres`: they start their own server from Debian's package).
//! `cargo xtask test` runs both.

mod backup;
mod backup_file;
mod cache;
mod changes;
mod clients;
mod codes;
mod device;
mod direct;
mod documents;
mod exchange;
mod grant_lock;
mod identities;
mod inspection;
mod interactions;
mod keys;
mod leases;
mod migrate;
mod open;
#[cfg(test)]
mod order_tests;
mod plan;
mod prune;
mod pushed;
mod read_only;
mod refresh;
mod registration;
mod replay;
mod resources;
mod revocation;
#[cfg(test)]
mod schema_tests;
mod sql;
mod status;
#[cfg(test)]
pub(crate) mod test_stores;
mod tidied;
mod together;
mod users;
mod writer;

use std::sync::Arc;

use crate::{Database, Error};

pub use self::{
    backup_file::Backup,
    clients::{Client, ClientKind, ClientResource},
    documents::ClientDocument,
    identities::{Identity, IdentityProvider},
    inspection::GrantState,
    keys::SigningKeyInfo,
    registration::InitialToken,
    resources::{Resource, ScopeText, ToolRule},
    revocation::Grant,
    users::User,
};
use self::{
    cache::Cache,
    direct::Direct,
    sql::{Pools, Statement, Transaction},
};
pub(crate) use self::{
    clients::ClientRow,
    codes::{CodeRow, NewCode, NewGrant, Redemption},
    device::{DeviceRow, NewDeviceCode, WaitingDevice},
    documents::{DocumentRow, FoundDocument},
    interactions::InteractionRow,
    keys::SigningKeyRow,
    refresh::{NewRefreshToken, RefreshRow},
    sql::PATIENCE,
    status::{IssuedToken, LeasedBlock, NewStatusList},
    users::SessionRow,
};

/// The database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    pools: Pools,
    cache: Arc<Cache>,
}

impl Store {
    /// Opens the database and brings its schema up to date. A SQLite file is made when it does not
    /// exist; a PostgreSQL database must be there.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Io`] and [`Error::Migration`].
    pub async fn open(database: &Database) -> Result<Self, Error> {
        let pools = match database {
            Database::Postgres(url) => open::postgres(url).await?,
            Database::Sqlite(path) => open::sqlite(path).await?,
        };
        Ok(Self { pools, cache: Arc::default() })
    }

    /// Whether it is on PostgreSQL.
    #[must_use]
    pub const fn is_postgres(&self) -> bool {
        matches!(self.pools, Pools::Postgres { .. })
    }

    /// Closes all connections.
    pub async fn close(&self) {
        self.pools.close().await;
    }

    /// Whether the database answers, and there is somebody to write to it.
    pub(crate) async fn ping(&self) -> Result<(), Error> {
        self.pools.direct().map_or(Ok(()), Direct::check)?;
        self.sql("SELECT COUNT(*) FROM counters").scalar::<i64>().await?;
        if self.is_postgres() {
            let state: Option<String> = self.sql(read_only::STATE).scalar().await?;
            read_only::check(state.as_deref().unwrap_or_default())?;
        }
        Ok(())
    }

    /// What a test wants to see of a table.
    #[cfg(test)]
    pub(crate) async fn test_rows<T: sql::Record>(&self, text: &'static str) -> Vec<T> {
        self.sql(text).all().await.unwrap()
    }

    fn sql(&self, text: &'static str) -> Statement<'_> {
        self.pools.sql(text)
    }

    async fn begin(&self) -> Result<Transaction, Error> {
        self.pools.begin().await
    }
}

/// Turns a violated uniqueness into a sentence.
fn exists(what: String) -> impl FnOnce(Error) -> Error {
    move |error| match &error {
        Error::Database(refused)
            if refused.as_database_error().is_some_and(|found| found.is_unique_violation()) =>
        {
            Error::Exists(what)
        }
        _ => error,
    }
}
