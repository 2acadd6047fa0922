//! The fail-closed promise: whatever is broken, a real Envoy with the filter answers 401, 403, 431 or 5xx,
//! and the server sees nothing. One table, for one worker and for two.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::thread;
use std::time::Duration;

use common::{Front, HOST, Setup, call, good_keys, policy, token};
use countersign_e2e::http::Request;
use countersign_e2e::{Answer, Clock, EnvoyConfig, Places, Stub};
use serde_json::{Value, json};

/// Something that is broken.
struct Fault {
    name: &'static str,
    /// What the issuer answers.
    keys: fn() -> Answer,
    break_config: fn(EnvoyConfig) -> EnvoyConfig,
    /// Sent instead of an ordinary good request.
    request: fn(Request) -> Request,
    /// What clients may get.
    statuses: &'static [u16],
}

const SOUND: Fault = Fault {
    name: "nothing",
    keys: good_keys,
    break_config: |config| config,
    request: |request| request,
    statuses: &[],
};

fn faults() -> Vec<Fault> {
    vec![
        Fault {
            name: "key set unreachable",
            break_config: |config| {
                config.edit(|document| {
                    // Nobody listens there: it is below those that anybody is given.
                    document["static_resources"]["clusters"][1]["load_assignment"]["endpoints"][0]
                        ["lb_endpoints"][0]["endpoint"]["address"]["socket_address"]["port_value"] =
                        json!(1);
                })
            },
            statuses: &[503],
            ..SOUND
        },
        Fault { name: "no answer", keys: hang, statuses: &[503], ..SOUND },
        Fault {
            name: "key set empty",
            keys: || Answer::json(r#"{"keys":[]}"#),
            statuses: &[503],
            ..SOUND
        },
        Fault { name: "key set malformed", keys: || Answer::json("{"), statuses: &[503], ..SOUND },
        Fault {
            name: "no cluster",
            break_config: |config| {
                config.edit(|document| {
                    document["static_resources"]["clusters"][1]["name"] = json!("other");
                })
            },
            statuses: &[503],
            ..SOUND
        },
        without("proxy_get_current_time_nanoseconds", "clock missing", &[503]),
        without("proxy_get_header_map_pairs", "headers cannot be read", &[503]),
        without("proxy_remove_header_map_value", "headers cannot be removed", &[503]),
        without("proxy_replace_header_map_value", "headers cannot be set", &[503]),
        without("proxy_get_buffer_bytes", "body cannot be read", &[503]),
        without("proxy_http_call", "nothing can be fetched", &[503]),
        // The module's framework gives up then: its VM ends with each answer to a fetch. Requests that
        // waited in it are ended by Envoy's stream_idle_timeout.
        Fault {
            break_config: |config| {
                let config = config.without("proxy_set_effective_context");
                config.manager(|manager| manager["stream_idle_timeout"] = json!("2s"))
            },
            name: "VM traps",
            statuses: &[408, 503, 504],
            ..SOUND
        },
        Fault {
            name: "headers over Envoy's limit",
            request: |request| request.header("x-large", "x".repeat(100_000)),
            statuses: &[431],
            ..SOUND
        },
        Fault {
            name: "headers over the host's limit",
            break_config: large_headers,
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

/// Longer than any fetch waits.
fn hang() -> Answer {
    thread::sleep(Duration::from_secs(60));
    Answer::status(500)
}

fn large_headers(config: EnvoyConfig) -> EnvoyConfig {
    config.manager(|manager| {
        manager["max_request_headers_kb"] = json!(900);
        manager["common_http_protocol_options"] = json!({ "max_headers_count": 5000 });
    })
}

/// The plugin may not make this call.
fn without(capability: &'static str, name: &'static str, statuses: &'static [u16]) -> Fault {
    // A function pointer cannot carry the name along.
    macro_rules! restricted {
        ($($known:literal),*) => {
            match capability {
                $($known => (|config: EnvoyConfig| config.without($known)) as fn(EnvoyConfig) -> EnvoyConfig,)*
                _ => panic!("unknown capability {capability}"),
            }
        };
    }
    let break_config = restricted!(
        "proxy_get_current_time_nanoseconds",
        "proxy_get_header_map_pairs",
        "proxy_remove_header_map_value",
        "proxy_replace_header_map_value",
        "proxy_get_buffer_bytes",
        "proxy_http_call"
    );
    Fault { name, break_config, statuses, ..SOUND }
}

fn start(fault: &Fault, workers: u16, policy: Value) -> Result<Front, String> {
    let keys = fault.keys;
    let setup = Setup::with(Stub::upstream().unwrap(), policy, true, move |_| keys());
    // What takes five seconds until it is given up takes one.
    let clock = Clock::new(&Places::of_checkout(), setup.dir(), 5).unwrap();
    let setup = setup.config(|config| {
        let config = (fault.break_config)(config.with_workers(workers));
        if fault.name == "no answer" { config.with_clock(&clock) } else { config }
    });
    setup.try_start().map_err(|failure| failure.to_string())
}

#[test]
fn nothing_passes_when_something_is_broken() {
    for workers in [1, 2] {
        for fault in faults() {
            let front = match start(&fault, workers, policy(true)) {
                Ok(front) => front,
                // Where the filter cannot even be configured, Envoy does not serve.
                Err(failure) => {
                    assert!(failure.contains("fail"), "{}: {failure}", fault.name);
                    println!("{}, {workers} workers: not served", fault.name);
                    continue;
                }
            };
            let forged = token().key(countersign_testkit::keys::TestKey::Es256(9), "es1").sign();
            let good = (fault.request)(call(&token().sign(), "read_file"));
            let bad = (fault.request)(call(&forged, "read_file"));
            let none = (fault.request)(Request::new("GET", "/mcp", HOST));
            let mut found = Vec::new();
            let mut allowed = 0;
            for _ in 0..6 {
                let status = front.send(&good).status();
                assert!(fault.statuses.contains(&status), "{}: a good token: {status}", fault.name);
                allowed += usize::from(status == 200);
                found.push(status);
                for request in [&bad, &none] {
                    let status = front.send(request).status();
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
                assert!(front.envoy.logs("Function: proxy_on_http_call_response failed"));
            }
            assert_eq!(front.seen(), allowed, "{}: what the server saw", fault.name);
            println!("{}, {workers} workers: {found:?}", fault.name);
        }
    }
}

/// A configuration with a mistake in it is not taken.
#[test]
fn a_policy_that_is_wrong_is_not_served() {
    type Spoil = fn(&mut Value);
    let wrong: [(&str, Spoil); 5] = [
        ("unknown member", |policy| policy["x"] = json!(1)),
        ("no issuer", |policy| policy["issuers"] = json!([])),
        ("no resource", |policy| policy["resources"] = json!([])),
        ("no cluster", |policy| {
            policy["issuers"][0].as_object_mut().unwrap().remove("cluster");
        }),
        ("a cycle", |policy| {
            policy["resources"][0]["scopes"]["implies"] = json!({ "a": ["b"], "b": ["a"] });
        }),
    ];
    for (name, spoil) in wrong {
        let mut policy = policy(true);
        spoil(&mut policy);
        let failure = start(&SOUND, 1, policy).err().unwrap_or_default();
        assert!(failure.contains("policy error at"), "{name}: {failure}");
    }
}
