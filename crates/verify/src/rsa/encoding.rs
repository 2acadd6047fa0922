//! What an RSA signature is once it is raised to the exponent: EMSA-PKCS1-v1_5 and EMSA-PSS (RFC 8017 §9).

use alloc::{vec, vec::Vec};

use sha2::{Sha256, Sha384, Sha512};

use crate::signed::Signed;

/// The hash functions of RFC 7518 §3.3 and §3.5.
#[derive(Clone, Copy, Debug)]
pub(super) enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    fn of(self, parts: &[&[u8]]) -> Vec<u8> {
        fn digest<D: sha2::Digest>(parts: &[&[u8]]) -> Vec<u8> {
            let hash = parts.iter().fold(D::new(), |hash, part| hash.chain_update(part));
            hash.finalize().to_vec()
        }
        match self {
            Self::Sha256 => digest::<Sha256>(parts),
            Self::Sha384 => digest::<Sha384>(parts),
            Self::Sha512 => digest::<Sha512>(parts),
        }
    }

    /// Of what was signed; `None` for a given digest of another length.
    pub(super) fn digest(self, signed: Signed<'_>) -> Option<Vec<u8>> {
        match self {
            Self::Sha256 => signed.digest::<Sha256>().map(|digest| digest.to_vec()),
            Self::Sha384 => signed.digest::<Sha384>().map(|digest| digest.to_vec()),
            Self::Sha512 => signed.digest::<Sha512>().map(|digest| digest.to_vec()),
        }
    }

    const fn length(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// DigestInfo without the digest (RFC 8017 §9.2, note 1).
    const fn prefix(self) -> [u8; 19] {
        let (algorithm, length) = match self {
            Self::Sha256 => (1, 32),
            Self::Sha384 => (2, 48),
            Self::Sha512 => (3, 64),
        };
        [
            0x30,
            0x11 + length,
            0x30,
            0x0d,
            0x06,
            0x09,
            0x60,
            0x86,
            0x48,
            0x01,
            0x65,
            0x03,
            0x04,
            0x02,
            algorithm,
            0x05,
            0x00,
            0x04,
            length,
        ]
    }
}

/// Whether `encoded` is the EMSA-PKCS1-v1_5 encoding of the message: made anew and compared as a whole, so
/// that nothing in it is left to be forged (RFC 8017 §8.2.2).
pub(super) fn is_pkcs1(encoded: &[u8], signed: Signed<'_>, hash: Hash) -> bool {
    let Some(digest) = hash.digest(signed) else { return false };
    let tail = [&[0][..], &hash.prefix(), &digest].concat();
    let Some(padding) = encoded.len().checked_sub(tail.len() + 2) else { return false };
    let expected = [&[0, 1][..], &vec![0xff; padding], &tail].concat();
    padding >= 8 && encoded == expected
}

/// EMSA-PSS-VERIFY (RFC 8017 §9.1.2) with MGF1 by the same hash, and a salt as long as the hash (RFC 7518
/// §3.5). `encoded` has the length of the modulus, which has so many bits.
pub(super) fn is_pss(encoded: &[u8], modulus_bits: usize, signed: Signed<'_>, hash: Hash) -> bool {
    let Some(digest) = hash.digest(signed) else { return false };
    // emBits; where the modulus has 8 k + 1 bits, the encoded message is a byte shorter than it.
    let bits = modulus_bits - 1;
    let over = encoded.len().checked_sub(bits.div_ceil(8));
    let Some((zeros, encoded)) = over.and_then(|over| encoded.split_at_checked(over)) else {
        return false;
    };
    let Some((0xbc, rest)) = encoded.split_last() else { return false };
    let Some(masked_length) = rest.len().checked_sub(hash.length()) else { return false };
    let Some((masked, h)) = rest.split_at_checked(masked_length) else { return false };
    let unused = 8 * encoded.len() - bits;
    let top_mask = 0xff_u8 >> unused;
    // Steps 3 and 4: room for the salt, the 1 before it and the last byte.
    let Some(padding) = masked_length.checked_sub(hash.length() + 1) else { return false };
    let top_is_clear = masked.first().is_some_and(|byte| byte & !top_mask == 0);
    if !top_is_clear || zeros.iter().any(|byte| *byte != 0) {
        return false;
    }
    let mut block = mask(h, masked_length, hash);
    for (byte, masked) in block.iter_mut().zip(masked) {
        *byte ^= masked;
    }
    if let Some(first) = block.first_mut() {
        *first &= top_mask;
    }
    let Some((zeros, rest)) = block.split_at_checked(padding) else { return false };
    let Some((1, salt)) = rest.split_first() else { return false };
    zeros.iter().all(|byte| *byte == 0) && hash.of(&[&[0; 8], &digest, salt]) == h
}

/// MGF1 (RFC 8017 §B.2.1).
fn mask(seed: &[u8], length: usize, hash: Hash) -> Vec<u8> {
    let mut mask = Vec::new();
    let mut counter = 0_u32;
    while mask.len() < length {
        mask.extend(hash.of(&[seed, &counter.to_be_bytes()]));
        counter += 1;
    }
    mask.truncate(length);
    mask
}
