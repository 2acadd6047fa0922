//! What a server does without being asked: it takes over changed keys, and one node tidies up.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

use crate::{Error, clock, http::App, secret};

/// Between two looks for keys that another node or the command line has changed.
const KEYS_EVERY: Duration = Duration::from_secs(2);

/// Between two rounds of tidying up.
const TIDY_EVERY: Duration = Duration::from_secs(30);

/// Clients that nobody uses are looked for once in so many rounds: once an hour.
const CLIENTS_EVERY: u32 = 120;

/// For so many seconds a node has the job of tidying up; if it dies, another one takes it then.
const LEASE: i64 = 90;

/// Runs until it is dropped.
pub(crate) fn start(app: &Arc<App>) -> JoinSet<()> {
    let mut jobs = JoinSet::new();
    let keys = Arc::clone(app);
    jobs.spawn(every(KEYS_EVERY, "reading the key set", move || {
        let app = Arc::clone(&keys);
        async move { app.keys.refresh().await }
    }));
    let tidy = Arc::new((Arc::clone(app), Tidying::default()));
    jobs.spawn(every(TIDY_EVERY, "tidying up", move || {
        let tidy = Arc::clone(&tidy);
        async move { tidy.1.run(&tidy.0).await }
    }));
    jobs
}

/// A name for this node, for leases.
pub(crate) fn node_name() -> Result<String, Error> {
    secret::new(secret::Kind::Node)
}

/// A clock that is so many seconds ahead of the time that has passed was set, and did not just run fast.
const LEAP: i64 = 300;

/// A leap that has held for so long was no mistake: the clock was wrong before, as that of a machine that
/// starts before it has asked for the time.
const BELIEVED_AFTER: Duration = Duration::from_secs(3600);

/// The work of the node that has the lease.
struct Tidying {
    time: Mutex<Passed>,
    rounds: AtomicU32,
}

/// The time as it has passed.
#[derive(Clone, Copy, Debug)]
struct Passed {
    /// What the clock said when the server started, and the moment itself.
    began: (i64, Instant),
    /// How far ahead the clock is, if it is, and since when.
    leap: Option<(i64, Instant)>,
}

impl Default for Tidying {
    fn default() -> Self {
        Self::since(clock::now())
    }
}

impl Tidying {
    /// As if the server had started now, with a clock that says this.
    fn since(now: i64) -> Self {
        let time = Passed { began: (now, Instant::now()), leap: None };
        Self { time: Mutex::new(time), rounds: AtomicU32::new(0) }
    }

    async fn run(&self, app: &App) -> Result<(), Error> {
        let now = clock::now();
        let horizon = {
            let mut time = self.time.lock().unwrap_or_else(PoisonError::into_inner);
            time.horizon(now, Instant::now())
        };
        if !app.store.take_lease("tidy", &app.node, now, LEASE).await? {
            return Ok(());
        }
        app.keys.tend(horizon).await?;
        let deleted = app.store.prune(horizon).await?;
        if deleted > 0 {
            tracing::debug!(deleted, "deleted what is over");
        }
        if self.rounds.fetch_add(1, Ordering::Relaxed).is_multiple_of(CLIENTS_EVERY) {
            app.store.prune_clients(horizon).await?;
        }
        Ok(())
    }
}

impl Passed {
    /// The time as far as it has passed since the start. A clock that leaps into the future must not
    /// delete what is alive (attack 64); what is deleted does not come back when the clock does. A leap
    /// that stays is believed after a while.
    fn horizon(&mut self, now: i64, moment: Instant) -> i64 {
        let (then, start) = self.began;
        let passed = moment.saturating_duration_since(start).as_secs();
        let expected = then.saturating_add(i64::try_from(passed).unwrap_or(i64::MAX));
        let ahead = now.saturating_sub(expected);
        match self.leap {
            _ if ahead < LEAP => self.leap = None,
            Some((known, since)) if (ahead - known).abs() < LEAP => {
                if moment.saturating_duration_since(since) >= BELIEVED_AFTER {
                    *self = Self { began: (now, moment), leap: None };
                    tracing::warn!(reason = "clock_leap_believed", "the clock has stayed ahead");
                    return now;
                }
            }
            // A new one, or a further one.
            _ => {
                self.leap = Some((ahead, moment));
                let hint = "nothing is tidied up by its time for an hour";
                tracing::warn!(reason = "clock_leapt", "the clock leapt by {ahead} s: {hint}");
            }
        }
        now.min(expected)
    }
}

