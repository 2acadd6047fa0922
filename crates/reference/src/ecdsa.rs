//! ECDSA on P-256 and P-384 (FIPS 186-5 §6.4.2), for digests of SHA-256 and SHA-384.

use p256::ecdsa::signature::hazmat::PrehashVerifier as _;

/// A public key on P-256.
#[derive(Clone, Debug)]
pub struct P256Key(p256::ecdsa::VerifyingKey);

/// A public key on P-384.
#[derive(Clone, Debug)]
pub struct P384Key(p384::ecdsa::VerifyingKey);

impl P256Key {
    /// From a point's encoding (SEC 1 §2.3.3); `None`: it is no point of the curve.
    #[must_use]
    #[inline(never)]
    pub fn from_sec1(point: &[u8]) -> Option<Self> {
        p256::ecdsa::VerifyingKey::from_sec1_bytes(point).ok().map(Self)
    }

    /// x and y, 32 bytes each, big-endian.
    #[must_use]
    #[inline(never)]
    pub fn coordinates(&self) -> Option<[u8; 64]> {
        self.0.to_sec1_point(false).as_bytes().last_chunk().copied()
    }

    /// Whether `signature` is r ‖ s for this digest. High-S signatures are valid: JWS does not ask for the
    /// low form.
    #[must_use]
    #[inline(never)]
    pub fn verify(&self, digest: &[u8; 32], signature: &[u8]) -> bool {
        p256::ecdsa::Signature::from_slice(signature)
            .is_ok_and(|signature| self.0.verify_prehash(digest, &signature).is_ok())
    }
}

impl P384Key {
    /// From a point's encoding (SEC 1 §2.3.3); `None`: it is no point of the curve.
    #[must_use]
    #[inline(never)]
    pub fn from_sec1(point: &[u8]) -> Option<Self> {
        p384::ecdsa::VerifyingKey::from_sec1_bytes(point).ok().map(Self)
    }

    /// As [`P256Key::verify`].
    #[must_use]
    #[inline(never)]
    pub fn verify(&self, digest: &[u8; 48], signature: &[u8]) -> bool {
        p384::ecdsa::Signature::from_slice(signature)
            .is_ok_and(|signature| self.0.verify_prehash(digest, &signature).is_ok())
    }
}
