//! Points of the curve y² = x³ − 3 x + b, and their sums.
//!
//! The formulas are those for two different points that are not each other's negative. Where they are
//! not different, or a sum is the point at infinity, the result has z = 0, or a batch says that it
//! failed: whoever adds must ask. See [`super`] for why that suffices.

use alloc::{vec, vec::Vec};

use super::field::{Field, Ring, batch_invert};

/// A point by its coordinates. The point at infinity has none.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Affine<F> {
    pub(crate) x: F,
    pub(crate) y: F,
}

/// A point (x/z², y/z³).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Jacobian<F> {
    pub(crate) x: F,
    pub(crate) y: F,
    pub(crate) z: F,
}

impl<F: Ring> Affine<F> {
    /// The sum, given 1/(x₂ − x₁): the chord through both points.
    #[inline(always)]
    pub(crate) fn add_given(self, other: Self, inverse: F) -> Self {
        let slope = other.y.sub(self.y).mul(inverse);
        let x = slope.square().sub(self.x).sub(other.x).carry();
        let y = slope.mul(self.x.sub(x)).sub(self.y).carry();
        Self { x, y }
    }

    pub(crate) fn negated_if(self, negate: bool, zero: F) -> Self {
        if negate { Self { x: self.x, y: zero.sub(self.y).carry() } } else { self }
    }
}

impl<F: Ring> Jacobian<F> {
    pub(crate) const fn new(point: Affine<F>, one: F) -> Self {
        Self { x: point.x, y: point.y, z: one }
    }

    /// Twice the point ("dbl-2001-b" of the Explicit-Formulas Database, with Z₃ = 2 Y Z).
    pub(crate) fn double(self) -> Self {
        let Self { x, y, z } = self;
        let delta = z.square();
        let gamma = y.square();
        let beta = x.mul(gamma);
        let difference = x.sub(delta).mul(x.add(delta));
        let alpha = difference.add(difference).add(difference).carry();
        let beta2 = beta.add(beta).carry();
        let beta4 = beta2.add(beta2).carry();
        let gamma2 = gamma.add(gamma).carry();
        let x3 = alpha.square().sub(beta4).sub(beta4).carry();
        // α (4 β − x₃) − 8 γ².
        let y3 = F::mul_sub(alpha, beta4.sub(x3), gamma2.add(gamma2), gamma2);
        Self { x: x3, y: y3, z: y.add(y).mul(z) }
    }

    /// The sum with a point of the table ("madd" of Cohen, Miyaji and Ono).
    #[inline(always)]
    pub(crate) fn add_affine(self, other: Affine<F>) -> Self {
        let Self { x, y, z } = self;
        let z_squared = z.square();
        let h = other.x.mul(z_squared).sub(x);
        let r = other.y.mul(z.mul(z_squared)).sub(y);
        let h_squared = h.square();
        let h_cubed = h.mul(h_squared);
        let v = x.mul(h_squared);
        let x3 = r.square().sub(h_cubed).sub(v).sub(v).carry();
        let y3 = F::mul_sub(r, v.sub(x3), y, h_cubed);
        Self { x: x3, y: y3, z: z.mul(h) }
    }
}

/// Adds `ours[i]` and `others[i]` for all i, by one inversion for all. `false`: a sum was none for these
/// formulas, and nothing is to be relied on. `scratch` has twice as many places.
pub(crate) fn add_all<F: Field>(
    ours: &mut [Affine<F>],
    others: &[Affine<F>],
    scratch: &mut [F],
) -> bool {
    let Some((differences, scratch)) = scratch.split_at_mut_checked(ours.len().min(others.len()))
    else {
        return false;
    };
    for ((difference, our), other) in differences.iter_mut().zip(ours.iter()).zip(others) {
        *difference = other.x.sub(our.x);
    }
    let is_good = batch_invert(differences, scratch);
    for ((our, other), inverse) in ours.iter_mut().zip(others).zip(differences) {
        *our = our.add_given(*other, *inverse);
    }
    is_good
}

/// The coordinates of all points; `None` if one of them is at infinity.
pub(crate) fn to_affine<F: Field>(points: &[Jacobian<F>]) -> Option<Vec<Affine<F>>> {
    let mut inverses: Vec<F> = points.iter().map(|point| point.z).collect();
    let mut scratch = vec![F::default(); inverses.len()];
    batch_invert(&mut inverses, &mut scratch).then(|| {
        let affine = |(point, inverse): (&Jacobian<F>, &F)| {
            let squared = inverse.square();
            let (x, y) = (point.x.mul(squared), point.y.mul(squared.mul(*inverse)));
            Affine { x, y }
        };
        points.iter().zip(&inverses).map(affine).collect()
    })
}

/// b of the curve, big-endian.
pub(super) const B: [u8; 32] = [
    0x5a, 0xc6, 0x35, 0xd8, 0xaa, 0x3a, 0x93, 0xe7, 0xb3, 0xeb, 0xbd, 0x55, 0x76, 0x98, 0x86, 0xbc,
    0x65, 0x1d, 0x06, 0xb0, 0xcc, 0x53, 0xb0, 0xf6, 0x3b, 0xce, 0x3c, 0x3e, 0x27, 0xd2, 0x60, 0x4b,
];

/// The generator's coordinates, big-endian.
pub(super) const GENERATOR: ([u8; 32], [u8; 32]) = (
    [
        0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5, 0x63, 0xa4, 0x40,
        0xf2, 0x77, 0x03, 0x7d, 0x81, 0x2d, 0xeb, 0x33, 0xa0, 0xf4, 0xa1, 0x39, 0x45, 0xd8, 0x98,
        0xc2, 0x96,
    ],
    [
        0x4f, 0xe3, 0x42, 0xe2, 0xfe, 0x1a, 0x7f, 0x9b, 0x8e, 0xe7, 0xeb, 0x4a, 0x7c, 0x0f, 0x9e,
        0x16, 0x2b, 0xce, 0x33, 0x57, 0x6b, 0x31, 0x5e, 0xce, 0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf,
        0x51, 0xf5,
    ],
);

impl<F: Field> Affine<F> {
    /// The point with these coordinates, if it is on the curve.
    pub(crate) fn from_bytes(x: &[u8; 32], y: &[u8; 32]) -> Option<Self> {
        let (x, y, b) = (F::from_bytes(x)?, F::from_bytes(y)?, F::from_bytes(&B)?);
        let three_x = x.add(x).add(x).carry();
        let right = x.square().mul(x).sub(three_x).add(b).carry();
        right.sub(y.square()).is_zero().then_some(Self { x, y })
    }

    /// The group's generator. `None` never: a test has it.
    pub(crate) fn generator() -> Option<Self> {
        Self::from_bytes(&GENERATOR.0, &GENERATOR.1)
    }
}
