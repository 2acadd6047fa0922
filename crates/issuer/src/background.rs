//! What a server does without being asked: it takes over changed keys, and one node tidies up.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    sync::OnceCell,
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
    /// Whether it is known when the last round was, before this server started.
    has_begun: OnceCell<()>,
    rounds: AtomicU32,
    /// Whether it was said that the database server's clock is behind.
    is_behind: AtomicBool,
}

/// The time as it has passed.
#[derive(Clone, Copy, Debug)]
struct Passed {
    /// What the time was when the server started, and the moment itself.
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
        Self {
            time: Mutex::new(time),
            has_begun: OnceCell::new(),
            rounds: AtomicU32::new(0),
            is_behind: AtomicBool::new(false),
        }
    }

    async fn run(&self, app: &App) -> Result<(), Error> {
        self.has_begun
            .get_or_try_init(async || {
                let last = app.store.tidied_until().await?;
                self.passed().begin_after(last);
                Ok::<_, Error>(())
            })
            .await?;
        self.round(app, app.store.server_clock().await?).await
    }

    /// `server` is what the database server's clock says, where there is one.
    async fn round(&self, app: &App, server: Option<i64>) -> Result<(), Error> {
        let now = clock::now();
        let (own, has_leapt) = {
            let mut time = self.passed();
            (time.horizon(now, Instant::now()), time.leap.is_some())
        };
        let server = server.unwrap_or(own);
        let is_behind = own.saturating_sub(server) > LEAP;
        if is_behind && !self.is_behind.swap(true, Ordering::Relaxed) {
            let hint = "nothing is deleted before its time there";
            tracing::warn!(
                reason = "clocks_differ",
                "the database server's clock is behind: {hint}"
            );
        }
        // What is deleted does not come back: by the earlier one.
        let horizon = own.min(server);
        if !app.store.take_lease("tidy", &app.node, now, LEASE).await? {
            return Ok(());
        }
        // A key that took over by a time that is not believed yet would be dropped too soon when it is.
        // One that takes over by this node's own time, where the other clock is behind, is not: both must
        // say so.
        if !has_leapt {
            app.keys.tend(own, horizon).await?;
        }
        let deleted = app.store.prune(horizon).await?;
        if deleted > 0 {
            tracing::debug!(deleted, "deleted what is over");
        }
        if self.rounds.fetch_add(1, Ordering::Relaxed).is_multiple_of(CLIENTS_EVERY) {
            app.store.prune_clients(horizon).await?;
        }
        // For whoever starts next, perhaps with a clock that is ahead.
        app.store.tidied(horizon).await
    }

    fn passed(&self) -> MutexGuard<'_, Passed> {
        self.time.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Passed {
    /// Starts with what the nodes have seen of time: what is between that and this server's start either
    /// passed while no server was there, or it is a leap. There is no telling which.
    fn begin_after(&mut self, last: Option<i64>) {
        let (now, start) = self.began;
        let Some(last) = last else { return };
        let ahead = now.saturating_sub(last);
        if ahead >= LEAP {
            *self = Self { began: (last, start), leap: Some((ahead, start)) };
            tracing::info!(
                "no server tidied up here for {ahead} s by this machine's clock, which is believed in \
                 an hour: until then no signing key is announced, takes over or is dropped"
            );
        }
    }

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
                let hint =
                    "nothing is tidied up by its time for an hour, and no signing key takes over";
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

    /// A server that starts with its clock ahead has seen no leap, but the database knows of the last round.
    #[test]
    fn attack_64_a_clock_that_is_ahead_at_the_start_is_not_believed() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let month = 30 * 86_400;
        let starts = |now, last| {
            let mut time = Passed { began: (now, start), leap: None };
            time.begin_after(last);
            time
        };
        let mut ahead = starts(month, Some(1000));
        assert_eq!(ahead.horizon(month, after(0)), 1000);
        assert_eq!(ahead.horizon(month + 3599, after(3599)), 4599);
        assert_eq!(ahead.horizon(month + 3600, after(3600)), month + 3600, "the servers were off");
        // Set right in time.
        let mut ahead = starts(month, Some(1000));
        assert_eq!(ahead.horizon(month + 30, after(30)), 1030);
        assert_eq!(ahead.horizon(1070, after(60)), 1060);
        assert_eq!(ahead.leap, None);
        for (now, last) in [(month, None), (1299, Some(1000)), (900, Some(1000))] {
            assert_eq!(starts(now, last).horizon(now, start), now, "{last:?}");
        }
    }

    #[tokio::test]
    async fn attack_64_the_last_round_is_known_after_a_start() {
        for store in test_stores::each().await {
            store.fill().await;
            let session = "INSERT INTO sessions (id_hash, user_id, auth_time, expires_at) VALUES \
                           ($1, 'u', 0, 1000)";
            store.run_with(session, b"h").await;
            let app = store.app().await;
            store.tidied(900).await.unwrap();
            // By this node's clock the session is over since decades, by that of the others it is not.
            Tidying::default().run(&app).await.unwrap();
            assert_eq!(store.number("SELECT COUNT(*) FROM sessions").await, 1);
            assert!((900..1000).contains(&store.tidied_until().await.unwrap().unwrap()));
            store.tidied(clock::now() - 10).await.unwrap();
            Tidying::default().run(&app).await.unwrap();
            assert_eq!(store.number("SELECT COUNT(*) FROM sessions").await, 0);
            let last = store.tidied_until().await.unwrap().unwrap();
            assert!((last - clock::now()).abs() < 60);
            if store.is_postgres() {
                let server = store.server_clock().await.unwrap().unwrap();
                assert!((server - clock::now()).abs() < 60);
            }
        }
    }

    /// Keys go by the node's own time, and are dropped when both clocks say so.
    #[tokio::test]
    async fn keys_take_over_where_the_database_servers_clock_is_behind() {
        for store in test_stores::each().await {
            let app = store.app().await;
            let tidying = Tidying::default();
            let behind = || Some(clock::now() - 3600);
            store.run("UPDATE signing_keys SET sign_until = 0").await;
            tidying.round(&app, behind()).await.unwrap();
            let pending = "SELECT COUNT(*) FROM signing_keys WHERE state = 'pending'";
            assert_eq!(store.number(pending).await, 1, "it is announced");
            // Its time has come here, and not there.
            store
                .run("UPDATE signing_keys SET sign_from = sign_from - 1860 WHERE state = 'pending'")
                .await;
            tidying.round(&app, behind()).await.unwrap();
            let retiring = "SELECT COUNT(*) FROM signing_keys WHERE state = 'retiring'";
            assert_eq!((store.number(pending).await, store.number(retiring).await), (0, 1));
            // A day and five minutes, and one more.
            store
                .run("UPDATE signing_keys SET drop_at = drop_at - 86760 WHERE state = 'retiring'")
                .await;
            tidying.round(&app, behind()).await.unwrap();
            assert_eq!(store.number(retiring).await, 1);
            tidying.round(&app, Some(clock::now())).await.unwrap();
            assert_eq!(store.number(retiring).await, 0);
        }
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
        // Which is not what this one, with a clock of its own, may take for the last round.
        store.run("DELETE FROM counters WHERE name = 'tidied_until'").await;
        let right = Tidying::since(now);
        right.run(&app).await.unwrap();
        assert_eq!(store.number(retiring).await, 0);
    }
}
