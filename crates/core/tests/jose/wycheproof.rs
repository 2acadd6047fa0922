//! Project Wycheproof's JOSE sets, through the path that a token takes.

use std::collections::BTreeSet;

use countersign_core::jose::{
    alg::Algorithm,
    jwks::JwkSet,
    jws::{CompactJws, JwsError},
};
use countersign_testkit::keys::hs256;
use serde_json::{Value, json};
use wycheproof_ng_kdf_jose::json_web::{Test, TestGroup, TestName, TestSet};

use crate::{Refused, inline, verify};

/// RFC 7515 allows an empty payload; a token without claims is none (RFC 7519 §7.2).
const EMPTY: Result<(), Refused> = Err(Refused::Form(JwsError::Segments));

/// RFC 7515 §5.2 step 2: a character that is not of the base64url alphabet. The set marks these as
/// valid, since some decoders skip such characters.
const NOT_BASE64URL: Result<(), Refused> = Err(Refused::Form(JwsError::Encoding));

/// The example is a PS384 token, but the set's key says `"alg": "PS256"` (RFC 7517 §4.4).
const OTHER_ALG: Result<(), Refused> = Err(Refused::NoKey);

/// ES512, HS384 and HS512 are not supported.
const UNSUPPORTED: Result<(), Refused> = Err(Refused::Algorithm);

/// The secret is 00 01 02 …, or 32 bytes of zero: no policy takes it.
const WEAK: Result<(), Refused> = Err(Refused::NoKey);

/// A policy may hold secrets beside public keys, and calls for them by name: `kid` and `alg` leave
/// nothing ambiguous. In a set that was fetched the secret would be left out.
const MIXED: Result<(), Refused> = Ok(());

/// Vectors of whose result we think otherwise, by number, with what becomes of them.
const SIGNATURES: [(usize, Result<(), Refused>); 17] = [
    (259, EMPTY),
    (264, EMPTY),
    (268, EMPTY),
    (272, EMPTY),
    (320, EMPTY),
    (325, EMPTY),
    (346, OTHER_ALG),
    (347, UNSUPPORTED),
    (350, OTHER_ALG),
    (351, UNSUPPORTED),
    (357, WEAK),
    (358, WEAK),
    (359, WEAK),
    (372, NOT_BASE64URL),
    (373, NOT_BASE64URL),
    (376, WEAK),
    (377, WEAK),
];
const KEYS: [(usize, Result<(), Refused>); 4] =
    [(1, MIXED), (13, WEAK), (14, UNSUPPORTED), (15, UNSUPPORTED)];
const CRYPTO: [(usize, Result<(), Refused>); 1] = [(47, MIXED)];

fn groups(name: TestName) -> Vec<TestGroup> {
    TestSet::load(name).expect("the set").test_groups
}

/// The public key or set, else the symmetric one, as it would stand in a policy.
fn keys(group: &TestGroup) -> JwkSet {
    let document = group.public_key.as_ref().or(group.private_key.as_ref()).expect("a key");
    if document.get("keys").is_some() {
        inline(document)
    } else {
        inline(&json!({ "keys": [document] }))
    }
}

/// The vector as it would come in a header.
fn token(test: &Test) -> String {
    match (&test.jws, &test.jwe) {
        (Some(Value::String(text)), _) | (None, Some(Value::String(text))) => text.clone(),
        (Some(json), _) | (None, Some(json)) => json.to_string(),
        (None, None) => panic!("no token in {}", test.tc_id),
    }
}

fn signatures(
    name: TestName,
    overrides: &[(usize, Result<(), Refused>)],
    expected: (usize, usize),
) {
    let (mut accepted, mut refused, mut wrong) = (0, 0, Vec::new());
    let mut used = BTreeSet::new();
    for group in groups(name) {
        let set = keys(&group);
        for test in group.tests.iter().filter(|test| test.jws.is_some()) {
            let result = verify(&token(test), &set, &Algorithm::ALL).map(|_| ());
            *(if result.is_ok() { &mut accepted } else { &mut refused }) += 1;
            let right = match overrides.iter().find(|(id, _)| *id == test.tc_id) {
                Some((id, ours)) => {
                    used.insert(id);
                    result == *ours && result.is_ok() == test.result.must_fail()
                }
                None => result.is_ok() != test.result.must_fail(),
            };
            if !right {
                let (group, comment) = (&group.group_comment, &test.comment);
                wrong.push(format!("{}: {group} {comment}: {result:?}", test.tc_id));
            }
        }
    }
    println!(
        "{name:?}: {accepted} accepted, {refused} refused, {} of them against the set",
        overrides.len()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(used.len(), overrides.len());
    assert_eq!((accepted, refused), expected);
}

#[test]
fn json_web_signature() {
    signatures(TestName::JsonWebSignature, &SIGNATURES, (29, 372));
}

#[test]
fn json_web_key() {
    signatures(TestName::JsonWebKey, &KEYS, (3, 23));
}

#[test]
fn json_web_crypto() {
    signatures(TestName::JsonWebCrypto, &CRYPTO, (5, 44));
}

/// The vectors on base64 stand under a secret of zeros, which no policy takes. So that they are not
/// refused for that alone, here with an HMAC of the tests' own.
#[test]
fn base64_under_a_weak_secret() {
    let groups = groups(TestName::JsonWebSignature);
    let group = groups.iter().find(|group| group.group_comment == "base64").expect("the group");
    let (mut accepted, mut refused) = (0, 0);
    for test in &group.tests {
        let token = token(test);
        let valid = CompactJws::parse(&token)
            .is_ok_and(|jws| hs256(&[0; 32], jws.signing_input().as_bytes()) == jws.signature());
        let expected = match test.tc_id {
            372 | 373 => false,
            // Marked as invalid, but letter by letter the valid token of 357.
            367 | 370 => true,
            _ => !test.result.must_fail(),
        };
        assert_eq!(valid, expected, "{}", test.tc_id);
        *(if valid { &mut accepted } else { &mut refused }) += 1;
    }
    assert_eq!((accepted, refused), (7, 14));
}

/// Encrypted tokens are refused as such, valid or not; the JSON form and broken ones as no token.
#[test]
fn json_web_encryption() {
    let (mut encrypted, mut malformed) = (0, 0);
    for name in [TestName::JsonWebEncryption, TestName::JsonWebCrypto] {
        for group in groups(name) {
            for test in group.tests.iter().filter(|test| test.jwe.is_some()) {
                match verify(&token(test), &JwkSet::default(), &Algorithm::ALL) {
                    Err(Refused::Form(JwsError::Encrypted)) => encrypted += 1,
                    Err(Refused::Form(_)) => {
                        assert!(test.result.must_fail(), "{}", test.tc_id);
                        malformed += 1;
                    }
                    other => panic!("{}: {other:?}", test.tc_id),
                }
            }
        }
    }
    println!("JWE: {encrypted} refused as encrypted, {malformed} as malformed");
    assert_eq!((encrypted, malformed), (151, 22));
}
