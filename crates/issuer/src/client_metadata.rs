//! Client metadata (RFC 7591 §2), as clients register it and as their documents have it: read
//! strictly where it matters, with unknown members ignored.

use std::net::IpAddr;

use countersign_core::jose::{
    json::{self, Object, Value},
    jwk::{Jwk, Secrets},
};
use url::Url;

use crate::{Error, outbound, redirect_uri};

/// Most keys of a client.
pub(crate) const MAX_KEYS: usize = 20;

/// Longest URL that a client may name.
const MAX_URL: usize = 2048;

/// Members that say something about the client to people, and are kept as they were sent.
const DESCRIPTIVE: [&str; 9] = [
    "application_type",
    "client_uri",
    "contacts",
    "logo_uri",
    "policy_uri",
    "scope",
    "software_id",
    "software_version",
    "tos_uri",
];

/// What a client says about itself, checked.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ClientMetadata {
    pub(crate) name: String,
    pub(crate) redirect_uris: Vec<String>,
    pub(crate) grant_types: Vec<String>,
    pub(crate) auth_method: String,
    /// Its key set, as JSON.
    pub(crate) jwks: Option<String>,
    pub(crate) jwks_uri: Option<String>,
    /// It gets no tokens but those that are bound to a key (RFC 9449 §5.2).
    pub(crate) dpop_bound: bool,
    /// Its authorization requests must be signed (RFC 9101 §10.5).
    pub(crate) signed_requests: bool,
    /// Of [`DESCRIPTIVE`], those that were sent.
    pub(crate) descriptive: Object,
}

/// Why metadata is refused: an error code of RFC 7591 §3.2.2, and a sentence.
pub(crate) type Refusal = (&'static str, String);

fn wrong(text: impl Into<String>) -> Refusal {
    ("invalid_client_metadata", text.into())
}

/// Reads a JSON object.
pub(crate) fn object(body: &[u8]) -> Result<Object, Refusal> {
    match json::parse(body).map_err(|error| wrong(format!("not strict JSON: {error}")))? {
        Value::Object(members) => Ok(members),
        _ => Err(wrong("expected a JSON object")),
    }
}

impl ClientMetadata {
    /// Checks the members; `grants` are the grant types that such a client may have.
    pub(crate) fn read(members: &Object, grants: &[&str]) -> Result<Self, Refusal> {
        let redirect_uris = texts(members, "redirect_uris")?
            .ok_or_else(|| ("invalid_redirect_uri", "redirect_uris is missing".to_owned()))?;
        check_redirect_uris(&redirect_uris, text(members, "application_type")?)?;
        if let Some(types) = texts(members, "response_types")?
            && types.iter().any(|name| name != "code")
        {
            return Err(wrong("only the response type \"code\" is supported"));
        }
        let mut grant_types =
            texts(members, "grant_types")?.unwrap_or_else(|| vec!["authorization_code".to_owned()]);
        // Others may be asked for by clients that know many servers; they get what there is.
        grant_types.retain(|name| grants.contains(&name.as_str()));
        if !grant_types.iter().any(|name| name == "authorization_code") {
            return Err(wrong("grant_types must have \"authorization_code\""));
        }
        let jwks = key_set(members)?;
        let jwks_uri = text(members, "jwks_uri")?.map(str::to_owned);
        if jwks.is_some() && jwks_uri.is_some() {
            return Err(wrong("jwks and jwks_uri exclude each other"));
        }
        let has_keys = jwks.is_some() || jwks_uri.is_some();
        let auth_method = auth_method(members, has_keys)?;
        let dpop_bound = flag(members, "dpop_bound_access_tokens")?;
        let signed_requests = flag(members, "require_signed_request_object")?;
        if signed_requests && !has_keys {
            return Err(wrong("require_signed_request_object needs jwks or jwks_uri"));
        }
        for name in ["client_uri", "jwks_uri", "logo_uri", "policy_uri", "tos_uri"] {
            if let Some(url) = text(members, name)? {
                check_url(url).map_err(|why| wrong(format!("{name} {why}")))?;
            }
        }
        let name = text(members, "client_name")?.unwrap_or("");
        if name.len() > 512 || name.contains('\0') {
            return Err(wrong("client_name is too long, or has a NUL"));
        }
        let kept =
            |name: &&str| members.get(*name).map(|value| ((*name).to_owned(), value.clone()));
        let descriptive: Object = DESCRIPTIVE.iter().filter_map(kept).collect();
        if Value::Object(descriptive.clone()).to_string().len() > 8192 {
            return Err(wrong("the metadata is too long"));
        }
        Ok(Self {
            name: name.to_owned(),
            redirect_uris,
            grant_types,
            auth_method,
            jwks,
            jwks_uri,
            dpop_bound,
            signed_requests,
            descriptive,
        })
    }
}

impl ClientMetadata {
    /// What is kept besides what has a place of its own.
    pub(crate) fn descriptive_json(&self) -> String {
        Value::Object(self.descriptive.clone()).to_string()
    }
}

/// OpenID Connect Registration §2: a `web` client is reached by https on a host that is not the
/// user's own machine. Others, and those that do not say what they are, may be native.
fn check_redirect_uris(uris: &[String], application_type: Option<&str>) -> Result<(), Refusal> {
    let wrong = |text: String| ("invalid_redirect_uri", text);
    if uris.is_empty() || uris.len() > 20 {
        return Err(wrong("a client has 1 to 20 redirect URIs".to_owned()));
    }
    for uri in uris {
        redirect_uri::check(uri).map_err(|why| wrong(format!("the redirect URI {uri:?} {why}")))?;
    }
    match application_type {
        None | Some("native") => Ok(()),
        Some("web") => match uris.iter().find(|uri| redirect_uri::is_local(uri)) {
            None => Ok(()),
            Some(uri) => Err(wrong(format!(
                "the redirect URI {uri:?} is for a native application: register application_type \
                 \"native\""
            ))),
        },
        Some(_) => Err(self::wrong("application_type must be \"web\" or \"native\"")),
    }
}

/// `none` where nothing is said: clients that keep a secret say so. A client may also leave the
/// choice to the server (OpenID Connect RP Metadata Choices 1.0 §3): the strongest that it can do.
fn auth_method(members: &Object, has_keys: bool) -> Result<String, Refusal> {
    let usable = |method: &str| match method {
        "none" | "client_secret_basic" | "client_secret_post" => true,
        "private_key_jwt" => has_keys,
        _ => false,
    };
    let choices = texts(members, "token_endpoint_auth_methods_supported")?.unwrap_or_default();
    let strongest = ["private_key_jwt", "client_secret_basic", "client_secret_post", "none"];
    let chosen = strongest
        .into_iter()
        .find(|method| usable(method) && choices.iter().any(|choice| choice == method));
    match text(members, "token_endpoint_auth_method")? {
        Some(method) if usable(method) => Ok(method.to_owned()),
        Some("private_key_jwt") if chosen.is_none() => {
            Err(wrong("private_key_jwt needs jwks or jwks_uri"))
        }
        None if choices.is_empty() => Ok("none".to_owned()),
        _ => chosen.map(str::to_owned).ok_or_else(|| {
            wrong(
                "token_endpoint_auth_method must be none, client_secret_basic, client_secret_post \
                 or private_key_jwt",
            )
        }),
    }
}

/// The public keys of `jwks`, as JSON text.
fn key_set(members: &Object) -> Result<Option<String>, Refusal> {
    match members.get("jwks") {
        None | Some(Value::Null) => Ok(None),
        Some(jwks) => {
            check_keys(jwks).map_err(|why| wrong(format!("jwks: {why}")))?;
            Ok(Some(jwks.to_string()))
        }
    }
}

/// The same of a key set as text, as an administrator gives it.
pub(crate) fn check_key_set(text: &str) -> Result<(), Error> {
    let read = json::parse(text.as_bytes()).map_err(|error| error.to_string());
    let checked = read.and_then(|keys| check_keys(&keys));
    checked.map_err(|why| Error::Invalid(format!("the key set: {why}")))
}

/// A key set of which every key can be used, and none is secret.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn check_keys(jwks: &Value) -> Result<(), String> {
    let keys = jwks.as_object().and_then(|members| members.get("keys")?.as_array());
    let keys = keys.ok_or("there is no array keys")?;
    if keys.is_empty() || keys.len() > MAX_KEYS {
        return Err(format!("a client has 1 to {MAX_KEYS} keys"));
    }
    for (index, key) in keys.iter().enumerate() {
        let members = key.as_object().ok_or_else(|| format!("key {index} is no object"))?;
        Jwk::from_json(members, Secrets::Refuse).map_err(|why| format!("key {index}: {why}"))?;
    }
    Ok(())
}

