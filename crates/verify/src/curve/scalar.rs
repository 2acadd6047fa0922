//! Numbers modulo the group's order n (SP 800-186 §3.2.1.3): what ECDSA computes with signatures.

/// n, big-endian.
pub(crate) const N: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6,
    0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// n in eight limbs of 32 bits, least significant first.
pub(super) const MODULUS: [u32; 8] =
    [0xfc63_2551, 0xf3b9_cac2, 0xa717_9e84, 0xbce6_faad, 0xffff_ffff, 0xffff_ffff, 0, 0xffff_ffff];

/// −1/n modulo 2^32.
pub(super) const NEGATIVE_INVERSE: u32 = 0xee00_bc4f;

/// 2^512 modulo n.
pub(super) const R_SQUARED: Scalar = Scalar([
    0xbe79_eea2,
    0x8324_4c95,
    0x49bd_6fa6,
    0x4699_799c,
    0x2b6b_ec59,
    0x2845_b239,
    0xf3d9_5620,
    0x66e1_2d94,
]);

/// A number below n, least significant limb first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scalar(pub(super) [u32; 8]);

impl Scalar {
    /// A part of a signature: from 1 to n − 1 (SEC 1 §4.1.4 step 1).
    pub(crate) fn of_signature(bytes: &[u8; 32]) -> Option<Self> {
        let is_zero = bytes.iter().all(|byte| *byte == 0);
        (!is_zero && *bytes < N).then(|| Self(limbs(bytes)))
    }

    /// A digest of 256 bits, modulo n (SEC 1 §4.1.4 step 3). It is below 2 n.
    pub(crate) fn of_digest(digest: &[u8; 32]) -> Self {
        let number = Self(limbs(digest));
        if *digest < N { number } else { Self(number.minus(MODULUS)) }
    }

    /// The inverse of a number that is not zero.
    pub(crate) fn invert(self) -> Self {
        Self(limbs(&super::inverse::modulo_n(&self.to_bytes())))
    }

    /// What multiplies others by this number, by [`Self::times`].
    pub(crate) fn to_factor(self) -> Factor {
        Factor(self.montgomery(R_SQUARED))
    }

    /// The product modulo n.
    pub(crate) fn times(self, factor: Factor) -> Self {
        self.montgomery(factor.0)
    }

    pub(crate) fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        let (chunks, _) = bytes.as_chunks_mut::<4>();
        for (limb, chunk) in self.0.iter().zip(chunks.iter_mut().rev()) {
            *chunk = limb.to_be_bytes();
        }
        bytes
    }

    /// This number or its negative, whichever is the smaller: below 2^255. `true`: it is the negative.
    pub(crate) fn smaller_of_both(self) -> (Self, bool) {
        let negative = Self(Self(MODULUS).minus(self.0));
        let from_above = |number: Self| number.0.into_iter().rev();
        if self != Self::default() && from_above(negative).lt(from_above(self)) {
            (negative, true)
        } else {
            (self, false)
        }
    }

    /// `count` bits from bit `at` on, at most 32.
    pub(crate) fn bits(self, at: u32, count: u32) -> u32 {
        let limb = |index: u32| {
            let limb = usize::try_from(index).ok().and_then(|index| self.0.get(index));
            u64::from(limb.copied().unwrap_or_default())
        };
        let both = limb(at / 32) | (limb(at / 32 + 1) << 32);
        let bits = (both >> (at % 32)) & ((1 << count) - 1);
        u32::try_from(bits).unwrap_or_default()
    }

    /// The difference, modulo 2^256.
    fn minus(self, other: [u32; 8]) -> [u32; 8] {
        let mut limbs = self.0;
        let mut borrow = 0_i64;
        for (limb, other) in limbs.iter_mut().zip(other) {
            let difference = i64::from(*limb) - i64::from(other) + borrow;
            *limb = low(difference.cast_unsigned());
            borrow = difference >> 32;
        }
        limbs
    }

    /// self · other / 2^256 modulo n (Montgomery, "Modular multiplication without trial division").
    fn montgomery(self, other: Self) -> Self {
        // Eight limbs and what is over: below 2 n between two rows.
        let (mut sum, mut over) = ([0_u32; 8], 0_u32);
        for factor in self.0 {
            let mut carry = 0;
            for (limb, other) in sum.iter_mut().zip(other.0) {
                let wide = u64::from(*limb) + u64::from(factor) * u64::from(other) + carry;
                *limb = low(wide);
                carry = wide >> 32;
            }
            let top = u64::from(over) + carry;
            // So often n that the lowest limb becomes zero, and is dropped.
            let lowest = sum.first().copied().unwrap_or_default();
            let times = u64::from(lowest.wrapping_mul(NEGATIVE_INVERSE));
            let mut carry = 0;
            let mut shifted = [0; 8];
            let mut below = 0;
            for ((limb, own), out) in sum.iter().zip(MODULUS).zip(
                // The first goes nowhere.
                core::iter::once(&mut below).chain(shifted.iter_mut()),
            ) {
                let wide = u64::from(*limb) + times * u64::from(own) + carry;
                *out = low(wide);
                carry = wide >> 32;
            }
            let top = top + carry;
            if let Some(last) = shifted.last_mut() {
                *last = low(top);
            }
            (sum, over) = (shifted, low(top >> 32));
        }
        let is_below = over == 0 && sum.iter().rev().lt(MODULUS.iter().rev());
        if is_below { Self(sum) } else { Self(Self(sum).minus(MODULUS)) }
    }
}

/// A number that others are multiplied by: in Montgomery form.
#[derive(Clone, Copy)]
pub(crate) struct Factor(Scalar);

/// r + n, if it fits into 256 bits.
pub(crate) fn plus_order(r: &[u8; 32]) -> Option<[u8; 32]> {
    let mut sum = [0; 32];
    let mut carry = 0;
    for ((out, a), b) in sum.iter_mut().zip(r).zip(&N).rev() {
        let wide = u16::from(*a) + u16::from(*b) + carry;
        *out = wide.to_le_bytes()[0];
        carry = wide >> 8;
    }
    (carry == 0).then_some(sum)
}

#[allow(clippy::cast_possible_truncation, reason = "the low bits are meant")]
const fn low(wide: u64) -> u32 {
    wide as u32
}

fn limbs(bytes: &[u8; 32]) -> [u32; 8] {
    let (chunks, _) = bytes.as_chunks::<4>();
    let mut limbs = [0; 8];
    for (limb, chunk) in limbs.iter_mut().zip(chunks.iter().rev()) {
        *limb = u32::from_be_bytes(*chunk);
    }
    limbs
}
