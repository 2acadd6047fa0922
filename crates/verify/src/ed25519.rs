//! EdDSA on Ed25519 (RFC 8032, RFC 8037 §3.1), by the reference crate `ed25519-dalek`.

use ed25519_dalek::{Signature, VerifyingKey};

use crate::KeyError;

#[derive(Clone)]
pub(crate) struct Key(VerifyingKey);

impl Key {
    pub(crate) fn new(x: &[u8]) -> Result<Self, KeyError> {
        let bytes = x.try_into().map_err(|_| KeyError::InvalidLength)?;
        let key = VerifyingKey::from_bytes(&bytes).map_err(|_| KeyError::InvalidPoint)?;
        // Under a key of small order one signature fits every message. The round trip refuses a
        // coordinate that is not reduced modulo p.
        if key.is_weak() || key.to_edwards().compress().as_bytes() != x {
            return Err(KeyError::InvalidPoint);
        }
        Ok(Self(key))
    }

    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        Signature::from_slice(signature)
            .is_ok_and(|signature| self.0.verify_strict(message, &signature).is_ok())
    }
}
