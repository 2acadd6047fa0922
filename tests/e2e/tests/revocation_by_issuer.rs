//! The whole of it: what the issuer revokes, by any of the ways that there are, a running Envoy refuses
//! within ten seconds, and what a revoked key has signed within a minute. The
//! configuration is the one that users copy; nothing in it speaks of revocation.
#![allow(clippy::unwrap_used, missing_docs)]

use std::thread;
use std::time::{Duration, Instant};

use countersign_e2e::http::{Message, Request};
use countersign_e2e::{Options, Places, Stack, Stopwatch};
use serde_json::Value;

const REDIRECT: &str = "http://127.0.0.1:1/callback";

/// RFC 7636 Appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

#[test]
fn what_the_issuer_revokes_is_refused_within_ten_seconds() {
    let stack = Stack::start(&Places::of_checkout(), Options::default()).unwrap();
    let service = |name: &str| {
        let allowed = format!("{}=files:read", stack.mcp());
        let method = ["--auth-method", "client_secret_post"];
        let add = ["client", "add", "--json", "--name", name, "--service", &allowed];
        let added = json(&stack.administer(&[&add[..], &method].concat()).unwrap());
        Service { id: text(&added, "client_id"), secret: text(&added, "client_secret") }
    };
    let (job, disabled) = (service("A job"), service("Another"));
    let user_client = json(
        &stack
            .administer(&["client", "add", "--json", "--name", "App", "--redirect-uri", REDIRECT])
            .unwrap(),
    );
    let app = text(&user_client, "client_id");

    let tokens = [
        ("token", job.token(&stack)),
        ("bystander", job.token(&stack)),
        ("client", disabled.token(&stack)),
        ("grant", log_in(&stack, &app)),
        ("user", log_in(&stack, &app)),
    ];
    let token = |name: &str| tokens.iter().find(|(known, _)| *known == name).unwrap().1.clone();
    for (name, token) in &tokens {
        assert_eq!(call(&stack, token), 200, "{name}");
    }

    let grants = json(&stack.administer(&["grant", "list", "--json"]).unwrap());
    assert_eq!(grants.as_array().unwrap().len(), 2, "{grants}");
    let either = [token("grant"), token("user")];
    let refused = |name: &str| call(&stack, &token(name)) == 401;
    // One after the other, and each is watched from then on.
    thread::scope(|scope| {
        let revoked = token("token");
        assert_eq!(job.post(&stack, "/revoke", &[("token", &revoked)]).status(), 200);
        scope.spawn(|| in_time("token", || refused("token")));
        stack.administer(&["client", "disable", &disabled.id]).unwrap();
        scope.spawn(|| in_time("client", || refused("client")));
        stack.administer(&["grant", "revoke", &text(&grants[0], "id")]).unwrap();
        in_time("grant", || either.iter().any(|token| call(&stack, token) == 401));
    });
    assert_eq!(call(&stack, &token("bystander")), 200, "another token of the same client");
    let alive = either.iter().filter(|token| call(&stack, token) == 200).count();
    assert_eq!(alive, 1, "the other grant of the same user and client");

    stack.administer(&["user", "disable", "ada"]).unwrap();
    in_time("user", || either.iter().all(|token| call(&stack, token) == 401));
    assert_eq!(call(&stack, &token("bystander")), 200);
    assert!(stack.envoy().logs("token_revoked"));

    // The policy keeps a key set for five minutes; a key that is taken out of it in an emergency is gone
    // within one, since the lists say that there is another set.
    let keys = json(&stack.administer(&["key", "list", "--json"]).unwrap());
    stack.administer(&["key", "revoke", &text(&keys[0], "kid"), "--reason", "stolen"]).unwrap();
    let begun = Instant::now();
    while call(&stack, &token("bystander")) != 401 {
        assert!(begun.elapsed() < Duration::from_secs(60), "key");
        thread::sleep(Duration::from_millis(100));
    }
    println!("key: refused after {:?}", begun.elapsed());
    // And everybody gets new tokens by another key.
    while call(&stack, &job.token(&stack)) != 200 {
        assert!(begun.elapsed() < Duration::from_secs(120), "new key");
        thread::sleep(Duration::from_millis(100));
    }
}

/// A client that acts for itself.
struct Service {
    id: String,
    secret: String,
}

impl Service {
    fn post(&self, stack: &Stack, path: &str, form: &[(&str, &str)]) -> Message {
        let own = [("client_id", self.id.as_str()), ("client_secret", &self.secret)];
        post(stack, path, &[&own[..], form].concat())
    }

