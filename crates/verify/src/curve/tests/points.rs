//! Tables, and the bytes that they take.

use alloc::vec::Vec;

use num_bigint::BigUint;
use p256::{
    ecdsa::{Signature, signature::hazmat::PrehashSigner as _},
    elliptic_curve::{ops::Reduce as _, point::AffineCoordinates as _, sec1::ToSec1Point as _},
};

use super::{
    super::{
        Generator, KeyTable,
        field::Field,
        field29::Field29,
        field64::Field64,
        point::Affine,
        scalar::{N, Scalar},
        table::Table,
    },
    big, bytes,
    verdicts::signing_key,
};

fn reference(scalar: &[u8; 32]) -> p256::AffinePoint {
    let scalar = p256::Scalar::reduce(&p256::FieldBytes::from(*scalar));
    (p256::ProjectivePoint::GENERATOR * scalar).to_affine()
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
    for width in 2..=8 {
        table_agrees::<Field29>(width);
        table_agrees::<Field64>(width);
    }
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
    assert_eq!((table.0.size(), generator.0.size()), (KeyTable::SIZE, Generator::SIZE));
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
