//! `resources`: what is protected, and what its server is told.

use alloc::{
    borrow::ToOwned as _,
    format,
    string::{String, ToString as _},
    vec,
    vec::Vec,
};

use super::{PolicyError, issuer::IssuerPolicy, reader::Node, rules::ScopeRules};
use crate::{
    guard::{decision::HeaderName, proof::NonceSecret, request::Host, session::SessionSecret},
    jose::base64url,
    jwt::access_token::Audience,
    oauth::{metadata::is_page, resource::ResourceId},
};

/// One protected resource.
#[derive(Clone, Debug)]
pub struct ResourcePolicy {
    /// Which tokens are meant for it.
    pub audience: Audience,
    /// The hosts whose requests it covers.
    pub hosts: Vec<Host>,
    /// The path it covers, with everything below.
    pub path: String,
    /// A name for people.
    pub name: Option<String>,
    /// A page for developers.
    pub documentation: Option<String>,
    /// Positions in [`super::Policy::issuers`] of those whose tokens it accepts. Never empty.
    pub issuers: Vec<usize>,
    /// Which scopes an operation needs.
    pub scopes: ScopeRules,
    /// What the server is told.
    pub forward: ForwardPolicy,
    /// Whether tokens have to be, or may be, bound to a key of the client (RFC 9449).
    pub dpop: Dpop,
    /// Where nonces are asked for: the secret that they are made from.
    pub dpop_nonce: Option<NonceSecret>,
    /// Where sessions are bound to their caller: the secret that seals are made from.
    pub session_secret: Option<SessionSecret>,
    /// Browser origins that may call it, beside its own.
    pub origins: Vec<String>,
    /// Paths on its hosts that need no token, matched whole.
    pub public_paths: Vec<String>,
    /// Whether decisions are enforced.
    pub mode: Mode,
}

/// What the MCP server is told of the caller.
#[derive(Clone, Debug)]
pub struct ForwardPolicy {
    /// Whether `Authorization` is removed.
    pub strip_token: bool,
    /// Header and the claim it carries.
    pub headers: Vec<(HeaderName, String)>,
    /// Header that carries all claims, as base64url JSON.
    pub claims: Option<HeaderName>,
}

/// Whether DPoP (RFC 9449) is used at a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dpop {
    /// Bound tokens with a proof, and unbound ones as bearer tokens.
    Accept,
    /// Bearer tokens only; bound ones are refused.
    Off,
    /// Bound tokens with a proof only.
    Require,
}

/// Whether decisions are enforced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Refusals are answered.
    Enforce,
    /// Refusals are logged and let pass.
    Shadow,
}

impl ForwardPolicy {
    fn default_headers() -> Vec<(HeaderName, String)> {
        [("x-mcp-subject", "sub"), ("x-mcp-client", "client_id"), ("x-mcp-scope", "scope")]
            .into_iter()
            .filter_map(|(header, claim)| Some((HeaderName::parse(header).ok()?, claim.to_owned())))
            .collect()
    }

    /// The headers that only the guard may set, of this resource.
    pub fn owned(&self) -> impl Iterator<Item = &HeaderName> {
        self.headers.iter().map(|(name, _)| name).chain(&self.claims)
    }
}

