//! A policy that is swapped under load, as over xDS, and a VM that traps: no request is lost but those in
//! the VM that trapped, and nothing passes unverified.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::{Front, Gate, Setup, call, comes, good_keys, policy, token, with_page};
use countersign_e2e::http::{self, Request};
use countersign_e2e::{Answer, Clock, EnvoyConfig, Places, Stub};
use countersign_testkit::{keys::TestKey, token::Token};
use serde_json::{Value, json};

/// The policy with other scopes for one tool. Good and forged requests come from one address, which a fast
/// machine would soon have shut out.
fn write_needs(scope: &str) -> Value {
    let mut policy = policy(true);
    policy["limits"] = json!({ "failures_per_minute": 0 });
    policy["resources"][0]["scopes"]["tools"]["write_file"] = json!([scope]);
    policy
}

fn discovered(workers: u16) -> Front {
    let issuer_keys = |_: &http::Message| good_keys();
    let setup =
        Setup::with(Stub::upstream().unwrap(), write_needs("files:write"), true, issuer_keys);
    let dir = setup.dir().to_path_buf();
    setup.config(|config| config.with_workers(workers).discovered(&dir).unwrap()).start()
}

fn replace(front: &Front, policy: &Value) {
    EnvoyConfig::replace_filter(front.scratch.path(), &policy.to_string()).unwrap();
}

/// Asks until this status comes from every worker.
fn settles(front: &Front, tool: &str, status: u16) -> bool {
    let request = call(&token().sign(), tool);
    front.settles(status, |_| request.clone())
}

