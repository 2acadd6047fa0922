//! Turns for fetching what clients publish about themselves: bounded in number, one at a time for each
//! URL, and none for a while where nobody answered.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex as SyncMutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::{
    sync::{Mutex, OwnedMutexGuard, Semaphore, SemaphorePermit},
    time::timeout,
};

/// What is fetched at the same time; others wait this long for their turn.
const SLOTS: usize = 16;
const WAIT: Duration = Duration::from_secs(2);

/// A URL that failed is not asked for so long: whoever does not answer holds a slot for three seconds.
const REST: Duration = Duration::from_secs(10);

/// Who answers within this time holds nobody up, and may be well in a moment.
const QUICK: Duration = Duration::from_millis(300);

/// Most URLs that are known to have failed.
const CAPACITY: usize = 1000;

/// Who fetches, and what failed just now.
#[derive(Debug)]
pub(super) struct Fetches {
    slots: Semaphore,
    wait: Duration,
    /// URLs that somebody fetches, or waits for.
    under_way: SyncMutex<HashMap<String, Arc<Mutex<()>>>>,
    failed: SyncMutex<HashMap<String, Instant>>,
}

/// The turn of one URL. Nobody else fetches it meanwhile.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    fetches: &'a Fetches,
    url: &'a str,
    began: Instant,
    _alone: OwnedMutexGuard<()>,
    _slot: SemaphorePermit<'a>,
}

/// Why there is no turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoTurn {
    /// Too much is being fetched.
    Busy,
    /// It failed a moment ago.
    Failed,
}

impl NoTurn {
    pub(super) const fn why(self) -> &'static str {
        match self {
            Self::Busy => "too many documents are being fetched",
            Self::Failed => "its server did not answer a moment ago",
        }
    }
}

impl Default for Fetches {
    fn default() -> Self {
        Self {
            slots: Semaphore::new(SLOTS),
            wait: WAIT,
            under_way: SyncMutex::default(),
            failed: SyncMutex::default(),
        }
    }
}

impl Fetches {
    /// Waits for the turn of a URL. Whoever gets it looks first whether somebody else has fetched it
    /// in the meantime.
    pub(super) async fn turn<'a>(&'a self, url: &'a str) -> Result<Turn<'a>, NoTurn> {
        if self.has_failed(url) {
            return Err(NoTurn::Failed);
        }
        let lock = {
            let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
            // Those that nobody holds or waits for.
            under_way.retain(|_, lock| Arc::strong_count(lock) > 1);
            Arc::clone(under_way.entry(url.to_owned()).or_default())
        };
        // The slot comes second: who waits for the same URL takes none from others.
        let both = async { (lock.lock_owned().await, self.slots.acquire().await) };
        let Ok((alone, Ok(slot))) = timeout(self.wait, both).await else {
            return Err(NoTurn::Busy);
        };
        if self.has_failed(url) {
            return Err(NoTurn::Failed);
        }
        Ok(Turn { fetches: self, url, began: Instant::now(), _alone: alone, _slot: slot })
    }

    fn has_failed(&self, url: &str) -> bool {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.get(url).is_some_and(|at| at.elapsed() < REST)
    }
}

impl Turn<'_> {
    /// There was an answer, and nothing in it that can be used: whoever was slow to give it is left alone
    /// for a while too.
    pub(super) fn was_in_vain(self) {
        if self.began.elapsed() > QUICK {
            self.failed();
        }
    }

    /// It failed, and is left alone for a while.
    pub(super) fn failed(self) {
        let mut failed = self.fetches.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if failed.len() >= CAPACITY {
            failed.retain(|_, at| at.elapsed() < REST);
        }
        if failed.len() < CAPACITY {
            failed.insert(self.url.to_owned(), Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nobody waits: what is free is had at once.
    fn impatient() -> Fetches {
        Fetches { wait: Duration::ZERO, ..Fetches::default() }
    }

    #[tokio::test]
    async fn one_turn_for_each_url_and_so_many_for_all() {
        let fetches = impatient();
        let first = fetches.turn("https://a/0").await.unwrap();
        assert_eq!(fetches.turn("https://a/0").await.unwrap_err(), NoTurn::Busy);
        let urls: Vec<String> = (1..SLOTS).map(|index| format!("https://a/{index}")).collect();
        let mut others = Vec::new();
        for url in &urls {
            others.push(fetches.turn(url).await.unwrap());
        }
        assert_eq!(fetches.turn("https://b").await.unwrap_err(), NoTurn::Busy);
        first.failed();
        assert_eq!(fetches.turn("https://a/0").await.unwrap_err(), NoTurn::Failed);
        drop(fetches.turn("https://b").await.unwrap());
        drop(others);
        drop(fetches.turn("https://b").await.unwrap());
        assert_eq!(fetches.under_way.lock().unwrap().len(), 1, "nothing is left of the others");
    }

    #[tokio::test]
    async fn who_waited_learns_that_it_failed() {
        let fetches = Fetches { wait: Duration::from_secs(60), ..Fetches::default() };
        let first = fetches.turn("https://a").await.unwrap();
        let (second, ()) = tokio::join!(fetches.turn("https://a"), async {
            tokio::task::yield_now().await;
            first.failed();
        });
        assert_eq!(second.unwrap_err(), NoTurn::Failed);
    }

    #[tokio::test]
    async fn who_answers_slowly_and_in_vain_is_left_alone() {
        let fetches = impatient();
        fetches.turn("https://a").await.unwrap().was_in_vain();
        let mut slow = fetches.turn("https://a").await.unwrap();
        slow.began -= QUICK + Duration::from_millis(1);
        slow.was_in_vain();
        assert_eq!(fetches.turn("https://a").await.unwrap_err(), NoTurn::Failed);
    }

    #[test]
    fn memory_is_bounded() {
        let fetches = Fetches::default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            for index in 0..CAPACITY + 10 {
                fetches.turn(&index.to_string()).await.unwrap().failed();
            }
        });
        assert_eq!(fetches.failed.lock().unwrap().len(), CAPACITY);
    }
}
