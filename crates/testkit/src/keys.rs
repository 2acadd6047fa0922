//! Fixed keys, for tests only: whoever reads this file has them.

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use ed25519_dalek::Signer as _;
use serde_json::{Value, json};

/// A key pair that signs deterministically, so that generated files do not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TestKey {
    /// Ed25519, from a seed of equal bytes.
    Ed25519(u8),
    /// P-256, from a scalar of equal bytes; signs by RFC 6979.
    Es256(u8),
    /// RSA with 2048 bits; PKCS#1 v1.5 is deterministic.
    Rs256,
}

impl TestKey {
    /// The `alg` that goes with it.
    #[must_use]
    pub const fn alg(self) -> &'static str {
        match self {
            Self::Ed25519(_) => "EdDSA",
            Self::Es256(_) => "ES256",
            Self::Rs256 => "RS256",
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
            Self::Rs256 => {
                let pair = rs256();
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)
                    .expect("a valid key signs");
                signature
            }
        }
    }

    /// The public key as JWK.
    #[must_use]
    pub fn jwk(self, kid: &str) -> Value {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match self {
            Self::Ed25519(seed) => {
                let x = encode(ed25519(seed).verifying_key().as_bytes());
                json!({ "kty": "OKP", "crv": "Ed25519", "x": x, "kid": kid, "alg": "EdDSA", "use": "sig" })
            }
            Self::Es256(scalar) => {
                let point = es256(scalar).verifying_key().to_sec1_point(false);
                let (x, y) = (encode(&point.as_bytes()[1..33]), encode(&point.as_bytes()[33..]));
                json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": kid, "alg": "ES256", "use": "sig" })
            }
            Self::Rs256 => {
                let pair = rs256();
                let public = pair.public_key();
                let n = encode(public.modulus().big_endian_without_leading_zero());
                let e = encode(public.exponent().big_endian_without_leading_zero());
                json!({ "kty": "RSA", "n": n, "e": e, "kid": kid, "alg": "RS256", "use": "sig" })
            }
        }
    }
}

fn ed25519(seed: u8) -> ed25519_dalek::SigningKey {
    ed25519_dalek::SigningKey::from_bytes(&[seed; 32])
}

fn es256(scalar: u8) -> p256::ecdsa::SigningKey {
    p256::ecdsa::SigningKey::from_slice(&[scalar; 32]).expect("a valid scalar")
}

fn rs256() -> RsaKeyPair {
    let der = STANDARD.decode(RSA_DER.concat()).expect("valid base64");
    RsaKeyPair::from_der(&der).expect("a valid key")
}

/// An `RSAPrivateKey` (RFC 8017), made for this file.
const RSA_DER: &[&str] = &[
    "MIIEowIBAAKCAQEAyfoFLiuf+Mn5QdYvCE3PJsRk6qFg1/4bYG4eLgXHQqOa8mMga9HbUy8wA7kg5aE9HKNFZlFp5R",
    "1wXfIsMkMztjJ6aaV0SdMWZjSJyrJ6PZtPmy/1zec2qI6KE7WurrtZBJhrxRofrDDs48ju+K+JjaiWVSinzbbdA5b1",
    "kKGk9BFIRwa0q2Q6DY7xzU9v4qUULxHAfqtSuLFVkEfNXiLIsM4dY9epfvqup9MA93dueN+OWgx+MNvKbpK2e4qo2+",
    "iPlBYvoToeMwolEG4uCKvjM473W8HS29jPRZFIQWOwVKejKnDdJyhhMnhxUdyWdjQgTeLgAxPL6nWCAF9v7nZycwID",
    "AQABAoIBADM9PGc0JgdFpfhvz8q5gp4BIODtQ9ZH3sYd6YYfbSeYvcxUHXt857k4tWOcaZ4Xw5sqSIbmjIjVaRZMQ6",
    "4Uol/MeoWmtdOsu3f+SB6mHKDYb9+c0S0FRTaJwrmxU7l8Sd8ClASS1gom91HqPcXVMn4/kLPV9owXogYxG+cvOtu3",
    "u1CTP+ME9tSZoYpiR32fc7ikCtjwjpfSteEboqIU+G0b/7AVbjaTT+OgtRUN+LP4srOVDewSLDPDCrHfCVQfoy55TZ",
    "+81ctdv79IwZY9mtOAi1AVgEJy/ArxsZXIEMsQD2PKlYqoMSTUUhh2bX+6BlRTxskOguI3+wWU0lub4aECgYEA42U/",
    "xXpa0edpx6DX+ekZX63lbuUlS09Sk70eppazU+0SuwGyPSdOzQzGE3aHKJOPwy4TTVa9yNnPg8Rdv9N/nvUXhz52Af",
    "sRxk7+dCkcYLCJAJJvf4mwATCSWtnHdnGaeMksbA5toBYv83IUw1YllnVgJkYb3eGe1egJH69NC9sCgYEA42I3BYON",
    "+3LpDOsHnWTiEJSjqGVlhDfsgwFsKmrPSGM2pR18kaKiU984xON3f4uNltDS0+UcD9cbW4kr7+nA/nJF0uXamQ8csP",
    "Z1OZie+7w4NYmIRfTkfmqEmdW1ULgzxpM/jj2QiYpSjCaptSi/lC//fYVVHejkBKsruYdXg0kCgYBK0jnVhJj1kCti",
    "IC5wcJ6EuPdRMdy/lu4Y5pV7QwLmjo8nMTuwm4p2NcnHBa0bUNJw6mw3el8gA2sgdDBUuga4CvUe7xJtPGtw0PUwy4",
    "Ym2m953LULRga/nXfKpPXYpzCopakUNPslPaexdswWKfZcN2rXrSHmNCLLR3oZDtlPGQKBgQDhKqcVvLpi393MPwmh",
    "YP9EMA0IerBWiBKbgFMehfqR0j2QsGxkw0pAB/JtdlslYIpraIr97gkl3ntm36U0xKOq1Ho0aA1aOE7PJp/a0znMSw",
    "zWZ0UdEW8biFubAre0IVSUNchgELMKoIEx7C9uB9X+5rD4GYq6PZ9eyCpaZJ3SkQKBgBAeUb14UWSy2YImmZyTb9p9",
    "LIIcXy4ubIk5o9lR1gTSyzpMbJ1Jym9gGiodgO8ts9NaPGZ8BSbrw6Ur55FRrL1Yd3ufLA33hxeN+LSJFHsk/DNEqa",
    "7YMBX4T3qD32p3mGK8JP9pNgYCBFr4HgdseFNwpGLZXW3uY6XWyGrlUKl2",
];
