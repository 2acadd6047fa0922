//! s^65537 modulo n, fast, for public numbers.
//!
//! Numbers are in limbs of 28 bits, so that sums of many products of limbs fit into 64 bits, and carries
//! wait: Montgomery's multiplication adds up whole columns, four rows at a time, and carries once at its
//! end. With R = 2^(28 L) > 4 n, whatever is below 2 n stays below 2 n, without comparing.

#[cfg(test)]
mod proof;
#[cfg(test)]
mod tests;

use alloc::{vec, vec::Vec};

const BITS: usize = 28;
const MASK: u64 = (1 << BITS) - 1;

/// Rows that are added at a time. The number of limbs is a multiple of it.
const ROWS: usize = 4;

/// How many times four rows are added before columns are carried in between: each time adds four products
/// below 2^57, one factor doubled, and four below 2^56 to a column, and 20 times that, with what a carry
/// leaves and with what the lowest columns carry into the next, is below 2^64. A test proves it.
const BLOCKS_BEFORE_CARRY: usize = 20;

/// A modulus, and what Montgomery's multiplication needs to know of it.
#[derive(Clone, Debug)]
pub(super) struct Modulus {
    limbs: Vec<u32>,
    /// −1/n modulo 2^28.
    negative_inverse: u32,
    /// R² modulo n.
    r_squared: Vec<u32>,
    /// Big-endian, without leading zeros.
    bytes: Vec<u8>,
}

impl Modulus {
    /// For an odd number, big-endian without leading zeros, of 2048 bits or more.
    pub(super) fn new(bytes: &[u8]) -> Self {
        let bits = bit_length(bytes);
        let length = (bits + 2).div_ceil(BITS).next_multiple_of(ROWS);
        let limbs = from_bytes(bytes, length);
        let lowest = limbs.first().copied().unwrap_or(1);
        // Newton: n · n ≡ 1 modulo 8, and each step doubles the bits that are right.
        let mut inverse = lowest;
        for _ in 0..4 {
            inverse = inverse.wrapping_mul(2_u32.wrapping_sub(lowest.wrapping_mul(inverse)));
        }
        let negative_inverse = inverse.wrapping_neg() & low(MASK);
        let mut modulus =
            Self { limbs, negative_inverse, r_squared: Vec::new(), bytes: bytes.to_vec() };
        modulus.r_squared = modulus.compute_r_squared(bits);
        modulus
    }

    /// n, big-endian, without leading zeros.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many bits n has.
    pub(super) fn bits(&self) -> usize {
        bit_length(&self.bytes)
    }

    /// s^65537 modulo n as bytes of n's length; `None` unless s is below n (RFC 8017 §5.2.2 step 1).
    pub(super) fn power_65537(&self, s: &[u8]) -> Option<Vec<u8>> {
        // Of the same length, arrays of bytes compare as numbers do.
        if s.len() != self.bytes.len() || s >= &self.bytes[..] {
            return None;
        }
        let mut columns = vec![0; self.limbs.len() + ROWS];
        let s = from_bytes(s, self.limbs.len());
        let mut power = s.clone();
        self.multiply(&mut power, &self.r_squared, &mut columns);
        for _ in 0..16 {
            self.square(&mut power, &mut columns);
        }
        // The last factor is not in Montgomery form: that takes the product out of it.
        self.multiply(&mut power, &s, &mut columns);
        self.subtract_once(&mut power);
        Some(to_bytes(&power, self.bytes.len()))
    }

    /// a² / R modulo n, below 2 n, into a.
    ///
    /// Products of different blocks of limbs come twice, so each is computed once, with one factor doubled.
    fn square(&self, a: &mut [u32], columns: &mut [u64]) {
        let mut b: Vec<u32> = a.iter().map(|limb| limb << 1).collect();
        let (factors, _) = b.as_chunks_mut::<ROWS>();
        columns.fill(0);
        let (rows, _) = a.as_chunks::<ROWS>();
        for (block, rows) in rows.iter().enumerate() {
            carry_in_time(block, columns);
            // What is below was multiplied with this block before; the block itself comes once.
            if let Some(before) = block.checked_sub(1).and_then(|before| factors.get_mut(before)) {
                *before = [0; ROWS];
            }
            if let Some(own) = factors.get_mut(block) {
                *own = *rows;
            }
            self.add_rows(rows.map(u64::from), factors.as_flattened(), block * ROWS, columns);
        }
        take(a, columns);
    }

