//! In which order the places of a status list are given out: one that tells nobody outside how many
//! tokens there are, or which were issued one after the other.

use aws_lc_rs::hmac;

/// Rounds of the Feistel network: enough that the order looks random to whoever collects places.
const ROUNDS: u8 = 8;

/// A permutation of the numbers below a power of two, chosen by a key.
pub(crate) struct Permutation {
    key: hmac::Key,
    low_bits: u32,
    high_bits: u32,
}

impl Permutation {
    /// For the numbers of so many bits, 2 to 32.
    pub(crate) fn new(key: &[u8], bits: u32) -> Self {
        let low_bits = bits / 2;
        let key = hmac::Key::new(hmac::HMAC_SHA256, key);
        Self { key, low_bits, high_bits: bits - low_bits }
    }

    /// Where a number goes. Numbers that are too large are taken without their upper bits.
    pub(crate) fn at(&self, number: u32) -> u32 {
        let (low_mask, high_mask) = (mask(self.low_bits), mask(self.high_bits));
        let mut low = number & low_mask;
        let mut high = (number >> self.low_bits) & high_mask;
        // Each round changes one half by a function of the other, and can be undone: no two numbers
        // go to the same place.
        for round in 0..ROUNDS {
            if round % 2 == 0 {
                low ^= self.mix(round, high) & low_mask;
            } else {
                high ^= self.mix(round, low) & high_mask;
            }
        }
        (high << self.low_bits) | low
    }

    fn mix(&self, round: u8, half: u32) -> u32 {
        let [a, b, c, d] = half.to_be_bytes();
        let tag = hmac::sign(&self.key, &[round, a, b, c, d]);
        tag.as_ref().iter().take(4).fold(0, |word, byte| (word << 8) | u32::from(*byte))
    }
}

const fn mask(bits: u32) -> u32 {
    (1 << bits) - 1
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_number_has_a_place_of_its_own() {
        for bits in [2, 7, 12, 17] {
            let permutation = Permutation::new(&[7; 32], bits);
            let places: BTreeSet<u32> = (0..1 << bits).map(|n| permutation.at(n)).collect();
            assert_eq!(places.len(), 1 << bits);
            assert_eq!(places.last(), Some(&((1 << bits) - 1)));
        }
    }

    /// Neighbours do not stay neighbours, and another key is another order.
    #[test]
    fn the_order_tells_nothing() {
        let (one, other) = (Permutation::new(&[1; 32], 17), Permutation::new(&[2; 32], 17));
        let same = (0..10_000).filter(|n| one.at(*n) == other.at(*n)).count();
        assert!(same < 5, "{same}");
        let close = (0..10_000).filter(|n| one.at(*n).abs_diff(one.at(n + 1)) < 64).count();
        // By chance: 2 * 64 / 2^17 of them, about ten.
        assert!(close < 40, "{close}");
    }
}
