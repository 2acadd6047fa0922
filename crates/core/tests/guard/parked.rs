//! Which of the parked requests an answer is for: the others need not be resumed.

use countersign_core::guard::{Answer, Engine, Pending, Step};
use countersign_testkit::{
    status::{TestList, reference},
    token::Token,
};
use serde_json::{Value, json};

use super::support::{ISSUER, KEY_1, RESOURCE, begin, code, engine, key_set, verify};

const OTHER: &str = "https://other.example.com";

/// Two issuers with keys to be fetched; the second is asked about opaque tokens too.
fn policy() -> Value {
    let issuer = |name: &str| json!({ "issuer": name, "jwks_uri": format!("{name}/jwks"), "cluster": "c", "max_lifetime": 1_000_000 });
    let mut other = issuer(OTHER);
    other["introspection"] = json!({
        "endpoint": format!("{OTHER}/introspect"), "client_id": "a", "client_secret": "s",
    });
    json!({
        "issuers": [issuer(ISSUER), other],
        "resources": [{ "resource": RESOURCE }],
    })
}

fn token(issuer: &str) -> Token {
    Token::new(issuer, RESOURCE).claim("iat", 1).claim("exp", 100_000)
}

fn park(engine: &mut Engine, token: &str) -> Pending {
    match begin(engine, "/mcp", token, 10) {
        Step::NeedKeys(pending) | Step::NeedIntrospection(pending) => pending,
        other => panic!("{}", code(&other)),
    }
}

#[test]
fn each_waits_for_its_own() {
    let mut engine = engine(&policy());
    let one = park(&mut engine, &token(ISSUER).sign());
    let other = park(&mut engine, &token(OTHER).sign());
    let opaque = park(&mut engine, "opaque");
    let waiting = |engine: &Engine| [&one, &other, &opaque].map(|p| engine.is_waiting(p, 10));
    assert_eq!(waiting(&engine), [true; 3], "wanted");
    let due = engine.due(10);
    assert_eq!(due.len(), 3);
    assert_eq!(waiting(&engine), [true; 3], "under way");
    let answer = |engine: &mut Engine, end: &str, body: Option<&[u8]>| {
        let fetch = due.iter().find(|fetch| fetch.url.ends_with(end)).expect(end);
        let _ = engine.fetched(fetch.id, body.map(|body| (200, body)), 10);
    };
    answer(&mut engine, "auth.example.com/jwks", Some(&key_set(&[(KEY_1, "es1")])));
    assert_eq!(waiting(&engine), [false, true, true]);
    answer(&mut engine, "/introspect", Some(br#"{"active":false}"#));
    assert_eq!(waiting(&engine), [false, true, false]);
    answer(&mut engine, "other.example.com/jwks", None);
    assert_eq!(waiting(&engine), [false; 3], "a failure is an answer too");
    let came = [one, other, opaque].map(|pending| {
        let step = engine.resume(pending, Answer::Fetched, 10);
        code(&verify(&mut engine, step, 10))
    });
    assert_eq!(came, ["allow", "keys_unavailable", "token_inactive"]);
}

#[test]
fn who_waits_for_a_list_does_not_wait_for_another() {
    let list = |number: u8| format!("{ISSUER}/status/{number}");
    let mut engine = engine(&policy());
    let _ = begin(&mut engine, "/mcp", &token(ISSUER).sign(), 10);
    for fetch in engine.due(10) {
        let _ = engine.fetched(fetch.id, Some((200, &key_set(&[(KEY_1, "es1")]))), 10);
    }
    let mut park = |number: u8| {
        let token = token(ISSUER).claim("status", reference(&list(number), 3)).sign();
        let step = begin(&mut engine, "/mcp", &token, 10);
        match verify(&mut engine, step, 10) {
            Step::NeedStatus(pending) => pending,
            other => panic!("{}", code(&other)),
        }
    };
    let (one, two) = (park(1), park(2));
    for fetch in engine.due(10) {
        if fetch.url == list(2) {
            let body = TestList::new(&list(2), &[3]).sign();
            assert_eq!(engine.fetched(fetch.id, Some((200, body.as_bytes())), 10), None);
        }
    }
    assert!(engine.is_waiting(&one, 10));
    assert!(!engine.is_waiting(&two, 10));
    assert_eq!(code(&engine.resume(two, Answer::Fetched, 10)), "token_revoked");
}
