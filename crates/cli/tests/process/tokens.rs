//! `countersign token` beside a running server, on both engines: what it says is what `/introspect` says,
//! and what it revokes is revoked there at once, and for guards within five seconds.

use std::{
    thread,
    time::{Duration, Instant},
};

use countersign_core::{
    jose::{base64url, json},
    oauth::status_list::{StatusList, StatusReference},
};
use serde_json::Value;

use crate::{
    browser::{Answer, Browser, get, post_form_as},
    nodes::Nodes,
};

#[test]
fn tokens_on_sqlite() {
    inspected_and_revoked(&Nodes::on_sqlite());
}

#[test]
fn tokens_on_postgres() {
    inspected_and_revoked(&Nodes::on_postgres(1));
}

/// The server of the resource, which asks the issuer.
struct ResourceServer {
    url: String,
    id: String,
    secret: String,
}

impl ResourceServer {
    fn add(nodes: &Nodes) -> Self {
        let resource = "https://mcp.example.com";
        let add = ["--json", "client", "add", "--name", "Server", "--introspects", resource];
        let added = nodes.run(&add, "").json();
        let text = |name: &str| added[name].as_str().unwrap().to_owned();
        let url = nodes.client(0).url;
        Self { url, id: text("client_id"), secret: text("client_secret") }
    }

    fn asks(&self, token: &str) -> Answer {
        let url = format!("{}/introspect", self.url);
        let answer = post_form_as((&self.id, &self.secret), &url, &[("token", token)]).unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        answer
    }
}

fn claims(jwt: &str) -> Vec<u8> {
    base64url::decode(jwt.split('.').nth(1).unwrap()).unwrap()
}

/// As a guard reads it.
fn is_in_the_list(token: &str) -> bool {
    let Ok(json::Value::Object(read)) = json::parse(&claims(token)) else { panic!() };
    let place = StatusReference::of(&read).unwrap().unwrap();
    let list = get(&place.uri, "").unwrap();
    assert_eq!(list.status, 200, "{list:?}");
    StatusList::parse(&claims(&list.body), &place.uri).unwrap().get(place.index).unwrap() == 1
}

#[track_caller]
fn assert_in_the_list(token: &str) {
    let start = Instant::now();
    while !is_in_the_list(token) {
        assert!(start.elapsed() < Duration::from_secs(5), "no guard would know");
        thread::sleep(Duration::from_millis(100));
    }
}

fn inspected_and_revoked(nodes: &Nodes) {
    let server = ResourceServer::add(nodes);
    let client = nodes.client(0);
    let mut browser = Browser::default();
    let mut tokens = || {
        let answer = client.redeem(&client.code(&mut browser).unwrap()).unwrap();
        (answer.text("access_token"), answer.text("refresh_token"))
    };
    let run = |command: &str, token: &str, code: i32| {
        let issuer = client.url.as_str();
        let input = format!("{token}\n");
        let ended = nodes.run(&["--json", "token", command, "--issuer", issuer], &input);
        assert_eq!((ended.code, ended.stderr.as_str()), (code, ""), "{ended:?}");
        let text = nodes.run(&["token", command, "--issuer", issuer], &input);
        assert_eq!((text.code, text.stderr.as_str()), (code, ""), "{text:?}");
        for ended in [&ended, &text] {
            assert!(!ended.stdout.contains(token), "the token is not shown");
        }
        let data: Value = serde_json::from_str(&ended.stdout).unwrap();
        (data, text.stdout)
    };

    let (access, refresh) = tokens();
    let asked = server.asks(&access).json();
    assert_eq!(asked["active"], true);
    let (data, text) = run("inspect", &access, 0);
    assert_eq!(data["reason"], Value::Null);
    for name in ["active", "iss", "sub", "aud", "client_id", "scope", "iat", "exp", "jti"] {
        let (said, expected) = (&data[name], &asked[name]);
        let is_same = said == expected || *said == serde_json::json!([expected]);
        assert!(is_same, "{name}: {said} {expected}");
    }
    assert_eq!((&data["user"], &data["client_name"]), (&"ada".into(), &"App".into()));
    assert_eq!(data["status"]["revoked"], false);
    assert!(text.starts_with("This access token is good.\n"), "{text}");
    assert!(text.contains("the user ada") && text.contains("\"App\""), "{text}");
    assert!(!is_in_the_list(&access));

    // Each run of this test is two, of which the first one revokes.
    let (data, text) = run("revoke", &access, 0);
    assert_eq!((&data["changed"], &data["jti"]), (&true.into(), &asked["jti"]));
    assert!(text.contains("nothing has changed"), "{text}");
    assert_eq!(server.asks(&access).json(), serde_json::json!({ "active": false }));
    assert_in_the_list(&access);
    let (data, text) = run("inspect", &access, 1);
    assert_eq!((&data["active"], &data["reason"]), (&false.into(), &"token_revoked".into()));
    assert!(text.contains("worth nothing: token_revoked\n") && text.contains(", alive"), "{text}");

    let (again, _) = run("inspect", &refresh, 0);
    assert_eq!(again["token_type"], "refresh_token");
    let next = client.refresh(&refresh).unwrap();
    let (access, refresh) = (next.text("access_token"), next.text("refresh_token"));
    assert_eq!(server.asks(&access).json()["active"], true, "the grant goes on");

    let (data, _) = run("revoke", &refresh, 0);
    assert_eq!((&data["changed"], &data["user"]), (&true.into(), &"ada".into()));
    assert_eq!(server.asks(&access).json()["active"], false);
    assert_in_the_list(&access);
    for token in [&access, &refresh] {
        let (data, text) = run("inspect", token, 1);
        assert_eq!(data["reason"], "token_revoked");
        assert_eq!(data["grant"]["reason"], "revoked_by_administrator");
        assert!(text.contains("(revoked_by_administrator)"), "{text}");
    }
    assert_eq!(client.refresh(&refresh).unwrap().text("error"), "invalid_grant");

    // Who ends the access token is told how to end the rest.
    let (access, refresh) = tokens();
    let issuer = client.url.as_str();
    let said = nodes.run(&["token", "revoke", "--issuer", issuer], &access);
    assert!(said.done().contains("within 10 seconds"), "{said:?}");
    let (_, hint) = said.done().rsplit_once("countersign ").unwrap();
    nodes.run(&hint.split(' ').collect::<Vec<_>>(), "").done();
    assert_eq!(client.refresh(&refresh).unwrap().text("error"), "invalid_grant");
}
