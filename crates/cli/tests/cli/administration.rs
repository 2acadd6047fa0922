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

/// RFC 8628: a client for devices needs no redirect URI, and may have one.
#[test]
fn device_clients() {
    const DEVICE: &str = "urn:ietf:params:oauth:grant-type:device_code";
    let folder = Folder::new();
    let client = folder.json(&["client", "add", "--name", "TV", "--device", "--json"]);
    assert_eq!(client["grant_types"], serde_json::json!([DEVICE, "refresh_token"]));
    assert_eq!(client["token_endpoint_auth_method"], "none");
    let uri = "https://app.example.com/cb";
    let both = ["client", "add", "--name", "B", "--device", "--redirect-uri", uri, "--json"];
    let both = folder.json(&both);
    let grants = serde_json::json!(["authorization_code", DEVICE, "refresh_token"]);
    assert_eq!(both["grant_types"], grants);
}

/// ID-JAG: who is trusted, for whom, and the clients that may come with it.
#[test]
fn identity_providers() {
    const IDP: &str = "https://acme.idp.example";
    let folder = Folder::new();
    assert_eq!(folder.run(&["user", "add", "ada", "--password-stdin"], "correct horse\n").code, 0);
    assert_eq!(folder.json(&["idp", "list", "--json"]), serde_json::json!([]));
    let keys = format!("{IDP}/keys");
    assert_eq!(folder.run(&["idp", "add", IDP, "--jwks-uri", &keys], "").code, 0);
    for bad in [
        &["idp", "add", IDP, "--jwks-uri", &keys][..],
        &["idp", "add", "http://idp.example", "--jwks-uri", &keys],
        &["idp", "add", "https://b.example", "--jwks-uri", "http://b.example"],
        &["idp", "add", "https://b.example?x", "--jwks-uri", &keys],
        &["idp", "link", "bob", "--issuer", IDP, "--subject", "U1"],
        &["idp", "link", "ada", "--issuer", "https://b.example", "--subject", "U1"],
        &["idp", "link", "ada", "--issuer", IDP, "--subject", ""],
        &["idp", "unlink", "--issuer", IDP, "--subject", "U1"],
        &["idp", "delete", "https://b.example"],
    ] {
        assert_eq!(folder.run(bad, "").code, 1, "{bad:?}");
    }
    let link = ["idp", "link", "ADA", "--issuer", IDP, "--subject", "U1"];
    assert_eq!(folder.run(&link, "").code, 0);
    assert_eq!(folder.run(&link, "").code, 1, "twice");
    let listed = folder.json(&["idp", "list", "--json"]);
    assert_eq!(listed[0]["users"][0]["user"], "ada");
    assert_eq!(folder.run(&["idp", "list"], "").stdout, format!("{IDP}\n  \"U1\" is ada\n"));
    let client = ["client", "add", "--name", "Agent", "--identity-assertions", "--json"];
    let client = folder.json(&client);
    let grants = serde_json::json!(["urn:ietf:params:oauth:grant-type:jwt-bearer"]);
    assert_eq!(client["grant_types"], grants);
    assert_eq!(client["token_endpoint_auth_method"], "client_secret_basic");
    assert_eq!(folder.run(&["idp", "delete", IDP], "").code, 0);
    assert_eq!(folder.json(&["idp", "list", "--json"]), serde_json::json!([]));
}

/// Clients without users: what acts for itself, and the server of a resource.
#[test]
fn services_and_resource_servers() {
    let folder = Folder::new();
    let resource = ["resource", "add", FILES, "--name", "x", "--scope", "a=A", "--scope", "b=B"];
    assert_eq!(folder.run(&resource, "").code, 0);
    fn add<'a>(more: &[&'a str]) -> Vec<&'a str> {
        [&["client", "add", "--name", "Job", "--json"], more].concat()
    }
    let service = format!("{FILES}=a,b");
    let client = folder.json(&add(&["--service", &service]));
    assert!(client["client_secret"].as_str().unwrap().starts_with("cs_"));
    assert_eq!(client["grant_types"], serde_json::json!(["client_credentials"]));
    assert_eq!(client["token_endpoint_auth_method"], "client_secret_basic");
    let client =
        folder.json(&add(&["--introspects", FILES, "--auth-method", "client_secret_post"]));
    assert_eq!(client["grant_types"], serde_json::json!([]));
    let exchanging = folder.json(&add(&["--introspects", FILES, "--exchanges", &service]));
    const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
    assert_eq!(exchanging["grant_types"], serde_json::json!([EXCHANGE]));
    assert_eq!(exchanging["token_endpoint_auth_method"], "client_secret_basic");
    assert_eq!(client["token_endpoint_auth_method"], "client_secret_post");

    let key = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
    let file = folder.path().join("keys.json");
    std::fs::write(&file, key).unwrap();
    let client = folder.json(&add(&["--service", &service, "--jwks", "keys.json"]));
    assert_eq!(client["token_endpoint_auth_method"], "private_key_jwt");
    assert!(client["client_secret"].is_null());
    assert_eq!(client["dpop_bound_access_tokens"], false);
    let held = ["--redirect-uri", "https://app.example.com/cb", "--jwks", "keys.json"];
    let client = folder.json(&add(&[&held[..], &["--dpop", "--signed-requests"]].concat()));
    assert_eq!(client["dpop_bound_access_tokens"], true);
    assert_eq!(client["require_signed_request_object"], true);

    std::fs::write(&file, key.replace("\"x\"", "\"d\":\"AA\",\"x\"")).unwrap();
    let private = folder.run(&add(&["--service", &service, "--jwks", "keys.json"]), "");
    assert_eq!(private.code, 1);
    assert!(private.stderr.contains("private"), "{}", private.stderr);
    for (more, code) in [
        (&["--service", "https://other.example=a"][..], 1),
        (&["--service", &format!("{FILES}=c")], 1),
        (&["--service", &format!("{FILES}=")], 1),
        (&["--service", FILES], 1),
        (&["--introspects", "https://other.example"], 1),
        (&["--service", &service, "--jwks", "nothing.json"], 1),
        (&["--service", &service, "--jwks", "keys.json", "--confidential"], 2),
        (&["--service", &service, "--signed-requests"], 2),
    ] {
        let output = folder.run(&add(more), "");
        assert_eq!(output.code, code, "{more:?}: {}", output.stderr);
    }
}

