//! DPoP proofs: one that is taken apart says what other readers read, and is good for exactly its
//! method, URL, token and time.
#![no_main]

use countersign_core::{
    jose::base64url,
    oauth::dpop::{Expected, MAX_AGE, Proof, ProofError},
};
use countersign_fuzz::model;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const LEEWAY: u64 = 5;

fuzz_target!(|text: &str| {
    let Ok(proof) = Proof::parse(text) else { return };
    let (header, payload) = model::jws(text).expect("another reader reads it too");
    let claims: Value = serde_json::from_slice(&payload).expect("laxer than ours");
    let typ = header["typ"].as_str().expect("a type").to_lowercase();
    assert!(typ == "dpop+jwt" || typ == "application/dpop+jwt");
    assert!(!proof.algorithm().is_symmetric());
    assert!(proof.key().serves(proof.algorithm()));
    if let Ok(key) = proof.key().check() {
        assert!(key.verifier(proof.algorithm()).is_some());
    }
    for private in ["d", "p", "q", "dp", "dq", "qi", "k"] {
        assert!(header["jwk"].get(private).is_none(), "{private}");
    }
    let signature = base64url::encode(proof.signature());
    assert_eq!([proof.signing_input(), b".", signature.as_bytes()].concat(), text.as_bytes());
    assert_eq!(proof.replay_digest(), Proof::parse(text).expect("the same").replay_digest());
    let nonce = claims.get("nonce").and_then(Value::as_str);
    assert!(nonce.is_none_or(|nonce| proof.has_nonce(nonce)));
    fits(&proof, &claims);
});

fn fits(proof: &Proof, claims: &Value) {
    let method = claims["htm"].as_str().expect("htm");
    let digest = claims["ath"].as_str().and_then(model::base64url);
    let Some(digest) = digest.and_then(|digest| <[u8; 32]>::try_from(digest).ok()) else { return };
    let urls = [claims["htu"].as_str().expect("htu").to_owned()];
    let issued_at = claims["iat"].as_f64().expect("iat");
    if !(0.0..1e15).contains(&issued_at) {
        return;
    }
    let expected = Expected {
        method: method.as_bytes(),
        urls: &urls,
        token_digest: Some(&digest),
        nonces: None,
        now: issued_at as u64,
        leeway: LEEWAY,
    };
    match proof.check(&expected) {
        Ok(()) => {}
        // Not every text is a URL, and not every spelling of a digest is one.
        Err(ProofError::Uri | ProofError::TokenHash) => return,
        Err(other) => panic!("{other}"),
    }
    let refused = |expected: Expected<'_>| proof.check(&expected).expect_err("refused");
    assert_eq!(refused(Expected { method: b"no such method", ..expected }), ProofError::Method);
    let token_digest = Some(&[0x55; 32]);
    assert_eq!(refused(Expected { token_digest, ..expected }), ProofError::TokenHash);
    let other = ["https://other.example/".to_owned()];
    if !urls[0].to_lowercase().contains("other.example") {
        assert_eq!(refused(Expected { urls: &other, ..expected }), ProofError::Uri);
    }
    let now = expected.now + MAX_AGE + LEEWAY + 2;
    assert_eq!(refused(Expected { now, ..expected }), ProofError::TooOld);
    if let Some(now) = expected.now.checked_sub(LEEWAY + 2) {
        assert_eq!(refused(Expected { now, ..expected }), ProofError::NotYetValid);
    }
    assert_eq!(refused(Expected { nonces: Some(&[]), ..expected }), ProofError::Nonce);
}
