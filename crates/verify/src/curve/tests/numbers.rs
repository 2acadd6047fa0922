//! Numbers modulo p and n, and their constants, against big integers.

use alloc::{vec, vec::Vec};

use num_bigint::BigUint;
use p256::elliptic_curve::sec1::ToSec1Point as _;
use proptest::prelude::*;

use super::{
    super::{
        field::{Field, P, batch_invert},
        field29::{self, Field29},
        field64::{self, Field64},
        inverse,
        point::{self, Affine},
        scalar::{self, N, Scalar, plus_order},
    },
    any_bytes, big, bytes,
};

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
