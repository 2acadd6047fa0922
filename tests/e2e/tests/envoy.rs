//! Envoy with the filter under a policy of our own and a stub upstream: what does not need an issuer.
#![allow(clippy::unwrap_used, missing_docs)]

use countersign_e2e::http::{Message, Request};
use countersign_e2e::{Envoy, EnvoyConfig, Places, Scratch, Stub, free_ports};

const POLICY: &str = r#"{
    "issuers": [{ "issuer": "https://auth.example.com", "jwks": { "keys": [{
        "kty": "EC", "crv": "P-256", "kid": "k1",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
    }] } }],
    "resources": [{ "resource": "https://mcp.example.com/files/mcp",
                    "scopes": { "baseline": ["mcp:use"] } }]
}"#;
const HOST: &str = "mcp.example.com";

/// An Envoy in front of a stub upstream.
struct Front {
    envoy: Envoy,
    upstream: Stub,
    _scratch: Scratch,
}

impl Front {
    fn start() -> Self {
        let places = Places::of_checkout();
        let scratch = Scratch::new().unwrap();
        let upstream = Stub::upstream().unwrap();
        let [port] = free_ports().unwrap();
        let config = EnvoyConfig::new(&places, port, POLICY, true, upstream.port(), &[]);
        let envoy = Envoy::start(&places, &config, scratch.path()).unwrap();
        Self { envoy, upstream, _scratch: scratch }
    }

    fn send(&self, request: &Request) -> Message {
        request.send(self.envoy.port()).unwrap()
    }
}

#[test]
fn without_a_token_there_is_a_challenge_and_the_metadata_that_it_names() {
    let front = Front::start();
    let refused = front.send(&Request::new("POST", "/files/mcp", HOST).body("{}"));
    assert_eq!(refused.status(), 401);
    let challenge = refused.headers.get("www-authenticate").unwrap();
    let path = "/.well-known/oauth-protected-resource/files/mcp";
    assert!(challenge.contains(&format!("resource_metadata=\"https://{HOST}{path}\"")));
    assert!(challenge.contains("scope=\"mcp:use\""), "{challenge}");
    assert!(!challenge.contains("error="), "{challenge}");
    assert_eq!(front.envoy.reasons(), ["token_missing"]);

    let metadata = front.send(&Request::new("GET", path, HOST));
    assert_eq!(metadata.status(), 200);
    assert!(metadata.text().contains("\"resource\":\"https://mcp.example.com/files/mcp\""));
    assert!(front.upstream.take().is_empty());
}

#[test]
fn header_values_that_are_no_text_do_no_harm() {
    let front = Front::start();
    for name in ["authorization", "mcp-name", "mcp-method", "x-mcp-subject"] {
        let request = Request::new("POST", "/files/mcp", HOST).header(name, b"Bearer \xff\xfe");
        let answer = front.send(&request.body("{}"));
        assert!(matches!(answer.status(), 400 | 401), "{name}: {}", answer.status());
    }
    assert!(front.upstream.take().is_empty());
}

#[test]
fn a_wrong_policy_is_refused_before_it_serves() {
    let places = Places::of_checkout();
    let scratch = Scratch::new().unwrap();
    let policy = POLICY.replace("\"scopes\"", "\"scoops\"");
    let config = EnvoyConfig::new(&places, 1, &policy, true, 2, &[]);
    let failure = config.validate(&places, scratch.path()).unwrap_err().to_string();
    assert!(failure.contains("scoops"), "{failure}");
}

#[test]
fn the_configuration_to_copy_is_valid_in_both_header_modes() {
    let places = Places::of_checkout();
    for hold_headers in [true, false] {
        let scratch = Scratch::new().unwrap();
        let config = EnvoyConfig::plain(&places, 4, 5, 6, hold_headers).unwrap();
        config.validate(&places, scratch.path()).unwrap();
    }
}
