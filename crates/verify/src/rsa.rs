//! RSASSA-PKCS1-v1_5 and RSASSA-PSS (RFC 7518 §3.3, §3.5), by the reference crate `rsa`.

use alloc::sync::Arc;

use rsa::{
    BoxedUint, Pkcs1v15Sign, Pss,
    traits::{PublicKeyParts as _, SignatureScheme as _},
};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use crate::KeyError;

/// RFC 7518 §3.3 and §3.5 ask for 2048 bits or more.
const MIN_BITS: usize = 2048;
/// The time for one verification grows with the square of the length.
const MAX_BITS: usize = 8192;

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

/// An RSA public key (RFC 8017 §3.1) whose numbers passed every check. Cheap to clone.
#[derive(Clone)]
pub struct RsaPublicKey(Arc<rsa::RsaPublicKey>);

impl RsaPublicKey {
    /// A key from modulus and exponent, big-endian without leading zeros (RFC 7518 §6.3.1).
    ///
    /// # Errors
    /// [`KeyError::WeakRsaKey`] unless the modulus is odd and of 2048 to 8192 bits and the exponent
    /// is odd and in 3 < e < 2^33, and for a modulus that can be factored since its maker was flawed
    /// (ROCA, CVE-2017-15361); [`KeyError::InvalidLength`] for leading zeros.
    pub fn new(modulus: &[u8], exponent: &[u8]) -> Result<Self, KeyError> {
        check_bounds(modulus, exponent)?;
        if has_roca_fingerprint(modulus) {
            return Err(KeyError::WeakRsaKey);
        }
        rsa::RsaPublicKey::new_with_size_limits(
            BoxedUint::from_be_slice_vartime(modulus),
            BoxedUint::from_be_slice_vartime(exponent),
            MIN_BITS..=MAX_BITS,
        )
        .map(|key| Self(Arc::new(key)))
        .map_err(|_| KeyError::WeakRsaKey)
    }
}

impl core::fmt::Debug for RsaPublicKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "RsaPublicKey({} bits)", self.0.n().bits())
    }
}

/// A public key with the one algorithm that it is used for.
#[derive(Clone)]
pub(crate) struct Key {
    public: RsaPublicKey,
    algorithm: RsaAlgorithm,
}

impl Key {
    pub(crate) fn new(public: &RsaPublicKey, algorithm: RsaAlgorithm) -> Self {
        Self { public: public.clone(), algorithm }
    }

    pub(crate) const fn algorithm(&self) -> RsaAlgorithm {
        self.algorithm
    }

    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        let public = &*self.public.0;
        // RFC 8017 §8.1.2 and §8.2.2, step 1.
        if signature.len() != public.size() {
            return false;
        }
        // RFC 7518 §3.5: MGF1 with the same hash, and a salt as long as the hash.
        match self.algorithm {
            RsaAlgorithm::Ps256 => {
                Pss::<Sha256>::new().verify(public, &Sha256::digest(message), signature)
            }
            RsaAlgorithm::Ps384 => {
                Pss::<Sha384>::new().verify(public, &Sha384::digest(message), signature)
            }
            RsaAlgorithm::Ps512 => {
                Pss::<Sha512>::new().verify(public, &Sha512::digest(message), signature)
            }
            RsaAlgorithm::Rs256 => {
                Pkcs1v15Sign::new::<Sha256>().verify(public, &Sha256::digest(message), signature)
            }
            RsaAlgorithm::Rs384 => {
                Pkcs1v15Sign::new::<Sha384>().verify(public, &Sha384::digest(message), signature)
            }
            RsaAlgorithm::Rs512 => {
                Pkcs1v15Sign::new::<Sha512>().verify(public, &Sha512::digest(message), signature)
            }
        }
        .is_ok()
    }
}

/// The bounds are ours: libraries take 512-bit keys and e = 1.
fn check_bounds(modulus: &[u8], exponent: &[u8]) -> Result<(), KeyError> {
    let (Some((&n_first, _)), Some((&e_first, _))) =
        (modulus.split_first(), exponent.split_first())
    else {
        return Err(KeyError::InvalidLength);
    };
    if n_first == 0 || e_first == 0 {
        return Err(KeyError::InvalidLength);
    }
    let bits = modulus.len().saturating_mul(8) - n_first.leading_zeros() as usize;
    let odd = |bytes: &[u8]| bytes.last().is_some_and(|byte| byte & 1 == 1);
    let exponent_value = exponent.iter().try_fold(0_u64, |value, byte| {
        value.checked_mul(256).map(|value| value | u64::from(*byte))
    });
    let exponent_ok = exponent_value.is_some_and(|e| e > 3 && e < 1 << 33) && odd(exponent);
    if (MIN_BITS..=MAX_BITS).contains(&bits) && odd(modulus) && exponent_ok {
        Ok(())
    } else {
        Err(KeyError::WeakRsaKey)
    }
}

/// Whether the modulus has the form of ROCA (Nemec et al., CCS 2017): modulo each small prime it is
/// a power of 65537. A modulus of another origin passes with a chance below 2^-100.
fn has_roca_fingerprint(modulus: &[u8]) -> bool {
    const PRIMES: [u32; 38] = [
        3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89,
        97, 101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
    ];
    PRIMES.iter().all(|prime| {
        let reduce = |number: u32| number.checked_rem(*prime).unwrap_or_default();
        let rest = modulus.iter().fold(0, |rest, byte| reduce(rest * 256 + u32::from(*byte)));
        let mut power = 1;
        (0..*prime).any(|_| {
            power = reduce(power * 65537);
            power == rest
        })
    })
}
