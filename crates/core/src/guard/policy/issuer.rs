//! `issuers`: who may issue tokens, what they look like, where the keys are.

use alloc::{borrow::ToOwned as _, format, string::String, vec::Vec};

use super::{PolicyError, introspection::IntrospectionPolicy, reader::Node};
use crate::{
    jose::{
        alg::Algorithm,
        json::{Object, Value},
        jwk::{Jwk, Secrets},
        jwks::JwkSet,
    },
    jwt::{
        access_token::Profile,
        preset::{Preset, RFC_9068},
    },
    oauth::resource::{ResourceId, split},
};

/// One issuer.
#[derive(Clone, Debug)]
pub struct IssuerPolicy {
    /// What its tokens must look like.
    pub profile: Profile,
    /// Where its keys are.
    pub keys: KeySource,
    /// Envoy's upstream cluster for fetches.
    pub cluster: Option<String>,
    /// How long its key set is used.
    pub jwks_cache: JwksCache,
    /// Whether its status lists are asked about its tokens.
    pub status: StatusCheck,
    /// Where it says which status lists there are; else its metadata may tell.
    pub status_aggregation: Option<String>,
    /// How it is asked about tokens that are no JWTs.
    pub introspection: Option<IntrospectionPolicy>,
}

/// Whether an issuer's status lists are asked about a token (Token Status List).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusCheck {
    /// Where the token refers to one. The default.
    IfPresent,
    /// Never.
    Ignore,
    /// Always: a token that refers to none is refused.
    Required,
}

/// Where an issuer's keys are.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// Found by the issuer's metadata (RFC 8414, then OpenID Connect Discovery).
    Discovery,
    /// In the policy itself; nothing is fetched.
    Inline(JwkSet),
    /// At this URI.
    Uri(String),
}

/// How long a key set is used, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JwksCache {
    /// Age from which it is refreshed in the background.
    pub fresh: u64,
    /// Age from which it is no longer used.
    pub stale: u64,
    /// Shortest time between two fetches that unknown key names cause.
    pub cooldown: u64,
    /// Most keys in a set.
    pub max_keys: usize,
}

/// The longest `max_lifetime`, in seconds: in effect none.
const HUNDRED_YEARS: u64 = 3_155_760_000;

impl Default for JwksCache {
    fn default() -> Self {
        Self { fresh: 300, stale: 86_400, cooldown: 30, max_keys: 64 }
    }
}

impl IssuerPolicy {
    pub(super) fn read(node: &Node<'_>) -> Result<Self, PolicyError> {
        let mut members = node.members()?;
        let preset = members.read("preset", read_preset)?.unwrap_or(&RFC_9068);
        let issuer = members.required("issuer")?;
        let issuer = read_issuer(&issuer, preset)?;
        let jwks_cache = members.read("jwks_cache", read_cache)?.unwrap_or_default();
        let named = members.read("algorithms", read_algorithms)?;
        let is_symmetric = |algorithm: &Algorithm| algorithm.is_symmetric();
        let secrets = match &named {
            Some(named) if named.iter().any(|(algorithm, _)| is_symmetric(algorithm)) => {
                Secrets::Allow
            }
            _ => Secrets::Refuse,
        };
        let uri = members.read("jwks_uri", read_uri)?;
        let inline = members.read("jwks", |node| read_keys(node, jwks_cache.max_keys, secrets))?;
        let keys = match (uri, inline) {
            (Some(_), Some(_)) => {
                return Err(node.error("either \"jwks_uri\" or \"jwks\", not both"));
            }
            (Some(uri), None) => KeySource::Uri(uri),
            (None, Some(set)) => KeySource::Inline(set),
            (None, None) => KeySource::Discovery,
        };
        for (algorithm, node) in named.iter().flatten() {
            require_secret(node, *algorithm, &keys)?;
        }
        let algorithms = match named {
            Some(named) => named.into_iter().map(|(algorithm, _)| algorithm).collect(),
            // A symmetric algorithm must be asked for.
            None => preset.algorithms.to_vec(),
        };
        let cluster = members.read("cluster", |node| node.text().map(str::to_owned))?;
        let token_types = members
            .read("token_types", read_token_types)?
            .unwrap_or_else(|| owned(preset.token_types));
        let required_claims = members
            .read("required_claims", Node::texts)?
            .unwrap_or_else(|| owned(preset.required_claims));
        let max_lifetime =
            members.read("max_lifetime", |node| node.number(1, HUNDRED_YEARS))?.unwrap_or(86_400);
        let status = members
            .read("status", |node| {
                node.choice(&[
                    ("required", StatusCheck::Required),
                    ("if_present", StatusCheck::IfPresent),
                    ("ignore", StatusCheck::Ignore),
                ])
            })?
            .unwrap_or(StatusCheck::IfPresent);
        let profile =
            Profile { issuer, preset, algorithms, token_types, required_claims, max_lifetime };
        let status_aggregation = members.read("status_aggregation", read_uri)?;
        let introspection =
            members.read("introspection", |node| IntrospectionPolicy::read(node, &profile))?;
        members.finish()?;
        Ok(Self { profile, keys, cluster, jwks_cache, status, status_aggregation, introspection })
    }
}

