//! Arbitrary bytes: no panic, and nothing is ever forwarded without a token.

use countersign_core::{
    guard::{Engine, Policy, RequestHead, Step},
    jose::{json, jwks::JwkSet, jws::CompactJws},
    jwt::claims::Claims,
    mcp::{headers::decode_value, message::Message},
};
use countersign_testkit::{keys::TestKey, token::Token};
use proptest::{collection::vec, prelude::*};
use serde_json::json;

fn engine() -> Engine {
    let policy = json!({
        "issuers": [{ "issuer": "https://a.example", "jwks": { "keys": [TestKey::Es256(1).jwk("es1")] } }],
        "resources": [{ "resource": "https://m.example/mcp", "scopes": { "unlisted": "deny" } }],
    });
    Engine::new(Policy::parse(policy.to_string().as_bytes()).expect("a valid policy"))
}

/// Bytes, and bytes that look like something.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 0..200),
        "[ -~]{0,100}".prop_map(String::into_bytes),
        Just(b"/mcp".to_vec()),
        Just(b"m.example".to_vec()),
        Just(b"Bearer".to_vec()),
        "Bearer [a-zA-Z0-9_.-]{0,80}".prop_map(String::into_bytes),
        "[A-Za-z0-9_-]{1,40}\\.[A-Za-z0-9_-]{1,40}\\.[A-Za-z0-9_-]{1,40}"
            .prop_map(String::into_bytes),
    ]
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(b"authorization".to_vec()),
        Just(b"Origin".to_vec()),
        Just(b"content-type".to_vec()),
        Just(b"mcp-method".to_vec()),
        vec(any::<u8>(), 0..20),
    ]
}

proptest! {
    #[test]
    fn nothing_is_forwarded_without_a_token(
        method in bytes(),
        authority in prop_oneof![Just(b"m.example".to_vec()), bytes()],
        path in prop_oneof![Just(b"/mcp".to_vec()), bytes()],
        headers in vec((name(), bytes()), 0..6),
        has_body: bool,
        now: u64,
    ) {
        let headers: Vec<(&[u8], &[u8])> =
            headers.iter().map(|(name, value)| (&name[..], &value[..])).collect();
        let head = RequestHead { method: &method, authority: &authority, path: &path, headers: &headers, has_body };
        match engine().begin(head, now) {
            Step::Respond(response) => prop_assert!(response.status >= 200),
            // A random signature does not verify.
            Step::NeedSignature(pending) => prop_assert!(!pending.signature().unwrap().verify()),
            other => prop_assert!(false, "{other:?}"),
        }
    }

    #[test]
    fn parsers_take_any_bytes(bytes in bytes()) {
        let _ = json::parse(&bytes);
        let _ = Claims::parse(&bytes);
        let _ = JwkSet::parse(&bytes, 10);
        let _ = Policy::parse(&bytes);
        let _ = Message::parse(&bytes);
        let _ = decode_value(&bytes);
        if let Ok(text) = std::str::from_utf8(&bytes) {
            let _ = CompactJws::parse(text);
        }
    }

    /// One byte of a good token changed: it is never accepted.
    #[test]
    fn a_changed_token_never_passes(at in 0_usize..1000, to in "[A-Za-z0-9_.=-]") {
        let good = Token::new("https://a.example", "https://m.example/mcp")
            .claim("iat", 1_800_000_000_u64).claim("exp", 1_800_000_600_u64).sign();
        let at = at % good.len();
        let mut changed = good.clone();
        changed.replace_range(at..=at, &to);
        prop_assume!(changed != good);
        let value = format!("Bearer {changed}");
        let headers: [(&[u8], &[u8]); 1] = [(b"authorization", value.as_bytes())];
        let head = RequestHead { method: b"GET", authority: b"m.example", path: b"/mcp", headers: &headers, has_body: false };
        match engine().begin(head, 1_800_000_001) {
            Step::Respond(response) => prop_assert!(matches!(response.status, 400 | 401)),
            Step::NeedSignature(pending) => prop_assert!(!pending.signature().unwrap().verify()),
            other => prop_assert!(false, "{other:?}"),
        }
    }

    /// Strict JSON agrees with serde_json on what both accept.
    #[test]
    fn json_agrees_with_serde_json(value in "[\\[\\]{}\",:0-9a-c. \\\\u-]{0,40}") {
        if let Ok(ours) = json::parse(value.as_bytes()) {
            let theirs: serde_json::Value = serde_json::from_str(&value).expect("laxer than ours");
            let ours: serde_json::Value = serde_json::from_str(&ours.to_string()).expect("valid");
            prop_assert_eq!(ours, theirs);
        }
    }
}
