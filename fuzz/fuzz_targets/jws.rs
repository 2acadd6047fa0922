//! A compact JWS: what is accepted has one spelling only, and says what every other reader reads.
#![no_main]

use countersign_core::{
    jose::{base64url, json, jws::CompactJws},
    jwt::claims::Claims,
};
use countersign_fuzz::model;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|text: &str| {
    let Ok(jws) = CompactJws::parse(text) else { return };
    let signature = base64url::encode(jws.signature());
    assert_eq!(format!("{}.{signature}", jws.signing_input()), text);
    let (header, payload) = model::jws(text).expect("another reader reads it too");
    assert_eq!(payload, jws.payload());
    assert_eq!(text.split('.').nth(1), Some(&base64url::encode(&payload)[..]));
    for refused in ["crit", "b64", "enc"] {
        assert!(header.get(refused).is_none(), "{refused}");
    }
    assert_eq!(header.get("kid").and_then(Value::as_str), jws.header().kid.as_deref());
    assert_eq!(header.get("typ").and_then(Value::as_str), jws.header().typ.as_deref());
    if let Some(algorithm) = jws.header().algorithm {
        let name = header["alg"].as_str();
        assert!(name == Some(algorithm.name()) || name == Some("Ed25519"));
    }
    claims(&payload);
});

fn claims(payload: &[u8]) {
    let Ok(claims) = Claims::parse(payload) else { return };
    let theirs: Value = serde_json::from_slice(payload).expect("laxer than ours");
    let written = json::Value::Object(claims.all.clone()).to_string();
    let ours: Value = serde_json::from_str(&written).expect("we write JSON");
    assert!(model::same_json(&ours, &theirs), "{ours} {theirs}");
    assert_eq!(theirs.get("iss").and_then(Value::as_str), claims.issuer.as_deref());
    assert_eq!(theirs.get("aud").map(model::texts).unwrap_or_default(), claims.audience);
    for (name, ours) in
        [("exp", claims.expires_at), ("nbf", claims.not_before), ("iat", claims.issued_at)]
    {
        match theirs.get(name) {
            None => assert_eq!(ours, None),
            Some(theirs) => {
                let seconds = theirs.as_f64().expect("a number");
                let off = ours.expect("a date") as f64 - seconds;
                assert!(off.abs() <= 1.0 + seconds.abs() * 1e-12, "{name} {theirs} {ours:?}");
            }
        }
    }
    let again = Claims::parse(written.as_bytes()).expect("what we write, we read");
    assert_eq!(again.scope, claims.scope);
    assert_eq!(again.confirmation, claims.confirmation);
}
