//! Signature verification for keys that stay.
//!
//! **Public data only.** Everything here is public: keys, messages and signatures. The code may
//! therefore run in variable time, and must never be given a secret.
//!
//! A key set's keys are few and live for weeks, so a [`Key`] is made and checked once and then
//! verifies many signatures. `no_std` with `alloc`, no unsafe code.
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

extern crate alloc;

mod ed25519;
mod es256;
mod rs256;

use core::fmt;

/// A public key that passed every check of its kind, ready to verify.
#[derive(Clone)]
pub struct Key(Kind);

#[derive(Clone)]
enum Kind {
    Ed25519(ed25519::Key),
    Es256(es256::Key),
    Rs256(rs256::Key),
}

impl Key {
    /// An Ed25519 key (RFC 8032, RFC 8037) from its 32-byte encoding.
    ///
    /// # Errors
    /// [`KeyError::InvalidPoint`] when the bytes are no point of the curve, are not its canonical
    /// encoding, or name a point of small order.
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

    /// An RSA key for PKCS#1 v1.5 with SHA-256 (RFC 7518 §3.3) from modulus and exponent,
    /// big-endian without leading zeros.
    ///
    /// # Errors
    /// [`KeyError::WeakRsaKey`] unless the modulus is odd and of 2048 to 8192 bits and the exponent
    /// is odd and in 3 < e < 2^33; [`KeyError::InvalidLength`] for leading zeros.
    pub fn rs256(modulus: &[u8], exponent: &[u8]) -> Result<Self, KeyError> {
        rs256::Key::new(modulus, exponent).map(|key| Self(Kind::Rs256(key)))
    }

    /// Whether `signature` is this key's signature of `message`, in the encoding of JWS (RFC 7518
    /// §3.3 and §3.4, RFC 8037 §3.1): raw `r ‖ s` for ES256, exactly the modulus' length for RS256.
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.0 {
            Kind::Ed25519(key) => key.verify(message, signature),
            Kind::Es256(key) => key.verify(message, signature),
            Kind::Rs256(key) => key.verify(message, signature),
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Kind::Ed25519(_) => "Key(Ed25519)",
            Kind::Es256(_) => "Key(ES256)",
            Kind::Rs256(_) => "Key(RS256)",
        })
    }
}

/// Why bytes did not become a [`Key`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyError {
    /// A part of the key has the wrong number of bytes, or leading zeros where none may be.
    InvalidLength,
    /// The point is not on the curve, not canonical, or of small order.
    InvalidPoint,
    /// The RSA modulus is even or not of 2048–8192 bits, or the exponent is not odd in 3 < e < 2^33.
    WeakRsaKey,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InvalidLength => "a part of the key has the wrong length",
            Self::InvalidPoint => "the public point is not a valid point of its curve",
            Self::WeakRsaKey => {
                "the RSA key needs an odd modulus of 2048 to 8192 bits and an odd exponent in 3 < e < 2^33"
            }
        })
    }
}

impl core::error::Error for KeyError {}
