//! What is asked for with every request and seldom changes, kept in memory: clients and resources.
//!
//! The database counts every change of them (`counters`, by triggers; a new client is none, since nobody
//! keeps that it was not there). What is kept is given out only while the number is the one that it was
//! read under. On SQLite reading it costs microseconds, and it is
//! read every millisecond; on PostgreSQL once in [`LOOK_EVERY`], so another node's change may be unseen
//! for so long. That harms nobody: what changes a grant looks at it, its user and its client in the
//! database, and a client gets places for tokens of its own only while it is not disabled.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{ClientResource, ClientRow, Resource, Store, sql::Pools};
use crate::{Error, turns::Turns};

/// How old the number may be that tells whether something has changed, on PostgreSQL.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The same on SQLite: one look for what a request asks for, and for those beside it.
const LOOK_OFTEN: Duration = Duration::from_millis(1);

/// Clients that are kept. When there are more, all are forgotten.
const CLIENTS: usize = 10_000;

/// A client with what it may do for itself.
#[derive(Debug)]
pub(crate) struct KnownClient {
    pub(crate) row: ClientRow,
    pub(crate) resources: Vec<ClientResource>,
}

#[derive(Debug, Default)]
pub(super) struct Cache {
    held: Mutex<Held>,
    /// Who looks at the number, while others wait.
    looking: Turns<()>,
    /// How often somebody did.
    #[cfg(test)]
    looks: std::sync::atomic::AtomicU32,
}

/// Numbers that only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Numbers {
    /// How often the database was restored from a backup.
    restored: i64,
    /// How often something changed that is kept here.
    settings: i64,
    /// How often that was a resource, or what belongs to one.
    resources: i64,
}

#[derive(Debug, Default)]
struct Held {
    numbers: Numbers,
    looked_at: Option<Instant>,
    /// How often somebody asked for another look.
    asked: u64,
    clients: HashMap<String, Arc<KnownClient>>,
    resources: Option<Arc<Vec<Resource>>>,
}

impl Cache {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number is read again before anything more is given out.
    pub(super) fn look_again(&self) {
        let mut held = self.held();
        held.looked_at = None;
        held.asked += 1;
    }
}

impl Held {
    /// What was found by a look that began then, when another one had been asked for so often.
    fn take(&mut self, found: Numbers, looked_at: Instant, asked: u64) {
        let was_restored = self.numbers.restored != found.restored;
        if was_restored || self.numbers.settings != found.settings {
            self.clients.clear();
        }
        if was_restored || self.numbers.resources != found.resources {
            self.resources = None;
        }
        self.numbers = found;
        self.looked_at = (self.asked == asked).then_some(looked_at);
    }
}

impl Store {
    /// A client, with what it may do for itself.
    pub(crate) async fn known_client(&self, id: &str) -> Result<Option<Arc<KnownClient>>, Error> {
        let numbers = self.numbers().await?;
        if let Some(known) = self.cache.held().clients.get(id) {
            return Ok(Some(Arc::clone(known)));
        }
        let Some(row) = self.stored_client(id).await? else {
            return Ok(None);
        };
        let resources = self.stored_client_resources(id).await?;
        let known = Arc::new(KnownClient { row, resources });
        let mut held = self.cache.held();
        // What was read may be newer than the number, and then is read again; never older.
        if held.numbers == numbers {
            if held.clients.len() >= CLIENTS {
                held.clients.clear();
            }
            held.clients.insert(id.to_owned(), Arc::clone(&known));
        }
        Ok(Some(known))
    }

    /// All resources, the oldest first.
    pub(crate) async fn known_resources(&self) -> Result<Arc<Vec<Resource>>, Error> {
        let numbers = self.numbers().await?;
        if let Some(known) = &self.cache.held().resources {
            return Ok(Arc::clone(known));
        }
        let known = Arc::new(self.stored_resources().await?);
        let mut held = self.cache.held();
        if held.numbers == numbers {
            held.resources = Some(Arc::clone(&known));
        }
        Ok(known)
    }

    /// Changes when the database was restored: what a node has taken from it before is no more.
    pub(crate) async fn restored(&self) -> Result<i64, Error> {
        Ok(self.numbers().await?.restored)
    }

    async fn numbers(&self) -> Result<Numbers, Error> {
        if let Pools::Sqlite { direct, .. } = &self.pools {
            if let Some(numbers) = self.fresh_numbers(LOOK_OFTEN) {
                return Ok(numbers);
            }
            let (looked_at, asked) = (Instant::now(), self.cache.held().asked);
            let found = direct.read(|connection| {
                let mut statement = connection.prepare_cached(NUMBERS)?;
                statement.query_row([], |row| {
                    let (restored, settings) = (row.get(0)?, row.get(1)?);
                    Ok(Numbers { restored, settings, resources: row.get(2)? })
                })
            })?;
            self.cache.held().take(found, looked_at, asked);
            return Ok(found);
        }
        let came_at = Instant::now();
        if let Some(numbers) = self.fresh_numbers(LOOK_EVERY) {
            return Ok(numbers);
        }
        let mut turn = self.cache.looking.take().await?;
        // A slow look counts for all who had come when it began.
        if let Some(numbers) = self.fresh_numbers(LOOK_EVERY.max(came_at.elapsed())) {
            return Ok(numbers);
        }
        #[cfg(test)]
        self.cache.looks.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let (looked_at, asked) = (Instant::now(), self.cache.held().asked);
        let found: Option<(i64, i64, i64)> = turn.work(self.sql(NUMBERS).optional()).await?;
        let (restored, settings, resources) = found.unwrap_or_default();
        let found = Numbers { restored, settings, resources };
        self.cache.held().take(found, looked_at, asked);
        Ok(found)
    }

    fn fresh_numbers(&self, limit: Duration) -> Option<Numbers> {
        let held = self.cache.held();
        let is_fresh = held.looked_at.is_some_and(|at| at.elapsed() < limit);
        is_fresh.then_some(held.numbers)
    }
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;

const NUMBERS: &str = "SELECT (SELECT value FROM counters WHERE name = 'restored'), (SELECT value FROM \
                       counters WHERE name = 'settings'), (SELECT value FROM counters WHERE name = \
                       'resources')";
