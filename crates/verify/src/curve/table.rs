//! A point's table: all multiples that a scalar's windows can ask for, so that a multiplication takes
//! additions only.
//!
//! A scalar below 2^255 is written with signed digits of w bits, Σ digit(i) · 2^(w i) with −2^(w−1) <
//! digit ≤ 2^(w−1); window i of the table has 1, 2 … 2^(w−1) times 2^(w i) · P, by coordinates.

use alloc::{boxed::Box, vec, vec::Vec};

use super::{
    field::Field,
    point::{Affine, Jacobian, add_all, to_affine},
    scalar::Scalar,
};

/// The multiples of one point, window by window.
#[derive(Debug)]
pub(crate) struct Table<F> {
    /// w, in bits.
    width: u32,
    points: Box<[Affine<F>]>,
}

/// How many windows cover 255 bits and the last carry.
const fn windows(width: u32) -> u32 {
    256_u32.div_ceil(width)
}

/// The bytes that the points of a table take.
pub(super) const fn size<F>(width: u32) -> usize {
    (windows(width) << (width - 1)) as usize * size_of::<Affine<F>>()
}

impl<F: Field> Table<F> {
    /// The table of a point of the curve with windows of 2 to 8 bits. `None`: the point has too small an
    /// order, so it is none of this curve.
    pub(crate) fn new(point: Affine<F>, width: u32) -> Option<Self> {
        let per_window = 1_usize << (width - 1);
        let first = Jacobian::new(point, F::ONE);
        let doublings = core::iter::successors(Some(first), |point| Some(point.double()));
        let doublings: Vec<_> = doublings.take((windows(width) * width) as usize).collect();
        let doublings = to_affine(&doublings)?;
        let bases = doublings.chunks(width as usize);
        let mut points = vec![Affine::default(); bases.len() * per_window].into_boxed_slice();
        // The powers of two are there already.
        for (window, powers) in points.chunks_mut(per_window).zip(bases.clone()) {
            for (power, point) in powers.iter().enumerate() {
                if let Some(place) = window.get_mut((1 << power) - 1) {
                    *place = *point;
                }
            }
        }
        // From 1 … m − 1 and m to m + 1 … 2 m − 1, in all windows at once.
        for power in 1..width - 1 {
            let m = 1_usize << power;
            let count = bases.len() * (m - 1);
            let (mut sums, mut others) = (Vec::with_capacity(count), Vec::with_capacity(count));
            for window in points.chunks(per_window) {
                let (below, from_m) = window.split_at_checked(m - 1)?;
                sums.extend_from_slice(below);
                others.extend(from_m.first().into_iter().cycle().take(below.len()));
            }
            let mut scratch = vec![F::default(); 2 * sums.len()];
            if !add_all(&mut sums, &others, &mut scratch) {
                return None;
            }
            for (window, sums) in points.chunks_mut(per_window).zip(sums.chunks(m - 1)) {
                for (place, sum) in window.iter_mut().skip(m).zip(sums) {
                    *place = *sum;
                }
            }
        }
        Some(Self { width, points })
    }

    #[cfg(test)]
    pub(super) fn size(&self) -> usize {
        size_of_val(&*self.points)
    }

    /// Gives `take` the points whose sum is `scalar` times the point, at most one for each window.
    #[inline(always)]
    pub(crate) fn multiply(&self, scalar: Scalar, mut take: impl FnMut(Affine<F>)) {
        let (scalar, negate) = scalar.smaller_of_both();
        let half = 1_u32 << (self.width - 1);
        let mut carry = 0;
        let mut at = 0;
        for window in self.points.chunks_exact(half as usize) {
            let digit = scalar.bits(at, self.width) + carry;
            at += self.width;
            let is_negative = digit > half;
            carry = u32::from(is_negative);
            let size = if is_negative { 2 * half - digit } else { digit };
            // None for the digit 0.
            let point = size.checked_sub(1).and_then(|place| window.get(place as usize));
            if let Some(point) = point {
                take(point.negated_if(is_negative != negate, F::default()));
            }
        }
    }
}
