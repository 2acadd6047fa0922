//! The authorization request (OAuth 2.1 §4.1.1), checked.

use countersign_core::{
    jose::base64url,
    oauth::{
        pkce::{CodeChallenge, PkceError},
        scope::{Scope, ScopeSet},
    },
};
use serde::{Deserialize, Serialize};

use super::params::Params;
use crate::{
    clock,
    issuer::Issuer,
    redirect_uri,
    store::{Client, Resource},
};

/// A request that can be asked the user about. It is stored meanwhile.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct AuthorizationRequest {
    pub(super) client_id: String,
    pub(super) redirect_uri: String,
    pub(super) state: Option<String>,
    /// The resource as it is registered.
    pub(super) resource: String,
    pub(super) scope: String,
    pub(super) challenge: String,
    pub(super) nonce: Option<String>,
    /// The thumbprint of the key that has to redeem the code (RFC 9449 §10).
    pub(super) dpop_jkt: Option<String>,
    /// The oldest login that will do, in seconds since the epoch (`prompt=login`, `max_age`).
    pub(super) login_since: Option<i64>,
    /// The user must be asked, whatever was allowed before.
    pub(super) consent: bool,
    /// The device that waits for the answer (RFC 8628), where no browser carries it back.
    #[serde(default)]
    pub(super) device: Option<Device>,
}

/// A device that waits.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Device {
    /// The digest of its code, as base64url.
    pub(super) hash: String,
    /// What it shows, as base64url, sealed: whoever reads what is stored could otherwise let their own
    /// device in while somebody is about to allow this one.
    pub(super) user_code: String,
}

/// An error that goes back to the client (OAuth 2.1 §4.1.2.1, RFC 8707 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RequestError {
    pub(super) error: &'static str,
    pub(super) description: &'static str,
}

const fn error(error: &'static str, description: &'static str) -> RequestError {
    RequestError { error, description }
}

/// The parameters of a request that are read.
pub(super) const PARAMETERS: [&str; 13] = [
    "client_id",
    "code_challenge",
    "code_challenge_method",
    "dpop_jkt",
    "max_age",
    "nonce",
    "prompt",
    "redirect_uri",
    "resource",
    "response_mode",
    "response_type",
    "scope",
    "state",
];

/// Longest `state` or `nonce`; longer ones are no use to anybody.
const MAX_OPAQUE: usize = 4096;

/// The redirect URI to answer to, if the client may be answered at all.
pub(super) fn redirect_target(
    issuer: &Issuer,
    params: &Params,
    client: &Client,
) -> Result<String, &'static str> {
    let uri = registered_target(params, client)?;
    // An answer that leads to our own pages would begin another request, in the user's name and as if
    // they had opened it (issuer spec, attack 46).
    if redirect_uri::leads_to(&uri, issuer) {
        return Err("The application asked to send you to a page of this server.");
    }
    Ok(uri)
}

fn registered_target(params: &Params, client: &Client) -> Result<String, &'static str> {
    if params.is_repeated("redirect_uri") {
        return Err("The application sent its redirect address twice.");
    }
    match (params.get("redirect_uri"), client.redirect_uris.as_slice()) {
        (Some(uri), registered) => registered
            .iter()
            .any(|known| redirect_uri::matches(known, uri))
            .then(|| uri.to_owned())
            .ok_or(
                "The application asked to send you to an address that it has not registered. \
                 This may be an attempt to steal your login.",
            ),
        (None, [only]) => Ok(only.clone()),
        (None, _) => Err("The application did not say where to send you afterwards."),
    }
}

impl AuthorizationRequest {
    pub(super) fn check(
        params: &Params,
        client: &Client,
        redirect_uri: String,
        resources: &[Resource],
    ) -> Result<Self, RequestError> {
        if params.repeated(&["resource"]).is_some() {
            return Err(error("invalid_request", "A parameter is repeated"));
        }
        check_response_type(params)?;
        let challenge = check_pkce(params)?;
        let default = client.default_resource.as_deref();
        let resource = find_resource(params.all("resource"), resources, default)?;
        let scope = check_scope(params.get("scope"), resource)?;
        let opaque = |name| match params.get(name) {
            Some(value) if value.len() > MAX_OPAQUE => {
                Err(error("invalid_request", "A parameter is too long"))
            }
            // RFC 6749 appendix A.5; a NUL could not be stored either.
            Some(value) if value.contains(char::is_control) => {
                Err(error("invalid_request", "A parameter has a control character"))
            }
            value => Ok(value.map(str::to_owned)),
        };
        let prompt: Vec<&str> = params.get("prompt").unwrap_or("").split(' ').collect();
        if prompt.contains(&"none") && prompt.len() > 1 {
            return Err(error("invalid_request", "prompt=none excludes other values"));
        }
        if !client.may_use("authorization_code") {
            return Err(error("unauthorized_client", "The client may not use this grant"));
        }
        Ok(Self {
            client_id: client.id.clone(),
            redirect_uri,
            state: opaque("state")?,
            resource: resource.uri.clone(),
            scope: scope.to_string(),
            challenge,
            nonce: opaque("nonce")?,
            dpop_jkt: check_thumbprint(params)?,
            login_since: check_login_age(params, &prompt)?,
            // The consent page is also where an account can be changed.
            consent: prompt.contains(&"consent") || prompt.contains(&"select_account"),
            device: None,
        })
    }

