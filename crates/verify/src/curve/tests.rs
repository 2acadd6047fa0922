//! The numbers against big integers, the points against the reference crate, and both fields against each
//! other.

use alloc::{vec, vec::Vec};

use num_bigint::BigUint;
use p256::{
    ecdsa::{Signature, SigningKey, signature::hazmat::PrehashSigner as _},
    elliptic_curve::{
        Group as _, ops::Reduce as _, point::AffineCoordinates as _, sec1::ToSec1Point as _,
    },
};
use proptest::prelude::*;

use super::{
    GENERATOR_WIDTH, Generator, KEY_WIDTH, KeyTable,
    field::{Field, P, batch_invert},
    field29::{self, Field29},
    field64::{self, Field64},
    inverse,
    point::{self, Affine},
    scalar::{self, N, Scalar, plus_order},
    table::Table,
};

fn big(bytes: &[u8]) -> BigUint {
    BigUint::from_bytes_be(bytes)
}

fn bytes(number: &BigUint) -> [u8; 32] {
    let bytes = number.to_bytes_be();
    let mut padded = [0; 32];
    padded[32 - bytes.len()..].copy_from_slice(&bytes);
    padded
}

/// Any 32 bytes, and those at the edges: near 0, near p and n, near powers of two.
fn any_bytes() -> impl Strategy<Value = [u8; 32]> {
    let edge =
        |modulus: [u8; 32]| (0_u32..4).prop_map(move |distance| bytes(&(big(&modulus) - distance)));
    let power = (0_u32..256, any::<bool>())
        .prop_map(|(bit, less)| bytes(&((BigUint::from(1_u8) << bit) - u32::from(less))));
    prop_oneof![
        4 => any::<[u8; 32]>(),
        1 => (0_u8..4).prop_map(|small| bytes(&BigUint::from(small))),
        1 => edge(P),
        1 => edge(N),
        1 => edge([0xff; 32]),
        2 => power,
    ]
}

fn any_number() -> impl Strategy<Value = [u8; 32]> {
    any_bytes().prop_map(|number| bytes(&(big(&number) % big(&P))))
}

/// Each operation, for one field.
fn agrees<F: Field>(a: &[u8; 32], b: &[u8; 32], c: &[u8; 32], d: &[u8; 32]) {
    let p = big(&P);
    let number = |bytes: &[u8; 32]| F::from_bytes(bytes).expect("below p");
    let (fa, fb, fc, fd) = (number(a), number(b), number(c), number(d));
    let (a, b, c, d) = (big(a), big(b), big(c), big(d));
    let check = |result: F, expected: BigUint| {
        let expected = bytes(&(expected % &p));
        assert_eq!(result.to_bytes(), expected);
        assert_eq!(result.carry().to_bytes(), expected);
        assert_eq!(result.is_zero(), expected == [0; 32]);
    };
    check(fa, a.clone());
    check(fa.add(fb), &a + &b);
    check(fa.sub(fb), &a + &p - &b);
    check(F::default().sub(fa), &p - &a);
    check(fa.mul(fb), &a * &b);
    check(fa.square(), &a * &a);
    check(fa.add(fb).mul(fc.sub(fd)), (&a + &b) * (&p + &c - &d));
    check(F::mul_sub(fa, fb, fc, fd), &a * &b + &p * &p - &c * &d);
    check(fa.invert(), a.modinv(&p).unwrap_or_default());
    check(F::ONE, BigUint::from(1_u8));
}

fn batches<F: Field>(numbers: &[[u8; 32]]) {
    let before: Vec<F> = numbers.iter().map(|bytes| F::from_bytes(bytes).unwrap()).collect();
    let mut values = before.clone();
    let mut scratch = vec![F::default(); values.len()];
    let good = batch_invert(&mut values, &mut scratch);
    assert_eq!(good, numbers.iter().all(|bytes| *bytes != [0; 32]));
    for (value, before) in values.iter().zip(&before).filter(|_| good) {
        assert_eq!(value.mul(*before).to_bytes(), F::ONE.to_bytes());
    }
}

