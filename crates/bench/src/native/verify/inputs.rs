//! A message as long as a token, signed by each algorithm.

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
        Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
    },
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use countersign_bench::case::Case;
use serde_json::{Value, json};

use crate::native::Failure;

/// A case of the suite, with the public key as libraries outside of this project take it.
pub(crate) struct Input {
    pub(crate) name: &'static str,
    pub(crate) case: Case,
    /// An encoded point, 32 bytes for Ed25519, RSAPublicKey in DER.
    pub(crate) public: Vec<u8>,
}

pub(crate) fn make() -> Result<Vec<Input>, Failure> {
    let message: Vec<u8> = (0..700).map(|at: u32| b'A' + (at % 26) as u8).collect();
    let random = SystemRandom::new();
    let input = |name, algorithm: &str, key, public: &[u8], signature: &[u8]| {
        let (message, signature) = (message.clone(), signature.to_vec());
        let case = Case { algorithm: algorithm.to_owned(), key, message, signature, verdict: true };
        Input { name, case, public: public.to_vec() }
    };
    let mut inputs = Vec::new();
    for (name, algorithm, signing) in [
        ("es256", "ES256", &ECDSA_P256_SHA256_FIXED_SIGNING),
        ("es384", "ES384", &ECDSA_P384_SHA384_FIXED_SIGNING),
    ] {
        let pair = EcdsaKeyPair::generate(signing)?;
        let point = pair.public_key().as_ref();
        let (x, y) = point[1..].split_at(point.len() / 2);
        let signature = pair.sign(&random, &message)?;
        inputs.push(input(name, algorithm, vec![x.into(), y.into()], point, signature.as_ref()));
    }
    let pair = Ed25519KeyPair::generate()?;
    let x = pair.public_key().as_ref();
    inputs.push(input("ed25519", "EdDSA", vec![x.into()], x, pair.sign(&message).as_ref()));
    let (pkcs1, pss): (&'static dyn RsaEncoding, &'static dyn RsaEncoding) =
        (&RSA_PKCS1_SHA256, &RSA_PSS_SHA256);
    for (name, algorithm, size, encoding) in [
        ("rs256-2048", "RS256", KeySize::Rsa2048, pkcs1),
        ("rs256-4096", "RS256", KeySize::Rsa4096, pkcs1),
        ("ps256-2048", "PS256", KeySize::Rsa2048, pss),
    ] {
        let pair = RsaKeyPair::generate(size)?;
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(encoding, &random, &message, &mut signature)?;
        let public = pair.public_key();
        let n = public.modulus().big_endian_without_leading_zero().to_vec();
        let e = public.exponent().big_endian_without_leading_zero().to_vec();
        inputs.push(input(name, algorithm, vec![n, e], public.as_ref(), &signature));
    }
    Ok(inputs)
}

/// What the suite reads.
pub(crate) fn lines(inputs: &[Input]) -> String {
    inputs.iter().map(|input| format!("{} {}\n", input.name, input.case)).collect()
}

/// The cases for Node's own verifiers: the key as a JWK, bytes in base64url.
pub(crate) fn for_node(inputs: &[Input]) -> Vec<Value> {
    let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let peer = |Input { name, case, .. }: &Input| {
        let key: Vec<String> = case.key.iter().map(|part| text(part)).collect();
        let jwk = match (case.algorithm.as_str(), &key[..]) {
            ("EdDSA", [x]) => json!({ "kty": "OKP", "crv": "Ed25519", "x": x }),
            ("ES256", [x, y]) => json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y }),
            ("ES384", [x, y]) => json!({ "kty": "EC", "crv": "P-384", "x": x, "y": y }),
            _ => json!({ "kty": "RSA", "n": key[0], "e": key[1] }),
        };
        json!({
            "name": name, "alg": case.algorithm, "jwk": jwk, "message": text(&case.message),
            "signature": text(&case.signature),
        })
    };
    inputs.iter().map(peer).collect()
}