    /// Whether a login of that time will do.
    pub(super) fn takes_login_of(&self, auth_time: i64) -> bool {
        self.login_since.is_none_or(|since| auth_time >= since)
    }

    pub(super) fn scopes(&self) -> ScopeSet {
        ScopeSet::parse(&self.scope).unwrap_or_default()
    }
}

/// OpenID Connect Core §3.1.2.1: `prompt=login` is a `max_age` of nothing.
fn check_login_age(params: &Params, prompt: &[&str]) -> Result<Option<i64>, RequestError> {
    let now = clock::now();
    if prompt.contains(&"login") {
        return Ok(Some(now));
    }
    let Some(max_age) = params.get("max_age") else {
        return Ok(None);
    };
    let max_age: u32 = max_age
        .parse()
        .map_err(|_| error("invalid_request", "max_age is not a number of seconds"))?;
    Ok(Some(now - i64::from(max_age)))
}

fn check_response_type(params: &Params) -> Result<(), RequestError> {
    match params.get("response_type") {
        Some("code") => {}
        Some(_) => {
            return Err(error("unsupported_response_type", "Only the code flow is supported"));
        }
        None => return Err(error("invalid_request", "response_type is missing")),
    }
    // Nothing is fetched that a request names (RFC 9101 §10.4.1).
    if params.has("request_uri") {
        return Err(error("request_uri_not_supported", "Only pushed requests are referred to"));
    }
    match params.get("response_mode") {
        None | Some("query") => Ok(()),
        Some(_) => Err(error("invalid_request", "Only response_mode=query is supported")),
    }
}

/// `dpop_jkt` (RFC 9449 §10): a SHA-256 thumbprint (RFC 7638), in the one spelling that it has.
fn check_thumbprint(params: &Params) -> Result<Option<String>, RequestError> {
    let Some(text) = params.get("dpop_jkt") else {
        return Ok(None);
    };
    match base64url::decode(text) {
        Ok(bytes) if bytes.len() == 32 => Ok(Some(text.to_owned())),
        _ => Err(error("invalid_request", "dpop_jkt is not a SHA-256 thumbprint")),
    }
}

/// PKCE with S256 for every client (OAuth 2.1 §7.5.1, MCP security considerations).
fn check_pkce(params: &Params) -> Result<String, RequestError> {
    let Some(challenge) = params.get("code_challenge") else {
        return Err(error("invalid_request", "code_challenge is missing; PKCE is required"));
    };
    match CodeChallenge::from_request(challenge, params.get("code_challenge_method")) {
        Ok(_) => Ok(challenge.to_owned()),
        Err(PkceError::UnsupportedMethod) => {
            Err(error("invalid_request", "code_challenge_method must be S256"))
        }
        Err(_) => Err(error("invalid_request", "code_challenge is not an S256 challenge")),
    }
}

/// RFC 8707 §2: one token is for one resource. Without a parameter it is the default one: the
/// client's, or else the server's.
pub(super) fn find_resource<'a>(
    requested: &[String],
    resources: &'a [Resource],
    default: Option<&str>,
) -> Result<&'a Resource, RequestError> {
    match requested {
        [] => {
            let own = resources.iter().find(|resource| Some(resource.uri.as_str()) == default);
            let only = match resources {
                [only] => Some(only),
                all => all.iter().find(|resource| resource.is_default),
            };
            own.or(only).ok_or(error("invalid_target", "The resource parameter is missing"))
        }
        [one] => resources
            .iter()
            .find(|resource| resource.is_meant_by(one))
            .ok_or(error("invalid_target", "The resource is not known here")),
        _ => Err(error("invalid_target", "Ask for one resource at a time")),
    }
}

/// What a resource has of these scopes by now. An administrator may have taken some away since they were
/// granted, and a node may have granted one a moment after.
pub(super) fn still_there(scopes: &ScopeSet, uri: &str, resources: &[Resource]) -> ScopeSet {
    let resource = resources.iter().find(|resource| resource.uri == uri);
    let is_there = |scope: &&Scope| {
        is_general(scope.as_str())
            || resource.is_some_and(|resource| resource.description(scope).is_some())
    };
    scopes.iter().filter(is_there).cloned().collect()
}

pub(super) fn check_scope(
    scope: Option<&str>,
    resource: &Resource,
) -> Result<ScopeSet, RequestError> {
    let Some(scope) = scope else {
        return Ok(resource.default_scope());
    };
    let requested =
        ScopeSet::parse(scope).map_err(|_| error("invalid_scope", "The scope is malformed"))?;
    let known = |scope: &Scope| is_general(scope.as_str()) || resource.description(scope).is_some();
    if !requested.iter().all(known) {
        return Err(error("invalid_scope", "The resource does not have all of these scopes"));
    }
    if requested.iter().all(|scope| is_general(scope.as_str())) {
        return Ok(requested.union(&resource.default_scope()));
    }
    Ok(requested)
}

/// Scopes that no resource has: they ask for an ID token, for what is known of the user, or for
/// refresh tokens.
pub(crate) const GENERAL_SCOPES: [&str; 4] = ["openid", "profile", "email", "offline_access"];

pub(super) fn is_general(scope: &str) -> bool {
    GENERAL_SCOPES.contains(&scope)
}
