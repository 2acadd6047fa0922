//! `countersign login`, `call` and `logout` as users run them: through a real Envoy to an MCP server of the
//! official SDK, with tokens of our issuer; and as the client of the official MCP conformance suite.
#![allow(clippy::unwrap_used, missing_docs)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use countersign_e2e::{
    ACCOUNT, Envoy, EnvoyConfig, Issuer, Options, PASSWORD, Places, Scratch, Stack, existing,
    free_ports, node_server,
};
use serde_json::{Value, json};

/// Somebody at a command line, whose browser belongs to somebody with an account.
struct User {
    program: PathBuf,
    browser: String,
    credentials: PathBuf,
}

/// How a command ended.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    out: String,
    complaint: String,
}

impl User {
    fn new(places: &Places, folder: &Path) -> Self {
        Self {
            program: places.countersign().unwrap(),
            browser: format!("node {}", places.path("tests/demo/browser.mjs").display()),
            credentials: folder.join("logins").join("credentials.json"),
        }
    }

    fn run(&self, args: &[&str]) -> Ended {
        let output = Command::new(&self.program)
            .args(args)
            .env("BROWSER", &self.browser)
            .env("COUNTERSIGN_CREDENTIALS", &self.credentials)
            .env("DEMO_ACCOUNT", ACCOUNT)
            .env("DEMO_PASSWORD", PASSWORD)
            .output()
            .unwrap();
        Ended {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            complaint: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// A command that succeeds and prints JSON.
    #[track_caller]
    fn json(&self, args: &[&str]) -> Value {
        let ended = self.run(&[args, &["--json"]].concat());
        assert_eq!(ended.code, Some(0), "{args:?}: {ended:?}");
        serde_json::from_str(&ended.out).unwrap()
    }

    /// A command that fails with this reason.
    #[track_caller]
    fn fails(&self, args: &[&str], reason: &str) {
        let ended = self.run(&[args, &["--json"]].concat());
        assert_eq!(ended.code, Some(1), "{args:?}: {ended:?}");
        let last = ended.complaint.lines().last().unwrap_or_default();
        let problem: Value = serde_json::from_str(last).unwrap();
        assert_eq!(problem["error"], reason, "{args:?}: {ended:?}");
    }

    /// What is kept of a login.
    fn kept(&self, url: &str) -> Value {
        let kept: Value = serde_json::from_slice(&fs::read(&self.credentials).unwrap()).unwrap();
        kept["logins"][url].clone()
    }

    /// Changes what is kept.
    fn change(&self, url: &str, change: impl FnOnce(&mut Value)) {
        let mut kept: Value =
            serde_json::from_slice(&fs::read(&self.credentials).unwrap()).unwrap();
        change(&mut kept["logins"][url]);
        fs::write(&self.credentials, kept.to_string()).unwrap();
    }
}

/// The scopes of a token are a set.
fn scopes(text: &Value) -> Vec<&str> {
    let mut scopes: Vec<&str> = text.as_str().unwrap().split(' ').collect();
    scopes.sort_unstable();
    scopes
}

/// The user's whole way: in, a tool, more scopes, a new token, out.
#[test]
fn a_day_of_a_user() {
    let places = Places::of_checkout();
    let stack = Stack::start(&places, Options::default()).unwrap();
    let user = User::new(&places, stack.dir());
    let mcp = stack.mcp();

    // Nobody is asked where there is no terminal, and nothing is sent without a login.
    user.fails(&["call", mcp], "login_required");
    let login = user.json(&["login", mcp]);
    assert_eq!(login["issuer"], stack.issuer());
    assert_eq!(login["resource"], mcp);
    // The issuer knows `offline_access`, so it is asked for.
    assert_eq!(scopes(&login["scope"]), ["files:read", "offline_access"]);
    assert_eq!(user.json(&["login"]).as_array().unwrap().len(), 1);
    let tools = user.json(&["call", mcp]);
    let names: Vec<&str> = tools["tools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| tool["name"].as_str().unwrap())
        .collect();
    assert!(names.contains(&"read_file"), "{names:?}");
    let read = user.json(&["call", mcp, "read_file", "path=notes.txt"]);
    assert!(read["content"][0]["text"].as_str().is_some_and(|text| !text.is_empty()), "{read}");

    // More than was asked for: the user is asked again, for both.
    let write = ["call", mcp, "write_file", "path=note.txt", "content=Hello"];
    user.fails(&write, "step_up_required");
    let written = user.json(&[&write[..], &["--login"]].concat());
    assert_ne!(written["isError"], true, "{written}");
    let asked = &user.kept(mcp)["asked_scope"];
    assert_eq!(scopes(asked), ["files:read", "files:write", "offline_access"]);
    // What no scope allows is not worth a login.
    user.fails(&["call", mcp, "delete_file", "--login"], "forbidden");
    // The same client as before: one registration, not one for each login.
    assert_eq!(user.kept(mcp)["client"]["client_id"], login["client_id"]);

    // For other programs: the token that is kept, and nothing else on the line.
    let shown = user.run(&["token", "show", mcp]);
    assert_eq!(shown.out.trim_end(), user.kept(mcp)["tokens"]["access_token"]);

    // A token that is about to end is renewed before it is used, with rotation.
    let before = user.kept(mcp);
    user.change(mcp, |login| login["tokens"]["expires_at"] = json!(1));
    user.json(&["call", mcp]);
    let after = user.kept(mcp);
    assert_ne!(after["tokens"]["access_token"], before["tokens"]["access_token"]);
    assert_ne!(after["tokens"]["refresh_token"], before["tokens"]["refresh_token"]);
    // One that is refused is renewed as well: here it is not even one.
    user.change(mcp, |login| login["tokens"]["access_token"] = json!("nonsense"));
    user.json(&["call", mcp]);
    // Several at once share one refresh: a refresh token that is used twice would end the grant.
    user.change(mcp, |login| login["tokens"]["expires_at"] = json!(1));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| user.json(&["call", mcp]));
        }
    });
    user.json(&["call", mcp]);

    // Out: the grant is over at the issuer too, and a copy of the file is of no use.
    let stolen = fs::read(&user.credentials).unwrap();
    let out = user.json(&["logout", mcp]);
    assert_eq!(out[0]["revoked"], true);
    user.fails(&["call", mcp], "login_required");
    user.fails(&["logout", mcp], "login_required");
    fs::write(&user.credentials, stolen).unwrap();
    user.change(mcp, |login| login["tokens"]["expires_at"] = json!(1));
    user.fails(&["call", mcp], "login_required");
}

