//! RSA: keys of all lengths, and signatures of what an encoded message is not.

use std::sync::LazyLock;

use aws_lc_rs::signature::{
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
    RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters,
    RsaPublicKeyComponents,
};
use countersign_verify::{Key, RsaAlgorithm, RsaPublicKey};
use num_bigint::BigUint;
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use super::{Judges, random::Random, smooth::SmoothKey};

/// Lengths of moduli; the first come more often.
const BITS: [u64; 14] =
    [2048, 2049, 2048, 2050, 2055, 2056, 2057, 2072, 2100, 3072, 4095, 4096, 8191, 8192];

pub(super) struct TestKey {
    smooth: SmoothKey,
    modulus: Vec<u8>,
    public: RsaPublicKey,
}

/// The same in each run.
pub(super) fn keys() -> &'static [TestKey] {
    static KEYS: LazyLock<Vec<TestKey>> = LazyLock::new(|| {
        let key = |(number, bits): (u64, &u64)| {
            let smooth = SmoothKey::new(*bits, &mut Random::new(65_537, number));
            let modulus = smooth.modulus_bytes();
            let public = RsaPublicKey::new(&modulus, &[1, 0, 1]).unwrap();
            TestKey { smooth, modulus, public }
        };
        (0..).zip(&BITS).map(key).collect()
    });
    &KEYS
}

/// An algorithm, and how aws-lc verifies it.
struct Scheme {
    algorithm: RsaAlgorithm,
    aws_lc: &'static RsaParameters,
    hash: fn(&[u8]) -> Vec<u8>,
    /// DigestInfo without the digest (RFC 8017 §9.2, note 1); none for PSS.
    prefix: Option<[u8; 19]>,
}

const fn prefix(algorithm: u8, length: u8) -> [u8; 19] {
    let mut prefix = *b"\x30\x11\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x00\x05\x00\x04\x00";
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

#[rustfmt::skip]
static SCHEMES: [Scheme; 6] = [
    Scheme { algorithm: RsaAlgorithm::Rs256, aws_lc: &RSA_PKCS1_2048_8192_SHA256, hash: sha256, prefix: Some(prefix(1, 32)) },
    Scheme { algorithm: RsaAlgorithm::Rs384, aws_lc: &RSA_PKCS1_2048_8192_SHA384, hash: sha384, prefix: Some(prefix(2, 48)) },
    Scheme { algorithm: RsaAlgorithm::Rs512, aws_lc: &RSA_PKCS1_2048_8192_SHA512, hash: sha512, prefix: Some(prefix(3, 64)) },
    Scheme { algorithm: RsaAlgorithm::Ps256, aws_lc: &RSA_PSS_2048_8192_SHA256, hash: sha256, prefix: None },
    Scheme { algorithm: RsaAlgorithm::Ps384, aws_lc: &RSA_PSS_2048_8192_SHA384, hash: sha384, prefix: None },
    Scheme { algorithm: RsaAlgorithm::Ps512, aws_lc: &RSA_PSS_2048_8192_SHA512, hash: sha512, prefix: None },
];

impl Scheme {
    /// EMSA-PKCS1-v1_5, or EMSA-PSS with such a salt: as long as the modulus, with a byte of zero in front
    /// where the encoding is a byte shorter.
    fn encode(&self, key: &TestKey, message: &[u8], salt: &[u8]) -> Vec<u8> {
        let digest = (self.hash)(message);
        match self.prefix {
            Some(prefix) => pkcs1(key.modulus.len(), &[&prefix[..], &digest].concat()),
            None => self.pss(key, &digest, salt),
        }
    }

    /// RFC 8017 §9.1.1.
    fn pss(&self, key: &TestKey, digest: &[u8], salt: &[u8]) -> Vec<u8> {
        let bits = usize::try_from(key.smooth.modulus.bits()).unwrap() - 1;
        let h = (self.hash)(&[&[0; 8], digest, salt].concat());
        let zeros = bits.div_ceil(8) - salt.len() - h.len() - 2;
        let mut block = [&vec![0; zeros][..], &[1], salt].concat();
        let mask = (0_u32..).flat_map(|count| (self.hash)(&[&h[..], &count.to_be_bytes()].concat()));
        block.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
        block[0] &= 0xff >> (bits.div_ceil(8) * 8 - bits);
        let encoded = [&block[..], &h, &[0xbc]].concat();
        [&vec![0; key.modulus.len() - encoded.len()][..], &encoded].concat()
    }

    fn salt_length(&self) -> usize {
        (self.hash)(&[]).len()
    }
}

fn pkcs1(length: usize, digest_info: &[u8]) -> Vec<u8> {
    let padding = vec![0xff; length - digest_info.len() - 3];
    [&[0, 1][..], &padding, &[0], digest_info].concat()
}

/// Judges signatures by one key with one scheme.
struct Bench<'a> {
    key: &'a TestKey,
    scheme: &'a Scheme,
    judges: &'a mut Judges,
}

impl Bench<'_> {
    fn judge(&mut self, what: &str, message: &[u8], signature: &[u8], expected: Option<bool>) {
        let (n, parameters) = (&self.key.modulus[..], self.scheme.aws_lc);
        let aws_lc = |message: &[u8], signature: &[u8]| {
            let key = RsaPublicKeyComponents { n, e: &[1, 0, 1][..] };
            key.verify(parameters, message, signature).is_ok()
        };
        let key = Key::rsa(&self.key.public, self.scheme.algorithm);
        let what = format_args!("{what}, modulus {}", super::hex(n));
        self.judges.judge(what, (&key, &aws_lc), message, signature, expected);
    }

    /// Signs whatever it is, if it is below the modulus.
    fn judge_encoded(&mut self, what: &str, message: &[u8], encoded: &[u8], expected: Option<bool>) {
        if let Some(signature) = self.key.smooth.sign(encoded) {
            self.judge(what, message, &signature, expected);
        }
    }
}

