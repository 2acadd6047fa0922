//! Sessions before a real Envoy: they belong to whom they were given to.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use common::{Setup, good_keys, policy, post, token};
use countersign_e2e::{Answer, Stub};
use serde_json::Value;

fn with_sessions(hold: bool) -> Value {
    let mut policy = policy(hold);
    policy["resources"][0]["session_secret"] = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8".into();
    policy
}

/// A server that begins a session with each `initialize`, and tells of none otherwise.
fn server(ids: &'static [&'static str]) -> Stub {
    let start = move |request: &countersign_e2e::http::Message| {
        let mut answer = Answer::json("{}");
        if String::from_utf8_lossy(&request.body).contains("initialize") {
            let id = |id: &&str| ("mcp-session-id".to_owned(), (*id).to_owned());
            answer.headers.extend(ids.iter().map(id));
        }
        answer
    };
    Stub::start(start).unwrap()
}

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}"#;
const LIST: &str = r#"{"jsonrpc":"2.0","id":2,"method":"tools/list"}"#;

fn a_session_stays_with_its_caller(hold: bool) {
    let server = server(&["server-made-1"]);
    let front = Setup::with(server, with_sessions(hold), hold, |_| good_keys()).start();
    let (ada, bob) = (token().sign(), token().claim("sub", "bob").sign());
    let begun = front.send(&post(&ada).body(INITIALIZE));
    assert_eq!(begun.status(), 200);
    let session = begun.headers.get("mcp-session-id").unwrap();
    assert!(session.starts_with("server-made-1.") && session.len() > 30, "{session}");
    front.upstream.take();

    let with = |token: &str, id: &str| post(token).header("mcp-session-id", id).body(LIST);
    assert_eq!(front.send(&with(&ada, &session)).status(), 200);
    let seen = front.upstream.take();
    assert_eq!(seen[0].headers.all("mcp-session-id").collect::<Vec<_>>(), ["server-made-1"]);
    for (token, id) in [(&bob, &session[..]), (&ada, "server-made-1"), (&bob, "server-made-1")] {
        assert_eq!(front.send(&with(token, id)).status(), 404);
    }
    assert_eq!(front.seen(), 0, "nobody else's request reached the server");
    assert!(front.envoy.logs("session_unknown"));
}

#[test]
fn holding_headers() {
    a_session_stays_with_its_caller(true);
}

#[test]
fn without_holding_headers() {
    a_session_stays_with_its_caller(false);
}

/// What is no session id, or two of them, the client does not get.
#[test]
fn what_cannot_be_sealed_is_not_shown() {
    for ids in [&["has a space"][..], &["one", "two"]] {
        let front = Setup::with(server(ids), with_sessions(true), true, |_| good_keys()).start();
        let answer = front.send(&post(&token().sign()).body(INITIALIZE));
        assert_eq!((answer.status(), answer.headers.get("mcp-session-id")), (200, None));
    }
}
