//! The numbers against big integers, the points against the reference crate, and both fields against each
//! other.

mod numbers;
mod points;
mod verdicts;

use num_bigint::BigUint;
use proptest::prelude::*;

use super::{field::P, scalar::N};

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
