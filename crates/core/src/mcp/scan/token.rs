//! Numbers and the three literal names (RFC 8259 §3, §6).

use crate::Reason;

/// A literal name of which some was read: what is left of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Literal(&'static [u8]);

impl Literal {
    pub(super) const fn beginning_with(byte: u8) -> Option<Self> {
        match byte {
            b't' => Some(Self(b"rue")),
            b'f' => Some(Self(b"alse")),
            b'n' => Some(Self(b"ull")),
            _ => None,
        }
    }

    /// Reads on: what is left, `None` when it has ended, and what follows.
    pub(super) fn read(self, mut rest: &[u8]) -> Result<(Option<Self>, &[u8]), Reason> {
        let mut left = self.0;
        while let (Some((wanted, left_after)), Some((found, after))) =
            (left.split_first(), rest.split_first())
        {
            if wanted != found {
                return Err(Reason::MessageMalformed);
            }
            (left, rest) = (left_after, after);
        }
        Ok(((!left.is_empty()).then_some(Self(left)), rest))
    }
}

/// Whether a byte may stand in a number.
pub(super) const fn in_number(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'.' | b'-' | b'+' | b'e' | b'E')
}

/// Whether this is a number without exponent and of so few digits that it is in any reader's range.
pub(super) fn is_plain_number(text: &[u8]) -> bool {
    let digits = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let unsigned = text.strip_prefix(b"-").unwrap_or(text);
    let point = unsigned.iter().position(|byte| *byte == b'.').unwrap_or(unsigned.len());
    let (whole, fraction) = unsigned.split_at(point);
    text.len() <= 300
        && digits(whole)
        && (whole.len() == 1 || !whole.starts_with(b"0"))
        && fraction.strip_prefix(b".").is_none_or(digits)
}
