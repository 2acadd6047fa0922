//! What single requests cannot show: time, the cache, requests that wait, wrong answers.

use std::collections::BTreeMap;

use countersign_core::{
    Reason,
    guard::{Answer, Engine, Policy, Step, Verdict},
};
use countersign_testkit::{
    drive::{self, Fetches, Outcome, Request, begin},
    keys::TestKey,
    token::Token,
};
use serde_json::json;

const NOW: u64 = 1_800_000_000;
const ISSUER: &str = "https://auth.example.com";
const RESOURCE: &str = "https://mcp.example.com/mcp";
const KEYS: &str = "https://auth.example.com/keys";

fn engine(leeway: u64) -> Engine {
    let policy = json!({
        "issuers": [{ "issuer": ISSUER, "jwks_uri": KEYS,
                      "jwks_cache": { "fresh": 100, "stale": 1000, "cooldown": 10 } }],
        "resources": [
            { "resource": RESOURCE, "scopes": { "tools": { "a": ["mcp:use"], "b": ["more"] } } },
            { "resource": "https://mcp.example.com/other", "accept_audiences": [RESOURCE] },
        ],
        "leeway": leeway,
    });
    Engine::new(Policy::parse(policy.to_string().as_bytes()).expect("a valid policy"))
}

fn fetches(keys: &[(TestKey, &str)]) -> Fetches {
    let keys: Vec<_> = keys.iter().map(|(key, kid)| key.jwk(kid)).collect();
    BTreeMap::from([(KEYS.to_owned(), (200, json!({ "keys": keys }).to_string().into_bytes()))])
}

fn es1() -> Fetches {
    fetches(&[(TestKey::Es256(1), "es1")])
}

fn token() -> Token {
    Token::new(ISSUER, RESOURCE).claim("iat", NOW - 10).claim("exp", NOW + 600)
}

fn get(token: &str) -> Request {
    Request {
        method: "GET".to_owned(),
        authority: "mcp.example.com".to_owned(),
        path: "/mcp".to_owned(),
        headers: vec![(b"authorization".to_vec(), format!("Bearer {token}").into_bytes())],
        ..Request::default()
    }
}

fn call(token: &str, tool: &str) -> Request {
    let mut request = get(token);
    request.method = "POST".to_owned();
    request.headers.push((b"content-type".to_vec(), b"application/json".to_vec()));
    let body =
        json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": tool } });
    request.body = Some(body.to_string().into_bytes());
    request
}

fn reason(engine: &mut Engine, request: &Request, fetches: &Fetches, now: u64) -> Option<Reason> {
    drive::run(engine, request, fetches, now).decision().reason
}

/// RFC 7519 §4.1.4–4.1.6: not on or after `exp`, not before `nbf`, with the leeway on both sides.
#[test]
fn times_to_the_second() {
    for leeway in [0, 30] {
        let cases: [(&str, u64, u64, Option<Reason>); 6] = [
            ("exp", NOW, NOW - 1 + leeway, None),
            ("exp", NOW, NOW + leeway, Some(Reason::TokenExpired)),
            ("nbf", NOW, NOW - leeway, None),
            ("nbf", NOW, NOW - leeway - 1, Some(Reason::TokenNotYetValid)),
            ("iat", NOW, NOW - leeway, None),
            ("iat", NOW, NOW - leeway - 1, Some(Reason::TokenNotYetValid)),
        ];
        for (claim, value, now, expected) in cases {
            let token = Token::new(ISSUER, RESOURCE)
                .claim("iat", NOW - 100)
                .claim("exp", NOW + 600)
                .claim(claim, value)
                .sign();
            let found = reason(&mut engine(leeway), &get(&token), &es1(), now);
            assert_eq!(found, expected, "{claim} at {now} with leeway {leeway}");
        }
    }
}

#[test]
fn a_repeated_token_is_not_verified_again_and_never_past_its_time() {
    let (mut engine, request) = (engine(0), get(&token().sign()));
    assert_eq!(reason(&mut engine, &request, &es1(), NOW), None);
    assert!(matches!(begin(&mut engine, &request, NOW + 50), Step::Forward(_)), "from the cache");
    assert!(matches!(begin(&mut engine, &request, NOW + 599), Step::Forward(_)));
    assert_eq!(reason(&mut engine, &request, &es1(), NOW + 600), Some(Reason::TokenExpired));
}

#[test]
fn the_cache_is_for_one_resource_and_the_whole_token() {
    let (mut engine, good) = (engine(0), token().sign());
    assert_eq!(reason(&mut engine, &get(&good), &es1(), NOW), None);
    let mut other = get(&good);
    other.path = "/other".to_owned();
    assert!(matches!(begin(&mut engine, &other, NOW), Step::NeedSignature(_)));
    let mut changed = good.clone();
    let last = if changed.ends_with('A') { 'Q' } else { 'A' };
    changed.pop();
    changed.push(last);
    assert!(!matches!(begin(&mut engine, &get(&changed), NOW), Step::Forward(_)));
}

#[test]
fn a_key_that_is_gone_takes_its_tokens_along() {
    let (mut engine, request) = (engine(0), get(&token().sign()));
    assert_eq!(reason(&mut engine, &request, &es1(), NOW), None);
    drive::fetch(&mut engine, &fetches(&[(TestKey::Es256(2), "es2")]), NOW + 100);
    assert_eq!(reason(&mut engine, &request, &es1(), NOW + 101), Some(Reason::KeyUnknown));
}

