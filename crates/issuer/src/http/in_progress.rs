//! What is needed for minutes only: in Redis, where it is configured, otherwise in the database.

use super::App;
use crate::{Error, store::InteractionRow};

impl App {
    /// Remembers an identifier until it would be refused anyway. Only the first caller gets `true`,
    /// whichever node asks. `made_at`: when it was made, if that is said.
    ///
    /// # Errors
    /// [`Error::Redis`] also where the database would answer: it does not know what Redis knew.
    pub(super) async fn is_first_use(
        &self,
        kind: &'static str,
        issuer: &str,
        jti: &str,
        made_at: Option<i64>,
        forget_at: i64,
    ) -> Result<bool, Error> {
        match &self.redis {
            Some(redis) => Ok(redis.is_first_use(kind, issuer, jti, made_at, forget_at).await?),
            None => self.store.is_first_use(kind, issuer, jti, forget_at).await,
        }
    }

    /// Stores an authorization that waits for its user.
    pub(super) async fn add_interaction(
        &self,
        id_hash: &[u8],
        browser_hash: &[u8],
        request: &str,
        lifetime: i64,
    ) -> Result<(), Error> {
        if let Some(redis) = &self.redis
            && redis.add_interaction(id_hash, browser_hash, request, lifetime).await.is_ok()
        {
            return Ok(());
        }
        self.store.add_interaction(id_hash, browser_hash, request, lifetime).await
    }

    /// It is in one of the two. What was in a Redis that went away began in vain: the user is sent
    /// back to the application.
    pub(super) async fn interaction(
        &self,
        id_hash: &[u8],
    ) -> Result<Option<InteractionRow>, Error> {
        if let Some(redis) = &self.redis
            && let Ok(Some((browser_hash, request))) = redis.interaction(id_hash).await
        {
            return Ok(Some(InteractionRow { browser_hash, request }));
        }
        self.store.interaction(id_hash).await
    }

    /// Ends one. Only one caller gets `true`: an answer of Redis that got lost counts as no.
    pub(super) async fn end_interaction(&self, id_hash: &[u8]) -> Result<bool, Error> {
        if let Some(redis) = &self.redis
            && let Ok(true) = redis.end_interaction(id_hash).await
        {
            return Ok(true);
        }
        self.store.end_interaction(id_hash).await
    }
}
