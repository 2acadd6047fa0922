//! ECDSA verification on P-256 by tables of multiples.
//!
//! Verifying (SEC 1 §4.1.4) asks whether the x of u₁ G + u₂ Q is r modulo n. The generator G is the same
//! for all keys, and a key Q stays for weeks: with the multiples of both in tables, the sum takes some
//! 75 additions and no doubling. `docs/verify.md` has the mathematics.
//!
//! **Exceptions.** The fast formulas add different points. Where equal or opposite ones meet, they come
//! out as 0/0; that is noticed, the answer is [`None`], and the reference decides. Among multiples of G
//! alone, or of Q alone, none meet: see `docs/verify.md`. A multiple of G meets one of Q where somebody
//! knows log Q, which is the private key. So nobody can make this happen often, and nothing depends on
//! that.

#[cfg(fuzzing)]
pub(crate) mod both;
mod field;
#[cfg(any(test, fuzzing, not(target_pointer_width = "64")))]
mod field29;
#[cfg(any(test, fuzzing, target_pointer_width = "64"))]
mod field64;
mod inverse;
mod limbs;
mod point;
#[cfg(test)]
mod proof;
mod scalar;
mod table;
#[cfg(test)]
mod tests;

use self::{
    point::{Affine, Jacobian, add_all},
    scalar::Scalar,
    table::Table,
};

/// The numbers of this target: wasm32 has no product of 128 bits.
#[cfg(target_pointer_width = "64")]
type Field = field64::Field64;
#[cfg(not(target_pointer_width = "64"))]
type Field = field29::Field29;

/// Bits of the generator's windows: 32 of them with 128 points.
const GENERATOR_WIDTH: u32 = 8;

/// Bits of a key's windows: 43 of them with 32 points.
const KEY_WIDTH: u32 = 6;

/// Bits of the windows for the self-test's key, which is used twice: 64 of them with 8 points.
const SELF_TEST_WIDTH: u32 = 4;

/// What the documentation promises.
const _: () = assert!(KeyTable::SIZE <= 100_000 && Generator::SIZE <= 300_000);

/// Most points that are summed: 32 and 64.
const MAX_POINTS: usize = 96;

/// The table of the group's generator. About 300 KB in wasm32, 260 KB elsewhere.
#[derive(Debug)]
pub(crate) struct Generator(Table<Field>);

impl Generator {
    /// The bytes that its points take.
    pub(crate) const SIZE: usize = table::size::<Field>(GENERATOR_WIDTH);

    /// Computes it. `None` never: a test has it.
    pub(crate) fn new() -> Option<Self> {
        Affine::generator().and_then(|point| Table::new(point, GENERATOR_WIDTH)).map(Self)
    }
}

/// The table of a public key. About 100 KB in wasm32, 90 KB elsewhere.
#[derive(Debug)]
pub(crate) struct KeyTable(Table<Field>);

impl KeyTable {
    /// The bytes that the points of [`Self::new`] take.
    pub(crate) const SIZE: usize = table::size::<Field>(KEY_WIDTH);

    /// Computes it from the coordinates; `None` when they are no point of the curve.
    pub(crate) fn new(x: &[u8; 32], y: &[u8; 32]) -> Option<Self> {
        Self::with_width(x, y, KEY_WIDTH)
    }

    /// A small table, soon made, for a few verifications.
    pub(crate) fn small(x: &[u8; 32], y: &[u8; 32]) -> Option<Self> {
        Self::with_width(x, y, SELF_TEST_WIDTH)
    }

    fn with_width(x: &[u8; 32], y: &[u8; 32], width: u32) -> Option<Self> {
        Affine::from_bytes(x, y).and_then(|point| Table::new(point, width)).map(Self)
    }

    /// Whether `r` and `s` are this key's signature of a message with this digest. `None`: these
    /// formulas cannot tell.
    pub(crate) fn verify(
        &self,
        generator: &Generator,
        digest: &[u8; 32],
        r: &[u8; 32],
        s: &[u8; 32],
    ) -> Option<bool> {
        verify(&self.0, &generator.0, digest, r, s)
    }
}

/// SEC 1 §4.1.4, steps 1 to 8.
fn verify<F: field::Field>(
    key: &Table<F>,
    generator: &Table<F>,
    digest: &[u8; 32],
    r_bytes: &[u8; 32],
    s: &[u8; 32],
) -> Option<bool> {
    let (Some(r), Some(s)) = (Scalar::of_signature(r_bytes), Scalar::of_signature(s)) else {
        return Some(false);
    };
    let inverse = s.invert().to_factor();
    let u1 = Scalar::of_digest(digest).times(inverse);
    let u2 = r.times(inverse);

    let mut points = [Affine::<F>::default(); MAX_POINTS];
    let mut count = 0;
    let mut take = |point| {
        if let Some(place) = points.get_mut(count) {
            *place = point;
        }
        count += 1;
    };
    generator.multiply(u1, &mut take);
    key.multiply(u2, &mut take);
    let sum = sum(points.get_mut(..count)?)?;
    if sum.z.is_zero() {
        return None;
    }
    // x = X/Z², so r ≡ x modulo n means X = r Z² or X = (r + n) Z², if that is below p: no division.
    let z_squared = sum.z.square();
    let is_x = |candidate: F| candidate.mul(z_squared).sub(sum.x).is_zero();
    let above = || scalar::plus_order(r_bytes).and_then(|bytes| F::from_bytes(&bytes));
    Some(F::from_bytes(r_bytes).is_some_and(is_x) || above().is_some_and(is_x))
}

/// The sum of all; `None` if the formulas failed, or there is nothing.
fn sum<F: field::Field>(mut points: &mut [Affine<F>]) -> Option<Jacobian<F>> {
    let mut scratch = [F::default(); MAX_POINTS];
    for _ in 0..F::PAIRINGS {
        // The first half and the second, without the one that is left between them.
        let half = points.len() / 2;
        let (ours, others) = points.split_at_mut(points.len() - half);
        if !add_all(ours.get_mut(..half)?, others, &mut scratch) {
            return None;
        }
        points = ours;
    }
    let (first, rest) = points.split_first()?;
    let first = Jacobian::new(*first, F::ONE);
    Some(rest.iter().fold(first, |sum, point| sum.add_affine(*point)))
}
