//! Strings (RFC 8259 §7): unescaped as they come, in whatever parts.

use alloc::vec::Vec;

use super::names::MAX_NAMES_BYTES;
use crate::Reason;

/// A string of which some was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Text {
    pub(super) is_name: bool,
    /// How long the buffer may get that it is kept in; `None` where it is not kept.
    pub(super) limit: Option<usize>,
    /// It is longer than that.
    is_longer: bool,
    escape: Escape,
}

/// What stands since the last backslash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Escape {
    None,
    Begun,
    /// After `\u`: so many digits, of this value, behind this high surrogate.
    Hex {
        digits: u8,
        value: u16,
        high: Option<u16>,
    },
    /// A high surrogate; a low one must follow.
    High(u16),
    /// A high surrogate and a backslash.
    HighBegun(u16),
}

impl Text {
    /// A member's name, behind the names that are kept already.
    pub(super) const fn name() -> Self {
        Self { is_name: true, ..Self::value(Some(MAX_NAMES_BYTES)) }
    }

    pub(super) const fn value(limit: Option<usize>) -> Self {
        Self { is_name: false, limit, is_longer: false, escape: Escape::None }
    }

    /// Reads on: whether the string ended, and what follows. What is to be kept goes to `kept`.
    pub(super) fn read<'a>(
        &mut self,
        mut rest: &'a [u8],
        kept: &mut Vec<u8>,
    ) -> Result<(bool, &'a [u8]), Reason> {
        loop {
            if self.escape == Escape::None {
                let (run, after) = rest.split_at_checked(plain(rest)).unwrap_or((rest, &[]));
                self.keep(run, kept)?;
                rest = after;
            }
            let Some((&byte, after)) = rest.split_first() else {
                return Ok((false, rest));
            };
            rest = after;
            match (self.escape, byte) {
                (Escape::None, b'"') => return Ok((true, rest)),
                (Escape::None, b'\\') => self.escape = Escape::Begun,
                (Escape::None, _) => return Err(Reason::MessageMalformed),
                (escape, byte) => self.unescape(escape, byte, kept)?,
            }
        }
    }

    /// The string that ended, which is in `kept`: `None` if nobody asked for it, `Some(None)` if it
    /// is longer than was asked for.
    pub(super) fn kept(self, kept: &[u8]) -> Result<Option<Option<&str>>, Reason> {
        match (self.limit, self.is_longer) {
            (None, _) => Ok(None),
            (Some(_), true) => Ok(Some(None)),
            (Some(_), false) => core::str::from_utf8(kept)
                .map(|text| Some(Some(text)))
                .map_err(|_| Reason::MessageMalformed),
        }
    }

    fn keep(&mut self, bytes: &[u8], kept: &mut Vec<u8>) -> Result<(), Reason> {
        let Some(limit) = self.limit.filter(|_| !self.is_longer) else {
            return Ok(());
        };
        if bytes.len() <= limit.saturating_sub(kept.len()) {
            kept.extend_from_slice(bytes);
            return Ok(());
        }
        self.is_longer = true;
        if self.is_name { Err(Reason::MessageExcessive) } else { Ok(()) }
    }

    fn keep_character(&mut self, character: char, kept: &mut Vec<u8>) -> Result<(), Reason> {
        self.escape = Escape::None;
        self.keep(character.encode_utf8(&mut [0; 4]).as_bytes(), kept)
    }

    fn unescape(&mut self, escape: Escape, byte: u8, kept: &mut Vec<u8>) -> Result<(), Reason> {
        let first = |high| Escape::Hex { digits: 0, value: 0, high };
        match (escape, byte) {
            (Escape::Begun, b'u') => self.escape = first(None),
            (Escape::Begun, b'"' | b'\\' | b'/') => {
                return self.keep_character(char::from(byte), kept);
            }
            (Escape::Begun, b'b') => return self.keep_character('\u{8}', kept),
            (Escape::Begun, b'f') => return self.keep_character('\u{c}', kept),
            (Escape::Begun, b'n') => return self.keep_character('\n', kept),
            (Escape::Begun, b'r') => return self.keep_character('\r', kept),
            (Escape::Begun, b't') => return self.keep_character('\t', kept),
            (Escape::High(high), b'\\') => self.escape = Escape::HighBegun(high),
            (Escape::HighBegun(high), b'u') => self.escape = first(Some(high)),
            (Escape::Hex { digits, value, high }, _) => {
                let digit = char::from(byte).to_digit(16).ok_or(Reason::MessageMalformed)?;
                let value = (value << 4) | u16::try_from(digit).unwrap_or_default();
                self.escape = Escape::Hex { digits: digits + 1, value, high };
                if digits == 3 {
                    return self.code_unit(value, high, kept);
                }
            }
            _ => return Err(Reason::MessageMalformed),
        }
        Ok(())
    }

    /// Four digits are there: a character, or one half of one.
    fn code_unit(
        &mut self,
        unit: u16,
        high: Option<u16>,
        kept: &mut Vec<u8>,
    ) -> Result<(), Reason> {
        if high.is_none() && (0xd800..0xdc00).contains(&unit) {
            self.escape = Escape::High(unit);
            return Ok(());
        }
        let units = high.into_iter().chain([unit]);
        let mut characters = char::decode_utf16(units);
        match (characters.next(), characters.next()) {
            (Some(Ok(character)), None) => self.keep_character(character, kept),
            _ => Err(Reason::MessageMalformed),
        }
    }
}

/// How many bytes there are before the first that is no plain part of a string: a quotation mark, a
/// backslash or a control character. Eight at a time: this is where bodies spend their bytes.
pub(super) fn plain(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    // The lowest of its high bits that is set stands for the first byte that is zero; those above
    // may be wrong.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word;
    let (words, tail) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let quote = zeros(word ^ (ONES * 0x22));
        let backslash = zeros(word ^ (ONES * 0x5c));
        let control = word.wrapping_sub(ONES * 0x20) & !word;
        let found = (quote | backslash | control) & HIGHS;
        if found != 0 {
            let byte = usize::try_from(found.trailing_zeros() / 8).unwrap_or_default();
            return index * 8 + byte;
        }
    }
    let special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
    bytes.len() - tail.len() + tail.iter().position(special).unwrap_or(tail.len())
}

#[cfg(test)]
mod tests {
    use super::plain;

    /// Each byte at each place, with each neighbour that could borrow from it.
    #[test]
    fn plain_bytes_end_at_the_first_that_is_not() {
        for special in 0..=u8::MAX {
            let stops = matches!(special, b'"' | b'\\' | 0..0x20);
            for at in 0..20 {
                for around in [b'a', 0x20, 0x21, 0x23, 0x5b, 0x5d, 0x7f, 0x80, 0xff] {
                    let mut bytes = [around; 21];
                    bytes[at] = special;
                    assert_eq!(plain(&bytes), if stops { at } else { 21 }, "{special} at {at}");
                    bytes[20] = b'"';
                    assert_eq!(plain(&bytes), if stops { at } else { 20 }, "{special} at {at}");
                }
            }
        }
    }
}
