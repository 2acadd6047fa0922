//! What an engine holds, for gauges and debug pages: no secrets, and nothing that a client sent.

use alloc::{string::String, vec::Vec};

use super::{engine::Engine, key_store::KeyStore};
use crate::UnixSeconds;

/// The state of an engine at one second.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// By their positions in the policy.
    pub issuers: Vec<IssuerHealth>,
    /// Status lists that are held, whether they may still be used or not.
    pub status_lists: usize,
    /// What they take of the memory, in bytes.
    pub status_list_bytes: usize,
    /// Seconds since the one was fetched that was fetched first.
    pub oldest_status_list: Option<u64>,
    /// Verified tokens that are remembered.
    pub cached_tokens: usize,
}

/// The state of an issuer's key set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerHealth {
    /// The issuer's identifier.
    pub issuer: String,
    /// The keys stand in the policy: nothing is fetched.
    pub inline: bool,
    /// How many usable keys there are.
    pub keys: usize,
    /// How many of the set could not be used.
    pub skipped_keys: usize,
    /// Seconds since the set was fetched; `None` when none ever was, and for keys in the policy.
    pub age: Option<u64>,
    /// Whether tokens can be verified by the set now.
    pub usable: bool,
    /// How often fetching has failed since it last succeeded.
    pub failures: u32,
    /// Why it failed the last time, if it has not succeeded since.
    pub last_error: Option<String>,
}

impl Engine {
    /// What the engine holds.
    #[must_use]
    pub fn health(&self, now: UnixSeconds) -> Health {
        let (status_lists, status_list_bytes, oldest) = self.statuses.held();
        Health {
            issuers: self.keys.health(now),
            status_lists,
            status_list_bytes,
            oldest_status_list: oldest.map(|at| now.saturating_sub(at)),
            cached_tokens: self.cache.len(),
        }
    }
}

impl KeyStore {
    fn health(&self, now: UnixSeconds) -> Vec<IssuerHealth> {
        let of = |keys: &super::key_store::IssuerKeys| IssuerHealth {
            issuer: keys.issuer.clone(),
            inline: keys.is_inline(),
            keys: keys.set.keys().len(),
            skipped_keys: keys.set.skipped().len(),
            age: keys.loaded_at.map(|at| now.saturating_sub(at)),
            usable: keys.is_usable(now),
            failures: keys.failures,
            last_error: keys.last_error.clone(),
        };
        self.issuers.iter().map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::Policy;

    const POLICY: &[u8] = br#"{
        "issuers": [{ "issuer": "https://a.example", "jwks_uri": "https://a.example/keys" }],
        "resources": [{ "resource": "https://r.example/mcp" }]
    }"#;
    const KEYS: &[u8] = br#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a",
        "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},{"kty":"oct","k":"AA"}]}"#;

    #[test]
    fn it_tells_age_and_failure() {
        let mut engine = Engine::new(Policy::parse(POLICY).unwrap());
        let issuer = |engine: &Engine, now| engine.health(now).issuers.remove(0);
        let begun = issuer(&engine, 100);
        assert_eq!((begun.keys, begun.age, begun.usable), (0, None, false));
        let fetch = engine.due(100).remove(0);
        assert!(engine.fetched(fetch.id, Some((500, b"secret")), 100).is_some());
        let failed = issuer(&engine, 100);
        assert_eq!((failed.failures, failed.last_error.as_deref()), (1, Some("status 500")));
        let fetch = engine.due(102).remove(0);
        assert!(engine.fetched(fetch.id, Some((200, KEYS)), 102).is_none());
        let fetched = issuer(&engine, 112);
        let expected = IssuerHealth {
            issuer: "https://a.example".into(),
            inline: false,
            keys: 1,
            skipped_keys: 1,
            age: Some(10),
            usable: true,
            failures: 0,
            last_error: None,
        };
        assert_eq!(fetched, expected);
        assert!(!issuer(&engine, 102 + 86_400).usable);
    }
}
