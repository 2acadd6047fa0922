//! The life of a signing key: pending, active, retiring, dropped; or revoked.
//!
//! A *pending* key is published and does not sign, so that every cache knows it before its first
//! signature. One key of each algorithm is *active*. A *retiring* key stays published until the last
//! token that it signed is over. A *revoked* key leaves the key set at once, and its private half is
//! destroyed.

use countersign_core::jose::alg::Algorithm;

use super::signer::{NewKey, Signer};
use crate::{
    Config, Error, clock,
    seal::KeyRing,
    store::{SigningKeyRow, Store},
};

/// Before its first signature a key is published at least so many seconds: twice as long as an answer
/// of `/jwks` may be used (`max-age` and `stale-while-revalidate`).
pub(crate) const LEAD: i64 = 2 * (300 + 600);

/// By schedule it is published so many seconds before: also for caches that are slower than they say.
const AHEAD: i64 = 86_400;

/// After its last signature a key stays published so many seconds: the longest lifetime that a token
/// can have, and what clocks may differ.
pub(crate) const KEEP: i64 = 86_400 + 300;

/// Signing keys as they are stored: what the command line and the schedule work with.
pub struct SigningKeys {
    store: Store,
    ring: KeyRing,
    /// An active key signs for so many seconds; 0: until it is rotated by hand.
    rotation: i64,
}

/// When a new key begins to sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// Once every cache knows it: in half an hour, if the server's clock is believed by then.
    Announced,
    /// Now. Guards that do not know the key yet fetch the key set.
    AtOnce,
}

impl SigningKeys {
    /// Opens the database and the sealing key of this configuration.
    ///
    /// # Errors
    /// Every kind of [`Error`].
    pub async fn open(config: &Config) -> Result<Self, Error> {
        config.check_key_rotation()?;
        config.check_machine()?;
        let store = Store::open(&config.database).await?;
        let is_used = !store.signing_keys().await?.is_empty();
        let ring = KeyRing::load(config, is_used)?;
        Ok(Self::new(store, ring, config.key_rotation_seconds()))
    }

    pub(super) const fn new(store: Store, ring: KeyRing, rotation: i64) -> Self {
        Self { store, ring, rotation }
    }

    /// Begins to replace the active key of an algorithm (`ES256`, `RS256`, `EdDSA`).
    ///
    /// # Errors
    /// [`Error::Invalid`] for other algorithms, [`Error::Crypto`], [`Error::Database`].
    pub async fn rotate(&self, alg: &str, when: Rotation) -> Result<(), Error> {
        let alg = Algorithm::from_name(alg)
            .filter(|alg| matches!(alg, Algorithm::Es256 | Algorithm::EdDsa | Algorithm::Rs256))
            .ok_or_else(|| Error::Invalid(format!("no signing keys are made for {alg}")))?;
        let now = clock::now();
        self.ensure(alg, now).await?;
        let key = self.generate(alg, "pending", now, now + LEAD).await?;
        // There may be a pending key already; then that one is next.
        self.store.add_signing_key(&key).await?;
        match when {
            Rotation::Announced => self.store.advance_pending_key(alg.name(), now, LEAD).await?,
            Rotation::AtOnce => {
                self.promote(alg.name(), now, i64::MAX).await?;
            }
        }
        Ok(())
    }

    /// Takes a key out of the key set at once: nothing that it signed is valid any more. If it was
    /// the active one, the pending or a new one signs from now on.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there is no such key, [`Error::Crypto`], [`Error::Database`].
    pub async fn revoke(&self, kid: &str, reason: &str) -> Result<(), Error> {
        let now = clock::now();
        let alg = self
            .store
            .revoke_signing_key(kid, reason, now, now + KEEP)
            .await?
            .ok_or_else(|| Error::Invalid(format!("there is no key {kid} to revoke")))?;
        tracing::warn!(reason = "key_revoked", kid, "a signing key was revoked: {reason}");
        self.promote(&alg, now, i64::MAX).await?;
        match Algorithm::from_name(&alg) {
            Some(alg) => self.ensure(alg, now).await,
            None => Ok(()),
        }
    }

