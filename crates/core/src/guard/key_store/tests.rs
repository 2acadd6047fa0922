//! The life of a key set, second by second.

mod discovery;

use alloc::format;

use super::*;
use crate::guard::{Policy, fetch::usable_body};

/// RFC 8037 A.2, and RFC 8032 §7.1 test 2.
const FIRST: &str =
    r#"{"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
const SECOND: &str =
    r#"{"kty":"OKP","crv":"Ed25519","kid":"b","x":"PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw"}"#;

fn store(members: &str) -> Store {
    let document = format!(
        r#"{{"issuers":[{{"issuer":"https://a.example"{members}}}],
             "resources":[{{"resource":"https://m.example"}}]}}"#
    );
    let keys = KeyStore::new(&Policy::parse(document.as_bytes()).unwrap().issuers);
    Store { keys, next: 0 }
}

fn with_uri() -> Store {
    store(
        r#","jwks_uri":"https://a.example/keys","jwks_cache":{"fresh":100,"stale":1000,"cooldown":30}"#,
    )
}

fn set(keys: &[&str]) -> String {
    format!(r#"{{"keys":[{}]}}"#, keys.join(","))
}

/// The store with what the engine adds to it.
struct Store {
    keys: KeyStore,
    next: u64,
}

impl Store {
    fn due(&mut self, now: u64) -> Vec<Fetch> {
        self.keys.due(now, || {
            self.next += 1;
            FetchId(self.next)
        })
    }

    fn fetched(
        &mut self,
        id: FetchId,
        answer: Option<(u16, &[u8])>,
        now: u64,
    ) -> Option<FetchError> {
        self.keys.fetched(id, usable_body(answer), now)
    }

    fn lookup(&mut self, issuer: usize, kid: Option<&str>, alg: Algorithm, now: u64) -> Lookup {
        self.keys.lookup(issuer, kid, alg, now)
    }

    fn usable_revision(&self, issuer: usize, now: u64) -> Option<u64> {
        self.keys.usable_revision(issuer, now)
    }
}

fn only(store: &mut Store, now: u64) -> Fetch {
    let mut due = store.due(now);
    assert_eq!(due.len(), 1, "at {now}");
    due.remove(0)
}

fn answer(store: &mut Store, document: &str, now: u64) {
    let fetch = only(store, now);
    assert_eq!(store.fetched(fetch.id, Some((200, document.as_bytes())), now), None);
}

/// What the store has for a key, as a word.
fn look(store: &mut Store, kid: &str, now: u64) -> &'static str {
    match store.lookup(0, Some(kid), Algorithm::EdDsa, now) {
        Lookup::Found { .. } => "found",
        Lookup::Refuse(reason) => reason.code(),
        Lookup::Unavailable { .. } => "unavailable",
        Lookup::Wait => "wait",
    }
}

#[test]
fn fetched_once_and_used_until_stale() {
    let mut store = with_uri();
    assert_eq!(look(&mut store, "a", 0), "wait");
    let fetch = only(&mut store, 0);
    assert_eq!(fetch.url, "https://a.example/keys");
    assert!(store.due(0).is_empty(), "each fetch is given once");
    assert_eq!(look(&mut store, "a", 1), "wait", "under way");
    assert_eq!(store.fetched(fetch.id, Some((200, set(&[FIRST]).as_bytes())), 1), None);
    assert_eq!(look(&mut store, "a", 1), "found");
    assert!(store.due(100).is_empty(), "fresh");
    // From here on every refresh fails; the set goes on being used until it is stale.
    let mut now = 101;
    while now < 1001 {
        for fetch in store.due(now) {
            let error = store.fetched(fetch.id, Some((500, b"")), now);
            assert_eq!(error, Some(FetchError::Status(500)));
        }
        assert_eq!(look(&mut store, "a", now), "found", "at {now}");
        now += 1;
    }
    assert_ne!(look(&mut store, "a", 1001), "found", "the ceiling is hard");
    assert_eq!(store.usable_revision(0, 1001), None);
}

