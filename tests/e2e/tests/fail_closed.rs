//! The fail-closed promise: whatever is broken, a real Envoy with the filter answers 401, 403, 431 or 5xx,
//! and the server sees nothing. One table, for one worker and for two.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::thread;
use std::time::Duration;

use common::{HOST, Setup, call, good_keys, policy, token};
use countersign_e2e::http::{Message, Request};
use countersign_e2e::{Answer, Envoy, EnvoyConfig, Failure, Places, Scratch, Stub, free_ports};
use countersign_testkit::keys::TestKey;
use serde_json::{Value, json};

/// Something that is broken.
struct Fault {
    name: &'static str,
    /// What the issuer answers.
    keys: fn() -> Answer,
    /// Where the policy says that the issuer is.
    cluster: &'static str,
    /// What the filter may not call.
    without: Option<&'static str>,
    break_manager: fn(&mut Value),
    /// Sent instead of an ordinary good request.
    request: fn(Request) -> Request,
    /// What clients may get who have a good token.
    statuses: &'static [u16],
}

const SOUND: Fault = Fault {
    name: "nothing",
    keys: good_keys,
    cluster: "auth",
    without: None,
    break_manager: |_| {},
    request: |request| request,
    statuses: &[],
};

/// The first is the slowest: fetches begin with Envoy.
fn faults() -> Vec<Fault> {
    vec![
        Fault { name: "no answer", keys: hang, statuses: &[503], ..SOUND },
        Fault { name: "key set unreachable", cluster: "closed", statuses: &[503], ..SOUND },
        Fault {
            name: "key set empty",
            keys: || Answer::json(r#"{"keys":[]}"#),
            statuses: &[503],
            ..SOUND
        },
        Fault { name: "key set malformed", keys: || Answer::json("{"), statuses: &[503], ..SOUND },
        Fault { name: "no cluster", cluster: "other", statuses: &[503], ..SOUND },
        without("proxy_get_current_time_nanoseconds", "clock missing"),
        without("proxy_get_header_map_pairs", "headers cannot be read"),
        without("proxy_remove_header_map_value", "headers cannot be removed"),
        without("proxy_replace_header_map_value", "headers cannot be set"),
        without("proxy_http_call", "nothing can be fetched"),
        // The module's framework gives up then: its VM ends with each answer to a fetch. Requests that
        // waited in it are ended by Envoy's stream_idle_timeout.
        Fault {
            break_manager: |manager| manager["stream_idle_timeout"] = json!("2s"),
            statuses: &[408, 503, 504],
            ..without("proxy_set_effective_context", "VM traps")
        },
        Fault {
            name: "headers over Envoy's limit",
            request: |request| request.header("x-large", "x".repeat(100_000)),
            statuses: &[431],
            ..SOUND
        },
        Fault {
            name: "headers over the host's limit",
            break_manager: |manager| {
                manager["max_request_headers_kb"] = json!(900);
                manager["common_http_protocol_options"] = json!({ "max_headers_count": 5000 });
            },
            request: |request| {
                (0..2000)
                    .fold(request, |request, number| request.header("x-many", format!("{number}")))
            },
            // Either it is read, and decided as ever, or refused.
            statuses: &[200, 431, 503],
            ..SOUND
        },
    ]
}

/// The plugin may not make this call.
const fn without(capability: &'static str, name: &'static str) -> Fault {
    Fault { name, without: Some(capability), statuses: &[503], ..SOUND }
}

/// Longer than any fetch waits.
fn hang() -> Answer {
    thread::sleep(Duration::from_secs(60));
    Answer::status(500)
}

/// One Envoy with everything that is broken, each at a port and in a virtual machine of its own.
struct Broken {
    envoy: Envoy,
    upstream: Stub,
    _issuer: Stub,
    _scratch: Scratch,
    faults: Vec<(Fault, u16)>,
}

impl Broken {
    fn start(faults: Vec<Fault>, workers: u16) -> Result<Self, Failure> {
        let upstream = Stub::upstream()?;
        let keys: Vec<_> = faults.iter().map(|fault| fault.keys).collect();
        let issuer = Stub::start(move |request| {
            let number: usize = request.target().trim_start_matches("/keys/").parse().unwrap();
            keys[number]()
        })?;
        let places = Places::of_checkout();
        // Nobody listens at port 1.
        let clusters = [("auth", issuer.port()), ("closed", 1)];
        let mut configs = Vec::new();
        let mut with_ports = Vec::new();
        for (number, fault) in faults.into_iter().enumerate() {
            let [port] = free_ports()?;
            let mut policy = policy(true);
            policy["issuers"][0]["jwks_uri"] =
                json!(format!("https://auth.example.com/keys/{number}"));
            policy["issuers"][0]["cluster"] = json!(fault.cluster);
            let (policy, upstream) = (policy.to_string(), upstream.port());
            let config = EnvoyConfig::new(&places, port, &policy, true, upstream, &clusters)
                .manager(fault.break_manager)
                .plugin(|plugin| plugin["vm_config"]["vm_id"] = json!(fault.name));
            configs.push(match fault.without {
                Some(capability) => config.without(capability),
                None => config,
            });
            with_ports.push((fault, port));
        }
        let first = configs.pop().unwrap().with_workers(workers);
        let scratch = Scratch::new()?;
        let envoy = Envoy::start(&places, &first.beside(configs), scratch.path())?;
        Ok(Self { envoy, upstream, _issuer: issuer, _scratch: scratch, faults: with_ports })
    }
}

#[test]
fn nothing_passes_when_something_is_broken() {
    for workers in [1, 2] {
        let broken = Broken::start(faults(), workers).unwrap();
        for (fault, port) in &broken.faults {
            let send = |request: &Request| -> Message { request.send(*port).unwrap() };
            let forged = token().key(TestKey::Es256(9), "es1").sign();
            let good = (fault.request)(call(&token().sign(), "read_file"));
            let bad = (fault.request)(call(&forged, "read_file"));
            let none = (fault.request)(Request::new("GET", "/mcp", HOST));
            let mut found = Vec::new();
            let mut allowed = 0;
            for _ in 0..6 {
                let status = send(&good).status();
                assert!(fault.statuses.contains(&status), "{}: a good token: {status}", fault.name);
                allowed += usize::from(status == 200);
                found.push(status);
                for request in [&bad, &none] {
                    let status = send(request).status();
                    assert!(
                        matches!(status, 401 | 408 | 431 | 503 | 504),
                        "{}: {status}",
                        fault.name
                    );
                    found.push(status);
                }
                if matches!(fault.name, "no answer" | "VM traps") {
                    break;
                }
                thread::sleep(Duration::from_millis(50));
            }
            if fault.name == "VM traps" {
                assert!(broken.envoy.logs("Function: proxy_on_http_call_response failed"));
            }
            let seen = broken.upstream.take().len();
            assert_eq!(seen, allowed, "{}: what the server saw", fault.name);
            println!("{}, {workers} workers: {found:?}", fault.name);
        }
        // Each without a decision: refused by whoever was asked, and counted.
        for name in ["host_error", "not_ready"] {
            let count = broken.envoy.stat(&format!("wasmcustom.countersign.failed.{name}"));
            assert!(count >= 12, "{name}: {count}");
        }
        assert!(broken.envoy.logs("a request is refused with 503: the clock cannot be read"));
    }
}

/// It sees at once that it could read no body.
#[test]
fn a_filter_that_cannot_be_configured_is_not_served() {
    let fault = || without("proxy_get_buffer_bytes", "body cannot be read");
    for workers in [1, 2] {
        let failure = Broken::start(vec![fault()], workers).err().unwrap().to_string();
        assert!(failure.contains("ended early") && failure.contains("fail"), "{failure}");
    }
}

/// A configuration with a mistake in it is not taken.
#[test]
fn a_policy_that_is_wrong_is_not_served() {
    type Spoil = fn(&mut Value);
    let wrong: [(&str, Spoil); 6] = [
        ("unknown member", |policy| policy["x"] = json!(1)),
        ("no issuer", |policy| policy["issuers"] = json!([])),
        ("no resource", |policy| policy["resources"] = json!([])),
        ("no cluster", |policy| {
            policy["issuers"][0].as_object_mut().unwrap().remove("cluster");
        }),
        ("no cluster for the status lists that must be asked", |policy| {
            policy["issuers"][0] = json!({
                "issuer": common::ISSUER, "jwks": { "keys": [TestKey::Es256(1).jwk("es1")] },
                "status": "required",
            });
        }),
        ("a cycle", |policy| {
            policy["resources"][0]["scopes"]["implies"] = json!({ "a": ["b"], "b": ["a"] });
        }),
    ];
    for (name, spoil) in wrong {
        let mut policy = policy(true);
        spoil(&mut policy);
        let upstream = Stub::upstream().unwrap();
        let started = Setup::with(upstream, policy, true, |_| good_keys()).try_start();
        let failure = started.err().unwrap().to_string();
        assert!(failure.contains("policy error at"), "{name}: {failure}");
    }
}
