//! Signing keys.

use super::Store;
use crate::Error;

#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct SigningKeyRow {
    pub(crate) kid: String,
    pub(crate) alg: String,
    pub(crate) state: String,
    pub(crate) public_jwk: String,
    pub(crate) private_sealed: Vec<u8>,
    pub(crate) created_at: i64,
    pub(crate) sign_from: i64,
    pub(crate) sign_until: i64,
}

impl Store {
    pub(crate) async fn signing_keys(&self) -> Result<Vec<SigningKeyRow>, Error> {
        self.sql(
            "SELECT kid, alg, state, public_jwk, private_sealed, created_at, sign_from, sign_until \
             FROM signing_keys ORDER BY created_at, kid",
        )
        .all()
        .await
    }

    /// Adds the first active key of its algorithm; does nothing when there is one.
    pub(crate) async fn add_signing_key(&self, key: &SigningKeyRow) -> Result<(), Error> {
        self.sql(
            "INSERT INTO signing_keys (kid, alg, state, public_jwk, private_sealed, created_at, \
             sign_from, sign_until) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING",
        )
        .bind(&key.kid)
        .bind(&key.alg)
        .bind(&key.state)
        .bind(&key.public_jwk)
        .bind(&key.private_sealed)
        .bind(key.created_at)
        .bind(key.sign_from)
        .bind(key.sign_until)
        .execute()
        .await?;
        Ok(())
    }
}
