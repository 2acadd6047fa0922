//! Numbers modulo p in nine signed limbs of 29 bits, for 32-bit multipliers.
//!
//! A number is Σ limb(i) · 2^(29 i), in Montgomery form with R = 2^261. Since p ≡ −1 modulo 2^96, the
//! reduction multiplies by nothing: it shifts. Additions do not carry; limbs may be negative, and
//! somewhat longer than 29 bits, until [`Ring::carry`]. How long they get, and that no sum of products
//! leaves 64 bits, is proven by `proof.rs`: it runs this code on intervals.

use core::ops::{Add, Mul, Shl, Shr, Sub};

use super::{
    field::{Field, P, Ring},
    limbs,
};

const BITS: u32 = 29;

/// A limb: `i32`, or an interval of the proof.
pub(crate) trait Limb: Copy + Add<Output = Self> + Sub<Output = Self> {
    type Wide: Wide;
    fn widen(self) -> Self::Wide;
    /// The value is known to fit.
    fn narrow(wide: Self::Wide) -> Self;
}

/// A sum of products of limbs: `i64`, or an interval of the proof.
pub(crate) trait Wide:
    Copy
    + Default
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Shl<u32, Output = Self>
    + Shr<u32, Output = Self>
{
    /// The lowest bits, as a number that is not negative.
    fn low_bits(self, count: u32) -> Self;

    /// The lowest 29 bits, as a number that is not negative.
    #[inline(always)]
    fn low(self) -> Self {
        self.low_bits(BITS)
    }
}

impl Limb for i32 {
    type Wide = i64;

    #[inline(always)]
    fn widen(self) -> i64 {
        i64::from(self)
    }

    #[inline(always)]
    fn narrow(wide: i64) -> Self {
        debug_assert!(Self::try_from(wide).is_ok(), "the proof's bounds hold");
        #[allow(clippy::cast_possible_truncation, reason = "proven to fit")]
        let narrow = wide as Self;
        narrow
    }
}

impl Wide for i64 {
    #[inline(always)]
    fn low_bits(self, count: u32) -> Self {
        self & ((1 << count) - 1)
    }
}

/// The limbs, least significant first.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Element<L>(pub(super) [L; 9]);

/// Numbers modulo p.
pub(crate) type Field29 = Element<i32>;

/// R² modulo p.
pub(super) const R_SQUARED: Field29 = Element([
    0xc00,
    0,
    0x1fff_0000,
    0x1fdf_ffff,
    0x1fbf_ffff,
    0x1fff_ffff,
    0x1fff_ffff,
    0x1fff_fffe,
    0x13,
]);

impl<L: Limb> Ring for Element<L> {
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        let ([a0, a1, a2, a3, a4, a5, a6, a7, a8], [b0, b1, b2, b3, b4, b5, b6, b7, b8]) =
            (self.0, other.0);
        Self([a0 + b0, a1 + b1, a2 + b2, a3 + b3, a4 + b4, a5 + b5, a6 + b6, a7 + b7, a8 + b8])
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        let ([a0, a1, a2, a3, a4, a5, a6, a7, a8], [b0, b1, b2, b3, b4, b5, b6, b7, b8]) =
            (self.0, other.0);
        Self([a0 - b0, a1 - b1, a2 - b2, a3 - b3, a4 - b4, a5 - b5, a6 - b6, a7 - b7, a8 - b8])
    }

    // Out of line, and the next two: with all of them inlined a verification takes 1.2 to 1.3 times as long
    // in V8 (Node 20 and 22).
    #[inline(never)]
    fn mul(self, other: Self) -> Self {
        let (a, b) = (self.widen(), other.widen());
        reduce(|k| product(&a, &b, k))
    }

    #[inline(never)]
    fn square(self) -> Self {
        let a = self.widen();
        let doubled = a.map(|limb| limb + limb);
        reduce(|k| square(&a, &doubled, k))
    }

    #[inline(never)]
    fn mul_sub(a: Self, b: Self, c: Self, d: Self) -> Self {
        let (a, b, c, d) = (a.widen(), b.widen(), c.widen(), d.widen());
        reduce(|k| product(&a, &b, k) - product(&c, &d, k))
    }

    /// Takes away so often p that the last limb has 24 bits, as p has; then each limb but the last comes
    /// out within 29 bits and not negative.
    #[inline(always)]
    fn carry(self) -> Self {
        let [a0, a1, a2, a3, a4, a5, a6, a7, a8] = self.widen();
        let q = a8 >> 24;
        let (a0, a3, a6, a7) = (a0 + q, a3 - (q << 9), a6 - (q << 18), a7 + (q << 21));
        let a8 = a8.low_bits(24);
        let a1 = a1 + (a0 >> BITS);
        let a2 = a2 + (a1 >> BITS);
        let a3 = a3 + (a2 >> BITS);
        let a4 = a4 + (a3 >> BITS);
        let a5 = a5 + (a4 >> BITS);
        let a6 = a6 + (a5 >> BITS);
        let a7 = a7 + (a6 >> BITS);
        let a8 = a8 + (a7 >> BITS);
        let low = [a0, a1, a2, a3, a4, a5, a6, a7].map(Wide::low);
        let [a0, a1, a2, a3, a4, a5, a6, a7] = low;
        Self([a0, a1, a2, a3, a4, a5, a6, a7, a8].map(L::narrow))
    }
}

