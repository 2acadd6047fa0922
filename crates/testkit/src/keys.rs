//! Fixed keys, for tests only: whoever reads this file has them.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::Signer as _;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::rsa_key::{self, Hash};

/// A key that signs deterministically, so that generated files do not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TestKey {
    /// Ed25519, from a seed of equal bytes.
    Ed25519(u8),
    /// P-256, from a scalar of equal bytes; signs by RFC 6979.
    Es256(u8),
    /// P-384, in the same way.
    Es384(u8),
    /// A shared secret of 32 bytes.
    Hs256,
    /// The RSA key of 2048 bits with PSS and SHA-256; the salt is always the same.
    Ps256,
    /// The same with SHA-384.
    Ps384,
    /// The same with SHA-512.
    Ps512,
    /// The RSA key of 2048 bits with PKCS#1 v1.5 and SHA-256.
    Rs256,
    /// The same with SHA-384.
    Rs384,
    /// The same with SHA-512.
    Rs512,
}

impl TestKey {
    /// One key for each algorithm.
    pub const ALL: [Self; 10] = [
        Self::Es256(1),
        Self::Es384(1),
        Self::Ed25519(1),
        Self::Hs256,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
    ];

    /// The `alg` that goes with it.
    #[must_use]
    pub const fn alg(self) -> &'static str {
        match self {
            Self::Ed25519(_) => "EdDSA",
            Self::Es256(_) => "ES256",
            Self::Es384(_) => "ES384",
            Self::Hs256 => "HS256",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
        }
    }

    /// Signs in the encoding of JWS.
    #[must_use]
    pub fn sign(self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Ed25519(seed) => ed25519(seed).sign(message).to_bytes().to_vec(),
            Self::Es256(scalar) => {
                let signature: p256::ecdsa::Signature =
                    p256::ecdsa::signature::Signer::sign(&es256(scalar), message);
                signature.to_bytes().to_vec()
            }
            Self::Es384(scalar) => {
                let signature: p384::ecdsa::Signature =
                    p384::ecdsa::signature::Signer::sign(&es384(scalar), message);
                signature.to_bytes().to_vec()
            }
            Self::Hs256 => hs256(SECRET, message),
            Self::Ps256 => rsa_key::pss(Hash::S256, message),
            Self::Ps384 => rsa_key::pss(Hash::S384, message),
            Self::Ps512 => rsa_key::pss(Hash::S512, message),
            Self::Rs256 => rsa_key::pkcs1(Hash::S256, message),
            Self::Rs384 => rsa_key::pkcs1(Hash::S384, message),
            Self::Rs512 => rsa_key::pkcs1(Hash::S512, message),
        }
    }

    /// The public key as JWK; the secret for [`TestKey::Hs256`].
    #[must_use]
    pub fn jwk(self, kid: &str) -> Value {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let mut jwk = match self {
            Self::Ed25519(seed) => {
                let x = encode(ed25519(seed).verifying_key().as_bytes());
                json!({ "kty": "OKP", "crv": "Ed25519", "x": x })
            }
            Self::Es256(scalar) => {
                let point = es256(scalar).verifying_key().to_sec1_point(false);
                let (x, y) = (encode(&point.as_bytes()[1..33]), encode(&point.as_bytes()[33..]));
                json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y })
            }
            Self::Es384(scalar) => {
                let point = es384(scalar).verifying_key().to_sec1_point(false);
                let (x, y) = (encode(&point.as_bytes()[1..49]), encode(&point.as_bytes()[49..]));
                json!({ "kty": "EC", "crv": "P-384", "x": x, "y": y })
            }
            Self::Hs256 => json!({ "kty": "oct", "k": encode(SECRET) }),
            Self::Ps256 | Self::Ps384 | Self::Ps512 | Self::Rs256 | Self::Rs384 | Self::Rs512 => {
                let (n, e) = rsa_key::public();
                json!({ "kty": "RSA", "n": encode(&n), "e": encode(&e) })
            }
        };
        jwk["kid"] = json!(kid);
        jwk["alg"] = json!(self.alg());
        jwk["use"] = json!("sig");
        jwk
    }
}

/// HMAC with SHA-256 under any key: also under one that must never be taken for a secret.
#[must_use]
pub fn hs256(secret: &[u8], message: &[u8]) -> Vec<u8> {
    let mac = <Hmac<Sha256>>::new_from_slice(secret).expect("HMAC takes every length");
    mac.chain_update(message).finalize().into_bytes().to_vec()
}

fn ed25519(seed: u8) -> ed25519_dalek::SigningKey {
    ed25519_dalek::SigningKey::from_bytes(&[seed; 32])
}

fn es256(scalar: u8) -> p256::ecdsa::SigningKey {
    p256::ecdsa::SigningKey::from_slice(&[scalar; 32]).expect("a valid scalar")
}

fn es384(scalar: u8) -> p384::ecdsa::SigningKey {
    p384::ecdsa::SigningKey::from_slice(&[scalar; 48]).expect("a valid scalar")
}

/// 32 random bytes, made for this file.
const SECRET: &[u8; 32] = b"\x2d\x91\x66\xb0\x08\x8c\x2e\x95\x0d\x08\xd2\xc7\x43\xb0\xfb\x65\x97\x08\xac\xde\x1d\x55\x64\x44\xaa\xe8\x48\x20\x03\xd8\x92\x42";
