//! A real Envoy whose clock jumps: while it is wrong nothing passes that the times in tokens forbid, and when
//! it is right again everything goes on by itself, with few fetches. `crates/core/tests/guard/clock.rs` has
//! the same for the engine alone, second by second.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use common::{
    Front, Gate, ISSUER, PATIENCE, RESOURCE, Setup, call, comes, good_keys, held_at, jwks, policy,
    token, with_page,
};
use countersign_e2e::{Answer, Clock, Places, Stub};
use countersign_testkit::{
    keys::TestKey,
    status::{TestList, reference},
    token::Token,
};
use serde_json::{Value, json};

const DAY: i64 = 86_400;
const YEAR: i64 = 365 * DAY;

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// A token of the key in force, for an hour of the right time.
fn hourly(key: u8, name: &str) -> String {
    let token = Token::new(ISSUER, RESOURCE).key(TestKey::Es256(key), &format!("es{key}"));
    token.claim("iat", now() - 60).claim("exp", now() + 3600).claim("jti", name).sign()
}

/// An Envoy by a clock of its own, whose issuer has the key of this number.
fn start(workers: u16, key: &Arc<AtomicU8>) -> (Front, Clock) {
    let mut policy = policy(true);
    policy["limits"] = json!({ "failures_per_minute": 0 });
    let key = Arc::clone(key);
    let setup = Setup::with(Stub::upstream().unwrap(), policy, true, move |_| {
        let key = key.load(Ordering::SeqCst);
        jwks(&[(TestKey::Es256(key), &format!("es{key}"))])
    });
    let clock = Clock::new(&Places::of_checkout(), setup.dir(), 1).unwrap();
    let front = setup.config(|config| config.with_workers(workers).with_clock(&clock)).start();
    (front, clock)
}

/// Asks with new tokens until one is let in; how long that took.
fn recovers(front: &Front, key: u8, name: &str) -> Duration {
    let start = Instant::now();
    for attempt in 0.. {
        let token = hourly(key, &format!("{name}-{attempt}"));
        if front.send(&call(&token, "read_file")).status() == 200 {
            break;
        }
        assert!(start.elapsed() < PATIENCE, "{name}: {}", front.envoy.output());
        thread::sleep(Duration::from_millis(50));
    }
    start.elapsed()
}

#[test]
fn jumps_let_nothing_in_and_end_well() {
    for workers in [1, 2] {
        let key = Arc::new(AtomicU8::new(1));
        let (front, clock) = start(workers, &key);
        let good = hourly(1, "good");
        assert!(front.until(200, &call(&good, "read_file")));
        front.upstream.take();
        front.issuer.take();
        for (number, jump) in [10 * YEAR, -DAY, YEAR, -10 * YEAR].into_iter().enumerate() {
            clock.set(jump).unwrap();
            let refused = if jump > 0 { "token_expired" } else { "token_not_yet_valid" };
            let wrong: Vec<_> = (0..100)
                .map(|attempt| hourly(1, &format!("wrong-{number}-{attempt}")))
                .map(|token| call(&token, "read_file"))
                .collect();
            for request in &wrong {
                let status = front.send(request).status();
                assert!(matches!(status, 401 | 503), "{jump}: {status}");
            }
            assert_eq!(front.seen(), 0, "{jump}");
            assert!(front.envoy.reasons().iter().any(|reason| reason == refused), "{jump}");
            let fetches = front.issuer.take().len();
            assert!(fetches <= 2 * usize::from(workers) + 2, "{jump}: {fetches} fetches");
            // While the clock is wrong the issuer takes another key into use.
            let next = u8::try_from(number).unwrap() + 2;
            key.store(next, Ordering::SeqCst);
            let right = Instant::now();
            clock.set(0).unwrap();
            let took = recovers(&front, next, &format!("right-{number}"));
            println!("{workers} workers, {jump} s: right again after {took:?}");
            // The key that is gone counts no more, in any worker: none is kept from then.
            let gone = |attempt| {
                let old = hourly(next - 1, &format!("gone-{number}-{attempt}"));
                call(&old, "read_file")
            };
            assert!(front.settles(401, gone), "the old key is still good");
            let fetches = front.issuer.take().len();
            let in_time = usize::try_from(right.elapsed().as_secs() / 2).unwrap();
            let most = 4 + 2 * usize::from(workers) + in_time;
            assert!(fetches <= most, "{jump}: {fetches} fetches, at most {most}");
            front.upstream.take();
            // The next jump begins with the key that is in force.
            key.store(1, Ordering::SeqCst);
            recovers(&front, 1, &format!("again-{number}"));
            // And those that were refused by the wrong clock are as good as any, in every worker.
            let again = |attempt: usize| wrong[attempt % wrong.len()].clone();
            assert!(front.settles(200, again), "{jump}: refused for good");
            front.upstream.take();
            front.issuer.take();
        }
        assert_eq!(front.envoy.stat("wasm.countersign.vm_reload_success"), 0);
    }
}

