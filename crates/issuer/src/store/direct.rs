//! The short way to the SQLite file, for what programs ask for all day long: a read runs where it is
//! asked for, and a transaction is one message to a thread that commits all that wait by one sync of
//! the disk.
//!
//! Statements of the other way ([`super::sql`]) are a message each. Both write in turns: the thread
//! takes the writer's turn for each batch.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError, mpsc},
    thread,
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
    writer: Arc<Writer>,
    readers: Mutex<Vec<Connection>>,
    queue: OnceLock<mpsc::Sender<Job>>,
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
    pub(super) fn new(path: &Path, writer: Arc<Writer>) -> Self {
        let readers = Mutex::default();
        Self { path: path.to_owned(), writer, readers, queue: OnceLock::new() }
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
        let queue = self.queue.get_or_init(|| self.start());
        // If the thread is gone, so is the other end of the channel.
        let _ = queue.send(Job { plan, outcome: None, waiting });
        outcome.await.unwrap_or_else(|_| Err(Error::Database(sqlx::Error::WorkerCrashed)))
    }

    /// Gives the readers back. The thread ends with this value.
    pub(crate) fn close(&self) {
        self.readers().clear();
    }

    fn start(&self) -> mpsc::Sender<Job> {
        let (sender, receiver) = mpsc::channel();
        let (path, writer) = (self.path.clone(), Arc::clone(&self.writer));
        let runtime = Handle::current();
        // Without a thread the receiver is dropped, and every write fails.
        let _ = thread::Builder::new()
            .name("sqlite".to_owned())
            .spawn(move || write_batches(&path, &writer, &runtime, &receiver));
        sender
    }

    fn readers(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
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
