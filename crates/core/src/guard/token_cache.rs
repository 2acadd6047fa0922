//! Verified tokens, remembered for a while: bounded, and never past their time.

use alloc::sync::Arc;

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
    /// First second at which it must not be used, leeway included.
    pub(super) unusable_at: UnixSeconds,
}

/// Why a token is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// The issuer said so at this second.
    Introspection { since: UnixSeconds },
    /// It verified by a key of the issuer's set in this state.
    Signature { revision: u64 },
}

/// What the cache knows of a token.
#[derive(Debug)]
pub(super) enum Cached {
    /// It was good, and its time is over: it will never be good again, and need not be verified to
    /// be refused.
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

    pub(super) fn get(&mut self, key: &CacheKey, now: UnixSeconds) -> Option<Cached> {
        let found = self.0.get(key)?;
        match found.proof {
            // The clock was set back: how old the answer is, nobody knows.
            Proof::Introspection { since } if now < since => None,
            _ if now < found.unusable_at => Some(Cached::Good(found)),
            Proof::Signature { .. } => Some(Cached::Expired),
            // The issuer may say the same again.
            Proof::Introspection { .. } => None,
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

    fn verified(unusable_at: UnixSeconds) -> Verified {
        let identity = Identity {
            issuer: "i".into(),
            subject: None,
            subject_digest: String::new(),
            introspected: false,
            client_id: None,
            scope: ScopeSet::default(),
            token_id: None,
            expires_at: unusable_at,
            confirmation: Confirmation::None,
            claims: Object::new(),
        };
        Verified {
            identity: Arc::new(identity),
            issuer: 0,
            proof: Proof::Signature { revision: 0 },
            unusable_at,
        }
    }

    const KEY: CacheKey = ([1; 32], 0);

    #[test]
    fn never_past_its_time() {
        let mut cache = TokenCache::new(10);
        cache.insert(KEY, verified(100));
        assert!(matches!(cache.get(&KEY, 99), Some(Cached::Good(_))));
        assert!(matches!(cache.get(&KEY, 100), Some(Cached::Expired)));
    }

    /// An opaque token is asked about again.
    #[test]
    fn what_the_issuer_said_is_forgotten_after_its_time() {
        let mut cache = TokenCache::new(10);
        cache.insert(KEY, Verified { proof: Proof::Introspection { since: 70 }, ..verified(100) });
        assert!(matches!(cache.get(&KEY, 70), Some(Cached::Good(_))));
        assert!(matches!(cache.get(&KEY, 99), Some(Cached::Good(_))));
        assert!(cache.get(&KEY, 69).is_none(), "the clock was set back");
        assert!(cache.get(&KEY, 100).is_none());
    }
}
