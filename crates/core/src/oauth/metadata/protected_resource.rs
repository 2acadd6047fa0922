//! The metadata of a protected resource (RFC 9728): its own document, and what a client reads of one.

use alloc::{
    borrow::ToOwned as _,
    string::{String, ToString as _},
    vec,
    vec::Vec,
};

use super::{MetadataError, flag, is_callable, is_page, members, text, texts};
use crate::{
    jose::{
        alg::Algorithm,
        json::{Object, Value},
    },
    oauth::{
        resource::ResourceId,
        scope::{Scope, ScopeSet},
    },
};

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

/// A protected resource metadata document that was received, for clients (RFC 9728 §3.2). Members that
/// are not known here are ignored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProtectedResourceMetadata {
    /// The identifier, as the server writes it.
    pub resource: String,
    /// The issuers whose tokens it accepts. MCP asks for at least one.
    pub authorization_servers: Vec<String>,
    /// The scopes for basic use.
    pub scopes_supported: ScopeSet,
    /// How tokens may be sent, like `header`. Empty when nothing is said.
    pub bearer_methods: Vec<String>,
    /// A name for people. Text of the server's: to be shown as such.
    pub name: Option<String>,
    /// A page for developers. `None` too for what is not the URL of one.
    pub documentation: Option<String>,
    /// The algorithms that DPoP proofs may be signed with, by name.
    pub dpop_algorithms: Vec<String>,
    /// Whether every token has to be bound to a key (RFC 9449).
    pub dpop_required: bool,
}

impl ProtectedResourceMetadata {
    /// Reads a document that was fetched for the resource `expected`: the URL into which the well-known
    /// path was inserted, or the one that was answered with a challenge.
    ///
    /// # Errors
    /// [`MetadataError`]; above all when `resource` is not that identifier byte for byte, in which case
    /// the document must not be used (RFC 9728 §3.3).
    ///
    /// ```
    /// use countersign_core::oauth::metadata::{MetadataError, ProtectedResourceMetadata};
    ///
    /// let document = br#"{
    ///     "resource": "https://mcp.example.com/mcp",
    ///     "authorization_servers": ["https://auth.example.com"]
    /// }"#;
    /// let metadata =
    ///     ProtectedResourceMetadata::parse(document, "https://mcp.example.com/mcp").unwrap();
    /// assert_eq!(metadata.authorization_servers, ["https://auth.example.com"]);
    ///
    /// let error = ProtectedResourceMetadata::parse(document, "https://mcp.example.com/mcp/");
    /// assert_eq!(error, Err(MetadataError::Other("resource")));
    /// ```
    pub fn parse(document: &[u8], expected: &str) -> Result<Self, MetadataError> {
        let members = members(document)?;
        let resource = text(&members, "resource")?.ok_or(MetadataError::Missing("resource"))?;
        if resource != expected {
            return Err(MetadataError::Other("resource"));
        }
        let owned = |name| -> Result<Vec<String>, MetadataError> {
            Ok(texts(&members, name)?.into_iter().map(str::to_owned).collect())
        };
        let optional = |name| Ok(text(&members, name)?.map(str::to_owned));
        let authorization_servers = owned("authorization_servers")?;
        if !authorization_servers.iter().all(|issuer| is_callable(issuer, expected)) {
            return Err(MetadataError::Malformed("authorization_servers"));
        }
        // Clients show it as a link: `javascript:` must not be one. The rest is good without it.
        let documentation = optional("resource_documentation")?.filter(|page| is_page(page));
        let scopes = texts(&members, "scopes_supported")?;
        let scopes: Result<ScopeSet, _> = scopes.into_iter().map(Scope::parse).collect();
        Ok(Self {
            resource: resource.to_owned(),
            authorization_servers,
            scopes_supported: scopes.map_err(|_| MetadataError::Malformed("scopes_supported"))?,
            bearer_methods: owned("bearer_methods_supported")?,
            name: optional("resource_name")?,
            documentation,
            dpop_algorithms: owned("dpop_signing_alg_values_supported")?,
            dpop_required: flag(&members, "dpop_bound_access_tokens_required")?,
        })
    }
}
