//! What the engine asks its host to fetch.

use alloc::string::String;
use core::fmt;

use crate::{
    jose::jwks::JwksError,
    oauth::{
        introspection::IntrospectionError, metadata::MetadataError, resource::split,
        status_list::StatusListError,
    },
};

/// Names one fetch, so that a late answer to an earlier one is recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchId(pub(super) u64);

impl FetchId {
    /// As a number, for hosts that keep their books in another language.
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// From the number that [`Self::as_u64`] gave. An invented one does no harm: the engine ignores
    /// answers that it did not ask for.
    #[must_use]
    pub const fn from_u64(number: u64) -> Self {
        Self(number)
    }
}

/// A request for the host to send, without following redirects: GET without credentials, or POST of
/// a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// To be given back with the answer.
    pub id: FetchId,
    /// The whole URL.
    pub url: String,
    /// Envoy's upstream cluster for it.
    pub cluster: Option<String>,
    /// What is to be sent by POST.
    pub form: Option<Form>,
    /// Whether no cache on the way may answer by itself ([`Fetch::NO_CACHE`]): what it has of a key set may be
    /// from before a key was revoked.
    pub fresh: bool,
    /// Whether something that the issuer signed shows that what was fetched before is out of date. What others
    /// fetched and keep is no answer to that: it may be the same.
    pub outdated: bool,
}

/// A form, and on whose behalf it is sent.
#[derive(Clone, PartialEq, Eq)]
pub struct Form {
    /// The `Authorization` header. Secret.
    pub authorization: String,
    /// The body. A token stands in it.
    pub body: String,
}

impl Form {
    /// The `Content-Type` header.
    pub const CONTENT_TYPE: &str = "application/x-www-form-urlencoded";
}

/// Leaves out all of it.
impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Form")
    }
}

impl Fetch {
    /// The `Accept` header of every fetch: metadata, key sets and status lists.
    pub const ACCEPT: &str =
        "application/json, application/jwk-set+json, application/statuslist+jwt";

    /// The `Cache-Control` header of a fetch that must be fresh
    /// ([RFC 9111 §5.2.1.4](https://www.rfc-editor.org/rfc/rfc9111#section-5.2.1.4)).
    pub const NO_CACHE: &str = "no-cache";

    /// Longest answer that a host should read, in bytes.
    pub const MAX_BYTES: usize = 512 * 1024;

    /// Longest time that a host should wait, in seconds.
    pub const TIMEOUT: u64 = 5;

    /// Scheme, authority and path with query of the URL.
    #[must_use]
    pub fn parts(&self) -> (&str, &str, &str) {
        let (scheme, authority, path) = split(&self.url).unwrap_or(("https", "", "/"));
        (scheme, authority, if path.is_empty() { "/" } else { path })
    }
}

/// Why the answer to a fetch could not be used, for the operator's log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FetchError {
    /// The answer does not say which status lists there are.
    Aggregation,
    /// The issuer's answer about a token is not usable.
    Introspection(IntrospectionError),
    /// The key set is not usable.
    KeySet(JwksError),
    /// The metadata is not usable: it names another issuer, say, or no acceptable `jwks_uri`.
    Metadata(MetadataError),
    /// There was no answer in time.
    NoAnswer,
    /// The status list is not usable.
    StatusList(StatusListError),
    /// The answer's status was not 200.
    Status(u16),
    /// The answer was longer than [`Fetch::MAX_BYTES`].
    TooLong,
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Aggregation => f.write_str("no JSON object with an array \"status_lists\""),
            Self::Introspection(error) => error.fmt(f),
            Self::KeySet(error) => error.fmt(f),
            Self::Metadata(error) => error.fmt(f),
            Self::NoAnswer => f.write_str("no answer"),
            Self::StatusList(error) => error.fmt(f),
            Self::Status(status) => write!(f, "status {status}"),
            Self::TooLong => f.write_str("the answer is too long"),
        }
    }
}

impl core::error::Error for FetchError {}

/// What a fetch brought, if it was answered as it must be.
pub(super) const fn usable_body(answer: Option<(u16, &[u8])>) -> Result<&[u8], FetchError> {
    match answer {
        None => Err(FetchError::NoAnswer),
        Some((200, body)) if body.len() <= Fetch::MAX_BYTES => Ok(body),
        Some((200, _)) => Err(FetchError::TooLong),
        Some((status, _)) => Err(FetchError::Status(status)),
    }
}
