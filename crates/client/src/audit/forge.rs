//! Tokens that no server may accept: with the claims that a good one would have, and without the issuer's
//! signature.

use aws_lc_rs::{
    hmac, rand,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use countersign_core::jose::{base64url, json::Object};
use serde_json::{Value, json};

use crate::{Error, jws};

/// A text that is no token of any kind.
pub(super) const GARBAGE: &str = "countersign-audit-this-is-no-token";

/// A key out of the issuer's key set, as a forger sees it.
#[derive(Clone, Debug)]
pub(super) struct PublishedKey {
    kid: Option<String>,
    alg: &'static str,
    /// `SubjectPublicKeyInfo` in DER.
    spki: Vec<u8>,
    signature_bytes: usize,
}

impl PublishedKey {
    /// `None` for kinds of keys that are not known here.
    pub(super) fn of(jwk: &Object) -> Option<Self> {
        let text = |name| jwk.get(name).and_then(|value| value.as_str());
        let bytes = |name| base64url::decode(text(name)?).ok();
        if text("use").is_some_and(|usage| usage != "sig") {
            return None;
        }
        let kid = text("kid").map(str::to_owned);
        let (alg, spki, signature_bytes) = match (text("kty")?, text("crv")) {
            ("RSA", _) => {
                let modulus = bytes("n")?;
                let alg = match text("alg") {
                    Some("PS256") => "PS256",
                    Some("RS384") => "RS384",
                    Some("RS512") => "RS512",
                    _ => "RS256",
                };
                (alg, rsa_spki(&modulus, &bytes("e")?), modulus.len())
            }
            ("EC", Some("P-256")) => {
                ("ES256", [P256, &[4], &bytes("x")?, &bytes("y")?].concat(), 64)
            }
            ("EC", Some("P-384")) => {
                ("ES384", [P384, &[4], &bytes("x")?, &bytes("y")?].concat(), 96)
            }
            ("OKP", Some("Ed25519")) => ("EdDSA", [ED25519, &bytes("x")?].concat(), 64),
            _ => return None,
        };
        Some(Self { kid, alg, spki, signature_bytes })
    }

    /// As libraries read keys from files, and confuse them with secrets.
    fn pem(&self) -> String {
        let encoded = base64_lines(&self.spki);
        format!("-----BEGIN PUBLIC KEY-----\n{encoded}-----END PUBLIC KEY-----\n")
    }
}

/// What stands before the point in `SubjectPublicKeyInfo` (RFC 5480 §2.1.1, RFC 8410 §4).
const P256: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
const P384: &[u8] = &[
    0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b,
    0x81, 0x04, 0x00, 0x22, 0x03, 0x62, 0x00,
];
const ED25519: &[u8] = &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// RFC 3279 §2.3.1.
fn rsa_spki(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    const ALGORITHM: [u8; 15] =
        [0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0];
    // With a zero before a first bit that is set: the numbers are not negative.
    let number = |bytes: &[u8]| match bytes.first() {
        Some(first) if *first >= 0x80 => element(2, &[&[0], bytes].concat()),
        _ => element(2, bytes),
    };
    let key = element(0x30, &[number(modulus), number(exponent)].concat());
    let bits = element(3, &[&[0], key.as_slice()].concat());
    element(0x30, &[ALGORITHM.to_vec(), bits].concat())
}

/// One element of DER (X.690 §8.1).
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let bytes = content.len().to_be_bytes();
    let significant: Vec<u8> = bytes.into_iter().skip_while(|byte| *byte == 0).collect();
    let mut der = vec![tag];
    match significant.as_slice() {
        [] => der.push(0),
        [one] if *one < 0x80 => der.push(*one),
        more => {
            // At most eight bytes.
            der.push(0x80 | u8::try_from(more.len()).unwrap_or_default());
            der.extend(more);
        }
    }
    der.extend(content);
    der
}

fn base64_lines(bytes: &[u8]) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let text = STANDARD.encode(bytes);
    let characters: Vec<char> = text.chars().collect();
    characters.chunks(64).map(|line| line.iter().chain(['\n'].iter()).collect::<String>()).collect()
}

/// Writes tokens with a key that was made for this audit, and is gone with it.
pub(super) struct Forger {
    key: EcdsaKeyPair,
    random: SystemRandom,
    claims: Value,
}

