//! UTF-8 in parts: a character may begin in one and end in the next.

use crate::Reason;

/// The character that the last part ended within.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Utf8 {
    begun: [u8; 4],
    length: usize,
}

impl Utf8 {
    /// Whether the last part ended between two characters.
    pub(super) const fn is_complete(&self) -> bool {
        self.length == 0
    }

    /// The next byte of the character, and the character if that was its last.
    pub(super) fn push(&mut self, byte: u8) -> Result<Option<char>, Reason> {
        *self.begun.get_mut(self.length).ok_or(Reason::MessageMalformed)? = byte;
        self.length += 1;
        let begun = self.begun.get(..self.length).unwrap_or_default();
        match core::str::from_utf8(begun) {
            Ok(text) => {
                self.length = 0;
                Ok(text.chars().next())
            }
            Err(error) if error.error_len().is_none() => Ok(None),
            Err(_) => Err(Reason::MessageMalformed),
        }
    }

    /// The whole characters that a part begins with. What is left of it is the beginning of one that
    /// the next part ends, or else the error.
    pub(super) fn whole<'a>(&mut self, part: &'a [u8]) -> (&'a [u8], Result<(), Reason>) {
        let Err(error) = core::str::from_utf8(part) else {
            return (part, Ok(()));
        };
        let (whole, begun) = part.split_at_checked(error.valid_up_to()).unwrap_or((part, &[]));
        if error.error_len().is_some() {
            return (whole, Err(Reason::MessageMalformed));
        }
        let pushed = begun.iter().try_for_each(|byte| self.push(*byte).map(|_| ()));
        (whole, pushed)
    }
}
