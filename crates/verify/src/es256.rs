//! ES256: ECDSA on P-256 with SHA-256 (RFC 7518 §3.4), by the reference crate `p256`.

use p256::ecdsa::{Signature, VerifyingKey, signature::Verifier as _};

use crate::KeyError;

#[derive(Clone)]
pub(crate) struct Key(VerifyingKey);

impl Key {
    pub(crate) fn new(x: &[u8], y: &[u8]) -> Result<Self, KeyError> {
        let mut uncompressed = [4_u8; 65];
        for (half, coordinate) in uncompressed[1..].chunks_exact_mut(32).zip([x, y]) {
            if coordinate.len() != 32 {
                return Err(KeyError::InvalidLength);
            }
            half.copy_from_slice(coordinate);
        }
        VerifyingKey::from_sec1_bytes(&uncompressed).map(Self).map_err(|_| KeyError::InvalidPoint)
    }

    /// High-S signatures are valid here: JWS does not ask for the low form.
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        Signature::from_slice(signature)
            .is_ok_and(|signature| self.0.verify(message, &signature).is_ok())
    }
}
