//! The official MCP conformance suite, `authorization` mode, against the real issuer.
#![allow(clippy::unwrap_used, missing_docs)]

use std::process::Command;

use countersign_e2e::{ACCOUNT, Issuer, PASSWORD, Places, Resource, Scratch, existing, free_ports};

fn suite(resource: Option<&str>) {
    let places = Places::of_checkout();
    let scratch = Scratch::new().unwrap();
    let [port, callback] = free_ports().unwrap();
    let registered =
        Resource::new("http://127.0.0.1:1/mcp", "Example files", &["files:read=Read files"]);
    let issuer = Issuer::start(&places, port, &[registered], scratch.path()).unwrap();
    let output = Command::new("node")
        .arg(places.path("tests/conformance/authorization.mjs"))
        .arg(issuer.url())
        .arg(existing(places.node22(), "Node 22").unwrap())
        .arg(callback.to_string())
        .args([ACCOUNT, PASSWORD])
        .args(resource)
        .current_dir(scratch.path())
        .output()
        .unwrap();
    print!("{}", String::from_utf8_lossy(&output.stdout));
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success());
}

#[test]
fn without_a_resource() {
    suite(None);
}

#[test]
fn for_a_resource() {
    suite(Some("http://127.0.0.1:1/mcp"));
}
