//! Every algorithm, and what must not pass for it: the key and the policy choose, never the token.

use serde_json::{Value, json};

use super::{Case, FILES, ISSUER, token};
use crate::{
    keys::{TestKey, hs256},
    rsa_key,
    token::Token,
};

/// All algorithms are allowed, and there is a key for each, named like its algorithm.
pub(super) fn policy() -> Value {
    let mut keys: Vec<Value> = TestKey::ALL.iter().map(|key| key.jwk(key.alg())).collect();
    let mut unlabelled = TestKey::Rs256.jwk("rsa");
    unlabelled.as_object_mut().expect("an object").remove("alg");
    let mut encryption = TestKey::Es384(2).jwk("encryption");
    encryption["use"] = json!("enc");
    keys.extend([unlabelled, encryption]);
    let algorithms: Vec<&str> = TestKey::ALL.iter().map(|key| key.alg()).collect();
    of(&json!(algorithms), &json!(keys))
}

/// There are keys for more algorithms than the policy allows.
pub(super) fn narrow_policy() -> Value {
    let keys = [TestKey::Es256(1).jwk("ES256"), TestKey::Es384(1).jwk("ES384")];
    of(&json!(["ES384", "PS256"]), &json!(keys))
}

fn of(algorithms: &Value, keys: &Value) -> Value {
    json!({
        "issuers": [{
            "issuer": ISSUER, "algorithms": algorithms, "jwks": { "keys": keys },
            "max_lifetime": super::policies::LONG,
        }],
        "resources": [{ "resource": FILES, "scopes": { "baseline": ["mcp:use"] } }],
    })
}

fn case(name: &str, clause: &str, token: &str) -> Case {
    Case::new(name, clause).policy("algorithms").bearer(token)
}

/// A good token by the key that is named like its algorithm.
fn by(key: TestKey) -> Token {
    token().key(key, key.alg())
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = TestKey::ALL.into_iter().flat_map(each).collect();
    cases.extend(unlabelled_key());
    cases.extend(mismatches());
    cases.extend(secrets());
    cases
}

/// Accepted; not with another bit; not with a byte more or less.
fn each(key: TestKey) -> [Case; 4] {
    let alg = key.alg();
    let clause = match key {
        TestKey::Es256(_) | TestKey::Es384(_) => "RFC 7518 §3.4",
        TestKey::Ed25519(_) => "RFC 8037 §3.1",
        TestKey::Hs256 => "RFC 7518 §3.2",
        TestKey::Ps256 | TestKey::Ps384 | TestKey::Ps512 => "RFC 7518 §3.5",
        TestKey::Rs256 | TestKey::Rs384 | TestKey::Rs512 => "RFC 7518 §3.3",
    };
    let signature = by(key).signature();
    let mut changed = signature.clone();
    changed[signature.len() / 2] ^= 1;
    let longer = [&signature[..], &[0]].concat();
    let shorter = &signature[..signature.len() - 1];
    let wrong = |what: &str, signature: &[u8]| {
        let token = by(key).with_signature(signature);
        case(&format!("{alg}-{what}"), clause, &token).invalid_token("signature_invalid")
    };
    [
        case(&format!("{alg}-accepted"), clause, &by(key).sign()).allowed(),
        wrong("with-one-bit-changed", &changed),
        wrong("with-a-byte-more", &longer),
        wrong("with-a-byte-less", shorter),
    ]
}

/// RFC 7517 §4.4: without `alg`, an RSA key serves every algorithm of RSA, and no other.
fn unlabelled_key() -> Vec<Case> {
    let clause = "RFC 7517 §4.4, RFC 8725 §3.1";
    let accepted = |key: TestKey| {
        let name = format!("{}-by-a-key-without-alg", key.alg());
        case(&name, clause, &token().key(key, "rsa").sign()).allowed()
    };
    let crossed = |name: &str, claimed: TestKey, signed: TestKey| {
        let token = token().key(claimed, "rsa");
        let signature = signed.sign(token.signing_input().as_bytes());
        case(name, clause, &token.with_signature(&signature)).invalid_token("signature_invalid")
    };
    vec![
        accepted(TestKey::Rs256),
        accepted(TestKey::Rs384),
        accepted(TestKey::Rs512),
        accepted(TestKey::Ps256),
        accepted(TestKey::Ps384),
        accepted(TestKey::Ps512),
        crossed("ps256-signed-with-rs256", TestKey::Ps256, TestKey::Rs256),
        crossed("rs256-signed-with-ps256", TestKey::Rs256, TestKey::Ps256),
        crossed("rs256-signed-with-rs512", TestKey::Rs256, TestKey::Rs512),
        crossed("ps512-signed-with-ps384", TestKey::Ps512, TestKey::Ps384),
    ]
}

