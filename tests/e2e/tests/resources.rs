//! Several resources in one configuration, routes without the filter, routes that name their resource; and
//! whose address counts when attempts fail.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use common::{Front, HOST, ISSUER, Setup, good_keys, policy, token};
use countersign_e2e::Stub;
use countersign_e2e::http::Request;
use countersign_testkit::token::Token;
use serde_json::{Value, json};

const A: &str = "https://mcp.example.com/a/mcp";
const B: &str = "https://mcp.example.com/b/mcp";
const OTHER: &str = "https://other.example.com";

fn resources() -> Value {
    let mut policy = policy(true);
    policy["resources"] = json!([
        { "resource": A, "scopes": { "baseline": ["mcp:use"] } },
        { "resource": B, "scopes": { "baseline": ["mcp:use"] } },
        { "resource": OTHER, "scopes": { "baseline": ["mcp:use"] } },
    ]);
    policy
}

fn get(host: &str, path: &str, audience: &str) -> Request {
    let token = Token::new(ISSUER, audience).sign();
    Request::new("GET", path, host).header("authorization", format!("Bearer {token}"))
}

fn setup(document: Value) -> Setup {
    Setup::with(Stub::upstream().unwrap(), document, true, |_| good_keys())
}

fn routes(setup: Setup, routes: Value) -> Front {
    let config = |config: countersign_e2e::EnvoyConfig| {
        config.manager(|manager| {
            manager["route_config"]["virtual_hosts"][0]["routes"] = routes;
        })
    };
    setup.config(config).start()
}

#[test]
fn one_listener_guards_several_resources() {
    let front = setup(resources()).start();
    assert!(front.until(200, &get(HOST, "/a/mcp", A)));
    for (host, path, resource) in
        [(HOST, "/a/mcp", A), (HOST, "/b/mcp", B), ("other.example.com", "/any/path", OTHER)]
    {
        for audience in [A, B, OTHER] {
            let answer = front.send(&get(host, path, audience));
            assert_eq!(answer.status(), if audience == resource { 200 } else { 401 }, "{path}");
        }
        let challenge = front.send(&Request::new("GET", path, host));
        let challenge = challenge.headers.get("www-authenticate").unwrap();
        let url =
            challenge.split("resource_metadata=\"").nth(1).unwrap().split('"').next().unwrap();
        let path = url.strip_prefix(&format!("https://{host}")).unwrap();
        let metadata = front.send(&Request::new("GET", path, host));
        assert_eq!(metadata.status(), 200, "{path}");
        let document: Value = serde_json::from_slice(&metadata.body).unwrap();
        assert_eq!(document["resource"], resource);
    }
    for path in ["/", "/c/mcp", "/a/mcpx", "/.well-known/oauth-protected-resource"] {
        assert_eq!(front.send(&get(HOST, path, A)).status(), 404, "{path}");
    }
}

#[test]
fn the_filter_can_be_disabled_on_a_route() {
    let disabled = json!({ "countersign": {
        "@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "disabled": true,
    } });
    let front = routes(
        setup(resources()),
        json!([
            { "match": { "path": "/open" }, "route": { "cluster": "upstream" },
              "typed_per_filter_config": disabled },
            { "match": { "prefix": "/" }, "route": { "cluster": "upstream" } },
        ]),
    );
    assert!(front.until(200, &get(HOST, "/a/mcp", A)));
    front.seen();
    assert_eq!(front.send(&Request::new("GET", "/open", HOST)).status(), 200);
    assert_eq!(front.seen(), 1);
    for path in ["/a/mcp", "/open/", "/open/../a/mcp", "/a/mcp/open"] {
        assert_ne!(front.send(&Request::new("GET", path, HOST)).status(), 200, "{path}");
    }
    assert_eq!(front.seen(), 0);
}

