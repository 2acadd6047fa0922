//! Introspection responses (RFC 7662): a token is active only where every other reader finds exactly
//! `true`, and what is said of it is what they read. The input is a response, and a token to ask about.
#![no_main]

use countersign_core::oauth::introspection::{Introspection, request_body};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|text: &str| {
    if let Ok(answer) = Introspection::parse(text.as_bytes()) {
        let theirs: Value = serde_json::from_str(text).expect("laxer than ours");
        match answer {
            Introspection::Inactive => assert!(theirs["active"] == false || !is_access(&theirs)),
            Introspection::Active(claims) => {
                assert!(theirs["active"] == true && is_access(&theirs));
                let same = |ours: &Option<String>, name: &str| {
                    assert_eq!(ours.as_deref(), theirs[name].as_str(), "{name}");
                };
                same(&claims.issuer, "iss");
                same(&claims.subject, "sub");
                same(&claims.client_id, "client_id");
                let audience = match &theirs["aud"] {
                    Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
                    other => other.as_str().into_iter().collect::<Vec<_>>(),
                };
                assert_eq!(claims.audience, audience);
            }
        }
    }
    // A form has two members, whatever the token.
    let body = request_body(text);
    let (token, hint) = body.split_once('&').expect("two members");
    assert_eq!(hint, "token_type_hint=access_token");
    let encoded = token.strip_prefix("token=").expect("the token first");
    assert_eq!(decoded(encoded), text.as_bytes());
});

/// Whether nothing says that it is another token than an access token.
fn is_access(theirs: &Value) -> bool {
    let is_one_of = |name: &str, known: &[&str]| match theirs.get(name) {
        None => true,
        Some(kind) => kind.as_str().is_some_and(|kind| known.contains(&&*kind.to_lowercase())),
    };
    is_one_of("token_type", &["bearer", "dpop"])
        && is_one_of("token_use", &["access_token", "access"])
}

fn decoded(encoded: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = encoded.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if let (b'%', [high, low, after @ ..]) = (first, tail) {
            let digit = |byte: &u8| char::from(*byte).to_digit(16).expect("a digit");
            bytes.push((digit(high) * 16 + digit(low)) as u8);
            rest = after;
        } else {
            assert!(first.is_ascii_alphanumeric() || b"-._".contains(first));
            bytes.push(*first);
        }
    }
    bytes
}
