//! What may come once: the identifiers of assertions and proofs, until they would be refused anyway.

use super::Store;
use crate::Error;

impl Store {
    /// Remembers an identifier. Only the first caller gets `true`, whichever node asks.
    pub(crate) async fn is_first_use(
        &self,
        kind: &'static str,
        issuer: &str,
        jti: &str,
        forget_at: i64,
    ) -> Result<bool, Error> {
        let added = self
            .sql(
                "INSERT INTO jti_seen (kind, issuer, jti, expires_at) VALUES ($1, $2, $3, $4) ON \
                 CONFLICT DO NOTHING",
            )
            .bind(kind)
            .bind(issuer)
            .bind(jti)
            .bind(forget_at)
            .execute()
            .await?;
        Ok(added == 1)
    }
}
