//! The configurations to copy: started, or validated by Envoy or against the schema of what reads them.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use common::{PATIENCE, comes, good_keys};
use countersign_e2e::http::Request;
use countersign_e2e::{Answer, Clock, Envoy, EnvoyConfig, Places, Scratch, Stub, free_ports};
use countersign_testkit::token::Token;
use serde_json::{Value, json};

/// An issuer that is found by its metadata.
fn issuer_with_metadata() -> Stub {
    let answer = |request: &countersign_e2e::http::Message| {
        let host = request.headers.get("host").unwrap();
        let metadata = json!({ "issuer": format!("http://{host}"), "jwks_uri": format!("http://{host}/keys") });
        match request.target() {
            "/.well-known/oauth-authorization-server" => Answer::json(metadata.to_string()),
            "/keys" => good_keys(),
            _ => Answer::status(404),
        }
    };
    Stub::start(answer).unwrap()
}

/// A token of the machine's own time, since lifetimes are bounded.
fn fresh(issuer: u16, listener: u16) -> Token {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let (issuer, resource) =
        (format!("http://127.0.0.1:{issuer}"), format!("http://127.0.0.1:{listener}/mcp"));
    let token = Token::new(&issuer, &resource).claim("iat", now).claim("exp", now + 3600);
    token.claim("scope", "files:read")
}

/// `envoy/xds`: the policy is in a file, and a change of it is taken up while requests go on.
#[test]
fn a_policy_in_a_file_is_taken_up_when_it_changes() {
    let places = Places::of_checkout();
    let scratch = Scratch::new().unwrap();
    let [port] = free_ports().unwrap();
    let upstream = Stub::upstream().unwrap();
    let issuer = issuer_with_metadata();
    let ports = [port, issuer.port(), upstream.port()];
    let config = EnvoyConfig::watched(&places, scratch.path(), ports).unwrap().with_workers(2);
    let envoy = Envoy::start(&places, &config, scratch.path()).unwrap();
    let host = format!("127.0.0.1:{port}");
    let token = fresh(issuer.port(), port).sign();
    let call = |tool: &str| {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": tool } });
        Request::new("POST", "/mcp", &host)
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json")
            .body(body.to_string())
            .send(port)
            .unwrap()
            .status()
    };
    let until = |tool: &str, status: u16| {
        let start = Instant::now();
        let mut in_a_row = 0;
        while in_a_row < 8 && start.elapsed() < 2 * PATIENCE {
            in_a_row = if call(tool) == status { in_a_row + 1 } else { 0 };
        }
        in_a_row == 8
    };
    assert!(until("read_file", 200), "{}", envoy.output());
    assert_eq!(call("write_file"), 403);
    let path = scratch.path().join("filter.yaml");
    let text = fs::read_to_string(&path).unwrap();
    let changed = text.replace(r#""write_*": ["files:write"]"#, r#""write_*": ["files:read"]"#);
    assert_ne!(text, changed);
    let replace = |text: &str| {
        let next = scratch.path().join("filter.next");
        fs::write(&next, text).unwrap();
        fs::rename(next, &path).unwrap();
    };
    replace(&changed);
    assert!(until("write_file", 200));
    // A mistake is refused, and told.
    replace(&changed.replace("\"tools\"", "\"toools\""));
    assert!(envoy.logs("$.resources[0].scopes.toools: unknown member"), "{}", envoy.output());
    assert!(until("write_file", 200));
}

/// `envoy/limits`: each caller has requests of their own, in all workers together; who has none left is told
/// so, and the others go on.
#[test]
fn callers_are_counted_apart() {
    let places = Places::of_checkout();
    let scratch = Scratch::new().unwrap();
    let [port] = free_ports().unwrap();
    let upstream = Stub::upstream().unwrap();
    let issuer = issuer_with_metadata();
    let ports = [port, issuer.port(), upstream.port()];
    let config = EnvoyConfig::at(&places, "envoy/limits/envoy.yaml", ports).unwrap();
    // A call comes back every three seconds: twelve, by this clock.
    let clock = Clock::new(&places, scratch.path(), 1).unwrap().slower(4);
    let config = config.with_workers(2).with_clock(&clock);
    let envoy = Envoy::start(&places, &config, scratch.path()).unwrap();
    let call = |subject: &str, name: &str| {
        let token = fresh(issuer.port(), port).claim("sub", subject).claim("jti", name).sign();
        let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
        Request::new("POST", "/mcp", &format!("127.0.0.1:{port}"))
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json")
            .body(list)
            .send(port)
            .unwrap()
            .status()
    };
    // Until the keys are there; this caller's requests are not counted below.
    assert!(comes(|| call("first", "first") == 200), "{}", envoy.output());
    upstream.take();
    let of = |subject: &str| {
        let statuses: Vec<u16> =
            (0..30).map(|number| call(subject, &format!("{subject}-{number}"))).collect();
        let count = |status| statuses.iter().filter(|found| **found == status).count();
        (count(200), count(429))
    };
    // Twenty each, with whatever tokens; some come back while the test runs on a slow machine.
    for subject in ["ada", "bob"] {
        let (passed, refused) = of(subject);
        assert!((20..=25).contains(&passed) && passed + refused == 30, "{subject}: {passed}");
    }
    assert_eq!(call("carol", "carol"), 200, "who has not called yet");
    assert!(upstream.take().len() <= 51);
    // Whoever is refused by the filter costs nobody anything.
    let nobody = Request::new("POST", "/mcp", &format!("127.0.0.1:{port}")).body("{}");
    assert!((0..30).all(|_| nobody.send(port).unwrap().status() == 401));
    assert_eq!(call("dora", "dora"), 200);
}

/// `envoy/issuers`: with the files that it names, Envoy takes it.
#[test]
fn several_issuers() {
    let places = Places::of_checkout();
    let scratch = Scratch::new().unwrap();
    let config = EnvoyConfig::copied(&places, "envoy/issuers/envoy.yaml").unwrap();
    config.validate(&places, scratch.path()).unwrap();
}

/// The manifests in a file, each of which fits the schema of its kind.
fn manifests(file: &Path) -> Result<Value, String> {
    let places = Places::of_checkout();
    let output = Command::new("node")
        .arg(places.path("tests/e2e/manifests.mjs"))
        .arg(places.node_modules())
        .arg(places.path("tests/e2e/schemas"))
        .arg(file)
        .output()
        .unwrap();
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    Ok(serde_json::from_slice(&output.stdout).unwrap())
}

/// The `spec` of the manifest with this name.
fn spec<'a>(manifests: &'a Value, kind: &str, name: &str) -> &'a Value {
    let all = manifests.as_array().unwrap();
    let named = |found: &&Value| found["kind"] == kind && found["metadata"]["name"] == name;
    &all.iter().find(named).unwrap()["spec"]
}

