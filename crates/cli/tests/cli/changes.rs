//! `user`, `resource`, `client`: what was added is changed and taken away.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::{
    http,
    server::{Browser, fill, redeem, refresh, register, token},
    tool::Folder,
};

const FILES: &str = "https://mcp.example.com/files";

fn folder() -> Folder {
    let folder = Folder::new();
    assert_eq!(folder.run(&["user", "add", "ada", "--password-stdin"], "correct horse\n").code, 0);
    let add = ["resource", "add", FILES, "--name", "x", "--scope", "a=A", "--scope", "b=B"];
    let more = ["--implies", "b=a", "--tool", "write_*=b", "--alias", "mcp://files"];
    assert_eq!(folder.run(&[&add[..], &more].concat(), "").code, 0);
    folder
}

fn refused(folder: &Folder, args: &[&str], code: i32) {
    let output = folder.run(args, "correct horse\n");
    assert_eq!(output.code, code, "{args:?}: {output:?}");
    assert!(!output.stderr.is_empty(), "{args:?} says why");
}

#[test]
fn people() {
    let folder = folder();
    let password = ["user", "password", "ADA", "--password-stdin"];
    let text = folder.run(&password, "battery staple\n");
    assert_eq!((text.code, text.stderr.as_str()), (0, ""));
    assert!(text.stdout.starts_with("ADA has another password."), "{text:?}");
    let data =
        folder.run(&[&password[..], &["--revoke-grants", "--json"]].concat(), "correct horse");
    let data: Value = serde_json::from_str(&data.stdout).unwrap();
    assert_eq!(data, json!({ "name": "ADA", "changed": true, "revoked_grants": 0 }));
    assert_eq!(folder.run(&password, "short\n").code, 1);
    refused(&folder, &["user", "password", "bob", "--password-stdin"], 1);

    let deleted = folder.json(&["user", "delete", "Ada", "--json"]);
    assert_eq!(deleted, json!({ "name": "Ada", "deleted": true }));
    assert_eq!(folder.json(&["user", "list", "--json"]), json!([]));
    refused(&folder, &["user", "delete", "ada"], 1);
    let again = folder.run(&["user", "add", "ada", "--password-stdin"], "correct horse\n");
    assert_eq!(again.code, 0, "the name is free");
}

