//! The member names of the objects that are open, to find those that occur twice.
//!
//! They are kept as they are, not as digests: no two names can be made that are taken for one, and
//! none that are missed. So memory has to be bounded otherwise: an object that is open has at most
//! [`MAX_NAMES`] names together with those around it, of [`MAX_NAMES_BYTES`] in all. A request that
//! goes beyond is refused with [`Reason::MessageExcessive`]; one object of a tool's arguments with
//! ten thousand members of 25 bytes still passes. They are compared when their object ends, sorted,
//! so that no choice of names makes it slow.

use alloc::vec::Vec;

use crate::Reason;

/// Most names in open objects.
pub(super) const MAX_NAMES: usize = 16_384;

/// Most bytes of names in open objects, unescaped.
pub(super) const MAX_NAMES_BYTES: usize = 262_144;

/// So many names are compared each with each: sorting them would take longer.
const FEW: usize = 8;

/// The names of all objects that are open, the outermost first.
#[derive(Debug, Default)]
pub(super) struct Names {
    bytes: Vec<u8>,
    /// Start and end of each.
    names: Vec<(u32, u32)>,
}

/// Where an object's names begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    names: usize,
    bytes: usize,
}

impl Names {
    /// The place of an object that begins here.
    pub(super) fn mark(&self) -> Mark {
        Mark { names: self.names.len(), bytes: self.bytes.len() }
    }

    /// Where the name that is being read is put behind the others.
    pub(super) const fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// The name in the buffer has ended.
    pub(super) fn end_name(&mut self) -> Result<&[u8], Reason> {
        if self.names.len() == MAX_NAMES {
            return Err(Reason::MessageExcessive);
        }
        let offset = |at: usize| u32::try_from(at).map_err(|_| Reason::MessageExcessive);
        let start = self.names.last().map_or(0, |(_, end)| *end);
        let end = offset(self.bytes.len())?;
        self.names.push((start, end));
        Ok(text(&self.bytes, (start, end)))
    }

    /// An object has ended: its names must differ.
    pub(super) fn close(&mut self, mark: Mark) -> Result<(), Reason> {
        let bytes = &self.bytes;
        let own = self.names.get_mut(mark.names..).unwrap_or_default();
        let repeats = if own.len() <= FEW {
            let mut rest = own.iter();
            core::iter::from_fn(|| rest.next().map(|name| (name, rest.clone()))).any(
                |(name, mut others)| others.any(|other| text(bytes, *other) == text(bytes, *name)),
            )
        } else {
            own.sort_unstable_by(|a, b| text(bytes, *a).cmp(text(bytes, *b)));
            own.windows(2).any(|pair| matches!(pair, [a, b] if text(bytes, *a) == text(bytes, *b)))
        };
        self.names.truncate(mark.names);
        self.bytes.truncate(mark.bytes);
        if repeats { Err(Reason::MessageMalformed) } else { Ok(()) }
    }
}

fn text(bytes: &[u8], (start, end): (u32, u32)) -> &[u8] {
    let at = |offset: u32| usize::try_from(offset).unwrap_or(usize::MAX);
    bytes.get(at(start)..at(end)).unwrap_or_default()
}