proptest! {
    #[test]
    fn numbers_agree_with_big_integers(
        a in any_number(), b in any_number(), c in any_number(), d in any_number(),
    ) {
        agrees::<Field29>(&a, &b, &c, &d);
        agrees::<Field64>(&a, &b, &c, &d);
    }

    #[test]
    fn only_numbers_below_p_are_read(bytes in any_bytes()) {
        let is_below = big(&bytes) < big(&P);
        prop_assert_eq!(Field29::from_bytes(&bytes).is_some(), is_below);
        prop_assert_eq!(Field64::from_bytes(&bytes).is_some(), is_below);
    }

    #[test]
    fn batches_are_inverted(numbers in prop::collection::vec(any_number(), 0..8)) {
        batches::<Field29>(&numbers);
        batches::<Field64>(&numbers);
    }

    #[test]
    fn inverses_agree_with_big_integers(number in any_bytes()) {
        for (modulus, invert) in [(P, inverse::modulo_p as fn(&[u8; 32]) -> _), (N, inverse::modulo_n)] {
            let reduced = big(&number) % big(&modulus);
            let expected = reduced.modinv(&big(&modulus)).unwrap_or_default();
            prop_assert_eq!(invert(&bytes(&reduced)), bytes(&expected));
        }
    }

    #[test]
    fn scalars_agree_with_big_integers(a in any_bytes(), b in any_bytes(), at in 0_u32..256, count in 1_u32..9) {
        let n = big(&N);
        let (fa, fb) = (Scalar::of_digest(&a), Scalar::of_digest(&b));
        prop_assert_eq!(fa.to_bytes(), bytes(&(big(&a) % &n)));
        prop_assert_eq!(fa.times(fb.to_factor()).to_bytes(), bytes(&(big(&a) * big(&b) % &n)));
        let is_part = a != [0; 32] && big(&a) < n;
        prop_assert_eq!(Scalar::of_signature(&a).is_some(), is_part);
        let (smaller, negative) = fa.smaller_of_both();
        let value = if negative { &n - big(&fa.to_bytes()) } else { big(&fa.to_bytes()) };
        prop_assert_eq!(big(&smaller.to_bytes()), value.clone());
        prop_assert!(value <= &n >> 1);
        let bits = (big(&fa.to_bytes()) >> at) % (BigUint::from(1_u8) << count);
        prop_assert_eq!(BigUint::from(fa.bits(at, count)), bits);
        let sum = big(&a) + &n;
        let expected = (sum.bits() <= 256).then(|| bytes(&sum));
        prop_assert_eq!(plus_order(&a), expected);
    }
}

/// The constants are what their names say: each is derived here, or asked of the reference crate.
#[test]
fn constants() {
    let two = BigUint::from(2_u8);
    let power = |exponent: u32| two.pow(exponent);
    let (p, n) = (big(&P), big(&N));
    assert_eq!(p, power(256) - power(224) + power(192) + power(96) - 1_u8);
    let order = p256::Scalar::ZERO - p256::Scalar::ONE;
    assert_eq!(n, big(&order.to_bytes()) + 1_u8);
    assert!(&p - &n < power(127) && n > power(256) - power(224));

    // R and R² modulo p, for both R.
    let value = |limbs: &[u64], bits: u32| {
        limbs.iter().rev().fold(BigUint::default(), |sum, limb| (sum << bits) + *limb)
    };
    let of_29 = |number: Field29| value(&number.0.map(|limb| u64::try_from(limb).unwrap()), 29);
    assert_eq!(of_29(Field29::ONE), power(261) % &p);
    assert_eq!(of_29(field29::R_SQUARED), power(522) % &p);
    assert_eq!(value(&field64::MODULUS, 64), p);
    assert_eq!(value(&Field64::ONE.0, 64), power(256) % &p);
    assert_eq!(value(&field64::R_SQUARED.0, 64), power(512) % &p);
    assert_eq!(Field29::ONE.to_bytes(), bytes(&BigUint::from(1_u8)));
    assert_eq!(Field64::ONE.to_bytes(), bytes(&BigUint::from(1_u8)));
    // The reductions multiply by nothing: −1/p is 1 modulo 2^29 and 2^64, as p ≡ −1 modulo 2^96.
    assert_eq!(&p % power(96), power(96) - 1_u8);

    // What is computed with modulo n.
    let of_32 = |limbs: [u32; 8]| value(&limbs.map(u64::from), 32);
    assert_eq!(of_32(scalar::MODULUS), n);
    assert_eq!(of_32(scalar::R_SQUARED.0), power(512) % &n);
    let negative = (power(32) - scalar::NEGATIVE_INVERSE) % power(32);
    assert_eq!(negative, n.modinv(&power(32)).unwrap());

    for (modulus, own) in [(&p, &inverse::P), (&n, &inverse::N)] {
        assert_eq!(value(&own.limbs.map(|limb| u64::try_from(limb).unwrap()), 30), *modulus);
        assert_eq!(BigUint::try_from(own.inverse).unwrap(), modulus.modinv(&power(30)).unwrap());
    }

    // b = y² − x³ + 3 x for the reference's generator, and ours is the same.
    let generator = p256::AffinePoint::GENERATOR.to_sec1_point(false);
    let (x, y) = generator.as_bytes()[1..].split_at(32);
    assert_eq!((&point::GENERATOR.0[..], &point::GENERATOR.1[..]), (x, y));
    let (x, y) = (big(x), big(y));
    assert_eq!(big(&point::B), (y.pow(2) + &p * &p * &p - x.pow(3) + 3_u8 * x) % &p);
    assert!(Affine::<Field29>::generator().is_some());
    assert!(Affine::<Field64>::generator().is_some());
}

