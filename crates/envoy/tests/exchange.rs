//! The exchange between workers, natively, on shared data as Envoy keeps them: what is read of them while a
//! worker waits, and whose body an answer is.
#![allow(missing_docs, dead_code, clippy::unwrap_used, reason = "a part of the filter, and a test")]

#[path = "../src/exchange.rs"]
mod exchange;
#[path = "../src/record.rs"]
mod record;

/// Envoy's shared data, and how much of them was read.
mod host {
    use std::cell::{Cell, RefCell};
    use std::collections::BTreeMap;

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct HostError(pub(crate) u32);

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct Version(u32);

    impl Version {
        pub(crate) const ABSENT: Self = Self(u32::MAX);
        pub(crate) const ANY: Self = Self(0);
    }

    pub(crate) const NOT_FOUND: u32 = 1;

    thread_local! {
        static DATA: RefCell<BTreeMap<String, (Vec<u8>, u32)>> = const { RefCell::new(BTreeMap::new()) };
        static READ: Cell<usize> = const { Cell::new(0) };
    }

    pub(crate) fn shared(key: &str) -> Result<Option<(Vec<u8>, Version)>, HostError> {
        let found = DATA.with_borrow(|data| data.get(key).cloned());
        READ.set(READ.get() + found.as_ref().map_or(0, |(value, _)| value.len()));
        Ok(found.map(|(value, version)| (value, Version(version))))
    }

    pub(crate) fn set_shared(key: &str, value: &[u8], version: Version) -> Result<bool, HostError> {
        DATA.with_borrow_mut(|data| {
            let next = match data.get(key) {
                Some((_, found)) if version != Version::ANY && version.0 != *found => {
                    return Ok(false);
                }
                Some((_, found)) => found + 1,
                None => 1,
            };
            data.insert(key.to_owned(), (value.to_vec(), next));
            Ok(true)
        })
    }

    /// How many bytes were read since this was last asked.
    pub(crate) fn take_read() -> usize {
        READ.replace(0)
    }

    pub(crate) fn keys() -> Vec<String> {
        DATA.with_borrow(|data| data.keys().cloned().collect())
    }
}

use countersign_core::guard::{Fetch, FetchId};
use exchange::{Claim, Exchange, Waiting};

fn fetch(url: &str) -> Fetch {
    let (url, cluster) = (url.to_owned(), Some("auth".to_owned()));
    Fetch { id: FetchId::from_u64(1), url, cluster, form: None, fresh: false, outdated: false }
}

fn answer(claim: Claim) -> (Option<Vec<u8>>, u64) {
    match claim {
        Claim::Answered(body, at) => (body, at),
        other => panic!("{other:?}"),
    }
}

const URL: &str = "https://auth.example.com/keys";

#[test]
fn who_waits_reads_no_body_until_there_is_a_new_one() {
    let large = vec![7; Fetch::MAX_BYTES];
    let (mut one, mut other) = (Exchange::new(true), Exchange::new(true));
    let fetch = fetch(URL);
    assert!(matches!(one.claim(&fetch, 100), Claim::Fetch));
    one.publish(&fetch, Some(&large), 101);
    assert_eq!(answer(other.claim(&fetch, 102)), (Some(large.clone()), 101));
    // Again, later: a body is there, and another is on its way.
    assert!(matches!(one.claim(&fetch, 200), Claim::Fetch));
    host::take_read();
    for _ in 0..10 {
        assert!(matches!(other.claim(&fetch, 201), Claim::Wait));
    }
    let read = host::take_read();
    assert!(read < 2000, "{read} bytes in ten looks");
    one.publish(&fetch, Some(b"new"), 202);
    assert_eq!(answer(other.claim(&fetch, 203)), (Some(b"new".to_vec()), 202));
    // A failure is told without the body that is still there; who just began gets that.
    assert!(matches!(one.claim(&fetch, 300), Claim::Fetch));
    one.publish(&fetch, None, 301);
    assert_eq!(answer(other.claim(&fetch, 302)), (None, 301));
    assert_eq!(answer(Exchange::new(true).claim(&fetch, 303)), (Some(b"new".to_vec()), 202));
}

#[test]
fn looks_become_rare() {
    let mut exchange = Exchange::new(true);
    assert_eq!(exchange.next_look(), None);
    exchange.wait(Waiting::new(fetch(URL), 100));
    let pauses = [(); 6].map(|()| {
        let pause = exchange.next_look();
        for waiting in exchange.take_waiting(100) {
            exchange.wait(waiting);
        }
        pause
    });
    assert_eq!(pauses, [20, 40, 80, 160, 320, 320].map(Some));
    // What is new is looked at soon.
    exchange.wait(Waiting::new(fetch("https://auth.example.com/status/1"), 101));
    assert_eq!(exchange.next_look(), Some(20));
    assert_eq!(exchange.take_waiting(110).len(), 1, "one was given up");
}

/// Places are few: a body must be what its state says.
#[test]
fn no_url_gets_the_body_of_another() {
    let urls: Vec<_> = (0..600).map(|n| fetch(&format!("{URL}/{n}"))).collect();
    let (mut one, mut other) = (Exchange::new(true), Exchange::new(true));
    for round in 0..2 {
        let now = 100 + 100 * round;
        for fetch in &urls {
            if matches!(one.claim(fetch, now), Claim::Fetch) {
                one.publish(fetch, Some(fetch.url.as_bytes()), now);
            }
            if let Claim::Answered(Some(body), _) = other.claim(fetch, now) {
                assert_eq!(body, fetch.url.as_bytes());
            }
        }
    }
    assert!(host::keys().len() <= 256, "{}", host::keys().len());
}

#[test]
fn without_a_vm_id_nothing_is_shared() {
    let (mut one, mut other) = (Exchange::new(false), Exchange::new(false));
    let fetch = fetch(URL);
    // What any other plugin can have put there.
    let mut stranger = Exchange::new(true);
    assert!(matches!(stranger.claim(&fetch, 100), Claim::Fetch));
    stranger.publish(&fetch, Some(b"forged"), 100);
    let before = host::keys();
    for exchange in [&mut one, &mut other] {
        assert!(matches!(exchange.claim(&fetch, 101), Claim::Fetch));
        exchange.publish(&fetch, Some(b"own"), 102);
        assert!(matches!(exchange.claim(&fetch, 103), Claim::Fetch));
    }
    assert_eq!(host::keys(), before);
    assert!(one.is_first_to_say());
    assert!(!other.is_first_to_say(), "said once");
    assert!(!stranger.is_first_to_say());
}
