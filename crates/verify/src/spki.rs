//! Public keys as SubjectPublicKeyInfo in DER (RFC 5280 §4.1.2.7): what "BEGIN PUBLIC KEY" has inside.
//!
//! Only one spelling of each key is taken: lengths and integers are minimal (X.690 §10.1), and nothing
//! follows.

use crate::{Key, KeyError, RsaPublicKey};

/// AlgorithmIdentifier's content: RFC 5480 §2.1.1 for the curves, RFC 8410 §3, RFC 3279 §2.3.1.
const P256: &[u8] = &[
    0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, //
    0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07,
];
const P384: &[u8] = &[
    0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, //
    0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22,
];
const ED25519: &[u8] = &[0x06, 0x03, 0x2b, 0x65, 0x70];
const RSA: &[u8] = &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const SEQUENCE: u8 = 0x30;

impl Key {
    /// As [`Self::ed25519`], from a SubjectPublicKeyInfo in DER.
    ///
    /// # Errors
    /// [`KeyError::InvalidEncoding`] when it is none, or one of another algorithm; and those of
    /// [`Self::ed25519`].
    pub fn ed25519_from_spki(der: &[u8]) -> Result<Self, KeyError> {
        Self::ed25519(key_bits(der, ED25519)?)
    }

    /// As [`Self::es256_from_sec1`], from a SubjectPublicKeyInfo in DER.
    ///
    /// # Errors
    /// [`KeyError::InvalidEncoding`] when it is none, or one of another algorithm or curve; and those of
    /// [`Self::es256`].
    pub fn es256_from_spki(der: &[u8]) -> Result<Self, KeyError> {
        Self::es256_from_sec1(key_bits(der, P256)?)
    }

    /// As [`Self::es384_from_sec1`], from a SubjectPublicKeyInfo in DER.
    ///
    /// # Errors
    /// As [`Self::es256_from_spki`].
    pub fn es384_from_spki(der: &[u8]) -> Result<Self, KeyError> {
        Self::es384_from_sec1(key_bits(der, P384)?)
    }
}

impl RsaPublicKey {
    /// As [`Self::new`], from a SubjectPublicKeyInfo in DER whose algorithm is rsaEncryption.
    ///
    /// # Errors
    /// [`KeyError::InvalidEncoding`] when it is none, or one of another algorithm; and those of
    /// [`Self::new`].
    pub fn from_spki(der: &[u8]) -> Result<Self, KeyError> {
        // RFC 8017 §A.1.1.
        let numbers = element(SEQUENCE, key_bits(der, RSA)?).and_then(all);
        let parts = numbers.and_then(|numbers| {
            let (modulus, rest) = element(INTEGER, numbers)?;
            let exponent = element(INTEGER, rest).and_then(all)?;
            Some((positive(modulus)?, positive(exponent)?))
        });
        let (modulus, exponent) = parts.ok_or(KeyError::InvalidEncoding)?;
        Self::new(modulus, exponent)
    }
}

/// The key itself, where the algorithm is this one.
fn key_bits<'a>(der: &'a [u8], algorithm: &[u8]) -> Result<&'a [u8], KeyError> {
    let bits = element(SEQUENCE, der).and_then(all).and_then(|info| {
        let (identifier, rest) = element(SEQUENCE, info)?;
        let bits = element(BIT_STRING, rest).and_then(all)?;
        // How many bits of the last byte are not used: none.
        bits.strip_prefix(&[0]).filter(|_| identifier == algorithm)
    });
    bits.ok_or(KeyError::InvalidEncoding)
}

/// The content of the element with this tag, and what follows it.
fn element(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = match der.strip_prefix(&[tag])? {
        [length @ 0..=0x7f, rest @ ..] | [0x81, length @ 0x80..=0xff, rest @ ..] => {
            (u16::from(*length), rest)
        }
        [0x82, high @ 1..=0xff, low, rest @ ..] => (u16::from_be_bytes([*high, *low]), rest),
        _ => return None,
    };
    rest.split_at_checked(length.into())
}

/// The content of an element that nothing follows.
fn all<'a>((content, rest): (&'a [u8], &'a [u8])) -> Option<&'a [u8]> {
    rest.is_empty().then_some(content)
}

/// A positive integer's bytes, without the zero that keeps it from being negative.
fn positive(content: &[u8]) -> Option<&[u8]> {
    match content {
        [0, 0x80..=0xff, ..] => content.get(1..),
        [1..=0x7f, ..] => Some(content),
        _ => None,
    }
}