const GATEWAY: &str = "envoy/gateway/policy.yaml";
const ISTIO: &str = "envoy/istio/wasmplugin.yaml";

#[test]
fn manifests_for_envoy_gateway_and_istio() {
    let places = Places::of_checkout();
    let scratch = Scratch::new().unwrap();
    let of = |file| manifests(&places.path(file)).unwrap();
    let (gateway, istio) = (of(GATEWAY), of(ISTIO));
    for policy in [
        &spec(&gateway, "EnvoyExtensionPolicy", "countersign")["wasm"][0]["config"],
        &spec(&istio, "WasmPlugin", "countersign")["pluginConfig"],
    ] {
        // Neither can hold headers back.
        assert_eq!(policy["hold_headers"], false, "{policy}");
        let config = EnvoyConfig::new(&places, 1, &policy.to_string(), false, 2, &[]);
        config.validate(&places, scratch.path()).unwrap();
    }
    // Whose certificate it is, Istio asks only if it is told so where "sni" is set.
    let rule = spec(&istio, "DestinationRule", "issuer");
    assert_eq!(rule["trafficPolicy"]["tls"]["subjectAltNames"], json!([rule["host"]]));
    // Where clients look for metadata is on the same host (RFC 9728 §3.1).
    let route = spec(&gateway, "HTTPRoute", "mcp-server");
    assert_eq!(route["hostnames"], json!(["mcp.example.com"]));
    let paths: Vec<_> = route["rules"].as_array().unwrap().iter().map(path_of).collect();
    assert_eq!(paths, ["/mcp", "/.well-known/oauth-protected-resource"]);
}

fn path_of(rule: &Value) -> &str {
    rule["matches"][0]["path"]["value"].as_str().unwrap()
}

