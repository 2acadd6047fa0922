//! Against another implementation: `jsonwebtoken`, whose signatures are those of AWS-LC.
//!
//! It must take every token that we take, and what it takes beyond that must be in [`STRICTER`].

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use countersign_core::jose::{
    alg::Algorithm,
    json::{self, Value as Strict},
    jwk::{Jwk, JwkError, Secrets},
    jws::JwsError,
};
use countersign_testkit::{keys::TestKey, token::Token};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::{Refused, inline, verify};

/// Why we refuse a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Why {
    Critical,
    Encoding,
    Encrypted,
    Header,
    Nested,
    Segments,
    Algorithm,
    Key,
    Signature,
    Claims,
}

/// What the other takes and we do not, and why we do not.
const STRICTER: [(Why, &str); 6] = [
    (Why::Critical, "RFC 7797 §6: \"b64\" is not for JWTs; whoever reads it reads another payload"),
    (
        Why::Encrypted,
        "\"enc\" is a parameter of JWE (RFC 7516 §4.1.2), \"cty\" aside: not signed alone",
    ),
    (Why::Header, "RFC 7515 §4: member names are unique; and \"kid\", \"typ\" are texts"),
    (
        Why::Key,
        "RFC 7517 §4.2 to §4.4: \"use\", \"key_ops\" and \"alg\" of the key bind; weak keys",
    ),
    (Why::Nested, "\"cty\": \"JWT\" says that the payload is another token (RFC 7519 §5.2)"),
    (Why::Claims, "RFC 7519 §4: claim names are unique; nesting is bounded"),
];

/// What we take and the other does not: header parameters that are nobody's business are ignored,
/// whatever they are (RFC 7515 §4), but it reads them; and it does not know RFC 9864.
fn only_ours(header: &Value) -> bool {
    header["alg"] == "Ed25519"
        || ["jku", "jwk", "x5u", "x5c", "x5t", "x5t#S256", "zip", "url", "nonce"]
            .iter()
            .any(|name| header.get(*name).is_some())
}

fn ours(token: &str, jwk: &Value) -> Result<(), Why> {
    let payload = verify(token, &inline(&json!({ "keys": [jwk] })), &Algorithm::ALL);
    let payload = payload.map_err(|refused| match refused {
        Refused::Form(JwsError::CriticalHeader) => Why::Critical,
        Refused::Form(JwsError::Encoding) => Why::Encoding,
        Refused::Form(JwsError::Encrypted) => Why::Encrypted,
        Refused::Form(JwsError::Header) => Why::Header,
        Refused::Form(JwsError::Nested) => Why::Nested,
        Refused::Form(_) => Why::Segments,
        Refused::Algorithm => Why::Algorithm,
        Refused::NoKey | Refused::Ambiguous => Why::Key,
        Refused::Signature => Why::Signature,
    })?;
    match json::parse(&payload) {
        Ok(Strict::Object(_)) => Ok(()),
        _ => Err(Why::Claims),
    }
}

fn theirs(token: &str, jwk: &Value) -> bool {
    use jsonwebtoken::{DecodingKey, Validation, decode, decode_header};
    let take = || {
        let header = decode_header(token).ok()?;
        let jwk: jsonwebtoken::jwk::Jwk = serde_json::from_value(jwk.clone()).ok()?;
        let key = DecodingKey::from_jwk(&jwk).ok()?;
        let mut validation = Validation::new(header.alg);
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        decode::<Map<String, Value>>(token, &key, &validation).ok()
    };
    take().is_some()
}

thread_local! {
    /// How often each difference was seen.
    static SEEN: RefCell<BTreeMap<Why, usize>> = const { RefCell::new(BTreeMap::new()) };
}

/// Both verdicts; panics where they differ without a documented reason. `true`: both take it.
fn compare(token: &str, jwk: &Value) -> bool {
    let (ours, theirs) = (ours(token, jwk), theirs(token, jwk));
    match ours {
        Ok(()) => assert!(theirs || only_ours(&header(token)), "only we take {token} by {jwk}"),
        Err(why) if theirs => {
            let listed = STRICTER.iter().any(|(listed, _)| *listed == why);
            assert!(listed, "only the other takes {token} by {jwk}: {why:?}");
            SEEN.with_borrow_mut(|seen| *seen.entry(why).or_default() += 1);
        }
        Err(_) => {}
    }
    ours.is_ok() && theirs
}

fn header(token: &str) -> Value {
    let header = token.split('.').next().unwrap_or_default();
    let bytes = URL_SAFE_NO_PAD.decode(header).unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_default()
}

fn good(key: TestKey) -> Token {
    Token::new("https://auth.example.com", "https://mcp.example.com/mcp").key(key, "k")
}

/// Every key with every algorithm, signed by every key.
#[test]
fn algorithms_and_keys() {
    let mut both = 0;
    for signer in TestKey::ALL {
        for named in TestKey::ALL {
            let token = good(signer).header("alg", named.alg()).sign();
            for holder in TestKey::ALL {
                let mut jwk = holder.jwk("k");
                both += usize::from(compare(&token, &jwk));
                jwk.as_object_mut().expect("an object").remove("alg");
                both += usize::from(compare(&token, &jwk));
            }
        }
    }
    // Ten keys with `alg`. Without: four of one algorithm, and six tokens by each of six.
    assert_eq!(both, 10 + 4 + 36);
}