fn read_preset(node: &Node<'_>) -> Result<&'static Preset, PolicyError> {
    node.choice(&Preset::ALL.map(|preset| (preset.name, preset)))
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// RFC 8414 §2: an `https` URL without query or fragment. `http` for loopback, in development.
fn read_issuer(node: &Node<'_>, preset: &Preset) -> Result<String, PolicyError> {
    let issuer = node.parse(ResourceId::parse)?.as_str().to_owned();
    if issuer.contains('?') {
        return Err(node.error("an issuer identifier has no query"));
    }
    require_secure(node, &issuer)?;
    preset.issuer.check(&issuer).map_err(|error| node.error(error))?;
    Ok(issuer)
}

pub(super) fn read_uri(node: &Node<'_>) -> Result<String, PolicyError> {
    let uri = node.parse(ResourceId::parse)?.as_str().to_owned();
    // A mesh may reach its issuer in the clear by an internal name: that is the operator's to say.
    match split(&uri) {
        Some(("http" | "https", ..)) => Ok(uri),
        _ => Err(node.error("must be an https or http URL")),
    }
}

fn require_secure(node: &Node<'_>, uri: &str) -> Result<(), PolicyError> {
    let (scheme, authority, _) = split(uri).unwrap_or_default();
    let host = crate::oauth::resource::host_and_port(authority).map_or("", |(host, _)| host);
    let loopback = matches!(host, "localhost" | "[::1]") || host.starts_with("127.");
    match scheme {
        "https" => Ok(()),
        "http" if loopback => Ok(()),
        _ => Err(node.error("must be an https URL (http only for 127.0.0.1, [::1] and localhost)")),
    }
}

fn read_token_types(node: &Node<'_>) -> Result<Vec<String>, PolicyError> {
    let types = node.texts()?;
    if types.is_empty() { Err(node.error("at least one type is needed")) } else { Ok(types) }
}

/// The algorithms, each with its place.
fn read_algorithms<'a>(node: &Node<'a>) -> Result<Vec<(Algorithm, Node<'a>)>, PolicyError> {
    let mut algorithms = Vec::new();
    for element in node.elements()? {
        let algorithm = Algorithm::from_name(element.text()?).ok_or_else(|| {
            let known: Vec<_> = Algorithm::ALL.iter().map(|known| known.name()).collect();
            element.error(format!("unsupported; supported are {}", known.join(", ")))
        })?;
        algorithms.push((algorithm, element));
    }
    if algorithms.is_empty() {
        return Err(node.error("at least one algorithm is needed"));
    }
    Ok(algorithms)
}

/// The keys that stand in the policy. Where secrets are asked for, one that is of no use is a
/// mistake to be told, and not left out as in a published set.
fn read_keys(node: &Node<'_>, max_keys: usize, secrets: Secrets) -> Result<JwkSet, PolicyError> {
    if secrets == Secrets::Allow {
        let keys = node.members()?.optional("keys");
        for key in keys.map(|keys| keys.elements()).transpose()?.into_iter().flatten() {
            let members = key.value().as_object();
            let is_secret = |jwk: &&Object| jwk.get("kty").and_then(Value::as_str) == Some("oct");
            if let Some(jwk) = members.filter(is_secret) {
                Jwk::from_json(jwk, secrets).map_err(|error| key.error(error))?;
            }
        }
    }
    JwkSet::from_json(node.value(), max_keys, secrets).map_err(|error| node.error(error))
}

/// A symmetric algorithm needs a secret, which only the policy itself can have.
fn require_secret(
    node: &Node<'_>,
    algorithm: Algorithm,
    keys: &KeySource,
) -> Result<(), PolicyError> {
    let served = match keys {
        KeySource::Inline(set) => set.keys().iter().any(|key| key.verifier(algorithm).is_some()),
        KeySource::Discovery | KeySource::Uri(_) => false,
    };
    if algorithm.is_symmetric() && !served {
        let name = algorithm.name();
        return Err(node.error(format!("{name} needs an \"oct\" key in \"jwks\"")));
    }
    Ok(())
}

fn read_cache(node: &Node<'_>) -> Result<JwksCache, PolicyError> {
    const MONTH: u64 = 2_592_000;
    let defaults = JwksCache::default();
    let mut members = node.members()?;
    let mut seconds = |name, min, default| -> Result<u64, PolicyError> {
        Ok(members.read(name, |node| node.number(min, MONTH))?.unwrap_or(default))
    };
    let fresh = seconds("fresh", 1, defaults.fresh)?;
    let stale = seconds("stale", 1, defaults.stale.max(fresh))?;
    let cooldown = seconds("cooldown", 1, defaults.cooldown)?;
    let max_keys = members.read("max_keys", |node| node.number(1, 1024))?;
    let max_keys =
        max_keys.and_then(|number| usize::try_from(number).ok()).unwrap_or(defaults.max_keys);
    members.finish()?;
    if stale < fresh {
        return Err(node.error("\"stale\" must not be less than \"fresh\""));
    }
    Ok(JwksCache { fresh, stale, cooldown, max_keys })
}
