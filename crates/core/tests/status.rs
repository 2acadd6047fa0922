//! The life of a status list: fetched when needed, refreshed, never rolled back, never past its end.

use std::collections::BTreeMap;

use countersign_core::{
    Reason,
    guard::{Answer, Engine, FetchError, Policy, Step},
    oauth::status_list::StatusListError,
};
use countersign_testkit::{
    drive::{self, Fetches, Request},
    keys::TestKey,
    status::{TestList, reference},
    token::Token,
};
use serde_json::json;

const NOW: u64 = 1_800_000_000;
const LIST: &str = "https://auth.example.com/status-lists/1";

fn engine() -> Engine {
    let policy = json!({
        "issuers": [{ "issuer": "https://auth.example.com", "max_lifetime": 3_155_760_000_u64,
                      "jwks": { "keys": [TestKey::Es256(1).jwk("es1")] } }],
        "resources": [{ "resource": "https://mcp.example.com/mcp" }],
    });
    Engine::new(Policy::parse(policy.to_string().as_bytes()).expect("a valid policy"))
}

fn request(index: u64) -> Request {
    request_of(LIST, index)
}

fn request_of(list: &str, index: u64) -> Request {
    let token = Token::new("https://auth.example.com", "https://mcp.example.com/mcp")
        .claim("status", reference(list, index))
        .sign();
    Request {
        method: "GET".to_owned(),
        authority: "mcp.example.com".to_owned(),
        path: "/mcp".to_owned(),
        headers: vec![(b"authorization".to_vec(), format!("Bearer {token}").into_bytes())],
        ..Request::default()
    }
}

/// A list made at `iat`, to be fetched again after 10 seconds and used for 100.
fn list(revoked: &[usize], iat: u64) -> Fetches {
    let list =
        TestList::new(LIST, revoked).claim("iat", iat).claim("exp", iat + 100).claim("ttl", 10);
    BTreeMap::from([(LIST.to_owned(), (200, list.sign().into_bytes()))])
}

fn reason(engine: &mut Engine, index: u64, fetches: &Fetches, now: u64) -> Option<Reason> {
    drive::run(engine, &request(index), fetches, now).decision().reason
}

#[test]
fn a_revocation_is_seen_when_the_list_is_fetched_again() {
    let mut engine = engine();
    assert_eq!(reason(&mut engine, 5, &list(&[], NOW), NOW), None);
    assert!(engine.due(NOW + 9).is_empty(), "not before its ttl");
    drive::fetch(&mut engine, &list(&[5], NOW + 10), NOW + 10);
    // The token itself is remembered; its status is looked up all the same.
    assert_eq!(reason(&mut engine, 5, &Fetches::new(), NOW + 10), Some(Reason::TokenRevoked));
    assert_eq!(reason(&mut engine, 6, &Fetches::new(), NOW + 10), None);
}

#[test]
fn an_older_list_never_replaces_a_newer_one() {
    let mut engine = engine();
    assert_eq!(reason(&mut engine, 5, &list(&[5], NOW), NOW), Some(Reason::TokenRevoked));
    drive::fetch(&mut engine, &list(&[], NOW - 1), NOW + 10);
    assert_eq!(reason(&mut engine, 5, &Fetches::new(), NOW + 10), Some(Reason::TokenRevoked));
}

/// Each node of an issuer signs for itself: a list that is some seconds older is no fault, and the next is
/// asked for at its time.
#[test]
fn an_older_list_is_no_failure() {
    let mut engine = engine();
    assert_eq!(reason(&mut engine, 5, &list(&[], NOW), NOW), None);
    let answer = |engine: &mut Engine, list: &Fetches, now| {
        let due = engine.due(now);
        assert_eq!(due.len(), 1, "{}", now - NOW);
        let (status, body) = &list[LIST];
        engine.fetched(due[0].id, Some((*status, body)), now)
    };
    assert_eq!(answer(&mut engine, &list(&[5], NOW - 15), NOW + 10), None);
    assert_eq!(reason(&mut engine, 5, &Fetches::new(), NOW + 10), None, "the newer stays");
    assert!(engine.due(NOW + 19).is_empty(), "not before its ttl");
    assert_eq!(answer(&mut engine, &list(&[5], NOW + 15), NOW + 20), None);
    assert_eq!(reason(&mut engine, 5, &Fetches::new(), NOW + 20), Some(Reason::TokenRevoked));
    let expired = answer(&mut engine, &list(&[], NOW - 80), NOW + 30);
    assert_eq!(expired, Some(FetchError::StatusList(StatusListError::Old)));
    // However often older ones come, the held one ends at its end.
    let mut engine = self::engine();
    assert_eq!(reason(&mut engine, 6, &list(&[], NOW), NOW), None);
    for now in (NOW + 10..NOW + 100).step_by(10) {
        let _ = answer(&mut engine, &list(&[], NOW - 1), now);
    }
    let found = reason(&mut engine, 6, &Fetches::new(), NOW + 100);
    assert_eq!(found, Some(Reason::StatusUnavailable));
}