/// Headers, keys and payloads that only one of the two may take.
#[test]
fn what_is_read_differently() {
    SEEN.take();
    let mut both = 0;
    for key in TestKey::ALL {
        for (name, value) in [
            ("b64", json!(true)),
            ("crit", json!([])),
            ("crit", json!(["exp"])),
            ("cty", json!("JWT")),
            ("cty", json!("text/plain")),
            ("enc", json!("A128GCM")),
            ("jku", json!("https://evil.example/jwks")),
            ("jku", json!(1)),
            ("jwk", TestKey::Es256(9).jwk("evil")),
            ("jwk", json!("none")),
            ("kid", json!(1)),
            ("kid", json!("other")),
            ("typ", json!("at+jwt")),
            ("typ", json!(["at+jwt"])),
            ("unknown", json!({ "a": [null] })),
            ("x5c", json!(["AA"])),
            ("zip", json!("DEF")),
        ] {
            both += usize::from(compare(&good(key).header(name, value).sign(), &key.jwk("k")));
        }
        let alg = key.alg();
        for header in [
            format!(r#"{{"alg":"{alg}","alg":"{alg}"}}"#),
            format!(r#"{{"alg":"{alg}","typ":"a","typ":"b"}}"#),
            format!(r#"{{"alg":"{alg}","x":1,"x":1}}"#),
            format!(r#" {{ "alg" : "{alg}" }} "#),
            format!("\u{feff}{{\"alg\":\"{alg}\"}}"),
            format!(r#"{{"alg":"{alg}"}}{{}}"#),
            format!(r#"["{alg}"]"#),
            r#"{"alg":"none"}"#.to_owned(),
            r#"{"alg":"Ed25519"}"#.to_owned(),
            "{}".to_owned(),
            "null".to_owned(),
        ] {
            both += usize::from(compare(&good(key).raw_header(&header).sign(), &key.jwk("k")));
        }
        let deep = |levels| format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
        for payload in [
            &b"{}"[..],
            b"",
            b"null",
            b"[]",
            b"{\"a\":1,\"a\":2}",
            b"{\"a\":1e999}",
            b"{\"a\":01}",
            b"{\"a\":\"\\ud800\"}",
            b"{\"a\":\"\xff\"}",
            b"\xef\xbb\xbf{}",
            deep(63).as_bytes(),
            deep(64).as_bytes(),
            deep(1000).as_bytes(),
        ] {
            both += usize::from(compare(&good(key).raw_payload(payload).sign(), &key.jwk("k")));
        }
        for (name, value) in [
            ("use", json!("enc")),
            ("use", json!("sig")),
            ("key_ops", json!(["sign"])),
            ("key_ops", json!(["verify"])),
            ("kid", Value::Null),
            ("alg", json!("RSA-OAEP")),
            ("alg", json!("ES256")),
            ("x5c", json!([])),
        ] {
            let mut jwk = key.jwk("k");
            jwk[name] = value;
            both += usize::from(compare(&good(key).sign(), &jwk));
        }
    }
    let seen: BTreeSet<Why> = SEEN.take().into_keys().collect();
    let listed: BTreeSet<Why> = STRICTER.iter().map(|(why, _)| *why).collect();
    assert_eq!(seen, listed, "each documented difference is one");
    println!("{both} taken by both; differences: {seen:?}");
}

/// The thumbprints are the same.
#[test]
fn thumbprints() {
    for key in TestKey::ALL {
        let jwk = key.jwk("k");
        let theirs: jsonwebtoken::jwk::Jwk = serde_json::from_value(jwk.clone()).expect("a JWK");
        let theirs = theirs.thumbprint(jsonwebtoken::jwk::ThumbprintHash::SHA256);
        let document = json::parse(jwk.to_string().as_bytes()).expect("JSON");
        let ours = Jwk::from_json(document.as_object().expect("an object"), Secrets::Allow);
        let ours = ours.map(|key| URL_SAFE_NO_PAD.encode(key.thumbprint()));
        assert_eq!(ours, Ok::<_, JwkError>(theirs.expect("a thumbprint")), "{key:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    /// A token with some of its bytes changed, cut or doubled, under a key of the same kind or not.
    #[test]
    fn changed_tokens(
        signer in 0..TestKey::ALL.len(),
        holder in 0..TestKey::ALL.len(),
        same in any::<bool>(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), "[A-Za-z0-9_.=+/ -]?"), 0..3),
    ) {
        let key = TestKey::ALL[signer];
        let holder = if same { key } else { TestKey::ALL[holder] };
        let mut token = good(key).sign();
        for (at, text) in edits {
            let at = at.index(token.len());
            token.replace_range(at..=at, &text);
        }
        compare(&token, &holder.jwk("k"));
    }

    /// A well-signed token with any members in its header.
    #[test]
    fn any_header(
        signer in 0..TestKey::ALL.len(),
        members in prop::collection::btree_map(
            "alg|typ|kid|cty|crit|b64|enc|jku|jwk|zip|nonce|[a-c]",
            prop_oneof![
                "JWT|at\\+jwt|ES256|RS256|HS256|none|k|[a-z]{0,3}".prop_map(Value::from),
                any::<bool>().prop_map(Value::from),
                Just(Value::Null),
                Just(json!([])),
                Just(json!({})),
            ],
            0..4,
        ),
    ) {
        let key = TestKey::ALL[signer];
        let mut header = json!({ "alg": key.alg() });
        for (name, value) in members {
            header[name] = value;
        }
        compare(&good(key).raw_header(&header.to_string()).sign(), &key.jwk("k"));
    }
}
