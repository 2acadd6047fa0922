//! Tokens that only their issuer can read (RFC 7662).

use serde_json::{Value, json};

use super::{Answer, Case, FILES, FILES_METADATA, ISSUER, NOW, challenge, policies::LONG, token};
use crate::keys::TestKey;

const ENDPOINT: &str = "https://auth.example.com/introspect";

pub(super) fn policy(dpop: &str) -> Value {
    json!({
        "issuers": [{
            "issuer": ISSUER, "cluster": "auth", "max_lifetime": LONG,
            "jwks": { "keys": [TestKey::Es256(1).jwk("es1")] },
            "introspection": {
                "endpoint": ENDPOINT, "client_id": "files server", "client_secret": "s3cr:et",
            },
        }],
        "resources": [{
            "resource": FILES, "scopes": { "baseline": ["mcp:use"] }, "dpop": dpop,
        }],
    })
}

/// What an issuer says of a good token.
fn active() -> Value {
    json!({
        "active": true, "iss": ISSUER, "aud": FILES, "sub": "ada", "client_id": "app",
        "scope": "mcp:use", "iat": NOW - 10, "exp": NOW + LONG, "token_type": "Bearer",
    })
}

/// The same with one member changed, or left out by null.
fn with(name: &str, value: Value) -> Value {
    let mut answer = active();
    if value.is_null() {
        answer.as_object_mut().expect("an object").remove(name);
    } else {
        answer[name] = value;
    }
    answer
}

/// The tokens, and what is said of each.
fn answers() -> Vec<(&'static str, u16, String)> {
    let says = |token, answer: Value| (token, 200, answer.to_string());
    let bound = json!({ "jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" });
    vec![
        says("good", active()),
        says("inactive", json!({ "active": false })),
        says("says-no-issuer", with("iss", Value::Null)),
        says("says-no-times", {
            let mut answer = with("exp", Value::Null);
            answer.as_object_mut().expect("an object").remove("iat");
            answer
        }),
        says("other-issuer", with("iss", json!("https://other.example"))),
        says("other-audience", with("aud", json!("https://other.example/mcp"))),
        says("no-audience", with("aud", Value::Null)),
        says("several-audiences", with("aud", json!([FILES, "https://other.example/mcp"]))),
        says("no-subject", with("sub", Value::Null)),
        says("no-client", with("client_id", Value::Null)),
        says("no-scope", with("scope", json!("profile"))),
        says("expired", with("exp", json!(NOW - 100))),
        says("not-yet", with("nbf", json!(NOW + LONG))),
        says("refresh-token", with("token_type", json!("refresh_token"))),
        says("refresh-token-of-hydra", {
            let mut answer = with("token_type", Value::Null);
            answer["token_use"] = "refresh_token".into();
            answer
        }),
        says("dpop-without-key", with("token_type", json!("DPoP"))),
        says("bound", with("cnf", bound)),
        says("text-for-active", with("active", json!("true"))),
        says("no-active", with("active", Value::Null)),
        says("text-for-exp", with("exp", json!("9999999999"))),
        ("html", 200, "<!doctype html>".to_owned()),
        ("twice", 200, r#"{"active":false,"active":true}"#.to_owned()),
        ("unauthorized", 401, r#"{"error":"invalid_client"}"#.to_owned()),
        ("broken", 500, String::new()),
        ("moved", 302, String::new()),
        ("a.b", 200, active().to_string()),
        ("v4.local.AAAA", 200, active().to_string()),
        ("a.b.c", 200, active().to_string()),
        ("a.b.c.d.e", 200, active().to_string()),
    ]
}

pub(super) fn fetches() -> Vec<(String, Answer)> {
    let form = |token: &str| format!("{ENDPOINT}?token={token}&token_type_hint=access_token");
    let answers = answers().into_iter();
    answers.map(|(token, status, body)| (form(token), Answer { status, body })).collect()
}

pub(super) fn cases() -> Vec<Case> {
    let case = |name: &str, token: &str| {
        Case::new(&format!("opaque-{name}"), "RFC 7662 §2.2").policy("opaque").bearer(token)
    };
    let ada = [("x-mcp-client", "app"), ("x-mcp-scope", "mcp:use"), ("x-mcp-subject", "ada")];
    let allowed = |name: &str| case(name, name).forwarded("allow", &ada);
    let invalid = |name: &str, reason: &str| case(name, name).invalid_token(reason);
    let expired = challenge(FILES_METADATA, "invalid_token", "The access token expired", "mcp:use");
    let down = |name: &str| case(name, name).refused(503, "introspection_unavailable");
    vec![
        allowed("good"),
        invalid("inactive", "token_inactive"),
        allowed("says-no-issuer"),
        allowed("says-no-times"),
        invalid("other-issuer", "issuer_unknown"),
        invalid("other-audience", "audience_mismatch"),
        invalid("no-audience", "claim_missing"),
        invalid("several-audiences", "audience_mismatch"),
        invalid("no-subject", "claim_missing"),
        invalid("no-client", "claim_missing"),
        case("no-scope", "no-scope").needs("mcp:use"),
        case("expired", "expired").challenged(401, "token_expired", &expired),
        invalid("not-yet", "token_not_yet_valid"),
        invalid("refresh-token", "token_inactive"),
        invalid("refresh-token-of-hydra", "token_inactive"),
        invalid("dpop-without-key", "token_bound"),
        invalid("bound", "token_bound"),
        down("text-for-active"),
        down("no-active"),
        down("text-for-exp"),
        down("html"),
        down("twice"),
        down("unauthorized"),
        down("broken"),
        down("moved"),
        down("unknown"),
        // Opaque to us is what does not begin as a JWT, dots or not.
        case("with-a-dot", "a.b").forwarded("allow", &ada),
        case("encrypted", "a.b.c.d.e").forwarded("allow", &ada),
        case("of-three-parts", "a.b.c").forwarded("allow", &ada),
        case("paseto", "v4.local.AAAA").forwarded("allow", &ada),
        case("half-a-jwt", token().sign().rsplit_once('.').map_or("", |(half, _)| half))
            .invalid_token("token_malformed"),
        // The issuer's JWTs are verified as ever, and not shown to anybody.
        case("beside-a-jwt", &token().sign()).allowed(),
        case("beside-a-forged-jwt", &token().key(TestKey::Es256(2), "es1").sign())
            .invalid_token("signature_invalid"),
        Case::new("opaque-where-nobody-is-asked", "RFC 6750 §3.1")
            .bearer("good")
            .invalid_token("token_malformed"),
    ]
}
