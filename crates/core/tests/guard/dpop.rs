//! DPoP over several requests (RFC 9449 §11.1): a proof is good once, and what one client does costs
//! no other. What one request can show stands in `tests/vectors/guard.json`.

use std::net::IpAddr;

use countersign_core::{
    guard::{Answer, Engine, RequestHead, Step},
    jose::{
        base64url,
        json::{self, Value as Members},
        thumbprint,
    },
};
use countersign_testkit::{keys::TestKey, token::Token};
use serde_json::{Value, json};

use super::support::{RESOURCE, code, engine, header, inline, response, token};

const KEY: TestKey = TestKey::Ed25519(9);

fn policy() -> Value {
    let mut policy = inline();
    policy["resources"][0]["dpop"] = json!("accept");
    policy["limits"] = json!({ "failures_per_minute": 3 });
    policy
}

fn begin(engine: &mut Engine, client: &str, token: &str, proof: &str, now: u64) -> Step {
    let credentials = format!("DPoP {token}");
    let headers: [(&[u8], &[u8]); 3] = [
        (b"content-type", b"application/json"),
        (b"authorization", credentials.as_bytes()),
        (b"dpop", proof.as_bytes()),
    ];
    let head = RequestHead {
        method: b"POST",
        authority: b"mcp.example.com",
        path: b"/mcp",
        headers: &headers,
        has_body: true,
        client: client.parse::<IpAddr>().ok(),
        certificate: None,
    };
    engine.begin(head, now)
}

/// How it comes out, and how many signatures had to be verified.
fn ask_from(engine: &mut Engine, client: &str, token: &str, proof: &str, now: u64) -> (Step, u32) {
    let mut step = begin(engine, client, token, proof, now);
    let mut checks = 0;
    while let Step::NeedSignature(pending) = step {
        checks += 1;
        let verified = engine.verify(&pending);
        step = engine.resume(pending, Answer::Signature(verified), now);
    }
    (step, checks)
}

fn ask(engine: &mut Engine, token: &str, proof: &str, now: u64) -> &'static str {
    code(&ask_from(engine, "192.0.2.1", token, proof, now).0)
}

fn proof(token: &str, now: u64) -> Token {
    Token::proof(KEY, "POST", RESOURCE, token, now)
}

#[test]
fn a_proof_is_good_once() {
    let mut engine = engine(&policy());
    let token = token().bound_to(KEY).sign();
    let first = proof(&token, 100).sign();
    let (step, checks) = ask_from(&mut engine, "192.0.2.1", &token, &first, 100);
    assert_eq!((code(&step), checks), ("allow", 2));
    for now in [100, 101, 160] {
        assert_eq!(ask(&mut engine, &token, &first, now), "proof_replayed");
    }
    assert_eq!(ask(&mut engine, &token, &first, 161), "proof_not_fresh");
    // Another spelling of the same proof is the same proof.
    let signed_again = proof(&token, 100).header("kid", "x").sign();
    assert_eq!(ask(&mut engine, &token, &signed_again, 101), "proof_replayed");
    let second = proof(&token, 101).claim("jti", "2").sign();
    let (step, checks) = ask_from(&mut engine, "192.0.2.1", &token, &second, 101);
    assert_eq!((code(&step), checks), ("allow", 1), "the token is remembered, the proof is new");
}

/// RFC 9449 §7.2: a remembered token is no bearer token either.
#[test]
fn the_cache_keeps_the_binding() {
    let mut engine = engine(&policy());
    let token = token().bound_to(KEY).sign();
    let good = proof(&token, 100).sign();
    assert_eq!(ask(&mut engine, &token, &good, 100), "allow");
    assert_eq!(super::support::ask(&mut engine, &token, 100), "token_bound");
    let other = Token::proof(TestKey::Ed25519(8), "POST", RESOURCE, &token, 100).sign();
    let (step, checks) = ask_from(&mut engine, "192.0.2.1", &token, &other, 100);
    assert_eq!(
        (code(&step), checks),
        ("token_bound", 0),
        "no signature of a foreign key is checked"
    );
}

/// A key is calculated with only when the token is bound to it: nobody without such a token can make
/// the guard check keys, which costs most where they are largest.
#[test]
fn a_key_is_checked_after_its_binding() {
    // An even modulus is no key: what is looked at first shows in the reason.
    let bad = json!({ "kty": "RSA", "e": "AQAB", "n": base64url::encode([0x80; 1024]) });
    let rs256 = |token: &str| proof(token, 100).header("alg", "RS256").header("jwk", bad.clone());
    let mut engine = engine(&policy());
    let stranger = token().bound_to(KEY).sign();
    assert_eq!(ask(&mut engine, &stranger, &rs256(&stranger).sign(), 100), "token_bound");
    let Ok(Members::Object(members)) = json::parse(bad.to_string().as_bytes()) else { panic!() };
    let thumbprint = thumbprint::sha256(&members).expect("its form is right");
    let bound = json!({ "jkt": base64url::encode(thumbprint) });
    let own = token().claim("cnf", bound).sign();
    let (step, checks) = ask_from(&mut engine, "192.0.2.1", &own, &rs256(&own).sign(), 100);
    assert_eq!((code(&step), checks), ("proof_malformed", 1), "the token's signature only");
}

