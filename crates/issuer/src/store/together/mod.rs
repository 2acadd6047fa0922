//! On PostgreSQL, what waits at the same moment goes in one statement over arrays: one round trip, one
//! transaction and one sync of the disk for all of it.
//!
//! Each kind of statement has a line. Whoever comes joins it; a flight takes those who stand there, and
//! nobody waits for more to come. A statement for many locks rows with `SKIP LOCKED`, so that a row that
//! somebody holds keeps nobody else waiting: what it leaves without an answer is done alone, by the
//! statement for one, which waits. So is everything of a statement that PostgreSQL refused, so that one bad
//! item harms nobody else.
//!
//! A flight is a task of its own: who hangs up changes nothing for the others.

mod codes;
mod connections;
#[cfg(test)]
mod flight_tests;
mod logins;
mod lookup;
mod refresh;
mod status;
#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use sqlx::{
    PgPool, Postgres, Row as _,
    postgres::{PgArguments, PgConnectOptions, PgDatabaseError, PgRow, PgSeverity},
    query::Query,
};
use tokio::{
    sync::{Semaphore, oneshot},
    task::yield_now,
};

use self::connections::{Connections, Held};
pub(super) use self::{
    codes::{GrantAndCode, Redeem},
    connections::CONNECTIONS,
    logins::{FindConsent, FindSession},
    lookup::Find,
    refresh::{AccessToken, RefreshToken, Rotate},
    status::FindVersion,
};
use super::{codes::CodeRow, refresh::RefreshRow, sql::patiently};
use crate::Error;

/// Items of one statement.
const MANY: usize = 64;

/// Statements of one kind that are on their way at once.
const FLIGHTS: usize = 2;

/// Items that are done alone at once: the rest of the pool is for others.
const ALONE: usize = 8;

/// Something that can be done together with others of its kind.
pub(super) trait Item: Sized + Send + Sync + 'static {
    type Answer: Send + 'static;

    /// Gives at most one row for each item, with the item's number as `place`, from 1 on.
    const TEXT: &'static str;

    fn bind(query: ForMany, items: &[&Self]) -> ForMany;

    fn read(row: &PgRow) -> Result<Self::Answer, sqlx::Error>;

    /// The answer to an item without a row. `None`: it is done alone.
    fn without_row() -> Option<Self::Answer>;

    /// The same for one item. Waits for whoever holds a row.
    fn alone(&self, pool: &PgPool) -> impl Future<Output = Result<Self::Answer, Error>> + Send;
}

pub(super) type ForMany = Query<'static, Postgres, PgArguments>;

/// The lines.
pub(crate) struct Together {
    shared: Arc<Shared>,
    pub(super) codes: Line<Find<CodeRow>>,
    pub(super) consents: Line<FindConsent>,
    pub(super) grants: Line<GrantAndCode>,
    pub(super) redemptions: Line<Redeem>,
    pub(super) rotations: Line<Rotate>,
    pub(super) sessions: Line<FindSession>,
    pub(super) tokens: Line<Find<RefreshRow>>,
    pub(super) versions: Line<FindVersion>,
}

struct Shared {
    connections: Connections,
    pool: PgPool,
    alone: Semaphore,
}

/// Those who wait for statements of one kind.
pub(super) struct Line<I: Item>(Arc<Ends<I>>);

struct Ends<I: Item> {
    shared: Arc<Shared>,
    queue: Mutex<Queue<I>>,
}

struct Queue<I: Item> {
    waiting: VecDeque<Waiting<I>>,
    flights: usize,
}

struct Waiting<I: Item> {
    item: I,
    answer: oneshot::Sender<Result<I::Answer, Error>>,
}

/// A task that works for a line. However it ends, another one can begin.
struct Flight<I: Item> {
    ends: Arc<Ends<I>>,
    has_landed: bool,
}

// === impl Together ===

