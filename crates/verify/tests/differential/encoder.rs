//! What a good RSA signature is made of (RFC 8017 §9), written apart from the verifier's.

use countersign_verify::RsaAlgorithm;
use sha2::{Digest as _, Sha256, Sha384, Sha512};

/// How an algorithm encodes messages.
#[derive(Debug)]
pub struct Encoder {
    /// Its name in JOSE.
    pub name: &'static str,
    /// Which one.
    pub algorithm: RsaAlgorithm,
    /// Its hash function.
    pub hash: fn(&[u8]) -> Vec<u8>,
    /// DigestInfo without the digest (RFC 8017 §9.2, note 1); none for PSS.
    pub prefix: Option<[u8; 19]>,
}

/// All of them.
#[rustfmt::skip]
pub static ENCODERS: [Encoder; 6] = [
    Encoder { name: "RS256", algorithm: RsaAlgorithm::Rs256, hash: sha256, prefix: Some(prefix(1, 32)) },
    Encoder { name: "RS384", algorithm: RsaAlgorithm::Rs384, hash: sha384, prefix: Some(prefix(2, 48)) },
    Encoder { name: "RS512", algorithm: RsaAlgorithm::Rs512, hash: sha512, prefix: Some(prefix(3, 64)) },
    Encoder { name: "PS256", algorithm: RsaAlgorithm::Ps256, hash: sha256, prefix: None },
    Encoder { name: "PS384", algorithm: RsaAlgorithm::Ps384, hash: sha384, prefix: None },
    Encoder { name: "PS512", algorithm: RsaAlgorithm::Ps512, hash: sha512, prefix: None },
];

impl Encoder {
    /// EMSA-PKCS1-v1_5, or EMSA-PSS with such a salt: as long as a modulus of so many bits, with a byte of
    /// zero in front where the encoding is a byte shorter.
    pub fn encode(&self, modulus_bits: usize, message: &[u8], salt: &[u8]) -> Vec<u8> {
        let digest = (self.hash)(message);
        match self.prefix {
            Some(prefix) => pkcs1(modulus_bits.div_ceil(8), &[&prefix[..], &digest].concat()),
            None => self.pss(modulus_bits, &digest, salt),
        }
    }

    /// RFC 8017 §9.1.1.
    pub fn pss(&self, modulus_bits: usize, digest: &[u8], salt: &[u8]) -> Vec<u8> {
        let bits = modulus_bits - 1;
        let length = bits.div_ceil(8);
        let h = (self.hash)(&[&[0; 8], digest, salt].concat());
        let zeros = length - salt.len() - h.len() - 2;
        let mut block = [&vec![0; zeros][..], &[1], salt].concat();
        let mask =
            (0_u32..).flat_map(|count| (self.hash)(&[&h[..], &count.to_be_bytes()].concat()));
        block.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
        block[0] &= 0xff >> (8 * length - bits);
        let encoded = [&block[..], &h, &[0xbc]].concat();
        [&vec![0; modulus_bits.div_ceil(8) - length][..], &encoded].concat()
    }

    /// Bytes of the hash, and of the salt.
    pub fn hash_length(&self) -> usize {
        (self.hash)(&[]).len()
    }
}

/// EMSA-PKCS1-v1_5 of whatever the digest's place has.
pub fn pkcs1(length: usize, digest_info: &[u8]) -> Vec<u8> {
    let padding = vec![0xff; length - digest_info.len() - 3];
    [&[0, 1][..], &padding, &[0], digest_info].concat()
}

const fn prefix(algorithm: u8, length: u8) -> [u8; 19] {
    let mut prefix =
        *b"\x30\x11\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x00\x05\x00\x04\x00";
    prefix[1] += length;
    prefix[14] = algorithm;
    prefix[18] = length;
    prefix
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    Sha256::digest(bytes).to_vec()
}

fn sha384(bytes: &[u8]) -> Vec<u8> {
    Sha384::digest(bytes).to_vec()
}

fn sha512(bytes: &[u8]) -> Vec<u8> {
    Sha512::digest(bytes).to_vec()
}
