//! The proof that no limb of [`super::field29`] leaves its type: its code, and the formulas for points,
//! run on intervals instead of numbers. Each operation gives the smallest interval that has all its
//! results, and panics where that does not fit: into 64 bits for sums of products, into 32 for limbs.
//!
//! What a formula is given are the widest intervals that it ever gets. They are invariants: what comes
//! out, in any order and however often, lies within them again, and that is checked too.

use core::ops::{Add, Mul, Shl, Shr, Sub};

use super::{
    field::Ring as _,
    field29::{Element, Limb, Wide},
    point::{Affine, Jacobian},
};

/// All integers from `low` to `high`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Interval {
    low: i128,
    high: i128,
}

/// One that fits into 32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct LimbInterval(Interval);

impl Interval {
    fn new(low: i128, high: i128) -> Self {
        assert!(low <= high);
        assert!(low >= i128::from(i64::MIN) && high <= i128::from(i64::MAX), "{low} to {high}");
        Self { low, high }
    }

    const fn is_within(self, other: Self) -> bool {
        other.low <= self.low && self.high <= other.high
    }
}

impl Add for Interval {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self::new(self.low + other.low, self.high + other.high)
    }
}

impl Sub for Interval {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self::new(self.low - other.high, self.high - other.low)
    }
}

impl Mul for Interval {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        let ends = [self.low, self.high].map(|a| [a * other.low, a * other.high]);
        let ends = ends.concat();
        Self::new(*ends.iter().min().unwrap(), *ends.iter().max().unwrap())
    }
}

impl Shl<u32> for Interval {
    type Output = Self;
    fn shl(self, bits: u32) -> Self {
        Self::new(self.low << bits, self.high << bits)
    }
}

impl Shr<u32> for Interval {
    type Output = Self;
    fn shr(self, bits: u32) -> Self {
        Self::new(self.low >> bits, self.high >> bits)
    }
}

impl Wide for Interval {
    fn low_bits(self, count: u32) -> Self {
        Self::new(0, (1 << count) - 1)
    }
}

impl LimbInterval {
    fn new(low: i128, high: i128) -> Self {
        Self::narrow(Interval::new(low, high))
    }
}

impl Limb for LimbInterval {
    type Wide = Interval;

    fn widen(self) -> Interval {
        self.0
    }

    fn narrow(wide: Interval) -> Self {
        let limits = Interval::new(i128::from(i32::MIN), i128::from(i32::MAX));
        assert!(wide.is_within(limits), "{wide:?}");
        Self(wide)
    }
}

impl Add for LimbInterval {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self::narrow(self.0 + other.0)
    }
}

impl Sub for LimbInterval {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self::narrow(self.0 - other.0)
    }
}

type Numbers = Element<LimbInterval>;

fn is_within(inner: Numbers, outer: Numbers) -> bool {
    inner.0.iter().zip(outer.0).all(|(inner, outer)| inner.0.is_within(outer.0))
}

/// Eight limbs of 29 bits, and a last one of at most so many units.
fn carried(last: i128) -> Numbers {
    let limb = LimbInterval::new(0, (1 << 29) - 1);
    let mut limbs = [limb; 9];
    limbs[8] = LimbInterval::new(-last, last);
    Element(limbs)
}

/// What the last limb of a coordinate is at most in size, where p's is 2^24.
const LAST: i128 = 1 << 25;

fn coordinate() -> Numbers {
    carried(LAST)
}

#[track_caller]
fn assert_coordinate(number: Numbers) {
    assert!(is_within(number, coordinate()), "{number:?}");
}

/// Products of coordinates, and of their sums and differences, are coordinates; so are carried ones.
#[test]
fn products() {
    let a = coordinate();
    assert_coordinate(a.mul(a));
    assert_coordinate(a.square());
    assert_coordinate(a.sub(a).square());
    assert_coordinate(a.add(a).mul(a));
    assert_coordinate(Numbers::mul_sub(a, a, a, a));
    // What numbers are made from: any 256 bits, and what the reduction out of Montgomery's form takes.
    let bytes = carried((1 << 24) - 1);
    assert_coordinate(bytes.mul(bytes));
    assert_coordinate(a.carry());
}

#[test]
fn sums_of_points() {
    let zero = Element([LimbInterval::new(0, 0); 9]);
    let point = Affine { x: coordinate(), y: coordinate() };
    assert_coordinate(point.negated_if(true, zero).y);
    let sum = point.add_given(point, coordinate());
    assert_coordinate(sum.x);
    assert_coordinate(sum.y);
    // What is inverted are differences of such x.
    assert_coordinate(coordinate().mul(point.x.sub(point.x)));

    let sum = Jacobian { x: coordinate(), y: coordinate(), z: coordinate() };
    for sum in [sum.add_affine(point), sum.double()] {
        assert_coordinate(sum.x);
        assert_coordinate(sum.y);
        assert_coordinate(sum.z);
    }
}

/// What the verdict compares, and the curve's equation.
#[test]
fn comparisons() {
    let (a, product) = (coordinate(), coordinate().mul(coordinate()));
    // `is_zero` carries what it is given: it is then less than R = 2^29 · 2^232 in size, so that the
    // reduction ends at p.
    let below_r = |number: Numbers| assert_coordinate(number.carry());
    below_r(product.sub(a));
    below_r(a);
    below_r(a.sub(a));
    let three = a.add(a).add(a).carry();
    below_r(a.square().mul(a).sub(three).add(a).carry().sub(a.square()));
}

/// The proof can fail: without the carry, limbs get too long.
#[test]
#[should_panic(expected = "to ")]
fn without_carries() {
    let a = coordinate();
    let long = a.add(a).add(a);
    let _ = long.mul(long);
}
