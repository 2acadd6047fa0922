//! One does the work that all wait for. Where it fails, it has failed for everybody who waited: a
//! database that does not answer is not asked by one after the other.

use std::ops::{Deref, DerefMut};

use tokio::{
    sync::{Mutex, MutexGuard},
    time::{Instant, timeout_at},
};

use crate::{Error, store::PATIENCE};

/// Something that one works on at a time.
#[derive(Debug, Default)]
pub(crate) struct Turns<T>(Mutex<Held<T>>);

#[derive(Debug, Default)]
struct Held<T> {
    value: T,
    /// When the database did not answer last.
    failed_at: Option<Instant>,
}

/// Nobody else's until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn<'t, T> {
    held: MutexGuard<'t, Held<T>>,
    until: Instant,
}

impl<T> Turns<T> {
    /// Waits for the turn: for it and its work together as long as for one statement. Whoever has it first
    /// looks whether those before have done what it came for.
    ///
    /// # Errors
    /// [`Error::Database`] where the work failed so for one whom this waited for, and where it takes too
    /// long.
    pub(crate) async fn take(&self) -> Result<Turn<'_, T>, Error> {
        self.take_until(Instant::now(), Instant::now() + PATIENCE).await
    }

    async fn take_until(&self, came_at: Instant, until: Instant) -> Result<Turn<'_, T>, Error> {
        let held = timeout_at(until, self.0.lock()).await.map_err(|_| DOWN)?;
        if held.failed_at.is_some_and(|failed_at| failed_at >= came_at) {
            return Err(DOWN);
        }
        Ok(Turn { held, until })
    }
}

impl<T> Turn<'_, T> {
    /// Does the work, within what is left of the time.
    ///
    /// # Errors
    /// Those of the work, and [`Error::Database`] where it takes too long.
    pub(crate) async fn work<R>(
        &mut self,
        work: impl Future<Output = Result<R, Error>>,
    ) -> Result<R, Error> {
        let done = timeout_at(self.until, work).await.unwrap_or(Err(DOWN));
        if matches!(done, Err(Error::Database(_))) {
            self.held.failed_at = Some(Instant::now());
        }
        done
    }
}

impl<T> Deref for Turn<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.held.value
    }
}

impl<T> DerefMut for Turn<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.held.value
    }
}

const DOWN: Error = Error::Database(sqlx::Error::PoolTimedOut);

#[cfg(test)]
mod tests {
    use std::{future::pending, sync::Arc};

    use tokio::task::{JoinSet, yield_now};

    use super::*;

    const COUNT: usize = 20;

    /// So many come while one works; gives how many of them worked too, and how many failed.
    async fn while_one_works(outcome: Error) -> (u32, usize) {
        let turns = Arc::new(Turns::<u32>::default());
        let mut first = turns.take().await.unwrap();
        let mut others = JoinSet::new();
        for _ in 0..COUNT {
            let turns = Arc::clone(&turns);
            others.spawn(async move {
                let mut turn = turns.take().await?;
                *turn += 1;
                turn.work(async { Err::<(), _>(DOWN) }).await
            });
        }
        // Each of them waits in line now: on this runtime they run in the order in which they came.
        yield_now().await;
        yield_now().await;
        assert!(first.work(async { Err::<(), _>(outcome) }).await.is_err());
        drop(first);
        let failed = others.join_all().await.into_iter().filter(Result::is_err).count();
        // Whoever comes afterwards tries anew.
        let mut turn = turns.take().await.unwrap();
        let worked = *turn;
        assert_eq!(turn.work(async { Ok(7) }).await.unwrap(), 7);
        (worked, failed)
    }

    #[tokio::test]
    async fn a_failure_is_everybodys_who_waited() {
        assert_eq!(while_one_works(DOWN).await, (0, COUNT));
        // What one may not do says nothing of the database.
        assert_eq!(while_one_works(Error::Ended).await, (1, COUNT));
    }

    #[tokio::test]
    async fn neither_the_turn_nor_the_work_takes_for_ever() {
        let turns = Turns::<()>::default();
        let over = Instant::now();
        let turn = turns.take().await.unwrap();
        assert!(turns.take_until(over, over).await.is_err());
        drop(turn);
        let mut turn = turns.take_until(over, over).await.unwrap();
        assert!(turn.work(pending::<Result<(), Error>>()).await.is_err());
        drop(turn);
        assert!(turns.take_until(over, over + PATIENCE).await.is_err(), "it waited for that");
        assert!(turns.take().await.is_ok());
    }
}
