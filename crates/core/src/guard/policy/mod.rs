//! The policy document: one JSON document configures the guard in every host.
//!
//! It is parsed into types that can only hold a policy that makes sense; a mistake is an error with
//! the JSON path at which it stands.

mod introspection;
mod issuer;
mod reader;
mod resource;
mod rules;

use alloc::{format, string::String, vec::Vec};
use core::fmt;

use self::reader::Node;
use super::decision::HeaderName;
use crate::jose::json;

pub use self::{
    introspection::IntrospectionPolicy,
    issuer::{IssuerPolicy, JwksCache, KeySource, StatusCheck},
    resource::{Dpop, ForwardPolicy, Mode, ResourcePolicy},
    rules::{RuleMatch, ScopeRules, Unlisted},
};

/// A validated policy.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Who may issue tokens. Never empty.
    pub issuers: Vec<IssuerPolicy>,
    /// What is protected. Never empty.
    pub resources: Vec<ResourcePolicy>,
    /// Bounds on what one request may cost.
    pub limits: Limits,
    /// Seconds by which clocks may differ.
    pub leeway: u64,
    /// Whether the host can hold back a request's headers until its body was decided upon.
    pub hold_headers: bool,
    /// The headers that only the guard may set, of all resources.
    owned: Vec<HeaderName>,
}

/// Bounds on what one request may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest token, in bytes.
    pub token_bytes: usize,
    /// Longest message that is read for its operation, in bytes.
    pub body_bytes: usize,
    /// Most verified tokens that are remembered; 0 remembers none.
    pub cached_tokens: usize,
    /// Tokens that one client address may fail with in a minute before further ones, unless known to
    /// be good, are answered with 429 unread; 0 counts none.
    pub failures_per_minute: u64,
}

/// A mistake in a policy document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyError {
    /// Where it stands, like `$.resources[0].scopes.tools["write_*"]`.
    pub path: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

impl core::error::Error for PolicyError {}

impl Policy {
    /// Reads a policy document.
    ///
    /// # Errors
    /// The first [`PolicyError`].
    ///
    /// ```
    /// use countersign_core::guard::Policy;
    /// let error = Policy::parse(br#"{"issuers":[{"issuer":"https://a.example","x":1}]}"#).unwrap_err();
    /// assert_eq!(error.path, "$.issuers[0].x");
    /// ```
    pub fn parse(document: &[u8]) -> Result<Self, PolicyError> {
        let value = json::parse(document).map_err(|error| PolicyError {
            path: String::from("$"),
            message: format!("not strict JSON: {error}"),
        })?;
        let root = Node::root(&value);
        let mut members = root.members()?;
        let issuers = read_issuers(&members.required("issuers")?)?;
        let resources = read_resources(&members.required("resources")?, &issuers)?;
        let limits = members.read("limits", read_limits)?.unwrap_or_default();
        let leeway = members.read("leeway", |node| node.number(0, 300))?.unwrap_or(30);
        let hold_headers = members.read("hold_headers", Node::flag)?.unwrap_or(true);
        members.finish()?;
        let mut owned: Vec<HeaderName> = Vec::new();
        for name in resources.iter().flat_map(|resource| resource.forward.owned()) {
            if !owned.contains(name) {
                owned.push(name.clone());
            }
        }
        Ok(Self { issuers, resources, limits, leeway, hold_headers, owned })
    }

    /// The headers that only the guard may set, of all resources: removed from every request. Who stands behind
    /// several of them, a filter of the proxy's or a server, does not ask which of them sets what.
    #[must_use]
    pub fn owned(&self) -> &[HeaderName] {
        &self.owned
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            token_bytes: 8192,
            body_bytes: 1_048_576,
            cached_tokens: 4096,
            failures_per_minute: 60,
        }
    }
}

fn read_issuers(node: &Node<'_>) -> Result<Vec<IssuerPolicy>, PolicyError> {
    let mut issuers: Vec<IssuerPolicy> = Vec::new();
    for element in node.elements()? {
        let issuer = IssuerPolicy::read(&element)?;
        if issuers.iter().any(|other| other.profile.issuer == issuer.profile.issuer) {
            return Err(element.error("this issuer is listed twice"));
        }
        issuers.push(issuer);
    }
    if issuers.is_empty() {
        return Err(node.error("at least one issuer is needed"));
    }
    Ok(issuers)
}

fn read_resources(
    node: &Node<'_>,
    issuers: &[IssuerPolicy],
) -> Result<Vec<ResourcePolicy>, PolicyError> {
    let mut resources: Vec<ResourcePolicy> = Vec::new();
    for element in node.elements()? {
        let resource = ResourcePolicy::read(&element, issuers)?;
        if resources.iter().any(|other| other.audience.resource == resource.audience.resource) {
            return Err(element.error("this resource is listed twice"));
        }
        let covers_same = |other: &ResourcePolicy| {
            other.path == resource.path
                && other.hosts.iter().any(|host| resource.hosts.iter().any(|h| h.competes(host)))
        };
        if resources.iter().any(covers_same) {
            return Err(element.error("another resource covers the same host and path"));
        }
        let opens = |public: &ResourcePolicy, other: &ResourcePolicy| {
            other.path != "/"
                && public.public_paths.contains(&other.path)
                && other.hosts.iter().any(|host| public.hosts.contains(host))
        };
        if resources.iter().any(|other| opens(other, &resource) || opens(&resource, other)) {
            return Err(element.error("a public path of one resource is the path of another"));
        }
        resources.push(resource);
    }
    if resources.is_empty() {
        return Err(node.error("at least one resource is needed"));
    }
    Ok(resources)
}

fn read_limits(node: &Node<'_>) -> Result<Limits, PolicyError> {
    let defaults = Limits::default();
    let mut members = node.members()?;
    let failures_per_minute = members.read("failures_per_minute", |node| node.number(0, 60_000))?;
    let mut limit = |name, min, max, default| -> Result<usize, PolicyError> {
        let number = members.read(name, |node| node.number(min, max))?;
        Ok(number.and_then(|number| usize::try_from(number).ok()).unwrap_or(default))
    };
    let limits = Limits {
        token_bytes: limit("token_bytes", 512, 16_384, defaults.token_bytes)?,
        body_bytes: limit("body_bytes", 1024, 67_108_864, defaults.body_bytes)?,
        cached_tokens: limit("cached_tokens", 0, 1_000_000, defaults.cached_tokens)?,
        failures_per_minute: failures_per_minute.unwrap_or(defaults.failures_per_minute),
    };
    members.finish()?;
    Ok(limits)
}

#[cfg(test)]
mod tests;
