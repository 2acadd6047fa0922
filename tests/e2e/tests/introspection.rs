//! Opaque tokens before a real Envoy: the issuer is asked, once for each, and its word is taken.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::fs;
use std::io::{BufReader, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use common::{Front, HOST, RESOURCE, Setup, call, comes, policy, with_page};
use countersign_e2e::http::{Message, Request, read_message};
use countersign_e2e::{Answer, Clock, Places, Stub};
use serde_json::{Value, json};

fn with_introspection(cache: u64) -> Value {
    let mut policy = policy(true);
    policy["issuers"][0]["introspection"] = json!({
        "endpoint": "https://auth.example.com/introspect",
        "client_id": "guard", "client_secret": "se:cret", "cache": cache,
    });
    policy
}

fn active(subject: &str) -> Answer {
    let answer = json!({
        "active": true, "aud": RESOURCE, "sub": subject, "client_id": "app",
        "scope": "mcp:use files:read",
    });
    Answer::json(answer.to_string())
}

/// An issuer that knows two people by their tokens.
fn issuer(request: &Message) -> Answer {
    // RFC 6749 §2.3.1: base64 of "guard:se%3Acret".
    let has = |name, value| request.headers.get(name).as_deref() == Some(value);
    let is_guard = has("authorization", "Basic Z3VhcmQ6c2UlM0FjcmV0");
    let is_form = has("content-type", "application/x-www-form-urlencoded");
    match &request.body[..] {
        _ if !is_guard || !is_form => Answer::status(401),
        b"token=ada&token_type_hint=access_token" => active("Ada"),
        b"token=bob&token_type_hint=access_token" => {
            thread::sleep(Duration::from_millis(300));
            active("Bob")
        }
        b"token=silent&token_type_hint=access_token" => {
            thread::sleep(Duration::from_secs(6));
            active("Nobody")
        }
        _ => Answer::json(r#"{"active":false}"#),
    }
}

/// Answers are remembered for half a minute, by the clock that comes with it.
fn start(workers: u16) -> (Front, Clock) {
    let setup = Setup::with(Stub::upstream().unwrap(), with_introspection(30), true, |request| {
        if request.target() == "/introspect" { issuer(request) } else { common::good_keys() }
    });
    let clock = Clock::new(&Places::of_checkout(), setup.dir(), 1).unwrap();
    (setup.config(|config| config.with_workers(workers).with_clock(&clock)).start(), clock)
}

fn subject(request: &Message) -> Option<String> {
    request.headers.get("x-mcp-subject")
}

fn questions(front: &Front) -> usize {
    front.issuer.take().iter().filter(|request| request.target() == "/introspect").count()
}

#[test]
fn the_issuer_is_asked() {
    let (front, clock) = start(1);
    let ask = |token, tool, status| {
        assert_eq!(front.send(&call(token, tool)).status(), status, "{token} {tool}");
    };
    ask("ada", "read_file", 200);
    ask("ada", "read_file", 200);
    ask("ada", "write_file", 403);
    assert_eq!(questions(&front), 1, "an answer is remembered");
    let seen = front.upstream.take();
    let subjects: Vec<_> = seen.iter().filter_map(subject).collect();
    assert_eq!(subjects, ["Ada", "Ada"]);
    assert!(seen.iter().all(|seen| seen.headers.get("authorization").is_none()));
    ask("made-up", "read_file", 401);
    ask("made-up", "read_file", 401);
    assert_eq!(questions(&front), 1);
    clock.set(31).unwrap();
    ask("ada", "read_file", 200);
    assert_eq!(questions(&front), 1, "asked again after its time");
    assert_eq!(front.seen(), 1);
    // Our own fault is 503, and the tokens are in no log.
    ask("silent", "read_file", 503);
    assert_eq!(front.seen(), 0);
    let log = fs::read_to_string(front.envoy.log()).unwrap();
    assert!(!log.contains("se%3Acret") && !log.contains("Z3VhcmQ6"), "{log}");
    for token in ["token=ada", "made-up", "token=silent"] {
        assert!(!log.contains(token), "{token}: {log}");
    }
}

/// The time for decisions has none of requests that waited: part of their work is done when nobody measures it.
#[test]
fn who_waited_is_not_in_the_time_for_decisions() {
    let policy = with_page(with_introspection(30));
    let front = Setup::with(Stub::upstream().unwrap(), policy, true, issuer).start();
    // It waits in its head; its body ends when it does not wait any more.
    let request = call("ada", "read_file").to_bytes();
    let (begin, end) = request.split_at(request.len() - 5);
    let mut client = TcpStream::connect(("127.0.0.1", front.envoy.port())).unwrap();
    client.write_all(begin).unwrap();
    assert!(comes(|| questions(&front) == 1), "it asks");
    assert!(comes(|| front.held() == [1, 0]), "it goes on");
    client.write_all(end).unwrap();
    let answer = read_message(&mut BufReader::new(client)).unwrap().unwrap();
    assert_eq!(answer.status(), 200);
    let nobody = Request::new("POST", "/mcp", HOST).body("{}");
    for _ in 0..3 {
        assert_eq!(front.send(&nobody).status(), 401);
    }
    let count = || front.envoy.samples("countersign_decision_us");
    assert!(comes(|| count() >= 3), "{}", count());
    assert_eq!(count(), 3);
}

/// Workers share what they fetch by its URL; answers about tokens have one URL for all.
#[test]
fn nobody_gets_the_answer_about_another() {
    let (front, _clock) = start(2);
    let ask = |token: &'static str| {
        let port = front.envoy.port();
        move || {
            let answer = call(token, "read_file").send(port).unwrap();
            (token, answer.status())
        }
    };
    let tokens = ["ada", "bob", "made-up"];
    for _ in 0..4 {
        let asked: Vec<_> = tokens.iter().map(|token| thread::spawn(ask(token))).collect();
        for asked in asked {
            let (token, status) = asked.join().unwrap();
            assert_eq!(status, if token == "made-up" { 401 } else { 200 }, "{token}");
        }
    }
    let seen = front.upstream.take();
    let mut subjects: Vec<_> = seen.iter().filter_map(subject).collect();
    subjects.sort();
    assert_eq!(subjects, [["Ada"; 4], ["Bob"; 4]].concat());
}
