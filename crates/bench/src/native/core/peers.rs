//! What others do of the same, natively.

use core::hint::black_box;

use countersign_bench::suite::{Inputs, Suite};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, jwk::JwkSet};
use serde_json::Value;

use super::inputs::{ISSUER, RESOURCE};

/// `jsonwebtoken` with its keys ready, as a server has them.
pub(crate) struct Peers {
    verifiers: Vec<(&'static str, String, DecodingKey, Validation)>,
    jwks: String,
}

impl Peers {
    pub(crate) fn new(inputs: &Inputs) -> Self {
        let set: JwkSet = serde_json::from_str(&inputs.jwks).expect("a key set");
        let all = [
            ("cold-es256", "es1", Algorithm::ES256),
            ("cold-rs256", "rs1", Algorithm::RS256),
            ("cold-eddsa", "ed1", Algorithm::EdDSA),
        ];
        let verifier = |((name, kid, algorithm), token): ((&'static str, &str, _), &String)| {
            let key = DecodingKey::from_jwk(set.find(kid).expect("a key")).expect("a good key");
            let mut validation = Validation::new(algorithm);
            validation.set_issuer(&[ISSUER]);
            validation.set_audience(&[RESOURCE]);
            validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
            // The suite stands at a second of its own, and this takes the machine's clock.
            validation.validate_exp = false;
            (name, token.clone(), key, validation)
        };
        let verifiers = all.into_iter().zip(&inputs.tokens).map(verifier).collect();
        Self { verifiers, jwks: inputs.jwks.clone() }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        name == "jwks"
            || name.starts_with("scan-")
            || self.verifiers.iter().any(|(known, ..)| *known == name)
    }

    pub(crate) fn run(&self, name: &str, times: u32, suite: &Suite) {
        let verifier = self.verifiers.iter().find(|(known, ..)| *known == name);
        for _ in 0..times {
            match (name, verifier) {
                (_, Some((_, token, key, validation))) => {
                    let decoded = decode::<Value>(black_box(token), key, validation);
                    black_box(decoded.expect("a good token"));
                }
                ("jwks", _) => {
                    let set: JwkSet =
                        serde_json::from_str(black_box(&self.jwks)).expect("a key set");
                    for key in &set.keys {
                        black_box(DecodingKey::from_jwk(key).expect("a good key"));
                    }
                }
                _ => {
                    let body: Value =
                        serde_json::from_slice(black_box(suite.body(name))).expect("JSON");
                    black_box(body);
                }
            }
        }
    }
}
