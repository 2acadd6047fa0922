//! Authorization requests that clients pushed (RFC 9126), until somebody's browser brings the reference.

use super::Store;
use crate::{Error, clock};

impl Store {
    pub(crate) async fn add_pushed_request(
        &self,
        hash: &[u8],
        client_id: &str,
        request: &str,
        lifetime: i64,
    ) -> Result<(), Error> {
        self.sql(
            "INSERT INTO pushed_requests (hash, client_id, request, expires_at) VALUES ($1, $2, \
             $3, $4)",
        )
        .bind(hash)
        .bind(client_id)
        .bind(request)
        .bind(clock::now() + lifetime)
        .execute()
        .await?;
        Ok(())
    }

    /// Takes a request that this client pushed. Only one caller gets it.
    pub(crate) async fn take_pushed_request(
        &self,
        hash: &[u8],
        client_id: &str,
    ) -> Result<Option<String>, Error> {
        let row: Option<(String,)> = self
            .sql(
                "DELETE FROM pushed_requests WHERE hash = $1 AND client_id = $2 AND expires_at > \
                 $3 RETURNING request",
            )
            .bind(hash)
            .bind(client_id)
            .bind(clock::now())
            .returning()
            .await?;
        Ok(row.map(|(request,)| request))
    }
}
