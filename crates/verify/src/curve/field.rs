//! What the curve needs of numbers modulo p = 2^256 − 2^224 + 2^192 + 2^96 − 1 (SP 800-186 §3.2.1.3).
//!
//! Two implementations: [`super::field29`] for 32-bit multipliers (wasm32 has no 64 × 64 → 128), and
//! [`super::field64`] for 64-bit ones.

/// Arithmetic without a question asked: the formulas for points need no more. Proofs run them on
/// something else than numbers.
pub(crate) trait Ring: Copy {
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    fn square(self) -> Self;
    /// `a · b − c · d`.
    fn mul_sub(a: Self, b: Self, c: Self, d: Self) -> Self;
    /// The same number, ready to be an operand again after some additions. Nothing, where additions
    /// do that themselves.
    fn carry(self) -> Self;
}

/// Numbers modulo p.
pub(crate) trait Field: Ring + Default + core::fmt::Debug {
    const ONE: Self;

    /// How often points are summed in pairs by their coordinates, with one inversion for all pairs,
    /// before the rest is summed one by one. Pays where an inversion costs less than the multiplications
    /// that it saves: measured.
    const PAIRINGS: u32;

    /// From 32 bytes, big-endian; `None` unless below p.
    fn from_bytes(bytes: &[u8; 32]) -> Option<Self>;

    /// The one number below p that this is, big-endian.
    fn to_bytes(self) -> [u8; 32];

    fn is_zero(self) -> bool;

    /// The inverse; zero for zero. In variable time.
    fn invert(self) -> Self {
        let inverse = super::inverse::modulo_p(&self.to_bytes());
        Self::from_bytes(&inverse).unwrap_or_default()
    }
}

/// p, big-endian.
pub(crate) const P: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
];

/// Replaces each number by its inverse, by one inversion for all (Montgomery's trick). `false`: one of
/// them is zero, and nothing is to be relied on. `scratch` is as long as `values`.
pub(crate) fn batch_invert<F: Field>(values: &mut [F], scratch: &mut [F]) -> bool {
    let mut product = F::ONE;
    for (value, before) in values.iter().zip(scratch.iter_mut()) {
        *before = product;
        product = product.mul(*value);
    }
    let mut inverse = product.invert();
    for (value, before) in values.iter_mut().zip(scratch.iter()).rev() {
        let own = inverse.mul(*before);
        inverse = inverse.mul(*value);
        *value = own;
    }
    !product.is_zero()
}
