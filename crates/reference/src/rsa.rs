//! RSASSA-PKCS1-v1_5 and RSASSA-PSS (RFC 8017 §8, RFC 7518 §3.3, §3.5).

use core::ops::RangeInclusive;

use rsa::{
    BoxedUint, Pkcs1v15Sign, Pss, RsaPublicKey,
    traits::{PublicKeyParts as _, SignatureScheme as _},
};
use sha2::{Sha256, Sha384, Sha512};

/// The algorithms that an RSA key can serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of RFC 7518 §3.1")]
pub enum RsaAlgorithm {
    Ps256,
    Ps384,
    Ps512,
    Rs256,
    Rs384,
    Rs512,
}

/// An RSA public key.
#[derive(Clone, Debug)]
pub struct RsaKey(RsaPublicKey);

impl RsaKey {
    /// From modulus and exponent, big-endian; `None`: the modulus has another number of bits, or the crate
    /// refuses the numbers.
    #[must_use]
    #[inline(never)]
    pub fn new(modulus: &[u8], exponent: &[u8], bits: RangeInclusive<usize>) -> Option<Self> {
        let [modulus, exponent] = [modulus, exponent].map(BoxedUint::from_be_slice_vartime);
        RsaPublicKey::new_with_size_limits(modulus, exponent, bits).ok().map(Self)
    }

    /// The length of the modulus in bits.
    #[must_use]
    pub fn bits(&self) -> usize {
        self.0.n().bits() as usize
    }

    /// Whether `signature`, exactly as long as the modulus, is one for this digest, which is as long as the
    /// algorithm's.
    #[must_use]
    #[inline(never)]
    pub fn verify(&self, algorithm: RsaAlgorithm, digest: &[u8], signature: &[u8]) -> bool {
        // RFC 8017 §8.1.2 and §8.2.2, step 1.
        if signature.len() != self.0.size() {
            return false;
        }
        let public = &self.0;
        // RFC 7518 §3.5: MGF1 with the same hash, and a salt as long as the hash.
        let result = match algorithm {
            RsaAlgorithm::Ps256 => Pss::<Sha256>::new().verify(public, digest, signature),
            RsaAlgorithm::Ps384 => Pss::<Sha384>::new().verify(public, digest, signature),
            RsaAlgorithm::Ps512 => Pss::<Sha512>::new().verify(public, digest, signature),
            RsaAlgorithm::Rs256 => Pkcs1v15Sign::new::<Sha256>().verify(public, digest, signature),
            RsaAlgorithm::Rs384 => Pkcs1v15Sign::new::<Sha384>().verify(public, digest, signature),
            RsaAlgorithm::Rs512 => Pkcs1v15Sign::new::<Sha512>().verify(public, digest, signature),
        };
        result.is_ok()
    }
}
