//! What operators see of a real Envoy with the filter: metrics, log lines, filter state, the debug page.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::fs;
use std::time::Instant;

use common::{HOST, ISSUER, RESOURCE, Setup, call, comes, good_keys, policy, post, token};
use countersign_e2e::http::Request;
use countersign_e2e::{Answer, EnvoyConfig, Stub};
use countersign_testkit::{keys::TestKey, status::reference};
use serde_json::{Value, json};

/// The configuration with the filter's own settings beside the policy.
fn with_settings(policy: Value, filter: Value) -> Value {
    json!({ "policy": policy, "filter": filter })
}

fn setup(document: Value) -> Setup {
    Setup::with(Stub::upstream().unwrap(), document, true, |_| good_keys())
}

#[test]
fn counters_gauges_and_a_histogram() {
    let start = Instant::now();
    let front = setup(policy(true)).start();
    let stat = |name: &str| front.envoy.stat(&format!("wasmcustom.countersign.{name}"));
    assert!(front.until(200, &call(&token().sign(), "read_file")));
    let allowed = stat("allow");
    assert!(allowed >= 1);
    front.send(&call(&token().sign(), "write_file"));
    front.send(&call(&token().claim("exp", 1000).sign(), "read_file"));
    front.send(&Request::new("GET", "/mcp", HOST));
    front.send(&Request::new("GET", "/.well-known/oauth-protected-resource/mcp", HOST));
    for (name, count) in [
        ("deny.scope_insufficient", 1),
        ("deny.token_expired", 1),
        ("deny.token_missing", 1),
        ("metadata", 1),
        ("deny.token_revoked", 0),
        ("fetches.succeeded", 1),
    ] {
        assert_eq!(stat(name), count, "{name}");
    }
    assert_eq!(stat("allow"), allowed);
    // Gauges are told each second.
    assert!(comes(|| stat("keys.oldest_age_seconds") >= 1));
    let age = stat("keys.oldest_age_seconds");
    assert!(age <= start.elapsed().as_secs() + 1, "{age} after {:?}", start.elapsed());
    assert_eq!(stat("keys.issuers_without"), 0);
    // The good token, and the expired one.
    assert!(comes(|| stat("tokens.cached") == 2), "{}", stat("tokens.cached"));
    // Envoy adds its histograms up now and then.
    let count = || front.envoy.samples("countersign_decision_us");
    assert!(comes(|| count() >= 4), "{}", count());
}

/// Keys in the policy and no cluster: nothing can be fetched, so no list can be asked.
#[test]
fn who_cannot_fetch_status_lists_is_told() {
    let mut policy = policy(true);
    policy["issuers"][0] = json!({
        "issuer": ISSUER, "jwks": { "keys": [TestKey::Es256(1).jwk("es1")] },
        "max_lifetime": 3_155_760_000_u64,
    });
    let front = setup(policy).start();
    assert!(front.envoy.logs("$.issuers[0] has no \"cluster\""));
    assert_eq!(front.send(&call(&token().sign(), "read_file")).status(), 200);
    let listed = token().claim("status", reference("https://auth.example.com/status/1", 7));
    assert_eq!(front.send(&call(&listed.sign(), "read_file")).status(), 503);
}

#[test]
fn shadow_mode_counts_what_it_would_refuse() {
    let mut policy = policy(true);
    policy["resources"][0]["mode"] = json!("shadow");
    let front = setup(policy).start();
    assert!(front.until(200, &call(&token().sign(), "read_file")));
    front.seen();
    assert_eq!(front.send(&call(&token().sign(), "write_file")).status(), 200);
    assert_eq!(front.seen(), 1, "it passes");
    assert_eq!(front.envoy.stat("wasmcustom.countersign.shadow_deny.scope_insufficient"), 1);
    assert_eq!(front.envoy.stat("wasmcustom.countersign.deny.scope_insufficient"), 0);
    assert!(front.envoy.logs("decision=shadow reason=scope_insufficient"));
}

#[test]
fn a_denial_is_one_line_without_the_token() {
    let front = setup(policy(true)).start();
    assert!(front.until(200, &call(&token().sign(), "read_file")));
    let answer = front.send(&call(&token().sign(), "write_file").header("x-request-id", "mine"));
    assert_eq!(answer.status(), 403);
    assert!(front.envoy.logs("scope_insufficient"));
    let log = front.envoy.output();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("scope_insufficient")).collect();
    assert_eq!(lines.len(), 1);
    for part in [
        "decision=deny reason=scope_insufficient",
        &format!("resource={RESOURCE}"),
        &format!("issuer={ISSUER}"),
        "client=client-1",
        "subject=",
        "operation=",
        "write_file",
        "request_id=",
    ] {
        assert!(lines[0].contains(part), "{part}: {}", lines[0]);
    }
    assert!(!lines[0].contains("request_id=mine"), "Envoy makes it: {}", lines[0]);
    let id = lines[0].split("request_id=").nth(1).unwrap().split_whitespace().next().unwrap();
    assert_eq!(id.len(), 36, "{id}");
    assert!(!lines[0].contains("user-1"), "the subject itself: {}", lines[0]);
    for part in token().sign().split('.') {
        assert!(!log.contains(part), "a part of the token");
    }
}

