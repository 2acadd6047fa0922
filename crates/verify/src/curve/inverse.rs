//! Inverses modulo p and modulo the group's order n, in variable time.
//!
//! Bernstein and Yang, "Fast constant-time gcd computation and modular inversion" (TCHES 2019), in the
//! form without constant time: the division steps are computed on the lowest 30 bits of f and g, 30 at
//! a time, skipping zeros, and applied to the whole numbers as one matrix of small integers.

use super::limbs;

/// Bits for which division steps are computed at once, and bits in a limb.
const STEP: u32 = 30;
const MASK: i64 = (1 << STEP) - 1;

/// After so many division steps g is zero, for numbers of 256 bits: ⌊(49 · 256 + 57)/17⌋ (theorem 11.2).
const MAX_STEPS: u32 = 741;

/// A number in nine limbs of 30 bits, least significant first. All are from 0 to 2^30 − 1, but for the
/// last, which has the sign.
type Signed = [i64; 9];

/// An odd modulus.
pub(super) struct Modulus {
    pub(super) limbs: Signed,
    /// Its inverse modulo 2^30.
    pub(super) inverse: i64,
}

pub(super) const P: Modulus = Modulus::new(&super::field::P, 0x3fff_ffff);
pub(super) const N: Modulus = Modulus::new(&super::scalar::N, 0x11ff_43b1);

/// The inverse modulo p of a number below p, both big-endian; zero for zero.
pub(crate) fn modulo_p(number: &[u8; 32]) -> [u8; 32] {
    P.invert(number)
}

/// The inverse modulo n of a number below n, both big-endian; zero for zero.
pub(crate) fn modulo_n(number: &[u8; 32]) -> [u8; 32] {
    N.invert(number)
}

/// 2^30 times the matrix that so many division steps apply to (f, g).
#[derive(Clone, Copy)]
struct Matrix {
    u: i64,
    v: i64,
    q: i64,
    r: i64,
}

impl Modulus {
    const fn new(bytes: &[u8; 32], inverse: i64) -> Self {
        Self { limbs: limbs::from_bytes(bytes, STEP), inverse }
    }

    fn invert(&self, number: &[u8; 32]) -> [u8; 32] {
        // d · number ≡ f and e · number ≡ g, modulo the modulus, all the time.
        let (mut d, mut e) = ([0; 9], [0; 9]);
        if let Some(lowest) = e.first_mut() {
            *lowest = 1;
        }
        let (mut f, mut g) = (self.limbs, limbs::from_bytes(number, STEP));
        let mut eta = -1;
        for _ in 0..MAX_STEPS.div_ceil(STEP) {
            if g == [0; 9] {
                break;
            }
            let matrix;
            (eta, matrix) = division_steps(eta, lowest(&f), lowest(&g));
            (d, e) = self.apply(&d, &e, matrix);
            (f, g) = apply(&f, &g, matrix);
        }
        // f is the greatest common divisor, or its negative.
        let is_negative = f.last().is_some_and(|limb| *limb < 0);
        self.bytes(d, is_negative)
    }

    /// The matrix times (d, e), divided by 2^30 modulo the modulus. Both stay above −2 · modulus and
    /// below the modulus.
    fn apply(&self, d: &Signed, e: &Signed, Matrix { u, v, q, r }: Matrix) -> (Signed, Signed) {
        let sign = |number: &Signed| number.last().map_or(0, |limb| limb >> 63);
        let (d_sign, e_sign) = (sign(d), sign(e));
        // A negative one is taken with the modulus added.
        let mut d_factor = (u & d_sign) + (v & e_sign);
        let mut e_factor = (q & d_sign) + (r & e_sign);
        let (d0, e0, m0) = (lowest(d), lowest(e), lowest(&self.limbs));
        let (mut new_d, mut new_e) = (u * d0 + v * e0, q * d0 + r * e0);
        // And so often more that the lowest 30 bits are zero.
        d_factor -= (self.inverse * (new_d & MASK) + d_factor) & MASK;
        e_factor -= (self.inverse * (new_e & MASK) + e_factor) & MASK;
        new_d = (new_d + m0 * d_factor) >> STEP;
        new_e = (new_e + m0 * e_factor) >> STEP;
        let (mut d_out, mut e_out) = ([0; 9], [0; 9]);
        let limbs = d.iter().zip(e).zip(&self.limbs).skip(1);
        for (((d, e), m), (d_out, e_out)) in limbs.zip(d_out.iter_mut().zip(&mut e_out)) {
            new_d += u * d + v * e + m * d_factor;
            new_e += q * d + r * e + m * e_factor;
            (*d_out, *e_out) = (new_d & MASK, new_e & MASK);
            new_d >>= STEP;
            new_e >>= STEP;
        }
        set_last(&mut d_out, new_d);
        set_last(&mut e_out, new_e);
        (d_out, e_out)
    }

