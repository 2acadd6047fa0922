//! What is needed for minutes only: in Redis, where it is configured, otherwise in the database.

use countersign_core::jose::base64url;

use super::App;
use crate::{
    Error,
    redis::Redis,
    secret::{self, Kind},
    store::InteractionRow,
};

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
            // As a digest: its length, and what it is made of, is for others to choose.
            None => {
                let digest = base64url::encode(secret::sha256(&[jti.as_bytes()]));
                self.store.is_first_use(kind, issuer, &digest, forget_at).await
            }
        }
    }

    /// Stores an authorization that waits for its user. Gives its name, which says where it is: an answer
    /// of Redis may get lost after it stored something, and what is in two places would end twice.
    pub(super) async fn add_interaction(
        &self,
        browser_hash: &[u8],
        request: &str,
        lifetime: i64,
    ) -> Result<String, Error> {
        if let Some(redis) = &self.redis {
            let id = secret::new(Kind::InteractionInRedis)?;
            let hash = secret::hash(Kind::InteractionInRedis, &id);
            if redis.add_interaction(&hash, browser_hash, request, lifetime).await.is_ok() {
                return Ok(id);
            }
        }
        let id = secret::new(Kind::Interaction)?;
        let hash = secret::hash(Kind::Interaction, &id);
        self.store.add_interaction(&hash, browser_hash, request, lifetime).await?;
        Ok(id)
    }

    /// One that waits. What is in a Redis that went away began in vain: the user is sent back to the
    /// application.
    pub(super) async fn interaction(&self, id: &str) -> Result<Option<InteractionRow>, Error> {
        let (hash, redis) = self.place(id);
        let Some(redis) = redis else {
            return self.store.interaction(&hash).await;
        };
        let found = redis.interaction(&hash).await.ok().flatten();
        Ok(found.map(|(browser_hash, request)| InteractionRow { browser_hash, request }))
    }

    /// Ends one. Only one caller gets `true`: an answer of Redis that got lost counts as no.
    pub(super) async fn end_interaction(&self, id: &str) -> Result<bool, Error> {
        let (hash, redis) = self.place(id);
        match redis {
            Some(redis) => Ok(redis.end_interaction(&hash).await.unwrap_or(false)),
            None => self.store.end_interaction(&hash).await,
        }
    }

    /// Where one is, and by which digest; in the database where there is no Redis.
    fn place(&self, id: &str) -> (Vec<u8>, Option<&Redis>) {
        match secret::is_well_formed(Kind::InteractionInRedis, id) {
            true => (secret::hash(Kind::InteractionInRedis, id), self.redis.as_ref()),
            false => (secret::hash(Kind::Interaction, id), None),
        }
    }
}
