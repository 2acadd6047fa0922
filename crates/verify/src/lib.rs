//! Signature verification for keys that stay; for public data only.
//!
//! A key set's keys are few and live for weeks, so a [`Key`] is made and checked once and then
//! verifies many signatures. `no_std` with `alloc`, no unsafe code.
//!
//! ```
//! use countersign_verify::{Key, Limits, Verifier};
//! # use p256::ecdsa::{Signature, SigningKey, signature::Signer as _};
//! # let signer = SigningKey::from_slice(&[7; 32]).unwrap();
//! # let signature: Signature = signer.sign(b"message");
//! # let (signature, point) = (signature.to_bytes(), signer.verifying_key().to_sec1_point(false));
//! # let point = point.as_bytes();
//!
//! // For each key, once: from a SEC 1 point, as here, SubjectPublicKeyInfo, or the parts of a JWK.
//! let key = Key::es256_from_sec1(point).unwrap();
//! // For the process, once. It remembers keys, so it wants to be mutable.
//! let mut verifier = Verifier::new(Limits::default());
//! assert!(verifier.self_test(), "verdicts would be right, and slow");
//!
//! assert!(verifier.verify(&key, b"message", &signature));
//! assert!(!verifier.verify(&key, b"another", &signature));
//! ```
//!
//! **One algorithm for each key.** The algorithm is chosen when the [`Key`] is made, never by what
//! is verified. An RSA key that may serve several algorithms becomes one [`Key`] for each of them,
//! all of which share its numbers.
//!
//! **Public data.** Keys, messages and signatures are public, so the code may run in variable time.
//! The exception is [`Key::hs256`]: its secret goes into HMAC only, and the tag is compared in
//! constant time.
//!
//! **Tables.** [`Key::verify`] is the reference: the crates `p256`, `p384`, `rsa`, `ed25519-dalek`, without
//! state. A [`Verifier`] gives the same verdicts faster: ES256 and Ed25519 with tables of the multiples of keys
//! that come again, RSA with e = 65537 by arithmetic of its own. `docs/verify.md` has the mathematics.
//!
//! **Bounds come first.** A signature of another length than its algorithm's is refused before any
//! arithmetic, and the largest key bounds the work. Measured in November 2026 on one core of an AMD
//! EPYC server, as a native release build:
//!
//! | key | reference | [`Verifier`] |
//! |---|---|---|
//! | HS256 | below 0.001 ms | the same |
//! | Ed25519 | 0.04 ms | 0.03 ms |
//! | ES256 | 0.2 ms | 0.02 ms |
//! | ES384 | 0.7 ms | the same |
//! | RSA with 2048, 4096 bits and e = 65537 | 0.06 ms, 0.23 ms | 0.05 ms, 0.2 ms; in WebAssembly six times faster than the reference there |
//! | RSA with 8192 bits and e close to 2^33: the most that there is | 1.1 ms | the same |
//!
//! ```
//! use countersign_verify::{Key, KeyError};
//!
//! // A point that is not on the curve never becomes a key.
//! assert_eq!(Key::es256(&[1; 32], &[1; 32]).unwrap_err(), KeyError::InvalidPoint);
//! ```
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)
)]

// The cfg makes every signature verify. No build that anybody could deploy may have it.
#[cfg(all(countersign_fuzz, not(all(fuzzing, debug_assertions))))]
compile_error!(
    "countersign_fuzz turns signature verification off: it is for fuzzing (`cargo xtask fuzz`), and \
     needs `--cfg fuzzing` and debug assertions beside it"
);

extern crate alloc;

mod curve;
mod ed25519;
mod es256;
mod es384;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod hs256;
mod rsa;
mod signed;
mod spki;
mod verifier;
mod weak_secret;

use core::fmt;

pub use rsa::{RsaAlgorithm, RsaPublicKey};
pub use verifier::{Limits, Verifier};

use signed::Signed;

/// A key that passed every check of its kind, ready to verify by its one algorithm.
#[derive(Clone)]
pub struct Key(Kind);

#[derive(Clone)]
enum Kind {
    Ed25519(ed25519::Key),
    Es256(es256::Key),
    Es384(es384::Key),
    Hs256(hs256::Key),
    Rsa(rsa::Key),
}

impl Key {
    /// An Ed25519 key (RFC 8032, RFC 8037) from its 32-byte encoding.
    ///
    /// # Errors
    /// [`KeyError::InvalidLength`] for another number of bytes, [`KeyError::InvalidPoint`] when they
    /// are no point of the curve, are not its canonical encoding, or name a point of small order.
    pub fn ed25519(x: &[u8]) -> Result<Self, KeyError> {
        ed25519::Key::new(x).map(|key| Self(Kind::Ed25519(key)))
    }

    /// A P-256 key (RFC 7518 §6.2.1) from its affine coordinates, 32 bytes each, big-endian.
    ///
    /// # Errors
    /// [`KeyError::InvalidLength`] for coordinates of another length, [`KeyError::InvalidPoint`]
    /// when the point is not on the curve.
    pub fn es256(x: &[u8], y: &[u8]) -> Result<Self, KeyError> {
        es256::Key::new(x, y).map(|key| Self(Kind::Es256(key)))
    }

