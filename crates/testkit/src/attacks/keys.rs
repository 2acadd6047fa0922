//! Key sets in which the key is none, or none for this. Each has a good key of another name beside it.

use serde_json::{Value, json};

use super::{ASYMMETRIC, Case, by, good};
use crate::keys::TestKey;

/// All key sets.
pub(super) fn sets() -> Vec<(String, Value)> {
    let mut main: Vec<Value> = ASYMMETRIC.iter().map(|key| key.jwk(key.alg())).collect();
    main.extend([TestKey::Es256(3).jwk("other"), TestKey::Hs256.jwk("HS256")]);
    let mut unlabelled = TestKey::Rs256.jwk("rsa");
    unlabelled.as_object_mut().expect("an object").remove("alg");
    let mut sets = vec![
        ("main".to_owned(), json!({ "keys": main })),
        ("unlabelled".to_owned(), json!({ "keys": [unlabelled] })),
    ];
    sets.extend(changes().into_iter().map(|change| (format!("set-{}", change.id), change.set)));
    sets
}

/// The token is good; the set is not.
pub(super) fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = changes()
        .into_iter()
        .map(|change| {
            let id = format!("key-{}", change.id);
            let set = format!("set-{}", change.id);
            let case = Case::new(id, change.clause, by(change.key).sign()).set(&set);
            match change.reason {
                None => case,
                Some(reason) => case.refused(super::control(change.key), reason),
            }
        })
        .collect();
    cases.extend([
        Case::new("kid-absent", "RFC 7515 §4.1.4", good().header("kid", Value::Null).sign())
            .refused("es256", "key_ambiguous"),
        Case::new("set-unknown", "DESIGN, verify", good().sign())
            .set("no such set")
            .refused("es256", "key_set_unknown"),
    ]);
    cases
}

/// A set that differs from a good one in one respect.
struct Change {
    id: String,
    clause: &'static str,
    key: TestKey,
    set: Value,
    reason: Option<&'static str>,
}

fn changes() -> Vec<Change> {
    let mut changes = uses();
    changes.extend(points());
    changes.extend(moduli());
    changes.extend(whole_sets());
    changes
}

/// The key under its usual name, changed, and another beside it.
fn changed(id: &str, clause: &'static str, key: TestKey, edit: impl FnOnce(&mut Value)) -> Change {
    let mut jwk = key.jwk(key.alg());
    edit(&mut jwk);
    let set = json!({ "keys": [TestKey::Es256(3).jwk("other"), jwk] });
    let id = format!("{}-{id}", super::control(key));
    Change { id, clause, key, set, reason: Some("key_unknown") }
}

/// RFC 7517 §4.2 to §4.5: what the key is for.
fn uses() -> Vec<Change> {
    let key = TestKey::Es256(1);
    let member = |id: &str, clause: &'static str, name: &str, value: Value| {
        changed(id, clause, key, |jwk| jwk[name] = value)
    };
    let accepted = |change: Change| Change { reason: None, ..change };
    vec![
        accepted(member("key-ops-verify", "RFC 7517 §4.3", "key_ops", json!(["verify"]))),
        accepted(member("unknown-member", "RFC 7517 §4", "x-note", json!("ours"))),
        member("for-encryption", "RFC 7517 §4.2", "use", json!("enc")),
        member("for-nothing-known", "RFC 7517 §4.2", "use", json!("SIG")),
        member("to-sign-only", "RFC 7517 §4.3", "key_ops", json!(["sign"])),
        member("to-encrypt", "RFC 7517 §4.3", "key_ops", json!(["encrypt"])),
        member("key-ops-empty", "RFC 7517 §4.3", "key_ops", json!([])),
        member("key-ops-text", "RFC 7517 §4.3", "key_ops", json!("verify")),
        member("for-es384", "RFC 7517 §4.4", "alg", json!("ES384")),
        member("for-rs256", "RFC 7517 §4.4", "alg", json!("RS256")),
        member("for-hs256", "RFC 7517 §4.4", "alg", json!("HS256")),
        member("for-none", "RFC 7517 §4.4", "alg", json!("none")),
        member("for-lower-case", "RFC 7517 §4.4", "alg", json!("es256")),
        member("alg-number", "RFC 7517 §4.4", "alg", json!(256)),
        member("of-another-name", "RFC 7517 §4.5", "kid", json!("ES256-2")),
        member("name-is-a-number", "RFC 7517 §4.5", "kid", json!(256)),
        member("kty-lower-case", "RFC 7517 §4.1", "kty", json!("ec")),
        member("kty-rsa", "RFC 7517 §4.1", "kty", json!("RSA")),
        member("kty-oct", "RFC 7517 §4.1", "kty", json!("oct")),
        member("kty-absent", "RFC 7517 §4.1", "kty", Value::Null),
    ]
}

