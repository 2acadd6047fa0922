//! Keys that have to be fetched, and what happens when they cannot be.

use std::collections::BTreeMap;

use serde_json::json;

use super::{Answer, Case, ISSUER, token};
use crate::keys::TestKey;

pub(super) fn fetches() -> BTreeMap<String, Answer> {
    let good = json!({ "keys": [
        { "kty": "oct", "k": "c2VjcmV0" },
        TestKey::Hs256.jwk("published-secret"),
        TestKey::Es256(1).jwk("es1"),
    ] });
    let metadata = |issuer: &str, jwks_uri: &str| {
        json!({ "issuer": issuer, "jwks_uri": jwks_uri }).to_string()
    };
    let answer = |status: u16, body: String| Answer { status, body };
    let tenant = "https://auth.example.com/tenant";
    [
        ("https://auth.example.com/keys", answer(200, good.to_string())),
        ("https://auth.example.com/down", answer(500, String::new())),
        ("https://auth.example.com/garbage", answer(200, "<!doctype html>".to_owned())),
        (
            "https://auth.example.com/.well-known/oauth-authorization-server/tenant",
            answer(200, metadata(tenant, "https://auth.example.com/keys")),
        ),
        (
            "https://oidc.example.com/.well-known/oauth-authorization-server",
            answer(404, String::new()),
        ),
        (
            "https://oidc.example.com/.well-known/openid-configuration",
            answer(200, metadata("https://oidc.example.com", "https://auth.example.com/keys")),
        ),
        (
            "https://mixed.example.com/.well-known/oauth-authorization-server",
            answer(200, metadata("https://mixed.example.com/", "https://auth.example.com/keys")),
        ),
        (
            "https://mixed.example.com/.well-known/openid-configuration",
            answer(200, metadata("https://evil.example", "https://auth.example.com/keys")),
        ),
    ]
    .map(|(url, answer)| (url.to_owned(), answer))
    .into()
}

pub(super) fn cases() -> Vec<Case> {
    let at = |name: &str, policy: &str, issuer: &str| {
        Case::new(name, "DESIGN, key sets; RFC 8414 §3")
            .policy(policy)
            .bearer(&token().claim("iss", issuer).sign())
    };
    let unavailable = |name: &str, policy: &str, issuer: &str| {
        at(name, policy, issuer).refused(503, "keys_unavailable")
    };
    vec![
        at("keys-fetched", "uri", ISSUER).allowed(),
        at("keys-discovered", "discovery", "https://auth.example.com/tenant").allowed(),
        at("keys-discovered-by-openid", "oidc", "https://oidc.example.com").allowed(),
        unavailable("metadata-of-another-issuer", "mix-up", "https://mixed.example.com"),
        unavailable("key-set-answers-500", "down", ISSUER),
        unavailable("key-set-is-a-page", "garbage", ISSUER),
        Case::new("key-unknown-after-a-fetch", "DESIGN, key sets")
            .policy("uri")
            .bearer(&token().key(TestKey::Es256(2), "nobody").sign())
            .invalid_token("key_unknown"),
        Case::new("bad-token-while-keys-are-down", "RFC 9068 §4")
            .policy("down")
            .bearer(&token().header("typ", "JWT").sign())
            .invalid_token("token_type_unsupported"),
        Case::new("no-token-while-keys-are-down", "RFC 6750 §3.1").policy("down").challenged(
            401,
            "token_missing",
            &super::bare_challenge(super::FILES_METADATA, "mcp:use"),
        ),
        Case::new("no-body-is-read-without-rules", "DESIGN, MCP in the engine")
            .policy("uri")
            .bearer(&token().sign())
            .instead("content-type", "application/octet-stream")
            .body("this is no JSON at all")
            .allowed(),
    ]
}