/// Who is locked out, and who may come back.
#[test]
fn disable_enable_delete() {
    let folder = Folder::new();
    assert_eq!(folder.run(&["user", "add", "ada", "--password-stdin"], "correct horse\n").code, 0);
    let uri = "https://app.example.com/cb";
    let client = folder.json(&["client", "add", "--name", "A", "--redirect-uri", uri, "--json"]);
    let id = client["client_id"].as_str().unwrap();
    for (verb, disabled) in [("disable", true), ("disable", true), ("enable", false)] {
        assert_eq!(folder.run(&["user", "claims", "ADA", r#"{"roles":["x"]}"#], "").code, 0);
        assert_eq!(folder.run(&["user", verb, "ADA"], "").code, 0);
        assert_eq!(folder.json(&["user", "list", "--json"])[0]["disabled"], disabled);
        assert_eq!(folder.run(&["client", verb, id], "").code, 0);
        assert_eq!(folder.json(&["client", "list", "--json"])[0]["disabled"], disabled);
    }
    assert_eq!(folder.run(&["client", "delete", id], "").code, 0);
    assert_eq!(folder.json(&["client", "list", "--json"]), serde_json::json!([]));
    assert_eq!(folder.json(&["grant", "list", "--json"]), serde_json::json!([]));
    for args in [
        ["user", "disable", "bob"],
        ["user", "enable", "bob"],
        ["client", "disable", id],
        ["client", "enable", id],
        ["client", "delete", id],
        ["grant", "revoke", "g_x"],
        ["client", "unpin", "https://app.example.com/client.json"],
    ] {
        let output = folder.run(&args, "");
        assert_eq!(output.code, 1, "{args:?}");
        assert!(output.stderr.starts_with("countersign: there is no ") || args[1] == "unpin");
    }
}

/// The document of a client, given by hand.
#[test]
fn pinned_documents() {
    let folder = Folder::new();
    let url = "https://app.example.com/client.json";
    let document = format!(
        r#"{{"client_id":"{url}","client_name":"App","redirect_uris":["http://localhost/cb"]}}"#
    );
    std::fs::write(folder.path().join("client.json"), &document).unwrap();
    let pin = ["client", "pin", url, "--document", "client.json"];
    assert_eq!(folder.run(&pin, "").code, 0);
    let client = &folder.json(&["client", "list", "--json"])[0];
    assert_eq!((&client["client_id"], &client["client_name"]), (&url.into(), &"App".into()));
    assert_eq!(folder.run(&["client", "unpin", url], "").code, 0);
    std::fs::write(folder.path().join("client.json"), "{}").unwrap();
    assert_eq!(folder.run(&pin, "").code, 1);
}

/// Tokens for clients to register with.
#[test]
fn initial_access_tokens() {
    let folder = Folder::new();
    let add = ["client", "initial-token", "add", "--name", "ci", "--uses", "3"];
    let token = folder.run(&add, "");
    assert_eq!(token.code, 0);
    assert!(token.stdout.starts_with("ia_"));
    let list = ["client", "initial-token", "list", "--json"];
    let tokens = folder.json(&list);
    assert_eq!((&tokens[0]["name"], &tokens[0]["uses_left"]), (&"ci".into(), &3.into()));
    assert!(!tokens.to_string().contains("ia_"), "shown once");
    assert_eq!(folder.run(&["client", "initial-token", "delete", "ci"], "").code, 0);
    assert_eq!(folder.json(&list), serde_json::json!([]));
    assert_eq!(folder.run(&["client", "initial-token", "delete", "ci"], "").code, 1);
    assert_eq!(
        folder.run(&["client", "initial-token", "add", "--name", "x", "--uses", "0"], "").code,
        1
    );
    assert_eq!(folder.run(&["client", "initial-token", "add", "--name", " "], "").code, 1);
    let check = ["config", "check", "--json", "--registration", "token"];
    assert_eq!(folder.json(&check)["registration"], "token");
}

/// What is exported is a policy document, which `policy check` takes.
#[test]
fn exported_policies() {
    let folder = Folder::new();
    let resource = ["resource", "add", FILES, "--name", "x", "--scope", "a=A", "--scope", "b=B"];
    let settings = ["--implies", "b=a", "--tool", "write_*=b", "--token-lifetime", "60"];
    assert_eq!(folder.run(&[&resource[..], &settings].concat(), "").code, 0);
    let listed = &folder.json(&["resource", "list", "--json"])[0];
    assert_eq!(listed["tools"]["write_*"], serde_json::json!(["b"]));
    assert_eq!(listed["token_lifetime"], 60);
    let export = ["resource", "export", FILES];
    let issuer = ["--issuer", "https://auth.example.com", "--cluster", "auth", "--deny-unlisted"];
    for more in [&[][..], &issuer] {
        let policy = folder.run(&[&export[..], more].concat(), "");
        assert_eq!(policy.code, 0, "{}", policy.stderr);
        let checked = folder.run(&["policy", "check", "-"], &policy.stdout);
        assert_eq!(checked.code, 0, "{}", checked.stderr);
    }
    let named = folder.json(&[&export[..], &issuer].concat());
    assert_eq!(named["issuers"][0]["issuer"], "https://auth.example.com");
    assert_eq!(named["issuers"][0]["cluster"], "auth");
    let default = folder.json(&export);
    assert_eq!(default["issuers"][0]["issuer"], "http://127.0.0.1:8090");
    // As `serve` and `config check` have it.
    for (listen, url) in
        [("127.0.0.1:3", "http://127.0.0.1:3"), ("127.0.0.1:80", "http://127.0.0.1")]
    {
        for command in [&export[..], &["config", "check", "--json"]] {
            let mut command = folder.command(command);
            let output = command.env("COUNTERSIGN_LISTEN", listen).output().unwrap();
            let shown: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
            let issuer = shown.pointer("/issuers/0/issuer").or_else(|| shown.pointer("/issuer"));
            assert_eq!(issuer.unwrap(), url);
        }
    }
    for bad in [
        &["resource", "export", "https://other.example"][..],
        &["resource", "export", FILES, "--issuer", "https://auth.example.com/"],
    ] {
        assert_eq!(folder.run(bad, "").code, 1, "{bad:?}");
    }
}

/// The filter's configuration is judged as Envoy does when it starts.
#[test]
fn configurations_of_the_filter() {
    let folder = Folder::new();
    let policy = |cluster: &str| {
        format!(
            r#"{{"issuers":[{{"issuer":"https://a.example"{cluster}}}],
                "resources":[{{"resource":"{FILES}"}}]}}"#
        )
    };
    let (alone, with_cluster) = (policy(""), policy(r#","cluster":"a""#));
    let settings = format!(r#"{{"policy":{with_cluster},"filter":{{"filter_state":false}}}}"#);
    for (document, envoy, code, said) in [
        (&alone, false, 0, ""),
        (&with_cluster, true, 0, ""),
        (&settings, true, 0, ""),
        (&alone, true, 1, "$.issuers[0]: in Envoy, \"cluster\" must name"),
        (&settings.replace("https://a", "http://a"), true, 1, "$.policy.issuers[0].issuer"),
        (&settings.replace("filter_state", "state"), true, 1, "$.filter.state: unknown member"),
        (&settings, false, 1, "check it with --envoy"),
    ] {
        let args = [&["policy", "check", "-"][..], if envoy { &["--envoy"] } else { &[] }].concat();
        let output = folder.run(&args, document);
        assert_eq!(output.code, code, "{document}: {output:?}");
        assert!(output.stderr.contains(said), "{output:?}");
    }
    // What Envoy takes, and warns of in its log.
    let keys = r#","jwks":{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
    let ignoring = policy(&format!(r#"{keys},"status":"ignore""#));
    for (document, said) in
        [(&policy(keys), "warning: -: $.issuers[0] has no \"cluster\""), (&ignoring, "")]
    {
        let output = folder.run(&["policy", "check", "--envoy", "-"], document);
        assert_eq!(output.code, 0, "{output:?}");
        assert!(output.stderr.starts_with(said), "{output:?}");
        assert_eq!(output.stderr.is_empty(), said.is_empty(), "{output:?}");
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
