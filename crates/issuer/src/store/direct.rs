//! The short way to the SQLite file, for what programs ask for all day long: a read runs where it is
//! asked for, and a transaction is one message to a thread that commits all that wait by one sync of
//! the disk.
//!
//! Statements of the other way ([`super::sql`]) are a message each. Both write in turns: the thread
//! takes the writer's turn for each batch.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    thread::{Builder, JoinHandle},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags};
use tokio::{runtime::Handle, sync::oneshot};

use super::{
    plan::{Outcome, Plan},
    writer::Writer,
};
use crate::Error;

/// For another process that writes to the file, the same as on the other way. A reader waits for nobody in
/// this mode of SQLite, but for those who recover its log.
const BUSY: Duration = Duration::from_secs(5);

/// Readers that are kept open; more are opened when more threads read at the same moment.
const READERS: usize = 8;

/// Prepared statements that a connection keeps.
const STATEMENTS: usize = 48;

/// The log is worked into the file when it has so many pages, 16 MiB. It is read anew after a crash, in
/// milliseconds; the file is synced each time.
const CHECKPOINT: i64 = 4000;

/// Transactions that one sync confirms. More wait for the next.
const BATCH: usize = 256;

/// Reads and writes without a detour.
pub(crate) struct Direct {
    path: PathBuf,
    readers: Mutex<Vec<Connection>>,
    queue: mpsc::Sender<Job>,
    thread: JoinHandle<()>,
}

/// A plan that waits for the thread.
struct Job {
    plan: Plan,
    outcome: Option<rusqlite::Result<Outcome>>,
    waiting: oneshot::Sender<Result<Outcome, Error>>,
}

impl fmt::Debug for Direct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Direct").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Direct {
    /// Starts the thread, in a runtime that lasts as long as this. It ends with this value.
    ///
    /// # Errors
    /// [`Error::Io`] when the machine has no thread to give.
    pub(super) fn start(path: &Path, writer: Arc<Writer>) -> Result<Self, Error> {
        Self::start_as(Builder::new(), path, writer)
    }

    fn start_as(thread: Builder, path: &Path, writer: Arc<Writer>) -> Result<Self, Error> {
        let (queue, receiver) = mpsc::channel();
        let runtime = Handle::current();
        let its_path = path.to_owned();
        let thread = thread
            .name("sqlite".to_owned())
            .spawn(move || write_batches(&its_path, &writer, &runtime, &receiver))
            .map_err(|error| Error::Io(path.to_owned(), error))?;
        Ok(Self { path: path.to_owned(), readers: Mutex::default(), queue, thread })
    }

    /// Whether there is somebody who writes: without the thread every write fails.
    pub(super) fn check(&self) -> Result<(), Error> {
        match self.thread.is_finished() {
            true => Err(Error::Database(sqlx::Error::WorkerCrashed)),
            false => Ok(()),
        }
    }

    /// Reads, on this thread: pages that are needed are in memory as a rule.
    pub(crate) fn read<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, Error> {
        let kept = self.readers().pop();
        let connection = match kept {
            Some(connection) => connection,
            None => open(&self.path, BUSY, "ON").map_err(refused)?,
        };
        let found = work(&connection).map_err(refused)?;
        let mut readers = self.readers();
        if readers.len() < READERS {
            readers.push(connection);
        }
        Ok(found)
    }

    /// Carries out a plan: done once it is on the disk. Where nobody waits any more it goes on by
    /// itself.
    pub(super) async fn write(&self, plan: Plan) -> Result<Outcome, Error> {
        let (waiting, outcome) = oneshot::channel();
        // If the thread is gone, so is the other end of the channel.
        let _ = self.queue.send(Job { plan, outcome: None, waiting });
        outcome.await.unwrap_or_else(|_| Err(Error::Database(sqlx::Error::WorkerCrashed)))
    }

    /// Gives the readers back.
    pub(crate) fn close(&self) {
        self.readers().clear();
    }

    fn readers(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Job {
    /// `false`: to be undone.
    fn run(&mut self, connection: &Connection) -> bool {
        let outcome = self.outcome.insert(self.plan.run(connection));
        matches!(outcome, Ok(Outcome::Done))
    }

    /// Tells who waits how it came out.
    fn end(self, failure: Option<&rusqlite::Error>) {
        let outcome = match (failure, self.outcome) {
            (None, Some(outcome)) => outcome.map_err(refused),
            (Some(error), _) => Err(not_committed(error)),
            (None, None) => Err(Error::Database(sqlx::Error::WorkerCrashed)),
        };
        // Whoever has hung up has nobody to tell.
        let _ = self.waiting.send(outcome);
    }
}

fn write_batches(path: &Path, writer: &Writer, runtime: &Handle, queue: &mpsc::Receiver<Job>) {
    let mut connection = None;
    while let Ok(first) = queue.recv() {
        let turn = runtime.block_on(writer.alone());
        let mut batch = vec![first];
        batch.extend(queue.try_iter().take(BATCH - 1));
        let committed = match (&turn, usable(path, &mut connection)) {
            (Ok(_), Ok(connection)) => run(connection, &mut batch),
            (Err(_), _) => Err(rusqlite::Error::SqliteFailure(
                rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY),
                None,
            )),
            (_, Err(error)) => Err(error),
        };
        drop(turn);
        if let Err(error) = &committed {
            tracing::error!(reason = "database_failed", "a commit failed: {error}");
            // A connection that failed is not trusted with the next batch.
            connection = None;
        }
        for job in batch {
            job.end(committed.as_ref().err());
        }
    }
}

