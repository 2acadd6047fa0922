//! ES384: ECDSA on P-384 with SHA-384 (RFC 7518 §3.4), by the reference crate `p384`.

use p384::ecdsa::{Signature, VerifyingKey, signature::hazmat::PrehashVerifier as _};
use sha2::Sha384;

use crate::{
    KeyError,
    es256::{check_length, uncompressed},
    signed::Signed,
};

#[derive(Clone)]
pub(crate) struct Key(VerifyingKey);

impl Key {
    pub(crate) fn new(x: &[u8], y: &[u8]) -> Result<Self, KeyError> {
        Self::from_sec1(&uncompressed::<97>(x, y)?)
    }

    /// From a point's encoding (SEC 1 §2.3.3), compressed or not.
    pub(crate) fn from_sec1(point: &[u8]) -> Result<Self, KeyError> {
        check_length(point, 48)?;
        VerifyingKey::from_sec1_bytes(point).map(Self).map_err(|_| KeyError::InvalidPoint)
    }

    /// High-S signatures are valid here: JWS does not ask for the low form.
    pub(crate) fn verify(&self, signed: Signed<'_>, signature: &[u8]) -> bool {
        let Some(digest) = signed.digest::<Sha384>() else { return false };
        Signature::from_slice(signature)
            .is_ok_and(|signature| self.0.verify_prehash(&digest, &signature).is_ok())
    }
}
