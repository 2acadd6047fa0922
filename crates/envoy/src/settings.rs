//! The plugin's configuration: the policy document, alone or with settings of the filter's own.
//!
//! The policy is the same document in every host, and has no members for one of them. So what only this
//! filter can do stands beside it:
//!
//! ```json
//! { "policy": { … },
//!   "filter": { "debug": { "path": "/countersign", "from": ["127.0.0.1", "10.0.0.0/8"] },
//!               "filter_state": false, "route_metadata": "countersign", "client_certificates": true } }
//! ```

use core::net::IpAddr;

use countersign_core::{
    guard::{
        Policy, PolicyError,
        policy::{IssuerPolicy, KeySource, StatusCheck},
    },
    jose::json::{self, Object, Value},
};

/// What a plugin is configured with.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) policy: Policy,
    pub(crate) filter: FilterSettings,
}

/// The filter's own settings.
#[derive(Debug)]
pub(crate) struct FilterSettings {
    /// Whether tokens may be bound to the certificate that the client shows Envoy.
    pub(crate) client_certificates: bool,
    /// Where the state of a worker is shown, if anywhere.
    pub(crate) debug: Option<DebugPage>,
    /// Whether decisions are put into Envoy's filter state.
    pub(crate) filter_state: bool,
    /// The namespace of the routes' metadata in which `resource` names a resource.
    pub(crate) route_metadata: Option<String>,
}

impl Default for FilterSettings {
    fn default() -> Self {
        Self { client_certificates: false, debug: None, filter_state: true, route_metadata: None }
    }
}

/// A page for operators.
#[derive(Debug)]
pub(crate) struct DebugPage {
    /// Compared whole, without a query.
    pub(crate) path: String,
    /// Who may see it.
    from: Vec<Network>,
}

/// Addresses with the same first bits.
#[derive(Debug)]
struct Network {
    address: IpAddr,
    bits: u32,
}

impl Settings {
    /// Reads either form.
    ///
    /// # Errors
    /// The first mistake, with its JSON path.
    pub(crate) fn parse(document: &[u8]) -> Result<Self, PolicyError> {
        if core::str::from_utf8(document).is_err() {
            let message = "not UTF-8; give the configuration as a google.protobuf.StringValue";
            return Err(error("$", message));
        }
        let value = json::parse(document)
            .map_err(|found| error("$", format!("not strict JSON: {found}")))?;
        let root = value.as_object().filter(|root| root.contains_key("policy"));
        let Some(root) = root else {
            let policy = require_clusters(Policy::parse(document)?)?;
            return Ok(Self { policy, filter: FilterSettings::default() });
        };
        only(root, "$", &["policy", "filter"])?;
        let policy = root.get("policy").map(ToString::to_string).unwrap_or_default();
        let policy = Policy::parse(policy.as_bytes()).and_then(require_clusters);
        let policy = policy.map_err(|found| PolicyError {
            path: found.path.replacen('$', "$.policy", 1),
            message: found.message,
        })?;
        let filter = root.get("filter").map(read_filter).transpose()?.unwrap_or_default();
        Ok(Self { policy, filter })
    }
}

impl FilterSettings {
    /// What is allowed, and probably not meant.
    pub(crate) fn doubts(policy: &Policy) -> impl Iterator<Item = String> + '_ {
        let without_lists = policy.issuers.iter().enumerate().filter(|(_, issuer)| {
            issuer.cluster.is_none() && issuer.status == StatusCheck::IfPresent
        });
        without_lists.map(|(index, _)| {
            format!(
                "countersign: $.issuers[{index}] has no \"cluster\", so its status lists cannot be fetched: \
                 tokens that refer to one are answered with 503. Name a cluster, or say \"status\": \"ignore\""
            )
        })
    }
}

impl DebugPage {
    pub(crate) fn is_for(&self, address: Option<IpAddr>) -> bool {
        address.is_some_and(|address| self.from.iter().any(|network| network.has(address)))
    }
}

impl Network {
    fn read(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse().ok()?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(longest);
        (bits <= longest).then_some(Self { address, bits })
    }

