//! What was found of tokens lately: bounded, whatever is asked.

use alloc::collections::BTreeMap;
use core::mem;

/// SHA-256 of the whole token, and the resource it was sent to.
pub(super) type CacheKey = ([u8; 32], usize);

/// Two generations: entries go into the young one; when that is full it becomes the old one, and
/// what was not used since is forgotten. Bounded, and no bookkeeping per use.
#[derive(Debug)]
pub(super) struct Recent<V> {
    young: BTreeMap<CacheKey, V>,
    old: BTreeMap<CacheKey, V>,
    /// Entries of one generation.
    capacity: usize,
}

impl<V: Clone> Recent<V> {
    /// For at most so many entries.
    pub(super) const fn new(entries: usize) -> Self {
        Self { young: BTreeMap::new(), old: BTreeMap::new(), capacity: entries.div_ceil(2) }
    }

    pub(super) fn get(&mut self, key: &CacheKey) -> Option<V> {
        match self.young.get(key) {
            Some(found) => Some(found.clone()),
            None => {
                let found = self.old.remove(key)?;
                self.insert(*key, found.clone());
                Some(found)
            }
        }
    }

    pub(super) fn insert(&mut self, key: CacheKey, value: V) {
        if self.capacity == 0 {
            return;
        }
        if self.young.len() >= self.capacity {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }

    pub(super) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u16) -> CacheKey {
        let mut digest = [0; 32];
        digest[..2].copy_from_slice(&number.to_be_bytes());
        (digest, 0)
    }

    #[test]
    fn bounded_and_kind_to_what_is_used() {
        let mut recent = Recent::new(100);
        recent.insert(key(0), 'a');
        for number in 1..10_000 {
            recent.insert(key(number), 'b');
            assert_eq!(recent.get(&key(0)), Some('a'));
            assert!(recent.len() <= 100);
        }
        assert_eq!(recent.get(&key(1)), None);
    }

    #[test]
    fn another_resource_is_another_entry() {
        let mut recent = Recent::new(10);
        recent.insert(key(1), 'a');
        assert_eq!(recent.get(&(key(1).0, 1)), None);
    }

    #[test]
    fn zero_remembers_nothing() {
        let mut recent = Recent::new(0);
        recent.insert(key(1), 'a');
        assert_eq!(recent.get(&key(1)), None);
    }
}
