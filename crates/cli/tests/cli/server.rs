//! `countersign serve`: started, killed, started again.

use serde_json::{Value, json};

use crate::{
    http::{self, Answer, FORM, encode},
    tool::{Folder, Serving},
};

const ACCOUNT: &str = "ada";
const PASSWORD: &str = "correct horse battery staple";
const FILES: &str = "https://mcp.example.com/files";
const CALLBACK: &str = "http://127.0.0.1:7/callback";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

pub(crate) fn fill(folder: &Folder) {
    let user = ["user", "add", ACCOUNT, "--password-stdin"];
    assert_eq!(folder.run(&user, PASSWORD).code, 0);
    let resource = ["resource", "add", FILES, "--name", "Files", "--scope", "files:read=Read"];
    assert_eq!(folder.run(&resource, "").code, 0);
}

pub(crate) fn register(server: &Serving) -> String {
    let metadata = json!({
        "redirect_uris": [CALLBACK],
        "grant_types": ["authorization_code", "refresh_token"],
    });
    let headers = [("content-type", "application/json")];
    let answer = http::send("POST", &server.at("/register"), &headers, Some(&metadata.to_string()));
    answer.json()["client_id"].as_str().unwrap().to_owned()
}

/// Cookies, and the pages that they open.
#[derive(Default)]
pub(crate) struct Browser(Vec<String>);

impl Browser {
    fn send(&mut self, method: &str, url: &str, body: Option<&str>) -> Answer {
        let cookies = self.0.join("; ");
        let mut answer = http::send(method, url, &[FORM, ("cookie", &cookies)], body);
        self.0.extend(
            answer
                .headers
                .get_all("set-cookie")
                .iter()
                .map(|cookie| cookie.to_str().unwrap().split(';').next().unwrap().to_owned()),
        );
        let location = answer.header("location").to_owned();
        if location.contains("/authorize?interaction=") {
            answer = self.send("GET", &location, None);
        }
        answer
    }

    pub(crate) fn authorize(&mut self, server: &Serving, client: &str) -> String {
        let parameters = [
            ("response_type", "code"),
            ("client_id", client),
            ("redirect_uri", CALLBACK),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ];
        let url = server.at(&format!("/authorize?{}", encode(&parameters)));
        let mut page = self.send("GET", &url, None);
        if page.body.contains("type=\"password\"") {
            let fields = [("action", "login"), ("username", ACCOUNT), ("password", PASSWORD)];
            page = self.submit(server, &page, &fields);
        }
        self.submit(server, &page, &[("action", "allow")]).parameter("code")
    }

    fn submit(&mut self, server: &Serving, page: &Answer, fields: &[(&str, &str)]) -> Answer {
        let (interaction, csrf) = (page.field("interaction"), page.field("csrf"));
        let hidden = [("interaction", &*interaction), ("csrf", &*csrf)];
        let body = encode(&[&hidden[..], fields].concat());
        self.send("POST", &server.at("/authorize"), Some(&body))
    }
}

pub(crate) fn token(server: &Serving, parameters: &[(&str, &str)]) -> Answer {
    http::send("POST", &server.at("/token"), &[FORM], Some(&encode(parameters)))
}

pub(crate) fn redeem(server: &Serving, client: &str, code: &str) -> Value {
    let answer = token(
        server,
        &[
            ("grant_type", "authorization_code"),
            ("code", code),
            ("code_verifier", VERIFIER),
            ("client_id", client),
        ],
    );
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

pub(crate) fn refresh(server: &Serving, client: &str, token: &Value) -> Value {
    let refresh_token = token["refresh_token"].as_str().unwrap();
    let parameters =
        [("grant_type", "refresh_token"), ("refresh_token", refresh_token), ("client_id", client)];
    let answer = self::token(server, &parameters);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

/// Complaint 8: no answer that was given is taken back by a crash.
#[test]
fn kill_9_loses_nothing() {
    let folder = Folder::new();
    let server = folder.serve(&["--listen", "127.0.0.1:0"]);
    fill(&folder);
    // The issuer must be the same in the next life.
    let address = server.url.strip_prefix("http://").unwrap().to_owned();
    let keys = http::get(&server.at("/jwks")).body;
    let client = register(&server);
    let mut browser = Browser::default();
    let code = browser.authorize(&server, &client);
    let mut tokens = redeem(&server, &client, &code);
    let mut code = browser.authorize(&server, &client);
    server.kill();
    for _ in 0..3 {
        let server = folder.serve(&["--listen", &address]);
        assert_eq!(http::get(&server.at("/jwks")).body, keys);
        let before = tokens;
        tokens = refresh(&server, &client, &before);
        redeem(&server, &client, &code);
        code = browser.authorize(&server, &client);
        server.kill();
        // The client did not get the answer, say: it tries again.
        let server = folder.serve(&["--listen", &address]);
        let again = refresh(&server, &client, &before);
        assert_eq!(again["refresh_token"], tokens["refresh_token"]);
        server.kill();
    }
    assert!(folder.json(&["client", "list", "--json"]).to_string().contains(&client));
}

/// The first start says what to do next; later ones do not.
#[test]
fn next_commands() {
    let folder = Folder::new();
    let server = folder.serve(&["--listen", "127.0.0.1:0"]);
    assert!(folder.path().join("countersign.db").exists());
    assert!(folder.path().join("countersign.key").exists());
    let (code, log) = server.signal("-TERM");
    assert_eq!(code, 0, "{log}");
    assert!(log.contains("countersign user add NAME"), "{log}");
    assert!(log.contains("countersign resource add"), "{log}");
    fill(&folder);
    let (code, log) = folder.serve(&["--listen", "127.0.0.1:0"]).signal("-INT");
    assert_eq!(code, 0, "{log}");
    assert!(!log.contains("user add"), "{log}");
}

/// A log is read by many: what opens something is not in it.
#[test]
fn logs_have_no_secrets() {
    let folder = Folder::new();
    let server = folder.serve_logging("trace", &["--listen", "127.0.0.1:0"]);
    fill(&folder);
    let client = register(&server);
    let mut browser = Browser::default();
    let code = browser.authorize(&server, &client);
    let tokens = redeem(&server, &client, &code);
    let refreshed = refresh(&server, &client, &tokens);
    token(&server, &[("grant_type", "refresh_token"), ("client_id", &client)]);
    let (_, log) = server.signal("-TERM");
    assert!(log.contains(&client), "{log}");
    for secret in [
        &code,
        tokens["access_token"].as_str().unwrap(),
        tokens["refresh_token"].as_str().unwrap(),
        refreshed["refresh_token"].as_str().unwrap(),
        PASSWORD,
        VERIFIER,
        "ss_",
        "in_",
        "br_",
    ] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
}
