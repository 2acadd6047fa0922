//! The metadata of an authorization server (RFC 8414, OpenID Connect Discovery), as its reader sees it.

use alloc::{string::String, vec::Vec};

use super::{MetadataError, flag, is_callable, members, text, texts};
use crate::jose::json::Object;

/// A document whose `issuer` is the one that was asked for.
///
/// A member is checked when it is asked for: an issuer that errs in one that nobody here needs stays
/// usable. Members are named as in RFC 8414 §2 and the registry that it founded.
#[derive(Clone, Debug, PartialEq)]
pub struct AuthorizationServerMetadata {
    members: Object,
    issuer: String,
}

impl AuthorizationServerMetadata {
    /// Reads a document that was fetched from one of
    /// [`authorization_server_urls`](super::authorization_server_urls) for `issuer`.
    ///
    /// # Errors
    /// [`MetadataError`]; above all when `issuer` in it is not that identifier byte for byte, in which
    /// case the document must not be used (RFC 8414 §3.3).
    ///
    /// ```
    /// use countersign_core::oauth::metadata::AuthorizationServerMetadata;
    ///
    /// let document = br#"{
    ///     "issuer": "https://auth.example.com",
    ///     "jwks_uri": "https://auth.example.com/jwks",
    ///     "code_challenge_methods_supported": ["S256"]
    /// }"#;
    /// let issuer = "https://auth.example.com";
    /// let metadata = AuthorizationServerMetadata::parse(document, issuer).unwrap();
    /// assert_eq!(metadata.required_url("jwks_uri"), Ok("https://auth.example.com/jwks"));
    /// assert_eq!(metadata.texts("code_challenge_methods_supported").unwrap(), ["S256"]);
    /// assert!(AuthorizationServerMetadata::parse(document, "https://auth.example.com/").is_err());
    /// ```
    pub fn parse(document: &[u8], issuer: &str) -> Result<Self, MetadataError> {
        let members = members(document)?;
        match text(&members, "issuer")? {
            None => Err(MetadataError::Missing("issuer")),
            Some(named) if named == issuer => Ok(Self { members, issuer: issuer.into() }),
            Some(_) => Err(MetadataError::Other("issuer")),
        }
    }

    /// An endpoint or another URL: `https`, or the issuer's own scheme, which is `http` for a loopback
    /// issuer in development.
    ///
    /// # Errors
    /// [`MetadataError::Malformed`] for anything else.
    pub fn url(&self, name: &'static str) -> Result<Option<&str>, MetadataError> {
        match text(&self.members, name)? {
            Some(url) if !is_callable(url, &self.issuer) => Err(MetadataError::Malformed(name)),
            found => Ok(found),
        }
    }

    /// A URL that must be there.
    ///
    /// # Errors
    /// Those of [`Self::url`], and [`MetadataError::Missing`].
    pub fn required_url(&self, name: &'static str) -> Result<&str, MetadataError> {
        self.url(name)?.ok_or(MetadataError::Missing(name))
    }

    /// An array of texts; empty when it is not there.
    ///
    /// # Errors
    /// [`MetadataError::Malformed`].
    pub fn texts(&self, name: &'static str) -> Result<Vec<&str>, MetadataError> {
        texts(&self.members, name)
    }

    /// A flag; `false` when it is not there.
    ///
    /// # Errors
    /// [`MetadataError::Malformed`].
    pub fn flag(&self, name: &'static str) -> Result<bool, MetadataError> {
        flag(&self.members, name)
    }
}