/// A URL that may be shown as a link, or be fetched: https, on a host that is not somebody's own.
fn check_url(text: &str) -> Result<(), &'static str> {
    let url = Url::parse(text).map_err(|_| "is not a URL")?;
    if url.scheme() != "https" || !url.username().is_empty() || url.password().is_some() {
        return Err("must be an https URL without user information");
    }
    if text.len() > MAX_URL {
        return Err("is too long");
    }
    if !is_public_host(&url) {
        return Err("must be on a public host");
    }
    Ok(())
}

/// Whether a host may be a public one, as far as its name tells.
pub(crate) fn is_public_host(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(domain)) => {
            let domain = domain.trim_end_matches('.');
            let last = domain.rsplit('.').next().unwrap_or(domain);
            domain.contains('.') && !matches!(last, "localhost" | "local" | "internal" | "home")
        }
        Some(url::Host::Ipv4(address)) => outbound::is_public(IpAddr::from(address)),
        Some(url::Host::Ipv6(address)) => outbound::is_public(IpAddr::from(address)),
        None => false,
    }
}

fn text<'a>(members: &'a Object, name: &str) -> Result<Option<&'a str>, Refusal> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(wrong(format!("{name} must be a string"))),
    }
}

/// `false` where nothing is said.
fn flag(members: &Object, name: &str) -> Result<bool, Refusal> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(_) => Err(wrong(format!("{name} must be true or false"))),
    }
}

fn texts(members: &Object, name: &str) -> Result<Option<Vec<String>>, Refusal> {
    let wrong = || wrong(format!("{name} must be an array of strings"));
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(elements)) => elements
            .iter()
            .map(|element| element.as_str().map(str::to_owned).ok_or_else(wrong))
            .collect::<Result<_, _>>()
            .map(Some),
        Some(_) => Err(wrong()),
    }
}
