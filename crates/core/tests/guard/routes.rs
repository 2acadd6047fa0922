//! Which of several resources on one host a request is for.

use countersign_core::guard::{Engine, Policy, RequestHead};
use serde_json::{Value, json};

use super::support::{ISSUER, KEY_1, code, engine, header, response};

fn policy(resources: &[&Value]) -> Value {
    json!({
        "issuers": [{ "issuer": ISSUER, "jwks": { "keys": [KEY_1.jwk("es1")] } }],
        "resources": resources,
    })
}

/// The metadata document that a request without credentials is sent to, or why it is refused.
fn challenged(engine: &mut Engine, authority: &str, path: &str) -> String {
    let head = head(authority, path);
    let answer = response(engine.begin(head, 100));
    let challenge = header(&answer, "www-authenticate").unwrap_or_default();
    let url =
        challenge.split_once("resource_metadata=\"").and_then(|(_, rest)| rest.split_once('"'));
    url.map_or_else(|| answer.decision.code(), |(url, _)| url).to_owned()
}

/// The resource that a metadata document is about, or why there is none.
fn published(engine: &mut Engine, authority: &str, path: &str) -> String {
    let answer = response(engine.begin(head(authority, path), 100));
    let document: Value = serde_json::from_slice(&answer.body).expect("JSON");
    document["resource"].as_str().unwrap_or_else(|| answer.decision.code()).to_owned()
}

fn head<'a>(authority: &'a str, path: &'a str) -> RequestHead<'a> {
    RequestHead {
        method: b"GET",
        authority: authority.as_bytes(),
        path: path.as_bytes(),
        headers: &[],
        has_body: false,
        client: None,
        certificate: None,
    }
}

const ROOT: &str = "/.well-known/oauth-protected-resource";
const INSERTED: &str = "/.well-known/oauth-protected-resource/mcp";

/// Two servers at one host: the one whose port is named is not shadowed by the one whose is not, in whichever
/// order they stand.
#[test]
fn a_named_port_goes_before_none() {
    let with_port = json!({ "resource": "https://h.example:8443/mcp" });
    let without = json!({ "resource": "https://h.example/mcp", "public_paths": ["/healthz"] });
    for resources in [[&with_port, &without], [&without, &with_port]] {
        let mut engine = engine(&policy(&resources));
        for (authority, resource, origin) in [
            ("h.example:8443", &with_port, "https://h.example:8443"),
            ("h.example", &without, "https://h.example"),
            ("h.example:443", &without, "https://h.example"),
            ("h.example:9000", &without, "https://h.example"),
        ] {
            let expected = format!("{origin}{INSERTED}");
            assert_eq!(challenged(&mut engine, authority, "/mcp"), expected, "{authority}");
            assert_eq!(challenged(&mut engine, authority, "/mcp/a"), expected, "{authority}");
            for path in [ROOT, INSERTED] {
                let found = published(&mut engine, authority, path);
                assert_eq!(found, resource["resource"], "{authority}{path}");
            }
        }
        // What is public at one of them is not at the other.
        assert_eq!(challenged(&mut engine, "h.example:8443", "/healthz"), "resource_unknown");
        assert_eq!(code(&engine.begin(head("h.example", "/healthz"), 100)), "public");
    }
}

/// The longest path goes before the port, as it goes before everything.
#[test]
fn the_longest_path_goes_first() {
    let with_port = json!({ "resource": "https://h.example:8443" });
    let without = json!({ "resource": "https://h.example/mcp" });
    for resources in [[&with_port, &without], [&without, &with_port]] {
        let mut engine = engine(&policy(&resources));
        let whole = format!("https://h.example:8443{ROOT}");
        let below = format!("https://h.example{INSERTED}");
        assert_eq!(challenged(&mut engine, "h.example:8443", "/other"), whole);
        assert_eq!(challenged(&mut engine, "h.example:8443", "/mcp"), below);
        assert_eq!(published(&mut engine, "h.example:8443", INSERTED), "https://h.example/mcp");
        assert_eq!(published(&mut engine, "h.example:8443", ROOT), "https://h.example:8443");
        assert_eq!(challenged(&mut engine, "h.example", "/other"), "resource_unknown");
    }
}

/// Documents at one path although the covered paths differ.
#[test]
fn metadata_is_ranked_alike() {
    let with_port = json!({ "resource": "https://h.example:8443/mcp", "path": "/x" });
    let without = json!({ "resource": "https://h.example/mcp", "path": "/y" });
    for resources in [[&with_port, &without], [&without, &with_port]] {
        let mut engine = engine(&policy(&resources));
        let at_port = published(&mut engine, "h.example:8443", INSERTED);
        assert_eq!(at_port, "https://h.example:8443/mcp");
        assert_eq!(published(&mut engine, "h.example", INSERTED), "https://h.example/mcp");
    }
}

/// What a request without a port is meant for must not depend on the order.
#[test]
fn what_stays_ambiguous_is_refused() {
    let resource = |number: usize, host: &str| json!({ "resource": format!("mcp://r{number}"), "hosts": [host], "path": "/mcp" });
    for (one, other, is_good) in [
        ("h.example", "h.example", false),
        ("h.example", "H.example.:443", false),
        ("h.example:80", "h.example", false),
        ("h.example:80", "h.example:443", false),
        ("h.example:8443", "h.example:8443", false),
        ("h.example", "h.example:8443", true),
        ("h.example:443", "h.example:8443", true),
        ("h.example:443", "i.example:443", true),
    ] {
        for (one, other) in [(one, other), (other, one)] {
            let document = policy(&[&resource(1, one), &resource(2, other)]).to_string();
            let error = Policy::parse(document.as_bytes()).err().map(|error| error.path);
            let expected = (!is_good).then(|| "$.resources[1]".to_owned());
            assert_eq!(error, expected, "{one} and {other}");
        }
    }
}