impl<L: Limb> Element<L> {
    #[inline(always)]
    fn widen(self) -> [L::Wide; 9] {
        self.0.map(L::widen)
    }

    /// The number itself, from 0 to p inclusive: the sum that the reduction divides by R is at most R · p
    /// more than what it is given, which is less than R in size.
    pub(super) fn out_of_montgomery_form(self) -> Self {
        let a = self.carry().widen();
        reduce(|k| a.get(k).copied().unwrap_or_default())
    }
}

/// The sum of all a(i) · b(j) with i + j = k.
#[inline(always)]
#[rustfmt::skip]
fn product<W: Wide>(a: &[W; 9], b: &[W; 9], k: usize) -> W {
    let [a0, a1, a2, a3, a4, a5, a6, a7, a8] = *a;
    let [b0, b1, b2, b3, b4, b5, b6, b7, b8] = *b;
    match k {
        0 => a0 * b0,
        1 => a0 * b1 + a1 * b0,
        2 => a0 * b2 + a1 * b1 + a2 * b0,
        3 => a0 * b3 + a1 * b2 + a2 * b1 + a3 * b0,
        4 => a0 * b4 + a1 * b3 + a2 * b2 + a3 * b1 + a4 * b0,
        5 => a0 * b5 + a1 * b4 + a2 * b3 + a3 * b2 + a4 * b1 + a5 * b0,
        6 => a0 * b6 + a1 * b5 + a2 * b4 + a3 * b3 + a4 * b2 + a5 * b1 + a6 * b0,
        7 => a0 * b7 + a1 * b6 + a2 * b5 + a3 * b4 + a4 * b3 + a5 * b2 + a6 * b1 + a7 * b0,
        8 => a0 * b8 + a1 * b7 + a2 * b6 + a3 * b5 + a4 * b4 + a5 * b3 + a6 * b2 + a7 * b1 + a8 * b0,
        9 => a1 * b8 + a2 * b7 + a3 * b6 + a4 * b5 + a5 * b4 + a6 * b3 + a7 * b2 + a8 * b1,
        10 => a2 * b8 + a3 * b7 + a4 * b6 + a5 * b5 + a6 * b4 + a7 * b3 + a8 * b2,
        11 => a3 * b8 + a4 * b7 + a5 * b6 + a6 * b5 + a7 * b4 + a8 * b3,
        12 => a4 * b8 + a5 * b7 + a6 * b6 + a7 * b5 + a8 * b4,
        13 => a5 * b8 + a6 * b7 + a7 * b6 + a8 * b5,
        14 => a6 * b8 + a7 * b7 + a8 * b6,
        15 => a7 * b8 + a8 * b7,
        _ => a8 * b8,
    }
}

/// The sum of all a(i) · a(j) with i + j = k; `d` is a doubled.
#[inline(always)]
#[rustfmt::skip]
fn square<W: Wide>(a: &[W; 9], d: &[W; 9], k: usize) -> W {
    let [a0, a1, a2, a3, a4, a5, a6, a7, a8] = *a;
    let [d0, d1, d2, d3, d4, d5, d6, d7, _] = *d;
    match k {
        0 => a0 * a0,
        1 => d0 * a1,
        2 => d0 * a2 + a1 * a1,
        3 => d0 * a3 + d1 * a2,
        4 => d0 * a4 + d1 * a3 + a2 * a2,
        5 => d0 * a5 + d1 * a4 + d2 * a3,
        6 => d0 * a6 + d1 * a5 + d2 * a4 + a3 * a3,
        7 => d0 * a7 + d1 * a6 + d2 * a5 + d3 * a4,
        8 => d0 * a8 + d1 * a7 + d2 * a6 + d3 * a5 + a4 * a4,
        9 => d1 * a8 + d2 * a7 + d3 * a6 + d4 * a5,
        10 => d2 * a8 + d3 * a7 + d4 * a6 + a5 * a5,
        11 => d3 * a8 + d4 * a7 + d5 * a6,
        12 => d4 * a8 + d5 * a7 + a6 * a6,
        13 => d5 * a8 + d6 * a7,
        14 => d6 * a8 + a7 * a7,
        15 => d7 * a8,
        _ => a8 * a8,
    }
}