#[test]
fn a_routes_metadata_can_name_its_resource() {
    let named =
        |resource: &str| json!({ "filter_metadata": { "countersign": { "resource": resource } } });
    let all = |metadata: &dyn Fn(&str) -> Value| {
        json!([
            { "match": { "prefix": "/team-b" }, "route": { "cluster": "upstream" },
              "metadata": metadata(B) },
            { "match": { "prefix": "/nobody" }, "route": { "cluster": "upstream" },
              "metadata": metadata("https://mcp.example.com/c") },
            { "match": { "prefix": "/" }, "route": { "cluster": "upstream" } },
        ])
    };
    for enabled in [true, false] {
        let document = match enabled {
            true => json!({ "policy": resources(), "filter": { "route_metadata": "countersign" } }),
            false => resources(),
        };
        let front = routes(setup(document), all(&named));
        assert!(front.until(200, &get(HOST, "/a/mcp", A)));
        front.seen();
        let status = |path: &str, audience: &str| front.send(&get(HOST, path, audience)).status();
        if !enabled {
            assert_eq!(status("/team-b/mcp", B), 404, "unless asked for it is not looked at");
            continue;
        }
        assert_eq!(status("/team-b/mcp", B), 200);
        assert_eq!(front.seen(), 1);
        assert_eq!(status("/team-b/mcp", A), 401);
        // Whatever the host: the route says it.
        assert_eq!(front.send(&get("internal.example", "/team-b/x", B)).status(), 200);
        assert_eq!(status("/team-b/.well-known/oauth-protected-resource", B), 404);
        let challenge = front.send(&Request::new("GET", "/team-b/mcp", HOST));
        let challenge = challenge.headers.get("www-authenticate").unwrap();
        let metadata = "https://mcp.example.com/.well-known/oauth-protected-resource/b/mcp";
        assert!(challenge.contains(metadata), "{challenge}");
        assert_eq!(status("/nobody/mcp", A), 404, "a name that the policy does not have");
        assert_eq!(status("/b/mcp", B), 200, "others go by host and path");
        assert_eq!(status("/a/mcp", B), 401);
    }
}

/// Bad tokens, each of its own, from what looks like this address to Envoy.
fn attempts(front: &Front, count: u32, forwarded: impl Fn(u32) -> String) -> Vec<u16> {
    let attempt = |number: u32| {
        let bad = format!("{}x{number}", token().sign());
        let request = Request::new("GET", "/mcp", HOST)
            .header("authorization", format!("Bearer {bad}"))
            .header("x-forwarded-for", forwarded(number));
        front.send(&request).status()
    };
    (0..count).map(attempt).collect()
}

fn limited(manager: impl FnOnce(&mut Value)) -> Front {
    let mut policy = policy(true);
    policy["limits"] = json!({ "failures_per_minute": 1 });
    setup(policy).config(|config| config.manager(manager)).start()
}

#[test]
fn a_client_cannot_choose_the_address_that_its_failures_count_for() {
    let front = limited(|_| {});
    let statuses = attempts(&front, 12, |number| format!("192.0.2.{number}"));
    assert_eq!(statuses[0], 401);
    assert!(statuses[1..].iter().all(|status| *status == 429), "{statuses:?}");
    assert_eq!(front.seen(), 0);
}

/// A load balancer in front adds the address that it sees at the end; what stands before that is the
/// client's own word.
#[test]
fn behind_a_proxy_the_last_trusted_address_counts() {
    let front = limited(|manager| manager["xff_num_trusted_hops"] = json!(1));
    let statuses = attempts(&front, 8, |number| format!("203.0.113.{number}, 192.0.2.1"));
    assert_eq!(statuses[0], 401);
    assert!(statuses[1..].iter().all(|status| *status == 429), "{statuses:?}");
    // Another client is not locked out, even one that names the first as its own.
    let other = attempts(&front, 1, |_| "192.0.2.1, 192.0.2.2".to_owned());
    assert_eq!(other, [401]);
}
