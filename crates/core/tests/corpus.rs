//! The corpus of attacks, put to the engine line by line; and lines that are no lines.
#![cfg(feature = "corpus")]

use std::collections::{BTreeMap, BTreeSet};

use countersign_core::corpus::{Corpus, Reply};
use countersign_testkit::attacks;
use serde_json::{Value, json};

#[test]
fn the_file_is_up_to_date() {
    let file = include_str!("../../../tests/vectors/attacks.jsonl");
    assert!(file == attacks::text(), "run `cargo run -p countersign-testkit --bin make-vectors`");
}

/// Each attack is refused for its reason, and differs from a token that is accepted.
#[test]
fn every_attack_is_refused_for_its_reason() {
    let lines = attacks::lines();
    let mut corpus = Corpus::default();
    let mut expected: BTreeMap<String, Option<String>> = BTreeMap::new();
    let mut controls = BTreeSet::new();
    let mut wrong = Vec::new();
    for line in &lines {
        // The clock is of no use: the corpus says the time.
        match corpus.line(line.to_string().as_bytes(), 0) {
            Reply::Noted => assert!(line.get("token").is_none(), "{line}"),
            Reply::Unusable(why) => panic!("{why}: {line}"),
            Reply::Verdict(verdict) => {
                let id = line["id"].as_str().expect("a name").to_owned();
                assert_eq!(verdict.id.as_str(), Some(&id[..]));
                let reason = line["expect"]["reason"].as_str().map(str::to_owned);
                if verdict.reason != reason.as_deref() {
                    wrong.push(format!("{id}: {:?}, expected {reason:?}", verdict.reason));
                }
                controls.extend(line["differs_from"].as_str().map(str::to_owned));
                assert!(expected.insert(id, reason).is_none(), "a name twice: {line}");
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for control in controls {
        assert_eq!(expected.get(&control), Some(&None), "{control} is accepted");
    }
    let attacks = expected.values().flatten().count();
    println!("{attacks} attacks, {} accepted", expected.len() - attacks);
    assert!(attacks >= 400);
}

/// Answered all the same, under the `id` if it can be made out.
#[test]
fn lines_that_are_none() {
    let verdict = |line: &[u8]| match Corpus::default().line(line, 0) {
        Reply::Verdict(verdict) => serde_json::from_str::<Value>(&verdict.to_line(250)).unwrap(),
        other => panic!("{other:?}"),
    };
    for (line, id) in [
        (&b""[..], Value::Null),
        (b"x", Value::Null),
        (b"[]", Value::Null),
        (b"{}", Value::Null),
        (b"\xff", Value::Null),
        (br#"{"id":7}"#, json!(7)),
        (br#"{"id":"a","token":1}"#, json!("a")),
        (br#"{"id":"a","token":"x","token_hex":"78"}"#, json!("a")),
        (br#"{"id":"a","token_hex":"7"}"#, json!("a")),
        (br#"{"id":"a","token_hex":"+7"}"#, json!("a")),
        (br#"{"id":"a","token":"x","now":"1"}"#, json!("a")),
        (br#"{"id":"a","token":"x","now":-1}"#, json!("a")),
        (br#"{"id":"a","token":"\ud800"}"#, json!("a")),
        (br#"{"id":"a","token":"x","token":"y"}"#, json!("a")),
        (br#" { "id" : "a,}" , "token":}"#, json!("a,}")),
        (b"{\"id\":3,\"token\":\"\xff\"}", json!(3)),
    ] {
        let expected =
            json!({ "id": id, "result": "reject", "reason": "line_malformed", "ms": 0.25 });
        assert_eq!(verdict(line), expected, "{}", String::from_utf8_lossy(line));
    }
}

/// A mistake in the configuration is told by its place, and no token is accepted under it.
#[test]
fn configurations_that_are_none() {
    let token = br#"{"id":1,"set":"s","token":"x"}"#;
    let reason = |corpus: &mut Corpus, line: &[u8]| match corpus.line(line, 0) {
        Reply::Verdict(verdict) => verdict.reason,
        other => panic!("{other:?}"),
    };
    let mut corpus = Corpus::default();
    assert_eq!(reason(&mut corpus, token), Some("config_invalid"), "none so far");
    for (config, place) in [
        (json!(1), "config: expected an object"),
        (json!({}), "config.issuer: "),
        (json!({ "issuer": 1, "resource": "https://a.example" }), "config.issuer: "),
        (json!({ "issuer": "https://a.example", "resource": "x" }), "config.resource: "),
        (
            json!({ "issuer": "https://a.example", "resource": "https://a.example", "scope": 1 }),
            "config.scope: ",
        ),
        (
            json!({ "issuer": "https://a.example", "resource": "https://a.example", "scope": "a  b" }),
            "config.scope[1]: ",
        ),
        (
            json!({ "issuer": "https://a.example", "resource": "https://a.example", "leeway": -1 }),
            "config.leeway: ",
        ),
        (
            json!({ "issuer": "https://a.example", "resource": "https://a.example", "now": "1" }),
            "now: ",
        ),
    ] {
        let line = json!({ "config": config }).to_string();
        match corpus.line(line.as_bytes(), 0) {
            Reply::Unusable(mistake) => assert!(mistake.starts_with(place), "{mistake}"),
            other => panic!("{other:?}"),
        }
        assert_eq!(reason(&mut corpus, token), Some("config_invalid"), "{line}");
    }
    let good =
        json!({ "config": { "issuer": "https://a.example", "resource": "https://a.example" } });
    assert_eq!(corpus.line(good.to_string().as_bytes(), 0), Reply::Noted);
    assert_eq!(reason(&mut corpus, token), Some("key_set_unknown"));
    assert_eq!(reason(&mut corpus, br#"{"id":1,"token":"x"}"#), Some("key_set_unknown"));
    assert!(matches!(corpus.line(br#"{"set":1,"jwks":{}}"#, 0), Reply::Unusable(_)));
    assert_eq!(corpus.line(br#"{"set":"s","jwks":{}}"#, 0), Reply::Noted);
    assert_eq!(reason(&mut corpus, token), Some("token_malformed"));
}
