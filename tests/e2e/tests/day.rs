//! A day of a real Envoy with two workers, in two minutes: `tests/e2e/clock.c` lets all of its clocks run
//! faster, and its loops sleep shorter, so that every tick of a day comes, of the workers and of the main
//! thread, with the settings that a policy has by default. The filter's own code is not told.
//!
//! What is too short then: an answer from the issuer must come within 5 of those seconds, 7 milliseconds here,
//! and one from the server within 15, 21 here. On a busy machine some do not; they are counted as failures by
//! the filter, or answered with 504 by Envoy, and allowed for by this test.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::thread;
use std::time::{Duration, Instant};

use common::{Setup, call, good_keys, policy, token};
use countersign_e2e::{Answer, Clock, Places, Stub};
use countersign_testkit::status::{TestList, reference};
use serde_json::json;

const SPEED: u32 = 720;
const DAY: Duration = Duration::from_secs(86_400);
const LIST: &str = "https://auth.example.com/status-lists/1";

#[test]
fn fetches_are_few_and_memory_is_flat() {
    let mut policy = policy(true);
    policy["issuers"][0].as_object_mut().unwrap().remove("jwks_cache");
    policy["issuers"][0]["status_aggregation"] = "https://auth.example.com/status-lists".into();
    policy["limits"] = json!({ "failures_per_minute": 0 });
    let list = TestList::new(LIST, &[9]).claim("ttl", 60).sign();
    let setup = Setup::with(Stub::upstream().unwrap(), policy, true, move |request| match request
        .target()
    {
        "/status-lists" => Answer::json(json!({ "status_lists": [LIST] }).to_string()),
        "/status-lists/1" => Answer::json(list.clone()),
        _ => good_keys(),
    });
    let clock = Clock::new(&Places::of_checkout(), setup.dir(), SPEED).unwrap();
    let front = setup.config(|config| config.with_workers(2).with_clock(&clock)).start();
    let of = |place| call(&token().claim("status", reference(LIST, place)).sign(), "read_file");
    let (good, revoked) = (of(3), of(9));
    assert!(front.until(200, &good), "{}", front.envoy.output());
    // The first hour fills what is filled once.
    thread::sleep(Duration::from_secs(3600) / SPEED);
    front.issuer.take();
    front.upstream.take();
    let stat = |name: &str| front.envoy.stat(&format!("wasmcustom.countersign.{name}"));
    let (failed_before, memory_before) = (stat("fetches.failed"), front.envoy.written().unwrap());
    let start = Instant::now();
    let (mut allowed, mut unavailable, mut late, mut ages) = (0, 0, 0, Vec::new());
    while start.elapsed() * SPEED < DAY {
        match front.send(&good).status() {
            200 => allowed += 1,
            503 => unavailable += 1,
            504 => late += 1,
            status => panic!("{status}"),
        }
        let status = front.send(&revoked).status();
        assert!(matches!(status, 401 | 503 | 504), "{status}");
        ages.push(stat("keys.oldest_age_seconds"));
        thread::sleep(Duration::from_millis(200));
    }
    ages.sort_unstable();
    let age = ages[ages.len() / 2];
    let seconds = (start.elapsed() * SPEED).as_secs();
    let failed = stat("fetches.failed") - failed_before;
    let memory = front.envoy.written().unwrap();
    let asked = front.issuer.take();
    let of = |path: &str| asked.iter().filter(|request| request.target() == path).count() as u64;
    let (keys, lists, aggregations) = (of("/keys"), of("/status-lists/1"), of("/status-lists"));
    println!(
        "{seconds} s: {keys} key sets, {lists} lists, {aggregations} lists of lists, {failed} failures; \
         {memory_before} KiB, then {memory} KiB; {allowed} allowed, {unavailable} unavailable, {late} late; \
         keys {age} s old (median)"
    );
    // One for all: every 300 seconds, and every 60. Three engines for themselves would be three times as
    // many. A failed one is tried again; so is one whose answer came when its lease had just ended, which
    // on a busy machine (7 of its milliseconds are 5 seconds) some do.
    for (what, count, period) in
        [("keys", keys, 300), ("lists", lists, 60), ("lists of lists", aggregations, 60)]
    {
        let most = seconds / period * 3 / 2 + 2 * failed + 10;
        assert!(count <= most, "{what}: {count}, at most {most}");
        assert!(count >= seconds / period / 4, "{what}: {count}");
    }
    assert!(memory < memory_before + 4096, "{memory} KiB, {memory_before} before");
    assert!(age < 900, "keys {age} s old");
    assert!(allowed > unavailable + late, "{allowed}, {unavailable}, {late}");
    // Of those that Envoy gave up the server may have seen some, of those that are revoked none.
    let seen = front.seen();
    assert!((allowed..=allowed + late).contains(&seen), "{seen} of {allowed} and {late}");
    assert!(front.until(200, &good), "{}", front.envoy.output());
    assert_eq!(front.envoy.stat("wasm.countersign.vm_reload_success"), 0);
}
