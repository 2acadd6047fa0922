//! `user`, `resource`, `client`: what they add, print and refuse.

use crate::tool::Folder;

const FILES: &str = "https://mcp.example.com/files";

#[test]
fn add_and_list() {
    let folder = Folder::new();
    let added = folder.run(&["user", "add", "ada", "--password-stdin"], "correct horse\n");
    assert_eq!((added.code, added.stdout.as_str()), (0, "Added the user ada.\n"));
    let users = folder.json(&["user", "list", "--json"]);
    assert_eq!(users[0]["name"], "ada");
    assert!(users[0]["password_hash"].is_null(), "nothing that helps to guess");

    let resource = [
        "resource",
        "add",
        FILES,
        "--name",
        "Example files",
        "--scope",
        "files:read=Read your files",
        "--scope",
        "files:write=Change your files",
        "--implies",
        "files:write=files:read",
        "--alias",
        "mcp://files",
        "--default",
    ];
    assert_eq!(folder.run(&resource, "").code, 0);
    let resources = folder.json(&["resource", "list", "--json"]);
    assert_eq!(resources[0]["resource"], FILES);
    assert_eq!(resources[0]["default"], true);
    assert_eq!(resources[0]["aliases"][0], "mcp://files");
    assert_eq!(resources[0]["scopes"][1]["implies"][0], "files:read");
    let twice = folder.run(&resource, "");
    assert_eq!(twice.code, 1);
    assert!(twice.stderr.starts_with("countersign: "), "{}", twice.stderr);

    let uri = "https://app.example.com/cb";
    let client = folder.json(&[
        "client",
        "add",
        "--name",
        "App",
        "--redirect-uri",
        uri,
        "--confidential",
        "--json",
    ]);
    assert!(client["client_secret"].as_str().unwrap().starts_with("cs_"));
    assert_eq!(client["token_endpoint_auth_method"], "client_secret_basic");
    let public = folder.json(&["client", "add", "--name", "B", "--redirect-uri", uri, "--json"]);
    assert!(public["client_secret"].is_null());
    let clients = folder.json(&["client", "list", "--json"]);
    assert_eq!(clients.as_array().unwrap().len(), 2);
    assert!(!clients.to_string().contains("cs_"), "shown once");
    for list in ["user", "resource", "client"] {
        let output = folder.run(&[list, "list"], "");
        assert_eq!((output.code, output.stderr.as_str()), (0, ""), "{list}");
        assert!(!output.stdout.is_empty());
    }
}

/// Exit codes: 1 refused, 2 usage.
#[test]
fn exit_codes() {
    let folder = Folder::new();
    for (args, code) in [
        (&["user", "list"][..], 1),
        (&["user", "add", "ada", "--password-stdin"], 1),
        (&["resource", "add", "no-uri", "--name", "x", "--scope", "a=b"], 1),
        (&["resource", "add", FILES, "--name", "x", "--scope", "nothing"], 1),
        (&["resource", "add", FILES, "--name", "x", "--scope", "a=b", "--implies", "a=c"], 1),
        (&["client", "add", "--name", "x", "--redirect-uri", "javascript:alert(1)"], 1),
        (&["resource", "add", FILES, "--name", "x"], 2),
        (&["client", "add", "--name", "x"], 2),
        (&["unknown"], 2),
        (&["user", "add"], 2),
        (&["serve", "--registration", "maybe"], 2),
        (&[], 2),
        (&["--help"], 0),
        (&["--version"], 0),
    ] {
        let output = folder.run(args, "short\n");
        assert_eq!(output.code, code, "{args:?} {output:?}");
        assert!(code == 0 || !output.stderr.is_empty(), "{args:?} says why");
    }
    let output = folder.run(&["user", "list", "--json", "--database", "none.db"], "");
    let error: serde_json::Value = serde_json::from_str(&output.stderr).unwrap();
    assert_eq!(error["error"], "database_missing");
    assert!(!folder.path().join("none.db").exists(), "looking makes nothing");
}
