//! What a server does without being asked: it takes over changed keys, and one node tidies up.

use std::{sync::Arc, time::Duration};

use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

use crate::{Error, clock, http::App, secret};

/// Between two looks for keys that another node or the command line has changed.
const KEYS_EVERY: Duration = Duration::from_secs(2);

/// Between two rounds of tidying up.
const TIDY_EVERY: Duration = Duration::from_secs(30);

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
    let tidy = Arc::clone(app);
    jobs.spawn(every(TIDY_EVERY, "tidying up", move || {
        let app = Arc::clone(&tidy);
        async move {
            if app.store.take_lease("tidy", &app.node, clock::now(), LEASE).await? {
                app.keys.tend().await?;
                app.store.prune().await?;
            }
            Ok(())
        }
    }));
    jobs
}

/// A name for this node, for leases.
pub(crate) fn node_name() -> Result<String, Error> {
    secret::new(secret::Kind::Node)
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
