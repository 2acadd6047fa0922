//! Metadata documents: the protected resource's own (RFC 9728) and what we read of an
//! authorization server's (RFC 8414, OpenID Connect Discovery).

use alloc::{
    borrow::ToOwned as _,
    format,
    string::{String, ToString as _},
    vec,
    vec::Vec,
};

use super::{
    resource::{ResourceId, split},
    scope::{Scope, ScopeSet},
};
use crate::jose::{
    alg::Algorithm,
    json::{self, Object, Value},
};

/// The path under which a protected resource's metadata stands at the root of its host.
pub const PROTECTED_RESOURCE_PATH: &str = "/.well-known/oauth-protected-resource";

/// What the protected resource metadata document says (RFC 9728 §2).
#[derive(Clone, Copy, Debug)]
pub struct ProtectedResource<'a> {
    /// The identifier, published as written.
    pub resource: &'a ResourceId,
    /// The issuers whose tokens it accepts.
    pub authorization_servers: &'a [&'a str],
    /// The scopes for basic use; clients without a better hint ask for all of them.
    pub scopes_supported: &'a ScopeSet,
    /// A name for people.
    pub name: Option<&'a str>,
    /// A page for developers.
    pub documentation: Option<&'a str>,
    /// The algorithms of DPoP proofs; empty where DPoP is not used.
    pub dpop_algorithms: &'a [Algorithm],
    /// Whether every token has to be bound to a key (RFC 9449).
    pub dpop_required: bool,
}

impl ProtectedResource<'_> {
    /// The JSON document.
    #[must_use]
    pub fn document(&self) -> String {
        let mut document = Object::new();
        let mut set = |name: &str, value: Value| {
            document.insert(name.to_owned(), value);
        };
        set("resource", self.resource.as_str().into());
        set("authorization_servers", self.authorization_servers.to_vec().into());
        set("bearer_methods_supported", vec!["header"].into());
        if !self.scopes_supported.is_empty() {
            let scopes: Vec<&str> = self.scopes_supported.iter().map(Scope::as_str).collect();
            set("scopes_supported", scopes.into());
        }
        if let Some(name) = self.name {
            set("resource_name", name.into());
        }
        if let Some(page) = self.documentation {
            set("resource_documentation", page.into());
        }
        if !self.dpop_algorithms.is_empty() {
            let names: Vec<&str> = self.dpop_algorithms.iter().map(|known| known.name()).collect();
            set("dpop_signing_alg_values_supported", names.into());
        }
        if self.dpop_required {
            set("dpop_bound_access_tokens_required", Value::Bool(true));
        }
        Value::Object(document).to_string()
    }
}

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

/// Reads the `jwks_uri` of an authorization server's metadata.
///
/// `None` unless the document's `issuer` is the expected one byte for byte (RFC 8414 §3.3) and the
/// URI is `https`, or of the issuer's own scheme (a loopback issuer in development).
#[must_use]
pub fn jwks_uri(document: &[u8], issuer: &str) -> Option<String> {
    let document = json::parse(document).ok()?;
    let members = document.as_object()?;
    if members.get("issuer")?.as_str()? != issuer {
        return None;
    }
    let uri = members.get("jwks_uri")?.as_str()?;
    let (scheme, ..) = split(uri)?;
    let (issuer_scheme, ..) = split(issuer)?;
    ResourceId::parse(uri).ok()?;
    (scheme == "https" || scheme == issuer_scheme).then(|| uri.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

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

    /// RFC 8414 §3.3: a document that names another issuer must not be used.
    #[test]
    fn issuer_must_be_identical() {
        let document = br#"{"issuer":"https://h","jwks_uri":"https://h/jwks"}"#;
        assert_eq!(jwks_uri(document, "https://h").as_deref(), Some("https://h/jwks"));
        assert_eq!(jwks_uri(document, "https://h/"), None);
        assert_eq!(
            jwks_uri(br#"{"issuer":"https://h","jwks_uri":"http://h/jwks"}"#, "https://h"),
            None
        );
        assert_eq!(
            jwks_uri(br#"{"issuer":"https://h","jwks_uri":"file:///etc"}"#, "https://h"),
            None
        );
        assert_eq!(jwks_uri(b"<html>", "https://h"), None);
    }
}
