//! Registration by clients themselves (RFC 7591, RFC 7592): who may, and what they change later.

use super::{ClientRow, Store};
use crate::{Error, clock};

/// An initial access token (RFC 7591 §3), as an administrator sees it.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct InitialToken {
    /// What it was made for.
    pub name: String,
    /// How many clients may still be registered with it.
    pub uses_left: i64,
    /// When it ends, in seconds since the epoch.
    pub expires_at: i64,
}

impl Store {
    pub(crate) async fn add_initial_token(
        &self,
        hash: &[u8],
        token: &InitialToken,
    ) -> Result<(), Error> {
        self.sql(
            "INSERT INTO initial_access_tokens (hash, name, uses_left, created_at, expires_at) \
             VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(hash)
        .bind(&token.name)
        .bind(token.uses_left)
        .bind(clock::now())
        .bind(token.expires_at)
        .execute()
        .await?;
        Ok(())
    }

    /// The initial access tokens that still work, by name.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn initial_tokens(&self) -> Result<Vec<InitialToken>, Error> {
        self.sql(
            "SELECT name, uses_left, expires_at FROM initial_access_tokens WHERE uses_left > 0 AND \
             expires_at > $1 ORDER BY name, expires_at",
        )
        .bind(clock::now())
        .all()
        .await
    }

    /// Takes back all initial access tokens of this name.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there is none, [`Error::Database`].
    pub async fn delete_initial_tokens(&self, name: &str) -> Result<(), Error> {
        let done = self
            .sql("DELETE FROM initial_access_tokens WHERE name = $1")
            .bind(name)
            .execute()
            .await?;
        match done {
            0 => Err(Error::Invalid(format!("there is no initial access token called {name}"))),
            _ => Ok(()),
        }
    }

    /// Whether a token would let a client register.
    pub(crate) async fn has_initial_token(&self, hash: &[u8]) -> Result<bool, Error> {
        let found: Option<i64> = self
            .sql(
                "SELECT uses_left FROM initial_access_tokens WHERE hash = $1 AND uses_left > 0 AND \
                 expires_at > $2",
            )
            .bind(hash)
            .bind(clock::now())
            .scalar()
            .await?;
        Ok(found.is_some())
    }

    /// Uses a token up by one client. `false`: somebody was faster with its last use.
    pub(crate) async fn use_initial_token(&self, hash: &[u8]) -> Result<bool, Error> {
        let done = self
            .sql(
                "UPDATE initial_access_tokens SET uses_left = uses_left - 1 WHERE hash = $1 AND \
                 uses_left > 0 AND expires_at > $2",
            )
            .bind(hash)
            .bind(clock::now())
            .execute()
            .await?;
        Ok(done == 1)
    }

    /// Replaces what a client registered, by whoever holds this registration access token. Only one
    /// caller with it gets `true`: the row has another one then.
    pub(crate) async fn update_client(
        &self,
        row: &ClientRow,
        held_hash: &[u8],
    ) -> Result<bool, Error> {
        let client = &row.client;
        let done = self
            .sql(
                "UPDATE clients SET name = $1, redirect_uris = $2, grant_types = $3, auth_method = \
                 $4, secret_hash = $5, jwks = $6, jwks_uri = $7, metadata = $8, \
                 registration_token_hash = $9, dpop_bound = $10, signed_requests = $11 WHERE id = \
                 $12 AND registration_token_hash = $13 AND kind = 'registered' AND disabled_at IS \
                 NULL",
            )
            .bind(&client.name)
            .bind(client.redirect_uris.join(" "))
            .bind(client.grant_types.join(" "))
            .bind(&client.auth_method)
            .bind(&row.secret_hash)
            .bind(&row.jwks)
            .bind(&row.jwks_uri)
            .bind(&row.metadata)
            .bind(&row.registration_token_hash)
            .bind(client.dpop_bound)
            .bind(client.signed_requests)
            .bind(&client.id)
            .bind(held_hash)
            .execute()
            .await?;
        self.cache.look_again();
        Ok(done == 1)
    }
}
