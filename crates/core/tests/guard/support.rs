//! One resource, its issuer, and requests for it.

use countersign_core::guard::{Answer, Engine, Fetch, Policy, RequestHead, Response, Step};
use countersign_testkit::{keys::TestKey, token::Token};
use serde_json::{Value, json};

pub(crate) const ISSUER: &str = "https://auth.example.com";
pub(crate) const RESOURCE: &str = "https://mcp.example.com/mcp";
pub(crate) const OTHER: &str = "https://mcp.example.com/other";
pub(crate) const JWKS_URI: &str = "https://auth.example.com/jwks";

pub(crate) const KEY_1: TestKey = TestKey::Es256(1);
pub(crate) const KEY_2: TestKey = TestKey::Es256(2);

/// A policy whose keys are in it.
pub(crate) fn inline() -> Value {
    let mut policy = fetched();
    let issuer = &mut policy["issuers"][0];
    issuer["jwks"] = json!({ "keys": [KEY_1.jwk("es1"), KEY_2.jwk("es2")] });
    issuer.as_object_mut().expect("an object").remove("jwks_uri");
    policy
}

/// A policy whose keys have to be fetched.
pub(crate) fn fetched() -> Value {
    json!({
        "issuers": [{
            "issuer": ISSUER, "jwks_uri": JWKS_URI, "cluster": "auth", "max_lifetime": 1_000_000,
            "jwks_cache": { "fresh": 100, "stale": 1000, "cooldown": 30 },
        }],
        "resources": [
            { "resource": RESOURCE, "scopes": { "baseline": ["mcp:use"] } },
            { "resource": OTHER, "exclusive_audience": false },
        ],
        "leeway": 0,
    })
}

/// The same with a rule for operations, so that bodies are read.
pub(crate) fn with_rules(mut policy: Value) -> Value {
    policy["resources"][0]["scopes"]["tools"] = json!({ "read_file": ["files:read"] });
    policy
}

pub(crate) fn engine(policy: &Value) -> Engine {
    Engine::new(Policy::parse(policy.to_string().as_bytes()).expect("a valid policy"))
}

/// A token that is valid from second 1 to second 100 000.
pub(crate) fn token() -> Token {
    Token::new(ISSUER, RESOURCE).claim("iat", 1).claim("exp", 100_000)
}

pub(crate) fn key_set(keys: &[(TestKey, &str)]) -> Vec<u8> {
    let keys: Vec<Value> = keys.iter().map(|(key, kid)| key.jwk(kid)).collect();
    json!({ "keys": keys }).to_string().into_bytes()
}

/// The first step of a request.
pub(crate) fn begin(engine: &mut Engine, path: &str, token: &str, now: u64) -> Step {
    let credentials = format!("Bearer {token}");
    let headers: [(&[u8], &[u8]); 2] =
        [(b"content-type", b"application/json"), (b"authorization", credentials.as_bytes())];
    let head = RequestHead {
        method: b"POST",
        authority: b"mcp.example.com",
        path: path.as_bytes(),
        headers: &headers,
        has_body: true,
        client: None,
        certificate: None,
    };
    engine.begin(head, now)
}

/// Verifies what is to be verified.
pub(crate) fn verify(engine: &mut Engine, step: Step, now: u64) -> Step {
    match step {
        Step::NeedSignature(pending) => {
            let verified = engine.verify(&pending);
            engine.resume(pending, Answer::Signature(verified), now)
        }
        other => other,
    }
}

/// How a request comes out, or what it waits for.
pub(crate) fn ask(engine: &mut Engine, token: &str, now: u64) -> &'static str {
    let step = begin(engine, "/mcp", token, now);
    code(&verify(engine, step, now))
}

pub(crate) fn code(step: &Step) -> &'static str {
    match step {
        Step::Forward(forward) => forward.decision.code(),
        Step::NeedBody(_) => "(body)",
        Step::NeedIntrospection(_) => "(introspection)",
        Step::NeedKeys(_) => "(keys)",
        Step::NeedSignature(_) => "(signature)",
        Step::NeedStatus(_) => "(status)",
        Step::Respond(response) => response.decision.code(),
    }
}

/// Whether a request is decided without a signature check.
pub(crate) fn is_cached(engine: &mut Engine, token: &str, now: u64) -> bool {
    code(&begin(engine, "/mcp", token, now)) == "allow"
}

/// The one fetch that is due.
pub(crate) fn due(engine: &mut Engine, now: u64) -> Fetch {
    let mut due = engine.due(now);
    assert_eq!(due.len(), 1, "one fetch at {now}");
    due.remove(0)
}

/// Fetches once, with this answer.
pub(crate) fn load(engine: &mut Engine, keys: &[(TestKey, &str)], now: u64) {
    let fetch = due(engine, now);
    assert_eq!(engine.fetched(fetch.id, Some((200, &key_set(keys))), now), None);
}

pub(crate) fn response(step: Step) -> Response {
    match step {
        Step::Respond(response) => response,
        other => panic!("expected an answer, found {}", code(&other)),
    }
}

pub(crate) fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers.iter().find(|header| header.name() == name).map(|header| header.value())
}

/// Seconds of the answer's `Retry-After`, which must be a 503 without a challenge.
pub(crate) fn retry_after(step: Step) -> u64 {
    let response = response(step);
    assert_eq!(response.status, 503);
    assert_eq!(response.decision.code(), "keys_unavailable");
    assert_eq!(header(&response, "www-authenticate"), None);
    header(&response, "retry-after").and_then(|text| text.parse().ok()).expect("Retry-After")
}
