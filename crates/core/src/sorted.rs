//! A map for few entries: a sorted list.
//!
//! What has some hundred entries at most, or is filled once, needs no tree: a search takes as long, and a tree's
//! code, some 7 KB of a wasm module for each type of its entries, need not be there.

use alloc::vec::Vec;
use core::{borrow::Borrow, mem};

/// Entries in the order of their keys. To insert or remove one moves those behind it; by exchanging them, since
/// `Vec::insert` and `Vec::remove` have a panic in them, for a place that is out of bounds, which a module must
/// not have (`cargo xtask panics`).
#[derive(Clone, Debug)]
pub(crate) struct SortedMap<K, V>(Vec<(K, V)>);

impl<K, V> Default for SortedMap<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K, V> SortedMap<K, V> {
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.0.iter().map(|(key, value)| (key, value))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (&K, &mut V)> {
        self.0.iter_mut().map(|(key, value)| (&*key, value))
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.0.iter().map(|(_, value)| value)
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.0.iter_mut().map(|(_, value)| value)
    }

    /// Keeps the entries of which this holds.
    pub(crate) fn retain(&mut self, mut keeps: impl FnMut(&K, &mut V) -> bool) {
        self.0.retain_mut(|(key, value)| keeps(key, value));
    }
}

impl<K: Ord, V> SortedMap<K, V> {
    /// The place of a key, or where it belongs.
    fn find<Q: Ord + ?Sized>(&self, key: &Q) -> Result<usize, usize>
    where
        K: Borrow<Q>,
    {
        self.0.binary_search_by(|(other, _)| other.borrow().cmp(key))
    }

    pub(crate) fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let place = self.find(key).ok()?;
        self.0.get(place).map(|(_, value)| value)
    }

    pub(crate) fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let place = self.find(key).ok()?;
        self.0.get_mut(place).map(|(_, value)| value)
    }

    pub(crate) fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.find(key).is_ok()
    }

    /// Sets the value of a key; the one that it had.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self.find(&key) {
            Ok(place) => self.0.get_mut(place).map(|(_, old)| mem::replace(old, value)),
            Err(place) => {
                let mut carried = (key, value);
                for entry in self.0.get_mut(place..).into_iter().flatten() {
                    mem::swap(entry, &mut carried);
                }
                self.0.push(carried);
                None
            }
        }
    }

    /// Does something with the value of a key, or with the default, which becomes its value.
    pub(crate) fn update<R>(&mut self, key: K, change: impl FnOnce(&mut V) -> R) -> R
    where
        V: Default,
    {
        if let Some(value) = self.get_mut(&key) {
            return change(value);
        }
        let mut value = V::default();
        let result = change(&mut value);
        self.insert(key, value);
        result
    }

    pub(crate) fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let place = self.find(key).ok()?;
        let mut carried = self.0.pop()?;
        for entry in self.0.get_mut(place..).into_iter().flatten().rev() {
            mem::swap(entry, &mut carried);
        }
        Some(carried.1)
    }
}

#[cfg(test)]
mod tests {
    use alloc::{collections::BTreeMap, vec::Vec};

    use super::SortedMap;

    proptest::proptest! {
        /// Whatever is done, it holds what a tree holds.
        #[test]
        fn is_a_map(steps in proptest::collection::vec((0_u8..5, 0_u8..12, 0_u32..9), 0..80)) {
            let (mut ours, mut tree) = (SortedMap::default(), BTreeMap::new());
            for (step, key, value) in steps {
                match step {
                    0 | 1 => proptest::prop_assert_eq!(ours.insert(key, value), tree.insert(key, value)),
                    2 => proptest::prop_assert_eq!(ours.remove(&key), tree.remove(&key)),
                    3 if value > 5 => {
                        ours.update(key, |old| *old += value);
                        *tree.entry(key).or_default() += value;
                    }
                    3 => {
                        ours.retain(|name, value| *name != key && *value % 3 != 0);
                        tree.retain(|name, value| *name != key && *value % 3 != 0);
                    }
                    _ => {
                        ours.values_mut().for_each(|value| *value += 1);
                        ours.iter_mut().for_each(|(key, value)| *value += u32::from(*key));
                        tree.iter_mut().for_each(|(key, value)| *value += 1 + u32::from(*key));
                        if let Some(value) = ours.get_mut(&key) { *value += 7; }
                        if let Some(value) = tree.get_mut(&key) { *value += 7; }
                    }
                }
                proptest::prop_assert_eq!(ours.get(&key), tree.get(&key));
                proptest::prop_assert_eq!(ours.contains_key(&key), tree.contains_key(&key));
                proptest::prop_assert_eq!((ours.len(), ours.is_empty()), (tree.len(), tree.is_empty()));
                let entries: Vec<_> = ours.iter().collect();
                proptest::prop_assert_eq!(entries, tree.iter().collect::<Vec<_>>());
                proptest::prop_assert!(ours.values().eq(tree.values()));
            }
        }
    }
}
