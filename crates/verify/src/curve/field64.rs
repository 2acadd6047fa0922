//! Numbers modulo p in four limbs of 64 bits, for 64-bit multipliers.
//!
//! Always below p, in Montgomery form with R = 2^256.

use super::field::{Field, P, Ring};

/// The limbs, least significant first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Field64(pub(super) [u64; 4]);

pub(super) const MODULUS: [u64; 4] =
    [0xffff_ffff_ffff_ffff, 0x0000_0000_ffff_ffff, 0, 0xffff_ffff_0000_0001];

/// R² modulo p.
pub(super) const R_SQUARED: Field64 =
    Field64([3, 0xffff_fffb_ffff_ffff, 0xffff_ffff_ffff_fffe, 0x0000_0004_ffff_fffd]);

/// a + b · c + d, which fits in two limbs: the lower, and the higher.
#[inline(always)]
fn mul_add(a: u64, b: u64, c: u64, d: u64) -> (u64, u64) {
    split(u128::from(a) + u128::from(b) * u128::from(c) + u128::from(d))
}

#[inline(always)]
fn add(a: u64, b: u64, carry: u64) -> (u64, u64) {
    split(u128::from(a) + u128::from(b) + u128::from(carry))
}

/// a − b − borrow: the difference, and the next borrow.
#[inline(always)]
const fn sub(a: u64, b: u64, borrow: u64) -> (u64, u64) {
    let (difference, under) = a.overflowing_sub(b);
    let (difference, under_too) = difference.overflowing_sub(borrow);
    (difference, (under | under_too) as u64)
}

#[inline(always)]
#[allow(clippy::cast_possible_truncation, reason = "the lower half is meant")]
const fn split(wide: u128) -> (u64, u64) {
    (wide as u64, (wide >> 64) as u64)
}

/// Takes p away once where the number, with `over` as its fifth limb, is not below it.
#[inline(always)]
const fn below_p([a0, a1, a2, a3]: [u64; 4], over: u64) -> Field64 {
    let [p0, p1, p2, p3] = MODULUS;
    let (b0, borrow) = sub(a0, p0, 0);
    let (b1, borrow) = sub(a1, p1, borrow);
    let (b2, borrow) = sub(a2, p2, borrow);
    let (b3, borrow) = sub(a3, p3, borrow);
    if borrow > over { Field64([a0, a1, a2, a3]) } else { Field64([b0, b1, b2, b3]) }
}

/// One step of Montgomery's reduction: adds m · p, whose lowest limb takes the number's away, and drops
/// that. Since p ≡ −1 modulo 2^64, m is that limb itself.
#[inline(always)]
fn reduce_step([t0, t1, t2, t3, t4]: [u64; 5]) -> ([u64; 4], u64) {
    let [_, p1, _, p3] = MODULUS;
    // t0 + t0 · (2^64 − 1) = t0 · 2^64.
    let (r0, carry) = mul_add(t1, t0, p1, t0);
    let (r1, carry) = add(t2, carry, 0);
    let (r2, carry) = mul_add(t3, t0, p3, carry);
    let (r3, carry) = add(t4, carry, 0);
    ([r0, r1, r2, r3], carry)
}

impl Ring for Field64 {
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        let ([a0, a1, a2, a3], [b0, b1, b2, b3]) = (self.0, other.0);
        let (r0, carry) = add(a0, b0, 0);
        let (r1, carry) = add(a1, b1, carry);
        let (r2, carry) = add(a2, b2, carry);
        let (r3, carry) = add(a3, b3, carry);
        below_p([r0, r1, r2, r3], carry)
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        let ([a0, a1, a2, a3], [b0, b1, b2, b3]) = (self.0, other.0);
        let (r0, borrow) = sub(a0, b0, 0);
        let (r1, borrow) = sub(a1, b1, borrow);
        let (r2, borrow) = sub(a2, b2, borrow);
        let (r3, borrow) = sub(a3, b3, borrow);
        let [p0, p1, p2, p3] = MODULUS.map(|limb| limb & borrow.wrapping_neg());
        let (r0, carry) = add(r0, p0, 0);
        let (r1, carry) = add(r1, p1, carry);
        let (r2, carry) = add(r2, p2, carry);
        let (r3, _) = add(r3, p3, carry);
        Self([r0, r1, r2, r3])
    }

    #[inline]
    fn mul(self, other: Self) -> Self {
        let ([a0, a1, a2, a3], b) = (self.0, other.0);
        // Rows of products, each followed by a step of the reduction: what is left stays below 2 p.
        let row = |[t0, t1, t2, t3]: [u64; 4], over: u64, a: u64| {
            let [b0, b1, b2, b3] = b;
            let (r0, carry) = mul_add(t0, a, b0, 0);
            let (r1, carry) = mul_add(t1, a, b1, carry);
            let (r2, carry) = mul_add(t2, a, b2, carry);
            let (r3, carry) = mul_add(t3, a, b3, carry);
            let (r4, carry) = add(over, carry, 0);
            let (limbs, more) = reduce_step([r0, r1, r2, r3, r4]);
            (limbs, carry + more)
        };
        let (t, over) = row([0; 4], 0, a0);
        let (t, over) = row(t, over, a1);
        let (t, over) = row(t, over, a2);
        let (t, over) = row(t, over, a3);
        below_p(t, over)
    }

    #[inline]
    fn square(self) -> Self {
        self.mul(self)
    }

    #[inline]
    fn mul_sub(a: Self, b: Self, c: Self, d: Self) -> Self {
        a.mul(b).sub(c.mul(d))
    }

    #[inline(always)]
    fn carry(self) -> Self {
        self
    }
}

impl Field for Field64 {
    const PAIRINGS: u32 = 0;

    /// R modulo p.
    const ONE: Self =
        Self([1, 0xffff_ffff_0000_0000, 0xffff_ffff_ffff_ffff, 0x0000_0000_ffff_fffe]);

    fn from_bytes(bytes: &[u8; 32]) -> Option<Self> {
        let (chunks, _) = bytes.as_chunks::<8>();
        let mut limbs = [0; 4];
        for (limb, chunk) in limbs.iter_mut().zip(chunks.iter().rev()) {
            *limb = u64::from_be_bytes(*chunk);
        }
        // Arrays compare from their first element on: as big-endian numbers do.
        (*bytes < P).then(|| Self(limbs).mul(R_SQUARED))
    }

    fn to_bytes(self) -> [u8; 32] {
        let Self(limbs) = self.mul(Self([1, 0, 0, 0]));
        let mut bytes = [0; 32];
        let (chunks, _) = bytes.as_chunks_mut::<8>();
        for (limb, chunk) in limbs.iter().zip(chunks.iter_mut().rev()) {
            *chunk = limb.to_be_bytes();
        }
        bytes
    }

    fn is_zero(self) -> bool {
        self.0 == [0; 4]
    }
}
