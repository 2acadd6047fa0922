//! The one writer of the SQLite file. Transactions that wait at the same time are committed together,
//! by one sync of the disk, which is what a commit costs.
//!
//! Each is a savepoint in a transaction around all of them. They run one after the other; nobody is
//! told that a transaction is done before the one around it is committed. If that fails, all of them
//! have failed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::{
    sync::{Mutex, Notify, OwnedMutexGuard, oneshot, watch},
    task::JoinHandle,
    time::timeout,
};

/// For one's turn. Who waits longer is told that the database is down.
const ACQUIRE: Duration = Duration::from_secs(5);

/// The writer. Whoever comes first writes first.
#[derive(Debug)]
pub(crate) struct Writer {
    shared: Arc<Shared>,
    committer: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    turn: Arc<Mutex<Turn>>,
    /// There is something to commit, or to tidy up.
    something: Notify,
    /// The last batch that is over.
    over: watch::Sender<u64>,
    /// The last batch in which somebody gave up after seeing what was not committed yet.
    seen: AtomicU64,
}

/// What one holds whose turn it is.
#[derive(Debug)]
struct Turn {
    /// `None` once it is closed.
    connection: Option<SqliteConnection>,
    options: SqliteConnectOptions,
    batch: u64,
    /// Whether the transaction around the batch has begun.
    is_open: bool,
    /// Whether a savepoint was begun and not ended.
    in_hand: bool,
    /// Who has released a savepoint and waits for the commit.
    waiting: Vec<oneshot::Sender<()>>,
}

/// A transaction of one; what it did is undone when it is dropped.
#[derive(Debug)]
pub(crate) struct Batched {
    shared: Arc<Shared>,
    turn: Option<OwnedMutexGuard<Turn>>,
}

/// Nobody else's turn.
pub(super) struct Alone {
    _turn: OwnedMutexGuard<Turn>,
}

// === impl Writer ===

impl Writer {
    pub(super) async fn open(options: SqliteConnectOptions) -> Result<Self, sqlx::Error> {
        let turn = Turn {
            connection: Some(options.connect().await?),
            options,
            batch: 0,
            is_open: false,
            in_hand: false,
            waiting: Vec::new(),
        };
        let shared = Arc::new(Shared {
            turn: Arc::new(Mutex::new(turn)),
            something: Notify::new(),
            over: watch::channel(0).0,
            seen: AtomicU64::new(0),
        });
        let committer = tokio::spawn(commit_batches(Arc::clone(&shared)));
        Ok(Self { shared, committer })
    }

    /// A transaction that holds the write lock from its beginning, so that it cannot fail half way
    /// for want of it.
    pub(super) async fn begin(&self) -> Result<Batched, sqlx::Error> {
        let turn = timeout(ACQUIRE, Arc::clone(&self.shared.turn).lock_owned()).await;
        let mut turn = turn.map_err(|_| sqlx::Error::PoolTimedOut)?;
        turn.tidy(&self.shared).await;
        turn.in_hand = true;
        let begins = !turn.is_open;
        if begins {
            turn.is_open = true;
            turn.batch += 1;
        }
        // From here on what was begun is undone if this is given up.
        let mut batched = Batched { shared: Arc::clone(&self.shared), turn: Some(turn) };
        if begins {
            sqlx::query("BEGIN IMMEDIATE").execute(batched.connection()?).await?;
        }
        sqlx::query("SAVEPOINT one").execute(batched.connection()?).await?;
        Ok(batched)
    }

    /// The turn without a transaction: for another connection of this process to write. Nobody else
    /// writes until it is dropped.
    pub(super) async fn alone(&self) -> Result<Alone, sqlx::Error> {
        let turn = timeout(ACQUIRE, Arc::clone(&self.shared.turn).lock_owned()).await;
        let mut turn = turn.map_err(|_| sqlx::Error::PoolTimedOut)?;
        turn.tidy(&self.shared).await;
        turn.commit(&self.shared).await;
        turn.connection()?;
        Ok(Alone { _turn: turn })
    }

    /// Waits until a reader sees everything that somebody has seen who gave up: who lost a race looks
    /// for what the winner has stored, and the winner may be in the same batch.
    pub(super) async fn settled(&self) {
        let seen = self.shared.seen.load(Ordering::Acquire);
        if *self.shared.over.borrow() < seen {
            // The sender lives as long as this.
            let _ = self.shared.over.subscribe().wait_for(|over| *over >= seen).await;
        }
    }

