//! The keys that sign, as this node knows them, and the key set that is published.

mod lifecycle;
mod signer;

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use countersign_core::jose::{alg::Algorithm, base64url, jwks::GENERATION};
use serde_json::{Value, json};

pub use self::lifecycle::{Rotation, SigningKeys};
pub(crate) use self::signer::Signer;
use crate::{
    Error, clock,
    seal::{KeyRing, WRONG_KEY},
    secret,
    store::{SigningKeyRow, Store},
};

/// The algorithm where a resource names none.
pub(crate) const DEFAULT_ALGORITHM: Algorithm = Algorithm::Es256;

/// What signs now. Other nodes and the command line change keys too: [`Keys::refresh`] looks for that.
pub(crate) struct Keys {
    stored: SigningKeys,
    current: RwLock<Arc<Current>>,
}

/// One generation of keys.
#[derive(Default)]
struct Current {
    signers: BTreeMap<Algorithm, Arc<Signer>>,
    /// The names of those that shall sign, and that the sealing key here does not open.
    sealed: BTreeMap<Algorithm, String>,
    published: Arc<Published>,
}

/// The key set as everybody sees it (RFC 7517 §5).
#[derive(Clone, Debug, Default)]
pub(crate) struct Published {
    /// A number that grows with every change of the key set.
    pub(crate) generation: i64,
    /// The document.
    pub(crate) jwks: String,
    /// Its entity tag (RFC 9110 §8.8.3).
    pub(crate) etag: String,
}

impl Published {
    /// The key set as the database has it, for who signs nothing.
    pub(crate) async fn read(store: &Store) -> Result<Self, Error> {
        // First the number, as a server does.
        let generation = store.key_set_generation().await?;
        Ok(Self::of(&store.signing_keys().await?, generation))
    }

    fn of(rows: &[SigningKeyRow], generation: i64) -> Self {
        let keys: Vec<Value> = rows
            .iter()
            .filter(|row| row.state != "revoked")
            .filter_map(|row| serde_json::from_str(&row.public_jwk).ok())
            .collect();
        let jwks = json!({ "keys": keys, GENERATION: generation }).to_string();
        let etag = format!("\"{}\"", base64url::encode(secret::sha256(&[jwks.as_bytes()])));
        Self { generation, jwks, etag }
    }
}

impl Keys {
    /// Opens the stored keys; makes the first one.
    pub(crate) async fn open(store: Store, ring: KeyRing, rotation: i64) -> Result<Self, Error> {
        let stored = SigningKeys::new(store, ring, rotation);
        let keys = Self { stored, current: RwLock::default() };
        keys.signer(DEFAULT_ALGORITHM).await?;
        // The wrong sealing key is noticed at the start, not at the first token.
        match keys.current().sealed.is_empty() {
            true => Ok(keys),
            false => Err(Error::Crypto(WRONG_KEY)),
        }
    }

    /// The key that signs with this algorithm: ES256, RS256 or EdDSA. The first one of an algorithm
    /// is made here.
    ///
    /// # Errors
    /// [`Error::Crypto`] for other algorithms and for keys that do not open, [`Error::Database`].
    pub(crate) async fn signer(&self, alg: Algorithm) -> Result<Arc<Signer>, Error> {
        if let Some(signer) = self.current().signers.get(&alg) {
            return Ok(Arc::clone(signer));
        }
        // Another node may make one at the same moment: what is stored then counts.
        self.stored.ensure(alg, clock::now()).await?;
        self.reload().await?;
        let current = self.current();
        let why = match current.sealed.contains_key(&alg) {
            true => WRONG_KEY,
            false => "there is no active signing key",
        };
        current.signers.get(&alg).cloned().ok_or(Error::Crypto(why))
    }

    /// The key set now. Its generation stands in it and in status lists, so that a guard fetches the key set
    /// when it has changed.
    pub(crate) fn published(&self) -> Arc<Published> {
        Arc::clone(&self.current().published)
    }

    /// Seals what else must not lie in the database in clear.
    pub(crate) fn ring(&self) -> &KeyRing {
        self.stored.ring()
    }

    /// Takes over what was changed elsewhere. One small read when nothing was.
    pub(crate) async fn refresh(&self) -> Result<(), Error> {
        let generation = self.stored.store().key_set_generation().await?;
        if generation != self.current().published.generation {
            // A restored database may have none that signs. First this: a key set without the key that
            // signs is never published.
            self.stored.ensure(DEFAULT_ALGORITHM, clock::now()).await?;
            self.reload().await?;
        }
        // A restored database may have none that signs; or none that opens, until it is sealed anew.
        self.signer(DEFAULT_ALGORITHM).await.map(drop)
    }

    /// Makes, activates and retires keys whose time has come, and drops those that were over by then.
    pub(crate) async fn tend(&self, now: i64, over: i64) -> Result<(), Error> {
        self.stored.tend(now, over).await?;
        self.refresh().await
    }

    fn current(&self) -> Arc<Current> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    async fn reload(&self) -> Result<(), Error> {
        // First the number: a change after it is found next time.
        let generation = self.stored.store().key_set_generation().await?;
        let rows = self.stored.store().signing_keys().await?;
        let before = self.current();
        let mut signers = BTreeMap::new();
        let mut sealed = BTreeMap::new();
        for row in rows.iter().filter(|row| row.state == "active") {
            let Some(alg) = Algorithm::from_name(&row.alg) else { continue };
            let signer = match before.signers.get(&alg).filter(|signer| signer.kid() == row.kid) {
                Some(signer) => Arc::clone(signer),
                // What was revoked leaves the key set all the same.
                None => match self.stored.unseal(row, alg) {
                    Ok(signer) => Arc::new(signer),
                    Err(error) => {
                        if before.sealed.get(&alg) != Some(&row.kid) {
                            let reason = error.reason();
                            tracing::error!(reason, kid = row.kid, "a signing key: {error}");
                        }
                        sealed.insert(alg, row.kid.clone());
                        continue;
                    }
                },
            };
            signers.insert(alg, signer);
        }
        let published = Arc::new(Published::of(&rows, generation));
        let current = Arc::new(Current { signers, sealed, published });
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = current;
        Ok(())
    }
}

#[cfg(test)]
#[path = "reload_tests.rs"]
mod tests;