    /// Seals everything anew that the first key of the key file has not sealed. Gives their number.
    ///
    /// # Errors
    /// [`Error::Crypto`] when something opens with none of the keys; nothing is changed then.
    pub async fn reseal(&self) -> Result<usize, Error> {
        let reseal = |place: &str, sealed: &[u8]| {
            let opened = self.ring.open(place, sealed)?;
            self.ring.seal(place, &opened)
        };
        self.store.reseal(self.ring.id(), reseal).await
    }

    /// Makes the first key of an algorithm; does nothing when one is active.
    pub(super) async fn ensure(&self, alg: Algorithm, now: i64) -> Result<(), Error> {
        let rows = self.store.signing_keys().await?;
        if rows.iter().any(|row| row.state == "active" && row.alg == alg.name()) {
            return Ok(());
        }
        let key = self.generate(alg, "active", now, now).await?;
        if self.store.add_signing_key(&key).await? {
            tracing::info!(kid = key.kid, alg = key.alg, "made a signing key");
        }
        Ok(())
    }

    /// What the schedule says for this moment; keys are dropped that were over by the other one. Every
    /// step is one conditional change: that several nodes do it at once does no harm.
    pub(super) async fn tend(&self, now: i64, over: i64) -> Result<(), Error> {
        let rows = self.store.signing_keys().await?;
        let pending = |alg: &str| rows.iter().any(|row| row.state == "pending" && row.alg == alg);
        for row in rows.iter().filter(|row| row.state == "active") {
            // It may have begun when `key_rotation` was longer, or 0.
            let until = row.sign_until.min(self.sign_until(row.sign_from));
            if self.rotation > 0 && until - AHEAD <= now && !pending(&row.alg) {
                let Some(alg) = Algorithm::from_name(&row.alg) else { continue };
                let from = until.max(now + LEAD);
                let key = self.generate(alg, "pending", now, from).await?;
                if self.store.add_signing_key(&key).await? {
                    tracing::info!(kid = key.kid, alg = key.alg, from, "announced a signing key");
                }
            }
        }
        for row in rows.iter().filter(|row| row.state == "pending" && row.sign_from <= now) {
            self.promote(&row.alg, now, now).await?;
        }
        let dropped = self.store.drop_signing_keys(over).await?;
        if dropped > 0 {
            tracing::info!(dropped, "dropped signing keys that are over");
        }
        Ok(())
    }

    async fn promote(&self, alg: &str, now: i64, due: i64) -> Result<(), Error> {
        let until = self.sign_until(now);
        if self.store.promote_pending_key(alg, now, due, until, now + KEEP).await? {
            tracing::info!(alg, "another signing key is active");
        }
        Ok(())
    }

    /// Opens the private half of a stored key.
    pub(super) fn unseal(&self, row: &SigningKeyRow, alg: Algorithm) -> Result<Signer, Error> {
        let private = self.ring.open(&place(&row.kid), &row.private_sealed)?;
        Signer::from_pkcs8(&row.kid, alg, &private)
    }

    pub(super) const fn store(&self) -> &Store {
        &self.store
    }

    pub(super) const fn ring(&self) -> &KeyRing {
        &self.ring
    }

    async fn generate(
        &self,
        alg: Algorithm,
        state: &str,
        now: i64,
        from: i64,
    ) -> Result<SigningKeyRow, Error> {
        let key = tokio::task::spawn_blocking(move || NewKey::generate(alg))
            .await
            .map_err(|_| Error::Crypto("a key could not be made"))??;
        Ok(SigningKeyRow {
            private_sealed: self.ring.seal(&place(&key.kid), &key.private)?,
            sealed_by: self.ring.id().to_owned(),
            kid: key.kid,
            alg: alg.name().to_owned(),
            state: state.to_owned(),
            public_jwk: key.public_jwk,
            created_at: now,
            sign_from: from,
            sign_until: self.sign_until(from),
        })
    }

    const fn sign_until(&self, from: i64) -> i64 {
        from.saturating_add(if self.rotation > 0 { self.rotation } else { i64::MAX })
    }
}

#[cfg(test)]
#[path = "lifecycle_tests.rs"]
mod tests;

fn place(kid: &str) -> String {
    format!("signing_keys/{kid}")
}