/// The guide's commands, as they stand there but for the server.
#[test]
fn commands_of_the_guide() {
    let places = Places::of_checkout();
    let stack = Stack::start(&places, Options::default()).unwrap();
    let user = User::new(&places, stack.dir());
    let guide = fs::read_to_string(places.path("docs/client.md")).unwrap();
    let blocks: Vec<&str> =
        guide.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert_eq!(blocks.len(), 2);
    let path = user.program.parent().unwrap().display();
    // The second needs a login, with which the first ends.
    let mut lines: Vec<&str> = blocks[0].lines().collect();
    lines.splice(1..1, blocks[1].lines());
    for line in lines {
        let line = line.replace("https://mcp.example.com/mcp", stack.mcp());
        let output = Command::new("sh")
            .args(["-ec", &line])
            .env("PATH", format!("{path}:{}", std::env::var("PATH").unwrap()))
            .env("BROWSER", &user.browser)
            .env("COUNTERSIGN_CREDENTIALS", &user.credentials)
            .env("DEMO_ACCOUNT", ACCOUNT)
            .env("DEMO_PASSWORD", PASSWORD)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}: {said}");
    }
}

/// Every reason that the client gives has its line in the guide.
#[test]
fn the_guide_knows_every_reason() {
    let places = Places::of_checkout();
    let guide = fs::read_to_string(places.path("docs/client.md")).unwrap();
    let source = fs::read_to_string(places.path("crates/client/src/error.rs")).unwrap();
    let reasons: Vec<&str> = source
        .lines()
        .filter_map(|line| {
            line.trim().strip_prefix("Self::")?.split_once("=> \"")?.1.strip_suffix("\",")
        })
        .collect();
    assert!(reasons.len() > 20, "{reasons:?}");
    for reason in reasons {
        assert!(guide.contains(&format!("`{reason}`")), "{reason}");
    }
}

/// What a login leaves is its user's alone, and no output shows a token.
#[cfg(unix)]
#[test]
fn secrets_stay_where_they_are() {
    use std::os::unix::fs::PermissionsExt as _;

    let places = Places::of_checkout();
    let stack = Stack::start(&places, Options::default()).unwrap();
    let user = User::new(&places, stack.dir());
    let mcp = stack.mcp();
    let said = user.run(&["login", mcp]);
    let called = user.run(&["call", mcp]);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&user.credentials), 0o600);
    assert_eq!(mode(user.credentials.parent().unwrap()), 0o700);
    let tokens = &user.kept(mcp)["tokens"];
    for ended in [said, called] {
        assert_eq!(ended.code, Some(0), "{ended:?}");
        for secret in ["access_token", "refresh_token"] {
            let secret = tokens[secret].as_str().unwrap();
            assert!(!ended.out.contains(secret) && !ended.complaint.contains(secret));
        }
    }
}