fn mismatches() -> Vec<Case> {
    let unknown = |name: &str, key: TestKey, kid: &str| {
        case(name, "RFC 7517 §4.4, RFC 8725 §3.1", &token().key(key, kid).sign())
            .invalid_token("key_unknown")
    };
    let unsupported = |name: &str, token: &str| {
        case(name, "RFC 8725 §3.1", token).invalid_token("algorithm_unsupported")
    };
    let narrow = |name: &str, key: TestKey| {
        Case::new(name, "RFC 8725 §3.1").policy("algorithms-narrow").bearer(&by(key).sign())
    };
    vec![
        unknown("ps256-under-a-key-for-rs256", TestKey::Ps256, "RS256"),
        unknown("rs512-under-a-key-for-rs256", TestKey::Rs512, "RS256"),
        unknown("es384-under-a-p256-key", TestKey::Es384(1), "ES256"),
        unknown("es256-under-a-p384-key", TestKey::Es256(1), "ES384"),
        unknown("eddsa-under-an-rsa-key-without-alg", TestKey::Ed25519(1), "rsa"),
        unknown("es384-under-a-key-for-encryption", TestKey::Es384(2), "encryption"),
        case(
            "eddsa-by-its-name-of-rfc-9864",
            "RFC 9864 §2.2",
            &by(TestKey::Ed25519(1)).header("alg", "Ed25519").sign(),
        )
        .allowed(),
        unsupported("hs384-is-not-supported", &by(TestKey::Hs256).header("alg", "HS384").sign()),
        unsupported("es512-is-not-supported", &by(TestKey::Es384(1)).header("alg", "ES512").sign()),
        unsupported("alg-in-another-case", &by(TestKey::Ps256).header("alg", "ps256").sign()),
        narrow("the-policy-allows-es384", TestKey::Es384(1)).allowed(),
        narrow("the-policy-does-not-allow-es256", TestKey::Es256(1))
            .invalid_token("algorithm_unsupported"),
        narrow("the-policy-allows-ps256-without-a-key", TestKey::Ps256)
            .invalid_token("key_unknown"),
    ]
}

/// A public key is no secret, and a published secret is none.
fn secrets() -> Vec<Case> {
    let clause = "RFC 8725 §2.1, §3.1";
    let (modulus, _) = rsa_key::public();
    let with = |kid: &str, secret: &[u8]| {
        let token = by(TestKey::Hs256).header("kid", kid);
        token.with_signature(&hs256(secret, token.signing_input().as_bytes()))
    };
    let jwk = TestKey::Rs256.jwk("RS256").to_string();
    let fetched = |name: &str, kid: &str| {
        let token = token().key(TestKey::Hs256, kid).sign();
        Case::new(name, clause).policy("uri").bearer(&token)
    };
    vec![
        case("hs256-with-the-modulus-as-secret", clause, &with("RS256", &modulus))
            .invalid_token("key_unknown"),
        case("hs256-with-the-jwk-as-secret", clause, &with("rsa", jwk.as_bytes()))
            .invalid_token("key_unknown"),
        case("hs256-with-an-empty-secret", clause, &with("HS256", b""))
            .invalid_token("signature_invalid"),
        fetched("hs256-with-a-published-secret", "published-secret")
            .invalid_token("algorithm_unsupported"),
        Case::new("hs256-where-the-policy-does-not-name-it", clause)
            .bearer(&token().key(TestKey::Hs256, "secret1").sign())
            .invalid_token("algorithm_unsupported"),
    ]
}
