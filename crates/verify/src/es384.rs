//! ES384: ECDSA on P-384 with SHA-384 (RFC 7518 §3.4), by the reference crate `p384`.

use p384::ecdsa::{Signature, VerifyingKey, signature::Verifier as _};

use crate::{KeyError, es256::uncompressed};

#[derive(Clone)]
pub(crate) struct Key(VerifyingKey);

impl Key {
    pub(crate) fn new(x: &[u8], y: &[u8]) -> Result<Self, KeyError> {
        let point = uncompressed::<97>(x, y)?;
        VerifyingKey::from_sec1_bytes(&point).map(Self).map_err(|_| KeyError::InvalidPoint)
    }

    /// High-S signatures are valid here: JWS does not ask for the low form.
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        Signature::from_slice(signature)
            .is_ok_and(|signature| self.0.verify(message, &signature).is_ok())
    }
}
