//! The tables that a verifier keeps, whatever their kind.

use alloc::{boxed::Box, vec::Vec};
use core::mem;

use crate::{Key, Kind, curve::KeyTable, ed25519};

/// By what keys are told apart: their coordinates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Name {
    Ed25519([u8; 32]),
    P256([u8; 64]),
}

impl Name {
    /// `None` for keys that get no tables.
    pub(super) fn of(key: &Key) -> Option<Self> {
        match &key.0 {
            Kind::Ed25519(key) => Some(Self::Ed25519(*key.bytes())),
            Kind::Es256(key) => Some(Self::P256(*key.coordinates())),
            _ => None,
        }
    }

    /// What a table of this key takes.
    pub(super) const fn table_size(self) -> usize {
        match self {
            Self::Ed25519(_) => ed25519::Table::SIZE,
            Self::P256(_) => KeyTable::SIZE,
        }
    }

    /// In how many uses a table pays for itself. On P-256 that is one.
    pub(super) const fn uses_to_pay(self) -> u32 {
        match self {
            Self::Ed25519(_) => 40,
            Self::P256(_) => 1,
        }
    }
}

#[derive(Debug)]
pub(super) enum Table {
    Ed25519(Box<ed25519::Table>),
    P256(Box<KeyTable>),
}

/// What is known of keys, in the order of their names: a few hundred at most, for which a list does, and a
/// tree's code would be several KB of a module. Entries are moved by exchanging them: `Vec::insert` has a panic
/// in it.
#[derive(Debug)]
pub(super) struct Keys<V>(Vec<(Name, V)>);

impl<V> Keys<V> {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &(Name, V)> {
        self.0.iter()
    }

    /// The place of a key, or where it belongs.
    fn find(&self, name: &Name) -> Result<usize, usize> {
        self.0.binary_search_by(|(other, _)| other.cmp(name))
    }

    pub(super) fn get(&self, name: &Name) -> Option<&V> {
        self.0.get(self.find(name).ok()?).map(|(_, value)| value)
    }

    pub(super) fn get_mut(&mut self, name: &Name) -> Option<&mut V> {
        let place = self.find(name).ok()?;
        self.0.get_mut(place).map(|(_, value)| value)
    }

    /// Adds a key, unless it is there.
    pub(super) fn add(&mut self, name: Name, value: V) {
        let Err(place) = self.find(&name) else { return };
        let mut carried = (name, value);
        for entry in self.0.get_mut(place..).into_iter().flatten() {
            mem::swap(entry, &mut carried);
        }
        self.0.push(carried);
    }

    pub(super) fn remove(&mut self, name: &Name) -> Option<V> {
        let place = self.find(name).ok()?;
        let mut carried = self.0.pop()?;
        for entry in self.0.get_mut(place..).into_iter().flatten().rev() {
            mem::swap(entry, &mut carried);
        }
        Some(carried.1)
    }
}
