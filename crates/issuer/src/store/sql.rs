//! One text of each statement for both engines, run where the store is.

use std::{sync::Arc, time::Duration};

use sqlx::{
    Connection as _, Encode, FromRow, PgPool, Postgres, Sqlite, SqlitePool, Type,
    postgres::{PgArguments, PgRow},
    query::Query,
    sqlite::{SqliteArguments, SqliteRow},
};
use tokio::time::timeout;

use super::{
    direct::Direct,
    read_only,
    together::Together,
    writer::{Batched, Writer},
};
use crate::Error;

/// For one statement. Ours take milliseconds; PostgreSQL gives up by itself a little before.
pub(crate) const PATIENCE: Duration = Duration::from_secs(12);

/// Connections to the database.
#[derive(Clone, Debug)]
pub(crate) enum Pools {
    Postgres {
        pool: PgPool,
        /// For what programs ask for all day long.
        together: Arc<Together>,
    },
    /// SQLite has one writer at a time; readers never wait for it.
    Sqlite { readers: SqlitePool, writer: Arc<Writer>, direct: Arc<Direct> },
}

/// A transaction that may write, rolled back when it is dropped.
pub(crate) enum Transaction {
    Postgres(sqlx::Transaction<'static, Postgres>),
    Sqlite(Batched),
}

/// A statement with its parameters, which stand in it as `$1`, `$2`…
#[must_use = "nothing happens before one of its methods is awaited"]
pub(crate) enum Statement<'s> {
    Postgres(Query<'static, Postgres, PgArguments>, OnPostgres<'s>),
    Sqlite(Query<'static, Sqlite, SqliteArguments>, OnSqlite<'s>),
}

/// Where a statement runs.
pub(crate) enum OnPostgres<'s> {
    Pool(&'s PgPool),
    Transaction(&'s mut sqlx::Transaction<'static, Postgres>),
}

/// Where a statement runs.
pub(crate) enum OnSqlite<'s> {
    Pools { readers: &'s SqlitePool, writer: &'s Writer },
    Transaction(&'s mut Batched),
}

/// What can be bound: `i64`, `bool`, text, bytes, and options of them.
pub(crate) trait Parameter<'p>:
    Encode<'p, Postgres> + Type<Postgres> + Encode<'p, Sqlite> + Type<Sqlite>
{
}

impl<'p, T> Parameter<'p> for T where
    T: Encode<'p, Postgres> + Type<Postgres> + Encode<'p, Sqlite> + Type<Sqlite>
{
}

/// What a row can become: a tuple, or a struct with `derive(FromRow)`.
pub(crate) trait Record:
    for<'r> FromRow<'r, PgRow> + for<'r> FromRow<'r, SqliteRow> + Send + Unpin
{
}

impl<T> Record for T where
    T: for<'r> FromRow<'r, PgRow> + for<'r> FromRow<'r, SqliteRow> + Send + Unpin
{
}

/// A statement by itself, for what has a pool and no more.
pub(super) fn on_postgres<'s>(pool: &'s PgPool, text: &'static str) -> Statement<'s> {
    Statement::Postgres(sqlx::query(text), OnPostgres::Pool(pool))
}

// === impl Pools ===

