//! Metadata (RFC 8414, OpenID Connect Discovery) and the key set.

use axum::{
    extract::State,
    http::{HeaderMap, Method, StatusCode, header},
    response::Response,
};
use serde_json::json;

use super::{Shared, client_auth::METHODS, reply, request::GENERAL_SCOPES, signature_algorithms};
use crate::{ClientDocuments, Registration, grant_types, store::Resource};

/// The profile of the grant `jwt-bearer` that there is.
const ID_JAG: &str = "urn:ietf:params:oauth:grant-profile:id-jag";

/// `/jwks`: to be fetched again after five minutes, and usable ten more while that fails.
pub(super) async fn jwks(State(app): Shared, method: Method, headers: HeaderMap) -> Response {
    if let Some(response) = not_a_read(&method) {
        return response;
    }
    let published = app.keys.published();
    let etag = &published.etag;
    let mut response = if matches_etag(&headers, etag) {
        reply::with_type(StatusCode::NOT_MODIFIED, "application/jwk-set+json", "")
    } else {
        let body = published.jwks.clone();
        reply::with_type(StatusCode::OK, "application/jwk-set+json", body)
    };
    let caching = "public, max-age=300, stale-while-revalidate=600";
    reply::set(response.headers_mut(), header::CACHE_CONTROL, caching);
    reply::set(response.headers_mut(), header::ETAG, etag);
    reply::cors(response)
}

/// RFC 9110 §13.1.2: the weak comparison, since proxies that compress make tags weak; `*` is any.
fn matches(known: &str, etag: &str) -> bool {
    known == "*" || known.strip_prefix("W/").unwrap_or(known) == etag
}

/// The metadata, the same bytes in every place where clients look for it.
pub(super) async fn metadata(State(app): Shared, method: Method) -> Response {
    if let Some(response) = not_a_read(&method) {
        return response;
    }
    let resources = match app.store.known_resources().await {
        Ok(resources) => resources,
        Err(error) => return reply::cors(reply::server_error(&error)),
    };
    let trusts_others = match app.store.identity_providers().await {
        Ok(providers) => !providers.is_empty(),
        Err(error) => return reply::cors(reply::server_error(&error)),
    };
    let is_on = |grant: &&str| trusts_others || *grant != grant_types::JWT_BEARER;
    let issuer = app.issuer.as_str();
    let mut document = json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "device_authorization_endpoint": format!("{issuer}/device_authorization"),
        "jwks_uri": format!("{issuer}/jwks"),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": grant_types::ALL.into_iter().filter(is_on).collect::<Vec<_>>(),
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": METHODS,
        "token_endpoint_auth_signing_alg_values_supported": signature_algorithms(),
        "pushed_authorization_request_endpoint": format!("{issuer}/par"),
        "revocation_endpoint": format!("{issuer}/revoke"),
        "revocation_endpoint_auth_methods_supported": METHODS,
        "revocation_endpoint_auth_signing_alg_values_supported": signature_algorithms(),
        "introspection_endpoint": format!("{issuer}/introspect"),
        "introspection_endpoint_auth_methods_supported": confidential_methods(),
        "introspection_endpoint_auth_signing_alg_values_supported": signature_algorithms(),
        "introspection_signing_alg_values_supported": ["ES256"],
        "userinfo_endpoint": format!("{issuer}/userinfo"),
        "status_list_aggregation_endpoint": format!("{issuer}/status-lists"),
        "client_id_metadata_document_supported":
            app.config.client_documents != ClientDocuments::Off,
        "authorization_response_iss_parameter_supported": true,
        "scopes_supported": scopes(&resources),
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "claims_supported": [
            "iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "preferred_username", "email",
            "email_verified",
        ],
        "dpop_signing_alg_values_supported": signature_algorithms(),
        "request_parameter_supported": true,
        "request_object_signing_alg_values_supported": signature_algorithms(),
        "request_uri_parameter_supported": false,
        // Of all clients; one may ask for it itself.
        "require_signed_request_object": false,
        "protected_resources":
            resources.iter().map(|resource| resource.uri.as_str()).collect::<Vec<_>>(),
    });
    if app.config.registration != Registration::Off {
        document["registration_endpoint"] = json!(format!("{issuer}/register"));
    }
    if trusts_others {
        // draft-ietf-oauth-identity-assertion-authz-grant: which providers is nobody's business.
        document["authorization_grant_profiles_supported"] = json!([ID_JAG]);
    }
    let mut response = reply::with_type(StatusCode::OK, "application/json", document.to_string());
    reply::set(response.headers_mut(), header::CACHE_CONTROL, "public, max-age=60");
    reply::cors(response)
}

/// Those by which a client proves that it is the one.
fn confidential_methods() -> Vec<&'static str> {
    METHODS.into_iter().filter(|method| *method != "none").collect()
}

/// What clients may ask for: what is no resource's, then each resource's scopes.
fn scopes(resources: &[Resource]) -> Vec<&str> {
    let mut names = GENERAL_SCOPES.to_vec();
    for scope in resources.iter().flat_map(|resource| &resource.scopes) {
        if !names.contains(&scope.name.as_str()) {
            names.push(&scope.name);
        }
    }
    names
}

/// Whether the client has this version already (RFC 9110 §13.1.2).
pub(super) fn matches_etag(headers: &HeaderMap, etag: &str) -> bool {
    headers
        .get(header::IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.split(',').any(|known| matches(known.trim(), etag)))
}

pub(super) fn not_a_read(method: &Method) -> Option<Response> {
    match *method {
        Method::GET | Method::HEAD => None,
        Method::OPTIONS => Some(reply::preflight("GET, HEAD, OPTIONS")),
        _ => Some(reply::cors(reply::method_not_allowed("GET, HEAD, OPTIONS"))),
    }
}