#[test]
fn resources() {
    let folder = folder();
    let set = |rest: &[&str]| folder.json(&[&["resource", "set", FILES, "--json"], rest].concat());
    let changed = set(&["--name", "Files", "--scope", "c=C", "--scope", "a=All", "--default"]);
    assert_eq!((&changed["name"], &changed["default"]), (&"Files".into(), &true.into()));
    assert_eq!(changed["scopes"][0]["description"], "All");
    assert_eq!(changed["scopes"][2]["name"], "c");
    assert_eq!(changed["scopes"][1]["implies"], json!(["a"]), "what is not named stays");
    let changed = set(&[
        "--implies",
        "b=",
        "--implies",
        "c=a,b",
        "--remove-tool",
        "write_*",
        "--tool",
        "read=a",
        "--alias",
        "mcp://f",
        "--remove-alias",
        "mcp://files",
        "--token-lifetime",
        "60",
        "--token-alg",
        "RS256",
        "--default",
        "false",
    ]);
    assert_eq!(changed["scopes"][1]["implies"], json!([]));
    assert_eq!(changed["scopes"][2]["implies"], json!(["a", "b"]));
    assert_eq!(changed["tools"], json!({ "read": ["a"] }));
    assert_eq!(changed["aliases"], json!(["mcp://f"]));
    assert_eq!((&changed["token_lifetime"], &changed["token_alg"]), (&60.into(), &"RS256".into()));
    assert_eq!(changed["default"], false);
    let changed = set(&["--remove-scope", "b", "--implies", "c=", "--token-lifetime", "default"]);
    assert_eq!(changed["scopes"].as_array().unwrap().len(), 2);
    assert_eq!(changed["token_lifetime"], Value::Null);
    assert_eq!(folder.json(&["resource", "list", "--json"])[0], changed);

    for (rest, code) in [
        (&["--remove-scope", "b"][..], 1),
        (&["--remove-scope", "a"], 1), // a tool needs it
        (&["--remove-tool", "x"], 1),
        (&["--remove-alias", "mcp://files"], 1),
        (&["--implies", "x=a"], 1),
        (&["--scope", "openid=x"], 1),
        (&["--token-lifetime", "5"], 1),
        (&["--alias", "x"], 1),
        (&["--token-lifetime", "x"], 2),
        (&["--token-alg", "none"], 2),
        (&[], 2),
    ] {
        refused(&folder, &[&["resource", "set", FILES], rest].concat(), code);
    }
    assert_eq!(folder.json(&["resource", "list", "--json"])[0], changed, "all or nothing");
    refused(&folder, &["resource", "set", "https://none.example", "--name", "x"], 1);

    let service = format!("{FILES}=a");
    let client = ["client", "add", "--name", "Job", "--service", &service, "--json"];
    let client = folder.json(&client);
    let used = folder.run(&["resource", "delete", FILES, "--json"], "");
    assert_eq!(used.code, 1);
    let error: Value = serde_json::from_str(&used.stderr).unwrap();
    assert_eq!(error["error"], "in_use");
    let deleted = folder.json(&["resource", "delete", FILES, "--force", "--json"]);
    assert_eq!(deleted, json!({ "resource": FILES, "deleted": true }));
    assert_eq!(folder.json(&["resource", "list", "--json"]), json!([]));
    assert_eq!(folder.json(&["client", "list", "--json"])[0]["client_id"], client["client_id"]);
    refused(&folder, &["resource", "delete", FILES], 1);
}

#[test]
fn clients() {
    let folder = folder();
    let service = format!("{FILES}=a");
    let uri = "https://app.example.com/cb";
    let added = folder.json(&[
        "client",
        "add",
        "--name",
        "App",
        "--redirect-uri",
        uri,
        "--service",
        &service,
        "--json",
    ]);
    let id = added["client_id"].as_str().unwrap();
    let set = |rest: &[&str]| folder.json(&[&["client", "set", id, "--json"], rest].concat());
    let other = "https://app.example.com/other";
    let changed = set(&["--name", "Other", "--redirect-uri", other, "--device", "--dpop"]);
    assert_eq!(changed["client_name"], "Other");
    assert_eq!(changed["redirect_uris"], json!([other]));
    assert_eq!(changed["dpop_bound_access_tokens"], true);
    let grants = changed["grant_types"].as_array().unwrap();
    for grant in ["authorization_code", "client_credentials", "refresh_token"] {
        assert!(grants.contains(&grant.into()), "{grant} of {grants:?}");
    }
    let both = format!("{FILES}=a,b");
    let changed = set(&[
        "--exchanges",
        &both,
        "--default-resource",
        FILES,
        "--without",
        "redirect-uri",
        "--without",
        "device",
        "--without",
        "dpop",
    ]);
    assert_eq!(changed["redirect_uris"], json!([]));
    assert_eq!(changed["default_resource"], FILES);
    assert_eq!(changed["dpop_bound_access_tokens"], false);
    const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
    assert_eq!(changed["grant_types"], json!(["client_credentials", EXCHANGE]));
    let changed = set(&["--without", "service", "--without", "default-resource"]);
    assert_eq!(changed["grant_types"], json!([EXCHANGE]));
    assert_eq!(changed["default_resource"], Value::Null);
    assert_eq!(folder.json(&["client", "list", "--json"])[0], changed);
    for (rest, code) in [
        (&["--without", "exchanges"][..], 1), // nothing is left
        (&["--redirect-uri", "javascript:alert(1)"], 1),
        (&["--service", "https://other.example=a"], 1),
        (&["--signed-requests"], 1),
        (&["--without", "name"], 2),
        (&[], 2),
    ] {
        refused(&folder, &[&["client", "set", id], rest].concat(), code);
    }
    let public = ["client", "add", "--name", "B", "--redirect-uri", uri, "--json"];
    let public = folder.json(&public);
    let public = public["client_id"].as_str().unwrap();
    refused(&folder, &["client", "set", public, "--service", &service], 1);
    refused(&folder, &["client", "secret", public], 1);
    refused(&folder, &["client", "secret", "none"], 1);
    let secret = folder.json(&["client", "secret", id, "--json"]);
    assert_eq!(secret["client_id"], id);
    assert!(secret["client_secret"].as_str().unwrap().starts_with("cs_"));
    assert_ne!(secret["client_secret"], added["client_secret"]);
    let shown = folder.run(&["client", "secret", id], "").stdout;
    assert!(shown.starts_with("client_secret  cs_") && shown.contains("not shown again"));
}

