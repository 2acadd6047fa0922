//! Identity providers whose assertions count here, and who of theirs is which of our users.

use url::Url;

use super::{
    Client, NewGrant, Store,
    codes::insert_grant,
    exists,
    grant_lock::lock_grant,
    revocation::log,
    status::{IssuedToken, insert_issued_token, lock_client},
};
use crate::{Error, client_metadata, clock};

/// Longest identifiers, in bytes.
const MAX_LENGTH: usize = 512;

/// An identity provider that is trusted to speak for those users who are linked to it.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct IdentityProvider {
    /// Its issuer identifier, compared byte for byte.
    pub issuer: String,
    /// Its public keys, as a JSON Web Key Set.
    pub jwks: Option<String>,
    /// Or where it publishes them.
    pub jwks_uri: Option<String>,
}

/// Who somebody is at an identity provider.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Identity {
    /// The provider's issuer identifier.
    pub issuer: String,
    /// The `sub` of the provider's assertions.
    pub subject: String,
    /// The name of the user here.
    pub user: String,
}

impl Store {
    /// Trusts an identity provider, with its keys or with where it publishes them.
    ///
    /// # Errors
    /// [`Error::Invalid`] says what is not acceptable, [`Error::Exists`], [`Error::Database`].
    pub async fn add_identity_provider(&self, provider: &IdentityProvider) -> Result<(), Error> {
        let invalid = |why: String| Err(Error::Invalid(why));
        let issuer = &provider.issuer;
        if !is_https(issuer) || issuer.contains(['?', '#']) {
            return invalid(format!("{issuer}: an issuer is an https URL without query"));
        }
        match (&provider.jwks, &provider.jwks_uri) {
            (Some(jwks), None) => client_metadata::check_key_set(jwks)?,
            (None, Some(uri)) if is_https(uri) => {}
            (None, Some(uri)) => return invalid(format!("{uri}: keys are published by https")),
            _ => return invalid("give the provider's keys, or where they are".to_owned()),
        }
        self.sql(
            "INSERT INTO identity_providers (issuer, jwks, jwks_uri, created_at) VALUES ($1, $2, \
             $3, $4)",
        )
        .bind(issuer)
        .bind(&provider.jwks)
        .bind(&provider.jwks_uri)
        .bind(clock::now())
        .execute()
        .await
        .map_err(exists(format!("the identity provider {issuer} is trusted already")))?;
        Ok(())
    }

    /// The identity providers that are trusted. There are few.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn identity_providers(&self) -> Result<Vec<IdentityProvider>, Error> {
        self.sql("SELECT issuer, jwks, jwks_uri FROM identity_providers ORDER BY issuer")
            .all()
            .await
    }

    /// Trusts an identity provider no longer, and forgets who its users are.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it was not trusted, [`Error::Database`].
    pub async fn delete_identity_provider(&self, issuer: &str) -> Result<(), Error> {
        let mut transaction = self.begin().await?;
        let delete = transaction.sql("DELETE FROM identity_providers WHERE issuer = $1");
        if delete.bind(issuer).execute().await? == 0 {
            return Err(Error::Invalid(format!("no identity provider {issuer} is trusted")));
        }
        // A backup from before does not bring it back.
        log(&mut transaction, "identity_provider", issuer, "distrusted").await?;
        transaction.commit().await
    }

    /// Says who of an identity provider is which user.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a bad subject, or when there is no such provider or user;
    /// [`Error::Exists`] when the subject is somebody's already; [`Error::Database`].
    pub async fn link_user(&self, identity: &Identity) -> Result<(), Error> {
        let Identity { issuer, subject, user } = identity;
        if subject.is_empty() || subject.len() > MAX_LENGTH || subject.contains(char::is_control) {
            return Err(Error::Invalid("a subject has 1 to 512 visible characters".to_owned()));
        }
        if self.identity_provider(issuer).await?.is_none() {
            return Err(Error::Invalid(format!("no identity provider {issuer} is trusted")));
        }
        let done = self
            .sql(
                "INSERT INTO user_identities (issuer, subject, user_id, created_at) SELECT $1, $2, \
                 id, $3 FROM users WHERE name_key = $4",
            )
            .bind(issuer)
            .bind(subject)
            .bind(clock::now())
            .bind(user.to_ascii_lowercase())
            .execute()
            .await
            .map_err(exists(format!("{subject} of {issuer} is somebody already")))?;
        match done {
            0 => Err(Error::Invalid(format!("there is no user {user}"))),
            _ => Ok(()),
        }
    }

    /// Forgets who somebody of an identity provider is.
    ///
    /// # Errors
    /// [`Error::Invalid`] when that is nobody, [`Error::Database`].
    pub async fn unlink_user(&self, issuer: &str, subject: &str) -> Result<(), Error> {
        let mut transaction = self.begin().await?;
        let delete = "DELETE FROM user_identities WHERE issuer = $1 AND subject = $2";
        if transaction.sql(delete).bind(issuer).bind(subject).execute().await? == 0 {
            return Err(Error::Invalid(format!("{subject} of {issuer} is nobody here")));
        }
        log(&mut transaction, "identity", &format!("{issuer} {subject}"), "unlinked").await?;
        transaction.commit().await
    }

    /// Who is who, by user.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn identities(&self) -> Result<Vec<Identity>, Error> {
        self.sql(
            "SELECT issuer, subject, users.name AS \"user\" FROM user_identities JOIN users ON \
             users.id = user_id ORDER BY name_key, issuer, subject",
        )
        .all()
        .await
    }

    pub(crate) async fn identity_provider(
        &self,
        issuer: &str,
    ) -> Result<Option<IdentityProvider>, Error> {
        self.sql("SELECT issuer, jwks, jwks_uri FROM identity_providers WHERE issuer = $1")
            .bind(issuer)
            .optional()
            .await
    }

    /// The user who somebody of an identity provider is, unless locked out.
    pub(crate) async fn user_of_identity(
        &self,
        issuer: &str,
        subject: &str,
    ) -> Result<Option<String>, Error> {
        self.sql(
            "SELECT user_id FROM user_identities JOIN users ON users.id = user_id WHERE issuer = \
             $1 AND subject = $2 AND disabled_at IS NULL",
        )
        .bind(issuer)
        .bind(subject)
        .scalar()
        .await
    }

    /// Stores a grant that an identity provider made, with its only access token; `false` when the
    /// client or the user was shut out.
    pub(crate) async fn add_asserted_grant(
        &self,
        client: &Client,
        grant: &NewGrant<'_>,
        token: &IssuedToken<'_>,
    ) -> Result<bool, Error> {
        let now = clock::now();
        let mut transaction = self.begin().await?;
        match insert_grant(&mut transaction, grant, now).await {
            Err(Error::Ended) => return Ok(false),
            done => done?,
        }
        // The rows of both are ours now; the client may have been shut out, and let in again, since it
        // was looked at.
        if !lock_client(&mut transaction, &client.id, client.not_before).await?
            || !lock_grant(&mut transaction, grant.id, now).await?
        {
            return Ok(false);
        }
        insert_issued_token(&mut transaction, grant.id, token).await?;
        transaction.commit().await?;
        Ok(true)
    }
}

fn is_https(text: &str) -> bool {
    let url = Url::parse(text).ok().filter(|url| url.scheme() == "https");
    url.is_some_and(|url| url.username().is_empty() && url.password().is_none())
        && text.len() <= MAX_LENGTH
}
