//! ES256: a key, its signatures, and what is nearly one.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use countersign_verify::Key;
use num_bigint::BigUint;
use p256::{
    ProjectivePoint, Scalar,
    elliptic_curve::{
        ff::PrimeField as _, ops::Reduce as _, point::AffineCoordinates as _,
        sec1::ToSec1Point as _,
    },
};
use sha2::{Digest as _, Sha256};

use super::{JudgedKey, Judges, random::Random};

/// The group's order, and the field's.
fn n() -> BigUint {
    BigUint::from_bytes_be(&<[u8; 32]>::from((-Scalar::ONE).to_bytes())) + 1_u8
}

fn p() -> BigUint {
    let power = |bit: u32| BigUint::from(1_u8) << bit;
    power(256) - power(224) + power(192) + power(96) - 1_u8
}

fn bytes(number: &BigUint) -> [u8; 32] {
    let bytes = number.to_bytes_be();
    let mut padded = [0; 32];
    padded[32 - bytes.len()..].copy_from_slice(&bytes);
    padded
}

/// Numbers that code gets wrong: around 0, n, p and 2^256, the r for which r + n is below p, and powers of
/// two, where windows begin and end.
fn edge(random: &mut Random) -> [u8; 32] {
    let (n, p) = (n(), p());
    let top = BigUint::from(1_u8) << 256;
    let power = BigUint::from(1_u8) << random.below(256);
    let small = u32::try_from(random.below(3)).unwrap();
    bytes(&match random.below(11) {
        0 => small.into(),
        1 => n - small,
        2 => n + small,
        3 => p - small,
        4 => p + small,
        5 => top - 1_u8 - small,
        6 => &p - &n - small,
        7 => (n >> 1) + small,
        8 => power,
        9 => power - 1_u8,
        _ => n - power.min(BigUint::from(1_u8) << 255),
    })
}

fn scalar(bytes: [u8; 32]) -> Scalar {
    Scalar::reduce(&p256::FieldBytes::from(bytes))
}

/// A secret, or a nonce: random, at an edge, or a small multiple. Never zero.
fn secret(random: &mut Random) -> Scalar {
    let bytes = match random.below(4) {
        0 => edge(random),
        1 => bytes(&BigUint::from(random.below(300))),
        _ => random.bytes(32).try_into().unwrap(),
    };
    let secret = scalar(bytes);
    if secret == Scalar::ZERO { Scalar::ONE } else { secret }
}

struct Signer {
    secret: Scalar,
    key: Key,
    /// SEC 1 §2.3.3, uncompressed.
    point: Vec<u8>,
}

impl Signer {
    fn new(secret: Scalar) -> Self {
        let point = (ProjectivePoint::GENERATOR * secret).to_affine().to_sec1_point(false);
        let point = point.as_bytes().to_vec();
        let key = Key::es256(&point[1..33], &point[33..]).unwrap();
        Self { secret, key, point }
    }

    /// SEC 1 §4.1.3 with a chosen nonce; `None`: another nonce, please.
    fn sign(&self, message: &[u8], nonce: Scalar) -> Option<([u8; 32], [u8; 32])> {
        let digest = scalar(Sha256::digest(message).into());
        let r = scalar((ProjectivePoint::GENERATOR * nonce).to_affine().x().into());
        let s = (digest + r * self.secret) * nonce.invert().into_option()?;
        let part = |part: Scalar| (part != Scalar::ZERO).then(|| part.to_repr().into());
        Some((part(r)?, part(s)?))
    }

    fn judge(
        &self,
        judges: &mut Judges,
        what: &str,
        message: &[u8],
        signature: &[u8],
        expected: Option<bool>,
    ) {
        let point = super::hex(&self.point);
        let aws_lc = |message: &[u8], signature: &[u8]| {
            let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &self.point);
            key.verify(message, signature).is_ok()
        };
        let what = format_args!("{what}, key {point}");
        let parts = &[&self.point[1..33], &self.point[33..]];
        let key = JudgedKey { algorithm: "ES256", parts, ours: &self.key, aws_lc: &aws_lc };
        judges.judge(what, &key, message, signature, expected);
    }
}

/// One key: some forty signatures with their variations, and keys beside it.
pub(super) fn block(random: &mut Random, judges: &mut Judges) {
    let signer = Signer::new(secret(random));
    let opposite = Signer::new(-signer.secret);
    let neighbour = Signer::new(secret(random));
    for _ in 0..40 {
        let length = random.below(64);
        let message = random.bytes(length);
        let Some(signature) = signer.sign(&message, secret(random)) else { continue };
        variations(&signer, &message, signature, random, judges);
        let signature = [signature.0, signature.1].concat();
        // By the opposite key only the digest 0 would verify, and by another none.
        opposite.judge(judges, "the key's negative", &message, &signature, Some(false));
        if neighbour.secret != signer.secret {
            neighbour.judge(judges, "another key", &message, &signature, None);
        }
        off_the_curve(&signer, &message, &signature, random);
    }
}

fn variations(
    signer: &Signer,
    message: &[u8],
    (r, s): ([u8; 32], [u8; 32]),
    random: &mut Random,
    judges: &mut Judges,
) {
    let mut judge = |what, message: &[u8], r: &[u8], s: &[u8], expected| {
        signer.judge(judges, what, message, &[r, s].concat(), expected);
    };
    let negative = |s: [u8; 32]| bytes(&(n() - BigUint::from_bytes_be(&s)));
    judge("valid", message, &r, &s, Some(true));
    judge("n - s", message, &r, &negative(s), Some(true));
    judge("n - r", message, &negative(r), &s, None);
    judge("exchanged", message, &s, &r, Some(r == s));
    judge("a bit of r", message, &random.flip_a_bit(&r), &s, None);
    judge("a bit of s", message, &r, &random.flip_a_bit(&s), None);
    let mut other = message.to_vec();
    other.push(0);
    judge("a longer message", &other, &r, &s, Some(false));
    let other = random.flip_a_bit(&other);
    judge("a bit of the message", &other, &r, &s, Some(false));
    judge("r at an edge", message, &edge(random), &s, None);
    judge("s at an edge", message, &r, &edge(random), None);
    judge("both at edges", message, &edge(random), &edge(random), None);
    judge("random", message, &random.bytes(32), &random.bytes(32), Some(false));
    for zero_or_order in [[0; 32], bytes(&n()), bytes(&(n() + 1_u8)), [0xff; 32]] {
        let (what, expected) = ("0, n, n + 1, 2^256 - 1", Some(false));
        match random.below(3) {
            0 => judge(what, message, &zero_or_order, &s, expected),
            1 => judge(what, message, &r, &zero_or_order, expected),
            _ => judge(what, message, &zero_or_order, &zero_or_order, expected),
        }
    }
    let length = *random.pick(&[0, 31, 32, 33, 63, 65, 95, 96, 128]);
    let mut signature = [r, s].concat();
    signature.resize(length, 0);
    signer.judge(judges, "another length", message, &signature, Some(false));
}

/// A point with a wrong bit is no key, and aws-lc has none of it either.
fn off_the_curve(signer: &Signer, message: &[u8], signature: &[u8], random: &mut Random) {
    let flipped = random.flip_a_bit(&signer.point[1..]);
    assert!(Key::es256(&flipped[..32], &flipped[32..]).is_err(), "{}", super::hex(&flipped));
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, [&[4], &flipped[..]].concat());
    assert!(key.verify(message, signature).is_err());
}
