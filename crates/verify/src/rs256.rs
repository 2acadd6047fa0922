//! RS256: RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518 §3.3), by the reference crate `rsa`.

use rsa::{
    BoxedUint, RsaPublicKey,
    pkcs1v15::{Signature, VerifyingKey},
    signature::Verifier as _,
};
use sha2::Sha256;

use crate::KeyError;

const MIN_BITS: usize = 2048;
const MAX_BITS: usize = 8192;

#[derive(Clone)]
pub(crate) struct Key {
    inner: VerifyingKey<Sha256>,
    /// Bytes of the modulus: a signature has exactly as many (RFC 8017 §8.2.2 step 1).
    length: usize,
}

impl Key {
    pub(crate) fn new(modulus: &[u8], exponent: &[u8]) -> Result<Self, KeyError> {
        check_bounds(modulus, exponent)?;
        let key = RsaPublicKey::new_with_size_limits(
            BoxedUint::from_be_slice_vartime(modulus),
            BoxedUint::from_be_slice_vartime(exponent),
            MIN_BITS..=MAX_BITS,
        )
        .map_err(|_| KeyError::WeakRsaKey)?;
        Ok(Self { inner: VerifyingKey::new(key), length: modulus.len() })
    }

    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        signature.len() == self.length
            && Signature::from_bytes_with_max_len(signature, MAX_BITS / 8)
                .is_ok_and(|signature| self.inner.verify(message, &signature).is_ok())
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
