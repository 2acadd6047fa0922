//! Whole verifications, by both fields, against the reference crate: at the edges, and where points meet.

use alloc::vec::Vec;

use num_bigint::BigUint;
use p256::{
    ecdsa::{Signature, SigningKey, signature::hazmat::PrehashSigner as _},
    elliptic_curve::{
        Group as _, ops::Reduce as _, point::AffineCoordinates as _, sec1::ToSec1Point as _,
    },
};
use proptest::prelude::*;

use super::{
    super::{
        GENERATOR_WIDTH, KEY_WIDTH, field::Field, field29::Field29, field64::Field64,
        point::Affine, scalar::N, table::Table,
    },
    any_bytes, big, bytes,
};

/// A verdict by both fields, if both have one, which is then the reference's.
fn check(key: &SigningKey, digest: &[u8; 32], r: &[u8; 32], s: &[u8; 32]) -> Option<bool> {
    let point = key.verifying_key().to_sec1_point(false);
    let x = point.as_bytes()[1..33].try_into().unwrap();
    let y = point.as_bytes()[33..].try_into().unwrap();
    let signature = Signature::from_slice(&[&r[..], s].concat());
    let expected = signature.is_ok_and(|signature| {
        use p256::ecdsa::signature::hazmat::PrehashVerifier as _;
        key.verifying_key().verify_prehash(digest, &signature).is_ok()
    });
    let mut verdicts = Vec::new();
    for_both(x, y, |verify| verdicts.push(verify(digest, r, s)));
    // They add in different orders, so points meet for one that do not for the other.
    for verdict in verdicts.iter().flatten() {
        assert_eq!(*verdict, expected);
    }
    if verdicts.contains(&None) { None } else { Some(expected) }
}

type Verify<'a> = &'a dyn Fn(&[u8; 32], &[u8; 32], &[u8; 32]) -> Option<bool>;

