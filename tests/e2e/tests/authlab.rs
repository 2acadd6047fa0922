//! mcp-authlab, an independent scanner, against the whole chain: our issuer, Envoy with the filter, and an MCP
//! server with sessions. It logs in, probes the issuer, and attacks what is behind Envoy with real tokens.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use countersign_e2e::{
    ACCOUNT, Envoy, EnvoyConfig, Issuer, PASSWORD, Places, Resource, Scratch, Server, free_ports,
    node_server,
};
use serde_json::{Value, json};

/// One command of the scanner, with its files in `dir`, and a browser that logs in.
fn authlab(places: &Places, dir: &Path, args: &[&str]) -> Output {
    let browser = places.path("tests/authlab/browser.mjs");
    let output = Command::new("python3")
        .args(["-m", "mcp_authlab"])
        .args(args)
        .env("PYTHONPATH", places.authlab())
        .env("MCP_AUTHLAB_TOKENS", dir.join("tokens.json"))
        .env("BROWSER", format!("node {} %s", browser.display()))
        .env("DEMO_ACCOUNT", ACCOUNT)
        .env("DEMO_PASSWORD", PASSWORD)
        .output()
        .unwrap();
    print!("{}", String::from_utf8_lossy(&output.stdout));
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    output
}

/// What came of each check: its name, and `pass`, `warn`, `skip`, `fail` or `error`.
fn outcomes(report: &Value) -> Vec<(&str, &str)> {
    let checks = report["results"].as_array().unwrap();
    checks.iter().map(|c| (c["id"].as_str().unwrap(), c["status"].as_str().unwrap())).collect()
}

/// The chain: what Envoy is to run, and what must live as long.
struct Chain {
    places: Places,
    guarded: Resource,
    other: Resource,
    issuer: Issuer,
    _server: Server,
    front: u16,
    back: u16,
    scratch: Scratch,
}

impl Chain {
    fn start() -> Self {
        let places = Places::of_checkout();
        let scratch = Scratch::new().unwrap();
        let dir = scratch.path();
        let [issuer, front, back] = free_ports().unwrap();
        let uri = |path: &str| format!("http://127.0.0.1:{front}{path}");
        let scopes = ["files:read=Read files", "files:write=Write files"];
        let guarded = Resource::new(uri("/mcp"), "Example files", &scopes);
        let other = Resource::new(uri("/reports/mcp"), "Reports", &["reports:read=Read reports"]);
        let resources = [guarded.clone(), other.clone()];
        let issuer = Issuer::start(&places, issuer, &resources, dir).unwrap();
        let server = node_server(&places, "tests/authlab/server.mjs", back, dir).unwrap();
        Self { places, guarded, other, issuer, _server: server, front, back, scratch }
    }

    fn envoy(&self, hold: bool, change: impl FnOnce(&mut Value)) -> Envoy {
        let mut policy = json!({
            "issuers": [{ "issuer": self.issuer.url(), "cluster": "issuer" }],
            "resources": [{
                "resource": self.guarded.uri(),
                "session_secret": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
                "scopes": { "baseline": ["files:read"], "tools": { "write_file": ["files:write"] } },
            }],
            "hold_headers": hold,
        });
        change(&mut policy);
        let (policy, clusters) = (policy.to_string(), [("issuer", self.issuer.port())]);
        let Self { places, front, back, .. } = self;
        let config = EnvoyConfig::new(places, *front, &policy, hold, *back, &clusters);
        Envoy::start(places, &config, self.scratch.path()).unwrap()
    }

    fn login(&self) {
        let foreign = ["--foreign-resource", self.other.uri()];
        let args = [&["login", self.guarded.uri(), "--thorough"], &foreign[..]].concat();
        assert!(authlab(&self.places, self.scratch.path(), &args).status.success());
    }

    /// Whether the grade is an A, and the report.
    fn scan(&self) -> (bool, Value) {
        let file = self.scratch.path().join("report.json");
        let output = ["--format", "json", "--output", file.to_str().unwrap()];
        let scan = ["scan", self.guarded.uri(), "--tool", "write_file", "--fail-under", "A"];
        let scan = authlab(&self.places, self.scratch.path(), &[&scan[..], &output[..]].concat());
        (scan.status.success(), serde_json::from_slice(&fs::read(file).unwrap()).unwrap())
    }
}

#[test]
fn the_whole_chain_is_graded_a() {
    let chain = Chain::start();
    for hold in [true, false] {
        let _envoy = chain.envoy(hold, |_| {});
        chain.login();
        let (passed, report) = chain.scan();
        assert!(passed, "{report}");
        assert_eq!(report["grade"], "A");
        let outcomes = outcomes(&report);
        assert_eq!(outcomes.len(), 33, "all of its checks");
        let rest: Vec<_> = outcomes.into_iter().filter(|(_, status)| *status != "pass").collect();
        // No TLS on the loopback interface: that is the operator's part.
        assert_eq!(rest, [("TLS-01", "warn")], "{report}");
    }
    // It would have told: here tokens of another resource are let in.
    let careless = |policy: &mut Value| {
        policy["resources"][0]["accept_audiences"] = json!([chain.other.uri()]);
        policy["resources"][0]["scopes"] = json!({});
    };
    let _envoy = chain.envoy(true, careless);
    let (passed, report) = chain.scan();
    assert!(!passed);
    assert_eq!(report["grade"], "F");
    assert!(outcomes(&report).contains(&("TOK-03", "fail")), "{report}");
}
