//! NumericDate (RFC 7519 §2): seconds since the epoch, fractions allowed.

use crate::{
    UnixSeconds,
    jose::json::{Number, Value},
};

/// The last second of the year 9999. Later dates are mistakes (milliseconds, overflow).
const MAX: u64 = 253_402_300_799;

/// Reads a NumericDate, rounded up to the next whole second.
///
/// Rounding up is exact for clocks of whole seconds: `now < 1.5` and `now < 2` say the same.
/// `None` for strings, booleans, null, negative numbers and dates after the year 9999.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "the value is between 0 and 2^38, checked before"
)]
pub fn from_json(value: &Value) -> Option<UnixSeconds> {
    let Value::Number(number) = value else {
        return None;
    };
    let seconds = match *number {
        Number::Unsigned(seconds) => seconds,
        Number::Negative(_) => return None,
        // NaN fails the comparison.
        Number::Float(seconds) if (0.0..=MAX as f64).contains(&seconds) => {
            let whole = seconds as u64;
            if (whole as f64) < seconds { whole + 1 } else { whole }
        }
        Number::Float(_) => return None,
    };
    (seconds <= MAX).then_some(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::json;

    fn read(text: &str) -> Option<u64> {
        from_json(&json::parse(text.as_bytes()).unwrap())
    }

    #[test]
    fn numbers_with_and_without_fraction() {
        for (text, expected) in [
            ("0", Some(0)),
            ("1500000000", Some(1_500_000_000)),
            ("1.5e9", Some(1_500_000_000)),
            ("1500000000.25", Some(1_500_000_001)),
            ("1500000000.0", Some(1_500_000_000)),
            ("-0.0", Some(0)),
            ("253402300799", Some(MAX)),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    /// RFC 7519 §2 and the mistakes of well-known libraries.
    #[test]
    fn everything_else_is_refused() {
        for text in [
            "-1",
            "-0.5",
            "253402300800",
            "1e300",
            "18446744073709551615",
            "\"1500000000\"",
            "true",
            "null",
            "[1500000000]",
            "{}",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
