//! RSASSA-PKCS1-v1_5 and RSASSA-PSS (RFC 7518 §3.3, §3.5), by our own arithmetic for the exponent 65537,
//! or by the reference crate `rsa`.

mod encoding;
mod montgomery;

use alloc::{sync::Arc, vec::Vec};

use rsa::{
    BoxedUint, Pkcs1v15Sign, Pss,
    traits::{PublicKeyParts as _, SignatureScheme as _},
};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use self::{encoding::Hash, montgomery::Modulus};
use crate::{KeyError, signed::Signed};

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
pub struct RsaPublicKey(Arc<Numbers>);

enum Numbers {
    /// With the exponent 65537. The reference's form of the key would cost several times as much as this
    /// does, and is made when the reference is asked.
    E65537(Modulus),
    Other(rsa::RsaPublicKey),
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
            Numbers::Other(reference) => reference.n().bits() as usize,
        }
    }
}

/// The reference's form of a key.
fn reference(modulus: &[u8], exponent: &[u8]) -> Option<rsa::RsaPublicKey> {
    let [modulus, exponent] = [modulus, exponent].map(BoxedUint::from_be_slice_vartime);
    rsa::RsaPublicKey::new_with_size_limits(modulus, exponent, MIN_BITS..=MAX_BITS).ok()
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
        self.verify_by_reference(signed, signature).unwrap_or_default()
    }

    /// `None`: a digest of another length.
    fn verify_by_reference(&self, signed: Signed<'_>, signature: &[u8]) -> Option<bool> {
        let made;
        let public = match &*self.public.0 {
            Numbers::E65537(modulus) => {
                made = reference(modulus.bytes(), &E65537)?;
                &made
            }
            Numbers::Other(reference) => reference,
        };
        // RFC 8017 §8.1.2 and §8.2.2, step 1.
        if signature.len() != public.size() {
            return Some(false);
        }
        // RFC 7518 §3.5: MGF1 with the same hash, and a salt as long as the hash.
        let result = match self.algorithm {
            RsaAlgorithm::Ps256 => {
                Pss::<Sha256>::new().verify(public, &signed.digest::<Sha256>()?, signature)
            }
            RsaAlgorithm::Ps384 => {
                Pss::<Sha384>::new().verify(public, &signed.digest::<Sha384>()?, signature)
            }
            RsaAlgorithm::Ps512 => {
                Pss::<Sha512>::new().verify(public, &signed.digest::<Sha512>()?, signature)
            }
            RsaAlgorithm::Rs256 => {
                Pkcs1v15Sign::new::<Sha256>().verify(public, &signed.digest::<Sha256>()?, signature)
            }
            RsaAlgorithm::Rs384 => {
                Pkcs1v15Sign::new::<Sha384>().verify(public, &signed.digest::<Sha384>()?, signature)
            }
            RsaAlgorithm::Rs512 => {
                Pkcs1v15Sign::new::<Sha512>().verify(public, &signed.digest::<Sha512>()?, signature)
            }
        };
        Some(result.is_ok())
    }

    /// The same by our own arithmetic; `None`: the reference has to decide.
    pub(crate) fn verify_fast(&self, signed: Signed<'_>, signature: &[u8]) -> Option<bool> {
        let Numbers::E65537(modulus) = &*self.public.0 else { return None };
        let Some(encoded) = modulus.power_65537(signature) else { return Some(false) };
        let pss = |hash| encoding::is_pss(&encoded, modulus.bits(), signed, hash);
        let pkcs1 = |hash| encoding::is_pkcs1(&encoded, signed, hash);
        Some(match self.algorithm {
            RsaAlgorithm::Ps256 => pss(Hash::Sha256),
            RsaAlgorithm::Ps384 => pss(Hash::Sha384),
            RsaAlgorithm::Ps512 => pss(Hash::Sha512),
            RsaAlgorithm::Rs256 => pkcs1(Hash::Sha256),
            RsaAlgorithm::Rs384 => pkcs1(Hash::Sha384),
            RsaAlgorithm::Rs512 => pkcs1(Hash::Sha512),
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
