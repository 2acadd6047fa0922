//! Clients that check every answer by its clause, against the real issuer.
#![allow(clippy::unwrap_used, missing_docs)]

use std::process::Command;

use countersign_e2e::{ACCOUNT, Issuer, PASSWORD, Places, Resource, Scratch, free_ports};
use serde_json::Value;

const RESOURCE: &str = "https://mcp.example.com/mcp";

/// Runs a program with a script below `tests/clients` against an issuer of its own; gives what it said.
fn run(program: &str, script: &str) -> String {
    let places = Places::of_checkout();
    let scratch = Scratch::new().unwrap();
    let [port] = free_ports().unwrap();
    let resource = Resource::new(RESOURCE, "Files", &["files:read=Read files"]);
    let issuer = Issuer::start(&places, port, &[resource], scratch.path()).unwrap();
    let add = |more: &[&str]| {
        let add = ["client", "add", "--json", "--name", "Strict"];
        let added = issuer.administer(&[&add[..], more].concat()).unwrap();
        let client: Value = serde_json::from_str(&added).unwrap();
        let text = |name: &str| client[name].as_str().unwrap().to_owned();
        format!("{}:{}", text("client_id"), text("client_secret"))
    };
    let output = Command::new(program)
        .arg(places.path(script))
        .env("PYTHONPATH", places.authlib())
        .env("STRICT_ISSUER", issuer.url())
        .env("STRICT_RESOURCE", RESOURCE)
        .env("STRICT_ACCOUNT", ACCOUNT)
        .env("STRICT_PASSWORD", PASSWORD)
        .env("STRICT_SERVICE", add(&["--service", &format!("{RESOURCE}=files:read")]))
        .env("STRICT_SERVER", add(&["--introspects", RESOURCE]))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    print!("{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success());
    said
}

#[test]
fn oauth4webapi_and_openid_client() {
    assert!(run("node", "tests/clients/strict.mjs").contains("13 steps passed"));
}

#[test]
fn authlib() {
    assert!(run("python3", "tests/clients/authlib_client.py").contains("5 steps passed"));
}
