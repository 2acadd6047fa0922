//! JOSE by public vectors, by properties, and against another implementation.

mod examples;
mod json_suite;
mod oracle;
mod properties;
mod wycheproof;

use countersign_core::{
    guard::policy::{KeySource, Policy},
    jose::{
        alg::Algorithm,
        jwks::{JwkSet, Selection},
        jws::{CompactJws, JwsError},
    },
};
use serde_json::{Value, json};

/// Why a token is not taken, as the engine tells it apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refused {
    /// The compact form, the encoding or the header.
    Form(JwsError),
    /// The algorithm is none of ours, or the policy does not allow it.
    Algorithm,
    /// No key of the set may verify it.
    NoKey,
    /// Several may.
    Ambiguous,
    Signature,
}

/// What the engine does with a token before it looks at the claims: the payload, or why not.
fn verify(token: &str, keys: &JwkSet, allowed: &[Algorithm]) -> Result<Vec<u8>, Refused> {
    let jws = CompactJws::parse(token).map_err(Refused::Form)?;
    let header = jws.header();
    let algorithm =
        header.algorithm.filter(|named| allowed.contains(named)).ok_or(Refused::Algorithm)?;
    let key = match keys.select(header.kid.as_deref(), algorithm) {
        Selection::Found(key) => key,
        Selection::Missing => return Err(Refused::NoKey),
        Selection::Ambiguous => return Err(Refused::Ambiguous),
    };
    let verifier = key.verifier(algorithm).ok_or(Refused::NoKey)?;
    if verifier.verify(jws.signing_input().as_bytes(), jws.signature()) {
        Ok(jws.payload().to_vec())
    } else {
        Err(Refused::Signature)
    }
}

/// The keys as a policy takes them in: none at all where it is refused.
fn inline(jwks: &Value) -> JwkSet {
    let is_secret = |key: &Value| key["kty"] == "oct";
    let has_secret = jwks["keys"].as_array().is_some_and(|keys| keys.iter().any(is_secret));
    let algorithms = Algorithm::ALL.into_iter().filter(|alg| has_secret || !alg.is_symmetric());
    let algorithms: Vec<_> = algorithms.map(Algorithm::name).collect();
    let issuer = "https://auth.example.com";
    let policy = json!({
        "issuers": [{ "issuer": issuer, "algorithms": algorithms, "jwks": jwks }],
        "resources": [{ "resource": "https://mcp.example.com/mcp" }],
    });
    let Ok(policy) = Policy::parse(policy.to_string().as_bytes()) else {
        return JwkSet::default();
    };
    match &policy.issuers[0].keys {
        KeySource::Inline(set) => set.clone(),
        other => panic!("{other:?}"),
    }
}
