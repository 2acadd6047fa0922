//! The server: opened, bound, run until it is told to stop.

use std::{future::Future, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use tokio::{net::TcpListener, time::interval};

use crate::{
    Config, Error,
    http::{App, router},
    keys::SigningKeys,
    seal::SealingKey,
    store::Store,
};

/// Between two looks for what can be deleted.
const PRUNE_EVERY: Duration = Duration::from_secs(60);

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
        let store = Store::open(&config.database).await?;
        let keys = SigningKeys::load(&store, &SealingKey::load(&config)?).await?;
        let listener = TcpListener::bind(config.listen)
            .await
            .map_err(|error| Error::Io(PathBuf::from(config.listen.to_string()), error))?;
        Ok(Self { listener, app: Arc::new(App::new(config, store, keys)?) })
    }

    /// Where it listens: the port is known even when the configuration said 0.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn local_addr(&self) -> Result<SocketAddr, Error> {
        self.listener.local_addr().map_err(|error| Error::Io(PathBuf::from("listener"), error))
    }

    /// Its database.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.app.store
    }

    /// Answers until `shutdown` is done; requests under way are answered first.
    ///
    /// # Errors
    /// [`Error::Io`] when the listener fails.
    pub async fn run(
        self,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), Error> {
        let store = self.app.store.clone();
        let pruning = tokio::spawn(async move {
            let mut ticks = interval(PRUNE_EVERY);
            loop {
                ticks.tick().await;
                if let Err(error) = store.prune().await {
                    tracing::warn!(reason = error.reason(), "pruning: {error}");
                }
            }
        });
        let store = self.app.store.clone();
        let service = router(self.app).into_make_service_with_connect_info::<SocketAddr>();
        let done = axum::serve(self.listener, service).with_graceful_shutdown(shutdown).await;
        pruning.abort();
        store.close().await;
        done.map_err(|error| Error::Io(PathBuf::from("listener"), error))
    }
}
