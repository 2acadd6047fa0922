//! Tokens that come of other tokens (RFC 8693): they belong to the grant of the first one.

use super::{
    Client, Store,
    grant_lock::lock_grant,
    status::{IssuedToken, insert_issued_token, lock_client},
};
use crate::{Error, clock};

/// The grant of an access token.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct TokenGrant {
    pub(crate) id: String,
    pub(crate) user_id: String,
}

impl Store {
    /// The grant of the access token at a place of a status list, while it and its user are good.
    pub(crate) async fn grant_of_token(
        &self,
        status_list: &str,
        status_index: u32,
    ) -> Result<Option<TokenGrant>, Error> {
        self.sql(
            "SELECT grants.id, grants.user_id FROM issued_tokens JOIN grants ON grants.id = \
             grant_id JOIN users ON users.id = grants.user_id WHERE status_list = $1 AND \
             status_index = $2 AND revoked_at IS NULL AND disabled_at IS NULL",
        )
        .bind(status_list)
        .bind(i64::from(status_index))
        .optional()
        .await
    }

    /// Remembers a token that a client gets by exchange; `false` when the grant, its user or the
    /// client is shut out.
    pub(crate) async fn add_exchanged_token(
        &self,
        grant_id: &str,
        client: &Client,
        token: &IssuedToken<'_>,
    ) -> Result<bool, Error> {
        let now = clock::now();
        let mut transaction = self.begin().await?;
        // In the order of `disable_client`: whoever is first, the other one sees it.
        if !lock_client(&mut transaction, &client.id, client.not_before).await?
            || !lock_grant(&mut transaction, grant_id, now).await?
        {
            return Ok(false);
        }
        insert_issued_token(&mut transaction, grant_id, token).await?;
        transaction
            .sql(
                "UPDATE issued_tokens SET holder = $1 WHERE status_list = $2 AND status_index = $3",
            )
            .bind(&client.id)
            .bind(token.status_list)
            .bind(i64::from(token.status_index))
            .execute()
            .await?;
        transaction.commit().await?;
        Ok(true)
    }
}
