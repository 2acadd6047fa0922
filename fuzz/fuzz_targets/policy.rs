//! A policy document: what is accepted makes sense, and means the same after any other program has
//! read and written it; what is refused is refused with a path.
#![no_main]

use countersign_core::guard::{
    Engine, Policy,
    policy::{Dpop, KeySource},
};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|document: &[u8]| {
    let policy = match Policy::parse(document) {
        Ok(policy) => policy,
        Err(error) => {
            assert!(error.path.starts_with('$') && !error.message.is_empty());
            return;
        }
    };
    assert!(!policy.issuers.is_empty() && !policy.resources.is_empty());
    let theirs: Value = serde_json::from_slice(document).expect("laxer than ours");
    let again = Policy::parse(theirs.to_string().as_bytes()).expect("the same document");
    assert_eq!(format!("{policy:?}"), format!("{again:?}"));
    for issuer in &policy.issuers {
        let inline = matches!(issuer.keys, KeySource::Inline(_));
        let symmetric = issuer.profile.algorithms.iter().any(|algorithm| algorithm.is_symmetric());
        assert!(inline || !symmetric, "a symmetric algorithm needs an inline secret");
        assert!(!issuer.profile.algorithms.is_empty());
    }
    for resource in &policy.resources {
        assert!(resource.issuers.iter().all(|index| *index < policy.issuers.len()));
        assert!(!resource.issuers.is_empty());
        assert!(resource.audience.resource.matches(resource.audience.resource.as_str()));
        assert!(resource.dpop != Dpop::Off || resource.dpop_nonce.is_none());
        let implied =
            resource.scopes.missing(resource.scopes.baseline(), resource.scopes.baseline());
        assert!(implied.is_empty(), "a scope grants itself");
    }
    let issuers: Vec<bool> =
        policy.issuers.iter().map(|issuer| matches!(issuer.keys, KeySource::Inline(_))).collect();
    let fetches = Engine::new(policy).due(1);
    assert_eq!(fetches.len(), issuers.iter().filter(|inline| !**inline).count());
    for fetch in fetches {
        let (scheme, authority, path) = fetch.parts();
        assert!(matches!(scheme.to_lowercase().as_str(), "http" | "https"), "{scheme}");
        assert!(!authority.is_empty() && path.starts_with(['/', '?']));
    }
});
