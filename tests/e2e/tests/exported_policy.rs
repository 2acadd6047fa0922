//! Issuer and edge agree: what `countersign resource export` prints is all that an Envoy needs to
//! enforce a resource's scopes and tools on the issuer's own tokens.
#![allow(clippy::unwrap_used, missing_docs)]

use countersign_e2e::http::Request;
use countersign_e2e::{Envoy, EnvoyConfig, Issuer, Places, Scratch, Stub, free_ports};
use serde_json::{Value, json};

#[test]
fn an_exported_policy_is_enforced() {
    let places = Places::of_checkout();
    let scratch = Scratch::new().unwrap();
    let [listener, port] = free_ports().unwrap();
    let uri = format!("http://127.0.0.1:{listener}/mcp");
    let issuer = Issuer::start(&places, port, &[], scratch.path()).unwrap();
    let add = [
        ["resource", "add", uri.as_str(), "--name", "Files"],
        ["--scope", "files:read=Read", "--scope", "files:write=Write", "--implies"],
        ["files:write=files:read", "--tool", "show=files:read", "--tool", "write_*=files:write"],
    ];
    issuer.administer(add.as_flattened()).unwrap();
    let export = ["resource", "export", &uri, "--cluster", "issuer", "--deny-unlisted"];
    let named = ["--issuer", issuer.url()];
    let policy = issuer.administer(&[&export[..], &named].concat()).unwrap();

    let upstream = Stub::upstream().unwrap();
    let clusters = [("issuer", issuer.port())];
    let config = EnvoyConfig::new(&places, listener, &policy, true, upstream.port(), &clusters);
    let _envoy = Envoy::start(&places, &config, scratch.path()).unwrap();

    let token = |scope: &str| {
        let allowed = format!("{uri}={scope}");
        let add = ["client", "add", "--json", "--name", "Job", "--service", &allowed];
        let method = ["--auth-method", "client_secret_post"];
        let added = issuer.administer(&[&add[..], &method].concat()).unwrap();
        let client: Value = serde_json::from_str(&added).unwrap();
        let (id, secret) = (&client["client_id"], &client["client_secret"]);
        let form = format!(
            "grant_type=client_credentials&client_id={}&client_secret={}",
            id.as_str().unwrap(),
            secret.as_str().unwrap()
        );
        let answer = Request::new("POST", "/token", &format!("127.0.0.1:{port}"))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form)
            .send(port)
            .unwrap();
        let tokens: Value = serde_json::from_str(&answer.text()).unwrap();
        tokens["access_token"].as_str().unwrap().to_owned()
    };
    let call = |token: &str, tool: &str| {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": tool } });
        Request::new("POST", "/mcp", &format!("127.0.0.1:{listener}"))
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json")
            .body(body.to_string())
            .send(listener)
            .unwrap()
            .status()
    };
    let (reads, writes) = (token("files:read"), token("files:write"));
    for (token, tool, status) in [
        (&reads, "show", 200),
        (&reads, "write_file", 403),
        (&writes, "write_file", 200),
        // By implication.
        (&writes, "show", 200),
        // No rule names it.
        (&writes, "delete_everything", 403),
        (&"x.y.z".to_owned(), "show", 401),
    ] {
        assert_eq!(call(token, tool), status, "{tool}");
    }
}