async fn every<F>(period: Duration, what: &str, job: impl Fn() -> F)
where
    F: Future<Output = Result<(), Error>>,
{
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Said once when it begins to fail, and once when it works again.
    let mut is_failing = false;
    loop {
        ticks.tick().await;
        match job().await {
            Ok(()) if is_failing => tracing::info!("{what} works again"),
            Err(error) if !is_failing => {
                tracing::warn!(reason = error.reason(), "{what}: {error}");
            }
            Ok(()) | Err(_) => continue,
        }
        is_failing = !is_failing;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Rotation, SigningKeys, store::test_stores};

    #[test]
    fn attack_64_a_leap_of_the_clock_prunes_nothing() {
        let start = Instant::now();
        let mut time = Passed { began: (1000, start), leap: None };
        let after = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(time.horizon(1030, after(30)), 1030);
        assert_eq!(time.horizon(1_000_000, after(60)), 1060, "the clock leapt");
        assert_eq!(time.horizon(1010, after(60)), 1010, "the clock was put back");
    }

    /// A machine that starts a month behind, before it has asked for the time, would tidy up nothing and
    /// rotate no key until the next start.
    #[test]
    fn a_leap_that_stays_is_believed() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let month = 30 * 86_400;
        let mut time = Passed { began: (0, start), leap: None };
        assert_eq!(time.horizon(month + 60, after(60)), 60);
        assert_eq!(time.horizon(month + 3659, after(3659)), 3659);
        assert_eq!(time.horizon(month + 3660, after(3660)), month + 3660);
        assert_eq!(time.horizon(month + 4000, after(4000)), month + 4000);
        // The next one has its own hour; one that is taken back, or goes further, begins again.
        assert_eq!(time.horizon(2 * month + 5000, after(5000)), month + 5000);
        assert_eq!(time.horizon(month + 6000, after(6000)), month + 6000);
        assert_eq!(time.horizon(2 * month + 7000, after(7000)), month + 7000);
        assert_eq!(time.horizon(3 * month + 8700, after(8700)), month + 8700);
        assert_eq!(time.horizon(3 * month + 12_299, after(12_299)), month + 12_299);
        assert_eq!(time.horizon(3 * month + 12_300, after(12_300)), 3 * month + 12_300);
        // Clocks that run a little fast are never behind.
        assert_eq!(time.horizon(3 * month + 12_400, after(12_350)), 3 * month + 12_350);
    }

    /// Keys neither: what they signed is still valid when the clock comes back.
    #[tokio::test]
    async fn attack_64_a_leap_of_the_clock_drops_no_keys() {
        let store = test_stores::sqlite().await;
        let app = store.app().await;
        let others = SigningKeys::open(&app.config).await.unwrap();
        others.rotate("ES256", Rotation::AtOnce).await.unwrap();
        store
            .run("UPDATE signing_keys SET drop_at = drop_at - 864000 WHERE state = 'retiring'")
            .await;
        let retiring = "SELECT COUNT(*) FROM signing_keys WHERE state = 'retiring'";
        let now = clock::now();
        // For this server it is still the time before.
        let leapt = Tidying::since(now - 20 * 86_400);
        leapt.run(&app).await.unwrap();
        assert_eq!(store.number(retiring).await, 1);
        let right = Tidying::since(now);
        right.run(&app).await.unwrap();
        assert_eq!(store.number(retiring).await, 0);
    }
}