    /// The number, or its negative, as what it is from 0 to the modulus.
    fn bytes(&self, mut number: Signed, negate: bool) -> [u8; 32] {
        if negate {
            number = number.map(|limb| -limb);
        }
        number = carry(number);
        for _ in 0..2 {
            if number.last().is_none_or(|limb| *limb >= 0) {
                break;
            }
            for (limb, own) in number.iter_mut().zip(&self.limbs) {
                *limb += own;
            }
            number = carry(number);
        }
        // Above the modulus by less than itself, if at all: it was below 2 · modulus in size.
        let mut less = number;
        for (limb, own) in less.iter_mut().zip(&self.limbs) {
            *limb -= own;
        }
        less = carry(less);
        let is_less = less.last().is_some_and(|limb| *limb < 0);
        limbs::to_bytes(if is_less { number } else { less }, STEP)
    }
}

/// 30 division steps on the lowest bits of f and g. `eta` is the negative of the paper's δ.
fn division_steps(mut eta: i32, f: i64, g: i64) -> (i32, Matrix) {
    let (mut f, mut g) = (low_word(f), low_word(g));
    let (mut u, mut v, mut q, mut r) = (1_u32, 0_u32, 0_u32, 1_u32);
    let mut left = STEP;
    loop {
        // Steps at which g is even only halve it.
        let zeros = (g | (u32::MAX << left)).trailing_zeros();
        g >>= zeros;
        (u, v) = (u << zeros, v << zeros);
        left -= zeros;
        eta -= zeros.cast_signed();
        if left == 0 {
            let [u, v, q, r] = [u, v, q, r].map(|entry| i64::from(entry.cast_signed()));
            return (eta, Matrix { u, v, q, r });
        }
        if eta < 0 {
            eta = -eta;
            (f, g) = (g, f.wrapping_neg());
            (u, q) = (q, u.wrapping_neg());
            (v, r) = (r, v.wrapping_neg());
        }
        // f may be added for so many steps before they would be exchanged again; so often that as many
        // bits of g become zero, six at most: f · (f² − 2) is −1/f modulo 64.
        let steps = (eta.unsigned_abs() + 1).min(left).min(6);
        let factor = g.wrapping_mul(f).wrapping_mul(f.wrapping_mul(f).wrapping_sub(2));
        let factor = factor & ((1 << steps) - 1);
        g = g.wrapping_add(f.wrapping_mul(factor));
        q = q.wrapping_add(u.wrapping_mul(factor));
        r = r.wrapping_add(v.wrapping_mul(factor));
    }
}

/// The matrix times (f, g), divided by 2^30: the lowest 30 bits of both are zero.
fn apply(f: &Signed, g: &Signed, Matrix { u, v, q, r }: Matrix) -> (Signed, Signed) {
    let (f0, g0) = (lowest(f), lowest(g));
    let (mut new_f, mut new_g) = ((u * f0 + v * g0) >> STEP, (q * f0 + r * g0) >> STEP);
    let (mut f_out, mut g_out) = ([0; 9], [0; 9]);
    for ((f, g), (f_out, g_out)) in f.iter().zip(g).skip(1).zip(f_out.iter_mut().zip(&mut g_out)) {
        new_f += u * f + v * g;
        new_g += q * f + r * g;
        (*f_out, *g_out) = (new_f & MASK, new_g & MASK);
        new_f >>= STEP;
        new_g >>= STEP;
    }
    set_last(&mut f_out, new_f);
    set_last(&mut g_out, new_g);
    (f_out, g_out)
}

fn lowest(number: &Signed) -> i64 {
    number.first().copied().unwrap_or_default()
}

fn set_last(number: &mut Signed, limb: i64) {
    if let Some(last) = number.last_mut() {
        *last = limb;
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the low bits are meant"
)]
const fn low_word(limb: i64) -> u32 {
    limb as u32
}

/// Brings all limbs but the last to where they belong.
fn carry(mut number: Signed) -> Signed {
    let mut carry = 0;
    for limb in number.iter_mut().take(8) {
        let sum = *limb + carry;
        *limb = sum & MASK;
        carry = sum >> STEP;
    }
    if let Some(last) = number.last_mut() {
        *last += carry;
    }
    number
}
