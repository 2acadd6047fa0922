//! The official MCP conformance suite: `authorization` mode against the real issuer, and `server` mode
//! against one MCP server with and without Envoy in front.
#![allow(clippy::unwrap_used, missing_docs)]

use std::process::Command;

use countersign_e2e::{
    ACCOUNT, Envoy, EnvoyConfig, Issuer, PASSWORD, Places, Resource, Scratch, existing, free_ports,
    node_server,
};

/// Runs a script of `tests/conformance` to its end.
fn run(script: &Command) {
    let mut command = Command::new(script.get_program());
    let output = command
        .args(script.get_args())
        .env("DEMO_ACCOUNT", ACCOUNT)
        .env("DEMO_PASSWORD", PASSWORD)
        .output()
        .unwrap();
    print!("{}", String::from_utf8_lossy(&output.stdout));
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success());
}

fn resource(port: u16) -> Resource {
    let uri = format!("http://127.0.0.1:{port}/mcp");
    Resource::new(uri, "Example files", &["files:read=Read files"]).by_default()
}

fn authorization(with_resource: bool) {
    let places = Places::of_checkout();
    let scratch = Scratch::new().unwrap();
    let [port, callback, mcp] = free_ports().unwrap();
    let registered = resource(mcp);
    let issuer =
        Issuer::start(&places, port, core::slice::from_ref(&registered), scratch.path()).unwrap();
    let mut script = Command::new("node");
    script
        .arg(places.path("tests/conformance/authorization.mjs"))
        .arg(issuer.url())
        .arg(existing(places.node22(), "Node 22").unwrap())
        .arg(callback.to_string());
    if with_resource {
        script.arg(registered.uri());
    }
    run(&script);
}

#[test]
fn authorization_without_a_resource() {
    authorization(false);
}

#[test]
fn authorization_for_a_resource() {
    authorization(true);
}

/// The guard changes no outcome of the suite for MCP servers.
fn server(revision: &str) {
    let places = Places::of_checkout();
    let scratch = Scratch::new().unwrap();
    let [issuer_port, front, back] = free_ports().unwrap();
    let guarded = resource(front);
    let resources = core::slice::from_ref(&guarded);
    let issuer = Issuer::start(&places, issuer_port, resources, scratch.path()).unwrap();
    let script = "tests/conformance/fixture.mjs";
    let _fixture = node_server(&places, script, back, scratch.path()).unwrap();
    let policy = format!(
        r#"{{
            "issuers": [{{ "issuer": "{}", "cluster": "issuer" }}],
            "resources": [{{
                "resource": "{}",
                "scopes": {{ "baseline": ["files:read"], "tools": {{ "*": ["files:read"] }} }}
            }}]
        }}"#,
        issuer.url(),
        guarded.uri()
    );
    let clusters = [("issuer", issuer_port)];
    let config = EnvoyConfig::new(&places, front, &policy, true, back, &clusters);
    let _envoy = Envoy::start(&places, &config, scratch.path()).unwrap();
    let mut script = Command::new("node");
    script
        .arg(places.path("tests/conformance/server.mjs"))
        .arg(format!("http://127.0.0.1:{back}/mcp"))
        .args([guarded.uri(), issuer.url()])
        .arg(existing(places.node22(), "Node 22").unwrap())
        .arg(revision);
    run(&script);
}

#[test]
fn server_2026_07_28() {
    server("2026-07-28");
}

#[test]
fn server_2025_11_25() {
    server("2025-11-25");
}
