//! Metadata documents: where they stand, and what is common to reading them.
//!
//! The protected resource's own (RFC 9728) are written and read in [`ProtectedResource`] and
//! [`ProtectedResourceMetadata`], an authorization server's (RFC 8414, OpenID Connect Discovery) are
//! read in [`AuthorizationServerMetadata`].

mod authorization_server;
mod protected_resource;

use alloc::{format, string::String, vec, vec::Vec};
use core::fmt;

use super::resource::{ResourceId, split};
use crate::jose::json::{self, JsonError, Object, Value};

pub use self::{
    authorization_server::AuthorizationServerMetadata,
    protected_resource::{ProtectedResource, ProtectedResourceMetadata},
};

/// The path under which a protected resource's metadata stands at the root of its host.
pub const PROTECTED_RESOURCE_PATH: &str = "/.well-known/oauth-protected-resource";

/// Longest metadata document that is read, in bytes.
pub const MAX_BYTES: usize = 128 * 1024;

/// Why a metadata document is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetadataError {
    /// It is not strict JSON.
    Json(JsonError),
    /// A member has the wrong type, or a URL that is none or not secure; the member's name.
    Malformed(&'static str),
    /// A member that is needed is missing; its name.
    Missing(&'static str),
    /// It speaks of another resource or issuer than was asked for; the member's name.
    Other(&'static str),
    /// It is longer than [`MAX_BYTES`].
    TooLong,
}

impl fmt::Display for MetadataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(error) => write!(f, "the metadata is not strict JSON: {error}"),
            Self::Malformed(name) => write!(f, "the metadata's {name} is malformed or not secure"),
            Self::Missing(name) => write!(f, "the metadata has no {name}"),
            Self::Other(name) => {
                write!(f, "the metadata's {name} is not, byte for byte, the one asked for")
            }
            Self::TooLong => write!(f, "the metadata is longer than {MAX_BYTES} bytes"),
        }
    }
}

impl core::error::Error for MetadataError {}

/// The URL of a resource's metadata: the well-known path inserted between host and path (RFC 9728
/// §3.1). Only text is moved; nothing is normalised.
#[must_use]
pub fn protected_resource_url(resource: &ResourceId) -> String {
    let (scheme, authority, rest) = resource.parts();
    let rest = if rest == "/" { "" } else { rest };
    format!("{scheme}://{authority}{PROTECTED_RESOURCE_PATH}{rest}")
}

/// Where an issuer's metadata may stand, in the order of MCP's authorization specification
/// (discovery): RFC 8414, then OpenID Connect.
#[must_use]
pub fn authorization_server_urls(issuer: &str) -> Vec<String> {
    let Some((scheme, authority, path)) = split(issuer) else {
        return Vec::new();
    };
    let origin = format!("{scheme}://{authority}");
    let path = path.trim_end_matches('/');
    let mut urls = vec![
        format!("{origin}/.well-known/oauth-authorization-server{path}"),
        format!("{origin}/.well-known/openid-configuration{path}"),
    ];
    if !path.is_empty() {
        urls.push(format!("{origin}{path}/.well-known/openid-configuration"));
    }
    urls
}

/// The members of a document, which a server sent and nobody vouches for.
fn members(document: &[u8]) -> Result<Object, MetadataError> {
    if document.len() > MAX_BYTES {
        return Err(MetadataError::TooLong);
    }
    match json::parse(document).map_err(MetadataError::Json)? {
        Value::Object(members) => Ok(members),
        _ => Err(MetadataError::Malformed("document")),
    }
}

fn text<'a>(members: &'a Object, name: &'static str) -> Result<Option<&'a str>, MetadataError> {
    let text = |value: &'a Value| value.as_str().ok_or(MetadataError::Malformed(name));
    members.get(name).map(text).transpose()
}

/// Absent and empty are the same: RFC 9728 §2 and RFC 8414 §2 have empty arrays left out.
fn texts<'a>(members: &'a Object, name: &'static str) -> Result<Vec<&'a str>, MetadataError> {
    let texts = |value: &'a Value| -> Option<Vec<&'a str>> {
        value.as_array()?.iter().map(Value::as_str).collect()
    };
    let Some(value) = members.get(name) else { return Ok(Vec::new()) };
    texts(value).ok_or(MetadataError::Malformed(name))
}

fn flag(members: &Object, name: &'static str) -> Result<bool, MetadataError> {
    match members.get(name) {
        None => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(_) => Err(MetadataError::Malformed(name)),
    }
}

/// Whether a URL may be called that was learned from `origin`: `https`, or the origin's own scheme,
/// which is `http` for a loopback server in development.
#[must_use]
pub fn is_callable(url: &str, origin: &str) -> bool {
    let scheme = |url| split(url).map(|(scheme, ..)| scheme);
    ResourceId::parse(url).is_ok()
        && (scheme(url) == Some("https") || scheme(url) == scheme(origin))
}

/// Whether a URL may be shown as a link to a page: of `http` or `https` with a host, and maybe a fragment,
/// without user information.
#[must_use]
pub fn is_page(url: &str) -> bool {
    let is_web = split(url).is_some_and(|(scheme, ..)| {
        ["https", "http"].iter().any(|known| scheme.eq_ignore_ascii_case(known))
    });
    // A fragment has the characters of a query (RFC 3986 §3.5).
    is_web && ResourceId::parse(&url.replacen('#', "?", 1)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages() {
        for page in [
            "https://h",
            "HTTP://h:80/a?b",
            "https://h/a#b",
            "https://h/a?b#c?d/e",
            "https://h#a@b",
            "https://[::1]/#",
        ] {
            assert!(is_page(page), "{page}");
        }
        for url in [
            "",
            "docs",
            "javascript:alert(1)",
            "javascript://h/#\nalert(1)",
            "data:text/html,x",
            "file:///etc/passwd",
            "https:h",
            "https:///a",
            "https://#a",
            "https://u@h/#a",
            "https://h/a b",
            "https://h/#a b",
            "https://h/#a#b",
            "https://h/\n",
            "https://h/#\u{1}",
            "#https://h",
        ] {
            assert!(!is_page(url), "{url:?}");
        }
    }

    /// RFC 9728 §3.1.
    #[test]
    fn well_known_is_inserted() {
        for (resource, expected) in [
            ("https://h", "https://h/.well-known/oauth-protected-resource"),
            ("https://h/", "https://h/.well-known/oauth-protected-resource"),
            ("https://h/a/mcp", "https://h/.well-known/oauth-protected-resource/a/mcp"),
            ("https://h/mcp/", "https://h/.well-known/oauth-protected-resource/mcp/"),
            ("https://h:1/mcp?k=1", "https://h:1/.well-known/oauth-protected-resource/mcp?k=1"),
        ] {
            assert_eq!(protected_resource_url(&ResourceId::parse(resource).unwrap()), expected);
        }
    }

    /// MCP authorization, authorization server metadata discovery; RFC 8414 §3.1.
    #[test]
    fn issuer_metadata_in_all_forms() {
        assert_eq!(
            authorization_server_urls("https://h"),
            [
                "https://h/.well-known/oauth-authorization-server",
                "https://h/.well-known/openid-configuration"
            ]
        );
        assert_eq!(
            authorization_server_urls("https://h/t"),
            [
                "https://h/.well-known/oauth-authorization-server/t",
                "https://h/.well-known/openid-configuration/t",
                "https://h/t/.well-known/openid-configuration"
            ]
        );
    }
}