impl Forger {
    /// A forger of tokens for a resource in the name of an issuer.
    pub(super) fn new(issuer: &str, resource: &str, scope: &str, now: u64) -> Result<Self, Error> {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
            .map_err(|_| Error::Crypto("no key can be made"))?;
        let claims = json!({
            "iss": issuer, "aud": resource, "sub": "countersign-audit",
            "client_id": "countersign-audit", "jti": format!("countersign-audit-{now}"),
            "iat": now, "exp": now + 300, "scope": scope,
        });
        Ok(Self { key, random: SystemRandom::new(), claims })
    }

    /// By `alg: none` (RFC 7519 §6).
    pub(super) fn unsigned(&self) -> String {
        format!("{}.", self.input(&json!({ "alg": "none", "typ": "at+jwt" })))
    }

    /// By HS256, with the public key as the secret.
    pub(super) fn key_confusion(&self, key: &PublishedKey) -> String {
        let mut header = json!({ "alg": "HS256", "typ": "at+jwt" });
        if let Some(kid) = &key.kid {
            header["kid"] = json!(kid);
        }
        let input = self.input(&header);
        let secret = hmac::Key::new(hmac::HMAC_SHA256, key.pem().as_bytes());
        let tag = hmac::sign(&secret, input.as_bytes());
        format!("{input}.{}", base64url::encode(tag))
    }

    /// By a key of the forger's own.
    pub(super) fn unknown_key(&self) -> Result<String, Error> {
        self.signed(json!({ "alg": "ES256", "typ": "at+jwt", "kid": "countersign-audit" }))
    }

    /// The same, with that key in the header.
    pub(super) fn embedded_key(&self) -> Result<String, Error> {
        // SEC 1 §2.3.3: 4, then the coordinates.
        let point = self.key.public_key().as_ref();
        let (x, y) = point.get(1..).unwrap_or_default().split_at(32.min(point.len() / 2));
        let jwk = json!({
            "kty": "EC", "crv": "P-256", "x": base64url::encode(x), "y": base64url::encode(y),
        });
        self.signed(json!({ "alg": "ES256", "typ": "at+jwt", "jwk": jwk }))
    }

    /// In the name of the issuer's key, by another one or by chance.
    pub(super) fn wrong_signature(&self, key: &PublishedKey) -> Result<String, Error> {
        let mut header = json!({ "alg": key.alg, "typ": "at+jwt" });
        if let Some(kid) = &key.kid {
            header["kid"] = json!(kid);
        }
        if key.alg == "ES256" {
            return self.signed(header);
        }
        let mut signature = vec![0; key.signature_bytes];
        // The first byte stays zero: as a number it is below any modulus.
        if let Some(rest) = signature.get_mut(1..) {
            rand::fill(rest).map_err(|_| Error::Crypto("there is no randomness"))?;
        }
        Ok(format!("{}.{}", self.input(&header), base64url::encode(signature)))
    }

    fn signed(&self, header: Value) -> Result<String, Error> {
        let input = self.input(&header);
        let signature = self
            .key
            .sign(&self.random, input.as_bytes())
            .map_err(|_| Error::Crypto("nothing can be signed"))?;
        Ok(format!("{input}.{}", base64url::encode(signature)))
    }

    fn input(&self, header: &Value) -> String {
        jws::signing_input(header, &self.claims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Read by another implementation of RFC 5280: what the forger hashes is what libraries have in files.
    #[test]
    fn published_keys_as_der() {
        use countersign_testkit::keys::TestKey;
        for (key, algorithm) in [
            (
                TestKey::Rs256,
                &aws_lc_rs::signature::RSA_PKCS1_2048_8192_SHA256
                    as &dyn aws_lc_rs::signature::VerificationAlgorithm,
            ),
            (TestKey::Es256(1), &aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED),
            (TestKey::Es384(1), &aws_lc_rs::signature::ECDSA_P384_SHA384_FIXED),
            (TestKey::Ed25519(1), &aws_lc_rs::signature::ED25519),
        ] {
            let jwk =
                countersign_core::jose::json::parse(key.jwk("k").to_string().as_bytes()).unwrap();
            let published = PublishedKey::of(jwk.as_object().unwrap()).unwrap();
            let signature = key.sign(b"message");
            assert_eq!(signature.len(), published.signature_bytes, "{key:?}");
            aws_lc_rs::signature::UnparsedPublicKey::new(algorithm, &published.spki)
                .verify(b"message", &signature)
                .unwrap_or_else(|_| panic!("{key:?}"));
        }
    }
}