/// What is changed while a server runs counts there too, and at once on this machine.
#[test]
fn running_servers_notice() {
    const OF_SERVER: &str = "https://mcp.example.com/files";
    let folder = Folder::new();
    let server = folder.serve(&["--listen", "127.0.0.1:0"]);
    fill(&folder);
    let id = register(&server);
    let set =
        ["resource", "set", OF_SERVER, "--scope", "files:list=List", "--token-lifetime", "77"];
    assert_eq!(folder.run(&set, "").code, 0);
    let mut browser = Browser::default();
    let tokens = redeem(&server, &id, &browser.authorize(&server, &id));
    assert_eq!(tokens["expires_in"], 77);
    assert!(tokens["scope"].as_str().unwrap().starts_with("files:read"), "{tokens}");

    // A refresh gives nothing of a scope that is gone.
    let set = ["resource", "set", OF_SERVER, "--remove-scope", "files:read"];
    assert_eq!(folder.run(&set, "").code, 0);
    let tokens = refresh(&server, &id, &tokens);
    assert!(!tokens["scope"].as_str().unwrap().contains("files:read"), "{tokens}");

    let password = ["user", "password", "ada", "--password-stdin"];
    assert_eq!(folder.run(&password, "another password\n").code, 0);
    let tokens = refresh(&server, &id, &tokens);
    let data =
        folder.run(&[&password[..], &["--revoke-grants", "--json"]].concat(), "once more one");
    let data: Value = serde_json::from_str(&data.stdout).unwrap();
    assert_eq!(data["revoked_grants"], 1);
    let over = |tokens: &Value| {
        let held = tokens["refresh_token"].as_str().unwrap();
        let form =
            [("grant_type", "refresh_token"), ("refresh_token", held), ("client_id", id.as_str())];
        let answer = token(&server, &form);
        assert_eq!((answer.status, &answer.json()["error"]), (400, &"invalid_grant".into()));
    };
    over(&tokens);

    // Who is logged in is not any more, and there is nobody of this name and password.
    assert_eq!(folder.run(&["user", "delete", "ada"], "").code, 0);
    let people = folder.json(&["user", "list", "--json"]);
    assert_eq!(people, json!([]));
    assert_eq!(folder.json(&["grant", "list", "--json"]), json!([]));
    assert_eq!(folder.run(&["resource", "delete", OF_SERVER], "").code, 0);
    let metadata = http::get(&server.at("/.well-known/oauth-authorization-server")).json();
    let scopes = metadata["scopes_supported"].as_array().unwrap();
    assert!(!scopes.iter().any(|scope| scope == "files:list"), "{metadata}");
}

/// What is printed to somebody who reads no further is no failure.
#[test]
fn output_that_nobody_reads_to_its_end() {
    let folder = folder();
    for args in [&["openapi"][..], &["resource", "list", "--json"], &["resource", "export", FILES]]
    {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = folder.command(args).stdout(writer).stderr(Stdio::piped()).output().unwrap();
        assert_eq!((output.status.code(), &output.stderr[..]), (Some(0), &b""[..]), "{args:?}");
    }
}
