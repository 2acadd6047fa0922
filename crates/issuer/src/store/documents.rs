//! Client ID Metadata Documents, as they were last found, and the clients that they make.

use super::Store;
use crate::{Error, client_metadata::ClientMetadata, clock};

/// A document.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct DocumentRow {
    pub(crate) etag: Option<String>,
    pub(crate) pinned: bool,
    pub(crate) fresh_until: i64,
}

/// A document that was found just now, or that an administrator supplies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FoundDocument<'a> {
    pub(crate) url: &'a str,
    pub(crate) etag: Option<&'a str>,
    pub(crate) pinned: bool,
    pub(crate) fresh_until: i64,
}

/// A document as an administrator sees it.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct ClientDocument {
    /// The `client_id`.
    pub url: String,
    /// Whether an administrator supplied it: then it is never fetched.
    pub pinned: bool,
    /// When it was fetched or supplied, in seconds since the epoch.
    pub fetched_at: i64,
    /// Until when it is used without another look.
    pub fresh_until: i64,
}

impl Store {
    pub(crate) async fn document(&self, url: &str) -> Result<Option<DocumentRow>, Error> {
        self.sql("SELECT etag, pinned, fresh_until FROM client_documents WHERE url = $1")
            .bind(url)
            .optional()
            .await
    }

    /// All documents, by URL.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn client_documents(&self) -> Result<Vec<ClientDocument>, Error> {
        self.sql("SELECT url, pinned, fetched_at, fresh_until FROM client_documents ORDER BY url")
            .all()
            .await
    }

    /// Stores a document, and the client that it describes. One that is pinned is replaced only by
    /// another that is.
    pub(crate) async fn put_document(
        &self,
        found: &FoundDocument<'_>,
        metadata: &ClientMetadata,
    ) -> Result<(), Error> {
        let now = clock::now();
        let mut transaction = self.begin().await?;
        let done = transaction
            .sql(
                "INSERT INTO client_documents (url, etag, pinned, fetched_at, fresh_until) VALUES \
                 ($1, $2, $3, $4, $5) ON CONFLICT (url) DO UPDATE SET etag = excluded.etag, pinned \
                 = excluded.pinned, fetched_at = excluded.fetched_at, fresh_until = \
                 excluded.fresh_until WHERE NOT client_documents.pinned OR excluded.pinned",
            )
            .bind(found.url)
            .bind(found.etag)
            .bind(found.pinned)
            .bind(now)
            .bind(found.fresh_until)
            .execute()
            .await?;
        if done == 0 {
            return Ok(());
        }
        // Whether it is disabled is the administrator's, and stays.
        transaction
            .sql(
                "INSERT INTO clients (id, kind, name, redirect_uris, grant_types, auth_method, \
                 metadata, jwks, jwks_uri, dpop_bound, signed_requests, created_at) VALUES ($1, \
                 'cimd', $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (id) DO UPDATE SET \
                 name = excluded.name, redirect_uris = excluded.redirect_uris, grant_types = \
                 excluded.grant_types, auth_method = excluded.auth_method, metadata = \
                 excluded.metadata, jwks = excluded.jwks, \
                 jwks_uri = excluded.jwks_uri, dpop_bound = excluded.dpop_bound, \
                 signed_requests = excluded.signed_requests",
            )
            .bind(found.url)
            .bind(&metadata.name)
            // URIs have no spaces: they are checked before.
            .bind(metadata.redirect_uris.join(" "))
            .bind(metadata.grant_types.join(" "))
            .bind(&metadata.auth_method)
            .bind(metadata.descriptive_json())
            .bind(&metadata.jwks)
            .bind(&metadata.jwks_uri)
            .bind(metadata.dpop_bound)
            .bind(metadata.signed_requests)
            .bind(now)
            .execute()
            .await?;
        transaction.commit().await?;
        self.cache.look_again();
        Ok(())
    }

    /// The document has not changed.
    pub(crate) async fn keep_document(&self, url: &str, fresh_until: i64) -> Result<(), Error> {
        self.sql(
            "UPDATE client_documents SET fetched_at = $1, fresh_until = $2 WHERE url = $3 AND NOT \
             pinned",
        )
        .bind(clock::now())
        .bind(fresh_until)
        .bind(url)
        .execute()
        .await?;
        Ok(())
    }

    /// Lets a document be fetched again that was pinned.
    ///
    /// # Errors
    /// [`Error::Invalid`] when none of this URL is pinned, [`Error::Database`].
    pub async fn unpin_client_document(&self, url: &str) -> Result<(), Error> {
        let done = self
            .sql(
                "UPDATE client_documents SET pinned = FALSE, fresh_until = 0 WHERE url = $1 AND \
                 pinned",
            )
            .bind(url)
            .execute()
            .await?;
        match done {
            0 => Err(Error::Invalid(format!("no document of {url} is pinned"))),
            _ => Ok(()),
        }
    }
}