/// A list by a clock that was an hour ahead neither outlives its time nor keeps the next one out.
#[test]
fn a_list_from_ahead_pins_nothing() {
    let mut engine = engine();
    assert_eq!(reason(&mut engine, 5, &list(&[], NOW + 3600), NOW), None);
    drive::fetch(&mut engine, &list(&[5], NOW + 10), NOW + 10);
    assert_eq!(reason(&mut engine, 5, &Fetches::new(), NOW + 10), Some(Reason::TokenRevoked));
    let mut engine = self::engine();
    assert_eq!(reason(&mut engine, 5, &list(&[], NOW + 3600), NOW), None);
    assert_eq!(reason(&mut engine, 5, &Fetches::new(), NOW + 99), None);
    let found = reason(&mut engine, 5, &Fetches::new(), NOW + 100);
    assert_eq!(found, Some(Reason::StatusUnavailable));
}

#[test]
fn used_while_fetches_fail_and_not_one_second_longer() {
    let (mut engine, nothing) = (engine(), Fetches::new());
    assert_eq!(reason(&mut engine, 5, &list(&[], NOW), NOW), None);
    for now in NOW + 1..NOW + 100 {
        drive::fetch(&mut engine, &nothing, now);
        assert_eq!(reason(&mut engine, 5, &nothing, now), None, "{}", now - NOW);
    }
    let found = reason(&mut engine, 5, &nothing, NOW + 100);
    assert_eq!(found, Some(Reason::StatusUnavailable), "fails closed");
    let later = NOW + 200;
    drive::fetch(&mut engine, &list(&[], later), later);
    assert_eq!(reason(&mut engine, 5, &list(&[], later), later), None, "and recovers");
}

/// Draft §13.7: `ttl` says when to ask again, `exp` when the list is over. An issuer that is away, in whichever
/// way, is asked all the time, and nobody is refused before that.
#[test]
fn a_list_past_its_ttl_is_used_until_its_end() {
    let long = |revoked: &[usize], iat| {
        let list =
            TestList::new(LIST, revoked).claim("iat", iat).claim("exp", iat + 3600).claim("ttl", 5);
        Fetches::from([(LIST.to_owned(), (200, list.sign().into_bytes()))])
    };
    let failing = Fetches::from([(LIST.to_owned(), (503, Vec::new()))]);
    for away in [Fetches::new(), failing] {
        let mut engine = engine();
        assert_eq!(reason(&mut engine, 5, &long(&[7], NOW), NOW), None);
        let mut last = NOW;
        for now in NOW + 1..NOW + 3600 {
            let asked = engine.due(now);
            assert!(now - last <= 32, "not asked since {}", last - NOW);
            for fetch in asked {
                let answer = away.get(&fetch.url).map(|(status, body)| (*status, &body[..]));
                assert!(engine.fetched(fetch.id, answer, now).is_some());
                last = now;
            }
            assert_eq!(reason(&mut engine, 5, &away, now), None, "{}", now - NOW);
        }
        assert_eq!(reason(&mut engine, 7, &away, NOW + 3599), Some(Reason::TokenRevoked));
        let found = reason(&mut engine, 5, &away, NOW + 3600);
        assert_eq!(found, Some(Reason::StatusUnavailable));
        // When it is back, what was revoked meanwhile is seen at once.
        let back = NOW + 3633;
        assert_eq!(reason(&mut engine, 5, &long(&[5], back), back), Some(Reason::TokenRevoked));
    }
}

#[test]
fn a_request_waits_for_its_list() {
    let mut engine = engine();
    let to_status = |engine: &mut Engine| {
        let mut step = drive::begin(engine, &request(5), NOW);
        if let Step::NeedSignature(pending) = step {
            step = engine.resume(pending, Answer::Signature(true), NOW);
        }
        match step {
            Step::NeedStatus(pending) => pending,
            other => panic!("{other:?}"),
        }
    };
    let waiting = to_status(&mut engine);
    let Step::NeedStatus(waiting) = engine.resume(waiting, Answer::Fetched, NOW) else {
        panic!("nothing was fetched");
    };
    let other = to_status(&mut engine);
    let Step::Respond(response) = engine.resume(other, Answer::GiveUp, NOW) else {
        panic!("nobody waits for ever");
    };
    assert_eq!((response.status, response.decision.reason), (503, Some(Reason::StatusUnavailable)));
    drive::fetch(&mut engine, &list(&[], NOW), NOW);
    assert!(matches!(engine.resume(waiting, Answer::Fetched, NOW), Step::Forward(_)));
}

