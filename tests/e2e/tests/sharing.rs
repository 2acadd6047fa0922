//! Two workers before one issuer: what one of them fetched, both have.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use common::{Front, ISSUER, Setup, call, comes, good_keys, jwks, policy, token};
use countersign_e2e::http::Request;
use countersign_e2e::{Answer, Stopwatch, Stub};
use countersign_testkit::{
    keys::TestKey,
    status::{TestList, reference},
};
use serde_json::{Value, json};

const LIST: &str = "https://auth.example.com/status/1";

fn served_by_both(front: &Front) {
    let [one, other] = front.connections();
    assert!(one > 0 && other > 0, "connections: {one}, {other}");
}

#[track_caller]
fn all_are(front: &Front, request: &Request, status: u16) {
    assert_eq!(front.at_once(|_| request.clone()), [status; 8]);
}

#[test]
fn one_fetch_serves_both_workers() {
    let keys = Arc::new(Mutex::new(good_keys()));
    let served = Arc::clone(&keys);
    let setup = Setup::new(move || {
        // Slow enough for both to want it at once.
        thread::sleep(Duration::from_millis(500));
        served.lock().unwrap().clone()
    });
    let front = setup.config(|config| config.with_workers(2)).start();
    let good = call(&token().sign(), "read_file");
    all_are(&front, &good, 200);
    served_by_both(&front);
    assert_eq!(front.issuer.take().len(), 1, "two workers and the main thread, one fetch");
    // The cool-down for unknown names is shared too.
    thread::sleep(Duration::from_secs(2));
    *keys.lock().unwrap() = jwks(&[(TestKey::Es256(2), "es2")]);
    all_are(&front, &call(&token().key(TestKey::Es256(2), "es2").sign(), "read_file"), 200);
    assert_eq!(front.issuer.take().len(), 1, "one more for a new name");
    all_are(&front, &good, 401);
}

/// Without a `vm_id` every other plugin without one could write what the workers share: as it is in Istio.
#[test]
fn without_a_vm_id_each_worker_fetches_for_itself() {
    let without = |plugin: &mut Value| plugin["vm_config"]["vm_id"] = json!("");
    let front =
        Setup::new(good_keys).config(|config| config.with_workers(2).plugin(without)).start();
    let good = call(&token().sign(), "read_file");
    assert!(front.settles(200, |_| good.clone()));
    served_by_both(&front);
    assert_eq!(front.issuer.take().len(), 3, "two workers and the main thread");
    assert_eq!(front.envoy.stat("wasmcustom.countersign.fetches.shared"), 0);
    let log = front.envoy.output();
    assert_eq!(log.matches("the plugin has no vm_id").count(), 1, "{log}");
}

/// How often the issuer is asked after the first time, once that is so many times, and in what time; a minute
/// at most.
fn fetches(front: &Front, enough: usize) -> (usize, Duration) {
    assert!(comes(|| !front.issuer.take().is_empty()), "nothing is fetched");
    let start = Instant::now();
    let mut fetches = 0;
    while fetches < enough && start.elapsed() < Duration::from_secs(60) {
        thread::sleep(Duration::from_millis(100));
        fetches += front.issuer.take().len();
    }
    assert!(fetches >= enough, "{fetches}");
    (fetches, start.elapsed())
}

/// How often one can have fetched since then, the first two times in one second.
fn every_two_seconds(start: Instant) -> usize {
    usize::try_from(start.elapsed().as_secs() / 2).unwrap() + 3
}

#[test]
fn one_worker_refreshes_for_both() {
    let mut policy = policy(true);
    policy["issuers"][0]["jwks_cache"] = json!({ "fresh": 2, "cooldown": 2 });
    let setup = Setup::with(Stub::upstream().unwrap(), policy, true, |_| good_keys());
    let front = setup.config(|config| config.with_workers(2)).start();
    let (fetches, time) = fetches(&front, 5);
    // Every two or three seconds; three engines for themselves would be three times as many.
    assert!(fetches <= usize::try_from(time.as_secs() / 2).unwrap() + 2, "{fetches} in {time:?}");
}

#[test]
fn failures_are_shared_and_recovered_from() {
    let up = Arc::new(Mutex::new(false));
    let is_up = Arc::clone(&up);
    let setup =
        Setup::new(move || if *is_up.lock().unwrap() { good_keys() } else { Answer::status(500) });
    let front = setup.config(|config| config.with_workers(2)).start();
    let (fetches, time) = fetches(&front, 4);
    // Again after one second, and then every two.
    assert!(fetches <= usize::try_from(time.as_secs() / 2).unwrap() + 3, "{fetches} in {time:?}");
    *up.lock().unwrap() = true;
    let good = call(&token().sign(), "read_file");
    assert!(front.until(200, &good));
    all_are(&front, &good, 200);
    served_by_both(&front);
}

#[test]
fn a_revoked_token_is_refused_by_both_within_ten_seconds() {
    let revoked = Arc::new(Mutex::new(Vec::new()));
    let listed = Arc::clone(&revoked);
    let setup = Setup::with(Stub::upstream().unwrap(), policy(true), true, move |request| {
        match request.target() {
            "/status/1" => {
                let list = TestList::new(LIST, &listed.lock().unwrap()).claim("ttl", 2);
                Answer::json(list.sign())
            }
            _ => good_keys(),
        }
    });
    let start = Instant::now();
    let front = setup.config(|config| config.with_workers(2)).start();
    let request = call(&token().claim("status", reference(LIST, 7)).sign(), "read_file");
    assert!(front.until(200, &request));
    all_are(&front, &request, 200);
    served_by_both(&front);
    let of_lists = |front: &Front| {
        front.issuer.take().iter().filter(|request| request.target() == "/status/1").count()
    };
    let first = of_lists(&front);
    assert!((1..=every_two_seconds(start)).contains(&first), "{first}");
    let (flipped, mut watch) = (Instant::now(), Stopwatch::start());
    *revoked.lock().unwrap() = vec![7];
    while front.at_once(|_| request.clone()) != [401; 8] {
        assert!(watch.turn() < Duration::from_secs(10), "still accepted");
    }
    println!("enforced after {:?}", flipped.elapsed());
    assert!(front.envoy.reasons().iter().any(|reason| reason == "token_revoked"));
    let fetches = of_lists(&front);
    assert!(fetches <= every_two_seconds(flipped), "{fetches} in {:?}", flipped.elapsed());
    let other = call(&token().claim("status", reference(LIST, 8)).sign(), "read_file");
    assert_eq!(front.send(&other).status(), 200, "{ISSUER}: others go on");
}
