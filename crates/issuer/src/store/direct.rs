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
    fn run(&mut self, connection: &Connection) -> &rusqlite::Result<Outcome> {
        self.outcome.insert(self.plan.run(connection))
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

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Committed,
    Undone,
}

/// All of them in one transaction, each undone alone if it fails. That is rare, and savepoints are dear:
/// SQLite copies each page before the first change in one. So there are none at first; where somebody is to
/// be undone all of them are, and are done again with savepoints.
fn run(connection: &Connection, batch: &mut [Job]) -> rusqlite::Result<()> {
    match within(connection, || run_without_savepoints(connection, batch))? {
        Ended::Committed => Ok(()),
        Ended::Undone => within(connection, || run_with_savepoints(connection, batch)).map(drop),
    }
}

fn within(
    connection: &Connection,
    work: impl FnOnce() -> rusqlite::Result<Ended>,
) -> rusqlite::Result<Ended> {
    execute(connection, "BEGIN IMMEDIATE")?;
    let ended = work().and_then(|ended| {
        let end = if ended == Ended::Committed { "COMMIT" } else { "ROLLBACK" };
        execute(connection, end).map(|()| ended)
    });
    if ended.is_err() {
        // It may be that SQLite has done so by itself.
        let _ = execute(connection, "ROLLBACK");
    }
    ended
}

fn run_without_savepoints(connection: &Connection, batch: &mut [Job]) -> rusqlite::Result<Ended> {
    for job in batch {
        match job.run(connection) {
            // Whose first step changed nothing has nothing to be undone.
            Ok(Outcome::Done | Outcome::Missed(0)) => {}
            Ok(Outcome::Missed(_)) | Err(_) => return Ok(Ended::Undone),
        }
    }
    Ok(Ended::Committed)
}

fn run_with_savepoints(connection: &Connection, batch: &mut [Job]) -> rusqlite::Result<Ended> {
    for job in batch {
        execute(connection, "SAVEPOINT one")?;
        if !matches!(job.run(connection), Ok(Outcome::Done)) {
            execute(connection, "ROLLBACK TO one")?;
        }
        execute(connection, "RELEASE one")?;
    }
    Ok(Ended::Committed)
}

fn execute(connection: &Connection, text: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(text)?.execute([]).map(drop)
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
    // What a savepoint or a sort keeps for a moment needs no file.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
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

    /// One that misses half way, one that misses at once and one that SQLite refuses, among others in the
    /// same transaction.
    #[tokio::test(flavor = "multi_thread")]
    async fn each_is_undone_alone() {
        const ADD: &str = "INSERT INTO leases (name, node, expires_at) VALUES ($1, '', 0)";
        const CHANGE: &str = "UPDATE leases SET expires_at = 1 WHERE name = $1";
        let store = test_stores::sqlite().await;
        let Pools::Sqlite { writer, direct, .. } = &store.pools else { unreachable!() };
        let write = |plan: Plan| {
            let direct = Arc::clone(direct);
            tokio::spawn(async move { direct.write(plan).await })
        };
        let add = |name: &str| Plan::default().and(ADD, [name.into()]);
        write(add("there")).await.unwrap().unwrap();
        for kinds in [&["half"][..], &["at once"], &["refused"], &["half", "at once", "refused"]] {
            // So that all of them wait together.
            let others_wait = writer.alone().await.unwrap();
            let (mut good, mut bad) = (Vec::new(), Vec::new());
            for index in 0..10 {
                good.push(write(add(&format!("{kinds:?} {index}"))));
                for kind in kinds {
                    let plan = match *kind {
                        "half" => add("half").must(CHANGE, ["half".into()]),
                        "at once" => Plan::default(),
                        _ => Plan::default()
                            .must(CHANGE, ["there".into()])
                            .and(ADD, ["there".into()]),
                    };
                    bad.push((
                        *kind,
                        write(plan.must(CHANGE, ["nobody".into()]).and(ADD, ["x".into()])),
                    ));
                }
            }
            drop(others_wait);
            for done in good {
                assert_eq!(done.await.unwrap().unwrap(), Outcome::Done);
            }
            for (kind, done) in bad {
                match (kind, done.await.unwrap()) {
                    ("half", Ok(Outcome::Missed(2))) | ("at once", Ok(Outcome::Missed(0))) => {}
                    ("refused", Err(Error::Database(_))) => {}
                    (_, outcome) => panic!("{kind}: {outcome:?}"),
                }
            }
        }
        let count = "SELECT COUNT(*) FROM leases";
        assert_eq!(store.number(count).await, 41);
        assert_eq!(store.number("SELECT COUNT(*) FROM leases WHERE expires_at <> 0").await, 0);
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
