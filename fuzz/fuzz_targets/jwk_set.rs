//! A key set: no key spoils another, no secret comes in, and a key serves what it was bound to.
#![no_main]

use countersign_core::jose::{
    alg::Algorithm,
    jwks::{JwkSet, Selection},
};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const MAX_KEYS: usize = 16;

fuzz_target!(|document: &[u8]| {
    let Ok(set) = JwkSet::parse(document, MAX_KEYS) else { return };
    let theirs: Value = serde_json::from_slice(document).expect("laxer than ours");
    let entries = theirs["keys"].as_array().expect("an array");
    assert!(entries.len() <= MAX_KEYS);
    assert_eq!(set.keys().len() + set.skipped().len(), entries.len());
    for key in set.keys() {
        assert!(key.algorithms().next().is_some());
        assert!(key.algorithms().all(|algorithm| !algorithm.is_symmetric()));
        assert!(!format!("{key:?}").is_empty());
        for algorithm in Algorithm::ALL {
            selected(&set, key.kid(), algorithm);
            selected(&set, None, algorithm);
        }
    }
    // Each key by itself is what it was among the others.
    let mut thumbprints: Vec<_> = set.keys().iter().map(|key| *key.thumbprint()).collect();
    let mut alone = Vec::new();
    for entry in entries {
        let document = serde_json::json!({ "keys": [entry] }).to_string();
        if let Ok(set) = JwkSet::parse(document.as_bytes(), 1) {
            alone.extend(set.keys().iter().map(|key| *key.thumbprint()));
        }
    }
    thumbprints.sort_unstable();
    alone.sort_unstable();
    assert_eq!(thumbprints, alone);
});

fn selected(set: &JwkSet, kid: Option<&str>, algorithm: Algorithm) {
    let fits = |key: &&std::sync::Arc<countersign_core::jose::jwk::Jwk>| {
        key.verifier(algorithm).is_some() && (kid.is_none() || key.kid() == kid)
    };
    let mut fitting: Vec<_> = set.keys().iter().filter(fits).map(|key| key.thumbprint()).collect();
    fitting.sort_unstable();
    fitting.dedup();
    match set.select(kid, algorithm) {
        Selection::Missing => assert!(fitting.is_empty()),
        Selection::Found(key) => assert_eq!(fitting, [key.thumbprint()]),
        Selection::Ambiguous => assert!(fitting.len() > 1),
    }
}