fn for_both(x: &[u8; 32], y: &[u8; 32], mut run: impl FnMut(Verify<'_>)) {
    fn one<F: Field>(x: &[u8; 32], y: &[u8; 32], run: &mut dyn FnMut(Verify<'_>)) {
        let generator = Table::<F>::new(Affine::generator().unwrap(), GENERATOR_WIDTH).unwrap();
        let key = Table::<F>::new(Affine::from_bytes(x, y).unwrap(), KEY_WIDTH).unwrap();
        run(&|digest, r, s| super::super::verify(&key, &generator, digest, r, s));
    }
    one::<Field29>(x, y, &mut run);
    one::<Field64>(x, y, &mut run);
}

pub(super) fn signing_key(bytes: &[u8; 32]) -> Option<SigningKey> {
    SigningKey::from_slice(bytes).ok()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn verdicts_are_the_references(
        secret in any_bytes(), digest in any_bytes(), edge in any_bytes(), which in 0..4,
    ) {
        let Some(key) = signing_key(&secret) else { return Ok(()) };
        let signature: Signature = key.sign_prehash(&digest).expect("a signature");
        let (r, s) = (signature.r().to_bytes().into(), signature.s().to_bytes().into());
        let verdict = match which {
            0 => check(&key, &digest, &r, &s),
            1 => check(&key, &digest, &edge, &s),
            2 => check(&key, &digest, &r, &edge),
            _ => check(&key, &edge, &r, &s),
        };
        // The secret may be one of which the tables know multiples; else there is a verdict.
        let is_near = |number: BigUint| number.bits() < 200 || number.count_ones() < 3;
        let is_special = is_near(big(&secret)) || is_near(big(&N) - big(&secret));
        prop_assert!(is_special || verdict.is_some());
        prop_assert!(which != 0 || verdict != Some(false));
    }
}

/// SEC 1 §4.1.4 step 8 compares modulo n, and x may be n or more: then r is x − n. Nobody meets such a point
/// by chance, since p − n is below 2^127; so the key is made for the point.
#[test]
fn x_coordinates_above_the_order() {
    use p256::elliptic_curve::{ff::PrimeField as _, point::DecompressPoint as _};
    let scalar = |number: u64| p256::Scalar::from(number);
    let mut found = 0;
    for above in 0_u32..60 {
        let x = bytes(&(big(&N) + above));
        let point = p256::AffinePoint::decompress(&x.into(), 0.into());
        let Some(point) = Option::<p256::AffinePoint>::from(point) else { continue };
        // r = 0 is none.
        let r = p256::Scalar::from_repr(bytes(&above.into()).into()).unwrap();
        let Some(inverse) = Option::<p256::Scalar>::from(r.invert()) else { continue };
        // R = u₁ G + u₂ Q with u₁ = e/s and u₂ = r/s, for any s and e.
        let (s, e) = (scalar(12_345 + u64::from(above)), scalar(67_890));
        let key = (p256::ProjectivePoint::from(point) * s - p256::ProjectivePoint::GENERATOR * e)
            * inverse;
        let key = key.to_affine().to_sec1_point(false);
        let x = key.as_bytes()[1..33].try_into().unwrap();
        let y = key.as_bytes()[33..].try_into().unwrap();
        let part = |scalar: p256::Scalar| -> [u8; 32] { scalar.to_bytes().into() };
        for_both(x, y, |verify| {
            assert_eq!(verify(&part(e), &part(r), &part(s)), Some(true), "n + {above}");
            assert_eq!(verify(&part(e), &part(r + scalar(1)), &part(s)), Some(false));
        });
        found += 1;
    }
    assert!(found > 10);
}

/// Whatever G and Q are multiplied by: digits at the edges of windows, a single window, none of G, sums that
/// come to nothing. Since u₁ = e/s and u₂ = r/s, there is a signature for any two of them.
#[test]
fn chosen_multiples() {
    let n = big(&N);
    let one = BigUint::from(1_u8);
    let mut numbers: Vec<BigUint> = [0_u8, 1, 2, 3].map(BigUint::from).into();
    numbers.extend([31, 32, 33, 127, 128, 129, 255].map(|digit: u8| BigUint::from(digit) << 96));
    numbers.extend([[0x80; 32], [0x82; 32], [0x7f; 32], [0xff; 32]].map(|bytes| big(&bytes) % &n));
    numbers.extend([&n - 1_u8, &n >> 1, (&n >> 1) + 1_u8, &one << 255, (&one << 255) - 1_u8]);
    let scalar =
        |number: &BigUint| p256::Scalar::reduce(&p256::FieldBytes::from(bytes(&(number % &n))));
    let part = |scalar: p256::Scalar| -> [u8; 32] { scalar.to_bytes().into() };
    let secrets = [big(&[0x17; 32]), one.clone(), &n - 1_u8, one << 96];
    let (mut valid, mut undecided) = (0, 0);
    for (secret, is_ordinary) in secrets.iter().zip([true, false, false, false]) {
        let secret = scalar(secret);
        let key = p256::ProjectivePoint::GENERATOR * secret;
        let point = key.to_affine().to_sec1_point(false);
        let (x, y) = point.as_bytes()[1..].split_at(32);
        for_both(x.try_into().unwrap(), y.try_into().unwrap(), |verify| {
            for (u1, u2) in numbers.iter().flat_map(|u1| numbers.iter().map(move |u2| (u1, u2))) {
                let (u1, u2) = (scalar(u1), scalar(u2));
                let sum = p256::ProjectivePoint::GENERATOR * u1 + key * u2;
                // With R at infinity no x is r.
                let is_point = !bool::from(sum.is_identity());
                let x = if is_point { sum.to_affine().x() } else { [1; 32].into() };
                let r = p256::Scalar::reduce(&x);
                let Some(inverse) = Option::<p256::Scalar>::from(u2.invert()) else { continue };
                let s = r * inverse;
                match verify(&part(u1 * s), &part(r), &part(s)) {
                    Some(verdict) => assert_eq!(verdict, is_point),
                    // Nobody can make that happen for a key whose secret he does not know.
                    None => {
                        assert!(!is_ordinary);
                        undecided += 1;
                    }
                }
                valid += usize::from(is_point);
            }
        });
    }
    assert!(valid > 2000 && undecided > 0 && undecided < valid / 2, "{undecided} of {valid}");
}

/// The digests 0 and 2^256 − 1, which is above n, with an ordinary key: valid, and not for another digest.
#[test]
fn digests_at_the_edges() {
    let key = signing_key(&[0x17; 32]).unwrap();
    for digest in [[0; 32], [0xff; 32], N, bytes(&(big(&N) - 1_u8)), bytes(&(big(&N) + 1_u8))] {
        let signature: Signature = key.sign_prehash(&digest).unwrap();
        let (r, s) = (signature.r().to_bytes().into(), signature.s().to_bytes().into());
        assert_eq!(check(&key, &digest, &r, &s), Some(true));
        let mut other = digest;
        other[16] ^= 1;
        assert_eq!(check(&key, &other, &r, &s), Some(false));
    }
}

/// Q = G, Q = −G and small multiples: equal and opposite points meet. That is noticed, and never taken
/// for a verdict.
#[test]
fn points_that_meet_are_noticed() {
    let n = big(&N);
    let mut undecided = 0;
    for small in 1_u32..6 {
        for secret in [BigUint::from(small), &n - small] {
            let key = signing_key(&bytes(&secret)).unwrap();
            for seed in 0_u8..6 {
                let digest = [seed; 32];
                let signature: Signature = key.sign_prehash(&digest).unwrap();
                let (r, s) = (signature.r().to_bytes().into(), signature.s().to_bytes().into());
                undecided += usize::from(check(&key, &digest, &r, &s).is_none());
                // u₁ = u₂, and u₁ = −u₂: the same windows of both tables.
                undecided += usize::from(check(&key, &r, &r, &s).is_none());
                let opposite = bytes(&(&n - big(&r)));
                undecided += usize::from(check(&key, &opposite, &r, &s).is_none());
            }
        }
    }
    assert!(undecided > 0);
}
