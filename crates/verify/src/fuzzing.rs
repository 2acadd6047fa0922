//! What fuzz targets ask: verdicts that stay verdicts where `countersign_fuzz` has every signature verify.

use crate::{Key, Verifier, signed::Signed};

pub use crate::curve::both::BothFields;

/// As [`Key::verify`] outside of fuzzing.
#[must_use]
pub fn verify_by_reference(key: &Key, message: &[u8], signature: &[u8]) -> bool {
    key.verify_by_reference(Signed::Message(message), signature)
}

/// As [`Verifier::verify`] outside of fuzzing.
#[must_use]
pub fn verify_by_fastest(
    verifier: &mut Verifier,
    key: &Key,
    message: &[u8],
    signature: &[u8],
) -> bool {
    verifier.verify_by_fastest(key, Signed::Message(message), signature)
}