#[test]
fn a_policy_is_swapped_without_a_lost_request() {
    for workers in [1, 2] {
        let front = discovered(workers);
        assert!(settles(&front, "read_file", 200));
        assert_eq!(front.send(&call(&token().sign(), "write_file")).status(), 403);
        front.seen();
        let (ended, good, bad) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
        let port = front.envoy.port();
        thread::scope(|scope| {
            for number in 0..3 {
                let (ended, good, bad) = (&ended, &good, &bad);
                scope.spawn(move || {
                    let forged = token().key(TestKey::Es256(9), "es1").sign();
                    for round in 0.. {
                        if ended.load(Ordering::SeqCst) {
                            break;
                        }
                        let fresh = token().claim("jti", format!("{number}-{round}")).sign();
                        let status = call(&fresh, "read_file").send(port).unwrap().status();
                        assert_eq!(status, 200, "no good request is lost");
                        good.fetch_add(1, Ordering::SeqCst);
                        let status = call(&forged, "read_file").send(port).unwrap().status();
                        assert_eq!(status, 401);
                        bad.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
            let sent = || good.load(Ordering::SeqCst).min(bad.load(Ordering::SeqCst));
            let scopes = ["files:read", "files:write", "files:read", "files:write", "files:read"];
            let stuck = scopes.into_iter().find(|scope| {
                replace(&front, &write_needs(scope));
                let status = if *scope == "files:read" { 200 } else { 403 };
                let enough = sent() + 5;
                // And some more of each kind, under each policy.
                !settles(&front, "write_file", status) || !comes(|| sent() >= enough)
            });
            ended.store(true, Ordering::SeqCst);
            assert_eq!(stuck, None);
        });
        let (good, bad) = (good.into_inner(), bad.into_inner());
        println!("{workers} workers: {good} good and {bad} forged requests during five swaps");
        assert!(good > 20 && bad > 20);
        assert_eq!(front.issuer.take().len(), 1, "the keys outlive the policies");
        let calls = front.upstream.take();
        assert!(calls.len() >= good);
        assert!(calls.iter().all(|call| call.headers.get("x-mcp-subject").is_some()));
    }
}

#[test]
fn a_wrong_policy_leaves_the_old_one_in_force() {
    let front = discovered(2);
    assert!(settles(&front, "read_file", 200));
    let mut wrong = write_needs("files:read");
    wrong["resources"][0]["scoops"] = json!({});
    replace(&front, &wrong);
    assert!(front.envoy.logs("$.resources[0].scoops: unknown member"), "{}", front.envoy.output());
    assert!(settles(&front, "write_file", 403));
    assert!(settles(&front, "read_file", 200));
    replace(&front, &write_needs("files:read"));
    assert!(settles(&front, "write_file", 200));
}

/// An issuer that is down while the policy changes: its keys are there all the same.
#[test]
fn a_new_policy_begins_with_the_keys_that_are_there() {
    let front = discovered(2);
    assert!(settles(&front, "read_file", 200));
    let Front { envoy, upstream, issuer, scratch } = front;
    drop(issuer);
    let issuer = Stub::start(|_| Answer::status(500)).unwrap();
    let front = Front { envoy, upstream, issuer, scratch };
    replace(&front, &write_needs("files:read"));
    assert!(settles(&front, "write_file", 200));
}

/// The framework of the module traps when a capability is missing that it takes for granted, here at each
/// answer to a fetch. The keys of another issuer stand in the policy: its tokens get in before and after.
#[test]
fn a_vm_that_traps_is_replaced() {
    let mut policy = policy(true);
    let other = "https://other.example.com";
    policy["issuers"].as_array_mut().unwrap().push(json!({
        "issuer": other, "max_lifetime": 3_155_760_000_u64,
        "jwks": { "keys": [TestKey::Es256(1).jwk("es1")] },
    }));
    let slow = |_: &http::Message| {
        thread::sleep(Duration::from_millis(1500));
        good_keys()
    };
    let setup = Setup::with(Stub::upstream().unwrap(), policy, true, slow);
    let front = setup.config(|config| config.without("proxy_set_effective_context")).start();
    let good = call(&Token::new(other, common::RESOURCE).sign(), "read_file");
    let forged = call(
        &Token::new(other, common::RESOURCE).key(TestKey::Es256(9), "es1").sign(),
        "write_file",
    );
    let reloads = || front.envoy.stat("wasm.countersign.vm_reload_success");
    let (mut passed, mut lost) = (0, 0);
    let start = Instant::now();
    while reloads() < 3 && start.elapsed() < Duration::from_secs(120) {
        // A connection that ends without an answer is a lost request too.
        match good.send(front.envoy.port()).map(|answer| answer.status()) {
            Ok(200) => passed += 1,
            Ok(503) | Err(_) => lost += 1,
            Ok(status) => panic!("{status}"),
        }
        let status = forged.send(front.envoy.port()).map(|answer| answer.status());
        assert!(matches!(status, Ok(401 | 429 | 503) | Err(_)), "{status:?}");
        thread::sleep(Duration::from_millis(50));
    }
    println!("{} reloads, {passed} passed, {lost} lost, in {:?}", reloads(), start.elapsed());
    assert!(reloads() >= 3 && passed >= 3, "{} reloads, {passed} passed", reloads());
    let seen = front.upstream.take();
    assert!(!seen.iter().any(|request| request.text().contains("write_file")), "a forged token");
    // What was lost may have been lost on its way back.
    assert!((passed..=passed + lost).contains(&seen.len()), "{} of {passed}", seen.len());
}

/// As in `envoy/plain`: how long a stream may be silent, GET streams longer than others. What is said of
/// receiving requests changes nothing: those below have been received.
fn timeouts(manager: &mut Value, idle: &str) {
    manager["stream_idle_timeout"] = json!(idle);
    manager["request_timeout"] = json!("1s");
    let routes = manager["route_config"]["virtual_hosts"][0]["routes"].as_array_mut().unwrap();
    let mut streams = routes[0].clone();
    streams["match"]["headers"] =
        json!([{ "name": ":method", "string_match": { "exact": "GET" } }]);
    streams["route"]["idle_timeout"] = json!("3600s");
    routes.insert(0, streams);
}

/// Requests that wait for keys in a filter that faults: nobody can resume them, and Envoy does not fail them
/// with the filter. They end when nothing has moved for `stream_idle_timeout`.
#[test]
fn requests_that_waited_in_a_filter_that_faulted_end_when_idle() {
    let tried: Vec<Duration> = (0..5).map_while(|_| wait_in_a_filter_that_faults().err()).collect();
    assert!(tried.len() < 5, "the machine never had the time: {tried:?}");
}

/// Fails with how long it took until the filter faulted, if that was longer than a stream may be silent.
fn wait_in_a_filter_that_faults() -> Result<(), Duration> {
    let gate = Gate::default();
    let closed = gate.clone();
    let setup = Setup::with(Stub::upstream().unwrap(), with_page(policy(true)), true, move |_| {
        closed.pass();
        good_keys()
    });
    // The fetch is given up after fifteen seconds, not five, and a silent stream after six, not two.
    let clock = Clock::new(&Places::of_checkout(), setup.dir(), 1).unwrap().slower(3);
    let config = |config: EnvoyConfig| {
        let config = config.with_clock(&clock).without("proxy_set_effective_context");
        config.manager(|manager| timeouts(manager, "2s"))
    };
    let front = setup.config(config).start();
    let port = front.envoy.port();
    let start = Instant::now();
    let waiting = [1, 2].map(|_| {
        thread::spawn(move || {
            let start = Instant::now();
            let answer = call(&token().sign(), "read_file").send(port).unwrap();
            (answer.status(), start.elapsed())
        })
    });
    // Nobody answers while the filter is replaced.
    let both_wait = || {
        let page = http::get(port, "/countersign").map(|page| page.body).unwrap_or_default();
        let state: Value = serde_json::from_slice(&page).unwrap_or_default();
        state["requests"]["waiting_for_keys"] == 2
    };
    let is_late = || start.elapsed() > Duration::from_millis(5500);
    assert!(comes(|| is_late() || both_wait()), "both wait");
    gate.open();
    assert!(front.envoy.logs("Function: proxy_on_http_call_response failed"));
    if is_late() {
        return Err(start.elapsed());
    }
    for waiting in waiting {
        let (status, time) = waiting.join().unwrap();
        println!("{status} after {time:?}");
        // Envoy's own answer, or what it says when that one, too, would go through the filter.
        assert!(matches!(status, 503 | 504), "{status}");
        assert!((5500..40_000).contains(&time.as_millis()), "{time:?}");
    }
    assert_eq!(front.seen(), 0);
    Ok(())
}

/// And no stream that the client opened ends by it.
#[test]
fn streams_may_be_silent_for_longer() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    thread::spawn(move || {
        for mut stream in server.incoming().map_while(Result::ok) {
            thread::spawn(move || {
                let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: 1\n\n";
                let mut request = [0; 4096];
                let _ = stream.read(&mut request);
                let _ = stream.write_all(head.as_bytes());
                if request.starts_with(b"GET ") {
                    thread::sleep(Duration::from_secs(3));
                } else {
                    // Until it is cut off, and long enough to be seen where it is not.
                    let _ = stream.set_read_timeout(Some(Duration::from_secs(20)));
                    let _ = stream.read(&mut request);
                }
                let _ = stream.write_all(b"data: 2\n\n");
            });
        }
    });
    let config = |config: EnvoyConfig| {
        config.manager(|manager| timeouts(manager, "1s")).edit(|document| {
            document["static_resources"]["clusters"][0]["load_assignment"]["endpoints"][0]
                ["lb_endpoints"][0]["endpoint"]["address"]["socket_address"]["port_value"] =
                json!(port);
        })
    };
    let front = Setup::new(good_keys).config(config).start();
    let get = Request::new("GET", "/mcp", common::HOST);
    let get = get.header("authorization", format!("Bearer {}", token().sign()));
    let answer = front.send(&get);
    assert_eq!(answer.status(), 200);
    assert!(answer.text().contains("data: 2"), "{}", answer.text());
    // Of a call nothing comes for too long: it is cut off.
    let answer = call(&token().sign(), "read_file").send(front.envoy.port());
    assert!(!answer.is_ok_and(|answer| answer.text().contains("data: 2")));
}