/// The schemas refuse what must not be, in every manifest of a file.
#[test]
fn what_a_manifest_must_not_say_is_seen() {
    let places = Places::of_checkout();
    let scratch = Scratch::new().unwrap();
    for (file, line, wrong) in [
        (GATEWAY, "failOpen: false", "failOpen: true"),
        (GATEWAY, "wellKnownCACertificates: System", "wellKnownCACertificates: None"),
        (GATEWAY, "hostname: auth.example.com\n        port: 443", "ip: 192.0.2.1"),
        (GATEWAY, "        - path:\n            type: RegularExpression\n", "        - path:\n"),
        (ISTIO, "failStrategy: FAIL_RELOAD", "failStrategy: FAIL_OPEN"),
        (ISTIO, "exportTo: [\".\"]\n  location", "exportTo: [\"*\"]\n  location"),
        (ISTIO, "exportTo: [\".\"]\n  trafficPolicy", "trafficPolicy"),
        (ISTIO, "      subjectAltNames: [\"auth.example.com\"]\n", ""),
        (ISTIO, "mode: SIMPLE", "mode: SIMPLE\n      insecureSkipVerify: true"),
    ] {
        let text = fs::read_to_string(places.path(file)).unwrap();
        assert_eq!(text.matches(line).count(), 1, "{file}: {line}");
        let path = scratch.path().join("wrong.yaml");
        fs::write(&path, text.replace(line, wrong)).unwrap();
        assert!(manifests(&path).is_err(), "{file}: {wrong}");
    }
    for file in [GATEWAY, ISTIO] {
        let text = fs::read_to_string(places.path(file)).unwrap();
        let count = text.matches("\nspec:\n").count();
        assert!(count >= 3, "{file}: {count}");
        for number in 0..count {
            let mut parts: Vec<&str> = text.split("\nspec:\n").collect();
            let with = format!("unknownMember: 1\n{}", parts[number + 1]);
            let with = format!("  {with}");
            parts[number + 1] = &with;
            let path = scratch.path().join("wrong.yaml");
            fs::write(&path, parts.join("\nspec:\n")).unwrap();
            assert!(manifests(&path).is_err(), "{file}: an unknown member in manifest {number}");
        }
    }
}

/// The route that Envoy Gateway makes a cluster of leads nobody to the issuer.
#[test]
fn no_path_matches_the_issuers_route() {
    let manifests = manifests(&Places::of_checkout().path(GATEWAY)).unwrap();
    let route = spec(&manifests, "HTTPRoute", "issuer");
    let rules = route["rules"].as_array().unwrap();
    assert_eq!(rules.len(), 1);
    let regex = path_of(&rules[0]).to_owned();
    let setup = common::Setup::new(good_keys).config(|config| {
        config.manager(|manager| {
            // Without the filter: what Envoy itself does.
            manager["http_filters"].as_array_mut().unwrap().remove(0);
            let routes = &mut manager["route_config"]["virtual_hosts"][0]["routes"];
            routes[0]["match"] = json!({ "safe_regex": { "regex": regex } });
        })
    });
    let front = setup.start();
    for path in ["/", "/mcp", "//", "/%00", "/%F4%8F%BF%BF", "*", "/x?y=z", "/\u{ff}"] {
        let method = if path == "*" { "OPTIONS" } else { "GET" };
        let status = front.send(&Request::new(method, path, "issuer-keys.invalid")).status();
        assert!(matches!(status, 400 | 404), "{path}: {status}");
    }
    assert_eq!(front.seen(), 0);
}

/// `rate` takes the name away from what it gives: over several metrics at once it is an error, two results with
/// the same labels. So their names must become a label first, and what comes of that a range by a subquery.
fn has_one_result_each(expression: &str) {
    for part in expression.split("{__name__=~").skip(1) {
        let (_, after) = part.split_once('}').unwrap();
        let labelled = r#", "reason", "$1", "__name__", "countersign_"#;
        assert!(after.starts_with(labelled), "{expression}");
        let (_, after) = after.split_once("_(.+)\")").unwrap();
        assert!(after.starts_with("[5m:"), "{expression}");
    }
    let named = expression.matches("{__name__=~").count();
    assert_eq!(expression.matches("label_replace({__name__=~").count(), named, "{expression}");
}

/// The dashboard asks for metrics that there are.
#[test]
fn the_dashboard_shows_what_the_filter_counts() {
    let places = Places::of_checkout();
    let text = fs::read_to_string(places.path("envoy/dashboard.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let front = common::Front::start(true, good_keys);
    assert!(front.until(200, &common::call(&common::token().sign(), "read_file")));
    // Envoy shows a histogram when it has added it up, now and then.
    let page = || {
        let path = "/stats?format=prometheus";
        countersign_e2e::http::get(front.envoy.admin(), path).unwrap().text()
    };
    assert!(comes(|| page().contains("countersign_decision_us_bucket")), "{}", page());
    let page = page();
    let mut asked = 0;
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let expression = target["expr"].as_str().unwrap();
            has_one_result_each(expression);
            for part in expression.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')) {
                if part.starts_with("countersign_") || part.starts_with("envoy_wasm_") {
                    asked += 1;
                    let begins = |line: &str| line.starts_with(part);
                    assert!(page.lines().any(begins), "{part} of {expression} is not a metric");
                }
            }
            for prefix in expression.split("__name__=~\"").skip(1) {
                asked += 1;
                let prefix = prefix.split(".+").next().unwrap();
                assert!(page.lines().any(|line| line.starts_with(prefix)), "{prefix}");
            }
        }
    }
    assert!(asked >= 10, "{asked}");
}
