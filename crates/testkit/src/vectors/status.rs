//! Tokens that refer to a status list.

use serde_json::{Value, json};

use super::{Answer, Case, ISSUER, token};
use crate::{
    keys::TestKey,
    status::{TestList, reference},
};

const LIST: &str = "https://auth.example.com/status-lists/1";

pub(super) fn fetches() -> Vec<(String, Answer)> {
    let at = |name: &str| format!("https://auth.example.com/status-lists/{name}");
    let answer = |name: &str, list: TestList| (at(name), Answer { status: 200, body: list.sign() });
    vec![
        answer("1", TestList::new(LIST, &[3, 17])),
        answer("forged", TestList::new(&at("forged"), &[]).key(TestKey::Es256(2))),
        answer("other", TestList::new(LIST, &[])),
        answer("old", TestList::new(&at("old"), &[]).claim("exp", 1)),
        answer("typ", TestList::new(&at("typ"), &[]).header("typ", "at+jwt")),
        (at("down"), Answer { status: 500, body: String::new() }),
    ]
}

pub(super) fn cases() -> Vec<Case> {
    const CLAUSE: &str = "Token Status List (draft 21) §6.2, §8.3";
    let with = |name: &str, status: Value| {
        Case::new(name, CLAUSE).policy("status").bearer(&token().claim("status", status).sign())
    };
    let at = |name: &str, list: &str| {
        with(name, reference(&format!("https://auth.example.com/status-lists/{list}"), 1))
            .refused(503, "status_unavailable")
    };
    vec![
        with("status-valid", reference(LIST, 2)).allowed(),
        with("status-revoked", reference(LIST, 3)).invalid_token("token_revoked"),
        with("status-revoked-in-a-later-byte", reference(LIST, 17)).invalid_token("token_revoked"),
        with("status-last-place", reference(LIST, 63)).allowed(),
        with("status-beyond-the-list", reference(LIST, 64)).invalid_token("token_revoked"),
        Case::new("status-absent", CLAUSE).policy("status").bearer(&token().sign()).allowed(),
        Case::new("status-absent-and-required", "DESIGN, issuers.status")
            .policy("status-required")
            .bearer(&token().sign())
            .invalid_token("claim_missing"),
        Case::new("status-ignored", "DESIGN, issuers.status")
            .policy("status-ignored")
            .bearer(&token().claim("status", reference(LIST, 3)).sign())
            .allowed(),
        with("status-of-another-kind", json!({ "other": {} })).invalid_token("claim_malformed"),
        with("status-without-index", json!({ "status_list": { "uri": LIST } }))
            .invalid_token("claim_malformed"),
        with("status-with-text-index", json!({ "status_list": { "uri": LIST, "idx": "3" } }))
            .invalid_token("claim_malformed"),
        with("status-with-negative-index", json!({ "status_list": { "uri": LIST, "idx": -1 } }))
            .invalid_token("claim_malformed"),
        at("status-list-down", "down"),
        at("status-list-unknown", "unknown"),
        at("status-list-of-another-key", "forged"),
        at("status-list-of-another-address", "other"),
        at("status-list-expired", "old"),
        at("status-list-of-another-type", "typ"),
        with("status-list-on-another-host", reference("https://evil.example/status-lists/1", 2))
            .refused(503, "status_unavailable"),
        with(
            "status-list-on-another-scheme",
            reference("http://auth.example.com/status-lists/1", 2),
        )
        .refused(503, "status_unavailable"),
        Case::new("status-is-asked-after-the-signature", CLAUSE)
            .policy("status")
            .bearer(
                &token()
                    .key(TestKey::Es256(2), "es1")
                    .claim("status", reference("https://auth.example.com/status-lists/down", 1))
                    .sign(),
            )
            .invalid_token("signature_invalid"),
        Case::new("status-of-an-unknown-issuer", "RFC 9068 §4")
            .policy("status")
            .bearer(
                &token()
                    .claim("iss", "https://evil.example")
                    .claim("status", reference(LIST, 2))
                    .sign(),
            )
            .invalid_token("issuer_unknown"),
    ]
}

/// A policy whose issuer's status lists are treated thus.
pub(super) fn policy(status: Option<&str>) -> Value {
    let mut issuer = json!({
        "issuer": ISSUER, "cluster": "auth", "max_lifetime": 3_155_760_000_u64,
        "jwks": { "keys": [TestKey::Es256(1).jwk("es1")] },
    });
    if let Some(status) = status {
        issuer["status"] = json!(status);
    }
    json!({
        "issuers": [issuer],
        "resources": [{ "resource": super::FILES, "scopes": { "baseline": ["mcp:use"] } }],
    })
}
