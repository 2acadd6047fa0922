//! Verified tokens, remembered for a while: bounded, and never past their time.

use alloc::{collections::BTreeMap, sync::Arc};
use core::mem;

use super::identity::Identity;
use crate::UnixSeconds;

/// SHA-256 of the whole token, and the resource it was verified for.
pub(super) type CacheKey = ([u8; 32], usize);

/// What a token was found to be.
#[derive(Clone, Debug)]
pub(super) struct Verified {
    pub(super) identity: Arc<Identity>,
    /// Position of its issuer in the policy.
    pub(super) issuer: usize,
    /// The state of the issuer's key set by which it was verified.
    pub(super) revision: u64,
    /// First second at which it must not be used, leeway included.
    pub(super) unusable_at: UnixSeconds,
}

/// What the cache knows of a token.
#[derive(Debug)]
pub(super) enum Cached {
    /// It was good, and its time is over: it will never be good again, and need not be verified to
    /// be refused.
    Expired,
    Good(Verified),
}

/// Two generations: entries go into the young one; when that is full it becomes the old one, and
/// what was not used since is forgotten. Bounded, and no bookkeeping per use.
#[derive(Debug)]
pub(super) struct TokenCache {
    young: BTreeMap<CacheKey, Verified>,
    old: BTreeMap<CacheKey, Verified>,
    /// Entries of one generation.
    capacity: usize,
}

impl TokenCache {
    pub(super) const fn new(cached_tokens: usize) -> Self {
        Self { young: BTreeMap::new(), old: BTreeMap::new(), capacity: cached_tokens.div_ceil(2) }
    }

    pub(super) fn get(&mut self, key: &CacheKey, now: UnixSeconds) -> Option<Cached> {
        let found = match self.young.get(key) {
            Some(found) => found.clone(),
            None => {
                let found = self.old.remove(key)?;
                self.insert(*key, found.clone());
                found
            }
        };
        Some(if now < found.unusable_at { Cached::Good(found) } else { Cached::Expired })
    }

    pub(super) fn insert(&mut self, key: CacheKey, verified: Verified) {
        if self.capacity == 0 {
            return;
        }
        if self.young.len() >= self.capacity {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(key, verified);
    }

    /// How many tokens are remembered.
    pub(super) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;

    use super::*;
    use crate::{jose::json::Object, jwt::confirmation::Confirmation, oauth::scope::ScopeSet};

    fn verified(unusable_at: UnixSeconds) -> Verified {
        let identity = Identity {
            issuer: "i".into(),
            subject: None,
            subject_digest: String::new(),
            client_id: None,
            scope: ScopeSet::default(),
            token_id: None,
            expires_at: unusable_at,
            confirmation: Confirmation::None,
            claims: Object::new(),
        };
        Verified { identity: Arc::new(identity), issuer: 0, revision: 0, unusable_at }
    }

    fn key(number: u16) -> CacheKey {
        let mut digest = [0; 32];
        digest[..2].copy_from_slice(&number.to_be_bytes());
        (digest, 0)
    }

    #[test]
    fn never_past_its_time() {
        let mut cache = TokenCache::new(10);
        cache.insert(key(1), verified(100));
        assert!(matches!(cache.get(&key(1), 99), Some(Cached::Good(_))));
        assert!(matches!(cache.get(&key(1), 100), Some(Cached::Expired)));
    }

    #[test]
    fn bounded_and_kind_to_what_is_used() {
        let mut cache = TokenCache::new(100);
        cache.insert(key(0), verified(100));
        for number in 1..10_000 {
            cache.insert(key(number), verified(100));
            assert!(cache.get(&key(0), 1).is_some());
            assert!(cache.len() <= 100);
        }
        assert!(cache.get(&key(1), 1).is_none());
    }

    #[test]
    fn another_resource_is_another_entry() {
        let mut cache = TokenCache::new(10);
        cache.insert(key(1), verified(100));
        assert!(cache.get(&(key(1).0, 1), 1).is_none());
    }

    #[test]
    fn zero_remembers_nothing() {
        let mut cache = TokenCache::new(0);
        cache.insert(key(1), verified(100));
        assert!(cache.get(&key(1), 1).is_none());
    }
}
