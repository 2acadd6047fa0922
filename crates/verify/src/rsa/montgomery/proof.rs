//! The proof that no sum of columns leaves 64 bits: the largest columns that there can be are added up, in
//! numbers of 128 bits, for every length of a key.

use alloc::vec;

use super::*;

/// What [`Modulus::add_rows`] makes of the columns at most, whatever the limbs are: all of its terms
/// are products and sums of numbers that are not negative, so none is larger than where every limb,
/// every factor of n, and every doubled limb of a square, is the largest.
fn add_rows_at_most(columns: &mut [u128]) {
    const PRODUCT: u128 = (MASK as u128) * (MASK as u128);
    const RANGE: u128 = 1 << 64;
    let length = columns.len() - ROWS;
    let mut carried = 0;
    for (at, column) in (0..).zip(&columns[..ROWS]) {
        // In the last product is the factor that this column's sum decides; so each sum is looked
        // at with it, which is the more.
        let sum = column + carried + (3 * at + 3) * PRODUCT;
        assert!(sum < RANGE);
        carried = sum >> BITS;
    }
    for at in 0..length {
        // What is above the highest limb has fewer products.
        columns[at] = columns[at + ROWS] + carried + 12 * PRODUCT;
        carried = 0;
        assert!(columns[at] < RANGE);
    }
    columns[length..].fill(0);
}

/// No sum of columns leaves 64 bits, in no length that there is, with the carries where they are.
#[test]
fn columns_fit() {
    for length in (76..=296).step_by(ROWS) {
        let mut columns = vec![0; length + ROWS];
        for block in 0..length / ROWS {
            if block % BLOCKS_BEFORE_CARRY == BLOCKS_BEFORE_CARRY - 1 {
                let mut carry = 0;
                for column in &mut columns {
                    assert!(*column + carry < 1 << 64);
                    carry = (*column + carry) >> BITS;
                    *column = u128::from(MASK);
                }
            }
            add_rows_at_most(&mut columns);
        }
        // The last carry.
        columns.iter().fold(0, |carry, column| {
            assert!(*column + carry < 1 << 64);
            (*column + carry) >> BITS
        });
    }
}

/// The proof can fail: three more blocks are too many.
#[test]
#[should_panic(expected = "< RANGE")]
fn columns_without_carries() {
    let mut columns = vec![0; 296 + ROWS];
    for _ in 0..BLOCKS_BEFORE_CARRY + 3 {
        add_rows_at_most(&mut columns);
    }
}

/// The model is one of this code: it is never exceeded, and with limbs of ones it is nearly reached.
#[test]
fn columns_are_at_most_the_models() {
    let length = 76;
    let modulus = Modulus {
        limbs: vec![low(MASK); length],
        // This is no inverse, but makes all factors of n large.
        negative_inverse: low(MASK),
        r_squared: Vec::new(),
        bytes: Vec::new(),
    };
    // The limbs of a square, doubled.
    let b = vec![2 * low(MASK); length];
    let (mut columns, mut most) = (vec![0; length + ROWS], vec![0; length + ROWS]);
    for _ in 0..BLOCKS_BEFORE_CARRY - 1 {
        modulus.add_rows([MASK; ROWS], &b, 0, &mut columns);
        add_rows_at_most(&mut most);
        assert!(columns.iter().zip(&most).all(|(column, most)| u128::from(*column) <= *most));
    }
    let (largest, most) = (columns.iter().max().unwrap(), most.iter().max().unwrap());
    assert!(u128::from(*largest) > most / 2, "{largest} of {most}");
}
