//! A signing key that was revoked in an emergency: status lists show that the key set has changed, and the
//! guard fetches it long before it is old.

use std::collections::BTreeMap;

use countersign_core::guard::Engine;
use countersign_testkit::{
    drive::{self, Fetches},
    keys::TestKey,
    status::{TestList, reference},
};
use serde_json::{Value, json};

use super::support::{JWKS_URI, KEY_1, KEY_2, ask, engine, fetched, token};

const LIST: &str = "https://auth.example.com/status-lists/1";

/// What the issuer publishes: its keys, of a generation, and its list, signed by one of them.
fn published(
    keys: &[(TestKey, &str)],
    generation: u64,
    (signer, kid): (TestKey, &str),
    (revoked, at): (&[usize], u64),
) -> Fetches {
    let keys: Vec<Value> = keys.iter().map(|(key, kid)| key.jwk(kid)).collect();
    let set = json!({ "keys": keys, "jwks_gen": generation }).to_string();
    let list = TestList::new(LIST, revoked)
        .claim("iat", at)
        .claim("exp", at + 1000)
        .claim("ttl", 5)
        .claim("jwks_gen", generation)
        .key(signer)
        .header("kid", kid);
    BTreeMap::from([
        (JWKS_URI.to_owned(), (200, set.into_bytes())),
        (LIST.to_owned(), (200, list.sign().into_bytes())),
    ])
}

const FIRST: (TestKey, &str) = (KEY_1, "es1");
const SECOND: (TestKey, &str) = (KEY_2, "es2");

fn by(key: (TestKey, &str), index: u64) -> String {
    token().key(key.0, key.1).claim("status", reference(LIST, index)).sign()
}

/// As a host does: what is needed is fetched, then the request is asked again.
fn outcome(engine: &mut Engine, token: &str, fetches: &Fetches, now: u64) -> &'static str {
    for _ in 0..3 {
        match ask(engine, token, now) {
            "(keys)" | "(status)" => drive::fetch(engine, fetches, now),
            other => return other,
        }
    }
    ask(engine, token, now)
}

/// A key that is not the one that signs lists: only the number tells.
#[test]
fn a_revoked_key_is_dropped_at_the_next_list() {
    let mut engine = engine(&fetched());
    let before = published(&[FIRST, SECOND], 3, SECOND, (&[], 1000));
    drive::fetch(&mut engine, &before, 1000);
    assert_eq!(outcome(&mut engine, &by(FIRST, 1), &before, 1000), "allow");
    assert_eq!(outcome(&mut engine, &by(SECOND, 2), &before, 1000), "allow");
    let after = published(&[SECOND], 4, SECOND, (&[], 1040));
    drive::fetch(&mut engine, &after, 1040);
    assert_eq!(
        ask(&mut engine, &by(FIRST, 1), 1040),
        "key_unknown",
        "the set is 40 of 100 seconds old"
    );
    assert_eq!(outcome(&mut engine, &by(SECOND, 2), &after, 1040), "allow");
}

/// The key that signs lists: the next list comes by a key that nobody knows yet.
#[test]
fn a_list_by_a_new_key_fetches_the_keys() {
    let mut engine = engine(&fetched());
    let before = published(&[FIRST], 3, FIRST, (&[], 1000));
    drive::fetch(&mut engine, &before, 1000);
    assert_eq!(outcome(&mut engine, &by(FIRST, 1), &before, 1000), "allow");
    let after = published(&[SECOND], 4, SECOND, (&[2], 1040));
    drive::fetch(&mut engine, &after, 1040);
    assert_eq!(ask(&mut engine, &by(FIRST, 1), 1040), "key_unknown");
    // The list was asked for again once its key was there.
    assert_eq!(outcome(&mut engine, &by(SECOND, 1), &after, 1040), "allow");
    assert_eq!(outcome(&mut engine, &by(SECOND, 2), &after, 1040), "token_revoked");
}

/// A thief who can answer in the issuer's place makes a list that is never replaced: it says that it is of
/// the far future. It goes with the key.
#[test]
fn lists_go_with_the_key_that_made_them() {
    let mut engine = engine(&fetched());
    let forged = published(&[FIRST, SECOND], 3, FIRST, (&[], 1_000_000));
    drive::fetch(&mut engine, &forged, 1000);
    assert_eq!(outcome(&mut engine, &by(SECOND, 2), &forged, 1000), "allow");
    let honest = published(&[SECOND], 4, SECOND, (&[2], 1150));
    drive::fetch(&mut engine, &honest, 1150);
    assert_eq!(outcome(&mut engine, &by(SECOND, 2), &honest, 1150), "token_revoked");
}
