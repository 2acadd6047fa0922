//! Powers against big integers.

use alloc::{vec, vec::Vec};

use num_bigint::BigUint;
use proptest::prelude::*;

use super::*;

fn value(limbs: &[u32]) -> BigUint {
    limbs.iter().rev().fold(BigUint::default(), |value, limb| (value << BITS) + *limb)
}

fn check(modulus: &[u8], s: &[u8]) {
    let n = BigUint::from_bytes_be(modulus);
    let expected = BigUint::from_bytes_be(s);
    let modulus_of = Modulus::new(modulus);
    let r_squared = BigUint::from(1_u8) << (2 * BITS * modulus_of.limbs.len());
    assert_eq!(value(&modulus_of.r_squared), r_squared % &n);
    let result = modulus_of.power_65537(s);
    if expected >= n {
        assert_eq!(result, None);
        return;
    }
    let result = result.expect("s is below n");
    assert_eq!(result.len(), modulus.len());
    assert_eq!(BigUint::from_bytes_be(&result), expected.modpow(&65_537_u32.into(), &n));
}

fn modulus(length: usize, top: u8, fill: impl Fn(usize) -> u8) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..length).map(fill).collect();
    bytes[0] = top;
    bytes[length - 1] |= 1;
    bytes
}

/// Limbs of ones everywhere, in every length that there is: sums are never longer than here.
#[test]
fn longest_sums() {
    for length in (256..=1024).step_by(61).chain([1024]) {
        for top in [0xff, 0x80, 1] {
            let ones = modulus(length, top, |_| 0xff);
            let mut below = ones.clone();
            below[length - 1] -= 1;
            check(&ones, &below);
            check(&ones, &ones);
            check(&modulus(length, top, |_| 0), &modulus(length, top >> 1, |_| 0xff));
        }
    }
}

#[test]
fn numbers_at_the_edges() {
    let n = modulus(256, 0xc5, |at| u8::try_from(at * 97 % 256).unwrap());
    let number = |small: u8| {
        let mut bytes = vec![0; 256];
        bytes[255] = small;
        bytes
    };
    for small in 0..4 {
        check(&n, &number(small));
        let near = BigUint::from_bytes_be(&n) - u32::from(small);
        check(&n, &near.to_bytes_be());
    }
    assert_eq!(Modulus::new(&n).power_65537(&n[1..]), None, "another length");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn powers_agree_with_big_integers(
        (mut n, s) in (256_usize..=640).prop_flat_map(|length| {
            let bytes = || prop::collection::vec(any::<u8>(), length);
            (bytes(), bytes())
        }),
        top in 1_u8..=255,
    ) {
        n[0] = top;
        *n.last_mut().unwrap() |= 1;
        check(&n, &s);
    }
}