/// No token sends the guard to another host, even if its issuer signed it.
#[test]
fn only_the_issuers_own_host_is_asked() {
    for list in [
        "https://evil.example/status-lists/1",
        "https://auth.example.com.evil.example/1",
        "https://auth.example.com:8443/1",
        "https://auth.example.com@evil.example/1",
        "http://auth.example.com/1",
        "http://169.254.169.254/latest",
    ] {
        let mut engine = engine();
        let mut step = drive::begin(&mut engine, &request_of(list, 5), NOW);
        if let Step::NeedSignature(pending) = step {
            step = engine.resume(pending, Answer::Signature(true), NOW);
        }
        let Step::Respond(response) = step else { panic!("{list} is waited for") };
        assert_eq!(response.decision.reason, Some(Reason::StatusUnavailable), "{list}");
        assert!(engine.due(NOW).is_empty(), "{list} is fetched");
    }
}

/// All lists together have a bound. One that does not fit is as good as out of reach, until others
/// are no longer in use.
#[test]
fn memory_is_bounded() {
    let mut engine = engine();
    // Revoked one and all: nothing is saved by keeping those alone.
    let bytes = vec![0xff; 1 << 20];
    let ask = |engine: &mut Engine, number: usize, now: u64| {
        let uri = format!("https://auth.example.com/status-lists/{number}");
        let list = TestList::of(&uri, 1, &bytes).claim("ttl", 1_000_000).sign();
        let fetches = BTreeMap::from([(uri.clone(), (200, list.into_bytes()))]);
        drive::run(engine, &request_of(&uri, 1), &fetches, now).decision().reason
    };
    for number in 0..64 {
        assert_eq!(ask(&mut engine, number, NOW), Some(Reason::TokenRevoked), "{number}");
    }
    assert_eq!(ask(&mut engine, 64, NOW), Some(Reason::StatusUnavailable));
    assert_eq!(ask(&mut engine, 0, NOW + 300), Some(Reason::TokenRevoked));
    assert_eq!(ask(&mut engine, 64, NOW + 301), Some(Reason::TokenRevoked), "others were dropped");
}

/// A fetch that never ends is over after a while, and one that failed is not tried again at once.
#[test]
fn a_fetch_that_hangs_is_begun_again() {
    let (mut engine, nothing) = (engine(), Fetches::new());
    let wants = |engine: &mut Engine, now| {
        let step = drive::begin(engine, &request(5), now);
        match step {
            Step::NeedSignature(pending) => {
                drop(engine.resume(pending, Answer::Signature(true), now));
            }
            other => drop(other),
        }
    };
    wants(&mut engine, NOW);
    assert_eq!(engine.due(NOW).len(), 1);
    wants(&mut engine, NOW + 1);
    assert!(engine.due(NOW + 9).is_empty(), "it may still be answered");
    assert!(engine.due(NOW + 10).is_empty(), "it is over, and the pause begins");
    wants(&mut engine, NOW + 12);
    assert_eq!(engine.due(NOW + 12).len(), 1);
    assert_eq!(reason(&mut engine, 5, &nothing, NOW + 12), Some(Reason::StatusUnavailable));
}

/// draft-ietf-oauth-status-list-21 §5.1: `exp` and `ttl` may be left out. Then it is ours to say how
/// long a list is good for.
#[test]
fn a_list_without_an_end_is_not_used_for_ever() {
    let mut engine = engine();
    let endless = TestList::new(LIST, &[5])
        .claim("iat", NOW)
        .claim("exp", serde_json::Value::Null)
        .claim("ttl", serde_json::Value::Null);
    let fetches = BTreeMap::from([(LIST.to_owned(), (200, endless.sign().into_bytes()))]);
    assert_eq!(reason(&mut engine, 5, &fetches, NOW), Some(Reason::TokenRevoked));
    assert_eq!(reason(&mut engine, 6, &Fetches::new(), NOW + 60), None);
    let much_later = NOW + 30 * 86400;
    let found = reason(&mut engine, 6, &Fetches::new(), much_later);
    assert_eq!(found, Some(Reason::StatusUnavailable));
}
