//! The proof that no limb of [`super::field29`] leaves its type: its code, and the formulas for points,
//! run on intervals instead of numbers. Each operation gives the smallest interval that has all its
//! results, and panics where that does not fit: into 64 bits for sums of products, into 32 for limbs.
//!
//! What a formula is given are the widest intervals that it ever gets. They are invariants: what comes
//! out, in any order and however often, lies within them again, and that is checked too. So each formula
//! is proven once, for all places where it is used; beside that, tables are made and signatures verified
//! on intervals, by the same code as on numbers, so that no use of a formula is left out.

use alloc::vec::Vec;
use core::ops::{Add, Mul, Shl, Shr, Sub};

use super::{
    GENERATOR_WIDTH, KEY_WIDTH, SELF_TEST_WIDTH,
    field::{Field, Ring as _, batch_invert},
    field29::{Element, Field29, Limb, R_SQUARED, Wide},
    point::{Affine, Jacobian, to_affine},
    scalar::Scalar,
    table::Table,
};

/// All integers from `low` to `high`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Interval {
    low: i128,
    high: i128,
}

/// One that fits into 32 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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

/// What may come where numbers are asked about: they answer as most numbers do.
impl Field for Numbers {
    const ONE: Self = coordinate();
    const PAIRINGS: u32 = Field29::PAIRINGS;

    /// Any number; the constant that it is multiplied by is within these, a test says.
    fn from_bytes(_: &[u8; 32]) -> Option<Self> {
        Some(any_bytes().mul(any_bytes()))
    }

    fn to_bytes(self) -> [u8; 32] {
        assert!(!self.is_zero());
        [1; 32]
    }

    /// Nothing is known to be zero. What is asked about comes out of Montgomery's form as less than R =
    /// 2^29 · 2^232 in size, so that the reduction ends from 0 to p, and there is one spelling of zero and
    /// one of p.
    fn is_zero(self) -> bool {
        assert_coordinate(self.carry());
        let reduced = self.out_of_montgomery_form();
        assert!(is_within(reduced, coordinate()));
        false
    }
}

fn is_within(inner: Numbers, outer: Numbers) -> bool {
    inner.0.iter().zip(outer.0).all(|(inner, outer)| inner.0.is_within(outer.0))
}

/// Eight limbs of 29 bits, and a last one of at most so many units.
const fn carried(last: i128) -> Numbers {
    let limb = LimbInterval(Interval { low: 0, high: (1 << 29) - 1 });
    let mut limbs = [limb; 9];
    limbs[8] = LimbInterval(Interval { low: -last, high: last });
    Element(limbs)
}

/// What the last limb of a coordinate is at most in size, where p's is 2^24.
const LAST: i128 = 1 << 25;

const fn coordinate() -> Numbers {
    carried(LAST)
}

/// The limbs of any 32 bytes.
const fn any_bytes() -> Numbers {
    carried((1 << 24) - 1)
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
    assert_coordinate(any_bytes().mul(any_bytes()));
    assert_coordinate(a.carry());
}

/// The constants are numbers like all others.
#[test]
fn constants() {
    let exactly = |Element(limbs): Field29| {
        Element(limbs.map(|limb| LimbInterval::new(i128::from(limb), i128::from(limb))))
    };
    assert_coordinate(exactly(Field29::ONE));
    assert!(is_within(exactly(R_SQUARED), any_bytes()));
    assert!(is_within(exactly(Field29::default()), coordinate()));
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

/// One inversion for many: of the differences of x, and of z.
#[test]
fn inversions() {
    let difference = coordinate().sub(coordinate());
    for value in [coordinate(), difference] {
        let mut values = [value; 3];
        assert!(batch_invert(&mut values, &mut [Numbers::default(); 3]));
        values.into_iter().for_each(assert_coordinate);
    }
    let sum = Jacobian { x: coordinate(), y: coordinate(), z: coordinate() };
    for Affine { x, y } in to_affine(&[sum; 3]).unwrap() {
        assert_coordinate(x);
        assert_coordinate(y);
    }
}

/// What the verdict compares, and the curve's equation: [`Field::is_zero`] asserts.
#[test]
fn comparisons() {
    let (a, product) = (coordinate(), coordinate().mul(coordinate()));
    assert!(!product.sub(a).is_zero());
    assert!(!a.is_zero());
    // Nothing is zero, so no point is on the curve.
    assert!(Affine::<Numbers>::from_bytes(&[1; 32], &[1; 32]).is_none());
}

/// All of it, as it is used: the tables, their points, the sum in pairs and one by one, the comparisons
/// with r and with r + n.
#[test]
fn a_verification() {
    let point = Affine { x: coordinate(), y: coordinate() };
    let generator = Table::<Numbers>::new(point, GENERATOR_WIDTH).unwrap();
    let mut r = [0; 32];
    r[31] = 5;
    for width in [KEY_WIDTH, SELF_TEST_WIDTH] {
        let key = Table::new(point, width).unwrap();
        for seed in [1, 0x7f, 0xa5] {
            let mut points = Vec::new();
            key.multiply(Scalar::of_digest(&[seed; 32]), |point| points.push(point));
            for Affine { x, y } in points {
                assert_coordinate(x);
                assert_coordinate(y);
            }
            let verdict = super::verify(&key, &generator, &[seed; 32], &r, &[seed; 32]);
            assert_eq!(verdict, Some(false));
        }
    }
}

/// The proof can fail: without the carry, limbs get too long.
#[test]
#[should_panic(expected = "to ")]
fn without_carries() {
    let a = coordinate();
    let long = a.add(a).add(a);
    let _ = long.mul(long);
}