/// Montgomery's reduction: (Σ column(k) · 2^(29 k)) / R modulo p.
///
/// Each step takes the lowest limb m of what is left and adds m · p, which makes it zero: p = 2^256 −
/// 2^224 + 2^192 + 2^96 − 1, so m goes into the third limb above, 9 bits up; into the sixth, 18 bits up;
/// out of the seventh, 21 bits up; into the eighth, 24 bits up. All limbs but the last come out within
/// 29 bits and not negative.
#[inline(always)]
fn reduce<L: Limb>(column: impl Fn(usize) -> L::Wide) -> Element<L> {
    let t = column(0);
    let (m0, c) = (t.low(), t >> BITS);
    let t = column(1) + c;
    let (m1, c) = (t.low(), t >> BITS);
    let t = column(2) + c;
    let (m2, c) = (t.low(), t >> BITS);
    let t = column(3) + c + (m0 << 9);
    let (m3, c) = (t.low(), t >> BITS);
    let t = column(4) + c + (m1 << 9);
    let (m4, c) = (t.low(), t >> BITS);
    let t = column(5) + c + (m2 << 9);
    let (m5, c) = (t.low(), t >> BITS);
    let t = column(6) + c + (m3 << 9) + (m0 << 18);
    let (m6, c) = (t.low(), t >> BITS);
    let t = column(7) + c + (m4 << 9) + (m1 << 18) - (m0 << 21);
    let (m7, c) = (t.low(), t >> BITS);
    let t = column(8) + c + (m5 << 9) + (m2 << 18) - (m1 << 21) + (m0 << 24);
    let (m8, c) = (t.low(), t >> BITS);
    let t = column(9) + c + (m6 << 9) + (m3 << 18) - (m2 << 21) + (m1 << 24);
    let (r0, c) = (t.low(), t >> BITS);
    let t = column(10) + c + (m7 << 9) + (m4 << 18) - (m3 << 21) + (m2 << 24);
    let (r1, c) = (t.low(), t >> BITS);
    let t = column(11) + c + (m8 << 9) + (m5 << 18) - (m4 << 21) + (m3 << 24);
    let (r2, c) = (t.low(), t >> BITS);
    let t = column(12) + c + (m6 << 18) - (m5 << 21) + (m4 << 24);
    let (r3, c) = (t.low(), t >> BITS);
    let t = column(13) + c + (m7 << 18) - (m6 << 21) + (m5 << 24);
    let (r4, c) = (t.low(), t >> BITS);
    let t = column(14) + c + (m8 << 18) - (m7 << 21) + (m6 << 24);
    let (r5, c) = (t.low(), t >> BITS);
    let t = column(15) + c - (m8 << 21) + (m7 << 24);
    let (r6, c) = (t.low(), t >> BITS);
    let t = column(16) + c + (m8 << 24);
    let (r7, r8) = (t.low(), t >> BITS);
    Element([r0, r1, r2, r3, r4, r5, r6, r7, r8].map(L::narrow))
}

impl Field for Field29 {
    const PAIRINGS: u32 = 2;

    /// R modulo p.
    const ONE: Self =
        Self([0x20, 0, 0, 0x1fff_c000, 0x1fff_ffff, 0x1fff_ffff, 0x1f7f_ffff, 0x3ff_ffff, 0]);

    fn from_bytes(bytes: &[u8; 32]) -> Option<Self> {
        // Arrays compare from their first element on: as big-endian numbers do.
        (*bytes < P).then(|| plain(bytes).mul(R_SQUARED))
    }

    fn to_bytes(self) -> [u8; 32] {
        let reduced = self.out_of_montgomery_form();
        if reduced.0 == plain(&P).0 {
            return [0; 32];
        }
        limbs::to_bytes(reduced.widen(), BITS)
    }

    fn is_zero(self) -> bool {
        let reduced = self.out_of_montgomery_form();
        reduced.0 == [0; 9] || reduced.0 == plain(&P).0
    }
}

/// The limbs of a number of 32 bytes, big-endian: not in Montgomery form.
fn plain(bytes: &[u8; 32]) -> Field29 {
    Element(limbs::from_bytes(bytes, BITS).map(Limb::narrow))
}