    fn token(&self, stack: &Stack) -> String {
        let answer = self.post(stack, "/token", &[("grant_type", "client_credentials")]);
        text(&json(&answer.text()), "access_token")
    }
}

#[track_caller]
fn in_time(name: &str, refused: impl Fn() -> bool) {
    let mut watch = Stopwatch::start();
    while !refused() {
        assert!(watch.turn() < Duration::from_secs(10), "{name}");
    }
    println!("{name}: refused after {:?}", watch.time());
}

/// The status of a tool list through Envoy.
fn call(stack: &Stack, token: &str) -> u16 {
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}"#;
    let (host, path) = address(stack.mcp());
    Request::new("POST", &path, &host)
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream")
        .header("mcp-protocol-version", "2025-11-25")
        .body(body)
        .send(port(&host))
        .unwrap()
        .status()
}

/// An access token that ada gave the client: login and consent by hand.
fn log_in(stack: &Stack, client: &str) -> String {
    let (resource, redirect) = (encode(stack.mcp()), encode(REDIRECT));
    let target = format!(
        "/authorize?response_type=code&client_id={client}&redirect_uri={redirect}\
         &code_challenge={CHALLENGE}&code_challenge_method=S256&scope=files%3Aread\
         &resource={resource}&prompt=consent"
    );
    let mut cookies = Vec::new();
    let mut answer = visit(stack, "GET", &target, "", &mut cookies);
    let code = loop {
        let location = answer.headers.get("location").unwrap_or_default();
        if let Some(rest) = location.strip_prefix(&format!("{REDIRECT}?code=")) {
            break rest.split('&').next().unwrap().to_owned();
        }
        if let Some(path) = location.strip_prefix(stack.issuer()) {
            answer = visit(stack, "GET", path, "", &mut cookies);
            continue;
        }
        let page = answer.text();
        let hidden = |name: &str| {
            let start = format!("name=\"{name}\" value=\"");
            let (_, rest) = page.split_once(&start).unwrap_or_else(|| panic!("{page}"));
            rest.split('"').next().unwrap().to_owned()
        };
        let (interaction, csrf) = (hidden("interaction"), hidden("csrf"));
        let action = match page.contains("type=\"password\"") {
            true => format!(
                "login&username={}&password={}",
                countersign_e2e::ACCOUNT,
                encode(countersign_e2e::PASSWORD)
            ),
            false => "allow".to_owned(),
        };
        let form = format!("interaction={interaction}&csrf={csrf}&action={action}");
        answer = visit(stack, "POST", "/authorize", &form, &mut cookies);
    };
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", client),
        ("code", &code),
        ("code_verifier", VERIFIER),
    ];
    text(&json(&post(stack, "/token", &form).text()), "access_token")
}

/// As a browser would, with its cookies.
fn visit(
    stack: &Stack,
    method: &str,
    target: &str,
    form: &str,
    cookies: &mut Vec<String>,
) -> Message {
    let (host, _) = address(stack.issuer());
    let mut request = Request::new(method, target, &host)
        .header("cookie", cookies.join("; "))
        .header("sec-fetch-site", "same-origin");
    if method == "POST" {
        let kind = "application/x-www-form-urlencoded";
        request = request.header("content-type", kind).header("origin", stack.issuer()).body(form);
    }
    let answer = request.send(stack.issuer_port()).unwrap();
    for cookie in answer.headers.all("set-cookie") {
        let cookie = cookie.split(';').next().unwrap().to_owned();
        let name = cookie.split('=').next().unwrap().to_owned();
        cookies.retain(|known| !known.starts_with(&format!("{name}=")));
        cookies.push(cookie);
    }
    answer
}

fn post(stack: &Stack, path: &str, form: &[(&str, &str)]) -> Message {
    let (host, _) = address(stack.issuer());
    let form: Vec<String> =
        form.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
    Request::new("POST", path, &host)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form.join("&"))
        .send(stack.issuer_port())
        .unwrap()
}

/// `host:port` and path of a URL.
fn address(url: &str) -> (String, String) {
    let rest = url.strip_prefix("http://").unwrap();
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    (host.to_owned(), format!("/{path}"))
}

fn port(host: &str) -> u16 {
    host.rsplit(':').next().unwrap().parse().unwrap()
}

fn encode(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' => {
            char::from(byte).to_string()
        }
        other => format!("%{other:02X}"),
    };
    text.bytes().map(byte).collect()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}")).to_owned()
}
