//! Tokens bound to a client certificate (RFC 8705) before a real Envoy that ends TLS: good on connections on
//! which the client showed that certificate, if the filter is told to look. The keys in `tests/e2e/certificates`
//! are of no use elsewhere: openssl made them for this test.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use common::{Front, Setup, comes, good_keys, policy, token};
use countersign_e2e::{Places, Stub};
use serde_json::{Value, json};

/// Runs `tests/e2e/mtls.mjs`: what it prints, line by line.
fn node(args: &[&str], input: &str) -> Vec<String> {
    let places = Places::of_checkout();
    let mut node = Command::new("node")
        .arg(places.path("tests/e2e/mtls.mjs"))
        .args(&args[..1])
        .arg(places.path("tests/e2e/certificates"))
        .args(&args[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    node.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = node.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// An Envoy that ends TLS and takes certificates of anybody: a token says whose it wants.
fn start(looks: bool, workers: u16) -> Front {
    let mut policy = policy(true);
    policy["limits"] = json!({ "failures_per_minute": 0 });
    let document = json!({ "policy": policy, "filter": { "client_certificates": looks } });
    let places = Places::of_checkout();
    let file = |name: &str| {
        let path = places.path("tests/e2e/certificates").join(name);
        json!({ "inline_string": fs::read_to_string(path).unwrap() })
    };
    let context = json!({ "name": "tls", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        "common_tls_context": {
            "tls_certificates": [{
                "certificate_chain": file("server.pem"), "private_key": file("server-key.pem"),
            }],
            "validation_context": { "trust_chain_verification": "ACCEPT_UNTRUSTED" },
        },
    } });
    let setup = Setup::with(Stub::upstream().unwrap(), document, true, |_| good_keys());
    let config = |config: countersign_e2e::EnvoyConfig| {
        config.with_workers(workers).edit(|document| {
            document["static_resources"]["listeners"][0]["filter_chains"][0]["transport_socket"] =
                context;
        })
    };
    setup.config(config).start()
}

#[test]
fn a_bound_token_needs_its_certificate() {
    let [client, other] = &node(&["0", "digest"], "")[..] else { panic!("two digests") };
    let bound = |digest: &str| token().claim("cnf", json!({ "x5t#S256": digest })).sign();
    for (looks, workers) in [(true, 2), (false, 1)] {
        let front = start(looks, workers);
        let line = |as_whom: Value, token: &str, headers: Value| json!({ "as": as_whom, "token": token, "headers": headers });
        // The statuses of these requests, one after the other.
        let ask = |lines: &[Value]| {
            let lines: String = lines.iter().map(|line| format!("{line}\n")).collect();
            node(&[&front.envoy.port().to_string()], &lines)
        };
        let plain = token().sign();
        assert!(comes(|| ask(&[line(Value::Null, &plain, json!({}))]) == ["200"]));
        front.upstream.take();
        let (ours, theirs) = (bound(client), bound(other));
        let good = if looks { "200" } else { "401" };
        let round = [
            (json!("client"), &ours, good),
            (json!("other"), &ours, "401"),
            (Value::Null, &ours, "401"),
            (json!("client"), &theirs, "401"),
            (json!("other"), &theirs, good),
            (json!("client"), &plain, "200"),
            (Value::Null, &plain, "200"),
        ];
        let of = |(whom, token, good): &(Value, &String, &'static str)| {
            (line(whom.clone(), token, json!({})), *good)
        };
        let mut asked: Vec<(Value, &str)> = round.iter().chain(&round).map(of).collect();
        // What a client says of its certificate in a header is nothing.
        let hex = "00".repeat(32);
        for name in ["x-forwarded-client-cert", "x-client-cert", "client-cert"] {
            let said = json!({ name: format!("Hash={hex};Cert=\"{client}\"") });
            asked.push((line(Value::Null, &ours, said), "401"));
        }
        let (lines, expected): (Vec<Value>, Vec<&str>) = asked.into_iter().unzip();
        assert_eq!(ask(&lines), expected, "{looks} {lines:?} {}", front.envoy.output());
        assert_eq!(front.seen(), if looks { 8 } else { 4 });
        assert!(front.envoy.reasons().iter().any(|reason| reason == "token_bound"));
    }
}