/// One that was good by a clock that was ahead is not, when that is right, before its time.
#[test]
fn a_token_of_the_future_is_not_kept() {
    let (front, clock) = start(2, &Arc::new(AtomicU8::new(1)));
    clock.set(YEAR).unwrap();
    let start = now() + 3600;
    let token = Token::new(ISSUER, RESOURCE).key(TestKey::Es256(1), "es1").claim("iat", now() - 60);
    let token = token.claim("nbf", start).claim("exp", start + 10 * YEAR.unsigned_abs()).sign();
    let request = call(&token, "read_file");
    assert!(front.settles(200, |_| request.clone()), "by then it is good");
    clock.set(0).unwrap();
    assert!(front.settles(401, |_| request.clone()), "still let in");
    assert!(front.envoy.reasons().iter().any(|reason| reason == "token_not_yet_valid"));
}

/// Back and forth, with requests for names that no key has: each turn costs a fetch or two, not each request.
#[test]
fn a_clock_that_flaps_does_not_flood_the_issuer() {
    let key = Arc::new(AtomicU8::new(1));
    let (front, clock) = start(2, &key);
    assert!(front.until(200, &call(&hourly(1, "good"), "read_file")));
    front.issuer.take();
    let turns = 20;
    for turn in 0..turns {
        clock.set(if turn % 2 == 0 { 2 * DAY } else { -2 * DAY }).unwrap();
        for attempt in 0..20 {
            let unknown = Token::new(ISSUER, RESOURCE)
                .key(TestKey::Es256(9), &format!("unknown-{turn}-{attempt}"))
                .sign();
            assert_ne!(front.send(&call(&unknown, "read_file")).status(), 200);
        }
        thread::sleep(Duration::from_millis(100));
    }
    let fetches = front.issuer.take().len();
    println!("{fetches} fetches in {turns} turns with 400 requests");
    assert!(fetches <= 4 * turns, "{fetches}");
    clock.set(0).unwrap();
    recovers(&front, 1, "after");
}

/// A request that waits for keys while the clock is set back does not wait for the clock to come again.
#[test]
fn parked_requests_do_not_wait_for_the_clock() {
    for jump in [-DAY, DAY] {
        let gate = Gate::default();
        let closed = gate.clone();
        let policy = with_page(policy(true));
        let setup = Setup::with(Stub::upstream().unwrap(), policy, true, move |_| {
            closed.pass();
            good_keys()
        });
        let clock = Clock::new(&Places::of_checkout(), setup.dir(), 1).unwrap();
        let front = setup.config(|config| config.with_clock(&clock)).start();
        let port = front.envoy.port();
        let request = call(&token().sign(), "read_file");
        let parked = thread::spawn(move || request.send(port).unwrap().status());
        assert!(comes(|| held_at(port)[1] == 1 || parked.is_finished()));
        clock.set(jump).unwrap();
        let start = Instant::now();
        let status = parked.join().unwrap();
        println!("{jump}: {status} after {:?}", start.elapsed());
        assert!(matches!(status, 200 | 503), "{status}");
        assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
        gate.open();
        clock.set(0).unwrap();
        assert!(front.until(200, &call(&token().sign(), "read_file")));
    }
}

const LIST: &str = "https://auth.example.com/status/1";

/// A revocation list that was fetched while the clock was wrong is no reason to miss what came later.
#[test]
fn a_list_of_the_future_is_not_kept() {
    let revoked = Arc::new(Mutex::new(Vec::new()));
    let listed = Arc::clone(&revoked);
    let setup = Setup::with(Stub::upstream().unwrap(), policy(true), true, move |request| {
        match request.target() {
            "/status/1" => {
                let list = TestList::new(LIST, &listed.lock().unwrap());
                Answer::json(list.claim("ttl", 60).claim("exp", Value::Null).sign())
            }
            _ => good_keys(),
        }
    });
    let clock = Clock::new(&Places::of_checkout(), setup.dir(), 1).unwrap();
    let front = setup.config(|config| config.with_workers(2).with_clock(&clock)).start();
    let request = call(&token().claim("status", reference(LIST, 7)).sign(), "read_file");
    clock.set(YEAR).unwrap();
    assert!(front.until(200, &request), "a token for a century");
    clock.set(0).unwrap();
    revoked.lock().unwrap().push(7);
    let start = Instant::now();
    assert!(front.settles(401, |_| request.clone()), "still accepted");
    println!("revoked after {:?}", start.elapsed());
}
