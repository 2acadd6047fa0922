//! The one RSA key of the tests, and signatures by it that come out the same each time.

use std::convert::Infallible;

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{
        KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RsaEncoding, RsaKeyPair,
    },
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rsa::{
    BoxedUint, Pss, RsaPrivateKey,
    rand_core::{TryCryptoRng, TryRng},
    traits::SignatureScheme as _,
};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

/// Modulus and exponent, big-endian.
pub(crate) fn public() -> (Vec<u8>, Vec<u8>) {
    let pair = RsaKeyPair::from_der(&der()).expect("a valid key");
    let public = pair.public_key();
    (
        public.modulus().big_endian_without_leading_zero().to_vec(),
        public.exponent().big_endian_without_leading_zero().to_vec(),
    )
}

/// The hash of a signature, by its length in bits.
#[derive(Clone, Copy)]
pub(crate) enum Hash {
    S256,
    S384,
    S512,
}

/// RSASSA-PKCS1-v1_5, which is deterministic.
pub(crate) fn pkcs1(hash: Hash, message: &[u8]) -> Vec<u8> {
    let encoding: &'static dyn RsaEncoding = match hash {
        Hash::S256 => &RSA_PKCS1_SHA256,
        Hash::S384 => &RSA_PKCS1_SHA384,
        Hash::S512 => &RSA_PKCS1_SHA512,
    };
    let pair = RsaKeyPair::from_der(&der()).expect("a valid key");
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(encoding, &SystemRandom::new(), message, &mut signature).expect("a valid key signs");
    signature
}

/// RSASSA-PSS with a salt as long as the hash (RFC 7518 §3.5), whose bytes are always the same.
pub(crate) fn pss(hash: Hash, message: &[u8]) -> Vec<u8> {
    let key = private();
    let rng = Some(&mut FixedSalt);
    match hash {
        Hash::S256 => unblinded(Pss::<Sha256>::new()).sign(rng, &key, &Sha256::digest(message)),
        Hash::S384 => unblinded(Pss::<Sha384>::new()).sign(rng, &key, &Sha384::digest(message)),
        Hash::S512 => unblinded(Pss::<Sha512>::new()).sign(rng, &key, &Sha512::digest(message)),
    }
    .expect("a valid key signs")
}

/// Blinding wants real random numbers.
fn unblinded<D>(mut scheme: Pss<D>) -> Pss<D> {
    scheme.blinded = false;
    scheme
}

struct FixedSalt;

impl TryRng for FixedSalt {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(0x5a5a_5a5a)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(0x5a5a_5a5a_5a5a_5a5a)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.fill(0x5a);
        Ok(())
    }
}

impl TryCryptoRng for FixedSalt {}

fn private() -> RsaPrivateKey {
    let der = der();
    // SEQUENCE { version, n, e, d, p, q, … }
    let mut rest = content(&der).0;
    let mut next = || {
        let (number, after) = content(rest);
        rest = after;
        BoxedUint::from_be_slice_vartime(number)
    };
    let _version = next();
    let (n, e, d, p, q) = (next(), next(), next(), next(), next());
    RsaPrivateKey::from_components(n, e, d, vec![p, q]).expect("a valid key")
}

/// What a DER element holds, and what follows it (X.690 §8.1).
fn content(der: &[u8]) -> (&[u8], &[u8]) {
    let length = usize::from(der[1]);
    let (start, length) = if length < 0x80 {
        (2, length)
    } else {
        let bytes = &der[2..][..length - 0x80];
        (2 + bytes.len(), bytes.iter().fold(0, |length, byte| length * 256 + usize::from(*byte)))
    };
    der[start..].split_at(length)
}

fn der() -> Vec<u8> {
    STANDARD.decode(RSA_DER.concat()).expect("valid base64")
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
