//! Ed25519: a key, perhaps with a part of small order, its signatures, and what is nearly one.

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use countersign_verify::Key;
use curve25519_dalek::{
    constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION},
    edwards::{CompressedEdwardsY, EdwardsPoint},
    scalar::Scalar,
};
use num_bigint::BigUint;
use sha2::{Digest as _, Sha512};

use super::{JudgedKey, Judges, random::Random};

struct Signer {
    secret: Scalar,
    /// The key's encoding.
    point: [u8; 32],
    /// Whether the key is a multiple of the base point.
    is_pure: bool,
    key: Key,
}

impl Signer {
    fn new(random: &mut Random) -> Self {
        let secret = scalar(random);
        let torsion = random.below(16) % 12 % 8;
        let point = ED25519_BASEPOINT_POINT * secret + EIGHT_TORSION[torsion];
        let point = point.compress().to_bytes();
        let key = Key::ed25519(&point).unwrap();
        Self { secret, point, is_pure: torsion == 0, key }
    }

    /// H(R, A, M) (RFC 8032 §5.1.7).
    fn challenge(&self, r: &[u8; 32], message: &[u8]) -> Scalar {
        let hash = Sha512::new().chain_update(r).chain_update(self.point).chain_update(message);
        Scalar::from_bytes_mod_order_wide(&hash.finalize().into())
    }

    /// s for this encoding of R, if R is the nonce's multiple of the base point.
    fn finish(&self, r: &[u8; 32], nonce: Scalar, message: &[u8]) -> [u8; 32] {
        (nonce + self.challenge(r, message) * self.secret).to_bytes()
    }

    fn judge(
        &self,
        judges: &mut Judges,
        what: &str,
        message: &[u8],
        signature: &[u8],
        expected: Option<bool>,
    ) {
        // aws-lc does not ask for the order of R.
        let r = signature.first_chunk::<32>().and_then(|r| CompressedEdwardsY(*r).decompress());
        let is_small = r.is_some_and(|r| r.is_small_order());
        let aws_lc = |message: &[u8], signature: &[u8]| {
            let key = UnparsedPublicKey::new(&ED25519, &self.point);
            !is_small && key.verify(message, signature).is_ok()
        };
        let what = format_args!("{what}, key {}", super::hex(&self.point));
        let key = JudgedKey {
            algorithm: "EdDSA",
            parts: &[&self.point],
            ours: &self.key,
            aws_lc: &aws_lc,
        };
        judges.judge(what, &key, message, signature, expected);
    }
}

/// Never zero.
fn scalar(random: &mut Random) -> Scalar {
    let scalar = match random.below(4) {
        0 => Scalar::from(1 + u64::try_from(random.below(300)).unwrap()),
        1 => -Scalar::from(1 + u64::try_from(random.below(300)).unwrap()),
        _ => Scalar::from_bytes_mod_order(random.bytes(32).try_into().unwrap()),
    };
    if scalar == Scalar::ZERO { Scalar::ONE } else { scalar }
}

fn number(scalar: &[u8; 32]) -> BigUint {
    BigUint::from_bytes_le(scalar)
}

fn bytes(number: &BigUint) -> [u8; 32] {
    let mut bytes = number.to_bytes_le();
    bytes.resize(32, 0);
    bytes.try_into().unwrap()
}

/// The order of the base point.
fn order() -> BigUint {
    number(&(-Scalar::ONE).to_bytes()) + 1_u8
}

/// One key: some twenty signatures with their variations.
pub(super) fn block(random: &mut Random, judges: &mut Judges) {
    let signer = Signer::new(random);
    for _ in 0..20 {
        let length = random.below(64);
        let message = random.bytes(length);
        let nonce = scalar(random);
        let point = ED25519_BASEPOINT_POINT * nonce;
        let r = point.compress().to_bytes();
        let s = signer.finish(&r, nonce, &message);
        let expected = signer.is_pure.then_some(true);
        signer.judge(judges, "valid", &message, &[r, s].concat(), expected);
        variations(&signer, &message, (r, s), random, judges);
        small_orders(&signer, &message, (point, nonce), random, judges);
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
    for times in 1_u8..=8 {
        let more = number(&s) + order() * times;
        judge("s + l, s + 2 l …", message, &r, &bytes(&more), Some(false));
    }
    let small = u32::try_from(random.below(3)).unwrap();
    for edge in [
        small.into(),
        order() - 1_u8 - small,
        order() + small,
        (BigUint::from(1_u8) << 256) - 1_u8 - small,
    ] {
        judge("s at an edge", message, &r, &bytes(&edge), None);
    }
    judge("-s", message, &r, &bytes(&((order() - number(&s)) % order())), None);
    judge("a bit of R", message, &random.flip_a_bit(&r), &s, Some(false));
    judge("a bit of s", message, &r, &random.flip_a_bit(&s), Some(false));
    judge("random", message, &random.bytes(32), &random.bytes(32), Some(false));
    let mut other = message.to_vec();
    other.push(0);
    judge("a longer message", &other, &r, &s, Some(false));
    let length = *random.pick(&[0, 31, 32, 63, 65, 96, 128]);
    let mut signature = [r, s].concat();
    signature.resize(length, 0);
    signer.judge(judges, "another length", message, &signature, Some(false));
}

/// R with a part of small order, or nothing else; and in an encoding that is not the canonical one.
fn small_orders(
    signer: &Signer,
    message: &[u8],
    (point, nonce): (EdwardsPoint, Scalar),
    random: &mut Random,
    judges: &mut Judges,
) {
    let mut judge = |what, r: [u8; 32], nonce, expected| {
        let s = signer.finish(&r, nonce, message);
        signer.judge(judges, what, message, &[r, s].concat(), expected);
    };
    for (order, torsion) in EIGHT_TORSION.iter().enumerate() {
        // Right if it is what the key's own part of small order asks for.
        let expected = (signer.is_pure && order != 0).then_some(false);
        judge(
            "R with a part of small order",
            (point + torsion).compress().to_bytes(),
            nonce,
            expected,
        );
        judge("R of small order", torsion.compress().to_bytes(), Scalar::ZERO, Some(false));
    }
    // y from p on, with either sign; below 2^255 there are 19 of these.
    let p = (BigUint::from(1_u8) << 255) - 19_u8;
    let mut r = bytes(&(p + u32::try_from(random.below(19)).unwrap()));
    r[31] |= u8::try_from(random.below(2)).unwrap() << 7;
    judge("R not canonical", r, Scalar::ZERO, Some(false));
    // x = 0 with a sign.
    let mut r = EIGHT_TORSION[0].compress().to_bytes();
    r[31] |= 0x80;
    judge("R not canonical", r, Scalar::ZERO, Some(false));
}
