//! The life of a key set: fetched once, refreshed in time, given up in time, and never a reason for
//! a storm of fetches.

use countersign_core::guard::{Answer, Engine, FetchError, FetchId, Step};
use countersign_testkit::status::reference;
use serde_json::{Value, json};

use super::support::{
    ISSUER, JWKS_URI, KEY_1, KEY_2, ask, begin, code, due, engine, fetched, key_set, load,
    retry_after, token, verify,
};

fn fail(engine: &mut Engine, now: u64) {
    let fetch = due(engine, now);
    assert_eq!(engine.fetched(fetch.id, Some((500, b"")), now), Some(FetchError::Status(500)));
}

#[test]
fn failures_are_503_and_mended_without_help() {
    let mut engine = engine(&fetched());
    let token = token().sign();
    let mut now = 10;
    for pause in [1, 2, 4, 8, 16, 30, 30] {
        let step = begin(&mut engine, "/mcp", &token, now);
        let Step::NeedKeys(pending) = step else { panic!("found {} at {now}", code(&step)) };
        fail(&mut engine, now);
        assert_eq!(retry_after(engine.resume(pending, Answer::Fetched, now)), pause, "at {now}");
        // Nothing is fetched before the time that clients are told.
        assert_eq!(engine.due(now + pause - 1), []);
        assert_eq!(retry_after(begin(&mut engine, "/mcp", &token, now + pause - 1)), 1);
        now += pause;
    }
    // No request is needed to begin again.
    load(&mut engine, &[(KEY_1, "es1")], now);
    assert_eq!(ask(&mut engine, &token, now), "allow");
}

#[test]
fn what_is_no_key_set_is_a_failure() {
    let too_long = vec![b' '; 600_000];
    let many: Vec<_> =
        (1..=65).map(|scalar| (countersign_testkit::keys::TestKey::Es256(scalar), "x")).collect();
    let private = br#"{"keys":[{"kty":"oct","k":"AAAA","kid":"es1"}]}"#;
    for body in [
        &b""[..],
        b"<!doctype html>",
        b"[]",
        b"{}",
        br#"{"keys":{}}"#,
        br#"{"keys":[]}"#,
        br#"{"keys":[],"keys":[]}"#,
        b"\xff\xfe",
        private,
        &too_long,
        &key_set(&many),
    ] {
        let mut engine = engine(&fetched());
        let fetch = due(&mut engine, 10);
        assert!(engine.fetched(fetch.id, Some((200, body)), 10).is_some());
        assert_eq!(retry_after(begin(&mut engine, "/mcp", &token().sign(), 10)), 1);
    }
    for status in [0, 204, 206, 301, 302, 304, 401, 404, 500, 599] {
        let mut engine = engine(&fetched());
        let fetch = due(&mut engine, 10);
        let answer = key_set(&[(KEY_1, "es1")]);
        let error = engine.fetched(fetch.id, Some((status, &answer)), 10);
        assert_eq!(error, Some(FetchError::Status(status)));
        assert_eq!(ask(&mut engine, &token().sign(), 10), "keys_unavailable");
    }
}

#[test]
fn one_bad_key_does_not_spoil_a_set() {
    let mut engine = engine(&fetched());
    let fetch = due(&mut engine, 10);
    let set = json!({ "keys": [
        1, null, {}, { "kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": "es1" },
        { "kty": "RSA", "n": "AQAB", "e": "AQAB" }, { "kty": "future" }, KEY_1.jwk("es1"),
    ] });
    assert_eq!(engine.fetched(fetch.id, Some((200, set.to_string().as_bytes())), 10), None);
    assert_eq!(ask(&mut engine, &token().sign(), 10), "allow");
}

fn discovery(issuer: &str) -> Engine {
    let mut policy = fetched();
    let found = &mut policy["issuers"][0];
    found["issuer"] = issuer.into();
    found.as_object_mut().expect("an object").remove("jwks_uri");
    engine(&policy)
}

fn metadata(members: Value) -> Vec<u8> {
    members.to_string().into_bytes()
}

/// MCP authorization, authorization server metadata discovery: all places in their order, at once.
#[test]
fn discovery_tries_every_place() {
    let issuer = "https://auth.example.com/t";
    let mut engine = discovery(issuer);
    let token = token().claim("iss", issuer).sign();
    let step = begin(&mut engine, "/mcp", &token, 10);
    let Step::NeedKeys(mut pending) = step else { panic!("found {}", code(&step)) };
    for (url, answer) in [
        ("https://auth.example.com/.well-known/oauth-authorization-server/t", None),
        ("https://auth.example.com/.well-known/openid-configuration/t", Some((404, Vec::new()))),
        (
            "https://auth.example.com/t/.well-known/openid-configuration",
            Some((200, metadata(json!({ "issuer": issuer, "jwks_uri": JWKS_URI })))),
        ),
    ] {
        let fetch = due(&mut engine, 10);
        assert_eq!(fetch.url, url);
        engine.fetched(fetch.id, answer.as_ref().map(|(status, body)| (*status, &body[..])), 10);
        // The request goes on waiting.
        match engine.resume(pending, Answer::Fetched, 10) {
            Step::NeedKeys(still) => pending = still,
            step => panic!("found {}", code(&step)),
        }
    }
    load(&mut engine, &[(KEY_1, "es1")], 10);
    let step = engine.resume(pending, Answer::Fetched, 10);
    assert_eq!(code(&verify(&mut engine, step, 10)), "allow");
    // A refresh needs no metadata.
    assert_eq!(due(&mut engine, 110).url, JWKS_URI);
}

