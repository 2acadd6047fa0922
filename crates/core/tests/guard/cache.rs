//! Tokens that were verified before: asked of nobody again, and never trusted for longer.

use serde_json::json;

use super::support::{
    JWKS_URI, KEY_1, KEY_2, OTHER, RESOURCE, ask, begin, code, due, engine, fetched, inline,
    is_cached, load, token, verify,
};

#[test]
fn refused_tokens_are_not_remembered() {
    let mut engine = engine(&inline());
    let forged = token().with_signature(&[1; 64]);
    for now in [10, 11] {
        let step = begin(&mut engine, "/mcp", &forged, now);
        assert_eq!(code(&step), "(signature)");
        assert_eq!(code(&verify(&mut engine, step, now)), "signature_invalid");
    }
}

#[test]
fn not_across_resources() {
    let mut engine = engine(&inline());
    let ours = token().sign();
    assert_eq!(ask(&mut engine, &ours, 10), "allow");
    let step = begin(&mut engine, "/other", &ours, 10);
    assert_eq!(code(&verify(&mut engine, step, 10)), "audience_mismatch");
    // Nor when the token is meant for both, and only one of them may share it.
    let both = token().claim("aud", json!([RESOURCE, OTHER])).sign();
    let step = begin(&mut engine, "/other", &both, 10);
    assert_eq!(code(&verify(&mut engine, step, 10)), "allow");
    assert_eq!(ask(&mut engine, &both, 10), "audience_mismatch");
}

#[test]
fn nothing_is_remembered_where_the_policy_says_so() {
    let mut policy = inline();
    policy["limits"] = json!({ "cached_tokens": 0 });
    let mut engine = engine(&policy);
    for now in [10, 11] {
        assert_eq!(ask(&mut engine, &token().sign(), now), "allow");
        assert!(!is_cached(&mut engine, &token().sign(), now));
    }
}

/// An issuer that exchanges a key under its name withdraws the old one.
#[test]
fn dropped_with_its_key_exchanged() {
    let mut engine = engine(&fetched());
    load(&mut engine, &[(KEY_1, "es1")], 10);
    let token = token().sign();
    assert_eq!(ask(&mut engine, &token, 10), "allow");
    load(&mut engine, &[(KEY_2, "es1")], 110);
    assert_eq!(ask(&mut engine, &token, 110), "signature_invalid");
}

#[test]
fn kept_while_its_key_is_there() {
    let mut engine = engine(&fetched());
    load(&mut engine, &[(KEY_1, "es1")], 10);
    let token = token().sign();
    assert_eq!(ask(&mut engine, &token, 10), "allow");
    load(&mut engine, &[(KEY_2, "es2"), (KEY_1, "es1")], 110);
    assert!(is_cached(&mut engine, &token, 110));
    // A refresh that fails changes nothing yet.
    let fetch = due(&mut engine, 210);
    assert_eq!(fetch.url, JWKS_URI);
    assert!(engine.fetched(fetch.id, Some((500, b"")), 210).is_some());
    assert!(is_cached(&mut engine, &token, 210));
}

/// The identity is remembered, not the decision.
#[test]
fn operations_are_decided_each_time() {
    let mut engine = engine(&super::support::with_rules(inline()));
    let token = token().sign();
    for now in [10, 11] {
        let step = begin(&mut engine, "/mcp", &token, now);
        let step = verify(&mut engine, step, now);
        assert_eq!(code(&step), "(body)");
    }
}
