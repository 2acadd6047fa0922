//! RSA keys of small primes, which sign anything in no time.
//!
//! No verifier can see of which primes a modulus is made. With primes below 2^62, raising to the private
//! exponent takes a few products of words for each, and the Chinese remainder theorem puts the results
//! together. So tests have keys of every length, and signatures of whatever should be signed: forged
//! paddings too. Such a key protects nothing.

use num_bigint::BigUint;

use super::random::Random;

/// A key, with what it takes to sign.
#[derive(Debug)]
pub struct SmoothKey {
    /// n.
    pub modulus: BigUint,
    parts: Vec<Part>,
}

/// What is to be known of a prime factor of the modulus.
#[derive(Debug)]
struct Part {
    prime: u64,
    /// 1/e modulo prime − 1.
    exponent: u64,
    /// 1 modulo the prime, and 0 modulo all others.
    basis: BigUint,
}

const E: u64 = 65_537;

impl SmoothKey {
    /// A key with a modulus of so many bits and the exponent 65537.
    pub fn new(bits: u64, random: &mut Random) -> Self {
        let mut primes: Vec<u64> = Vec::new();
        let mut modulus = BigUint::from(1_u8);
        while bits - modulus.bits() > 120 {
            let prime = prime(60, &primes, random);
            modulus *= prime;
            primes.push(prime);
        }
        // The last two share what is left, until the product has the right length.
        let left = bits - modulus.bits();
        let (one, other) = loop {
            let one = prime(left / 2, &primes, random);
            let other = prime(left - left / 2 + 1, &primes, random);
            if one != other && (&modulus * one * other).bits() == bits {
                break (one, other);
            }
        };
        primes.extend([one, other]);
        modulus *= u128::from(one) * u128::from(other);
        let parts = primes.iter().map(|prime| Part::new(*prime, &modulus)).collect();
        Self { modulus, parts }
    }

    /// n as bytes, big-endian.
    pub fn modulus_bytes(&self) -> Vec<u8> {
        self.modulus.to_bytes_be()
    }

    /// The signature whose power is this encoded message, in as many bytes as the modulus has; `None`
    /// unless the message is below the modulus.
    pub fn sign(&self, encoded: &[u8]) -> Option<Vec<u8>> {
        let message = BigUint::from_bytes_be(encoded);
        (message < self.modulus).then(|| self.padded(&self.root(&message)))
    }

    fn root(&self, message: &BigUint) -> BigUint {
        let of_part = |part: &Part| {
            let rest = u64::try_from(message % part.prime).unwrap();
            &part.basis * power(rest, part.exponent, part.prime)
        };
        self.parts.iter().map(of_part).sum::<BigUint>() % &self.modulus
    }

    /// A number in as many bytes as the modulus has.
    pub fn padded(&self, number: &BigUint) -> Vec<u8> {
        let bytes = number.to_bytes_be();
        let length = usize::try_from(self.modulus.bits().div_ceil(8)).unwrap();
        [vec![0; length - bytes.len()], bytes].concat()
    }
}

impl Part {
    fn new(prime: u64, modulus: &BigUint) -> Self {
        let others = modulus / prime;
        let rest = u64::try_from(&others % prime).unwrap();
        let inverse = power(rest, prime - 2, prime);
        // e · d = 1 + k (prime − 1), for the k below e with which that is divisible by e.
        let order = u128::from(prime - 1);
        let k = (1..E).find(|k| (1 + u128::from(*k) * order) % u128::from(E) == 0).unwrap();
        let exponent = u64::try_from((1 + u128::from(k) * order) / u128::from(E)).unwrap();
        Self { prime, exponent, basis: others * inverse }
    }
}

/// A prime of so many bits that is not among the others, and by which e can be inverted.
fn prime(bits: u64, others: &[u64], random: &mut Random) -> u64 {
    loop {
        let number = random.number() >> (64 - bits) | 1 << (bits - 1) | 1;
        if !others.contains(&number) && !(number - 1).is_multiple_of(E) && is_prime(number) {
            return number;
        }
    }
}

fn product(a: u64, b: u64, modulus: u64) -> u64 {
    u64::try_from(u128::from(a) * u128::from(b) % u128::from(modulus)).unwrap()
}

fn power(mut base: u64, mut exponent: u64, modulus: u64) -> u64 {
    let mut power = 1;
    while exponent > 0 {
        if exponent & 1 == 1 {
            power = product(power, base, modulus);
        }
        base = product(base, base, modulus);
        exponent >>= 1;
    }
    power
}

/// Miller and Rabin's test, with the bases that suffice below 2^64 (Sorenson and Webster, 2015).
fn is_prime(number: u64) -> bool {
    const BASES: [u64; 12] = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37];
    if BASES.iter().any(|prime| number.is_multiple_of(*prime)) {
        return BASES.contains(&number);
    }
    let twos = (number - 1).trailing_zeros();
    BASES.iter().all(|base| {
        let mut x = power(*base, (number - 1) >> twos, number);
        x == 1
            || (0..twos).any(|_| {
                let found = x == number - 1;
                x = product(x, x, number);
                found
            })
    })
}