#[test]
fn an_unknown_name_causes_one_fetch_per_cooldown() {
    let mut store = with_uri();
    answer(&mut store, &set(&[FIRST]), 0);
    assert_eq!(look(&mut store, "b", 10), "key_unknown", "just fetched");
    assert!(store.due(10).is_empty());
    assert_eq!(look(&mut store, "b", 30), "wait");
    assert_eq!(look(&mut store, "a", 30), "found", "known keys do not wait");
    answer(&mut store, &set(&[FIRST, SECOND]), 31);
    assert_eq!(look(&mut store, "b", 31), "found");
    for now in 32..61 {
        assert_eq!(look(&mut store, "c", now), "key_unknown", "at {now}");
        assert!(store.due(now).is_empty(), "a flood of unknown names fetches nothing");
    }
    assert_eq!(look(&mut store, "c", 61), "wait");
}

#[test]
fn while_the_issuer_is_down_nobody_is_told_to_log_in_again() {
    let mut store = with_uri();
    let fetch = only(&mut store, 0);
    assert_eq!(store.fetched(fetch.id, None, 0), Some(FetchError::NoAnswer));
    assert_eq!(look(&mut store, "a", 0), "unavailable");
    // 1, 2, 4 … seconds, at most the cool-down.
    let mut fetches = Vec::new();
    for now in 1..200 {
        for fetch in store.due(now) {
            fetches.push(now);
            store.fetched(fetch.id, None, now);
        }
    }
    assert_eq!(fetches[..6], [1, 3, 7, 15, 31, 61]);
    assert!(fetches.windows(2).all(|pair| pair[1] - pair[0] <= 30));
    // And it recovers by itself.
    let now = fetches.last().unwrap() + 30;
    answer(&mut store, &set(&[FIRST]), now);
    assert_eq!(look(&mut store, "a", now), "found");
}

#[test]
fn an_unknown_name_while_refreshes_fail_is_our_fault() {
    let mut store = with_uri();
    answer(&mut store, &set(&[FIRST]), 0);
    assert_eq!(look(&mut store, "b", 40), "wait");
    let fetch = only(&mut store, 40);
    store.fetched(fetch.id, Some((502, b"")), 40);
    assert_eq!(look(&mut store, "b", 40), "unavailable");
    assert_eq!(look(&mut store, "a", 40), "found");
}

#[test]
fn a_lost_answer_blocks_nothing_for_ever_and_a_late_one_is_ignored() {
    let mut store = with_uri();
    let lost = only(&mut store, 0);
    assert_eq!(look(&mut store, "a", 9), "wait");
    assert_eq!(look(&mut store, "a", 10), "unavailable");
    let again = only(&mut store, 11);
    assert_ne!(lost.id, again.id);
    assert_eq!(store.fetched(lost.id, Some((200, set(&[SECOND]).as_bytes())), 12), None);
    assert_eq!(look(&mut store, "b", 12), "wait", "the late answer is ignored");
    store.fetched(again.id, Some((200, set(&[FIRST]).as_bytes())), 12);
    assert_eq!(look(&mut store, "a", 12), "found");
}

