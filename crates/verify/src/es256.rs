//! ES256: ECDSA on P-256 with SHA-256 (RFC 7518 §3.4), by the reference crate `p256`.

use p256::ecdsa::{Signature, VerifyingKey, signature::Verifier as _};

use crate::KeyError;

#[derive(Clone)]
pub(crate) struct Key(VerifyingKey);

impl Key {
    pub(crate) fn new(x: &[u8], y: &[u8]) -> Result<Self, KeyError> {
        let point = uncompressed::<65>(x, y)?;
        VerifyingKey::from_sec1_bytes(&point).map(Self).map_err(|_| KeyError::InvalidPoint)
    }

    /// High-S signatures are valid here: JWS does not ask for the low form.
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        Signature::from_slice(signature)
            .is_ok_and(|signature| self.0.verify(message, &signature).is_ok())
    }
}

/// The uncompressed form (SEC 1 §2.3.3) of a point, `LENGTH` bytes long. It cannot name the point
/// at infinity.
///
/// RFC 7518 §6.2.1.2: each coordinate has exactly the length of the curve's field.
pub(crate) fn uncompressed<const LENGTH: usize>(
    x: &[u8],
    y: &[u8],
) -> Result<[u8; LENGTH], KeyError> {
    let mut point = [4; LENGTH];
    let Some((_, coordinates)) = point.split_first_mut() else {
        return Err(KeyError::InvalidLength);
    };
    let (first, second) = coordinates.split_at_mut(LENGTH / 2);
    if x.len() != first.len() || y.len() != second.len() {
        return Err(KeyError::InvalidLength);
    }
    first.copy_from_slice(x);
    second.copy_from_slice(y);
    Ok(point)
}
