//! Verified tokens, remembered for a while: bounded, and never past their time.

use alloc::sync::Arc;
use core::ops::Range;

use super::{
    identity::Identity,
    recent::{CacheKey, Recent},
};
use crate::UnixSeconds;

/// What a token was found to be.
#[derive(Clone, Debug)]
pub(super) struct Verified {
    pub(super) identity: Arc<Identity>,
    /// Position of its issuer in the policy.
    pub(super) issuer: usize,
    pub(super) proof: Proof,
    /// The seconds at which its times let it be used, leeway included. None where nothing but its end was
    /// looked at.
    pub(super) usable: Range<UnixSeconds>,
}

/// Why a token is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// The issuer said so when the token began to be usable.
    Introspection,
    /// It verified by a key of the issuer's set in this state.
    Signature { revision: u64 },
}

/// What the cache knows of a token.
#[derive(Debug)]
pub(super) enum Cached {
    /// It is genuine, and its time is over: it need not be verified to be refused.
    Expired,
    Good(Verified),
}

/// The verified tokens of an engine.
#[derive(Debug)]
pub(super) struct TokenCache(Recent<Verified>);

impl TokenCache {
    pub(super) const fn new(cached_tokens: usize) -> Self {
        Self(Recent::new(cached_tokens))
    }

    /// What is known of a token at this second: what whoever looks at it anew would find.
    pub(super) fn get(&mut self, key: &CacheKey, now: UnixSeconds) -> Option<Cached> {
        let found = self.0.get(key)?;
        match found.proof {
            _ if found.usable.contains(&now) => Some(Cached::Good(found)),
            Proof::Signature { .. } if now >= found.usable.end => Some(Cached::Expired),
            // The clock was ahead when it was looked at, or was set back since; and the issuer may say the
            // same again.
            Proof::Introspection | Proof::Signature { .. } => None,
        }
    }

    pub(super) fn insert(&mut self, key: CacheKey, verified: Verified) {
        self.0.insert(key, verified);
    }

    /// How many tokens are remembered.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;

    use super::*;
    use crate::{jose::json::Object, jwt::confirmation::Confirmation, oauth::scope::ScopeSet};

    fn verified(usable: Range<UnixSeconds>) -> Verified {
        let identity = Identity {
            issuer: "i".into(),
            subject: None,
            subject_digest: String::new(),
            introspected: false,
            client_id: None,
            scope: ScopeSet::default(),
            token_id: None,
            expires_at: usable.end,
            confirmation: Confirmation::None,
            claims: Object::new(),
        };
        Verified {
            identity: Arc::new(identity),
            issuer: 0,
            proof: Proof::Signature { revision: 0 },
            usable,
        }
    }

    const KEY: CacheKey = ([1; 32], 0);

    #[test]
    fn never_past_its_time_nor_before_it() {
        let mut cache = TokenCache::new(10);
        cache.insert(KEY, verified(50..100));
        assert!(cache.get(&KEY, 49).is_none());
        assert!(matches!(cache.get(&KEY, 50), Some(Cached::Good(_))));
        assert!(matches!(cache.get(&KEY, 99), Some(Cached::Good(_))));
        assert!(matches!(cache.get(&KEY, 100), Some(Cached::Expired)));
    }

    /// Found to be over, by a clock that may have been wrong.
    #[test]
    fn what_was_not_looked_at_to_the_end_is_looked_at_again() {
        let mut cache = TokenCache::new(10);
        cache.insert(KEY, verified(100..100));
        assert!(matches!(cache.get(&KEY, 100), Some(Cached::Expired)));
        assert!(cache.get(&KEY, 99).is_none());
    }

    /// An opaque token is asked about again.
    #[test]
    fn what_the_issuer_said_is_forgotten_after_its_time() {
        let mut cache = TokenCache::new(10);
        cache.insert(KEY, Verified { proof: Proof::Introspection, ..verified(70..100) });
        assert!(matches!(cache.get(&KEY, 70), Some(Cached::Good(_))));
        assert!(matches!(cache.get(&KEY, 99), Some(Cached::Good(_))));
        assert!(cache.get(&KEY, 69).is_none(), "the clock was set back");
        assert!(cache.get(&KEY, 100).is_none());
    }
}