fn reference(scalar: &[u8; 32]) -> p256::AffinePoint {
    let scalar = p256::Scalar::reduce(&p256::FieldBytes::from(*scalar));
    (p256::ProjectivePoint::generator() * scalar).to_affine()
}

/// Every point of a table is the multiple that its place says.
fn table_agrees<F: Field>(width: u32) {
    let table = Table::<F>::new(Affine::generator().unwrap(), width).unwrap();
    let half = 1_u64 << (width - 1);
    for window in 0..256_u32.div_ceil(width) {
        for size in [1, 2, 3, half - 1, half, half / 2 + 1] {
            let scalar = (BigUint::from(size) << (window * width)) % big(&N);
            let mut points = Vec::new();
            table.multiply(Scalar::of_digest(&bytes(&scalar)), |point| points.push(point));
            let expected = reference(&bytes(&scalar));
            if let [point] = points[..] {
                assert_eq!(
                    point.x.to_bytes(),
                    <[u8; 32]>::from(expected.x()),
                    "{size} in {window}"
                );
                let y = expected.to_sec1_point(false);
                assert_eq!(point.y.to_bytes(), y.as_bytes()[33..], "{size} in {window}");
            }
        }
    }
}

#[test]
fn tables_have_the_multiples() {
    for width in [2, 5, 6, 8] {
        table_agrees::<Field29>(width);
        table_agrees::<Field64>(width);
    }
}

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
        run(&|digest, r, s| super::verify(&key, &generator, digest, r, s));
    }
    one::<Field29>(x, y, &mut run);
    one::<Field64>(x, y, &mut run);
}

fn signing_key(bytes: &[u8; 32]) -> Option<SigningKey> {
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

/// The widths that are used, with their own types.
#[test]
fn as_it_is_used() {
    let generator = Generator::new().unwrap();
    let key = signing_key(&[7; 32]).unwrap();
    let point = key.verifying_key().to_sec1_point(false);
    let x = point.as_bytes()[1..33].try_into().unwrap();
    let y = point.as_bytes()[33..].try_into().unwrap();
    let table = KeyTable::new(x, y).unwrap();
    assert_eq!(table.size(), KeyTable::SIZE);
    assert!(table.size() <= 100 << 10, "{}", table.size());
    assert!(generator.size() <= 300 << 10, "{}", generator.size());
    for seed in 0_u8..=255 {
        let digest = [seed; 32];
        let signature: Signature = key.sign_prehash(&digest).unwrap();
        let (r, s): ([u8; 32], [u8; 32]) =
            (signature.r().to_bytes().into(), signature.s().to_bytes().into());
        assert_eq!(table.verify(&generator, &digest, &r, &s), Some(true));
        assert_eq!(table.verify(&generator, &[!seed; 32], &r, &s), Some(false));
        assert_eq!(table.verify(&generator, &digest, &s, &r), Some(false));
        assert_eq!(table.verify(&generator, &digest, &r, &bytes(&(big(&N) - big(&s)))), Some(true));
    }
    let mut off = *y;
    off[31] ^= 1;
    assert!(KeyTable::new(x, &off).is_none());
}
