//! The member names of the objects that are open, to find those that occur twice.
//!
//! They are kept as they are, not as digests: no two names can be made that are taken for one, and
//! none that are missed. So memory has to be bounded otherwise: an object that is open has at most
//! [`MAX_NAMES`] names together with those around it, of [`MAX_NAMES_BYTES`] in all. A request that
//! goes beyond is refused with [`Reason::MessageExcessive`]; one object of a tool's arguments with
//! ten thousand members of 25 bytes still passes. They are compared when their object ends, sorted,
//! so that no choice of names makes it slow.

use alloc::vec::Vec;
use core::cmp::Ordering;

use crate::Reason;

/// Most names in open objects.
pub(super) const MAX_NAMES: usize = 16_384;

/// Most bytes of names in open objects, unescaped.
pub(super) const MAX_NAMES_BYTES: usize = 262_144;

/// The names of all objects that are open, the outermost first.
#[derive(Debug)]
pub(super) struct Names {
    bytes: Vec<u8>,
    names: Vec<Name>,
}

/// A name among the bytes.
#[derive(Clone, Copy, Debug)]
struct Name {
    /// Its first eight bytes as a number: enough to tell nearly all names apart.
    head: u64,
    start: u32,
    end: u32,
}

/// Where an object's names begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    names: usize,
    bytes: usize,
}

impl Names {
    /// With room for the names of a usual message, so that it is made at once and not bit by bit.
    pub(super) fn new() -> Self {
        Self { bytes: Vec::with_capacity(512), names: Vec::with_capacity(64) }
    }

    /// The place of an object that begins here.
    pub(super) fn mark(&self) -> Mark {
        Mark { names: self.names.len(), bytes: self.bytes.len() }
    }

    /// Where the name that is being read is put behind the others.
    pub(super) const fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// A name that is there as a whole.
    pub(super) fn add(&mut self, name: &[u8]) -> Result<(), Reason> {
        if name.len() > MAX_NAMES_BYTES.saturating_sub(self.bytes.len()) {
            return Err(Reason::MessageExcessive);
        }
        if name.len() < 8 {
            // Eight bytes are two instructions; as many as there are would be a call, in wasm one out
            // of it. Most names are this short.
            let end = self.bytes.len() + name.len();
            self.bytes.extend_from_slice(&head(name).to_le_bytes());
            self.bytes.truncate(end);
        } else {
            self.bytes.extend_from_slice(name);
        }
        self.end_name().map(|_| ())
    }

    /// The name in the buffer has ended.
    pub(super) fn end_name(&mut self) -> Result<&[u8], Reason> {
        if self.names.len() == MAX_NAMES {
            return Err(Reason::MessageExcessive);
        }
        let offset = |at: usize| u32::try_from(at).map_err(|_| Reason::MessageExcessive);
        let start = self.names.last().map_or(0, |last| last.end);
        let mut name = Name { head: 0, start, end: offset(self.bytes.len())? };
        let text = name.text(&self.bytes);
        name.head = head(text);
        self.names.push(name);
        Ok(text)
    }

    /// An object has ended: its names must differ.
    pub(super) fn close(&mut self, mark: Mark) -> Result<(), Reason> {
        let bytes = &self.bytes;
        let own = self.names.get_mut(mark.names..).unwrap_or_default();
        own.sort_unstable_by(|a, b| a.compare(b, bytes));
        let differ = own.is_sorted_by(|a, b| a.compare(b, bytes) == Ordering::Less);
        self.names.truncate(mark.names);
        self.bytes.truncate(mark.bytes);
        if differ { Ok(()) } else { Err(Reason::MessageMalformed) }
    }
}

impl Name {
    fn text(self, bytes: &[u8]) -> &[u8] {
        let at = |offset: u32| usize::try_from(offset).unwrap_or(usize::MAX);
        bytes.get(at(self.start)..at(self.end)).unwrap_or_default()
    }

    fn compare(&self, other: &Self, bytes: &[u8]) -> Ordering {
        self.head.cmp(&other.head).then_with(|| self.text(bytes).cmp(other.text(bytes)))
    }
}

fn head(name: &[u8]) -> u64 {
    match name.first_chunk() {
        Some(first) => u64::from_le_bytes(*first),
        None => name.iter().rev().fold(0, |head, byte| (head << 8) | u64::from(*byte)),
    }
}