    /// a · b / R modulo n, below 2 n, into a. `columns` has room for four limbs more than numbers have.
    fn multiply(&self, a: &mut [u32], b: &[u32], columns: &mut [u64]) {
        columns.fill(0);
        let (rows, _) = a.as_chunks::<ROWS>();
        for (block, rows) in rows.iter().enumerate() {
            carry_in_time(block, columns);
            self.add_rows(rows.map(u64::from), b, 0, columns);
        }
        take(a, columns);
    }

    /// Adds b times four limbs, and n so often that the four lowest columns become zero, which are
    /// dropped: all others move down by four. So many of b's lowest limbs are zero.
    #[inline(never)]
    fn add_rows(
        &self,
        [a0, a1, a2, a3]: [u64; ROWS],
        b: &[u32],
        zeros: usize,
        columns: &mut [u64],
    ) {
        let first = |limbs: &[u32]| limbs.first_chunk().copied().unwrap_or_default().map(u64::from);
        let ([b0, b1, b2, b3], [n0, n1, n2, n3]): ([u64; ROWS], [u64; ROWS]) =
            (first(b), first(&self.limbs));
        let [c0, c1, c2, c3] = columns.first_chunk().copied().unwrap_or_default();
        let factor = |column: u64| ((column & MASK) * u64::from(self.negative_inverse)) & MASK;

        let t = c0 + a0 * b0;
        let m0 = factor(t);
        let t = c1 + ((t + m0 * n0) >> BITS) + a0 * b1 + a1 * b0 + m0 * n1;
        let m1 = factor(t);
        let t = c2 + ((t + m1 * n0) >> BITS) + a0 * b2 + a1 * b1 + a2 * b0 + m0 * n2 + m1 * n1;
        let m2 = factor(t);
        let t = c3 + ((t + m2 * n0) >> BITS) + a0 * b3 + a1 * b2 + a2 * b1 + a3 * b0;
        let t = t + m0 * n3 + m1 * n2 + m2 * n1;
        let m3 = factor(t);
        let mut carried = (t + m3 * n0) >> BITS;

        // Each column has limbs of b and n from four places: they move on, one at a time.
        let (mut b1, mut b2, mut b3) = (b3, b2, b1);
        let (mut n1, mut n2, mut n3) = (n3, n2, n1);
        let column = |b: [u64; 4], n: [u64; 4]| {
            let ([b0, b1, b2, b3], [n0, n1, n2, n3]) = (b, n);
            a0 * b0 + a1 * b1 + a2 * b2 + a3 * b3 + m0 * n0 + m1 * n1 + m2 * n2 + m3 * n3
        };
        let cells = core::cell::Cell::from_mut(columns).as_slice_of_cells();
        let moves = || cells.iter().skip(ROWS).zip(cells.iter());
        let zeros = zeros.saturating_sub(ROWS);
        for (n, (from, to)) in self.limbs.iter().skip(ROWS).zip(moves()).take(zeros) {
            let n0 = u64::from(*n);
            to.set(from.get() + carried + m0 * n0 + m1 * n1 + m2 * n2 + m3 * n3);
            carried = 0;
            (n1, n2, n3) = (n0, n1, n2);
        }
        let limbs = b.iter().zip(&self.limbs).skip(ROWS + zeros);
        for ((b, n), (from, to)) in limbs.zip(moves().skip(zeros)) {
            let (b0, n0) = (u64::from(*b), u64::from(*n));
            to.set(from.get() + carried + column([b0, b1, b2, b3], [n0, n1, n2, n3]));
            carried = 0;
            (b1, b2, b3) = (b0, b1, b2);
            (n1, n2, n3) = (n0, n1, n2);
        }
        // What is above the highest limb.
        let above = [
            column([0, b1, b2, b3], [0, n1, n2, n3]),
            column([0, 0, b1, b2], [0, 0, n1, n2]),
            column([0, 0, 0, b1], [0, 0, 0, n1]),
            0,
        ];
        let high = cells.len().saturating_sub(2 * ROWS);
        for (to, above) in cells.iter().skip(high).zip(above) {
            to.set(above);
        }
        for (to, from) in cells.iter().skip(high).zip(cells.iter().skip(high + ROWS)) {
            to.set(to.get() + from.replace(0));
        }
    }

