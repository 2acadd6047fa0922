//! `countersign audit` of our own chain: the issuer, Envoy with the filter, an MCP server. What it finds
//! there is a fault of ours, or one of its own.
#![allow(clippy::unwrap_used, missing_docs)]

use std::{
    fs,
    process::{Command, Output},
    time::Duration,
};

use countersign_e2e::{
    Envoy, EnvoyConfig, Issuer, Options, Places, Resource, Scratch, Server, Stack, Stub, free_ports,
};
use serde_json::{Value, json};

/// A stack, a client of its issuer, and a login to its guarded server.
struct Chain {
    places: Places,
    stack: Stack,
    client: String,
}

impl Chain {
    fn start(hold_headers: bool) -> Self {
        let places = Places::of_checkout();
        let stack = Stack::start(&places, Options { hold_headers }).unwrap();
        let allowed = format!("{}=files:read", stack.mcp());
        let service = ["--service", &allowed];
        let service = added(&stack, &service);
        let app = added(&stack, &["--redirect-uri", "http://127.0.0.1/callback"]);
        let secret = stack.dir().join("secret");
        fs::write(&secret, text(&service, "client_secret")).unwrap();
        let chain = Self { places, stack, client: text(&app, "client_id") };
        let (id, file) = (text(&service, "client_id"), secret.to_str().unwrap().to_owned());
        let login = ["--client-credentials", "--client-id", &id, "--client-secret-file", &file];
        let issuer = ["--issuer", chain.stack.issuer()];
        assert!(chain.run("login", &[&login[..], &issuer].concat()).status.success());
        chain
    }

    /// A command of the client, for the guarded server.
    fn run(&self, command: &str, args: &[&str]) -> Output {
        let output = Command::new(self.places.countersign().unwrap())
            .args([command, self.stack.mcp()])
            .args(args)
            .env("COUNTERSIGN_CREDENTIALS", self.stack.dir().join("credentials.json"))
            .output()
            .unwrap();
        print!("{}", String::from_utf8_lossy(&output.stdout));
        eprint!("{}", String::from_utf8_lossy(&output.stderr));
        output
    }

    fn report(&self, args: &[&str]) -> Value {
        let output = self.run("audit", &[&["--json"], args].concat());
        assert!(output.status.success());
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

/// A new client of the issuer.
fn added(stack: &Stack, args: &[&str]) -> Value {
    let add = ["client", "add", "--json", "--name", "Auditor"];
    serde_json::from_str(&stack.administer(&[&add[..], args].concat()).unwrap()).unwrap()
}

fn text(object: &Value, name: &str) -> String {
    object[name].as_str().unwrap().to_owned()
}

/// The names of the checks that ended so.
fn ids<'a>(report: &'a Value, verdict: &str) -> Vec<&'a str> {
    let checks = report["checks"].as_array().unwrap().iter();
    let checks = checks.filter(|check| check["verdict"] == verdict);
    checks.map(|check| check["id"].as_str().unwrap()).collect()
}

#[test]
fn the_whole_chain_is_graded_a() {
    for hold_headers in [true, false] {
        let chain = Chain::start(hold_headers);
        let report = chain.report(&[]);
        assert_eq!(report["grade"], "A", "{report:#}");
        assert_eq!(ids(&report, "fail"), [""; 0], "{report:#}");
        assert_eq!(ids(&report, "warning"), [""; 0], "{report:#}");
        let report = chain.report(&["--with-login", "--client-id", &chain.client]);
        assert_eq!(report["grade"], "A", "{report:#}");
        assert_eq!(ids(&report, "fail"), [""; 0], "{report:#}");
        assert_eq!(ids(&report, "warning"), [""; 0], "{report:#}");
        // No TLS on the loopback interface; a policy without sites in browsers; a token that is good.
        let skipped = ["challenge_exposed", "plain_http_refused", "token_expired_refused"];
        assert_eq!(ids(&report, "skipped"), skipped, "{report:#}");
        assert_eq!(report["authorization_servers"], json!([chain.stack.issuer()]));
        // For people.
        let output = chain.run("audit", &["--with-login"]);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains("Grade A:"), "{text}");
        assert!(!text.contains('\x1b'), "no colours where there is no terminal");
    }
}

