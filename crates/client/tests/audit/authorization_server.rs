//! The authorization server of the site.

use countersign_testkit::keys::TestKey;
use serde_json::{Value, json};

use crate::site::{Answer, CLIENT, Request, State};

pub(crate) fn answer(state: &State, request: &Request) -> Option<Answer> {
    Some(match request.path() {
        "/.well-known/oauth-authorization-server" if !state.is("no_issuer_metadata") => {
            let answer = Answer::json(200, &metadata(state));
            match state.is("no_cors") {
                true => answer,
                false => answer.with("access-control-allow-origin", "*"),
            }
        }
        "/jwks" if !state.is("no_keys") => Answer::json(200, &keys(state)),
        "/token" => token(state, request),
        "/authorize" => authorize(state, request),
        "/revoke" if state.is("revoke_open") => Answer::new(200),
        "/introspect" if state.is("introspect_open") => {
            Answer::json(200, &json!({ "active": false }))
        }
        "/revoke" | "/introspect" => Answer::json(401, &json!({ "error": "invalid_client" })),
        _ => return None,
    })
}

fn metadata(state: &State) -> Value {
    let at = |path: &str| format!("{}{path}", state.origin);
    let mut document = json!({
        "issuer": state.origin,
        "authorization_endpoint": at("/authorize"),
        "token_endpoint": at("/token"),
        "jwks_uri": at("/jwks"),
        "registration_endpoint": at("/register"),
        "revocation_endpoint": at("/revoke"),
        "introspection_endpoint": at("/introspect"),
        "response_types_supported": ["code"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
        "client_id_metadata_document_supported": true,
        "dpop_signing_alg_values_supported": ["ES256"],
        "scopes_supported": ["mcp:use", "files:read"],
    });
    let changed: (&str, Value) = match state.fault {
        "other_issuer" => ("issuer", json!(at("/"))),
        "plain_endpoint" => ("userinfo_endpoint", json!("http://auth.example/userinfo")),
        "no_s256" => ("code_challenge_methods_supported", json!([])),
        "plain_pkce" => ("code_challenge_methods_supported", json!(["S256", "plain"])),
        "no_code" => ("response_types_supported", json!(["id_token"])),
        "implicit" => ("response_types_supported", json!(["code", "id_token token"])),
        "implicit_grant" => ("grant_types_supported", json!(["authorization_code", "implicit"])),
        "password" => ("grant_types_supported", json!(["authorization_code", "password"])),
        "no_iss" => ("authorization_response_iss_parameter_supported", json!(false)),
        "dpop_none" => ("dpop_signing_alg_values_supported", json!(["ES256", "none"])),
        "unknown_scope" => ("scopes_supported", json!(["mcp:use"])),
        "no_registration" => {
            document["registration_endpoint"] = json!(null);
            ("client_id_metadata_document_supported", json!(false))
        }
        _ => return document,
    };
    document[changed.0] = changed.1;
    document
}

fn keys(state: &State) -> Value {
    let mut keys = vec![TestKey::Es256(1).jwk("es1")];
    match state.fault {
        "private_key" => keys[0]["d"] = json!("AQEB"),
        // 1024 bits.
        "short_key" => keys.push(json!({
            "kty": "RSA", "kid": "rs1", "e": "AQAB", "n": format!("{}A", "_".repeat(170)),
        })),
        "same_kid" => keys.push(TestKey::Es256(2).jwk("es1")),
        "many_keys" => {
            keys.extend((2..=12).map(|number| TestKey::Es256(number).jwk(&number.to_string())));
        }
        _ => {}
    }
    json!({ "keys": keys })
}

fn token(state: &State, request: &Request) -> Answer {
    let refusal = |status, error: &str| Answer::json(status, &json!({ "error": error }));
    let answer = match (request.method.as_str(), state.fault) {
        ("GET", "token_by_get") => Answer::json(200, &json!({ "access_token": "a" })),
        ("GET", _) => refusal(405, "invalid_request"),
        (_, "token_page") => Answer::page(400),
        (_, "token_500") => refusal(500, "server_error"),
        (_, "invalid_grant") => refusal(400, "invalid_grant"),
        _ => refusal(401, "invalid_client"),
    };
    if state.is("stored") { answer } else { answer.with("cache-control", "no-store") }
}

fn authorize(state: &State, request: &Request) -> Answer {
    let is_known = request.query().contains(CLIENT);
    match (state.fault, is_known) {
        ("redirects", false) | ("redirects_known", true) => Answer::new(302)
            .with("location", "https://audit.countersign.invalid/callback?error=access_denied"),
        _ => Answer::page(400),
    }
}
