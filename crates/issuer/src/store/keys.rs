//! Signing keys. Every change of the key set counts the counter `key_set` up, which all nodes read.

use super::{Store, Transaction, revocation::log};
use crate::Error;

/// A stored signing key.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct SigningKeyRow {
    pub(crate) kid: String,
    pub(crate) alg: String,
    pub(crate) state: String,
    pub(crate) public_jwk: String,
    pub(crate) private_sealed: Vec<u8>,
    pub(crate) sealed_by: String,
    pub(crate) created_at: i64,
    pub(crate) sign_from: i64,
    pub(crate) sign_until: i64,
}

/// What may be told about a signing key.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct SigningKeyInfo {
    /// Its `kid`: the thumbprint of RFC 7638.
    pub kid: String,
    /// `ES256`, `RS256` or `EdDSA`.
    pub alg: String,
    /// `pending`, `active`, `retiring` or `revoked`.
    pub state: String,
    /// When it was made and published, in seconds since the epoch.
    pub created_at: i64,
    /// When it begins, or began, to sign.
    pub sign_from: i64,
    /// When another one shall take over.
    pub sign_until: i64,
    /// When it leaves the key set, or, once it is revoked, the database.
    pub drop_at: Option<i64>,
    /// The fingerprint of the sealing key that opens it.
    pub sealed_by: String,
}

impl Store {
    pub(crate) async fn signing_keys(&self) -> Result<Vec<SigningKeyRow>, Error> {
        self.sql(
            "SELECT kid, alg, state, public_jwk, private_sealed, sealed_by, created_at, sign_from, \
             sign_until FROM signing_keys ORDER BY created_at, sign_from, kid",
        )
        .all()
        .await
    }