/// A guard that demands proofs: the login makes a key, the issuer binds the token to it, and Envoy takes
/// it with fresh proofs only (RFC 9449).
#[test]
fn tokens_that_are_bound_to_a_key() {
    let places = Places::of_checkout();
    let scratch = Scratch::new().unwrap();
    let [listener, port, upstream] = free_ports().unwrap();
    let uri = format!("http://127.0.0.1:{listener}/mcp");
    let issuer = Issuer::start(&places, port, &[], scratch.path()).unwrap();
    let add = ["resource", "add", &uri, "--name", "Files", "--scope", "files:read=Read"];
    issuer.administer(&add).unwrap();
    let export = ["resource", "export", &uri, "--cluster", "issuer", "--issuer", issuer.url()];
    let mut policy: Value = serde_json::from_str(&issuer.administer(&export).unwrap()).unwrap();
    policy["resources"][0]["dpop"] = "require".into();
    let _mcp_server =
        node_server(&places, "tests/demo/server.mjs", upstream, scratch.path()).unwrap();
    let clusters = [("issuer", issuer.port())];
    let config =
        EnvoyConfig::new(&places, listener, &policy.to_string(), true, upstream, &clusters);
    let _envoy = Envoy::start(&places, &config, scratch.path()).unwrap();

    let user = User::new(&places, scratch.path());
    assert_eq!(user.json(&["login", &uri])["token_type"], "DPoP");
    user.json(&["call", &uri]);
    user.fails(&["token", "show", &uri], "token_bound");
    // A renewed token is bound to the same key.
    user.change(&uri, |login| login["tokens"]["expires_at"] = json!(1));
    user.json(&["call", &uri]);
    assert_eq!(user.kept(&uri)["tokens"]["is_dpop"], true);
    // Without its key the token is worth nothing.
    user.change(&uri, |login| login["tokens"]["is_dpop"] = json!(false));
    user.change(&uri, |login| login["tokens"]["refresh_token"] = json!("gone"));
    user.fails(&["call", &uri], "login_required");
}

/// The suite's scenarios for clients, for one revision.
fn conformance(args: &[&str]) {
    let places = Places::of_checkout();
    let scratch = Scratch::new().unwrap();
    let node = existing(places.node22(), "Node 22").unwrap();
    let suite = "@modelcontextprotocol/conformance/dist/index.js";
    let client = format!(
        "{} {} {}",
        node.display(),
        places.path("tests/conformance/client.mjs").display(),
        places.countersign().unwrap().display()
    );
    let output = Command::new(&node)
        .arg(places.node_modules().join(suite))
        // A scenario is a dozen processes: on a machine with other things to do they take their time.
        .args(["client", "--timeout", "240000", "--command", &client])
        .args(args)
        .current_dir(scratch.path())
        .output()
        .unwrap();
    // One scenario is told on the one stream, a suite on the other.
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success() && said.contains(" 0 failed"), "{said}");
}

#[test]
fn conformance_2026_07_28() {
    conformance(&["--suite", "auth", "--spec-version", "2026-07-28"]);
}

#[test]
fn conformance_2025_11_25() {
    conformance(&["--suite", "auth", "--spec-version", "2025-11-25"]);
}

#[test]
fn conformance_2025_06_18() {
    conformance(&["--suite", "auth", "--spec-version", "2025-06-18"]);
}

#[test]
fn conformance_2025_03_26() {
    conformance(&["--suite", "backcompat", "--spec-version", "2025-03-26"]);
}

/// Client credentials, DPoP, workloads' assertions, identity assertions.
#[test]
fn conformance_extensions() {
    for scenario in [
        "auth/client-credentials-jwt",
        "auth/client-credentials-basic",
        "auth/enterprise-managed-authorization",
        "auth/dpop",
        "auth/dpop-nonce",
        "auth/wif-jwt-bearer",
    ] {
        conformance(&["--scenario", scenario]);
    }
}

/// What came with revision 2026-07-28, but for `sep-2322-client-request-state`: its tools ask for the
/// answers of a user, which a command line does not give.
#[test]
fn conformance_of_the_draft_suite() {
    for scenario in [
        "request-metadata",
        "auth/resource-mismatch",
        "auth/offline-access-scope",
        "auth/offline-access-not-supported",
        "auth/authorization-server-migration",
        "auth/iss-supported",
        "auth/iss-not-advertised",
        "auth/iss-supported-missing",
        "auth/iss-wrong-issuer",
        "auth/iss-unexpected",
        "auth/iss-normalized",
        "auth/metadata-issuer-mismatch",
        "http-standard-headers",
        "http-custom-headers",
        "http-invalid-tool-headers",
        "json-schema-2020-12-preservation",
        "json-schema-ref-no-deref",
        "tools_call",
    ] {
        conformance(&["--scenario", scenario, "--spec-version", "2026-07-28"]);
    }
}