impl ResourcePolicy {
    pub(super) fn read(node: &Node<'_>, issuers: &[IssuerPolicy]) -> Result<Self, PolicyError> {
        let mut members = node.members()?;
        let identifier = members.required("resource")?;
        let resource = identifier.parse(ResourceId::parse)?;
        let (hosts, path) = default_cover(&resource);
        let hosts = members.read("hosts", read_hosts)?.or(hosts);
        let path = members.read("path", read_path)?.or(path);
        let (Some(hosts), Some(path)) = (hosts, path) else {
            return Err(identifier.error(
                "only an http or https identifier says which requests it covers; give \"hosts\" and \"path\"",
            ));
        };
        let audience = Audience {
            resource,
            aliases: members.read("accept_audiences", Node::texts)?.unwrap_or_default(),
            exclusive: members.read("exclusive_audience", Node::flag)?.unwrap_or(true),
        };
        let resource = Self {
            documentation: members.read("documentation", read_page)?,
            audience,
            hosts,
            public_paths: members
                .read("public_paths", |node| read_public_paths(node, &path))?
                .unwrap_or_default(),
            path,
            name: members.read("name", |node| node.text().map(str::to_owned))?,
            issuers: match members.optional("issuers") {
                None => (0..issuers.len()).collect(),
                Some(node) => read_issuer_list(&node, issuers)?,
            },
            scopes: members.read("scopes", ScopeRules::read)?.unwrap_or_default(),
            forward: members.read("forward", read_forward)?.unwrap_or_else(|| ForwardPolicy {
                strip_token: true,
                headers: ForwardPolicy::default_headers(),
                claims: None,
            }),
            dpop: members
                .read("dpop", |node| {
                    let words =
                        [("off", Dpop::Off), ("accept", Dpop::Accept), ("require", Dpop::Require)];
                    node.choice(&words)
                })?
                .unwrap_or(Dpop::Off),
            dpop_nonce: members.read("dpop_nonce", |node| read_secret(node, NonceSecret::new))?,
            session_secret: members
                .read("session_secret", |node| read_secret(node, SessionSecret::new))?,
            origins: members.read("origins", read_origins)?.unwrap_or_default(),
            mode: members
                .read("mode", |node| {
                    node.choice(&[("enforce", Mode::Enforce), ("shadow", Mode::Shadow)])
                })?
                .unwrap_or(Mode::Enforce),
        };
        if let (Some(_), Dpop::Off) = (&resource.dpop_nonce, resource.dpop) {
            return Err(node.error("\"dpop_nonce\" needs \"dpop\" to be \"accept\" or \"require\""));
        }
        members.finish()?;
        let names_subjects = |index: &usize| {
            let issuer = issuers.get(*index);
            issuer.is_some_and(|i| i.profile.needed_claims().any(|name| name == "sub"))
        };
        if resource.session_secret.is_some() && !resource.issuers.iter().all(names_subjects) {
            // Else all users of a client would share its sessions.
            return Err(node.error(
                "\"session_secret\" needs \"sub\" in \"required_claims\" of each of its issuers",
            ));
        }
        let introspects = |index: &&usize| {
            issuers.get(**index).is_some_and(|issuer| issuer.introspection.is_some())
        };
        if resource.issuers.iter().filter(introspects).count() > 1 {
            // An opaque token does not say who issued it, and none is shown to whom it is not of.
            return Err(node.error(
                "only one of a resource's issuers can have \"introspection\"; name them in \"issuers\"",
            ));
        }
        Ok(resource)
    }
}

/// Host and path as the identifier has them, when it is an `http` or `https` one.
fn default_cover(resource: &ResourceId) -> (Option<Vec<Host>>, Option<String>) {
    let (scheme, authority, rest) = resource.parts();
    if !scheme.eq_ignore_ascii_case("https") && !scheme.eq_ignore_ascii_case("http") {
        return (None, None);
    }
    let path = rest.split('?').next().unwrap_or("");
    let path = path.trim_end_matches('/');
    let path = if path.is_empty() { "/" } else { path };
    (Host::parse(authority.as_bytes()).map(|host| vec![host]), Some(path.to_string()))
}

fn read_hosts(node: &Node<'_>) -> Result<Vec<Host>, PolicyError> {
    let hosts = node
        .elements()?
        .iter()
        .map(|element| {
            Host::parse(element.text()?.as_bytes())
                .ok_or_else(|| element.error("expected a host name, with a port or without"))
        })
        .collect::<Result<Vec<_>, _>>()?;
    if hosts.is_empty() { Err(node.error("at least one host is needed")) } else { Ok(hosts) }
}

/// What clients would not take from the metadata is a mistake here.
fn read_page(node: &Node<'_>) -> Result<String, PolicyError> {
    let page = node.text()?;
    if is_page(page) {
        return Ok(page.to_owned());
    }
    Err(node.error("expected the URL of a page, http or https, without user information"))
}

fn read_path(node: &Node<'_>) -> Result<String, PolicyError> {
    let path = node.text()?;
    if !path.starts_with('/') || path.contains('?') || crate::mcp::ambiguous_path(path) {
        return Err(node.error("expected a plain path that starts with / and has no query"));
    }
    Ok(if path == "/" { path.to_owned() } else { path.trim_end_matches('/').to_owned() })
}