/// The servers with one fault each by which mcp-authlab tests itself: an independent opinion on what is one.
/// What it calls right has its own token type and no guard against two headers, and is old.
#[test]
fn faulty_servers_of_the_scanner() {
    for (flag, id) in [
        ("skip_signature", "unsigned_refused"),
        ("skip_signature", "unknown_key_refused"),
        ("skip_signature", "token_altered_refused"),
        ("no_prm", "metadata_found"),
        ("bare_401", "challenge_parsed"),
        ("no_scope_challenge", "challenge_scope"),
        ("query_tokens", "token_in_query_refused"),
        ("ignore_origin", "origin_refused"),
        ("wildcard_scopes", "metadata_scopes_minimal"),
        ("no_error_param", "invalid_token_error"),
        ("open", "authentication_required"),
        ("forbid_instead", "authentication_required"),
        ("wrong_resource", "metadata_resource"),
        ("http_as", "issuer_https"),
        ("no_pkce", "pkce_s256"),
        ("no_registration", "client_registration"),
        ("no_iss", "iss_parameter"),
    ] {
        let faulty = faults_of_fixture(&["--flag", flag]);
        assert!(faulty.contains(&id.to_owned()), "{flag}: {faulty:?}");
    }
    let right = [
        "doubled_authorization_refused",
        "issuer_metadata_cors",
        "token_endpoint_unknown_client",
        "token_claims",
    ];
    assert_eq!(faults_of_fixture(&[]), right);
}

/// What fails or warns at one of the scanner's own servers.
fn faults_of_fixture(flags: &[&str]) -> Vec<String> {
    let places = Places::of_checkout();
    let scratch = Scratch::new().unwrap();
    let [port] = free_ports().unwrap();
    let mut command = Command::new("python3");
    command
        .args(["-u", "-m", "mcp_authlab", "fixture", "--print-token"])
        .args(["--port", &port.to_string()])
        .args(flags)
        .env("PYTHONPATH", places.authlab());
    let log = scratch.path().join("fixture.log");
    let mut server = Server::start("the scanner's server", &command, &log).unwrap();
    let token = || {
        let log = fs::read_to_string(&log).unwrap_or_default();
        log.split_whitespace().find(|word| word.starts_with("ey")).map(str::to_owned)
    };
    server.wait_until(Duration::from_secs(60), || token().is_some()).unwrap();
    let file = scratch.path().join("token");
    fs::write(&file, token().unwrap()).unwrap();
    let url = format!("http://127.0.0.1:{port}/mcp");
    let output = Command::new(places.countersign().unwrap())
        .args(["audit", "--json", &url, "--token-file", file.to_str().unwrap()])
        .output()
        .unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let checks = report["checks"].as_array().unwrap().iter();
    let faulty = checks.filter(|check| check["verdict"] == "fail" || check["verdict"] == "warning");
    faulty.map(|check| check["id"].as_str().unwrap().to_owned()).collect()
}

/// It would have told: here the guard only watches, and lets everything pass.
#[test]
fn a_guard_that_only_watches_fails() {
    let places = Places::of_checkout();
    let scratch = Scratch::new().unwrap();
    let [front, port] = free_ports().unwrap();
    let url = format!("http://127.0.0.1:{front}/mcp");
    let resource = Resource::new(&url, "Files", &["files:read=Read"]);
    let issuer = Issuer::start(&places, port, &[resource], scratch.path()).unwrap();
    let upstream = Stub::upstream().unwrap();
    let policy = json!({
        "issuers": [{ "issuer": issuer.url(), "cluster": "issuer" }],
        "resources": [{ "resource": url, "mode": "shadow" }],
    });
    let clusters = [("issuer", issuer.port())];
    let policy = policy.to_string();
    let config = EnvoyConfig::new(&places, front, &policy, true, upstream.port(), &clusters);
    let _envoy = Envoy::start(&places, &config, scratch.path()).unwrap();
    let output = Command::new(places.countersign().unwrap())
        .args(["audit", &url, "--json"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["grade"], "F", "{report:#}");
    assert!(ids(&report, "fail").contains(&"authentication_required"), "{report:#}");
    // What only watches does not pretend: its metadata and its issuer are right all the same.
    assert!(ids(&report, "pass").contains(&"metadata_resource"), "{report:#}");
    assert!(ids(&report, "pass").contains(&"keys_usable"), "{report:#}");
}