    fn has(&self, address: IpAddr) -> bool {
        let prefix =
            |number: u128, length: u32| number.checked_shr(length.saturating_sub(self.bits));
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                prefix(own.to_bits().into(), 32) == prefix(other.to_bits().into(), 32)
            }
            // Shifted by all of its bits there is nothing left to compare.
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                prefix(own.to_bits(), 128) == prefix(other.to_bits(), 128)
            }
            _ => false,
        }
    }
}

fn read_filter(value: &Value) -> Result<FilterSettings, PolicyError> {
    const PATH: &str = "$.filter";
    let members = object(value, PATH)?;
    only(members, PATH, &["client_certificates", "debug", "filter_state", "route_metadata"])?;
    let client_certificates = flag(members, "client_certificates", false)?;
    let debug = members.get("debug").map(read_debug).transpose()?;
    let filter_state = flag(members, "filter_state", true)?;
    let route_metadata = members
        .get("route_metadata")
        .map(|value| {
            let namespace = value.as_str().filter(|text| !text.is_empty() && !text.contains('\0'));
            let refused = || error("$.filter.route_metadata", "expected the name of a namespace");
            namespace.map(str::to_owned).ok_or_else(refused)
        })
        .transpose()?;
    Ok(FilterSettings { client_certificates, debug, filter_state, route_metadata })
}

fn flag(members: &Object, name: &str, default: bool) -> Result<bool, PolicyError> {
    match members.get(name) {
        None => Ok(default),
        Some(Value::Bool(value)) => Ok(*value),
        Some(_) => Err(error(&format!("$.filter.{name}"), "expected true or false")),
    }
}

fn read_debug(value: &Value) -> Result<DebugPage, PolicyError> {
    const PATH: &str = "$.filter.debug";
    let members = object(value, PATH)?;
    only(members, PATH, &["path", "from"])?;
    let path = members
        .get("path")
        .and_then(Value::as_str)
        .filter(|path| path.starts_with('/') && path.len() > 1 && !path.contains(['?', '#', '%']));
    let path =
        path.ok_or_else(|| error("$.filter.debug.path", "expected a path, like \"/countersign\""))?;
    let from = members.get("from").and_then(Value::as_array).filter(|from| !from.is_empty());
    let from = from.and_then(|from| {
        from.iter().map(|network| Network::read(network.as_str()?)).collect::<Option<Vec<_>>>()
    });
    let from = from.ok_or_else(|| {
        let message =
            "expected the addresses that may see the page, like [\"127.0.0.1\", \"10.0.0.0/8\"]";
        error("$.filter.debug.from", message)
    })?;
    Ok(DebugPage { path: path.to_owned(), from })
}

fn object<'a>(value: &'a Value, path: &str) -> Result<&'a Object, PolicyError> {
    value.as_object().ok_or_else(|| error(path, "expected an object"))
}

fn only(members: &Object, path: &str, known: &[&str]) -> Result<(), PolicyError> {
    match members.keys().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => Err(error(
            &format!("{path}.{name}"),
            format!("unknown member; known here: {}", known.join(", ")),
        )),
    }
}

fn error(path: &str, message: impl Into<String>) -> PolicyError {
    PolicyError { path: path.to_owned(), message: message.into() }
}

/// Envoy fetches through its clusters only.
fn require_clusters(policy: Policy) -> Result<Policy, PolicyError> {
    let lacks = |issuer: &IssuerPolicy| {
        let fetches = issuer.introspection.is_some()
            || issuer.status_aggregation.is_some()
            || issuer.status == StatusCheck::Required
            || !matches!(issuer.keys, KeySource::Inline(_));
        issuer.cluster.is_none() && fetches
    };
    match policy.issuers.iter().position(lacks) {
        None => Ok(policy),
        Some(index) => Err(error(
            &format!("$.issuers[{index}]"),
            "in Envoy, \"cluster\" must name the cluster that the issuer is reached through, unless its \
             keys are given inline as \"jwks\" and it has neither \"introspection\" nor \
             \"status_aggregation\" nor \"status\": \"required\"",
        )),
    }
}