impl Together {
    /// `options` for connections of its own, `pool` for what is done alone.
    pub(super) fn new(options: PgConnectOptions, pool: PgPool) -> Self {
        let connections = Connections::new(options);
        let shared = Arc::new(Shared { connections, pool, alone: Semaphore::new(ALONE) });
        Self {
            codes: Line::new(&shared),
            consents: Line::new(&shared),
            grants: Line::new(&shared),
            redemptions: Line::new(&shared),
            rotations: Line::new(&shared),
            sessions: Line::new(&shared),
            tokens: Line::new(&shared),
            versions: Line::new(&shared),
            shared,
        }
    }

    /// Waits for what is on its way; nothing begins any more.
    pub(super) async fn close(&self) {
        self.shared.connections.close().await;
    }
}

impl fmt::Debug for Together {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Together").finish_non_exhaustive()
    }
}

// === impl Line ===

impl<I: Item> Line<I> {
    fn new(shared: &Arc<Shared>) -> Self {
        let queue = Mutex::new(Queue { waiting: VecDeque::new(), flights: 0 });
        Self(Arc::new(Ends { shared: Arc::clone(shared), queue }))
    }

    /// Does it, as soon as can be.
    pub(super) async fn join(&self, item: I) -> Result<I::Answer, Error> {
        let (answer, found) = oneshot::channel();
        if self.0.queue().join(Waiting { item, answer }) {
            let flight = Flight { ends: Arc::clone(&self.0), has_landed: false };
            tokio::spawn(flight.fly());
        }
        let found = async { Ok(found.await) };
        patiently(found).await?.unwrap_or_else(|_| Err(gone()))
    }
}

// === impl Queue ===

impl<I: Item> Queue<I> {
    /// `true`: a flight is to begin.
    fn join(&mut self, waiting: Waiting<I>) -> bool {
        // Before it grows, those leave who have hung up.
        if self.waiting.len() == self.waiting.capacity() {
            self.waiting.retain(|one| !one.answer.is_closed());
        }
        self.waiting.push_back(waiting);
        let begins = self.flights < FLIGHTS;
        self.flights += usize::from(begins);
        begins
    }

    fn take(&mut self, most: usize) -> Vec<Waiting<I>> {
        let mut taken = Vec::new();
        while taken.len() < most
            && let Some(one) = self.waiting.pop_front()
        {
            if !one.answer.is_closed() {
                taken.push(one);
            }
        }
        taken
    }
}

// === impl Ends ===

impl<I: Item> Ends<I> {
    fn queue(&self) -> MutexGuard<'_, Queue<I>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Flight ===

impl<I: Item> Flight<I> {
    async fn fly(mut self) {
        loop {
            // Requests that are at work right now may be about to join.
            yield_now().await;
            if self.lands() {
                return;
            }
            if let Some(one) = self.by_itself() {
                self.do_alone(one);
                continue;
            }
            match self.ends.shared.connections.take().await {
                Ok(connection) => {
                    let batch = self.ends.queue().take(MANY);
                    self.carry(connection, batch).await;
                }
                // All of them are told, and not some after the others.
                Err(error) => {
                    let everybody = self.ends.queue().take(usize::MAX);
                    self.failed(&error, error.as_database_error().is_some(), everybody);
                }
            }
        }
    }

    /// `true` where nobody waits. Whoever comes later begins another one.
    fn lands(&mut self) -> bool {
        let mut queue = self.ends.queue();
        if queue.waiting.is_empty() {
            queue.flights -= 1;
            self.has_landed = true;
        }
        self.has_landed
    }

    /// Who has nobody to share with while nobody else is at work: the statement for one takes two thirds
    /// of the time.
    fn by_itself(&self) -> Option<Waiting<I>> {
        let mut queue = self.ends.queue();
        let is_quiet = queue.flights == 1
            && queue.waiting.len() == 1
            && self.ends.shared.alone.available_permits() == ALONE;
        if is_quiet { queue.waiting.pop_front() } else { None }
    }

