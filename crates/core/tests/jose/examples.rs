//! The examples of the RFCs, from `tests/vectors/third-party/jose-examples.json`.

use std::collections::BTreeSet;

use countersign_core::{
    Reason,
    guard::{Engine, Policy},
    jose::{alg::Algorithm, jws::JwsError},
};
use countersign_testkit::{
    drive::{self, Fetches, Request},
    keys::TestKey,
    token::Token,
};
use serde_json::{Value, json};

use crate::{Refused, inline, verify};

const FILE: &str = include_str!("../../../../tests/vectors/third-party/jose-examples.json");

/// What becomes of each example, and why where it is refused.
const EXPECTED: [(&str, Result<(), Refused>); 19] = [
    // Also RFC 7519 §3.1.
    ("rfc7515-A.1", Ok(())),
    ("rfc7515-A.2", Ok(())),
    ("rfc7515-A.3", Ok(())),
    // ES512 is not supported.
    ("rfc7515-A.4", Err(Refused::Algorithm)),
    // Also RFC 7519 §6.1: unsecured, with an empty signature.
    ("rfc7515-A.5", Err(Refused::Form(JwsError::Segments))),
    ("rfc7520-4.1", Ok(())),
    ("rfc7520-4.2", Ok(())),
    ("rfc7520-4.3", Err(Refused::Algorithm)),
    ("rfc7520-4.4", Ok(())),
    // Detached content and the JSON serialisations are no access tokens (RFC 7519 §1).
    ("rfc7520-4.5", Err(Refused::Form(JwsError::Segments))),
    ("rfc7520-4.6", Err(Refused::Form(JwsError::Segments))),
    ("rfc7520-4.7", Err(Refused::Form(JwsError::Segments))),
    ("rfc7520-4.8", Err(Refused::Form(JwsError::Segments))),
    ("rfc7520-5.1", Err(Refused::Form(JwsError::Encrypted))),
    ("rfc7520-5.6", Err(Refused::Form(JwsError::Encrypted))),
    ("rfc8037-A.4", Ok(())),
    ("rfc7520-6-inner", Ok(())),
    ("rfc7520-6-outer", Err(Refused::Form(JwsError::Encrypted))),
    ("rfc7797-b64", Err(Refused::Form(JwsError::CriticalHeader))),
];

#[test]
fn each_example_is_taken_or_refused_for_its_reason() {
    let file: Value = serde_json::from_str(FILE).expect("JSON");
    let examples = file["examples"].as_array().expect("examples");
    let names: BTreeSet<_> = examples.iter().map(|example| example["name"].as_str()).collect();
    assert_eq!(names.len(), EXPECTED.len());
    for (name, expected) in EXPECTED {
        let example = examples.iter().find(|example| example["name"] == name).expect(name);
        let token = example["compact"].as_str().expect("a token");
        let keys = match &example["jwk"] {
            Value::Null => json!({ "keys": [] }),
            jwk => json!({ "keys": [jwk] }),
        };
        let result = verify(token, &inline(&keys), &Algorithm::ALL);
        assert_eq!(result.clone().map(|_| ()), expected, "{}", example["source"]);
        if result.is_ok() {
            // A published secret is no key, and no algorithm is taken that is not allowed.
            let alg = header(token)["alg"].as_str().and_then(Algorithm::from_name).expect("alg");
            let others: Vec<_> = Algorithm::ALL.into_iter().filter(|other| *other != alg).collect();
            let refused = verify(token, &inline(&keys), &others);
            assert_eq!(refused, Err(Refused::Algorithm), "{name}");
            for other in others {
                let forged = with_alg(token, other.name());
                assert!(verify(&forged, &inline(&keys), &Algorithm::ALL).is_err(), "{name}");
            }
        }
    }
}

fn header(token: &str) -> Value {
    use base64::Engine as _;
    let header = token.split('.').next().expect("a header");
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(header).expect("base64");
    serde_json::from_slice(&bytes).expect("JSON")
}

fn with_alg(token: &str, alg: &str) -> String {
    use base64::Engine as _;
    let mut header = header(token);
    header["alg"] = json!(alg);
    let (_, rest) = token.split_once('.').expect("a token");
    let header = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(header.to_string());
    format!("{header}.{rest}")
}

/// RFC 9068 §2.2: the header and the claims of the example, through the whole engine. It is valid
/// for 245 days.
#[test]
fn rfc_9068_example() {
    let policy = json!({
        "issuers": [{
            "issuer": "https://authorization-server.example.com/",
            "jwks": { "keys": [TestKey::Rs256.jwk("RjEwOwOA")] },
            "max_lifetime": 31_536_000,
        }],
        "resources": [{
            "resource": "https://rs.example.com/", "scopes": { "baseline": ["reademail"] },
        }],
    });
    let token = Token::new("", "")
        .key(TestKey::Rs256, "RjEwOwOA")
        .raw_header(r#"{"typ":"at+JWT","alg":"RS256","kid":"RjEwOwOA"}"#)
        .raw_payload(
            r#"{
     "iss": "https://authorization-server.example.com/",
     "sub": "5ba552d67",
     "aud":   "https://rs.example.com/",
     "exp": 1639528912,
     "iat": 1618354090,
     "jti" : "dbe39bf3a3ba4238a513f51d6e1691c4",
     "client_id": "s6BhdRkqt3",
     "scope": "openid profile reademail"
   }"#,
        )
        .sign();
    let request = Request {
        method: "GET".to_owned(),
        authority: "rs.example.com".to_owned(),
        path: "/".to_owned(),
        headers: vec![(b"authorization".to_vec(), format!("Bearer {token}").into_bytes())],
        ..Request::default()
    };
    for (now, expected) in [
        (1_618_354_090, None),
        (1_639_528_912 + 29, None),
        (1_639_528_912 + 30, Some(Reason::TokenExpired)),
        (1_618_354_090 - 31, Some(Reason::TokenNotYetValid)),
    ] {
        let policy = Policy::parse(policy.to_string().as_bytes()).expect("a valid policy");
        let outcome = drive::run(&mut Engine::new(policy), &request, &Fetches::new(), now);
        assert_eq!(outcome.decision().reason, expected, "{now}");
    }
}
