//! ES384: ECDSA on P-384 with SHA-384 (RFC 7518 §3.4), by the reference crate `p384`.

use countersign_reference::P384Key;
use sha2::Sha384;

use crate::{
    KeyError,
    es256::{check_length, uncompressed},
    signed::Signed,
};

#[derive(Clone)]
pub(crate) struct Key(P384Key);

impl Key {
    pub(crate) fn new(x: &[u8], y: &[u8]) -> Result<Self, KeyError> {
        Self::from_sec1(&uncompressed::<97>(x, y)?)
    }

    /// From a point's encoding (SEC 1 §2.3.3), compressed or not.
    pub(crate) fn from_sec1(point: &[u8]) -> Result<Self, KeyError> {
        check_length(point, 48)?;
        P384Key::from_sec1(point).map(Self).ok_or(KeyError::InvalidPoint)
    }

    /// High-S signatures are valid here: JWS does not ask for the low form.
    pub(crate) fn verify(&self, signed: Signed<'_>, signature: &[u8]) -> bool {
        signed.digest::<Sha384>().is_some_and(|digest| self.0.verify(&digest.into(), signature))
    }
}