    async fn carry(&self, mut connection: Held<'_>, batch: Vec<Waiting<I>>) {
        if batch.is_empty() {
            return connection.give_back();
        }
        let items: Vec<&I> = batch.iter().map(|one| &one.item).collect();
        let query = I::bind(sqlx::query(I::TEXT), &items);
        // To the end: what it tells before is not committed yet.
        let work = async {
            let rows = query.fetch_all(connection.connection()).await?;
            sorted::<I>(&rows, items.len())
        };
        match patiently(work).await {
            Ok(answers) => {
                connection.give_back();
                for (one, answer) in batch.into_iter().zip(answers) {
                    match answer.or_else(I::without_row) {
                        Some(answer) => one.tell(Ok(answer)),
                        None => self.do_alone(one),
                    }
                }
            }
            Err(error) => {
                let is_undone = is_undone(&error);
                if is_undone {
                    connection.give_back();
                }
                self.failed(&error, is_undone, batch);
            }
        }
    }

    /// What does not go for all may go for each, where nothing of it was done.
    fn failed(&self, error: &sqlx::Error, is_undone: bool, batch: Vec<Waiting<I>>) {
        for one in batch {
            match is_undone {
                true => self.do_alone(one),
                false => one.tell(Err(Error::Database(copy(error)))),
            }
        }
    }

    fn do_alone(&self, mut one: Waiting<I>) {
        let shared = Arc::clone(&self.ends.shared);
        tokio::spawn(async move {
            let work = async {
                let _turn = shared.alone.acquire().await.map_err(|_| gone())?;
                one.item.alone(&shared.pool).await
            };
            let done = tokio::select! {
                done = work => done,
                // As a request of its own, which ends where nobody waits for it.
                () = one.answer.closed() => return,
            };
            one.tell(done);
        });
    }
}

impl<I: Item> Drop for Flight<I> {
    /// Where it did not come to its end, nobody is left waiting for it.
    fn drop(&mut self) {
        if !self.has_landed {
            let mut queue = self.ends.queue();
            queue.flights -= 1;
            queue.waiting.clear();
        }
    }
}

impl<I: Item> Waiting<I> {
    fn tell(self, answer: Result<I::Answer, Error>) {
        // Whoever has hung up has nobody to tell.
        let _ = self.answer.send(answer);
    }
}

/// Rows by the places of their items.
fn sorted<I: Item>(rows: &[PgRow], count: usize) -> Result<Vec<Option<I::Answer>>, sqlx::Error> {
    let mut answers: Vec<Option<I::Answer>> = (0..count).map(|_| None).collect();
    for row in rows {
        let place: i64 = row.try_get("place")?;
        let slot = usize::try_from(place - 1).ok().and_then(|index| answers.get_mut(index));
        *slot.ok_or(sqlx::Error::RowNotFound)? = Some(I::read(row)?);
    }
    Ok(answers)
}

/// A column of the array.
fn column<'i, I, T>(items: &[&'i I], member: impl Fn(&'i I) -> T) -> Vec<T> {
    items.iter().map(|item| member(item)).collect()
}

/// Whether PostgreSQL refused a statement, and goes on. Where the connection ended, nobody knows what was
/// done, and doing it again might look like a theft.
fn is_undone(error: &sqlx::Error) -> bool {
    let refused = error.as_database_error().and_then(|error| error.try_downcast_ref());
    refused.is_some_and(|error: &PgDatabaseError| matches!(error.severity(), PgSeverity::Error))
}

/// One error for many.
fn copy(error: &sqlx::Error) -> sqlx::Error {
    match error {
        sqlx::Error::PoolTimedOut => sqlx::Error::PoolTimedOut,
        sqlx::Error::PoolClosed => sqlx::Error::PoolClosed,
        other => sqlx::Error::Protocol(other.to_string()),
    }
}

fn gone() -> Error {
    Error::Database(sqlx::Error::WorkerCrashed)
}
