//! The connections of flights. Few, since each carries many; kept apart from the pool, whose connections
//! may all wait for locks, and which asks each one that comes back whether it is alive.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use sqlx::{Connection as _, PgConnection, postgres::PgConnectOptions};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

use super::super::{
    open::ACQUIRE,
    read_only,
    sql::{PATIENCE, patiently},
};

/// How many there are. PostgreSQL works no faster for more on a small machine.
pub(in crate::store) const CONNECTIONS: u32 = 4;

/// A name may lead to another server by then.
const LIFETIME: Duration = Duration::from_secs(1800);

/// After a rest of so long a connection is looked at before it is used.
const REST: Duration = Duration::from_secs(1);

pub(super) struct Connections {
    options: PgConnectOptions,
    free: Mutex<Vec<Kept>>,
    permits: Semaphore,
}

struct Kept {
    connection: PgConnection,
    opened_at: Instant,
    rests_since: Instant,
}

/// Somebody's own. Dropped without [`Held::give_back`], it is closed.
pub(super) struct Held<'c> {
    kept: Kept,
    home: &'c Connections,
    _permit: SemaphorePermit<'c>,
}

impl Connections {
    pub(super) fn new(options: PgConnectOptions) -> Self {
        Self { options, free: Mutex::default(), permits: Semaphore::new(CONNECTIONS as usize) }
    }

    pub(super) async fn take(&self) -> Result<Held<'_>, sqlx::Error> {
        let permit = async { self.permits.acquire().await.map_err(|_| sqlx::Error::PoolClosed) };
        let permit = patiently(permit).await?;
        let kept = timeout(ACQUIRE, self.usable()).await;
        let kept = kept.unwrap_or(Err(sqlx::Error::PoolTimedOut))?;
        Ok(Held { kept, home: self, _permit: permit })
    }

    async fn usable(&self) -> Result<Kept, sqlx::Error> {
        loop {
            // Not held while anything is waited for.
            let kept = self.free().pop();
            let Some(mut kept) = kept else {
                let mut connection = PgConnection::connect_with(&self.options).await?;
                read_only::refuse(&mut connection).await?;
                let opened_at = Instant::now();
                return Ok(Kept { connection, opened_at, rests_since: opened_at });
            };
            let is_old = kept.opened_at.elapsed() > LIFETIME;
            let is_to_be_seen = kept.rests_since.elapsed() > REST || read_only::is_suspected();
            if !is_old && (!is_to_be_seen || read_only::refuse(&mut kept.connection).await.is_ok())
            {
                return Ok(kept);
            }
            // Where it is broken, there is nobody to say goodbye to.
            let _ = kept.connection.close().await;
        }
    }

    pub(super) async fn close(&self) {
        // Those who have one give it back first.
        let all = timeout(PATIENCE, self.permits.acquire_many(CONNECTIONS)).await;
        self.permits.close();
        drop(all);
        let free: Vec<Kept> = self.free().drain(..).collect();
        for kept in free {
            let _ = kept.connection.close().await;
        }
    }

    fn free(&self) -> MutexGuard<'_, Vec<Kept>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held<'_> {
    pub(super) fn connection(&mut self) -> &mut PgConnection {
        &mut self.kept.connection
    }

    /// After a statement that was done or refused.
    pub(super) fn give_back(mut self) {
        self.kept.rests_since = Instant::now();
        self.home.free().push(self.kept);
    }
}