/// A refused proof may be mended and sent again: it was not used.
#[test]
fn only_verified_proofs_are_remembered() {
    let mut engine = engine(&policy());
    let token = token().bound_to(KEY).sign();
    let good = proof(&token, 100);
    let bad = good.with_signature(&[1; 64]);
    assert_eq!(ask(&mut engine, &token, &bad, 100), "proof_signature_invalid");
    assert_eq!(ask(&mut engine, &token, &good.sign(), 100), "allow");
}

/// Whoever stole a bound token can cause signature checks only up to the limit, and locks out neither
/// others at his address nor the owner elsewhere.
#[test]
fn bad_proofs_are_charged_to_address_and_key() {
    let mut engine = engine(&policy());
    let stolen = token().bound_to(KEY).sign();
    let mut checks = 0;
    for number in 0..20 {
        let forged = proof(&stolen, 100).claim("jti", number.to_string()).with_signature(&[1; 64]);
        checks += ask_from(&mut engine, "192.0.2.66", &stolen, &forged, 100).1;
    }
    assert_eq!(checks, 4, "the token once, three proofs");
    let good = proof(&stolen, 100).sign();
    let (step, _) = ask_from(&mut engine, "192.0.2.66", &stolen, &good, 100);
    assert_eq!(code(&step), "failures_excessive");
    let (step, _) = ask_from(&mut engine, "192.0.2.1", &stolen, &good, 100);
    assert_eq!(code(&step), "allow", "the owner elsewhere");
    let key = TestKey::Ed25519(7);
    let other = token().bound_to(key).sign();
    let proof = Token::proof(key, "POST", RESOURCE, &other, 100).sign();
    let (step, _) = ask_from(&mut engine, "192.0.2.66", &other, &proof, 100);
    assert_eq!(code(&step), "allow", "others at the address");
}

/// More proofs of one key than are remembered are refused, not forgotten.
#[test]
fn one_client_cannot_fill_the_memory() {
    let mut policy = policy();
    policy["limits"] = json!({});
    let mut engine = engine(&policy);
    let token = token().bound_to(KEY).sign();
    let admit = |engine: &mut Engine, number: u32| {
        let proof = proof(&token, 100).claim("jti", number.to_string()).with_signature(&[1; 64]);
        let mut step = begin(engine, "192.0.2.1", &token, &proof, 100);
        while let Step::NeedSignature(pending) = step {
            // The host's word is taken for it: 16 384 signatures would take a while.
            step = engine.resume(pending, Answer::Signature(true), 100);
        }
        step
    };
    for number in 0..16_384 {
        assert_eq!(code(&admit(&mut engine, number)), "allow");
    }
    let step = admit(&mut engine, 16_384);
    assert_eq!(code(&step), "proofs_excessive");
    let answer = response(step);
    assert_eq!((answer.status, header(&answer, "retry-after")), (429, Some("61")));
    assert_eq!(header(&answer, "www-authenticate"), None);
}

#[test]
fn the_metadata_and_a_preflight_say_so() {
    let get = |dpop: &str| {
        let mut policy = policy();
        policy["resources"][0]["dpop"] = json!(dpop);
        let mut engine = engine(&policy);
        let head = RequestHead {
            method: b"GET",
            authority: b"mcp.example.com",
            path: b"/.well-known/oauth-protected-resource/mcp",
            headers: &[],
            has_body: false,
            client: None,
            certificate: None,
        };
        let document = response(engine.begin(head, 100)).body;
        let headers: [(&[u8], &[u8]); 2] =
            [(b"origin", b"https://mcp.example.com"), (b"access-control-request-method", b"POST")];
        let preflight =
            RequestHead { method: b"OPTIONS", path: b"/mcp", headers: &headers, ..head };
        let answer = response(engine.begin(preflight, 100));
        let allowed = header(&answer, "access-control-allow-headers").expect("a header").to_owned();
        (serde_json::from_slice::<Value>(&document).expect("JSON"), allowed)
    };
    let (document, allowed) = get("off");
    assert!(document.get("dpop_signing_alg_values_supported").is_none());
    assert!(!allowed.contains("DPoP"));
    let (document, allowed) = get("accept");
    let algorithms = document["dpop_signing_alg_values_supported"].as_array().expect("an array");
    assert!(algorithms.contains(&json!("ES256")) && !algorithms.contains(&json!("HS256")));
    assert!(document.get("dpop_bound_access_tokens_required").is_none());
    assert!(allowed.ends_with(", DPoP"), "{allowed}");
    let (document, _) = get("require");
    assert_eq!(document["dpop_bound_access_tokens_required"], json!(true));
}
