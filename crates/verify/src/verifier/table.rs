//! The tables that a verifier keeps, whatever their kind.

use alloc::boxed::Box;

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