const FORMAT: &str = "%FILTER_STATE(wasm.countersign_decision:PLAIN)%|\
    %FILTER_STATE(wasm.countersign_reason:PLAIN)%|%FILTER_STATE(wasm.countersign_resource:PLAIN)%|\
    %FILTER_STATE(wasm.countersign_issuer:PLAIN)%|%FILTER_STATE(wasm.countersign_client:PLAIN)%|\
    %FILTER_STATE(wasm.countersign_subject:PLAIN)%|%FILTER_STATE(wasm.countersign_scope:PLAIN)%|\
    %FILTER_STATE(wasm.countersign_operation:PLAIN)%|%RESPONSE_CODE%|%RESPONSE_CODE_DETAILS%\n";

#[test]
fn access_logs_have_the_identity() {
    for state in [true, false] {
        let setup = setup(with_settings(policy(true), json!({ "filter_state": state })));
        let log = setup.dir().join("access.log");
        let path = log.clone();
        let front = setup
            .config(|config| {
                config.manager(|manager| {
                    manager["access_log"] = json!([{ "name": "file", "typed_config": {
                        "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
                        "path": path, "log_format": { "text_format_source": { "inline_string": FORMAT } },
                    } }]);
                })
            })
            .start();
        assert!(front.until(200, &call(&token().sign(), "read_file")));
        front.send(&call(&token().sign(), "write_file"));
        front.send(&Request::new("GET", "/mcp", HOST));
        // Envoy writes its file logs now and then.
        let text = || fs::read_to_string(&log).unwrap_or_default();
        assert!(comes(|| text().contains("token_missing")), "{}", text());
        let text = text();
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split('|').collect()).collect();
        let line = |wanted: &str| {
            let found =
                lines.iter().find(|line| line.last().is_some_and(|last| last.contains(wanted)));
            found.unwrap_or_else(|| panic!("{wanted}: {text}")).clone()
        };
        let allowed = line("via_upstream");
        let refused = line("countersign_scope_insufficient");
        let missing = line("countersign_token_missing");
        if state {
            assert_eq!(allowed[..5], ["allow", "-", RESOURCE, ISSUER, "client-1"]);
            assert_eq!(allowed[5].len(), 12, "{allowed:?}");
            assert_eq!(allowed[6], "mcp:use files:read");
            assert!(allowed[7].contains("read_file"), "{allowed:?}");
            assert_eq!(refused[..5], ["deny", "scope_insufficient", RESOURCE, ISSUER, "client-1"]);
            assert_eq!(missing[..4], ["deny", "token_missing", RESOURCE, "-"]);
        } else {
            assert!([allowed, refused, missing].iter().all(|line| line[..8] == ["-"; 8]));
        }
    }
}

/// Envoy's own RBAC filter behind ours, in a language of its own (CEL), also where headers go on before
/// the body is read.
#[test]
fn rbac_behind_the_filter_knows_the_identity() {
    for hold in [true, false] {
        let setup = Setup::with(Stub::upstream().unwrap(), policy(hold), hold, |_| good_keys());
        let front = setup
            .config(|config| {
                config.manager(|manager| {
                    let rbac = json!({ "name": "rbac", "typed_config": {
                        "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
                        "matcher": { "matcher_list": { "matchers": [{
                            "predicate": { "single_predicate": {
                                "input": { "name": "state", "typed_config": {
                                    "@type": "type.googleapis.com/envoy.extensions.matching.common_inputs.\
                                              network.v3.FilterStateInput",
                                    "key": "wasm.countersign_client",
                                } },
                                "value_match": { "exact": "client-1" },
                            } },
                            "on_match": { "action": { "name": "action", "typed_config": {
                                "@type": "type.googleapis.com/envoy.config.rbac.v3.Action",
                                "name": "allow", "action": "ALLOW",
                            } } },
                        }] },
                        "on_no_match": { "action": { "name": "action", "typed_config": {
                            "@type": "type.googleapis.com/envoy.config.rbac.v3.Action",
                            "name": "deny", "action": "DENY",
                        } } } },
                    } });
                    manager["http_filters"].as_array_mut().unwrap().insert(1, rbac);
                })
            })
            .start();
        assert!(front.until(200, &call(&token().sign(), "read_file")), "hold_headers {hold}");
        let other = token().claim("client_id", "client-2").sign();
        let refused = front.send(&call(&other, "read_file"));
        assert_eq!(refused.status(), 403);
        assert_eq!(refused.text(), "RBAC: access denied", "hold_headers {hold}");
    }
}