    /// Another connection to the same file, with foreign keys or without.
    pub(super) async fn connect(&self, keys: bool) -> Result<SqliteConnection, sqlx::Error> {
        let options = self.shared.turn.lock().await.options.clone();
        options.foreign_keys(keys).connect().await
    }

    pub(super) async fn close(&self) {
        let mut turn = self.shared.turn.lock().await;
        turn.tidy(&self.shared).await;
        turn.commit(&self.shared).await;
        if let Some(connection) = turn.connection.take() {
            // What was answered is on the disk already.
            let _ = connection.close().await;
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.committer.abort();
    }
}

/// It waits for its turn like everybody: all who were in line before it are in the batch.
async fn commit_batches(shared: Arc<Shared>) {
    loop {
        shared.something.notified().await;
        let mut turn = shared.turn.lock().await;
        turn.tidy(&shared).await;
        turn.commit(&shared).await;
    }
}

// === impl Turn ===

impl Turn {
    /// Undoes what the one before has left, which was dropped before its end.
    async fn tidy(&mut self, shared: &Shared) {
        if !self.in_hand {
            return;
        }
        let undone = match self.execute("ROLLBACK TO one").await {
            Ok(()) => self.execute("RELEASE one").await,
            Err(error) => Err(error),
        };
        self.in_hand = false;
        if undone.is_err() {
            // SQLite has rolled back everything by itself, as when the disk is full.
            self.fail(shared).await;
        }
    }

    /// Ends the batch. Everybody in it is told.
    async fn commit(&mut self, shared: &Shared) {
        if !self.is_open {
            return;
        }
        if let Err(error) = self.execute("COMMIT").await {
            tracing::error!(reason = "database_failed", "a commit failed: {error}");
            self.fail(shared).await;
            return;
        }
        self.is_open = false;
        shared.over.send_replace(self.batch);
        for waiting in self.waiting.drain(..) {
            // Whoever has hung up has nobody to tell.
            let _ = waiting.send(());
        }
    }

    /// Everything of this batch is undone. Who waits is told by the end of the channel.
    async fn fail(&mut self, shared: &Shared) {
        // It may be that there is nothing left to roll back.
        let _ = self.execute("ROLLBACK").await;
        self.is_open = false;
        self.in_hand = false;
        self.waiting.clear();
        shared.over.send_replace(self.batch);
        // A connection that failed is not trusted with the next batch.
        if self.connection.is_some()
            && let Ok(connection) = self.options.connect().await
        {
            self.connection = Some(connection);
        }
    }

    async fn execute(&mut self, statement: &'static str) -> Result<(), sqlx::Error> {
        sqlx::query(statement).execute(self.connection()?).await.map(drop)
    }

    fn connection(&mut self) -> Result<&mut SqliteConnection, sqlx::Error> {
        self.connection.as_mut().ok_or(sqlx::Error::PoolClosed)
    }
}

// === impl Batched ===

impl Batched {
    pub(super) fn connection(&mut self) -> Result<&mut SqliteConnection, sqlx::Error> {
        self.turn.as_mut().ok_or(sqlx::Error::PoolClosed)?.connection()
    }

    /// Done once the batch is on the disk. It goes on by itself where this is not awaited to its end.
    pub(super) async fn commit(mut self) -> Result<(), sqlx::Error> {
        let mut turn = self.turn.take().ok_or(sqlx::Error::PoolClosed)?;
        let shared = Arc::clone(&self.shared);
        let (sender, committed) = oneshot::channel();
        tokio::spawn(async move {
            match turn.execute("RELEASE one").await {
                Ok(()) => {
                    turn.in_hand = false;
                    turn.waiting.push(sender);
                }
                Err(_) => turn.fail(&shared).await,
            }
            drop(turn);
            shared.something.notify_one();
        });
        committed
            .await
            .map_err(|_| sqlx::Error::Protocol("the transaction was not committed".to_owned()))
    }
}

impl Drop for Batched {
    fn drop(&mut self) {
        if let Some(turn) = self.turn.take() {
            if !turn.waiting.is_empty() {
                self.shared.seen.fetch_max(turn.batch, Ordering::AcqRel);
            }
            drop(turn);
            // Nobody else may come, and the lock is given back.
            self.shared.something.notify_one();
        }
    }
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
