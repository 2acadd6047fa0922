//! The MCP server of the site.

use countersign_core::jose::base64url;
use serde_json::{Value, json};

use crate::site::{Answer, Request, State};

const FOREIGN: &str = "https://audit.countersign.invalid";

pub(crate) fn mcp(state: &State, request: &Request) -> Answer {
    let answer = match request.method.as_str() {
        "OPTIONS" if state.is("preflight") => challenge(state, None),
        "OPTIONS" => Answer::new(204),
        _ if state.is("404") => Answer::page(404),
        _ if state.is("500") => Answer::new(500),
        _ if state.is("moved") => Answer::new(308).with("location", "/other"),
        _ => guarded(state, request),
    };
    cors(state, answer)
}

fn cors(state: &State, answer: Answer) -> Answer {
    let answer = match state.is("credentials") {
        true => answer
            .with("access-control-allow-origin", FOREIGN)
            .with("access-control-allow-credentials", "true"),
        false => answer.with("access-control-allow-origin", "*"),
    };
    match state.is("not_exposed") {
        true => answer.with("access-control-expose-headers", "Mcp-Session-Id"),
        false => answer.with("access-control-expose-headers", "Mcp-Session-Id, WWW-Authenticate"),
    }
}

fn guarded(state: &State, request: &Request) -> Answer {
    let given: Vec<&str> = request.all("authorization").collect();
    let credentials = match given.as_slice() {
        _ if state.is("open") => return served(state, request),
        _ if state.is("error_in_200") => {
            let error = json!({ "code": -32001, "message": "Unauthorized" });
            return Answer::json(200, &json!({ "jsonrpc": "2.0", "id": 1, "error": error }));
        }
        [] if is_let_in(state, request) => return served(state, request),
        [] => return challenge(state, None),
        [one] => one,
        [first, _] if state.is("first_of_two") && first.starts_with("Bearer") => first,
        [first, last] if state.is("last_of_two") && first.starts_with("DPoP") => last,
        _ => return Answer::new(400),
    };
    let (scheme, token) = credentials.split_once(' ').unwrap_or((credentials, ""));
    let is_bearer = match state.is("case") {
        true => scheme == "Bearer",
        false => scheme.eq_ignore_ascii_case("bearer"),
    };
    match is_bearer {
        true if is_accepted(state, token) => served(state, request),
        true if state.is("limits") => Answer::new(429),
        true if state.is("garbage_403") && token.contains("no-token") => Answer::new(403),
        true => challenge(state, Some(token)),
        false => challenge(state, None),
    }
}

/// What comes in without a token.
fn is_let_in(state: &State, request: &Request) -> bool {
    match state.fault {
        "get_open" => request.method == "GET",
        "delete_open" => request.method == "DELETE",
        "head_open" => request.method == "HEAD",
        "put_open" => request.method == "PUT",
        "text_open" => request.header("content-type") == Some("text/plain"),
        "hello" => String::from_utf8_lossy(&request.body).contains("initialize"),
        "query" => request.query().contains(&state.token),
        _ => false,
    }
}

fn is_accepted(state: &State, token: &str) -> bool {
    if token == state.token {
        return !matches!(state.fault, "token_refused" | "expired");
    }
    let part = |at: usize| -> Option<Value> {
        let bytes = base64url::decode(token.split('.').nth(at)?).ok()?;
        serde_json::from_slice(&bytes).ok()
    };
    let (header, claims) = (part(0).unwrap_or_default(), part(1).unwrap_or_default());
    let good = format!("{}/mcp", state.origin);
    // As a verifier that is wrong in one thing does, and right in all others.
    let is_forged = claims["sub"] == "countersign-audit"
        && claims["iss"] == state.origin.as_str()
        && claims["aud"] == good.as_str()
        && claims["exp"].as_u64() > claims["iat"].as_u64();
    match state.fault {
        "garbage" => token.contains("this-is-no-token"),
        "unsigned" => is_forged && header["alg"] == "none" && token.ends_with('.'),
        "confusion" => is_forged && header["alg"] == "HS256" && header["kid"] == "es1",
        "unknown_key" => is_forged && header["kid"] == "countersign-audit",
        "embedded_key" => is_forged && header["jwk"]["kty"] == "EC",
        "wrong_signature" => is_forged && header["alg"] == "ES256" && header["kid"] == "es1",
        "altered" => claims["sub"] == "user-1",
        _ => false,
    }
}