/// One message, signed with each scheme, with variations.
pub(super) fn block(key: &TestKey, random: &mut Random, judges: &mut Judges) {
    let length = random.below(64);
    let message = random.bytes(length);
    for scheme in &SCHEMES {
        let salt = random.bytes(scheme.salt_length());
        let encoded = scheme.encode(key, &message, &salt);
        let mut bench = Bench { key, scheme, judges };
        bench.judge_encoded("valid", &message, &encoded, Some(true));
        for _ in 0..4 {
            let forged = random.flip_a_bit(&encoded);
            bench.judge_encoded("a bit of the encoded message", &message, &forged, Some(false));
        }
        let Some(signature) = key.smooth.sign(&encoded) else { continue };
        numbers(&mut bench, &message, &signature, random);
        encodings(&mut bench, &message, random);
        let other = random.pick(&SCHEMES);
        if other.algorithm != scheme.algorithm {
            let salt = random.bytes(other.salt_length());
            let encoded = other.encode(key, &message, &salt);
            bench.judge_encoded("another algorithm", &message, &encoded, Some(false));
        }
    }
}

/// The signature as a number.
fn numbers(bench: &mut Bench<'_>, message: &[u8], signature: &[u8], random: &mut Random) {
    let (n, s) = (&bench.key.smooth.modulus, BigUint::from_bytes_be(signature));
    let length = signature.len();
    let mut other = message.to_vec();
    other.push(0);
    bench.judge("a longer message", &other, signature, Some(false));
    bench.judge("a bit of s", message, &random.flip_a_bit(signature), Some(false));
    let small = u32::try_from(random.below(3)).unwrap();
    for number in [small.into(), n - small, n + small, n - &s, n + &s] {
        let bytes = number.to_bytes_be();
        if bytes.len() <= length {
            let padded = [&vec![0; length - bytes.len()][..], &bytes].concat();
            bench.judge("0, n and around, n - s, n + s", message, &padded, Some(false));
        }
    }
    bench.judge("ones", message, &vec![0xff; length], Some(false));
    bench.judge("random", message, &random.bytes(length), Some(false));
    bench.judge("a zero in front", message, &[&[0], signature].concat(), Some(false));
    bench.judge("a byte less", message, &signature[1..], Some(false));
    bench.judge("nothing", message, &[], Some(false));
}

/// Encodings that are nearly right.
fn encodings(bench: &mut Bench<'_>, message: &[u8], random: &mut Random) {
    let scheme = bench.scheme;
    let digest = (scheme.hash)(message);
    let Some(prefix) = scheme.prefix else {
        // Salts of other lengths: none, one more, one less, the most that there is room for.
        let hash = digest.len();
        let most = usize::try_from(bench.key.smooth.modulus.bits() - 1).unwrap().div_ceil(8) - hash - 2;
        for length in [0, 1, hash - 1, hash + 1, most] {
            let salt = random.bytes(length);
            let encoded = scheme.pss(bench.key, &digest, &salt);
            bench.judge_encoded("a salt of another length", message, &encoded, Some(false));
        }
        return;
    };
    let length = bench.key.modulus.len();
    let mut judge = |what, encoded: &[u8]| {
        bench.judge_encoded(what, message, encoded, Some(false));
    };
    // RFC 8017 §9.2 note 1 has NULL, and DER one spelling of lengths.
    let mut without_null = [&prefix[..15], &[4, prefix[18]], &digest].concat();
    without_null[1] -= 2;
    without_null[3] -= 2;
    judge("no NULL", &pkcs1(length, &without_null));
    let long = [&[0x30, 0x81, prefix[1]], &prefix[2..], &digest].concat();
    judge("a long length", &pkcs1(length, &long));
    judge("no DigestInfo", &pkcs1(length, &digest));
    // Bleichenbacher's forgery: something behind the digest, and short padding.
    let info = [&prefix[..], &digest].concat();
    let behind = 1 + random.below(length - info.len() - 12);
    let mut garbage = pkcs1(length - behind, &info);
    garbage.extend(random.bytes(behind));
    judge("something behind the digest", &garbage);
    let mut before = pkcs1(length, &[&random.bytes(behind)[..], &info].concat());
    judge("something before the DigestInfo", &before);
    before = pkcs1(length, &info);
    before[1] = 2;
    judge("the padding of encryption", &before);
    before[1] = 0;
    judge("block type 0", &before);
}

/// Each byte of the encoded message changed, in the lowest bit and in another.
pub(super) fn each_byte(key: &TestKey, judges: &mut Judges) {
    let message = b"each byte counts";
    for scheme in &SCHEMES {
        let encoded = scheme.encode(key, message, &vec![0xa5; scheme.salt_length()]);
        let mut bench = Bench { key, scheme, judges };
        bench.judge_encoded("valid", message, &encoded, Some(true));
        for at in 0..encoded.len() {
            for bit in [0, 1 + at % 7] {
                let mut forged = encoded.clone();
                forged[at] ^= 1 << bit;
                bench.judge_encoded(&format!("byte {at}"), message, &forged, Some(false));
            }
        }
    }
}
