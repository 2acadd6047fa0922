//! RSASSA-PKCS1-v1_5 and RSASSA-PSS (RFC 7518 §3.3, §3.5), by our own arithmetic for the exponent 65537,
//! or by the reference crate `rsa`.

mod encoding;
mod montgomery;

use alloc::{sync::Arc, vec::Vec};

use countersign_reference::RsaKey;
use sha2::{Digest as _, Sha256};

pub use countersign_reference::RsaAlgorithm;

use self::{encoding::Hash, montgomery::Modulus};
use crate::{KeyError, signed::Signed};

/// RFC 7518 §3.3 and §3.5 ask for 2048 bits or more.
const MIN_BITS: usize = 2048;
/// The time for one verification grows with the square of the length.
const MAX_BITS: usize = 8192;

/// An RSA public key (RFC 8017 §3.1) whose numbers passed every check. Cheap to clone.
#[derive(Clone)]
pub struct RsaPublicKey(Arc<Numbers>);

enum Numbers {
    /// With the exponent 65537. The reference's form of the key would cost several times as much as this
    /// does, and is made when the reference is asked.
    E65537(Modulus),
    Other(RsaKey),
}

const E65537: [u8; 3] = [1, 0, 1];

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
        let numbers = if exponent == E65537 {
            Numbers::E65537(Modulus::new(modulus))
        } else {
            Numbers::Other(reference(modulus, exponent).ok_or(KeyError::WeakRsaKey)?)
        };
        Ok(Self(Arc::new(numbers)))
    }

    /// The length of the modulus.
    fn bits(&self) -> usize {
        match &*self.0 {
            Numbers::E65537(modulus) => modulus.bits(),
            Numbers::Other(reference) => reference.bits(),
        }
    }
}

/// The reference's form of a key.
fn reference(modulus: &[u8], exponent: &[u8]) -> Option<RsaKey> {
    RsaKey::new(modulus, exponent, MIN_BITS..=MAX_BITS)
}

impl core::fmt::Debug for RsaPublicKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "RsaPublicKey({} bits)", self.bits())
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

    pub(crate) fn verify(&self, signed: Signed<'_>, signature: &[u8]) -> bool {
        let made;
        let public = match &*self.public.0 {
            Numbers::E65537(modulus) => {
                made = reference(modulus.bytes(), &E65537);
                made.as_ref()
            }
            Numbers::Other(reference) => Some(reference),
        };
        let digest = self.hash().digest(signed);
        public
            .zip(digest)
            .is_some_and(|(public, digest)| public.verify(self.algorithm, &digest, signature))
    }

    const fn hash(&self) -> Hash {
        match self.algorithm {
            RsaAlgorithm::Ps256 | RsaAlgorithm::Rs256 => Hash::Sha256,
            RsaAlgorithm::Ps384 | RsaAlgorithm::Rs384 => Hash::Sha384,
            RsaAlgorithm::Ps512 | RsaAlgorithm::Rs512 => Hash::Sha512,
        }
    }

    const fn is_pss(&self) -> bool {
        matches!(self.algorithm, RsaAlgorithm::Ps256 | RsaAlgorithm::Ps384 | RsaAlgorithm::Ps512)
    }

    /// The same by our own arithmetic; `None`: the reference has to decide.
    pub(crate) fn verify_fast(&self, signed: Signed<'_>, signature: &[u8]) -> Option<bool> {
        let Numbers::E65537(modulus) = &*self.public.0 else { return None };
        let Some(encoded) = modulus.power_65537(signature) else { return Some(false) };
        let hash = self.hash();
        Some(if self.is_pss() {
            encoding::is_pss(&encoded, modulus.bits(), signed, hash)
        } else {
            encoding::is_pkcs1(&encoded, signed, hash)
        })
    }
}

/// SHA-256 of a power modulo a number of 2048 bits, both made up of hashes. A test derives it with another library.
pub(crate) const KNOWN_POWER: [u8; 32] = [
    0x8f, 0xbe, 0x0a, 0x20, 0x95, 0xfa, 0x6a, 0xff, 0x68, 0xb1, 0xa1, 0x60, 0x41, 0x52, 0xc4, 0x36,
    0x66, 0x86, 0xea, 0x42, 0x41, 0xaa, 0x63, 0x23, 0x86, 0xf5, 0x3b, 0x1c, 0x15, 0x72, 0x5f, 0xca,
];

/// Whether that power comes out.
pub(crate) fn self_test(known_power: &[u8; 32]) -> bool {
    let (modulus, signature) = known_question();
    let power = Modulus::new(&modulus).power_65537(&signature);
    power.is_some_and(|power| Sha256::digest(power)[..] == known_power[..])
}

fn known_question() -> (Vec<u8>, Vec<u8>) {
    let fill = |label: &[u8]| -> Vec<u8> {
        let hash = |count: u8| Sha256::new().chain_update(label).chain_update([count]).finalize();
        (0..8).flat_map(hash).collect()
    };
    let (mut modulus, mut signature) =
        (fill(b"countersign modulus "), fill(b"countersign signature "));
    if let [first, .., last] = &mut modulus[..] {
        (*first, *last) = (*first | 0x80, *last | 1);
    }
    if let Some(first) = signature.first_mut() {
        *first &= 0x7f;
    }
    (modulus, signature)
}

#[cfg(test)]
#[test]
fn the_known_answer_is_right() {
    use num_bigint::BigUint;
    let (modulus, signature) = known_question();
    let number = |bytes: &[u8]| BigUint::from_bytes_be(bytes);
    let power = number(&signature).modpow(&65_537_u32.into(), &number(&modulus));
    assert_eq!(power.bits().div_ceil(8), 256);
    let fast = Modulus::new(&modulus).power_65537(&signature);
    assert_eq!(fast, Some(power.to_bytes_be()));
    assert!(self_test(&KNOWN_POWER));
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