/// A resource whose own path is public has nothing left to guard; only at the root of a host may that be
/// meant, as a page for people.
fn read_public_paths(node: &Node<'_>, own: &str) -> Result<Vec<String>, PolicyError> {
    let read = |element: &Node<'_>| match read_path(element)? {
        path if path == own && own != "/" => {
            Err(element.error("this is the resource's own path: nothing would need a token"))
        }
        path => Ok(path),
    };
    node.elements()?.iter().map(read).collect()
}

fn read_issuer_list(node: &Node<'_>, issuers: &[IssuerPolicy]) -> Result<Vec<usize>, PolicyError> {
    let positions = node
        .elements()?
        .iter()
        .map(|element| {
            let name = element.text()?;
            issuers
                .iter()
                .position(|issuer| issuer.profile.issuer == name)
                .ok_or_else(|| element.error("no such issuer in \"issuers\""))
        })
        .collect::<Result<Vec<_>, _>>()?;
    if positions.is_empty() {
        Err(node.error("at least one issuer is needed"))
    } else {
        Ok(positions)
    }
}

fn read_secret<T>(
    node: &Node<'_>,
    new: impl FnOnce(Vec<u8>) -> Option<T>,
) -> Result<T, PolicyError> {
    base64url::decode(node.text()?).ok().and_then(new).ok_or_else(|| {
        node.error(
            "expected at least 32 random bytes as base64url without padding, as made by: \
             openssl rand 32 | basenc --base64url | tr -d =",
        )
    })
}

fn read_origins(node: &Node<'_>) -> Result<Vec<String>, PolicyError> {
    let mut origins = Vec::new();
    for element in node.elements()? {
        let origin = element.text()?;
        // RFC 6454 §6.2: an origin is scheme, host and port; a trailing slash would never match.
        let (_, _, rest) = crate::oauth::resource::split(origin).unwrap_or(("", "", "/"));
        let is_origin =
            rest.is_empty() && !origin.contains('*') && ResourceId::parse(origin).is_ok();
        if origin != "*" && !is_origin {
            return Err(element.error("expected an origin like https://app.example.com, or \"*\""));
        }
        origins.push(origin.to_ascii_lowercase());
    }
    Ok(origins)
}

fn read_forward(node: &Node<'_>) -> Result<ForwardPolicy, PolicyError> {
    let mut members = node.members()?;
    let strip_token = members
        .read("token", |node| node.choice(&[("strip", true), ("keep", false)]))?
        .unwrap_or(true);
    let headers = members
        .read("headers", |node| {
            let mut headers: Vec<(HeaderName, String)> = Vec::new();
            for (name, claim) in node.entries()? {
                let name = forwarded_name(name).map_err(|error| claim.error(error))?;
                if headers.iter().any(|(other, _)| *other == name) {
                    return Err(claim.error("another entry names the same header"));
                }
                headers.push((name, claim.text()?.to_owned()));
            }
            Ok(headers)
        })?
        .unwrap_or_else(ForwardPolicy::default_headers);
    let claims = match members.optional("claims") {
        None => None,
        Some(node) if node.value() == &crate::jose::json::Value::Null => None,
        Some(node) => {
            let name = node.parse(forwarded_name)?;
            if headers.iter().any(|(other, _)| *other == name) {
                return Err(node.error("an entry of \"headers\" names the same header"));
            }
            Some(name)
        }
    };
    members.finish()?;
    Ok(ForwardPolicy { strip_token, headers, claims })
}

/// A header that the guard may own: never one that the transport or the protocol needs.
fn forwarded_name(name: &str) -> Result<HeaderName, String> {
    const RESERVED: [&str; 13] = [
        "authorization",
        "connection",
        "content-length",
        "content-type",
        "cookie",
        "dpop",
        "host",
        "mcp-method",
        "mcp-name",
        "mcp-protocol-version",
        "mcp-session-id",
        "te",
        "transfer-encoding",
    ];
    let parsed = HeaderName::parse(name)?;
    if RESERVED.contains(&parsed.as_str()) {
        return Err(format!("the header {parsed} cannot be used for this"));
    }
    Ok(parsed)
}