    /// All signing keys, the oldest first.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn signing_key_infos(&self) -> Result<Vec<SigningKeyInfo>, Error> {
        self.sql(
            "SELECT kid, alg, state, created_at, sign_from, sign_until, drop_at, sealed_by \
             FROM signing_keys ORDER BY created_at, sign_from, kid",
        )
        .all()
        .await
    }

    /// A number that grows with every change of the key set.
    pub(crate) async fn key_set_generation(&self) -> Result<i64, Error> {
        let number = self.sql("SELECT value FROM counters WHERE name = 'key_set'").scalar().await?;
        Ok(number.unwrap_or_default())
    }

    /// Adds an active or a pending key. `false`: its algorithm has one in this state already.
    pub(crate) async fn add_signing_key(&self, key: &SigningKeyRow) -> Result<bool, Error> {
        let mut transaction = self.begin().await?;
        let added = transaction
            .sql(
                "INSERT INTO signing_keys (kid, alg, state, public_jwk, private_sealed, sealed_by, \
                 created_at, sign_from, sign_until) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
                 ON CONFLICT DO NOTHING",
            )
            .bind(&key.kid)
            .bind(&key.alg)
            .bind(&key.state)
            .bind(&key.public_jwk)
            .bind(&key.private_sealed)
            .bind(&key.sealed_by)
            .bind(key.created_at)
            .bind(key.sign_from)
            .bind(key.sign_until)
            .execute()
            .await?;
        if added == 1 {
            count_up(&mut transaction).await?;
        }
        transaction.commit().await?;
        Ok(added == 1)
    }

    /// Lets the pending key sign as soon as it has been published for so many seconds.
    pub(crate) async fn advance_pending_key(
        &self,
        alg: &str,
        now: i64,
        lead: i64,
    ) -> Result<(), Error> {
        self.sql(
            "UPDATE signing_keys SET sign_from = CASE WHEN created_at + $1 > $2 \
             THEN created_at + $1 ELSE $2 END WHERE alg = $3 AND state = 'pending' \
             AND sign_from > $2",
        )
        .bind(lead)
        .bind(now)
        .bind(alg)
        .execute()
        .await?;
        Ok(())
    }

    /// The pending key becomes active if it was to sign by then, the active one retires. `false`:
    /// there is nothing to promote.
    pub(crate) async fn promote_pending_key(
        &self,
        alg: &str,
        now: i64,
        due: i64,
        sign_until: i64,
        drop_at: i64,
    ) -> Result<bool, Error> {
        let mut transaction = self.begin().await?;
        transaction
            .sql(
                "UPDATE signing_keys SET state = 'retiring', sign_until = $1, drop_at = $2 \
                 WHERE alg = $3 AND state = 'active'",
            )
            .bind(now)
            .bind(drop_at)
            .bind(alg)
            .execute()
            .await?;
        let promoted = transaction
            .sql(
                "UPDATE signing_keys SET state = 'active', sign_from = $1, sign_until = $2 \
                 WHERE alg = $3 AND state = 'pending' AND sign_from <= $4",
            )
            .bind(now)
            .bind(sign_until)
            .bind(alg)
            .bind(due)
            .execute()
            .await?;
        if promoted == 0 {
            return Ok(false);
        }
        count_up(&mut transaction).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Takes a key out of the key set and destroys its private half. Gives its algorithm.
    pub(crate) async fn revoke_signing_key(
        &self,
        kid: &str,
        reason: &str,
        now: i64,
        drop_at: i64,
    ) -> Result<Option<String>, Error> {
        let mut transaction = self.begin().await?;
        let revoked: Option<(String,)> = transaction
            .sql(
                "UPDATE signing_keys SET state = 'revoked', private_sealed = $1, sign_until = $2, \
                 drop_at = $3 WHERE kid = $4 AND state <> 'revoked' RETURNING alg",
            )
            .bind(Vec::new())
            .bind(now)
            .bind(drop_at)
            .bind(kid)
            .returning()
            .await?;
        let Some((alg,)) = revoked else { return Ok(None) };
        count_up(&mut transaction).await?;
        log(&mut transaction, "key", kid, reason).await?;
        transaction.commit().await?;
        Ok(Some(alg))
    }

    /// Deletes keys that nothing valid is signed with any more.
    pub(crate) async fn drop_signing_keys(&self, now: i64) -> Result<u64, Error> {
        let mut transaction = self.begin().await?;
        let dropped = transaction
            .sql(
                "DELETE FROM signing_keys WHERE state IN ('retiring', 'revoked') AND drop_at <= $1",
            )
            .bind(now)
            .execute()
            .await?;
        if dropped > 0 {
            count_up(&mut transaction).await?;
            transaction.commit().await?;
        }
        Ok(dropped)
    }

    /// Replaces everything sealed that this key has not sealed; all of it or nothing. Gives the
    /// number.
    pub(crate) async fn reseal(
        &self,
        by: &str,
        reseal: impl Fn(&str, &[u8]) -> Result<Vec<u8>, Error>,
    ) -> Result<usize, Error> {
        // A column each: what to read, and what to write back if nobody else has changed it.
        const SEALED: [(&str, &str, &str); 2] = [
            (
                "signing_keys",
                "SELECT kid, private_sealed FROM signing_keys \
                 WHERE sealed_by <> $1 AND state <> 'revoked'",
                "UPDATE signing_keys SET private_sealed = $1, sealed_by = $2 \
                 WHERE kid = $3 AND private_sealed = $4",
            ),
            (
                "status_lists",
                "SELECT id, permutation_sealed FROM status_lists WHERE sealed_by <> $1",
                "UPDATE status_lists SET permutation_sealed = $1, sealed_by = $2 \
                 WHERE id = $3 AND permutation_sealed = $4",
            ),
        ];
        let mut transaction = self.begin().await?;
        let mut count = 0;
        for (table, read, write) in SEALED {
            let rows: Vec<(String, Vec<u8>)> = transaction.sql(read).bind(by).all().await?;
            for (id, sealed) in rows {
                let anew = reseal(&format!("{table}/{id}"), &sealed)?;
                let replace = transaction.sql(write).bind(anew).bind(by).bind(&id).bind(&sealed);
                count += usize::from(replace.execute().await? == 1);
            }
        }
        transaction.commit().await?;
        Ok(count)
    }
}

async fn count_up(transaction: &mut Transaction) -> Result<(), Error> {
    transaction
        .sql("UPDATE counters SET value = value + 1 WHERE name = 'key_set'")
        .execute()
        .await?;
    Ok(())
}
