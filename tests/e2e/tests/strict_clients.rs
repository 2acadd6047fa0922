//! Clients that check every answer by its clause, against the real issuer.
#![allow(clippy::unwrap_used, missing_docs)]

use std::{
    fs,
    process::Command,
    time::{SystemTime, UNIX_EPOCH},
};

use countersign_e2e::{ACCOUNT, Issuer, PASSWORD, Places, Resource, Scratch, free_ports};
use countersign_testkit::{keys::TestKey, token::Token};
use serde_json::{Value, json};

const RESOURCE: &str = "https://mcp.example.com/mcp";

const PROVIDER: &str = "https://acme.idp.example";

/// Two assertions of an identity provider that the issuer trusts from here on: `client` may act for
/// the user.
fn assertions(issuer: &Issuer, scratch: &Scratch, client: &str) -> String {
    let keys = json!({ "keys": [TestKey::Es256(3).jwk("idp")] });
    let path = scratch.path().join("idp.jwks.json");
    fs::write(&path, keys.to_string()).unwrap();
    issuer.administer(&["idp", "add", PROVIDER, "--jwks", path.to_str().unwrap()]).unwrap();
    let link = ["idp", "link", ACCOUNT, "--issuer", PROVIDER, "--subject", "U019488227"];
    issuer.administer(&link).unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let assertion = Token::new(PROVIDER, issuer.url())
        .key(TestKey::Es256(3), "idp")
        .header("typ", "oauth-id-jag+jwt")
        .claim("sub", "U019488227")
        .claim("client_id", client)
        .claim("resource", RESOURCE)
        .claim("scope", "files:read")
        .claim("iat", now)
        .claim("exp", now + 3000);
    format!("{} {}", assertion.sign(), assertion.claim("jti", "another").sign())
}

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
    let rule = format!("{RESOURCE}=files:read");
    let agent = add(&["--identity-assertions"]);
    let assertions = assertions(&issuer, &scratch, agent.split(':').next().unwrap());
    let output = Command::new(program)
        .arg(places.path(script))
        .env("PYTHONPATH", places.authlib())
        .env("STRICT_ISSUER", issuer.url())
        .env("STRICT_RESOURCE", RESOURCE)
        .env("STRICT_ACCOUNT", ACCOUNT)
        .env("STRICT_PASSWORD", PASSWORD)
        .env("STRICT_SERVICE", add(&["--service", &rule]))
        .env("STRICT_DEVICE", add(&["--device", "--confidential"]))
        .env("STRICT_EXCHANGE", add(&["--introspects", RESOURCE, "--exchanges", &rule]))
        .env("STRICT_AGENT", agent)
        .env("STRICT_ASSERTIONS", assertions)
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
    assert!(run("node", "tests/clients/strict.mjs").contains("16 steps passed"));
}

#[test]
fn authlib() {
    assert!(run("python3", "tests/clients/authlib_client.py").contains("5 steps passed"));
}