/// RFC 8414 §3.3: metadata of another issuer must not be used, nor may keys come in the clear.
#[test]
fn metadata_that_is_not_used() {
    for body in [
        metadata(json!({ "issuer": "https://auth.example.com/", "jwks_uri": JWKS_URI })),
        metadata(json!({ "issuer": "https://evil.example", "jwks_uri": JWKS_URI })),
        metadata(json!({ "jwks_uri": JWKS_URI })),
        metadata(json!({ "issuer": ISSUER })),
        metadata(json!({ "issuer": ISSUER, "jwks_uri": "http://auth.example.com/jwks" })),
        metadata(json!({ "issuer": ISSUER, "jwks_uri": "file:///etc/passwd" })),
        metadata(json!({ "issuer": ISSUER, "jwks_uri": "/jwks" })),
        metadata(json!({ "issuer": ISSUER, "jwks_uri": [JWKS_URI] })),
        metadata(json!([])),
        b"<html>".to_vec(),
    ] {
        let mut engine = discovery(ISSUER);
        let fetch = due(&mut engine, 10);
        let error = engine.fetched(fetch.id, Some((200, &body)), 10);
        let text = String::from_utf8_lossy(&body);
        assert!(matches!(error, Some(FetchError::Metadata(_))), "{text}: {error:?}");
        let next = due(&mut engine, 10);
        assert_eq!(next.url, "https://auth.example.com/.well-known/openid-configuration");
    }
}

/// One issuer's trouble is no other's.
#[test]
fn issuers_do_not_share_their_troubles() {
    let mut policy = fetched();
    let mut second = policy["issuers"][0].clone();
    second["issuer"] = json!("https://second.example.com");
    second["jwks_uri"] = json!("https://second.example.com/jwks");
    policy["issuers"].as_array_mut().expect("an array").push(second);
    let mut engine = engine(&policy);
    for fetch in engine.due(10) {
        let answer = if fetch.url == JWKS_URI { key_set(&[(KEY_1, "es1")]) } else { Vec::new() };
        engine.fetched(fetch.id, Some((200, &answer)), 10);
    }
    assert_eq!(ask(&mut engine, &token().sign(), 10), "allow");
    let second = token().claim("iss", "https://second.example.com");
    assert_eq!(ask(&mut engine, &second.sign(), 10), "keys_unavailable");
}

/// Hosts keep fetches under numbers: one that was never given out changes nothing.
#[test]
fn answers_that_nobody_asked_for_are_ignored() {
    let mut engine = engine(&fetched());
    let fetch = due(&mut engine, 10);
    assert_eq!(FetchId::from_u64(fetch.id.as_u64()), fetch.id);
    let foreign = key_set(&[(KEY_2, "es1")]);
    for id in [0, fetch.id.as_u64() + 1, u64::MAX].map(FetchId::from_u64) {
        assert_eq!(engine.fetched(id, Some((200, &foreign)), 10), None);
    }
    engine.fetched(fetch.id, Some((200, &key_set(&[(KEY_1, "es1")]))), 10);
    // Nor does an answer that comes twice.
    assert_eq!(engine.fetched(fetch.id, Some((200, &foreign)), 10), None);
    assert_eq!(ask(&mut engine, &token().sign(), 10), "allow");
}

/// No cache on the way may answer for the issuer: what it has may be from before a key was revoked. Status lists
/// are there to be cached.
#[test]
fn keys_are_asked_for_past_caches_and_lists_are_not() {
    let mut policy = fetched();
    policy["issuers"][0].as_object_mut().expect("an object").remove("jwks_uri");
    let mut engine = engine(&policy);
    let metadata = due(&mut engine, 10);
    assert!(metadata.fresh, "where the keys are");
    let document = json!({ "issuer": ISSUER, "jwks_uri": JWKS_URI }).to_string();
    assert_eq!(engine.fetched(metadata.id, Some((200, document.as_bytes())), 10), None);
    let keys = due(&mut engine, 10);
    assert!(keys.fresh && keys.url == JWKS_URI);
    let set = key_set(&[(KEY_1, "es1")]);
    assert_eq!(engine.fetched(keys.id, Some((200, &set)), 10), None);
    let list = "https://auth.example.com/status/1";
    let listed = token().claim("status", reference(list, 1)).sign();
    assert_eq!(ask(&mut engine, &listed, 10), "(status)");
    let fetch = due(&mut engine, 10);
    assert!(fetch.url == list && !fetch.fresh);
}
