//! The issuer under requests that Schemathesis makes from its OpenAPI document: no server error, and
//! no answer that the document does not allow.
#![allow(clippy::unwrap_used, missing_docs)]

use std::process::Command;

use countersign_e2e::{Issuer, Places, Resource, Scratch, free_ports};
use serde_json::Value;

const RESOURCE: &str = "https://mcp.example.com/mcp";

#[test]
fn schemathesis() {
    let places = Places::of_checkout();
    let mut scratch = Scratch::new().unwrap();
    let [port] = free_ports().unwrap();
    let scopes = ["files:read=Read files", "files:write=Write files"];
    let resource = Resource::new(RESOURCE, "Files", &scopes);
    // Documents of clients are not fetched: the names that are made up lead nowhere, which is 503.
    let options = ["--client-documents", "off"];
    let issuer = Issuer::start_with(&places, port, &[resource], scratch.path(), &options).unwrap();
    let service = format!("{RESOURCE}=files:read");
    let add = ["client", "add", "--json", "--name", "Service", "--service", &service];
    let client: Value = serde_json::from_str(&issuer.administer(&add).unwrap()).unwrap();
    let text = |name: &str| client[name].as_str().unwrap().to_owned();
    let output = Command::new("python3")
        .arg(places.path("tests/openapi/fuzz.py"))
        .env("PYTHONPATH", places.schemathesis())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("FUZZ_ISSUER", issuer.url())
        .env("FUZZ_RESOURCE", RESOURCE)
        .env("FUZZ_SERVICE", format!("{}:{}", text("client_id"), text("client_secret")))
        .env("FUZZ_DIR", scratch.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    print!("{said}{}", String::from_utf8_lossy(&output.stderr));
    if !output.status.success() {
        scratch.keep();
        panic!("the log is in {}", scratch.path().display());
    }
    assert!(said.contains("the document is OpenAPI 3.1"));
    // That it came past the first checks.
    for far in ["POST /token:", "GET /authorize:", "POST /register:"] {
        let line = said.lines().find(|line| line.starts_with(far)).unwrap();
        assert!([" x 200", " x 201", " x 303"].iter().any(|good| line.contains(good)), "{line}");
    }
}