#[test]
fn the_debug_page_is_for_those_who_are_named() {
    let page = |from: &str| json!({ "debug": { "path": "/countersign", "from": [from] } });
    let keys = || Answer::json("{\"keys\": \"secret-answer\"}");
    let request = Request::new("GET", "/countersign", HOST);
    for (from, shown) in [("127.0.0.0/8", true), ("10.0.0.0/8", false), ("::1", false)] {
        let document = with_settings(policy(true), page(from));
        let setup = Setup::with(Stub::upstream().unwrap(), document, true, move |_| keys());
        let front = setup.start();
        assert!(front.until(503, &call(&token().sign(), "read_file")));
        // Whoever says in a header to be somebody else is not believed.
        let request = request.clone().header("x-forwarded-for", "10.1.2.3");
        let answer = front.send(&request);
        assert_eq!(answer.status() == 200, shown, "{from}: {}", answer.text());
        assert_eq!(front.seen(), 0);
        if !shown {
            assert!(!answer.text().contains("last_error"));
            continue;
        }
        let state: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(answer.headers.get("cache-control").as_deref(), Some("no-store"));
        let issuer = &state["issuers"][0];
        assert_eq!(
            (issuer["issuer"].as_str(), issuer["usable"].as_bool()),
            (Some(ISSUER), Some(false))
        );
        assert!(issuer["failures"].as_u64().unwrap() >= 1, "{state}");
        // What it says is of this fetch or another one, and depends on which came first.
        assert!(!issuer["last_error"].as_str().unwrap().is_empty(), "{state}");
        assert!(front.envoy.logs("cannot use what https://auth.example.com/keys answers"));
        assert!(!answer.text().contains("secret-answer"), "{state}");
        assert_eq!(state["resources"], json!([RESOURCE]));
        assert_eq!(state["signatures_by_envoy"], json!(["RS256", "RS384", "RS512"]));
        // Only that path, and only reading.
        for other in ["/countersign/", "/countersign?x", "/COUNTERSIGN", "/countersign/x"] {
            assert_ne!(front.send(&Request::new("GET", other, HOST)).status(), 200, "{other}");
        }
        assert_ne!(front.send(&Request::new("POST", "/countersign", HOST).body("")).status(), 200);
    }
    // Unless asked for there is none.
    let front = setup(policy(true)).start();
    assert_eq!(front.send(&request).status(), 404);
    assert_eq!(front.send(&post("")).status(), 401);
}

#[test]
fn mistakes_in_the_settings_are_told_with_their_place() {
    // Each comes as a change of what is in force: Envoy refuses it, and goes on.
    let first = setup(with_settings(policy(true), json!({})));
    let dir = first.dir().to_path_buf();
    let front = first.config(|config| config.discovered(&dir).unwrap()).start();
    assert!(front.until(200, &call(&token().sign(), "read_file")));
    let mut wrong = policy(true);
    wrong["resources"][0]["scoops"] = json!({});
    for (document, expected) in [
        (with_settings(wrong, json!({})), "$.policy.resources[0].scoops: unknown member"),
        (with_settings(policy(true), json!({ "x": 1 })), "$.filter.x: unknown member"),
        (
            with_settings(policy(true), json!({ "debug": { "path": "/x" } })),
            "$.filter.debug.from: ",
        ),
        (
            with_settings(policy(true), json!({ "filter_state": 1 })),
            "$.filter.filter_state: expected",
        ),
        (
            with_settings(
                policy(true),
                json!({ "debug": { "path": "/x", "from": ["10.0.0.0/33"] } }),
            ),
            "$.filter.debug.from: ",
        ),
        (
            with_settings(policy(true), json!({ "debug": { "path": "x", "from": ["::1"] } })),
            "$.filter.debug.path: ",
        ),
        (with_settings(policy(true), json!({ "route_metadata": 1 })), "$.filter.route_metadata: "),
        (
            with_settings(policy(true), json!({ "debug": { "path": "/x", "from": [] } })),
            "$.filter.debug.from: ",
        ),
        (json!({ "policy": policy(true), "filters": {} }), "$.filters: unknown member"),
        (with_settings(json!([]), json!({})), "$.policy: expected an object"),
    ] {
        let told = || front.envoy.output().matches(expected).count();
        let before = told();
        EnvoyConfig::replace_filter(front.scratch.path(), &document.to_string()).unwrap();
        assert!(comes(|| told() > before), "{expected}: {}", front.envoy.output());
    }
    assert_eq!(front.send(&call(&token().sign(), "read_file")).status(), 200, "the first goes on");
    setup(with_settings(policy(true), json!({}))).validate().unwrap();
    // Envoy gives a filter the wire form of any message but a text.
    let structured = setup(policy(true)).config(|config| {
        config.plugin(|plugin| {
            plugin["configuration"] = json!({
                "@type": "type.googleapis.com/google.protobuf.Struct",
                "value": with_settings(policy(true), json!({ "filter_state": false })),
            });
        })
    });
    let failure = structured.validate().unwrap_err().to_string();
    assert!(failure.contains("google.protobuf.StringValue"), "{failure}");
}