fn usable<'c>(
    path: &Path,
    connection: &'c mut Option<Connection>,
) -> rusqlite::Result<&'c Connection> {
    match connection {
        Some(connection) => Ok(connection),
        none => Ok(none.insert(open(path, BUSY, "OFF")?)),
    }
}

/// All of them in one transaction, each undone alone if it fails.
fn run(connection: &Connection, batch: &mut [Job]) -> rusqlite::Result<()> {
    let execute = |text| connection.prepare_cached(text)?.execute([]).map(drop);
    execute("BEGIN IMMEDIATE")?;
    let worked = batch.iter_mut().try_for_each(|job| {
        execute("SAVEPOINT one")?;
        if !job.run(connection) {
            execute("ROLLBACK TO one")?;
        }
        execute("RELEASE one")
    });
    let committed = worked.and_then(|()| execute("COMMIT"));
    if committed.is_err() {
        // It may be that SQLite has done so by itself.
        let _ = execute("ROLLBACK");
    }
    committed
}

fn open(path: &Path, busy: Duration, query_only: &str) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(busy)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update(None, "foreign_keys", "ON")?;
    // A committed transaction survives a power cut.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "query_only", query_only)?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT)?;
    Ok(connection)
}

fn refused(error: rusqlite::Error) -> Error {
    Error::Database(sqlx::Error::AnyDriverError(Box::new(error)))
}

fn not_committed(error: &rusqlite::Error) -> Error {
    Error::Database(sqlx::Error::Protocol(format!("the transaction was not committed: {error}")))
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::{
        Store,
        store::{sql::Pools, test_stores},
    };

    /// A store whose thread for writing is another one.
    async fn with(
        start: impl FnOnce(&Path, Arc<Writer>) -> Result<Direct, Error>,
    ) -> Result<Store, Error> {
        let store = test_stores::sqlite().await;
        let path = store.folder.join("test.db");
        let Pools::Sqlite { readers, writer, .. } = &store.pools else { unreachable!() };
        let direct = Arc::new(start(&path, Arc::clone(writer))?);
        let pools = Pools::Sqlite { readers: readers.clone(), writer: Arc::clone(writer), direct };
        let store = Store { pools, cache: Arc::default() };
        let plan = Plan::default().must("UPDATE counters SET value = value + 1", []);
        let written = store.carry_out(plan).await;
        assert_eq!(written.is_ok(), store.ping().await.is_ok(), "{written:?}");
        store.ping().await?;
        Ok(store)
    }

    /// A machine without a thread to give: that is said when the store is opened.
    #[tokio::test]
    async fn without_a_thread_nothing_is_opened() {
        assert!(with(Direct::start).await.is_ok());
        let too_large = || Builder::new().stack_size(1 << 56);
        let started = with(|path, writer| Direct::start_as(too_large(), path, writer)).await;
        assert!(matches!(started, Err(Error::Io(..))), "{started:?}");
    }

    /// A server whose writer is gone is not ready.
    #[tokio::test]
    async fn a_thread_that_ended_is_noticed() {
        let ended = |path: &Path, writer| {
            let ended = Direct {
                thread: thread::spawn(|| ()),
                queue: mpsc::channel().0,
                ..Direct::start(path, writer)?
            };
            while !ended.thread.is_finished() {
                thread::yield_now();
            }
            Ok(ended)
        };
        let found = with(ended).await;
        assert!(matches!(found, Err(Error::Database(sqlx::Error::WorkerCrashed))), "{found:?}");
    }
}
