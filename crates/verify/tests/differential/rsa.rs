//! RSA: keys of all lengths, and signatures of what an encoded message is not.

use std::sync::LazyLock;

use aws_lc_rs::signature::{
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
    RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters,
    RsaPublicKeyComponents,
};
use countersign_verify::{Key, RsaPublicKey};
use num_bigint::BigUint;

use super::{
    JudgedKey, Judges,
    encoder::{ENCODERS, Encoder, pkcs1},
    random::Random,
    smooth::SmoothKey,
};

/// Lengths of moduli; the first come more often.
const BITS: [u64; 14] =
    [2048, 2049, 2048, 2050, 2055, 2056, 2057, 2072, 2100, 3072, 4095, 4096, 8191, 8192];

pub(super) struct TestKey {
    smooth: SmoothKey,
    modulus: Vec<u8>,
    public: RsaPublicKey,
}

impl TestKey {
    fn bits(&self) -> usize {
        usize::try_from(self.smooth.modulus.bits()).unwrap()
    }
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

/// How aws-lc verifies the algorithms of [`ENCODERS`].
static PARAMETERS: [&RsaParameters; 6] = [
    &RSA_PKCS1_2048_8192_SHA256,
    &RSA_PKCS1_2048_8192_SHA384,
    &RSA_PKCS1_2048_8192_SHA512,
    &RSA_PSS_2048_8192_SHA256,
    &RSA_PSS_2048_8192_SHA384,
    &RSA_PSS_2048_8192_SHA512,
];

fn schemes() -> impl Iterator<Item = (&'static Encoder, &'static RsaParameters)> {
    ENCODERS.iter().zip(PARAMETERS)
}

/// Judges signatures by one key with one algorithm.
struct Bench<'a> {
    key: &'a TestKey,
    encoder: &'static Encoder,
    parameters: &'static RsaParameters,
    judges: &'a mut Judges,
}

impl Bench<'_> {
    fn judge(&mut self, what: &str, message: &[u8], signature: &[u8], expected: Option<bool>) {
        let (n, parameters) = (&self.key.modulus[..], self.parameters);
        let aws_lc = |message: &[u8], signature: &[u8]| {
            let key = RsaPublicKeyComponents { n, e: &[1, 0, 1][..] };
            key.verify(parameters, message, signature).is_ok()
        };
        let ours = &Key::rsa(&self.key.public, self.encoder.algorithm);
        let (algorithm, parts) = (self.encoder.name, &[n, &[1, 0, 1]]);
        let key = JudgedKey { algorithm, parts, ours, aws_lc: &aws_lc };
        let what = format_args!("{what}, modulus {}", super::hex(n));
        self.judges.judge(what, &key, message, signature, expected);
    }

    /// Signs whatever it is, if it is below the modulus.
    fn judge_encoded(
        &mut self,
        what: &str,
        message: &[u8],
        encoded: &[u8],
        expected: Option<bool>,
    ) {
        if let Some(signature) = self.key.smooth.sign(encoded) {
            self.judge(what, message, &signature, expected);
        }
    }
}

/// One message, signed with each algorithm, with variations.
pub(super) fn block(key: &TestKey, random: &mut Random, judges: &mut Judges) {
    let length = random.below(64);
    let message = random.bytes(length);
    for (encoder, parameters) in schemes() {
        let salt = random.bytes(encoder.hash_length());
        let encoded = encoder.encode(key.bits(), &message, &salt);
        let mut bench = Bench { key, encoder, parameters, judges };
        bench.judge_encoded("valid", &message, &encoded, Some(true));
        for _ in 0..4 {
            let forged = random.flip_a_bit(&encoded);
            bench.judge_encoded("a bit of the encoded message", &message, &forged, Some(false));
        }
        let Some(signature) = key.smooth.sign(&encoded) else { continue };
        numbers(&mut bench, &message, &signature, random);
        encodings(&mut bench, &message, random);
        let other = random.pick(&ENCODERS);
        if other.algorithm != encoder.algorithm {
            let salt = random.bytes(other.hash_length());
            let encoded = other.encode(key.bits(), &message, &salt);
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
    let encoder = bench.encoder;
    let digest = (encoder.hash)(message);
    let Some(prefix) = encoder.prefix else {
        // Salts of other lengths: none, one more, one less, the most that there is room for.
        let hash = digest.len();
        let most = (bench.key.bits() - 1).div_ceil(8) - hash - 2;
        for length in [0, 1, hash - 1, hash + 1, most] {
            let salt = random.bytes(length);
            let encoded = encoder.pss(bench.key.bits(), &digest, &salt);
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
    for (encoder, parameters) in schemes() {
        let encoded = encoder.encode(key.bits(), message, &vec![0xa5; encoder.hash_length()]);
        let mut bench = Bench { key, encoder, parameters, judges };
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