fn challenge(state: &State, token: Option<&str>) -> Answer {
    let place = match state.fault {
        "metadata_elsewhere" => "/.well-known/oauth-protected-resource",
        _ => "/.well-known/oauth-protected-resource/mcp",
    };
    let mut parameters = Vec::new();
    if token.is_some() && !state.is("no_error_code") {
        parameters.push("error=\"invalid_token\"".to_owned());
    }
    if token.is_none() && state.is("challenge_error") {
        parameters.push("error=\"invalid_token\"".to_owned());
    }
    if !state.is("no_resource_metadata") {
        parameters.push(format!("resource_metadata=\"{}{place}\"", state.origin));
    }
    match state.fault {
        "no_scope" => {}
        "offline_challenge" => parameters.push("scope=\"mcp:use offline_access\"".to_owned()),
        _ => parameters.push("scope=\"mcp:use\"".to_owned()),
    }
    if state.is("changing") {
        parameters.push(format!("realm=\"{}\"", state.next()));
    }
    let answer = match state.fault {
        "no_challenge" => Answer::new(401),
        "bad_challenge" => Answer::new(401).with("www-authenticate", "Bearer scope=\"mcp:use"),
        "basic_challenge" => Answer::new(401).with("www-authenticate", "Basic realm=\"mcp\""),
        _ => {
            let value = format!("Bearer {}", parameters.join(", "));
            Answer::new(401).with("www-authenticate", value)
        }
    };
    match state.fault {
        "cacheable" => answer.with("cache-control", "public, max-age=60"),
        "cacheable_shared" => answer.with("cache-control", "s-maxage=60"),
        "echo" => answer.body(&format!("bad token {}", token.unwrap_or_default())),
        "trace" => answer.body("Traceback (most recent call last):\n  File \"x.py\""),
        _ => answer.with("cache-control", "no-store"),
    }
}

/// Whoever may.
fn served(state: &State, request: &Request) -> Answer {
    if request.header("origin") == Some(FOREIGN) && !state.is("any_origin") && !state.is("open") {
        return Answer::new(403);
    }
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let is_mismatch = request.header("mcp-method").is_some_and(|method| body["method"] != method);
    if is_mismatch && !state.is("mismatch") {
        let error = json!({ "code": -32020, "message": "header mismatch" });
        return Answer::json(400, &json!({ "jsonrpc": "2.0", "id": 1, "error": error }));
    }
    if request.method == "DELETE" {
        return Answer::new(204);
    }
    if request.method == "GET" {
        return Answer::new(200).with("content-type", "text/event-stream").body(": hello\n\n");
    }
    Answer::new(200)
        .with("content-type", "text/event-stream")
        .with("mcp-session-id", "s")
        .body("event: message\ndata: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n\n")
}

pub(crate) fn metadata(state: &State, request: &Request) -> Answer {
    let is_root = request.path().ends_with("resource");
    if state.is("no_metadata") || (state.is("metadata_elsewhere") && !is_root) {
        return Answer::json(404, &json!({}));
    }
    let mut document = json!({
        "resource": format!("{}/mcp", state.origin),
        "authorization_servers": [state.origin],
        "scopes_supported": ["mcp:use", "files:read"],
        "bearer_methods_supported": ["header"],
    });
    match state.fault {
        "resource_slash" => document["resource"] = json!(format!("{}/mcp/", state.origin)),
        "no_issuers" => document["authorization_servers"] = json!([]),
        "plain_issuer" => document["authorization_servers"] = json!(["http://auth.example"]),
        "offline_scope" => document["scopes_supported"] = json!(["mcp:use", "offline_access"]),
        "wildcard_scope" => document["scopes_supported"] = json!(["files:*"]),
        "query_method" => document["bearer_methods_supported"] = json!(["header", "query"]),
        _ => {}
    }
    match state.fault {
        "metadata_text" => {
            Answer::new(200).with("content-type", "text/plain").body(&document.to_string())
        }
        "metadata_twice" => Answer::new(200).with("content-type", "application/json").body(
            &document.to_string().replacen('{', "{\"resource\":\"https://other.example\",", 1),
        ),
        _ => Answer::json(200, &document),
    }
}
