//! An issuer that misbehaves in every way, before a real Envoy with one worker and with two: nothing
//! passes unverified, and everything recovers by itself.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::{Front, PATIENCE, Setup, call, comes, good_keys, jwks, policy, token};
use countersign_e2e::{Answer, Clock, Places, Stub};
use countersign_testkit::keys::TestKey;
use serde_json::json;

/// What an issuer may answer instead of its keys.
fn bad_answers(attacker: u16) -> Vec<(&'static str, Answer)> {
    let redirect = |status: u16| {
        let mut answer = Answer::status(status);
        answer.headers.push(("location".into(), format!("http://127.0.0.1:{attacker}/keys")));
        answer
    };
    let padding = "x".repeat(2 << 20);
    let good = String::from_utf8(good_keys().body).unwrap();
    vec![
        ("nothing", Answer::json("")),
        (
            "a page",
            Answer::raw("HTTP/1.1 200 OK\r\ncontent-length: 21\r\n\r\n<html>Not here</html>"),
        ),
        ("an empty set", Answer::json(r#"{"keys":[]}"#)),
        ("half a set", Answer::json(&good.as_bytes()[..good.len() / 2])),
        ("two sets", Answer::json(format!("{good}{good}"))),
        ("members twice", Answer::json(format!(r#"{{"keys":[],{}"#, &good[1..]))),
        ("a byte order mark", Answer::json(format!("\u{feff}{good}"))),
        (
            "noise",
            Answer::json(
                (0..5000).map(|n: u32| (n.wrapping_mul(77) >> 3) as u8).collect::<Vec<_>>(),
            ),
        ),
        ("megabytes", Answer::json(format!(r#"{{"x":"{padding}",{}"#, &good[1..]))),
        ("deep nesting", Answer::json("[".repeat(100_000))),
        ("thousands of keys", jwks(&vec![(TestKey::Es256(1), "es1"); 2000])),
        ("a private key", Answer::json(r#"{"keys":[{"kty":"oct","k":"AAAA","kid":"es1"}]}"#)),
        ("no HTTP", Answer::raw("SSH-2.0-OpenSSH_9.2\r\n")),
        ("status 404", Answer { status: 404, ..good_keys() }),
        ("status 206", Answer { status: 206, ..good_keys() }),
        ("a redirect", redirect(302)),
        ("another redirect", Answer { body: good.clone().into_bytes(), ..redirect(307) }),
    ]
}

#[test]
fn bad_answers_are_no_keys() {
    for workers in [1, 2] {
        let attacker = Stub::start(|_| jwks(&[(TestKey::Es256(9), "es1")])).unwrap();
        let answers = bad_answers(attacker.port());
        let served = Arc::new(Mutex::new(answers[0].1.clone()));
        let serving = Arc::clone(&served);
        let mut policy = policy(true);
        policy["issuers"][0]["jwks_cache"] = json!({ "cooldown": 1 });
        let setup = Setup::with(Stub::upstream().unwrap(), policy, true, move |_| {
            serving.lock().unwrap().clone()
        });
        let clock = Clock::new(&Places::of_checkout(), setup.dir(), 1).unwrap();
        let front = setup.config(|config| config.with_workers(workers).with_clock(&clock)).start();
        let good = call(&token().sign(), "read_file");
        let forged = call(&token().key(TestKey::Es256(9), "es1").sign(), "read_file");
        for (number, (name, answer)) in (1..).zip(answers) {
            *served.lock().unwrap() = answer;
            front.issuer.take();
            // The pause after the last failure is over.
            clock.set(2 * number).unwrap();
            let asked = comes(|| {
                for request in [&good, &forged] {
                    assert_eq!(front.send(request).status(), 503, "{name}");
                }
                !front.issuer.take().is_empty()
            });
            assert!(asked, "{name}");
            assert_eq!(front.send(&good).status(), 503, "{name}");
        }
        assert!(attacker.take().is_empty(), "no redirect is followed");
        assert_eq!(front.seen(), 0);
        *served.lock().unwrap() = good_keys();
        assert!(front.until(200, &good));
        assert_eq!(front.send(&forged).status(), 401);
        assert_eq!(front.seen(), 1);
    }
}

/// A set that is in order is kept while the issuer answers nonsense.
#[test]
fn good_keys_outlive_bad_answers() {
    let attacker = Stub::start(|_| jwks(&[(TestKey::Es256(9), "es1")])).unwrap();
    let served = Arc::new(Mutex::new(good_keys()));
    let serving = Arc::clone(&served);
    let mut policy = policy(true);
    policy["issuers"][0]["jwks_cache"] = json!({ "fresh": 1, "cooldown": 1 });
    policy["limits"] = json!({ "failures_per_minute": 0 });
    let setup = Setup::with(Stub::upstream().unwrap(), policy, true, move |_| {
        serving.lock().unwrap().clone()
    });
    let clock = Clock::new(&Places::of_checkout(), setup.dir(), 1).unwrap();
    let front = setup.config(|config| config.with_clock(&clock)).start();
    assert!(front.until(200, &call(&token().sign(), "read_file")));
    for (number, (name, answer)) in (1..).zip(bad_answers(attacker.port())) {
        *served.lock().unwrap() = answer;
        front.issuer.take();
        // The set is old, and the pause over.
        clock.set(2 * number).unwrap();
        assert!(comes(|| !front.issuer.take().is_empty()), "{name}");
        let fresh = token().claim("jti", format!("t{number}")).sign();
        assert_eq!(front.send(&call(&fresh, "read_file")).status(), 200, "{name}");
        let forged =
            token().key(TestKey::Es256(9), "es1").claim("jti", format!("f{number}")).sign();
        assert_eq!(front.send(&call(&forged, "read_file")).status(), 401, "{name}");
    }
    assert!(attacker.take().is_empty());
}

/// Keys that change as soon as they are known: tokens of the key in force get in then, forged ones never,
/// and fetches stay few.
#[test]
fn keys_that_rotate_all_the_time() {
    let current = Arc::new(AtomicU8::new(1));
    let serving = Arc::clone(&current);
    let mut policy = policy(true);
    policy["issuers"][0]["jwks_cache"] = json!({ "fresh": 1, "cooldown": 1 });
    policy["limits"] = json!({ "failures_per_minute": 0 });
    let setup = Setup::with(Stub::upstream().unwrap(), policy, true, move |_| {
        let number = serving.load(Ordering::SeqCst);
        jwks(&[(TestKey::Es256(number), &format!("k{number}"))])
    });
    let front = setup.config(|config| config.with_workers(2)).start();
    let begun = Instant::now();
    let mut accepted = 0;
    for number in 1..=8 {
        current.store(number, Ordering::SeqCst);
        let start = Instant::now();
        let before = accepted;
        let token = token().key(TestKey::Es256(number), &format!("k{number}")).sign();
        let forged = common::token().key(TestKey::Es256(100), &format!("k{number}")).sign();
        while accepted < before + 2 {
            assert!(start.elapsed() < PATIENCE, "key {number} does not come into use");
            let status = front.send(&call(&token, "read_file")).status();
            assert!(matches!(status, 200 | 401 | 503), "{status}");
            accepted += usize::from(status == 200);
            assert_ne!(front.send(&call(&forged, "read_file")).status(), 200);
        }
    }
    assert_eq!(front.seen(), accepted);
    let fetches = front.issuer.take().len();
    let time = begun.elapsed();
    let most = 2 * usize::try_from(time.as_secs()).unwrap() + 4;
    assert!(fetches <= most, "{fetches} fetches in {time:?}");
    let last = token().key(TestKey::Es256(8), "k8").claim("jti", "last").sign();
    assert!(front.until(200, &call(&last, "read_file")));
}

#[test]
fn an_issuer_that_restarts_is_not_missed() {
    let mut policy = policy(true);
    policy["issuers"][0]["jwks_cache"] = json!({ "fresh": 1, "cooldown": 1 });
    policy["limits"] = json!({ "failures_per_minute": 0 });
    let setup = Setup::with(Stub::upstream().unwrap(), policy, true, |_| good_keys());
    let front = setup.config(|config| config.with_workers(2)).start();
    assert!(front.until(200, &call(&token().sign(), "read_file")));
    let Front { envoy, upstream, issuer, scratch: _scratch } = front;
    let port = issuer.port();
    drop(issuer);
    let down = Instant::now();
    let mut number = 0;
    while down.elapsed() < Duration::from_secs(4) {
        number += 1;
        let new = call(&token().claim("jti", format!("d{number}")).sign(), "read_file");
        assert_eq!(new.send(envoy.port()).unwrap().status(), 200, "keys are known");
        let unknown =
            token().key(TestKey::Es256(2), "es2").claim("jti", format!("u{number}")).sign();
        let status = call(&unknown, "read_file").send(envoy.port()).unwrap().status();
        assert!(matches!(status, 401 | 503), "nobody can tell: {status}");
    }
    let restarted =
        Stub::start_at(port, |_| jwks(&[(TestKey::Es256(1), "es1"), (TestKey::Es256(2), "es2")]))
            .unwrap();
    let new = call(&token().key(TestKey::Es256(2), "es2").sign(), "read_file");
    assert!(comes(|| new.send(envoy.port()).unwrap().status() == 200));
    assert!(!restarted.take().is_empty());
    drop(upstream);
}

/// A cache before the issuer may have the set from before a key was revoked: it is told to ask.
#[test]
fn keys_are_asked_for_past_caches() {
    let front = Front::start(true, good_keys);
    assert!(front.until(200, &call(&token().sign(), "read_file")));
    let asked = front.issuer.take();
    assert!(!asked.is_empty());
    for request in asked {
        assert_eq!(request.headers.get("cache-control").as_deref(), Some("no-cache"));
    }
}
