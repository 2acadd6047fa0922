//! The fast way: tables of the keys in use, bounded in number and memory, and the reference beside it.

use alloc::boxed::Box;

use crate::{
    Key, Kind,
    curve::{Generator, KeyTable},
    ed25519, es256, rsa,
    signed::Signed,
};

mod table;

use table::{Keys, Name, Table};

/// How much memory a [`Verifier`] may take, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most memory for the tables of keys, in bytes; by default 1 MiB, which is ten P-256 keys or 34 of
    /// Ed25519. With 0 there are no tables.
    ///
    /// Not counted: the generator's table, which the first key's brings with it and which stays (300 KB);
    /// and what is needed while a table is made and then given back, about twice the table's own size
    /// (200 KB for a key's, 500 KB once for the generator's). In WebAssembly, memory that was given back
    /// stays with the module, for its next use.
    pub table_bytes: usize,
    /// How often a key verifies by the reference before it gets a table; by default once. A table costs
    /// about as much as one verification by the reference does. For Ed25519, whose tables cost more and
    /// gain less, forty times as often.
    pub uses_before_table: u32,
}

impl Limits {
    /// 1 MiB, and a table for the second use.
    pub const DEFAULT: Self = Self { table_bytes: 1 << 20, uses_before_table: 1 };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Verifies signatures with what was computed for keys that came before.
///
/// A key that is used again gets a table of its multiples; where all of them take too much memory, one
/// that was not used for long goes, or else the key does without. A verifier shows by known answers that
/// its arithmetic is right before it relies on it. If one comes out wrong, it drops what it has computed
/// and from then on leaves everything to the reference, as [`Verifier::reference`] does. Either way the
/// verdicts are the same.
///
/// ```
/// use countersign_verify::{Key, Limits, Verifier};
///
/// let mut verifier = Verifier::new(Limits::default());
/// let key = Key::ed25519(&[0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3,
///     0xc9, 0x64, 0x07, 0x3a, 0x0e, 0xe1, 0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68,
///     0xf7, 0x07, 0x51, 0x1a]).unwrap();
/// assert!(!verifier.verify(&key, b"message", &[0; 64]));
/// ```
#[derive(Debug)]
pub struct Verifier {
    arithmetic: Arithmetic,
    limits: Limits,
    answers: &'static KnownAnswers,
    /// There once the known answers of ES256 have come out.
    generator: Option<Box<Generator>>,
    /// The multiples of Ed25519's base point; there once the known answer of Ed25519 has come out.
    base_point: Option<Box<ed25519::Table>>,
    /// Whether that of RSA has.
    rsa_proven: bool,
    keys: Keys<Entry>,
    table_bytes: usize,
    /// Counts verifications.
    now: u64,
}

/// Whose arithmetic verifies, for all algorithms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arithmetic {
    /// Ours, where we have our own.
    Own,
    /// The reference's, as was asked for.
    Reference,
    /// The reference's, since a known answer came out wrong.
    ReferenceAfterFailure,
}

/// What must come out before our own arithmetic is relied on.
#[derive(Debug)]
struct KnownAnswers {
    /// The signature of `ed25519::self_test`.
    ed25519: [u8; 64],
    /// The signature of `es256::self_test`.
    es256: [u8; 64],
    /// The power of `rsa::self_test`, as its SHA-256.
    rsa: [u8; 32],
}

const KNOWN_ANSWERS: KnownAnswers = KnownAnswers {
    ed25519: ed25519::KNOWN_SIGNATURE,
    es256: es256::KNOWN_SIGNATURE,
    rsa: rsa::KNOWN_POWER,
};

#[derive(Debug)]
struct Entry {
    table: Option<Table>,
    uses: u32,
    last_use: u64,
}

/// A table goes for another key's when it was not used in so many verifications. With more keys in turn
/// than there is room for, some have tables and the others the reference: none is made only to be dropped
/// before it has paid, whoever chooses the keys.
const IDLE: u64 = 256;

/// Most keys that are remembered, with a table or without.
const MAX_KEYS: usize = 256;

