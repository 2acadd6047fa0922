//! Tests of what a node takes over that others have changed.

use std::fs;

use super::*;
use crate::{Config, Database, seal::new_sealing_key, store::test_stores};

/// The documented change of the sealing key, with a node that was not started again yet: what the
/// others revoke leaves its key set all the same.
#[tokio::test]
async fn a_key_that_does_not_open_holds_nothing_back() {
    let store = test_stores::sqlite().await;
    let file = store.folder.join("key");
    let config = Config {
        database: Database::Sqlite(store.folder.join("test.db")),
        key_file: Some(file.clone()),
        ..Config::default()
    };
    let ring = KeyRing::load(&config, false).unwrap();
    let keys = Keys::open(store.clone(), ring, 0).await.unwrap();
    let rsa = keys.signer(Algorithm::Rs256).await.unwrap();
    let first = keys.signer(DEFAULT_ALGORITHM).await.unwrap().kid().to_owned();
    assert!(keys.published().jwks.contains(&first));

    let old = fs::read_to_string(&file).unwrap();
    let new = new_sealing_key().unwrap();
    fs::write(&file, format!("{new}\n{old}")).unwrap();
    let others = SigningKeys::open(&config).await.unwrap();
    others.revoke(&first, "stolen").await.unwrap();
    assert_eq!(keys.refresh().await.unwrap_err().reason(), "crypto_failed");
    let published = keys.published();
    assert!(!published.jwks.contains(&first), "{}", published.jwks);
    assert!(published.jwks.contains(rsa.kid()), "the others stay");
    assert_eq!(keys.signer(Algorithm::Rs256).await.unwrap().kid(), rsa.kid());
    let Err(error) = keys.signer(DEFAULT_ALGORITHM).await else { panic!("it does not open") };
    assert_eq!(error.to_string(), WRONG_KEY);
    // No node starts so.
    let ring = || {
        fs::write(&file, &old).unwrap();
        KeyRing::load(&config, true).unwrap()
    };
    assert!(Keys::open(store.clone(), ring(), 0).await.is_err());
    // Sealed with what the node has, it signs again.
    fs::write(&file, format!("{old}\n{new}")).unwrap();
    assert_eq!(SigningKeys::open(&config).await.unwrap().reseal().await.unwrap(), 1);
    keys.refresh().await.unwrap();
    assert_ne!(keys.signer(DEFAULT_ALGORITHM).await.unwrap().kid(), first);
}
