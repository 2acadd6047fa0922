//! A day of a real Envoy with two workers, in two minutes: `tests/e2e/clock.c` lets all of its clocks run
//! faster, and its loops sleep shorter, so that every tick of a day comes, of the workers and of the main
//! thread, with the settings that a policy has by default. The filter's own code is not told.
//!
//! What is too short then: an answer from the issuer must come within 5 of those seconds, 7 milliseconds here.
//! On a busy machine some do not; they are counted as failures by the filter, and so by this test.
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
    let (failed_before, memory_before) = (stat("fetches.failed"), front.envoy.usage().unwrap().0);
    let start = Instant::now();
    let (mut allowed, mut oldest, mut unavailable) = (0, 0, 0);
    while start.elapsed() * SPEED < DAY {
        let status = front.send(&good).status();
        allowed += usize::from(status == 200);
        unavailable += usize::from(status == 503);
        assert!(matches!(status, 200 | 503), "{status}");
        let status = front.send(&revoked).status();
        assert!(matches!(status, 401 | 503), "{status}");
        oldest = oldest.max(stat("keys.oldest_age_seconds"));
        thread::sleep(Duration::from_millis(200));
    }
    let seconds = (start.elapsed() * SPEED).as_secs();
    let failed = stat("fetches.failed") - failed_before;
    let memory = front.envoy.usage().unwrap().0;
    let asked = front.issuer.take();
    let of = |path: &str| asked.iter().filter(|request| request.target() == path).count() as u64;
    let (keys, lists, aggregations) = (of("/keys"), of("/status-lists/1"), of("/status-lists"));
    println!(
        "{seconds} s: {keys} key sets, {lists} lists, {aggregations} lists of lists, {failed} failures; \
         {memory_before} KiB, then {memory} KiB; {allowed} allowed, {unavailable} unavailable; keys at \
         most {oldest} s old"
    );
    // One for all: every 300 seconds, and every 60. Three engines for themselves would be three times as
    // many. A failed one is tried again.
    for (what, count, period) in
        [("keys", keys, 300), ("lists", lists, 60), ("lists of lists", aggregations, 60)]
    {
        let most = seconds / period + failed + 3;
        assert!(count <= most, "{what}: {count}, at most {most}");
        assert!(count >= seconds / period * 8 / 10, "{what}: {count}");
    }
    assert!(memory < memory_before + 4096, "{memory} KiB, {memory_before} before");
    assert!(oldest < 900, "keys {oldest} s old");
    assert!(unavailable * 20 <= allowed, "{unavailable} of {allowed}");
    assert_eq!(front.seen(), allowed);
    assert_eq!(front.envoy.stat("wasm.countersign.vm_reload_success"), 0);
}