    /// A P-256 key from a point's encoding (SEC 1 §2.3.3), compressed or not.
    ///
    /// # Errors
    /// As [`Key::es256`].
    pub fn es256_from_sec1(point: &[u8]) -> Result<Self, KeyError> {
        es256::Key::from_sec1(point).map(|key| Self(Kind::Es256(key)))
    }

    /// A P-384 key (RFC 7518 §6.2.1) from its affine coordinates, 48 bytes each, big-endian.
    ///
    /// # Errors
    /// As [`Key::es256`].
    pub fn es384(x: &[u8], y: &[u8]) -> Result<Self, KeyError> {
        es384::Key::new(x, y).map(|key| Self(Kind::Es384(key)))
    }

    /// A P-384 key from a point's encoding (SEC 1 §2.3.3), compressed or not.
    ///
    /// # Errors
    /// As [`Key::es256`].
    pub fn es384_from_sec1(point: &[u8]) -> Result<Self, KeyError> {
        es384::Key::from_sec1(point).map(|key| Self(Kind::Es384(key)))
    }

    /// A shared secret for HMAC with SHA-256 (RFC 7518 §3.2).
    ///
    /// Whoever verifies with it could also sign, so it must never come from a published key set.
    ///
    /// # Errors
    /// [`KeyError::WeakSecret`] for fewer than 32 bytes, and for those that somebody made up: words,
    /// repetitions and sequences.
    pub fn hs256(secret: &[u8]) -> Result<Self, KeyError> {
        hs256::Key::new(secret).map(|key| Self(Kind::Hs256(key)))
    }

    /// An RSA key for one of its algorithms. The numbers are shared, not copied.
    #[must_use]
    pub fn rsa(public: &RsaPublicKey, algorithm: RsaAlgorithm) -> Self {
        Self(Kind::Rsa(rsa::Key::new(public, algorithm)))
    }

    /// Whether `signature` is this key's signature of `message`, in the encoding of JWS (RFC 7518
    /// §3.2–3.5, RFC 8037 §3.1): raw `r ‖ s` for ECDSA, exactly the modulus' length for RSA.
    ///
    /// Keeps nothing: for RSA with e = 65537 the reference's form of the key is made anew each time, which
    /// takes 8 µs (2048 bits) to 95 µs (8192 bits).
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        // The cfg is so that fuzzing reaches what stands behind the signature.
        cfg!(countersign_fuzz) || self.verify_by_reference(Signed::Message(message), signature)
    }

    /// The same for whoever has the message's digest already, by the algorithm's hash function.
    ///
    /// `false` for a digest of another length, and for Ed25519 and HS256, which need the message.
    #[must_use]
    pub fn verify_digest(&self, digest: &[u8], signature: &[u8]) -> bool {
        cfg!(countersign_fuzz) || self.verify_by_reference(Signed::Digest(digest), signature)
    }

    fn verify_by_reference(&self, signed: Signed<'_>, signature: &[u8]) -> bool {
        let by_message = |verify: &dyn Fn(&[u8]) -> bool| signed.message().is_some_and(verify);
        match &self.0 {
            Kind::Ed25519(key) => by_message(&|message| key.verify(message, signature)),
            Kind::Es256(key) => key.verify(signed, signature),
            Kind::Es384(key) => key.verify(signed, signature),
            Kind::Hs256(key) => by_message(&|message| key.verify(message, signature)),
            Kind::Rsa(key) => key.verify(signed, signature),
        }
    }
}

/// Names the algorithm; never shows key material.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Ed25519(_) => f.write_str("Key(Ed25519)"),
            Kind::Es256(_) => f.write_str("Key(ES256)"),
            Kind::Es384(_) => f.write_str("Key(ES384)"),
            Kind::Hs256(_) => f.write_str("Key(HS256)"),
            Kind::Rsa(key) => write!(f, "Key({:?})", key.algorithm()),
        }
    }
}

/// Why bytes did not become a [`Key`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyError {
    /// The bytes are no SubjectPublicKeyInfo in DER, or one of another kind of key.
    InvalidEncoding,
    /// A part of the key has the wrong number of bytes, or leading zeros where none may be.
    InvalidLength,
    /// The point is not on the curve, not canonical, or of small order.
    InvalidPoint,
    /// The RSA modulus is even, not of 2048–8192 bits or easy to factor (ROCA), or the exponent is
    /// not odd in 3 < e < 2^33.
    WeakRsaKey,
    /// The secret is shorter than 32 bytes, or somebody made it up.
    WeakSecret,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InvalidEncoding => "no SubjectPublicKeyInfo in DER for this kind of key",
            Self::InvalidLength => "a part of the key has the wrong length",
            Self::InvalidPoint => "the public point is not a valid point of its curve",
            Self::WeakRsaKey => {
                "the RSA key needs an odd modulus of 2048 to 8192 bits, not one of the ROCA flaw, and an \
                 odd exponent in 3 < e < 2^33"
            }
            Self::WeakSecret => {
                "the secret needs 32 random bytes or more: no words, repetitions or sequences"
            }
        })
    }
}

impl core::error::Error for KeyError {}