#[test]
fn a_stale_key_set_is_not_used_even_for_remembered_tokens() {
    let (mut engine, request) = (engine(0), get(&token().claim("exp", NOW + 5000).sign()));
    assert_eq!(reason(&mut engine, &request, &es1(), NOW), None);
    let nothing = Fetches::new();
    drive::fetch(&mut engine, &nothing, NOW + 990);
    assert_eq!(reason(&mut engine, &request, &nothing, NOW + 999), None);
    let found = reason(&mut engine, &request, &nothing, NOW + 1000);
    assert_eq!(found, Some(Reason::KeysUnavailable));
}

#[test]
fn a_key_set_that_was_down_recovers_by_itself() {
    let (mut engine, request) = (engine(0), get(&token().sign()));
    let nothing = Fetches::new();
    let Outcome::Respond(response) = drive::run(&mut engine, &request, &nothing, NOW) else {
        panic!("without keys nothing passes");
    };
    assert_eq!(response.status, 503);
    assert!(response.headers.iter().any(|header| header.name() == "retry-after"));
    drive::fetch(&mut engine, &es1(), NOW + 1);
    assert_eq!(reason(&mut engine, &request, &es1(), NOW + 1), None);
}

#[test]
fn a_request_can_wait_while_others_come_and_go() {
    let mut engine = engine(0);
    let Step::NeedKeys(waiting) = begin(&mut engine, &get(&token().sign()), NOW) else {
        panic!("no keys yet");
    };
    let Step::NeedKeys(waiting) = engine.resume(waiting, Answer::Fetched, NOW) else {
        panic!("nothing was fetched");
    };
    let missing = Request { headers: Vec::new(), ..get("") };
    assert_eq!(reason(&mut engine, &missing, &Fetches::new(), NOW), Some(Reason::TokenMissing));
    drive::fetch(&mut engine, &es1(), NOW);
    let Step::NeedSignature(pending) = engine.resume(waiting, Answer::Fetched, NOW) else {
        panic!("the keys are here");
    };
    let verified = engine.verify(&pending);
    assert!(matches!(engine.resume(pending, Answer::Signature(verified), NOW), Step::Forward(_)));
}

#[test]
fn giving_up_is_503_and_every_wrong_answer_refuses() {
    let refused = |step: Step| match step {
        Step::Respond(response) => response.status,
        other => panic!("{other:?}"),
    };
    let answers = [
        Answer::Body(b"{}"),
        Answer::BodyTooLarge,
        Answer::Fetched,
        Answer::GiveUp,
        Answer::Signature(true),
        Answer::Signature(false),
    ];
    for answer in answers {
        let mut engine = engine(0);
        let Step::NeedKeys(pending) = begin(&mut engine, &get(&token().sign()), NOW) else {
            panic!("no keys yet");
        };
        if !matches!(answer, Answer::Fetched) {
            assert_eq!(refused(engine.resume(pending, answer, NOW)), 503, "{answer:?}");
        }
        drive::fetch(&mut engine, &es1(), NOW);
        if !matches!(answer, Answer::Signature(true)) {
            let Step::NeedSignature(pending) = begin(&mut engine, &get(&token().sign()), NOW)
            else {
                panic!("keys are here");
            };
            let expected = if matches!(answer, Answer::Signature(false)) { 401 } else { 503 };
            assert_eq!(refused(engine.resume(pending, answer, NOW)), expected, "{answer:?}");
        }
        let request = call(&token().sign(), "a");
        let Step::NeedSignature(pending) = begin(&mut engine, &request, NOW) else {
            panic!("keys are here");
        };
        let Step::NeedBody(pending) = engine.resume(pending, Answer::Signature(true), NOW) else {
            panic!("the operation is in the body");
        };
        let expected = match answer {
            Answer::Body(_) => 400,
            Answer::BodyTooLarge => 413,
            _ => 503,
        };
        assert_eq!(refused(engine.resume(pending, answer, NOW)), expected, "{answer:?}");
    }
}

#[test]
fn what_may_go_on_early_is_what_goes_on() {
    let mut engine = engine(0);
    drive::fetch(&mut engine, &es1(), NOW);
    let request = call(&token().sign(), "a");
    let Step::NeedSignature(pending) = begin(&mut engine, &request, NOW) else {
        panic!("keys are here");
    };
    let Step::NeedBody(pending) = engine.resume(pending, Answer::Signature(true), NOW) else {
        panic!("the operation is in the body");
    };
    let early = pending.early_forward().expect("the caller is known").clone();
    let body = request.body.expect("a body");
    let Step::Forward(last) = engine.resume(pending, Answer::Body(&body), NOW) else {
        panic!("allowed");
    };
    assert_eq!((early.remove, early.set), (last.remove, last.set));
    assert_eq!(last.decision.verdict, Verdict::Allow);
    assert_eq!(last.decision.rule.as_deref(), Some("tools[\"a\"]"));
    assert_eq!(last.decision.operation.as_deref(), Some("tools/call \"a\""));
}

#[test]
fn a_challenge_repeats_identically() {
    let mut engine = engine(0);
    let request = call(&token().sign(), "b");
    let first = drive::run(&mut engine, &request, &es1(), NOW);
    let second = drive::run(&mut engine, &request, &es1(), NOW + 60);
    assert_eq!(first, second);
    assert_eq!(first.decision().reason, Some(Reason::ScopeInsufficient));
}

/// Neither a log line nor an answer ever holds a token.
#[test]
fn no_token_is_ever_repeated() {
    let mut engine = engine(0);
    for token in
        [token().sign(), token().claim("aud", "x").sign(), token().header("alg", "none").sign()]
    {
        let outcome = drive::run(&mut engine, &get(&token), &es1(), NOW);
        let signature = token.rsplit('.').next().expect("three segments");
        let text = format!("{outcome:?} {}", outcome.decision());
        assert!(!text.contains(signature));
    }
}