impl Pools {
    pub(crate) fn sql(&self, text: &'static str) -> Statement<'_> {
        match self {
            Self::Postgres { pool, .. } => on_postgres(pool, text),
            Self::Sqlite { readers, writer, .. } => {
                Statement::Sqlite(sqlx::query(text), OnSqlite::Pools { readers, writer })
            }
        }
    }

    /// The short way, which SQLite has.
    pub(crate) fn direct(&self) -> Option<&Direct> {
        match self {
            Self::Postgres { .. } => None,
            Self::Sqlite { direct, .. } => Some(direct),
        }
    }

    /// On SQLite it holds the write lock from its beginning, so that it cannot fail half way for
    /// want of it.
    pub(crate) async fn begin(&self) -> Result<Transaction, Error> {
        Ok(match self {
            Self::Postgres { pool, .. } => {
                // sqlx 0.9 forgets a BEGIN that is given up half way, and the next one to get this
                // connection would write into a transaction that nobody commits. So it is never
                // given up: it ends by itself, and is rolled back where nobody waits any more.
                let pool = pool.clone();
                let begun = tokio::spawn(async move { pool.begin().await });
                let begun = async { begun.await.unwrap_or(Err(sqlx::Error::WorkerCrashed)) };
                Transaction::Postgres(patiently(begun).await?)
            }
            Self::Sqlite { writer, .. } => Transaction::Sqlite(patiently(writer.begin()).await?),
        })
    }

    /// Pages of the SQLite file that became empty go back to the file system, some at a time.
    /// PostgreSQL does that by itself.
    pub(crate) async fn give_back_space(&self) -> Result<(), Error> {
        if let Self::Sqlite { writer, .. } = self {
            let mut connection = writer.connect(true).await?;
            sqlx::query("PRAGMA incremental_vacuum(500)").execute(&mut connection).await?;
            connection.close().await?;
        }
        Ok(())
    }

    pub(crate) async fn close(&self) {
        match self {
            Self::Postgres { pool, together } => {
                together.close().await;
                pool.close().await;
            }
            Self::Sqlite { readers, writer, direct } => {
                direct.close();
                writer.close().await;
                readers.close().await;
            }
        }
    }
}

// === impl Transaction ===

impl Transaction {
    pub(crate) fn sql(&mut self, text: &'static str) -> Statement<'_> {
        match self {
            Self::Postgres(within) => {
                Statement::Postgres(sqlx::query(text), OnPostgres::Transaction(within))
            }
            Self::Sqlite(within) => {
                Statement::Sqlite(sqlx::query(text), OnSqlite::Transaction(within))
            }
        }
    }

    /// When this is done, the changes survive a power cut.
    pub(crate) async fn commit(self) -> Result<(), Error> {
        match self {
            Self::Postgres(transaction) => patiently(transaction.commit()).await?,
            Self::Sqlite(transaction) => patiently(transaction.commit()).await?,
        }
        Ok(())
    }
}

// === impl Statement ===

impl Statement<'_> {
    /// The next parameter.
    pub(crate) fn bind<'p>(self, value: impl Parameter<'p>) -> Self {
        match self {
            Self::Postgres(query, place) => Self::Postgres(query.bind(value), place),
            Self::Sqlite(query, place) => Self::Sqlite(query.bind(value), place),
        }
    }

    /// Changes something; gives the number of rows. Outside of a transaction it is one by itself.
    pub(crate) async fn execute(self) -> Result<u64, Error> {
        let work = async {
            Ok(match self {
                Self::Postgres(query, OnPostgres::Pool(pool)) => {
                    query.execute(pool).await?.rows_affected()
                }
                Self::Postgres(query, OnPostgres::Transaction(within)) => {
                    query.execute(&mut **within).await?.rows_affected()
                }
                Self::Sqlite(query, OnSqlite::Pools { writer, .. }) => {
                    let mut alone = writer.begin().await?;
                    let done = query.execute(alone.connection()?).await?;
                    alone.commit().await?;
                    done.rows_affected()
                }
                Self::Sqlite(query, OnSqlite::Transaction(within)) => {
                    query.execute(within.connection()?).await?.rows_affected()
                }
            })
        };
        Ok(patiently(work).await?)
    }

    /// Changes something, and reads the row that is left: for `UPDATE … RETURNING`.
    pub(crate) async fn returning<T: Record>(self) -> Result<Option<T>, Error> {
        Ok(self.rows(true).await?.into_iter().next())
    }

    /// The first row, where there is one.
    pub(crate) async fn optional<T: Record>(self) -> Result<Option<T>, Error> {
        Ok(self.rows(false).await?.into_iter().next())
    }

    /// The only column of the first row, where there is one.
    pub(crate) async fn scalar<T>(self) -> Result<Option<T>, Error>
    where
        (T,): Record,
    {
        Ok(self.optional::<(T,)>().await?.map(|(value,)| value))
    }

