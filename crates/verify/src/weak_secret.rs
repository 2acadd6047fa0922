//! Secrets that somebody made up (RFC 7518 §3.2, RFC 8725 §3.5).
//!
//! Nobody can tell a random secret by looking at it, but these cannot be one: each rule hits a
//! random secret, even one written in hexadecimal digits, less often than once in a million.

/// RFC 7518 §3.2: a key for HS256 is as long as the hash.
const MIN_BYTES: usize = 32;

/// A random secret has more different bytes.
const MIN_DIFFERENT: usize = 8;

/// `aaaaaaaaa`, `123456789`, and what was filled up with zeros.
const LONGEST_SEQUENCE: usize = 8;

/// Words of examples and of people, in lower case. Base64 text has one of them by chance about once
/// in nine million secrets.
const WORDS: [&str; 16] = [
    "change-me",
    "change_me",
    "changeit",
    "changeme",
    "correct horse",
    "correcthorse",
    "example",
    "insecure",
    "keyboard",
    "letmein",
    "passphrase",
    "password",
    "qwerty",
    "secret",
    "shhhhh",
    "whatever",
];

/// Whether a secret is too short or cannot be random.
pub(crate) fn is_weak(secret: &[u8]) -> bool {
    secret.len() < MIN_BYTES
        || has_few_values(secret)
        || repeats_itself(secret)
        || has_sequence(secret)
        || has_word(secret)
}

fn has_few_values(secret: &[u8]) -> bool {
    let mut seen = [false; 256];
    for byte in secret {
        if let Some(seen) = seen.get_mut(usize::from(*byte)) {
            *seen = true;
        }
    }
    seen.iter().filter(|seen| **seen).count() < MIN_DIFFERENT
}

/// A unit shorter than [`MIN_BYTES`], over and over again.
fn repeats_itself(secret: &[u8]) -> bool {
    let longest = (secret.len() / 2).min(MIN_BYTES - 1);
    (1..=longest).any(|unit| secret.iter().zip(secret.iter().skip(unit)).all(|(a, b)| a == b))
}

/// More than [`LONGEST_SEQUENCE`] bytes in a row, each as far from the one before it as that is from
/// its own: equal, ascending or descending.
fn has_sequence(secret: &[u8]) -> bool {
    let mut length = 0;
    let mut last_step = None;
    for (before, byte) in secret.iter().zip(secret.iter().skip(1)) {
        let step = Some(byte.wrapping_sub(*before));
        length = if step == last_step { length + 1 } else { 2 };
        last_step = step;
        if length > LONGEST_SEQUENCE {
            return true;
        }
    }
    false
}

fn has_word(secret: &[u8]) -> bool {
    let has = |word: &str| {
        secret.windows(word.len().max(1)).any(|found| found.eq_ignore_ascii_case(word.as_bytes()))
    };
    WORDS.iter().copied().any(has)
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};

    use super::*;

    #[test]
    fn made_up_secrets_are_weak() {
        for secret in [
            &b"secret"[..],
            &[7; 31],
            &[0; 32],
            &[0xff; 64],
            b"your-256-bit-secret",
            b"a-string-secret-at-least-256-bits-long",
            b"a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long",
            b"this is a PASSWORD that is long enough",
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345",
            b"0123456789abcdef0123456789abcdef",
            b"f4b9d2c7f4b9d2c7f4b9d2c7f4b9d2c7",
            b"x7Kq2mZ9\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
            b"00000000000000000000000000x7Kq2mZ9",
            b"ababababcabababacbababababcababa",
            b"keyboard cat keyboard cat keyboard cat",
            b"changeme-changeme-changeme-changeme!",
        ] {
            assert!(is_weak(secret), "{:?}", core::str::from_utf8(secret));
        }
        let mut counting = [0; 32];
        for (byte, value) in counting.iter_mut().zip(0_u8..) {
            *byte = value;
        }
        assert!(is_weak(&counting));
    }

    /// Secrets as programs make them: raw bytes, and the same as hexadecimal digits.
    #[test]
    fn random_secrets_are_not() {
        for seed in 0_u32..20_000 {
            let raw: [u8; 32] = Sha256::digest(seed.to_be_bytes()).into();
            assert!(!is_weak(&raw), "{seed}");
            let mut hex = [0; 64];
            for (pair, byte) in hex.chunks_exact_mut(2).zip(raw) {
                for (digit, half) in pair.iter_mut().zip([byte >> 4, byte & 15]) {
                    *digit = b"0123456789abcdef"[usize::from(half)];
                }
            }
            assert!(!is_weak(&hex), "{seed}");
            assert!(!is_weak(&hex[..32]), "{seed}");
        }
    }
}