    /// R² modulo n, limb by limb as in long division: cheaper than by squarings, since each limb costs one
    /// row.
    fn compute_r_squared(&self, bits: usize) -> Vec<u32> {
        // The highest power of 2^28 below n.
        let mut number = vec![0; self.limbs.len()];
        let start = (bits - 1) / BITS;
        if let Some(limb) = number.get_mut(start) {
            *limb = 1;
        }
        // 2^31 to 2^32 − 1.
        let top = bits_from(&self.limbs, bits - 32);
        for _ in start..2 * self.limbs.len() {
            // The quotient of number · 2^28 by n is below 2^28, and `top` is 2^31 or more: what is found here
            // is not more than it, and less by at most 9/8, rounding included.
            let quotient = bits_from(&number, bits - 60).checked_div(top + 1).unwrap_or_default();
            self.shift_and_subtract(&mut number, quotient);
        }
        number
    }

    /// The number times 2^28 less so often n, where that is not negative and below 2 n; below n.
    fn shift_and_subtract(&self, number: &mut [u32], times: u64) {
        let (mut below, mut borrow) = (0, 0);
        for (limb, own) in number.iter_mut().zip(&self.limbs) {
            // Products are below 2^56.
            let difference = i64::from(below) - (times * u64::from(*own)).cast_signed() + borrow;
            below = *limb;
            *limb = low(difference.cast_unsigned() & MASK);
            borrow = difference >> BITS;
        }
        self.subtract_once(number);
    }

    /// Takes n away where the number is not below it.
    fn subtract_once(&self, number: &mut [u32]) {
        if number.iter().rev().lt(self.limbs.iter().rev()) {
            return;
        }
        let mut borrow = 0;
        for (limb, own) in number.iter_mut().zip(&self.limbs) {
            let difference = limb.wrapping_sub(own + borrow);
            *limb = difference & low(MASK);
            borrow = difference >> 31;
        }
    }
}

/// Before a block's rows are added, wherever columns would get too long.
fn carry_in_time(block: usize, columns: &mut [u64]) {
    if block % BLOCKS_BEFORE_CARRY == BLOCKS_BEFORE_CARRY - 1 {
        carry(columns);
    }
}

/// The limbs of the number that the columns are.
fn take(limbs: &mut [u32], columns: &mut [u64]) {
    carry(columns);
    for (limb, column) in limbs.iter_mut().zip(columns.iter()) {
        *limb = low(*column);
    }
}

/// Brings each column within 28 bits. The number fits: it is below R · 2^(28 · 4).
fn carry(columns: &mut [u64]) {
    let mut carry = 0;
    for column in columns {
        let sum = *column + carry;
        *column = sum & MASK;
        carry = sum >> BITS;
    }
}

/// The bits of a number from this place on, which are less than 64.
fn bits_from(limbs: &[u32], place: usize) -> u64 {
    let limbs = limbs.iter().skip(place / BITS).take(4).rev();
    let bits = limbs.fold(0_u128, |bits, limb| bits << BITS | u128::from(*limb)) >> (place % BITS);
    u64::try_from(bits).unwrap_or_default()
}

fn bit_length(bytes: &[u8]) -> usize {
    let zeros = bytes.first().map_or(0, |first| first.leading_zeros());
    (bytes.len() * 8).saturating_sub(zeros as usize)
}

fn from_bytes(bytes: &[u8], length: usize) -> Vec<u32> {
    let mut bytes = bytes.iter().rev();
    let (mut held, mut bits) = (0_u64, 0);
    let mut limb = || {
        while bits < BITS {
            held |= u64::from(bytes.next().copied().unwrap_or_default()) << bits;
            bits += 8;
        }
        let limb = low(held & MASK);
        held >>= BITS;
        bits -= BITS;
        limb
    };
    (0..length).map(|_| limb()).collect()
}

fn to_bytes(limbs: &[u32], length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    let mut limbs = limbs.iter();
    let (mut held, mut bits) = (0_u64, 0);
    for byte in bytes.iter_mut().rev() {
        if bits < 8 {
            held |= u64::from(limbs.next().copied().unwrap_or_default()) << bits;
            bits += BITS;
        }
        *byte = held.to_le_bytes()[0];
        held >>= 8;
        bits -= 8;
    }
    bytes
}

#[allow(clippy::cast_possible_truncation, reason = "the low bits are meant")]
const fn low(wide: u64) -> u32 {
    wide as u32
}