#[test]
fn what_is_no_key_set_replaces_nothing() {
    let mut store = with_uri();
    answer(&mut store, &set(&[FIRST]), 0);
    let long = alloc::vec![b' '; Fetch::MAX_BYTES + 1];
    for (now, body) in [(200, &b"<html>"[..]), (300, b"{}"), (400, br#"{"keys":[]}"#), (500, &long)]
    {
        let fetch = only(&mut store, now);
        assert!(store.fetched(fetch.id, Some((200, body)), now).is_some());
        assert_eq!(look(&mut store, "a", now), "found");
    }
}

#[test]
fn the_revision_changes_when_a_key_goes() {
    let mut store = with_uri();
    answer(&mut store, &set(&[FIRST]), 0);
    let first = store.usable_revision(0, 0);
    answer(&mut store, &set(&[FIRST, SECOND]), 200);
    assert_eq!(store.usable_revision(0, 200), first, "a new key takes nothing away");
    answer(&mut store, &set(&[SECOND]), 400);
    assert_ne!(store.usable_revision(0, 400), first);
    assert_eq!(look(&mut store, "a", 401), "key_unknown");
}

#[test]
fn inline_keys_are_never_fetched() {
    let mut store = store(&format!(r#","jwks":{}"#, set(&[FIRST])));
    assert!(store.due(0).is_empty());
    assert_eq!(look(&mut store, "a", u64::MAX), "found");
    assert_eq!(look(&mut store, "b", 0), "key_unknown");
    assert!(store.due(u64::MAX).is_empty());
}

fn numbered(keys: &[&str], generation: &str) -> String {
    format!(r#"{{"keys":[{}],"jwks_gen":{generation}}}"#, keys.join(","))
}

/// An emergency: a key was taken out of the set, and a list says so long before the set is old.
#[test]
fn a_later_generation_is_fetched_once_and_after_the_cool_down() {
    let mut store = with_uri();
    assert_eq!(look(&mut store, "a", 0), "wait");
    answer(&mut store, &numbered(&[FIRST, SECOND], "7"), 0);
    for told in [0, 6, 7] {
        store.keys.announced(0, told);
        assert!(store.due(50).is_empty(), "{told} is not later");
    }
    store.keys.announced(0, 8);
    assert!(store.due(29).is_empty(), "at most once in a cool-down");
    let fetch = only(&mut store, 30);
    assert!(fetch.outdated, "what others keep of it is no answer");
    let set = numbered(&[SECOND], "8");
    assert_eq!(store.fetched(fetch.id, Some((200, set.as_bytes())), 30), None);
    assert_ne!(look(&mut store, "a", 30), "found", "the key that was taken out");
    assert_eq!(look(&mut store, "b", 30), "found");
    store.keys.announced(0, 8);
    assert!(store.due(65).is_empty(), "that one is there");
    assert!(!only(&mut store, 130).outdated, "a refresh like others");
}

/// Whoever has a stolen key may announce what they like: we fetch once in a cool-down, and what is
/// announced later by the issuer counts as before.
#[test]
fn an_invented_generation_causes_bounded_fetches_and_hides_nothing() {
    let mut store = with_uri();
    assert_eq!(look(&mut store, "a", 0), "wait");
    answer(&mut store, &numbered(&[FIRST, SECOND], "7"), 0);
    let mut fetches = 0;
    for now in 1..=90 {
        store.keys.announced(0, u64::MAX);
        for fetch in store.due(now) {
            let set = numbered(&[FIRST, SECOND], "7");
            assert_eq!(store.fetched(fetch.id, Some((200, set.as_bytes())), now), None);
            fetches += 1;
        }
    }
    assert_eq!(fetches, 3);
    store.keys.announced(0, 8);
    answer(&mut store, &numbered(&[SECOND], "8"), 120);
    assert_ne!(look(&mut store, "a", 120), "found");
}

/// While the issuer cannot be reached, the pauses after failures hold.
#[test]
fn a_later_generation_is_asked_for_until_it_is_there() {
    let mut store = with_uri();
    assert_eq!(look(&mut store, "a", 0), "wait");
    answer(&mut store, &numbered(&[FIRST, SECOND], "7"), 0);
    store.keys.announced(0, 8);
    let fetch = only(&mut store, 30);
    assert!(store.fetched(fetch.id, None, 30).is_some());
    assert!(store.due(30).is_empty());
    let fetch = only(&mut store, 31);
    assert!(fetch.outdated, "still");
    let set = numbered(&[SECOND], "8");
    assert_eq!(store.fetched(fetch.id, Some((200, set.as_bytes())), 31), None);
    assert_ne!(look(&mut store, "a", 31), "found");
}

/// A set without a number, one that is in the policy, and numbers that are none: nothing is compared.
#[test]
fn only_numbers_are_compared() {
    for number in ["-1", "1.5", "\"7\"", "null"] {
        let mut store = with_uri();
        assert_eq!(look(&mut store, "a", 0), "wait");
        answer(&mut store, &numbered(&[FIRST], number), 0);
        store.keys.announced(0, 8);
        assert!(store.due(60).is_empty(), "{number}");
    }
    let document = format!(r#","jwks":{}"#, numbered(&[FIRST], "7"));
    let mut inline = store(&document);
    inline.keys.announced(0, 8);
    inline.keys.missed(0);
    inline.keys.announced(1, 8);
    assert!(inline.due(1000).is_empty());
}
