//! Properties of the parsers: none panics, what is read is written back the same, and a change of
//! one byte is noticed.

use countersign_core::jose::{
    base64url, json,
    jwk::{Jwk, Secrets},
    jwks::JwkSet,
    jws::CompactJws,
    thumbprint,
};
use countersign_testkit::{keys::TestKey, token::Token};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{inline, verify};

/// JSON of a few levels, with names and texts that mean something to the parsers.
fn any_json() -> impl Strategy<Value = Value> {
    let word = "alg|kid|kty|crv|use|key_ops|keys|EC|OKP|RSA|oct|P-256|sig|verify|AQAB|[a-zA-Z0-9_-]{0,43}|.{0,6}";
    let leaf = prop_oneof![
        word.prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
    ];
    leaf.prop_recursive(4, 24, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(word, inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// A JWK, perhaps with members changed, added or taken away.
fn any_jwk() -> impl Strategy<Value = Value> {
    let names = "kty|crv|x|y|n|e|k|d|alg|use|key_ops|kid";
    let edits = prop::collection::vec((names, prop::option::of(any_json())), 0..3);
    (0..TestKey::ALL.len(), edits).prop_map(|(key, edits)| {
        let mut jwk = TestKey::ALL[key].jwk("k");
        let members = jwk.as_object_mut().expect("an object");
        for (name, value) in edits {
            match value {
                Some(value) => members.insert(name, value),
                None => members.remove(&name),
            };
        }
        jwk
    })
}

fn strict(value: &Value) -> json::Value {
    json::parse(value.to_string().as_bytes()).expect("what serde_json writes is strict")
}

proptest! {
    #[test]
    fn base64url_has_one_spelling(bytes in any::<Vec<u8>>(), text in "[A-Za-z0-9_=+/ -]{0,12}|.{0,12}") {
        let encoded = base64url::encode(&bytes);
        prop_assert_eq!(base64url::decode(&encoded), Ok(bytes));
        if let Ok(decoded) = base64url::decode(&text) {
            prop_assert_eq!(base64url::encode(decoded), text);
        }
    }

    #[test]
    fn json_reads_any_bytes(bytes in any::<Vec<u8>>()) {
        if let Ok(value) = json::parse(&bytes) {
            prop_assert_eq!(json::parse(value.to_string().as_bytes()), Ok(value));
        }
    }

    /// Numbers aside, of which doubles have several spellings, values are written as serde_json
    /// writes them, with the members in the order of their names.
    #[test]
    fn json_is_written_as_it_was_read(value in any_json()) {
        let read = strict(&value);
        prop_assert_eq!(read.to_string(), value.to_string());
        prop_assert_eq!(json::parse(read.to_string().as_bytes()), Ok(read));
    }

    #[test]
    fn jwk_reads_any_json(value in prop_oneof![any_json(), any_jwk()], allow in any::<bool>()) {
        let secrets = if allow { Secrets::Allow } else { Secrets::Refuse };
        let read = strict(&value);
        let Some(members) = read.as_object() else { return Ok(()) };
        let Ok(key) = Jwk::from_json(members, secrets) else { return Ok(()) };
        prop_assert!(value.get("d").is_none(), "a private key");
        prop_assert!(allow || value["kty"] != "oct", "a published secret");
        prop_assert_eq!(Some(*key.thumbprint()), thumbprint::sha256(members).ok());
        prop_assert_eq!(key.kid(), value["kid"].as_str());
        let served: Vec<_> = key.algorithms().collect();
        prop_assert!(!served.is_empty());
        prop_assert!(served.iter().all(|algorithm| key.verifier(*algorithm).is_some()));
        if let Some(alg) = value.get("alg") {
            let names: Vec<_> = served.iter().map(|algorithm| algorithm.name()).collect();
            prop_assert_eq!(names, vec![alg.as_str().expect("a text")]);
        }
    }

    /// One bad key never spoils a set: the good one is found among any others.
    #[test]
    fn a_good_key_is_found_among_any_others(
        others in prop::collection::vec(prop_oneof![any_json(), any_jwk()], 0..6),
        at in any::<prop::sample::Index>(),
    ) {
        let mut keys: Vec<Value> =
            others.into_iter().filter(|other| other["kid"] != "good").collect();
        keys.insert(at.index(keys.len() + 1), TestKey::Es384(3).jwk("good"));
        let document = json!({ "keys": keys });
        let set = JwkSet::parse(document.to_string().as_bytes(), 10).expect("a usable key");
        prop_assert_eq!(set.keys().len() + set.skipped().len(), keys.len());
        let token = Token::new("i", "a").key(TestKey::Es384(3), "good").sign();
        let allowed = countersign_core::jose::alg::Algorithm::ALL;
        prop_assert!(verify(&token, &set, &allowed).is_ok());
    }

    #[test]
    fn jwks_reads_any_bytes(bytes in any::<Vec<u8>>(), value in any_json()) {
        let _ = JwkSet::parse(&bytes, 10);
        let _ = JwkSet::parse(value.to_string().as_bytes(), 10);
    }

    /// Whatever is taken apart is put together again from its parts, byte for byte.
    #[test]
    fn jws_has_one_spelling(
        header in any_json(),
        payload in any::<Vec<u8>>(),
        text in "[A-Za-z0-9_.=-]{0,40}|.{0,40}",
    ) {
        let built = [base64url::encode(header.to_string()), base64url::encode(payload), "AA".into()];
        for token in [text, built.join(".")] {
            let Ok(jws) = CompactJws::parse(&token) else { continue };
            let (head, _) = token.split_once('.').expect("segments");
            let again = [
                head.to_owned(),
                base64url::encode(jws.payload()),
                base64url::encode(jws.signature()),
            ];
            prop_assert_eq!(again.join("."), token.as_str());
            prop_assert!(token.starts_with(jws.signing_input()));
            let decoded = base64url::decode(head).expect("a segment that was read");
            prop_assert_eq!(base64url::encode(decoded), head);
        }
    }

    /// No byte of a token can be another one, be left out or be put in.
    #[test]
    fn one_changed_byte_is_refused(
        key in 0..TestKey::ALL.len(),
        at in any::<prop::sample::Index>(),
        byte in 0_u8..128,
        change in 0..3,
    ) {
        let key = TestKey::ALL[key];
        let good = Token::new("i", "a").key(key, "k").sign();
        let set = inline(&json!({ "keys": [key.jwk("k")] }));
        let allowed = countersign_core::jose::alg::Algorithm::ALL;
        prop_assert!(verify(&good, &set, &allowed).is_ok());
        let mut bytes = good.clone().into_bytes();
        let at = at.index(bytes.len());
        match change {
            0 => bytes[at] = byte,
            1 => bytes.insert(at, byte),
            _ => {
                bytes.remove(at);
            }
        }
        let changed = String::from_utf8(bytes).expect("ASCII");
        if changed != good {
            prop_assert!(verify(&changed, &set, &allowed).is_err(), "{changed}");
        }
    }
}
