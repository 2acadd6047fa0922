//! The server: opened, bound, run until it is told to stop.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use tokio::{net::TcpListener, sync::oneshot, time::sleep};

use crate::{
    Config, Error, background,
    connections::{self, SILENT},
    http::{App, router},
    keys::Keys,
    seal::KeyRing,
    store::Store,
};

/// For requests that are under way when the server is told to stop.
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// A server that listens and is not yet answering.
pub struct Server {
    listener: TcpListener,
    app: Arc<App>,
}

impl Server {
    /// Checks the configuration, opens the database, makes keys where there are none, and listens.
    ///
    /// # Errors
    /// Every kind of [`Error`]; nothing has been answered then.
    pub async fn bind(config: Config) -> Result<Self, Error> {
        config.check()?;
        config.check_machine()?;
        let store = Store::open(&config.database).await?;
        let has_keys = !store.signing_keys().await?.is_empty();
        let ring = KeyRing::load(&config, has_keys)?;
        let keys = Keys::open(store.clone(), ring, config.key_rotation_seconds()).await?;
        let io = |error| Error::Io(PathBuf::from(config.listen.to_string()), error);
        let listener = TcpListener::bind(config.listen).await.map_err(io)?;
        let issuer = config.issuer_at(listener.local_addr().map_err(io)?)?;
        Ok(Self { listener, app: Arc::new(App::new(config, issuer, store, keys)?) })
    }

    /// Where it listens: the port is known even when the configuration said 0.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn local_addr(&self) -> Result<SocketAddr, Error> {
        self.listener.local_addr().map_err(|error| Error::Io(PathBuf::from("listener"), error))
    }

    /// Its identifier: what stands in `iss`.
    #[must_use]
    pub fn issuer(&self) -> &str {
        self.app.issuer.as_str()
    }

    /// Its database.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.app.store
    }

    /// Answers until `shutdown` is done; requests under way have ten seconds to end.
    ///
    /// # Errors
    /// None by now: what fails while it runs is logged, and answered.
    pub async fn run(
        self,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), Error> {
        let app = Arc::clone(&self.app);
        if let Some(redis) = &app.redis {
            redis.greet().await;
        }
        let jobs = background::start(&app);
        let (stopping, stop) = oneshot::channel();
        let shutdown = async move {
            shutdown.await;
            // Nobody listens once the server has ended.
            let _ = stopping.send(());
        };
        tokio::select! {
            () = connections::serve(self.listener, router(self.app), SILENT, shutdown) => {}
            () = too_long(stop) => {
                tracing::warn!(reason = "stopped_hard", "requests under way were given up");
            }
        }
        drop(jobs);
        // If the database is gone, the leases end by themselves.
        let _ = app.store.give_back_leases(&app.node).await;
        app.store.close().await;
        Ok(())
    }
}

async fn too_long(stop: oneshot::Receiver<()>) {
    // A server that ended by itself is not waited for here.
    let _ = stop.await;
    sleep(STOP_WITHIN).await;
}
