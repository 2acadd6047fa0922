//! What a server does without being asked: it takes over changed keys, and one node tidies up.

use std::{
    sync::{
        Arc,
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

/// The work of the node that has the lease.
struct Tidying {
    /// What the clock said when the server started, and the moment itself.
    began: (i64, Instant),
    rounds: AtomicU32,
}

impl Default for Tidying {
    fn default() -> Self {
        Self { began: (clock::now(), Instant::now()), rounds: AtomicU32::new(0) }
    }
}

impl Tidying {
    async fn run(&self, app: &App) -> Result<(), Error> {
        let now = clock::now();
        if !app.store.take_lease("tidy", &app.node, now, LEASE).await? {
            return Ok(());
        }
        let horizon = self.horizon(now, Instant::now());
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

    /// The time as far as it has passed since the start. A clock that leaps into the future must not
    /// delete what is alive (attack 64); what is deleted does not come back when the clock does.
    fn horizon(&self, now: i64, moment: Instant) -> i64 {
        let (then, start) = self.began;
        let passed = moment.saturating_duration_since(start).as_secs();
        now.min(then.saturating_add(i64::try_from(passed).unwrap_or(i64::MAX)))
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
    use crate::{
        Config, Database, Rotation, SigningKeys, keys::Keys, seal::KeyRing, store::test_stores,
    };

    #[test]
    fn attack_64_a_leap_of_the_clock_prunes_nothing() {
        let start = Instant::now();
        let tidying = Tidying { began: (1000, start), rounds: AtomicU32::new(0) };
        let after = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(tidying.horizon(1030, after(30)), 1030);
        assert_eq!(tidying.horizon(1_000_000, after(60)), 1060, "the clock leapt");
        assert_eq!(tidying.horizon(1010, after(60)), 1010, "the clock was put back");
    }

    /// Keys neither: what they signed is still valid when the clock comes back.
    #[tokio::test]
    async fn attack_64_a_leap_of_the_clock_drops_no_keys() {
        let store = test_stores::sqlite().await;
        let config = Config {
            database: Database::Sqlite(store.folder.join("test.db")),
            key_file: Some(store.folder.join("key")),
            ..Config::default()
        };
        let ring = KeyRing::load(&config, false).unwrap();
        let keys = Keys::open(store.clone(), ring, config.key_rotation_seconds()).await.unwrap();
        let others = SigningKeys::open(&config).await.unwrap();
        others.rotate("ES256", Rotation::AtOnce).await.unwrap();
        store
            .run("UPDATE signing_keys SET drop_at = drop_at - 864000 WHERE state = 'retiring'")
            .await;
        let issuer = config.issuer_at(config.listen).unwrap();
        let app = App::new(config, issuer, store.clone(), keys).unwrap();
        let retiring = "SELECT COUNT(*) FROM signing_keys WHERE state = 'retiring'";
        let now = clock::now();
        // For this server it is still the time before.
        let leapt =
            Tidying { began: (now - 20 * 86_400, Instant::now()), rounds: AtomicU32::new(0) };
        leapt.run(&app).await.unwrap();
        assert_eq!(store.number(retiring).await, 1);
        let right = Tidying { began: (now, Instant::now()), rounds: AtomicU32::new(0) };
        right.run(&app).await.unwrap();
        assert_eq!(store.number(retiring).await, 0);
    }
}