/// RFC 7518 §6.2.1, RFC 8037 §2: coordinates of the curve's length, of a point that is on it.
fn points() -> Vec<Change> {
    let (ec, ed) = (TestKey::Es256(1), TestKey::Ed25519(1));
    let edit = |id: &str, key: TestKey, name: &'static str, change: fn(&str) -> Value| {
        changed(id, "RFC 7518 §6.2.1, RFC 8037 §2", key, |jwk| {
            jwk[name] = change(jwk[name].as_str().expect("a text"));
        })
    };
    let zeros = |_: &str| json!("A".repeat(43));
    vec![
        edit("curve-p384", ec, "crv", |_| json!("P-384")),
        edit("curve-secp256k1", ec, "crv", |_| json!("secp256k1")),
        edit("curve-lower-case", ec, "crv", |_| json!("p-256")),
        edit("curve-absent", ec, "crv", |_| Value::Null),
        edit("x-padded", ec, "x", |x| json!(format!("{x}="))),
        edit("x-longer", ec, "x", |x| json!(format!("AAAA{x}"))),
        edit("x-shorter", ec, "x", |x| json!(x[4..])),
        edit("x-zero", ec, "x", zeros),
        edit("x-absent", ec, "x", |_| Value::Null),
        edit("y-zero", ec, "y", zeros),
        edit("y-absent", ec, "y", |_| Value::Null),
        edit("y-number", ec, "y", |_| json!(1)),
        edit("off-the-curve", ec, "y", |y| {
            let first = if y.starts_with('A') { 'B' } else { 'A' };
            json!(format!("{first}{}", &y[1..]))
        }),
        edit("x448", ed, "crv", |_| json!("X448")),
        edit("x25519", ed, "crv", |_| json!("X25519")),
        edit("x-longer", ed, "x", |x| json!(format!("{x}AAAA"))),
        edit("small-order", ed, "x", zeros),
        edit("identity", ed, "x", |_| json!(format!("AQ{}", "A".repeat(41)))),
        changed("private", "RFC 7517 §4, RFC 8725 §3.5", ec, |jwk| {
            jwk["d"] = json!("AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE");
        }),
    ]
}

/// RFC 7518 §3.3, §6.3.1; SP 800-56B.
fn moduli() -> Vec<Change> {
    let rsa = TestKey::Rs256;
    let edit = |id: &str, name: &'static str, change: fn(&str) -> Value| {
        changed(id, "RFC 7518 §3.3, §6.3.1, RFC 8017 §3.1", rsa, |jwk| {
            jwk[name] = change(jwk[name].as_str().expect("a text"));
        })
    };
    vec![
        edit("exponent-one", "e", |_| json!("AQ")),
        edit("exponent-two", "e", |_| json!("Ag")),
        edit("exponent-three", "e", |_| json!("Aw")),
        edit("exponent-even", "e", |_| json!("AQAA")),
        edit("exponent-zero", "e", |_| json!("AA")),
        edit("exponent-too-long", "e", |_| json!("AQAAAAAB")),
        edit("exponent-with-a-zero", "e", |_| json!("AAEAAQ")),
        edit("exponent-absent", "e", |_| Value::Null),
        edit("modulus-of-1024-bits", "n", |n| json!(format!("{}Q", &n[..170]))),
        edit("modulus-even", "n", |n| json!(format!("{}A", &n[..n.len() - 1]))),
        edit("modulus-with-a-zero", "n", |n| {
            use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
            let bytes = URL_SAFE_NO_PAD.decode(n).expect("our own");
            json!(URL_SAFE_NO_PAD.encode([&[0], &bytes[..]].concat()))
        }),
        edit("modulus-zero", "n", |n| json!("A".repeat(n.len()))),
        edit("modulus-absent", "n", |_| Value::Null),
        edit("modulus-padded", "n", |n| json!(format!("{n}=="))),
    ]
}

/// RFC 7517 §5.
fn whole_sets() -> Vec<Change> {
    let key = TestKey::Es256(1);
    let jwk = || key.jwk("ES256");
    let set = |id: &str, clause: &'static str, set: Value, reason: Option<&'static str>| Change {
        id: format!("es256-{id}"),
        clause,
        key,
        set,
        reason,
    };
    let clause = "RFC 7517 §5";
    let unavailable = Some("keys_unavailable");
    let mut nameless = jwk();
    nameless.as_object_mut().expect("an object").remove("kid");
    vec![
        set("alone", clause, json!({ "keys": [jwk()] }), None),
        set(
            "among-bad-ones",
            clause,
            json!({ "keys": [null, 1, {}, { "kty": "EC" }, [], jwk()] }),
            None,
        ),
        set("nameless", "RFC 7515 §4.1.4", json!({ "keys": [nameless] }), Some("key_unknown")),
        set(
            "twice",
            "RFC 7517 §4.5",
            json!({ "keys": [jwk(), TestKey::Es256(2).jwk("ES256")] }),
            Some("key_ambiguous"),
        ),
        set("empty", clause, json!({ "keys": [] }), unavailable),
        set("keys-absent", clause, json!({}), unavailable),
        set("keys-object", clause, json!({ "keys": { "ES256": jwk() } }), unavailable),
        set("bare-key", clause, jwk(), unavailable),
        set("bare-array", clause, json!([jwk()]), unavailable),
        set("text", clause, json!(json!({ "keys": [jwk()] }).to_string()), unavailable),
        set("null", clause, Value::Null, unavailable),
        set(
            "of-another-issuer",
            "RFC 8414 §3.3",
            json!({ "keys": [TestKey::Es256(9).jwk("ES256")] }),
            Some("signature_invalid"),
        ),
    ]
}