impl Verifier {
    /// One that has computed nothing so far.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self::with(Arithmetic::Own, limits)
    }

    /// One that leaves everything to the reference ([`Key::verify`]), and so is slow and needs no memory: for
    /// those who want the well-known crates only, and as an oracle.
    #[must_use]
    pub const fn reference() -> Self {
        Self::with(Arithmetic::Reference, Limits { table_bytes: 0, uses_before_table: 0 })
    }

    const fn with(arithmetic: Arithmetic, limits: Limits) -> Self {
        Self {
            arithmetic,
            limits,
            answers: &KNOWN_ANSWERS,
            generator: None,
            base_point: None,
            rsa_proven: false,
            keys: Keys::new(),
            table_bytes: 0,
            now: 0,
        }
    }

    /// Whether the reference verifies everything: since it was asked for, or since a known answer came out
    /// wrong.
    #[must_use]
    pub const fn is_reference(&self) -> bool {
        !matches!(self.arithmetic, Arithmetic::Own)
    }

    /// As [`Key::verify`], by tables where that pays.
    #[must_use]
    pub fn verify(&mut self, key: &Key, message: &[u8], signature: &[u8]) -> bool {
        cfg!(countersign_fuzz) || self.verify_by_fastest(key, Signed::Message(message), signature)
    }

    /// As [`Key::verify_digest`], by tables where that pays.
    #[must_use]
    pub fn verify_digest(&mut self, key: &Key, digest: &[u8], signature: &[u8]) -> bool {
        cfg!(countersign_fuzz) || self.verify_by_fastest(key, Signed::Digest(digest), signature)
    }

    pub(crate) fn verify_by_fastest(
        &mut self,
        key: &Key,
        signed: Signed<'_>,
        signature: &[u8],
    ) -> bool {
        match &key.0 {
            Kind::Ed25519(_) | Kind::Es256(_) => self
                .by_table(key, signed, signature)
                .unwrap_or_else(|| key.verify_by_reference(signed, signature)),
            Kind::Rsa(key) if self.can_rsa() => {
                key.verify_fast(signed, signature).unwrap_or_else(|| key.verify(signed, signature))
            }
            _ => key.verify_by_reference(signed, signature),
        }
    }

    /// Whether our own arithmetic on P-256 can be relied on: the first call asks for the known answers.
    fn can_curve(&mut self) -> bool {
        if !self.is_reference() && self.generator.is_none() {
            let is_right = |generator: &Generator| es256::self_test(generator, &self.answers.es256);
            self.generator = Generator::new().filter(is_right).map(Box::new);
            if self.generator.is_none() {
                self.fail();
            }
        }
        self.generator.is_some()
    }

    /// Whether Ed25519 by tables can be relied on: the first call asks for the known answer.
    fn can_ed25519(&mut self) -> bool {
        if !self.is_reference() && self.base_point.is_none() {
            let base = Box::new(ed25519::Table::of_base_point());
            let is_right = |base: &Box<_>| ed25519::self_test(base, &self.answers.ed25519);
            self.base_point = Some(base).filter(is_right);
            if self.base_point.is_none() {
                self.fail();
            }
        }
        self.base_point.is_some()
    }

    /// Whether our own RSA can be relied on: the first call asks for the known answer.
    fn can_rsa(&mut self) -> bool {
        if !self.is_reference() && !self.rsa_proven {
            self.rsa_proven = rsa::self_test(&self.answers.rsa);
            if !self.rsa_proven {
                self.fail();
            }
        }
        self.rsa_proven
    }

    /// Where one answer is wrong, compiler or machine may have got others wrong too: nothing of what they have
    /// computed is used again.
    fn fail(&mut self) {
        *self = Self::with(Arithmetic::ReferenceAfterFailure, self.limits);
    }

    /// Computes the generators' tables and verifies the known answers now instead of when a key first needs
    /// them: some milliseconds in WebAssembly. Without room for tables, only RSA's. To be called once, at the
    /// start.
    ///
    /// `false`: some answer came out wrong, and the reference verifies everything instead. The verdicts are
    /// right, and slow; that belongs into a log.
    pub fn self_test(&mut self) -> bool {
        let is_room = |size| self.limits.table_bytes >= size;
        let (ed25519, curve) = (is_room(ed25519::Table::SIZE), is_room(KeyTable::SIZE));
        let _ = self.can_rsa() && (!ed25519 || self.can_ed25519()) && (!curve || self.can_curve());
        self.arithmetic != Arithmetic::ReferenceAfterFailure
    }

    /// Gives back the memory of a key that will not come again.
    pub fn forget(&mut self, key: &Key) {
        if let Some(name) = Name::of(key) {
            self.remove(&name);
        }
    }

    /// Whether a key has a table now.
    #[must_use]
    pub fn has_table(&self, key: &Key) -> bool {
        let entry = Name::of(key).and_then(|name| self.keys.get(&name));
        entry.is_some_and(|entry| entry.table.is_some())
    }

    /// The memory that all tables take, in bytes.
    #[must_use]
    pub const fn size(&self) -> usize {
        let generator = if self.generator.is_some() { Generator::SIZE } else { 0 };
        let base_point = if self.base_point.is_some() { ed25519::Table::SIZE } else { 0 };
        self.table_bytes + generator + base_point
    }

    /// `None`: the reference has to decide.
    fn by_table(&mut self, key: &Key, signed: Signed<'_>, signature: &[u8]) -> Option<bool> {
        if self.limits.table_bytes == 0 || self.is_reference() {
            return None;
        }
        self.now += 1;
        let name = Name::of(key)?;
        if self.keys.get(&name).is_none() {
            if self.keys.len() >= MAX_KEYS {
                let _ = self.forget_oldest(|entry| entry.table.is_none())
                    || self.forget_oldest(|_| true);
            }
            self.keys.add(name, Entry { table: None, uses: 0, last_use: self.now });
        }
        let now = self.now;
        let entry = self.keys.get_mut(&name)?;
        entry.last_use = now;
        if entry.table.is_none() {
            if entry.uses < self.limits.uses_before_table.saturating_mul(name.uses_to_pay()) {
                entry.uses += 1;
                return None;
            }
            self.add_table(key, name)?;
        }
        match (&key.0, self.keys.get(&name)?.table.as_ref()?) {
            (Kind::Ed25519(key), Table::Ed25519(table)) => Some(key.verify_by_table(
                table,
                self.base_point.as_ref()?,
                signed.message()?,
                signature,
            )),
            (Kind::Es256(_), Table::P256(table)) => {
                es256::verify_by_table(table, self.generator.as_ref()?, signed, signature)
            }
            _ => None,
        }
    }

    /// Room is made before the table is: where there is none, nothing is computed in vain, and memory
    /// stays within its limit.
    fn add_table(&mut self, key: &Key, name: Name) -> Option<()> {
        let size = name.table_size();
        if size > self.limits.table_bytes {
            return None;
        }
        let proven = match name {
            Name::Ed25519(_) => self.can_ed25519(),
            Name::P256(_) => self.can_curve(),
        };
        if !proven {
            return None;
        }
        while self.table_bytes.saturating_add(size) > self.limits.table_bytes {
            let now = self.now;
            let is_idle = |entry: &Entry| now.saturating_sub(entry.last_use) >= IDLE;
            if !self.forget_oldest(|entry| entry.table.is_some() && is_idle(entry)) {
                return None;
            }
        }
        let table = match &key.0 {
            Kind::Ed25519(key) => Table::Ed25519(Box::new(ed25519::Table::new(key))),
            Kind::Es256(key) => Table::P256(Box::new(es256::table(key.coordinates())?)),
            _ => return None,
        };
        self.keys.get_mut(&name)?.table = Some(table);
        self.table_bytes += size;
        Some(())
    }

    /// Forgets the one of these that was not used for longest; `false`: there is none.
    fn forget_oldest(&mut self, of_these: impl Fn(&Entry) -> bool) -> bool {
        let candidates = self.keys.iter().filter(|(_, entry)| of_these(entry));
        let Some(name) = candidates.min_by_key(|(_, entry)| entry.last_use).map(|(name, _)| *name)
        else {
            return false;
        };
        self.remove(&name);
        true
    }

    fn remove(&mut self, name: &Name) {
        let table = self.keys.remove(name).and_then(|entry| entry.table);
        self.table_bytes -= table.map_or(0, |_| name.table_size());
    }
}

#[cfg(test)]
mod tests;