    /// All rows. For what is few.
    pub(crate) async fn all<T: Record>(self) -> Result<Vec<T>, Error> {
        self.rows(false).await
    }

    async fn rows<T: Record>(self, writes: bool) -> Result<Vec<T>, Error> {
        match self {
            Self::Postgres(query, place) => {
                let work = async {
                    match place {
                        OnPostgres::Pool(pool) => query.fetch_all(pool).await,
                        OnPostgres::Transaction(within) => query.fetch_all(&mut **within).await,
                    }
                };
                let rows = match patiently(work).await {
                    // PostgreSQL has no text with a NUL, so there is nothing to be found either.
                    Err(error) if !writes && is_unstorable(&error) => return Ok(Vec::new()),
                    rows => rows?,
                };
                Ok(rows.iter().map(T::from_row).collect::<Result<_, _>>()?)
            }
            Self::Sqlite(query, place) => {
                let work = async {
                    match place {
                        OnSqlite::Pools { writer, .. } if writes => {
                            let mut alone = writer.begin().await?;
                            let rows = query.fetch_all(alone.connection()?).await?;
                            alone.commit().await?;
                            Ok(rows)
                        }
                        OnSqlite::Pools { readers, writer } => {
                            writer.settled().await;
                            query.fetch_all(readers).await
                        }
                        OnSqlite::Transaction(within) => {
                            query.fetch_all(within.connection()?).await
                        }
                    }
                };
                let rows = patiently(work).await?;
                Ok(rows.iter().map(T::from_row).collect::<Result<_, _>>()?)
            }
        }
    }
}

/// A database that does not answer is down: who asks is told so, and can try again.
pub(super) async fn patiently<T>(
    work: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    let done = timeout(PATIENCE, work).await.unwrap_or(Err(sqlx::Error::PoolTimedOut));
    done.inspect_err(read_only::note)
}

/// Does a transaction once more that PostgreSQL has ended so that others could go on. It has changed
/// nothing.
pub(super) async fn again_if_deadlocked<T, F>(work: impl Fn() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    match work().await {
        Err(Error::Database(error)) if is_deadlock(&error) => work().await,
        done => done,
    }
}

/// `deadlock_detected`.
fn is_deadlock(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.code().as_deref() == Some("40P01"))
}

/// `character_not_in_repertoire`.
fn is_unstorable(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.code().as_deref() == Some("22021"))
}

#[cfg(test)]
mod tests {
    use countersign_testkit::postgres;

    use super::*;
    use crate::{Database, Store};

    /// A client that hangs up must not leave a transaction open for the next one: what that one is
    /// told would be lost.
    #[tokio::test(flavor = "multi_thread")]
    async fn transactions_that_are_given_up_leave_nothing_open() {
        let server = postgres::Database::new();
        let database = Database::Postgres(server.url());
        let store = Store::open(&database).await.unwrap();
        let other = Store::open(&database).await.unwrap();
        for round in 0..10_i64 {
            let mut work = tokio::task::JoinSet::new();
            for index in 0..40 {
                let pools = store.pools.clone();
                work.spawn(async move {
                    let patience = Duration::from_micros(50 * index);
                    let _ = timeout(patience, async {
                        let mut transaction = pools.begin().await.unwrap();
                        let update = "UPDATE counters SET value = value WHERE name = 'key_set'";
                        transaction.sql(update).execute().await.unwrap();
                        transaction.commit().await.unwrap();
                    })
                    .await;
                });
            }
            work.join_all().await;
            for index in 0..20_i64 {
                let insert = "INSERT INTO leases (name, node, expires_at) VALUES ($1, '', 0)";
                let name = format!("{round}/{index}");
                store.pools.sql(insert).bind(name).execute().await.unwrap();
            }
            let count = other.pools.sql("SELECT COUNT(*) FROM leases").scalar::<i64>().await;
            assert_eq!(count.unwrap(), Some(20 * (round + 1)));
        }
    }
}
